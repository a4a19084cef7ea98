/* gate: lets bytes through in turn, as fast as somebody allows: how one waits for pace.
 *
 * One a core. Whoever is about to move bytes asks gate_pass(); what is granted may be less than was
 * wanted (a slice), and the rest asks again. A grant of 0 means to wait: gate_wait() is done with
 * the next grant. Waiters are served first come, first served, a slice each, so that all flows of a
 * core go on; one timer is out for all of them. Nothing is granted to those who come while others
 * wait.
 *
 * How much is allowed is the affair of who embeds the gate (sched/budget): `ask` grants at least
 * one of the bytes wanted, or none and says when to ask again. Where it always grants all, a pass
 * costs that one call. */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include "core/core.h"

struct gate;
/* Returns the bytes granted, 1 … wanted, or 0 with *again_ns set to a time after now. */
typedef uint32_t gate_ask_fn(struct gate *gate, uint64_t now_ns, uint32_t wanted,
                             uint64_t *again_ns);

struct gate {
    struct core *core;
    gate_ask_fn *ask;
    /* What is left of earlier grants, or, below 0, moved without one: for `ask` to deal with. */
    int64_t credit_bytes;
    /* private */
    struct list waiting;
    struct timer timer;
};

struct gate_wish {
    struct op op; /* done: op.count bytes are granted; or ERR_CANCELLED */
    uint32_t wanted_bytes;
};

void gate_init(struct gate *gate, struct core *core, gate_ask_fn *ask);
/* Bytes of `wanted` (at least 1) that may go at once; 0: wait. */
uint32_t gate_pass(struct gate *gate, uint32_t wanted);
void gate_wish_init(struct gate_wish *wish, op_fn *done);
void gate_wait(struct gate *gate, struct gate_wish *wish, uint32_t wanted);
/* Finishes the wish with ERR_CANCELLED; one that is granted already, or not out, stays as it is.
 * What was granted and is not used goes back with gate_return(). */
void gate_cancel(struct gate *gate, struct gate_wish *wish);
void gate_return(struct gate *gate, uint32_t bytes);
/* Bytes that moved unasked, such as the head of a reply: later ones wait for them. */
void gate_charge(struct gate *gate, uint32_t bytes);
/* The core is about to end: the timer must not be out. Nobody waits. */
void gate_fini(struct gate *gate);

#endif
