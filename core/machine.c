#include "core/machine.h"

void machine_start(struct machine *machine, const struct machine_kind *kind, struct core *core,
                   struct op *op)
{
    op_begin(op);
    machine->kind = kind;
    machine->core = core;
    machine->owner = op;
    machine->state = 0;
    machine->busy = 0;
    machine->err = ERR_NONE;
    machine->raw = 0;
    machine->stepping = false;
    machine_step(machine);
}

void machine_fail(struct machine *machine, enum err err, int raw)
{
    if (machine->err != ERR_NONE || err == ERR_NONE) return;
    machine->err = err;
    machine->raw = raw;
}

static uint32_t machine_next(struct machine *machine)
{
    const struct machine_kind *kind = machine->kind;
    const struct machine_row *row = &kind->rows[machine->state];
    bool leaving = machine->state >= kind->on_error;
    if (row->run) {
        if (machine->err && !leaving) return kind->on_error;
        return row->run(machine);
    }
    if (machine->busy > 0) return machine->state;
    return machine->err && !leaving ? kind->on_error : row->next;
}

void machine_step(struct machine *machine)
{
    struct op *owner = machine->owner;
    CHECK(owner && "a machine steps between its start and its end");
    if (machine->stepping) return; /* the loop below goes on anyway */
    machine->stepping = true;
    for (;;) {
        uint32_t next = machine_next(machine);
        if (next == machine->state) break;
        if (next == MACHINE_END) {
            CHECK(machine->busy == 0 && "no op may be out at the end");
            machine->owner = NULL;
            owner->raw = machine->raw;
            core_finish(machine->core, owner, machine->err);
            break;
        }
        CHECK(next < machine->kind->trace.state_count);
        trace_state(&machine->core->trace, machine->core->now_ns, &machine->kind->trace, machine,
                    machine->state, next);
        machine->state = next;
    }
    machine->stepping = false;
}

void machine_settle(struct machine *machine, const struct op *op)
{
    machine_fail(machine, op->err, op->raw);
    machine_settle_quietly(machine);
}

void machine_settle_quietly(struct machine *machine)
{
    CHECK(machine->busy > 0);
    machine->busy--;
    machine_step(machine);
}
