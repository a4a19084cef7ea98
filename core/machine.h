/* machine: the table-driven state machine that every multi-step operation embeds (docs/style.md,
 * 5).
 *
 * A kind is a table of rows in the order of the states. A row with `run` acts: it starts ops (each
 * announced with machine_begin()) or computes, and returns the next state. A row without `run`
 * waits: when no op is out any more, the machine goes to the row's `next`, or, after an error, to
 * the kind's `on_error`. States from `on_error` on are the way out: errors do not divert them any
 * more. The first error sticks. A run that returns MACHINE_END finishes the owner's op with it.
 *
 *     acting ──► waiting ──► acting ──► …  ──► on_error … ──► MACHINE_END
 *                   └── any error ─────────────────▲
 *
 * Ops of a machine call machine_settle() from their `done`, and nothing else that steps. */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include "core/core.h"

#define MACHINE_END UINT32_MAX

struct machine;
typedef uint32_t machine_fn(struct machine *machine);

struct machine_row {
    machine_fn *run; /* NULL: a waiting state */
    uint32_t next;   /* of a waiting state */
};

struct machine_kind {
    struct trace_kind trace; /* the machine's name, and those of its states */
    const struct machine_row *rows;
    uint32_t on_error;
};

struct machine {
    const struct machine_kind *kind;
    struct core *core;
    struct op *owner;
    uint32_t state;
    uint32_t busy; /* ops of ours that are out */
    enum err err;
    int raw;
    bool stepping;
};

/* Begins `op` and runs from state 0 until it waits. */
void machine_start(struct machine *machine, const struct machine_kind *kind, struct core *core,
                   struct op *op);
static inline void machine_begin(struct machine *machine)
{
    machine->busy++;
}

void machine_fail(struct machine *machine, enum err err, int raw); /* ERR_NONE: nothing */
void machine_settle(struct machine *machine, const struct op *op);
/* The same for an op whose failure the machine deals with by itself. */
void machine_settle_quietly(struct machine *machine);
void machine_step(struct machine *machine);
static inline bool machine_is_running(const struct machine *machine)
{
    return machine->owner != NULL;
}

#endif
