#include "s3/steer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct conf conf;
    struct budget budget;
    struct steer steer;
    struct traffic traffics[4];
    uint64_t now_ns;
};

static struct world world;

static void open_steer(struct world *w)
{
    if (w->steer.count > 0) steer_close(&w->steer);
    memset(&w->steer, 0, sizeof w->steer);
    assert_int_equal(steer_open(&w->steer, &w->conf, &w->budget), ERR_NONE);
    for (uint16_t i = 0; i < w->conf.cpu_count; i++)
        assert_int_equal(steer_join(&w->steer, &w->traffics[i]), ERR_NONE);
}

static struct world *open_world(enum flow_kind cc, uint16_t cores)
{
    struct world *w = &world;
    if (w->steer.count > 0) steer_close(&w->steer);
    memset(w, 0, sizeof *w);
    conf_init(&w->conf);
    w->conf.cc = cc;
    w->conf.cpu_count = cores;
    w->conf.memory_bytes = GIB;
    w->now_ns = NS_PER_S;
    open_steer(w);
    return w;
}

/* A tick in which each request in flight moved 1 MB/s, and a few were answered. */
static void tick(struct world *w)
{
    w->now_ns += 50 * NS_PER_MS;
    for (uint32_t i = 0; i < w->steer.count; i++) {
        uint64_t share = steer_share(&w->steer, i);
        meter_add(&w->traffics[i].delivered_bytes, 50000 * share);
        meter_add(&w->traffics[i].busy_ns, share * 50 * NS_PER_MS);
        meter_set(&w->traffics[i].rtt_ns, (20 + i) * NS_PER_MS);
        traffic_on_answer(&w->traffics[i], 0, 30 * NS_PER_MS);
    }
    steer_tick(&w->steer, w->now_ns);
}

static void test_starts_as_before(void **state)
{
    struct world *w = open_world(FLOW_AUTO, 4);
    (void)state;
    assert_int_equal(meter_read(&w->steer.window), 16); /* a quarter of 16 connections, a core */
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(steer_share(&w->steer, i), 4);
    assert_string_equal(steer_name(&w->steer), "auto");
}

/* Connections that are slow each: the window grows to where connections or memory end. */
static void test_grows_to_its_bounds(void **state)
{
    (void)state;
    for (int small = 0; small < 2; small++) {
        struct world *w = open_world(FLOW_BBR, 2);
        if (small) w->conf.memory_bytes = 64 * MIB;
        open_steer(w);
        for (int i = 0; i < 1000; i++)
            tick(w);
        uint64_t most = small ? 64 * MIB / PART_BYTES_MIN : 128;
        assert_in_range(meter_read(&w->steer.window), most - most / 5, most);
    }
}

static void test_fixed(void **state)
{
    struct world *w = open_world(FLOW_FIXED, 2);
    (void)state;
    w->conf.cc_fixed = 5;
    open_steer(w);
    for (int i = 0; i < 100; i++)
        tick(w);
    assert_int_equal(steer_share(&w->steer, 0), 3);
    assert_int_equal(steer_share(&w->steer, 1), 2);
}

static void test_decisions(void **state)
{
    struct world *w = open_world(FLOW_CUBIC, 1);
    struct steer_decision decision;
    uint64_t last = meter_read(&w->steer.window), count = 0;
    (void)state;
    assert_false(steer_take(&w->steer, &decision));
    for (int i = 0; i < 100; i++) {
        tick(w);
        while (steer_take(&w->steer, &decision)) {
            assert_int_equal(decision.before, last);
            assert_true(decision.sample.rate_bytes_per_s > 0);
            last = decision.after;
            count++;
        }
        assert_int_equal(last, meter_read(&w->steer.window));
    }
    assert_true(count > 3);
    assert_int_equal(steer_lost(&w->steer), 0);
    /* A reader that sleeps has the oldest ones afterwards, and is told how many are missing. */
    for (uint32_t i = 0; i < 20000; i++) {
        if (i % 60 == 0) traffic_on_failure(&w->traffics[0], 0, ERR_SLOW_DOWN);
        tick(w);
    }
    for (count = 0; steer_take(&w->steer, &decision); count++)
        assert_true(count > 0 || decision.before == last);
    assert_int_equal(count, STEER_DECISIONS);
    assert_true(steer_lost(&w->steer) > 0);
}

static void test_what_counts_as_a_loss(void **state)
{
    static const struct {
        enum err err;
        uint64_t refusals, timeouts;
    } rows[] = {
        {ERR_SLOW_DOWN, 1, 0}, {ERR_TIMEOUT, 0, 1}, {ERR_STALLED, 0, 1},
        {ERR_RESET, 0, 0},     {ERR_NO_KEY, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct traffic traffic = {.requests = {0}};
        struct sample_totals totals = {0};
        uint64_t rtt_ns = 0;
        traffic_on_failure(&traffic, 0, rows[i].err);
        traffic_add_up(&traffic, &totals, &rtt_ns);
        assert_int_equal(totals.refusals, rows[i].refusals);
        assert_int_equal(totals.timeouts, rows[i].timeouts);
    }
}

/* The run begins in a prefix that is limited, and the path answers to its refusals; once others are
 * found that are not, the path begins anew. */
static void test_begins_again(void **state)
{
    struct world *w = open_world(FLOW_AUTO, 1);
    uint64_t cut, start = meter_read(&w->steer.window);
    struct steer_decision decision;
    bool told = false;
    (void)state;
    uint16_t limited = 0; /* tick() has answers there */
    uint16_t other = steer_prefix(&w->steer, BYTES("b/x"), 0, w->now_ns);
    uint16_t third = steer_prefix(&w->steer, BYTES("c/x"), 0, w->now_ns);
    for (int i = 0; i < 60; i++) {
        traffic_on_failure(&w->traffics[0], limited, ERR_SLOW_DOWN);
        tick(w);
    }
    cut = meter_read(&w->steer.window);
    assert_true(cut < start);
    for (int i = 0; i < 60; i++) {
        traffic_on_answer(&w->traffics[0], other, 30 * NS_PER_MS);
        traffic_on_answer(&w->traffics[0], third, 30 * NS_PER_MS);
        tick(w);
    }
    while (steer_take(&w->steer, &decision))
        told |= strstr(decision.why, "a prefix's, not the server's") != NULL;
    assert_true(told);
    assert_true(meter_read(&w->steer.window) >= start);
}

/* A round trip that grows lowers the run's rate, which is told; without the switch, nothing is set.
 * */
static void test_gives_way(void **state)
{
    struct world *w = open_world(FLOW_FIXED, 2);
    struct steer_decision decision;
    double told = 0;
    (void)state;
    assert_int_equal(budget_rate(&w->budget), 0);
    w->conf.background = true;
    w->conf.cc_fixed = 4;
    budget_init(&w->budget);
    open_steer(w);
    assert_true(budget_rate(&w->budget) > 0);
    for (int i = 0; i < 200; i++) {
        for (uint32_t core = 0; core < 2; core++) {
            /* The other core's connections see the queue, too: the least of them counts. */
            meter_set(&w->traffics[core].rtt_now_ns, ((i < 100 ? 20 : 60) + core) * NS_PER_MS);
            meter_set(&w->traffics[core].flows, 2);
        }
        tick(w);
        if (i == 99) assert_in_range(budget_rate(&w->budget), 3000000, 8000000); /* 4 MB/s move */
    }
    assert_int_equal(meter_read(&w->steer.flows), 4);
    assert_in_range(budget_rate(&w->budget), 16000, 100000);
    assert_int_equal(budget_rate(&w->budget), meter_read(&w->steer.background_bytes_per_s));
    assert_in_range(meter_read(&w->steer.yielded_ns), 4 * NS_PER_S, 6 * NS_PER_S);
    while (steer_take(&w->steer, &decision)) {
        assert_string_equal(decision.knob, "bytes a second of the background");
        assert_true(told == 0 || decision.before == told);
        told = decision.after;
    }
    assert_true(told > 0 && told < 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_as_before),
        cmocka_unit_test(test_grows_to_its_bounds),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_what_counts_as_a_loss),
        cmocka_unit_test(test_begins_again),
        cmocka_unit_test(test_gives_way),
    };
    return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
