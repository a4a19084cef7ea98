#include "s3/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "s3/stored.h"

#define PROBE_STATES(S)                                                                            \
    S(BEGIN)                                                                                       \
    S(ASK)                                                                                         \
    S(ASKING)                                                                                      \
    S(TOLD)                                                                                        \
    S(STAT)                                                                                        \
    S(STATTING)                                                                                    \
    S(SEEN)                                                                                        \
    S(SUM)                                                                                         \
    S(SUMMING)                                                                                     \
    S(SUMMED)                                                                                      \
    S(CLOSE)                                                                                       \
    S(END)

enum probe_state {
#define STATE(name) PROBE_##name,
    PROBE_STATES(STATE)
#undef STATE
        PROBE_STATE_COUNT
};

static const char *const probe_state_names[PROBE_STATE_COUNT] = {
#define STATE(name) #name,
    PROBE_STATES(STATE)
#undef STATE
};

static const struct machine_kind probe_kind;

static struct probe *probe_of(struct machine *machine)
{
    return container_of(machine, struct probe, machine);
}

static void probe_on_step(struct op *op)
{
    struct probe *probe = container_of(op, struct probe, step);
    machine_settle(&probe->machine, op);
}

void probe_init(struct probe *probe, struct station *station)
{
    memset(probe, 0, sizeof *probe);
    probe->station = station;
    op_init(&probe->step, probe_on_step);
    reread_init(&probe->reread, station->core);
    request_init(&probe->request, &station->clients[0]);
}

void probe_fini(struct probe *probe)
{
    CHECK(!machine_is_running(&probe->machine));
    request_fini(&probe->request);
}

bool probe_takes(const struct work *work)
{
    return work->kind == WORK_HEAD || work->kind == WORK_STAT || work->kind == WORK_SUM_FILE;
}

void probe_start(struct probe *probe, struct work *work, struct op *op)
{
    probe->work = work;
    request_init(&probe->request, &probe->station->clients[work->endpoint]);
    machine_start(&probe->machine, &probe_kind, probe->station->core, op);
}

void probe_cancel(struct probe *probe)
{
    if (!machine_is_running(&probe->machine)) return;
    machine_fail(&probe->machine, ERR_CANCELLED, 0);
    reread_cancel(&probe->reread);
    request_cancel(&probe->request);
}

static uint32_t probe_begin(struct machine *machine)
{
    switch (probe_of(machine)->work->kind) {
    case WORK_HEAD: return PROBE_ASK;
    case WORK_STAT: return PROBE_STAT;
    default: return PROBE_SUM;
    }
}

/* --- an object --- */

static uint32_t probe_ask(struct machine *machine)
{
    struct probe *probe = probe_of(machine);
    probe->call = (struct request_call){.kind = REQUEST_HEAD_OBJECT,
                                        .bucket = bytes_of(probe->work->bucket),
                                        .key = bytes_of(probe->work->key),
                                        .prefix = probe->work->task.prefix,
                                        .header_count = 1};
    probe->call.headers[0] = (struct request_pair){BYTES("x-amz-checksum-mode"), BYTES("ENABLED")};
    machine_begin(machine);
    request_start(&probe->request, &probe->call, &probe->step);
    return PROBE_ASKING;
}

static uint32_t probe_told(struct machine *machine)
{
    struct probe *probe = probe_of(machine);
    struct work *work = probe->work;
    struct work_result *result = &work->result;
    const struct request_reply *reply = &probe->request.reply;
    if (reply->content_bytes == UINT64_MAX) machine_fail(machine, ERR_RANGE, 0);
    work->bytes = reply->content_bytes;
    result->confirmed = stored_checksum(reply, work->sum, &result->checksum, &result->part_count);
    if (!result->confirmed) result->part_count = 0;
    snprintf(result->etag, sizeof result->etag, "%s", reply->etag);
    snprintf(result->version, sizeof result->version, "%s", reply->version);
    return PROBE_CLOSE;
}

/* --- a file --- */

static uint32_t probe_stat(struct machine *machine)
{
    struct probe *probe = probe_of(machine);
    memset(&probe->there, 0, sizeof probe->there);
    machine_begin(machine);
    ring_stat(machine->core->ring, probe->station->folder_fd, probe->work->path, 0, &probe->there,
              &probe->step);
    return PROBE_STATTING;
}

static uint32_t probe_seen(struct machine *machine)
{
    struct probe *probe = probe_of(machine);
    struct work *work = probe->work;
    file_identity_of_statx(&work->identity, &probe->there);
    work->bytes = work->identity.size_bytes;
    if (S_ISDIR(work->identity.mode))
        machine_fail(machine, ERR_FILE_IS_FOLDER, 0);
    else if (!S_ISREG(work->identity.mode))
        machine_fail(machine, ERR_FILE_KIND, 0);
    return PROBE_CLOSE;
}

static uint32_t probe_sum(struct machine *machine)
{
    struct probe *probe = probe_of(machine);
    const struct work *work = probe->work;
    bool aligned = work->offset % FILE_DIRECT_ALIGN == 0;
    const struct reread_range what = {
        .file = {.dir_fd = probe->station->folder_fd,
                 .path = work->path,
                 .direct = aligned ? probe->station->conf->direct : FILE_DIRECT_OFF,
                 .expected_bytes = work->identity.size_bytes},
        .identity = &work->identity,
        .offset = work->offset,
        .bytes = work->bytes,
        .kind = work->sum,
        .with_md5 = work->md5,
        .read_bytes = &probe->station->done_bytes};
    machine_begin(machine);
    reread_start(&probe->reread, &what, &probe->step);
    return PROBE_SUMMING;
}

static uint32_t probe_summed(struct machine *machine)
{
    struct probe *probe = probe_of(machine);
    struct checksum_value *value = &probe->work->result.checksum;
    *value = probe->reread.checksum;
    if (probe->work->md5) {
        value->count = DIGEST_MD5_BYTES;
        memcpy(value->data, probe->reread.md5, DIGEST_MD5_BYTES);
    }
    probe->work->result.moved_bytes = probe->reread.read_bytes;
    return PROBE_CLOSE;
}

/* --- the way out --- */

static uint32_t probe_close(struct machine *machine)
{
    struct probe *probe = probe_of(machine);
    struct work *work = probe->work;
    bool asked = work->kind == WORK_HEAD && machine->err;
    work_fail(work, machine->err, machine->raw, asked ? probe->request.why : "");
    return PROBE_END;
}

static uint32_t probe_end(struct machine *machine)
{
    (void)machine;
    return MACHINE_END;
}

static const struct machine_row probe_rows[PROBE_STATE_COUNT] = {
    [PROBE_BEGIN] = {probe_begin, 0},       [PROBE_ASK] = {probe_ask, 0},
    [PROBE_ASKING] = {NULL, PROBE_TOLD},    [PROBE_TOLD] = {probe_told, 0},
    [PROBE_STAT] = {probe_stat, 0},         [PROBE_STATTING] = {NULL, PROBE_SEEN},
    [PROBE_SEEN] = {probe_seen, 0},         [PROBE_SUM] = {probe_sum, 0},
    [PROBE_SUMMING] = {NULL, PROBE_SUMMED}, [PROBE_SUMMED] = {probe_summed, 0},
    [PROBE_CLOSE] = {probe_close, 0},       [PROBE_END] = {probe_end, 0},
};

static const struct machine_kind probe_kind = {
    .trace = {"probe", probe_state_names, PROBE_STATE_COUNT},
    .rows = probe_rows,
    .on_error = PROBE_CLOSE,
};

/* --- what is waited for --- */

void probe_blame(const struct probe *probe, struct blame_tick *tick, double weight)
{
    switch (probe->machine.state) {
    case PROBE_STATTING:
    case PROBE_SUMMING: blame_add(tick, BLAME_FILE, weight); break;
    default:
        if (!request_blame(&probe->request, tick, weight)) blame_add(tick, BLAME_RUNNING, weight);
        break;
    }
}
