/* core: one CPU's world: its ring, its time, its buffers, its timers, its mailboxes, and the loop
 * that turns them.
 *
 * core_turn() is the loop's body: send messages and wakes, submit, wait, reap, look at the clock,
 * take in messages and what other threads finished, expire timers, run the callbacks that are ready
 * (at most TURN_OPS_MAX). Callbacks and deliveries run from here only. Nothing here blocks except
 * the wait for the next completion. All state hangs off this struct, so that several cores can turn
 * in one thread.
 *
 * Between cores: core_post() hands a message to another core's thread through the mailbox of that
 * pair; what does not fit waits here, in order. Wakes are batched: one a turn and receiver, and
 * only where the receiver sleeps. Messages to a core that has stopped are dropped. */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdatomic.h>

#include "core/check.h"
#include "core/handoff.h"
#include "core/limits.h"
#include "core/mailbox.h"
#include "core/pool.h"
#include "core/rand.h"
#include "core/ring.h"
#include "core/timer.h"
#include "core/trace.h"

struct core_options {
    uint16_t index;        /* 0 … count−1 */
    int cpu;               /* to be pinned to by core_run(); −1: not pinned */
    uint64_t memory_bytes; /* for staged buffers: large and small */
    uint64_t seed;
    /* A side thread finds the memory, so that the loop does not wait for it; where no thread can be
     * had, the loop does. */
    bool has_aside;
};

struct core {
    uint16_t index;
    int cpu;
    uint64_t now_ns; /* of this turn */
    struct ring *ring;
    struct list ready;
    struct timers timers;
    struct pool large, small; /* bufs of BUF_LARGE_BYTES, of BUF_SMALL_BYTES */
    struct rand rand;
    struct trace trace;
    /* private */
    struct aside *memory;      /* that prepares the pools' arenas; or NULL */
    struct core *const *peers; /* all cores of the crew by index, NULL where alone */
    uint16_t peer_count;
    struct mailbox *inboxes; /* one a peer, made by core_join() */
    struct list outboxes[CORES_MAX];
    struct handoff finished; /* ops finished by other threads */
    uint64_t wake_mask;      /* peers that were sent something since the last turn's start */
    _Atomic bool asleep;     /* waits, or is about to: a sender must wake it */
    _Atomic bool gone;       /* its thread has stopped: nobody reads its inboxes */
    bool stopping;
    struct check_hook hook; /* prints the flight recorder */
};

/* An eighth of `memory_bytes` goes to small bufs, the rest to large ones; at least one buf each, at
 * most what the table of registered buffers holds. Errors: as ring_open() (raw in *raw),
 * ERR_NO_MEMORY; after an error nothing is open. */
MUST_USE enum err core_open(struct core *core, const struct core_options *options, int *raw);
void core_close(struct core *core);

/* Makes the mailboxes of a crew; before any of its cores runs. */
MUST_USE enum err core_join(struct core *core, struct core *const *peers, uint16_t peer_count);

void core_turn(struct core *core, bool may_wait);
/* The life of a core's thread: names and pins it, turns until core_is_over() and until its messages
 * are sent. */
void core_run(struct core *core);
/* From its own thread: this turn is the last, but for messages that wait to be sent, and for memory
 * that is on its way. */
void core_stop(struct core *core);
bool core_is_over(const struct core *core); /* stopped, and no memory is on its way */

/* Finishes an op that was begun: it goes to the ready list; its `done` runs in this or the next
 * turn. */
void core_finish(struct core *core, struct op *op, enum err err);

/* The same from any other thread, which set op->err, count and raw before; and wakes the core. */
void core_finish_remote(struct core *core, struct op *op);

/* A message to a peer (or to ourselves: then it is delivered in the next turn). */
void core_post(struct core *core, uint16_t to, struct msg *msg);

#endif
