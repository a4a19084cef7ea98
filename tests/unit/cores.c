/* The scheduler over N cores, simulated: sched/lend over sched/fair, thousands of prefixes, cores
 * of different size and speed in one thread. No I/O; time is counted in steps, in which all
 * messages arrive; seeded: CORES_SEED=n runs that seed alone. */
#include "sched/lend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define SEATS_MAX           8u
#define JOBS_MAX            8192u
#define SETTLE_TURNS        12u /* of all cores: more than the few trips that a want can take */
#define LARGEST_EACH        30u /* a run: as many of the largest tasks a prefix: one is 3.3 % */
#define QUEUED              2u  /* tasks of each prefix that wait, always */
#define SIZE_MAX_OF(skewed) ((skewed) ? 8 * MIB : 4 * MIB)

struct job {
    struct task task;
    struct link link; /* while it runs, or is free */
    uint32_t left;    /* steps */
};

struct seat { /* a core */
    struct core core;
    struct lend lend;
    struct list runs;
    uint32_t running, slots, wanted;
    uint32_t slowness; /* steps that each task takes more here */
};

struct tally {     /* of a prefix */
    uint64_t cost; /* of what was handed out, as sched/fair counts */
    uint64_t out, home, last_step, gap_most;
};

static struct world {
    struct seat seats[SEATS_MAX];
    struct core *cores[SEATS_MAX];
    struct lend *lends[SEATS_MAX];
    struct prefixes prefixes;
    struct fair fairs[TASK_RANKS];
    struct job jobs[JOBS_MAX];
    struct list free;
    struct tally *tallies;
    uint32_t seat_count, prefix_count;
    uint64_t seed, step, cost, out, home;
    bool skewed, closing;
    struct rand rand;
} world;

static void on_task(struct lend *lend, struct task *task)
{
    struct seat *seat = container_of(lend, struct seat, lend);
    struct job *job = container_of(task, struct job, task);
    struct tally *tally = &world.tallies[task->prefix];
    uint64_t gap = world.step - tally->last_step;

    assert_true(seat->wanted > 0);
    seat->wanted--;
    seat->running++;
    if (gap > tally->gap_most) tally->gap_most = gap;
    tally->last_step = world.step;
    tally->cost += task->bytes + FAIR_REQUEST_BYTES;
    tally->out++;
    world.cost += task->bytes + FAIR_REQUEST_BYTES;
    world.out++;
    job->left += seat->slowness;
    list_push(&seat->runs, &job->link);
}

/* Its memory is the home core's again, and only there. */
static void on_return(struct lend *lend, struct task *task)
{
    struct seat *seat = container_of(lend, struct seat, lend);
    struct job *job = container_of(task, struct job, task);

    assert_int_equal(seat->core.index, 0);
    assert_int_equal(task->home, 0);
    world.tallies[task->prefix].home++;
    world.home++;
    list_push(&world.free, &job->link);
}

static void open_seat(uint16_t index)
{
    struct core_options options = {.index = index, .cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    struct seat *seat = &world.seats[index];
    int raw;

    assert_int_equal(core_open(&seat->core, &options, &raw), ERR_NONE);
    list_init(&seat->runs);
    lend_init(&seat->lend, &seat->core, on_task, on_return);
    seat->slots = 1 + (uint32_t)rand_below(&world.rand, 16);
    seat->slowness = (uint32_t)rand_below(&world.rand, 4);
    world.lends[index] = &seat->lend;
    world.cores[index] = &seat->core;
}

static void open_world(uint64_t seed)
{
    char name[32];

    memset(&world, 0, sizeof world);
    world.seed = seed;
    rand_init(&world.rand, seed);
    world.seat_count = 2 + (uint32_t)rand_below(&world.rand, SEATS_MAX - 1);
    world.skewed = seed % 2 == 0;
    world.prefix_count = world.skewed ? 300 : 1000 + (uint32_t)rand_below(&world.rand, 2000);
    list_init(&world.free);
    for (uint32_t i = 0; i < JOBS_MAX; i++)
        list_push(&world.free, &world.jobs[i].link);
    world.tallies = calloc(world.prefix_count + 1, sizeof *world.tallies);
    assert_int_equal(prefixes_open(&world.prefixes, PREFIXES_FAIR, 0), ERR_NONE);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        assert_int_equal(fair_open(&world.fairs[rank], &world.prefixes), ERR_NONE);
    for (uint32_t i = 1; i <= world.prefix_count; i++) {
        snprintf(name, sizeof name, "run/%u/", i);
        assert_int_equal(prefixes_find(&world.prefixes, bytes_of(name), 0), i);
    }
    for (uint16_t i = 0; i < world.seat_count; i++)
        open_seat(i);
    for (uint16_t i = 0; i < world.seat_count; i++) {
        assert_int_equal(core_join(world.cores[i], world.cores, (uint16_t)world.seat_count),
                         ERR_NONE);
        lend_join(world.lends[i], world.lends, (uint16_t)world.seat_count);
    }
    lend_use(world.lends[0], world.fairs); /* the home core has all the work */
}

static void close_world(void)
{
    for (uint32_t i = 0; i < world.seat_count; i++)
        core_close(world.cores[i]);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        fair_close(&world.fairs[rank]);
    prefixes_close(&world.prefixes);
    free(world.tallies);
}

/* 1 : 32 where it is skewed, else anything up to 4 MiB. */
static uint64_t bytes_of_task(uint32_t prefix)
{
    uint64_t bytes_max = SIZE_MAX_OF(world.skewed);
    if (world.skewed) return prefix % 2 ? bytes_max : bytes_max / 32;
    return 1 + rand_below(&world.rand, bytes_max);
}

static void refill(void)
{
    for (uint32_t i = 1; i <= world.prefix_count; i++)
        while (world.prefixes.entries[i].queued < QUEUED) {
            struct link *link = list_pop(&world.free);
            assert_non_null(link);
            struct job *job = container_of(link, struct job, link);
            task_init(&job->task, 0, TASK_THEN);
            job->task.prefix = (uint16_t)i;
            job->task.bytes = bytes_of_task(i);
            job->left = 1 + (uint32_t)rand_below(&world.rand, 6);
            lend_push(world.lends[0], &job->task);
        }
}

/* What has run long enough goes home, and each slot that is free wants another. */
static void run_seat(struct seat *seat)
{
    struct list still;
    struct link *link;

    list_init(&still);
    while ((link = list_pop(&seat->runs)) != NULL) {
        struct job *job = container_of(link, struct job, link);
        if (job->left > 0) {
            job->left--;
            list_push(&still, &job->link);
        } else {
            seat->running--;
            lend_return(&seat->lend, &job->task);
        }
    }
    list_move_all(&seat->runs, &still);
    uint32_t more = world.closing ? 0 : seat->slots - seat->running - seat->wanted;
    seat->wanted += more;
    if (more > 0) lend_want(&seat->lend, TASK_THEN, more);
}

/* In some order of the cores, another one each turn. */
static void step(void)
{
    world.step++;
    if (!world.closing) refill();
    for (uint32_t i = 0; i < world.seat_count; i++)
        run_seat(&world.seats[i]);
    for (uint32_t turn = 0; turn < SETTLE_TURNS; turn++) {
        uint32_t first = (uint32_t)rand_below(&world.rand, world.seat_count);
        for (uint32_t i = 0; i < world.seat_count; i++)
            core_turn(world.cores[(first + i) % world.seat_count], false);
    }
}

/* Work conserving: something waits always, so no slot of any core may be free. */
static void expect_no_idle_slot(void)
{
    for (uint32_t i = 0; i < world.seat_count; i++) {
        const struct seat *seat = &world.seats[i];
        if (seat->running != seat->slots)
            fail_msg("seed %llu, step %llu: core %u runs %u of %u", (unsigned long long)world.seed,
                     (unsigned long long)world.step, i, seat->running, seat->slots);
    }
}

/* Start-time fair queueing: two flows differ by a task of each at most, so that one waits for a
 * round of all others and of its own largest task, and is served in the next. */
static void expect_shares(void)
{
    double share = (double)world.cost / world.prefix_count;
    double largest = (double)(SIZE_MAX_OF(world.skewed) + FAIR_REQUEST_BYTES);
    double gap_max = 3 * largest * (double)world.step / share + 1;

    for (uint32_t i = 1; i <= world.prefix_count; i++) {
        struct tally *tally = &world.tallies[i];
        double got = (double)tally->cost;
        uint64_t gap = world.step - tally->last_step;
        if (gap > tally->gap_most) tally->gap_most = gap;
        if (fabs(got / share - 1) >= 0.05)
            fail_msg("seed %llu: prefix %u got %.3f of its share", (unsigned long long)world.seed,
                     i, got / share);
        if ((double)tally->gap_most >= gap_max)
            fail_msg("seed %llu: prefix %u had nothing for %llu steps of %llu",
                     (unsigned long long)world.seed, i, (unsigned long long)tally->gap_most,
                     (unsigned long long)world.step);
    }
}

static void run_seed(uint64_t seed)
{
    open_world(seed);
    double largest = (double)(SIZE_MAX_OF(world.skewed) + FAIR_REQUEST_BYTES);
    while ((double)world.cost < LARGEST_EACH * largest * world.prefix_count) {
        step();
        expect_no_idle_slot();
    }
    expect_shares();
    world.closing = true;
    for (uint32_t i = 0; i < 2 * QUEUED + 16; i++)
        step();
    assert_int_equal(world.home, world.out); /* all came home, each to its own prefix */
    for (uint32_t i = 1; i <= world.prefix_count; i++)
        assert_int_equal(world.tallies[i].home, world.tallies[i].out);
    close_world();
}

static void test_shares_over_cores(void **state)
{
    const char *given = getenv("CORES_SEED");
    (void)state;
    if (given) {
        run_seed(strtoull(given, NULL, 0));
        return;
    }
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares_over_cores)};
    return cmocka_run_group_tests_name("cores", tests, NULL, NULL);
}
