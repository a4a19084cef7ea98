#include "s3/pairs.h"

#include <stdio.h>
#include <string.h>

#include "s3/spread.h"

static void pairs_on_files(struct op *op);
static void pairs_on_objects(struct op *op);
static void pairs_on_roll(struct op *op);

void pairs_init(struct pairs *pairs, struct station *station, enum pairs_kind kind,
                uint32_t endpoint)
{
    memset(pairs, 0, sizeof *pairs);
    pairs->kind = kind;
    pairs->station = station;
    pairs->endpoint = endpoint;
    find_init(&pairs->files, station->core);
    find_init(&pairs->objects, station->core);
    op_init(&pairs->files_op, pairs_on_files);
    op_init(&pairs->objects_op, pairs_on_objects);
    op_init(&pairs->roll_op, pairs_on_roll);
}

static void pairs_fail(struct pairs *pairs, enum err err, const char *why)
{
    if (pairs->err || !err) return;
    pairs->err = err;
    snprintf(pairs->why, sizeof pairs->why, "%s", why);
}

/* --- a walk and a listing --- */

static void pairs_give(struct pairs *pairs, bool file, bool object)
{
    pairs->has_item = true;
    pairs->took_file = file;
    pairs->took_object = object;
}

/* What cannot be compared is told by itself, from whichever side it comes. */
static bool pairs_is_odd(struct pairs *pairs, const struct find_item *item, bool file)
{
    if (!item || item->verdict == FIND_MOVE) return false;
    pairs->item =
        (struct pairs_item){.verdict = item->verdict == FIND_SKIP ? PAIRS_SKIP : PAIRS_FAIL,
                            .is_file = file,
                            .name = item->name,
                            .reason = item->reason,
                            .expected = item->expected,
                            .err = item->err,
                            .raw = item->raw};
    pairs_give(pairs, file, !file);
    return true;
}

static void pairs_check_order(struct pairs *pairs, struct bytes name)
{
    struct bytes last = {pairs->last_name, pairs->last_name_bytes};
    if (last.count > 0 && bytes_compare(last, name) >= 0)
        pairs_fail(pairs, ERR_UNSUPPORTED,
                   "the server does not list its objects in the order of their names, so that "
                   "they cannot be compared with a folder");
    pairs->last_name_bytes = min_u64(name.count, sizeof pairs->last_name);
    memcpy(pairs->last_name, name.data, pairs->last_name_bytes);
}

static void pairs_peek_join(struct pairs *pairs)
{
    const struct find_item *file = find_peek(&pairs->files);
    const struct find_item *object = find_peek(&pairs->objects);
    if (!file && !find_is_over(&pairs->files)) return;
    if (!object && !find_is_over(&pairs->objects)) return;
    if (!file && !object) {
        pairs->over = true;
        return;
    }
    if (pairs_is_odd(pairs, file, true) || pairs_is_odd(pairs, object, false)) return;
    int order = !file ? 1 : !object ? -1 : bytes_compare(file->name, object->name);
    bool has_file = order <= 0, has_object = order >= 0;
    pairs->item = (struct pairs_item){.verdict = !has_object ? PAIRS_FILE
                                                 : has_file  ? PAIRS_BOTH
                                                             : PAIRS_OBJECT,
                                      .name = has_file ? file->name : object->name,
                                      .identity = has_file ? file->identity : NULL,
                                      .file_bytes = has_file ? file->size_bytes : 0,
                                      .object_bytes = has_object ? object->size_bytes : 0};
    if (has_object) pairs_check_order(pairs, object->name);
    if (!pairs->err) pairs_give(pairs, has_file, has_object);
}

/* --- the same, with digits in front of the keys --- */

static void pairs_take_file(struct pairs *pairs, const struct find_item *file)
{
    bool named;
    pairs_fail(pairs, roll_claim(&pairs->roll, "", "", file->name, &named), "");
    if (pairs->err) return;
    pairs->item = (struct pairs_item){.verdict = PAIRS_BOTH,
                                      .name = file->name,
                                      .unlisted = true,
                                      .identity = file->identity,
                                      .file_bytes = file->size_bytes};
    pairs_give(pairs, true, false);
}

/* False: it is the object of a file, and was told with that. */
static bool pairs_take_object(struct pairs *pairs, const struct find_item *object)
{
    struct bytes name;
    bool fits = spread_strip(pairs->station->conf->spread, object->name, &name), named = false;
    if (fits) pairs_fail(pairs, roll_claim(&pairs->roll, "", "", name, &named), "");
    if (named || pairs->err) return false;
    pairs->item = (struct pairs_item){.verdict = PAIRS_OBJECT,
                                      .name = name,
                                      .object_bytes = object->size_bytes,
                                      .err = fits ? ERR_NONE : ERR_SPREAD};
    pairs_give(pairs, false, true);
    return true;
}

static void pairs_peek_spread(struct pairs *pairs)
{
    const struct find_item *file = find_peek(&pairs->files), *object;
    if (!file && !find_is_over(&pairs->files)) return;
    if (pairs_is_odd(pairs, file, true)) return;
    if (file) {
        pairs_take_file(pairs, file);
        return;
    }
    while ((object = find_peek(&pairs->objects)) != NULL) {
        if (pairs_is_odd(pairs, object, false) || pairs_take_object(pairs, object)) return;
        if (pairs->err) return;
        find_pop(&pairs->objects);
    }
    if (find_is_over(&pairs->objects)) pairs->over = true;
}

/* --- a manifest --- */

static enum err pairs_open_scope(struct pairs *pairs, const struct roll_scope *scope)
{
    struct client *client = &pairs->station->clients[pairs->endpoint];
    pairs->scope_is_open = true;
    if (scope->files)
        return find_open_walk(&pairs->files, scope->root, pairs->station->conf->symlinks,
                              BYTES(""));
    return find_open_listing(&pairs->objects, client, bytes_of(scope->root),
                             bytes_of(scope->prefix), BYTES(""));
}

static struct find *pairs_scope_find(struct pairs *pairs, const struct roll_scope *scope)
{
    return scope->files ? &pairs->files : &pairs->objects;
}

static void pairs_close_scope(struct pairs *pairs, struct find *find)
{
    find_close(find);
    find_init(find, pairs->station->core);
    pairs->scope_is_open = false;
    pairs->scope++;
}

/* Is this item of a scope something to tell? */
static bool pairs_take_extra(struct pairs *pairs, const struct roll_scope *scope,
                             const struct find_item *item)
{
    bool named = false;
    if (item->verdict == FIND_MOVE)
        pairs_fail(pairs, roll_claim(&pairs->roll, scope->root, scope->prefix, item->name, &named),
                   "");
    if (named || pairs->err) return false;
    if (!pairs_is_odd(pairs, item, scope->files)) {
        pairs->item = (struct pairs_item){
            .verdict = PAIRS_EXTRA, .is_file = scope->files, .name = item->name};
        pairs_give(pairs, scope->files, !scope->files);
    }
    pairs->item.scope = scope;
    return true;
}

static void pairs_peek_extra(struct pairs *pairs)
{
    while (!pairs->err && !pairs->has_item) {
        if (pairs->scope == pairs->roll.scope_count) {
            pairs->over = true;
            return;
        }
        const struct roll_scope *scope = &pairs->roll.scopes[pairs->scope];
        struct find *find = pairs_scope_find(pairs, scope);
        if (!pairs->scope_is_open) pairs_fail(pairs, pairs_open_scope(pairs, scope), "");
        if (pairs->err) return; /* then there is nothing to look at */
        const struct find_item *item = find_peek(find);
        if (!item && !find_is_over(find)) return;
        if (!item)
            pairs_close_scope(pairs, find);
        else if (!pairs_take_extra(pairs, scope, item))
            find_pop(find);
    }
}

static void pairs_peek_roll(struct pairs *pairs)
{
    const struct roll_item *line = roll_peek(&pairs->roll);
    if (line) {
        pairs->item =
            (struct pairs_item){.verdict = PAIRS_LINE, .is_file = line->files, .line = line};
        pairs_give(pairs, false, false);
    } else if (roll_is_over(&pairs->roll)) {
        pairs_fail(pairs, pairs->roll.err, pairs->roll.why);
        pairs_peek_extra(pairs);
    }
}

/* --- items --- */

const struct pairs_item *pairs_peek(struct pairs *pairs)
{
    if (pairs->stopped || pairs->err || pairs->owner) return NULL;
    if (pairs->has_item) return &pairs->item;
    if (pairs->over) return NULL;
    switch (pairs->kind) {
    case PAIRS_ONE:
        pairs->item = (struct pairs_item){.verdict = PAIRS_BOTH, .name = BYTES("")};
        pairs_give(pairs, false, false);
        break;
    case PAIRS_JOIN: pairs_peek_join(pairs); break;
    case PAIRS_SPREAD: pairs_peek_spread(pairs); break;
    case PAIRS_ROLL: pairs_peek_roll(pairs); break;
    }
    return pairs->has_item ? &pairs->item : NULL;
}

void pairs_pop(struct pairs *pairs)
{
    CHECK(pairs->has_item);
    pairs->has_item = false;
    if (pairs->kind == PAIRS_ONE) pairs->over = true;
    if (pairs->item.verdict == PAIRS_LINE) roll_pop(&pairs->roll);
    if (pairs->took_file) find_pop(&pairs->files);
    if (pairs->took_object) find_pop(&pairs->objects);
}

bool pairs_is_over(const struct pairs *pairs)
{
    return (pairs->over || pairs->stopped || pairs->err) && !pairs->owner;
}

/* --- more of them --- */

static void pairs_wait_find(struct pairs *pairs, struct find *find, struct op *op)
{
    if (find_peek(find) || find_is_over(find)) return;
    pairs->waits++;
    find_wait(find, op);
}

void pairs_wait(struct pairs *pairs, struct op *op)
{
    op_begin(op);
    CHECK(!pairs->owner && !pairs->has_item && !pairs->over);
    pairs->owner = op;
    pairs->waits = 0;
    if (pairs->kind == PAIRS_ROLL && !roll_is_over(&pairs->roll)) {
        pairs->waits++;
        roll_wait(&pairs->roll, &pairs->roll_op);
        return;
    }
    if (pairs->kind == PAIRS_ROLL) {
        bool files = pairs->roll.scopes[pairs->scope].files;
        pairs_wait_find(pairs, files ? &pairs->files : &pairs->objects,
                        files ? &pairs->files_op : &pairs->objects_op);
        return;
    }
    pairs_wait_find(pairs, &pairs->files, &pairs->files_op);
    pairs_wait_find(pairs, &pairs->objects, &pairs->objects_op);
    CHECK(pairs->waits > 0);
}

static void pairs_settle(struct pairs *pairs)
{
    struct op *owner = pairs->owner;
    if (--pairs->waits > 0) return;
    pairs->owner = NULL;
    core_finish(pairs->station->core, owner, pairs->err);
}

static void pairs_on_files(struct op *op)
{
    struct pairs *pairs = container_of(op, struct pairs, files_op);
    pairs_fail(pairs, op->err, pairs->files.why);
    pairs_settle(pairs);
}

static void pairs_on_objects(struct op *op)
{
    struct pairs *pairs = container_of(op, struct pairs, objects_op);
    pairs_fail(pairs, op->err, pairs->objects.why);
    pairs_settle(pairs);
}

static void pairs_on_roll(struct op *op)
{
    struct pairs *pairs = container_of(op, struct pairs, roll_op);
    pairs_fail(pairs, op->err, pairs->roll.why);
    pairs_settle(pairs);
}

void pairs_stop(struct pairs *pairs)
{
    pairs->stopped = true;
    pairs->has_item = false;
    find_stop(&pairs->files);
    find_stop(&pairs->objects);
    if (pairs->kind == PAIRS_ROLL) roll_stop(&pairs->roll);
}

void pairs_close(struct pairs *pairs)
{
    CHECK(!pairs->owner);
    find_close(&pairs->files);
    find_close(&pairs->objects);
    roll_close(&pairs->roll);
}
