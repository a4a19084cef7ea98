#include "s3/range.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "s3/headers.h"
#include "s3/stored.h"

#define RANGE_STATES(S)                                                                            \
    S(LOOK)                                                                                        \
    S(LOOKING)                                                                                     \
    S(LOOKED)                                                                                      \
    S(CHECKING)                                                                                    \
    S(CHECKED)                                                                                     \
    S(REQUEST)                                                                                     \
    S(REQUESTING)                                                                                  \
    S(OPEN)                                                                                        \
    S(OPENING)                                                                                     \
    S(TAKE)                                                                                        \
    S(TAKING)                                                                                      \
    S(PUMP) S(PUMPING) S(JUDGE) S(PAUSE) S(PAUSING) S(LEAVE) S(LEAVING) S(LAND) S(LANDING) S(END)

enum range_state {
#define STATE(name) RANGE_##name,
    RANGE_STATES(STATE)
#undef STATE
        RANGE_STATE_COUNT
};

static const char *const range_state_names[RANGE_STATE_COUNT] = {
#define STATE(name) #name,
    RANGE_STATES(STATE)
#undef STATE
};

static const struct machine_kind range_kind;
static void range_pump(struct range *range);

static struct range *range_of(struct machine *machine)
{
    return container_of(machine, struct range, machine);
}

static bool range_is_whole(const struct range *range)
{
    return range->work->kind == WORK_GET;
}

/* Only summed: nothing is opened, nothing is written. */
static bool range_drops(const struct range *range)
{
    return range->work->kind == WORK_SUM_OBJECT;
}

static void range_on_step(struct op *op)
{
    struct range *range = container_of(op, struct range, step);
    if (range->machine.state == RANGE_LOOKING)
        machine_settle_quietly(&range->machine); /* no file is no failure */
    else
        machine_settle(&range->machine, op);
}

static void range_on_checked(struct op *op)
{
    struct range *range = container_of(op, struct range, checked);
    machine_settle_quietly(&range->machine); /* bytes that are not there are fetched */
}

static void range_on_wish(struct op *op)
{
    struct range *range = container_of(op, struct range, wish.op);
    machine_settle(&range->machine, op);
}

static void range_on_backoff(struct op *op)
{
    struct range *range = container_of(op, struct range, backoff.op);
    machine_settle(&range->machine, op);
}

static void range_on_read(struct op *op);
static void range_on_write(struct op *op);

void range_init(struct range *range, struct station *station)
{
    memset(range, 0, sizeof *range);
    range->station = station;
    op_init(&range->step, range_on_step);
    op_init(&range->reading, range_on_read);
    op_init(&range->checked, range_on_checked);
    reread_init(&range->reread, station->core);
    timer_init(&range->backoff, range_on_backoff);
    pool_wish_init(&range->wish, range_on_wish);
    file_init(&range->own_file, station->core);
    sink_init(&range->sink, station);
    request_init(&range->request, &station->clients[0]);
    for (uint32_t i = 0; i < RANGE_BUFS_MAX; i++) {
        file_io_init(&range->lanes[i].io, range_on_write);
        range->lanes[i].range = range;
    }
}

void range_fini(struct range *range)
{
    CHECK(!machine_is_running(&range->machine));
    request_fini(&range->request);
}

void range_start(struct range *range, struct work *work, struct op *op)
{
    range->work = work;
    range->file = range_is_whole(range) ? &range->sink.file : &range->own_file;
    range->lane_count = range->next_lane = range->next_write = range->writes_out = 0;
    range->into = NULL;
    range->received_bytes = range->written_bytes = 0;
    range->total_bytes = work->bytes;
    range->broken = ERR_NONE;
    range->body_open = range->body_done = range->opened = range->has_expected = false;
    request_init(&range->request, &range->station->clients[work->endpoint]);
    again_init(&range->again, &range->station->clients[work->endpoint]);
    range->failed_at_bytes = 0;
    machine_start(&range->machine, &range_kind, range->station->core, op);
}

void range_cancel(struct range *range)
{
    if (!machine_is_running(&range->machine)) return;
    machine_fail(&range->machine, ERR_CANCELLED, 0);
    pool_cancel(&range->station->core->large, &range->wish);
    pool_cancel(&range->station->core->small, &range->wish);
    timer_cancel(&range->station->core->timers, &range->backoff);
    request_cancel(&range->request);
    reread_cancel(&range->reread);
    for (uint32_t i = 0; i < range->lane_count; i++)
        file_cancel(&range->lanes[i].io);
}

/* --- what an earlier run has left --- */

static void range_reread(struct range *range)
{
    const struct station *station = range->station;
    const struct work *work = range->work;
    const struct reread_range what = {
        .file = {.dir_fd = station->folder_fd,
                 .path = work->path,
                 .resolve = station->resolve,
                 .direct = work->buffered ? FILE_DIRECT_OFF : station->conf->direct,
                 .expected_bytes = work->identity.size_bytes},
        .offset = work->offset,
        .bytes = work->bytes,
        .kind = work->written.kind};
    machine_begin(&range->machine);
    reread_start(&range->reread, &what, &range->checked);
}

static uint32_t range_look(struct machine *machine)
{
    struct range *range = range_of(machine);
    if (range->work->written.count > 0) {
        range_reread(range);
        return RANGE_CHECKING;
    }
    if (!range->work->was_done) return RANGE_REQUEST;
    memset(&range->there, 0, sizeof range->there);
    machine_begin(machine);
    ring_stat(machine->core->ring, range->station->folder_fd, range->work->path,
              AT_SYMLINK_NOFOLLOW, &range->there, &range->step);
    return RANGE_LOOKING;
}

static uint32_t range_looked(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct work *work = range->work;
    if (!S_ISREG(range->there.stx_mode) || range->there.stx_size != work->bytes)
        return RANGE_REQUEST;
    work->result.kept = work->result.confirmed = true;
    return RANGE_END;
}

static uint32_t range_checked(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct work *work = range->work;
    (void)machine;
    if (range->checked.err || !checksum_equal(&range->reread.checksum, &work->written))
        return RANGE_REQUEST;
    work->result.checksum = work->written;
    work->result.kept = work->result.confirmed = true;
    return RANGE_END;
}

/* --- the request --- */

static void range_header(struct range *range, const char *name, const char *value)
{
    struct request_call *call = &range->call;
    call->headers[call->header_count++] = (struct request_pair){bytes_of(name), bytes_of(value)};
}

static uint32_t range_request(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct work *work = range->work;
    uint64_t at = range->received_bytes;
    range->call = (struct request_call){.kind = REQUEST_GET_OBJECT,
                                        .bucket = bytes_of(work->bucket),
                                        .key = bytes_of(work->key),
                                        .expected_bytes = range->total_bytes - at,
                                        .prefix = work->task.prefix,
                                        .reply_body = true};
    if (!range_is_whole(range) || at > 0) {
        headers_format_range(work->offset + at, range->total_bytes - at, range->range_text,
                             sizeof range->range_text);
        range_header(range, "range", range->range_text);
    } else {
        range_header(range, "x-amz-checksum-mode", "ENABLED");
    }
    if (work->etag[0]) range_header(range, "if-match", work->etag);
    range->broken = ERR_NONE;
    range->body_done = false;
    machine_begin(machine);
    request_start(&range->request, &range->call, &range->step);
    return RANGE_REQUESTING;
}

/* The checksum that the server has for the whole object, unless it is one of checksums of parts. */
static void range_expect(struct range *range)
{
    uint32_t part_count = 0;
    range->has_expected =
        stored_checksum(&range->request.reply, CHECKSUM_NONE, &range->expected, &part_count) &&
        part_count == 0;
    checksum_init(&range->checksum,
                  range->has_expected ? range->expected.kind : conf_kept_sum(range->station->conf));
}

/* The body's length, where the reply tells it. The very object that was asked for can only be as
 * long as it is: something on the way cut the answer, or added to it. */
static enum err range_check_length(const struct range *range, enum err otherwise)
{
    const struct request_reply *reply = &range->request.reply;
    const struct work *work = range->work;
    bool same = work->etag[0] && strcmp(work->etag, reply->etag) == 0;
    if (reply->content_bytes == UINT64_MAX) return ERR_NONE;
    if (reply->content_bytes == range->total_bytes - range->received_bytes) return ERR_NONE;
    return same ? ERR_LENGTH : otherwise;
}

static enum err range_check_part(const struct range *range)
{
    const struct request_reply *reply = &range->request.reply;
    const struct work *work = range->work;
    uint64_t first = work->offset + range->received_bytes;
    uint64_t last = work->offset + range->total_bytes - 1;
    bool whole_known = work->kind == WORK_RANGE && reply->range_total != UINT64_MAX;
    if (reply->range_first != first || reply->range_last != last) return ERR_RANGE;
    if (whole_known && reply->range_total != work->identity.size_bytes) return ERR_CHANGED;
    return range_check_length(range, ERR_RANGE);
}

/* Is this the answer to what was asked? */
static enum err range_check_reply(struct range *range)
{
    const struct request_reply *reply = &range->request.reply;
    struct work *work = range->work;
    if (reply->range_first != UINT64_MAX) return range_check_part(range);
    if (!range_is_whole(range) || range->received_bytes > 0) return ERR_RANGE;
    if (!work->size_known) {
        if (reply->content_bytes == UINT64_MAX) return ERR_RANGE;
        work->bytes = range->total_bytes = reply->content_bytes;
        work->size_known = true;
    }
    return range_check_length(range, ERR_CHANGED);
}

/* A body that broke goes on; one that was not what its checksum says begins anew, and may have
 * been better than what its head said. */
static uint32_t range_go_on(struct range *range)
{
    if (range_is_whole(range) && range->received_bytes == 0) range_expect(range);
    return RANGE_PUMP;
}

static uint32_t range_open(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct work *work = range->work;
    enum file_direct direct = work->buffered ? FILE_DIRECT_OFF : range->station->conf->direct;
    struct file_open how = {.dir_fd = range->station->folder_fd,
                            .path = work->path,
                            .flags = O_WRONLY,
                            .resolve = range->station->resolve,
                            .direct = direct,
                            .expected_bytes = work->identity.size_bytes};
    range->body_open = true;
    enum err err = range_check_reply(range);
    if (err == ERR_LENGTH) {
        range->broken = err;
        return RANGE_PAUSE;
    }
    machine_fail(machine, err, 0);
    if (machine->err) return RANGE_LEAVE;
    if (range->opened) return range_go_on(range);
    range->opened = true;
    if (range_drops(range)) {
        checksum_init(&range->checksum, work->sum);
        return RANGE_TAKE;
    }
    machine_begin(machine);
    if (range_is_whole(range)) {
        range_expect(range);
        if (!work->etag[0])
            snprintf(work->etag, sizeof work->etag, "%s", range->request.reply.etag);
        sink_open(&range->sink, work->path, work->bytes, work->through, &range->step);
    } else {
        checksum_init(&range->checksum, work->sum);
        file_open(&range->own_file, &how, &range->step);
    }
    return RANGE_OPENING;
}

/* --- the body --- */

static struct pool *range_pool(const struct range *range)
{
    struct core *core = range->station->core;
    return range->total_bytes <= BUF_SMALL_BYTES ? &core->small : &core->large;
}

static uint32_t range_take(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct pool *pool = range_pool(range);
    uint64_t count = (range->total_bytes + BUF_LARGE_BYTES - 1) / BUF_LARGE_BYTES;
    if (count == 0) return RANGE_PUMP;
    machine_begin(machine);
    pool_take(pool, &range->wish,
              (uint32_t)min_u64(count, min_u64(RANGE_BUFS_MAX, pool->count_max)));
    return RANGE_TAKING;
}

static uint32_t range_pump_state(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct link *link;
    while ((link = list_pop(&range->wish.bufs)) != NULL) {
        struct range_lane *lane = &range->lanes[range->lane_count++];
        lane->buf = container_of(link, struct buf, link);
        lane->full = false;
    }
    range_pump(range);
    return RANGE_PUMPING;
}

/* That it ends where it should is only known from its end, where its length was not told: then one
 * byte more is asked for. */
static bool range_is_at_end(const struct range *range)
{
    return range->received_bytes == range->total_bytes &&
           range->request.reply.content_bytes != UINT64_MAX;
}

static void range_receive(struct range *range)
{
    struct range_lane *lane = &range->lanes[range->next_lane];
    uint64_t left = max_u64(range->total_bytes - range->received_bytes, 1);
    if (range->into || range->body_done || range->broken || range->machine.err) return;
    if (lane->full || lane->io.op.out) return;
    machine_begin(&range->machine);
    range->into = lane;
    range->next_lane = (range->next_lane + 1) % range->lane_count;
    lane->offset = range->work->offset + range->received_bytes;
    request_read(&range->request, lane->buf->data, (uint32_t)min_u64(left, lane->buf->count_max),
                 &range->reading);
}

static void range_count(struct range *range, const struct range_lane *lane)
{
    range->written_bytes += lane->buf->count;
    meter_add(&range->station->done_bytes, lane->buf->count);
}

/* Writes go out in order; through a pipe only one at a time, since the kernel may swap two. None
 * follows one that failed: its reader would not see the gap. */
static void range_write(struct range *range)
{
    if (range->machine.err) return;
    for (uint32_t i = 0; i < range->lane_count; i++) {
        struct range_lane *lane = &range->lanes[range->next_write];
        bool through = range_is_whole(range) && range->sink.through;
        if (!lane->full) return;
        if (through && range->writes_out > 0) return;
        lane->full = false;
        range->next_write = (range->next_write + 1) % range->lane_count;
        if (range_drops(range)) {
            range_count(range, lane);
            continue;
        }
        range->writes_out++;
        machine_begin(&range->machine);
        file_write(range->file, &lane->io, lane->buf, through ? FILE_NO_OFFSET : lane->offset);
    }
}

static void range_pump(struct range *range)
{
    if (range->lane_count == 0) {
        range->body_done = true;
        return;
    }
    range_write(range);
    range_receive(range);
}

/* Only whole bufs count: a body that breaks within one is asked for again from that buf's start, so
 * that offsets stay what O_DIRECT wants. */
static void range_on_read(struct op *op)
{
    struct range *range = container_of(op, struct range, reading);
    struct range_lane *lane = range->into;
    uint64_t left = range->total_bytes - range->received_bytes;
    bool whole = !op->err && op->count == min_u64(left, lane->buf->count_max);
    range->into = NULL;
    if (left == 0 && !op->err) {
        range->body_done = true;
        if (op->count > 0) machine_fail(&range->machine, ERR_RANGE, 0);
    } else if (whole) {
        lane->buf->count = op->count;
        checksum_update(&range->checksum, lane->buf->data, op->count);
        range->received_bytes += op->count;
        range->body_done = range_is_at_end(range);
        lane->full = true;
    } else if (!op->err || err_class(op->err) == ERR_CLASS_RETRY) {
        range->broken = op->err ? op->err : ERR_CLOSED;
    }
    if (!range->broken) machine_fail(&range->machine, op->err, op->raw);
    range_pump(range);
    machine_settle_quietly(&range->machine);
}

static void range_on_write(struct op *op)
{
    struct range_lane *lane = container_of(op, struct range_lane, io.op);
    struct range *range = lane->range;
    range->writes_out--;
    machine_fail(&range->machine, op->err, op->raw);
    if (!op->err) {
        range_count(range, lane);
        range_pump(range);
    }
    machine_settle_quietly(&range->machine);
}

static int64_t range_mtime_ns(const struct range *range)
{
    const struct request_reply *reply = &range->request.reply;
    int64_t mtime_ns;
    if (!range->station->conf->keep_mtime) return SINK_NO_MTIME;
    if (headers_parse_mtime(bytes_of(reply->mtime), &mtime_ns)) return mtime_ns;
    if (reply->last_modified_s == INT64_MIN) return SINK_NO_MTIME;
    return reply->last_modified_s * (int64_t)NS_PER_S;
}

/* Altered on its way, most likely: the file is written anew. What a reader has had already cannot
 * be taken back. */
static uint32_t range_begin_anew(struct range *range)
{
    if (range->sink.through) {
        machine_fail(&range->machine, ERR_CHECKSUM_OBJECT, 0);
        return RANGE_LEAVE;
    }
    meter_take_back(&range->station->done_bytes, range->written_bytes);
    range->received_bytes = range->written_bytes = range->failed_at_bytes = 0;
    range->broken = ERR_CHECKSUM;
    return RANGE_PAUSE;
}

static uint32_t range_judge(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct work_result *result = &range->work->result;
    if (range->broken) return RANGE_PAUSE;
    CHECK(range->written_bytes == range->total_bytes);
    checksum_final(&range->checksum, &result->checksum);
    if (range->has_expected && !checksum_equal(&result->checksum, &range->expected))
        return range_begin_anew(range);
    if (range->again.retry.attempts > 1) again_succeeded(&range->again);
    result->moved_bytes = range->total_bytes;
    result->confirmed = range->has_expected;
    result->mtime_ns = range_mtime_ns(range);
    snprintf(result->version, sizeof result->version, "%s", range->request.reply.version);
    snprintf(result->etag, sizeof result->etag, "%s", range->request.reply.etag);
    return RANGE_LEAVE;
}

static uint32_t range_pause(struct machine *machine)
{
    struct range *range = range_of(machine);
    struct client *client = &range->station->clients[range->work->endpoint];
    struct work *work = range->work;
    struct again_failure failure = {.what = {.phase = POLICY_BODY, .err = range->broken},
                                    .why = range->request.exchange.why,
                                    .bucket = bytes_of(work->bucket),
                                    .key = bytes_of(work->key),
                                    .date_s = INT64_MIN,
                                    .region = ""};
    uint64_t delay_ns;
    if (range->received_bytes > range->failed_at_bytes) again_progressed(&range->again);
    range->failed_at_bytes = range->received_bytes;
    if (!again_may(&range->again, &failure, &delay_ns)) {
        bool altered = range->broken == ERR_CHECKSUM; /* each time: then that is what is stored */
        machine_fail(machine, altered ? ERR_CHECKSUM_OBJECT : range->broken, 0);
        return RANGE_LEAVE;
    }
    range->next_lane = range->next_write; /* all that was received is written */
    meter_add(&client->retries, 1);
    range->body_open = false;
    machine_begin(machine);
    request_end(&range->request, &range->step);
    machine_begin(machine);
    timer_start(&machine->core->timers, &range->backoff, machine->core->now_ns + delay_ns);
    return RANGE_PAUSING;
}

/* --- the way out --- */

static uint32_t range_leave(struct machine *machine)
{
    struct range *range = range_of(machine);
    if (range->body_open) {
        range->body_open = false;
        machine_begin(machine);
        request_end(&range->request, &range->step);
    }
    return RANGE_LEAVING;
}

static uint32_t range_land(struct machine *machine)
{
    struct range *range = range_of(machine);
    for (uint32_t i = 0; i < range->lane_count; i++)
        pool_give(&range->lanes[i].buf);
    pool_give_all(&range->wish.bufs);
    if (!range->opened || range_drops(range)) return RANGE_LANDING;
    machine_begin(machine);
    if (!range_is_whole(range))
        file_close(&range->own_file, &range->step);
    else if (machine->err)
        sink_abandon(&range->sink, &range->step);
    else
        sink_commit(&range->sink, range->work->result.mtime_ns, &range->step);
    return RANGE_LANDING;
}

static uint32_t range_end(struct machine *machine)
{
    struct range *range = range_of(machine);
    bool transport = range->request.reply.status != 0 || range->broken;
    work_fail(range->work, machine->err, machine->raw,
              machine->err && (transport || !range->opened) ? range->request.why : "");
    range->work->result.status = range->request.reply.status;
    range->work->result.attempts = range->request.attempts;
    return MACHINE_END;
}

static const struct machine_row range_rows[RANGE_STATE_COUNT] = {
    [RANGE_LOOK] = {range_look, 0},
    [RANGE_LOOKING] = {NULL, RANGE_LOOKED},
    [RANGE_LOOKED] = {range_looked, 0},
    [RANGE_CHECKING] = {NULL, RANGE_CHECKED},
    [RANGE_CHECKED] = {range_checked, 0},
    [RANGE_REQUEST] = {range_request, 0},
    [RANGE_REQUESTING] = {NULL, RANGE_OPEN},
    [RANGE_OPEN] = {range_open, 0},
    [RANGE_OPENING] = {NULL, RANGE_TAKE},
    [RANGE_TAKE] = {range_take, 0},
    [RANGE_TAKING] = {NULL, RANGE_PUMP},
    [RANGE_PUMP] = {range_pump_state, 0},
    [RANGE_PUMPING] = {NULL, RANGE_JUDGE},
    [RANGE_JUDGE] = {range_judge, 0},
    [RANGE_PAUSE] = {range_pause, 0},
    [RANGE_PAUSING] = {NULL, RANGE_REQUEST},
    [RANGE_LEAVE] = {range_leave, 0},
    [RANGE_LEAVING] = {NULL, RANGE_LAND},
    [RANGE_LAND] = {range_land, 0},
    [RANGE_LANDING] = {NULL, RANGE_END},
    [RANGE_END] = {range_end, 0},
};

static const struct machine_kind range_kind = {
    .trace = {"range", range_state_names, RANGE_STATE_COUNT},
    .rows = range_rows,
    .on_error = RANGE_LEAVE,
};

/* --- what is waited for --- */

/* A receive that is out is waited for, whatever is written meanwhile. */
static void range_blame_pump(const struct range *range, struct blame_tick *tick, double weight)
{
    bool through = range_is_whole(range) && range->sink.through;
    if (range->into && request_blame(&range->request, tick, weight)) return;
    if (range->writes_out > 0)
        blame_add(tick, through ? BLAME_STREAM : BLAME_FILE, weight);
    else
        blame_add(tick, BLAME_RUNNING, weight);
}

void range_blame(const struct range *range, struct blame_tick *tick, double weight)
{
    switch (range->machine.state) {
    case RANGE_LOOKING:
    case RANGE_CHECKING:
    case RANGE_OPENING:
    case RANGE_LANDING: blame_add(tick, BLAME_FILE, weight); break;
    case RANGE_TAKING: blame_add_staging(tick, pool_is_growing(range_pool(range)), weight); break;
    case RANGE_PAUSING: blame_add(tick, BLAME_REFUSED, weight); break;
    case RANGE_PUMPING: range_blame_pump(range, tick, weight); break;
    default:
        if (!request_blame(&range->request, tick, weight)) blame_add(tick, BLAME_RUNNING, weight);
        break;
    }
}

uint64_t range_left_bytes(const struct range *range)
{
    uint64_t bytes = range->total_bytes > 0 ? range->total_bytes : range->work->bytes;
    return bytes - min_u64(range->received_bytes, bytes);
}
