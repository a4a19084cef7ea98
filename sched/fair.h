/* fair: a queue of tasks that is weighted fair over prefixes, and leaves out those that may not go
 * now. One core's; pure, but for its memory.
 *
 * Start-time fair queueing: a flow is what waits of one prefix, in order. Each has a start tag:
 *
 *     push to an idle flow    start ← max(start, V)
 *     pop: the least start    V ← start,   start ← start + (bytes + FAIR_REQUEST_BYTES) / weight
 *
 * so that over any time two flows with work differ, in what they got by weight, by at most a task
 * of each. Work conserving: a flow that may not go (its prefix's window is full, or it has no
 * token) is set aside, and costs nothing until fair_unblock(). A heap: O(log flows), no allocation.
 *
 * Reference: P. Goyal, H. Vin, H. Cheng, Start-time Fair Queueing, SIGCOMM 1996 */
#ifndef SCHED_FAIR_H
#define SCHED_FAIR_H

#include "sched/prefixes.h"
#include "sched/task.h"

/* What a request costs beside its bytes: so that small objects do not count as nothing. */
#define FAIR_REQUEST_BYTES (64 * KIB)

struct fair_flow {
    struct list tasks;
    uint32_t count;      /* of them */
    struct link blocked; /* while it may not go */
    double start;
    uint32_t heap_at; /* 1 + its place; 0: not in the heap */
    bool ready;       /* its lists are initialised */
};

struct fair {
    struct prefixes *prefixes;
    bool orders_only; /* what is popped is not begun: nothing is counted, and nothing limited … */
    bool (*may_begin)(void *context, uint32_t prefix); /* … but by this; NULL: nor that */
    void *context;
    uint32_t slots;  /* that its tasks may fill, all cores: for fixed parts (PREFIXES_STATIC) */
    uint32_t queued; /* tasks, of all prefixes */
    /* private */
    struct fair_flow *flows; /* by prefix */
    uint16_t *heap;
    uint32_t heap_count;
    struct list blocked;
    double virtual_bytes; /* V */
};

/* Errors: ERR_NO_MEMORY. */
MUST_USE enum err fair_open(struct fair *fair, struct prefixes *prefixes);
void fair_close(struct fair *fair);
void fair_push(struct fair *fair, struct task *task);
/* The next task, whose request its prefix has counted; NULL when none may go. */
struct task *fair_pop(struct fair *fair, uint64_t now_ns);
uint32_t fair_waiting(const struct fair *fair, uint32_t prefix);
bool fair_may_have(const struct fair *fair);           /* false: fair_pop() would give nothing */
bool fair_unblock(struct fair *fair, uint32_t prefix); /* false: it was not set aside */
void fair_unblock_all(struct fair *fair);

#endif
