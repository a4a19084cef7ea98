#include "core/gate.h"

static void gate_serve(struct gate *gate);

static void gate_on_timer(struct op *op)
{
    if (!op->err) gate_serve(container_of(op, struct gate, timer.op));
}

void gate_init(struct gate *gate, struct core *core, gate_ask_fn *ask)
{
    gate->core = core;
    gate->ask = ask;
    gate->credit_bytes = 0;
    list_init(&gate->waiting);
    timer_init(&gate->timer, gate_on_timer);
}

void gate_fini(struct gate *gate)
{
    CHECK(list_is_empty(&gate->waiting));
    timer_cancel(&gate->core->timers, &gate->timer);
}

static void gate_finish(struct gate *gate, struct gate_wish *wish, uint32_t count, enum err err)
{
    list_remove(&wish->op.link);
    wish->op.count = count;
    core_finish(gate->core, &wish->op, err);
}

/* In order, as long as something is granted. A timer that is out already ends in time or asks for
 * nothing. */
static void gate_serve(struct gate *gate)
{
    uint64_t now_ns = gate->core->now_ns, again_ns;
    struct link *first;
    while ((first = list_first(&gate->waiting))) {
        struct gate_wish *wish = container_of(first, struct gate_wish, op.link);
        uint32_t granted = gate->ask(gate, now_ns, wish->wanted_bytes, &again_ns);
        if (granted == 0) {
            if (!gate->timer.op.out) timer_start(&gate->core->timers, &gate->timer, again_ns);
            return;
        }
        gate_finish(gate, wish, granted, ERR_NONE);
    }
}

uint32_t gate_pass(struct gate *gate, uint32_t wanted)
{
    uint64_t ignored;
    CHECK(wanted > 0);
    if (!list_is_empty(&gate->waiting)) return 0;
    return gate->ask(gate, gate->core->now_ns, wanted, &ignored);
}

void gate_wish_init(struct gate_wish *wish, op_fn *done)
{
    op_init(&wish->op, done);
    wish->wanted_bytes = 0;
}

void gate_wait(struct gate *gate, struct gate_wish *wish, uint32_t wanted)
{
    CHECK(wanted > 0);
    op_begin(&wish->op);
    wish->wanted_bytes = wanted;
    list_push(&gate->waiting, &wish->op.link);
    gate_serve(gate);
}

/* A wish that was finished is in the core's ready list and has its count. */
void gate_cancel(struct gate *gate, struct gate_wish *wish)
{
    if (!wish->op.out || wish->op.count > 0 || wish->op.err) return;
    gate_finish(gate, wish, 0, ERR_CANCELLED);
}

void gate_return(struct gate *gate, uint32_t bytes)
{
    gate->credit_bytes += bytes;
}

void gate_charge(struct gate *gate, uint32_t bytes)
{
    gate->credit_bytes -= bytes;
}
