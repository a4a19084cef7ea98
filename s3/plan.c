#include "s3/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/keep.h"
#include "s3/naming.h"

static void plan_pump(struct plan *plan);
static bool plan_may_begin(void *context, uint32_t prefix);
static void plan_on_found(struct search *search);
static void plan_on_large(struct op *op);
static void plan_on_ready(struct op *op);
static void plan_on_tick(struct op *op);
static void plan_on_begin(struct op *op);
static void plan_on_intake(struct op *op);
static void plan_on_receipted(struct op *op);
static void plan_on_journalled(struct op *op);
static void plan_on_swept(struct op *op);
static void plan_on_ended(struct op *op);
static void plan_watch_journal(struct plan *plan);

static struct station *plan_station(struct plan *plan)
{
    return &plan->mover->station;
}

/* --- opening --- */

static enum err plan_open_larges(struct plan *plan)
{
    if (plan->is_upload)
        plan->uploads = calloc(PLAN_LARGE_MAX, sizeof *plan->uploads);
    else
        plan->downloads = calloc(PLAN_LARGE_MAX, sizeof *plan->downloads);
    if (!plan->uploads && !plan->downloads) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < PLAN_LARGE_MAX; i++) {
        struct plan_large *large = &plan->larges[i];
        op_init(&large->op, plan_on_large);
        op_init(&large->ready, plan_on_ready);
        large->plan = plan;
        list_push(&plan->free, &large->link);
        if (plan->is_upload) {
            large->upload = &plan->uploads[i];
            upload_init(large->upload, plan_station(plan), i);
        } else {
            large->download = &plan->downloads[i];
            download_init(large->download, plan_station(plan), i);
        }
    }
    return ERR_NONE;
}

enum err plan_open(struct plan *plan, const struct plan_options *options)
{
    memset(plan, 0, sizeof *plan);
    plan->mover = options->mover;
    plan->conf = options->mover->station.conf;
    plan->interrupt = options->interrupt;
    plan->receipt = options->receipt;
    plan->is_upload = options->is_upload;
    plan->through = options->through;
    plan->endpoint = options->endpoint;
    plan->on_over = options->on_over;
    plan->steer = options->steer;
    snprintf(plan->bucket, sizeof plan->bucket, "%s", options->bucket);
    snprintf(plan->prefix, sizeof plan->prefix, "%s", options->prefix);
    const char *slash = strrchr(plan->prefix, '/');
    plan->prefix_base = slash ? (size_t)(slash - plan->prefix) + 1 : 0;
    snprintf(plan->only_path, sizeof plan->only_path, "%s", options->only_path);
    snprintf(plan->local_root, sizeof plan->local_root, "%s%s", options->local_root,
             options->local_root[0] ? "/" : "");
    list_init(&plan->active);
    list_init(&plan->free);
    op_init(&plan->begin, plan_on_begin);
    op_init(&plan->intaking, plan_on_intake);
    op_init(&plan->receipted, plan_on_receipted);
    op_init(&plan->journalled, plan_on_journalled);
    op_init(&plan->swept, plan_on_swept);
    op_init(&plan->ended, plan_on_ended);
    timer_init(&plan->tick, plan_on_tick);
    search_init(&plan->search, plan_station(plan)->core, plan_on_found);
    enum err err = plan_open_larges(plan);
    if (!err) err = fair_open(&plan->ahead, &plan->steer->prefixes);
    if (err) return err;
    plan->ahead.orders_only = true;
    plan->ahead.may_begin = plan_may_begin;
    plan->ahead.context = plan;
    if (plan->conf->part_bytes == 0)
        steer_find_grain(plan->steer, plan->conf,
                         plan->is_upload ? MULTIPART_PART_BYTES : DOWNLOAD_RANGE_BYTES,
                         plan->is_upload ? part_staged_bytes_max(plan_station(plan)) : 0);
    const struct conf_search_ahead *ahead = &plan->conf->search_ahead;
    CHECK(min_u64(ahead->small_most, ahead->large_most) >= SEARCH_BRANCHES_MAX);
    return work_pool_init(&plan->works,
                          ahead->small_most + ahead->large_most + PLAN_LARGE_MAX + STEER_PARTS_MAX);
}

enum err plan_take_pipe(struct plan *plan, int fd)
{
    plan->intake = calloc(1, sizeof *plan->intake);
    if (!plan->intake) return ERR_NO_MEMORY;
    intake_init(plan->intake, plan_station(plan), fd);
    plan->mover->intake = plan->intake;
    return ERR_NONE;
}

void plan_close(struct plan *plan)
{
    for (uint32_t i = 0; i < PLAN_LARGE_MAX; i++) {
        if (plan->uploads) upload_fini(&plan->uploads[i]);
        if (plan->downloads) download_fini(&plan->downloads[i]);
    }
    free(plan->uploads);
    free(plan->downloads);
    if (plan->intake) intake_fini(plan->intake);
    free(plan->intake);
    search_close(&plan->search);
    fair_close(&plan->ahead);
    work_pool_fini(&plan->works);
}

void plan_start(struct plan *plan)
{
    struct core *core = plan_station(plan)->core;
    timer_start(&core->timers, &plan->tick, core->now_ns + MOVER_TICK_NS);
    op_begin(&plan->begin);
    core_finish(core, &plan->begin, ERR_NONE);
}

/* --- stopping --- */

static void plan_stop(struct plan *plan, enum err err, const char *why)
{
    if (plan->err) return;
    plan->err = err;
    snprintf(plan->why, sizeof plan->why, "%s", why);
    meter_add(&plan->stop, 1);
    search_stop(&plan->search);
    for (struct link *link = plan->active.head.next; link != &plan->active.head;
         link = link->next) {
        struct plan_large *large = container_of(link, struct plan_large, link);
        if (large->upload)
            upload_cancel(large->upload);
        else
            download_cancel(large->download);
    }
    if (plan->intake_work) intake_cancel(plan->intake);
    if (plan_station(plan)->sweep) sweep_cancel(plan_station(plan)->sweep);
}

static void plan_fail_receipt(struct plan *plan)
{
    char text[sizeof plan->why];
    snprintf(text, sizeof text, "%.300s: %s", plan->receipt->partial,
             err_sentence(plan->receipt->err));
    plan_stop(plan, plan->receipt->err, text);
}

/* What gathered goes out, and who was held back by a full receipt goes on. */
static void plan_look_at_receipt(struct plan *plan)
{
    if (!plan->receipt) return;
    receipt_flush(plan->receipt);
    if (plan->receipt->err) plan_fail_receipt(plan);
    plan_pump(plan);
}

/* Is a large object's own request out? */
static bool plan_asks(const struct plan *plan)
{
    const struct link *link = plan->active.head.next;
    for (; link != &plan->active.head; link = link->next) {
        const struct plan_large *large = container_of(link, struct plan_large, link);
        if (large->upload ? upload_asks(large->upload) : download_asks(large->download))
            return true;
    }
    return false;
}

/* What slots lack that are free. */
static enum blame_cause plan_idle(const struct plan *plan)
{
    bool out = plan->objects_out > 0 || plan->parts_out > 0;
    bool full = plan->receipt && receipt_is_full(plan->receipt);
    if (plan->ending || plan->journalled.out || full) return BLAME_JOURNAL;
    if (lend_queued(&plan->mover->lend) > 0) return BLAME_PREFIX;
    if (!out && (plan->sweeping || plan_asks(plan))) return BLAME_CONTROL;
    if (!out && !list_is_empty(&plan->active)) return BLAME_FILE;
    return search_is_over(&plan->search) ? BLAME_FEW : BLAME_FINDING;
}

static void plan_on_tick(struct op *op)
{
    struct plan *plan = container_of(op, struct plan, tick.op);
    struct core *core = plan_station(plan)->core;
    meter_set(&plan->steer->idle, plan_idle(plan));
    if (plan->ending) return;
    plan_look_at_receipt(plan);
    if (plan->ending) return;
    plan_watch_journal(plan);
    if (meter_read(plan->interrupt)) {
        plan_stop(plan, ERR_INTERRUPTED, "");
        plan_pump(plan);
        if (plan->ending) return;
    }
    plan_pump(plan); /* the window may have grown */
    if (plan->ending) return;
    timer_start(&core->timers, &plan->tick, core->now_ns + MOVER_TICK_NS);
}

/* --- results --- */

static bool plan_is_about_file(enum err err)
{
    return (err >= ERR_FILE_MISSING && err <= ERR_PIPE_CLOSED) || err == ERR_SYSTEM ||
           err == ERR_NO_DESCRIPTOR;
}

/* "name: what failed (what the server or the system said)". Long names are cut. */
static void plan_sentence(const struct plan *plan, const struct work *work, char *text,
                          size_t bytes)
{
    const struct work_result *result = &work->result;
    bool file = plan_is_about_file(result->err);
    const char *why = result->why;
    struct writer w;
    writer_init(&w, text, bytes - 1);
    if (!file || !plan->is_upload) writer_format(&w, "s3://%s/%.200s", work->bucket, work->key);
    if (file && !plan->is_upload) writer_text(&w, ": ");
    if (file && !plan->local_root[0] && strcmp(work->path, "-") == 0)
        writer_text(&w, plan->is_upload ? "standard input" : "standard output");
    else if (file)
        writer_format(&w, "%.100s%.150s", plan->local_root, work->path);
    if (result->err == ERR_SYSTEM && result->raw && !why[0]) why = strerrordesc_np(result->raw);
    writer_format(&w, ": %s", err_sentence(result->err));
    int words = why ? err_words_count(result->err, why) : 0;
    if (words > 0) writer_format(&w, " (%.*s)", words < 250 ? words : 250, why);
    (void)writer_string(&w);
}

/* Would the others fare no better? A file that is too large for the room that is left says nothing
 * of smaller ones; and what has outlived its retries before anything has succeeded is everybody's.
 */
static bool plan_is_hopeless(const struct plan *plan, const struct work *work)
{
    enum err err = work->result.err;
    bool room = err == ERR_DISK_FULL || err == ERR_DISK_QUOTA;
    if (room && work->bytes > DOWNLOAD_RANGE_BYTES) return false;
    if (err_class(err) == ERR_CLASS_RETRY) return meter_read(&plan->meters.done) == 0;
    return err_class(err) == ERR_CLASS_RUN;
}

static void plan_on_failure(struct plan *plan, const struct work *work)
{
    const struct work_result *result = &work->result;
    char text[sizeof plan->why];
    if (result->err == ERR_CANCELLED && plan->err) { /* it was stopped with the run */
        meter_add(&plan->meters.unfinished, 1);
        return;
    }
    meter_add(&plan->meters.failed, 1);
    plan_sentence(plan, work, text, sizeof text);
    if (!plan->first_failure) plan->first_failure = result->err;
    if (plan_is_hopeless(plan, work))
        plan_stop(plan, result->err, text);
    else
        log_line(&plan->conf->log, LOG_ERROR, "%s", text);
}

static void plan_skip_done(struct plan *plan, const struct work *work)
{
    meter_add(&plan->meters.skipped, 1);
    meter_add(&plan->meters.before, 1);
    meter_add(&plan->meters.before_bytes, work->bytes);
}

static void plan_settle_object(struct plan *plan, struct work *work)
{
    const struct work_result *result = &work->result;
    if (result->err) {
        plan_on_failure(plan, work);
    } else if (result->kept) {
        plan_skip_done(plan, work);
    } else {
        meter_add(&plan->meters.done, 1);
        if (plan->receipt) receipt_add(plan->receipt, work);
        if (!result->confirmed)
            meter_add(plan->is_upload ? &plan->meters.unconfirmed : &plan->meters.unverified, 1);
        log_line(&plan->conf->log, LOG_DETAIL, "%s %s s3://%s/%s", work->path,
                 plan->is_upload ? "->" : "<-", work->bucket, work->key);
    }
    work_give(&plan->works, &work);
}

void plan_on_return(struct lend *lend, struct task *task)
{
    struct mover *mover = container_of(lend, struct mover, lend);
    struct plan *plan = mover->plan;
    struct work *work = container_of(task, struct work, task);
    if (work->owner == WORK_NO_OWNER) {
        plan->objects_out--;
        if (!work->result.err && !work->result.kept) keep_done(plan_station(plan), work, 0);
        plan_settle_object(plan, work);
    } else {
        struct plan_large *large = &plan->larges[work->owner];
        plan->parts_out--;
        if (large->upload)
            upload_on_work(large->upload, work);
        else
            download_on_work(large->download, work);
        work_give(&plan->works, &work);
    }
    plan_pump(plan);
}

static void plan_on_ready(struct op *op)
{
    struct plan_large *large = container_of(op, struct plan_large, ready);
    struct plan *plan = large->plan;
    if (!op->err && !large->object->size_known) /* only now is it known how much there is */
        meter_add(&plan->meters.found_bytes, large->object->bytes);
    plan_pump(plan);
}

static void plan_on_large(struct op *op)
{
    struct plan_large *large = container_of(op, struct plan_large, op);
    struct plan *plan = large->plan;
    struct work *object = large->object;
    large->object = NULL;
    list_remove(&large->link);
    list_push_front(&plan->free, &large->link);
    plan_settle_object(plan, object);
    plan_pump(plan);
}

/* --- handing out --- */

/* What is to be cut yet, once all is found. */
static uint64_t plan_uncut_bytes(const struct plan *plan)
{
    uint64_t bytes = plan->ahead_bytes;

    if (!search_is_over(&plan->search)) return GRAIN_WHOLE_RUN;
    for (struct link *link = plan->active.head.next; link != &plan->active.head;
         link = link->next) {
        const struct plan_large *large = container_of(link, struct plan_large, link);
        bytes += large->upload ? upload_uncut_bytes(large->upload)
                               : download_uncut_bytes(large->download);
    }
    return bytes;
}

static void plan_wish(struct plan *plan, struct plan_large *large)
{
    uint64_t bytes =
        steer_part_bytes(plan->steer, plan_uncut_bytes(plan), plan_station(plan)->core->now_ns);
    if (large->upload)
        large->upload->wish_bytes = bytes;
    else
        large->download->wish_bytes = bytes;
}

static bool plan_next_part(struct plan_large *large, struct work *work)
{
    plan_wish(large->plan, large);
    return large->upload ? upload_next(large->upload, work) : download_next(large->download, work);
}

/* Of the prefix that has the fewest tasks out; of those, the oldest: it is the nearest to its end.
 * What only waits for its prefix's limit would take the place of what may go. */
static struct plan_large *plan_choose_large(struct plan *plan, const bool *empty)
{
    struct plan_large *best = NULL;
    uint32_t least = UINT32_MAX;
    struct link *link = plan->active.head.next;

    for (; link != &plan->active.head; link = link->next) {
        struct plan_large *large = container_of(link, struct plan_large, link);
        uint16_t prefix = large->object->task.prefix;
        uint32_t load = prefixes_load(&plan->steer->prefixes, prefix);
        uint32_t waiting = fair_waiting(&plan->steer->fairs[TASK_FIRST], prefix);
        if (empty[large - plan->larges] || load >= least) continue;
        if (prefixes_is_fed(&plan->steer->prefixes, prefix, waiting)) continue;
        least = load;
        best = large;
    }
    return best;
}

static void plan_pump_parts(struct plan *plan)
{
    bool empty[PLAN_LARGE_MAX] = {false}; /* has no part to give now */
    uint32_t out_max = steer_parts_out_max(plan->steer);
    uint16_t home = plan_station(plan)->core->index;

    while (plan->parts_out < out_max) {
        struct plan_large *large = plan_choose_large(plan, empty);
        struct work *work = large ? work_take(&plan->works, home) : NULL;
        if (!work) return;
        if (plan_next_part(large, work)) {
            plan->parts_out++;
            lend_push(&plan->mover->lend, &work->task);
        } else {
            work_give(&plan->works, &work);
            empty[large - plan->larges] = true;
        }
    }
}

static bool plan_is_large(const struct plan *plan, const struct find_item *item)
{
    if (plan->is_upload) return item->size_bytes >= plan->conf->multipart_threshold_bytes;
    if (plan->through) return false;
    return !item->size_known || item->size_bytes > DOWNLOAD_RANGE_BYTES;
}

static void plan_describe(struct plan *plan, const struct find_item *item, struct work *work)
{
    const struct naming naming = {.is_upload = plan->is_upload,
                                  .spread = plan->conf->spread,
                                  .bucket = plan->bucket,
                                  .prefix = plan->prefix,
                                  .only_path = plan->only_path};
    work->kind = plan->is_upload ? WORK_PUT : WORK_GET;
    work->endpoint = plan->endpoint;
    work->bytes = item->size_known ? item->size_bytes : 0;
    work->size_known = item->size_known;
    work->through = plan->through;
    snprintf(work->etag, sizeof work->etag, "%s", plan->is_upload ? "" : item->etag);
    work_fail(work, naming_apply(&naming, item->name, work), 0, "");
    work->task.bytes = work->bytes;
    work->task.prefix = steer_prefix(plan->steer, bytes_of(work->key), plan->prefix_base,
                                     plan_station(plan)->core->now_ns);
    if (item->verdict == FIND_FAIL) work_fail(work, item->err, item->raw, "");
}

static void plan_start_large(struct plan *plan, struct work *work)
{
    struct link *link = list_pop(&plan->free);
    struct plan_large *large = container_of(link, struct plan_large, link);
    plan->ahead_bytes += work->bytes; /* it is one of them still, for its own size */
    plan_wish(plan, large);
    plan->ahead_bytes -= work->bytes;
    list_push(&plan->active, &large->link);
    large->object = work;
    if (large->upload)
        upload_start(large->upload, work, &large->ready, &large->op);
    else
        download_start(large->download, work, &large->ready, &large->op);
}

/* Large objects of a limited prefix end late: with all slots theirs the others would go at that
 * pace. */
static bool plan_may_begin(void *context, uint32_t prefix)
{
    struct plan *plan = context;
    const struct prefixes *prefixes = &plan->steer->prefixes;
    struct link *link = plan->active.head.next;
    uint32_t limited = 0;

    if (plan->err || plan->only_limited || !prefixes_is_limited(prefixes, prefix)) return true;
    for (; link != &plan->active.head; link = link->next) {
        struct plan_large *large = container_of(link, struct plan_large, link);
        limited += prefixes_is_limited(prefixes, large->object->task.prefix);
    }
    return limited < PLAN_LARGE_LIMITED_MAX;
}

/* Something waits. */
static struct task *plan_next_ahead(struct plan *plan, uint64_t now_ns)
{
    struct task *task = fair_pop(&plan->ahead, now_ns);

    if (task) return task;
    fair_unblock_all(&plan->ahead);
    plan->only_limited = true;
    task = fair_pop(&plan->ahead, now_ns);
    plan->only_limited = false;
    return task;
}

/* A slot is free: the next one that waits takes it; when the run is to stop, none. */
static void plan_pump_ahead(struct plan *plan)
{
    struct task *task;
    uint64_t now_ns = plan_station(plan)->core->now_ns;

    fair_unblock_all(&plan->ahead);
    while (plan->ahead.queued > 0 && (plan->err || !list_is_empty(&plan->free))) {
        task = plan_next_ahead(plan, now_ns);
        struct work *work = container_of(task, struct work, task);
        plan->ahead_bytes -= work->task.bytes;
        if (!plan->err) {
            plan_start_large(plan, work);
            continue;
        }
        work_fail(work, ERR_CANCELLED, 0, "");
        plan_settle_object(plan, work);
    }
}

/* Digits in front of names mix all prefixes. */
static bool plan_is_mixed(const struct plan *plan)
{
    return plan->is_upload && plan->conf->spread > 0;
}

/* The prefix that an item would have, as plan_describe() finds it. */
static uint16_t plan_prefix(struct plan *plan, const struct find_item *item)
{
    char key[KEY_BYTES_MAX + 1];
    struct writer w;
    writer_init(&w, key, sizeof key);
    writer_text(&w, plan->prefix);
    writer_put(&w, item->name);
    return steer_prefix(plan->steer, bytes_of(writer_string(&w)), plan->prefix_base,
                        plan_station(plan)->core->now_ns);
}

/* Is there room for one more? */
static bool plan_has_room(const struct plan *plan, bool large)
{
    const struct conf_search_ahead *ahead = &plan->conf->search_ahead;
    uint32_t count = large ? plan->ahead.queued : plan->objects_out;
    if (work_pool_free_count(&plan->works) <= STEER_PARTS_MAX) return false;
    if (count < (large ? ahead->large_first : ahead->small_first)) return true;
    if (count >= (large ? ahead->large_most : ahead->small_most)) return false;
    return plan->steer->prefixes.uneven ||
           (!large && lend_is_hungry(&plan->mover->lend, TASK_THEN));
}

/* Has an item's prefix less than its share of what waits? There are shares where prefixes are
 * uneven, and more waits than at first. */
static bool plan_has_share(struct plan *plan, const struct find_item *item, bool large)
{
    const struct prefixes *prefixes = &plan->steer->prefixes;
    const struct conf_search_ahead *ahead = &plan->conf->search_ahead;
    if (!prefixes->uneven || plan_is_mixed(plan)) return true;
    if (large ? plan->ahead.queued < ahead->large_first : plan->objects_out < ahead->small_first)
        return true;
    uint16_t prefix = plan_prefix(plan, item);
    if (large) return fair_waiting(&plan->ahead, prefix) < ahead->large_most / SEARCH_BRANCHES_MAX;
    return prefixes_load(prefixes, prefix) < ahead->small_most / SEARCH_BRANCHES_MAX;
}

/* Is this item's turn now? A folder that has its share waits, and the search goes on behind it;
 * where that cannot be, hunger goes before shares. */
static bool plan_may_take(struct plan *plan, uint32_t branch, const struct find_item *item,
                          bool large)
{
    if (!plan_has_room(plan, large)) return false;
    if (plan_has_share(plan, item, large)) return true;
    if (search_fork(&plan->search, branch) || !search_has_rest(&plan->search, branch)) return false;
    return !large && lend_is_hungry(&plan->mover->lend, TASK_THEN);
}

static void plan_skip(struct plan *plan, const struct find_item *item)
{
    struct bytes name = item->name.count > 0 ? item->name : BYTES("."); /* the root itself */
    meter_add(&plan->meters.skipped, 1);
    log_line(&plan->conf->log, item->expected ? LOG_DETAIL : LOG_NOTE, "%.*s: skipped: %s",
             (int)name.count, name.data, item->reason);
}

/* False when there is no room for this item of a branch now. */
static bool plan_take(struct plan *plan, uint32_t branch, const struct find_item *item)
{
    bool large = item->verdict == FIND_MOVE && plan_is_large(plan, item);
    struct work *work;
    if (!plan_may_take(plan, branch, item, large)) return false;
    meter_add(&plan->meters.found, 1);
    if (item->verdict == FIND_SKIP) {
        plan_skip(plan, item);
        return true;
    }
    meter_add(&plan->meters.found_bytes, item->size_bytes);
    work = work_take(&plan->works, plan_station(plan)->core->index);
    plan_describe(plan, item, work);
    work->was_done = keep_was_done(plan_station(plan), work, item->identity);
    work->result.kept = work->was_done && plan->is_upload;
    if (work->result.err || work->result.kept) {
        plan_settle_object(plan, work);
    } else if (large) {
        plan->ahead_bytes += work->task.bytes;
        fair_push(&plan->ahead, &work->task);
        plan_pump_ahead(plan);
    } else {
        plan->objects_out++;
        lend_push(&plan->mover->lend, &work->task);
    }
    return true;
}

/* The next item of a branch; false when there is none, or no room for it. */
static bool plan_pump_branch(struct plan *plan, uint32_t branch)
{
    const struct find_item *item = search_peek(&plan->search, branch);
    if (!item || !plan_take(plan, branch, item)) return false;
    if (!plan->err) search_pop(&plan->search, branch); /* else it stopped the run, and the search */
    return true;
}

static void plan_heed_search(struct plan *plan)
{
    const struct search *search = &plan->search;
    char text[sizeof plan->why];
    if (plan->err || !search->err) return;
    int words = err_words_count(search->err, search->why);
    snprintf(text, sizeof text, "s3://%s/%.100s: %s%s%.*s%s", plan->bucket, plan->prefix,
             err_sentence(search->err), words ? " (" : "", words < 200 ? words : 200, search->why,
             words ? ")" : "");
    plan_stop(plan, search->err, text);
}

/* All branches of the search have their turn, an item each; another one is the first each time. */
static void plan_pump_objects(struct plan *plan)
{
    uint32_t idle = 0;
    if (plan->receipt && receipt_is_full(plan->receipt) && !plan->err) return;
    while (idle < plan->search.count && !plan->err)
        idle = plan_pump_branch(plan, plan->turn++ % plan->search.count) ? 0 : idle + 1;
    plan_heed_search(plan);
}

/* --- the journal --- */

static void plan_on_journalled(struct op *op)
{
    struct plan *plan = container_of(op, struct plan, journalled);
    plan_pump(plan);
}

/* Nothing is handed out while the journal is full. */
static bool plan_is_held_back(struct plan *plan)
{
    struct journal *journal = plan_station(plan)->journal;
    if (!journal || plan->err) return false;
    if (plan->journalled.out) return true;
    if (!journal_is_full(journal)) return false;
    journal_wait(journal, &plan->journalled);
    return true;
}

/* A journal that cannot be written is no reason to stop; one that is another process's now is. */
static void plan_watch_journal(struct plan *plan)
{
    struct journal *journal = plan_station(plan)->journal;
    if (!journal || !journal_err(journal) || plan->told_journal) return;
    plan->told_journal = true;
    if (journal_err(journal) == ERR_JOB_TAKEN)
        plan_stop(plan, ERR_JOB_TAKEN, journal_why(journal));
    else
        log_line(&plan->conf->log, LOG_WARNING,
                 "warning: from here on this job cannot be resumed: %s", journal_why(journal));
}

/* Everything was found and done, so that what earlier runs have left, and nobody has taken up, is
 * of objects that are not there any more. False when there is none (any more). */
static bool plan_sweeps(struct plan *plan)
{
    struct station *station = plan_station(plan);
    if (plan->sweeping) return true;
    if (plan->err || meter_read(&plan->meters.failed) > 0 || !station->past ||
        journal_err(station->journal))
        return false;
    plan->sweeping = past_find(station->past, NULL);
    if (!plan->sweeping) return false;
    sweep_start(station->sweep, plan->sweeping, &plan->swept);
    return true;
}

static void plan_on_swept(struct op *op)
{
    struct plan *plan = container_of(op, struct plan, swept);
    keep_swept(plan_station(plan), plan->sweeping, op->err);
    plan->sweeping = NULL;
    plan_pump(plan);
}

/* --- the end --- */

static void plan_on_ended(struct op *op)
{
    struct plan *plan = container_of(op, struct plan, ended);
    plan_watch_journal(plan);
    meter_add(&plan->meters.over, 1);
    plan->on_over(plan);
}

/* Nothing is out any more, and the receipt is whole. */
static void plan_end_journal(struct plan *plan)
{
    struct station *station = plan_station(plan);
    const struct plan_meters *meters = &plan->meters;
    uint64_t skipped = meter_read(&meters->skipped) - meter_read(&meters->before);
    struct journal_end end = {.done = meter_read(&meters->done) + meter_read(&meters->before),
                              .failed = meter_read(&meters->failed),
                              .state = JOURNAL_DONE};
    end.left = meter_read(&meters->found) - end.done - end.failed - skipped;
    if (end.failed > 0) end.state = JOURNAL_FAILED;
    if (plan->err) end.state = JOURNAL_PARKED;
    if (station->journal) {
        journal_end(station->journal, &end, &plan->ended);
    } else {
        op_begin(&plan->ended);
        core_finish(station->core, &plan->ended, ERR_NONE);
    }
}

/* What an earlier run of the job has moved has no line in this run's receipt. */
static bool plan_receipt_is_whole(const struct plan *plan)
{
    const struct past *past = plan->mover->station.past;
    return !plan->err && (!past || past->mark_count == 0);
}

static void plan_on_receipted(struct op *op)
{
    struct plan *plan = container_of(op, struct plan, receipted);
    if (op->err)
        plan_fail_receipt(plan);
    else if (!plan_receipt_is_whole(plan))
        log_line(&plan->conf->log, LOG_NOTE, "the manifest is not complete%s: %s",
                 plan->err ? "" : ", since an earlier run moved a part of it",
                 plan->receipt->partial);
    plan_end_journal(plan);
}

/* Nothing is out any more. */
static void plan_end(struct plan *plan)
{
    const struct plan_meters *meters = &plan->meters;
    struct manifest_end end = {.complete = plan_receipt_is_whole(plan),
                               .done = meter_read(&meters->done),
                               .failed = meter_read(&meters->failed),
                               .skipped = meter_read(&meters->skipped)};
    plan->ending = true;
    meter_set(&plan->steer->idle, BLAME_JOURNAL);
    timer_cancel(&plan_station(plan)->core->timers, &plan->tick);
    if (plan->receipt)
        receipt_end(plan->receipt, &end, &plan->receipted);
    else
        plan_end_journal(plan);
}

static void plan_pump(struct plan *plan)
{
    bool busy;
    if (plan->ending || plan_is_held_back(plan)) return;
    plan_pump_ahead(plan);
    if (!plan->intake) plan_pump_objects(plan);
    plan_pump_parts(plan);
    if (!plan->intake && search_is_over(&plan->search) && !meter_read(&plan->meters.found_all))
        meter_add(&plan->meters.found_all, 1);
    busy = plan->objects_out > 0 || plan->intake_work || plan->ahead.queued > 0 ||
           !list_is_empty(&plan->active);
    if (busy || (!plan->intake && !search_is_over(&plan->search))) return;
    if (!plan_sweeps(plan)) plan_end(plan);
}

static void plan_on_found(struct search *search)
{
    struct plan *plan = container_of(search, struct plan, search);
    plan_heed_search(plan);
    plan_pump(plan);
}

/* --- a pipe --- */

static void plan_on_begin(struct op *op)
{
    struct plan *plan = container_of(op, struct plan, begin);
    struct find_item item = {.verdict = FIND_MOVE, .name = BYTES("-"), .etag = ""};
    if (plan->intake) {
        meter_add(&plan->meters.found, 1);
        plan->intake_work = work_take(&plan->works, plan_station(plan)->core->index);
        plan_describe(plan, &item, plan->intake_work);
        intake_start(plan->intake, plan->intake_work, &plan->intaking);
        return;
    }
    plan_pump(plan);
}

static void plan_on_intake(struct op *op)
{
    struct plan *plan = container_of(op, struct plan, intaking);
    struct work *work = plan->intake_work;
    plan->intake_work = NULL;
    meter_add(&plan->meters.found_bytes, work->bytes);
    plan_settle_object(plan, work);
    plan_pump(plan);
}
