#include "sched/scout.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    struct scout scout;
    struct sample sample;
};

static void open_world(struct world *w)
{
    *w = (struct world){.sample = {.now_ns = NS_PER_S,
                                   .interval_ns = 200 * NS_PER_MS,
                                   .rate_bytes_per_s = 100e6,
                                   .rtt_ns = 50 * NS_PER_MS,
                                   .answer_ns = 100 * NS_PER_MS}};
    scout_init(&w->scout, w->sample.now_ns);
}

static int glance(struct world *w, double rate, enum scout_view view)
{
    w->sample.now_ns += w->sample.interval_ns;
    w->sample.rate_bytes_per_s = rate;
    return scout_on_glance(&w->scout, &w->sample, view);
}

/* Glances until there is a pulse; 0: there was none. */
static uint32_t until_pulse(struct world *w)
{
    for (uint32_t i = 1; i <= 400; i++) {
        assert_int_equal(glance(w, 100e6, SCOUT_LEVEL), 0);
        if (w->scout.pulsing) return i;
    }
    return 0;
}

static void test_rate_that_moves(void **state)
{
    static const double rates[] = {30e6, 60e6, 75e6, 140e6, 300e6};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        struct world w;
        open_world(&w);
        for (int k = 0; k < 5; k++)
            assert_int_equal(glance(&w, 100e6, SCOUT_LEVEL), 0);
        int found = 0;
        for (int k = 0; k < 3 && !found; k++)
            found = glance(&w, rates[i], SCOUT_LEVEL);
        assert_int_equal(found, rates[i] > 100e6 ? 1 : -1);
    }
}

static void test_pulse_finds_more(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_in_range(until_pulse(&w), 6, 7); /* SCOUT_REST_NS */
    int found = 0;
    for (int i = 0; i < 3 && !found; i++)
        found = glance(&w, 125e6, SCOUT_LEVEL);
    assert_int_equal(found, 1);
    assert_false(w.scout.pulsing);
}

/* A level that is known, without pulses that would come between. */
static void open_level(struct world *w)
{
    open_world(w);
    w->sample.cpu_share = 1;
    for (int k = 0; k < 30; k++)
        assert_int_equal(glance(w, k % 2 ? 101e6 : 99e6, SCOUT_LEVEL), 0);
}

/* The kernel's bbr at the other end looks for its round trip: 250 ms in which next to nothing
 * comes, wherever in glances of 200 ms. A step as deep is found by the third glance. */
static void test_pause(void **state)
{
    (void)state;
    for (uint32_t begin = 0; begin < 200; begin += 10)
        for (int steps = 0; steps < 2; steps++) {
            struct world w;
            open_level(&w);
            int found = 0;
            bool fell = false;
            for (uint32_t k = 0; k < (steps ? 3 : 30) && found == 0; k++) {
                uint32_t from = k * 200, to = from + 200, end = steps ? 100000 : begin + 250;
                uint32_t low = (to < end ? to : end) - (from > begin ? from : begin);
                if (end <= from) low = 0;
                found = glance(&w, 100e6 * (1 - 0.96 * low / 200), SCOUT_LEVEL);
                fell |= w.scout.falling;
                if (!steps && k >= 3) assert_false(w.scout.falling);
            }
            assert_true(fell);
            assert_int_equal(found, steps ? -1 : 0);
        }
}

/* As it was seen in the laboratory (200 Mbit/s, 50 ms, 15 connections), each 100 ms. */
static void test_pause_that_ends_slowly(void **state)
{
    static const double seen[] = {0.875, 0.19, 0.165, 0.445, 0.825, 0.98};
    (void)state;
    for (uint32_t begin = 0; begin < 200; begin += 10) {
        struct world w;
        open_level(&w);
        for (uint32_t k = 0; k < 20; k++) {
            double came = 0;
            for (uint32_t ms = k * 200; ms < k * 200 + 200; ms++) {
                uint32_t at = (ms - begin) / 100; /* before: far beyond the end */
                came += at < ARRAY_COUNT(seen) ? seen[at] : 1;
            }
            int found = glance(&w, 100e6 * came / 200, SCOUT_LEVEL);
            if (found) print_error("begun %u ms into a glance\n", begin);
            assert_int_equal(found, 0);
        }
    }
}

/* A rate that comes and goes is no pause, whether an experiment goes on or not. */
static void test_falls_again(void **state)
{
    static const enum scout_view views[] = {SCOUT_LEVEL, SCOUT_OTHER};
    static const struct {
        double low, high;
        uint32_t glances_max;
    } rows[] = {{30e6, 80e6, 6}, {40e6, 90e6, 8}, {50e6, 95e6, 8}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows) * 2; i++) {
        struct world w;
        open_level(&w);
        int found = 0;
        uint32_t most = rows[i / 2].glances_max + (i % 2 ? 4 : 0); /* the slack hides the half */
        for (uint32_t k = 0; k < most && found == 0; k++) {
            found = glance(&w, k % 2 ? rows[i / 2].high : rows[i / 2].low, views[i % 2]);
            if (k == 0) assert_true(w.scout.falling);
            if (k == 1) assert_int_equal(found, 0); /* as of a pause */
            if (k % 2 == 1) assert_false(w.scout.falling);
        }
        if (!found) print_error("row %zu\n", i);
        assert_int_equal(found, -1);
    }
}

/* Pauses of half of the connections, one second after the other, each ten seconds. */
static void test_pauses_one_after_another(void **state)
{
    (void)state;
    for (uint32_t apart = 2; apart <= 5; apart++) {
        struct world w;
        open_world(&w);
        w.sample.cpu_share = 1; /* no pulses between */
        for (uint32_t k = 0; k < 1000; k++) {
            bool pauses = k > 30 && (k % 50 == 0 || k % 50 == apart);
            assert_int_equal(glance(&w, pauses ? 50e6 : k % 2 ? 101e6 : 99e6, SCOUT_LEVEL), 0);
        }
    }
}

/* A step that comes with a pulse is found as soon as any other. */
static void test_step_in_a_pulse(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_true(until_pulse(&w) > 0);
    int found = 0;
    for (int k = 0; k < 3 && !found; k++)
        found = glance(&w, 30e6, SCOUT_LEVEL);
    assert_int_equal(found, -1);
}

/* Half of a fall, and what follows when there was no work, are two. */
static void test_fall_without_work(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    w.sample.cpu_share = 1; /* no pulses between */
    for (int k = 0; k < 30; k++) {
        assert_int_equal(glance(&w, 100e6, SCOUT_LEVEL), 0);
        if (k < 10 || k % 5 > 0) continue;
        assert_int_equal(glance(&w, 60e6, SCOUT_LEVEL), 0);
        w.sample.app_limited = true;
        for (int i = 0; i < 3; i++)
            assert_int_equal(glance(&w, 1e6, SCOUT_LEVEL), 0);
        w.sample.app_limited = false;
        assert_int_equal(glance(&w, 80e6, SCOUT_LEVEL), 0);
    }
}

/* What may be a pause is not asked for more. */
static void test_no_pulse_in_a_fall(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    for (int k = 0; k < 5; k++)
        assert_int_equal(glance(&w, 100e6, SCOUT_LEVEL), 0);
    w.sample.now_ns += SCOUT_REST_NS; /* a pulse is due */
    assert_int_equal(glance(&w, 20e6, SCOUT_LEVEL), 0);
    assert_true(w.scout.falling);
    assert_false(w.scout.pulsing);
    assert_int_equal(glance(&w, 95e6, SCOUT_LEVEL), 0);
    assert_true(w.scout.pulsing);
}

/* Where nothing comes it ends, and is tried again. */
static void test_pulse_finds_nothing(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    for (int i = 0; i < 5; i++) {
        assert_true(until_pulse(&w) > 0);
        for (uint32_t k = 0; k < SCOUT_GLANCES; k++)
            assert_int_equal(glance(&w, 100e6, SCOUT_LEVEL), 0);
        assert_false(w.scout.pulsing);
    }
}

static void test_no_pulse(void **state)
{
    (void)state;
    for (int why = 0; why < 4; why++) {
        struct world w;
        open_world(&w);
        if (why == 0) w.sample.cpu_share = 0.95;
        if (why == 1) w.sample.rtt_ns = w.sample.answer_ns = NS_PER_MS;
        if (why == 2) w.sample.app_limited = true;
        if (why == 3) { /* refused: not for a minute */
            assert_true(until_pulse(&w) > 0);
            w.sample.refusals = 1;
            assert_int_equal(glance(&w, 100e6, SCOUT_LEVEL), 0);
            assert_false(w.scout.pulsing);
            w.sample.refusals = 0;
            assert_in_range(until_pulse(&w), 299, 301);
        } else {
            assert_int_equal(until_pulse(&w), 0);
        }
    }
}

/* At another window the rate may be another one, but not by any amount. */
static void test_views(void **state)
{
    static const struct {
        enum scout_view view;
        double rate;
        int found;
    } rows[] = {
        {SCOUT_OTHER, 82e6, 0},  {SCOUT_OTHER, 120e6, 0}, {SCOUT_OTHER, 50e6, -1},
        {SCOUT_OTHER, 200e6, 1}, {SCOUT_MORE, 125e6, 1},  {SCOUT_MORE, 100e6, 0},
        {SCOUT_MORE, 80e6, -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct world w;
        open_world(&w);
        w.sample.cpu_share = 1; /* no pulses between */
        for (int k = 0; k < 8; k++)
            assert_int_equal(glance(&w, 100e6, SCOUT_LEVEL), 0);
        int found = 0;
        for (int k = 0; k < 20 && !found; k++)
            found = glance(&w, rows[i].rate, rows[i].view);
        assert_int_equal(found, rows[i].found);
    }
}

/* Who was wrong believes in more noise, and hears a step by a factor of three all the same. */
static void test_doubt(void **state)
{
    (void)state;
    for (uint32_t doubts = 0; doubts <= 5; doubts++) {
        struct world w;
        uint32_t alarms = 0, found = 0;
        open_world(&w);
        for (uint32_t i = 0; i < doubts; i++)
            scout_doubt(&w.scout);
        assert_true(w.scout.sigma <= SCOUT_SIGMA_MAX);
        assert_true((scout_doubts(&w.scout) > 0) == (doubts > 0));
        w.sample.cpu_share = 1; /* no pulses between */
        for (int i = 0; i < 200; i++) {
            if (i == 100) scout_forget(&w.scout, w.sample.now_ns); /* outlasts that */
            alarms += glance(&w, i / 10 % 2 ? 120e6 : 85e6, SCOUT_LEVEL) != 0;
        }
        assert_true((alarms == 0) == (doubts >= 2));
        scout_forget(&w.scout, w.sample.now_ns);
        for (int i = 0; i < 20; i++)
            assert_int_equal(glance(&w, 100e6, SCOUT_LEVEL), 0);
        while (found < 6 && glance(&w, 100e6 / 3, SCOUT_LEVEL) == 0)
            found++;
        assert_true(found < 4);
        for (uint32_t i = 0; i < 4; i++)
            scout_trust(&w.scout);
        assert_true(scout_doubts(&w.scout) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_that_moves),
        cmocka_unit_test(test_pulse_finds_more),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_that_ends_slowly),
        cmocka_unit_test(test_falls_again),
        cmocka_unit_test(test_pauses_one_after_another),
        cmocka_unit_test(test_step_in_a_pulse),
        cmocka_unit_test(test_fall_without_work),
        cmocka_unit_test(test_no_pulse_in_a_fall),
        cmocka_unit_test(test_pulse_finds_nothing),
        cmocka_unit_test(test_no_pulse),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_doubt),
    };
    return cmocka_run_group_tests_name("scout", tests, NULL, NULL);
}
