/* A head and pieces of a body, taken in portions of every size: the same bytes in the same order.
 * */
#include "tools/stowage_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static size_t gather(const struct iovec *iovecs, uint32_t count, char *to)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(iovecs[i].iov_len > 0);
        memcpy(to + bytes, iovecs[i].iov_base, iovecs[i].iov_len);
        bytes += iovecs[i].iov_len;
    }
    return bytes;
}

static void add(struct stowage_out *out, const char *a, const char *b)
{
    struct iovec iovecs[2] = {{(void *)(uintptr_t)a, strlen(a)}, {(void *)(uintptr_t)b, strlen(b)}};
    stowage_out_add(out, iovecs, 2);
}

static void test_portions(void **state)
{
    static struct stowage_out out;
    struct iovec iovecs[STOWAGE_OUT_IOVECS_MAX];
    (void)state;
    for (uint64_t portion = 1; portion < 12; portion++) {
        char text[64] = "";
        size_t bytes = 0;
        stowage_out_init(&out);
        assert_false(stowage_out_is_empty(&out));
        writer_text(&out.head, "head ");
        add(&out, "one ", "two ");
        while (!stowage_out_is_empty(&out)) {
            uint32_t count = stowage_out_take(&out, portion, iovecs);
            size_t got = gather(iovecs, count, text + bytes);
            assert_true(got <= portion + (bytes ? 0 : out.head.count));
            bytes += got;
        }
        add(&out, "", "three");
        assert_int_equal(stowage_out_body_bytes(&out), 5);
        while (!stowage_out_is_empty(&out))
            bytes += gather(iovecs, stowage_out_take(&out, portion, iovecs), text + bytes);
        assert_string_equal(text, "head one two three");
    }
}

/* With nothing of the body allowed, the head goes alone, and once. */
static void test_head_alone(void **state)
{
    static struct stowage_out out;
    struct iovec iovecs[STOWAGE_OUT_IOVECS_MAX];
    char text[64] = "";
    (void)state;
    stowage_out_init(&out);
    writer_text(&out.head, "head ");
    add(&out, "body", "");
    gather(iovecs, stowage_out_take(&out, 0, iovecs), text);
    assert_string_equal(text, "head ");
    assert_int_equal(stowage_out_take(&out, 0, iovecs), 0);
    assert_int_equal(stowage_out_body_bytes(&out), 4);
}

static void take_all(struct stowage_out *out, char *text)
{
    struct iovec iovecs[STOWAGE_OUT_IOVECS_MAX];
    size_t bytes = strlen(text);
    while (!stowage_out_is_empty(out))
        bytes += gather(iovecs, stowage_out_take(out, 3, iovecs), text + bytes);
    text[bytes] = 0;
}

/* RFC 9112 7.1 */
static void test_chunks(void **state)
{
    static struct stowage_out out;
    char text[64] = "";
    (void)state;
    stowage_out_init(&out);
    out.chunked = true;
    writer_text(&out.head, "head ");
    add(&out, "seventeen ", "bytes..");
    take_all(&out, text);
    add(&out, "", "");
    add(&out, "", "more");
    stowage_out_end(&out);
    take_all(&out, text);
    assert_string_equal(text, "head 11\r\nseventeen bytes..\r\n4\r\nmore\r\n0\r\n\r\n");
}

/* The flipped bit is on the way only. */
static void test_corrupt(void **state)
{
    static struct stowage_out out;
    char text[64] = "", body[] = "abc";
    (void)state;
    stowage_out_init(&out);
    out.corrupts = true;
    writer_text(&out.head, "head ");
    add(&out, body, "d");
    take_all(&out, text);
    assert_string_equal(text, "head `bcd");
    assert_string_equal(body, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_portions),
        cmocka_unit_test(test_head_alone),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
