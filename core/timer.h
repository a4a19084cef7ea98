/* timer: ops that finish at a time. One `struct timers` a core; start and cancel cost O(log n), no
 * allocation.
 *
 * A timer finishes with ERR_NONE when its time has come, with ERR_CANCELLED after timer_cancel():
 * once, either way. */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "core/op.h"

struct timer {
    struct op op;
    uint64_t at_ns;
    /* private */
    struct timer *child, *sibling, *previous;
};

struct timers {
    /* private */
    struct timer *root;
    struct list *ready;
};

void timers_init(struct timers *timers, struct list *ready);
uint64_t timers_next_ns(const struct timers *timers); /* UINT64_MAX when none */
void timers_expire(struct timers *timers, uint64_t now_ns);

void timer_init(struct timer *timer, op_fn *done);
void timer_start(struct timers *timers, struct timer *timer, uint64_t at_ns);
void timer_cancel(struct timers *timers, struct timer *timer); /* harmless when it is not out */

#endif
