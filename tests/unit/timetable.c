#include "tools/timetable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SUN, MON, TUE, WED, THU, FRI, SAT };

struct row {
    uint32_t day, hour, minute;
    uint64_t mib;
};

static void check(const char *text, const struct row *rows, size_t count)
{
    struct timetable table;
    char why[TIMETABLE_WHY_BYTES] = "";
    if (!timetable_parse(&table, text, why)) fail_msg("%s: %s", text, why);
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        assert_int_equal(timetable_rate(&table, TIMETABLE_UP, row->day, row->hour, row->minute),
                         row->mib * MIB);
    }
}

#define CHECK_TABLE(text, ...)                                                                     \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        check(text, rows, ARRAY_COUNT(rows));                                                      \
    } while (0)

static void test_one_rate_holds_always(void **state)
{
    (void)state;
    CHECK_TABLE("50M", {SUN, 0, 0, 50}, {SAT, 23, 59, 50});
    CHECK_TABLE(" off ", {SUN, 0, 0, 0}, {WED, 12, 0, 0});
}

static void test_every_day(void **state)
{
    (void)state;
    CHECK_TABLE("08:00,50M 19:00,off", {SUN, 7, 59, 0}, {SUN, 8, 0, 50}, {SUN, 18, 59, 50},
                {SUN, 19, 0, 0}, {WED, 12, 0, 50}, {SAT, 23, 59, 0});
    CHECK_TABLE("19:00,1M  8:00,2M", {MON, 0, 0, 1}, {MON, 8, 0, 2}, {MON, 19, 0, 1});
}

/* As rclone's documentation has it: "Mon-00:00,512 Fri-23:59,10M Sat-10:00,1M Sun-20:00,off". */
static void test_days_of_the_week(void **state)
{
    (void)state;
    CHECK_TABLE("Mon-00:00,3M Fri-23:59,10M Sat-10:00,1M Sun-20:00,off", {SUN, 0, 0, 1},
                {SUN, 20, 0, 0}, {MON, 0, 0, 3}, {FRI, 23, 58, 3}, {FRI, 23, 59, 10},
                {SAT, 9, 59, 10}, {SAT, 10, 0, 1});
    CHECK_TABLE("mon-08:00,5M 12:00,8M", {MON, 8, 0, 5}, {MON, 12, 0, 8}, {TUE, 8, 0, 8});
}

/* As rclone has it: up:down; a run takes what is meant for its way. */
static void test_up_and_down_apart(void **state)
{
    struct timetable table;
    char why[TIMETABLE_WHY_BYTES];
    (void)state;
    assert_true(timetable_parse(&table, "10M:off", why));
    assert_int_equal(timetable_rate(&table, TIMETABLE_UP, MON, 1, 0), 10 * MIB);
    assert_int_equal(timetable_rate(&table, TIMETABLE_DOWN, MON, 1, 0), 0);
    assert_true(timetable_parse(&table, "08:00,1M:2M Fri-19:00,off:3M 20:00,4M", why));
    assert_int_equal(timetable_rate(&table, TIMETABLE_UP, FRI, 8, 0), 1 * MIB);
    assert_int_equal(timetable_rate(&table, TIMETABLE_DOWN, FRI, 8, 0), 2 * MIB);
    assert_int_equal(timetable_rate(&table, TIMETABLE_UP, FRI, 19, 0), 0);
    assert_int_equal(timetable_rate(&table, TIMETABLE_DOWN, FRI, 19, 0), 3 * MIB);
    assert_int_equal(timetable_rate(&table, TIMETABLE_DOWN, FRI, 20, 0), 4 * MIB);
}

static void test_the_later_entry_wins(void **state)
{
    (void)state;
    CHECK_TABLE("10:00,5M Mon-10:00,7M", {MON, 10, 0, 7}, {TUE, 10, 0, 5});
}

static void test_what_is_no_timetable(void **state)
{
    static const char *const texts[] = {
        "",       "25:00,5M",  "08:60,5M",     "08:0,5M",    "8,5M",     "08:00,5",
        "08:00,", ",5M",       "Foo-08:00,5M", "08:00,5M x", "08:00 5M", "10M:",
        ":10M",   "10M:1M:1M", "08:00",        "10M:5"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct timetable table;
        char why[TIMETABLE_WHY_BYTES] = "";
        if (timetable_parse(&table, texts[i], why)) fail_msg("'%s' was taken", texts[i]);
        assert_true(why[0] != 0);
    }
}

static void test_too_many_entries(void **state)
{
    char text[33 * 10 + 1] = "", why[TIMETABLE_WHY_BYTES];
    struct timetable table;
    (void)state;
    for (uint32_t i = 0; i < 32; i++)
        strcat(text, "08:00,50M ");
    assert_true(timetable_parse(&table, text, why));
    strcat(text, "08:00,50M ");
    assert_false(timetable_parse(&table, text, why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_rate_holds_always), cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_days_of_the_week),      cmocka_unit_test(test_the_later_entry_wins),
        cmocka_unit_test(test_what_is_no_timetable),  cmocka_unit_test(test_too_many_entries),
        cmocka_unit_test(test_up_and_down_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
