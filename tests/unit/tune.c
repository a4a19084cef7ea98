#include "sched/tune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/fixed.h"
#include "tests/unit/path.h"

struct world {
    struct path path;
    struct rounds rounds;
    struct tune tune;
};

static void open_world(struct world *w, double start)
{
    path_init(&w->path);
    rounds_init(&w->rounds);
    tune_init(&w->tune, &(struct cc_limits){2, start, 128});
}

static double drive(struct world *w, double seconds)
{
    return path_drive(&w->path, &w->tune.cc, &w->rounds, seconds);
}

static const struct test_path {
    double capacity, connection, latency_s, noise;
    uint64_t rtt_ms;
} paths[] = {
    {125e6, 30e6, 0.1, 0.01, 50},   {125e6, 3e6, 0.1, 0.03, 100},  {125e6, 90e6, 0.02, 0.02, 20},
    {625e6, 30e6, 0.12, 0.02, 100}, {12.5e6, 5e6, 0.3, 0.05, 200},
};

static void use_path(struct world *w, const struct test_path *path)
{
    w->path.capacity = path->capacity;
    w->path.connection = path->connection;
    w->path.latency_s = path->latency_s;
    w->path.noise = path->noise;
    w->path.rtt_ns = path->rtt_ms * NS_PER_MS;
}

/* Found within seconds, and then left alone: the price of probing. */
static void test_stationary(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct world w;
        open_world(&w, 4);
        use_path(&w, &paths[i]);
        drive(&w, 20);
        assert_true(drive(&w, 120) > 0.98 * w.path.capacity);
        assert_true(w.tune.level < 1.6 * path_knee(&w.path) + 1);
    }
}

/* From a window that is far too large on a short path: fewer bring as much. */
static void test_comes_down(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 64);
    w.path.capacity = 2e9;
    w.path.connection = 0.5e9;
    w.path.latency_s = 1e-4;
    w.path.rtt_ns = 100 * NS_PER_US;
    drive(&w, 120);
    assert_true(w.tune.level < 16);
    assert_true(drive(&w, 60) > 0.98 * w.path.capacity);
}

/* A short path is left as it is until an experiment says more, and finds it. */
static void test_short_path(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 8);
    w.path.capacity = 2e9;
    w.path.connection = 50e6; /* a server that is slow for each: 40 are needed */
    w.path.latency_s = 1e-3;
    w.path.rtt_ns = 200 * NS_PER_US;
    drive(&w, 1);
    assert_true(w.tune.cc.window == 8);
    drive(&w, 10);
    assert_true(w.tune.level > 30);
}

static void test_changes(void **state)
{
    static const double steps[][2] = {{0.3, 1}, {1, 0.2}, {1, 1}, {0.3, 0.3}, {1, 1}};
    struct world w;
    (void)state;
    open_world(&w, 4);
    drive(&w, 30);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        w.path.capacity = 125e6 * steps[i][0];
        w.path.connection = 30e6 * steps[i][1];
        drive(&w, 3);
        assert_true(drive(&w, 5) > 0.9 * w.path.capacity);
        drive(&w, 22);
    }
}

/* Round trips of 20, 120 and again 20 ms, of requests that mostly wait. */
static void test_round_trips_change(void **state)
{
    static const uint64_t steps_ms[] = {120, 20, 60, 120};
    struct world w;
    (void)state;
    open_world(&w, 4);
    use_path(&w, &(struct test_path){125e6, 200e6, 0.02, 0.02, 20});
    drive(&w, 30);
    for (size_t i = 0; i < ARRAY_COUNT(steps_ms); i++) {
        w.path.latency_s = (double)steps_ms[i] / 1e3;
        w.path.rtt_ns = steps_ms[i] * NS_PER_MS;
        drive(&w, 3);
        assert_true(drive(&w, 20) > 0.9 * w.path.capacity);
    }
}

/* Parts that take a quarter of a minute: less in flight shows when they have ended, not before, so
 * that for a while it seems to cost nothing. */
static void test_long_parts(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 8; seed++) {
        struct world w;
        open_world(&w, 8);
        use_path(&w, &(struct test_path){62.5e6, 1.2e6, 0.1, 0.02, 50});
        rand_init(&w.path.rand, seed);
        w.path.drain = 0.004; /* a tick of 50 ms: a half of them in 9 s */
        drive(&w, 60);
        double least = 1;
        for (int i = 0; i < 30; i++)
            least = fmin(least, drive(&w, 20) / w.path.capacity);
        print_message("seed %u: %.3f at least, %.0f of %.0f\n", seed, least, w.tune.level,
                      path_knee(&w.path));
        assert_true(least > 0.95);
    }
}

/* Each kind of step, both ways, wherever in a rest or an experiment it comes. */
static void test_steps(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(path_steps) * 2; i++)
        for (uint32_t phase = 0; phase < 50; phase++) {
            struct world w;
            open_world(&w, 8);
            double level =
                path_recover(&w.path, &w.tune.cc, &w.rounds, &path_steps[i / 2], i % 2, phase);
            if (level <= 0.9) print_error("step %u, phase %u: %.2f\n", i, phase, level);
            assert_true(level > 0.9);
        }
}

struct aging { /* of connections: how fast they are in the end, and how soon */
    double last, seconds;
};

/* The mean rate from 4 to 20 s. */
static double age(const struct aging *aging, struct world *w, struct cc *cc)
{
    uint64_t begun = 0;
    w->path.capacity = 62.5e6;
    w->path.rtt_ns = 100 * NS_PER_MS;
    w->path.noise = 0.03;
    for (int t = 0; t < 200; t++) {
        w->path.connection = aging->last + 12e6 * exp(-t * 0.1 / aging->seconds);
        if (t == 40) begun = w->path.totals.delivered_bytes;
        path_drive(&w->path, cc, &w->rounds, 0.1);
    }
    return (double)(w->path.totals.delivered_bytes - begun) / 16;
}

/* Random losses: connections begin fast, and each becomes slower with its losses, so that a path
 * that was full with eight needs many more some seconds later. */
static void test_connections_get_slower(void **state)
{
    static const struct aging rows[] = {{4e6, 5}, {1.5e6, 2}, {4e6, 2}, {1.5e6, 5}, {0.8e6, 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct world w;
        struct fixed enough;
        open_world(&w, 8);
        fixed_init(&enough, &(struct cc_limits){1, 64, 64});
        double most = age(&rows[i], &w, &enough.cc);
        open_world(&w, 8);
        double found = age(&rows[i], &w, &w.tune.cc);
        if (found <= 0.92 * most) print_error("row %zu: %.3f\n", i, found / most);
        assert_true(found > 0.92 * most);
    }
}

/* An hour of noise is no change. */
static void test_noise_is_no_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths) * 2; i++) {
        struct world w;
        open_world(&w, 8);
        use_path(&w, &paths[i / 2]);
        w.path.noise = i % 2 ? 0.05 : 0.02;
        drive(&w, 30);
        w.path.startups = 0;
        assert_true(drive(&w, 3600) > 0.98 * w.path.capacity);
        assert_int_equal(w.path.startups, 0);
    }
}

/* Next to nothing comes for a while that begins within a tick, and then all of it again. Returns
 * the largest window until the next one. */
static double pause_once(struct world *w, double pause_ms, double begin)
{
    double capacity = w->path.capacity, left = pause_ms / 50, most = 0;
    double first = fmin(1 - begin, left);
    for (int tick = 0; tick < 200; tick++) { /* 10 s */
        double low = tick == 0 ? first : fmin(1, left);
        left -= low;
        w->path.capacity = capacity * (1 - 0.96 * low);
        drive(w, 0.05);
        most = fmax(most, w->rounds.window);
    }
    w->path.capacity = capacity;
    return most;
}

/* A server under the kernel's bbr pauses every ten seconds, for 200 ms and a round trip: that is no
 * change of the path, in whatever phase of what is done here it comes. */
static void test_pauses_are_no_change(void **state)
{
    static const struct {
        double rtt_ms;
        uint32_t starts_max; /* in 600 pauses */
        double most;         /* requests in flight; the path needs 3 or 4 */
    } rows[] = {{20, 6, 24}, {50, 6, 24}, {100, 12, 64}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint32_t starts = 0;
        double most = 0;
        for (uint32_t seed = 1; seed <= 20; seed++) {
            struct world w;
            struct rand rand;
            open_world(&w, 8);
            use_path(&w, &(struct test_path){25e6, 12e6, rows[i].rtt_ms / 1e3, 0.02,
                                             (uint64_t)rows[i].rtt_ms});
            w.path.part_bytes = 16 * MIB;
            rand_init(&w.path.rand, seed);
            rand_init(&rand, 77 + seed);
            drive(&w, 5 + 10 * rand_unit(&rand));
            w.path.startups = 0;
            for (int k = 0; k < 30; k++)
                most = fmax(most, pause_once(&w, 200 + rows[i].rtt_ms, rand_unit(&rand)));
            starts += w.path.startups;
        }
        print_message("pauses, %.0f ms: %u starts, %.0f in flight at most\n", rows[i].rtt_ms,
                      starts, most);
        assert_true(starts <= rows[i].starts_max);
        assert_true(most <= rows[i].most);
    }
}

/* A rate that comes and goes is no pause: neither is an experiment held up by it, nor it missed. */
static void test_falls_in_an_experiment(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 8; seed++) {
        struct world w;
        open_world(&w, 8);
        use_path(&w, &paths[0]);
        rand_init(&w.path.rand, seed);
        drive(&w, 10);
        for (int i = 0; i < 2000 && w.tune.state != TUNE_TRY; i++)
            drive(&w, 0.05);
        assert_int_equal(w.tune.state, TUNE_TRY);
        struct sample sample = {.now_ns = w.path.now_ns,
                                .interval_ns = 200 * NS_PER_MS,
                                .rtt_ns = w.path.rtt_ns,
                                .answer_ns = 100 * NS_PER_MS,
                                .cpu_share = 1}; /* no pulses between */
        double level = exp(w.tune.scout.change.level);
        bool news = false;
        for (int k = 0; k < 12 && !news; k++) {
            sample.now_ns += sample.interval_ns;
            sample.rate_bytes_per_s = level * (k % 2 ? 0.8 : 0.3);
            news = cc_on_glance(&w.tune.cc, &sample);
            if (k % 2) assert_false(w.tune.scout.falling);
        }
        assert_true(news);
    }
}

struct uneven {            /* by nature: a path whose capacity is another each time */
    double depth, seconds; /* of the most, and how long each lasts */
    uint64_t rtt_ms;
    uint32_t starts_max; /* in 20 minutes, the first included */
};

/* Seconds of it; returns what part of the capacity was used. */
static double drive_uneven(struct world *w, const struct uneven *uneven, double most,
                           struct rand *rand, double seconds)
{
    double moved = 0, could = 0;
    for (double t = 0; t < seconds; t += uneven->seconds) {
        w->path.capacity = most * (1 - uneven->depth * rand_unit(rand));
        moved += drive(w, uneven->seconds);
        could += w->path.capacity;
    }
    w->path.capacity = most * (1 - uneven->depth / 2); /* the mean */
    return moved / could;
}

static void open_uneven(struct world *w, const struct uneven *uneven, uint64_t seed,
                        struct rand *rand)
{
    open_world(w, 8);
    rand_init(rand, 1000 + seed);
    rand_init(&w->path.rand, seed);
    w->path.rtt_ns = uneven->rtt_ms * NS_PER_MS;
    w->path.latency_s = (double)uneven->rtt_ms / 1e3;
}

/* Capacity that is never the same: it begins anew a few times, then it knows; and the window is
 * that of the path, not what chance has added up. */
static void test_uneven_path(void **state)
{
    static const struct uneven rows[] = {
        {0.3, 1, 100, 4}, {0.3, 1, 50, 6},  {0.3, 1, 20, 8},   {0.3, 5, 100, 6},
        {0.1, 1, 100, 4}, {0.1, 5, 100, 4}, {0.3, 20, 100, 6}, {0.46, 5, 100, 12},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct world w;
            struct rand rand;
            open_uneven(&w, &rows[i], seed, &rand);
            double used = drive_uneven(&w, &rows[i], 62.5e6, &rand, 1200);
            double right = fmax(path_knee(&w.path), w.tune.cc.limits.min);
            bool good =
                used > 0.95 && w.tune.level <= 3 * right && w.path.startups <= rows[i].starts_max;
            if (!good)
                print_error("row %zu, seed %u: used %.3f, window %.1f of %.1f, %u starts\n", i,
                            (uint32_t)seed, used, w.tune.level, right, w.path.startups);
            assert_true(good);
        }
}

/* Where it has become hard of hearing, a step by a factor of three is found all the same. */
static void test_step_of_an_uneven_path(void **state)
{
    static const struct uneven rows[] = {{0.3, 1, 100, 0}, {0.3, 5, 100, 0}, {0.3, 1, 50, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows) * 3; i++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            const struct uneven *uneven = &rows[i / 3];
            struct world w;
            struct rand rand;
            open_uneven(&w, uneven, seed, &rand);
            drive_uneven(&w, uneven, 62.5e6, &rand, 600 + (double)seed * 2.3);
            double most = i % 3 == 0 ? 62.5e6 / 3 : 62.5e6;
            if (i % 3 == 1) w.path.connection = 4e6;
            if (i % 3 == 2) drive_uneven(&w, uneven, 62.5e6 / 3, &rand, 60); /* and up again */
            w.path.startups = 0;
            drive_uneven(&w, &(struct uneven){uneven->depth, 1, uneven->rtt_ms, 0}, most, &rand, 3);
            uint32_t found = w.path.startups;
            double used = drive_uneven(&w, uneven, most, &rand, 5);
            if (used <= 0.9 || !found)
                print_error("row %zu, seed %u: %.3f, found %u\n", i, (uint32_t)seed, used, found);
            assert_true(used > 0.9);
            assert_int_not_equal(found, 0);
        }
}

/* What comes slowly there, or is hidden behind the window, is found by experiments. */
static void test_uneven_path_needs_more(void **state)
{
    static const struct uneven uneven = {0.3, 1, 100, 0};
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bool slowly = seed % 2;
        struct world w;
        struct rand rand;
        open_uneven(&w, &uneven, seed, &rand);
        w.path.connection = slowly ? 30e6 : 4e6;
        drive_uneven(&w, &uneven, slowly ? 62.5e6 : 62.5e6 / 3, &rand, 600);
        for (int t = 0; slowly && t < 120; t++) {
            w.path.connection *= 0.98; /* to 2.7e6 */
            drive_uneven(&w, &uneven, 62.5e6, &rand, 1);
        }
        drive_uneven(&w, &uneven, 62.5e6, &rand, slowly ? 60 : 3);
        double used = drive_uneven(&w, &uneven, 62.5e6, &rand, 60);
        if (used <= 0.8) print_error("seed %u: %.3f\n", (uint32_t)seed, used);
        assert_true(used > 0.8);
    }
}

/* Cores without time left get no more in flight, and lose what is too much. */
static void test_busy_cores(void **state)
{
    (void)state;
    for (uint64_t rtt_ms = 0; rtt_ms < 100; rtt_ms += 50) {
        struct world w;
        open_world(&w, 8);
        w.path.capacity = 2e9;
        w.path.connection = 0.5e9;
        w.path.cpu = 1e9;
        w.path.latency_s = 1e-4 + (double)rtt_ms / 1e3;
        w.path.rtt_ns = rtt_ms * NS_PER_MS + 100 * NS_PER_US;
        w.path.part_bytes = rtt_ms > 0 ? 32 * MIB : 8 * MIB;
        for (int i = 0; i < 600; i++) {
            drive(&w, 0.1);
            assert_true(w.tune.cc.window <= 8);
        }
        assert_true(drive(&w, 60) > 0.98 * w.path.cpu);
        assert_true(w.tune.level < 8);
    }
}

/* A server that is slower with more than n0 in flight, and refuses beyond 1.5 n0. */
static void test_server_knee(void **state)
{
    static const double knees[] = {8, 16, 32};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(knees); i++) {
        struct world w;
        struct fixed fixed;
        uint64_t refused[2];
        double rates[2];
        fixed_init(&fixed, &(struct cc_limits){1, 64, 64});
        for (uint32_t k = 0; k < 2; k++) {
            open_world(&w, 8);
            w.path.capacity = w.path.connection = 1e12;
            w.path.knee = knees[i];
            w.path.refuse = 1.5 * knees[i];
            rates[k] = path_drive(&w.path, k ? &w.tune.cc : &fixed.cc, &w.rounds, 120);
            refused[k] = w.path.totals.refusals;
        }
        assert_true(refused[0] >= 10 * refused[1]);
        assert_true(rates[1] > 0.95 * rates[0]);
        assert_true(w.tune.level > 0.8 * knees[i] && w.tune.level < 1.2 * knees[i]);
    }
}

static void test_refusals(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 8);
    w.path.capacity = w.path.connection = 1e12;
    w.path.knee = 16;
    w.path.refuse = 24;
    drive(&w, 20);
    uint64_t refused = w.path.totals.refusals, asked = w.path.totals.requests;
    double rate = drive(&w, 100);
    asked = w.path.totals.requests - asked;
    assert_true(w.path.totals.refusals - refused <= asked / 100);
    assert_true(w.tune.level > 0.8 * 16 && w.tune.level < 1.2 * 16);
    assert_true(rate > 0.95 * 16 * w.path.part_bytes / w.path.latency_s);
}

static void test_without_work_nothing_moves(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, 4);
    drive(&w, 30);
    double level = w.tune.level;
    w.path.work = 1;
    drive(&w, 60);
    assert_true(w.tune.level == level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stationary),
        cmocka_unit_test(test_comes_down),
        cmocka_unit_test(test_short_path),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_round_trips_change),
        cmocka_unit_test(test_long_parts),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_connections_get_slower),
        cmocka_unit_test(test_noise_is_no_change),
        cmocka_unit_test(test_pauses_are_no_change),
        cmocka_unit_test(test_falls_in_an_experiment),
        cmocka_unit_test(test_uneven_path),
        cmocka_unit_test(test_step_of_an_uneven_path),
        cmocka_unit_test(test_uneven_path_needs_more),
        cmocka_unit_test(test_busy_cores),
        cmocka_unit_test(test_server_knee),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_work_nothing_moves),
    };
    return cmocka_run_group_tests_name("tune", tests, NULL, NULL);
}
