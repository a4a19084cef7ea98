#include "sched/lend.h"

static void lend_ask_deliver(struct core *core, struct msg *msg);
static void lend_grant_deliver(struct core *core, struct msg *msg);
static void lend_return_deliver(struct core *core, struct msg *msg);
static void lend_on_serve(struct op *op);

void lend_init(struct lend *lend, struct core *core, lend_task_fn *on_task, lend_task_fn *on_return)
{
    lend->core = core;
    lend->on_task = on_task;
    lend->on_return = on_return;
    lend->peers = NULL;
    lend->fairs = NULL;
    lend->peer_count = 0;
    list_init(&lend->returned);
    op_init(&lend->serve, lend_on_serve);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        list_init(&lend->queues[rank]);
        list_init(&lend->parked[rank]);
        lend->queued[rank] = lend->wanted[rank] = lend->parked_count[rank] = 0;
    }
}

static void lend_init_ask(struct lend *lend, uint16_t rank, uint16_t peer)
{
    struct lend_ask *ask = &lend->asks[rank][peer];
    msg_init(&ask->msg, lend_ask_deliver);
    list_init(&ask->tasks);
    ask->asker = lend;
    ask->giver = lend->peers[peer];
    ask->wanted = 0;
    ask->rank = rank;
    ask->out = false;
}

void lend_use(struct lend *lend, struct fair *fairs)
{
    lend->fairs = fairs;
}

void lend_join(struct lend *lend, struct lend *const *peers, uint16_t peer_count)
{
    CHECK(peer_count <= CORES_MAX);
    lend->peers = peers;
    lend->peer_count = peer_count;
    for (uint16_t rank = 0; rank < TASK_RANKS; rank++)
        for (uint16_t peer = 0; peer < peer_count; peer++)
            lend_init_ask(lend, rank, peer);
}

/* Work is done in a callback of our own, so that push and want never call back into their caller.
 * */
static void lend_soon(struct lend *lend)
{
    if (lend->serve.out) return;
    op_begin(&lend->serve);
    core_finish(lend->core, &lend->serve, ERR_NONE);
}

static void lend_queue(struct lend *lend, struct task *task)
{
    CHECK(task->rank < TASK_RANKS);
    list_push(&lend->queues[task->rank], &task->link);
    lend->queued[task->rank]++;
}

/* NULL: there is none, or none that may go. */
static struct task *lend_pop(struct lend *lend, uint32_t rank)
{
    struct link *link = list_pop(&lend->queues[rank]);

    if (!link) return lend->fairs ? fair_pop(&lend->fairs[rank], lend->core->now_ns) : NULL;
    lend->queued[rank]--;
    return container_of(link, struct task, link);
}

/* Is there something that may go, as far as is known? */
static bool lend_may_have(const struct lend *lend, uint32_t rank)
{
    return lend->queued[rank] > 0 || (lend->fairs && fair_may_have(&lend->fairs[rank]));
}

static uint32_t lend_waiting(const struct lend *lend, uint32_t rank)
{
    return lend->queued[rank] + (lend->fairs ? lend->fairs[rank].queued : 0);
}

void lend_push(struct lend *lend, struct task *task)
{
    CHECK(task->rank < TASK_RANKS);
    if (lend->fairs)
        fair_push(&lend->fairs[task->rank], task);
    else
        lend_queue(lend, task);
    lend_soon(lend);
}

void lend_look(struct lend *lend)
{
    for (uint32_t rank = 0; rank < TASK_RANKS && lend->fairs; rank++) {
        fair_unblock_all(&lend->fairs[rank]);
        bool wanted = lend->wanted[rank] > 0 || lend->parked_count[rank] > 0;
        if (wanted && fair_may_have(&lend->fairs[rank])) lend_soon(lend);
    }
}

bool lend_is_hungry(const struct lend *lend, enum task_rank rank)
{
    if (lend_may_have(lend, rank)) return false;
    return lend->wanted[rank] > 0 || lend->parked_count[rank] > 0;
}

void lend_want(struct lend *lend, enum task_rank rank, uint32_t count)
{
    lend->wanted[rank] += count;
    lend_soon(lend);
}

uint32_t lend_queued(const struct lend *lend)
{
    uint32_t count = 0;
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        count += lend_waiting(lend, rank);
    return count;
}

/* What is wanted from within on_task comes next time: this callback ends, and others are served
 * meanwhile. */
static void lend_serve_own(struct lend *lend, uint32_t rank)
{
    struct task *task;
    uint32_t count = lend->wanted[rank];
    while (count-- > 0 && (task = lend_pop(lend, rank)) != NULL) {
        lend->wanted[rank]--;
        lend->on_task(lend, task);
    }
    if (lend->wanted[rank] > 0 && lend_may_have(lend, rank)) lend_soon(lend);
}

/* Each ask gets an equal share of what is queued, at least one. */
static void lend_serve_parked(struct lend *lend, uint32_t rank)
{
    struct task *task;
    while (lend->parked_count[rank] > 0 && (task = lend_pop(lend, rank)) != NULL) {
        struct msg *msg = container_of(list_pop(&lend->parked[rank]), struct msg, link);
        struct lend_ask *ask = container_of(msg, struct lend_ask, msg);
        uint32_t share = (lend_waiting(lend, rank) + 1) / lend->parked_count[rank];
        uint32_t more = (uint32_t)max_u64(min_u64(ask->wanted, share), 1) - 1;
        lend->parked_count[rank]--;
        list_push(&ask->tasks, &task->link);
        while (more-- > 0 && (task = lend_pop(lend, rank)) != NULL)
            list_push(&ask->tasks, &task->link);
        msg_init(&ask->msg, lend_grant_deliver);
        core_post(lend->core, ask->asker->core->index, &ask->msg);
    }
}

static void lend_ask_peers(struct lend *lend, uint32_t rank)
{
    if (lend->wanted[rank] == 0) return;
    for (uint16_t i = 0; i < lend->peer_count; i++) {
        struct lend_ask *ask = &lend->asks[rank][i];
        if (i == lend->core->index || ask->out) continue;
        ask->out = true;
        ask->wanted = lend->wanted[rank];
        msg_init(&ask->msg, lend_ask_deliver);
        core_post(lend->core, i, &ask->msg);
    }
}

/* A task of ours has come back: its prefix may have another. */
static void lend_take_back(struct lend *lend, struct task *task)
{
    if (lend->fairs) {
        prefixes_on_back(lend->fairs->prefixes, task->prefix);
        for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
            if (fair_unblock(&lend->fairs[rank], task->prefix)) lend_soon(lend);
    }
    lend->on_return(lend, task);
}

static void lend_on_serve(struct op *op)
{
    struct lend *lend = container_of(op, struct lend, serve);
    struct link *link;
    while ((link = list_pop(&lend->returned)) != NULL)
        lend_take_back(lend, container_of(link, struct task, link));
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        lend_serve_own(lend, rank);
        lend_serve_parked(lend, rank);
        lend_ask_peers(lend, rank);
    }
}

static void lend_ask_deliver(struct core *core, struct msg *msg)
{
    struct lend_ask *ask = container_of(msg, struct lend_ask, msg);
    struct lend *lend = ask->giver;
    CHECK(lend->core == core);
    list_push(&lend->parked[ask->rank], &msg->link);
    lend->parked_count[ask->rank]++;
    if (lend_may_have(lend, ask->rank)) lend_soon(lend);
}

static void lend_grant_deliver(struct core *core, struct msg *msg)
{
    struct lend_ask *ask = container_of(msg, struct lend_ask, msg);
    struct lend *lend = ask->asker;
    struct link *link;
    CHECK(lend->core == core);
    CHECK(ask->out);
    ask->out = false;
    while ((link = list_pop(&ask->tasks)) != NULL)
        lend_queue(lend, container_of(link, struct task, link));
    lend_soon(lend);
}

void lend_return(struct lend *lend, struct task *task)
{
    if (task->home == lend->core->index) {
        list_push(&lend->returned, &task->link);
        lend_soon(lend);
        return;
    }
    CHECK(task->home < lend->peer_count);
    task->toward = lend->peers[task->home];
    msg_init(&task->msg, lend_return_deliver);
    core_post(lend->core, task->home, &task->msg);
}

static void lend_return_deliver(struct core *core, struct msg *msg)
{
    struct task *task = container_of(msg, struct task, msg);
    struct lend *lend = task->toward;
    CHECK(lend->core == core);
    task->toward = NULL;
    lend_take_back(lend, task);
}
