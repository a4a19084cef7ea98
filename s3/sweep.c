#include "s3/sweep.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"

#define SWEEP_STATES(S)                                                                            \
    S(TAKE)                                                                                        \
    S(LIST)                                                                                        \
    S(LISTING)                                                                                     \
    S(LISTED)                                                                                      \
    S(PROBE)                                                                                       \
    S(PROBING)                                                                                     \
    S(PROBED)                                                                                      \
    S(ABORT)                                                                                       \
    S(ABORTING)                                                                                    \
    S(ABORTED)                                                                                     \
    S(FOLDER)                                                                                      \
    S(FOLDING)                                                                                     \
    S(FOLDED)                                                                                      \
    S(UNLINK)                                                                                      \
    S(UNLINKING)                                                                                   \
    S(SHUT)                                                                                        \
    S(SHUTTING)                                                                                    \
    S(TELL)

enum sweep_state {
#define STATE(name) SWEEP_##name,
    SWEEP_STATES(STATE)
#undef STATE
        SWEEP_STATE_COUNT
};

static const char *const sweep_state_names[SWEEP_STATE_COUNT] = {
#define STATE(name) #name,
    SWEEP_STATES(STATE)
#undef STATE
};

static const struct machine_kind sweep_kind;

static struct sweep *sweep_of(struct machine *machine)
{
    return container_of(machine, struct sweep, machine);
}

/* What is gone already is as good as removed. */
static bool sweep_is_gone(enum err err)
{
    return err == ERR_NO_UPLOAD || err == ERR_NO_BUCKET || err == ERR_FILE_MISSING;
}

/* A failure is that object's only: the next one has its turn. */
static void sweep_on_step(struct op *op)
{
    struct sweep *sweep = container_of(op, struct sweep, step);
    if (!sweep->err && !sweep_is_gone(op->err)) sweep->err = op->err;
    machine_settle_quietly(&sweep->machine);
}

/* Each object has told its owner, who may have had another one at once. */
static void sweep_on_over(struct op *op)
{
    struct sweep *sweep = container_of(op, struct sweep, over);
    if (!list_is_empty(&sweep->queue))
        machine_start(&sweep->machine, &sweep_kind, sweep->core, &sweep->over);
}

/* FNV-1a; 0 for no name. */
static uint64_t sweep_hash(const char *name)
{
    uint64_t hash = 14695981039346656037ull;
    if (!name[0]) return 0;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211ull;
    return hash;
}

/* The journal has it: it is not the one that got lost. */
static bool sweep_is_known(const struct past_object *object, const char *id)
{
    for (uint32_t i = 0; i < object->known_count; i++)
        if (strcmp(object->known[i], id) == 0) return true;
    return false;
}

static enum err sweep_on_name(struct xml_names *names, const struct xml_name *name)
{
    struct sweep *sweep = container_of(names, struct sweep, listed);
    const struct past_object *object = sweep->object;
    bool same = object && strcmp(name->name, object->row.key) == 0;
    bool spared = same && object->spared && strcmp(name->upload_id, object->spared) == 0;
    struct sweep_upload *upload = &sweep->uploads[sweep->id_count];
    if (spared) upload = &sweep->spared;
    if (!same || name->time_s == INT64_MIN) return ERR_NONE;
    if (sweep_is_known(object, name->upload_id)) return ERR_NONE;
    if (!spared && sweep->id_count++ == SWEEP_IDS_MAX) {
        sweep->id_count = SWEEP_IDS_MAX;
        return ERR_NONE;
    }
    upload->started_s = name->time_s;
    upload->owner = sweep_hash(name->initiator);
    memcpy(upload->id, name->upload_id, sizeof upload->id);
    return ERR_NONE;
}

static void sweep_on_begin(struct xml *xml)
{
    struct sweep *sweep = container_of(xml, struct sweep, listed.xml);
    sweep->id_count = 0; /* of a reply that broke */
    sweep->spared.started_s = INT64_MIN;
}

static enum err sweep_on_part(struct xml_parts *parts, const struct xml_part *part)
{
    struct sweep *sweep = container_of(parts, struct sweep, probed);
    const struct past_object *object = sweep->object;
    if (!object) return ERR_NONE;
    bool late = part->modified_s > sweep->until_s; /* INT64_MIN: not told */
    bool large = object->row.part_bytes > 0 && part->bytes > object->row.part_bytes;
    if (object->spared || late || large) sweep->foreign = true;
    return ERR_NONE;
}

void sweep_init(struct sweep *sweep, struct core *core, const struct sweep_place *place)
{
    memset(sweep, 0, sizeof *sweep);
    sweep->core = core;
    sweep->place = *place;
    list_init(&sweep->queue);
    op_init(&sweep->step, sweep_on_step);
    op_init(&sweep->over, sweep_on_over);
    request_init(&sweep->request, place->client);
    xml_names_init(&sweep->listed, sweep_on_name, sweep_on_begin);
    xml_parts_init(&sweep->probed, sweep_on_part, NULL);
}

void sweep_fini(struct sweep *sweep)
{
    CHECK(!machine_is_running(&sweep->machine));
    xml_fini(&sweep->listed.xml);
    xml_fini(&sweep->probed.xml);
    request_fini(&sweep->request);
}

void sweep_start(struct sweep *sweep, struct past_object *object, struct op *op)
{
    CHECK(!object->taken && !object->owner);
    op_begin(op);
    object->taken = true;
    object->owner = op;
    list_push(&sweep->queue, &object->link);
    if (machine_is_running(&sweep->machine) || sweep->over.out) return;
    sweep->cancelled = false;
    machine_start(&sweep->machine, &sweep_kind, sweep->core, &sweep->over);
}

void sweep_twins(struct past_object *object, const struct sweep_doubt *doubt)
{
    memset(object, 0, sizeof *object);
    snprintf(object->row.key, sizeof object->row.key, "%s", doubt->key);
    object->row.created_s = doubt->asked_s;
    object->row.until_s = doubt->answered_s;
    object->spared = doubt->spared;
    object->twins_max = doubt->lost;
}

void sweep_cancel(struct sweep *sweep)
{
    if (!machine_is_running(&sweep->machine) && !sweep->over.out) return;
    sweep->cancelled = true;
    request_cancel(&sweep->request);
}

static uint32_t sweep_take(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    struct link *link = list_pop(&sweep->queue);
    if (!link) return MACHINE_END;
    sweep->object = container_of(link, struct past_object, link);
    sweep->err = sweep->cancelled ? ERR_CANCELLED : ERR_NONE;
    sweep->id_count = sweep->rounds = 0;
    sweep->unsure = false;
    sweep->folder_fd = AT_FDCWD;
    const struct journal_object *row = &sweep->object->row;
    if (!sweep->err && sweep->object->disputed) sweep->err = ERR_CONFLICT;
    if (sweep->err) return SWEEP_TELL;
    if (row->temp[0]) return SWEEP_FOLDER;
    if (!row->upload_id[0]) return SWEEP_LIST;
    memcpy(sweep->uploads[sweep->id_count++].id, row->upload_id, sizeof row->upload_id);
    return SWEEP_ABORT;
}

/* --- an upload --- */

static void sweep_request(struct sweep *sweep, enum request_kind kind)
{
    sweep->call.kind = kind;
    sweep->call.bucket = bytes_of(sweep->place.bucket);
    machine_begin(&sweep->machine);
    request_start(&sweep->request, &sweep->call, &sweep->step);
}

static uint32_t sweep_list(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    struct request_call *call = &sweep->call;
    if (sweep->rounds++ == SWEEP_ROUNDS_MAX) return SWEEP_TELL;
    *call = (struct request_call){.query_count = 2, .xml = &sweep->listed.xml};
    call->query[0] = (struct request_pair){BYTES("uploads"), BYTES("")};
    call->query[1] = (struct request_pair){BYTES("prefix"), bytes_of(sweep->object->row.key)};
    sweep_request(sweep, REQUEST_LIST_UPLOADS);
    return SWEEP_LISTING;
}

/* When it must have been initiated, by the server's clock: from then until sweep->until_s. */
static int64_t sweep_find_span(struct sweep *sweep)
{
    const struct past_object *object = sweep->object;
    int64_t now_s = (int64_t)(clock_wall_ns() / NS_PER_S), server_s = sweep->request.reply.date_s;
    int64_t ahead_s = server_s == INT64_MIN ? 0 : server_s - now_s;
    sweep->until_s = object->row.until_s + ahead_s + SWEEP_CLOCK_S;
    if (!object->spared || sweep->spared.started_s == INT64_MIN)
        return object->row.created_s + ahead_s - SWEEP_CLOCK_S;
    int64_t span_s = object->row.until_s - object->row.created_s + 1; /* of whole seconds */
    sweep->until_s = sweep->spared.started_s + span_s;
    return sweep->spared.started_s - span_s;
}

static bool sweep_is_of_others(const struct sweep *sweep, const struct sweep_upload *upload)
{
    uint64_t ours = sweep->object->spared ? sweep->spared.owner : 0;
    return ours && upload->owner && upload->owner != ours;
}

/* Keeps those that were initiated while the process that left this object was there. */
static uint32_t sweep_listed(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    int64_t from_s;
    uint32_t kept = 0;
    (void)machine;
    if (sweep->err) return SWEEP_TELL;
    sweep->full = sweep->id_count == SWEEP_IDS_MAX;
    from_s = sweep_find_span(sweep);
    for (uint32_t i = 0; i < sweep->id_count; i++) {
        const struct sweep_upload *upload = &sweep->uploads[i];
        if (upload->started_s < from_s || upload->started_s > sweep->until_s) continue;
        if (sweep_is_of_others(sweep, upload)) continue;
        if (kept != i) sweep->uploads[kept] = *upload;
        kept++;
    }
    sweep->id_count = kept;
    sweep->probe_at = 0;
    return kept > 0 ? SWEEP_PROBE : SWEEP_TELL;
}

static void sweep_call(struct sweep *sweep, const struct sweep_upload *upload)
{
    sweep->call = (struct request_call){.key = bytes_of(sweep->object->row.key), .query_count = 1};
    sweep->call.query[0] = (struct request_pair){BYTES("uploadId"), bytes_of(upload->id)};
}

/* Are there parts that cannot be ours? */
static uint32_t sweep_probe(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    (void)machine;
    sweep_call(sweep, &sweep->uploads[sweep->probe_at]);
    if (sweep->object->spared)
        sweep->call.query[sweep->call.query_count++] =
            (struct request_pair){BYTES("max-parts"), BYTES("1")};
    sweep->call.xml = &sweep->probed.xml;
    sweep->foreign = false;
    sweep_request(sweep, REQUEST_LIST_PARTS);
    return SWEEP_PROBING;
}

static uint32_t sweep_probed(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    const struct past_object *object = sweep->object;
    (void)machine;
    if (sweep->err) return SWEEP_TELL;
    if (sweep->step.err || sweep->foreign)
        sweep->uploads[sweep->probe_at] = sweep->uploads[--sweep->id_count];
    else
        sweep->probe_at++;
    if (sweep->probe_at < sweep->id_count) return SWEEP_PROBE;
    sweep->unsure = object->spared && (sweep->full || sweep->id_count > object->twins_max);
    return sweep->id_count > 0 && !sweep->unsure ? SWEEP_ABORT : SWEEP_TELL;
}

static uint32_t sweep_abort(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    (void)machine;
    sweep_call(sweep, &sweep->uploads[sweep->id_count - 1]);
    sweep_request(sweep, REQUEST_ABORT_UPLOAD);
    return SWEEP_ABORTING;
}

static uint32_t sweep_aborted(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    (void)machine;
    if (sweep->err) return SWEEP_TELL;
    if (!sweep->step.err) sweep->aborted++;
    sweep->id_count--;
    if (sweep->id_count > 0) return SWEEP_ABORT;
    return sweep->object->row.upload_id[0] || sweep->object->spared ? SWEEP_TELL : SWEEP_LIST;
}

/* --- a temporary file --- */

/* Its folder first, as a descriptor: no name on the way may lead elsewhere meanwhile. */
static uint32_t sweep_folder(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    char *temp = sweep->object->row.temp, *slash = strrchr(temp, '/');
    sweep->name = slash ? slash + 1 : temp;
    sweep->folder_fd = sweep->place.folder_fd;
    if (strncmp(sweep->name, SWEEP_TEMP_MARK, strlen(SWEEP_TEMP_MARK)) != 0) return SWEEP_TELL;
    if (!slash) return SWEEP_UNLINK;
    *slash = '\0';
    machine_begin(machine);
    ring_open_resolved(machine->core->ring, sweep->place.folder_fd, temp,
                       O_PATH | O_DIRECTORY | O_CLOEXEC, 0, sweep->place.resolve, &sweep->step);
    return SWEEP_FOLDING;
}

static uint32_t sweep_folded(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    (void)machine;
    if (sweep->step.err) return SWEEP_TELL;
    sweep->folder_fd = (int)sweep->step.count;
    return SWEEP_UNLINK;
}

static uint32_t sweep_unlink(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    machine_begin(machine);
    ring_unlink(machine->core->ring, sweep->folder_fd, sweep->name, 0, &sweep->step);
    return SWEEP_UNLINKING;
}

static uint32_t sweep_shut(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    if (!sweep->step.err) sweep->removed++;
    if (sweep->folder_fd != sweep->place.folder_fd) {
        machine_begin(machine);
        ring_close_file(machine->core->ring, sweep->folder_fd, &sweep->step);
    }
    return SWEEP_SHUTTING;
}

/* --- the end of one --- */

static uint32_t sweep_tell(struct machine *machine)
{
    struct sweep *sweep = sweep_of(machine);
    struct past_object *object = sweep->object;
    struct op *op = object->owner;
    const char *why = object->row.temp[0] || object->disputed ? "" : sweep->request.why;
    const char *what = object->spared ? "it was begun twice, and one upload of it may stay"
                                      : "what an earlier run left of it is still there";
    object->owner = NULL;
    sweep->object = NULL;
    if (sweep->name && sweep->name != object->row.temp) sweep->name[-1] = '/';
    sweep->name = NULL;
    if (!sweep->err && sweep->unsure)
        log_line(sweep->place.log, LOG_WARNING,
                 "warning: s3://%s/%.200s: %s: another writer may have begun one of it as well",
                 sweep->place.bucket, object->row.key, what);
    if (sweep->err && sweep->err != ERR_CANCELLED) {
        sweep->failed++;
        log_line(sweep->place.log, LOG_WARNING, "warning: s3://%s/%.200s: %s: %s%s%.200s%s",
                 sweep->place.bucket, object->row.key, what, err_sentence(sweep->err),
                 why[0] ? " (" : "", why, why[0] ? ")" : "");
    }
    core_finish(machine->core, op, sweep->err);
    return SWEEP_TAKE;
}

static const struct machine_row sweep_rows[SWEEP_STATE_COUNT] = {
    [SWEEP_TAKE] = {sweep_take, 0},           [SWEEP_LIST] = {sweep_list, 0},
    [SWEEP_LISTING] = {NULL, SWEEP_LISTED},   [SWEEP_LISTED] = {sweep_listed, 0},
    [SWEEP_PROBE] = {sweep_probe, 0},         [SWEEP_PROBING] = {NULL, SWEEP_PROBED},
    [SWEEP_PROBED] = {sweep_probed, 0},       [SWEEP_ABORT] = {sweep_abort, 0},
    [SWEEP_ABORTING] = {NULL, SWEEP_ABORTED}, [SWEEP_ABORTED] = {sweep_aborted, 0},
    [SWEEP_FOLDER] = {sweep_folder, 0},       [SWEEP_FOLDING] = {NULL, SWEEP_FOLDED},
    [SWEEP_FOLDED] = {sweep_folded, 0},       [SWEEP_UNLINK] = {sweep_unlink, 0},
    [SWEEP_UNLINKING] = {NULL, SWEEP_SHUT},   [SWEEP_SHUT] = {sweep_shut, 0},
    [SWEEP_SHUTTING] = {NULL, SWEEP_TELL},    [SWEEP_TELL] = {sweep_tell, 0},
};

static const struct machine_kind sweep_kind = {
    .trace = {"sweep", sweep_state_names, SWEEP_STATE_COUNT},
    .rows = sweep_rows,
    .on_error = SWEEP_TAKE, /* no failure is the machine's own */
};
