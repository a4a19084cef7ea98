#include "s3/upload.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "s3/cut.h"
#include "s3/headers.h"

#define UPLOAD_STATES(S)                                                                           \
    S(OPEN)                                                                                        \
    S(OPENING)                                                                                     \
    S(PREPARE)                                                                                     \
    S(CLEARING)                                                                                    \
    S(CLEARED)                                                                                     \
    S(INTEND)                                                                                      \
    S(INTENDING)                                                                                   \
    S(CREATE)                                                                                      \
    S(CREATING)                                                                                    \
    S(MOVE)                                                                                        \
    S(MOVING)                                                                                      \
    S(MOVED)                                                                                       \
    S(LIST)                                                                                        \
    S(LISTING)                                                                                     \
    S(LISTED)                                                                                      \
    S(TIDY)                                                                                        \
    S(TIDYING)                                                                                     \
    S(SEAL)                                                                                        \
    S(SEALING)                                                                                     \
    S(COMPLETE)                                                                                    \
    S(COMPLETING)                                                                                  \
    S(COMPLETED)                                                                                   \
    S(RESTART)                                                                                     \
    S(RESTARTING) S(LEAVE) S(DRAINING) S(CLEAN) S(CLEANING) S(ABORT) S(ABORTING) S(END)

enum upload_state {
#define STATE(name) UPLOAD_##name,
    UPLOAD_STATES(STATE)
#undef STATE
        UPLOAD_STATE_COUNT
};

static const char *const upload_state_names[UPLOAD_STATE_COUNT] = {
#define STATE(name) #name,
    UPLOAD_STATES(STATE)
#undef STATE
};

static const struct machine_kind upload_kind;

static struct upload *upload_of(struct machine *machine)
{
    return container_of(machine, struct upload, machine);
}

/* That an earlier run's upload cannot be listed is dealt with by itself. */
static bool upload_deals_with(const struct upload *upload, const struct op *op)
{
    if (!op->err || op->err == ERR_CANCELLED) return false;
    return upload->machine.state == UPLOAD_LISTING && upload->keep.past &&
           err_class(op->err) == ERR_CLASS_OBJECT;
}

static void upload_on_step(struct op *op)
{
    struct upload *upload = container_of(op, struct upload, step);
    upload->step_err = op->err;
    upload->lost = upload_deals_with(upload, op);
    if (upload->lost)
        machine_settle_quietly(&upload->machine);
    else
        machine_settle(&upload->machine, op);
}

/* What the journal or a sweep has to say is no failure of the upload. */
static void upload_on_kept(struct op *op)
{
    struct upload *upload = container_of(op, struct upload, kept);
    machine_settle_quietly(&upload->machine);
}

static void upload_on_completed(struct op *op)
{
    struct upload *upload = container_of(op, struct upload, completed);
    machine_settle(&upload->machine, op);
}

static enum err upload_on_part(struct xml_parts *parts, const struct xml_part *part);

void upload_init(struct upload *upload, struct station *station, uint32_t index)
{
    memset(upload, 0, sizeof *upload);
    upload->station = station;
    upload->index = index;
    op_init(&upload->step, upload_on_step);
    op_init(&upload->kept, upload_on_kept);
    op_init(&upload->completed, upload_on_completed);
    completion_init(&upload->completion, station, &upload->request);
    source_init(&upload->source, station->core);
    request_init(&upload->request, &station->clients[0]);
    xml_created_init(&upload->created);
    xml_parts_init(&upload->listed, upload_on_part, NULL);
}

void upload_fini(struct upload *upload)
{
    CHECK(!machine_is_running(&upload->machine));
    xml_fini(&upload->created.xml);
    completion_fini(&upload->completion);
    xml_fini(&upload->listed.xml);
    request_fini(&upload->request);
}

static void upload_begin(struct upload *upload, struct work *object, struct op *created,
                         struct op *op)
{
    op_begin(created);
    upload->created_owner = upload->created_op = created;
    upload->object = object;
    upload->upload_id[0] = '\0';
    upload->out_count = upload->attempts = 0;
    upload->restarts = upload->lists = 0;
    upload->moving = upload->doubtful = upload->lost = upload->restarting = upload->asked = false;
    twin_init(&upload->twin, upload->station);
    keep_init(&upload->keep, upload->station);
    upload->all_confirmed = true;
    completion_begin(&upload->completion, object, &upload->parts);
    multipart_init(&upload->parts);
    request_init(&upload->request, &upload->station->clients[object->endpoint]);
    machine_start(&upload->machine, &upload_kind, upload->station->core, op);
}

void upload_start(struct upload *upload, struct work *object, struct op *created, struct op *op)
{
    upload->pipe = false;
    upload_begin(upload, object, created, op);
}

void upload_start_pipe(struct upload *upload, struct work *object, struct op *created,
                       struct op *op)
{
    upload->pipe = true;
    upload_begin(upload, object, created, op);
}

static void upload_tell_owner(struct upload *upload)
{
    struct op *created = upload->created_owner;
    upload->created_owner = NULL;
    if (created) core_finish(upload->station->core, created, upload->machine.err);
}

/* That there are parts to give: once at the start, and whenever some must be sent again. */
static void upload_tell_again(struct upload *upload)
{
    if (!upload->created_owner) {
        op_begin(upload->created_op);
        upload->created_owner = upload->created_op;
    }
    upload_tell_owner(upload);
}

/* --- the way in --- */

static void upload_header(struct upload *upload, const char *name, const char *value)
{
    struct request_call *call = &upload->call;
    call->headers[call->header_count++] = (struct request_pair){bytes_of(name), bytes_of(value)};
}

static void upload_call(struct upload *upload, enum request_kind kind)
{
    upload->call = (struct request_call){.kind = kind,
                                         .bucket = bytes_of(upload->object->bucket),
                                         .key = bytes_of(upload->object->key),
                                         .prefix = upload->object->task.prefix};
    if (kind == REQUEST_CREATE_UPLOAD) {
        upload->call.query[0] = (struct request_pair){BYTES("uploads"), BYTES("")};
    } else {
        upload->call.query[0] =
            (struct request_pair){BYTES("uploadId"), bytes_of(upload->upload_id)};
    }
    upload->call.query_count = 1;
}

static void upload_request(struct upload *upload)
{
    machine_begin(&upload->machine);
    request_start(&upload->request, &upload->call, &upload->step);
}

static uint32_t upload_open(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    struct file_open how = {.dir_fd = upload->station->folder_fd,
                            .path = upload->object->path,
                            .direct = FILE_DIRECT_OFF};
    if (upload->pipe) return UPLOAD_PREPARE;
    machine_begin(machine);
    source_open(&upload->source, &how, &upload->step);
    return UPLOAD_OPENING;
}

static enum err upload_look_at_source(struct upload *upload)
{
    struct work *object = upload->object;
    object->identity = upload->source.identity;
    object->bytes = upload->source.identity.size_bytes;
    return object->bytes == 0 ? ERR_FILE_CHANGED : ERR_NONE; /* it was large when it was found */
}

static enum err upload_cut(struct upload *upload)
{
    struct work *object = upload->object;
    char why[MULTIPART_WHY_BYTES];
    enum err err =
        cut_upload(&upload->parts, upload->station->conf, object->bytes, upload->wish_bytes, why);
    if (err) work_fail(object, err, 0, why);
    return err;
}

static void upload_format_mtime(struct upload *upload)
{
    upload->mtime_text[0] = '\0';
    if (upload->station->conf->keep_mtime && !upload->pipe)
        headers_format_mtime(upload->object->identity.mtime_ns, upload->mtime_text,
                             sizeof upload->mtime_text);
}

/* --- what an earlier run has left --- */

/* From here on as if we had begun it: but which of its parts are there, ListParts says. */
static uint32_t upload_adopt(struct upload *upload, struct past_object *past)
{
    struct machine *machine = &upload->machine;
    const struct journal_object *row = &past->row;
    machine_fail(machine, keep_cut(past, &upload->parts), 0);
    if (machine->err) return UPLOAD_LEAVE;
    snprintf(upload->upload_id, sizeof upload->upload_id, "%s", row->upload_id);
    upload->created_s = row->created_s;
    keep_adopt_upload(&upload->keep, past, &upload->parts, &upload->all_confirmed);
    upload->server_sums = upload->parts.done_count > 0 && upload->all_confirmed;
    upload->doubtful = true;
    log_line(&upload->station->conf->log, LOG_DETAIL,
             "s3://%s/%s: goes on with an earlier run's upload: %u of %u parts",
             upload->object->bucket, upload->object->key, upload->parts.done_count,
             upload->parts.count);
    return UPLOAD_MOVED;
}

static uint32_t upload_prepare(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    struct past_object *past = keep_find(&upload->keep, upload->object);
    if (!upload->pipe) machine_fail(machine, upload_look_at_source(upload), 0);
    if (machine->err) return UPLOAD_LEAVE;
    upload_format_mtime(upload);
    if (!past) return UPLOAD_INTEND;
    if (!upload->pipe && keep_fits_upload(&upload->keep, past, upload->object))
        return upload_adopt(upload, past);
    upload->keep.past = past;
    machine_begin(machine);
    sweep_start(upload->station->sweep, past, &upload->kept);
    return UPLOAD_CLEARING;
}

static uint32_t upload_cleared(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    (void)machine;
    keep_swept(upload->station, upload->keep.past, upload->kept.err);
    upload->keep.past = NULL;
    return UPLOAD_PREPARE;
}

static uint32_t upload_intend(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    if (!upload->pipe) machine_fail(machine, upload_cut(upload), 0);
    if (machine->err) return UPLOAD_LEAVE;
    machine_begin(machine);
    keep_intend_upload(&upload->keep, upload->object, multipart_equal_bytes(&upload->parts),
                       !upload->pipe, &upload->kept);
    return UPLOAD_INTENDING;
}

static uint32_t upload_create(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    const struct conf *conf = upload->station->conf;
    (void)machine;
    upload_call(upload, REQUEST_CREATE_UPLOAD);
    upload->call.xml = &upload->created.xml;
    if (conf->checksum != CHECKSUM_NONE) {
        upload_header(upload, "x-amz-checksum-algorithm", headers_algorithm(conf->checksum));
        upload_header(upload, "x-amz-checksum-type",
                      checksum_kind_combines(conf->checksum) ? "FULL_OBJECT" : "COMPOSITE");
    }
    if (upload->mtime_text[0]) upload_header(upload, "x-amz-meta-mtime", upload->mtime_text);
    upload->asked = true;
    twin_ask(&upload->twin);
    upload_request(upload);
    return UPLOAD_CREATING;
}

/* --- parts --- */

static void upload_end_moving(struct upload *upload)
{
    bool over = upload->machine.err || upload->restarting || multipart_is_complete(&upload->parts);
    if (!upload->moving || !over || upload->out_count > 0) return;
    upload->moving = false;
    machine_settle_quietly(&upload->machine);
}

static uint32_t upload_move(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    snprintf(upload->upload_id, sizeof upload->upload_id, "%s", upload->created.upload_id);
    twin_note(&upload->twin, upload->object, upload->upload_id, upload->request.doubts);
    upload->created_s =
        upload->request.reply.date_s == INT64_MIN ? INT64_MAX : upload->request.reply.date_s;
    machine_begin(machine);
    upload->moving = true;
    upload->server_sums = upload->request.reply.checksum_algorithm[0] != '\0';
    if (upload->request.doubts > 0) keep_doubt(&upload->keep, upload->twin.doubt.asked_s);
    keep_begun_upload(&upload->keep, upload->upload_id, upload->created_s);
    upload_tell_again(upload);
    return UPLOAD_MOVING;
}

static void upload_describe(struct upload *upload, uint32_t index, struct work *work)
{
    const struct work *object = upload->object;
    const struct multipart_part *part = multipart_part(&upload->parts, index);
    work->kind = WORK_PART;
    work->task.rank = TASK_FIRST;
    work->endpoint = object->endpoint;
    work->owner = upload->index;
    work->task.prefix = object->task.prefix;
    work->task.bytes = part->bytes;
    work->part_number = index + 1;
    work->offset = part->offset;
    work->bytes = part->bytes;
    work->identity = object->identity;
    work->server_sums = upload->server_sums;
    memcpy(work->bucket, object->bucket, sizeof work->bucket);
    memcpy(work->key, object->key, sizeof work->key);
    snprintf(work->path, sizeof work->path, "%s", object->path);
    snprintf(work->upload_id, sizeof work->upload_id, "%s", upload->upload_id);
    upload->out_count++;
}

bool upload_next(struct upload *upload, struct work *work)
{
    uint32_t index;
    if (!upload->moving || upload->machine.err || upload->restarting) return false;
    if (!multipart_next(&upload->parts, &index)) {
        machine_fail(&upload->machine, multipart_grow(&upload->parts, upload->wish_bytes), 0);
        upload_end_moving(upload); /* after an error, when nothing is out that would do it */
        if (!multipart_next(&upload->parts, &index)) return false;
    }
    upload_describe(upload, index, work);
    return true;
}

enum err upload_push(struct upload *upload, uint64_t bytes, struct work *work)
{
    uint32_t index, next;
    if (upload->machine.err) return upload->machine.err;
    CHECK(upload->moving);
    enum err err = multipart_add(&upload->parts, bytes, &index);
    if (err) return err;
    CHECK(multipart_next(&upload->parts, &next) && next == index);
    upload_describe(upload, index, work);
    return ERR_NONE;
}

void upload_finish_parts(struct upload *upload)
{
    multipart_end(&upload->parts);
    upload->object->bytes = upload->parts.bytes;
    upload_end_moving(upload);
}

static bool upload_may_restart(const struct upload *upload)
{
    return !upload->pipe && !upload->machine.err && upload->restarts < UPLOAD_RESTARTS_MAX;
}

void upload_on_work(struct upload *upload, const struct work *work)
{
    const struct work_result *result = &work->result;
    CHECK(upload->out_count > 0 && work->owner == upload->index);
    upload->out_count--;
    if (upload_may_restart(upload) && result->err == ERR_NO_UPLOAD) upload->restarting = true;
    if (upload->restarting) {
        upload_end_moving(upload);
        return;
    }
    if (result->doubtful) upload->doubtful = true;
    if (result->err) {
        work_fail(upload->object, result->err, result->raw, result->why);
        upload->object->result.status = result->status;
        machine_fail(&upload->machine, result->err, result->raw);
    } else {
        struct bytes checksum = {(const char *)result->checksum.data, result->checksum.count};
        if (!result->confirmed) upload->all_confirmed = false;
        machine_fail(
            &upload->machine,
            multipart_done(&upload->parts, work->part_number - 1, bytes_of(result->etag), checksum),
            0);
        keep_part(&upload->keep, work);
    }
    upload_end_moving(upload);
}

void upload_cancel(struct upload *upload)
{
    if (!machine_is_running(&upload->machine)) return;
    machine_fail(&upload->machine, ERR_CANCELLED, 0);
    if (upload->machine.state < UPLOAD_LEAVE) request_cancel(&upload->request);
    completion_cancel(&upload->completion);
    upload_end_moving(upload);
}

/* --- which parts are there? --- */

static uint32_t upload_moved(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    if (upload->restarting) return UPLOAD_RESTART;
    if (!upload->doubtful) return UPLOAD_TIDY;
    upload->doubtful = false;
    upload->part_marker[0] = '\0';
    upload->listed_count = 0;
    return UPLOAD_LIST;
}

static uint32_t upload_list(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    struct request_call *call = &upload->call;
    (void)machine;
    upload_call(upload, REQUEST_LIST_PARTS);
    if (upload->part_marker[0])
        call->query[call->query_count++] =
            (struct request_pair){BYTES("part-number-marker"), bytes_of(upload->part_marker)};
    call->xml = &upload->listed.xml;
    upload_request(upload);
    return UPLOAD_LISTING;
}

static void upload_redo(struct upload *upload, uint32_t index)
{
    if (multipart_part(&upload->parts, index)->state == MULTIPART_DONE)
        multipart_redo(&upload->parts, index);
}

/* In order of their numbers; a page that is asked for again brings the same again. A number that
 * the listing skips is a part that the server has not. */
static enum err upload_on_part(struct xml_parts *parts, const struct xml_part *part)
{
    struct upload *upload = container_of(parts, struct upload, listed);
    struct multipart *mine = &upload->parts;
    if (part->number == 0 || part->number > mine->count) return ERR_NONE; /* not of ours */
    while (upload->listed_count + 1 < part->number)
        upload_redo(upload, upload->listed_count++);
    if (part->number <= upload->listed_count) return ERR_NONE;
    uint32_t index = upload->listed_count++;
    if (multipart_part(mine, index)->state != MULTIPART_DONE) return ERR_NONE;
    switch (reconcile_part(mine, index, upload->station->conf->checksum, part)) {
    case RECONCILE_PART_SAME: break;
    case RECONCILE_PART_RENAMED: return multipart_rename(mine, index, bytes_of(part->etag));
    case RECONCILE_PART_OTHER: upload_redo(upload, index); break;
    }
    return ERR_NONE;
}

static void upload_complete_from(struct upload *upload, completion_fn *start)
{
    struct completion_facts facts = {.upload_id = upload->upload_id,
                                     .mtime = upload->mtime_text,
                                     .created_s = upload->created_s,
                                     .confirmed = upload->all_confirmed};
    machine_begin(&upload->machine);
    start(&upload->completion, &facts, &upload->completed);
}

/* An earlier run's upload is gone, perhaps since it was completed; or we may not list it. */
static uint32_t upload_unlisted(struct upload *upload)
{
    bool whole = multipart_is_complete(&upload->parts);
    upload->lost = false;
    if (upload->step_err != ERR_NO_UPLOAD) keep_forsake(&upload->keep);
    upload->keep.past = NULL;
    if (upload->step_err != ERR_NO_UPLOAD || !whole) return UPLOAD_RESTART;
    upload_complete_from(upload, completion_look);
    return UPLOAD_COMPLETING;
}

static uint32_t upload_listed(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    if (upload->lost) return upload_unlisted(upload);
    if (upload->listed.is_truncated && upload->listed.next_number > 0) {
        snprintf(upload->part_marker, sizeof upload->part_marker, "%u", upload->listed.next_number);
        return UPLOAD_LIST;
    }
    while (upload->listed_count < upload->parts.count)
        upload_redo(upload, upload->listed_count++);
    if (upload->keep.past) meter_add(&upload->station->before_bytes, upload->parts.done_bytes);
    upload->keep.past = NULL; /* from here on it is like any other */
    if (multipart_is_complete(&upload->parts)) return UPLOAD_TIDY;
    if (upload->pipe) { /* its bytes are gone */
        machine_fail(machine, ERR_PART, 0);
        return UPLOAD_LEAVE;
    }
    machine_begin(machine);
    upload->moving = true;
    upload_tell_again(upload);
    return UPLOAD_MOVING;
}

/* --- the way out --- */

static uint32_t upload_tidy(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    if (twin_sweep(&upload->twin, &upload->kept)) machine_begin(machine);
    return UPLOAD_TIDYING;
}

/* What was completed must be known again, should we never hear of it. */
static uint32_t upload_seal(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    keep_settle_doubt(&upload->keep, upload->kept.err == ERR_NONE);
    machine_begin(machine);
    keep_flush(&upload->keep, &upload->kept);
    return UPLOAD_SEALING;
}

static uint32_t upload_complete(struct machine *machine)
{
    upload_complete_from(upload_of(machine), completion_ask);
    return UPLOAD_COMPLETING;
}

static uint32_t upload_fail(struct upload *upload, enum err err, const char *why)
{
    work_fail(upload->object, err, 0, why);
    machine_fail(&upload->machine, err, 0);
    return UPLOAD_LEAVE;
}

static uint32_t upload_is_done(struct upload *upload)
{
    struct work_result *result = &upload->object->result;
    result->confirmed = upload->completion.confirmed;
    result->moved_bytes = upload->object->bytes;
    if (!upload->pipe) result->mtime_ns = upload->object->identity.mtime_ns;
    upload->upload_id[0] = '\0'; /* it is an object now: nothing to abort */
    return UPLOAD_LEAVE;
}

static uint32_t upload_completed(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    const struct completion *completion = &upload->completion;
    switch (completion->verdict) {
    case COMPLETION_DONE: return upload_is_done(upload);
    case COMPLETION_PARTS:
        if (upload->lists++ >= UPLOAD_LISTS_MAX)
            return upload_fail(upload, ERR_PART, completion->doubt_why);
        upload->doubtful = true;
        return UPLOAD_MOVED;
    case COMPLETION_LOST:
        if (upload_may_restart(upload)) return UPLOAD_RESTART;
        return upload_fail(upload, ERR_NO_UPLOAD, completion->doubt_why);
    case COMPLETION_ALTERED: break;
    }
    if (upload_may_restart(upload)) return UPLOAD_RESTART;
    upload->upload_id[0] = '\0'; /* it is used up, and made something else */
    return upload_fail(upload, ERR_CHECKSUM_OBJECT, "");
}

static void upload_leave_twin(struct upload *upload)
{
    twin_leave(&upload->twin);
    keep_settle_doubt(&upload->keep, false);
}

static uint32_t upload_restart(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    bool altered = upload->completion.verdict == COMPLETION_ALTERED;
    const char *why =
        altered ? "the server made something else of the upload" : "the server lost the upload";
    upload->restarts++;
    upload_leave_twin(upload);
    upload->restarting = upload->doubtful = false;
    upload->all_confirmed = true;
    upload->upload_id[0] = '\0';
    keep_drop(&upload->keep);
    multipart_fini(&upload->parts);
    multipart_init(&upload->parts);
    log_line(&upload->station->conf->log, LOG_NOTE, "s3://%s/%s: %s; it is begun anew",
             upload->object->bucket, upload->object->key, why);
    machine_begin(machine);
    source_close(&upload->source, &upload->step);
    return UPLOAD_RESTARTING;
}

static uint32_t upload_leave(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    upload_tell_owner(upload);
    machine_begin(machine);
    source_close(&upload->source, &upload->step);
    if (machine->err && !upload->object->result.err) {
        work_fail(upload->object, machine->err, machine->raw, upload->request.why);
        upload->object->result.status = upload->request.reply.status;
    }
    return UPLOAD_DRAINING;
}

/* Without a part of ours nothing tells it from another writer's. */
static uint32_t upload_clean(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    if (upload->parts.done_count == 0 || !upload->upload_id[0]) upload_leave_twin(upload);
    if (twin_sweep(&upload->twin, &upload->kept)) machine_begin(machine);
    return UPLOAD_CLEANING;
}

/* What a later run can go on from stays. */
static uint32_t upload_abort(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    keep_settle_doubt(&upload->keep, upload->kept.err == ERR_NONE);
    upload->parked = machine->err && keep_parks(&upload->keep, machine->err);
    upload->step_err = ERR_NONE;
    if (upload->upload_id[0] && !upload->parked) {
        upload_call(upload, REQUEST_ABORT_UPLOAD);
        upload_request(upload);
    }
    return UPLOAD_ABORTING;
}

/* May there be an upload on the server that nobody has an id of? A refusal tells of the last
 * attempt only: the answer to one before may have got lost. */
static bool upload_is_in_doubt(const struct upload *upload)
{
    uint32_t status = upload->request.reply.status;
    bool refused = status >= 400 && status < 500 && upload->request.doubts == 0;
    return upload->machine.err && !upload->upload_id[0] && upload->asked && !refused;
}

static uint32_t upload_end(struct machine *machine)
{
    struct upload *upload = upload_of(machine);
    bool stays = upload->step_err && upload->step_err != ERR_NO_UPLOAD;
    multipart_fini(&upload->parts);
    if (!machine->err && !upload->pipe)
        keep_end(&upload->keep, upload->object);
    else if (stays)
        keep_orphan(&upload->keep);
    else if (!upload->parked && !upload_is_in_doubt(upload))
        keep_drop(&upload->keep);
    if (stays)
        log_line(
            &upload->station->conf->log, LOG_WARNING,
            "warning: s3://%s/%.200s: its unfinished upload stays on the server, since it could "
            "not be aborted: %s",
            upload->object->bucket, upload->object->key, err_sentence(upload->step_err));
    return MACHINE_END;
}

static const struct machine_row upload_rows[UPLOAD_STATE_COUNT] = {
    [UPLOAD_OPEN] = {upload_open, 0},
    [UPLOAD_OPENING] = {NULL, UPLOAD_PREPARE},
    [UPLOAD_PREPARE] = {upload_prepare, 0},
    [UPLOAD_CLEARING] = {NULL, UPLOAD_CLEARED},
    [UPLOAD_CLEARED] = {upload_cleared, 0},
    [UPLOAD_INTEND] = {upload_intend, 0},
    [UPLOAD_INTENDING] = {NULL, UPLOAD_CREATE},
    [UPLOAD_CREATE] = {upload_create, 0},
    [UPLOAD_CREATING] = {NULL, UPLOAD_MOVE},
    [UPLOAD_TIDY] = {upload_tidy, 0},
    [UPLOAD_TIDYING] = {NULL, UPLOAD_SEAL},
    [UPLOAD_MOVE] = {upload_move, 0},
    [UPLOAD_MOVING] = {NULL, UPLOAD_MOVED},
    [UPLOAD_MOVED] = {upload_moved, 0},
    [UPLOAD_LIST] = {upload_list, 0},
    [UPLOAD_LISTING] = {NULL, UPLOAD_LISTED},
    [UPLOAD_LISTED] = {upload_listed, 0},
    [UPLOAD_SEAL] = {upload_seal, 0},
    [UPLOAD_SEALING] = {NULL, UPLOAD_COMPLETE},
    [UPLOAD_COMPLETE] = {upload_complete, 0},
    [UPLOAD_COMPLETING] = {NULL, UPLOAD_COMPLETED},
    [UPLOAD_COMPLETED] = {upload_completed, 0},
    [UPLOAD_RESTART] = {upload_restart, 0},
    [UPLOAD_RESTARTING] = {NULL, UPLOAD_OPEN},
    [UPLOAD_LEAVE] = {upload_leave, 0},
    [UPLOAD_DRAINING] = {NULL, UPLOAD_CLEAN},
    [UPLOAD_CLEAN] = {upload_clean, 0},
    [UPLOAD_CLEANING] = {NULL, UPLOAD_ABORT},
    [UPLOAD_ABORT] = {upload_abort, 0},
    [UPLOAD_ABORTING] = {NULL, UPLOAD_END},
    [UPLOAD_END] = {upload_end, 0},
};

static const struct machine_kind upload_kind = {
    .trace = {"upload", upload_state_names, UPLOAD_STATE_COUNT},
    .rows = upload_rows,
    .on_error = UPLOAD_LEAVE,
};
