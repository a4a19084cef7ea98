#include "s3/spread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As `printf %s NAME | sha256sum` tells them. */
static const struct {
    const char *name, *sha256;
} known[] = {
    {"a", "ca97"},
    {"a/b", "c14c"},
    {"ünïcode/日本語", "3469"},
    {"dir/file with space", "cb54"},
    {"run/0001", "11f9"},
};

static void test_counts(void **state)
{
    static const uint64_t good[] = {2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
    static const uint64_t bad[] = {0, 1, 3, 5, 15, 17, 100, 4095, 4097, 8192, 1ull << 32};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(spread_is_count(good[i]));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(spread_is_count(bad[i]));
}

static void test_known_answers(void **state)
{
    static const struct {
        uint32_t count;
        size_t digits;
    } whole[] = {{16, 1}, {256, 2}, {4096, 3}};
    char text[SPREAD_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        for (size_t j = 0; j < ARRAY_COUNT(whole); j++) {
            spread_format(whole[j].count, bytes_of(known[i].name), text);
            assert_int_equal(strlen(text), whole[j].digits + 1);
            assert_memory_equal(text, known[i].sha256, whole[j].digits);
            assert_int_equal(text[whole[j].digits], '/');
        }
}

/* Counts between: 0xca97 begins 1100 1010 1001 0111. */
static void test_bits(void **state)
{
    static const struct {
        uint32_t count;
        const char *text;
    } rows[] = {{2, "1/"},    {4, "3/"},     {8, "6/"},      {32, "19/"},   {64, "32/"},
                {128, "65/"}, {512, "195/"}, {1024, "32a/"}, {2048, "654/"}};
    char text[SPREAD_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        spread_format(rows[i].count, BYTES("a"), text);
        assert_string_equal(text, rows[i].text);
    }
    spread_format(0, BYTES("a"), text);
    assert_string_equal(text, "");
}

static void test_way_back(void **state)
{
    char text[SPREAD_TEXT_BYTES], spread[64];
    struct bytes name;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        for (uint32_t count = SPREAD_MIN; count <= SPREAD_MAX; count *= 2) {
            spread_format(count, bytes_of(known[i].name), text);
            snprintf(spread, sizeof spread, "%s%s", text, known[i].name);
            assert_true(spread_strip(count, bytes_of(spread), &name));
            assert_true(bytes_equal(name, bytes_of(known[i].name)));
        }
    assert_true(spread_strip(0, BYTES("c/a"), &name));
    assert_true(bytes_equal(name, BYTES("c/a")));
}

static void test_what_does_not_fit(void **state)
{
    static const char *const rows[] = {
        "",     /* nothing */
        "a",    /* no digits */
        "c",    /* digits only */
        "c/",   /* of no name */
        "/a",   /* none */
        "d/a",  /* of another name */
        "C/a",  /* we write small ones */
        "ca/a", /* of another count */
        "c//a", /* those of "a", not of "/a" */
        "0c/a",
    };
    struct bytes name;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_false(spread_strip(16, bytes_of(rows[i]), &name));
        assert_true(bytes_equal(name, bytes_of(rows[i])));
    }
    assert_true(spread_strip(16, BYTES("c/a"), &name));
}

/* 10^5 names, as programs make them: each prefix within five standard deviations of its share. */
static void test_evenness(void **state)
{
    static uint32_t counts[SPREAD_MAX];
    static const uint32_t spreads[] = {2, 16, 32, 256, 4096};
    const double names = 100000;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(spreads); i++) {
        memset(counts, 0, sizeof counts);
        for (uint32_t n = 0; n < (uint32_t)names; n++) {
            char name[32], text[SPREAD_TEXT_BYTES], *end;
            snprintf(name, sizeof name, "run42/step%03u/%05u.h5", n / 1000, n);
            spread_format(spreads[i], bytes_of(name), text);
            unsigned long value = strtoul(text, &end, 16);
            assert_true(value < spreads[i] && *end == '/');
            counts[value]++;
        }
        double share = names / spreads[i], variance = share * (1 - 1.0 / spreads[i]);
        for (uint32_t j = 0; j < spreads[i]; j++) {
            double off = counts[j] - share;
            assert_true(off * off <= 25 * variance);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),   cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_bits),     cmocka_unit_test(test_way_back),
        cmocka_unit_test(test_evenness), cmocka_unit_test(test_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
