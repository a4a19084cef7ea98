/* rounds: asks a controller at the end of each round, and of each glance within it. Pure.
 *
 *     round    8 round trips and the server's time (sched/sample.h): what was changed at its start
 *              shows in it
 *     glance   2 round trips and the server's time: what the path does by itself shows in it
 *
 * A glance that says enough ends the round. When the window moves a new glance begins, so that none
 * is measured at two windows.
 *
 * A refusal ends the round at the next tick, as TCP answers to a loss when it hears of it: such a
 * round is `cut_short`, and nothing is learnt from it but that.
 *
 * What is given out follows the controller's window: down at once, and up at once by a quarter.
 * More, as Startup wants it, is spread over 1.5 times that of an answer (of SAMPLE_NS_MAX at most)
 * where that is longer than ROUNDS_SPREAD_NS, and goes on where answers become slower: as slow
 * start is clocked by what comes back (RFC 5681, 3.1), so that a server that refuses is met by one
 * request too many, and not by as many as there were. */
#ifndef SCHED_ROUNDS_H
#define SCHED_ROUNDS_H

#include "sched/cc.h"

#define ROUNDS_STEP      1.25              /* at once */
#define ROUNDS_SPREAD    1.5               /* times: on a busy path a refusal is heard late */
#define ROUNDS_SPREAD_NS (250 * NS_PER_MS) /* below, a refusal is not known before all are sent */

struct rounds {
    double window; /* requests in flight, as they are to be given out; 0: not asked yet */
    /* private */
    struct sampler round, glance;
    double from, to; /* the window's way, where it is spread */
    uint64_t from_ns;
};

void rounds_init(struct rounds *rounds);
/* With the newest totals; *sample has the time, the least round trip (0: none), the server's time
 * (0: not known), and `lasting`. True when the controller was asked: *sample is what it was asked
 * with. */
MUST_USE bool rounds_tick(struct rounds *rounds, struct cc *cc, const struct sample_totals *totals,
                          struct sample *sample);

#endif
