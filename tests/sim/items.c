#include "tests/sim/items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

static struct items items;

struct items *items_world(void)
{
    return &items;
}

void items_close_world(void)
{
    for (uint32_t i = 0; i < items.count; i++) {
        struct item *item = &items.all[i];
        for (uint32_t s = 0; s < item->state_count; s++)
            blob_drop(&item->states[s]);
        blob_drop(&item->before);
    }
    free(items.all);
    items = (struct items){.count = 0};
}

const char *item_path(const char *folder, const struct item *item)
{
    static char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, item->name);
    return path;
}

const char *item_key(const struct item *item)
{
    static char key[ITEM_NAME_MAX + 8];
    snprintf(key, sizeof key, SCENARIO_PREFIX "%s", item->name);
    return key;
}

struct blob *items_content(uint64_t bytes)
{
    struct blob *blob = blob_new(align_up_u64(bytes, 8));
    uint64_t at = 0, word = rand_u64(&world->rand);
    for (; at < bytes; at += 8) { /* splitmix64 */
        uint64_t z = word += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z ^= z >> 27;
        memcpy(blob->data + at, &z, 8);
    }
    blob->bytes = bytes;
    return blob;
}

uint64_t items_draw_size(bool large)
{
    static const uint64_t edges[] = {0, 1, 4096, 64 * KIB, MIB, 2 * MIB};
    static const uint64_t larges[] = {5 * MIB, 8 * MIB, 10 * MIB, 16 * MIB, 20 * MIB};
    if (large) {
        uint64_t edge = larges[world_below(ARRAY_COUNT(larges))];
        return world_chance(0.5) ? edge - 2 + world_below(5) : edge + world_below(4 * MIB);
    }
    switch (world_below(4)) {
    case 0: {
        uint64_t size = edges[world_below(ARRAY_COUNT(edges))] + world_below(3);
        return size ? size - 1 : 0;
    }
    case 1: return world_below(2 * MIB);
    default: return world_below(100 * KIB);
    }
}

static void draw_name(char name[ITEM_NAME_MAX], uint32_t index)
{
    static const char *const odd[] = {
        "a b",     "x&y",        "per%20cent", "plus+", "\xc3\xa9t\xc3\xa9",
        "quo\"te", "semi;colon", "~tilde",     "'apos", "<less>"};
    char folder[80] = "";
    uint64_t depth = world_below(3);
    for (uint64_t i = 0; i < depth; i++)
        snprintf(folder + strlen(folder), 20, "d%llu/", (unsigned long long)world_below(4));
    const char *word = world_chance(0.3) ? odd[world_below(ARRAY_COUNT(odd))] : "f";
    snprintf(name, ITEM_NAME_MAX, "%s%s%u", folder, word, index);
}

struct item *items_add_named(const char *name, uint64_t bytes)
{
    if (!items.all) items.all = calloc(ITEMS_MAX, sizeof *items.all);
    CHECK(items.all && items.count < ITEMS_MAX);
    struct item *item = &items.all[items.count++];
    snprintf(item->name, sizeof item->name, "%s", name);
    item->mtime_ns = (int64_t)(world->wall_offset_ns - world_below(1000000 * NS_PER_S));
    items_add_state(item, items_content(bytes));
    items.bytes += bytes;
    return item;
}

struct item *items_add(uint64_t bytes)
{
    char name[ITEM_NAME_MAX];
    draw_name(name, items.count);
    return items_add_named(name, bytes);
}

struct item *items_find(const char *name)
{
    for (uint32_t i = 0; i < items.count; i++)
        if (strcmp(items.all[i].name, name) == 0) return &items.all[i];
    return NULL;
}

void items_add_state(struct item *item, struct blob *state)
{
    CHECK(item->state_count < ITEM_STATES_MAX);
    item->states[item->state_count++] = state;
    if (item->state_count == ITEM_STATES_MAX) item->stuck = true;
}

static bool is_blob(const struct blob *blob, const char *data, uint64_t bytes)
{
    return blob->bytes == bytes && (bytes == 0 || memcmp(blob->data, data, bytes) == 0);
}

bool items_had_state(const struct item *item, const char *data, uint64_t bytes)
{
    for (uint32_t s = 0; s < item->state_count; s++)
        if (is_blob(item->states[s], data, bytes)) return true;
    return false;
}

bool items_is_present(const struct item *item, const char *data, uint64_t bytes)
{
    return is_blob(item->states[item->state_count - 1], data, bytes);
}

bool items_is_before(const struct item *item, const char *data, uint64_t bytes)
{
    return item->before && is_blob(item->before, data, bytes);
}
