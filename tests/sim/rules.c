#include "tests/sim/rules.h"

#include <stdio.h>
#include <string.h>

#include "s3/plan.h"
#include "sched/task.h"
#include "tests/sim/disk.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/forest.h"
#include "tests/sim/items.h"
#include "tests/sim/pipe.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"
#include "tests/sim/slip.h"
#include "tests/sim/table.h"
#include "tests/sim/vfs.h"
#include "tests/sim/world.h"

#define TEMP_MARK ".argosy-"

/* ── one object ─────────────────────────────────────────────────────────────────────────────── */

static void check_upload(const struct item *item)
{
    const struct store_object *object = store_find(item_key(item));
    const struct blob *blob = object ? object->blob : NULL;
    if (!blob) {
        if (item->done) world_broken("%s is done and not there", item->name);
        if (item->before) world_broken("%s went away", item->name);
        return;
    }
    if (items_had_state(item, blob->data, blob->bytes)) return;
    if (!item->done && items_is_before(item, blob->data, blob->bytes)) return;
    world_broken("%s was altered on its way up (%llu bytes)", item->name,
                 (unsigned long long)blob->bytes);
}

const struct disk_node *rules_target(const struct item *item)
{
    const char *name = strrchr(item->name, '/');
    static char path[PATH_BYTES_MAX];
    if (scenario_world()->kind == DOWN_TREE) return disk_find(item_path(SCENARIO_TARGET, item));
    snprintf(path, sizeof path, SCENARIO_TARGET "/%s", name ? name + 1 : item->name);
    return disk_find(path);
}

static void check_download(const struct item *item)
{
    const struct disk_node *node = rules_target(item);
    if (!node) {
        if (item->done) world_broken("%s is done and not there", item->name);
        return;
    }
    bool same = items_had_state(item, node->data, node->bytes);
    if (!same && !(!item->done && items_is_before(item, node->data, node->bytes)))
        world_broken("%s was altered on its way down (%llu bytes)", item->name,
                     (unsigned long long)node->bytes);
    if (item->done && (node->mode & 0777) != 0644) world_broken("%s: mode", item->name);
    const struct store_object *object = store_find(item_key(item));
    bool dated = item->done && object->mtime[0] && object->version_count == 1;
    if (dated && scenario_world()->conf.keep_mtime && node->mtime_ns != item->mtime_ns)
        world_broken("%s has another modification time", item->name);
}

/* UINT64_MAX: another length, or more than a bit of one of them. */
static uint64_t altered_bytes(const struct pipe_end *out, const struct blob *state)
{
    uint64_t count = 0;
    if (out->bytes > state->bytes) return UINT64_MAX;
    for (uint64_t i = 0; i < out->bytes; i++) {
        unsigned char bits = (unsigned char)(out->data[i] ^ state->data[i]);
        if (bits & (bits - 1)) return UINT64_MAX;
        count += bits != 0;
    }
    return count;
}

/* What is altered on its way is known by the sum of the whole: its reader has had it by then, and
 * is told that it failed. */
static void check_pipe_download(const struct item *item)
{
    const struct pipe_end *out = &pipe_world()->out;
    uint64_t altered_max = item->done ? 0 : world->fault_counts[FAULT_REPLY_CORRUPT];
    if (item->done && !items_had_state(item, out->data, out->bytes))
        world_broken("%s was altered on its way through", item->name);
    for (uint32_t s = 0; s < item->state_count; s++)
        if (altered_bytes(out, item->states[s]) <= altered_max) return;
    if (out->bytes) world_broken("%s: what came out is no beginning of it", item->name);
}

uint32_t rules_temps(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < disk_count(); i++)
        if (strstr(disk_name(i)->path, TEMP_MARK)) count++;
    return count;
}

uint32_t rules_uploads(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < store_world()->upload_count; i++)
        count += !store_world()->uploads[i].late && !store_world()->uploads[i].missed;
    return count;
}

static uint64_t network_faults(void)
{
    static const enum fault faults[] = {FAULT_NO_DESCRIPTOR, FAULT_NAME_FAILS,    FAULT_REFUSED,
                                        FAULT_UNREACHABLE,   FAULT_CONNECT_HANGS, FAULT_RESET,
                                        FAULT_STALL,         FAULT_BLACK_HOLE,    FAULT_OUTAGE,
                                        FAULT_REPLY_SLOW,    FAULT_REPLY_CUT,     FAULT_REPLY_LOST};
    uint64_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
        count += world->fault_counts[faults[i]];
    return count;
}

bool rules_drew_faults(void)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (world->fault_counts[i]) return true;
    return false;
}

/* Why an upload is still there: its end could not be had, or its beginning was not heard of, and
 * the journal, which would know, failed; or its client's last words came late; or it is of a pipe,
 * whose job nobody goes on with. */
static bool is_excused(const struct store_upload *upload)
{
    const struct scenario *scenario = scenario_world();
    bool ended = scenario->kills + scenario->power_cuts > 0;
    if (upload->late || upload->missed) return true;
    if (ended && (!scenario->settings || scenario->kind == UP_PIPE)) return true;
    if (vfs_failed()) return true;
    return rules_drew_faults() && (upload->reply_lost || upload->abort_fails || network_faults());
}

/* Of a small object that vanished after its process was ended no later one knows, but `clean`. */
static uint64_t excused_temps(bool ended)
{
    uint64_t count = world->fault_counts[FAULT_UNLINK_FAILS];
    for (uint32_t i = 0; i < items_world()->count && ended && !scenario_is_upload(); i++)
        count += items_world()->all[i].gone;
    return count;
}

static void check_leftovers(void)
{
    const struct scenario *scenario = scenario_world();
    const struct store *store = store_world();
    bool ended = scenario->kills + scenario->power_cuts > 0;
    bool excused = (ended && !scenario->settings) || vfs_failed();
    for (uint32_t i = 0; i < store->upload_count; i++) {
        const struct store_upload *upload = &store->uploads[i];
        if (!is_excused(upload))
            world_broken("upload %s of %s was left behind", upload->id, upload->key);
    }
    if (!excused && rules_temps() > excused_temps(ended))
        world_broken("%u temporary files were left behind", rules_temps());
}

/* Nothing is lost: what is there all the time is found. */
static void check_found(void)
{
    for (uint32_t i = 0; i < items_world()->count; i++) {
        const struct item *item = &items_world()->all[i];
        if (!item->found && !item->gone && !item->fresh && !forest_hides(item))
            world_broken("%s was not found", item->name);
    }
    forest_check_found();
}

/* What a branch of the search has seen of another's, which did not see it any more, was not taken;
 * and what appeared, perhaps. */
static void count_found(uint64_t *least, uint64_t *most)
{
    *least = forest_found(false);
    *most = forest_found(true);
    for (uint32_t i = 0; i < items_world()->count; i++) {
        const struct item *item = &items_world()->all[i];
        *most += item->found;
        *least += item->found && !(forest_is_one() && (item->gone || item->fresh));
    }
}

static void check_numbers(void)
{
    const struct run_result *result = &scenario_world()->result;
    const struct run_numbers *n = &result->numbers;
    uint64_t least = 1, most = 1;
    if (scenario_is_tree()) count_found(&least, &most);
    world_say("found %llu done %llu skipped %llu failed %llu, err %d: %s",
              (unsigned long long)n->found, (unsigned long long)n->done,
              (unsigned long long)n->skipped, (unsigned long long)n->failed, (int)result->err,
              result->why);
    if (n->done != scenario_world()->done_lines) world_broken("done counts differ");
    if (n->found != n->done + n->skipped + n->failed + n->unfinished)
        world_broken("found %llu ≠ done %llu + skipped %llu + failed %llu + unfinished %llu",
                     (unsigned long long)n->found, (unsigned long long)n->done,
                     (unsigned long long)n->skipped, (unsigned long long)n->failed,
                     (unsigned long long)n->unfinished);
    if (result->err) return;
    if (n->unfinished > 0) world_broken("nothing stopped what is unfinished");
    if (n->found < least || n->found > most)
        world_broken("%llu of %llu were taken", (unsigned long long)n->found,
                     (unsigned long long)least);
    if (scenario_is_tree()) check_found();
}

static void check_items(void)
{
    for (uint32_t i = 0; i < items_world()->count; i++) {
        const struct item *item = &items_world()->all[i];
        if (scenario_is_upload())
            check_upload(item);
        else if (scenario_is_pipe())
            check_pipe_download(item);
        else
            check_download(item);
    }
}

/* ── a process that ended by itself ─────────────────────────────────────────────────────────── */

/* What can be gone on with stays. */
static bool may_park(void)
{
    const struct run_result *result = &scenario_world()->result;
    return scenario_world()->settings && (result->err || result->numbers.failed);
}

/* Cutting what is slow costs 3 % and one transfer, of each core. */
static void check_cuts(void)
{
    const struct scenario *scenario = scenario_world();
    const struct conf *conf = &scenario->conf;
    const struct run_numbers *n = &scenario->result.numbers;
    uint64_t moved = server_moved_bytes() - scenario->moved_before, largest = 0;
    for (uint32_t i = 0; i < items_world()->count; i++)
        largest = max_u64(largest, items_world()->all[i].states[0]->bytes);
    uint64_t one = max_u64(conf->part_bytes, conf->multipart_threshold_bytes);
    one = max_u64(one, PART_BYTES_MIN);
    uint64_t most = 3 * moved / 100 + conf->cpu_count * min_u64(one, largest);
    if (n->cut_bytes > most)
        world_broken("%llu bytes were moved in vain by cuts, %llu may be",
                     (unsigned long long)n->cut_bytes, (unsigned long long)most);
    if (scenario->slow && server_counts()->completions_cut) world_broken("a completion was cut");
}

void rules_check_run(void)
{
    check_numbers();
    check_cuts();
    slip_check(true);
    check_items();
    if (!may_park()) check_leftovers();
    if (table_open_count() > 0) world_broken("%u descriptors are open", table_open_count());
    if (!rules_drew_faults()) rules_check_last();
}

/* ── one that was ended ─────────────────────────────────────────────────────────────────────── */

/* What a power cut left under a target's name is what was there before the next process. */
static void note_before(struct item *item)
{
    const struct disk_node *node = rules_target(item);
    blob_drop(&item->before);
    if (!node) return;
    item->before = blob_new(node->bytes);
    if (node->bytes) memcpy(item->before->data, node->data, node->bytes);
}

static void check_after_power(struct item *item)
{
    enum conf_fsync fsync = scenario_world()->conf.fsync;
    if (fsync != CONF_FSYNC_ALL) item->done = item->ever_done = false;
    if (fsync != CONF_FSYNC_NONE) check_download(item);
    note_before(item);
}

void rules_check_cut(void)
{
    bool power = scenario_world()->ended == CUT_POWER;
    slip_check(false);
    if (table_open_count() > 0) world_broken("%u descriptors are open", table_open_count());
    for (uint32_t i = 0; i < items_world()->count; i++) {
        struct item *item = &items_world()->all[i];
        if (scenario_is_upload())
            check_upload(item);
        else if (!scenario_is_pipe() && power)
            check_after_power(item);
        else if (!scenario_is_pipe())
            check_download(item);
    }
}

/* ── the copy is given up ───────────────────────────────────────────────────────────────────── */

/* Why an upload may be there still: the journal could not know of it; or its client's last words
 * came late: when the next process was there, or so long behind the end of theirs that what is
 * begun then may be another writer's, or when the clean that did its work had looked for it. */
static bool is_beyond_clean(const struct store_upload *upload)
{
    return upload->late || upload->missed || upload->behind || vfs_failed();
}

void rules_check_clean(void)
{
    const struct store *store = store_world();
    for (uint32_t i = 0; i < store->upload_count; i++)
        if (!is_beyond_clean(&store->uploads[i]))
            world_broken("clean left upload %s of %s", store->uploads[i].id, store->uploads[i].key);
    if (!vfs_failed() && rules_temps() > 0)
        world_broken("clean left %u temporary files", rules_temps());
}

/* ── the last one ───────────────────────────────────────────────────────────────────────────── */

static void check_present(const struct item *item)
{
    const struct store_object *object = store_find(item_key(item));
    const struct disk_node *node = rules_target(item);
    bool present;
    if (item->gone || (object && object->late)) return;
    if (scenario_is_upload())
        present = object && object->blob &&
                  items_is_present(item, object->blob->data, object->blob->bytes);
    else if (scenario_is_pipe())
        present = items_is_present(item, pipe_world()->out.data, pipe_world()->out.bytes);
    else
        present = node && items_is_present(item, node->data, node->bytes);
    if (!present) world_broken("%s is not what its source is", item->name);
}

/* Where nothing else went wrong: what is not in the journal yet when a process ends is moved again,
 * and nothing else. What a power cut takes from files is not counted. */
static void check_moved(void)
{
    const struct scenario *scenario = scenario_world();
    uint64_t bytes = items_world()->bytes, most = bytes + server_excused_bytes();
    bool files = !scenario_is_upload() && scenario->power_cuts > 0;
    world_say("moved %llu of %llu, %llu are excused", (unsigned long long)server_moved_bytes(),
              (unsigned long long)bytes, (unsigned long long)server_excused_bytes());
    if (!scenario->settings || !scenario->pure || files || scenario_is_pipe()) return;
    if (scenario->given_up) return;
    if (forest_is_slow()) return; /* that may be cut, or act when its process is long gone */
    if (server_moved_bytes() > most)
        world_broken("%llu bytes were moved for %llu, of which %llu may be moved twice",
                     (unsigned long long)server_moved_bytes(), (unsigned long long)bytes,
                     (unsigned long long)server_excused_bytes());
}

/* Once a process has learned where the bucket is, it asks there: what was under way is sent on,
 * each once (elsewhere.h). A core has its connections' number of tasks of each rank under way:
 * those that wait for a connection are signed as well. And one lists; of a
 * forest each branch of the search, and each large object asks for itself. */
static void check_elsewhere(void)
{
    const struct scenario *scenario = scenario_world();
    const struct conf *conf = &scenario->conf;
    uint64_t lives = scenario->kills + scenario->power_cuts + 1 + scenario->given_up;
    uint64_t home = forest_is_one() ? SEARCH_BRANCHES_MAX + PLAN_LARGE_MAX : 1;
    uint64_t most = lives * (conf->cpu_count * TASK_RANKS * conf->connections_max + home);
    if (!scenario->pure || elsewhere_world() == ELSEWHERE_TIMES) return;
    if (elsewhere_count() > most)
        world_broken("%llu requests were sent elsewhere, in %llu processes",
                     (unsigned long long)elsewhere_count(), (unsigned long long)lives);
}

void rules_check_last(void)
{
    const struct run_result *result = &scenario_world()->result;
    if (result->err)
        world_broken("without faults: %s (%s)", result->why, err_sentence(result->err));
    if (result->numbers.failed) world_broken("without faults an object failed");
    for (uint32_t i = 0; i < items_world()->count; i++) {
        const struct item *item = &items_world()->all[i];
        bool before = scenario_world()->settings && item->ever_done;
        if (item->gone) continue;
        if (!item->done && !before) world_broken("without faults %s was not done", item->name);
        check_present(item);
    }
    check_leftovers();
    check_moved();
    check_elsewhere();
}
