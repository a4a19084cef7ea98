/* semaphore: lets so many go at a time, of one core: a counting semaphore (Dijkstra, 1965) whose
 * waiters are ops, first come, first served.
 *
 *     taken ≤ max, unless max has fallen since: then nobody follows until enough were given back
 *
 * No atomics: all of it belongs to one core. */
#ifndef CORE_SEMAPHORE_H
#define CORE_SEMAPHORE_H

#include "core/core.h"

struct semaphore {
    struct core *core;
    uint32_t max, taken, waiting_count; /* to read */
    /* private */
    struct list waiting;
};

void semaphore_init(struct semaphore *semaphore, struct core *core, uint32_t max);
/* True: a place is had at once, which its owner gives back. */
MUST_USE bool semaphore_try_take(struct semaphore *semaphore);
/* The op is done when it has its place; or with ERR_CANCELLED, and without one. */
void semaphore_take(struct semaphore *semaphore, struct op *op);
void semaphore_give(struct semaphore *semaphore);
void semaphore_set(struct semaphore *semaphore, uint32_t max);
/* Of an op that was given a place already, or is not out: nothing. */
void semaphore_cancel(struct semaphore *semaphore, struct op *op);

#endif
