/* lend: one core's queue of tasks, and how idle cores get some: idle cores ask, busy cores grant.
 *
 *     lend_push()    a task, to be run here or elsewhere
 *     lend_want()    we could run `count` more of a rank: each comes through on_task(), from our
 *                    own queue or from another core's
 *     lend_return()  a task that ran, back to its home: on_return() there
 *
 * The guarantee is work conservation: while a task waits in any queue, no core that wants its rank
 * stays without for longer than a message takes. A core that wants and has nothing sends every peer
 * one ask; the peer keeps it until it has tasks beyond its own wants, and sends it back with some.
 * Nobody polls. A grant is at most a fair share of the queue among those who ask. Ranks are served
 * in order. Lock-free: everything travels as messages (core/mailbox).
 *
 * With lend_use() what is pushed here waits in queues that are weighted fair over prefixes
 * (sched/fair), on this core, which gets all of it back: a task whose prefix may not have more in
 * flight, or in this second, stays there, and others go. That is told nobody: lend_look() looks
 * again. What others have granted us is as good as running, and goes in order. */
#ifndef SCHED_LEND_H
#define SCHED_LEND_H

#include "core/core.h"
#include "sched/fair.h"

typedef void lend_task_fn(struct lend *lend, struct task *task);

struct lend_ask { /* of one core to one other; travels between the two */
    struct msg msg;
    struct lend *asker, *giver;
    struct list tasks; /* the grant, on its way home */
    uint32_t wanted;
    uint16_t rank;
    bool out;
};

struct lend {
    struct core *core;
    /* private */
    lend_task_fn *on_task, *on_return;
    struct lend *const *peers; /* by core index; our own among them */
    uint16_t peer_count;
    struct fair *fairs; /* a rank each, of what is pushed here; or NULL: all waits in order */
    struct list queues[TASK_RANKS];
    struct list returned;                        /* tasks of ours that ran here */
    struct list parked[TASK_RANKS];              /* asks of others that wait here, oldest first */
    struct lend_ask asks[TASK_RANKS][CORES_MAX]; /* ours, by peer */
    struct op serve; /* defers the work of push and want to the core's turn */
    uint32_t queued[TASK_RANKS], wanted[TASK_RANKS], parked_count[TASK_RANKS];
};

/* on_task: a task to run here. on_return: a task of ours that ran. Both from core_turn() only. */
void lend_init(struct lend *lend, struct core *core, lend_task_fn *on_task,
               lend_task_fn *on_return);
/* All lends of the crew, by core index; before any core runs. The array stays in place. */
void lend_join(struct lend *lend, struct lend *const *peers, uint16_t peer_count);
/* Before anything is pushed. `fairs`: TASK_RANKS, in place until the end. */
void lend_use(struct lend *lend, struct fair *fairs);
void lend_push(struct lend *lend, struct task *task);
void lend_want(struct lend *lend, enum task_rank rank, uint32_t count);
void lend_return(struct lend *lend, struct task *task);
/* Time has passed, or limits have moved: who could not go, can now? */
void lend_look(struct lend *lend);
/* Is somebody without work, though all that may go has gone? */
bool lend_is_hungry(const struct lend *lend, enum task_rank rank);
uint32_t lend_queued(const struct lend *lend);

#endif
