#include "core/mailbox.h"

/* The indices run on and wrap; their difference is the fill. `pushed` is stored and, by the
 * sleeper, loaded in the sequentially consistent order: see the header. */
_Static_assert((MAILBOX_MESSAGES_MAX & (MAILBOX_MESSAGES_MAX - 1)) == 0,
               "a slot index stays right when the indices wrap");

void mailbox_init(struct mailbox *box)
{
    atomic_init(&box->pushed, 0);
    atomic_init(&box->popped, 0);
}

bool mailbox_push(struct mailbox *box, struct msg *msg)
{
    CHECK(msg->magic == MSG_MAGIC && "a message must be initialised");
    uint32_t pushed = atomic_load_explicit(&box->pushed, memory_order_relaxed);
    uint32_t popped = atomic_load_explicit(&box->popped, memory_order_acquire);
    CHECK(pushed - popped <= MAILBOX_MESSAGES_MAX);
    if (pushed - popped == MAILBOX_MESSAGES_MAX) return false;
    box->slots[pushed % MAILBOX_MESSAGES_MAX] = msg;
    atomic_store_explicit(&box->pushed, pushed + 1, memory_order_seq_cst);
    return true;
}

struct msg *mailbox_pop(struct mailbox *box)
{
    uint32_t popped = atomic_load_explicit(&box->popped, memory_order_relaxed);
    uint32_t pushed = atomic_load_explicit(&box->pushed, memory_order_acquire);
    if (pushed == popped) return NULL;
    struct msg *msg = box->slots[popped % MAILBOX_MESSAGES_MAX];
    atomic_store_explicit(&box->popped, popped + 1, memory_order_release);
    CHECK(msg->magic == MSG_MAGIC && "a message was overwritten on its way");
    return msg;
}

bool mailbox_is_empty(const struct mailbox *box)
{
    uint32_t pushed = atomic_load_explicit(&box->pushed, memory_order_seq_cst);
    return pushed == atomic_load_explicit(&box->popped, memory_order_relaxed);
}
