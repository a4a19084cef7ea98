#include "sched/bbr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/path.h"

struct world {
    struct path path;
    struct rounds rounds;
    struct bbr bbr;
};

static void open_world(struct world *w, double start, double max)
{
    path_init(&w->path);
    rounds_init(&w->rounds);
    bbr_init(&w->bbr, &(struct cc_limits){2, start, max});
}

static double drive(struct world *w, double seconds)
{
    return path_drive(&w->path, &w->bbr.cc, &w->rounds, seconds);
}

/* The model and the window on known paths, from far below and far above the knee. */
static void test_finds_the_knee(void **state)
{
    static const struct {
        double capacity, connection, latency_s;
        uint64_t rtt_ms;
    } rows[] = {
        {125e6, 30e6, 0.1, 50},   {125e6, 3e6, 0.1, 100},  {125e6, 90e6, 0.02, 20},
        {625e6, 30e6, 0.12, 100}, {12.5e6, 5e6, 0.3, 200},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (int high = 0; high < 2; high++) {
            struct world w;
            open_world(&w, high ? 100 : 2, 128);
            w.path.capacity = rows[i].capacity;
            w.path.connection = rows[i].connection;
            w.path.latency_s = rows[i].latency_s;
            w.path.rtt_ns = rows[i].rtt_ms * NS_PER_MS;
            drive(&w, 40);
            double rate = drive(&w, 60), knee = path_knee(&w.path);
            assert_true(fabs(bbr_rate(&w.bbr) / rows[i].capacity - 1) < 0.1);
            assert_true(rate > 0.95 * rows[i].capacity);
            assert_true(w.bbr.cc.window < 1.6 * knee + 1);
        }
}

/* Within seconds: a doubling a round. */
static void test_startup_is_fast(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 4, 128);
    w.path.connection = 3e6; /* knee at 43 */
    drive(&w, 4);
    assert_true(path_rate(&w.path, w.bbr.cc.window) > 0.9 * w.path.capacity);
}

static void test_app_limited_lowers_nothing(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 4, 128);
    drive(&w, 30);
    double rate = bbr_rate(&w.bbr), window = w.bbr.cc.window;
    w.path.work = 1.5;
    drive(&w, 3);
    assert_true(bbr_rate(&w.bbr) >= rate * 0.999);
    assert_true(w.bbr.cc.window >= 0.8 * window);
    drive(&w, 60); /* however long */
    assert_true(w.bbr.cc.window >= 0.8 * window);
}

static void test_refusals(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 8, 128);
    w.path.capacity = w.path.connection = 1e12; /* the server is what limits */
    w.path.knee = 16;
    w.path.refuse = 24;
    drive(&w, 20);
    uint64_t refused = w.path.totals.refusals;
    drive(&w, 60);
    assert_true(w.path.totals.refusals - refused <= 0.01 * (double)w.path.totals.requests);
    assert_true(w.bbr.cc.window > 0.75 * 16 && w.bbr.cc.window < 1.3 * 16);
}

/* The path becomes slower by lost packets: each connection does less, so more are needed. */
static void test_steps(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 4, 128);
    drive(&w, 30);
    w.path.connection = 5e6;
    drive(&w, 3);
    assert_true(drive(&w, 5) > 0.9 * w.path.capacity);
    w.path.capacity /= 4;
    drive(&w, 3);
    assert_true(drive(&w, 5) > 0.9 * w.path.capacity);
    w.path.capacity *= 4;
    drive(&w, 3);
    assert_true(drive(&w, 5) > 0.9 * w.path.capacity);
}

/* Each kind of step, both ways, wherever in a cycle it comes. */
static void test_recovers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(path_steps) * 2; i++)
        for (uint32_t phase = 0; phase < 50; phase++) {
            struct world w;
            open_world(&w, 8, 128);
            double level =
                path_recover(&w.path, &w.bbr.cc, &w.rounds, &path_steps[i / 2], i % 2, phase);
            if (level <= 0.9) print_error("step %u, phase %u: %.2f\n", i, phase, level);
            assert_true(level > 0.9);
        }
}

static void test_short_path_starts_gently(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 8, 128);
    w.path.capacity = 2e9;
    w.path.connection = 1e9; /* knee at 2 */
    w.path.latency_s = 1e-4;
    w.path.rtt_ns = 100 * NS_PER_US;
    for (int i = 0; i < 100; i++) {
        drive(&w, 0.3);
        assert_true(w.bbr.cc.window <= 10.1);
    }
    assert_true(drive(&w, 10) > 0.95 * w.path.capacity);
}

static void test_limits(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 4, 12);
    w.path.connection = 1e6;
    drive(&w, 30);
    assert_true(w.bbr.cc.window <= 12 && w.bbr.cc.window >= 8);
}

/* --- samples, one by one --- */

static struct sample sample_of(const struct bbr *bbr, double load, double rate_mb_per_s)
{
    struct sample sample = {.now_ns = bbr->slowness_at_ns + NS_PER_S, .interval_ns = NS_PER_S};
    sample.load = sample.allowed = load;
    sample.rate_bytes_per_s = rate_mb_per_s * 1e6;
    sample.rtt_ns = sample.rtt_now_ns = 50 * NS_PER_MS;
    sample.answer_ns = NS_PER_MS;
    sample.resent_share = 0.01;
    return sample;
}

static void meet(struct bbr *bbr, double load, double rate_mb_per_s)
{
    struct sample sample = sample_of(bbr, load, rate_mb_per_s);
    cc_on_sample(&bbr->cc, &sample);
}

static void open_bbr(struct bbr *bbr)
{
    bbr_init(bbr, &(struct cc_limits){2, 8, 128});
    meet(bbr, 8, 40);
    assert_int_equal(lround(bbr->cc.window), 16);
}

/* Half of what the path has comes in the first round. */
static void open_bbr_slow(struct bbr *bbr)
{
    bbr_init(bbr, &(struct cc_limits){2, 8, 128});
    meet(bbr, 8, 30);
}

static void be_fast(struct sample *sample)
{
    sample->rate_bytes_per_s = 37e6;
}
static void be_few(struct sample *sample)
{
    sample->load = sample->allowed = 7;
}
static void lose_nothing(struct sample *sample)
{
    sample->resent_share = 0;
}
static void queue(struct sample *sample)
{
    sample->rtt_now_ns = 80 * NS_PER_MS;
}
static void be_near(struct sample *sample)
{
    sample->rtt_ns = sample->rtt_now_ns = NS_PER_MS;
}
static void lack_work(struct sample *sample)
{
    sample->app_limited = true;
}
static void lack_cpu(struct sample *sample)
{
    sample->cpu_share = 0.95;
}

/* Less with more in flight, where packets get lost and nothing queues: connections were young. With
 * one of these signs it is something else. */
static void test_connections_age(void **state)
{
    static void (*const others[])(struct sample * sample) = {
        be_fast, be_few, lose_nothing, queue, be_near, lack_work, lack_cpu,
    };
    struct bbr bbr;
    (void)state;
    open_bbr(&bbr);
    meet(&bbr, 16, 30);
    assert_int_equal(lround(bbr.cc.window), 32);
    assert_non_null(strstr(bbr.cc.why, "slower"));
    meet(&bbr, 32, 25); /* not twice */
    assert_int_equal(lround(bbr.cc.window), 32);
    meet(&bbr, 32, 60); /* it has grown: now it may be again */
    meet(&bbr, 64, 50);
    assert_int_equal(lround(bbr.cc.window), 128);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        open_bbr(&bbr);
        struct sample sample = sample_of(&bbr, 16, 30);
        others[i](&sample);
        cc_on_sample(&bbr.cc, &sample);
        if (bbr.cc.window >= 32) print_error("row %zu: %.1f\n", i, bbr.cc.window);
        assert_true(bbr.cc.window < 32);
    }
}

/* The same after Startup found the path full, while what is in flight has not come down yet. */
static void test_connections_age_in_drain(void **state)
{
    struct bbr bbr;
    (void)state;
    for (int queues = 0; queues < 2; queues++) {
        open_bbr(&bbr);
        for (int i = 0; i < 3; i++)
            meet(&bbr, 16, 44);
        assert_int_equal(bbr.state, BBR_DRAIN);
        struct sample sample = sample_of(&bbr, 16, 30);
        if (queues) queue(&sample);
        cc_on_sample(&bbr.cc, &sample);
        assert_int_equal(bbr.state, queues ? BBR_DRAIN : BBR_STARTUP);
        assert_int_equal(bbr.cc.window > 16, !queues);
    }
}

/* What is foreseen of the connections is asked for in Startup, at most four times what the path
 * needs now, and twice what is in flight; and kept, but no more than was in flight. */
static void test_is_foreseen(void **state)
{
    static const struct {
        double needed; /* by what is foreseen, at 60 MB/s */
        double most;   /* in flight: there is no more work */
        uint32_t startup, kept;
    } rows[] = {
        {0, 128, 32, 16},   {10, 128, 32, 16},       {40, 128, 40, 40}, {59, 128, 59, 59},
        {300, 128, 64, 64}, {INFINITY, 128, 64, 64}, {59, 41, 59, 41},  {59, 14, 56, 14},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct bbr bbr;
        open_bbr_slow(&bbr);
        for (int round = 0; round < 6; round++) {
            struct sample full = sample_of(&bbr, fmin(bbr.cc.window, rows[i].most), 60);
            full.rtt_now_ns = 2 * full.rtt_ns;
            full.lasting = rows[i].needed / 60e6 * (double)NS_PER_S;
            cc_on_sample(&bbr.cc, &full);
            uint32_t wanted = bbr.state == BBR_STARTUP ? rows[i].startup : rows[i].kept;
            if (round == 0) wanted = 32;
            if (lround(bbr.cc.window) != wanted)
                fail_msg("row %zu, round %d, %s: %.1f", i, round, bbr.cc.state, bbr.cc.window);
        }
        assert_int_equal(bbr.state, BBR_CRUISE);
    }
}

/* Nothing is foreseen of connections that are not young, nor where the cores have no time left. */
static void test_is_not_foreseen(void **state)
{
    struct bbr bbr;
    (void)state;
    open_bbr_slow(&bbr);
    for (int round = 0; round < 3; round++) {
        struct sample sample = sample_of(&bbr, fmin(bbr.cc.window, 40), 60);
        sample.lasting = 1e3;
        if (round > 0) lack_cpu(&sample);
        cc_on_sample(&bbr.cc, &sample);
    }
    assert_true(bbr.state != BBR_STARTUP);
    assert_int_equal(lround(bbr.cc.window), 16);
    open_bbr_slow(&bbr);
    cc_on_change(&bbr.cc);
    for (int round = 0; round < 2; round++) {
        struct sample sample = sample_of(&bbr, 16, 60);
        sample.lasting = 1e3;
        cc_on_sample(&bbr.cc, &sample);
        assert_int_equal(lround(bbr.cc.window), 32);
    }
}

/* What is foreseen is of Startup alone, and of work that there is. */
static void test_foreseen_no_longer(void **state)
{
    struct bbr bbr;
    (void)state;
    for (int row = 0; row < 3; row++) {
        open_bbr_slow(&bbr);
        struct sample sample = sample_of(&bbr, 16, 60);
        sample.lasting = 1e3;
        cc_on_sample(&bbr.cc, &sample);
        assert_true(bbr_bdp(&bbr) > 40);
        sample.now_ns += NS_PER_S;
        if (row == 0) sample.refusals = 1;
        if (row == 1) sample.rtt_ns = sample.rtt_now_ns = sample.answer_ns = NS_PER_MS;
        sample.app_limited = row == 2;
        cc_on_sample(&bbr.cc, &sample);
        assert_true(bbr_bdp(&bbr) < 17);
        assert_true(bbr.cc.window < 33);
    }
}

/* What was kept stays, though connections are busy nine tenths of the time. */
static void test_gaps_wear_nothing_away(void **state)
{
    struct bbr bbr;
    (void)state;
    open_bbr_slow(&bbr);
    for (int round = 0; round < 16; round++) {
        struct sample sample = sample_of(&bbr, 0.93 * bbr.cc.window, 60);
        sample.rtt_now_ns = 2 * sample.rtt_ns;
        sample.allowed = bbr.cc.window;
        sample.lasting = 59 / 60e6 * (double)NS_PER_S;
        if (bbr.state == BBR_UP || bbr.state == BBR_DOWN) break; /* they measure anew */
        cc_on_sample(&bbr.cc, &sample);
    }
    assert_int_equal(bbr.state, BBR_UP);
    assert_true(bbr_bdp(&bbr) > 50);
}

/* A change whose connections have aged meanwhile is judged by what they do since. */
static void test_aged_behind_a_change(void **state)
{
    static const double rounds[][2] = {{8, 40},  {8, 20},  {16, 38}, {32, 40},
                                       {32, 40}, {32, 40}, {24, 40}, {16, 38}};
    struct bbr bbr;
    (void)state;
    open_bbr(&bbr);
    bbr_remember(&bbr, 8, log(40e6));
    cc_on_change(&bbr.cc);
    for (size_t i = 0; i < ARRAY_COUNT(rounds); i++)
        meet(&bbr, rounds[i][0], rounds[i][1]);
    assert_int_equal(bbr.state, BBR_CRUISE);
    assert_true(bbr.cc.window > 12);
}

/* What buffers take at once is no rate of the path. */
static void test_startup_doubles_at_most(void **state)
{
    struct bbr bbr;
    (void)state;
    bbr_init(&bbr, &(struct cc_limits){2, 8, 128});
    struct sample burst = sample_of(&bbr, 4, 400);
    burst.app_limited = true;
    cc_on_sample(&bbr.cc, &burst);
    meet(&bbr, 8, 10);
    assert_int_equal(lround(bbr.cc.window), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_knee),
        cmocka_unit_test(test_startup_is_fast),
        cmocka_unit_test(test_app_limited_lowers_nothing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_short_path_starts_gently),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_connections_age),
        cmocka_unit_test(test_connections_age_in_drain),
        cmocka_unit_test(test_is_foreseen),
        cmocka_unit_test(test_is_not_foreseen),
        cmocka_unit_test(test_foreseen_no_longer),
        cmocka_unit_test(test_gaps_wear_nothing_away),
        cmocka_unit_test(test_aged_behind_a_change),
        cmocka_unit_test(test_startup_doubles_at_most),
    };
    return cmocka_run_group_tests_name("bbr", tests, NULL, NULL);
}
