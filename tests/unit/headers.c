#include "s3/headers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_mtime_texts(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0.000000000"},
        {1700000000123456789, "1700000000.123456789"},
        {-1500000000, "-1.500000000"},
        {999999999, "0.999999999"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[64];
        int64_t back;
        headers_format_mtime(rows[i].ns, text, sizeof text);
        assert_string_equal(text, rows[i].text);
        assert_true(headers_parse_mtime(bytes_of(text), &back));
        assert_int_equal(back, rows[i].ns);
    }
}

static void test_mtime_of_others(void **state)
{
    int64_t ns;
    (void)state;
    assert_true(headers_parse_mtime(BYTES("1700000000"), &ns)); /* s3cmd, gsutil */
    assert_int_equal(ns, 1700000000 * (int64_t)NS_PER_S);
    assert_true(headers_parse_mtime(BYTES("1700000000.5"), &ns));
    assert_int_equal(ns, 1700000000 * (int64_t)NS_PER_S + 500000000);
    assert_false(headers_parse_mtime(BYTES(""), &ns));
    assert_false(headers_parse_mtime(BYTES("12x"), &ns));
    assert_false(headers_parse_mtime(BYTES("1.5e3"), &ns));
    assert_false(headers_parse_mtime(BYTES("99999999999999"), &ns));
}

static void test_ranges(void **state)
{
    char text[64];
    (void)state;
    headers_format_range(0, 1, text, sizeof text);
    assert_string_equal(text, "bytes=0-0");
    headers_format_range(8 * MIB, 8 * MIB, text, sizeof text);
    assert_string_equal(text, "bytes=8388608-16777215");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mtime_texts),
        cmocka_unit_test(test_mtime_of_others),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
