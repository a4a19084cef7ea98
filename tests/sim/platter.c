/* platter: which names the disk's medium has, which changes of names are not there yet, and what a
 * power cut makes of the two.
 *
 * A change of a name is on the medium when its folder was synced. Until then it may be there or
 * not: in most cuts all up to one of them are, as where a journal of the file system keeps
 * their order; in the others each by itself, as POSIX allows. A rename is whole or did not happen.
 * What is in a folder that is not there is lost. Of unsynced writes each block is there or not, of
 * an unsynced size the new one or one between, of times and mode the new ones or the synced ones.
 * An unlinked file that was never synced comes back empty. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

struct change {
    char *from, *to; /* from NULL: a new name; to NULL: removed */
    struct disk_node *node;
};

static struct {
    struct disk_name *names;
    uint32_t count, max;
    struct change *changes; /* the oldest first */
    uint32_t change_count, change_max;
} platter;

static void let_go(struct disk_node *node)
{
    node->names--;
    disk_release(node);
}

/* ── names on the medium ────────────────────────────────────────────────────────────────────── */

static struct disk_name *find(const char *path)
{
    for (uint32_t i = 0; i < platter.count; i++)
        if (strcmp(platter.names[i].path, path) == 0) return &platter.names[i];
    return NULL;
}

void platter_remove(const char *path)
{
    struct disk_name *name = find(path);
    if (!name) return;
    struct disk_node *node = name->node;
    free(name->path);
    *name = platter.names[--platter.count];
    let_go(node);
}

void platter_put(const char *path, struct disk_node *node)
{
    node->names++;
    platter_remove(path);
    if (platter.count == platter.max) {
        platter.max = 2 * platter.max + 64;
        platter.names = realloc(platter.names, platter.max * sizeof *platter.names);
        CHECK(platter.names);
    }
    platter.names[platter.count++] = (struct disk_name){.path = strdup(path), .node = node};
}

/* ── changes that are not there yet ─────────────────────────────────────────────────────────── */

static void add(const char *from, const char *to, struct disk_node *node)
{
    if (platter.change_count == platter.change_max) {
        platter.change_max = 2 * platter.change_max + 64;
        platter.changes = realloc(platter.changes, platter.change_max * sizeof *platter.changes);
        CHECK(platter.changes);
    }
    node->names++;
    platter.changes[platter.change_count++] = (struct change){
        .from = from ? strdup(from) : NULL, .to = to ? strdup(to) : NULL, .node = node};
}

void platter_link(const char *path, struct disk_node *node)
{
    add(NULL, path, node);
}

void platter_rename(const char *from, const char *to, struct disk_node *node)
{
    add(from, to, node);
}

void platter_unlink(const char *path, struct disk_node *node)
{
    add(path, NULL, node);
    if (node->synced_bytes == 0 && node->opens == 0) disk_resize(node, 0);
}

static void change_free(struct change *change)
{
    free(change->from);
    free(change->to);
    let_go(change->node);
}

static void apply(const struct change *change)
{
    const struct disk_name *old = change->from ? find(change->from) : NULL;
    bool is_there = old && old->node == change->node; /* before the names are moved */
    if (change->to) platter_put(change->to, change->node);
    if (is_there) platter_remove(change->from);
}

static bool is_in(const char *path, const char *folder)
{
    size_t count = strlen(folder);
    if (!path) return false;
    if (count == 1) count = 0; /* "/" */
    return strncmp(path, folder, count) == 0 && path[count] == '/' &&
           !strchr(path + count + 1, '/');
}

void platter_sync(const char *folder)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < platter.change_count; i++) {
        struct change change = platter.changes[i];
        if (!is_in(change.from, folder) && !is_in(change.to, folder)) {
            platter.changes[kept++] = change;
            continue;
        }
        apply(&change);
        change_free(&change);
    }
    platter.change_count = kept;
}

void platter_close_world(void)
{
    for (uint32_t i = 0; i < platter.change_count; i++)
        change_free(&platter.changes[i]);
    while (platter.count)
        platter_remove(platter.names[0].path);
    free(platter.names);
    free(platter.changes);
    memset(&platter, 0, sizeof platter);
}

/* ── the power goes ─────────────────────────────────────────────────────────────────────────── */

static void cut_changes(void)
{
    bool ordered = world_chance(0.6);
    uint32_t end = (uint32_t)world_below(platter.change_count + 1);
    if (world_chance(0.4)) end = platter.change_count; /* they were just written */
    for (uint32_t i = 0; i < platter.change_count; i++) {
        bool there = ordered ? i < end : world_chance(0.5);
        if (there) apply(&platter.changes[i]);
        change_free(&platter.changes[i]);
    }
    platter.change_count = 0;
}

static bool has_folder(const char *path)
{
    char above[PATH_BYTES_MAX];
    snprintf(above, sizeof above, "%s", path);
    char *slash = strrchr(above, '/');
    slash[slash == above] = '\0';
    const struct disk_name *folder = find(above);
    return folder && folder->node->folder;
}

static void drop_lost(void)
{
    bool dropped = true;
    while (dropped) {
        dropped = false;
        for (uint32_t i = 0; i < platter.count; i++) {
            if (has_folder(platter.names[i].path)) continue;
            platter_remove(platter.names[i--].path);
            dropped = true;
        }
    }
}

/* One write, backwards from the newest: a block that is not there is what it was. */
static void cut_span(struct disk_node *node, const struct disk_span *span, uint64_t block)
{
    uint64_t end = min_u64(span->offset + span->bytes, node->bytes);
    for (uint64_t at = span->offset; at < end;) {
        uint64_t next = min_u64((at / block + 1) * block, end);
        if (world_chance(0.5)) {
            memset(node->data + at, 0, next - at);
            if (at - span->offset < span->old_bytes)
                memcpy(node->data + at, span->old + (at - span->offset),
                       min_u64(next - at, span->old_bytes - (at - span->offset)));
        }
        at = next;
    }
}

static void cut_node(struct disk_node *node)
{
    uint64_t block = world_chance(0.5) ? 512 : 4096;
    bool all = world_chance(0.3); /* it was written back just before */
    for (uint32_t i = node->span_count; i > 0 && !all; i--)
        cut_span(node, &node->spans[i - 1], block);
    if (!node->folder && !all && node->bytes != node->synced_bytes && world_chance(0.5)) {
        uint64_t least = min_u64(node->bytes, node->synced_bytes);
        uint64_t most = max_u64(node->bytes, node->synced_bytes);
        disk_resize(node, world_chance(0.5) ? node->synced_bytes : world_between(least, most));
    }
    if (world_chance(0.5)) node->mtime_ns = node->synced_mtime_ns;
    if (world_chance(0.5)) node->mode = node->synced_mode;
    disk_sync_node(node, false);
}

void platter_power_cut(void)
{
    cut_changes();
    drop_lost();
    while (disk_count())
        disk_drop_name(disk_name(0)->path);
    for (uint32_t i = 0; i < platter.count; i++) {
        CHECK(platter.names[i].node->opens == 0 && "the process has died");
        cut_node(platter.names[i].node);
        disk_add_name(platter.names[i].path, platter.names[i].node);
    }
}
