#include "s3/intake.h"

#include <string.h>

static void intake_on_staged(struct op *op);
static void intake_on_part(struct op *op);
static void intake_on_created(struct op *op);
static void intake_on_uploaded(struct op *op);

void intake_init(struct intake *intake, struct station *station, int fd)
{
    memset(intake, 0, sizeof *intake);
    intake->station = station;
    source_init(&intake->pipe, station->core);
    source_adopt(&intake->pipe, fd);
    upload_init(&intake->upload, station, 0);
    op_init(&intake->created, intake_on_created);
    op_init(&intake->uploaded, intake_on_uploaded);
    for (uint32_t i = 0; i < INTAKE_PARTS; i++) {
        struct intake_lane *lane = &intake->lanes[i];
        part_init(&lane->part, station);
        op_init(&lane->staged, intake_on_staged);
        op_init(&lane->done, intake_on_part);
        lane->intake = intake;
    }
}

void intake_fini(struct intake *intake)
{
    for (uint32_t i = 0; i < INTAKE_PARTS; i++)
        part_fini(&intake->lanes[i].part);
    upload_fini(&intake->upload);
}

static void intake_fail(struct intake *intake, enum err err, int raw)
{
    if (intake->err || !err) return;
    intake->err = err;
    intake->raw = raw;
    if (intake->uploading) upload_cancel(&intake->upload);
    for (uint32_t i = 0; i < INTAKE_PARTS; i++)
        if (intake->lanes[i].busy) part_cancel(&intake->lanes[i].part);
}

/* Over when nothing is out: neither a part nor the upload. */
static void intake_settle(struct intake *intake)
{
    struct op *owner = intake->owner;
    if (intake->uploading || !owner) return;
    for (uint32_t i = 0; i < INTAKE_PARTS; i++)
        if (intake->lanes[i].busy) return;
    intake->owner = NULL;
    work_fail(intake->object, intake->err, intake->raw, "");
    owner->raw = intake->raw;
    core_finish(intake->station->core, owner, intake->object->result.err);
}

/* --- reading --- */

static void intake_read_next(struct intake *intake)
{
    struct intake_lane *lane = &intake->lanes[intake->next_lane];
    const struct conf *conf = intake->station->conf;
    uint64_t first_bytes = conf->part_bytes ? conf->part_bytes : MULTIPART_PART_BYTES;
    if (intake->reading || lane->busy || intake->err || intake->pipe.at_end) return;
    if (intake->part_count >= PARTS_MAX) {
        intake_fail(intake, ERR_TOO_LARGE, 0);
        return;
    }
    intake->next_lane = (intake->next_lane + 1) % INTAKE_PARTS;
    intake->reading = lane->busy = true;
    lane->dropped = false;
    lane->work = *intake->object;
    lane->work.owner = WORK_NO_OWNER;
    lane->work.bytes = multipart_growing_bytes(
        intake->part_count++, min_u64(first_bytes, intake->cap_bytes), intake->cap_bytes);
    part_start_pipe(&lane->part, &lane->work, &intake->pipe, &lane->staged, &lane->done);
}

void intake_start(struct intake *intake, struct work *object, struct op *op)
{
    uint64_t share = part_staged_bytes_max(intake->station) * 2 / INTAKE_PARTS;
    op_begin(op);
    intake->owner = op;
    intake->object = object;
    intake->first = NULL;
    intake->next_lane = intake->part_count = 0;
    intake->reading = intake->uploading = intake->single = false;
    intake->err = ERR_NONE;
    /* Four parts share the bufs where each can have its 5 MiB; else they take turns. */
    intake->cap_bytes = max_u64(align_down_u64(share, BUF_LARGE_BYTES), PART_BYTES_MIN);
    intake_read_next(intake);
}

/* A part after the first one has its bytes: it belongs to the upload now. */
static void intake_send(struct intake *intake, struct intake_lane *lane)
{
    enum err err = ERR_NONE;
    if (lane->work.bytes > 0) {
        err = upload_push(&intake->upload, lane->work.bytes, &lane->work);
        if (err) intake_fail(intake, err, 0);
        part_go(&lane->part);
    } else {
        lane->dropped = true;
        part_cancel(&lane->part);
    }
    if (!err && intake->pipe.at_end) upload_finish_parts(&intake->upload);
}

static void intake_on_staged(struct op *op)
{
    struct intake_lane *lane = container_of(op, struct intake_lane, staged);
    struct intake *intake = lane->intake;
    intake->reading = false;
    if (op->err || intake->err) {
        part_go(&lane->part);
        return; /* the part's own end tells why */
    }
    if (intake->upload.moving) {
        intake_send(intake, lane);
        intake_read_next(intake);
    } else if (intake->pipe.at_end) {
        intake->single = true; /* the object's description is a PUT already */
        part_go(&lane->part);
    } else {
        intake->first = lane;
        intake->uploading = true;
        upload_start_pipe(&intake->upload, intake->object, &intake->created, &intake->uploaded);
    }
}

static void intake_on_created(struct op *op)
{
    struct intake *intake = container_of(op, struct intake, created);
    struct intake_lane *lane = intake->first;
    intake->first = NULL;
    if (op->err || intake->err) {
        intake_fail(intake, op->err, op->raw);
        part_go(&lane->part);
        return;
    }
    intake_send(intake, lane);
    intake_read_next(intake);
}

/* --- results --- */

static void intake_on_part(struct op *op)
{
    struct intake_lane *lane = container_of(op, struct intake_lane, done);
    struct intake *intake = lane->intake;
    bool pushed = lane->work.kind == WORK_PART;
    lane->busy = false;
    if (intake->single) {
        intake->object->result = lane->work.result;
        intake->object->bytes = lane->work.bytes;
        intake->err = op->err;
    } else if (pushed) {
        upload_on_work(&intake->upload, &lane->work);
    }
    if (op->err && !lane->dropped) {
        work_fail(intake->object, op->err, op->raw, lane->work.result.why);
        intake_fail(intake, op->err, op->raw);
    }
    if (!intake->err) intake_read_next(intake);
    intake_settle(intake);
}

static void intake_on_uploaded(struct op *op)
{
    struct intake *intake = container_of(op, struct intake, uploaded);
    intake->uploading = false;
    intake_fail(intake, op->err, op->raw);
    intake_settle(intake);
}

void intake_cancel(struct intake *intake)
{
    if (!intake->owner) return;
    intake_fail(intake, ERR_CANCELLED, 0);
    intake_settle(intake);
}

/* --- what is waited for --- */

/* The pipe is read by one part at a time: the parts that are free wait for it as well. */
void intake_blame(const struct intake *intake, struct blame_tick *tick)
{
    const struct intake_lane *reads = NULL;
    uint32_t busy = 0, last = (intake->next_lane + INTAKE_PARTS - 1) % INTAKE_PARTS;
    if (!intake->owner) return;
    if (intake->reading) reads = &intake->lanes[last];
    for (uint32_t i = 0; i < INTAKE_PARTS; i++) {
        const struct intake_lane *lane = &intake->lanes[i];
        const struct intake_lane *told = lane->busy ? lane : reads;
        busy += lane->busy;
        if (told) part_blame(&told->part, tick, 1);
    }
    if (busy == 0) blame_add(tick, BLAME_CONTROL, 1);
}
