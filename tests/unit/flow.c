#include "sched/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/path.h"

static void test_shares(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 64; count++)
        for (uint32_t window = 1; window < 300; window++) {
            uint32_t sum = 0, least = UINT32_MAX, most = 0;
            for (uint32_t i = 0; i < count; i++) {
                uint32_t share = flow_share(window, i, count);
                sum += share;
                least = share < least ? share : least;
                most = share > most ? share : most;
            }
            assert_int_equal(sum, window < count ? count : window);
            assert_in_range(most - least, 0, 1);
        }
}

/* Each kind by its name, and what it does to a path that needs 20. */
static void test_kinds(void **state)
{
    static const struct {
        enum flow_kind kind;
        const char *name;
        uint32_t least, most;
    } rows[] = {
        {FLOW_AUTO, "auto", 17, 34},
        {FLOW_BBR, "bbr", 17, 34},
        {FLOW_CUBIC, "cubic", 64, 64}, /* nothing is refused */
        {FLOW_FIXED, "fixed", 8, 8},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct path path;
        struct flow flow;
        uint32_t moves = 0;
        path_init(&path);
        path.connection = 6.67e6;
        flow_init(&flow, rows[i].kind, &(struct cc_limits){2, 8, 64});
        assert_string_equal(flow_kind_name(rows[i].kind), rows[i].name);
        assert_int_equal(flow_window(&flow), 8);
        for (int tick = 0; tick < 800; tick++) {
            uint32_t before = flow_window(&flow);
            path_tick(&path, before);
            if (!flow_tick(&flow, path.now_ns, &path.totals, path.rtt_ns)) {
                assert_int_equal(flow_window(&flow), before);
                continue;
            }
            assert_int_equal(flow.decision.before, before);
            assert_int_equal(flow.decision.after, flow_window(&flow));
            assert_true(flow.decision.why[0] && flow.decision.state[0]);
            moves++;
        }
        assert_in_range(flow_window(&flow), rows[i].least, rows[i].most);
        assert_int_equal(moves > 0, rows[i].kind != FLOW_FIXED);
        assert_int_equal(flow_rtt_ns(&flow), path.rtt_ns);
        assert_int_equal(flow.sample.answer_ns / NS_PER_MS, 100);
    }
}

/* Losses by chance, before the path is full: more are in flight than it needs yet. */
static void test_losses_are_foreseen(void **state)
{
    (void)state;
    for (enum flow_kind kind = FLOW_AUTO; kind <= FLOW_BBR; kind++)
        for (int lost = 0; lost < 2; lost++) {
            struct path path;
            struct flow flow;
            uint32_t most = 0;
            path_init(&path);
            path.connection = 6.67e6; /* 20 are enough */
            flow_init(&flow, kind, &(struct cc_limits){2, 4, 64});
            for (int tick = 0; tick < 100; tick++) {
                path_tick(&path, flow_window(&flow));
                path.totals.segment_bytes = 1448;
                path.totals.quiet_bytes = path.totals.sent_bytes;
                path.totals.quiet_losses = lost * path.totals.sent_bytes / 1448 / 1000;
                (void)flow_tick(&flow, path.now_ns, &path.totals, path.rtt_ns);
                most = flow_window(&flow) > most ? flow_window(&flow) : most;
            }
            assert_int_equal(most > 45, lost);
        }
}

/* n* = B/r + B·L/P: what the path's own numbers say, and where the model begins the search. */
static void test_closed_form(void **state)
{
    static const struct {
        double capacity, connection, latency_s, part_bytes;
    } rows[] = {
        {125e6, 30e6, 0.1, 8 * MIB},
        {125e6, 200e6, 0.4, 8 * MIB}, /* nearly all wait */
        {125e6, 6e6, 0.02, 8 * MIB},  /* nearly none does */
        {62.5e6, 10e6, 0.2, 2 * MIB},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (enum flow_kind kind = FLOW_AUTO; kind <= FLOW_FIXED; kind++) {
            struct path path;
            struct flow flow;
            path_init(&path);
            path.capacity = rows[i].capacity;
            path.connection = rows[i].connection;
            path.latency_s = rows[i].latency_s;
            path.part_bytes = rows[i].part_bytes;
            flow_init(&flow, kind, &(struct cc_limits){2, 2, 128});
            for (int tick = 0; tick < 800; tick++) {
                path_tick(&path, flow_window(&flow));
                (void)flow_tick(&flow, path.now_ns, &path.totals, path.rtt_ns);
            }
            const struct sample *sample = &flow.sample;
            double waiting = path.capacity * path.latency_s / path.part_bytes;
            bool models = kind == FLOW_AUTO || kind == FLOW_BBR;
            if (models) {
                assert_true(fabs(sample->knee / path_knee(&path) - 1) < 0.05);
                assert_true(fabs(sample->knee_waiting / waiting - 1) < 0.2); /* P is noisy */
                assert_true(flow_window(&flow) > 0.85 * sample->knee);
            } else {
                assert_true(sample->knee == 0 && sample->knee_waiting == 0);
            }
        }
}

/* n* and what waits of it are one model's: what is answered after that model was left changes
 * neither. bbr never leaves it. */
static void test_model_that_was_left(void **state)
{
    (void)state;
    for (enum flow_kind kind = FLOW_AUTO; kind <= FLOW_BBR; kind++) {
        struct path path;
        struct flow flow;
        double knee = 0, waiting = 0;
        path_init(&path);
        flow_init(&flow, kind, &(struct cc_limits){2, 2, 128});
        for (int tick = 0; tick < 600; tick++) {
            if (tick == 400) {
                knee = flow.sample.knee;
                waiting = flow.sample.knee_waiting;
            }
            if (tick >= 400) path.totals.requests += 3; /* small ones, answered as soon */
            path_tick(&path, flow_window(&flow));
            (void)flow_tick(&flow, path.now_ns, &path.totals, path.rtt_ns);
        }
        assert_true(waiting > 0 && waiting < knee / 2);
        if (kind == FLOW_BBR) {
            assert_true(flow.sample.knee_waiting > 1.5 * waiting);
        } else {
            assert_true(flow.sample.knee == knee);
            assert_true(flow.sample.knee_waiting == waiting);
        }
    }
}

/* Parts may take half a minute: behind the first round, what the server took for less stands for
 * its time, on a long path, and while nobody waits for it: rounds are short then. */
static void test_nothing_answered_yet(void **state)
{
    static const struct {
        uint64_t server_us, rtt_us;
        uint32_t waiting;
        uint64_t answer_us;
    } rows[] = {
        {7000, 50000, 0, 7000},
        {0, 50000, 0, 0},
        {7000, 500, 0, 0},
        {7000, 50000, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sample_totals totals = {.server_ns = rows[i].server_us * NS_PER_US};
        struct flow flow;
        uint64_t now_ns = NS_PER_S, looked_ns = 0, looks = 0;
        totals.waiting = rows[i].waiting;
        flow_init(&flow, FLOW_BBR, &(struct cc_limits){2, 8, 128});
        for (int tick = 0; tick < 200; tick++, now_ns += PATH_TICK_NS) {
            totals.delivered_bytes += flow_window(&flow) * 50000;
            totals.busy_ns += flow_window(&flow) * PATH_TICK_NS;
            (void)flow_tick(&flow, now_ns, &totals, rows[i].rtt_us * NS_PER_US);
            looks += flow.sample.now_ns != looked_ns;
            looked_ns = flow.sample.now_ns;
            if (now_ns < NS_PER_S + SAMPLE_NS_MAX) assert_int_equal(looks, 0);
        }
        assert_int_equal(flow.sample.answer_ns, rows[i].answer_us * NS_PER_US);
        assert_int_equal(looks > 5, rows[i].answer_us > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_losses_are_foreseen),
        cmocka_unit_test(test_closed_form),
        cmocka_unit_test(test_model_that_was_left),
        cmocka_unit_test(test_nothing_answered_yet),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
