#include "s3/find.h"

#include <stdio.h>
#include <string.h>

static void find_on_batch(struct op *op);
static void find_on_page(struct op *op);

void find_init(struct find *find, struct core *core)
{
    memset(find, 0, sizeof *find);
    find->core = core;
    op_init(&find->page, find_on_page);
    walk_batch_init(&find->batch);
}

void find_open_one(struct find *find, const struct find_item *item)
{
    find->kind = FIND_ONE;
    find->item = *item;
    find->has_item = true;
}

enum err find_open_walk(struct find *find, const char *root, enum walk_symlinks symlinks,
                        struct bytes behind)
{
    find->kind = FIND_WALK;
    return walk_open(&find->walk, find->core, root, symlinks, behind);
}

/* No key in a folder comes behind this one, unless it begins with it. */
#define FIND_LAST_CHARACTER "\xf4\x8f\xbf\xbf" /* U+10FFFF */

enum err find_open_listing(struct find *find, struct client *client, struct bytes bucket,
                           struct bytes prefix, struct bytes behind)
{
    char after[KEY_BYTES_MAX + sizeof FIND_LAST_CHARACTER];
    struct writer w;
    writer_init(&w, after, sizeof after);
    if (behind.count > 0) {
        writer_put(&w, prefix);
        writer_put(&w, behind);
        writer_text(&w, FIND_LAST_CHARACTER);
    }
    find->kind = FIND_LISTING;
    find->prefix_bytes = prefix.count;
    return listing_open(&find->listing, client, bucket, prefix, BYTES(""),
                        bytes_of(writer_string(&w)));
}

enum err find_open_key(struct find *find, struct client *client, struct bytes bucket,
                       struct bytes key, struct bytes behind)
{
    find->kind = FIND_LISTING;
    find->prefix_bytes = key.count;
    return listing_open(&find->listing, client, bucket, key, BYTES(""), behind);
}

/* --- items --- */

static void find_of_walk(struct find_item *item, const struct walk_entry *entry)
{
    static const char *const reasons[] = {[WALK_FOLDER] = "an empty folder",
                                          [WALK_SYMLINK] = "a symbolic link",
                                          [WALK_SPECIAL] = "a device, pipe or socket",
                                          [WALK_DANGLING] = "a symbolic link to nothing",
                                          [WALK_LOOP] = "it leads back to a folder above it"};
    *item = (struct find_item){.verdict = FIND_SKIP,
                               .name = bytes_of(entry->path),
                               .size_known = true,
                               .size_bytes = entry->identity.size_bytes,
                               .etag = "",
                               .identity = &entry->identity,
                               .err = entry->err,
                               .raw = entry->raw};
    if (entry->kind == WALK_FILE)
        item->verdict = FIND_MOVE;
    else if (entry->kind == WALK_ERROR)
        item->verdict = FIND_FAIL;
    else
        item->reason = reasons[entry->kind];
    item->expected = entry->kind == WALK_SYMLINK;
}

static void find_of_listing(struct find *find, const struct listing_entry *entry)
{
    struct bytes name = {entry->key.data + find->prefix_bytes,
                         entry->key.count - find->prefix_bytes};
    find->item = (struct find_item){.verdict = FIND_MOVE,
                                    .name = name,
                                    .size_known = true,
                                    .size_bytes = entry->size_bytes,
                                    .etag = entry->etag};
    if (name.count == 0 || bytes_end_with(name, BYTES("/"))) {
        find->item.verdict = FIND_SKIP;
        find->item.reason = "a folder marker";
        find->item.expected = true;
    }
}

const struct find_item *find_peek(struct find *find)
{
    if (find->stopped) return NULL;
    if (find->has_item) return &find->item;
    if (find->owner || find->over) return NULL;
    if (find->kind == FIND_WALK && find->index < find->batch.count) {
        find_of_walk(&find->item, &find->batch.entries[find->index++]);
        find->has_item = true;
    } else if (find->kind == FIND_LISTING && find->index < listing_count(find->listing)) {
        find_of_listing(find, listing_entry(find->listing, find->index++));
        find->has_item = true;
    } else if (find->kind == FIND_ONE ||
               (find->kind == FIND_LISTING && listing_is_done(find->listing))) {
        find->over = true;
    }
    return find->has_item ? &find->item : NULL;
}

void find_pop(struct find *find)
{
    CHECK(find->has_item);
    find->has_item = false;
}

bool find_is_over(const struct find *find)
{
    return (find->over || find->stopped) && !find->owner;
}

/* --- more of them --- */

void find_wait(struct find *find, struct op *op)
{
    op_begin(op);
    CHECK(!find->owner && !find->has_item && !find->over);
    find->owner = op;
    find->index = 0;
    if (find->kind == FIND_WALK) {
        walk_next(find->walk, &find->batch, find_on_batch);
    } else {
        CHECK(find->kind == FIND_LISTING);
        listing_next(find->listing, &find->page);
    }
}

static void find_end_wait(struct find *find, enum err err, const char *why)
{
    struct op *owner = find->owner;
    find->owner = NULL;
    if (err) {
        find->err = err;
        find->over = true;
        snprintf(find->why, sizeof find->why, "%s", why);
    }
    core_finish(find->core, owner, err);
}

static void find_on_batch(struct op *op)
{
    struct walk_batch *batch = container_of(op, struct walk_batch, op);
    struct find *find = container_of(batch, struct find, batch);
    if (!op->err && batch->count == 0) find->over = true;
    find_end_wait(find, op->err, "");
}

static void find_on_page(struct op *op)
{
    struct find *find = container_of(op, struct find, page);
    find_end_wait(find, op->err, op->err ? listing_why(find->listing) : "");
}

void find_stop(struct find *find)
{
    find->stopped = true;
    find->has_item = false;
    if (find->owner && find->kind == FIND_LISTING) listing_cancel(find->listing);
}

void find_close(struct find *find)
{
    CHECK(!find->owner);
    if (find->walk) walk_close(find->walk);
    if (find->listing) listing_close(find->listing);
    walk_batch_fini(&find->batch);
    find->walk = NULL;
    find->listing = NULL;
}
