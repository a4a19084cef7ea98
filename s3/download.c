#include "s3/download.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "s3/headers.h"

#define DOWNLOAD_STATES(S)                                                                         \
    S(HEAD)                                                                                        \
    S(HEADING)                                                                                     \
    S(LOOK)                                                                                        \
    S(PREPARE)                                                                                     \
    S(CLEARING)                                                                                    \
    S(CLEARED)                                                                                     \
    S(STATTING)                                                                                    \
    S(STATTED)                                                                                     \
    S(PARTS)                                                                                       \
    S(LEARNING) S(OPEN) S(OPENING) S(OPENED) S(MOVE) S(MOVING) S(VERIFY) S(LAND) S(LANDING) S(END)

enum download_state {
#define STATE(name) DOWNLOAD_##name,
    DOWNLOAD_STATES(STATE)
#undef STATE
        DOWNLOAD_STATE_COUNT
};

static const char *const download_state_names[DOWNLOAD_STATE_COUNT] = {
#define STATE(name) #name,
    DOWNLOAD_STATES(STATE)
#undef STATE
};

static const struct machine_kind download_kind;

static struct download *download_of(struct machine *machine)
{
    return container_of(machine, struct download, machine);
}

/* Many stores have no GetObjectAttributes: then a composite checksum stays unverified, which is
 * said. */
static void download_on_step(struct op *op)
{
    struct download *download = container_of(op, struct download, step);
    bool learning = download->machine.state == DOWNLOAD_LEARNING && op->err;
    if (learning && err_class(op->err) != ERR_CLASS_RUN) {
        download->expected_parts = 0;
        download->sum = CHECKSUM_NONE;
        machine_settle_quietly(&download->machine);
        return;
    }
    if (download->machine.state == DOWNLOAD_STATTING) { /* no file is no failure */
        machine_settle_quietly(&download->machine);
        return;
    }
    if (download->machine.state == DOWNLOAD_OPENING && op->err && download->keep.past) {
        download->lost = true;
        machine_settle_quietly(&download->machine);
        return;
    }
    if (learning) work_fail(download->object, op->err, op->raw, download->stored.request.why);
    machine_settle(&download->machine, op);
}

static void download_on_kept(struct op *op)
{
    struct download *download = container_of(op, struct download, kept);
    machine_settle_quietly(&download->machine);
}

void download_init(struct download *download, struct station *station, uint32_t index)
{
    memset(download, 0, sizeof *download);
    download->station = station;
    download->index = index;
    op_init(&download->step, download_on_step);
    op_init(&download->kept, download_on_kept);
    sink_init(&download->sink, station);
    request_init(&download->request, &station->clients[0]);
    stored_init(&download->stored, station->core, &station->clients[0]);
}

void download_fini(struct download *download)
{
    CHECK(!machine_is_running(&download->machine));
    stored_fini(&download->stored);
    request_fini(&download->request);
}

void download_start(struct download *download, struct work *object, struct op *opened,
                    struct op *op)
{
    op_begin(opened);
    download->opened_owner = opened;
    download->object = object;
    download->out_count = 0;
    download->moving = download->opened = download->unverified = false;
    download->sum = CHECKSUM_NONE;
    download->expected_parts = 0;
    download->past = NULL;
    download->was_done = download->lost = download->parked = false;
    download->vain_count = 0;
    download->kept_bytes = 0;
    keep_init(&download->keep, download->station);
    multipart_init(&download->ranges);
    request_init(&download->request, &download->station->clients[object->endpoint]);
    machine_start(&download->machine, &download_kind, download->station->core, op);
}

static void download_tell_owner(struct download *download)
{
    struct op *opened = download->opened_owner;
    download->opened_owner = NULL;
    if (opened) core_finish(download->station->core, opened, download->machine.err);
}

/* --- the way in --- */

static void download_request(struct download *download, enum request_kind kind)
{
    download->call.kind = kind;
    download->call.bucket = bytes_of(download->object->bucket);
    download->call.key = bytes_of(download->object->key);
    download->call.prefix = download->object->task.prefix;
    machine_begin(&download->machine);
    request_start(&download->request, &download->call, &download->step);
}

static uint32_t download_head(struct machine *machine)
{
    struct download *download = download_of(machine);
    struct request_call *call = &download->call;
    *call = (struct request_call){.header_count = 1};
    call->headers[0] = (struct request_pair){BYTES("x-amz-checksum-mode"), BYTES("ENABLED")};
    if (download->object->etag[0])
        call->headers[call->header_count++] =
            (struct request_pair){BYTES("if-match"), bytes_of(download->object->etag)};
    download_request(download, REQUEST_HEAD_OBJECT);
    return DOWNLOAD_HEADING;
}

static int64_t download_mtime_ns(const struct download *download)
{
    const struct request_reply *reply = &download->request.reply;
    int64_t mtime_ns;
    if (!download->station->conf->keep_mtime) return SINK_NO_MTIME;
    if (headers_parse_mtime(bytes_of(reply->mtime), &mtime_ns)) return mtime_ns;
    if (reply->last_modified_s == INT64_MIN) return SINK_NO_MTIME;
    return reply->last_modified_s * (int64_t)NS_PER_S;
}

static uint32_t download_look(struct machine *machine)
{
    struct download *download = download_of(machine);
    struct work *object = download->object;
    const struct request_reply *reply = &download->request.reply;
    /* How long the object is that was listed is known, whatever became of this header on the way;
     * each range tells it once more. */
    bool listed = object->size_known && object->etag[0] && !strcmp(object->etag, reply->etag);
    uint64_t bytes = listed ? object->bytes : reply->content_bytes;
    if (bytes == UINT64_MAX) machine_fail(machine, ERR_RANGE, 0);
    if (object->size_known && object->bytes != bytes) machine_fail(machine, ERR_CHANGED, 0);
    if (machine->err) return DOWNLOAD_LAND;
    object->bytes = bytes;
    snprintf(object->etag, sizeof object->etag, "%s", reply->etag);
    download->mtime_ns = download_mtime_ns(download);
    snprintf(object->result.version, sizeof object->result.version, "%s", reply->version);
    if (stored_checksum(reply, CHECKSUM_NONE, &download->expected, &download->expected_parts))
        download->sum = download->expected.kind;
    download->was_done = keep_was_done(download->station, object, NULL);
    return DOWNLOAD_PREPARE;
}

/* --- what an earlier run has left --- */

static uint32_t download_learn(const struct download *download)
{
    return download->expected_parts > 0 ? DOWNLOAD_PARTS : DOWNLOAD_OPEN;
}

static uint32_t download_prepare(struct machine *machine)
{
    struct download *download = download_of(machine);
    const struct station *station = download->station;
    struct past_object *past = keep_find(&download->keep, download->object);
    download->past = past;
    if (!past && !download->was_done) return download_learn(download);
    machine_begin(machine);
    if (past && !keep_fits_download(past, download->object)) {
        sweep_start(station->sweep, past, &download->kept);
        return DOWNLOAD_CLEARING;
    }
    memset(&download->there, 0, sizeof download->there);
    ring_stat(machine->core->ring, station->folder_fd, download->object->path, AT_SYMLINK_NOFOLLOW,
              &download->there, &download->step);
    return DOWNLOAD_STATTING;
}

static uint32_t download_cleared(struct machine *machine)
{
    struct download *download = download_of(machine);
    (void)machine;
    keep_swept(download->station, download->past, download->kept.err);
    return DOWNLOAD_PREPARE;
}

/* The temporary file of the earlier run, whole, under the target's name: it was killed before that
 * was written down. If that was before a power cut, what was not synced is lost. */
static bool download_was_renamed(const struct download *download)
{
    const struct statx *there = &download->there;
    int64_t mtime_ns = there->stx_mtime.tv_sec * (int64_t)NS_PER_S + there->stx_mtime.tv_nsec;
    bool in_time = download->mtime_ns == SINK_NO_MTIME || download->mtime_ns == mtime_ns;
    return download->past && keep_lasts(download->station, download->past) && in_time &&
           there->stx_ino == download->past->row.inode;
}

static uint32_t download_statted(struct machine *machine)
{
    struct download *download = download_of(machine);
    struct work *object = download->object;
    const struct statx *there = &download->there;
    bool fits = S_ISREG(there->stx_mode) && there->stx_size == object->bytes;
    bool renamed = fits && download_was_renamed(download);
    (void)machine;
    if (download->past) keep_adopt_download(&download->keep, download->past);
    if (!renamed && !(fits && download->was_done)) return download_learn(download);
    object->result.kept = object->result.confirmed = true;
    return DOWNLOAD_LAND;
}

/* --- a composite checksum: where were the parts? --- */

static uint32_t download_parts(struct machine *machine)
{
    struct download *download = download_of(machine);
    struct work *work = download->object;
    struct stored_object object = {.client = &download->station->clients[work->endpoint],
                                   .bucket = bytes_of(work->bucket),
                                   .key = bytes_of(work->key),
                                   .kind = download->sum};
    machine_begin(machine);
    stored_learn(&download->stored, &object, &download->ranges, &download->step);
    return DOWNLOAD_LEARNING;
}

/* --- ranges --- */

static bool download_combines(const struct download *download)
{
    return download->sum == CHECKSUM_NONE || checksum_kind_combines(download->sum);
}

/* In an earlier run. */
static bool download_has_grown(const struct download *download)
{
    return download->keep.past && download_combines(download) &&
           keep_has_grown(download->keep.past);
}

/* Ranges are cut as they are asked for, where nothing says how large they are to be, and their
 * checksums combine. */
static bool download_grows(struct download *download)
{
    bool told = download->station->conf->part_bytes > 0 || download->wish_bytes == 0;
    if (told || !download_combines(download) || download->object->bytes == 0) return false;
    multipart_begin(&download->ranges, download->object->bytes);
    return true;
}

static enum err download_cut(struct download *download)
{
    const struct conf *conf = download->station->conf;
    uint64_t bytes = download->object->bytes;
    uint64_t range_bytes = conf->part_bytes ? conf->part_bytes : DOWNLOAD_RANGE_BYTES;
    bool composite = download->expected_parts > 0;
    if (composite && stored_is_usable(&download->stored, bytes, download->expected_parts)) {
        multipart_end(&download->ranges);
        return ERR_NONE;
    }
    multipart_fini(&download->ranges);
    multipart_init(&download->ranges);
    if (composite) download->sum = CHECKSUM_NONE;
    download->expected_parts = 0;
    download->unverified = download->sum == CHECKSUM_NONE;
    if (download->unverified) download->sum = keep_sum(download->station);
    if (download_has_grown(download)) return keep_cut(download->keep.past, &download->ranges);
    if (download->keep.past && download->keep.row.part_bytes > 0)
        range_bytes = download->keep.row.part_bytes;
    else if (download_grows(download))
        return ERR_NONE;
    if (download->sum != CHECKSUM_NONE && !checksum_kind_combines(download->sum))
        range_bytes = bytes;
    while (bytes > range_bytes * PARTS_MAX)
        range_bytes *= 2;
    if (bytes > 0) return multipart_cut(&download->ranges, bytes, range_bytes);
    multipart_end(&download->ranges);
    return ERR_NONE;
}

/* Ranges are written with O_DIRECT in whole blocks only: all of them, or none, since pages that are
 * written both ways at once may keep the wrong bytes. */
static bool download_is_aligned(const struct download *download)
{
    for (uint32_t i = 0; i < download->ranges.count; i++)
        if (multipart_part(&download->ranges, i)->offset % FILE_DIRECT_ALIGN != 0) return false;
    return true;
}

static uint32_t download_open_sink(struct download *download)
{
    const struct work *object = download->object;
    machine_begin(&download->machine);
    if (download->keep.past)
        sink_adopt(&download->sink, object->path, object->bytes, download->keep.row.inode,
                   &download->step);
    else
        sink_open(&download->sink, object->path, object->bytes, false, &download->step);
    return DOWNLOAD_OPENING;
}

static uint32_t download_open(struct machine *machine)
{
    struct download *download = download_of(machine);
    machine_fail(machine, download_cut(download), 0);
    if (machine->err) return DOWNLOAD_LAND;
    download->opened = true;
    download->sink.buffered = !download_is_aligned(download);
    return download_open_sink(download);
}

static uint32_t download_opened(struct machine *machine)
{
    struct download *download = download_of(machine);
    uint64_t inode;
    if (download->lost) {
        download->lost = false;
        keep_drop(&download->keep);
        download->keep.past = NULL;
        return download_open_sink(download);
    }
    if (download->keep.row.number > 0) {
        keep_found_download(&download->keep);
        return DOWNLOAD_MOVE;
    }
    machine_fail(machine, sink_inode(&download->sink, &inode), 0);
    if (machine->err) return DOWNLOAD_LAND;
    keep_begun_download(&download->keep, download->object, download->sink.temp, inode,
                        download->sum, multipart_equal_bytes(&download->ranges));
    return DOWNLOAD_MOVE;
}

static void download_end_moving(struct download *download)
{
    bool over = download->machine.err || multipart_is_complete(&download->ranges);
    if (!download->moving || !over || download->out_count > 0) return;
    download->moving = false;
    machine_settle_quietly(&download->machine);
}

static uint32_t download_move(struct machine *machine)
{
    struct download *download = download_of(machine);
    if (download->object->bytes == 0) return DOWNLOAD_VERIFY;
    machine_begin(machine);
    download->moving = true;
    download_tell_owner(download);
    return DOWNLOAD_MOVING;
}

bool download_next(struct download *download, struct work *work)
{
    const struct work *object = download->object;
    const struct multipart_part *part;
    const struct checksum_value *written;
    uint32_t index;
    if (!download->moving || download->machine.err) return false;
    if (!multipart_next(&download->ranges, &index)) {
        machine_fail(&download->machine, multipart_grow(&download->ranges, download->wish_bytes),
                     0);
        download_end_moving(download);
        if (!multipart_next(&download->ranges, &index)) return false;
    }
    part = multipart_part(&download->ranges, index);
    work->kind = WORK_RANGE;
    work->task.rank = TASK_FIRST;
    work->endpoint = object->endpoint;
    work->owner = download->index;
    work->part_number = index + 1;
    work->offset = part->offset;
    work->bytes = part->bytes;
    work->sum = download->sum;
    written = keep_written(&download->keep, work->part_number, part, download->sum);
    if (written) work->written = *written;
    work->buffered = download->sink.buffered;
    work->identity.size_bytes = object->bytes;
    memcpy(work->bucket, object->bucket, sizeof work->bucket);
    memcpy(work->key, object->key, sizeof work->key);
    memcpy(work->etag, object->etag, sizeof work->etag);
    snprintf(work->path, sizeof work->path, "%s", download->sink.temp);
    download->out_count++;
    return true;
}

uint64_t download_uncut_bytes(const struct download *download)
{
    return download->object->bytes - min_u64(download->object->bytes, download->ranges.bytes);
}

/* --- what came --- */

static void download_combine(struct download *download, struct checksum_value *whole)
{
    checksum_of(download->sum, "", 0, whole);
    for (uint32_t i = 0; i < download->ranges.count; i++) {
        const struct multipart_part *part = multipart_part(&download->ranges, i);
        struct checksum_value value = {.kind = download->sum, .count = part->checksum_bytes};
        memcpy(value.data, part->checksum, part->checksum_bytes);
        if (checksum_kind_combines(download->sum))
            checksum_combine(whole, &value, part->bytes, whole);
        else
            *whole = value; /* one range covers the object */
    }
}

/* Of a composite checksum each range has its own. */
static bool download_fits_part(const struct download *download, const struct work *work)
{
    const struct multipart_part *part = multipart_part(&download->ranges, work->part_number - 1);
    const struct checksum_value *value = &work->result.checksum;
    if (download->expected_parts == 0) return true;
    return part->checksum_bytes == value->count &&
           memcmp(part->checksum, value->data, value->count) == 0;
}

static bool download_fits_whole(struct download *download)
{
    struct checksum_value whole;
    if (download->sum == CHECKSUM_NONE || download->unverified) return true;
    if (download->expected_parts > 0) return true; /* each part was compared as it came */
    download_combine(download, &whole);
    return checksum_equal(&whole, &download->expected);
}

/* So many ranges came in vain: altered on the way, most likely, and may be asked for again; until
 * that makes twice the object and a few ranges more: then it is what is stored. What an earlier run
 * wrote is not believed any more. */
static bool download_may_repeat(struct download *download, uint32_t count)
{
    const struct work *object = download->object;
    download->keep.past = NULL;
    download->vain_count += count;
    if (download->vain_count > download->ranges.count + DOWNLOAD_VAIN_MAX) return false;
    meter_add(&download->station->clients[object->endpoint].retries, count);
    return true;
}

static void download_on_range(struct download *download, const struct work *work)
{
    const struct work_result *result = &work->result;
    struct bytes checksum = {(const char *)result->checksum.data, result->checksum.count};
    struct station *station = download->station;
    if (!download_fits_part(download, work)) {
        if (!result->kept) meter_take_back(&station->done_bytes, work->bytes);
        if (download_may_repeat(download, 1))
            multipart_again(&download->ranges, work->part_number - 1);
        else
            machine_fail(&download->machine, ERR_CHECKSUM_OBJECT, 0);
        return;
    }
    machine_fail(&download->machine,
                 multipart_done(&download->ranges, work->part_number - 1, BYTES(""), checksum), 0);
    if (result->kept) {
        meter_add(&station->before_bytes, work->bytes);
        download->kept_bytes += work->bytes;
    } else if (!download->machine.err) {
        keep_part(&download->keep, work);
    }
}

/* Which range it was that was altered, nobody can tell. */
static void download_on_whole(struct download *download)
{
    if (download_fits_whole(download)) return;
    if (!download_may_repeat(download, download->ranges.count)) {
        machine_fail(&download->machine, ERR_CHECKSUM_OBJECT, 0);
        return;
    }
    meter_take_back(&download->station->before_bytes, download->kept_bytes);
    meter_take_back(&download->station->done_bytes, download->object->bytes - download->kept_bytes);
    download->kept_bytes = 0;
    for (uint32_t i = 0; i < download->ranges.count; i++)
        multipart_redo(&download->ranges, i);
}

void download_on_work(struct download *download, const struct work *work)
{
    const struct work_result *result = &work->result;
    CHECK(download->out_count > 0 && work->owner == download->index);
    download->out_count--;
    if (result->err) {
        work_fail(download->object, result->err, result->raw, result->why);
        download->object->result.status = result->status;
        machine_fail(&download->machine, result->err, result->raw);
    } else {
        download_on_range(download, work);
    }
    if (!download->machine.err && multipart_is_complete(&download->ranges))
        download_on_whole(download);
    download_end_moving(download);
}

void download_cancel(struct download *download)
{
    if (!machine_is_running(&download->machine)) return;
    machine_fail(&download->machine, ERR_CANCELLED, 0);
    if (download->machine.state < DOWNLOAD_LAND) {
        request_cancel(&download->request);
        stored_cancel(&download->stored);
    }
    download_end_moving(download);
}

/* --- the way out --- */

static uint32_t download_verify(struct machine *machine)
{
    struct download *download = download_of(machine);
    struct work_result *result = &download->object->result;
    result->moved_bytes = download->object->bytes;
    result->confirmed = !download->unverified;
    result->mtime_ns = download->mtime_ns;
    snprintf(result->etag, sizeof result->etag, "%s", download->object->etag);
    if (download->sum == CHECKSUM_NONE) return DOWNLOAD_LAND;
    if (download->expected_parts > 0) {
        result->checksum = download->expected; /* each part was compared as it came */
        result->part_count = download->expected_parts;
        result->part_bytes = multipart_equal_bytes(&download->ranges);
        return DOWNLOAD_LAND;
    }
    download_combine(download, &result->checksum);
    if (!download_fits_whole(download)) machine_fail(machine, ERR_CHECKSUM_OBJECT, 0);
    return DOWNLOAD_LAND;
}

static uint32_t download_land(struct machine *machine)
{
    struct download *download = download_of(machine);
    download_tell_owner(download);
    if (machine->err && !download->object->result.err) {
        bool asked = !download->opened;
        work_fail(download->object, machine->err, machine->raw, asked ? download->request.why : "");
        download->object->result.status = download->request.reply.status;
    }
    download->parked = machine->err && keep_parks(&download->keep, machine->err);
    if (!download->opened) return DOWNLOAD_LANDING;
    machine_begin(machine);
    if (download->parked)
        sink_park(&download->sink, &download->step);
    else if (machine->err)
        sink_abandon(&download->sink, &download->step);
    else
        sink_commit(&download->sink, download->mtime_ns, &download->step);
    return DOWNLOAD_LANDING;
}

static uint32_t download_end(struct machine *machine)
{
    struct download *download = download_of(machine);
    work_fail(download->object, machine->err, machine->raw, "");
    multipart_fini(&download->ranges);
    bool known = download->object->result.kept && download->keep.row.number == 0;
    if (machine->err && !download->parked)
        keep_drop(&download->keep);
    else if (!machine->err && !known)
        keep_end(&download->keep, download->object);
    return MACHINE_END;
}

static const struct machine_row download_rows[DOWNLOAD_STATE_COUNT] = {
    [DOWNLOAD_HEAD] = {download_head, 0},
    [DOWNLOAD_HEADING] = {NULL, DOWNLOAD_LOOK},
    [DOWNLOAD_LOOK] = {download_look, 0},
    [DOWNLOAD_PREPARE] = {download_prepare, 0},
    [DOWNLOAD_CLEARING] = {NULL, DOWNLOAD_CLEARED},
    [DOWNLOAD_CLEARED] = {download_cleared, 0},
    [DOWNLOAD_STATTING] = {NULL, DOWNLOAD_STATTED},
    [DOWNLOAD_STATTED] = {download_statted, 0},
    [DOWNLOAD_PARTS] = {download_parts, 0},
    [DOWNLOAD_LEARNING] = {NULL, DOWNLOAD_OPEN},
    [DOWNLOAD_OPEN] = {download_open, 0},
    [DOWNLOAD_OPENING] = {NULL, DOWNLOAD_OPENED},
    [DOWNLOAD_OPENED] = {download_opened, 0},
    [DOWNLOAD_MOVE] = {download_move, 0},
    [DOWNLOAD_MOVING] = {NULL, DOWNLOAD_VERIFY},
    [DOWNLOAD_VERIFY] = {download_verify, 0},
    [DOWNLOAD_LAND] = {download_land, 0},
    [DOWNLOAD_LANDING] = {NULL, DOWNLOAD_END},
    [DOWNLOAD_END] = {download_end, 0},
};

static const struct machine_kind download_kind = {
    .trace = {"download", download_state_names, DOWNLOAD_STATE_COUNT},
    .rows = download_rows,
    .on_error = DOWNLOAD_LAND,
};
