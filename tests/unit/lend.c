/* Queues of tasks and their lending: N cores in one thread, each turned in turn. */
#include "sched/lend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORKERS_MAX  8u
#define JOBS_MAX     5000u
#define SETTLE_TURNS 12u /* of all cores: more than the few trips that a want can take */

struct job {
    struct task task;
    uint32_t runs, returns;
    uint32_t left;      /* turns that it still takes */
    struct link active; /* while it runs */
};

struct worker { /* one a core */
    struct core core;
    struct lend lend;
    struct list runs;
    uint32_t running[TASK_RANKS], slots[TASK_RANKS], wanted[TASK_RANKS];
    uint32_t ran, came_home;
    uint32_t order[64]; /* the first jobs that ran here */
    bool instant;       /* a job is over at once, and the next one is wanted */
};

static struct worker workers[WORKERS_MAX];
static struct lend *lends[WORKERS_MAX];
static struct core *cores[WORKERS_MAX];
static struct job jobs[JOBS_MAX];
static uint32_t count; /* of workers */

static uint32_t job_index(const struct job *job)
{
    return (uint32_t)(job - jobs);
}

static void on_task(struct lend *lend, struct task *task)
{
    struct worker *w = container_of(lend, struct worker, lend);
    struct job *job = container_of(task, struct job, task);
    assert_true(w->wanted[task->rank] > 0); /* never more than was wanted */
    w->wanted[task->rank]--;
    job->runs++;
    if (w->ran < ARRAY_COUNT(w->order)) w->order[w->ran] = job_index(job);
    w->ran++;
    if (w->instant) {
        w->wanted[task->rank]++;
        lend_return(lend, task);
        lend_want(lend, (enum task_rank)task->rank, 1);
        return;
    }
    w->running[task->rank]++;
    list_push(&w->runs, &job->active);
}

static void on_return(struct lend *lend, struct task *task)
{
    struct worker *w = container_of(lend, struct worker, lend);
    struct job *job = container_of(task, struct job, task);
    assert_int_equal(task->home, w->core.index);
    job->returns++;
    w->came_home++;
}

static void open_workers(uint32_t number)
{
    int raw;
    count = number;
    memset(jobs, 0, sizeof jobs);
    for (uint16_t i = 0; i < count; i++) {
        struct core_options options = {.index = i, .cpu = -1, .memory_bytes = 1 * MIB, .seed = i};
        struct worker *w = &workers[i];
        memset(w, 0, sizeof *w);
        assert_int_equal(core_open(&w->core, &options, &raw), ERR_NONE);
        list_init(&w->runs);
        lend_init(&w->lend, &w->core, on_task, on_return);
        lends[i] = &w->lend;
        cores[i] = &w->core;
    }
    for (uint16_t i = 0; i < count; i++) {
        assert_int_equal(core_join(cores[i], cores, (uint16_t)count), ERR_NONE);
        lend_join(lends[i], lends, (uint16_t)count);
    }
}

static void close_workers(void)
{
    for (uint32_t i = 0; i < count; i++)
        core_close(cores[i]);
}

static void turn_all(uint32_t turns)
{
    while (turns-- > 0)
        for (uint32_t i = 0; i < count; i++)
            core_turn(cores[i], false);
}

static void push(uint32_t worker, uint32_t index, enum task_rank rank)
{
    task_init(&jobs[index].task, (uint16_t)worker, rank);
    link_init(&jobs[index].active);
    lend_push(lends[worker], &jobs[index].task);
}

static void want_rank(uint32_t worker, enum task_rank rank, uint32_t number)
{
    workers[worker].wanted[rank] += number;
    lend_want(lends[worker], rank, number);
}

static void want(uint32_t worker, uint32_t number)
{
    want_rank(worker, TASK_THEN, number);
}

static void test_ranks_in_order(void **state)
{
    (void)state;
    const uint32_t expected[] = {1, 3, 5, 0, 2, 4};
    open_workers(1);
    for (uint32_t i = 0; i < 6; i++)
        push(0, i, i % 2 ? TASK_FIRST : TASK_THEN);
    assert_int_equal(lend_queued(lends[0]), 6);
    turn_all(3);
    assert_int_equal(workers[0].ran, 0); /* nobody wants */
    want(0, 3);
    want_rank(0, TASK_FIRST, 3);
    assert_int_equal(workers[0].ran, 0); /* never from within the call */
    turn_all(3);
    assert_int_equal(workers[0].ran, 6);
    assert_memory_equal(workers[0].order, expected, sizeof expected);
    assert_int_equal(lend_queued(lends[0]), 0);
    close_workers();
}

/* Who wants parts of objects under way gets no new objects, and the other way round. */
static void test_ranks_apart(void **state)
{
    (void)state;
    open_workers(2);
    for (uint32_t i = 0; i < 8; i++)
        push(0, i, i < 4 ? TASK_FIRST : TASK_THEN);
    want(0, 8);
    turn_all(SETTLE_TURNS);
    assert_int_equal(workers[0].ran, 4);
    want_rank(1, TASK_FIRST, 3);
    turn_all(SETTLE_TURNS);
    assert_int_equal(workers[1].ran, 3);
    assert_int_equal(lend_queued(lends[0]), 1);
    close_workers();
}

static void test_no_more_than_wanted(void **state)
{
    (void)state;
    open_workers(3);
    for (uint32_t i = 0; i < 20; i++)
        push(0, i, TASK_THEN);
    want(0, 2);
    want(1, 3);
    turn_all(SETTLE_TURNS);
    assert_int_equal(workers[0].ran, 2);
    assert_int_equal(workers[1].ran, 3);
    assert_int_equal(workers[2].ran, 0);
    assert_int_equal(lend_queued(lends[0]), 15); /* what nobody wants stays where it is */
    close_workers();
}

/* Those who asked before there was work get equal shares of it, and bytes go home. */
static void test_equal_shares(void **state)
{
    (void)state;
    open_workers(4);
    for (uint32_t i = 1; i < 4; i++)
        want(i, 30);
    turn_all(SETTLE_TURNS);
    for (uint32_t i = 0; i < 30; i++)
        push(0, i, TASK_THEN);
    turn_all(SETTLE_TURNS);
    for (uint32_t i = 1; i < 4; i++) {
        assert_int_equal(workers[i].ran, 10);
        while (!list_is_empty(&workers[i].runs)) {
            struct job *job = container_of(list_pop(&workers[i].runs), struct job, active);
            lend_return(lends[i], &job->task);
        }
    }
    turn_all(SETTLE_TURNS);
    assert_int_equal(workers[0].ran, 0);
    assert_int_equal(workers[0].came_home, 30);
    close_workers();
}

/* What a grant brought beyond the wants of its receiver is not lost to a third one. */
static void test_surplus_travels_on(void **state)
{
    (void)state;
    open_workers(3);
    want(2, 4);
    turn_all(SETTLE_TURNS);
    for (uint32_t i = 0; i < 4; i++) {
        push(0, i, TASK_THEN);
        push(1, 4 + i, TASK_THEN);
    }
    turn_all(SETTLE_TURNS);
    assert_int_equal(workers[2].ran, 4);
    assert_int_equal(lend_queued(lends[2]), 4);
    want(1, 8);
    turn_all(SETTLE_TURNS);
    assert_int_equal(workers[1].ran, 4);
    assert_int_equal(lend_queued(lends[2]), 0);
    close_workers();
}

/* Jobs that are over at once, each followed by another want: a turn's work stays bounded, and the
 * other core gets its share although the first is never without work. */
static void test_busy_core_lends(void **state)
{
    (void)state;
    open_workers(2);
    workers[0].instant = workers[1].instant = true;
    for (uint32_t i = 0; i < JOBS_MAX; i++)
        push(0, i, TASK_THEN);
    want(0, 4);
    want(1, 400);
    core_turn(cores[0], false);
    assert_in_range(workers[0].ran, 1, 4 * TURN_OPS_MAX);
    turn_all(40);
    assert_int_equal(workers[0].ran + workers[1].ran, JOBS_MAX);
    assert_int_equal(workers[0].came_home, JOBS_MAX);
    assert_true(workers[1].ran >= 400);
    close_workers();
}

/* --- random work --- */

/* Ends what has run long enough, and wants as many more. */
static void work_on(uint32_t index)
{
    struct worker *w = &workers[index];
    struct list still;
    struct link *link;
    uint32_t over[TASK_RANKS] = {0};
    list_init(&still);
    while ((link = list_pop(&w->runs)) != NULL) {
        struct job *job = container_of(link, struct job, active);
        if (job->left > 0) {
            job->left--;
            list_push(&still, &job->active);
            continue;
        }
        w->running[job->task.rank]--;
        over[job->task.rank]++;
        lend_return(&w->lend, &job->task);
    }
    list_move_all(&w->runs, &still);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        if (over[rank] > 0) want_rank(index, (enum task_rank)rank, over[rank]);
}

static void expect_no_idle_beside_waiting(uint64_t seed, enum task_rank rank)
{
    uint32_t idle = 0, waiting = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct worker *w = &workers[i];
        idle += w->wanted[rank];
        waiting += w->lend.queued[rank];
        assert_int_equal(w->wanted[rank] + w->running[rank], w->slots[rank]);
    }
    if (idle > 0 && waiting > 0)
        fail_msg("seed %llu: %u slots are idle while %u tasks wait", (unsigned long long)seed, idle,
                 waiting);
}

/* New work comes in bursts, to some core or another. */
static uint32_t push_burst(struct rand *rand, uint32_t next, uint32_t total)
{
    uint32_t burst = (uint32_t)rand_below(rand, rand_below(rand, 4) == 0 ? 300 : 6);
    uint32_t to = (uint32_t)rand_below(rand, count);
    for (; burst > 0 && next < total; burst--, next++) {
        jobs[next].left = (uint32_t)rand_below(rand, 8);
        push(to, next, rand_below(rand, 3) ? TASK_THEN : TASK_FIRST);
        if (rand_below(rand, 10) == 0) to = (uint32_t)rand_below(rand, count);
    }
    return next;
}

static void run_seed(uint64_t seed, uint32_t total)
{
    struct rand rand;
    uint32_t next = 0, home = 0, rounds = 0;
    rand_init(&rand, seed);
    open_workers(2 + (uint32_t)rand_below(&rand, WORKERS_MAX - 1));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
            workers[i].slots[rank] = 1 + (uint32_t)rand_below(&rand, 16);
            want_rank(i, (enum task_rank)rank, workers[i].slots[rank]);
        }
    }
    while (home < total) {
        next = push_burst(&rand, next, total);
        turn_all(rand_below(&rand, 2) ? 1 : SETTLE_TURNS);
        for (uint32_t i = 0; i < count; i++)
            work_on(i);
        if (rounds % 4 == 0) {
            turn_all(SETTLE_TURNS);
            expect_no_idle_beside_waiting(seed, TASK_FIRST);
            expect_no_idle_beside_waiting(seed, TASK_THEN);
        }
        home = 0;
        for (uint32_t i = 0; i < count; i++)
            home += workers[i].came_home;
        if (++rounds > 20 * total) fail_msg("seed %llu does not end", (unsigned long long)seed);
    }
    for (uint32_t i = 0; i < total; i++) {
        assert_int_equal(jobs[i].runs, 1);
        assert_int_equal(jobs[i].returns, 1);
    }
    close_workers();
}

/* LEND_SEED=n runs that seed alone. */
static void test_random_work(void **state)
{
    (void)state;
    const char *given = getenv("LEND_SEED");
    if (given) {
        run_seed(strtoull(given, NULL, 0), JOBS_MAX);
        return;
    }
    for (uint64_t seed = 1; seed <= 12; seed++) {
        run_seed(seed, seed % 4 ? 600 : JOBS_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_in_order),      cmocka_unit_test(test_ranks_apart),
        cmocka_unit_test(test_no_more_than_wanted), cmocka_unit_test(test_equal_shares),
        cmocka_unit_test(test_surplus_travels_on),  cmocka_unit_test(test_busy_core_lends),
        cmocka_unit_test(test_random_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
