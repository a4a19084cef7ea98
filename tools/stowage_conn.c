#include "tools/stowage_conn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tools/stowage_admit.h"
#include "tools/stowage_ops.h"
#include "tools/stowage_reply.h"
#include "tools/stowage_twist.h"

#define STATES(X)                                                                                  \
    X(READ, run_read, 0)                                                                           \
    X(READING, NULL, READ)                                                                         \
    X(MATCH, run_match, 0)                                                                         \
    X(CONTINUE, run_continue, 0)                                                                   \
    X(CONTINUING, NULL, OPEN)                                                                      \
    X(OPEN, run_open, 0)                                                                           \
    X(OPENING, NULL, BODY)                                                                         \
    X(BODY, run_body, 0)                                                                           \
    X(RECEIVING, NULL, BODY)                                                                       \
    X(WRITING, NULL, BODY)                                                                         \
    X(COPYING, NULL, BODY)                                                                         \
    X(HOLDING, NULL, BODY)                                                                         \
    X(SHUT, run_shut, 0)                                                                           \
    X(SHUTTING, NULL, SHUT)                                                                        \
    X(SERVE, run_serve, 0)                                                                         \
    X(SERVING, NULL, FINISH)                                                                       \
    X(FINISH, run_finish, 0)                                                                       \
    X(FINISHING, NULL, FINISHED)                                                                   \
    X(FINISHED, run_finished, 0)                                                                   \
    X(REPLY, run_reply, 0)                                                                         \
    X(FILLING, NULL, SEND)                                                                         \
    X(SEND, run_send, 0)                                                                           \
    X(PUSH, run_push, 0)                                                                           \
    X(SENDING, NULL, PUSH)                                                                         \
    X(PAUSING, NULL, PUSH)                                                                         \
    X(SENT, run_sent, 0)                                                                           \
    X(ENDING, NULL, LINGER)                                                                        \
    X(LINGER, run_linger, 0)                                                                       \
    X(LINGERING, NULL, LINGER)                                                                     \
    X(NEXT, run_next, 0)                                                                           \
    X(LEAVE, run_leave, 0)                                                                         \
    X(LEAVING, NULL, LEAVE)                                                                        \
    X(CLOSING, NULL, END)                                                                          \
    X(END, run_end, 0)

enum state {
#define X(name, run, next) name,
    STATES(X)
#undef X
        STATE_COUNT
};

static machine_fn run_read, run_match, run_continue, run_open, run_body, run_shut, run_serve,
    run_finish, run_finished, run_reply, run_send, run_push, run_sent, run_linger, run_next,
    run_leave, run_end;

static const struct machine_row rows[] = {
#define X(name, run, next) {run, next},
    STATES(X)
#undef X
};

static const char *const state_names[] = {
#define X(name, run, next) #name,
    STATES(X)
#undef X
};

static const struct machine_kind kind = {
    .trace = {"stowage_conn", state_names, STATE_COUNT},
    .rows = rows,
    .on_error = LEAVE,
};

static struct stowage_conn *conn_of(struct machine *machine)
{
    return container_of(machine, struct stowage_conn, machine);
}

static enum stowage_error error_of(enum err err)
{
    if (err == ERR_NONE) return STOWAGE_ERROR_NONE;
    bool full = err == ERR_DISK_FULL || err == ERR_DISK_QUOTA;
    return full ? STOWAGE_ERROR_DISK_FULL : STOWAGE_ERROR_INTERNAL;
}

static void conn_fail(struct stowage_conn *c, enum stowage_error error)
{
    if (!c->call.error) c->call.error = error;
}

/* A send or a receive: its errors end the connection. */
static void conn_on_wire(struct op *op)
{
    struct stowage_conn *c = container_of(op, struct stowage_conn, wire);
    struct stowage_conn_traffic *traffic = c->options->traffic;
    c->moved_ns = c->machine.core->now_ns;
    bool sent = c->machine.state == SENDING || c->machine.state == CONTINUING;
    *(sent ? &traffic->sent_bytes : &traffic->received_bytes) += op->count;
    switch ((enum state)c->machine.state) {
    case READING:
        c->in_count += op->count;
        if (op->count == 0) machine_fail(&c->machine, ERR_CLOSED, 0);
        break;
    case RECEIVING:
    case LINGERING:
        c->body.raw = c->area;
        c->body.raw_count = op->count;
        if (op->count == 0) machine_fail(&c->machine, ERR_CLOSED, 0);
        break;
    default: break;
    }
    machine_settle(&c->machine, op);
}

/* An op of the keep: its errors are the reply's, unless that has begun. */
static void conn_on_keep(struct op *op)
{
    struct stowage_conn *c = container_of(op, struct stowage_conn, keep);
    c->moved_ns = c->machine.core->now_ns;
    if (op->err && c->machine.state < REPLY) {
        conn_fail(c, error_of(op->err));
        machine_settle_quietly(&c->machine);
    } else {
        machine_settle(&c->machine, op);
    }
}

static void conn_on_closed(struct op *op)
{
    struct stowage_conn *c = container_of(op, struct stowage_conn, closing);
    machine_settle_quietly(&c->machine);
}

static void conn_close_stream(struct stowage_conn *c)
{
    if (c->leaving) return;
    c->leaving = true;
    machine_begin(&c->machine);
    timer_cancel(&c->machine.core->timers, &c->pause);
    stream_close(c->stream, &c->closing);
}

/* So that the peer gets a reset instead of an end: what the kernel still holds is dropped. */
static uint32_t conn_reset(struct stowage_conn *c)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int raw;
    if (ring_socket_option(c->machine.core->ring, c->stream->fd, SOL_SOCKET, SO_LINGER, &linger,
                           sizeof(linger), &raw))
        return LEAVE; /* an end, then */
    return LEAVE;
}

/* Nothing happens until then, or until the peer leaves. */
static uint32_t conn_pause(struct stowage_conn *c, uint64_t until_ns, uint32_t state)
{
    uint64_t latest_ns = c->machine.core->now_ns + STOWAGE_CONN_STALL_NS;
    machine_begin(&c->machine);
    timer_start(&c->machine.core->timers, &c->pause, min_u64(until_ns, latest_ns));
    return state;
}

static void conn_on_pause(struct op *op)
{
    struct stowage_conn *c = container_of(op, struct stowage_conn, pause.op);
    c->moved_ns = c->machine.core->now_ns;
    machine_settle_quietly(&c->machine);
}

static bool is_pausing(const struct stowage_conn *c)
{
    uint32_t state = c->machine.state;
    return state == HOLDING || state == SERVING || state == PAUSING;
}

/* Does a pause wait for a peer that has gone? */
static bool is_left(const struct stowage_conn *c)
{
    struct ring_tcp_info info;
    if (!is_pausing(c)) return false;
    return ring_socket_info(c->machine.core->ring, c->stream->fd, &info) || info.peer_closed;
}

/* How long nothing may move in the present state. */
static uint64_t patience_ns(const struct stowage_conn *c)
{
    if (c->machine.state == READING) return STOWAGE_CONN_IDLE_NS;
    return c->machine.state == LINGERING ? STOWAGE_CONN_LINGER_NS : STOWAGE_CONN_STALL_NS;
}

/* One timer for the whole life: it looks at when something moved last, so that moving costs
 * nothing. */
static void conn_on_timer(struct op *op)
{
    struct stowage_conn *c = container_of(op, struct stowage_conn, timer.op);
    uint64_t now_ns = c->machine.core->now_ns;
    if (c->machine.state == CLOSING) {
        machine_settle_quietly(&c->machine);
        return;
    }
    timer_start(&c->machine.core->timers, &c->timer, now_ns + STOWAGE_CONN_LINGER_NS);
    if (c->leaving || (now_ns < c->moved_ns + patience_ns(c) && !is_left(c))) return;
    machine_fail(&c->machine, ERR_TIMEOUT, 0);
    conn_close_stream(c);
}

void stowage_conn_stop(struct stowage_conn *c)
{
    if (!machine_is_running(&c->machine) || c->stop_asked) return;
    c->stop_asked = true;
    machine_fail(&c->machine, ERR_CANCELLED, 0);
    conn_close_stream(c);
    machine_step(&c->machine);
}

static bool conn_needs_scratch(struct stowage_conn *c)
{
    if (!c->scratch) c->scratch = malloc(STOWAGE_SCRATCH_BYTES);
    if (c->scratch) return true;
    machine_fail(&c->machine, ERR_NO_MEMORY, 0);
    return false;
}

static void conn_receive(struct stowage_conn *c, char *area, uint32_t bytes)
{
    c->area = area;
    machine_begin(&c->machine);
    stream_receive(c->stream, area, bytes, &c->wire);
}

static void conn_send(struct stowage_conn *c, uint32_t count)
{
    machine_begin(&c->machine);
    stream_send(c->stream, c->iovecs, count, &c->wire);
}

/* A head that is no HTTP gets an answer, but no second chance. */
static uint32_t refuse_head(struct stowage_conn *c)
{
    c->body.parser.head.header_count = 0;
    c->body.parser.body_done = true;
    c->keep_alive = false;
    c->call.head = &c->body.parser.head;
    conn_fail(c, STOWAGE_ERROR_REQUEST);
    return REPLY;
}

static uint32_t run_read(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    uint32_t head_bytes = 0;
    if (c->in_count > 0) {
        enum err err = http_parse_head(&c->body.parser, c->in, c->in_count, &head_bytes);
        if (err) return refuse_head(c);
        if (c->body.parser.head_done) {
            c->body.raw = c->in + head_bytes;
            c->body.raw_count = c->in_count - head_bytes;
            return MATCH;
        }
    }
    CHECK(c->in_count < STOWAGE_CONN_IN_BYTES && "the parser refuses before");
    conn_receive(c, c->in + c->in_count, STOWAGE_CONN_IN_BYTES - c->in_count);
    return READING;
}

/* The seam where every reply passes, before its head is written. */
static void replying(struct stowage_conn *c)
{
    const struct stowage_route *route = &c->call.route;
    if (c->options->log->level_max < LOG_DETAIL) return;
    uint64_t us = (c->machine.core->now_ns - c->begun_ns) / NS_PER_US;
    log_line(c->options->log, LOG_DETAIL, "%s %.*s/%.*s part %u: %u %s, %llu bytes in, %llu us",
             stowage_route_name(route->operation), (int)route->bucket.count, route->bucket.data,
             (int)route->key.count, route->key.data, route->part_number, c->call.status,
             stowage_error_code(c->call.error), (unsigned long long)c->call.content_bytes,
             (unsigned long long)us);
}

/* The rule that hit this request, where it is about the body on that side. */
static const struct stowage_rule *rule_of(const struct stowage_conn *c, enum stowage_rule_side side)
{
    const struct stowage_rule *rule = &c->hit.rule;
    if (!c->hit.is_hit || stowage_rule_side(rule, c->call.route.operation) != side) return NULL;
    return rule;
}

static void conn_fired(struct stowage_conn *c)
{
    stowage_fault_fired(c->call.world->fault, &c->hit);
}

/* From here to end_service() the request is in flight. */
static enum stowage_error begin_service(struct stowage_conn *c)
{
    const struct stowage_route *route = &c->call.route;
    struct stowage_service_request request = {route->operation, route->bucket, route->key,
                                              route->part_number};
    c->in_service = true;
    stowage_service_begin(c->call.world->service, &request, c->machine.core->now_ns, &c->service);
    return c->service.slow_down ? STOWAGE_ERROR_SLOW_DOWN : STOWAGE_ERROR_NONE;
}

static void end_service(struct stowage_conn *c)
{
    if (c->in_service) stowage_service_end(c->call.world->service);
    c->in_service = false;
}

static uint32_t run_match(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    struct stowage_call *call = &c->call;
    c->begun_ns = machine->core->now_ns;
    c->number = ++c->options->traffic->requests;
    c->keep_alive = c->body.parser.head.keep_alive;
    call->op = &c->keep;
    enum stowage_error error = stowage_admit_head(call, &c->body.parser.head, &c->hit);
    if (!error) error = begin_service(c);
    if (!error) error = stowage_admit_body(call, &c->body.chunk, &c->body.chunked);
    if (!error) error = stowage_ops_row(call->route.operation)->begin(call);
    conn_fail(c, error);
    stowage_flow_init(&c->inflow, rule_of(c, STOWAGE_RULE_REQUEST), call->content_bytes);
    stowage_flow_limit(&c->inflow, c->service.rate_bytes_per_s, c->service.rate_clock);
    return call->head->expect_continue ? CONTINUE : OPEN;
}

/* A client that waits for 100 and is refused will not send the body, or only part of it: nobody
 * knows where its next request would begin. An empty body gets its 100 too: botocore takes a final
 * answer without one for the answer to the next request on that connection as well. */
static uint32_t run_continue(struct machine *machine)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct stowage_conn *c = conn_of(machine);
    if (c->body.raw_count) return OPEN;
    if (c->call.error) {
        c->keep_alive = false;
        return REPLY;
    }
    c->iovecs[0] = (struct iovec){(void *)(uintptr_t)text, sizeof(text) - 1};
    conn_send(c, 1);
    return CONTINUING;
}

static uint32_t run_open(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    struct stowage_call *call = &c->call;
    c->copy_index = 0;
    bool opens = call->intake == STOWAGE_INTAKE_CONTENT || call->intake == STOWAGE_INTAKE_COPY;
    if (call->error || !opens) return BODY;
    if (!conn_needs_scratch(c)) return LEAVE;
    call->sink.scratch = call->source.scratch = c->scratch;
    machine_begin(machine);
    stowage_keep_sink_open(&call->sink, &c->keep);
    return OPENING;
}

/* What the flow says before the payload at hand moves; BODY: up to *bytes may. */
static uint32_t hold_payload(struct stowage_conn *c, uint64_t *bytes)
{
    uint64_t now_ns = c->machine.core->now_ns;
    for (;;) {
        struct stowage_flow_step step =
            stowage_flow_next(&c->inflow, c->body.payload_count, now_ns);
        *bytes = step.bytes;
        if (c->inflow.fired) conn_fired(c);
        switch (step.act) {
        case STOWAGE_FLOW_GO: return BODY;
        case STOWAGE_FLOW_PAUSE: return conn_pause(c, step.until_ns, HOLDING);
        case STOWAGE_FLOW_RESET: return conn_reset(c);
        case STOWAGE_FLOW_CLOSE: return LEAVE;
        case STOWAGE_FLOW_CORRUPT: c->body.payload[0] ^= 1; break;
        }
    }
}

/* The payload at hand, `count` bytes of it, goes where the operation wants it. */
static uint32_t take_payload(struct stowage_conn *c, uint32_t count)
{
    struct stowage_call *call = &c->call;
    const char *payload = c->body.payload;
    c->body.payload += count;
    c->body.payload_count -= count;
    c->body.dropped_bytes += count;
    stowage_flow_moved(&c->inflow, count, c->machine.core->now_ns);
    if (call->error || call->intake == STOWAGE_INTAKE_NONE) return BODY;
    if (call->intake == STOWAGE_INTAKE_TEXT) {
        sums_update(&call->sums, payload, count);
        stowage_xml_raw(&call->input, (struct bytes){payload, count});
        if (call->input.overflow || call->input.count > STOWAGE_CALL_INPUT_MAX)
            conn_fail(c, STOWAGE_ERROR_XML);
        return BODY;
    }
    if (count > call->sink.bytes_max - call->sink.segment.bytes) {
        conn_fail(c, STOWAGE_ERROR_REQUEST);
        return BODY;
    }
    sums_update(&call->sums, payload, count);
    machine_begin(&c->machine);
    stowage_keep_sink_write(&call->sink, payload, count, &c->keep);
    return WRITING;
}

/* The next step of a copy: more from the source, or the next of its iovecs to the sink. */
static uint32_t copy_step(struct stowage_conn *c)
{
    struct stowage_call *call = &c->call;
    struct stowage_source *source = &call->source;
    if (c->copy_index < source->iovec_count) {
        const struct iovec *iovec = &source->iovecs[c->copy_index++];
        uint32_t count = (uint32_t)iovec->iov_len;
        if (call->world->keep->kind->has_content) sums_update(&call->sums, iovec->iov_base, count);
        machine_begin(&c->machine);
        stowage_keep_sink_write(&call->sink, iovec->iov_base, count, &c->keep);
        return COPYING;
    }
    if (source->at == source->end) {
        conn_fail(c, stowage_call_settle_sums(call, (struct bytes){NULL, 0}));
        return SHUT;
    }
    c->copy_index = 0;
    machine_begin(&c->machine);
    stowage_keep_source_fill(source, &c->keep);
    return COPYING;
}

/* A receive ends with the first bytes that come, unless the socket is told to wait for more: a wake
 * costs as much as copying 100 KiB. Set for the bulk of a body, and taken back before its end. */
static void set_low_water(struct stowage_conn *c, uint64_t left)
{
    bool bulk = left != UINT64_MAX && left > 2 * STOWAGE_SCRATCH_BYTES;
    int bytes = bulk ? STOWAGE_CONN_LOW_WATER_BYTES : 1, raw;
    if (bulk == c->low_water) return;
    c->low_water = bulk;
    if (ring_socket_option(c->machine.core->ring, c->stream->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes,
                           sizeof(bytes), &raw))
        return; /* only slower */
}

static uint32_t receive_body(struct stowage_conn *c)
{
    struct stowage_call *call = &c->call;
    uint64_t left = http_body_left(&c->body.parser);
    uint32_t bytes = STOWAGE_SCRATCH_BYTES;
    if (!conn_needs_scratch(c)) return LEAVE;
    char *area = c->scratch;
    bool content = call->intake == STOWAGE_INTAKE_CONTENT && !call->error;
    if (content && !c->body.chunked && left != UINT64_MAX)
        area = stowage_keep_sink_area(&call->sink, &bytes);
    if (left == UINT64_MAX) bytes = STOWAGE_CONN_IN_BYTES; /* what is extra must fit there */
    set_low_water(c, left);
    conn_receive(c, area, (uint32_t)min_u64(bytes, left));
    return RECEIVING;
}

/* A refused body that is too long to be read before the reply. */
static bool is_too_much_to_drop(const struct stowage_conn *c)
{
    if (!c->call.error) return false;
    if (c->call.error == STOWAGE_ERROR_INJECTED && c->hit.rule.early) return true;
    return stowage_body_is_beyond(&c->body, STOWAGE_CONN_DRAIN_BYTES);
}

static uint32_t end_body(struct stowage_conn *c)
{
    if (!c->call.error) conn_fail(c, stowage_body_check(&c->body, &c->call));
    return SHUT;
}

static uint32_t run_body(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    for (;;) {
        if (c->body.payload_count) {
            uint64_t bytes;
            uint32_t next = hold_payload(c, &bytes);
            if (next == BODY) next = take_payload(c, (uint32_t)bytes);
            if (next != BODY) return next;
        } else if (c->body.raw_count && c->body.parser.body_done) {
            stowage_body_set_extra_aside(&c->body);
        } else if (c->body.raw_count) {
            enum err err = stowage_body_decode(&c->body, &c->call);
            machine_fail(machine, err, 0);
            if (err) return LEAVE;
        } else {
            break;
        }
    }
    if (c->body.parser.body_done) {
        uint64_t none;
        uint32_t next = hold_payload(c, &none);
        if (next != BODY) return next;
        return c->call.intake == STOWAGE_INTAKE_COPY && !c->call.error ? copy_step(c) : end_body(c);
    }
    if (is_too_much_to_drop(c)) {
        c->keep_alive = false;
        return SHUT;
    }
    return receive_body(c);
}

static uint32_t run_shut(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    if (c->call.source.is_open) {
        machine_begin(machine);
        stowage_keep_source_close(&c->call.source, &c->keep);
        return SHUTTING;
    }
    if (!c->call.sink.is_open) return SERVE;
    machine_begin(machine);
    stowage_keep_sink_close(&c->call.sink, &c->keep);
    return SHUTTING;
}

/* After finish() or what follows it: waits where something was started. */
static uint32_t after_operation(struct stowage_conn *c, enum stowage_error error)
{
    conn_fail(c, error);
    if (c->keep.out) {
        machine_begin(&c->machine);
        return FINISHING;
    }
    return REPLY;
}

static uint32_t run_serve(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    uint64_t wait_ns = c->service.serve_ns;
    if (c->hit.is_hit && c->hit.rule.act == STOWAGE_RULE_DELAY && !c->call.error) {
        conn_fired(c);
        wait_ns += c->hit.rule.number;
    }
    return wait_ns ? conn_pause(c, machine->core->now_ns + wait_ns, SERVING) : FINISH;
}

static uint32_t run_finish(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    if (c->call.error) return REPLY;
    stowage_call_fn *finish = stowage_ops_row(c->call.route.operation)->finish;
    return finish ? after_operation(c, finish(&c->call)) : REPLY;
}

static uint32_t run_finished(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    stowage_call_fn *next = c->call.next;
    c->call.next = NULL;
    return next && !c->call.error ? after_operation(c, next(&c->call)) : REPLY;
}

/* Noise instead of a reply, or headers that no reply should have. */
static void twist_out(struct stowage_conn *c)
{
    const struct stowage_rule *rule = &c->hit.rule;
    size_t count;
    if (rule->act == STOWAGE_RULE_GARBAGE) {
        stowage_out_init(&c->out);
        stowage_twist_noise(rule, c->hit.draw, &c->out.head);
        c->call.no_body = true;
        c->keep_alive = false;
        conn_fired(c);
    }
    c->filler = stowage_twist_headers(rule, &count);
    if (!c->filler) return;
    struct iovec iovecs[2] = {{c->filler, count}, {(void *)(uintptr_t) "\r\n", 2}};
    c->out.head.count -= 2; /* the empty line comes behind them */
    stowage_out_add(&c->out, iovecs, 2);
    conn_fired(c);
}

/* The head, as rules will have it. */
static void make_head(struct stowage_conn *c)
{
    struct stowage_call *call = &c->call;
    struct stowage_reply_form form = {.keep_alive = c->keep_alive};
    if (c->hit.is_hit && stowage_twist_reply(&c->hit.rule, call, &form)) conn_fired(c);
    c->keep_alive = form.keep_alive;
    stowage_out_init(&c->out);
    stowage_reply_head(call, c->number, &form, &c->out.head);
    CHECK(!c->out.head.overflow && "both parts of a head are bounded");
    if (c->hit.is_hit) twist_out(c);
    c->out.chunked = form.chunked;
    stowage_flow_init(&c->outflow, rule_of(c, STOWAGE_RULE_REPLY),
                      call->no_body ? 0 : stowage_reply_bytes(call));
    stowage_flow_limit(&c->outflow, c->service.rate_bytes_per_s, c->service.rate_clock);
}

static uint32_t run_reply(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    struct stowage_call *call = &c->call;
    if (call->headers.overflow || call->text.overflow) conn_fail(c, STOWAGE_ERROR_INTERNAL);
    if (call->headers.overflow) /* a line may be cut: none of them goes out */
        writer_init(&call->headers, call->header_text, sizeof(call->header_text));
    if (call->error) stowage_reply_error(call, c->number);
    replying(c);
    if (c->hit.is_hit && c->hit.rule.act == STOWAGE_RULE_LOST && !call->error) {
        conn_fired(c);
        return conn_reset(c);
    }
    make_head(c);
    if (call->no_body || !call->sends_object || !stowage_reply_bytes(call)) return SEND;
    if (!conn_needs_scratch(c)) return LEAVE;
    call->source.scratch = c->scratch;
    machine_begin(machine);
    stowage_keep_source_fill(&call->source, &c->keep);
    return FILLING;
}

/* Behind the reply's last piece comes only the end of its framing. */
static bool is_last_piece(const struct stowage_call *call)
{
    return !call->source.is_open || call->source.at == call->source.end;
}

static uint32_t run_send(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    struct stowage_call *call = &c->call;
    if (!call->no_body && call->sends_object && call->source.is_open) {
        stowage_out_add(&c->out, call->source.iovecs, call->source.iovec_count);
    } else if (!call->no_body && call->text.count) {
        struct iovec text = {call->text.data, call->text.count};
        stowage_out_add(&c->out, &text, 1);
    }
    if (is_last_piece(call)) stowage_out_end(&c->out);
    return PUSH;
}

/* All at once, unless a rule holds the body up: then the head first. */
static uint32_t run_push(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    struct stowage_flow_step step = {STOWAGE_FLOW_GO, UINT64_MAX, 0};
    bool free = stowage_flow_is_free(&c->outflow);
    if (stowage_out_is_empty(&c->out) && free) return SENT;
    if (!free && stowage_out_has_head(&c->out)) {
        conn_send(c, stowage_out_take(&c->out, 0, c->iovecs));
        return SENDING;
    }
    uint64_t left = stowage_out_body_bytes(&c->out);
    if (!free) step = stowage_flow_next(&c->outflow, left, machine->core->now_ns);
    if (!free && c->outflow.fired) conn_fired(c);
    switch (step.act) {
    case STOWAGE_FLOW_PAUSE: return conn_pause(c, step.until_ns, PAUSING);
    case STOWAGE_FLOW_RESET: return conn_reset(c);
    case STOWAGE_FLOW_CLOSE: return LEAVE;
    case STOWAGE_FLOW_CORRUPT:
        c->out.corrupts = true;
        step.bytes = 1;
        break;
    case STOWAGE_FLOW_GO: break;
    }
    if (stowage_out_is_empty(&c->out)) return SENT;
    conn_send(c, stowage_out_take(&c->out, step.bytes, c->iovecs));
    stowage_flow_moved(&c->outflow, min_u64(step.bytes, left), machine->core->now_ns);
    return SENDING;
}

static uint32_t run_sent(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    struct stowage_source *source = &c->call.source;
    if (!source->is_open) return LINGER;
    machine_begin(machine);
    if (source->at < source->end) {
        stowage_keep_source_fill(source, &c->keep);
        return FILLING;
    }
    stowage_keep_source_close(source, &c->keep);
    return ENDING;
}

/* Closing while the peer still sends would cost it our reply (RFC 9112 9.6): it is read on for a
 * while. */
static uint32_t run_linger(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    if (c->keep_alive || c->body.parser.body_done) return NEXT;
    if (c->body.raw_count && stowage_body_decode(&c->body, &c->call) != ERR_NONE) return LEAVE;
    c->body.payload_count = 0;
    if (c->body.parser.body_done) return NEXT;
    if (!conn_needs_scratch(c)) return LEAVE;
    conn_receive(c, c->scratch, STOWAGE_CONN_IN_BYTES);
    return LINGERING;
}

static void begin_request(struct stowage_conn *c)
{
    uint32_t count = c->body.extra_count;
    if (count) memmove(c->in, c->body.extra, count);
    c->in_count = count;
    stowage_body_init(&c->body);
    c->hit.is_hit = false;
    c->service = (struct stowage_service_verdict){.slow_down = false};
    free(c->filler);
    c->filler = NULL;
    http_parser_init(&c->body.parser, HTTP_REQUEST, false);
}

static uint32_t run_next(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    end_service(c);
    stowage_call_clear(&c->call);
    if (!c->keep_alive) return LEAVE;
    begin_request(c);
    return READ;
}

static uint32_t run_leave(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    if (c->call.sink.is_open) {
        machine_begin(machine);
        stowage_keep_sink_close(&c->call.sink, &c->keep);
        return LEAVING;
    }
    if (c->call.source.is_open) {
        machine_begin(machine);
        stowage_keep_source_close(&c->call.source, &c->keep);
        return LEAVING;
    }
    conn_close_stream(c);
    machine_begin(machine);
    timer_cancel(&machine->core->timers, &c->timer);
    return CLOSING;
}

static uint32_t run_end(struct machine *machine)
{
    struct stowage_conn *c = conn_of(machine);
    end_service(c);
    stowage_call_fini(&c->call);
    accept_release(c->accepted);
    c->accepted = NULL;
    return MACHINE_END;
}

enum err stowage_conn_open(struct stowage_conn **conn, struct stowage_world *world,
                           struct accepted *accepted, const struct stowage_conn_options *options,
                           op_fn *done)
{
    struct stowage_conn *c = calloc(1, sizeof(*c));
    char *in = malloc(STOWAGE_CONN_IN_BYTES);
    if (!c || !in) {
        free(c);
        free(in);
        return ERR_NO_MEMORY;
    }
    *conn = c;
    c->in = in;
    c->accepted = accepted;
    c->stream = accepted->stream;
    c->options = options;
    stowage_call_init(&c->call, world);
    link_init(&c->link);
    op_init(&c->done, done);
    op_init(&c->wire, conn_on_wire);
    op_init(&c->keep, conn_on_keep);
    op_init(&c->closing, conn_on_closed);
    timer_init(&c->timer, conn_on_timer);
    timer_init(&c->pause, conn_on_pause);
    begin_request(c);
    c->moved_ns = world->core->now_ns;
    timer_start(&world->core->timers, &c->timer, c->moved_ns + STOWAGE_CONN_LINGER_NS);
    machine_start(&c->machine, &kind, world->core, &c->done);
    return ERR_NONE;
}

void stowage_conn_free(struct stowage_conn *c)
{
    CHECK(!machine_is_running(&c->machine));
    free(c->in);
    free(c->scratch);
    free(c->filler);
    free(c);
}
