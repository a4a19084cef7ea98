#include "tests/sim/forest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "s3/search.h"
#include "tests/sim/disk.h"
#include "tests/sim/scenario.h"
#include "tests/sim/stock.h"
#include "tests/sim/world.h"

#define FOLDERS_MAX 16u
#define CHANGES_MAX 4u
#define BEGUN_MAX   64u
#define SEEDS_FEW   40u  /* from so many on a search is forked in both directions … */
#define SEEDS_MANY  300u /* … and all that may happen to one has happened */

struct folder {         /* at the top */
    const char *name;   /* without its "/" */
    bool empty, marked; /* no file is in it; it has an object of its own, "…/" */
    /* of this process */
    bool closed, torn; /* cannot be read; not to its end */
    bool seen, missed; /* found as such; not there any more, when a walk came to it */
};

struct forest_change {
    struct event event;
    bool appears;
    uint32_t folder;
};

static struct {
    bool is_one, is_upload, pure, closes, fails;
    bool alone; /* of what else a seed may have goes wrong nothing */
    struct folder folders[FOLDERS_MAX];
    uint32_t count, heavy; /* most items are in this one */
    uint32_t slow;         /* an index; count: none is */
    uint64_t slow_ns, page_ns;
    double limit; /* the chance of a refusal, there */
    enum forest_listing listing;
    struct forest_change changes[CHANGES_MAX];
    /* of this process */
    uint64_t begun[BEGUN_MAX]; /* hashes of what branches began behind */
    uint32_t begun_count, walks;
    /* of all */
    bool counts[FOREST_COUNT_COUNT];
    uint32_t most;
} forest;

static const char *const count_names[] = {
#define FOREST_COUNT(name, text) text,
    FOREST_COUNTS(FOREST_COUNT)
#undef FOREST_COUNT
};

/* ── drawing ────────────────────────────────────────────────────────────────────────────────── */

/* "." and "-" are before "/", "0" and letters behind it. */
static const char *const names[] = {"data",   "data-old", "data.x", "data 2", "data0",
                                    "dat",    "data+",    "Data",   "a",      "z",
                                    "DATA-3", "data!",    "data_1", "da%ta",  "\xc3\xa9t\xc3\xa9",
                                    "~"};

_Static_assert(ARRAY_COUNT(names) == FOLDERS_MAX, "each may be one");

static void draw_folders(void)
{
    forest.count = (uint32_t)world_between(2, FOLDERS_MAX);
    for (uint32_t i = 0; i < FOLDERS_MAX; i++)
        forest.folders[i].name = names[i];
    for (uint32_t i = 0; i < forest.count; i++) {
        uint64_t other = world_between(i, FOLDERS_MAX - 1);
        const char *name = forest.folders[i].name;
        forest.folders[i].name = forest.folders[other].name;
        forest.folders[other].name = name;
        forest.folders[i].empty = i > 1 && world_chance(0.1);
        forest.folders[i].marked = world_chance(0.2);
    }
    forest.heavy = (uint32_t)world_below(2);
}

static void draw_faults(void)
{
    forest.alone = world_chance(0.6);
    forest.closes = world_chance(0.5);
    forest.fails = world_chance(0.2);
    if (world_chance(0.5)) forest.limit = world_scale(0.05, 0.6);
    if (!forest.is_upload && world_chance(0.5))
        forest.listing = world_chance(0.5) ? FOREST_SLASH_FIRST : FOREST_NO_CASE;
}

bool forest_open_world(bool is_upload, bool pure)
{
    memset(&forest, 0, sizeof forest);
    forest.is_one = world->seed % 8 == 0 || world->seed % 8 == 3;
    if (!forest.is_one) return false;
    forest.is_upload = is_upload;
    forest.pure = pure;
    draw_folders();
    forest.slow = world_chance(0.8) ? (uint32_t)world_below(forest.count) : forest.count;
    forest.slow_ns = (uint64_t)world_scale(1e7, 3e9);
    if (world_chance(0.4)) forest.page_ns = (uint64_t)world_scale(1e6, 3e9);
    if (world_chance(0.3)) forest.listing = world_chance(0.5) ? FOREST_IGNORES : FOREST_REFUSES;
    if (!pure) draw_faults();
    return true;
}

bool forest_is_one(void)
{
    return forest.is_one;
}

bool forest_is_alone(void)
{
    return forest.is_one && forest.alone;
}

bool forest_is_slow(void)
{
    return forest.is_one && forest.slow < forest.count;
}

void forest_draw_conf(struct conf *conf)
{
    conf->search_ahead.small_first = (uint32_t)world_between(1, 6);
    conf->search_ahead.small_most = (uint32_t)world_between(1, 6) * SEARCH_BRANCHES_MAX;
    conf->search_ahead.large_first = (uint32_t)world_between(1, 4);
    conf->search_ahead.large_most = (uint32_t)world_between(1, 3) * SEARCH_BRANCHES_MAX;
    conf->prefixes = world_chance(0.7) ? PREFIXES_STATIC : PREFIXES_FAIR;
    conf->attempts_max = (uint32_t)world_between(2, 8);
    if (world_chance(0.3)) conf->multipart_threshold_bytes = world_between(1, 1000); /* all large */
}

/* ── items ──────────────────────────────────────────────────────────────────────────────────── */

static void add_item(uint32_t folder, bool root)
{
    static const char *const below[] = {"", "", "", "data/", "data-/", "s/t/"};
    char name[ITEM_NAME_MAX];
    const struct folder *top = &forest.folders[folder];
    const char *sub = below[world_below(ARRAY_COUNT(below))];
    snprintf(name, sizeof name, "%s%s%s%s%u", top->name, root ? "" : "/", root ? "" : sub,
             root ? ".f" : "f", items_world()->count);
    items_add_named(name, world_chance(0.05) ? items_draw_size(false) : world_below(3000));
}

static uint32_t draw_folder(void)
{
    uint32_t folder = (uint32_t)world_below(forest.count);
    return world_chance(0.5) || forest.folders[folder].empty ? forest.heavy : folder;
}

void forest_draw_items(void)
{
    uint64_t count = (uint64_t)world_scale(20, 250);
    for (uint64_t i = 0; i < count; i++)
        add_item(draw_folder(), world_chance(0.06));
}

void forest_put(void)
{
    char key[64];
    for (uint32_t i = 0; i < forest.count && !forest.is_upload; i++) {
        snprintf(key, sizeof key, SCENARIO_PREFIX "%s/", forest.folders[i].name);
        if (forest.folders[i].marked) store_put(key, blob_new(0));
    }
}

static struct folder *find_folder(struct bytes name)
{
    for (uint32_t i = 0; i < forest.count; i++)
        if (bytes_equal(name, bytes_of(forest.folders[i].name))) return &forest.folders[i];
    return NULL;
}

/* The folder at the top that a relative name is in; NULL: it is in none. */
static struct folder *folder_of(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? find_folder((struct bytes){name, (size_t)(slash - name)}) : NULL;
}

/* ── what changes meanwhile ─────────────────────────────────────────────────────────────────── */

static void vanish(const struct folder *folder)
{
    for (uint32_t i = 0; i < items_world()->count; i++) {
        struct item *item = &items_world()->all[i];
        if (item->gone || folder_of(item->name) != folder) continue;
        item->gone = true;
        stock_remove(item);
    }
}

static void appear(uint32_t folder)
{
    for (uint64_t count = world_between(1, 5); count > 0; count--) {
        if (items_world()->count == ITEMS_MAX) return;
        add_item(folder, world_chance(0.2));
        struct item *item = &items_world()->all[items_world()->count - 1];
        item->fresh = true;
        stock_put_item(item);
    }
}

static void change_on_event(struct event *event)
{
    struct forest_change *change = container_of(event, struct forest_change, event);
    struct folder *folder = &forest.folders[change->folder];
    if (!world->faulty || folder->empty) return;
    world->fault_counts[FAULT_FOREST_CHANGES]++;
    world_note(change->appears ? "appears" : "vanishes", change->folder, 0);
    if (change->appears)
        appear(change->folder);
    else
        vanish(folder);
    if (forest.begun_count)
        forest.counts[change->appears ? FOREST_APPEARS_COUNT : FOREST_VANISHES_COUNT] = true;
}

void forest_draw_changes(double within_ns)
{
    uint64_t count = forest.is_one && !forest.pure && world_chance(0.3) ? CHANGES_MAX : 0;
    for (uint64_t i = 0; i < count; i++) {
        struct forest_change *change = &forest.changes[i];
        event_init(&change->event, change_on_event);
        change->appears = world_chance(0.5);
        change->folder = (uint32_t)world_below(forest.count);
        event_start(&change->event,
                    world->now_ns + (uint64_t)(within_ns * rand_unit(&world->rand)));
    }
}

double forest_guess_ns(void)
{
    double pages = forest.is_upload ? 0 : 8, slow = forest.slow < forest.count ? 4 : 0;
    return forest.is_one ? pages * (double)forest.page_ns + slow * (double)forest.slow_ns : 0;
}

/* ── processes ──────────────────────────────────────────────────────────────────────────────── */

void forest_on_process(void)
{
    forest.begun_count = forest.walks = 0;
    for (uint32_t i = 0; i < items_world()->count; i++)
        items_world()->all[i].fresh = false;
    for (uint32_t i = 0; i < forest.count; i++) {
        struct folder *folder = &forest.folders[i];
        bool fails = forest.closes && forest.is_upload && world->faulty && world_chance(0.25);
        folder->seen = folder->missed = false;
        folder->torn = fails && !folder->empty && world_chance(0.5);
        folder->closed = fails && !folder->torn;
    }
}

static void on_branches(uint32_t count)
{
    forest.most = (uint32_t)max_u64(forest.most, count);
    forest.counts[forest.is_upload ? FOREST_UP_COUNT : FOREST_DOWN_COUNT] = true;
    if (count >= SEARCH_BRANCHES_MAX) forest.counts[FOREST_FULL_COUNT] = true;
    if (forest.slow < forest.count) forest.counts[FOREST_SLOW_COUNT] = true;
}

void forest_on_branch(const char *behind)
{
    uint64_t hash = 14695981039346656037ull; /* FNV-1a; Fowler, Noll, Vo */
    for (const char *c = behind; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211ull;
    for (uint32_t i = 0; i < forest.begun_count; i++)
        if (forest.begun[i] == hash) return; /* asked again */
    if (!forest.is_one) world_broken("the search of a small tree is forked");
    CHECK(forest.begun_count < BEGUN_MAX);
    forest.begun[forest.begun_count++] = hash;
    on_branches(forest.is_upload ? forest.walks : forest.begun_count + 1);
}

void forest_on_walk(bool opens)
{
    forest.walks += opens ? 1 : -1u;
}

void forest_on_end(bool was_ended)
{
    if (was_ended && forest.begun_count) forest.counts[FOREST_ENDED_COUNT] = true;
}

/* ── what a walk finds ──────────────────────────────────────────────────────────────────────── */

enum walk_kind forest_on_folder(const char *name, uint32_t files, uint32_t *most)
{
    struct folder *folder = find_folder(bytes_of(name));
    *most = files;
    CHECK(folder);
    if (!folder->closed && !folder->torn && files > 0) return WALK_FILE;
    if (folder->closed || folder->torn) {
        *most = folder->closed ? 0 : files / 2;
        world->fault_counts[FAULT_FOLDER_CLOSED]++;
        if (forest.begun_count) forest.counts[FOREST_CLOSED_COUNT] = true;
    } else if (!folder->empty) {
        folder->missed = true;
        return WALK_ERROR;
    }
    folder->seen = true;
    return folder->empty && !folder->closed ? WALK_FOLDER : WALK_ERROR;
}

const char *forest_empty(uint32_t index)
{
    for (uint32_t i = 0; i < forest.count; i++)
        if (forest.folders[i].empty && index-- == 0) return forest.folders[i].name;
    return NULL;
}

/* ── the server ─────────────────────────────────────────────────────────────────────────────── */

enum forest_listing forest_listing(void)
{
    return forest.listing;
}

void forest_on_listed(const char *key)
{
    struct folder *folder = folder_of(key + strlen(SCENARIO_PREFIX));
    CHECK(folder && folder->marked);
    folder->seen = true;
}

static bool is_calm(void)
{
    return !world->faulty || world->now_ns >= world->calm_ns;
}

/* From some places on a listing fails, whenever it is asked for. */
static bool fails_listing(const char *place, struct server_reply *reply)
{
    uint32_t hash = (uint32_t)world->seed + world->life;
    for (; *place; place++)
        hash = (hash ^ (unsigned char)*place) * 0x01000193u;
    if (!forest.fails || is_calm() || (hash >> 7) % 4 > 0) return false;
    world->fault_counts[FAULT_LISTING_FAILS]++;
    if (forest.begun_count) forest.counts[FOREST_FAILS_COUNT] = true;
    switch ((hash >> 9) % 4) {
    case 0: server_error(reply, 403, "AccessDenied"); break;
    case 1: server_error(reply, 500, "InternalError"); break;
    case 2: server_text(reply, "<ListBucketResult><Contents><Key>"); break;
    default:
        server_text(reply, "<ListBucketResult><IsTruncated>true</IsTruncated>"
                           "</ListBucketResult>");
    }
    return true;
}

static bool answers_listing(const struct server_request *request, struct server_reply *reply)
{
    const char *behind = server_query(request, "start-after");
    const char *token = server_query(request, "continuation-token");
    if (behind) forest_on_branch(behind);
    if (behind && forest.listing == FOREST_IGNORES) forest.counts[FOREST_IGNORES_COUNT] = true;
    bool turns = forest.listing >= FOREST_SLASH_FIRST;
    world->fault_counts[FAULT_LISTING_TURNS] += turns;
    forest.counts[FOREST_TURNS_COUNT] |= behind && turns;
    if (behind && forest.listing == FOREST_REFUSES) {
        bool known = world->seed % 16 == 0;
        forest.counts[FOREST_REFUSES_COUNT] = true;
        server_error(reply, known ? 400 : 501, known ? "InvalidArgument" : "NotImplemented");
        return true;
    }
    if (!behind && !token) return false;
    return fails_listing(behind ? behind : token, reply);
}

static bool is_slow(const struct server_request *request)
{
    if (forest.slow >= forest.count || !request->key[0]) return false;
    return folder_of(request->key + strlen(SCENARIO_PREFIX)) == &forest.folders[forest.slow];
}

bool forest_answers(const struct server_request *request, struct server_reply *reply)
{
    if (!forest.is_one) return false;
    if (server_query(request, "list-type")) return answers_listing(request, reply);
    if (!is_slow(request) || is_calm() || !world_chance(forest.limit)) return false;
    world->fault_counts[FAULT_SLOW_DOWN]++;
    if (forest.begun_count) forest.counts[FOREST_LIMITED_COUNT] = true;
    server_error(reply, 503, "SlowDown");
    return true;
}

uint64_t forest_delay_ns(const struct server_request *request)
{
    if (!forest.is_one) return 0;
    if (server_query(request, "list-type")) return world_below(forest.page_ns + 1);
    return is_slow(request) ? world_below(forest.slow_ns) : 0;
}

/* ── rules ──────────────────────────────────────────────────────────────────────────────────── */

/* Has it a file that was not taken away meanwhile? */
static bool is_there(const struct folder *folder)
{
    for (uint32_t i = 0; i < items_world()->count; i++) {
        const struct item *item = &items_world()->all[i];
        if (!item->gone && !item->fresh && folder_of(item->name) == folder) return true;
    }
    return false;
}

uint32_t forest_found(bool perhaps)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < forest.count; i++) {
        const struct folder *folder = &forest.folders[i];
        bool vanished = forest.is_upload && !folder->empty && !is_there(folder);
        count += folder->seen && (perhaps || !vanished);
        count += perhaps && folder->missed && !folder->seen;
    }
    return count;
}

bool forest_hides(const struct item *item)
{
    const struct folder *folder = folder_of(item->name);
    return folder && (folder->closed || folder->torn);
}

void forest_check_found(void)
{
    for (uint32_t i = 0; i < forest.count; i++) {
        const struct folder *folder = &forest.folders[i];
        bool says = folder->marked;
        if (forest.is_upload)
            says = folder->empty || ((folder->closed || folder->torn) && is_there(folder));
        if (says && !folder->seen) world_broken("the folder %s was not found", folder->name);
    }
}

/* ── what happened ──────────────────────────────────────────────────────────────────────────── */

void forest_add(struct forest_totals *totals)
{
    uint64_t most = __atomic_load_n(&totals->branches_most, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->seeds, forest.is_one, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->forked, forest.most > 0, __ATOMIC_RELAXED);
    for (int i = 0; i < FOREST_COUNT_COUNT; i++)
        __atomic_add_fetch(&totals->counts[i], forest.counts[i], __ATOMIC_RELAXED);
    while (forest.most > most)
        if (__atomic_compare_exchange_n(&totals->branches_most, &most, forest.most, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            break;
}

bool forest_report(const struct forest_totals *totals, uint64_t seeds)
{
    bool enough = true;
    printf("sim: %" PRIu64 " of %" PRIu64
           " seeds with a forest forked the search, in up to %" PRIu64 " places:",
           totals->forked, totals->seeds, totals->branches_most);
    for (int i = 0; i < FOREST_COUNT_COUNT; i++) {
        bool wanted = seeds >= (i <= FOREST_DOWN_COUNT ? SEEDS_FEW : SEEDS_MANY);
        printf("%s %" PRIu64 " %s", i ? "," : "", totals->counts[i], count_names[i]);
        if (totals->counts[i] > 0 || !wanted) continue;
        printf(" (there must be some)");
        enough = false;
    }
    printf("\n");
    return enough;
}
