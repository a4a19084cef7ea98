#include "s3/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/headers.h"
#include "s3/xml_write.h"

#define COMPLETION_STATES(S)                                                                       \
    S(BEGIN)                                                                                       \
    S(COMPLETE)                                                                                    \
    S(COMPLETING)                                                                                  \
    S(WEIGH)                                                                                       \
    S(LOOK)                                                                                        \
    S(LOOKING)                                                                                     \
    S(LOOKED)                                                                                      \
    S(PAUSING)                                                                                     \
    S(JUDGE)                                                                                       \
    S(END)

enum completion_state {
#define STATE(name) COMPLETION_STATE_##name,
    COMPLETION_STATES(STATE)
#undef STATE
        COMPLETION_STATE_COUNT
};

static const char *const completion_state_names[COMPLETION_STATE_COUNT] = {
#define STATE(name) #name,
    COMPLETION_STATES(STATE)
#undef STATE
};

static const struct machine_kind completion_kind;

static struct completion *completion_of(struct machine *machine)
{
    return container_of(machine, struct completion, machine);
}

/* What two states deal with by themselves: a completion in doubt, and no object where one was
 * looked for. */
static bool completion_deals_with(struct completion *completion, const struct op *op)
{
    enum policy_act act = completion->request->again.act;
    if (!op->err || op->err == ERR_CANCELLED) return false;
    if (completion->machine.state == COMPLETION_STATE_LOOKING) return op->err == ERR_NO_KEY;
    if (act != POLICY_RECONCILE && act != POLICY_RELIST) return false;
    request_describe_failure(completion->request, &completion->doubt);
    snprintf(completion->doubt_why, sizeof completion->doubt_why, "%s", completion->request->why);
    completion->doubt.why = completion->doubt_why;
    completion->doubt.region = "";
    return true;
}

static void completion_on_step(struct op *op)
{
    struct completion *completion = container_of(op, struct completion, step);
    completion->lost = completion_deals_with(completion, op);
    if (completion->lost)
        machine_settle_quietly(&completion->machine);
    else
        machine_settle(&completion->machine, op);
}

static void completion_on_pause(struct op *op)
{
    struct completion *completion = container_of(op, struct completion, pause.op);
    machine_settle(&completion->machine, op);
}

void completion_init(struct completion *completion, struct station *station,
                     struct request *request)
{
    memset(completion, 0, sizeof *completion);
    completion->station = station;
    completion->request = request;
    op_init(&completion->step, completion_on_step);
    timer_init(&completion->pause, completion_on_pause);
    xml_result_init(&completion->result);
}

void completion_fini(struct completion *completion)
{
    CHECK(!machine_is_running(&completion->machine));
    xml_fini(&completion->result.xml);
}

void completion_begin(struct completion *completion, struct work *object,
                      const struct multipart *parts)
{
    CHECK(!machine_is_running(&completion->machine));
    completion->object = object;
    completion->parts = parts;
    completion->verdict = COMPLETION_DONE;
    again_init(&completion->again, &completion->station->clients[object->endpoint]);
}

static void completion_start(struct completion *completion, const struct completion_facts *facts,
                             bool looks_first, struct op *op)
{
    completion->facts = *facts;
    completion->looks_first = looks_first;
    completion->verdict = COMPLETION_DONE;
    completion->confirmed = facts->confirmed;
    completion->body = NULL;
    completion->lost = completion->altered = false;
    completion->doubt = (struct again_failure){
        .what = {.err = ERR_NO_UPLOAD, .phase = POLICY_ANSWER}, .why = "", .region = ""};
    completion->doubt_why[0] = '\0';
    machine_start(&completion->machine, &completion_kind, completion->station->core, op);
}

void completion_ask(struct completion *completion, const struct completion_facts *facts,
                    struct op *op)
{
    completion_start(completion, facts, false, op);
}

void completion_look(struct completion *completion, const struct completion_facts *facts,
                     struct op *op)
{
    completion_start(completion, facts, true, op);
}

void completion_cancel(struct completion *completion)
{
    if (!machine_is_running(&completion->machine)) return;
    machine_fail(&completion->machine, ERR_CANCELLED, 0);
    timer_cancel(&completion->station->core->timers, &completion->pause);
}

/* --- what is asked --- */

static void completion_call(struct completion *completion, enum request_kind kind)
{
    const struct work *object = completion->object;
    completion->call = (struct request_call){.kind = kind,
                                             .bucket = bytes_of(object->bucket),
                                             .key = bytes_of(object->key),
                                             .prefix = object->task.prefix};
}

static void completion_header(struct completion *completion, const char *name, const char *value)
{
    struct request_call *call = &completion->call;
    call->headers[call->header_count++] = (struct request_pair){bytes_of(name), bytes_of(value)};
}

static void completion_request(struct completion *completion)
{
    machine_begin(&completion->machine);
    request_start(completion->request, &completion->call, &completion->step);
}

/* The whole's checksum. */
static void completion_sum(struct completion *completion, bool tell)
{
    enum checksum_kind kind = completion->station->conf->checksum;
    struct work_result *result = &completion->object->result;
    uint32_t part_count;
    multipart_combine(completion->parts, kind, &result->checksum, &part_count);
    result->part_count = part_count;
    result->part_bytes = multipart_equal_bytes(completion->parts);
    checksum_format(&result->checksum, part_count, completion->checksum_text);
    if (!tell) return;
    completion_header(completion, headers_checksum(kind), completion->checksum_text);
    completion_header(completion, "x-amz-checksum-type", part_count ? "COMPOSITE" : "FULL_OBJECT");
}

static uint32_t completion_run_begin(struct machine *machine)
{
    struct completion *completion = completion_of(machine);
    if (!completion->looks_first) return COMPLETION_STATE_COMPLETE;
    completion_sum(completion, false);
    return COMPLETION_STATE_LOOK;
}

/* A server that did not take the parts' checksums may call a list that names them malformed, as
 * Swift does. */
static uint32_t completion_run_complete(struct machine *machine)
{
    struct completion *completion = completion_of(machine);
    enum checksum_kind kind = completion->station->conf->checksum;
    enum checksum_kind listed = completion->confirmed ? kind : CHECKSUM_NONE;
    uint64_t bytes_max = xml_write_complete_bytes(completion->parts, listed);
    struct request_call *call = &completion->call;
    struct writer w;
    completion->body = malloc(bytes_max);
    if (!completion->body) {
        machine_fail(machine, ERR_NO_MEMORY, 0);
        return COMPLETION_STATE_END;
    }
    writer_init(&w, completion->body, bytes_max);
    xml_write_complete(&w, completion->parts, listed);
    CHECK(!w.overflow);
    completion_call(completion, REQUEST_COMPLETE_UPLOAD);
    call->query[call->query_count++] =
        (struct request_pair){BYTES("uploadId"), bytes_of(completion->facts.upload_id)};
    call->xml = &completion->result.xml;
    completion->body_iovec = (struct iovec){completion->body, w.count};
    call->body = &completion->body_iovec;
    call->body_count = 1;
    call->body_bytes = w.count;
    if (kind != CHECKSUM_NONE) completion_sum(completion, listed != CHECKSUM_NONE);
    completion_request(completion);
    return COMPLETION_STATE_COMPLETING;
}

/* --- an answer that got lost --- */

static uint32_t completion_weigh(struct machine *machine)
{
    struct completion *completion = completion_of(machine);
    free(completion->body);
    completion->body = NULL;
    if (!completion->lost) return COMPLETION_STATE_JUDGE;
    completion->lost = false;
    if (completion->doubt.what.err != ERR_PART) return COMPLETION_STATE_LOOK;
    completion->verdict = COMPLETION_PARTS;
    return COMPLETION_STATE_END;
}

static uint32_t completion_run_look(struct machine *machine)
{
    struct completion *completion = completion_of(machine);
    completion_call(completion, REQUEST_HEAD_OBJECT);
    completion_header(completion, "x-amz-checksum-mode", "ENABLED");
    completion_request(completion);
    return COMPLETION_STATE_LOOKING;
}

/* Not there: once more, later; unless the upload is gone as well. */
static uint32_t completion_again(struct completion *completion)
{
    struct machine *machine = &completion->machine;
    struct again_failure *doubt = &completion->doubt;
    enum err err = doubt->what.err;
    uint64_t delay_ns = 0;
    if (err == ERR_NO_UPLOAD) {
        completion->verdict = COMPLETION_LOST;
        return COMPLETION_STATE_END;
    }
    doubt->what.call = POLICY_ANY; /* the doubt is settled */
    if (!again_may(&completion->again, doubt, &delay_ns)) {
        work_fail(completion->object, err, 0, completion->doubt_why);
        machine_fail(machine, err, 0);
        return COMPLETION_STATE_END;
    }
    machine_begin(machine);
    timer_start(&machine->core->timers, &completion->pause, machine->core->now_ns + delay_ns);
    return COMPLETION_STATE_PAUSING;
}

static uint32_t completion_looked(struct machine *machine)
{
    struct completion *completion = completion_of(machine);
    const struct request_reply *reply = &completion->request->reply;
    bool sure = false;
    struct reconcile expected = {.parts = completion->parts,
                                 .kind = completion->station->conf->checksum,
                                 .checksum = completion->checksum_text,
                                 .mtime = completion->facts.mtime,
                                 .created_s = completion->facts.created_s};
    bool ours = !completion->lost && reconcile_is_ours(&expected, reply, &sure);
    completion->lost = false;
    if (completion->altered && !(ours && sure)) {
        completion->verdict = COMPLETION_ALTERED;
        return COMPLETION_STATE_END;
    }
    if (!ours) return completion_again(completion);
    completion->altered = false;
    if (!sure) completion->confirmed = false;
    memset(&completion->result.checksums, 0, sizeof completion->result.checksums);
    snprintf(completion->result.etag, sizeof completion->result.etag, "%s", reply->etag);
    return COMPLETION_STATE_JUDGE;
}

/* --- the end --- */

static uint32_t completion_judge(struct machine *machine)
{
    struct completion *completion = completion_of(machine);
    struct work_result *result = &completion->object->result;
    enum checksum_kind kind = completion->station->conf->checksum;
    const char *echoed = completion->result.checksums.text[kind];
    completion->altered =
        kind != CHECKSUM_NONE && echoed[0] && strcmp(echoed, completion->checksum_text) != 0;
    if (completion->altered) return COMPLETION_STATE_LOOK; /* is it the object, or the answer? */
    snprintf(result->version, sizeof result->version, "%s", completion->request->reply.version);
    snprintf(result->etag, sizeof result->etag, "%s", completion->result.etag);
    return COMPLETION_STATE_END;
}

static uint32_t completion_end(struct machine *machine)
{
    struct completion *completion = completion_of(machine);
    free(completion->body);
    completion->body = NULL;
    return MACHINE_END;
}

static const struct machine_row completion_rows[COMPLETION_STATE_COUNT] = {
    [COMPLETION_STATE_BEGIN] = {completion_run_begin, 0},
    [COMPLETION_STATE_COMPLETE] = {completion_run_complete, 0},
    [COMPLETION_STATE_COMPLETING] = {NULL, COMPLETION_STATE_WEIGH},
    [COMPLETION_STATE_WEIGH] = {completion_weigh, 0},
    [COMPLETION_STATE_LOOK] = {completion_run_look, 0},
    [COMPLETION_STATE_LOOKING] = {NULL, COMPLETION_STATE_LOOKED},
    [COMPLETION_STATE_LOOKED] = {completion_looked, 0},
    [COMPLETION_STATE_PAUSING] = {NULL, COMPLETION_STATE_COMPLETE},
    [COMPLETION_STATE_JUDGE] = {completion_judge, 0},
    [COMPLETION_STATE_END] = {completion_end, 0},
};

static const struct machine_kind completion_kind = {
    .trace = {"completion", completion_state_names, COMPLETION_STATE_COUNT},
    .rows = completion_rows,
    .on_error = COMPLETION_STATE_END,
};
