/* The parts that a server remembers, against a scripted peer: pages, gaps, a call that it lacks. */
#include "s3/stored.h"

#include "tests/unit/wire.h"

struct world {
    struct wire wire;
    struct stored stored;
    struct multipart parts;
    struct op op;
};

static struct world w;

static void open_world(const struct peer_step *steps)
{
    memset(&w, 0, sizeof w);
    wire_open(&w.wire, steps);
    w.wire.conf.attempts_max = 1;
    wire_connect(&w.wire, NULL);
    op_init(&w.op, wire_on_done);
    multipart_init(&w.parts);
    stored_init(&w.stored, &w.wire.core, &w.wire.client);
}

static void close_world(void)
{
    stored_fini(&w.stored);
    multipart_fini(&w.parts);
    wire_close(&w.wire);
}

static enum err learn(void)
{
    struct stored_object object = {
        .client = &w.wire.client, .bucket = BYTES("b"), .key = BYTES("k"), .kind = CHECKSUM_CRC32C};
    stored_learn(&w.stored, &object, &w.parts, &w.op);
    return wire_wait(&w.wire, &w.op);
}

static const char *reply_of(const char *parts, const char *more, char *area, size_t bytes)
{
    char body[2048];
    snprintf(body, sizeof body,
             "<GetObjectAttributesResponse><ObjectParts>%s%s</ObjectParts>"
             "</GetObjectAttributesResponse>",
             more, parts);
    snprintf(area, bytes, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return area;
}

#define PART(number, bytes)                                                                        \
    "<Part><PartNumber>" number "</PartNumber><Size>" bytes "</Size>"                              \
    "<ChecksumCRC32C>yZRlqg==</ChecksumCRC32C></Part>"

static void pages_are_joined(void **state)
{
    char first[4096], second[4096];
    struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND,
         reply_of(PART("1", "10") PART("2", "10"),
                  "<IsTruncated>true</IsTruncated>"
                  "<NextPartNumberMarker>2</NextPartNumberMarker>",
                  first, sizeof first),
         0},
        HEAD,
        /* the second part once more: it is not added twice */
        {PEER_SEND, reply_of(PART("2", "10") PART("3", "5"), "", second, sizeof second), 0},
        END};
    (void)state;
    open_world(steps);
    assert_int_equal(learn(), ERR_NONE);
    assert_int_equal(w.parts.count, 3);
    assert_int_equal(multipart_part(&w.parts, 2)->offset, 20);
    assert_int_equal(multipart_part(&w.parts, 2)->checksum_bytes, 4);
    assert_true(stored_is_usable(&w.stored, 25, 3));
    assert_false(stored_is_usable(&w.stored, 26, 3));
    assert_false(stored_is_usable(&w.stored, 25, 2));
    close_world(); /* the peer is joined: what it received can be looked at */
    assert_non_null(strstr(w.wire.peer.heads, "x-amz-part-number-marker: 2\r\n"));
}

static void gap_is_an_error(void **state)
{
    char area[4096];
    struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND, reply_of(PART("1", "10") PART("3", "10"), "", area, sizeof area), 0},
        END};
    (void)state;
    open_world(steps);
    assert_int_equal(learn(), ERR_XML_GARBAGE);
    close_world();
}

static void sizes_beyond_all(void **state)
{
    char area[4096];
    struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND,
         reply_of(PART("1", "18446744073709551615") PART("2", "11"), "", area, sizeof area), 0},
        END};
    (void)state;
    open_world(steps);
    assert_int_equal(learn(), ERR_XML_GARBAGE);
    close_world();
}

static void part_without_a_checksum(void **state)
{
    char area[4096];
    struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND,
         reply_of(PART("1", "10") "<Part><PartNumber>2</PartNumber><Size>7</Size></Part>", "", area,
                  sizeof area),
         0},
        END};
    (void)state;
    open_world(steps);
    assert_int_equal(learn(), ERR_NONE);
    assert_int_equal(w.parts.count, 2);
    assert_false(stored_is_usable(&w.stored, 17, 2));
    close_world();
}

static void call_that_is_not_there(void **state)
{
    struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND, "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n", 0},
        END};
    (void)state;
    open_world(steps);
    assert_int_equal(learn(), ERR_UNSUPPORTED);
    assert_false(stored_is_usable(&w.stored, 0, 0));
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_joined),       cmocka_unit_test(gap_is_an_error),
        cmocka_unit_test(sizes_beyond_all),       cmocka_unit_test(part_without_a_checksum),
        cmocka_unit_test(call_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
