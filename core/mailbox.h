/* mailbox: messages from one thread to one other, in order, without locks.
 *
 * A bounded ring with one producer and one consumer; the two indices are atomics on cache lines of
 * their own. The consumer says `asleep` before it waits; a producer that pushed then looks at it
 * and wakes the consumer only if need be (the store-load order of both sides is sequentially
 * consistent, so that no wake is lost). A message is embedded in an object of its sender's, which
 * owns it again when it comes back. */
#ifndef CORE_MAILBOX_H
#define CORE_MAILBOX_H

#include <stdatomic.h>

#include "core/check.h"
#include "core/limits.h"
#include "core/list.h"

#define MSG_MAGIC 0x6d736721u

struct core;
struct msg;
typedef void msg_fn(struct core *core, struct msg *msg); /* runs on the receiver's core */

struct msg {
    struct link link; /* while it waits for room */
    msg_fn *deliver;
    uint32_t magic;
    uint16_t from, to; /* core indices */
};

struct mailbox {
    /* private */
    _Alignas(64) _Atomic uint32_t pushed;
    _Alignas(64) _Atomic uint32_t popped;
    _Alignas(64) struct msg *slots[MAILBOX_MESSAGES_MAX];
};

static inline void msg_init(struct msg *msg, msg_fn *deliver)
{
    link_init(&msg->link);
    msg->deliver = deliver;
    msg->magic = MSG_MAGIC;
    msg->from = msg->to = 0;
}

void mailbox_init(struct mailbox *box);
MUST_USE bool mailbox_push(struct mailbox *box,
                           struct msg *msg);  /* by the producer; false when full */
struct msg *mailbox_pop(struct mailbox *box); /* by the consumer; NULL when empty */
bool mailbox_is_empty(const struct mailbox *box);

#endif
