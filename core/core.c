#include "core/core.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "core/aside.h"
#include "core/clock.h"

/* A message that does not fit into a peer's mailbox is tried again this often. The peer is awake
 * then and has MAILBOX_MESSAGES_MAX messages to work on, so this is rare and short. */
#define CORE_RESEND_NS (100ull * NS_PER_US)

/* One record an op that is done: its err → its count, as numbers. */
static const struct trace_kind core_op_kind = {.machine = "op"};

static void core_print(struct check_hook *hook)
{
    struct core *core = container_of(hook, struct core, hook);
    fprintf(stderr, "argosy: flight recorder of core %u (op: err \xe2\x86\x92 count):\n",
            core->index);
    trace_print(&core->trace, stderr);
}

/* ── opening ────────────────────────────────────────────────────────────────────────────────── */

static enum err core_open_pools(struct core *core, uint64_t memory_bytes)
{
    uint64_t table_bytes = ARENAS_MAX * ARENA_BYTES;
    uint64_t small_max_bytes = table_bytes / 8, large_max_bytes = table_bytes - small_max_bytes;
    uint64_t small_bytes = min_u64(memory_bytes / 8, small_max_bytes);
    uint64_t large_bytes = min_u64(memory_bytes - small_bytes, large_max_bytes);
    uint32_t small = (uint32_t)max_u64(small_bytes / BUF_SMALL_BYTES, 1);
    uint32_t large = (uint32_t)max_u64(large_bytes / BUF_LARGE_BYTES, 1);
    uint16_t small_arenas = (uint16_t)(small_max_bytes / ARENA_BYTES);
    enum err err = pool_init(&core->small, core->ring, &core->ready, BUF_SMALL_BYTES, small, 0);
    if (err) return err;
    return pool_init(&core->large, core->ring, &core->ready, BUF_LARGE_BYTES, large, small_arenas);
}

/* Where no more threads are allowed, the core does it: slower, and that is all. */
static void core_open_aside(struct core *core)
{
    if (aside_open(&core->memory, core, "argosy-memory")) return;
    pool_use_aside(&core->small, core->memory);
    pool_use_aside(&core->large, core->memory);
}

enum err core_open(struct core *core, const struct core_options *options, int *raw)
{
    CHECK(options->index < CORES_MAX);
    *core = (struct core){.index = options->index, .cpu = options->cpu};
    *raw = 0;
    list_init(&core->ready);
    timers_init(&core->timers, &core->ready);
    rand_init(&core->rand, options->seed);
    for (size_t i = 0; i < CORES_MAX; i++)
        list_init(&core->outboxes[i]);
    handoff_init(&core->finished);
    core->now_ns = clock_now_ns();
    enum err err = ring_open(&core->ring, RING_SQ_ENTRIES, RING_CQ_ENTRIES, raw);
    if (!err) err = core_open_pools(core, options->memory_bytes);
    if (err) {
        core_close(core);
        return err;
    }
    if (options->has_aside) core_open_aside(core);
    core->hook.print = core_print;
    check_hook_add(&core->hook);
    return ERR_NONE;
}

void core_close(struct core *core)
{
    check_hook_remove(&core->hook);
    aside_close(core->memory); /* first: it may be about to wake us, when its op was seen already */
    core->memory = NULL;
    ring_close(core->ring); /* then the kernel lets go of the pools' memory */
    core->ring = NULL;
    pool_fini(&core->small);
    pool_fini(&core->large);
    free(core->inboxes);
    core->inboxes = NULL;
}

enum err core_join(struct core *core, struct core *const *peers, uint16_t peer_count)
{
    CHECK(peer_count <= CORES_MAX && core->index < peer_count && peers[core->index] == core);
    CHECK(!core->inboxes && "a core joins one crew, once");
    core->inboxes = aligned_alloc(_Alignof(struct mailbox), peer_count * sizeof(struct mailbox));
    if (!core->inboxes) return ERR_NO_MEMORY;
    for (uint16_t i = 0; i < peer_count; i++)
        mailbox_init(&core->inboxes[i]);
    core->peers = peers;
    core->peer_count = peer_count;
    return ERR_NONE;
}

/* ── messages ───────────────────────────────────────────────────────────────────────────────── */

static bool core_push(struct core *core, uint16_t to, struct msg *msg)
{
    struct core *peer = core->peers[to];
    if (!mailbox_push(&peer->inboxes[core->index], msg)) return false;
    core->wake_mask |= 1ull << to;
    return true;
}

void core_post(struct core *core, uint16_t to, struct msg *msg)
{
    CHECK(msg->magic == MSG_MAGIC && link_is_free(&msg->link) &&
          "a message travels once at a time");
    CHECK((to == core->index || to < core->peer_count) && "a message to nobody");
    msg->from = core->index;
    msg->to = to;
    struct list *outbox = &core->outboxes[to];
    bool direct = to != core->index && list_is_empty(outbox);
    if (!direct || !core_push(core, to, msg)) list_push(outbox, &msg->link);
}

/* What did not fit before; true when something still does not. */
static bool core_resend(struct core *core)
{
    bool waits = false;
    for (uint16_t to = 0; to < core->peer_count; to++) {
        struct link *link;
        if (to == core->index) continue;
        bool gone = atomic_load_explicit(&core->peers[to]->gone, memory_order_acquire);
        while ((link = list_pop(&core->outboxes[to]))) {
            /* Out of the list before the push: behind it the message is the receiver's. */
            if (gone || core_push(core, to, container_of(link, struct msg, link))) continue;
            list_push_front(&core->outboxes[to], link);
            waits = true;
            break;
        }
    }
    return waits;
}

/* The peer's `asleep` is looked at after the push: either we see it set, or the peer, which sets it
 * before it looks at its inboxes for the last time, sees our message. */
static void core_wake(struct core *core)
{
    for (uint64_t mask = core->wake_mask; mask; mask &= mask - 1) {
        struct core *peer = core->peers[__builtin_ctzll(mask)];
        if (atomic_load(&peer->asleep) && atomic_exchange(&peer->asleep, false))
            ring_wake(core->ring, peer->ring);
    }
    core->wake_mask = 0;
}

static void core_deliver(struct core *core, struct msg *msg)
{
    msg->deliver(core, msg);
}

/* As many as were there at the start, so that a chatty peer cannot hold up the turn. */
static void core_receive(struct core *core)
{
    struct list own;
    struct link *link;
    list_init(&own);
    list_move_all(&own, &core->outboxes[core->index]);
    while ((link = list_pop(&own)))
        core_deliver(core, container_of(link, struct msg, link));
    for (uint16_t from = 0; from < core->peer_count; from++) {
        struct msg *msg;
        for (uint32_t i = 0; i < MAILBOX_MESSAGES_MAX; i++) {
            if (!(msg = mailbox_pop(&core->inboxes[from]))) break;
            core_deliver(core, msg);
        }
    }
}

static bool core_has_arrivals(const struct core *core)
{
    if (!handoff_is_empty(&core->finished)) return true;
    for (uint16_t from = 0; from < core->peer_count; from++)
        if (!mailbox_is_empty(&core->inboxes[from])) return true;
    return false;
}

/* ── ops ────────────────────────────────────────────────────────────────────────────────────── */

void core_finish(struct core *core, struct op *op, enum err err)
{
    CHECK(op->magic == OP_MAGIC && op->out && "an op is begun before it is finished");
    op->err = err;
    list_push(&core->ready, &op->link);
}

void core_finish_remote(struct core *core, struct op *op)
{
    CHECK(op->magic == OP_MAGIC && op->out && "an op is begun before it is finished");
    handoff_push(&core->finished, &op->link);
    if (atomic_load(&core->asleep) && atomic_exchange(&core->asleep, false))
        ring_wake(NULL, core->ring);
}

static void core_run_ready(struct core *core)
{
    for (uint32_t i = 0; i < TURN_OPS_MAX; i++) {
        struct link *link = list_pop(&core->ready);
        if (!link) return;
        struct op *op = container_of(link, struct op, link);
        CHECK(op->magic == OP_MAGIC && op->out && "only ops that are out are finished");
        trace_state(&core->trace, core->now_ns, &core_op_kind, op, op->err, op->count);
        op->out = false;
        op->done(op);
    }
}

/* ── the loop ───────────────────────────────────────────────────────────────────────────────── */

/* Until when the ring may wait; 0: not at all. `asleep` is set before the last look. */
static uint64_t core_wait_until(struct core *core, bool may_wait, bool resend)
{
    bool busy = !list_is_empty(&core->ready) || !list_is_empty(&core->outboxes[core->index]) ||
                pool_wants_turn(&core->large) || pool_wants_turn(&core->small);
    if (!may_wait || busy || core_is_over(core)) return 0;
    uint64_t until_ns = timers_next_ns(&core->timers);
    if (until_ns <= core->now_ns) return 0;
    if (resend) until_ns = min_u64(until_ns, core->now_ns + CORE_RESEND_NS);
    atomic_store(&core->asleep, true);
    if (!core_has_arrivals(core)) return until_ns;
    atomic_store(&core->asleep, false);
    return 0;
}

void core_turn(struct core *core, bool may_wait)
{
    bool resend = core_resend(core);
    core_wake(core);
    uint64_t until_ns = core_wait_until(core, may_wait, resend);
    ring_turn(core->ring, until_ns, &core->ready);
    if (until_ns) atomic_store_explicit(&core->asleep, false, memory_order_relaxed);
    pool_turn(&core->large);
    pool_turn(&core->small);
    core->now_ns = clock_now_ns(); /* behind what may take long */
    core_receive(core);
    handoff_take(&core->finished, &core->ready);
    timers_expire(&core->timers, core->now_ns);
    core_run_ready(core);
}

static void core_settle(struct core *core)
{
    char name[16];
    snprintf(name, sizeof(name), "argosy-%u", core->index);
    prctl(PR_SET_NAME, name);
    if (core->cpu < 0) return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)core->cpu, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus); /* refused for a CPU that went away: run anywhere */
}

void core_run(struct core *core)
{
    core_settle(core);
    core->now_ns = clock_now_ns();
    while (!core_is_over(core) ||
           core_resend(core)) /* a peer with a full mailbox turns, or is gone */
        core_turn(core, !core_is_over(core));
    core_wake(core);
    ring_turn(core->ring, 0, &core->ready); /* the wakes go out */
    atomic_store_explicit(&core->gone, true, memory_order_release);
    ring_leave(core->ring);
}

void core_stop(struct core *core)
{
    core->stopping = true;
}

bool core_is_over(const struct core *core)
{
    return core->stopping && !pool_is_growing(&core->large) && !pool_is_growing(&core->small);
}
