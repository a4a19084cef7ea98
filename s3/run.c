#include "s3/run.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/place.h"
#include "s3/fleet.h"
#include "s3/plan.h"

#define RUN_DESCRIPTORS 65536u

struct run {
    struct conf conf;
    struct fleet fleet;
    struct plan plan;
    struct meter interrupt;
    uint64_t started_ns, ended_ns;
    struct receipt receipt;
    int folder_fd, pipe_fd;
    uint64_t resolve;
    struct plan_options plan_options;
    char prefix[KEY_BYTES_MAX + 1];
    char path[PATH_BYTES_MAX];
    char local_root[PATH_BYTES_MAX]; /* for messages */
    uint64_t source_bytes;           /* of a single file, as it was looked at */
    struct journal *journal;
    struct past past;
    struct sweep sweep;
    bool recursive, plan_is_open;
};

/* --- from where to where --- */

static enum err run_append(struct run *run, const char *text, char why[512])
{
    size_t count = strlen(run->prefix);
    if (count + strlen(text) >= sizeof run->prefix) {
        snprintf(why, 512, "the key would be longer than %u bytes: %.200s…", KEY_BYTES_MAX,
                 run->prefix);
        return ERR_KEY;
    }
    snprintf(run->prefix + count, sizeof run->prefix - count, "%s", text);
    return ERR_NONE;
}

static bool run_ends_folder(const char *text)
{
    size_t count = strlen(text);
    return count == 0 || text[count - 1] == '/';
}

static void run_name_root(struct run *run, const char *path)
{
    size_t count = strlen(path);
    while (count > 1 && path[count - 1] == '/')
        count--;
    snprintf(run->local_root, sizeof run->local_root, "%.*s", (int)count, path);
}

static enum err run_from_folder(struct run *run, const char *path, char why[512])
{
    int raw;
    if (!run->recursive) {
        snprintf(why, 512, "%.300s: is a directory (use -r to copy what is below it)", path);
        return ERR_FILE_IS_FOLDER;
    }
    run_name_root(run, path);
    enum err err = place_open_folder(path, PLACE_FIND, &run->folder_fd, &raw);
    if (err) return err_say(why, err, path, raw);
    return run_ends_folder(run->prefix) ? ERR_NONE : run_append(run, "/", why);
}

static enum err run_from_stream(struct run *run, const char *path, char why[512])
{
    int raw;
    if (run->recursive) {
        snprintf(why, 512, "%.300s: is one object: -r is for directories and prefixes", path);
        return ERR_USAGE;
    }
    if (run_ends_folder(run->prefix)) {
        snprintf(why, 512, "%.300s: the target needs a key: s3://bucket/key", path);
        return ERR_USAGE;
    }
    enum err err = place_open_stream(path, &run->pipe_fd, &raw);
    return err ? err_say(why, err, path, raw) : ERR_NONE;
}

static enum err run_from_local(struct run *run, const struct run_place *source, struct place *place,
                               char why[512])
{
    int raw;
    if (strcmp(source->path, "-") == 0) return run_from_stream(run, source->path, why);
    enum err err = place_look(place, source->path, &raw);
    if (!err && place->kind == PLACE_NOTHING) err = ERR_FILE_MISSING;
    if (err) return err_say(why, err, source->path, raw);
    if (place->kind == PLACE_FOLDER) return run_from_folder(run, source->path, why);
    if (place->kind == PLACE_STREAM) return run_from_stream(run, source->path, why);
    run->source_bytes = place->size_bytes;
    snprintf(run->path, sizeof run->path, "%s", source->path);
    if (!run_ends_folder(run->prefix)) return ERR_NONE;
    const char *slash =
        strrchr(source->path, '/'); /* the name as given, not what a link leads to */
    return run_append(run, slash ? slash + 1 : source->path, why);
}

static enum err run_to_folder(struct run *run, const char *path, char why[512])
{
    bool synced = run->conf.fsync == CONF_FSYNC_ALL;
    int raw;
    run->resolve = RESOLVE_BENEATH;
    run_name_root(run, path);
    enum err err =
        place_open_folder(path, synced ? PLACE_MAKE_SYNCED : PLACE_MAKE, &run->folder_fd, &raw);
    return err ? err_say(why, err, path, raw) : ERR_NONE;
}

static void run_to_stream(struct run *run, const char *path)
{
    run->plan_options.through = true;
    snprintf(run->path, sizeof run->path, "%s", path);
}

/* One object to one file. */
static enum err run_to_file(struct run *run, const struct run_place *source,
                            const struct run_place *target, struct place *place, char why[512])
{
    const char *slash = strrchr(source->uri.key, '/');
    const char *name = slash ? slash + 1 : source->uri.key;
    if (place->kind == PLACE_FOLDER || run_ends_folder(target->path)) {
        bool odd = strcmp(name, "..") == 0 || strcmp(name, ".") == 0;
        if (odd) return err_say(why, ERR_FILE_ESCAPES, source->uri.key, 0);
        snprintf(run->path, sizeof run->path, "%s", name);
        return run_to_folder(run, target->path, why);
    }
    snprintf(run->path, sizeof run->path, "%s", place->name);
    return run_to_folder(run, place->folder, why);
}

static enum err run_to_local(struct run *run, const struct run_place *source,
                             const struct run_place *target, struct place *place, char why[512])
{
    const char *path = target->path;
    bool standard = strcmp(path, "-") == 0;
    int raw;
    enum err err = standard ? ERR_NONE : place_look(place, path, &raw);
    if (err) return err_say(why, err, path, raw);
    if (run->recursive) {
        bool folder = place->kind == PLACE_FOLDER || place->kind == PLACE_NOTHING;
        if (!run_ends_folder(run->prefix) && (err = run_append(run, "/", why)) != ERR_NONE)
            return err;
        if (folder && !standard) return run_to_folder(run, path, why);
        snprintf(why, 512, "%.300s: the target of -r must be a directory", path);
        return ERR_USAGE;
    }
    if (run_ends_folder(source->uri.key)) {
        snprintf(why, 512, "s3://%s/%.200s: is not one object (use -r for all below it)",
                 source->uri.bucket, source->uri.key);
        return ERR_USAGE;
    }
    if (standard || place->kind == PLACE_STREAM) {
        run_to_stream(run, path);
        return ERR_NONE;
    }
    return run_to_file(run, source, target, place, why);
}

/* Only the names of a tree are ours to spread. */
static enum err run_check_spread(const struct run *run, const struct run_place *source,
                                 char why[512])
{
    bool is_tree = run->path[0] == '\0' && run->pipe_fd < 0;
    if (run->conf.spread == 0 || is_tree) return ERR_NONE;
    snprintf(why, 512,
             "%.300s: --spread is for trees: the key of a single object is what it was named",
             source->side == RUN_LOCAL ? source->path : source->uri.key);
    return ERR_USAGE;
}

static enum err run_resolve(struct run *run, const struct run_place *source,
                            const struct run_place *target, char why[512])
{
    struct place place = {.kind = PLACE_NOTHING};
    const struct run_place *remote = source->side == RUN_S3 ? source : target;
    struct plan_options *plan = &run->plan_options;
    if (source->side == target->side) {
        snprintf(why, 512, "one side must be a path and the other s3://bucket/key");
        return ERR_USAGE;
    }
    plan->is_upload = target->side == RUN_S3;
    plan->endpoint = remote->endpoint;
    plan->bucket = remote->uri.bucket;
    snprintf(run->prefix, sizeof run->prefix, "%s", remote->uri.key);
    enum err err = plan->is_upload ? run_from_local(run, source, &place, why)
                                   : run_to_local(run, source, target, &place, why);
    if (!err) err = run_check_spread(run, source, why);
    plan->prefix = run->prefix;
    plan->only_path = run->pipe_fd >= 0 ? "-" : run->path;
    plan->local_root = run->local_root;
    return err;
}

/* --- opening --- */

static void run_on_over(struct plan *plan)
{
    struct run *run = container_of(plan, struct run, plan);
    fleet_end(&run->fleet);
}

static enum err run_open_fleet(struct run *run, const struct run_keep *keep, char why[512])
{
    struct mover_options options = {.kind = run->plan_options.is_upload ? MOVER_UPLOADS
                                                                        : MOVER_DOWNLOADS,
                                    .folder_fd = run->folder_fd,
                                    .resolve = run->resolve,
                                    .file_mode = 0666 & ~place_umask(),
                                    .temp_tag = keep ? keep->tag : 0,
                                    .endpoint = run->plan_options.endpoint,
                                    .is_single = run->pipe_fd >= 0 || run->plan_options.through,
                                    .stop = &run->plan.stop,
                                    .on_return = plan_on_return};
    return fleet_open(&run->fleet, &run->conf, &options, why);
}

static void run_open_sweep(struct run *run, struct station *home)
{
    struct sweep_place place = {.client = &home->clients[run->plan_options.endpoint],
                                .log = &run->conf.log,
                                .bucket = run->plan.bucket,
                                .folder_fd = run->folder_fd,
                                .resolve = run->resolve};
    sweep_init(&run->sweep, home->core, &place);
    home->sweep = &run->sweep;
}

static enum err run_open_journal(struct run *run, const struct run_keep *keep, char why[512])
{
    struct station *home = &fleet_home(&run->fleet)->station;
    enum err err = ERR_NONE;
    if (!keep) return ERR_NONE;
    if (!keep->lasts) err = journal_db_forget_old_marks(keep->db, keep->job);
    if (!err && !keep->is_new) err = past_load(&run->past, keep->db, keep->job);
    if (err) snprintf(why, 512, "%s", journal_db_why(keep->db));
    if (!err) err = journal_open(&run->journal, keep->db, run->past.numbers_used, home->core);
    if (err) return err;
    run->past.lasts = keep->lasts;
    home->journal = run->journal;
    home->past = &run->past;
    return ERR_NONE;
}

static enum err run_open_find(struct run *run, const struct run_place *source)
{
    struct plan *plan = &run->plan;
    struct find_item one = {.verdict = FIND_MOVE,
                            .name = bytes_of(run->path),
                            .size_known = plan->is_upload,
                            .size_bytes = run->source_bytes,
                            .etag = ""};
    if (run->pipe_fd >= 0) return plan_take_pipe(plan, run->pipe_fd);
    if (plan->is_upload && run->folder_fd != AT_FDCWD)
        return search_open_walk(&plan->search, source->path, run->conf.symlinks);
    if (run->recursive && !plan->is_upload)
        return search_open_listing(&plan->search,
                                   &fleet_home(&run->fleet)->station.clients[plan->endpoint],
                                   bytes_of(plan->bucket), bytes_of(plan->prefix));
    search_open_one(&plan->search, &one);
    return ERR_NONE;
}

/* What the head of a manifest says of the two sides. */
static enum err run_describe(struct run *run, const struct run_place *source,
                             struct manifest_head *head, int *raw)
{
    const struct plan_options *plan = &run->plan_options;
    const struct endpoint *endpoint = &run->conf.endpoints[plan->endpoint];
    bool literal = strchr(endpoint->host, ':') != NULL;
    head->format = MANIFEST_FORMAT;
    head->is_upload = plan->is_upload;
    head->is_tree = run->path[0] == '\0' && run->pipe_fd < 0;
    snprintf(head->endpoint, sizeof head->endpoint, "%s://%s%s%s:%u",
             endpoint->tls ? "https" : "http", literal ? "[" : "", endpoint->host,
             literal ? "]" : "", endpoint->port);
    snprintf(head->bucket, sizeof head->bucket, "%s", plan->bucket);
    snprintf(head->prefix, sizeof head->prefix, "%s", run->prefix);
    stamp_format_iso(clock_wall_ns(), head->started);
    if (run->folder_fd != AT_FDCWD) return place_path(run->folder_fd, head->root, raw);
    if (!plan->is_upload || run->pipe_fd >= 0) return ERR_NONE;
    return place_folder_of(source->path, head->root, raw);
}

static enum err run_open_receipt(struct run *run, const struct run_place *source, char why[512])
{
    struct station *home = &fleet_home(&run->fleet)->station;
    struct receipt_options options = {.core = home->core,
                                      .aside = home->aside,
                                      .path = run->conf.manifest,
                                      .file_mode = home->file_mode};
    struct manifest_head head = {.format = MANIFEST_FORMAT};
    int raw = 0;
    if (!options.path) return ERR_NONE;
    enum err err = run_describe(run, source, &head, &raw);
    if (err) return err_say(why, err, source->path, raw);
    run->plan_options.receipt = &run->receipt;
    return receipt_open(&run->receipt, &options, &head, why);
}

static enum err run_open_plan(struct run *run, const struct run_place *source)
{
    struct plan_options *options = &run->plan_options;
    options->mover = fleet_home(&run->fleet);
    options->interrupt = &run->interrupt;
    options->steer = &run->fleet.steer;
    options->on_over = run_on_over;
    enum err err = plan_open(&run->plan, options);
    if (err) return err;
    run->plan_is_open = true;
    fleet_home(&run->fleet)->plan = &run->plan;
    return run_open_find(run, source);
}

enum err run_open(struct run **out, const struct conf *conf, const struct run_place *source,
                  const struct run_place *target, const struct run_keep *keep, char why[512])
{
    struct run *run = calloc(1, sizeof *run);
    why[0] = '\0';
    *out = NULL;
    if (!run) return ERR_NO_MEMORY;
    run->conf = *conf;
    run->recursive = conf->recursive;
    run->folder_fd = AT_FDCWD;
    run->pipe_fd = -1;
    place_raise_descriptors(RUN_DESCRIPTORS);
    enum err err = run_resolve(run, source, target, why);
    if (!err) err = run_open_fleet(run, keep, why);
    if (!err) err = run_open_receipt(run, source, why);
    if (!err) run_open_sweep(run, &fleet_home(&run->fleet)->station);
    if (!err) err = run_open_journal(run, keep, why);
    if (!err) err = run_open_plan(run, source);
    if (err) {
        run_close(run);
        return err;
    }
    *out = run;
    return ERR_NONE;
}

enum err run_start(struct run *run)
{
    plan_start(&run->plan);
    run->started_ns = clock_now_ns();
    return fleet_start(&run->fleet);
}

bool run_is_over(const struct run *run)
{
    return meter_read(&run->plan.meters.over) != 0;
}

void run_read(const struct run *run, struct run_numbers *numbers)
{
    const struct plan_meters *meters = &run->plan.meters;
    struct fleet_counts counts;
    *numbers = (struct run_numbers){.found = meter_read(&meters->found),
                                    .done = meter_read(&meters->done),
                                    .skipped = meter_read(&meters->skipped),
                                    .failed = meter_read(&meters->failed),
                                    .unfinished = meter_read(&meters->unfinished),
                                    .found_bytes = meter_read(&meters->found_bytes),
                                    .unconfirmed = meter_read(&meters->unconfirmed),
                                    .unverified = meter_read(&meters->unverified),
                                    .before = meter_read(&meters->before),
                                    .before_bytes = meter_read(&meters->before_bytes),
                                    .planning = meter_read(&meters->found_all) == 0};
    fleet_count(&run->fleet, &counts);
    numbers->done_bytes = counts.done_bytes;
    numbers->moving_bytes = counts.moving_bytes;
    numbers->before_bytes += counts.before_bytes;
    numbers->stray_files = counts.stray_files;
    numbers->requests = counts.requests;
    numbers->retries = counts.retries;
    numbers->connections = counts.connections;
    numbers->cuts = counts.cuts;
    numbers->cut_bytes = counts.cut_bytes;
    numbers->blame = counts.blame;
    numbers->window = meter_read(&run->fleet.steer.window);
    numbers->staged_ahead = meter_read(&run->fleet.steer.staged_ahead);
    numbers->part_bytes = run->conf.part_bytes;
    if (run->conf.part_bytes == 0) numbers->part_bytes = meter_read(&run->fleet.steer.part_bytes);
    numbers->background_bytes_per_s = meter_read(&run->fleet.steer.background_bytes_per_s);
    numbers->yielded_ns = meter_read(&run->fleet.steer.yielded_ns);
}

const char *run_cc(const struct run *run)
{
    return steer_name(&run->fleet.steer);
}

bool run_take_decision(struct run *run, struct steer_decision *decision)
{
    return steer_take(&run->fleet.steer, decision);
}

uint64_t run_lost_decisions(const struct run *run)
{
    return steer_lost(&run->fleet.steer);
}

void run_limit(struct run *run, uint64_t rate_bytes_per_s)
{
    fleet_limit(&run->fleet, rate_bytes_per_s);
}

void run_interrupt(struct run *run)
{
    meter_add(&run->interrupt, 1);
}

void run_wait(struct run *run, struct run_result *result)
{
    fleet_wait(&run->fleet);
    run->ended_ns = clock_now_ns();
    memset(result, 0, sizeof *result);
    run_read(run, &result->numbers);
    result->err = run->plan.err;
    result->first_failure = run->plan.first_failure;
    result->elapsed_ns = run->ended_ns - run->started_ns;
    snprintf(result->why, sizeof result->why, "%s", run->plan.why);
}

void run_close(struct run *run)
{
    if (run->plan_is_open) plan_close(&run->plan);
    receipt_close(&run->receipt);
    journal_close(run->journal);
    if (run->sweep.core) sweep_fini(&run->sweep);
    past_fini(&run->past);
    fleet_close(&run->fleet);
    if (run->folder_fd != AT_FDCWD) place_close(run->folder_fd);
    place_close(run->pipe_fd);
    free(run);
}
