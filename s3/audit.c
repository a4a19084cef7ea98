#include "s3/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/spread.h"

static void audit_pump(struct audit *audit);
static void audit_on_match(struct op *op);
static void audit_on_ready(struct op *op);
static void audit_on_tick(struct op *op);
static void audit_on_begin(struct op *op);
static void audit_on_found(struct op *op);

static struct station *audit_station(struct audit *audit)
{
    return &audit->options.mover->station;
}

/* A match knows its audit by the core that it runs on: there is one a run. */
static struct audit *audit_of(struct match *match)
{
    struct mover *mover = container_of(match->station, struct mover, station);
    return mover->audit;
}

/* --- opening --- */

enum err audit_open(struct audit *audit, const struct audit_options *options)
{
    struct station *station = &options->mover->station;
    memset(audit, 0, sizeof *audit);
    audit->options = *options;
    audit->conf = station->conf;
    snprintf(audit->local_root, sizeof audit->local_root, "%s%s", options->local_root,
             options->local_root[0] ? "/" : "");
    list_init(&audit->free);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        list_init(&audit->ready[rank]);
    op_init(&audit->begin, audit_on_begin);
    op_init(&audit->finding, audit_on_found);
    timer_init(&audit->tick, audit_on_tick);
    pairs_init(&audit->pairs, station, options->kind, options->endpoint);
    audit->matches = calloc(AUDIT_MATCHES_MAX, sizeof *audit->matches);
    if (!audit->matches) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < AUDIT_MATCHES_MAX; i++) {
        struct match *match = &audit->matches[i];
        match_init(match, station, i);
        op_init(&match->op, audit_on_match);
        op_init(&match->ready, audit_on_ready);
        list_push(&audit->free, &match->link);
    }
    return work_pool_init(&audit->works, STEER_PARTS_MAX + MATCH_SIDES * AUDIT_MATCHES_MAX);
}

void audit_close(struct audit *audit)
{
    for (uint32_t i = 0; audit->matches && i < AUDIT_MATCHES_MAX; i++)
        match_fini(&audit->matches[i]);
    free(audit->matches);
    pairs_close(&audit->pairs);
    work_pool_fini(&audit->works);
}

void audit_start(struct audit *audit)
{
    struct core *core = audit_station(audit)->core;
    timer_start(&core->timers, &audit->tick, core->now_ns + MOVER_TICK_NS);
    op_begin(&audit->begin);
    core_finish(core, &audit->begin, ERR_NONE);
}

static void audit_on_begin(struct op *op)
{
    audit_pump(container_of(op, struct audit, begin));
}

/* --- stopping --- */

static void audit_stop(struct audit *audit, enum err err, const char *why)
{
    if (audit->err) return;
    audit->err = err;
    snprintf(audit->why, sizeof audit->why, "%s", why);
    meter_add(&audit->stop, 1);
    pairs_stop(&audit->pairs);
    for (uint32_t i = 0; i < AUDIT_MATCHES_MAX; i++)
        match_cancel(&audit->matches[i]);
}

/* What slots lack that are free. */
static enum blame_cause audit_idle(const struct audit *audit)
{
    if (lend_queued(&audit->options.mover->lend) > 0) return BLAME_PREFIX;
    return pairs_is_over(&audit->pairs) ? BLAME_FEW : BLAME_FINDING;
}

static void audit_on_tick(struct op *op)
{
    struct audit *audit = container_of(op, struct audit, tick.op);
    struct core *core = audit_station(audit)->core;
    meter_set(&audit->options.steer->idle, audit_idle(audit));
    if (audit->ending) return;
    if (meter_read(audit->options.interrupt)) {
        audit_stop(audit, ERR_INTERRUPTED, "");
        audit_pump(audit);
        if (audit->ending) return;
    }
    timer_start(&core->timers, &audit->tick, core->now_ns + MOVER_TICK_NS);
}

/* --- telling --- */

static void audit_name(const struct audit_finding *finding, struct writer *w)
{
    if (finding->is_file)
        writer_format(w, "%.100s%.250s", finding->folder, finding->path);
    else
        writer_format(w, "s3://%s/%.250s", finding->bucket, finding->key);
}

static void audit_on_failure(struct audit *audit, const struct audit_finding *finding)
{
    const struct audit_meters *meters = &audit->meters;
    enum err_class class = err_class(finding->err);
    bool hopeless = class == ERR_CLASS_RETRY && meter_read(&meters->equal) == 0 &&
                    meter_read(&meters->changed) == 0 && meter_read(&meters->missing) == 0;
    char text[sizeof audit->why];
    struct writer w;
    if (finding->err == ERR_CANCELLED && audit->err) return;
    writer_init(&w, text, sizeof text - 1);
    audit_name(finding, &w);
    writer_format(&w, ": %s", err_sentence(finding->err));
    int words = err_words_count(finding->err, finding->why);
    if (words > 0) writer_format(&w, " (%.*s)", words < 250 ? words : 250, finding->why);
    (void)writer_string(&w);
    if (!audit->first_failure) audit->first_failure = finding->err;
    if (class == ERR_CLASS_RUN || hopeless)
        audit_stop(audit, finding->err, text);
    else
        log_line(&audit->conf->log, LOG_ERROR, "%s", text);
}

static void audit_tell(struct audit *audit, const struct audit_finding *finding)
{
    struct audit_meters *meters = &audit->meters;
    struct meter *const by_verdict[] = {
        [MATCH_EQUAL] = &meters->equal,     [MATCH_CHANGED] = &meters->changed,
        [MATCH_MISSING] = &meters->missing, [MATCH_EXTRA] = &meters->extra,
        [MATCH_FAILED] = &meters->failed,   [MATCH_SKIPPED] = &meters->skipped};
    struct audit_listener *listener = audit->options.listener;
    meter_add(by_verdict[finding->verdict], 1);
    if (finding->verdict == MATCH_EQUAL) {
        if (finding->by_size) meter_add(&meters->by_size, 1);
        return;
    }
    if (finding->verdict == MATCH_SKIPPED) return;
    if (finding->verdict == MATCH_FAILED) audit_on_failure(audit, finding);
    if (finding->verdict == MATCH_FAILED && finding->err == ERR_CANCELLED) return;
    if (!listener->tell(listener, finding))
        audit_stop(audit, ERR_PIPE_CLOSED, err_sentence(ERR_PIPE_CLOSED));
}

/* --- matches --- */

static void audit_queue(struct audit *audit, struct match *match)
{
    enum task_rank rank = match_is_large(match) ? TASK_FIRST : TASK_THEN;
    if (link_is_free(&match->link)) list_push(&audit->ready[rank], &match->link);
}

static void audit_on_ready(struct op *op)
{
    struct match *match = container_of(op, struct match, ready);
    struct audit *audit = audit_of(match);
    if (machine_is_running(&match->machine)) audit_queue(audit, match);
    audit_pump(audit);
}

static void audit_on_match(struct op *op)
{
    struct match *match = container_of(op, struct match, op);
    struct audit *audit = audit_of(match);
    const struct match_task *task = &match->task;
    bool is_file = task->file && (!task->object || task->file_is_copy);
    struct audit_finding finding = {.verdict = match->verdict,
                                    .is_file = is_file,
                                    .by_size = match->by_size,
                                    .bucket = is_file ? "" : task->bucket,
                                    .key = is_file ? "" : task->key,
                                    .folder = is_file ? audit->local_root : "",
                                    .path = is_file ? task->path : "",
                                    .why = match->why,
                                    .err = match->err};
    audit->matches_out--;
    if (match->large) audit->large_out--;
    list_remove(&match->link);
    list_push_front(&audit->free, &match->link);
    audit_tell(audit, &finding);
    audit_pump(audit);
}

void audit_on_return(struct lend *lend, struct task *task)
{
    struct mover *mover = container_of(lend, struct mover, lend);
    struct audit *audit = mover->audit;
    struct work *work = container_of(task, struct work, task);
    if (task->rank == TASK_FIRST) audit->ranges_out--;
    match_on_work(&audit->matches[work->owner], work);
    work_give(&audit->works, &work);
    audit_pump(audit);
}

static bool audit_has_room(const struct audit *audit, enum task_rank rank)
{
    return rank != TASK_FIRST || audit->ranges_out < steer_parts_out_max(audit->options.steer);
}

static void audit_pump_works(struct audit *audit)
{
    uint16_t home = audit_station(audit)->core->index;
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        struct list *ready = &audit->ready[rank];
        while (!list_is_empty(ready) && audit_has_room(audit, (enum task_rank)rank)) {
            struct match *match = container_of(list_first(ready), struct match, link);
            struct work *work = work_take(&audit->works, home);
            if (!work) return;
            if (match_next(match, work)) {
                if (work->task.rank == TASK_FIRST) audit->ranges_out++;
                work->task.bytes = work->bytes;
                work->task.prefix =
                    steer_prefix(audit->options.steer, bytes_of(work->key),
                                 strlen(audit->options.prefix), audit_station(audit)->core->now_ns);
                lend_push(&audit->options.mover->lend, &work->task);
            } else {
                work_give(&audit->works, &work);
                list_remove(&match->link);
            }
        }
    }
}

/* --- what was found --- */

static bool audit_copy_is_file(const struct audit *audit)
{
    return audit->options.file_is_copy;
}

/* The digits in front of an item's name, where it is a key. */
static void audit_digits(const struct audit *audit, const struct pairs_item *item,
                         char digits[SPREAD_TEXT_BYTES])
{
    bool has = audit->options.kind == PAIRS_SPREAD && item->err != ERR_SPREAD &&
               (item->verdict == PAIRS_OBJECT || item->verdict == PAIRS_BOTH);
    spread_format(has ? audit->conf->spread : 0, item->name, digits);
}

/* A thing that no match is needed for. Its name is that of `is_file`'s side. */
static void audit_tell_item(struct audit *audit, const struct pairs_item *item, bool is_file,
                            enum match_verdict verdict, const char *why)
{
    const struct roll_scope *scope = item->scope;
    const char *prefix = scope ? scope->prefix : audit->options.prefix;
    const char *root = scope ? scope->root : "";
    char digits[SPREAD_TEXT_BYTES];
    struct audit_finding finding = {.verdict = verdict,
                                    .is_file = is_file,
                                    .bucket = is_file ? ""
                                              : scope ? root
                                                      : audit->options.bucket,
                                    .key = is_file ? "" : audit->name,
                                    .folder = is_file ? audit->local_root : "",
                                    .path = is_file ? audit->name : "",
                                    .why = why,
                                    .err = item->err};
    audit_digits(audit, item, digits);
    const char *between = is_file && scope && item->name.count ? "/" : "";
    snprintf(audit->name, sizeof audit->name, "%s%s%.*s", is_file ? root : prefix,
             is_file ? between : digits, (int)item->name.count, item->name.data);
    audit_tell(audit, &finding);
}

static void audit_skip(struct audit *audit, const struct pairs_item *item, const char *reason,
                       bool expected)
{
    struct bytes name = item->name.count > 0 ? item->name : BYTES("."); /* the root itself */
    log_line(&audit->conf->log, expected ? LOG_DETAIL : LOG_NOTE, "%.*s: skipped: %s",
             (int)name.count, name.data, reason);
    audit_tell_item(audit, item, item->is_file, MATCH_SKIPPED, "");
}

/* What `item` says of itself. False: it needs a match. */
static bool audit_take_plain(struct audit *audit, const struct pairs_item *item)
{
    bool file_is_copy = audit_copy_is_file(audit);
    char why[MATCH_WHY_BYTES];
    uint64_t is = file_is_copy ? item->file_bytes : item->object_bytes;
    uint64_t expected = file_is_copy ? item->object_bytes : item->file_bytes;
    switch (item->verdict) {
    case PAIRS_SKIP: audit_skip(audit, item, item->reason, item->expected); return true;
    case PAIRS_FAIL: audit_tell_item(audit, item, item->is_file, MATCH_FAILED, ""); return true;
    case PAIRS_EXTRA: audit_tell_item(audit, item, item->is_file, MATCH_EXTRA, ""); return true;
    case PAIRS_FILE:
    case PAIRS_OBJECT:
        if (item->err && file_is_copy) { /* which file it should be, nobody can tell */
            audit_tell_item(audit, item, false, MATCH_FAILED, "");
            return true;
        }
        audit_tell_item(audit, item, file_is_copy,
                        (item->verdict == PAIRS_FILE) == file_is_copy ? MATCH_EXTRA : MATCH_MISSING,
                        "");
        return true;
    case PAIRS_BOTH:
        if (item->unlisted || is == expected) return false;
        snprintf(why, sizeof why, "its size is %llu, not %llu", (unsigned long long)is,
                 (unsigned long long)expected);
        audit_tell_item(audit, item, file_is_copy, MATCH_CHANGED, why);
        return true;
    case PAIRS_LINE: break;
    }
    return false;
}

/* Errors: ERR_KEY, of an object that was not listed: where it was, both names fit. */
static enum err audit_describe_pair(struct audit *audit, const struct pairs_item *item,
                                    struct match_task *task)
{
    const struct audit_options *options = &audit->options;
    struct writer key, path;
    char digits[SPREAD_TEXT_BYTES];
    audit_digits(audit, item, digits);
    *task = (struct match_task){.file = true,
                                .object = true,
                                .file_is_copy = options->file_is_copy,
                                .has_identity = item->identity != NULL,
                                .unlisted = item->unlisted,
                                .endpoint = options->endpoint};
    if (item->identity) task->identity = *item->identity;
    snprintf(task->bucket, sizeof task->bucket, "%s", options->bucket);
    writer_init(&key, task->key, sizeof task->key);
    writer_text(&key, options->prefix);
    writer_text(&key, digits);
    writer_put(&key, item->name);
    (void)writer_string(&key);
    writer_init(&path, task->path, sizeof task->path);
    writer_text(&path, options->path);
    writer_put(&path, item->name);
    (void)writer_string(&path);
    return item->unlisted && target_check_key(bytes_of(task->key)) ? ERR_KEY : ERR_NONE;
}

/* Errors: ERR_FILE_NAME. */
static enum err audit_describe_line(struct audit *audit, const struct pairs_item *item,
                                    struct match_task *task)
{
    const struct manifest_object *object = item->line->object;
    bool files = item->line->files;
    struct writer path;
    *task = (struct match_task){.file = files,
                                .object = !files,
                                .has_expected = true,
                                .endpoint = audit->options.endpoint,
                                .expected = {.bytes = object->bytes,
                                             .checksum = object->checksum,
                                             .part_count = object->part_count,
                                             .part_bytes = object->part_bytes}};
    memcpy(task->expected.etag, object->etag, sizeof task->expected.etag);
    memcpy(task->bucket, object->bucket, sizeof task->bucket);
    memcpy(task->key, object->key, sizeof task->key);
    if (!files) return ERR_NONE;
    writer_init(&path, task->path, sizeof task->path);
    writer_text(&path, item->line->head->root);
    writer_char(&path, '/');
    writer_text(&path, object->path);
    return writer_string(&path)[0] ? ERR_NONE : ERR_FILE_NAME;
}

static void audit_start_match(struct audit *audit, const struct pairs_item *item, uint64_t bytes)
{
    struct match *match = container_of(list_first(&audit->free), struct match, link);
    bool is_line = item->verdict == PAIRS_LINE;
    enum err err = is_line ? audit_describe_line(audit, item, &match->task)
                           : audit_describe_pair(audit, item, &match->task);
    if (err) {
        struct bytes name = is_line ? bytes_of(item->line->object->path) : item->name;
        struct pairs_item odd = {.name = name, .err = err, .is_file = true};
        audit_tell_item(audit, &odd, true, MATCH_FAILED, "");
        return;
    }
    list_remove(&match->link);
    audit->matches_out++;
    match->large = bytes > MATCH_RANGE_BYTES;
    if (match->large) audit->large_out++;
    match_start(match);
    audit_queue(audit, match);
}

/* False when there is no room for this item now. */
static bool audit_take(struct audit *audit, const struct pairs_item *item)
{
    bool is_line = item->verdict == PAIRS_LINE;
    uint64_t bytes = is_line ? item->line->object->bytes : item->file_bytes;
    bool is_pipe = is_line && item->line->files && item->line->head->root[0] == '\0';
    if (list_is_empty(&audit->free)) return false;
    if (bytes > MATCH_RANGE_BYTES && audit->large_out >= AUDIT_LARGE_MAX) return false;
    meter_add(&audit->meters.found, 1);
    if (is_pipe) {
        struct pairs_item pipe = {.is_file = true, .name = bytes_of(item->line->object->path)};
        audit_skip(audit, &pipe, "it came from a pipe", false);
    } else if (!audit_take_plain(audit, item)) {
        meter_add(&audit->meters.found_bytes, bytes);
        audit_start_match(audit, item, bytes);
    }
    return true;
}

static void audit_pump_items(struct audit *audit)
{
    const struct pairs_item *item;
    while ((item = pairs_peek(&audit->pairs)) != NULL) {
        if (!audit_take(audit, item)) return;
        if (audit->err) return; /* it stopped the audit, and the search with it */
        pairs_pop(&audit->pairs);
    }
    if (audit->pairs.err && !audit->err)
        audit_stop(audit, audit->pairs.err,
                   audit->pairs.why[0] ? audit->pairs.why : err_sentence(audit->pairs.err));
    if (audit->waiting || pairs_is_over(&audit->pairs)) return;
    audit->waiting = true;
    pairs_wait(&audit->pairs, &audit->finding);
}

static void audit_on_found(struct op *op)
{
    struct audit *audit = container_of(op, struct audit, finding);
    audit->waiting = false;
    audit_pump(audit);
}

/* --- the end --- */

static void audit_end(struct audit *audit)
{
    audit->ending = true;
    timer_cancel(&audit_station(audit)->core->timers, &audit->tick);
    if (!audit->err && audit->options.kind == PAIRS_ROLL && !audit->pairs.roll.complete)
        log_line(&audit->conf->log, LOG_NOTE,
                 "the manifest is not complete: what was moved by other runs is not in it");
    meter_add(&audit->meters.over, 1);
    audit->options.on_over(audit);
}

static void audit_pump(struct audit *audit)
{
    if (audit->ending) return;
    audit_pump_items(audit);
    audit_pump_works(audit);
    if (pairs_is_over(&audit->pairs) && !meter_read(&audit->meters.found_all))
        meter_add(&audit->meters.found_all, 1);
    if (audit->matches_out > 0 || audit->waiting || !pairs_is_over(&audit->pairs)) return;
    audit_end(audit);
}
