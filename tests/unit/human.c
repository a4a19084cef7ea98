#include "tools/human.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct row {
    uint64_t value;
    const char *text;
};

static void test_bytes(void **state)
{
    static const struct row rows[] = {
        {0, "0 B"},
        {7, "7 B"},
        {999, "999 B"},
        {1000, "0.98 KiB"},
        {1024, "1.00 KiB"},
        {1536, "1.50 KiB"},
        {10230, "9.99 KiB"},
        {10240, "10.0 KiB"},
        {102400, "100 KiB"},
        {5 * GIB / 4, "1.25 GiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    char text[HUMAN_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(human_bytes(rows[i].value, text), rows[i].text);
}

static void test_count(void **state)
{
    static const struct row rows[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {1234567, "1,234,567"},
        {UINT64_MAX, "18,446,744,073,709,551,615"},
    };
    char text[HUMAN_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(human_count(rows[i].value, text), rows[i].text);
}

static void test_duration(void **state)
{
    static const struct row rows[] = {
        {0, "0.00 s"},
        {350 * NS_PER_MS, "0.35 s"},
        {12340 * NS_PER_MS, "12.3 s"},
        {60 * NS_PER_S, "1:00"},
        {3599 * NS_PER_S, "59:59"},
        {3723 * NS_PER_S, "1:02:03"},
        {48 * 3600 * NS_PER_S - NS_PER_S, "47:59:59"},
        {100 * 3600 * NS_PER_S, "4 days 4:00:00"},
        {30 * 24 * 3600 * NS_PER_S, "30 days"},
    };
    char text[HUMAN_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(human_duration(rows[i].value, text), rows[i].text);
}

static void test_rate(void **state)
{
    char text[HUMAN_TEXT_BYTES];
    (void)state;
    assert_string_equal(human_rate(5 * GIB, 4 * NS_PER_S, text), "1.25 GiB/s");
    assert_string_equal(human_rate(0, NS_PER_S, text), "0 B/s");
    assert_string_equal(human_rate(5, 0, text), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_rate),
    };
    return cmocka_run_group_tests_name("human", tests, NULL, NULL);
}
