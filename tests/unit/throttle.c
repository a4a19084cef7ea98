#include "tools/throttle.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What is no rate leaves the one in force alone. */
static void test_a_wrong_word_changes_nothing(void **state)
{
    struct throttle throttle = {.rate_bytes_per_s = 0};
    char why[TIMETABLE_WHY_BYTES] = "";
    (void)state;
    assert_true(throttle_set(&throttle, NULL, why));
    assert_int_equal(throttle.table.entries[0].rates_bytes_per_s[0], 0);
    assert_true(throttle_set(&throttle, "50M", why));
    assert_false(throttle_set(&throttle, "08:00,5M 9:00,x", why));
    assert_true(why[0] != 0);
    assert_int_equal(throttle.table.count, 1);
    assert_int_equal(throttle.table.entries[0].rates_bytes_per_s[0], 50 * MIB);
}

static void test_a_change_is_told_once(void **state)
{
    static const char *const all_day[] = {"5M", "00:00,6M 12:00,6M", "Sun-00:00,off"};
    static const uint64_t rates[] = {5 * MIB, 6 * MIB, 0};
    struct throttle throttle = {.rate_bytes_per_s = 0};
    char why[TIMETABLE_WHY_BYTES];
    uint64_t rate;
    (void)state;
    assert_true(throttle_set(&throttle, "off", why));
    assert_false(throttle_changes(&throttle, &rate));
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        assert_true(throttle_set(&throttle, all_day[i], why));
        assert_true(throttle_changes(&throttle, &rate));
        assert_int_equal(rate, rates[i]);
        assert_false(throttle_changes(&throttle, &rate));
    }
}

static void test_its_way(void **state)
{
    struct throttle throttle = {.way = TIMETABLE_DOWN};
    char why[TIMETABLE_WHY_BYTES];
    uint64_t rate;
    (void)state;
    assert_true(throttle_set(&throttle, "off:5M", why));
    assert_true(throttle_changes(&throttle, &rate));
    assert_int_equal(rate, 5 * MIB);
    assert_true(throttle_set(&throttle, "00:00,1M:6M 12:00,1M:6M", why));
    assert_true(throttle_changes(&throttle, &rate));
    assert_int_equal(rate, 6 * MIB);
}

static void test_who_asked(void **state)
{
    struct throttle throttle = {.by_ctl = false};
    char why[TIMETABLE_WHY_BYTES];
    (void)state;
    assert_true(throttle_set(&throttle, "5M", why));
    assert_string_equal(throttle_why(&throttle), "--max-rate");
    assert_true(throttle_set(&throttle, "00:00,1M 12:00,2M", why));
    assert_string_equal(throttle_why(&throttle), "--max-rate, by the clock");
    throttle.by_ctl = true;
    assert_string_equal(throttle_why(&throttle), "argosy ctl, by the clock");
    assert_true(throttle_set(&throttle, "off", why));
    assert_string_equal(throttle_why(&throttle), "argosy ctl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_wrong_word_changes_nothing),
                                       cmocka_unit_test(test_a_change_is_told_once),
                                       cmocka_unit_test(test_its_way),
                                       cmocka_unit_test(test_who_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
