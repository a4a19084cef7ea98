/* lend, crew, mailboxes and wakes under load: more cores than CPUs, everyone wants, work pushed on
 * one of them or on all, tasks that are over at once or take a few turns. For ThreadSanitizer (make
 * race). Every task runs once, on one core, and comes home once. */
#include "sched/lend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sched/crew.h"

#define CORES 4u
#define TASKS 3000u
#define WANTS 5u /* of each core at a time */

struct job {
    struct task task;
    struct op op;  /* a turn of its run */
    uint32_t left; /* turns that it still takes */
    struct lend *runner;
    uint32_t runs, returns;
};

struct worker { /* one a core */
    struct lend lend;
    struct crew *crew;
    struct msg start;
    uint32_t first, count; /* of its own jobs, which it pushes at the start */
    uint32_t home_count;   /* jobs that came home here */
    uint32_t ran_count;
};

static struct worker workers[CORES];
static struct job jobs[TASKS];
static uint32_t homes; /* cores that have jobs */
static _Atomic uint32_t homes_done;

static struct worker *worker_of(struct lend *lend)
{
    return container_of(lend, struct worker, lend);
}

static void run_turn(struct job *job)
{
    struct lend *lend = job->runner;
    enum task_rank rank = (enum task_rank)job->task.rank;
    if (job->left-- > 0) {
        op_begin(&job->op);
        core_finish(lend->core, &job->op, ERR_NONE);
        return;
    }
    worker_of(lend)->ran_count++;
    lend_return(lend, &job->task);
    lend_want(lend, rank, 1);
}

static void on_turn(struct op *op)
{
    run_turn(container_of(op, struct job, op));
}

static void on_task(struct lend *lend, struct task *task)
{
    struct job *job = container_of(task, struct job, task);
    job->runs++; /* plain memory: handing over is what orders it */
    job->runner = lend;
    run_turn(job);
}

/* The last job of all that comes home ends the crew; each home counts for itself. */
static void on_return(struct lend *lend, struct task *task)
{
    struct worker *worker = worker_of(lend);
    container_of(task, struct job, task)->returns++;
    if (++worker->home_count < worker->count) return;
    if (atomic_fetch_add(&homes_done, 1) + 1 == homes) crew_stop(worker->crew, lend->core);
}

static void on_start(struct core *core, struct msg *msg)
{
    struct worker *worker = container_of(msg, struct worker, start);
    (void)core;
    for (uint32_t i = 0; i < worker->count; i++)
        lend_push(&worker->lend, &jobs[worker->first + i].task);
    lend_want(&worker->lend, TASK_FIRST, WANTS);
    lend_want(&worker->lend, TASK_THEN, WANTS);
}

static void make_jobs(struct worker *worker, uint16_t home, uint32_t turns_max)
{
    for (uint32_t i = worker->first; i < worker->first + worker->count; i++) {
        jobs[i] = (struct job){.left = turns_max ? i % turns_max : 0};
        task_init(&jobs[i].task, home, i % 3 ? TASK_THEN : TASK_FIRST);
        op_init(&jobs[i].op, on_turn);
    }
}

/* The first `home_count` cores have the jobs, in equal numbers. */
static void run_all(uint16_t home_count, uint32_t turns_max)
{
    static struct crew crew;
    struct lend *lends[CORES];
    int cpus[CORES] = {-1, -1, -1, -1}, raw;
    uint32_t ran = 0;
    homes = home_count;
    atomic_store(&homes_done, 0);
    assert_int_equal(crew_open(&crew, cpus, CORES, CORES * MIB, 1, &raw), ERR_NONE);
    for (uint16_t i = 0; i < CORES; i++) {
        uint32_t count = i < home_count ? TASKS / home_count : 0;
        workers[i] = (struct worker){.crew = &crew, .first = i * count, .count = count};
        lends[i] = &workers[i].lend;
        lend_init(&workers[i].lend, crew.cores[i], on_task, on_return);
        make_jobs(&workers[i], i, turns_max);
    }
    for (uint16_t i = 0; i < CORES; i++) {
        lend_join(&workers[i].lend, lends, CORES);
        msg_init(&workers[i].start, on_start);
        core_post(crew.cores[i], i, &workers[i].start);
    }
    assert_int_equal(crew_start(&crew), ERR_NONE);
    crew_wait(&crew);
    for (uint32_t i = 0; i < TASKS; i++) {
        assert_int_equal(jobs[i].runs, 1);
        assert_int_equal(jobs[i].returns, 1);
    }
    for (uint32_t i = 0; i < CORES; i++)
        ran += workers[i].ran_count;
    assert_int_equal(ran, TASKS);
    crew_close(&crew);
}

static void test_from_one(void **state)
{
    (void)state;
    run_all(1, 0);
    run_all(1, 9);
}

static void test_from_all(void **state)
{
    (void)state;
    run_all(CORES, 0);
    run_all(CORES, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_from_one),
                                       cmocka_unit_test(test_from_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
