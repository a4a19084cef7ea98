#include "core/semaphore.h"

void semaphore_init(struct semaphore *semaphore, struct core *core, uint32_t max)
{
    *semaphore = (struct semaphore){.core = core, .max = max};
    list_init(&semaphore->waiting);
}

static void semaphore_serve(struct semaphore *semaphore)
{
    while (semaphore->taken < semaphore->max && semaphore->waiting_count > 0) {
        struct op *op = container_of(list_pop(&semaphore->waiting), struct op, link);
        semaphore->waiting_count--;
        semaphore->taken++;
        op->count = 1;
        core_finish(semaphore->core, op, ERR_NONE);
    }
}

bool semaphore_try_take(struct semaphore *semaphore)
{
    if (semaphore->taken >= semaphore->max || semaphore->waiting_count > 0) return false;
    semaphore->taken++;
    return true;
}

void semaphore_take(struct semaphore *semaphore, struct op *op)
{
    op_begin(op);
    list_push(&semaphore->waiting, &op->link);
    semaphore->waiting_count++;
    semaphore_serve(semaphore);
}

void semaphore_give(struct semaphore *semaphore)
{
    CHECK(semaphore->taken > 0);
    semaphore->taken--;
    semaphore_serve(semaphore);
}

void semaphore_set(struct semaphore *semaphore, uint32_t max)
{
    semaphore->max = max;
    semaphore_serve(semaphore);
}

/* What has its place, or was cancelled, is in the core's ready list. */
void semaphore_cancel(struct semaphore *semaphore, struct op *op)
{
    if (!op->out || op->count > 0 || op->err) return;
    list_remove(&op->link);
    semaphore->waiting_count--;
    core_finish(semaphore->core, op, ERR_CANCELLED);
}
