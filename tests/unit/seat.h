/* A run of one core, for the tests of s3/mover: the mover with its queue, and works to hand to it.
 * The hands in its slots, parts or probes and ranges, are those of the test. */
#ifndef TESTS_UNIT_SEAT_H
#define TESTS_UNIT_SEAT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "s3/mover.h"

#define WINDOW 3u /* parts; and so FLOW_OBJECTS times as many objects */
#define CONNS  8u
#define WORKS  64u

static struct core core;
static struct conf conf;
static struct budget budget;
static struct steer steer;
static struct bulletin bulletins[1];
static struct mover mover;
static struct lend *lends[] = {&mover.lend};
static struct meter stop;
static struct work_pool pool;
static struct work *returned[WORKS];
static uint32_t returned_count;

static inline void on_return(struct lend *lend, struct task *task)
{
    (void)lend;
    returned[returned_count++] = container_of(task, struct work, task);
}

static inline void seat_open(enum mover_kind kind)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    struct mover_options with = {.conf = &conf,
                                 .kind = kind,
                                 .folder_fd = -1,
                                 .bulletins = bulletins,
                                 .budget = &budget,
                                 .steer = &steer,
                                 .stop = &stop,
                                 .on_return = on_return};
    char why[TLS_WHY_BYTES];
    int raw;
    alarm(60);
    memset(&steer, 0, sizeof steer);
    memset(&stop, 0, sizeof stop);
    returned_count = 0;
    conf_init(&conf);
    conf.cpu_count = 1;
    conf.memory_bytes = GIB;
    conf.connections_max = CONNS;
    conf.cc = FLOW_FIXED;
    conf.cc_fixed = WINDOW;
    budget_init(&budget);
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    assert_int_equal(steer_open(&steer, &conf, &budget, kind == MOVER_UPLOADS), ERR_NONE);
    assert_int_equal(mover_open(&mover, &core, &with, why), ERR_NONE);
    mover.station.clients[0].core = &core; /* it has no endpoint to be opened for */
    mover.station.clients[0].conf = &conf;
    assert_int_equal(steer_join(&steer, &mover.station.clients[0].traffic), ERR_NONE);
    lend_join(&mover.lend, lends, 1);
    lend_use(&mover.lend, steer.fairs);
    assert_int_equal(work_pool_init(&pool, WORKS), ERR_NONE);
    mover_start(&mover);
}

static inline void turn(void)
{
    core_turn(&core, true);
}

/* A few ticks: all is handed out that may be, and nothing else begins. */
static inline void settle(void)
{
    for (uint64_t until_ns = core.now_ns + 2 * MOVER_TICK_NS; core.now_ns < until_ns;)
        turn();
}

static inline struct work *push(enum work_kind kind, enum task_rank rank)
{
    struct work *work = work_take(&pool, 0);
    assert_non_null(work);
    work->kind = kind;
    work->bytes = MIB;
    work->task.rank = (uint16_t)rank;
    lend_push(&mover.lend, &work->task);
    return work;
}

static inline bool seat_has_work(void)
{
    return work_pool_free_count(&pool) + returned_count < WORKS;
}

/* All works have come back. */
static inline void seat_close(void)
{
    while (returned_count > 0)
        work_give(&pool, &returned[--returned_count]);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        assert_int_equal(mover.station.senders[rank].taken, 0);
    mover_end(&mover);
    while (!core.stopping)
        turn();
    steer_close(&steer);
    mover_close(&mover);
    work_pool_fini(&pool);
    core_close(&core);
}

#endif
