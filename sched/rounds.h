/* rounds: asks a controller at the end of each round, and of each glance within it. Pure.
 *
 *     round    8 round trips and the server's time (sched/sample.h): what was changed at its start
 *              shows in it
 *     glance   2 round trips and the server's time: what the path does by itself shows in it
 *
 * A glance that says enough ends the round. When the window moves a new glance begins, so that none
 * is measured at two windows. */
#ifndef SCHED_ROUNDS_H
#define SCHED_ROUNDS_H

#include "sched/cc.h"

struct rounds {
    /* private */
    struct sampler round, glance;
};

void rounds_init(struct rounds *rounds);
/* With the newest totals; *sample has the time, the least round trip (0: none) and the server's
 * time (0: not known). True when the controller was asked: *sample is what it was asked with. */
MUST_USE bool rounds_tick(struct rounds *rounds, struct cc *cc, const struct sample_totals *totals,
                          struct sample *sample);

#endif
