#include "s3/search.h"

#include <stdio.h>
#include <string.h>

static void search_on_found(struct op *op);

static struct search_branch *search_begin_branch(struct search *search, uint32_t index)
{
    struct search_branch *branch = &search->branches[index];

    CHECK(!branch->op.out);
    find_init(&branch->find, search->core);
    op_init(&branch->op, search_on_found);
    branch->search = search;
    branch->open = true;
    branch->plain = branch->given = branch->ends = branch->doubts = false;
    branch->previous = index;
    branch->behind[0] = branch->within[0] = branch->before[0] = '\0';
    search->last = index;
    if (search->count <= index) search->count = index + 1;
    return branch;
}

void search_init(struct search *search, struct core *core, search_fn *on_found)
{
    memset(search, 0, sizeof *search);
    search->core = core;
    search->on_found = on_found;
}

/* Begins a branch behind a folder, or with "" at the beginning. */
static enum err search_open_branch(struct search *search, uint32_t index, struct bytes behind)
{
    struct search_branch *branch = search_begin_branch(search, index);

    CHECK(bytes_to_string(behind, branch->behind, sizeof branch->behind));
    if (search->kind == FIND_WALK)
        return find_open_walk(&branch->find, search->root, search->symlinks, behind);
    return find_open_listing(&branch->find, search->client, search->bucket, search->prefix, behind);
}

void search_open_one(struct search *search, const struct find_item *item)
{
    search->kind = FIND_ONE;
    find_open_one(&search_begin_branch(search, 0)->find, item);
}

enum err search_open_walk(struct search *search, const char *root, enum walk_symlinks symlinks)
{
    search->kind = FIND_WALK;
    search->root = root;
    search->symlinks = symlinks;
    return search_open_branch(search, 0, BYTES(""));
}

enum err search_open_listing(struct search *search, struct client *client, struct bytes bucket,
                             struct bytes prefix)
{
    search->kind = FIND_LISTING;
    search->client = client;
    search->bucket = bucket;
    search->prefix = prefix;
    search->disordered = bytes_end_with(bucket, BYTES(SEARCH_DIRECTORY_BUCKET));
    return search_open_branch(search, 0, BYTES(""));
}

static void search_fail(struct search *search, enum err err, const char *why)
{
    if (search->err) return;
    search->err = err;
    snprintf(search->why, sizeof search->why, "%s", why);
}

/* --- items --- */

/* "a/", or what lies in it: "a/b". A walk that cannot read the folder says "a". */
static bool search_is_within(struct bytes name, const char *folder)
{
    struct bytes start = bytes_of(folder);

    if (bytes_start_with(name, start)) return true;
    return bytes_equal(name, (struct bytes){start.data, start.count - 1});
}

/* Is an item of a branch before what it is to find, or that of another one? A walk begins where it
 * is asked to: its order is that of folders with their "/", which what it says of one has not. Of
 * the root only failures are said again. A server that does not know start-after gives all. */
static bool search_is_before(const struct search *search, const struct search_branch *branch,
                             const struct find_item *item)
{
    if (!branch->behind[0]) return false;
    if (search->kind == FIND_WALK) return item->name.count == 0 && item->verdict != FIND_FAIL;
    return bytes_start_with(item->name, bytes_of(branch->behind)) ||
           bytes_compare(item->name, bytes_of(branch->behind)) < 0;
}

static bool search_is_beyond(const struct search_branch *branch, const struct find_item *item)
{
    return branch->within[0] && item->name.count > 0 &&
           !search_is_within(item->name, branch->within);
}

/* Does it come in another order than that of bytes? */
static bool search_is_disordered(const struct search *search, const struct search_branch *branch,
                                 const struct find_item *item)
{
    return search->kind == FIND_LISTING && bytes_compare(item->name, bytes_of(branch->before)) < 0;
}

/* It is not forked any more; if it was, something may be missing. */
static void search_on_disorder(struct search *search)
{
    search->disordered = true;
    if (!search->forked) return;
    search_fail(search, ERR_XML_GARBAGE,
                "the server lists keys in another order than before: with --prefixes none they are "
                "listed in one piece");
    search_stop(search);
}

/* Its last word may be on its way yet. */
static bool search_branch_is_over(const struct search_branch *branch)
{
    return find_is_over(&branch->find) && !branch->op.out;
}

/* More of a branch that has nothing to say. */
static void search_wait(struct search_branch *branch)
{
    if (branch->op.out || find_is_over(&branch->find)) return;
    find_wait(&branch->find, &branch->op);
}

/* --- where a branch ends --- */

/* Its first name is the end of the one before it, which is there still: without that name there is
 * no further fork, so that no place was taken anew. */
static void search_on_first(struct search *search, uint32_t index, const struct find_item *item)
{
    struct search_branch *branch = &search->branches[index];
    struct search_branch *previous = &search->branches[branch->previous];

    if (branch->given || search->kind != FIND_LISTING) return;
    branch->given = true;
    if (branch->previous == index) return;
    previous->ends = true;
    if (!bytes_to_string(item->name, previous->end, sizeof previous->end)) previous->end[0] = '\0';
}

static struct bytes search_key(const struct search *search, struct bytes name, char *area,
                               size_t bytes)
{
    struct writer w;

    writer_init(&w, area, bytes);
    writer_put(&w, search->prefix);
    writer_put(&w, name);
    return bytes_of(writer_string(&w));
}

/* It stands behind its end, which it has not met: the server is asked whether that comes yet. */
static void search_doubt(struct search *search, struct search_branch *branch, struct bytes name)
{
    char end[2 * KEY_BYTES_MAX + 1], present[2 * KEY_BYTES_MAX + 1];
    struct bytes behind = search_key(search, name, present, sizeof present);
    struct bytes key = search_key(search, bytes_of(branch->end), end, sizeof end);

    branch->doubts = true;
    find_close(&branch->find);
    find_init(&branch->find, search->core);
    enum err err = find_open_key(&branch->find, search->client, search->bucket, key, behind);
    if (!err) {
        search_wait(branch);
        return;
    }
    search_fail(search, err, "");
    find_stop(&branch->find);
}

static void search_resolve(struct search *search, struct search_branch *branch)
{
    const struct find_item *item = find_peek(&branch->find);

    if (!item) {
        search_wait(branch);
        return;
    }
    if (item->name.count == 0)
        search_on_disorder(search);
    else
        find_stop(&branch->find);
}

/* May a branch give what it met behind its folder? If not, it waits or has ended. */
static bool search_may_give(struct search *search, struct search_branch *branch,
                            const struct find_item *item)
{
    if (search->kind == FIND_LISTING && !branch->ends) {
        (void)search_peek(search, branch->next);
        if (search->stopped || search->err) return false;
        if (!branch->ends) return search_branch_is_over(&search->branches[branch->next]);
    }
    int order = branch->ends ? bytes_compare(item->name, bytes_of(branch->end)) : 0;
    if (order < 0) return true;
    if (order == 0 || search->sees_all)
        find_stop(&branch->find);
    else
        search_doubt(search, branch, item->name);
    return false;
}

const struct find_item *search_peek(struct search *search, uint32_t index)
{
    struct search_branch *branch = &search->branches[index];
    const struct find_item *item;

    if (!branch->open || search->stopped) return NULL;
    if (branch->doubts) {
        search_resolve(search, branch);
        return NULL;
    }
    while ((item = find_peek(&branch->find)) != NULL) {
        if (search_is_disordered(search, branch, item)) search_on_disorder(search);
        if (search->stopped) return NULL;
        if (search_is_beyond(branch, item) && !search_may_give(search, branch, item)) return NULL;
        if (!search_is_before(search, branch, item)) {
            search_on_first(search, index, item);
            return item;
        }
        search->restarts |= search->kind == FIND_LISTING;
        search->sees_all |= bytes_start_with(item->name, bytes_of(branch->behind));
        search_pop(search, index);
    }
    search_wait(branch);
    return NULL;
}

void search_pop(struct search *search, uint32_t index)
{
    struct search_branch *branch = &search->branches[index];
    const struct find_item *item = find_peek(&branch->find);

    CHECK(item);
    if (!bytes_to_string(item->name, branch->before, sizeof branch->before))
        branch->before[0] = '\0';
    find_pop(&branch->find);
}

/* --- branches --- */

/* A place for one more; SEARCH_BRANCHES_MAX: there is none. */
static uint32_t search_find_place(struct search *search)
{
    uint32_t index = 0;

    while (index < search->count && search->branches[index].open &&
           !search_branch_is_over(&search->branches[index]))
        index++;
    if (index < search->count && search->branches[index].open)
        find_close(&search->branches[index].find);
    return index;
}

bool search_fork(struct search *search, uint32_t index)
{
    struct search_branch *branch = &search->branches[index];
    const struct find_item *item = find_peek(&branch->find);
    const char *slash;

    CHECK(item && !branch->within[0] == (index == search->last));
    if (index != search->last || search->kind == FIND_ONE) return false;
    if (search->disordered || search->restarts) return false;
    slash = item->name.count > 0 ? memchr(item->name.data, '/', item->name.count) : NULL;
    if (!slash) return false;
    struct bytes folder = {item->name.data, (size_t)(slash - item->name.data) + 1};
    if (search->prefix.count + folder.count > KEY_BYTES_MAX) return false;
    if (memchr(folder.data, '\0', folder.count)) return false;
    uint32_t place = search_find_place(search);
    if (place == SEARCH_BRANCHES_MAX) return false;
    if (search_open_branch(search, place, folder)) {
        find_close(&search->branches[place].find);
        search->branches[place].open = false;
        search->last = index;
        return false;
    }
    CHECK(bytes_to_string(folder, branch->within, sizeof branch->within));
    branch->next = place;
    search->branches[place].previous = index;
    search->forked = true;
    return true;
}

/* The server may refuse to begin in the midst: then it is asked for all, once. */
static bool search_begins_again(struct search_branch *branch, enum err err)
{
    struct search *search = branch->search;
    bool refused = err == ERR_REQUEST || err == ERR_UNSUPPORTED;

    if (!refused || search->kind != FIND_LISTING || search->stopped) return false;
    if (!branch->behind[0] || branch->before[0] || branch->plain || branch->doubts) return false;
    find_close(&branch->find);
    find_init(&branch->find, search->core);
    branch->plain = search->restarts = search->sees_all = true;
    return !find_open_listing(&branch->find, search->client, search->bucket, search->prefix,
                              BYTES(""));
}

static void search_on_found(struct op *op)
{
    struct search_branch *branch = container_of(op, struct search_branch, op);

    if (op->err && !search_begins_again(branch, op->err))
        search_fail(branch->search, op->err, branch->find.why);
    branch->search->on_found(branch->search);
}

bool search_has_rest(const struct search *search, uint32_t index)
{
    return index == search->last;
}

bool search_is_over(const struct search *search)
{
    for (uint32_t i = 0; i < search->count; i++)
        if (search->branches[i].open && !search_branch_is_over(&search->branches[i])) return false;
    return true;
}

void search_stop(struct search *search)
{
    search->stopped = true;
    for (uint32_t i = 0; i < search->count; i++)
        if (search->branches[i].open) find_stop(&search->branches[i].find);
}

void search_close(struct search *search)
{
    for (uint32_t i = 0; i < search->count; i++)
        if (search->branches[i].open) find_close(&search->branches[i].find);
    search->count = 0;
}
