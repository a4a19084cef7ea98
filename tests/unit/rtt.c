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
    struct rtt rtt;
    (void)state;
    rtt_init(&rtt, 10 * NS_PER_S);
    assert_int_equal(rtt_least_ns(&rtt), 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        rtt_add(&rtt, i * NS_PER_S, rows[i].sample_ms * NS_PER_MS);
        assert_int_equal(rtt.smoothed_ns / NS_PER_US, rows[i].smoothed_us);
        assert_int_equal(rtt.deviation_ns / NS_PER_US, rows[i].deviation_us);
    }
    assert_int_equal(rtt_least_ns(&rtt), 100 * NS_PER_MS);
}

static void test_timeout(void **state)
{
    struct rtt rtt;
    (void)state;
    rtt_init(&rtt, 10 * NS_PER_S);
    rtt_add(&rtt, 1, NS_PER_MS);
    assert_int_equal(rtt_timeout_ns(&rtt), RTT_TIMEOUT_NS_MIN);
    rtt_init(&rtt, 10 * NS_PER_S);
    rtt_add(&rtt, 1, 2 * NS_PER_S);
    assert_int_equal(rtt_timeout_ns(&rtt), 6 * NS_PER_S); /* 2 + 4 · 1 */
    rtt_back_off(&rtt);
    assert_int_equal(rtt_timeout_ns(&rtt), 12 * NS_PER_S);
    for (int i = 0; i < 40; i++)
        rtt_back_off(&rtt);
    assert_int_equal(rtt_timeout_ns(&rtt), RTT_TIMEOUT_NS_MAX);
    rtt_add(&rtt, 2, 2 * NS_PER_S);
    assert_true(rtt_timeout_ns(&rtt) < 6 * NS_PER_S);
}

static void test_steady(void **state)
{
    struct rtt rtt;
    (void)state;
    rtt_init(&rtt, NS_PER_S);
    for (uint64_t i = 0; i < 200; i++)
        rtt_add(&rtt, i * NS_PER_S, 50 * NS_PER_MS);
    assert_in_range(rtt.smoothed_ns, 50 * NS_PER_MS - 16, 50 * NS_PER_MS);
    assert_true(rtt.deviation_ns < NS_PER_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equations),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_steady),
    };
    return cmocka_run_group_tests_name("rtt", tests, NULL, NULL);
}
