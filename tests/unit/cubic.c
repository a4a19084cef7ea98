#include "sched/cubic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/path.h"

static struct sample round_at(double now_s, const struct cubic *cubic, uint32_t refusals)
{
    return (struct sample){.now_ns = (uint64_t)(now_s * 1e9),
                           .interval_ns = NS_PER_S,
                           .rate_bytes_per_s = 1e8,
                           .load = cubic->cc.window,
                           .allowed = cubic->cc.window,
                           .requests_per_s = cubic->cc.window,
                           .refusals = refusals};
}

static void step(struct cubic *cubic, double now_s, uint32_t refusals)
{
    struct sample sample = round_at(now_s, cubic, refusals);
    cc_on_sample(&cubic->cc, &sample);
}

/* W(t) = 0.4 (t − K)³ + W_max against a table made by hand: W_max 100, K = ∛75 = 4.217. */
static void test_equation(void **state)
{
    static const struct {
        double t_s, window;
    } rows[] = {{1, 86.68},  {2, 95.64},  {3, 99.28},  {4, 100.0},
                {5, 100.19}, {6, 102.27}, {7, 108.62}, {8, 121.64}};
    struct cubic cubic;
    (void)state;
    cubic_init(&cubic, &(struct cc_limits){1, 100, 1000});
    step(&cubic, 1, 1);
    assert_true(fabs(cubic.cc.window - 70) < 1e-9);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        step(&cubic, 1 + rows[i].t_s, 0);
        assert_true(fabs(cubic.cc.window - rows[i].window) < 0.02);
    }
}

static void test_fast_convergence(void **state)
{
    struct cubic cubic;
    (void)state;
    cubic_init(&cubic, &(struct cc_limits){1, 100, 1000});
    step(&cubic, 1, 1);
    step(&cubic, 2, 0);
    double window = cubic.cc.window;
    step(&cubic, 3, 1); /* before it had come back */
    assert_true(fabs(cubic.window_greatest - window * 0.85) < 1e-9);
    assert_true(fabs(cubic.cc.window - window * 0.7) < 1e-9);
}

/* What was in flight at the cut is refused once more: no second answer. */
static void test_once_a_round(void **state)
{
    struct cubic cubic;
    (void)state;
    cubic_init(&cubic, &(struct cc_limits){1, 100, 1000});
    step(&cubic, 1, 1);
    struct sample late = round_at(1.5, &cubic, 4);
    late.load = 95;
    cc_on_sample(&cubic.cc, &late);
    assert_true(cubic.cc.window >= 70);
    late.load = 70;
    cc_on_sample(&cubic.cc, &late);
    assert_true(cubic.cc.window < 70);
}

/* A round with so many in flight, which brings so much, of which so much was sent again (up), or
 * came behind a hole (down). */
static double after(struct cubic *cubic, double load, double rate, double resent_share,
                    double hole_share)
{
    static double now_s;
    struct sample sample = round_at(now_s += 1, cubic, 0);
    sample.load = load;
    sample.rate_bytes_per_s = rate;
    sample.resent_share = resent_share;
    sample.hole_share = hole_share;
    sample.lost_share = hole_share / 100; /* of 100 segments a round trip */
    cc_on_sample(&cubic->cc, &sample);
    return cubic->cc.window;
}

/* Packets that are lost are an answer to the window where more in flight brought no more, and to
 * nothing else: not where more are lost by chance, not where it is the same window, and once. */
static void test_overflow(void **state)
{
    static const struct {
        double load, rate, resent_share, hole_share;
        bool cuts;
    } rows[] = {
        {20, 1.1e8, 0.09, 0, true},  {20, 1.6e8, 0.09, 0, false}, {20, 1.1e8, 0.019, 0, false},
        {10.5, 1e8, 0.09, 0, false}, {8, 0.7e8, 0.09, 0, false},  {11.5, 1e8, 0.03, 0, true},
        {20, 1.1e8, 0, 0.9, true},   {20, 1.6e8, 0, 0.9, false},  {20, 1.1e8, 0, 0.4, false},
        {10.5, 1e8, 0, 0.9, false},  {8, 0.7e8, 0, 0.9, false},   {11.5, 1e8, 0, 0.6, true},
    };
    struct cubic cubic;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cubic_init(&cubic, &(struct cc_limits){1, 100, 1000});
        double before = after(&cubic, 10, 1e8, rows[i].resent_share, rows[i].hole_share);
        double window =
            after(&cubic, rows[i].load, rows[i].rate, rows[i].resent_share, rows[i].hole_share);
        if (rows[i].cuts != (window < before)) fail_msg("row %zu: %g, then %g", i, before, window);
        if (!rows[i].cuts) continue;
        assert_true(fabs(window - CUBIC_BETA * before) < 1e-9);
        assert_non_null(strstr(cubic.cc.why, "packets were lost"));
        assert_true(after(&cubic, rows[i].load, rows[i].rate, 0.09, 0.9) >= window);
    }
}

static void test_slow_start_and_limits(void **state)
{
    struct cubic cubic;
    (void)state;
    cubic_init(&cubic, &(struct cc_limits){2, 4, 50});
    for (int i = 1; i <= 3; i++)
        step(&cubic, i, 0);
    assert_true(cubic.cc.window == 32);
    for (int i = 4; i <= 9; i++)
        step(&cubic, i, 0);
    assert_true(cubic.cc.window == 50);
    for (int i = 10; i <= 60; i++)
        step(&cubic, i, 1);
    assert_true(cubic.cc.window == 2);
}

static void test_app_limited_grows_nothing(void **state)
{
    struct cubic cubic;
    (void)state;
    cubic_init(&cubic, &(struct cc_limits){1, 100, 1000});
    step(&cubic, 1, 1);
    for (int i = 2; i < 60; i++) {
        struct sample sample = round_at(i, &cubic, 0);
        sample.load = 3;
        sample.app_limited = true;
        cc_on_sample(&cubic.cc, &sample);
    }
    assert_true(fabs(cubic.cc.window - 70) < 1e-9);
    step(&cubic, 60, 0);
    assert_true(fabs(cubic.cc.window - 86.68) < 0.02);
}

/* A server that refuses beyond n: the window saws below it. */
static void test_on_a_path(void **state)
{
    struct path path;
    struct rounds rounds;
    struct cubic cubic;
    (void)state;
    path_init(&path);
    rounds_init(&rounds);
    path.capacity = path.connection = 1e12;
    path.knee = 16;
    path.refuse = 24;
    cubic_init(&cubic, &(struct cc_limits){1, 8, 128});
    path_drive(&path, &cubic.cc, &rounds, 20);
    double rate = path_drive(&path, &cubic.cc, &rounds, 60);
    assert_true(rate > 0.9 * 16 * path.part_bytes / path.latency_s);
    assert_true(cubic.cc.window < 1.5 * 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equation),
        cmocka_unit_test(test_fast_convergence),
        cmocka_unit_test(test_once_a_round),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_slow_start_and_limits),
        cmocka_unit_test(test_app_limited_grows_nothing),
        cmocka_unit_test(test_on_a_path),
    };
    return cmocka_run_group_tests_name("cubic", tests, NULL, NULL);
}
