/* op: a promise of one callback. The one asynchronous idiom of argosy (docs/style.md, 5).
 *
 * x_start() returns void and cannot fail: failure arrives in op->err. For every start there is
 * exactly one `done`, also after a cancel, and it runs from core_turn(), never inside the start.
 * The owner embeds the op and keeps it (and whatever the started call borrowed) in place until
 * `done` ran. */
#ifndef CORE_OP_H
#define CORE_OP_H

#include "core/check.h"
#include "core/err.h"
#include "core/list.h"

#define OP_MAGIC 0x6f702121u

struct op;
typedef void op_fn(struct op *op);

struct op {
    struct link link; /* in a queue of whoever works on it, then in its core's ready list */
    op_fn *done;
    uint32_t magic;
    uint32_t count; /* bytes moved, or the descriptor opened, as the call says; 0 on error */
    enum err err;
    int raw;  /* errno, or another raw value, behind err; 0 where there is none */
    bool out; /* started and not done yet */
    /* private to core/ring */
    bool socket; /* which table translates its errno */
};

static inline void op_init(struct op *op, op_fn *done)
{
    link_init(&op->link);
    op->done = done;
    op->magic = OP_MAGIC;
    op->count = 0;
    op->err = ERR_NONE;
    op->raw = 0;
    op->out = false;
    op->socket = false;
}

/* By whoever accepts the op, first thing in x_start(). */
static inline void op_begin(struct op *op)
{
    CHECK(op->magic == OP_MAGIC && "an op must be initialised");
    CHECK(!op->out && "an op is started once at a time");
    op->out = true;
    op->count = 0;
    op->err = ERR_NONE;
    op->raw = 0;
}

#endif
