#include "s3/lookout.h"

#include "s3/request.h"

enum lookout_rule {
    LOOKOUT_NEVER,
    LOOKOUT_FLOOR, /* only what trickles */
    LOOKOUT_UNSENT,
    LOOKOUT_ALWAYS,
};

static enum lookout_rule lookout_rule_of(enum request_kind kind)
{
    switch (kind) {
    case REQUEST_PUT_PART:
    case REQUEST_GET_OBJECT: return LOOKOUT_ALWAYS;
    case REQUEST_PUT_OBJECT: return LOOKOUT_UNSENT;
    case REQUEST_HEAD_OBJECT:
    case REQUEST_LIST_PARTS:
    case REQUEST_LIST_OBJECTS:
    case REQUEST_LIST_UPLOADS:
    case REQUEST_OBJECT_ATTRIBUTES:
    case REQUEST_HEAD_BUCKET:
    case REQUEST_LIST_BUCKETS: return LOOKOUT_FLOOR;
    case REQUEST_DELETE_OBJECT:
    case REQUEST_CREATE_UPLOAD:
    case REQUEST_COMPLETE_UPLOAD:
    case REQUEST_ABORT_UPLOAD:
    case REQUEST_CREATE_BUCKET:
    case REQUEST_KINDS: break;
    }
    return LOOKOUT_NEVER;
}

static void lookout_on_timer(struct op *op);

void lookout_init(struct lookout *lookout, struct core *core)
{
    straggler_init(&lookout->straggler);
    lookout->core = core;
    list_init(&lookout->items);
    timer_init(&lookout->timer, lookout_on_timer);
    lookout->closed = false;
}

void lookout_close(struct lookout *lookout)
{
    CHECK(list_is_empty(&lookout->items));
    lookout->closed = true;
    timer_cancel(&lookout->core->timers, &lookout->timer);
}

static void lookout_start_timer(struct lookout *lookout)
{
    struct core *core = lookout->core;
    if (lookout->closed || lookout->timer.op.out || list_is_empty(&lookout->items)) return;
    timer_start(&core->timers, &lookout->timer, core->now_ns + STRAGGLER_LOOK_NS);
}

void lookout_begin(struct lookout *lookout, struct request *request)
{
    struct lookout_item *item = &request->watched;
    if (lookout_rule_of(request->call->kind) == LOOKOUT_NEVER) return;
    CHECK(!item->watched);
    item->watched = true;
    link_init(&item->link);
    list_push(&lookout->items, &item->link);
    straggler_begin(&lookout->straggler, &item->trail);
    lookout_start_timer(lookout);
}

static bool lookout_is_download(const struct request *request)
{
    return request->call->kind == REQUEST_GET_OBJECT;
}

/* To be moved by this attempt; 0: not known yet. */
static uint64_t lookout_bytes(const struct request *request)
{
    const struct request_reply *reply = &request->reply;
    if (!lookout_is_download(request)) return request->call->body_bytes;
    if (reply->status == 0 || reply->content_bytes == UINT64_MAX)
        return request->call->expected_bytes;
    return reply->content_bytes;
}

void lookout_end(struct lookout *lookout, struct request *request)
{
    const struct exchange *x = &request->exchange;
    struct lookout_item *item = &request->watched;
    if (!item->watched) return;
    item->watched = false;
    list_remove(&item->link);
    bool good = !request->err && !x->err && x->ended_ns && request->reply.status / 100 == 2;
    if (good && lookout_rule_of(request->call->kind) >= LOOKOUT_UNSENT)
        straggler_on_finished(&lookout->straggler, lookout_bytes(request), x->waited_ns);
}

/* --- looks --- */

static struct request *lookout_request_of(struct link *link)
{
    return container_of(link, struct request, watched.link);
}

/* A download that is cut keeps what it wrote, in whole bufs. */
static uint64_t lookout_kept_bytes(const struct request *request)
{
    uint64_t received = request->exchange.received_bytes;
    return lookout_is_download(request) ? received - received % BUF_LARGE_BYTES : 0;
}

/* Notes what is to be seen of it; not of one that is young, or has no connection. */
static void lookout_see(struct lookout *lookout, struct request *request)
{
    struct lookout_item *item = &request->watched;
    struct exchange *x = &request->exchange;
    struct exchange_view now;
    item->seen =
        lookout->core->now_ns - x->started_ns >= STRAGGLER_LOOK_NS && exchange_view(x, &now);
    if (!item->seen) return;
    uint64_t bytes = lookout_bytes(request);
    item->unsent = now.unsent;
    item->view = (struct straggler_view){
        .bytes = bytes,
        .moved_bytes = now.moved_bytes,
        .waited_ns = now.waited_ns,
        .answering = now.wait == EXCHANGE_WAIT_ANSWER,
        .again_bytes = bytes - min_u64(bytes, lookout_kept_bytes(request)),
        .stall_ns = request->client->conf->stall_timeout_ns,
        .cuts = item->cuts,
        .lone_cuts = item->lone_cuts,
        .floor_only = lookout_rule_of(request->call->kind) == LOOKOUT_FLOOR,
    };
    straggler_see(&lookout->straggler, &item->trail, &item->view);
}

static void lookout_cut_behind(struct lookout *lookout, struct request *request)
{
    const struct request_call *call = request->call;
    struct client *client = request->client;
    struct lookout_item *item = &request->watched;
    uint64_t moved_bytes = item->view.moved_bytes;
    uint64_t vain_bytes = moved_bytes - min_u64(moved_bytes, lookout_kept_bytes(request));
    straggler_on_cut(&lookout->straggler, &item->view, vain_bytes);
    item->cuts++;
    meter_add(&client->cuts, 1);
    meter_add(&client->cut_bytes, vain_bytes);
    log_line(&client->conf->log, LOG_DETAIL,
             "s3://%.*s/%.*s: a connection was far slower than the others; asking again on another",
             (int)call->bucket.count, call->bucket.data, (int)call->key.count, call->key.data);
    exchange_cut(&request->exchange, ERR_STRAGGLER, NULL);
}

/* Is it the path, or this connection? */
static void lookout_cut_lone(struct request *request)
{
    const struct request_call *call = request->call;
    request->watched.lone_cuts++;
    log_line(
        &request->client->conf->log, LOG_DETAIL,
        "s3://%.*s/%.*s: next to nothing moved for minutes; asking again on another connection",
        (int)call->bucket.count, call->bucket.data, (int)call->key.count, call->key.data);
    exchange_cut(&request->exchange, ERR_STRAGGLER, NULL);
}

static bool lookout_may_cut(const struct request *request)
{
    return lookout_rule_of(request->call->kind) != LOOKOUT_UNSENT || request->watched.unsent;
}

/* True when it was cut for being slow: one at a look, so that it shows at the next whether that
 * helped. */
static bool lookout_judge(struct lookout *lookout, struct request *request, bool others)
{
    struct lookout_item *item = &request->watched;
    if (!item->seen || !lookout_may_cut(request)) return false;
    enum straggler_verdict verdict =
        straggler_judge(&lookout->straggler, &item->trail, &item->view);
    bool only_one = verdict == STRAGGLER_BEHIND || verdict == STRAGGLER_LONE;
    if (verdict == STRAGGLER_FINE || (only_one && others)) return false;
    meter_add(&request->client->traffic.cuts[verdict], 1);
    switch (verdict) {
    case STRAGGLER_FINE: break;
    case STRAGGLER_STALLED:
        exchange_cut(&request->exchange, ERR_STALLED, "next to nothing moved");
        break;
    case STRAGGLER_BEHIND: lookout_cut_behind(lookout, request); break;
    case STRAGGLER_LONE: lookout_cut_lone(request); break;
    }
    return only_one;
}

/* A cut only tells the request, later: the list stays as it is. */
static void lookout_look(struct lookout *lookout)
{
    struct link *end = &lookout->items.head;
    bool cut = false;
    straggler_survey(&lookout->straggler);
    for (struct link *link = end->next; link != end; link = link->next)
        lookout_see(lookout, lookout_request_of(link));
    for (struct link *link = end->next; link != end; link = link->next)
        cut = lookout_judge(lookout, lookout_request_of(link), cut) || cut;
}

static void lookout_on_timer(struct op *op)
{
    struct lookout *lookout = container_of(op, struct lookout, timer.op);
    if (!op->err) lookout_look(lookout);
    lookout_start_timer(lookout);
}
