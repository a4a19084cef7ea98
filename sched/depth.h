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
 * CPU's caches. What was added must help, a round later: where as much is free as before, the
 * disk is the limit, and it is taken back. What stands ready at all times is too much, and goes
 * after a while.
 *
 * Whole objects count for 1/FLOW_OBJECTS of a part, as in the window (sched/flow.h). */
#ifndef SCHED_DEPTH_H
#define SCHED_DEPTH_H

#include "sched/task.h"

#define DEPTH_ROUND_NS     (2 * NS_PER_S)
#define DEPTH_ROUND_NS_MAX (10 * NS_PER_S)
#define DEPTH_STAGED_MIN   8u   /* a round, for its means; or DEPTH_ROUND_NS_MAX */
#define DEPTH_STARVED      0.03 /* of the window */
#define DEPTH_HELPED       0.5  /* of what was free before: less is help … */
#define DEPTH_HELPED_RATE  1.1  /* … and so are that many more parts */
#define DEPTH_REST_ROUNDS  8u   /* after what did not help; doubles each time … */
#define DEPTH_SPARE_ROUNDS 4u   /* ready at all times for so long: too much; doubles, too … */
#define DEPTH_PATIENCE_MAX 64u  /* … up to this */

struct depth_totals {             /* of all cores */
    uint64_t starved_ns;          /* sum: places of the wire that were free for this, in parts */
    uint64_t staged[TASK_RANKS];  /* sum: parts and objects that were read */
    uint64_t tail_ns[TASK_RANKS]; /* the greatest of a core; 0: none was read */
    uint64_t ready;               /* now: staged, and waiting for their turn, in parts */
};

struct depth {
    uint32_t parts;
    uint32_t before;         /* before the last change */
    const char *state, *why; /* of the last change; literals */
    /* private */
    struct depth_totals seen;
    uint64_t began_ns;
    double starved, staged, staged_per_s; /* of the last round; as a share of the window */
    double starved_before, staged_per_s_before;
    uint64_t ready_least;
    uint32_t resting, rest_rounds, spare, spare_rounds;
    bool running;
    enum { DEPTH_STEADY, DEPTH_FILLING, DEPTH_TRYING } phase;
};

void depth_init(struct depth *depth);
/* Every tick. `window`: parts that may be sent at a time; `parts_max`: what the memory holds beyond
 * it. True: it changed. */
MUST_USE bool depth_tick(struct depth *depth, uint64_t now_ns, const struct depth_totals *totals,
                         uint32_t window, uint32_t parts_max);

#endif
