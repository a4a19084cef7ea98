#include "s3/part.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "compress/base64.h"
#include "s3/headers.h"

#define PART_STATES(S)                                                                             \
    S(OPEN)                                                                                        \
    S(OPENING)                                                                                     \
    S(SIZE)                                                                                        \
    S(STAGING)                                                                                     \
    S(READ)                                                                                        \
    S(READING)                                                                                     \
    S(GOT)                                                                                         \
    S(HOLDING)                                                                                     \
    S(QUEUE)                                                                                       \
    S(QUEUING)                                                                                     \
    S(RESUME)                                                                                      \
    S(SEND)                                                                                        \
    S(SENDING)                                                                                     \
    S(FILL)                                                                                        \
    S(FILLING)                                                                                     \
    S(PUSH)                                                                                        \
    S(PUSHING)                                                                                     \
    S(REPLY) S(REPLYING) S(JUDGE) S(LEAVE) S(LEAVING) S(WAITING) S(CLOSE) S(CLOSING) S(END)

enum part_state {
#define STATE(name) PART_##name,
    PART_STATES(STATE)
#undef STATE
        PART_STATE_COUNT
};

static const char *const part_state_names[PART_STATE_COUNT] = {
#define STATE(name) #name,
    PART_STATES(STATE)
#undef STATE
};

static const struct machine_kind part_kind;

static struct part *part_of(struct machine *machine)
{
    return container_of(machine, struct part, machine);
}

static struct client *part_client(struct part *part)
{
    return &part->station->clients[part->work->endpoint];
}

static struct semaphore *part_senders(struct part *part)
{
    return &part->station->senders[part->work->task.rank];
}

static void part_on_step(struct op *op)
{
    struct part *part = container_of(op, struct part, step);
    machine_settle(&part->machine, op);
}

static void part_on_turn(struct op *op)
{
    struct part *part = container_of(op, struct part, turn);
    part->sends = op->err == ERR_NONE;
    machine_settle(&part->machine, op);
}

static void part_on_wish(struct op *op)
{
    struct part *part = container_of(op, struct part, wish.op);
    machine_settle(&part->machine, op);
}

static void part_on_backoff(struct op *op)
{
    struct part *part = container_of(op, struct part, backoff.op);
    machine_settle(&part->machine, op);
}

void part_init(struct part *part, struct station *station)
{
    memset(part, 0, sizeof *part);
    part->station = station;
    op_init(&part->step, part_on_step);
    op_init(&part->turn, part_on_turn);
    pool_wish_init(&part->wish, part_on_wish);
    timer_init(&part->backoff, part_on_backoff);
    source_init(&part->file_source, station->core);
    request_init(&part->request, &station->clients[0]);
}

void part_fini(struct part *part)
{
    CHECK(!machine_is_running(&part->machine));
    request_fini(&part->request);
}

static void part_begin(struct part *part, struct work *work, struct op *op)
{
    part->work = work;
    part->twice = part->request_open = part->holding = part->doubtful = false;
    part->at_bytes = part->staging_ns = 0;
    part->sends = false;
    part->since_ns = part->station->core->now_ns;
    part->pool = NULL;
    request_init(&part->request, part_client(part));
    again_init(&part->again, part_client(part));
    machine_start(&part->machine, &part_kind, part->station->core, op);
}

void part_start(struct part *part, struct work *work, struct op *op)
{
    part->source = &part->file_source;
    part->staged = NULL;
    part_begin(part, work, op);
}

void part_start_pipe(struct part *part, struct work *work, struct source *pipe, struct op *staged,
                     struct op *op)
{
    op_begin(staged);
    part->source = pipe;
    part->staged = staged;
    part_begin(part, work, op);
}

void part_cancel(struct part *part)
{
    if (!machine_is_running(&part->machine)) return;
    machine_fail(&part->machine, ERR_CANCELLED, 0);
    pool_cancel(part->pool ? part->pool : &part->station->core->large, &part->wish);
    semaphore_cancel(part_senders(part), &part->turn);
    timer_cancel(&part->station->core->timers, &part->backoff);
    source_cancel(part->source);
    request_cancel(&part->request);
    part_go(part);
}

/* Half of the large bufs at most: two parts can always be under way, and one makes progress. */
uint64_t part_staged_bytes_max(const struct station *station)
{
    uint64_t share = station->core->large.count_max / 2;
    return min_u64(max_u64(share, 1), PART_IOVECS_MAX) * BUF_LARGE_BYTES;
}

/* --- reading --- */

static uint32_t part_open(struct machine *machine)
{
    struct part *part = part_of(machine);
    struct work *work = part->work;
    bool aligned = work->offset % FILE_DIRECT_ALIGN == 0; /* parts may have any size */
    struct file_open how = {.dir_fd = part->station->folder_fd,
                            .path = work->path,
                            .direct = aligned ? part->station->conf->direct : FILE_DIRECT_OFF,
                            .expected_bytes =
                                work->kind == WORK_PART ? work->identity.size_bytes : work->bytes};
    if (part->source->kind == SOURCE_PIPE) return PART_SIZE;
    machine_begin(machine);
    source_open(part->source, &how, &part->step);
    return PART_OPENING;
}

static bool part_pin_identity(struct part *part)
{
    struct work *work = part->work;
    const struct file_identity *now = &part->source->identity;
    if (part->source->kind == SOURCE_PIPE) return true;
    if (work->kind == WORK_PART) return file_identity_equal(now, &work->identity);
    work->identity = *now; /* a whole object is whatever the file is now */
    work->bytes = now->size_bytes;
    return true;
}

static bool part_is_signed(const struct part *part)
{
    const struct client *client = &part->station->clients[part->work->endpoint];
    return client->endpoint->sign && !client->endpoint->tls && part->station->conf->sign_payload;
}

/* Until the server is known to check our checksum it is given one that every server checks. */
static bool part_wants_md5(const struct part *part)
{
    const struct conf *conf = part->station->conf;
    if (conf->content_md5 != CONF_MD5_AUTO) return conf->content_md5 == CONF_MD5_ON;
    if (conf->checksum == CHECKSUM_NONE || part_is_signed(part)) return false;
    if (part->work->server_sums) return false;
    return part->station->clients[part->work->endpoint].confirms != CLIENT_CONFIRMS;
}

static uint32_t part_size(struct machine *machine)
{
    struct part *part = part_of(machine);
    uint64_t bytes, staged_max = part_staged_bytes_max(part->station);
    uint32_t count;
    if (!part_pin_identity(part)) {
        machine_fail(machine, ERR_FILE_CHANGED, 0);
        return PART_LEAVE;
    }
    bytes = part->work->bytes;
    part->md5 = part_wants_md5(part);
    sums_init(&part->sums, part->station->conf->checksum, part_is_signed(part), part->md5);
    if (bytes == 0) return PART_READ;
    part->pool =
        bytes <= BUF_SMALL_BYTES ? &part->station->core->small : &part->station->core->large;
    part->twice = bytes > staged_max;
    count =
        part->twice ? PART_TWICE_BUFS : (uint32_t)((bytes + BUF_LARGE_BYTES - 1) / BUF_LARGE_BYTES);
    if (count > part->pool->count_max) count = part->pool->count_max;
    part->staging_ns = part->station->core->now_ns - part->since_ns;
    machine_begin(machine);
    pool_take(part->pool, &part->wish, count);
    return PART_STAGING;
}

static void part_read_chunk(struct part *part)
{
    uint64_t room = (uint64_t)part->wish.count * BUF_LARGE_BYTES;
    uint64_t left = part->work->bytes - part->at_bytes;
    machine_begin(&part->machine);
    source_read(part->source, &part->wish.bufs, part->work->offset + part->at_bytes,
                min_u64(room, left), &part->sums, &part->step);
}

static uint32_t part_read(struct machine *machine)
{
    struct part *part = part_of(machine);
    part->step.count = 0;
    if (part->at_bytes == 0) part->since_ns = part->station->core->now_ns;
    if (part->work->bytes > 0) part_read_chunk(part);
    return PART_READING;
}

/* A pipe is free for its next reader as soon as our bytes are in. */
static void part_release_pipe(struct part *part)
{
    if (!part->staged) return;
    core_finish(part->station->core, part->staged, part->machine.err);
    part->staged = NULL;
}

static uint32_t part_got(struct machine *machine)
{
    struct part *part = part_of(machine);
    part->at_bytes += part->step.count;
    if (part->source->kind != SOURCE_PIPE)
        return part->at_bytes < part->work->bytes ? PART_READ : PART_QUEUE;
    part->work->bytes = part->at_bytes;
    machine_begin(machine);
    part->holding = true;
    part_release_pipe(part);
    return PART_HOLDING;
}

/* A part that is read again goes on where it was: on the wire. */
static uint32_t part_queue(struct machine *machine)
{
    struct part *part = part_of(machine);
    if (part->sends) return PART_SEND;
    part->staging_ns += machine->core->now_ns - part->since_ns;
    traffic_on_staged(&part_client(part)->traffic, part->work->task.rank, part->work->bytes,
                      part->staging_ns);
    part->sends = semaphore_try_take(part_senders(part));
    if (part->sends) return PART_SEND;
    machine_begin(machine);
    semaphore_take(part_senders(part), &part->turn);
    return PART_QUEUING;
}

void part_go(struct part *part)
{
    if (!part->holding) return; /* it was cancelled meanwhile */
    part->holding = false;
    machine_settle_quietly(&part->machine);
}

/* --- the call --- */

static void part_header(struct part *part, const char *name, const char *value)
{
    struct request_call *call = &part->call;
    CHECK(call->header_count < REQUEST_HEADERS_MAX);
    call->headers[call->header_count++] = (struct request_pair){bytes_of(name), bytes_of(value)};
}

static void part_query(struct part *part, const char *name, const char *value)
{
    struct request_call *call = &part->call;
    CHECK(call->query_count < REQUEST_QUERY_MAX);
    call->query[call->query_count++] = (struct request_pair){bytes_of(name), bytes_of(value)};
}

static void part_describe_sums(struct part *part)
{
    struct part_text *text = &part->text;
    const struct checksum_value *checksum = &part->value.checksum;
    if (checksum->kind != CHECKSUM_NONE)
        part_header(part, headers_checksum(checksum->kind),
                    checksum_format(checksum, 0, text->checksum));
    if (part->md5) {
        base64_encode(part->value.md5, sizeof part->value.md5, text->md5);
        part_header(part, "content-md5", text->md5);
    }
    part->call.body_is_unsigned = !part_is_signed(part);
    if (!part->call.body_is_unsigned) {
        struct writer w;
        writer_init(&w, text->sha256, sizeof text->sha256);
        writer_hex(&w, part->value.sha256, sizeof part->value.sha256);
        part->call.payload_sha256 = bytes_of(writer_string(&w));
    }
}

static void part_describe(struct part *part)
{
    struct work *work = part->work;
    part->call = (struct request_call){.kind = work->kind == WORK_PART ? REQUEST_PUT_PART
                                                                       : REQUEST_PUT_OBJECT,
                                       .bucket = bytes_of(work->bucket),
                                       .key = bytes_of(work->key),
                                       .body = part->iovecs,
                                       .body_bytes = work->bytes,
                                       .prefix = work->task.prefix,
                                       .trail = &part->again.trail,
                                       .owner_rereads = part->source->kind == SOURCE_FILE};
    part_describe_sums(part);
    if (work->kind == WORK_PART) {
        snprintf(part->text.number, sizeof part->text.number, "%u", work->part_number);
        part_query(part, "partNumber", part->text.number);
        part_query(part, "uploadId", work->upload_id);
    } else if (part->station->conf->keep_mtime && part->source->kind == SOURCE_FILE) {
        headers_format_mtime(work->identity.mtime_ns, part->text.mtime, sizeof part->text.mtime);
        part_header(part, "x-amz-meta-mtime", part->text.mtime);
    }
}

static void part_fill_iovecs(struct part *part)
{
    uint64_t left = part->chunk_bytes;
    struct link *link = part->wish.bufs.head.next;
    part->call.body_count = 0;
    while (left > 0) {
        struct buf *buf = container_of(link, struct buf, link);
        CHECK(part->call.body_count < PART_IOVECS_MAX && link != &part->wish.bufs.head);
        part->iovecs[part->call.body_count++] = (struct iovec){buf->data, buf->count};
        left -= buf->count;
        link = link->next;
    }
}

static uint32_t part_send(struct machine *machine)
{
    struct part *part = part_of(machine);
    int raw = 0;
    machine_fail(machine, source_check(part->source, &raw), raw);
    if (machine->err) return PART_LEAVE;
    sums_final(&part->sums, &part->value);
    part_describe(part);
    if (part->twice) return PART_FILL;
    part->chunk_bytes = (uint32_t)part->work->bytes;
    part_fill_iovecs(part);
    machine_begin(machine);
    request_start(&part->request, &part->call, &part->step);
    return PART_SENDING;
}

/* --- the second reading --- */

static uint32_t part_fill(struct machine *machine)
{
    struct part *part = part_of(machine);
    if (!part->request_open) {
        part->at_bytes = 0;
        sums_init(&part->sums, part->station->conf->checksum, part_is_signed(part), part->md5);
    }
    part_read_chunk(part);
    return PART_FILLING;
}

/* The last bytes are held back until the second reading is known to equal the first: a server that
 * gets too few bytes stores nothing. */
static uint32_t part_push(struct machine *machine)
{
    struct part *part = part_of(machine);
    int raw = 0;
    part->chunk_bytes = part->step.count;
    part->at_bytes += part->chunk_bytes;
    if (part->at_bytes == part->work->bytes) {
        sums_final(&part->sums, &part->sent_value);
        machine_fail(machine, source_check(part->source, &raw), raw);
        if (!sums_equal(&part->value, &part->sent_value))
            machine_fail(machine, ERR_FILE_CHANGED, 0);
        if (machine->err) return PART_LEAVE;
    }
    part_fill_iovecs(part);
    machine_begin(machine);
    if (part->request_open) {
        request_write(&part->request, part->iovecs, part->call.body_count, &part->step);
    } else {
        part->request_open = true;
        part->call.body_follows = true;
        request_start(&part->request, &part->call, &part->step);
    }
    return PART_PUSHING;
}

static uint32_t part_reply(struct machine *machine)
{
    struct part *part = part_of(machine);
    if (part->at_bytes < part->work->bytes) return PART_FILL;
    machine_begin(machine);
    request_reply(&part->request, &part->step);
    return PART_REPLYING;
}

/* From the source's first byte, after a failure. */
static uint32_t part_resume(struct machine *machine)
{
    struct part *part = part_of(machine);
    part->at_bytes = 0;
    sums_init(&part->sums, part->station->conf->checksum, part_is_signed(part), part->md5);
    return part->twice ? PART_FILL : PART_READ;
}

/* --- the end --- */

static uint32_t part_judge(struct machine *machine)
{
    struct part *part = part_of(machine);
    struct work_result *result = &part->work->result;
    const struct request_reply *reply = &part->request.reply;
    const struct checksum_value *sent = &part->value.checksum;
    struct client *client = part_client(part);
    part->request_open = false;
    if (part->again.retry.attempts > 1) again_succeeded(&part->again);
    result->confirmed = true; /* as far as it was asked */
    if (sent->kind != CHECKSUM_NONE) {
        const char *echoed = reply->checksum[sent->kind];
        result->confirmed = echoed[0] != '\0';
        client->confirms = result->confirmed ? CLIENT_CONFIRMS : CLIENT_CONFIRMS_NOT;
        if (result->confirmed && strcmp(echoed, part->text.checksum) != 0)
            machine_fail(machine, ERR_CHECKSUM, 0);
    }
    result->checksum = *sent;
    result->doubtful = part->doubtful || part->request.doubtful;
    result->moved_bytes = part->work->bytes;
    if (part->source->kind == SOURCE_FILE) result->mtime_ns = part->work->identity.mtime_ns;
    snprintf(result->version, sizeof result->version, "%s", reply->version);
    snprintf(result->etag, sizeof result->etag, "%s", reply->etag);
    if (!machine->err) meter_add(&part->station->done_bytes, part->work->bytes);
    return PART_LEAVE;
}

static uint32_t part_leave(struct machine *machine)
{
    struct part *part = part_of(machine);
    part_release_pipe(part);
    if (part->request_open) {
        machine_begin(machine);
        request_end(&part->request, &part->step);
    }
    return PART_LEAVING;
}

/* What request does for calls that are staged whole is done here for those that are read twice, and
 * for bytes that arrived altered: these may have been altered in memory, so they are read again. */
static bool part_tries_again(struct part *part)
{
    struct machine *machine = &part->machine;
    struct again_failure failure;
    uint64_t delay_ns;
    bool altered = machine->err == ERR_CHECKSUM && part->source->kind == SOURCE_FILE;
    if (machine->err == ERR_NONE || (!part->request_open && !altered)) return false;
    if (!altered && machine->err != part->request.err) return false; /* the source's, or a cancel */
    request_describe_failure(&part->request, &failure);
    failure.owner_rereads = false; /* that is what is being done */
    failure.what.err = machine->err;
    if (!part->request.err) failure.what.phase = POLICY_ANSWER; /* the echo was another */
    if (!again_may(&part->again, &failure, &delay_ns)) {
        request_explain(&part->request, &part->again);
        return false;
    }
    part->doubtful = part->doubtful || part->request.doubtful || failure.what.phase >= POLICY_AWAIT;
    meter_add(&part_client(part)->retries, 1);
    machine->err = ERR_NONE;
    machine_begin(machine);
    timer_start(&machine->core->timers, &part->backoff, machine->core->now_ns + delay_ns);
    return true;
}

static uint32_t part_close(struct machine *machine)
{
    struct part *part = part_of(machine);
    bool again = part_tries_again(part);
    part->request_open = false;
    if (again) return PART_WAITING;
    if (part->sends) semaphore_give(part_senders(part));
    part->sends = false;
    pool_give_all(&part->wish.bufs);
    work_fail(part->work, machine->err, machine->raw, machine->err ? part->request.why : "");
    part->work->result.status = part->request.reply.status;
    part->work->result.attempts = part->request.attempts;
    if (part->source->kind == SOURCE_FILE) {
        machine_begin(machine);
        source_close(part->source, &part->step);
    }
    return PART_CLOSING;
}

static uint32_t part_end(struct machine *machine)
{
    (void)machine;
    return MACHINE_END;
}

static const struct machine_row part_rows[PART_STATE_COUNT] = {
    [PART_OPEN] = {part_open, 0},         [PART_OPENING] = {NULL, PART_SIZE},
    [PART_SIZE] = {part_size, 0},         [PART_STAGING] = {NULL, PART_READ},
    [PART_READ] = {part_read, 0},         [PART_READING] = {NULL, PART_GOT},
    [PART_GOT] = {part_got, 0},           [PART_HOLDING] = {NULL, PART_SEND},
    [PART_QUEUE] = {part_queue, 0},       [PART_QUEUING] = {NULL, PART_SEND},
    [PART_RESUME] = {part_resume, 0},     [PART_SEND] = {part_send, 0},
    [PART_SENDING] = {NULL, PART_JUDGE},  [PART_FILL] = {part_fill, 0},
    [PART_FILLING] = {NULL, PART_PUSH},   [PART_PUSH] = {part_push, 0},
    [PART_PUSHING] = {NULL, PART_REPLY},  [PART_REPLY] = {part_reply, 0},
    [PART_REPLYING] = {NULL, PART_JUDGE}, [PART_JUDGE] = {part_judge, 0},
    [PART_LEAVE] = {part_leave, 0},       [PART_LEAVING] = {NULL, PART_CLOSE},
    [PART_WAITING] = {NULL, PART_RESUME}, [PART_CLOSE] = {part_close, 0},
    [PART_CLOSING] = {NULL, PART_END},    [PART_END] = {part_end, 0},
};

static const struct machine_kind part_kind = {
    .trace = {"part", part_state_names, PART_STATE_COUNT},
    .rows = part_rows,
    .on_error = PART_LEAVE,
};

/* --- what is waited for --- */

void part_blame(const struct part *part, struct blame_tick *tick, double weight)
{
    bool pipe = part->source->kind == SOURCE_PIPE;
    switch (part->machine.state) {
    case PART_OPENING:
    case PART_READING:
    case PART_FILLING:
    case PART_CLOSING: blame_add(tick, pipe ? BLAME_STREAM : BLAME_FILE, weight); break;
    case PART_STAGING: blame_add_staging(tick, pool_is_growing(part->pool), weight); break;
    case PART_QUEUING: break; /* those that are sent have its share */
    case PART_HOLDING: blame_add(tick, BLAME_CONTROL, weight); break;
    case PART_WAITING: blame_add(tick, BLAME_REFUSED, weight); break;
    default:
        if (!request_blame(&part->request, tick, weight)) blame_add(tick, BLAME_RUNNING, weight);
        break;
    }
}

bool part_is_reading(const struct part *part)
{
    switch (part->machine.state) {
    case PART_OPENING:
    case PART_READING: return !part->sends;
    default: return false;
    }
}

uint64_t part_moved_bytes(const struct part *part)
{
    if (!request_is_busy(&part->request)) return 0;
    return min_u64(exchange_moved_bytes(&part->request.exchange), part->work->bytes);
}
