#include "tests/sim/stock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/sim/disk.h"
#include "tests/sim/forest.h"
#include "tests/sim/items.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"
#include "tests/sim/world.h"

struct file_change { /* of a source file, while the run goes on */
    struct event event;
    uint32_t item;
};

#define CHANGES_MAX 8u

static struct file_change changes[CHANGES_MAX];

/* ── files and objects ──────────────────────────────────────────────────────────────────────── */

void stock_draw(void)
{
    const struct scenario *scenario = scenario_world();
    if (forest_is_one()) {
        forest_draw_items();
        return;
    }
    uint64_t count = 1, bytes_max = 40 * MIB;
    uint64_t large_chance = scenario_is_tree() ? 10 : 2; /* one in so many */
    if (scenario_is_tree()) count = world_chance(0.05) ? 200 : (uint64_t)world_scale(1, 40);
    if (scenario_is_tree()) bytes_max = (scenario->heavy || scenario->racy ? 24 : 16) * MIB;
    if (scenario->slow) count = world_between(40, 150);
    if (scenario->few) count = 1 + rand_below(&world->later, 8);
    if (scenario->slow || scenario->racy) large_chance = 5;
    if (scenario->few) large_chance = 2;
    for (uint64_t i = 0; i < count; i++) {
        bool large =
            world_below(large_chance) == 0 || (i < 2 && (scenario->racy || scenario->heavy));
        uint64_t bytes = items_draw_size(large);
        if (items_world()->bytes + bytes > bytes_max) bytes = world_below(1000);
        items_add(bytes);
    }
}

static void put_folder_above(const char *path)
{
    char folder[PATH_BYTES_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    disk_put_folder(folder);
}

static void put_source_file(const struct item *item)
{
    const struct blob *state = item->states[item->state_count - 1];
    const char *path = item_path(SCENARIO_SOURCE, item);
    put_folder_above(path);
    disk_put(path, state->data, state->bytes, item->mtime_ns);
}

/* As a PUT would have left it, or an upload in parts. */
static void put_source_object(struct item *item, struct blob *state)
{
    struct store_object *object = store_put(item_key(item), blob_hold(state));
    enum checksum_kind kind = (enum checksum_kind)world_below(CHECKSUM_KINDS);
    if (world_chance(0.7))
        snprintf(object->mtime, sizeof object->mtime, "%lld.%09lld",
                 (long long)(item->mtime_ns / (int64_t)NS_PER_S),
                 (long long)(item->mtime_ns % (int64_t)NS_PER_S));
    if (!kind || !server_world()->sums) return;
    object->kind = kind;
    proof_text(kind, state->data, state->bytes, object->sum);
    if (state->bytes < 2 || !world_chance(0.3)) return;
    uint8_t raws[32 * 16];
    uint32_t parts = (uint32_t)world_between(1, min_u64(state->bytes, 16)), count = 0;
    object->part_count = parts;
    object->parts = calloc(parts, sizeof *object->parts);
    object->part_bytes = calloc(parts, sizeof *object->part_bytes);
    CHECK(object->parts && object->part_bytes);
    uint64_t each = state->bytes / parts, at = 0;
    for (uint32_t i = 0; i < parts; i++) {
        uint64_t bytes = i + 1 < parts ? each : state->bytes - at;
        object->part_bytes[i] = bytes;
        proof_text(kind, state->data + at, bytes, object->parts[i].sum);
        count += proof_raw(kind, state->data + at, bytes, raws + count);
        at += bytes;
    }
    proof_text(kind, raws, count, object->sum);
    snprintf(object->sum + strlen(object->sum), 16, "-%u", parts);
}

/* Something has the target's name already. */
static void put_before(struct item *item)
{
    if (scenario_is_pipe() && !scenario_is_upload()) return;
    if (!world_chance(0.2)) return;
    item->before = items_content(world_below(100 * KIB));
    if (scenario_is_upload()) {
        store_put(item_key(item), blob_hold(item->before));
        return;
    }
    const char *path = item_path(SCENARIO_TARGET, item);
    put_folder_above(path);
    disk_put(path, item->before->data, item->before->bytes, item->mtime_ns);
}

void stock_put_item(struct item *item)
{
    if (scenario_is_upload())
        put_source_file(item);
    else
        put_source_object(item, item->states[item->state_count - 1]);
}

void stock_remove(struct item *item)
{
    struct store_object *object = scenario_is_upload() ? NULL : store_find(item_key(item));
    if (object)
        blob_drop(&object->blob);
    else
        disk_remove(item_path(SCENARIO_SOURCE, item));
}

void stock_put(void)
{
    struct items *items = items_world();
    disk_put_folder(SCENARIO_SOURCE);
    for (uint32_t i = 0; i < items->count; i++) {
        put_before(&items->all[i]);
        if (scenario_world()->kind != UP_PIPE) stock_put_item(&items->all[i]);
    }
    if (forest_is_one()) forest_put();
}

/* ── what changes meanwhile ─────────────────────────────────────────────────────────────────── */

struct store_object *stock_change_object(struct store_object *object)
{
    struct item *item = items_find(object->key + strlen(SCENARIO_PREFIX));
    if (item->stuck) return object;
    struct blob *state =
        items_content(world_chance(0.5) ? object->blob->bytes : world_below(100 * KIB));
    items_add_state(item, state);
    if (scenario_is_upload()) { /* by somebody else: its file is as it was */
        item->states[item->state_count - 1] = item->states[item->state_count - 2];
        item->states[item->state_count - 2] = state;
    }
    world_say("object %s changes", item->name);
    put_source_object(item, state);
    return store_find(item_key(item));
}

static struct blob *draw_changed(const struct blob *now)
{
    struct blob *next = items_content(now->bytes + world_below(10 * KIB));
    uint64_t from = now->bytes ? world_below(now->bytes) : 0;
    switch (world_below(4)) {
    case 0: next->bytes = now->bytes; break;
    case 1: next->bytes = from; break;
    case 2: memcpy(next->data, now->data, now->bytes); break; /* something is appended */
    default: next->bytes = now->bytes; memcpy(next->data, now->data, from); /* its rest changes */
    }
    return next;
}

static void change_on_event(struct event *event)
{
    struct file_change *change = container_of(event, struct file_change, event);
    struct item *item = &items_world()->all[change->item];
    const char *path = item_path(SCENARIO_SOURCE, item);
    int64_t now_ns = (int64_t)(world->now_ns + world->wall_offset_ns);
    if (!world->faulty || item->stuck || item->gone) return;
    world->fault_counts[FAULT_FILE_CHANGES]++;
    world_note("file changes", change->item, 0);
    if (world_chance(0.2)) {
        item->gone = true;
        disk_remove(path);
        return;
    }
    struct blob *state = draw_changed(item->states[item->state_count - 1]);
    items_add_state(item, state);
    if (world_chance(0.4)) disk_remove(path); /* another file takes the name */
    disk_put(path, state->data, state->bytes, now_ns);
}

void stock_draw_changes(void)
{
    const struct scenario *scenario = scenario_world();
    if (scenario->kind > UP_FILE || !world_has_fault(FAULT_FILE_CHANGES)) return;
    uint64_t count = world_between(1, CHANGES_MAX);
    for (uint64_t i = 0; i < count; i++) {
        struct file_change *change = &changes[i];
        event_init(&change->event, change_on_event);
        change->item = (uint32_t)world_below(items_world()->count);
        event_start(&change->event, world->now_ns + (uint64_t)world_scale(1e5, 20e9));
    }
}
