#include "sched/fair.h"

#include <math.h>
#include <stdlib.h>

#include "core/check.h"

enum err fair_open(struct fair *fair, struct prefixes *prefixes)
{
    *fair = (struct fair){.prefixes = prefixes};
    list_init(&fair->blocked);
    fair->flows = calloc(PREFIXES_MAX, sizeof *fair->flows);
    fair->heap = calloc(PREFIXES_MAX, sizeof *fair->heap);
    return fair->flows && fair->heap ? ERR_NONE : ERR_NO_MEMORY;
}

void fair_close(struct fair *fair)
{
    free(fair->flows);
    free(fair->heap);
    fair->flows = NULL;
    fair->heap = NULL;
}

/* --- the heap: the least start at its top --- */

static struct fair_flow *fair_at(const struct fair *fair, uint32_t place)
{
    return &fair->flows[fair->heap[place]];
}

static void fair_put(struct fair *fair, uint32_t place, uint16_t flow)
{
    fair->heap[place] = flow;
    fair->flows[flow].heap_at = place + 1;
}

static void fair_sink(struct fair *fair, uint32_t place)
{
    uint16_t flow = fair->heap[place];
    double start = fair->flows[flow].start;

    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= fair->heap_count) break;
        if (child + 1 < fair->heap_count &&
            fair_at(fair, child + 1)->start < fair_at(fair, child)->start)
            child++;
        if (fair_at(fair, child)->start >= start) break;
        fair_put(fair, place, fair->heap[child]);
        place = child;
    }
    fair_put(fair, place, flow);
}

static void fair_enter(struct fair *fair, uint16_t flow)
{
    uint32_t place = fair->heap_count++;
    struct fair_flow *entered = &fair->flows[flow];

    entered->start = fmax(entered->start, fair->virtual_bytes);
    while (place > 0 && fair_at(fair, (place - 1) / 2)->start > entered->start) {
        fair_put(fair, place, fair->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    fair_put(fair, place, flow);
}

static void fair_leave_top(struct fair *fair)
{
    fair_at(fair, 0)->heap_at = 0;
    if (--fair->heap_count == 0) return;
    fair_put(fair, 0, fair->heap[fair->heap_count]);
    fair_sink(fair, 0);
}

/* --- tasks --- */

void fair_push(struct fair *fair, struct task *task)
{
    CHECK(task->prefix < PREFIXES_MAX);
    struct fair_flow *flow = &fair->flows[task->prefix];
    if (!flow->ready) {
        list_init(&flow->tasks);
        link_init(&flow->blocked);
        flow->ready = true;
    }
    list_push(&flow->tasks, &task->link);
    flow->count++;
    if (!fair->orders_only) fair->prefixes->entries[task->prefix].queued++;
    fair->queued++;
    if (!flow->heap_at && link_is_free(&flow->blocked)) fair_enter(fair, task->prefix);
}

static struct task *fair_take_top(struct fair *fair)
{
    uint16_t index = fair->heap[0];
    struct fair_flow *flow = &fair->flows[index];
    struct prefixes_entry *entry = &fair->prefixes->entries[index];
    struct task *task = container_of(list_pop(&flow->tasks), struct task, link);

    flow->count--;
    fair->virtual_bytes = flow->start;
    flow->start += ((double)task->bytes + FAIR_REQUEST_BYTES) / entry->prefix.weight;
    fair->queued--;
    if (!fair->orders_only) {
        entry->queued--;
        prefixes_on_go(fair->prefixes, index);
    }
    if (list_is_empty(&flow->tasks))
        fair_leave_top(fair);
    else
        fair_sink(fair, 0);
    return task;
}

static bool fair_may_go(struct fair *fair, uint16_t index, uint64_t now_ns)
{
    if (!fair->orders_only) return prefixes_may_go(fair->prefixes, index, fair->slots, now_ns);
    return !fair->may_begin || fair->may_begin(fair->context, index);
}

struct task *fair_pop(struct fair *fair, uint64_t now_ns)
{
    while (fair->heap_count > 0) {
        uint16_t index = fair->heap[0];
        if (fair_may_go(fair, index, now_ns)) return fair_take_top(fair);
        fair_leave_top(fair);
        list_push(&fair->blocked, &fair->flows[index].blocked);
    }
    return NULL;
}

uint32_t fair_waiting(const struct fair *fair, uint32_t prefix)
{
    return fair->flows[prefix].count;
}

bool fair_may_have(const struct fair *fair)
{
    return fair->heap_count > 0;
}

bool fair_unblock(struct fair *fair, uint32_t prefix)
{
    struct fair_flow *flow = &fair->flows[prefix];

    if (!flow->ready || link_is_free(&flow->blocked)) return false;
    list_remove(&flow->blocked);
    fair_enter(fair, (uint16_t)prefix);
    return true;
}

void fair_unblock_all(struct fair *fair)
{
    struct link *link;

    while ((link = list_pop(&fair->blocked)) != NULL) {
        struct fair_flow *flow = container_of(link, struct fair_flow, blocked);
        fair_enter(fair, (uint16_t)(flow - fair->flows));
    }
}
