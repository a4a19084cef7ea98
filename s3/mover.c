#include "s3/mover.h"

#include <stdlib.h>
#include <string.h>

#include "s3/intake.h"
#include "s3/multipart.h"

/* Below 1 % of 5 s, and enough to go on while a reader is woken. */
#define MOVER_WINDOW_NS        (40 * NS_PER_MS)
#define MOVER_WINDOW_BYTES_MIN (64 * KIB) /* what is announced before we can limit it */

/* What one connection may send, of an even share of the rate. What the user allows is shared
 * unevenly, and should be used all the same; what gives way should be even above all. */
#define MOVER_PACING_TIMES       2.0
#define MOVER_PACING_TIMES_YIELD 1.1
#define MOVER_PACING_MIN         (512.0 * KIB) /* a slice is three packets then: even enough */
#define MOVER_PACING_CHANGE      1.05          /* less is not worth a system call a connection */

static void mover_on_task(struct lend *lend, struct task *task);
static void mover_on_slot(struct op *op);
static void mover_on_tick(struct op *op);
static void mover_follow(struct mover *mover);
static void mover_ration(struct mover *mover, bool paced);

/* --- opening --- */

/* What the slots are made of. */
static enum err mover_make_hands(struct mover *mover, enum mover_kind kind, uint32_t count)
{
    if (kind == MOVER_UPLOADS)
        mover->parts = calloc(count, sizeof *mover->parts);
    else
        mover->ranges = calloc(count, sizeof *mover->ranges);
    if (kind == MOVER_CHECKS) mover->probes = calloc(count, sizeof *mover->probes);
    bool all = (mover->parts || mover->ranges) && (mover->probes || kind != MOVER_CHECKS);
    return all ? ERR_NONE : ERR_NO_MEMORY;
}

static void mover_make_slot(struct mover *mover, uint32_t index)
{
    struct mover_slot *slot = &mover->slots[index];
    slot->mover = mover;
    op_init(&slot->op, mover_on_slot);
    list_push(&mover->free, &slot->link);
    slot->part = mover->parts ? &mover->parts[index] : NULL;
    slot->range = mover->ranges ? &mover->ranges[index] : NULL;
    slot->probe = mover->probes ? &mover->probes[index] : NULL;
    if (slot->part) part_init(slot->part, &mover->station);
    if (slot->range) range_init(slot->range, &mover->station);
    if (slot->probe) probe_init(slot->probe, &mover->station);
    mover->slot_count++;
}

static enum err mover_make_slots(struct mover *mover, enum mover_kind kind)
{
    const struct conf *conf = mover->station.conf;
    uint32_t count = TASK_RANKS * conf->connections_max; /* memory is had when it is used */
    if (kind == MOVER_UPLOADS) count += STEER_AHEAD_MAX * (1 + FLOW_OBJECTS);
    mover->slots = calloc(count, sizeof *mover->slots);
    if (!mover->slots || mover_make_hands(mover, kind, count)) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        mover_make_slot(mover, i);
    return ERR_NONE;
}

static enum err mover_open_station(struct mover *mover, const struct mover_options *options,
                                   struct core *core, char why[TLS_WHY_BYTES])
{
    struct station *station = &mover->station;
    const struct conf *conf = options->conf;
    station->core = core;
    station->conf = conf;
    station->folder_fd = options->folder_fd;
    station->resolve = options->resolve;
    station->file_mode = options->file_mode;
    station->temp_tag = options->temp_tag;
    budget_share_init(&mover->share, options->budget, core);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        semaphore_init(&station->senders[rank], core, 1);
    enum err err = aside_open(&station->aside, core, "argosy-aside");
    for (uint32_t i = 0; !err && i < conf->endpoint_count; i++) {
        struct client *client = &station->clients[i];
        err = client_open(client, core, conf, &conf->endpoints[i], station->aside, why);
        client->bulletin = &options->bulletins[i];
        client->gate = &mover->share.gate;
    }
    return err;
}

enum err mover_open(struct mover *mover, struct core *core, const struct mover_options *options,
                    char why[TLS_WHY_BYTES])
{
    enum err err;
    memset(mover, 0, sizeof *mover);
    why[0] = '\0';
    list_init(&mover->free);
    list_init(&mover->busy);
    timer_init(&mover->tick, mover_on_tick);
    mover->steer = options->steer;
    mover->endpoint = options->endpoint;
    mover->is_single = options->is_single;
    mover->stop = options->stop;
    lend_init(&mover->lend, core, mover_on_task, options->on_return);
    err = mover_open_station(mover, options, core, why);
    if (!err) err = mover_make_slots(mover, options->kind);
    if (err) mover_close(mover);
    return err;
}

static void mover_see_rtt(struct conn *conn, void *context)
{
    struct mover *mover = context;
    struct ring_tcp_info info;
    if (!ring_socket_info(mover->station.core->ring, conn->stream->fd, &info))
        mover->rtt_max_ns = max_u64(mover->rtt_max_ns, info.rtt_min_ns);
}

/* What fits in the windows of paced downloads comes at once whenever a reply begins: together they
 * hold what the rate is in MOVER_WINDOW_NS, plus two round trips of it, so that the path stays
 * full. Where that is more than may be set, the kernel's own tuning does better. */
static void mover_set_window(struct mover *mover)
{
    const struct conf *conf = mover->station.conf;
    uint64_t rate = budget_rate(mover->share.budget), bytes = 0, now = mover->window_bytes;
    if (mover->parts || (rate == 0 && now == 0)) return;
    if (rate > 0) {
        for (uint32_t i = 0; i < conf->endpoint_count; i++)
            client_each(&mover->station.clients[i], mover_see_rtt, mover);
        uint64_t share = rate / meter_read(&mover->steer->sharers);
        uint64_t path = share * (2 * mover->rtt_max_ns / NS_PER_US) / (NS_PER_S / NS_PER_US);
        bytes = path + share / (NS_PER_S / MOVER_WINDOW_NS);
        bytes = min_u64(max_u64(bytes, MOVER_WINDOW_BYTES_MIN), conf->window_bytes_max);
        if (path > conf->window_bytes_max) bytes = 0;
    }
    if (bytes > 0 && bytes < now + now / 4 && bytes > now - now / 4) return;
    mover->window_bytes = (uint32_t)bytes;
    meter_set(&mover->station.clients[mover->endpoint].traffic.window_bytes, bytes);
    for (uint32_t i = 0; i < conf->endpoint_count; i++)
        client_set_window(&mover->station.clients[i], mover->window_bytes);
}

/* The rate bounds what is given to the kernel, in slices of a few ms; this bounds how fast a slice
 * leaves, and how fast what stands in its buffers does when the rate has fallen. A rest is too
 * short for that: a packet that was put off at its rate would hold the socket up beyond it. */
static void mover_set_pacing(struct mover *mover)
{
    const struct conf *conf = mover->station.conf;
    double rate = (double)budget_rate(mover->share.budget), now = (double)mover->pacing_bytes_per_s;
    double flows = (double)max_u64(meter_read(&mover->steer->flows), 1);
    if ((rate == 0 && now == 0) || meter_read(&mover->steer->resting)) return;
    rate *= (conf->background ? MOVER_PACING_TIMES_YIELD : MOVER_PACING_TIMES) / flows;
    if (rate > 0 && rate < MOVER_PACING_MIN) rate = MOVER_PACING_MIN;
    if (rate > 0 && rate < now * MOVER_PACING_CHANGE && rate * MOVER_PACING_CHANGE > now) return;
    mover->pacing_bytes_per_s = (uint64_t)rate;
    meter_set(&mover->station.clients[mover->endpoint].traffic.pacing_bytes_per_s, (uint64_t)rate);
    for (uint32_t i = 0; i < conf->endpoint_count; i++)
        client_set_pacing(&mover->station.clients[i], mover->pacing_bytes_per_s);
}

void mover_start(struct mover *mover)
{
    struct core *core = mover->station.core;
    timer_start(&core->timers, &mover->tick, core->now_ns + MOVER_TICK_NS);
    mover->busy_ns = mover->blamed_ns = core->now_ns;
    meter_set(&mover->station.clients[mover->endpoint].traffic.looked_ns, core->now_ns);
    ration_init(&mover->ration, core->now_ns);
    mover_ration(mover, true);
    mover_follow(mover);
    mover_set_window(mover);
    mover_set_pacing(mover);
}

/* --- the window --- */

static uint32_t mover_allowed(const struct mover *mover, uint32_t rank)
{
    uint64_t allowed = FLOW_OBJECTS * mover->parts_share;
    if (rank == TASK_FIRST)
        allowed = min_u64(mover->parts_share,
                          (uint64_t)ration_parts(&mover->ration) + mover->parts_ending);
    return (uint32_t)min_u64(allowed, mover->station.conf->connections_max);
}

/* Beyond what may be sent. Where the rate is the limit nothing is gained by it. */
static uint32_t mover_ahead(const struct mover *mover, uint32_t rank)
{
    if (!mover->parts || ration_parts(&mover->ration) != UINT32_MAX) return 0;
    uint32_t ahead = (uint32_t)min_u64(mover->ahead, STEER_AHEAD_MAX);
    return rank == TASK_FIRST ? ahead : FLOW_OBJECTS * ahead;
}

static uint32_t mover_begun_max(const struct mover *mover, uint32_t rank)
{
    return mover_allowed(mover, rank) + mover_ahead(mover, rank);
}

/* What was sent before the window was cut goes on, and as it ends what waits follows it, as
 * sched/prr says; never more than before. Somebody always may. */
static void mover_set_senders(struct mover *mover)
{
    if (!mover->parts) return;
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        uint32_t begun = mover->in_slots[rank], ahead = mover_ahead(mover, rank);
        struct semaphore *senders = &mover->station.senders[rank];
        uint64_t max = begun > ahead ? min_u64(begun - ahead, senders->max) : 1;
        semaphore_set(senders, (uint32_t)max_u64(max, mover_allowed(mover, rank)));
    }
}

static void mover_want(struct mover *mover, uint32_t rank, uint32_t count)
{
    if (count == 0) return;
    mover->asked[rank] += count;
    lend_want(&mover->lend, (enum task_rank)rank, count);
}

/* More may be there than a moment ago: a rate was lifted, a part is about to end. */
static void mover_want_more(struct mover *mover)
{
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        uint32_t allowed = mover_begun_max(mover, rank), asked = mover->asked[rank];
        if (allowed > asked) mover_want(mover, rank, allowed - asked);
    }
}

/* What gives way has a rate that changes all the time: it says nothing of the next seconds. */
static void mover_ration(struct mover *mover, bool paced)
{
    const struct conf *conf = mover->station.conf;
    uint64_t bytes = conf->part_bytes ? conf->part_bytes : meter_read(&mover->steer->part_bytes);
    struct ration_view view = {.now_ns = mover->station.core->now_ns,
                               .rate_bytes_per_s =
                                   conf->background ? 0 : budget_rate(mover->share.budget),
                               .part_bytes = bytes ? bytes : MULTIPART_PART_BYTES,
                               .index = mover->station.core->index,
                               .count = conf->cpu_count,
                               .paced = paced};
    uint32_t allowed = mover_allowed(mover, TASK_FIRST), in_slots = mover->in_slots[TASK_FIRST];
    view.full = in_slots > 0 && in_slots >= allowed;
    if (allowed == 0) { /* the others tell */
        view.full = steer_rate_has_room(mover->steer, view.now_ns);
        view.paced = !view.full;
    }
    ration_look(&mover->ration, &view);
    struct traffic *traffic = &mover->station.clients[mover->endpoint].traffic;
    meter_set(&traffic->ration, view.rate_bytes_per_s ? ration_parts(&mover->ration) : 0);
    meter_set(&traffic->ration_more, view.rate_bytes_per_s ? mover->ration.more : 0);
}

static void mover_follow(struct mover *mover)
{
    uint32_t share = steer_share(mover->steer, mover->station.core->index);
    uint32_t ahead = steer_ahead(mover->steer, mover->station.core->index);
    if (share == mover->parts_share && ahead == mover->ahead) return;
    mover->parts_share = share;
    mover->ahead = ahead;
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        prr_set(&mover->prr[rank], mover_begun_max(mover, rank), mover->asked[rank]);
    mover_want_more(mover);
}

/* Of those that were begun, how many have a place in the window: those staged ahead have not. */
static uint32_t mover_flight(const struct mover *mover, uint32_t rank)
{
    uint32_t begun = mover->in_slots[rank];
    if (mover_ahead(mover, rank) == 0) return begun;
    uint64_t placed = min_u64(begun, mover_allowed(mover, rank));
    return (uint32_t)max_u64(placed, mover->station.senders[rank].taken);
}

/* The slots that were busy since the last time, in parts (sched/flow.h). */
static void mover_count_busy(struct mover *mover)
{
    uint64_t now_ns = mover->station.core->now_ns, passed_ns = now_ns - mover->busy_ns;
    uint64_t parts_ns = mover_flight(mover, TASK_FIRST) * passed_ns;
    uint64_t objects_ns = mover_flight(mover, TASK_THEN) * passed_ns / FLOW_OBJECTS;
    meter_add(&mover->station.clients[mover->endpoint].traffic.busy_ns,
              max_u64(parts_ns, objects_ns));
    mover->busy_ns = now_ns;
}

/* Asked of the work, since the slot stays busy for a moment when its probe has ended, and the range
 * beside it has none, or one of long ago. */
static bool mover_probes(const struct mover_slot *slot)
{
    return slot->probe && probe_takes(slot->work);
}

static uint64_t mover_left_bytes(const struct mover_slot *slot)
{
    if (slot->part) return slot->work->bytes - slot->told_bytes;
    return mover_probes(slot) ? UINT64_MAX : range_left_bytes(slot->range);
}

/* What has gone of the parts in the slots, for the progress; and which of them are about to end. */
static void mover_look_at_slots(struct mover *mover)
{
    const struct link *link = mover->busy.head.next;
    uint64_t moving_bytes = 0;
    mover->parts_ending = 0;
    for (; link != &mover->busy.head; link = link->next) {
        struct mover_slot *slot = container_of(link, struct mover_slot, link);
        slot->told_bytes = slot->part ? part_moved_bytes(slot->part) : 0;
        moving_bytes += slot->told_bytes;
        slot->is_ending = slot->work->task.rank == TASK_FIRST &&
                          ration_is_ending(&mover->ration, mover_left_bytes(slot));
        if (slot->is_ending) mover->parts_ending++;
    }
    meter_set(&mover->station.moving_bytes, moving_bytes);
}

/* It is done, or failed: it is counted elsewhere, or begins anew. */
static void mover_forget_slot(struct mover *mover, struct mover_slot *slot)
{
    meter_take_back(&mover->station.moving_bytes, slot->told_bytes);
    if (slot->is_ending) mover->parts_ending--;
    slot->told_bytes = 0;
    slot->is_ending = false;
}

/* --- what is waited for --- */

static void mover_blame_slot(const struct mover_slot *slot, struct blame_tick *tick, double weight)
{
    if (slot->part)
        part_blame(slot->part, tick, weight);
    else if (mover_probes(slot))
        probe_blame(slot->probe, tick, weight);
    else
        range_blame(slot->range, tick, weight);
}

/* What is in the slots of this core, and what it had of the CPUs, for all to know. */
static void mover_tell_slots(struct mover *mover, const struct blame_tick *tick)
{
    struct traffic *traffic = &mover->station.clients[mover->endpoint].traffic;
    meter_set(&traffic->slot_parts, mover_flight(mover, TASK_FIRST));
    meter_set(&traffic->slot_objects, mover_flight(mover, TASK_THEN));
    meter_set(&traffic->cpu_ns, mover->thread.ran_ns + mover->thread.waited_ns);
    if (tick->weights[BLAME_PACE] > 0) meter_set(&traffic->paced_ns, tick->now_ns);
}

/* For sched/depth: of the time in which the core had nothing to do, the places of the window that
 * were free while as many parts were read. Where fewer are begun than may be, work lacks. */
static void mover_tell_staging(struct mover *mover, const struct blame_tick *tick)
{
    struct traffic *traffic = &mover->station.clients[mover->endpoint].traffic;
    uint64_t rest_ns = tick->passed_ns - min_u64(tick->passed_ns, tick->ran_ns + tick->waited_ns);
    uint64_t starved[TASK_RANKS] = {0};
    uint32_t ready = 0;
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        if (mover->in_slots[rank] >= mover_begun_max(mover, rank))
            starved[rank] = mover->lacking[rank] * rest_ns;
        ready +=
            mover->station.senders[rank].waiting_count * (rank == TASK_FIRST ? FLOW_OBJECTS : 1);
    }
    meter_set(&traffic->ready, ready / FLOW_OBJECTS);
    meter_add(&traffic->starved_ns,
              max_u64(starved[TASK_FIRST], starved[TASK_THEN] / FLOW_OBJECTS));
}

/* Parts that are read, and of these as many as have a place to be sent at: those are waited for. */
static void mover_count_reading(struct mover *mover)
{
    const struct link *link = mover->busy.head.next;
    memset(mover->reading, 0, sizeof mover->reading);
    for (; link != &mover->busy.head; link = link->next) {
        const struct mover_slot *slot = container_of(link, struct mover_slot, link);
        mover->reading[slot->work->task.rank] += part_is_reading(slot->part);
    }
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        uint64_t allowed = mover_allowed(mover, rank);
        uint64_t free = allowed - min_u64(allowed, mover->station.senders[rank].taken);
        mover->lacking[rank] = (uint32_t)min_u64(free, mover->reading[rank]);
    }
}

/* Of the time to be shared out: what is read ahead while all places are taken has none of it. */
static double mover_weight(const struct mover *mover, const struct mover_slot *slot)
{
    uint32_t rank = slot->work->task.rank;
    double weight = 1.0 / (double)max_u64(mover_allowed(mover, rank), 1);
    if (!slot->part || !part_is_reading(slot->part) || mover_ahead(mover, rank) == 0) return weight;
    return weight * mover->lacking[rank] / mover->reading[rank];
}

/* A core without a slot that is busy is nobody's limit, but for the home core, which plans. True:
 * something here waits for pace. */
static bool mover_blame(struct mover *mover)
{
    uint64_t now_ns = mover->station.core->now_ns;
    struct clock_thread before = mover->thread;
    struct blame_tick tick;
    const struct link *link = mover->busy.head.next;
    blame_tick_init(&tick, now_ns, now_ns - mover->blamed_ns);
    mover->blamed_ns = now_ns;
    clock_look_thread(&mover->thread);
    tick.ran_ns = mover->thread.ran_ns - before.ran_ns;
    tick.waited_ns = mover->thread.waited_ns - before.waited_ns;
    if (mover->parts) mover_count_reading(mover);
    for (; link != &mover->busy.head; link = link->next) {
        const struct mover_slot *slot = container_of(link, struct mover_slot, link);
        mover_blame_slot(slot, &tick, mover_weight(mover, slot));
    }
    if (mover->intake) intake_blame(mover->intake, &tick);
    mover_tell_slots(mover, &tick);
    if (mover->parts) mover_tell_staging(mover, &tick);
    bool paced = tick.weights[BLAME_PACE] > 0;
    if (list_is_empty(&mover->busy) && mover->station.core->index > 0) return paced;
    if (!mover->is_single) tick.filled = steer_filled(mover->steer, now_ns, &tick.idle);
    blame_settle(&mover->blame, &tick);
    return paced;
}

/* The home core's part: what all follow. */
static void mover_lead(struct mover *mover)
{
    steer_tick(mover->steer, mover->station.core->now_ns);
    if (meter_read(mover->stop)) steer_release(mover->steer);
    lend_look(&mover->lend);
}

static void mover_steer(struct mover *mover)
{
    struct client *client = &mover->station.clients[mover->endpoint];
    mover_count_busy(mover);
    const struct clamp_terms terms = steer_clamp(mover->steer);
    traffic_look(&client->traffic, client, &terms);
    mover_ration(mover, mover_blame(mover));
    mover_look_at_slots(mover);
    if (mover->station.core->index == 0) mover_lead(mover);
    mover_follow(mover);
    mover_set_senders(mover);
    mover_want_more(mover);
}

/* --- tasks --- */

static struct mover *mover_of(struct lend *lend)
{
    return container_of(lend, struct mover, lend);
}

static void mover_on_task(struct lend *lend, struct task *task)
{
    struct mover *mover = mover_of(lend);
    struct work *work = container_of(task, struct work, task);
    struct mover_slot *slot;
    if (meter_read(mover->stop)) {
        work_fail(work, ERR_CANCELLED, 0, "");
        lend_want(lend, (enum task_rank)task->rank, 1);
        lend_return(lend, task);
        return;
    }
    mover_count_busy(mover);
    mover->in_slots[task->rank]++;
    mover_set_senders(mover);
    slot = container_of(list_pop(&mover->free), struct mover_slot, link);
    list_push(&mover->busy, &slot->link);
    slot->work = work;
    if (slot->part)
        part_start(slot->part, work, &slot->op);
    else if (mover_probes(slot))
        probe_start(slot->probe, work, &slot->op);
    else
        range_start(slot->range, work, &slot->op);
}

static void mover_on_slot(struct op *op)
{
    struct mover_slot *slot = container_of(op, struct mover_slot, op);
    struct mover *mover = slot->mover;
    struct work *work = slot->work;
    uint32_t rank = work->task.rank;
    mover_count_busy(mover);
    mover->in_slots[rank]--;
    mover->asked[rank]--;
    slot->work = NULL;
    mover_forget_slot(mover, slot);
    mover_set_senders(mover);
    list_remove(&slot->link);
    list_push_front(&mover->free, &slot->link); /* last in, first out: warm memory */
    mover_want(mover, rank,
               prr_on_end(&mover->prr[rank], mover_begun_max(mover, rank), mover->asked[rank]));
    lend_return(&mover->lend, &work->task);
}

static void mover_cancel_all(struct mover *mover)
{
    struct link *link = mover->busy.head.next;
    mover->cancelled = true;
    for (; link != &mover->busy.head; link = link->next) {
        struct mover_slot *slot = container_of(link, struct mover_slot, link);
        if (slot->part) part_cancel(slot->part);
        if (slot->probe) probe_cancel(slot->probe);
        if (slot->range) range_cancel(slot->range);
    }
}

static void mover_on_tick(struct op *op)
{
    struct mover *mover = container_of(op, struct mover, tick.op);
    struct core *core = mover->station.core;
    if (mover->ending) return;
    if (!mover->cancelled && meter_read(mover->stop)) mover_cancel_all(mover);
    mover_steer(mover);
    mover_set_window(mover);
    mover_set_pacing(mover);
    timer_start(&core->timers, &mover->tick, core->now_ns + MOVER_TICK_NS);
}

/* --- the end --- */

static void mover_on_closed(struct op *op)
{
    struct mover *mover = container_of(op, struct mover, closing);
    const struct conf *conf = mover->station.conf;
    for (uint32_t i = 0; i < conf->endpoint_count; i++) {
        struct client *client = &mover->station.clients[i];
        if (client->door_count == 0) continue;
        client_close(client, &mover->closing);
        return;
    }
    mover->closed = true;
    core_stop(mover->station.core);
}

void mover_end(struct mover *mover)
{
    CHECK(list_is_empty(&mover->busy));
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        CHECK(mover->station.senders[rank].taken == 0 &&
              mover->station.senders[rank].waiting_count == 0);
    mover->ending = true;
    if (mover->station.core->index == 0) steer_tell_cuts(mover->steer, mover->station.core->now_ns);
    timer_cancel(&mover->station.core->timers, &mover->tick);
    gate_fini(&mover->share.gate);
    op_init(&mover->closing, mover_on_closed);
    op_begin(&mover->closing);
    core_finish(mover->station.core, &mover->closing, ERR_NONE);
}

void mover_close(struct mover *mover)
{
    for (uint32_t i = 0; i < mover->slot_count; i++) {
        if (mover->parts) part_fini(&mover->parts[i]);
        if (mover->ranges) range_fini(&mover->ranges[i]);
        if (mover->probes) probe_fini(&mover->probes[i]);
    }
    free(mover->probes);
    free(mover->parts);
    free(mover->ranges);
    free(mover->slots);
    for (uint32_t i = 0; i < mover->station.conf->endpoint_count; i++)
        client_discard(&mover->station.clients[i]); /* of a run that was never started */
    if (mover->station.aside) aside_close(mover->station.aside);
    mover->station.aside = NULL;
    clock_close_thread(&mover->thread);
}
