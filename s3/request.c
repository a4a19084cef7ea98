#include "s3/request.h"

#include <stdio.h>
#include <string.h>

#include "s3/request_head.h"

/* An <Error> is below 2 KiB; what is longer is some proxy's page, and not worth a connection. */
#define REQUEST_ERROR_BYTES_MAX    (64 * KIB)
#define REQUEST_CONTRADICTIONS_MAX 3u
#define REQUEST_ROOM_MAX_NS        (5 * NS_PER_S)  /* waits are of seconds then anyway */
#define REQUEST_RETRY_AFTER_MAX_NS (60 * NS_PER_S) /* whatever a server asks for */

#define REQUEST_STATES(STATE)                                                                      \
    STATE(IDLE, idle)   /* between two calls */                                                    \
    STATE(ADMIT, admit) /* asks the breaker */                                                     \
    STATE(SIGN, sign)   /* writes the head, starts the exchange */                                 \
    STATE(SENDING, sending)                                                                        \
    STATE(FOLLOWING, following) /* until the owner has more body, or wants the reply */            \
    STATE(WRITE, pass_on)                                                                          \
    STATE(WRITING, writing)                                                                        \
    STATE(AWAIT, await) /* the reply's head */                                                     \
    STATE(AWAITING, awaiting)                                                                      \
    STATE(JUDGE, judge)   /* what the head says */                                                 \
    STATE(HANDED, handed) /* the body is the owner's, until the owner ends it */                   \
    STATE(DRAIN, drain)   /* the body through the XML parser, or nowhere */                        \
    STATE(DRAINING, draining)                                                                      \
    STATE(DIGEST, digest) /* what the body says */                                                 \
    STATE(END, leave)     /* of the exchange */                                                    \
    STATE(ENDING, ending)                                                                          \
    STATE(SETTLE, settle) /* again, or the owner is told */                                        \
    STATE(BACK_OFF, back_off)                                                                      \
    STATE(BACKING_OFF, backing_off)

enum request_state {
#define STATE(name, run) REQUEST_STATE_##name,
    REQUEST_STATES(STATE)
#undef STATE
};

static const char *const request_state_names[] = {
#define STATE(name, run) #name,
    REQUEST_STATES(STATE)
#undef STATE
};

/* Every store gives one. Who does not is a proxy with a page of its own, or a server that took the
 * key for something else: nothing was stored then, whatever the status says. */
static const char request_no_etag[] = "it has no ETag: a proxy's page?";

static const struct trace_kind request_trace = {"request", request_state_names,
                                                ARRAY_COUNT(request_state_names)};

static void request_answer(struct request *r, enum err err)
{
    struct op *op = r->owner;
    r->owner = NULL;
    op->raw = r->raw;
    core_finish(r->client->core, op, err);
}

static void request_fail(struct request *r, enum err err, enum policy_phase phase, const char *why)
{
    if (r->err || !err) return;
    r->err = err;
    r->phase = phase;
    snprintf(r->why, sizeof(r->why), "%s", why);
}

/* Is an op of the exchange done? A cancel ends the exchange under it, so that it soon is. */
static bool request_is_back(struct request *r)
{
    if (r->step.out && r->cancelled && !r->end_begun) {
        r->end_begun = true;
        exchange_end(&r->exchange, &r->ending);
    }
    return !r->step.out;
}

static enum policy_phase request_transport_phase(const struct request *r, enum err err)
{
    const struct exchange *x = &r->exchange;
    if (!x->dialed_ns) return policy_dial_phase(err);
    if (!x->sent_ns) return POLICY_SEND;
    return x->head_ns ? POLICY_BODY : POLICY_AWAIT;
}

/* The exchange failed: its words, unless it was ended by a cancel. */
static enum request_state request_lost(struct request *r)
{
    enum policy_phase phase = request_transport_phase(r, r->step.err);
    if (r->cancelled) request_fail(r, ERR_CANCELLED, phase, "");
    request_fail(r, r->step.err, phase, r->exchange.why);
    r->raw = r->step.raw;
    return REQUEST_STATE_END;
}

static void request_use(struct request *r, struct dial *dial)
{
    const struct conf *conf = r->client->conf;
    struct exchange_timeouts timeouts = {conf->reply_timeout_ns, conf->stall_timeout_ns};
    exchange_init(&r->exchange, r->client->core, dial, &timeouts);
    r->exchange.gate = r->client->gate;
}

static enum request_state request_idle(struct request *r)
{
    return r->owner ? REQUEST_STATE_ADMIT : REQUEST_STATE_IDLE;
}

/* Without an attempt. */
static enum request_state request_give_up(struct request *r, enum err err, enum policy_phase phase,
                                          const char *why)
{
    r->err = ERR_NONE;
    request_fail(r, err, phase, why);
    r->given_up = true;
    return REQUEST_STATE_SETTLE;
}

/* Given up for the breaker: the words are those of the last failure of any request. */
static enum request_state request_admit(struct request *r)
{
    struct client *client = r->client;
    struct bytes bucket = r->call->bucket;
    bool over;
    enum err err = client_find(client, bucket, r->again.trail.site, &r->way);
    if (err) return request_give_up(r, err, POLICY_RESOLVE, err_sentence(err));
    if (again_admit(&r->again, &r->way, bucket, &r->delay_ns, &over)) return REQUEST_STATE_SIGN;
    if (!over) return REQUEST_STATE_BACK_OFF;
    return request_give_up(r, client->trouble, client->trouble_phase, client->trouble_why);
}

/* The same object's first byte: what is refused then says why. */
static struct request_call request_why_call(const struct request *r)
{
    return (struct request_call){.kind = REQUEST_GET_OBJECT,
                                 .bucket = r->call->bucket,
                                 .key = r->call->key,
                                 .prefix = r->call->prefix,
                                 .headers = {{BYTES("range"), BYTES("bytes=0-0")}},
                                 .header_count = 1};
}

static enum request_state request_sign(struct request *r)
{
    struct request_call why_call = request_why_call(r);
    const struct request_call *call = r->asks_why ? &why_call : r->call;
    struct writer w;
    r->end_begun = r->followed = r->more = false;
    r->drained_bytes = 0;
    r->reply.status = 0;
    r->err = ERR_NONE;
    r->raw = 0;
    r->why[0] = 0;
    r->attempts += r->asks_why ? 0 : 1;
    r->epoch = r->client->identity.epoch;
    r->bare = false;
    writer_init(&w, r->area, sizeof(r->area));
    enum err err = request_head_format(r->client, &r->way, call, &w);
    if (err) {
        request_fail(r, err, POLICY_SEND, "the request's head does not fit");
        return REQUEST_STATE_SETTLE;
    }
    struct exchange_send send = {.head = writer_bytes(&w),
                                 .body = call->body,
                                 .body_count = call->body_count,
                                 .body_bytes = call->body_bytes,
                                 .no_body =
                                     request_head_verb(call->kind)->method[0] == 'H'}; /* HEAD */
    meter_add(&r->client->requests, 1);
    request_use(r, r->way.door->dial);
    r->exchange.fresh_only = r->fresh;
    exchange_start(&r->exchange, &send, &r->step);
    lookout_begin(&r->client->lookout, r);
    return REQUEST_STATE_SENDING;
}

static bool request_is_sent(const struct request *r)
{
    return r->exchange.sent_bytes == r->call->body_bytes;
}

static enum request_state request_sending(struct request *r)
{
    if (!request_is_back(r)) return REQUEST_STATE_SENDING;
    if (r->step.err || r->cancelled) return request_lost(r);
    if (!r->call->body_follows || r->exchange.reply_early) return REQUEST_STATE_AWAIT;
    r->followed = true;
    request_answer(r, ERR_NONE);
    return REQUEST_STATE_FOLLOWING;
}

static enum request_state request_following(struct request *r)
{
    if (!r->owner) return REQUEST_STATE_FOLLOWING;
    if (r->leaving) return REQUEST_STATE_END;
    return r->more ? REQUEST_STATE_WRITE : REQUEST_STATE_AWAIT;
}

static enum request_state request_pass_on(struct request *r)
{
    r->more = false;
    exchange_write(&r->exchange, r->iovecs, r->iovec_count, &r->step);
    return REQUEST_STATE_WRITING;
}

static enum request_state request_writing(struct request *r)
{
    if (!request_is_back(r)) return REQUEST_STATE_WRITING;
    if (r->step.err || r->cancelled) return request_lost(r);
    if (r->exchange.reply_early && !request_is_sent(r)) return REQUEST_STATE_AWAIT;
    request_answer(r, ERR_NONE);
    return REQUEST_STATE_FOLLOWING;
}

static bool request_is_good(const struct request *r)
{
    return r->reply.status >= 200 && r->reply.status < 300;
}

/* A part or range large enough to say what its size does (sched/grain). */
static bool request_is_part(const struct request *r, uint64_t bytes)
{
    enum request_kind kind = r->call->kind;
    return bytes >= PART_BYTES_MIN && (kind == REQUEST_PUT_PART || kind == REQUEST_GET_OBJECT);
}

/* Listings and completions take times of their own. */
static bool request_is_about_data(const struct request *r)
{
    enum request_kind kind = r->call->kind;
    return kind == REQUEST_PUT_OBJECT || kind == REQUEST_PUT_PART || kind == REQUEST_GET_OBJECT;
}

/* What the server does for it takes as long as for a part, or not much less: no listing, no end. */
static bool request_is_like_data(const struct request *r)
{
    enum request_kind kind = r->call->kind;
    return request_is_about_data(r) || kind == REQUEST_CREATE_UPLOAD || kind == REQUEST_HEAD_OBJECT;
}

/* Of the time from the last byte that the kernel took to the answer, some was for sending it: it is
 * known of large bodies. The rest is the server's, but for the round trip. */
static void request_measure_answer(struct request *r)
{
    const struct exchange *x = &r->exchange;
    struct traffic *traffic = &r->client->traffic;
    uint64_t wait_ns = x->head_ns - x->sent_ns, other_ns = meter_read(&traffic->rtt_ns);
    bool part = r->call->kind == REQUEST_PUT_PART && request_is_part(r, r->call->body_bytes);
    if (!x->sent_ns || !request_is_good(r) || !request_is_like_data(r)) return;
    if (part) other_ns = traffic_busy_ns(x->conn) - r->busy_ns;
    traffic_on_wait(traffic, wait_ns - min_u64(other_ns, wait_ns));
    if (part) traffic_on_part(traffic, r->call->body_bytes, x->head_ns - x->dialed_ns);
}

static void request_measure_range(struct request *r)
{
    const struct exchange *x = &r->exchange;
    bool whole = !r->err && !x->err && x->ended_ns && x->sent_ns && r->call->reply_body;
    if (whole && request_is_good(r) && request_is_part(r, x->received_bytes))
        traffic_on_part(&r->client->traffic, x->received_bytes, x->ended_ns - x->dialed_ns);
}

static enum request_state request_await(struct request *r)
{
    if (r->call->kind == REQUEST_PUT_PART && request_is_part(r, r->call->body_bytes))
        r->busy_ns = traffic_busy_ns(r->exchange.conn);
    exchange_head(&r->exchange, &r->step);
    return REQUEST_STATE_AWAITING;
}

static enum request_state request_awaiting(struct request *r)
{
    if (!request_is_back(r)) return REQUEST_STATE_AWAITING;
    return r->step.err || r->cancelled ? request_lost(r) : REQUEST_STATE_JUDGE;
}

static void request_succeed(struct request *r)
{
    identity_on_success(&r->client->identity, r->epoch);
    client_on_success(r->client, r->way.site);
    again_succeeded(&r->again);
}

/* The parser of the body that comes now: the call's, that of errors, or none. */
static struct xml *request_xml(struct request *r)
{
    return request_is_good(r) ? r->call->xml : &r->error_xml;
}

static bool request_is_sent_on(const struct request *r)
{
    return r->reply.status >= 300 && r->reply.status < 400;
}

static void request_read_place(struct request *r, struct bytes text)
{
    if (!request_is_sent_on(r) || r->reply.place.named || text.count == 0) return;
    redirect_parse(&r->reply.place, text, r->way.endpoint, r->call->bucket, r->call->key);
}

static enum request_state request_judge(struct request *r)
{
    request_head_read(&r->exchange.parser.head, &r->reply);
    request_read_place(r, http_header(&r->exchange.parser.head, "location"));
    if (request_is_good(r) && request_is_about_data(r) && r->exchange.sent_ns)
        traffic_on_answer(&r->client->traffic, r->call->prefix,
                          r->exchange.head_ns - r->exchange.sent_ns);
    request_measure_answer(r);
    if (request_is_good(r) && !request_is_sent(r)) {
        request_fail(r, ERR_HTTP_GARBAGE, POLICY_SEND,
                     "the server accepted a body before it was sent");
        return REQUEST_STATE_END;
    }
    if (request_is_good(r) && r->asks_why) return REQUEST_STATE_END; /* that says nothing */
    if (request_is_good(r) && request_head_verb(r->call->kind)->has_etag && !r->reply.etag[0]) {
        request_fail(r, ERR_NOT_S3, POLICY_XML, request_no_etag);
        return REQUEST_STATE_END;
    }
    if (request_is_good(r) && r->call->reply_body) {
        again_report(&r->again, NULL);
        request_succeed(r);
        request_answer(r, ERR_NONE);
        return REQUEST_STATE_HANDED;
    }
    struct xml *xml = request_xml(r);
    if (xml) request_fail(r, xml_begin(xml), POLICY_XML, "");
    return r->err ? REQUEST_STATE_END : REQUEST_STATE_DRAIN;
}

static enum request_state request_handed(struct request *r)
{
    return r->owner && r->leaving ? REQUEST_STATE_END : REQUEST_STATE_HANDED;
}

static enum request_state request_drain(struct request *r)
{
    if (r->exchange.ended_ns) return REQUEST_STATE_DIGEST; /* the body is over */
    if (!request_is_good(r) && r->drained_bytes > REQUEST_ERROR_BYTES_MAX)
        return REQUEST_STATE_DIGEST;
    exchange_read(&r->exchange, r->area, sizeof(r->area), &r->step);
    return REQUEST_STATE_DRAINING;
}

/* An error page that is not XML, or breaks off, is an error by its status. */
static enum request_state request_draining(struct request *r)
{
    bool good = request_is_good(r);
    struct xml *xml = request_xml(r);
    if (!request_is_back(r)) return REQUEST_STATE_DRAINING;
    if (r->cancelled || (r->step.err && good)) return request_lost(r);
    if (r->step.err) return REQUEST_STATE_DIGEST;
    r->drained_bytes += r->step.count;
    enum err err = xml ? xml_feed(xml, (struct bytes){r->area, r->step.count}) : ERR_NONE;
    if (err && good) {
        request_fail(r, err, POLICY_XML, "");
        return REQUEST_STATE_END;
    }
    return r->step.count < sizeof(r->area) ? REQUEST_STATE_DIGEST : REQUEST_STATE_DRAIN;
}

/* Some answers say more than status and code do: to HEAD, AWS answers a bare 400 where the
 * signature is for another region; and a 301 that names a host alone is no matter of regions. */
static enum err request_refine(const struct request *r, enum err err)
{
    const struct request_reply *reply = &r->reply;
    bool other = reply->region[0] && strcmp(reply->region, r->way.endpoint->region) != 0;
    if (err == ERR_REQUEST && r->bare && reply->status == 400 && other) return ERR_WRONG_REGION;
    bool host = reply->place.named && !reply->region[0];
    return err == ERR_WRONG_REGION && host ? ERR_REDIRECT : err;
}

static void request_read_error(struct request *r, const struct reply_error *error)
{
    struct bytes endpoint = bytes_of(error->endpoint);
    if (error->region[0] && !r->reply.region[0])
        snprintf(r->reply.region, sizeof(r->reply.region), "%s", error->region);
    if (endpoint.count + 1 < sizeof(error->endpoint)) request_read_place(r, endpoint); /* not cut */
}

static enum request_state request_digest(struct request *r)
{
    struct xml *xml = request_xml(r);
    bool good = request_is_good(r);
    char text[REPLY_TEXT_BYTES];
    if (xml) {
        enum err err = xml_end(xml);
        if (good) request_fail(r, err, POLICY_XML, "");
        if (r->err) return REQUEST_STATE_END;
    }
    struct bytes code = {NULL, 0};
    static const struct reply_error none = {.code = ""};
    const struct reply_error *error = xml && xml->is_error ? &xml->error : &none;
    if (xml && xml->is_error) code = bytes_of(error->code);
    r->bare = code.count == 0;
    request_read_error(r, error);
    enum err err = reply_err(r->reply.status, code, request_head_verb(r->call->kind)->operation);
    err = request_refine(r, err);
    request_fail(r, err, POLICY_ANSWER, err ? reply_format(r->reply.status, error, text) : "");
    return REQUEST_STATE_END;
}

static enum request_state request_leave(struct request *r)
{
    lookout_end(&r->client->lookout, r);
    request_measure_range(r);
    r->fresh = r->exchange.err && r->exchange.err != ERR_STALE;
    if (!r->end_begun) exchange_end(&r->exchange, &r->ending);
    r->end_begun = true;
    return REQUEST_STATE_ENDING;
}

static enum request_state request_ending(struct request *r)
{
    return r->ending.out || r->step.out ? REQUEST_STATE_ENDING : REQUEST_STATE_SETTLE;
}

static enum policy_call request_policy_call(enum request_kind kind)
{
    if (kind == REQUEST_COMPLETE_UPLOAD) return POLICY_COMPLETE;
    return kind == REQUEST_PUT_PART ? POLICY_PART : POLICY_ANY;
}

/* What the server asks for; and a server that is full has room when something that it holds is
 * answered: to come again before that is only to be refused again. */
static uint64_t request_asked_ns(const struct request *r)
{
    const struct traffic *traffic = &r->client->traffic;
    uint64_t requests = meter_read(&traffic->requests);
    uint64_t asked_ns = min_u64(r->reply.retry_after_ns, REQUEST_RETRY_AFTER_MAX_NS);
    if (err_class(r->err) != ERR_CLASS_SLOW || requests == 0) return asked_ns;
    uint64_t answer_ns = meter_read(&traffic->answer_ns) / requests;
    return max_u64(asked_ns, min_u64(answer_ns, REQUEST_ROOM_MAX_NS));
}

void request_describe_failure(const struct request *r, struct again_failure *failure)
{
    const struct request_reply *reply = &r->reply;
    bool answered = reply->status != 0;
    *failure = (struct again_failure){
        .what = {.phase = r->phase,
                 .call = request_policy_call(r->call->kind),
                 .err = r->err,
                 .bare = r->bare},
        .why = r->why,
        .bucket = r->call->bucket,
        .key = r->call->key,
        .epoch = r->epoch,
        .site = r->way.site,
        .status = reply->status,
        .asked_ns = answered ? request_asked_ns(r) : 0,
        .date_s = answered ? reply->date_s : INT64_MIN,
        .region = answered ? reply->region : "",
        .place = answered ? &reply->place : NULL,
        .owner_rereads = r->call->owner_rereads,
    };
}

void request_explain(struct request *r, const struct again *again)
{
    struct again_failure failure;
    request_describe_failure(r, &failure);
    again_explain(again ? again : &r->again, &failure, r->why, sizeof(r->why));
}

/* Whose first bytes are gone, or who was told of success, cannot be begun anew. */
static bool request_tries_again(struct request *r)
{
    struct again_failure failure;
    if (!r->err || r->cancelled || r->leaving || r->followed || r->given_up) return false;
    request_describe_failure(r, &failure);
    if (!again_may(&r->again, &failure, &r->delay_ns)) {
        request_explain(r, NULL);
        return false;
    }
    if (r->phase >= POLICY_AWAIT && err_class(r->err) == ERR_CLASS_RETRY) r->doubts++;
    r->doubtful = r->doubts > 0;
    meter_add(&r->client->retries, 1);
    return true;
}

/* What the windows hear of. No body follows the answer to a HEAD, and so no code: there S3 says
 * SlowDown by the status alone. Retry and breaker take it as a server in trouble, which it may be
 * as well. */
static enum err request_signal(const struct request *r)
{
    enum request_kind kind = r->call->kind;
    bool head = kind == REQUEST_HEAD_OBJECT || kind == REQUEST_HEAD_BUCKET;
    bool full = r->phase == POLICY_ANSWER && r->err == ERR_SERVER && r->reply.status == 503;
    return head && full ? ERR_SLOW_DOWN : r->err;
}

static void request_report(struct request *r)
{
    struct policy_case failure = {.phase = r->phase, .err = r->err};
    if (r->err) traffic_on_failure(&r->client->traffic, r->call->prefix, request_signal(r));
    if (r->cancelled || (r->leaving && !r->err))
        again_leave(&r->again);
    else
        again_report(&r->again, r->err ? &failure : NULL);
}

/* A HEAD that is refused has no body that tells why: no such bucket or no such key, a wrong secret
 * or no right. A GET has one. */
static bool request_must_ask_why(const struct request *r)
{
    if (r->call->kind != REQUEST_HEAD_OBJECT || r->cancelled || r->leaving) return false;
    if (!r->err || r->phase != POLICY_ANSWER || !r->bare || r->asks_why) return false;
    if (r->err == ERR_WRONG_REGION) return !r->reply.region[0];
    return r->err == ERR_NO_KEY || r->err == ERR_DENIED || r->err == ERR_REQUEST;
}

/* The HEAD was refused and the GET was not: they came to two servers, or the object has just come
 * about. The HEAD is asked again, a few times. */
static bool request_is_contradicted(struct request *r)
{
    bool good = r->asks_why && !r->err && request_is_good(r) && !r->cancelled;
    if (!good || r->contradictions >= REQUEST_CONTRADICTIONS_MAX) return false;
    r->contradictions++;
    r->asks_why = false;
    meter_add(&r->client->retries, 1);
    return true;
}

/* Where the second answer has no code either, the first one stands. */
static void request_learn_why(struct request *r)
{
    static const struct reply_error none = {.code = ""};
    char text[REPLY_TEXT_BYTES];
    bool sent_on = r->err == ERR_WRONG_REGION || r->err == ERR_REDIRECT;
    r->asks_why = false;
    if (r->cancelled || (r->err && r->phase == POLICY_ANSWER && (!r->bare || sent_on))) return;
    r->err = ERR_NONE;
    r->raw = 0;
    r->bare = true;
    r->reply.status = r->refused_status;
    request_fail(r, r->refused, POLICY_ANSWER, reply_format(r->refused_status, &none, text));
}

/* The bucket has no host name of its own: that is no failure of this call. */
static bool request_goes_by_path(struct request *r)
{
    if (!r->err || r->cancelled || r->leaving || r->followed || r->given_up) return false;
    return client_goes_by_path(r->client, r->err, &r->way);
}

static enum request_state request_settle(struct request *r)
{
    request_report(r);
    if (request_goes_by_path(r)) return REQUEST_STATE_ADMIT;
    if (request_must_ask_why(r)) {
        r->asks_why = true;
        r->refused = r->err;
        r->refused_status = r->reply.status;
        return REQUEST_STATE_ADMIT;
    }
    if (request_is_contradicted(r)) return REQUEST_STATE_ADMIT;
    if (r->asks_why) request_learn_why(r);
    if (request_tries_again(r)) return r->delay_ns ? REQUEST_STATE_BACK_OFF : REQUEST_STATE_ADMIT;
    if (!r->err && !r->leaving) request_succeed(r);
    request_answer(r, r->leaving ? ERR_NONE : r->err);
    return REQUEST_STATE_IDLE;
}

static enum request_state request_back_off(struct request *r)
{
    struct core *core = r->client->core;
    timer_start(&core->timers, &r->backoff, core->now_ns + r->delay_ns);
    return REQUEST_STATE_BACKING_OFF;
}

static enum request_state request_backing_off(struct request *r)
{
    if (r->cancelled) timer_cancel(&r->client->core->timers, &r->backoff);
    if (r->backoff.op.out) return REQUEST_STATE_BACKING_OFF;
    if (!r->cancelled) return REQUEST_STATE_ADMIT;
    r->err = ERR_CANCELLED;
    return REQUEST_STATE_SETTLE;
}

static enum request_state (*const request_table[])(struct request *r) = {
#define STATE(name, run) request_##run,
    REQUEST_STATES(STATE)
#undef STATE
};

static void request_step(struct request *r)
{
    struct core *core = r->client->core;
    for (;;) {
        enum request_state next = request_table[r->state](r);
        if (next == r->state) return;
        trace_state(&core->trace, core->now_ns, &request_trace, r, r->state, next);
        r->state = (uint8_t)next;
        if (next == REQUEST_STATE_IDLE) return; /* the next call may not begin in this one's step */
    }
}

static void request_on_step(struct op *op)
{
    request_step(container_of(op, struct request, step));
}

static void request_on_ended(struct op *op)
{
    request_step(container_of(op, struct request, ending));
}

static void request_on_backoff(struct op *op)
{
    request_step(container_of(op, struct request, backoff.op));
}

/* for the owner */

void request_init(struct request *r, struct client *client)
{
    r->client = client;
    r->watched.cuts = r->watched.lone_cuts = 0;
    r->fresh = false;
    if (r->ready) {
        CHECK(r->state == REQUEST_STATE_IDLE && "between two calls");
        return;
    }
    op_init(&r->step, request_on_step);
    op_init(&r->ending, request_on_ended);
    timer_init(&r->backoff, request_on_backoff);
    xml_error_init(&r->error_xml);
    r->owner = r->reading = NULL;
    r->state = REQUEST_STATE_IDLE;
    r->reply.status = 0;
    r->why[0] = 0;
    r->ready = true;
}

void request_fini(struct request *r)
{
    if (!r->ready) return;
    CHECK(r->state == REQUEST_STATE_IDLE);
    xml_fini(&r->error_xml);
    r->ready = false;
}

static void request_begin(struct request *r, struct op *op)
{
    CHECK(!r->owner && "one op of the owner's at a time");
    op_begin(op);
    r->owner = op;
}

void request_start(struct request *r, const struct request_call *call, struct op *op)
{
    CHECK(r->state == REQUEST_STATE_IDLE && "one call at a time");
    request_begin(r, op);
    r->call = call;
    r->reading = NULL;
    r->cancelled = r->leaving = r->doubtful = r->given_up = r->asks_why = false;
    r->doubts = 0;
    r->attempts = r->contradictions = 0;
    r->reply.status = 0;
    r->raw = 0;
    r->err = ERR_NONE;
    again_init(&r->again, r->client);
    if (call->trail) r->again.trail = *call->trail;
    request_step(r);
}

void request_write(struct request *r, const struct iovec *iovecs, uint32_t count, struct op *op)
{
    CHECK(r->state == REQUEST_STATE_FOLLOWING);
    request_begin(r, op);
    r->iovecs = iovecs;
    r->iovec_count = count;
    r->more = true;
    request_step(r);
}

void request_reply(struct request *r, struct op *op)
{
    CHECK(r->state == REQUEST_STATE_FOLLOWING && request_is_sent(r));
    request_begin(r, op);
    request_step(r);
}

void request_read(struct request *r, void *memory, uint32_t bytes, struct op *op)
{
    CHECK(r->state == REQUEST_STATE_HANDED && !r->end_begun);
    r->reading = op;
    exchange_read(&r->exchange, memory, bytes, op);
}

/* The words for a body that broke are kept. */
void request_end(struct request *r, struct op *op)
{
    request_begin(r, op);
    if (r->state == REQUEST_STATE_IDLE) {
        request_answer(r, ERR_NONE);
        return;
    }
    CHECK(r->state == REQUEST_STATE_HANDED || r->state == REQUEST_STATE_FOLLOWING);
    if (r->exchange.why[0]) snprintf(r->why, sizeof(r->why), "%s", r->exchange.why);
    r->leaving = true;
    request_step(r);
}

void request_cancel(struct request *r)
{
    if (!r->ready || r->state == REQUEST_STATE_IDLE) return;
    if (r->state == REQUEST_STATE_HANDED) {
        if (!r->reading || !r->reading->out || r->end_begun) return;
        r->end_begun = true;
        exchange_end(&r->exchange, &r->ending);
        return;
    }
    if (!r->owner || r->leaving) return;
    r->cancelled = true;
    request_step(r);
}

/* --- what is waited for --- */

bool request_is_busy(const struct request *r)
{
    return r->ready && r->state != REQUEST_STATE_IDLE;
}

/* Where nothing is out, we are about to go on: that is the CPU's. */
bool request_blame(const struct request *r, struct blame_tick *tick, double weight)
{
    const struct exchange *x = &r->exchange;
    struct blame_wire wire;
    if (!request_is_busy(r)) return false;
    if (r->state == REQUEST_STATE_BACKING_OFF) {
        blame_add(tick, BLAME_REFUSED, weight);
        return true;
    }
    if (!x->conn) {
        bool dials = r->state == REQUEST_STATE_SENDING && r->step.out && !x->dialed_ns;
        blame_add(tick, dials ? BLAME_CONNECT : BLAME_RUNNING, weight);
        return true;
    }
    traffic_describe(x->conn, &wire);
    switch (exchange_wait(x)) {
    case EXCHANGE_WAIT_OWNER: return false;
    case EXCHANGE_WAIT_PACE: blame_add(tick, BLAME_PACE, weight); break;
    case EXCHANGE_WAIT_SEND: blame_add_sending(tick, &wire, weight); break;
    case EXCHANGE_WAIT_ANSWER: blame_add_answer(tick, &wire, x->sent_ns, weight); break;
    case EXCHANGE_WAIT_BODY: blame_add_receiving(tick, &wire, weight); break;
    }
    return true;
}
