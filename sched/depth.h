/* depth: how many parts are staged ahead: read and summed while the window is on the wire. The
 * medium loop of flow control, beside the window itself. Pure.
 *
 * A part is read before it is sent, and while it is read it has no connection. Where the window's
 * own slots do that, the wire has free places meanwhile: with L for reading a part and T for
 * sending it, the share L / (L + T) of them. So `parts` more may be begun than the window sends; by
 * Little's law as many as begin in the time that reading takes,
 *
 *     parts ≥ X · L      X: parts begun a second    L: the tail of the time to read one
 *
 * L's tail is RFC 6298's: smoothed + 4 deviations (sched/rtt), of each core.
 *
 * That is asked for only while it is missing: where, on the mean of a round, DEPTH_STARVED of the
 * window was free on the wire though as many parts were being read, and the cores had nothing else
 * to do. From a page cache nothing is missing, and parts that wait in memory would only leave the
 * CPU's caches. What was added must help, a round later; where as much is free as before, the disk
 * is the limit, and it is taken back. What is there and has not helped for long is tried without:
 * half of it goes, and comes back where that costs something. What stands ready at all times is too
 * much, and goes after a while.
 *
 * Whole objects count for 1/FLOW_OBJECTS of a part, as in the window (sched/flow.h). */
#ifndef SCHED_DEPTH_H
#define SCHED_DEPTH_H

#include "sched/task.h"

/* A round: many ticks, so that what is seen 20 times a second has a mean (0.01 of a window of 8),
 * and parts enough for theirs. */
#define DEPTH_ROUND_NS     (2 * NS_PER_S)
#define DEPTH_ROUND_NS_MAX (10 * NS_PER_S)
#define DEPTH_STAGED_MIN   8u
#define DEPTH_STARVED      0.03 /* of the window: three times the mean's error */
/* What was added helps where half of what was free is gone: it is meant to fill all of it. Or where
 * a tenth more is read, a window; of few parts, more than chance brings. */
#define DEPTH_HELPED       0.5
#define DEPTH_HELPED_RATE  1.1
#define DEPTH_HARMED       1.25 /* so much more free, or DEPTH_HARMED_RATE read, without it */
#define DEPTH_HARMED_RATE  0.95
#define DEPTH_REST_ROUNDS  8u  /* between trials; doubles with each that was in vain … */
#define DEPTH_SPARE_ROUNDS 4u  /* ready at all times for so long: too much; doubles, too … */
#define DEPTH_PATIENCE_MAX 64u /* … up to this: two minutes, in which a copy of hours may change */

struct depth_totals {             /* of all cores */
    uint64_t starved_ns;          /* sum: places of the wire that were free for this, in parts */
    uint64_t staged[TASK_RANKS];  /* sum: parts and objects that were read */
    uint64_t staged_bytes;        /* of them */
    uint64_t tail_ns[TASK_RANKS]; /* the greatest of a core; 0: none was read */
    uint64_t ready;               /* now: staged, and waiting for their turn, in parts */
};

struct depth_bounds { /* parts: up to which more is added, and up to which they are kept */
    uint32_t add, keep;
};

struct depth {
    uint32_t parts;
    uint32_t before;         /* before the last change */
    const char *state, *why; /* of the last change; literals */
    /* private */
    struct depth_totals seen;
    uint64_t began_ns;
    double starved, staged, bytes_per_s; /* of the last round; both as shares of the window */
    double starved_before, bytes_per_s_before;
    uint64_t ready_least, spare_least;
    uint32_t resting, rest_rounds, spare, spare_rounds;
    bool running, less; /* the trial is one with less */
    bool in_vain;       /* the last one with more was taken back: less is tried next */
    enum { DEPTH_STEADY, DEPTH_FILLING, DEPTH_TRYING } phase;
};

void depth_init(struct depth *depth);
/* Every tick. `window`: parts that may be sent at a time. True: it changed. */
MUST_USE bool depth_tick(struct depth *depth, uint64_t now_ns, const struct depth_totals *totals,
                         uint32_t window, const struct depth_bounds *bounds);

#endif
