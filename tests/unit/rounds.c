#include "sched/rounds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct told { /* a controller that writes down what it is asked */
    struct cc cc;
    uint32_t glances, samples;
    uint64_t glanced_ns, sampled_ns; /* the newest interval */
    bool enough, cut_short;
    double next_window;
};

static void on_sample(struct cc *cc, const struct sample *sample)
{
    struct told *told = container_of(cc, struct told, cc);
    told->samples++;
    told->sampled_ns = sample->interval_ns;
    told->cut_short = sample->cut_short;
    assert_int_equal(sample->rtt_ns, 50 * NS_PER_MS);
}

static bool on_glance(struct cc *cc, const struct sample *sample)
{
    struct told *told = container_of(cc, struct told, cc);
    told->glances++;
    told->glanced_ns = sample->interval_ns;
    if (told->next_window > 0) cc->window = told->next_window;
    return told->enough;
}

static const struct cc_kind with_glances = {.on_sample = on_sample, .on_glance = on_glance};
static const struct cc_kind without = {.on_sample = on_sample};

static void run(struct told *told, struct rounds *rounds, uint64_t *now_ns, uint32_t ticks)
{
    struct sample_totals totals = {.busy_ns = 0};
    for (uint32_t i = 0; i < ticks; i++) {
        *now_ns += 50 * NS_PER_MS;
        totals.busy_ns = *now_ns * 4;
        struct sample sample = {
            .now_ns = *now_ns, .rtt_ns = 50 * NS_PER_MS, .answer_ns = 100 * NS_PER_MS};
        (void)!rounds_tick(rounds, &told->cc, &totals, &sample);
    }
}

static void open_told(struct told *told, struct rounds *rounds, const struct cc_kind *kind)
{
    *told = (struct told){.glances = 0};
    cc_init(&told->cc, kind, &(struct cc_limits){1, 4, 8});
    rounds_init(rounds);
}

/* A round of 500 ms, glances of 200 ms. */
static void test_both(void **state)
{
    struct told told;
    struct rounds rounds;
    uint64_t now_ns = 0;
    (void)state;
    open_told(&told, &rounds, &with_glances);
    run(&told, &rounds, &now_ns, 1 + 40);
    assert_int_equal(told.samples, 4);
    assert_int_equal(told.sampled_ns, 500 * NS_PER_MS);
    assert_int_equal(told.glances, 10);
    assert_int_equal(told.glanced_ns, 200 * NS_PER_MS);
}

static void test_without_glances(void **state)
{
    struct told told;
    struct rounds rounds;
    uint64_t now_ns = 0;
    (void)state;
    open_told(&told, &rounds, &without);
    run(&told, &rounds, &now_ns, 1 + 40);
    assert_int_equal(told.samples, 4);
    assert_int_equal(told.glances, 0);
}

/* What says enough is the round. */
static void test_glance_ends_the_round(void **state)
{
    struct told told;
    struct rounds rounds;
    uint64_t now_ns = 0;
    (void)state;
    open_told(&told, &rounds, &with_glances);
    told.enough = true;
    run(&told, &rounds, &now_ns, 1 + 40);
    assert_int_equal(told.samples, 10);
    assert_int_equal(told.sampled_ns, 200 * NS_PER_MS);
}

/* No glance is measured at two windows. */
static void test_window_moves(void **state)
{
    struct told told;
    struct rounds rounds;
    uint64_t now_ns = 0;
    (void)state;
    open_told(&told, &rounds, &with_glances);
    run(&told, &rounds, &now_ns, 1 + 4); /* one glance */
    assert_int_equal(told.glances, 1);
    told.next_window = 6;
    run(&told, &rounds, &now_ns, 4);
    assert_int_equal(told.glances, 2);
    run(&told, &rounds, &now_ns, 3);
    assert_int_equal(told.glances, 2);
    run(&told, &rounds, &now_ns, 1);
    assert_int_equal(told.glances, 3);
    assert_int_equal(told.glanced_ns, 200 * NS_PER_MS);
}

/* A refusal is told at the next tick, once: what comes while the window is being cut is no news. */
static void test_refusal_ends_the_round(void **state)
{
    struct told told;
    struct rounds rounds;
    struct sample_totals totals = {.busy_ns = 0};
    (void)state;
    open_told(&told, &rounds, &with_glances);
    for (uint64_t tick = 1; tick <= 40; tick++) {
        uint64_t now_ns = tick * 50 * NS_PER_MS;
        totals.busy_ns = now_ns * 4;
        totals.refusals = tick < 14 ? 0 : tick < 30 ? 1 : 2;
        told.cc.cutting = tick >= 30;
        struct sample sample = {
            .now_ns = now_ns, .rtt_ns = 50 * NS_PER_MS, .answer_ns = 100 * NS_PER_MS};
        (void)!rounds_tick(&rounds, &told.cc, &totals, &sample);
        if (tick == 14) {
            assert_int_equal(told.samples, 2); /* the first of 500 ms, then this one */
            assert_int_equal(told.sampled_ns, 150 * NS_PER_MS);
            assert_true(told.cut_short);
            assert_int_equal(sample.refusals, 1);
            assert_true(sample.load_now == 4);
        }
    }
    assert_int_equal(told.samples, 4); /* whole ones since */
    assert_false(told.cut_short);
}

/* A core is late while the window is spread, so that the glance waits to begin: a refusal, within
 * the round or when only that core is waited for, ends it all the same; nothing is learnt from it
 * but what is in flight, and each is told. */
static void test_refusal_while_late(void **state)
{
    static const uint64_t firsts[] = {46, 58};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(firsts); i++) {
        struct told told;
        struct rounds rounds;
        struct sample_totals totals = {.busy_ns = 0};
        uint32_t refusals = 0;
        open_told(&told, &rounds, &without);
        for (uint64_t tick = 1; tick <= 120; tick++) {
            uint64_t now_ns = tick * 50 * NS_PER_MS;
            uint32_t before = told.samples;
            totals.busy_ns = now_ns * 4;
            totals.looked_ns = tick > 40 && tick < 70 ? 40 * 50 * NS_PER_MS : now_ns;
            totals.refusals = tick < firsts[i] ? 0 : min_u64(tick + 1 - firsts[i], 10);
            if (tick == 41) told.cc.window = 8; /* spread over 1.5 × 300 ms */
            struct sample sample = {
                .now_ns = now_ns, .rtt_ns = 50 * NS_PER_MS, .answer_ns = 300 * NS_PER_MS};
            (void)!rounds_tick(&rounds, &told.cc, &totals, &sample);
            if (told.samples == before) continue;
            refusals += sample.refusals;
            assert_int_equal(told.cut_short, sample.refusals > 0);
            assert_true(!told.cut_short || sample.load_now == 4);
        }
        assert_int_equal(refusals, 10);
    }
}

/* Where answers take long, more than a quarter more is spread over their time; less, and cuts, hold
 * at once. */
static void test_spreads_what_is_more(void **state)
{
    static const struct {
        double from, to;
        uint64_t answer_ms, ticks; /* until it is all given out */
    } rows[] = {{8, 16, 1000, 30}, {8, 16, 200, 1}, {8, 10, 1000, 1}, {16, 8, 1000, 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct told told;
        struct rounds rounds;
        struct sample_totals totals = {.busy_ns = 0};
        uint64_t ticks = 0;
        open_told(&told, &rounds, &without);
        told.cc.window = rows[i].from;
        for (uint64_t tick = 1; tick < 60; tick++) {
            struct sample sample = {.now_ns = tick * 50 * NS_PER_MS,
                                    .rtt_ns = 50 * NS_PER_MS,
                                    .answer_ns = rows[i].answer_ms * NS_PER_MS};
            double before = rounds.window;
            (void)!rounds_tick(&rounds, &told.cc, &totals, &sample);
            if (tick == 5) told.cc.window = rows[i].to;
            if (tick < 6 || rounds.window == before) continue;
            assert_true(fabs(rounds.window - before) <= 0.5 || rows[i].ticks == 1);
            ticks++;
        }
        assert_true(rounds.window == rows[i].to);
        assert_in_range(ticks, rows[i].ticks, rows[i].ticks);
    }
}

/* Answers that take longer under way, or very long, take nothing back and delay it by no more than
 * rounds may last. */
static void test_spread_goes_on(void **state)
{
    static const uint64_t answers_ms[][2] = {{300, 3000}, {10000, 10000}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answers_ms); i++) {
        struct told told;
        struct rounds rounds;
        struct sample_totals totals = {.busy_ns = 0};
        uint64_t now_ns = NS_PER_S;
        double before = 0;
        open_told(&told, &rounds, &without);
        for (uint32_t tick = 0; tick < 70; tick++) {
            if (tick == 3) told.cc.window = 8;
            now_ns += 50 * NS_PER_MS;
            struct sample sample = {.now_ns = now_ns, .rtt_ns = 50 * NS_PER_MS};
            sample.answer_ns = answers_ms[i][tick >= 9] * NS_PER_MS;
            (void)!rounds_tick(&rounds, &told.cc, &totals, &sample);
            assert_true(rounds.window >= before);
            before = rounds.window;
            if (tick == 10) assert_true(before > 4 && before < 8);
        }
        assert_true(rounds.window == 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_without_glances),
        cmocka_unit_test(test_glance_ends_the_round),
        cmocka_unit_test(test_window_moves),
        cmocka_unit_test(test_refusal_ends_the_round),
        cmocka_unit_test(test_refusal_while_late),
        cmocka_unit_test(test_spreads_what_is_more),
        cmocka_unit_test(test_spread_goes_on),
    };
    return cmocka_run_group_tests_name("rounds", tests, NULL, NULL);
}
