#include "sched/change.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rand.h"

static double noise(struct rand *rand, double sigma)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += rand_unit(rand);
    return sigma * sum;
}

/* How many samples until a step is found. */
static uint32_t find_step(double sigma, double step, uint64_t seed)
{
    struct change change;
    struct rand rand;
    rand_init(&rand, seed);
    change_init(&change);
    for (int i = 0; i < 12; i++)
        if (change_add(&change, noise(&rand, sigma))) return 0;
    for (uint32_t i = 1; i < 100; i++) {
        int found = change_add(&change, step + noise(&rand, sigma));
        if (found) return (found > 0) == (step > 0) ? i : 0;
    }
    return 100;
}

static void test_steps(void **state)
{
    static const struct {
        double sigma, step;
        uint32_t samples_max;
    } rows[] = {
        {0.01, -1.2, 2}, {0.01, 1.2, 2},  {0.05, -0.7, 3},
        {0.05, 0.7, 3},  {0.05, -0.3, 6}, {0.1, 0.7, 4},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= 10; seed++)
            assert_in_range(find_step(rows[i].sigma, rows[i].step, seed), 1, rows[i].samples_max);
}

/* What falls so slowly that the level follows: it is told before it is a fifth, and not before it
 * is CHANGE_SAG. A slow rise is not: it shows otherwise. */
static void test_slow_fall(void **state)
{
    static const double falls[] = {0.002, 0.005, 0.01, 0.02}; /* a sample */
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(falls) * 2; i++) {
        struct change change;
        struct rand rand;
        double fallen = 0, sign = i % 2 ? 1 : -1;
        int found = 0;
        rand_init(&rand, i + 1);
        change_init(&change);
        for (int k = 0; k < 20; k++)
            assert_int_equal(change_add(&change, noise(&rand, 0.02)), 0);
        while (!found && fallen < 0.5) {
            fallen += falls[i / 2];
            found = change_add(&change, sign * fallen + noise(&rand, 0.02));
        }
        assert_true(sign < 0 ? found < 0 : found >= 0);
        if (sign < 0) assert_true(fallen > CHANGE_SAG / 2 && fallen < 0.35);
        if (sign > 0 && falls[i / 2] <= 0.005) assert_int_equal(found, 0);
    }
}

static void test_shift_is_no_fall(void **state)
{
    struct change change;
    (void)state;
    change_seed(&change, 0);
    for (int i = 0; i < 40; i++) {
        if (i == 20) change_shift(&change, -0.5);
        assert_int_equal(change_add(&change, i < 20 ? 0 : -0.5), 0);
    }
}

static void test_one_outlier_is_none(void **state)
{
    struct change change;
    (void)state;
    change_init(&change);
    for (int i = 0; i < 200; i++)
        assert_int_equal(change_add(&change, i % 20 == 19 ? -2 : 0), 0);
}

/* What is believed of σ holds, whatever was measured, and through a change. */
static void test_believed(void **state)
{
    struct change change;
    (void)state;
    change_init(&change);
    change_believe(&change, 0.2);
    for (int i = 0; i < 400; i++)
        assert_int_equal(change_add(&change, i / 20 % 2 ? 0.3 : 0), 0);
    assert_int_equal(change_add(&change, -2), 0);
    assert_int_equal(change_add(&change, -2), -1);
    for (int i = 0; i < 400; i++)
        assert_int_equal(change_add(&change, i / 20 % 2 ? 0.3 : 0), 0);
}

static void test_false_alarms(void **state)
{
    struct change change;
    struct rand rand;
    uint32_t alarms = 0;
    (void)state;
    rand_init(&rand, 5);
    change_init(&change);
    for (int i = 0; i < 20000; i++)
        alarms += change_add(&change, noise(&rand, 0.08)) != 0;
    assert_in_range(alarms, 0, 20000 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_slow_fall),
        cmocka_unit_test(test_shift_is_no_fall),
        cmocka_unit_test(test_one_outlier_is_none),
        cmocka_unit_test(test_believed),
        cmocka_unit_test(test_false_alarms),
    };
    return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
