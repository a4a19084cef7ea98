/* The scheduler simulated: cores with slots, thousands of prefixes, and a server that limits them;
 * no I/O, virtual time, seeded: SCHEDULE_SEED=n is another one (several cores: tests/unit/cores).
 * What is handed out is what the product hands out: sched/fair over sched/prefixes. A request that
 * the server refuses comes again after a while, in its slot. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"
#include "sched/fair.h"

#define CORES    4u
#define SLOTS    64u /* of all cores */
#define TICK_NS  (50 * NS_PER_MS)
#define BACK_OFF (500 * NS_PER_MS)

struct job {
    struct task task;
    uint64_t due_ns; /* when it ends, or comes again */
    bool again;
};

struct server {                    /* of one prefix */
    double service_s, limit_per_s; /* 0: no limit */
    uint64_t next_ns;              /* of a bucket of one second's requests */
};

struct tally { /* of one prefix */
    uint64_t bytes, done, requests, refused, last_ns;
};

static struct world {
    struct prefixes prefixes;
    struct prefixes_cell *cells[CORES];
    struct fair fair;
    struct server *servers;
    struct tally *tallies;
    struct job *jobs; /* in slots; a heap by due_ns would be faster, 64 are few */
    uint32_t prefix_count, slots;
    uint64_t now_ns, idle_ns, tick_ns;
    uint32_t flight;
    struct rand rand;
    uint64_t (*bytes_of)(struct world *w, uint32_t prefix);
} world;

static uint64_t equal_bytes(struct world *w, uint32_t prefix)
{
    (void)w;
    (void)prefix;
    return 1 * MIB;
}

static uint64_t any_bytes(struct world *w, uint32_t prefix)
{
    (void)prefix;
    return 1 + rand_below(&w->rand, 4 * MIB);
}

/* 1 : 1000 */
static uint64_t skewed_bytes(struct world *w, uint32_t prefix)
{
    (void)w;
    return prefix % 2 ? 8 * MIB : 8 * KIB;
}

static struct world *open_world(uint32_t prefix_count, enum prefixes_kind kind)
{
    const char *given = getenv("SCHEDULE_SEED");
    struct world *w = &world;
    char name[32];

    memset(w, 0, sizeof *w);
    rand_init(&w->rand, given ? strtoull(given, NULL, 0) : 7);
    w->prefix_count = prefix_count;
    w->slots = SLOTS;
    w->bytes_of = equal_bytes;
    assert_int_equal(prefixes_open(&w->prefixes, kind, 0), ERR_NONE);
    assert_int_equal(fair_open(&w->fair, &w->prefixes), ERR_NONE);
    w->fair.slots = SLOTS;
    for (uint32_t i = 0; i < CORES; i++) {
        w->cells[i] = calloc(PREFIXES_MAX, sizeof *w->cells[i]);
        prefixes_join(&w->prefixes, w->cells[i]);
    }
    w->servers = calloc(prefix_count + 1, sizeof *w->servers);
    w->tallies = calloc(prefix_count + 1, sizeof *w->tallies);
    w->jobs = calloc(SLOTS, sizeof *w->jobs);
    for (uint32_t i = 1; i <= prefix_count; i++) {
        snprintf(name, sizeof name, "run/%u/", i);
        assert_int_equal(prefixes_find(&w->prefixes, bytes_of(name), 0), i);
        w->servers[i].service_s = 0.02;
    }
    return w;
}

static void close_world(struct world *w)
{
    for (uint32_t i = 0; i < CORES; i++)
        free(w->cells[i]);
    free(w->servers);
    free(w->tallies);
    free(w->jobs);
    fair_close(&w->fair);
    prefixes_close(&w->prefixes);
}

/* Every prefix has two tasks waiting, for ever. */
static struct task *new_task(struct world *w, uint32_t prefix)
{
    struct task *task = calloc(1, sizeof *task);

    task_init(task, 0, TASK_THEN);
    task->prefix = (uint16_t)prefix;
    task->bytes = w->bytes_of(w, prefix);
    return task;
}

static void refill(struct world *w, uint32_t prefix)
{
    while (w->prefixes.entries[prefix].queued < 2)
        fair_push(&w->fair, new_task(w, prefix));
}

static bool server_refuses(struct world *w, uint32_t prefix)
{
    struct server *server = &w->servers[prefix];

    if (server->limit_per_s <= 0) return false;
    uint64_t interval_ns = (uint64_t)((double)NS_PER_S / server->limit_per_s);
    uint64_t now_ns = w->now_ns + NS_PER_S; /* a second's worth is saved up */
    if (server->next_ns < w->now_ns) server->next_ns = w->now_ns;
    if (server->next_ns > now_ns) return true;
    server->next_ns += interval_ns;
    return false;
}

static void ask(struct world *w, struct job *job, uint32_t core)
{
    uint32_t prefix = job->task.prefix;
    struct prefixes_cell *cell = &w->cells[core][prefix];
    double service_s = w->servers[prefix].service_s * (0.5 + rand_unit(&w->rand));

    w->tallies[prefix].requests++;
    job->again = server_refuses(w, prefix);
    if (job->again) {
        w->tallies[prefix].refused++;
        meter_add(&cell->refused, 1);
        job->due_ns = w->now_ns + 1 + rand_below(&w->rand, BACK_OFF);
        return;
    }
    job->due_ns = w->now_ns + 1 + (uint64_t)(service_s * (double)NS_PER_S);
}

static void hand_out(struct world *w)
{
    for (uint32_t i = 0; i < w->slots; i++) {
        if (w->jobs[i].due_ns > 0) continue;
        struct task *task = fair_pop(&w->fair, w->now_ns);
        if (!task) return;
        w->jobs[i].task = *task;
        free(task);
        w->flight++;
        refill(w, w->jobs[i].task.prefix);
        ask(w, &w->jobs[i], i % CORES);
    }
}

static void end_job(struct world *w, uint32_t slot)
{
    struct job *job = &w->jobs[slot];
    uint32_t prefix = job->task.prefix;
    struct tally *tally = &w->tallies[prefix];

    if (job->again) {
        ask(w, job, slot % CORES);
        return;
    }
    struct prefixes_cell *cell = &w->cells[slot % CORES][prefix];
    meter_add(&cell->answered, 1);
    meter_add(&cell->answer_ns, (uint64_t)(w->servers[prefix].service_s * (double)NS_PER_S));
    tally->bytes += job->task.bytes;
    tally->done++;
    tally->last_ns = w->now_ns;
    job->due_ns = 0;
    w->flight--;
    prefixes_on_back(&w->prefixes, prefix);
    fair_unblock(&w->fair, prefix);
}

static uint32_t next_job(const struct world *w)
{
    uint32_t next = SLOTS;

    for (uint32_t i = 0; i < w->slots; i++)
        if (w->jobs[i].due_ns > 0 && (next == SLOTS || w->jobs[i].due_ns < w->jobs[next].due_ns))
            next = i;
    return next;
}

static void run_for(struct world *w, double seconds)
{
    uint64_t until_ns = w->now_ns + (uint64_t)(seconds * (double)NS_PER_S);

    for (uint32_t i = 1; i <= w->prefix_count; i++)
        refill(w, i);
    while (w->now_ns < until_ns) {
        hand_out(w);
        uint32_t next = next_job(w);
        uint64_t due_ns = next < SLOTS ? w->jobs[next].due_ns : UINT64_MAX;
        if (due_ns > w->tick_ns) {
            w->idle_ns += (w->slots - w->flight) * (w->tick_ns - w->now_ns);
            w->now_ns = w->tick_ns;
            w->tick_ns += TICK_NS;
            (void)prefixes_tick(&w->prefixes, w->now_ns);
            fair_unblock_all(&w->fair);
        } else {
            w->idle_ns += (w->slots - w->flight) * (due_ns - w->now_ns);
            w->now_ns = due_ns;
            end_job(w, next);
        }
    }
}

static void drain(struct world *w)
{
    struct task *task;

    w->prefixes.open = true;
    fair_unblock_all(&w->fair);
    while ((task = fair_pop(&w->fair, w->now_ns)) != NULL)
        free(task);
    close_world(w);
}

static void forget(struct world *w)
{
    memset(w->tallies, 0, (w->prefix_count + 1) * sizeof *w->tallies);
    w->idle_ns = 0;
}

/* Thousands of prefixes, sizes that differ: each gets its share within 5 %, no slot is idle. */
static void test_shares(void **state)
{
    static uint64_t (*const sizes[])(struct world *, uint32_t) = {equal_bytes, any_bytes,
                                                                  skewed_bytes};
    (void)state;
    for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
        struct world *w = open_world(s == 2 ? 200 : 2000, PREFIXES_FAIR);
        double total = 0;
        w->bytes_of = sizes[s];
        run_for(w, 60);
        for (uint32_t i = 1; i <= w->prefix_count; i++)
            total +=
                (double)w->tallies[i].bytes + (double)(w->tallies[i].done * FAIR_REQUEST_BYTES);
        double share = total / w->prefix_count;
        for (uint32_t i = 1; i <= w->prefix_count; i++) {
            struct tally *tally = &w->tallies[i];
            double got = (double)tally->bytes + (double)(tally->done * FAIR_REQUEST_BYTES);
            double task = s == 0 ? 1 * MIB : s == 1 ? 4 * MIB : 8 * MIB;
            assert_true(fabs(got - share) < 0.05 * share + 2 * task);
        }
        assert_true(w->idle_ns < w->now_ns * w->slots / 1000);
        drain(w);
    }
}

/* One that waits with a single task among many heavy ones is served in the round. */
static void test_nobody_starves(void **state)
{
    struct world *w = open_world(1000, PREFIXES_FAIR);
    (void)state;
    w->bytes_of = skewed_bytes;
    for (uint32_t i = 1; i <= w->prefix_count; i++)
        w->servers[i].service_s = i % 10 ? 0.005 : 0.02;
    run_for(w, 40);
    for (uint32_t i = 1; i <= w->prefix_count; i++)
        assert_true(w->tallies[i].done > 0 && w->now_ns - w->tallies[i].last_ns < 10 * NS_PER_S);
    drain(w);
}

/* A prefix that is four times slower gets a quarter, and as many slots as the others. */
static void test_slow_prefix(void **state)
{
    struct world *w = open_world(8, PREFIXES_FAIR);
    (void)state;
    w->servers[3].service_s = 0.08;
    run_for(w, 5);
    forget(w);
    run_for(w, 30);
    for (uint32_t i = 1; i <= 8; i++) {
        double ratio = (double)w->tallies[i].bytes / (double)w->tallies[1].bytes;
        assert_true(fabs(ratio / (i == 3 ? 0.25 : 1) - 1) < 0.05);
    }
    w->servers[3].service_s = 0.02; /* and as fast as the others again */
    run_for(w, 10);
    forget(w);
    run_for(w, 30);
    assert_true(fabs((double)w->tallies[3].bytes / (double)w->tallies[1].bytes - 1) < 0.21);
    drain(w);
}

/* The others without the limited one: what they would get. */
static double others(const struct world *w)
{
    double done = 0;
    for (uint32_t i = 2; i <= w->prefix_count; i++)
        done += (double)w->tallies[i].done;
    return done;
}

static void check_limited(struct world *w, double limit_per_s, double seconds)
{
    const struct tally *tally = &w->tallies[1];
    assert_true((double)tally->done > 0.85 * limit_per_s * seconds);
    assert_true((double)tally->refused <= 0.01 * (double)tally->requests);
}

static const double limits[] = {100, 25, 100, 20, 10, 40, 10, 100, 10};

/* How much of a limit is used, once it has had time to be found. */
static double use_limit(struct world *w, size_t i)
{
    w->servers[1].limit_per_s = limits[i];
    run_for(w, i > 0 && limits[i] > limits[i - 1] ? 30 : 5); /* what has grown must be found */
    forget(w);
    run_for(w, 120);
    return (double)w->tallies[1].done / limits[i] / 120;
}

/* A prefix that is limited: after 5 s at most 1 % are refused, it has what it may have, and the
 * others have lost nothing; after each step of the limit as well. */
static void test_limited_prefix(void **state)
{
    struct world *w = open_world(8, PREFIXES_FAIR);
    (void)state;
    run_for(w, 5);
    forget(w);
    run_for(w, 30);
    double before = others(w) / 7;
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        (void)use_limit(w, i);
        check_limited(w, limits[i], 120);
        assert_true(others(w) / 7 / 4 > 0.95 * before);
    }
    w->servers[1].limit_per_s = 0;
    run_for(w, 60);
    forget(w);
    run_for(w, 30);
    assert_true((double)w->tallies[1].done > 0.95 * others(w) / 7);
    assert_int_equal(w->prefixes.entries[1].prefix.state, PREFIX_FREE);
    drain(w);
}

/* Whatever chance does: never more than 1 % are refused, 0.8 of each limit is used at worst (just
 * after it rose fourfold), and 0.92 on the mean. (7 to 40: 0.95.) */
static void test_limited_by_seeds(void **state)
{
    static const uint64_t seeds[] = {12, 17}; /* the two worst of 7 to 40 */
    double sum = 0;
    (void)state;
    for (size_t s = 0; s < ARRAY_COUNT(seeds); s++) {
        struct world *w = open_world(8, PREFIXES_FAIR);
        rand_init(&w->rand, seeds[s]);
        run_for(w, 5);
        for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
            double used = use_limit(w, i);
            assert_true(used > 0.8);
            assert_true((double)w->tallies[1].refused <= 0.01 * (double)w->tallies[1].requests);
            sum += used;
        }
        drain(w);
    }
    assert_true(sum / (double)(ARRAY_COUNT(seeds) * ARRAY_COUNT(limits)) > 0.92);
}

/* All are limited: refusals are counted as the server's as well, and each settles. */
static void test_all_limited(void **state)
{
    struct world *w = open_world(16, PREFIXES_FAIR);
    (void)state;
    for (uint32_t i = 1; i <= 16; i++)
        w->servers[i].limit_per_s = 50;
    run_for(w, 10);
    assert_true(w->prefixes.common_refusals > 0);
    forget(w);
    run_for(w, 60);
    for (uint32_t i = 1; i <= 16; i++) {
        assert_true(w->tallies[i].done > 0.85 * 50 * 60);
        assert_true(w->tallies[i].refused <= w->tallies[i].requests / 100);
    }
    drain(w);
}

/* Each has its fixed part, though the others have nothing to do: what fair is compared with. */
static void test_static(void **state)
{
    struct world *w = open_world(8, PREFIXES_STATIC);
    (void)state;
    w->servers[3].service_s = 0.08;
    run_for(w, 20);
    assert_true(fabs((double)w->tallies[3].done / (double)w->tallies[1].done - 0.25) < 0.02);
    for (uint32_t i = 1; i <= 8; i++)
        assert_true(w->prefixes.entries[i].prefix.in_flight <= SLOTS / 8);
    drain(w);
}

/* Without control all is one flow, in order. */
static void test_none(void **state)
{
    struct prefixes prefixes;
    struct fair fair;
    struct task tasks[5], *task;
    (void)state;
    assert_int_equal(prefixes_open(&prefixes, PREFIXES_NONE, 0), ERR_NONE);
    assert_int_equal(fair_open(&fair, &prefixes), ERR_NONE);
    for (uint32_t i = 0; i < 5; i++) {
        task_init(&tasks[i], 0, TASK_THEN);
        tasks[i].prefix = prefixes_find(&prefixes, i % 2 ? BYTES("a/") : BYTES("b/"), 0);
        fair_push(&fair, &tasks[i]);
    }
    for (uint32_t i = 0; (task = fair_pop(&fair, 0)) != NULL; i++)
        assert_ptr_equal(task, &tasks[i]);
    fair_close(&fair);
    prefixes_close(&prefixes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),      cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_slow_prefix), cmocka_unit_test(test_limited_prefix),
        cmocka_unit_test(test_all_limited), cmocka_unit_test(test_static),
        cmocka_unit_test(test_none),        cmocka_unit_test(test_limited_by_seeds),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
