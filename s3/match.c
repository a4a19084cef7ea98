#include "s3/match.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "s3/reconcile.h"

#define MATCH_STATES(S)                                                                            \
    S(LOOK)                                                                                        \
    S(LOOKING)                                                                                     \
    S(CHOOSE)                                                                                      \
    S(LEARN)                                                                                       \
    S(LEARNING)                                                                                    \
    S(LEARNED)                                                                                     \
    S(CUT)                                                                                         \
    S(READ)                                                                                        \
    S(READING)                                                                                     \
    S(JUDGE)                                                                                       \
    S(END)

enum match_state {
#define STATE(name) MATCH_STATE_##name,
    MATCH_STATES(STATE)
#undef STATE
        MATCH_STATE_COUNT
};

static const char *const match_state_names[MATCH_STATE_COUNT] = {
#define STATE(name) #name,
    MATCH_STATES(STATE)
#undef STATE
};

static const struct machine_kind match_kind;

static struct match *match_of(struct machine *machine)
{
    return container_of(machine, struct match, machine);
}

/* That the server cannot tell the parts is no failure: then they are compared another way. */
static void match_on_step(struct op *op)
{
    struct match *match = container_of(op, struct match, step);
    match->learned = !op->err;
    if (op->err && err_class(op->err) == ERR_CLASS_RUN) {
        snprintf(match->why, sizeof match->why, "%s", match->stored.request.why);
        machine_settle(&match->machine, op);
        return;
    }
    machine_settle_quietly(&match->machine);
}

void match_init(struct match *match, struct station *station, uint32_t index)
{
    memset(match, 0, sizeof *match);
    match->station = station;
    match->index = index;
    op_init(&match->step, match_on_step);
    stored_init(&match->stored, station->core, &station->clients[0]);
}

void match_fini(struct match *match)
{
    CHECK(!machine_is_running(&match->machine));
    stored_fini(&match->stored);
}

void match_start(struct match *match)
{
    const bool wanted[] = {[MATCH_FILE] = match->task.file, [MATCH_OBJECT] = match->task.object};
    op_begin(&match->ready);
    for (uint32_t side = 0; side < MATCH_SIDES; side++) {
        match->halves[side] = (struct match_half){.wanted = wanted[side]};
        multipart_init(&match->halves[side].ranges);
    }
    match->verdict = MATCH_EQUAL;
    match->err = ERR_NONE;
    match->raw = 0;
    match->md5 = match->by_size = match->looking = match->reading = false;
    match->learned = match->ready_told = match->judged = false;
    match->server.kind = match->reference.kind = match->kind = CHECKSUM_NONE;
    match->server_parts = match->reference_parts = match->out_count = 0;
    match->why[0] = match->etag[0] = '\0';
    machine_start(&match->machine, &match_kind, match->station->core, &match->op);
}

/* The first word counts. */
static void match_say(struct match *match, enum match_verdict verdict, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void match_say(struct match *match, enum match_verdict verdict, const char *format, ...)
{
    va_list arguments;
    if (match->judged) return;
    match->judged = true;
    match->verdict = verdict;
    va_start(arguments, format);
    vsnprintf(match->why, sizeof match->why, format, arguments);
    va_end(arguments);
}

static void match_fail(struct match *match, const struct work_result *result)
{
    if (match->judged) return;
    match_say(match, MATCH_FAILED, "%s", result->why);
    match->err = result->err;
    match->raw = result->raw;
}

/* The half that is judged: the copy, or the only one. */
static enum match_side match_copy(const struct match *match)
{
    if (!match->task.object) return MATCH_FILE;
    return match->task.file && match->task.file_is_copy ? MATCH_FILE : MATCH_OBJECT;
}

/* --- looking --- */

static uint32_t match_look(struct machine *machine)
{
    struct match *match = match_of(machine);
    struct match_half *file = &match->halves[MATCH_FILE];
    if (file->wanted && match->task.has_identity) {
        file->asked = file->there = true;
        file->bytes = match->task.identity.size_bytes;
    }
    machine_begin(machine);
    match->looking = true;
    return MATCH_STATE_LOOKING;
}

static bool match_has_looked(const struct match *match)
{
    for (uint32_t side = 0; side < MATCH_SIDES; side++)
        if (match->halves[side].wanted && !match->halves[side].asked) return false;
    return true;
}

/* The waiting state ends when nothing is out and nothing more is to be given. */
static void match_settle(struct match *match)
{
    bool over = match->machine.err != ERR_NONE || match->judged;
    if (match->out_count > 0) return;
    if (match->looking && (over || match_has_looked(match))) {
        match->looking = false;
        machine_settle_quietly(&match->machine);
    } else if (match->reading) {
        for (uint32_t side = 0; side < MATCH_SIDES && !over; side++) {
            const struct match_half *half = &match->halves[side];
            if (half->reads && !multipart_is_complete(&half->ranges)) return;
        }
        match->reading = false;
        machine_settle_quietly(&match->machine);
    }
}

static void match_on_look(struct match *match, const struct work *work)
{
    const struct work_result *result = &work->result;
    enum match_side side = work->kind == WORK_STAT ? MATCH_FILE : MATCH_OBJECT;
    struct match_half *half = &match->halves[side];
    bool missing = result->err == ERR_FILE_MISSING || result->err == ERR_NO_KEY;
    bool other = result->err == ERR_FILE_IS_FOLDER || result->err == ERR_FILE_KIND;
    if (missing && side == MATCH_OBJECT && match->task.unlisted && match->task.file_is_copy) {
        match_say(match, MATCH_EXTRA, "%s", "");
    } else if (result->err && side != match_copy(match)) {
        match_fail(match, result); /* there is nothing to compare with */
    } else if (missing) {
        match_say(match, MATCH_MISSING, "%s", err_sentence(result->err));
    } else if (other) {
        match_say(match, MATCH_CHANGED, "%s", err_sentence(result->err));
    } else if (result->err) {
        match_fail(match, result);
    } else {
        half->there = true;
        half->bytes = work->bytes;
    }
    if (result->err) return;
    if (side == MATCH_FILE) {
        match->task.identity = work->identity;
        return;
    }
    snprintf(match->etag, sizeof match->etag, "%s", result->etag);
    if (!result->confirmed) return;
    match->server = result->checksum;
    match->server_parts = result->part_count;
}

/* --- how to compare --- */

static uint32_t match_end_by_size(struct match *match)
{
    match->by_size = true;
    match_say(match, MATCH_EQUAL, "%s", "");
    return MATCH_STATE_END;
}

static void match_say_sums(struct match *match, const struct checksum_value *is,
                           const struct checksum_value *expected, uint32_t part_count)
{
    char a[CHECKSUM_TEXT_BYTES], b[CHECKSUM_TEXT_BYTES];
    match_say(match, MATCH_CHANGED, "its %s is %s, not %s", checksum_kind_name(is->kind),
              checksum_format(is, part_count, a), checksum_format(expected, part_count, b));
}

static uint32_t match_read_side(struct match *match, enum match_side side)
{
    match->halves[side].reads = true;
    return MATCH_STATE_CUT;
}

/* Are its parts equal, and as many as its checksum is of? */
static bool match_knows_parts(const struct match_expected *expected)
{
    uint64_t bytes = expected->part_bytes;
    return bytes > 0 && (expected->bytes - 1) / bytes + 1 == expected->part_count;
}

/* With a line of a manifest. */
static uint32_t match_choose_expected(struct match *match)
{
    const struct conf *conf = match->station->conf;
    const struct match_expected *expected = &match->task.expected;
    enum match_side side = match_copy(match);
    bool object = side == MATCH_OBJECT;
    bool same_form = match->server.kind == expected->checksum.kind &&
                     match->server_parts == expected->part_count;
    if (expected->checksum.kind == CHECKSUM_NONE) {
        if (object && expected->etag[0] && strcmp(expected->etag, match->etag) != 0)
            match_say(match, MATCH_CHANGED, "its ETag is %s, not %s", match->etag, expected->etag);
        return match_end_by_size(match);
    }
    if (object && !conf->read_back && same_form) {
        if (!checksum_equal(&match->server, &expected->checksum))
            match_say_sums(match, &match->server, &expected->checksum, match->server_parts);
        return MATCH_STATE_END;
    }
    if (object && conf->cheap) return match_end_by_size(match);
    match->kind = expected->checksum.kind;
    match->reference = expected->checksum;
    match->reference_parts = expected->part_count;
    (void)match_read_side(match, side);
    if (expected->part_count <= 1 || match_knows_parts(expected)) return MATCH_STATE_CUT;
    return object ? MATCH_STATE_LEARN : match_end_by_size(match);
}

static uint32_t match_read_both(struct match *match)
{
    const struct conf *conf = match->station->conf;
    bool combines = checksum_kind_combines(conf->checksum);
    if (conf->cheap) return match_end_by_size(match);
    match->kind = combines ? conf->checksum : CHECKSUM_CRC32C;
    match->reference.kind = CHECKSUM_NONE;
    match->reference_parts = 0;
    (void)match_read_side(match, MATCH_OBJECT);
    return match_read_side(match, MATCH_FILE);
}

/* A file and an object. */
static uint32_t match_choose_pair(struct match *match)
{
    const struct conf *conf = match->station->conf;
    if (conf->read_back) return match_read_both(match);
    if (match->server.kind == CHECKSUM_NONE) {
        match->md5 = !conf->cheap && reconcile_md5(match->etag, match->etag_md5);
        return match->md5 ? match_read_side(match, MATCH_FILE) : match_read_both(match);
    }
    match->kind = match->server.kind;
    match->reference = match->server;
    match->reference_parts = match->server_parts;
    (void)match_read_side(match, MATCH_FILE);
    return match->server_parts > 1 ? MATCH_STATE_LEARN : MATCH_STATE_CUT;
}

static uint32_t match_choose(struct machine *machine)
{
    struct match *match = match_of(machine);
    const struct match_half *copy = &match->halves[match_copy(match)];
    const struct match_half *other = &match->halves[!match_copy(match)];
    uint64_t expected = match->task.has_expected ? match->task.expected.bytes : other->bytes;
    if (match->judged) return MATCH_STATE_END;
    if (copy->bytes != expected) {
        match_say(match, MATCH_CHANGED, "its size is %llu, not %llu",
                  (unsigned long long)copy->bytes, (unsigned long long)expected);
        return MATCH_STATE_END;
    }
    if (expected == 0) return MATCH_STATE_END;
    return match->task.has_expected ? match_choose_expected(match) : match_choose_pair(match);
}

/* --- where the parts were --- */

static uint32_t match_learn(struct machine *machine)
{
    struct match *match = match_of(machine);
    enum match_side side = match->halves[MATCH_FILE].reads ? MATCH_FILE : MATCH_OBJECT;
    struct stored_object object = {.client = &match->station->clients[match->task.endpoint],
                                   .bucket = bytes_of(match->task.bucket),
                                   .key = bytes_of(match->task.key),
                                   .kind = match->kind};
    machine_begin(machine);
    stored_learn(&match->stored, &object, &match->halves[side].ranges, &match->step);
    return MATCH_STATE_LEARNING;
}

/* What the server told must make up the object, in as many parts as the checksum is of. Else what
 * is left is to read both; a manifest's sum of unknown parts cannot be made again. */
static uint32_t match_learned(struct machine *machine)
{
    struct match *match = match_of(machine);
    enum match_side side = match->halves[MATCH_FILE].reads ? MATCH_FILE : MATCH_OBJECT;
    struct match_half *half = &match->halves[side];
    bool usable =
        match->learned && stored_is_usable(&match->stored, half->bytes, match->reference_parts);
    if (usable) return MATCH_STATE_CUT;
    multipart_fini(&half->ranges); /* and empty again */
    return match->task.has_expected ? match_end_by_size(match) : match_read_both(match);
}

static enum err match_cut_half(struct match *match, struct match_half *half)
{
    uint64_t bytes = half->bytes, range_bytes = MATCH_RANGE_BYTES;
    if (half->ranges.count > 0) {
        multipart_end(&half->ranges);
        return ERR_NONE;
    }
    while ((bytes - 1) / PARTS_MAX >= range_bytes) /* of any size that somebody says */
        range_bytes *= 2;
    if (match->reference_parts > 0)
        range_bytes = match->reference_parts == 1 ? bytes : match->task.expected.part_bytes;
    else if (!checksum_kind_combines(match->kind))
        range_bytes = bytes;
    return multipart_cut(&half->ranges, bytes, range_bytes);
}

/* --- reading --- */

static uint32_t match_cut(struct machine *machine)
{
    struct match *match = match_of(machine);
    for (uint32_t side = 0; side < MATCH_SIDES; side++) {
        struct match_half *half = &match->halves[side];
        if (half->reads) machine_fail(machine, match_cut_half(match, half), 0);
    }
    return machine->err ? MATCH_STATE_END : MATCH_STATE_READ;
}

static void match_tell_owner(struct match *match)
{
    if (match->ready_told) return;
    match->ready_told = true;
    core_finish(match->station->core, &match->ready, ERR_NONE);
}

static uint32_t match_read(struct machine *machine)
{
    struct match *match = match_of(machine);
    machine_begin(machine);
    match->reading = true;
    match_tell_owner(match);
    return MATCH_STATE_READING;
}

bool match_is_large(const struct match *match)
{
    return match->reading && match->halves[match_copy(match)].bytes > MATCH_RANGE_BYTES;
}

static void match_describe(const struct match *match, enum match_side side, struct work *work)
{
    const struct match_task *task = &match->task;
    work->owner = match->index;
    work->endpoint = task->endpoint;
    work->task.rank = match_is_large(match) ? TASK_FIRST : TASK_THEN;
    if (side == MATCH_OBJECT) {
        memcpy(work->bucket, task->bucket, sizeof work->bucket);
        memcpy(work->key, task->key, sizeof work->key);
        memcpy(work->etag, match->etag, sizeof work->etag);
    } else {
        snprintf(work->path, sizeof work->path, "%s", task->path);
        work->identity = task->identity;
    }
}

static bool match_next_look(struct match *match, struct work *work)
{
    for (uint32_t side = 0; side < MATCH_SIDES; side++) {
        struct match_half *half = &match->halves[side];
        if (!half->wanted || half->asked) continue;
        half->asked = true;
        match_describe(match, (enum match_side)side, work);
        work->kind = side == MATCH_FILE ? WORK_STAT : WORK_HEAD;
        work->sum = match->task.has_expected ? match->task.expected.checksum.kind : CHECKSUM_NONE;
        return true;
    }
    return false;
}

static bool match_next_range(struct match *match, struct work *work)
{
    for (uint32_t side = 0; side < MATCH_SIDES; side++) {
        struct match_half *half = &match->halves[side];
        const struct multipart_part *part;
        uint32_t index;
        if (!half->reads || !multipart_next(&half->ranges, &index)) continue;
        part = multipart_part(&half->ranges, index);
        match_describe(match, (enum match_side)side, work);
        work->kind = side == MATCH_FILE ? WORK_SUM_FILE : WORK_SUM_OBJECT;
        work->part_number = index + 1;
        work->offset = part->offset;
        work->bytes = part->bytes;
        work->sum = match->kind;
        work->md5 = match->md5;
        return true;
    }
    return false;
}

bool match_next(struct match *match, struct work *work)
{
    bool given = false;
    if (match->judged || match->machine.err) return false;
    if (match->looking) given = match_next_look(match, work);
    if (match->reading) given = match_next_range(match, work);
    if (given) match->out_count++;
    return given;
}

static void match_on_sum(struct match *match, const struct work *work)
{
    const struct work_result *result = &work->result;
    enum match_side side = work->kind == WORK_SUM_FILE ? MATCH_FILE : MATCH_OBJECT;
    struct bytes sum = {(const char *)result->checksum.data, result->checksum.count};
    if (result->err)
        match_fail(match, result);
    else
        machine_fail(
            &match->machine,
            multipart_done(&match->halves[side].ranges, work->part_number - 1, BYTES(""), sum), 0);
}

void match_on_work(struct match *match, const struct work *work)
{
    CHECK(match->out_count > 0 && work->owner == match->index);
    match->out_count--;
    if (work->result.err == ERR_CANCELLED)
        machine_fail(&match->machine, ERR_CANCELLED, 0);
    else if (work->kind == WORK_HEAD || work->kind == WORK_STAT)
        match_on_look(match, work);
    else
        match_on_sum(match, work);
    match_settle(match);
}

void match_cancel(struct match *match)
{
    if (!machine_is_running(&match->machine)) return;
    machine_fail(&match->machine, ERR_CANCELLED, 0);
    stored_cancel(&match->stored);
    match_settle(match);
}

/* --- the end --- */

static void match_sum_of(const struct match *match, const struct multipart *ranges, uint32_t index,
                         struct checksum_value *value)
{
    const struct multipart_part *part = multipart_part(ranges, index);
    value->kind = match->kind;
    value->count = part->checksum_bytes;
    memcpy(value->data, part->checksum, part->checksum_bytes);
}

/* The value of a half from those of its ranges. */
static void match_combine(const struct match *match, const struct multipart *ranges,
                          struct checksum_value *whole)
{
    struct checksum composite;
    struct checksum_value value;
    checksum_init(&composite, match->kind);
    checksum_of(match->kind, "", 0, whole);
    for (uint32_t i = 0; i < ranges->count; i++) {
        match_sum_of(match, ranges, i, &value);
        checksum_update_part(&composite, &value);
        if (checksum_kind_combines(match->kind))
            checksum_combine(whole, &value, multipart_part(ranges, i)->bytes, whole);
        else
            *whole = value; /* one range covers it all, or only `composite` counts */
    }
    if (match->reference_parts > 0) checksum_final(&composite, whole);
}

/* Both halves were read, in the same ranges. */
static void match_judge_ranges(struct match *match)
{
    const struct multipart *file = &match->halves[MATCH_FILE].ranges;
    for (uint32_t i = 0; i < file->count; i++) {
        const struct multipart_part *part = multipart_part(file, i);
        struct checksum_value a, b;
        match_sum_of(match, file, i, &a);
        match_sum_of(match, &match->halves[MATCH_OBJECT].ranges, i, &b);
        if (checksum_equal(&a, &b)) continue;
        match_say(match, MATCH_CHANGED, "its content differs within bytes %llu-%llu",
                  (unsigned long long)part->offset,
                  (unsigned long long)(part->offset + part->bytes - 1));
    }
}

/* An ETag that is not the file's MD5 need not be one at all: then the bytes are compared. */
static uint32_t match_judge_md5(struct match *match)
{
    struct match_half *file = &match->halves[MATCH_FILE];
    const struct multipart_part *whole = multipart_part(&file->ranges, 0);
    match->md5 = false;
    if (memcmp(whole->checksum, match->etag_md5, DIGEST_MD5_BYTES) == 0) return MATCH_STATE_END;
    multipart_fini(&file->ranges); /* and empty again */
    op_begin(&match->ready);
    match->ready_told = false;
    return match_read_both(match);
}

static uint32_t match_judge(struct machine *machine)
{
    struct match *match = match_of(machine);
    enum match_side side = match->halves[MATCH_FILE].reads ? MATCH_FILE : MATCH_OBJECT;
    struct checksum_value whole;
    if (match->judged) return MATCH_STATE_END;
    if (match->md5) return match_judge_md5(match);
    if (match->reference.kind == CHECKSUM_NONE) {
        match_judge_ranges(match);
        return MATCH_STATE_END;
    }
    match_combine(match, &match->halves[side].ranges, &whole);
    if (checksum_equal(&whole, &match->reference)) return MATCH_STATE_END;
    /* a file that was read to be compared with the server's checksum of the copy */
    bool is_copy = side == match_copy(match);
    match_say_sums(match, is_copy ? &whole : &match->reference,
                   is_copy ? &match->reference : &whole, match->reference_parts);
    return MATCH_STATE_END;
}

static uint32_t match_end(struct machine *machine)
{
    struct match *match = match_of(machine);
    if (machine->err && !match->judged) {
        match->judged = true;
        match->verdict = MATCH_FAILED;
        match->err = machine->err;
        match->raw = machine->raw;
    }
    for (uint32_t side = 0; side < MATCH_SIDES; side++)
        multipart_fini(&match->halves[side].ranges);
    match_tell_owner(match);
    return MACHINE_END;
}

static const struct machine_row match_rows[MATCH_STATE_COUNT] = {
    [MATCH_STATE_LOOK] = {match_look, 0},
    [MATCH_STATE_LOOKING] = {NULL, MATCH_STATE_CHOOSE},
    [MATCH_STATE_CHOOSE] = {match_choose, 0},
    [MATCH_STATE_LEARN] = {match_learn, 0},
    [MATCH_STATE_LEARNING] = {NULL, MATCH_STATE_LEARNED},
    [MATCH_STATE_LEARNED] = {match_learned, 0},
    [MATCH_STATE_CUT] = {match_cut, 0},
    [MATCH_STATE_READ] = {match_read, 0},
    [MATCH_STATE_READING] = {NULL, MATCH_STATE_JUDGE},
    [MATCH_STATE_JUDGE] = {match_judge, 0},
    [MATCH_STATE_END] = {match_end, 0},
};

static const struct machine_kind match_kind = {
    .trace = {"match", match_state_names, MATCH_STATE_COUNT},
    .rows = match_rows,
    .on_error = MATCH_STATE_END,
};
