#include "s3/steer.h"

#include <math.h>
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
    bool stages;
};

static struct world world;

static void open_steer(struct world *w)
{
    if (w->steer.count > 0) steer_close(&w->steer);
    memset(&w->steer, 0, sizeof w->steer);
    assert_int_equal(steer_open(&w->steer, &w->conf, &w->budget, w->stages), ERR_NONE);
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
    w->stages = true;
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

struct signal {
    const char *name;
    enum err err;
    uint64_t resent_bytes, lost_bytes; /* instead, going up and coming down */
    bool is_loss;
};

static const struct signal signals[] = {
    {"SlowDown", ERR_SLOW_DOWN, 0, 0, true},
    {"no answer in time", ERR_TIMEOUT, 0, 0, true},
    {"stalled, cut by the lookout", ERR_STALLED, 0, 0, true},
    {"behind the others, cut by the lookout", ERR_STRAGGLER, 0, 0, false},
    {"a connection that was reset", ERR_RESET, 0, 0, false},
    {"503 without a code", ERR_SERVER, 0, 0, false},
    {"packets sent again", ERR_NONE, 1000000, 0, false},
    {"packets lost on their way down", ERR_NONE, 0, 1000000, false},
};

/* The newest decision that was a loss's, of some ticks; or NULL. */
static const char *signal_and_look(struct world *w, const struct signal *signal,
                                   struct steer_decision *loss)
{
    struct steer_decision decision;
    const char *why = NULL;
    while (steer_take(&w->steer, &decision))
        ;
    for (int i = 0; i < 6; i++) {
        meter_add(&w->traffics[0].sent_bytes, 10 * signal->resent_bytes);
        meter_add(&w->traffics[0].resent_bytes, signal->resent_bytes);
        meter_add(&w->traffics[0].delivered_bytes, 10 * signal->lost_bytes);
        meter_add(&w->traffics[0].lost_bytes, signal->lost_bytes);
        meter_add(&w->traffics[0].behind_hole_bytes, 9 * signal->lost_bytes);
        if (i == 0 && signal->err) traffic_on_failure(&w->traffics[0], 0, signal->err);
        tick(w);
        while (steer_take(&w->steer, &decision)) {
            if (!strstr(decision.why, "refused or lost")) continue;
            *loss = decision;
            why = decision.why;
        }
    }
    return why;
}

/* Each signal, as requests meet it, as far as the window and the reason that is written down. */
static void test_signals(void **state)
{
    static const enum flow_kind kinds[] = {FLOW_AUTO, FLOW_BBR, FLOW_CUBIC, FLOW_FIXED};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(signals) * ARRAY_COUNT(kinds); i++) {
        const struct signal *signal = &signals[i / ARRAY_COUNT(kinds)];
        enum flow_kind kind = kinds[i % ARRAY_COUNT(kinds)];
        struct world *w = open_world(kind, 1);
        struct steer_decision loss = {.knob = ""};
        for (int t = 0; t < 40; t++)
            tick(w);
        uint64_t before = meter_read(&w->steer.window);
        bool told = signal_and_look(w, signal, &loss);
        if (told != (signal->is_loss && kind != FLOW_FIXED))
            fail_msg("%s, %s: %s", signal->name, steer_name(&w->steer), told ? "told" : "not told");
        if (signal->resent_bytes) assert_true(w->steer.flow.sample.resent_share > 0.09);
        assert_int_equal(w->steer.flow.sample.lost_share > 0.05, signal->lost_bytes > 0);
        assert_int_equal(w->steer.flow.sample.hole_share > 0.4, signal->lost_bytes > 0);
        if (!told) continue;
        assert_string_equal(loss.knob, "parts in flight");
        assert_true(loss.after < loss.before && meter_read(&w->steer.window) < before);
        assert_int_equal(loss.sample.refusals, signal->err == ERR_SLOW_DOWN);
        assert_int_equal(loss.sample.timeouts, signal->err != ERR_SLOW_DOWN);
    }
}

/* A second in which `parts` were read in 250 ms each, while `free` of the window was. */
static void read_for_a_second(struct world *w, uint32_t parts, double free, uint32_t ready)
{
    for (int t = 0; t < 20; t++) {
        for (uint32_t i = 0; i < w->steer.count; i++) {
            struct traffic *traffic = &w->traffics[i];
            double starved_ns = free * (double)steer_share(&w->steer, i) * 50 * (double)NS_PER_MS;
            meter_add(&traffic->starved_ns, (uint64_t)starved_ns);
            meter_set(&traffic->ready, ready);
            if (t % 5 == 0)
                for (uint32_t k = 0; k < parts / 4; k++)
                    traffic_on_staged(traffic, TASK_FIRST, 8 * MIB, 250 * NS_PER_MS);
        }
        tick(w);
    }
}

/* Of the decisions since the last call, the newest of that knob; its knob "": there is none. */
static struct steer_decision newest_of(struct world *w, const char *knob)
{
    struct steer_decision decision, newest = {.knob = ""};
    while (steer_take(&w->steer, &decision))
        if (strcmp(decision.knob, knob) == 0) newest = decision;
    return newest;
}

/* More is staged ahead where reading leaves the window free, and all cores have a share of it; less
 * where it is ready all the time, and where the memory has no room for it. */
static void test_stages_ahead(void **state)
{
    struct world *w = open_world(FLOW_FIXED, 2);
    struct steer_decision decision;
    (void)state;
    w->conf.cc_fixed = 6;
    w->conf.part_bytes = 8 * MIB;
    open_steer(w);
    for (int s = 0; s < 4; s++)
        read_for_a_second(w, 8, 0.25, 0);
    decision = newest_of(w, "parts staged ahead");
    assert_string_equal(decision.state, "more");
    assert_true(decision.before == 0 && decision.after == 3); /* twice a quarter of 6 */
    assert_int_equal(meter_read(&w->steer.staged_ahead), 3);
    assert_int_equal(steer_ahead(&w->steer, 0), 2);
    assert_int_equal(steer_ahead(&w->steer, 1), 1);
    assert_int_equal(steer_parts_out_max(&w->steer), 12 + 3);
    for (int s = 0; s < 16; s++)
        read_for_a_second(w, 8, 0, 1);
    decision = newest_of(w, "parts staged ahead");
    assert_string_equal(decision.state, "less");
    assert_int_equal(meter_read(&w->steer.staged_ahead), 1);
    w->conf.memory_bytes = 7 * 8 * MIB; /* of which an eighth is not for parts */
    read_for_a_second(w, 8, 0.25, 0);
    decision = newest_of(w, "parts staged ahead");
    assert_string_equal(decision.state, "bounded");
    assert_int_equal(meter_read(&w->steer.staged_ahead), 0);
}

static void test_stages_as_told(void **state)
{
    struct world *w = open_world(FLOW_FIXED, 2);
    (void)state;
    for (uint32_t ahead = 0; ahead < 6; ahead += 5) {
        w->conf.stage_ahead = ahead;
        open_steer(w);
        for (int s = 0; s < 8; s++)
            read_for_a_second(w, 8, 0.25, 0);
        assert_int_equal(meter_read(&w->steer.staged_ahead), ahead);
        assert_string_equal(newest_of(w, "parts staged ahead").knob, "");
    }
}

/* Downloads: nothing is begun that could not be under way. */
static void test_stages_nothing(void **state)
{
    struct world *w = open_world(FLOW_FIXED, 2);
    (void)state;
    w->conf.cc_fixed = 6;
    w->conf.stage_ahead = 16;
    w->stages = false;
    open_steer(w);
    assert_int_equal(meter_read(&w->steer.staged_ahead), 0);
    assert_int_equal(steer_ahead(&w->steer, 0), 0);
    assert_int_equal(steer_parts_out_max(&w->steer), 2 * 6);
    assert_int_equal(w->steer.fairs[TASK_FIRST].slots, 6);
    assert_int_equal(w->steer.fairs[TASK_THEN].slots, FLOW_OBJECTS * 6);
}

/* A download behind which 4 round trips queue, whatever is in flight, until windows are clamped. */
static void test_clamps_windows(void **state)
{
    (void)state;
    for (int kernel = 0; kernel < 2; kernel++) {
        struct world *w = open_world(FLOW_FIXED, 2);
        w->conf.clamp_windows = !kernel;
        open_steer(w);
        assert_int_equal(steer_clamp(&w->steer).share_bytes, 0);
        for (int i = 0; i < 200; i++) {
            double gain = w->steer.clamp.gain;
            for (uint32_t core = 0; core < 2; core++) {
                uint64_t rtt_ns = (uint64_t)((gain > 0 ? gain : 5) * 20) * NS_PER_MS;
                meter_set(&w->traffics[core].rtt_now_ns, rtt_ns);
                meter_set(&w->traffics[core].flows, 4);
            }
            tick(w);
        }
        struct clamp_terms terms = steer_clamp(&w->steer);
        struct steer_decision decision = newest_of(w, "bytes in flight of downloads, at most");
        if (kernel) {
            assert_int_equal(terms.share_bytes, 0);
            assert_string_equal(decision.knob, "");
            continue;
        }
        assert_string_equal(decision.state, "lowering");
        assert_in_range(decision.sample.rtt_now_ns, 41 * NS_PER_MS, 43 * NS_PER_MS);
        double bytes = 2 * decision.sample.rate_bytes_per_s * 0.020;
        assert_true(fabs(decision.after - bytes) < 0.05 * bytes);
        assert_true(fabs((double)terms.share_bytes - bytes / 8) < 0.05 * bytes);
        assert_int_equal(terms.flight_ns, 40 * NS_PER_MS);
        assert_int_equal(terms.rate_ns, CLAMP_RATE_NS_MIN);
        meter_set(&w->traffics[0].pacing_bytes_per_s, 1000000); /* there is a rate now */
        tick(w);
        decision = newest_of(w, "bytes in flight of downloads, at most");
        assert_string_equal(decision.state, "free");
        assert_string_equal(decision.why, "a rate is the limit");
        assert_int_equal(steer_clamp(&w->steer).share_bytes, 0);
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

/* A round trip that grows lowers the run's rate, which is told; without the switch, none is set. */
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

/* One lost packet of 140, of a download: the rate goes down, although nothing queues. */
static void test_gives_way_to_losses(void **state)
{
    (void)state;
    for (uint64_t lost = 0; lost < 2; lost++) {
        struct world *w = open_world(FLOW_FIXED, 2);
        w->conf.background = true;
        w->conf.cc_fixed = 4;
        budget_init(&w->budget);
        open_steer(w);
        uint64_t start = budget_rate(&w->budget);
        for (int i = 0; i < 100; i++) {
            for (uint32_t core = 0; core < 2; core++) {
                meter_set(&w->traffics[core].rtt_now_ns, 20 * NS_PER_MS);
                meter_add(&w->traffics[core].lost_bytes, lost * 724);
                meter_add(&w->traffics[core].sent_bytes, 500);
            }
            tick(w);
        }
        assert_int_equal(budget_rate(&w->budget) < start, lost);
    }
}

/* Reads what was told of weights, [1]: of "b/". It became slower, or quicker, than the others are.
 * How many there were. */
static uint32_t read_weights(struct world *w, bool slower, double weight[2])
{
    struct steer_decision decision;
    uint32_t count = 0;
    while (steer_take(&w->steer, &decision)) {
        bool is_b = strcmp(decision.prefix, "b/") == 0, falls = is_b == slower;
        if (!slower && strcmp(decision.knob, "weight of a prefix") != 0) continue;
        assert_string_equal(decision.knob, "weight of a prefix");
        assert_true(decision.before == weight[is_b]);
        assert_true(falls == (decision.after < decision.before));
        assert_non_null(strstr(decision.why, falls ? "longer" : "less long"));
        if (slower) assert_int_equal(decision.sample.answer_ns, (is_b ? 120 : 30) * NS_PER_MS);
        weight[is_b] = decision.after;
        count++;
    }
    return count;
}

/* Another prefix takes four times as long to answer: it weighs less, and the first one more. Then
 * it answers sooner, and is refused in each round: where a limit and the weight move in the same
 * one, each is told once. */
static void test_weights_are_told(void **state)
{
    struct world *w = open_world(FLOW_FIXED, 2);
    double weight[2] = {1, 1};
    uint32_t both = 0;
    (void)state;
    uint16_t b = steer_prefix(&w->steer, BYTES("b/x"), 0, w->now_ns);
    const struct prefixes_entry *entries = w->steer.prefixes.entries;
    for (int i = 0; i < 100; i++) {
        traffic_on_answer(&w->traffics[1], b, 120 * NS_PER_MS);
        tick(w);
    }
    assert_in_range(read_weights(w, true, weight), 2, 6);
    assert_true(weight[1] == entries[b].prefix.weight && weight[1] < 0.8);
    assert_true(weight[0] == entries[0].prefix.weight && weight[0] > 1.2);
    for (int i = 0; i < 200; i++) {
        double before = entries[b].prefix.weight, limit = entries[b].prefix.rate_per_s;
        traffic_on_answer(&w->traffics[1], b, 10 * NS_PER_MS);
        traffic_on_failure(&w->traffics[1], b, ERR_SLOW_DOWN);
        tick(w);
        both += entries[b].prefix.weight != before && entries[b].prefix.rate_per_s != limit;
        uint32_t moved = entries[b].prefix.weight != before;
        assert_in_range(read_weights(w, false, weight), moved, moved + 1); /* + the other's */
        assert_true(weight[1] == entries[b].prefix.weight);
        assert_true(weight[0] == entries[0].prefix.weight);
    }
    assert_true(weight[1] > 1.2 && weight[0] < 0.8);
    assert_true(both > 0);
}

/* The only decision since the last time, or none. */
static void expect(struct world *w, const char *knob, double before, double after, const char *why)
{
    struct steer_decision decision;
    if (knob) {
        assert_true(steer_take(&w->steer, &decision));
        assert_string_equal(decision.knob, knob);
        assert_true(decision.before == before && decision.after == after);
        assert_non_null(strstr(decision.why, why));
        assert_true(decision.state[0] != '\0' && decision.now_ns == w->now_ns);
    }
    assert_false(steer_take(&w->steer, &decision));
}

static void ration(struct world *w, uint64_t share, uint64_t more)
{
    for (uint32_t i = 0; i < 2; i++) {
        meter_set(&w->traffics[i].ration, share + more);
        meter_set(&w->traffics[i].ration_more, more);
    }
    tick(w);
}

static void pass_a_second(struct world *w)
{
    for (int i = 0; i < 20; i++)
        tick(w);
}

/* The only decision, some ticks ago. */
static void expect_by_now(struct world *w, const char *knob, double before, double after)
{
    struct steer_decision decision;
    assert_true(steer_take(&w->steer, &decision));
    assert_string_equal(decision.knob, knob);
    assert_true(decision.before == before && decision.after == after);
    assert_false(steer_take(&w->steer, &decision));
}

/* What the cores do by themselves is told by the home core, once a second at most. */
static void test_cores_are_told(void **state)
{
    static const char parts[] = "parts that share a rate";
    static const char cap[] = "bytes a second of a connection, at most", cut[] = "connections cut";
    struct world *w = open_world(FLOW_FIXED, 2);
    (void)state;
    tick(w);
    expect(w, NULL, 0, 0, NULL);
    ration(w, 3, 0);
    expect(w, parts, 0, 6, "than the rate moves");
    ration(w, 3, 1);
    expect(w, NULL, 0, 0, NULL); /* too soon */
    ration(w, 3, 3);
    pass_a_second(w);
    struct steer_decision decision;
    assert_true(steer_take(&w->steer, &decision)); /* what it is by then */
    assert_true(decision.before == 6 && decision.after == 12);
    assert_non_null(strstr(decision.why, "not the limit"));
    pass_a_second(w);
    ration(w, 3, 1);
    expect(w, parts, 12, 8, "limit again");
    pass_a_second(w);
    ration(w, 5, 1);
    expect(w, parts, 8, 12, "than the rate moves");
    pass_a_second(w);
    ration(w, 0, 0);
    expect(w, parts, 12, 0, "no rate");
    meter_set(&w->traffics[0].pacing_bytes_per_s, 1000);
    tick(w);
    expect(w, cap, 0, 1000, "share the rate");
    meter_set(&w->traffics[0].pacing_bytes_per_s, 0);
    tick(w);
    expect(w, NULL, 0, 0, NULL);
    pass_a_second(w);
    expect_by_now(w, cap, 1000, 0);
    static const char window[] = "receive window of a connection, at most";
    meter_set(&w->traffics[0].window_bytes, 70000);
    meter_set(&w->traffics[1].window_bytes, 65536);
    tick(w);
    expect(w, window, 0, 65536, "at once");
    meter_set(&w->traffics[1].window_bytes, 131072);
    tick(w);
    expect(w, NULL, 0, 0, NULL); /* too soon */
    pass_a_second(w);
    expect_by_now(w, window, 65536, 70000);
    meter_set(&w->traffics[0].window_bytes, 0);
    meter_set(&w->traffics[1].window_bytes, 0);
    meter_set(&w->traffics[1].pacing_bytes_per_s, 1000);
    pass_a_second(w);
    expect_by_now(w, window, 70000, 0);
    static const char shut[] = "hosts that requests are kept from";
    meter_set(&w->traffics[0].shut, 1);
    meter_set(&w->traffics[1].shut, 2);
    tick(w);
    expect(w, shut, 0, 3, "failures");
    meter_set(&w->traffics[1].shut, 0);
    tick(w);
    expect(w, shut, 3, 1, "answers again");
    meter_add(&w->traffics[0].cuts[STRAGGLER_BEHIND], 1);
    meter_add(&w->traffics[1].cuts[STRAGGLER_BEHIND], 1);
    tick(w);
    expect(w, cut, 0, 2, "slower than the others");
    meter_add(&w->traffics[1].cuts[STRAGGLER_STALLED], 1);
    tick(w);
    expect(w, cut, 0, 1, "next to nothing");
    meter_add(&w->traffics[1].cuts[STRAGGLER_BEHIND], 1);
    tick(w);
    expect(w, cut, 2, 3, "slower than the others");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_as_before),
        cmocka_unit_test(test_grows_to_its_bounds),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_what_counts_as_a_loss),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_begins_again),
        cmocka_unit_test(test_stages_ahead),
        cmocka_unit_test(test_stages_as_told),
        cmocka_unit_test(test_stages_nothing),
        cmocka_unit_test(test_clamps_windows),
        cmocka_unit_test(test_gives_way),
        cmocka_unit_test(test_gives_way_to_losses),
        cmocka_unit_test(test_weights_are_told),
        cmocka_unit_test(test_cores_are_told),
    };
    return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
