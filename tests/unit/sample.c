#include "sched/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_round_times(void **state)
{
    static const struct {
        uint64_t rtt_ms, answer_ms, round_ms;
    } rows[] = {
        {0, 1, 200},    {1, 1, 200},      {20, 10, 200}, {50, 100, 500}, {100, 50, 850},
        {500, 1, 2000}, {10, 5000, 2000}, {10, 0, 2000}, /* nothing was answered: who knows? */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(sample_round_ns(rows[i].rtt_ms * NS_PER_MS, rows[i].answer_ms * NS_PER_MS),
                         rows[i].round_ms * NS_PER_MS);
}

static void test_round(void **state)
{
    struct sampler sampler;
    struct sample sample;
    struct sample_totals totals = {.delivered_bytes = 7000, .busy_ns = 5, .refusals = 3};
    (void)state;
    sampler_init(&sampler);
    assert_false(sampler_tick(&sampler, NS_PER_S, &totals, 4, NS_PER_S, &sample));
    totals.delivered_bytes += 1000000;
    totals.busy_ns += 2 * NS_PER_S;
    assert_false(sampler_tick(&sampler, 3 * NS_PER_S / 2, &totals, 4, NS_PER_S, &sample));
    totals.delivered_bytes += 1000000;
    totals.busy_ns += 2 * NS_PER_S;
    totals.requests += 8;
    totals.refusals += 2;
    totals.timeouts += 1;
    totals.sent_bytes += 4000000;
    totals.resent_bytes += 1000000;
    assert_true(sampler_tick(&sampler, 2 * NS_PER_S, &totals, 4, NS_PER_S, &sample));
    assert_int_equal(sample.interval_ns, NS_PER_S);
    assert_true(sample.rate_bytes_per_s == 2e6);
    assert_true(sample.load == 4 && sample.allowed == 4);
    assert_true(sample.requests_per_s == 8);
    assert_int_equal(sample.refusals, 2);
    assert_int_equal(sample.timeouts, 1);
    assert_true(sample.resent_share == 0.25);
    assert_false(sample.app_limited);
    assert_true(sample_slowness(&sample) == 2000); /* 4 requests, 2 MB/s: 2 µs a byte */
    /* The end was the next one's begin. */
    totals.delivered_bytes += 500000;
    assert_true(sampler_tick(&sampler, 3 * NS_PER_S, &totals, 4, NS_PER_S, &sample));
    assert_true(sample.rate_bytes_per_s == 5e5);
}

/* The direction in which the bytes go tells: the other one has heads only. */
static void test_losses(void **state)
{
    static const struct {
        uint64_t delivered, sent;
        double resent_share, lost_share, hole_share, loss;
    } rows[] = {
        {1000000, 1200000, 0.01, 0, 0, 0.01},   /* up */
        {1000000, 10000, 0, 0.004, 0.3, 0.004}, /* down */
        {0, 0, 0, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sampler sampler;
        struct sample sample;
        struct sample_totals totals = {.lost_bytes = 77, .behind_hole_bytes = 88};
        sampler_init(&sampler);
        assert_false(sampler_tick(&sampler, NS_PER_S, &totals, 4, NS_PER_S, &sample));
        totals.delivered_bytes += rows[i].delivered;
        totals.sent_bytes += rows[i].sent;
        totals.resent_bytes += 12000;
        totals.lost_bytes += 4000;
        totals.behind_hole_bytes += 300000;
        assert_true(sampler_tick(&sampler, 2 * NS_PER_S, &totals, 4, NS_PER_S, &sample));
        assert_true(sample.resent_share == rows[i].resent_share);
        assert_true(sample.lost_share == rows[i].lost_share);
        assert_true(sample.hole_share == rows[i].hole_share);
        assert_true(sample_loss(&sample) == rows[i].loss);
    }
}

/* Slow by losses: some are lost, and nothing queues. */
static void test_loss_limited(void **state)
{
    static const struct {
        double share;
        uint64_t rtt_ms, rtt_now_ms;
        bool limited;
    } rows[] = {
        {0.01, 50, 50, true},    {0.001, 50, 55, true}, {0.01, 50, 70, false}, {0, 50, 50, false},
        {0.0001, 50, 50, false}, {0.01, 0, 50, false},  {0.01, 50, 0, false}, /* who knows? */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sample sample = {.resent_share = rows[i].share};
        sample.rtt_ns = rows[i].rtt_ms * NS_PER_MS;
        sample.rtt_now_ns = rows[i].rtt_now_ms * NS_PER_MS;
        assert_int_equal(sample_is_loss_limited(&sample), rows[i].limited);
        sample.lost_share = sample.resent_share;
        sample.resent_share = 0;
        assert_int_equal(sample_is_loss_limited(&sample), rows[i].limited);
    }
}

/* The round trip of a round is the mean over the time in which something moved. */
static void test_round_trip(void **state)
{
    static const uint64_t looks_ms[] = {50, 0, 70, 0};
    struct sampler sampler;
    struct sample sample;
    struct sample_totals totals = {0};
    (void)state;
    sampler_init(&sampler);
    assert_false(sampler_tick(&sampler, NS_PER_S, &totals, 4, NS_PER_S, &sample));
    for (uint64_t i = 0; i < ARRAY_COUNT(looks_ms); i++) {
        totals.rtt_now_ns = looks_ms[i] * NS_PER_MS;
        bool ended = sampler_tick(&sampler, NS_PER_S + (i + 1) * NS_PER_S / 4, &totals, 4, NS_PER_S,
                                  &sample);
        assert_int_equal(ended, i == 3);
    }
    assert_int_equal(sample.rtt_now_ns, 60 * NS_PER_MS);
    totals.rtt_now_ns = 0;
    assert_true(sampler_tick(&sampler, 3 * NS_PER_S, &totals, 4, NS_PER_S, &sample));
    assert_int_equal(sample.rtt_now_ns, 0);
}

/* Half of what moves is counted by a core that stands still from 1.5 s to 3 s: no round begins or
 * ends without it, and all have the path's rate. */
static void test_late_core(void **state)
{
    struct sampler sampler;
    struct sample sample;
    uint32_t rounds = 0;
    (void)state;
    sampler_init(&sampler);
    for (uint64_t ms = 1000; ms <= 5000; ms += 50) {
        uint64_t looked_ms = ms > 1500 && ms < 3000 ? 1500 : ms;
        struct sample_totals totals = {.looked_ns = looked_ms * NS_PER_MS};
        totals.delivered_bytes = 500 * ms + 500 * looked_ms;
        totals.busy_ns = (2 * ms + 2 * looked_ms) * NS_PER_MS;
        if (ms == 2500) sampler_begin(&sampler, ms * NS_PER_MS, &totals); /* the window moved */
        if (!sampler_tick(&sampler, ms * NS_PER_MS, &totals, 4, NS_PER_S / 2, &sample)) continue;
        rounds++;
        assert_true(sample.rate_bytes_per_s == 1e6);
        assert_true(sample.load == 4);
    }
    assert_int_equal(rounds, 1 + 4);
}

/* One that never counts again does not stop the others: rounds of half a second wait a second to
 * begin, and one to end. What was refused meanwhile is told, at once where a round is of 0 ns. */
static void test_lost_core(void **state)
{
    struct sampler sampler;
    struct sample sample;
    struct sample_totals totals = {.looked_ns = NS_PER_S};
    uint32_t rounds = 0, refusals = 0;
    (void)state;
    sampler_init(&sampler);
    for (uint64_t ms = 1000; ms <= 11000; ms += 50) {
        totals.refusals = (uint32_t)(ms - 1000) / 50;
        if (!sampler_tick(&sampler, ms * NS_PER_MS, &totals, 4, NS_PER_S / 2, &sample)) continue;
        rounds++;
        refusals += sample.refusals;
        assert_int_equal(refusals, totals.refusals);
        if (rounds == 2) break;
    }
    assert_int_equal(rounds, 2);
    assert_int_equal(sample.now_ns, 5000 * NS_PER_MS); /* 1.5 s; 1 and 1.5 s */
    totals.refusals++;
    assert_true(sampler_tick(&sampler, sample.now_ns + 50 * NS_PER_MS, &totals, 4, 0, &sample));
    assert_int_equal(sample.refusals, 1);
}

static void test_app_limited(void **state)
{
    static const struct {
        double load, first_window, second_window;
        bool app_limited;
    } rows[] = {
        {8, 8, 8, false}, {7.3, 8, 8, false}, {7.1, 8, 8, true},
        {0, 8, 8, true},  {6, 4, 8, false}, /* the mean of what was allowed counts */
        {5, 4, 8, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sampler sampler;
        struct sample sample;
        struct sample_totals totals = {.busy_ns = 0};
        sampler_init(&sampler);
        assert_false(sampler_tick(&sampler, NS_PER_S, &totals, 1, NS_PER_S, &sample));
        assert_false(sampler_tick(&sampler, 3 * NS_PER_S / 2, &totals, rows[i].first_window,
                                  NS_PER_S, &sample));
        totals.busy_ns = (uint64_t)(rows[i].load * 1e9);
        assert_true(sampler_tick(&sampler, 2 * NS_PER_S, &totals, rows[i].second_window, NS_PER_S,
                                 &sample));
        assert_int_equal(sample.app_limited, rows[i].app_limited);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_times), cmocka_unit_test(test_round),
        cmocka_unit_test(test_losses),      cmocka_unit_test(test_loss_limited),
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_app_limited),
        cmocka_unit_test(test_late_core),   cmocka_unit_test(test_lost_core),
    };
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
