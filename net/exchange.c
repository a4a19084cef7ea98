#include "net/exchange.h"

#include <stdio.h>
#include <string.h>

/* What the first receive asks for: heads of S3 replies are below 1 KiB, and body bytes that come
 * with the head have to be copied. */
#define EXCHANGE_HEAD_STEP 4096u
#define EXCHANGE_LOOKS     4u /* of the watchdog within the shorter timeout */
/* How long a failed send waits for the reply that explains it: it is on its way or lost. */
#define EXCHANGE_VERDICT_NS NS_PER_S

#define EXCHANGE_SEND_STATES(STATE)                                                                \
    STATE(IDLE, idle) /* before start */                                                           \
    STATE(DIAL, dial)                                                                              \
    STATE(DIALING, dialing)                                                                        \
    STATE(ADMIT, admit) /* how much may go? */                                                     \
    STATE(PACING, pacing)                                                                          \
    STATE(SEND, send)                                                                              \
    STATE(SENDING, sending)                                                                        \
    STATE(SENT, sent)     /* all that was given; more is sent when it is given */                  \
    STATE(BROKEN, broken) /* sending ended early: by the reply, or it failed */

#define EXCHANGE_REPLY_STATES(STATE)                                                               \
    STATE(IDLE, idle) /* until there is a connection */                                            \
    STATE(ASK, ask)   /* for (more of) the head */                                                 \
    STATE(AWAITING, awaiting)                                                                      \
    STATE(HEAD, head) /* sorts out what came with it */                                            \
    STATE(BODY, body) /* until the owner reads */                                                  \
    STATE(READ, read) /* what is here; then, how much may come? */                                 \
    STATE(PACING, pacing)                                                                          \
    STATE(RECEIVE, receive) /* from the stream */                                                  \
    STATE(READING, reading)                                                                        \
    STATE(OVER, over) /* the body is at its end; reads give 0 bytes */

enum exchange_send_state {
#define STATE(name, run) SEND_##name,
    EXCHANGE_SEND_STATES(STATE)
#undef STATE
};

enum exchange_reply_state {
#define STATE(name, run) REPLY_##name,
    EXCHANGE_REPLY_STATES(STATE)
#undef STATE
};

static const char *const exchange_send_names[] = {
#define STATE(name, run) #name,
    EXCHANGE_SEND_STATES(STATE)
#undef STATE
};

static const char *const exchange_reply_names[] = {
#define STATE(name, run) #name,
    EXCHANGE_REPLY_STATES(STATE)
#undef STATE
};

static const struct trace_kind exchange_send_trace = {"exchange send", exchange_send_names,
                                                      ARRAY_COUNT(exchange_send_names)};
static const struct trace_kind exchange_reply_trace = {"exchange reply", exchange_reply_names,
                                                       ARRAY_COUNT(exchange_reply_names)};

static void exchange_answer(struct exchange *x, struct op **owner, uint32_t count, enum err err)
{
    struct op *op = *owner;
    if (!op) return;
    *owner = NULL;
    op->count = err ? 0 : count;
    core_finish(x->core, op, err);
}

static bool exchange_is_sent(const struct exchange *x)
{
    return x->sent_ns != 0;
}

static void exchange_say(const struct exchange *x, char why[EXCHANGE_WHY_BYTES], enum err err,
                         const char *words)
{
    char text[ADDR_TEXT_BYTES];
    snprintf(why, EXCHANGE_WHY_BYTES, "%s: %s", addr_format(&x->conn->addr, text),
             words && words[0] ? words : err_sentence(err));
}

/* The first error sticks; the connection goes at once, so that what is out on it comes back. */
static void exchange_fail(struct exchange *x, enum err err, const char *words)
{
    if (x->err) return;
    bool transport =
        err == ERR_RESET || err == ERR_CLOSED || err == ERR_TLS_TRUNCATED || err == ERR_TLS_ALERT;
    if (transport && x->reused && x->head_count == 0) err = ERR_STALE;
    if (x->conn) {
        bool dead = err == ERR_STALLED || err == ERR_TIMEOUT || err == ERR_STRAGGLER;
        exchange_say(x, x->why, err, words);
        if (dead || (transport && err != ERR_STALE)) dial_blame(x->conn, dead);
        if (dead) sock_forget(x->core, x->conn->stream->fd);
        dial_give(&x->conn, false);
    }
    x->err = err;
}

/* The bytes that a wait for pace brought; of a cancelled one, 0. */
static uint32_t exchange_take_pass(const struct gate_wish *wish, bool *paced)
{
    *paced = false;
    return wish->op.count;
}

/* request half */

static enum exchange_send_state exchange_send_idle(struct exchange *x)
{
    return x->started_ns ? SEND_DIAL : SEND_IDLE;
}

static enum exchange_send_state exchange_send_dial(struct exchange *x)
{
    x->wish.fresh_only = x->fresh_only;
    dial_take(x->dial, &x->wish);
    return SEND_DIALING;
}

/* What TCP has moved on this connection, ever. */
static bool exchange_count(const struct exchange *x, uint64_t *bytes)
{
    struct ring_tcp_info info;
    if (ring_socket_info(x->core->ring, x->conn->stream->fd, &info)) return false;
    *bytes = info.bytes_acked + info.bytes_received;
    return true;
}

static enum exchange_send_state exchange_send_dialing(struct exchange *x)
{
    if (x->wish.op.out) return SEND_DIALING;
    if (x->wish.op.err) {
        memcpy(x->why, x->wish.why, sizeof(x->why));
        exchange_fail(x, x->wish.op.err, NULL);
        return SEND_BROKEN;
    }
    x->conn = x->wish.conn;
    x->reused = x->conn->used_count > 0;
    x->dialed_ns = x->core->now_ns;
    x->first_bytes = x->reused ? UINT64_MAX : 0;
    if (x->reused && x->body_bytes >= EXCHANGE_COUNT_BYTES && !exchange_count(x, &x->first_bytes))
        x->first_bytes = UINT64_MAX;
    uint64_t look_ns = min_u64(x->timeouts.reply_ns, x->timeouts.stall_ns) / EXCHANGE_LOOKS;
    timer_start(&x->core->timers, &x->watchdog, x->core->now_ns + look_ns);
    return SEND_ADMIT;
}

/* What the stream takes at a time is below 4 GiB, so that a grant of all fits. */
static enum exchange_send_state exchange_send_admit(struct exchange *x)
{
    uint32_t wanted = (uint32_t)x->unsent_bytes;
    x->slice_bytes = x->gate && wanted > 0 ? gate_pass(x->gate, wanted) : wanted;
    if (x->slice_bytes > 0 || wanted == 0) return SEND_SEND;
    x->send_paced = true;
    gate_wait(x->gate, &x->send_pass, wanted);
    return SEND_PACING;
}

static enum exchange_send_state exchange_send_pacing(struct exchange *x)
{
    if (x->reply_early) gate_cancel(x->gate, &x->send_pass);
    if (x->send_pass.op.out) return SEND_PACING;
    x->slice_bytes = exchange_take_pass(&x->send_pass, &x->send_paced);
    return SEND_SEND;
}

/* Shortens the iovecs to the slice; exchange_unslice() gives back what was cut off the last one. */
static void exchange_slice(struct exchange *x)
{
    struct iovec *iovec = x->iovecs + x->iovec_at;
    uint32_t left = x->slice_bytes;
    x->slice_iovecs = x->iovec_count - x->iovec_at;
    x->cut_bytes = 0;
    if (left == x->unsent_bytes) return;
    for (; left > iovec->iov_len; iovec++)
        left -= (uint32_t)iovec->iov_len;
    x->slice_iovecs = (uint32_t)(iovec + 1 - (x->iovecs + x->iovec_at));
    x->cut_bytes = (uint32_t)iovec->iov_len - left;
    iovec->iov_len = left;
}

static void exchange_unslice(struct exchange *x)
{
    x->iovec_at += x->slice_iovecs;
    if (x->cut_bytes == 0) return;
    struct iovec *iovec = &x->iovecs[--x->iovec_at];
    iovec->iov_base = (char *)iovec->iov_base + iovec->iov_len;
    iovec->iov_len = x->cut_bytes;
}

/* A reply that came between two slices ends the sending. */
static enum exchange_send_state exchange_send_send(struct exchange *x)
{
    if (x->reply_early) {
        if (x->gate) gate_return(x->gate, x->slice_bytes);
        return SEND_BROKEN;
    }
    exchange_slice(x);
    x->moved_ns = x->core->now_ns;
    stream_send(x->conn->stream, x->iovecs + x->iovec_at, x->slice_iovecs, &x->sending);
    return SEND_SENDING;
}

static enum exchange_send_state exchange_send_sending(struct exchange *x)
{
    if (x->sending.out) return SEND_SENDING;
    x->moved_ns = x->core->now_ns;
    if (x->sending.err) {
        x->send_err = x->sending.err;
        exchange_say(x, x->send_why, x->send_err, x->conn->stream->why);
        return SEND_BROKEN;
    }
    uint64_t of_head = min_u64(x->slice_bytes, x->head_left_bytes);
    x->head_left_bytes -= of_head;
    x->sent_bytes += x->slice_bytes - of_head;
    x->unsent_bytes -= x->slice_bytes;
    exchange_unslice(x);
    if (x->unsent_bytes > 0) return SEND_ADMIT;
    if (x->sent_bytes == x->body_bytes) x->sent_ns = x->core->now_ns;
    exchange_answer(x, &x->write_owner, 0, ERR_NONE);
    return SEND_SENT;
}

static enum exchange_send_state exchange_send_sent(struct exchange *x)
{
    if (!exchange_is_sent(x) && x->reply_early) return SEND_BROKEN;
    return x->write_owner ? SEND_ADMIT : SEND_SENT;
}

static enum exchange_send_state exchange_send_broken(struct exchange *x)
{
    if (x->reply_early) exchange_answer(x, &x->write_owner, 0, ERR_NONE);
    return SEND_BROKEN;
}

/* reply half */

static enum exchange_reply_state exchange_reply_idle(struct exchange *x)
{
    return x->conn ? REPLY_ASK : REPLY_IDLE;
}

static enum exchange_reply_state exchange_reply_ask(struct exchange *x)
{
    uint64_t room = HTTP_HEAD_BYTES_MAX - x->head_count;
    x->conn->stream->ahead_bytes = 0;
    stream_receive(x->conn->stream, x->conn->head + x->head_count,
                   (uint32_t)min_u64(room, EXCHANGE_HEAD_STEP), &x->receiving);
    return REPLY_AWAITING;
}

/* What failed first names the cause: a send's failure is why there is no reply. */
static void exchange_fail_receive(struct exchange *x, enum err err, const char *words)
{
    if (x->send_err && !x->parser.head_done) {
        exchange_fail(x, x->send_err, NULL);
        memcpy(x->why, x->send_why, sizeof(x->why));
    } else {
        exchange_fail(x, err, words);
    }
}

static enum exchange_reply_state exchange_reply_awaiting(struct exchange *x)
{
    if (x->receiving.out) return REPLY_AWAITING;
    struct stream *stream = x->conn->stream;
    if (x->receiving.err || x->receiving.count == 0) {
        enum err ended = x->receiving.err ? x->receiving.err : ERR_CLOSED;
        exchange_fail_receive(x, ended, x->receiving.err ? stream->why : NULL);
        return REPLY_OVER;
    }
    if (x->head_count == 0) x->head_began_ns = x->core->now_ns;
    x->moved_ns = x->core->now_ns;
    x->head_count += x->receiving.count;
    enum err err = http_parse_head(&x->parser, x->conn->head, x->head_count, &x->extra_at);
    if (err) {
        exchange_fail(x, err, NULL);
        return REPLY_OVER;
    }
    return x->parser.head_done ? REPLY_HEAD : REPLY_ASK;
}

/* A refusal ends the sending: what is not sent yet would be thrown away. A success that comes early
 * is the server's affair. */
static void exchange_see_early(struct exchange *x)
{
    if (exchange_is_sent(x)) return;
    x->reply_early = true;
    if (!x->sending.out || x->parser.head.status < 300) return;
    x->dirty = true;
    ring_socket_end_sending(x->core->ring, x->conn->stream->fd);
}

/* Of a chunked body nobody knows how much is to come: all of it is paid for as it is read. */
static void exchange_charge(struct exchange *x)
{
    uint64_t left = http_body_left(&x->parser);
    uint64_t ahead = left == UINT64_MAX ? 0 : min_u64(left, dial_ahead_bytes(x->conn));
    x->unpaid_bytes = left - ahead;
    gate_charge(x->gate, x->head_count + (uint32_t)ahead);
}

static enum exchange_reply_state exchange_reply_head(struct exchange *x)
{
    struct http_parser *parser = &x->parser;
    uint32_t payload, unused;
    x->head_ns = x->core->now_ns;
    exchange_see_early(x);
    enum err err = http_parse_body(parser, x->conn->head + x->extra_at, x->head_count - x->extra_at,
                                   &payload, &unused);
    if (err) {
        exchange_fail(x, err, NULL);
        return REPLY_OVER;
    }
    x->extra_end = x->extra_at + payload;
    if (unused) x->dirty = true;
    if (x->gate) exchange_charge(x);
    exchange_answer(x, &x->head_owner, 0, ERR_NONE);
    return REPLY_BODY;
}

static bool exchange_body_is_over(const struct exchange *x)
{
    return x->parser.body_done && x->extra_at == x->extra_end;
}

static enum exchange_reply_state exchange_reply_body(struct exchange *x)
{
    if (exchange_body_is_over(x)) {
        x->ended_ns = x->core->now_ns;
        return REPLY_OVER;
    }
    return x->read_owner ? REPLY_READ : REPLY_BODY;
}

static void exchange_copy_extra(struct exchange *x)
{
    uint32_t count = (uint32_t)min_u64(x->extra_end - x->extra_at, x->read_bytes - x->read_count);
    if (count == 0) return;
    memcpy(x->read_memory + x->read_count, x->conn->head + x->extra_at, count);
    x->extra_at += count;
    x->read_count += count;
    x->copied_bytes += count;
}

static uint32_t exchange_wanted(const struct exchange *x)
{
    return (uint32_t)min_u64(x->read_bytes - x->read_count, http_body_left(&x->parser));
}

static enum exchange_reply_state exchange_reply_read(struct exchange *x)
{
    exchange_copy_extra(x);
    if (x->read_count == x->read_bytes || exchange_body_is_over(x)) {
        x->received_bytes += x->read_count;
        exchange_answer(x, &x->read_owner, x->read_count, ERR_NONE);
        return REPLY_BODY;
    }
    uint32_t wanted = exchange_wanted(x);
    if (!x->gate || x->receive_bytes > 0 || x->unpaid_bytes == 0) return REPLY_RECEIVE;
    wanted = (uint32_t)min_u64(wanted, x->unpaid_bytes);
    x->receive_bytes = gate_pass(x->gate, wanted);
    if (x->receive_bytes > 0) return REPLY_RECEIVE;
    x->receive_paced = true;
    gate_wait(x->gate, &x->receive_pass, wanted);
    return REPLY_PACING;
}

static enum exchange_reply_state exchange_reply_pacing(struct exchange *x)
{
    if (x->receive_pass.op.out) return REPLY_PACING;
    x->receive_bytes = exchange_take_pass(&x->receive_pass, &x->receive_paced);
    return REPLY_RECEIVE;
}

/* The kernel's own buffer is the only thing that fills while we do not ask. */
static enum exchange_reply_state exchange_reply_receive(struct exchange *x)
{
    uint32_t wanted = exchange_wanted(x);
    if (x->receive_bytes > 0) wanted = (uint32_t)min_u64(wanted, x->receive_bytes);
    x->conn->stream->ahead_bytes = x->gate ? wanted : 0;
    x->moved_ns = x->core->now_ns;
    stream_receive(x->conn->stream, x->read_memory + x->read_count, wanted, &x->receiving);
    return REPLY_READING;
}

static void exchange_pay(struct exchange *x, uint32_t count)
{
    CHECK(count <= x->receive_bytes);
    x->receive_bytes -= count;
    if (x->unpaid_bytes != UINT64_MAX) x->unpaid_bytes -= count;
}

static enum err exchange_take_received(struct exchange *x)
{
    uint32_t count = x->receiving.count, payload = count, unused = 0;
    if (x->receive_bytes > 0) exchange_pay(x, count);
    if (count == 0) return http_parse_end(&x->parser);
    if (http_body_left(&x->parser) != UINT64_MAX) {
        http_body_skip(&x->parser, count);
    } else {
        enum err err =
            http_parse_body(&x->parser, x->read_memory + x->read_count, count, &payload, &unused);
        if (err) return err;
        if (unused) x->dirty = true;
    }
    x->read_count += payload;
    return ERR_NONE;
}

static enum exchange_reply_state exchange_reply_reading(struct exchange *x)
{
    if (x->receiving.out) return REPLY_READING;
    x->moved_ns = x->core->now_ns;
    enum err err = x->receiving.err;
    const char *words = err ? x->conn->stream->why : NULL;
    if (!err) err = exchange_take_received(x);
    if (!err) return REPLY_READ;
    exchange_fail(x, err, words);
    return REPLY_OVER;
}

static enum exchange_reply_state exchange_reply_over(struct exchange *x)
{
    exchange_answer(x, &x->read_owner, 0, ERR_NONE);
    return REPLY_OVER;
}

/* both */

static enum exchange_send_state (*const exchange_send_table[])(struct exchange *x) = {
#define STATE(name, run) exchange_send_##run,
    EXCHANGE_SEND_STATES(STATE)
#undef STATE
};

static enum exchange_reply_state (*const exchange_reply_table[])(struct exchange *x) = {
#define STATE(name, run) exchange_reply_##run,
    EXCHANGE_REPLY_STATES(STATE)
#undef STATE
};

static bool exchange_step_send(struct exchange *x)
{
    enum exchange_send_state next = exchange_send_table[x->send_state](x);
    if (next == x->send_state) return false;
    trace_state(&x->core->trace, x->core->now_ns, &exchange_send_trace, x, x->send_state, next);
    x->send_state = (uint8_t)next;
    return true;
}

static bool exchange_step_reply(struct exchange *x)
{
    enum exchange_reply_state next = exchange_reply_table[x->reply_state](x);
    if (next == x->reply_state) return false;
    trace_state(&x->core->trace, x->core->now_ns, &exchange_reply_trace, x, x->reply_state, next);
    x->reply_state = (uint8_t)next;
    return true;
}

/* Gives up what was granted. Is a wait for pace still out? */
static bool exchange_stop_pacing(struct exchange *x)
{
    if (!x->gate) return false;
    gate_cancel(x->gate, &x->send_pass);
    gate_cancel(x->gate, &x->receive_pass);
    if (x->send_pass.op.out || x->receive_pass.op.out) return true;
    if (x->send_paced) gate_return(x->gate, exchange_take_pass(&x->send_pass, &x->send_paced));
    if (x->receive_paced)
        gate_return(x->gate, exchange_take_pass(&x->receive_pass, &x->receive_paced));
    if (!x->receiving.out) {
        gate_return(x->gate, x->receive_bytes);
        x->receive_bytes = 0;
    }
    return false;
}

/* After an error or the owner's end nothing is started any more: owners get their ops back as soon
 * as the kernel has let go of their memory, and the end comes last. */
static void exchange_wind_up(struct exchange *x)
{
    enum err err = x->err ? x->err : ERR_CANCELLED;
    bool paced = exchange_stop_pacing(x);
    bool out = x->wish.op.out || x->sending.out || x->receiving.out || paced;
    if (!x->wish.op.out && !x->sending.out) exchange_answer(x, &x->write_owner, 0, err);
    if (!x->receiving.out) exchange_answer(x, &x->read_owner, 0, err);
    exchange_answer(x, &x->head_owner, 0, err);
    if (out || !x->closing) return;
    if (x->watchdog.op.out) {
        timer_cancel(&x->core->timers, &x->watchdog);
        return;
    }
    x->started_ns = 0;
    x->send_state = SEND_IDLE;
    x->reply_state = REPLY_IDLE;
    x->closing = false;
    exchange_answer(x, &x->end_owner, 0, ERR_NONE);
}

enum exchange_wait exchange_wait(const struct exchange *x)
{
    if (!x->conn || x->err || x->closing) return EXCHANGE_WAIT_OWNER;
    if (x->sending.out) return EXCHANGE_WAIT_SEND;
    if (x->send_paced || x->receive_paced) return EXCHANGE_WAIT_PACE;
    if (x->reply_state == REPLY_READING) return EXCHANGE_WAIT_BODY;
    if (x->reply_state != REPLY_AWAITING || !exchange_is_sent(x)) return EXCHANGE_WAIT_OWNER;
    return x->head_count > 0 ? EXCHANGE_WAIT_BODY : EXCHANGE_WAIT_ANSWER;
}

static void exchange_tally(struct exchange *x)
{
    if (x->wait > EXCHANGE_WAIT_PACE) x->waited_ns += x->core->now_ns - x->tallied_ns;
    x->tallied_ns = x->core->now_ns;
    x->wait = (uint8_t)exchange_wait(x);
}

static void exchange_step(struct exchange *x)
{
    bool moved = true;
    while (moved && !x->err && !x->closing) {
        moved = exchange_step_send(x);
        if (!x->err) moved |= exchange_step_reply(x);
    }
    exchange_tally(x);
    if (x->err || x->closing) exchange_wind_up(x);
}

static void exchange_on_dialed(struct op *op)
{
    struct exchange *x = container_of(op, struct exchange, wish.op);
    if (x->closing && !op->err) dial_give(&x->wish.conn, true);
    exchange_step(x);
}

static void exchange_on_sent(struct op *op)
{
    exchange_step(container_of(op, struct exchange, sending));
}

static void exchange_on_send_pass(struct op *op)
{
    exchange_step(container_of(op, struct exchange, send_pass.op));
}

static void exchange_on_receive_pass(struct op *op)
{
    exchange_step(container_of(op, struct exchange, receive_pass.op));
}

static void exchange_on_received(struct op *op)
{
    exchange_step(container_of(op, struct exchange, receiving));
}

/* What the exchange waits for from its peer, since when, for how long at most: false when it waits
 * for its owner. */
static bool exchange_waits(const struct exchange *x, uint64_t *since_ns, uint64_t *limit_ns,
                           enum err *err)
{
    *since_ns = x->moved_ns;
    *limit_ns = x->timeouts.stall_ns;
    *err = ERR_STALLED;
    if (x->sending.out || x->reply_state == REPLY_READING) return true;
    if (x->reply_state != REPLY_AWAITING) return false;
    if (x->send_err) {
        *limit_ns = min_u64(*limit_ns, EXCHANGE_VERDICT_NS);
        *err = x->send_err;
    } else if (x->head_count > 0) {
        *since_ns = x->head_began_ns;
    } else if (exchange_is_sent(x)) {
        *limit_ns = x->timeouts.reply_ns;
        *err = ERR_TIMEOUT;
    } else {
        return false;
    }
    return true;
}

/* TCP's counters tell of progress inside one long send, and of acknowledgements. */
static void exchange_look(struct exchange *x)
{
    uint64_t moved_bytes;
    if (!exchange_count(x, &moved_bytes) || moved_bytes == x->moved_bytes) return;
    x->moved_bytes = moved_bytes;
    x->moved_ns = x->core->now_ns;
}

static void exchange_on_watchdog(struct op *op)
{
    struct exchange *x = container_of(op, struct exchange, watchdog.op);
    uint64_t since_ns, limit_ns, now_ns = x->core->now_ns;
    enum err err;
    if (!op->err && x->conn && !x->err && !x->closing) {
        exchange_look(x);
        if (exchange_waits(x, &since_ns, &limit_ns, &err) && now_ns - since_ns >= limit_ns)
            exchange_fail_receive(x, err, NULL);
    }
    if (!op->err && !x->err && !x->closing) {
        uint64_t look_ns = min_u64(x->timeouts.reply_ns, x->timeouts.stall_ns) / EXCHANGE_LOOKS;
        timer_start(&x->core->timers, &x->watchdog, now_ns + look_ns);
    }
    exchange_step(x);
}

/* for the owner */

void exchange_init(struct exchange *x, struct core *core, struct dial *dial,
                   const struct exchange_timeouts *timeouts)
{
    CHECK(timeouts->reply_ns >= EXCHANGE_LOOKS && timeouts->stall_ns >= EXCHANGE_LOOKS);
    x->core = core;
    x->dial = dial;
    x->conn = NULL;
    x->timeouts = *timeouts;
    x->fresh_only = false;
    x->gate = NULL;
    x->started_ns = 0;
    x->err = ERR_NONE;
    x->why[0] = 0;
    x->closing = false;
    x->send_state = SEND_IDLE;
    x->reply_state = REPLY_IDLE;
    x->write_owner = x->head_owner = x->read_owner = x->end_owner = NULL;
    dial_wish_init(&x->wish, exchange_on_dialed);
    op_init(&x->sending, exchange_on_sent);
    op_init(&x->receiving, exchange_on_received);
    gate_wish_init(&x->send_pass, exchange_on_send_pass);
    gate_wish_init(&x->receive_pass, exchange_on_receive_pass);
    timer_init(&x->watchdog, exchange_on_watchdog);
}

static void exchange_reset(struct exchange *x, const struct exchange_send *send)
{
    http_parser_init(&x->parser, HTTP_REPLY, send->no_body);
    x->reply_early = x->reused = x->dirty = false;
    x->sent_bytes = x->received_bytes = x->copied_bytes = 0;
    x->dialed_ns = x->sent_ns = x->head_ns = x->ended_ns = 0;
    x->waited_ns = 0;
    x->wait = EXCHANGE_WAIT_OWNER;
    x->started_ns = max_u64(x->core->now_ns, 1);
    x->moved_ns = x->head_began_ns = x->moved_bytes = 0;
    x->head_count = x->extra_at = x->extra_end = 0;
    x->unsent_bytes = x->unpaid_bytes = x->receive_bytes = 0;
    x->send_paced = x->receive_paced = false;
    x->err = x->send_err = ERR_NONE;
    x->why[0] = x->send_why[0] = 0;
    x->body_bytes = send->body_bytes;
    x->no_body = send->no_body;
}

static void exchange_load(struct exchange *x, const struct iovec *iovecs, uint32_t count)
{
    CHECK(x->iovec_count + count <= STREAM_IOVECS_MAX);
    x->iovec_at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (iovecs[i].iov_len == 0) continue;
        x->unsent_bytes += iovecs[i].iov_len;
        x->iovecs[x->iovec_count++] = iovecs[i];
    }
    CHECK(x->sent_bytes + x->unsent_bytes - x->head_left_bytes <= x->body_bytes &&
          "no more than was announced");
    CHECK(x->unsent_bytes <= UINT32_MAX && "what a stream takes at a time");
}

void exchange_start(struct exchange *x, const struct exchange_send *send, struct op *op)
{
    CHECK(!x->started_ns && "one at a time, and ended");
    op_begin(op);
    exchange_reset(x, send);
    x->write_owner = op;
    x->iovecs[0] = (struct iovec){(void *)(uintptr_t)send->head.data, send->head.count};
    x->iovec_count = 1;
    x->unsent_bytes = x->head_left_bytes = send->head.count;
    exchange_load(x, send->body, send->body_count);
    exchange_step(x);
}

void exchange_write(struct exchange *x, const struct iovec *iovecs, uint32_t count, struct op *op)
{
    CHECK(x->started_ns && !x->write_owner && !x->closing);
    op_begin(op);
    x->write_owner = op;
    x->iovec_count = 0;
    exchange_load(x, iovecs, count);
    exchange_step(x);
}

void exchange_head(struct exchange *x, struct op *op)
{
    CHECK(x->started_ns && !x->head_owner && !x->closing);
    op_begin(op);
    x->head_owner = op;
    if (x->head_ns && !x->err) exchange_answer(x, &x->head_owner, 0, ERR_NONE);
    exchange_step(x);
}

void exchange_read(struct exchange *x, void *memory, uint32_t bytes, struct op *op)
{
    CHECK(x->started_ns && !x->read_owner && !x->closing);
    CHECK(bytes > 0);
    CHECK(x->err || x->head_ns);
    op_begin(op);
    x->read_owner = op;
    x->read_memory = memory;
    x->read_bytes = bytes;
    x->read_count = 0;
    x->moved_ns = x->core->now_ns;
    exchange_step(x);
}

/* Body bytes that came with the head and were not asked for do no harm. */
static bool exchange_is_reusable(const struct exchange *x)
{
    return !x->err && exchange_is_sent(x) && x->parser.body_done && x->parser.head.keep_alive &&
           !x->dirty && !x->sending.out && !x->receiving.out;
}

void exchange_end(struct exchange *x, struct op *op)
{
    CHECK(x->started_ns && !x->closing);
    op_begin(op);
    x->end_owner = op;
    x->closing = true;
    if (!x->ended_ns) x->ended_ns = x->core->now_ns;
    dial_cancel(x->dial, &x->wish);
    if (x->conn) dial_give(&x->conn, exchange_is_reusable(x));
    exchange_step(x);
}

uint64_t exchange_moved_bytes(const struct exchange *x)
{
    if (!x->conn || x->first_bytes == UINT64_MAX) return 0;
    uint64_t bytes = x->conn->seen.bytes_acked + x->conn->seen.bytes_received;
    return bytes - min_u64(bytes, x->first_bytes);
}

/* Of what the kernel took from us and sent: has the peer's not told that it is there? */
static bool exchange_is_unanswered(const struct ring_tcp_info *info)
{
    return info->bytes_sent > info->bytes_acked + info->bytes_retransmitted;
}

bool exchange_view(struct exchange *x, struct exchange_view *view)
{
    struct ring_tcp_info info;
    uint64_t known = x->sent_bytes + x->received_bytes;
    if (!x->conn || x->err || x->closing) return false;
    if (ring_socket_info(x->core->ring, x->conn->stream->fd, &info)) return false;
    uint64_t bytes = info.bytes_acked + info.bytes_received;
    exchange_tally(x);
    if (x->first_bytes == UINT64_MAX) x->first_bytes = bytes - min_u64(bytes, known);
    *view = (struct exchange_view){.wait = (enum exchange_wait)x->wait,
                                   .moved_bytes = bytes - min_u64(bytes, x->first_bytes),
                                   .waited_ns = x->waited_ns,
                                   .unsent = !exchange_is_sent(x) || info.not_sent_bytes > 0};
    bool moving = view->unsent || exchange_is_unanswered(&info);
    if (view->wait == EXCHANGE_WAIT_ANSWER && moving) view->wait = EXCHANGE_WAIT_SEND;
    return true;
}

void exchange_cut(struct exchange *x, enum err err, const char *words)
{
    CHECK(x->conn && !x->err && !x->closing);
    exchange_fail(x, err, words);
    exchange_step(x);
}
