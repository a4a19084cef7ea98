/* Pages of a bucket's objects, against a scripted peer: tokens, retried pages, bounds. */
#include "s3/listing.h"

#include "tests/unit/wire.h"

struct world {
    struct wire wire;
    struct listing *listing;
    struct op op;
};

static struct world w;

static void open_world_after(const struct peer_step *steps, struct bytes prefix,
                             struct bytes delimiter, struct bytes after)
{
    memset(&w, 0, sizeof w);
    wire_open(&w.wire, steps);
    w.wire.conf.attempts_max = 2;
    wire_connect(&w.wire, NULL);
    op_init(&w.op, wire_on_done);
    assert_int_equal(
        listing_open(&w.listing, &w.wire.client, BYTES("bucket"), prefix, delimiter, after),
        ERR_NONE);
}

static void open_world(const struct peer_step *steps, struct bytes prefix, struct bytes delimiter)
{
    open_world_after(steps, prefix, delimiter, BYTES(""));
}

static void close_world(void)
{
    listing_close(w.listing);
    wire_close(&w.wire);
}

static enum err next(void)
{
    listing_next(w.listing, &w.op);
    assert_true(w.op.out);
    return wire_wait(&w.wire, &w.op);
}

static void expect_key(uint32_t index, const char *key)
{
    const struct listing_entry *entry = listing_entry(w.listing, index);
    assert_int_equal(entry->key.count, strlen(key));
    assert_memory_equal(entry->key.data, key, entry->key.count);
}

/* A reply with `body`; what it announces is `more` bytes longer. */
static struct peer_step reply(char *area, size_t area_bytes, const char *body, size_t more)
{
    int count = snprintf(area, area_bytes, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                         strlen(body) + more, body);
    assert_true(count > 0 && (size_t)count < area_bytes);
    return (struct peer_step){PEER_SEND, area, 0};
}

#define LIST "<ListBucketResult><EncodingType>url</EncodingType>"
#define GOES_ON(t)                                                                                 \
    "<IsTruncated>true</IsTruncated><NextContinuationToken>" t "</NextContinuationToken>"
#define OVER "<IsTruncated>false</IsTruncated>"
#define OBJECT(key)                                                                                \
    "<Contents><Key>" key "</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>"            \
    "<ETag>&quot;0af&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
#define PREFIX(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"
#define LIST_END    "</ListBucketResult>"
#define P           "p/%C3%A9%2B%20" /* the prefix */

static void test_pages(void **state)
{
    (void)state;
    char one[2048], half[2048], two[2048], three[2048];
    const char *page = LIST GOES_ON("t2") OBJECT(P "c") OBJECT(P "d") LIST_END;
    const struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        reply(one, sizeof one,
              LIST GOES_ON("t1/+= x") OBJECT(P "a%20b%2B%0A") PREFIX(P "f/") LIST_END, 0),
        HEAD,
        reply(half, sizeof half, LIST GOES_ON("t2") OBJECT(P "c"), 500),
        {PEER_CLOSE, NULL, 0},
        ACCEPT,
        HEAD,
        reply(two, sizeof two, page, 0),
        HEAD,
        reply(three, sizeof three, LIST OVER LIST_END, 0),
        END};
    open_world(steps, BYTES("p/\xc3\xa9+ "), BYTES("/"));
    assert_int_equal(listing_count(w.listing), 0);
    assert_false(listing_is_done(w.listing));
    assert_int_equal(next(), ERR_NONE);
    assert_int_equal(listing_count(w.listing), 2);
    expect_key(0, "p/\xc3\xa9+ a b+\n");
    expect_key(1, "p/\xc3\xa9+ f/");
    const struct listing_entry *entry = listing_entry(w.listing, 0);
    assert_false(entry->is_prefix);
    assert_int_equal(entry->size_bytes, 7);
    assert_int_equal(entry->modified_s, 1369353600);
    assert_string_equal(entry->etag, "\"0af\"");
    assert_true(bytes_equal(entry->storage_class, BYTES("STANDARD")));
    assert_true(listing_entry(w.listing, 1)->is_prefix);
    assert_int_equal(next(),
                     ERR_NONE); /* a page that breaks off, and comes whole the second time */
    assert_int_equal(listing_count(w.listing), 2);
    expect_key(0, "p/\xc3\xa9+ c");
    expect_key(1, "p/\xc3\xa9+ d");
    assert_false(listing_is_done(w.listing));
    assert_int_equal(next(), ERR_NONE);
    assert_int_equal(listing_count(w.listing), 0);
    assert_true(listing_is_done(w.listing));
    assert_int_equal(next(), ERR_NONE); /* asks nobody */
    assert_int_equal(listing_count(w.listing), 0);
    close_world();
    assert_int_equal(peer_heads_with(&w.wire.peer, "GET /bucket?"), 4);
    assert_int_equal(peer_heads_with(&w.wire.peer, "list-type=2"), 4);
    assert_int_equal(peer_heads_with(&w.wire.peer, "max-keys=1000"), 4);
    assert_int_equal(peer_heads_with(&w.wire.peer, "encoding-type=url"), 4);
    assert_int_equal(peer_heads_with(&w.wire.peer, "prefix=p%2F%C3%A9%2B%20"), 4);
    assert_int_equal(peer_heads_with(&w.wire.peer, "delimiter=%2F"), 4);
    assert_int_equal(peer_heads_with(&w.wire.peer, "continuation-token=t1%2F%2B%3D%20x"), 2);
    assert_int_equal(peer_heads_with(&w.wire.peer, "continuation-token=t2"), 1);
}

/* Where it is to begin is said once: from then on the token says where it goes on. */
static void test_after(void **state)
{
    (void)state;
    char one[2048], two[2048];
    const struct peer_step steps[] = {ACCEPT,
                                      HEAD,
                                      reply(one, sizeof one, LIST GOES_ON("t1") LIST_END, 0),
                                      HEAD,
                                      reply(two, sizeof two, LIST OVER LIST_END, 0),
                                      END};
    open_world_after(steps, BYTES("p/"), BYTES(""), BYTES("p/a b/\xf4\x8f\xbf\xbf"));
    assert_int_equal(next(), ERR_NONE);
    assert_int_equal(next(), ERR_NONE);
    assert_true(listing_is_done(w.listing));
    close_world();
    assert_int_equal(peer_heads_with(&w.wire.peer, "GET /bucket?"), 2);
    assert_int_equal(peer_heads_with(&w.wire.peer, "start-after=p%2Fa%20b%2F%F4%8F%BF%BF"), 1);
    assert_int_equal(peer_heads_with(&w.wire.peer, "continuation-token=t1"), 1);
}

/* Whoever asks for a prefix cuts it off what comes. */
static void test_astray(void **state)
{
    static const char *const keys[] = {OBJECT("p"), OBJECT("pp/a"), OBJECT("p/a") PREFIX("q/")};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        char page[2048], text[2048];
        snprintf(page, sizeof page, LIST OVER "%s" LIST_END, keys[i]);
        const struct peer_step steps[] = {ACCEPT, HEAD, reply(text, sizeof text, page, 0), END};
        open_world(steps, BYTES("p/"), BYTES("/"));
        w.wire.conf.attempts_max = 1;
        assert_int_equal(next(), ERR_XML_GARBAGE);
        assert_int_equal(listing_count(w.listing), 0);
        assert_non_null(strstr(listing_why(w.listing), "prefix"));
        close_world();
    }
}

/* The next try is broken before its first entry: that is what is told, not the name before. */
static void test_astray_then_broken(void **state)
{
    (void)state;
    char astray[2048], broken[2048];
    const struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        reply(astray, sizeof astray, LIST OVER OBJECT("q") LIST_END, 0),
        HEAD,
        reply(broken, sizeof broken, "<ListBucketResult><<", 0),
        END};
    open_world(steps, BYTES("p/"), BYTES("/"));
    assert_int_equal(next(), ERR_XML_GARBAGE);
    assert_int_equal(listing_count(w.listing), 0);
    assert_null(strstr(listing_why(w.listing), "prefix"));
    close_world();
    assert_int_equal(peer_heads_with(&w.wire.peer, "GET /bucket?"), 2);
}

/* A server that does not know version 2 would give its first page for ever. */
static void test_no_way_on(void **state)
{
    (void)state;
    char one[2048], two[2048];
    const char *page = LIST GOES_ON("same") OBJECT("a") LIST_END;
    const struct peer_step steps[] = {
        ACCEPT, HEAD, reply(one, sizeof one, page, 0), HEAD, reply(two, sizeof two, page, 0), END};
    open_world(steps, BYTES(""), BYTES(""));
    assert_int_equal(next(), ERR_NONE);
    assert_int_equal(listing_count(w.listing), 1);
    assert_int_equal(next(), ERR_XML_GARBAGE);
    assert_int_equal(listing_count(w.listing), 0);
    assert_true(strlen(listing_why(w.listing)) > 0);
    close_world();
    assert_int_equal(peer_heads_with(&w.wire.peer, "prefix="), 0);
    assert_int_equal(peer_heads_with(&w.wire.peer, "delimiter="), 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND,
         "HTTP/1.1 404 Not Found\r\nContent-Length: 78\r\n\r\n"
         "<Error><Code>NoSuchBucket</Code><Message>it is not here at all</Message></Error>",
         0},
        END};
    open_world(steps, BYTES(""), BYTES("/"));
    assert_int_equal(next(), ERR_NO_BUCKET);
    assert_int_equal(listing_count(w.listing), 0);
    assert_false(listing_is_done(w.listing));
    assert_non_null(strstr(listing_why(w.listing), "NoSuchBucket"));
    close_world();
}

/* A server that never answers does not hold up who wants to end. */
static void test_cancel(void **state)
{
    (void)state;
    static const struct peer_step steps[] = {ACCEPT, HEAD, {PEER_QUIET, NULL, 0}, END};
    open_world(steps, BYTES(""), BYTES(""));
    listing_cancel(w.listing); /* harmless when no page is asked for */
    listing_next(w.listing, &w.op);
    uint64_t until_ns = w.wire.core.now_ns + 100 * NS_PER_MS;
    while (w.wire.core.now_ns < until_ns)
        core_turn(&w.wire.core, false);
    assert_true(w.op.out);
    listing_cancel(w.listing);
    assert_int_equal(wire_wait(&w.wire, &w.op), ERR_CANCELLED);
    assert_true(w.wire.core.now_ns < until_ns + 20 * NS_PER_S);
    assert_int_equal(listing_count(w.listing), 0);
    close_world();
}

/* --- the greatest page --- */

static char *big_page(uint32_t count, char letter, bool last)
{
    char key[KEY_BYTES_MAX + 1], *page = malloc(4 * MIB), *at = page;
    assert_non_null(page);
    at += sprintf(at, "%s%s", LIST, last ? OVER : GOES_ON("more"));
    memset(key, letter, KEY_BYTES_MAX);
    key[KEY_BYTES_MAX] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        char number[8];
        snprintf(number, sizeof number, "%07u", i);
        memcpy(key, number, 7);
        at += sprintf(at, "<Contents><Key>%s</Key><Size>%u</Size></Contents>", key, i);
    }
    strcpy(at, LIST_END);
    return page;
}

static void expect_big_page(char letter)
{
    char key[KEY_BYTES_MAX + 1];
    memset(key, letter, KEY_BYTES_MAX);
    key[KEY_BYTES_MAX] = '\0';
    assert_int_equal(listing_count(w.listing), 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        char number[8];
        snprintf(number, sizeof number, "%07u", i);
        memcpy(key, number, 7);
        expect_key(i, key);
        assert_int_equal(listing_entry(w.listing, i)->size_bytes, i);
    }
}

static void test_large_pages(void **state)
{
    (void)state;
    char *areas[3];
    struct peer_step replies[3];
    for (uint32_t i = 0; i < 3; i++) {
        char *page = big_page(i < 2 ? 1000 : 1001, (char)('a' + i), i > 0);
        areas[i] = malloc(4 * MIB);
        assert_non_null(areas[i]);
        replies[i] = reply(areas[i], 4 * MIB, page, 0);
        free(page);
    }
    const struct peer_step good[] = {ACCEPT, HEAD, replies[0], HEAD, replies[1], END};
    open_world(good, BYTES(""), BYTES(""));
    assert_int_equal(next(), ERR_NONE);
    expect_big_page('a');
    assert_int_equal(next(), ERR_NONE);
    expect_big_page('b');
    close_world();
    /* more entries than were asked for */
    const struct peer_step bad[] = {ACCEPT, HEAD, replies[2], END};
    open_world(bad, BYTES(""), BYTES(""));
    w.wire.conf.attempts_max = 1;
    assert_int_equal(next(), ERR_XML_GARBAGE);
    assert_int_equal(listing_count(w.listing), 0);
    close_world();
    for (uint32_t i = 0; i < 3; i++)
        free(areas[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),       cmocka_unit_test(test_after),
        cmocka_unit_test(test_no_way_on),   cmocka_unit_test(test_astray),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_large_pages), cmocka_unit_test(test_astray_then_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
