#include "s3/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/place.h"
#include "s3/fleet.h"

#define VERIFY_DESCRIPTORS 65536u

struct verify {
    struct conf conf;
    struct fleet fleet;
    struct audit audit;
    struct meter interrupt;
    struct audit_options options;
    const struct run_place *local, *remote; /* the caller's; NULL with a manifest */
    uint64_t started_ns;
    int folder_fd;
    char prefix[KEY_BYTES_MAX + 2]; /* and a "/" */
    char path[PATH_BYTES_MAX];
    char local_root[PATH_BYTES_MAX]; /* for messages */
    bool audit_is_open;
};

/* --- what is compared --- */

static bool verify_ends_folder(const char *text)
{
    size_t count = strlen(text);
    return count == 0 || text[count - 1] == '/';
}

static enum err verify_name(char *area, size_t bytes, const char *text, char why[512])
{
    if (bytes_to_string(bytes_of(text), area, bytes)) return ERR_NONE;
    return err_say(why, ERR_FILE_NAME, text, 0);
}

/* The name that cp gives a copy without one: the source's last. */
static const char *verify_last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum err verify_append(char *area, size_t bytes, const char *more, char why[512])
{
    size_t count = strlen(area);
    if (count + strlen(more) >= bytes) return err_say(why, ERR_KEY, area, 0);
    memcpy(area + count, more, strlen(more) + 1);
    return ERR_NONE;
}

/* A file and an object, named as cp would have named the copy. */
static enum err verify_one(struct verify *verify, const struct place *place, char why[512])
{
    const char *path = verify->local->path, *key = verify->remote->uri.key;
    bool folder = place->kind == PLACE_FOLDER || path[strlen(path) - 1] == '/';
    verify->options.kind = PAIRS_ONE;
    enum err err = verify_name(verify->path, sizeof verify->path, path, why);
    if (!err && folder && verify->options.file_is_copy && !verify_ends_folder(key)) {
        err = verify_append(verify->path, sizeof verify->path, "/", why);
        if (!err)
            err = verify_append(verify->path, sizeof verify->path, verify_last_name(key), why);
    } else if (!err && folder) {
        snprintf(why, 512, "%.300s: is a directory (use -r to compare what is below it)", path);
        err = ERR_FILE_IS_FOLDER;
    }
    if (err || !verify_ends_folder(key)) return err;
    if (!verify->options.file_is_copy)
        return verify_append(verify->prefix, sizeof verify->prefix, verify_last_name(path), why);
    snprintf(why, 512, "s3://%s/%.200s: is not one object (use -r for all below it)",
             verify->remote->uri.bucket, key);
    return ERR_USAGE;
}

static enum err verify_tree(struct verify *verify, char why[512])
{
    const char *path = verify->local->path;
    size_t count = strlen(path);
    int raw;
    verify->options.kind = verify->conf.spread > 0 ? PAIRS_SPREAD : PAIRS_JOIN;
    while (count > 1 && path[count - 1] == '/')
        count--;
    snprintf(verify->local_root, sizeof verify->local_root, "%.*s", (int)count, path);
    enum err err = place_open_folder(path, PLACE_FIND, &verify->folder_fd, &raw);
    if (err) return err_say(why, err, path, raw);
    if (verify_ends_folder(verify->prefix)) return ERR_NONE;
    return verify_append(verify->prefix, sizeof verify->prefix, "/", why);
}

static enum err verify_sides(struct verify *verify, const struct verify_options *options,
                             char why[512])
{
    struct place place = {.kind = PLACE_NOTHING};
    bool target_is_s3 = options->target.side == RUN_S3;
    int raw;
    if (options->source.side == options->target.side) {
        snprintf(why, 512, "one side must be a path and the other s3://bucket/key");
        return ERR_USAGE;
    }
    verify->local = target_is_s3 ? &options->source : &options->target;
    verify->remote = target_is_s3 ? &options->target : &options->source;
    verify->options.file_is_copy = !target_is_s3;
    verify->options.endpoint = verify->remote->endpoint;
    verify->options.bucket = verify->remote->uri.bucket;
    snprintf(verify->prefix, sizeof verify->prefix, "%s", verify->remote->uri.key);
    const char *path = verify->local->path;
    if (strcmp(path, "-") == 0) return err_say(why, ERR_FILE_KIND, path, 0);
    enum err err = place_look(&place, path, &raw);
    if (!err && place.kind == PLACE_NOTHING && (target_is_s3 || verify->conf.recursive))
        err = ERR_FILE_MISSING;
    if (!err && place.kind == PLACE_STREAM) err = ERR_FILE_KIND;
    if (err) return err_say(why, err, path, raw);
    if (verify->conf.recursive && place.kind == PLACE_FOLDER) return verify_tree(verify, why);
    if (verify->conf.spread > 0) {
        snprintf(why, 512, "%.300s: --spread is for trees, and this is none", path);
        return ERR_USAGE;
    }
    return verify_one(verify, &place, why);
}

/* --- opening --- */

static void verify_on_over(struct audit *audit)
{
    struct verify *verify = container_of(audit, struct verify, audit);
    fleet_end(&verify->fleet);
}

static enum err verify_open_fleet(struct verify *verify, char why[512])
{
    struct mover_options options = {.endpoint = verify->options.endpoint,
                                    .kind = MOVER_CHECKS,
                                    .folder_fd = verify->folder_fd,
                                    .stop = &verify->audit.stop,
                                    .on_return = audit_on_return};
    return fleet_open(&verify->fleet, &verify->conf, &options, why);
}

static enum err verify_open_pairs(struct verify *verify, const struct verify_options *options,
                                  char why[512])
{
    struct pairs *pairs = &verify->audit.pairs;
    struct station *home = &fleet_home(&verify->fleet)->station;
    if (options->manifest) {
        enum err err = roll_open(&pairs->roll, home, options->manifest, options->side);
        return err ? err_say(why, err, options->manifest, 0) : ERR_NONE;
    }
    if (verify->options.kind == PAIRS_ONE) return ERR_NONE;
    enum err err =
        find_open_walk(&pairs->files, verify->local->path, verify->conf.symlinks, BYTES(""));
    if (err) return err_say(why, err, verify->local->path, 0);
    return find_open_listing(&pairs->objects, &home->clients[verify->options.endpoint],
                             bytes_of(verify->options.bucket), bytes_of(verify->prefix), BYTES(""));
}

static enum err verify_open_audit(struct verify *verify, const struct verify_options *options,
                                  char why[512])
{
    struct audit_options *mine = &verify->options;
    mine->mover = fleet_home(&verify->fleet);
    mine->interrupt = &verify->interrupt;
    mine->listener = options->listener;
    mine->steer = &verify->fleet.steer;
    mine->prefix = verify->prefix;
    mine->path = verify->path;
    mine->local_root = verify->local_root;
    mine->on_over = verify_on_over;
    if (options->manifest) mine->bucket = "";
    enum err err = audit_open(&verify->audit, mine);
    verify->audit_is_open = true;
    fleet_home(&verify->fleet)->audit = &verify->audit;
    return err ? err : verify_open_pairs(verify, options, why);
}

enum err verify_open(struct verify **out, const struct conf *conf,
                     const struct verify_options *options, char why[512])
{
    struct verify *verify = calloc(1, sizeof *verify);
    enum err err = ERR_NONE;
    why[0] = '\0';
    *out = NULL;
    if (!verify) return ERR_NO_MEMORY;
    verify->conf = *conf;
    verify->folder_fd = AT_FDCWD;
    verify->options.kind = PAIRS_ROLL;
    place_raise_descriptors(VERIFY_DESCRIPTORS);
    if (!options->manifest) err = verify_sides(verify, options, why);
    if (!err) err = verify_open_fleet(verify, why);
    if (!err) err = verify_open_audit(verify, options, why);
    if (err) {
        verify_close(verify);
        return err;
    }
    *out = verify;
    return ERR_NONE;
}

enum err verify_start(struct verify *verify)
{
    audit_start(&verify->audit);
    verify->started_ns = clock_now_ns();
    return fleet_start(&verify->fleet);
}

bool verify_is_over(const struct verify *verify)
{
    return meter_read(&verify->audit.meters.over) != 0;
}

void verify_read(const struct verify *verify, struct verify_numbers *numbers)
{
    const struct audit_meters *meters = &verify->audit.meters;
    struct fleet_counts counts;
    fleet_count(&verify->fleet, &counts);
    *numbers = (struct verify_numbers){.found = meter_read(&meters->found),
                                       .equal = meter_read(&meters->equal),
                                       .changed = meter_read(&meters->changed),
                                       .missing = meter_read(&meters->missing),
                                       .extra = meter_read(&meters->extra),
                                       .failed = meter_read(&meters->failed),
                                       .skipped = meter_read(&meters->skipped),
                                       .by_size = meter_read(&meters->by_size),
                                       .found_bytes = meter_read(&meters->found_bytes),
                                       .read_bytes = counts.done_bytes,
                                       .requests = counts.requests,
                                       .retries = counts.retries,
                                       .connections = counts.connections,
                                       .blame = counts.blame,
                                       .background_bytes_per_s =
                                           meter_read(&verify->fleet.steer.background_bytes_per_s),
                                       .yielded_ns = meter_read(&verify->fleet.steer.yielded_ns),
                                       .searching = meter_read(&meters->found_all) == 0};
}

void verify_limit(struct verify *verify, uint64_t rate_bytes_per_s)
{
    fleet_limit(&verify->fleet, rate_bytes_per_s);
}

void verify_interrupt(struct verify *verify)
{
    meter_add(&verify->interrupt, 1);
}

void verify_wait(struct verify *verify, struct verify_result *result)
{
    fleet_wait(&verify->fleet);
    memset(result, 0, sizeof *result);
    verify_read(verify, &result->numbers);
    result->err = verify->audit.err;
    result->first_failure = verify->audit.first_failure;
    result->elapsed_ns = clock_now_ns() - verify->started_ns;
    snprintf(result->why, sizeof result->why, "%s", verify->audit.why);
}

void verify_close(struct verify *verify)
{
    if (verify->audit_is_open) audit_close(&verify->audit);
    fleet_close(&verify->fleet);
    if (verify->folder_fd != AT_FDCWD) place_close(verify->folder_fd);
    free(verify);
}
