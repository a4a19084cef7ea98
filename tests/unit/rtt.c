#include "sched/rtt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* By hand from the equations of RFC 6298 2.2 and 2.3. */
static void test_equations(void **state)
{
    static const struct {
        uint64_t sample_ms, smoothed_us, deviation_us;
    } rows[] = {
        {100, 100000, 50000},
        {100, 100000, 37500},
        {180, 110000, 48125},
        {110, 110000, 36093},
    };
    struct rtt rtt = {.count = 0};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        rtt_add(&rtt, rows[i].sample_ms * NS_PER_MS);
        assert_int_equal(rtt.smoothed_ns / NS_PER_US, rows[i].smoothed_us);
        assert_int_equal(rtt.deviation_ns / NS_PER_US, rows[i].deviation_us);
        assert_int_equal(rtt_timeout_ns(&rtt), rtt.smoothed_ns + 4 * rtt.deviation_ns);
        assert_int_equal(rtt.count, i + 1);
    }
}

static void test_timeout(void **state)
{
    struct rtt rtt = {.count = 0};
    (void)state;
    rtt_add(&rtt, 2 * NS_PER_S);
    assert_int_equal(rtt_timeout_ns(&rtt), 6 * NS_PER_S); /* 2 + 4 · 1 */
    rtt = (struct rtt){.count = 0};
    rtt_add(&rtt, NS_PER_US);
    assert_int_equal(rtt_timeout_ns(&rtt), NS_PER_US + RTT_GRAIN_NS);
}

static void test_steady(void **state)
{
    struct rtt rtt = {.count = 0};
    (void)state;
    for (uint64_t i = 0; i < 200; i++)
        rtt_add(&rtt, 50 * NS_PER_MS);
    assert_in_range(rtt.smoothed_ns, 50 * NS_PER_MS - 16, 50 * NS_PER_MS);
    assert_true(rtt.deviation_ns < NS_PER_US);
}

/* A sample of nothing is one as well. */
static void test_nothing(void **state)
{
    struct rtt rtt = {.count = 0};
    (void)state;
    rtt_add(&rtt, 0);
    rtt_add(&rtt, 800);
    assert_int_equal(rtt.smoothed_ns, 100);
    assert_int_equal(rtt.deviation_ns, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equations),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests_name("rtt", tests, NULL, NULL);
}
