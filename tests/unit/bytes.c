#include "core/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define assert_bytes(b, literal)                                                                   \
    do {                                                                                           \
        struct bytes got_ = (b);                                                                   \
        assert_int_equal(got_.count, sizeof(literal) - 1);                                         \
        if (got_.count > 0) assert_memory_equal(got_.data, literal, got_.count);                   \
    } while (0)

static void test_equal(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_of(NULL), BYTES("")));
    assert_true(bytes_equal(BYTES("a\0b"), BYTES("a\0b")));
    assert_false(bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
    assert_false(bytes_equal(BYTES("ab"), BYTES("abc")));
    assert_true(bytes_equal_ignoring_case(BYTES("Content-Length"), BYTES("cONTENT-lENGTH")));
    assert_false(bytes_equal_ignoring_case(BYTES("a["), BYTES("a{")));
    assert_false(bytes_equal_ignoring_case(BYTES("a"), BYTES("ab")));
    assert_true(bytes_start_with(BYTES("s3://b"), BYTES("s3://")));
    assert_false(bytes_start_with(BYTES("s3:"), BYTES("s3://")));
    assert_true(bytes_start_with(bytes_of(NULL), BYTES("")));
    assert_true(bytes_end_with(BYTES("x.zst"), BYTES(".zst")));
    assert_false(bytes_end_with(BYTES("zst"), BYTES(".zst")));
    assert_true(bytes_end_with(bytes_of(NULL), BYTES("")));
}

static void test_compare(void **state)
{
    static const char *const ascending[] = {"", "a", "a-b", "a/b", "ab", "b", "\xc3\xa4"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ascending); i++)
        for (size_t j = 0; j < ARRAY_COUNT(ascending); j++) {
            int order = bytes_compare(bytes_of(ascending[i]), bytes_of(ascending[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    assert_int_equal(bytes_compare((struct bytes){NULL, 0}, BYTES("")), 0);
}

static void test_trim_and_cut(void **state)
{
    struct bytes rest;
    (void)state;
    assert_bytes(bytes_trim(BYTES(" \t a b\r\n")), "a b");
    assert_bytes(bytes_trim(BYTES(" \t\r\n")), "");
    assert_bytes(bytes_trim(bytes_of(NULL)), "");
    assert_bytes(bytes_cut(BYTES("bucket/a/b"), '/', &rest), "bucket");
    assert_bytes(rest, "a/b");
    assert_bytes(bytes_cut(BYTES("bucket"), '/', &rest), "bucket");
    assert_bytes(rest, "");
    assert_bytes(bytes_cut(BYTES("/"), '/', &rest), "");
    assert_bytes(rest, "");
    assert_bytes(bytes_cut(bytes_of(NULL), '/', &rest), "");
    assert_bytes(rest, "");
}

static void test_parse_u64(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"184467440737095516150", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x1", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t value = 42;
        assert_int_equal(bytes_parse_u64(bytes_of(rows[i].text), &value), rows[i].good);
        assert_int_equal(value, rows[i].good ? rows[i].value : 42);
    }
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } rows[] = {
        {"", 0},
        {"a", 1},
        {"\x7f", 1},
        {"\xc3\xa9x", 2},
        {"\xe2\x82\xac", 3},
        {"\xed\x9f\xbf", 3},
        {"\xef\xbf\xbf", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\x80", 0},
        {"\xc0\xaf", 0},
        {"\xc1\xbf", 0},
        {"\xc3", 0},
        {"\xc3x", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xe2\x82", 0},
        {"\xe2\x82x", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(bytes_utf8_count(bytes_of(rows[i].text)), rows[i].count);
}

static void test_to_string(void **state)
{
    char string[4] = "zzz";
    (void)state;
    assert_true(bytes_to_string(BYTES("abc"), string, sizeof(string)));
    assert_string_equal(string, "abc");
    assert_false(bytes_to_string(BYTES("abcd"), string, sizeof(string)));
    assert_string_equal(string, "");
    assert_true(bytes_to_string(bytes_of(NULL), string, 1));
    assert_string_equal(string, "");
}

static void test_writer(void **state)
{
    static const uint8_t raw[] = {0x00, 0x0f, 0xa5, 0xff};
    char area[64];
    struct writer w;
    (void)state;
    writer_init(&w, area, sizeof(area));
    writer_text(&w, "a=");
    writer_text(&w, NULL);
    writer_u64(&w, 0);
    writer_char(&w, ' ');
    writer_u64(&w, UINT64_MAX);
    writer_char(&w, ' ');
    writer_hex(&w, raw, sizeof(raw));
    writer_format(&w, " %s%d", "x", -7);
    assert_false(w.overflow);
    assert_bytes(writer_bytes(&w), "a=0 18446744073709551615 000fa5ff x-7");
    assert_string_equal(writer_string(&w), "a=0 18446744073709551615 000fa5ff x-7");
}

static void test_writer_overflow(void **state)
{
    static const uint8_t raw[] = {1, 2};
    char area[5] = "....#";
    struct writer w;
    (void)state;
    writer_init(&w, area, 4);
    writer_text(&w, "abcd"); /* exactly full */
    assert_false(w.overflow);
    assert_string_equal(writer_string(&w), ""); /* no room for the 0 */
    assert_int_equal(area[4], '#');

    writer_init(&w, area, 4);
    writer_text(&w, "abc");
    writer_text(&w, "de");
    writer_char(&w, 'f'); /* would fit, but overflow is sticky */
    assert_true(w.overflow);
    assert_bytes(writer_bytes(&w), "abc");
    assert_string_equal(writer_string(&w), "");

    writer_init(&w, area, 4);
    writer_hex(&w, raw, 2);
    assert_false(w.overflow);
    writer_init(&w, area, 3);
    writer_hex(&w, raw, 2);
    assert_true(w.overflow);

    writer_init(&w, area, 4);
    writer_format(&w, "%d", 123);
    assert_bytes(writer_bytes(&w), "123");
    writer_format(&w, "%d", 4);
    assert_true(w.overflow);
    assert_int_equal(area[4], '#');
    writer_init(&w, NULL, 0);
    writer_format(&w, "x");
    assert_true(w.overflow);
}

static void test_visible(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"plain \xc3\xa9 \xe2\x82\xac \\", "plain \xc3\xa9 \xe2\x82\xac \\"},
        {"a\nb\rc\td", "a\\x0ab\\x0dc\\x09d"},
        {"\x1b[31m", "\\x1b[31m"},
        {"\x7f\xff\xc3", "\\x7f\\xff\\xc3"},
        {"\xc2\x9b"
         "2J\xc2\xa0",
         "\\xc2\\x9b2J\xc2\xa0"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char area[64];
        struct writer w;
        writer_init(&w, area, sizeof(area));
        writer_visible(&w, bytes_of(rows[i].text));
        assert_string_equal(writer_string(&w), rows[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_trim_and_cut),
        cmocka_unit_test(test_parse_u64),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_to_string),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_visible),
        cmocka_unit_test(test_writer_overflow),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
