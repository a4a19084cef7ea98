#include "core/timer.h"

/* A pairing heap: the root is the earliest; `child` is the first of a node's children, `sibling`
 * the next one of its parent's, `previous` the sibling before or, for a first child, the parent.
 * Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, Algorithmica 1 (1986). */

static struct timer *timer_meld(struct timer *a, struct timer *b)
{
    if (!a) return b;
    if (!b) return a;
    if (b->at_ns < a->at_ns) {
        struct timer *swap = a;
        a = b;
        b = swap;
    }
    b->previous = a;
    b->sibling = a->child;
    if (a->child) a->child->previous = b;
    a->child = b;
    return a;
}

/* Two passes: pairs from the left, then all of them from the right; no recursion, since a heap may
 * be one long row of siblings. */
static struct timer *timer_meld_children(struct timer *first)
{
    struct timer *pairs = NULL; /* linked by `sibling`, last pair first */
    while (first) {
        struct timer *a = first, *b = a->sibling;
        first = b ? b->sibling : NULL;
        a->sibling = a->previous = NULL;
        if (b) b->sibling = b->previous = NULL;
        struct timer *pair = timer_meld(a, b);
        pair->sibling = pairs;
        pairs = pair;
    }
    struct timer *root = NULL;
    while (pairs) {
        struct timer *pair = pairs;
        pairs = pair->sibling;
        pair->sibling = NULL;
        root = timer_meld(root, pair);
    }
    return root;
}

static void timer_remove(struct timers *timers, struct timer *timer)
{
    struct timer *rest = timer_meld_children(timer->child);
    timer->child = NULL;
    if (timers->root == timer) {
        timers->root = rest;
        return;
    }
    if (timer->previous->child == timer) {
        timer->previous->child = timer->sibling;
    } else {
        timer->previous->sibling = timer->sibling;
    }
    if (timer->sibling) timer->sibling->previous = timer->previous;
    timer->sibling = timer->previous = NULL;
    timers->root = timer_meld(timers->root, rest);
}

static void timer_finish(struct timers *timers, struct timer *timer, enum err err)
{
    timer_remove(timers, timer);
    timer->op.err = err;
    list_push(timers->ready, &timer->op.link);
}

void timers_init(struct timers *timers, struct list *ready)
{
    timers->root = NULL;
    timers->ready = ready;
}

uint64_t timers_next_ns(const struct timers *timers)
{
    return timers->root ? timers->root->at_ns : UINT64_MAX;
}

void timers_expire(struct timers *timers, uint64_t now_ns)
{
    while (timers->root && timers->root->at_ns <= now_ns)
        timer_finish(timers, timers->root, ERR_NONE);
}

void timer_init(struct timer *timer, op_fn *done)
{
    op_init(&timer->op, done);
    timer->at_ns = 0;
    timer->child = timer->sibling = timer->previous = NULL;
}

void timer_start(struct timers *timers, struct timer *timer, uint64_t at_ns)
{
    op_begin(&timer->op);
    timer->at_ns = at_ns;
    timers->root = timer_meld(timers->root, timer);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    bool in_heap = timer->previous || timers->root == timer;
    if (!in_heap) return; /* not started, or already on its way to `done` */
    CHECK(timer->op.out && "a timer in the heap is out");
    timer_finish(timers, timer, ERR_CANCELLED);
}
