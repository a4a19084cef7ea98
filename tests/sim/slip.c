#include "tests/sim/slip.h"

#include <stdlib.h>
#include <string.h>

#include "s3/manifest.h"
#include "tests/sim/disk.h"
#include "tests/sim/pipe.h"
#include "tests/sim/rules.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#define SLIP_PATH SLIP_FOLDER "/manifest"

static struct {
    bool wanted;
    uint64_t inode; /* of the one that was read last */
    uint64_t count;
} slip;

struct slip_lines { /* of one manifest */
    struct manifest_object *objects;
    uint32_t count;
    bool whole; /* its last line says so */
    struct manifest_end end;
};

void slip_draw(struct conf *conf)
{
    memset(&slip, 0, sizeof slip);
    slip.wanted = rand_below(&world->later, 5) < 2;
    if (!slip.wanted) return;
    disk_put_folder(SLIP_FOLDER);
    conf->manifest = SLIP_PATH;
}

uint64_t slip_count(void)
{
    return slip.count;
}

/* ── reading ────────────────────────────────────────────────────────────────────────────────── */

/* A head begins a run: what was there before it is another one's. */
static void take_line(struct slip_lines *lines, struct bytes text)
{
    static struct manifest_line line;
    const char *why = "";
    if (manifest_parse(text, &line, &why))
        world_broken("a line of the manifest: %s: %.*s", why, (int)text.count, text.data);
    lines->whole = line.kind == MANIFEST_END && line.end.complete;
    if (line.kind == MANIFEST_END) lines->end = line.end;
    if (line.kind == MANIFEST_HEAD) lines->count = 0;
    if (line.kind != MANIFEST_OBJECT) return;
    lines->objects = realloc(lines->objects, (lines->count + 1) * sizeof *lines->objects);
    CHECK(lines->objects);
    lines->objects[lines->count++] = line.object;
}

static void read_lines(struct slip_lines *lines, const struct disk_node *node)
{
    const char *at = node->data, *end = node->data + node->bytes;
    memset(lines, 0, sizeof *lines);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) world_broken("the manifest ends within a line");
        take_line(lines, (struct bytes){at, (size_t)(stop - at)});
        at = stop + 1;
    }
    if (!lines->whole) world_broken("the manifest is not that of a whole run");
}

/* ── comparing ──────────────────────────────────────────────────────────────────────────────── */

static void sum_parts(const struct manifest_object *object, const char *data, uint64_t bytes,
                      struct checksum_value *sum)
{
    uint8_t *raws = malloc(32 * (object->part_count + 1));
    uint32_t count = 0, parts = 0;
    CHECK(raws);
    for (uint64_t at = 0; at < bytes && parts < object->part_count; parts++) {
        uint64_t size = min_u64(object->part_bytes, bytes - at);
        count += proof_raw(object->checksum.kind, data + at, size, raws + count);
        at += size;
    }
    sum->count = proof_raw(object->checksum.kind, raws, count, sum->data);
    free(raws);
}

static void check_line(const struct manifest_object *object, const char *data, uint64_t bytes)
{
    struct checksum_value sum;
    slip.count++;
    if (object->bytes != bytes)
        world_broken("the manifest has %llu bytes of %s, there are %llu",
                     (unsigned long long)object->bytes, object->key, (unsigned long long)bytes);
    if (!object->checksum.kind || object->kept) return;
    if (!object->part_count)
        sum.count = proof_raw(object->checksum.kind, data, bytes, sum.data);
    else if (object->part_bytes)
        sum_parts(object, data, bytes, &sum);
    else
        return;
    if (sum.count != object->checksum.count || memcmp(sum.data, object->checksum.data, sum.count))
        world_broken("the manifest has another checksum of %s", object->key);
}

static const struct manifest_object *find_line(const struct slip_lines *lines, const char *key)
{
    for (uint32_t i = lines->count; i > 0; i--)
        if (strcmp(lines->objects[i - 1].key, key) == 0) return &lines->objects[i - 1];
    return NULL;
}

static void check_item(const struct slip_lines *lines, const struct item *item)
{
    const struct manifest_object *line = find_line(lines, item_key(item));
    const struct store_object *object = store_find(item_key(item));
    const struct disk_node *node = rules_target(item);
    const struct pipe_world *pipes = pipe_world();
    if (!item->done) return;
    if (!line) world_broken("%s is done, and the manifest does not name it", item->name);
    if (scenario_world()->kind == DOWN_PIPE) {
        check_line(line, pipes->out.data, pipes->out.bytes);
    } else if (!scenario_is_upload()) {
        if (node) check_line(line, node->data, node->bytes);
    } else if (object && object->blob && !object->late) {
        check_line(line, object->blob->data, object->blob->bytes);
        if (!rules_drew_faults() && strcmp(line->etag, object->etag) != 0)
            world_broken("the manifest has the ETag %s of %s, not %s", line->etag, item->name,
                         object->etag);
    }
}

static void check_counts(const struct slip_lines *lines)
{
    const struct run_numbers *n = &scenario_world()->result.numbers;
    const struct manifest_end *end = &lines->end;
    if (end->done != n->done || end->failed != n->failed || end->skipped != n->skipped)
        world_broken("the manifest counts %llu done, %llu failed, %llu skipped",
                     (unsigned long long)end->done, (unsigned long long)end->failed,
                     (unsigned long long)end->skipped);
    if (lines->count != n->done)
        world_broken("the manifest has %u lines of %llu objects", lines->count,
                     (unsigned long long)n->done);
}

void slip_check(bool by_itself)
{
    const struct disk_node *node = slip.wanted ? disk_find(SLIP_PATH) : NULL;
    struct slip_lines lines;
    if (!node) return;
    read_lines(&lines, node);
    if (by_itself && node->inode != slip.inode) {
        check_counts(&lines);
        for (uint32_t i = 0; i < items_world()->count; i++)
            check_item(&lines, &items_world()->all[i]);
    }
    slip.inode = node->inode;
    free(lines.objects);
}
