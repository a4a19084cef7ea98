/* handoff: links given by any number of threads to one that takes them all, in order, without
 * locks.
 *
 * A stack that is only ever taken whole, so that a slow compare-and-swap cannot mistake an old link
 * for a new one (no ABA); the taker turns it round, so that each giver's links keep their order.
 * Unbounded, since the links are embedded in what is given. Push and the sleeper's is-empty are
 * sequentially consistent, as in core/mailbox.h: who pushed and then finds the taker awake may
 * leave it to it. */
#ifndef CORE_HANDOFF_H
#define CORE_HANDOFF_H

#include <stdatomic.h>

#include "core/list.h"

struct handoff {
    struct link *_Atomic last; /* pushed; its `next` is the one before it, NULL at the end */
};

static inline void handoff_init(struct handoff *handoff)
{
    atomic_init(&handoff->last, NULL);
}

/* True when nothing was there before. The link must be in no list. */
static inline bool handoff_push(struct handoff *handoff, struct link *link)
{
    struct link *last = atomic_load_explicit(&handoff->last, memory_order_relaxed);
    do {
        link->next = last;
    } while (!atomic_compare_exchange_weak_explicit(&handoff->last, &last, link,
                                                    memory_order_seq_cst, memory_order_relaxed));
    return last == NULL;
}

static inline bool handoff_is_empty(const struct handoff *handoff)
{
    return atomic_load_explicit(&handoff->last, memory_order_seq_cst) == NULL;
}

/* Everything that was pushed, to the end of `taken`, oldest first. */
static inline void handoff_take(struct handoff *handoff, struct list *taken)
{
    struct link *link = atomic_exchange_explicit(&handoff->last, NULL, memory_order_acquire);
    struct list batch;
    list_init(&batch);
    while (link) {
        struct link *before = link->next;
        link_init(link);
        list_push_front(&batch, link);
        link = before;
    }
    list_move_all(taken, &batch);
}

#endif
