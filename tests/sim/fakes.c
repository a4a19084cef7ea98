#include "tests/sim/fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"
#include "core/log.h"
#include "core/owner.h"
#include "core/place.h"
#include "core/walk.h"
#include "net/dns.h"
#include "tests/sim/disk.h"
#include "tests/sim/forest.h"
#include "tests/sim/net.h"
#include "tests/sim/pipe.h"
#include "tests/sim/scenario.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

/* ── aside: its jobs run one after the other, in this thread, some time later ────────────────── */

struct aside {
    struct link link;
    struct core *core;
    struct list jobs;
    struct event event;
};

static struct list asides = {{&asides.head, &asides.head}};

static void aside_on_event(struct event *event)
{
    struct aside *aside = container_of(event, struct aside, event);
    struct op *op = container_of(list_pop(&aside->jobs), struct op, link);
    struct aside_job *job = container_of(op, struct aside_job, op);
    op->err = job->run(job);
    world_note("aside", op->err, aside->core->index);
    core_finish_remote(aside->core, op);
    if (!list_is_empty(&aside->jobs))
        event_start(event, world->now_ns + world_between(1, 200 * NS_PER_US));
}

enum err aside_open(struct aside **aside, struct core *core, const char *name)
{
    (void)name;
    *aside = calloc(1, sizeof **aside);
    CHECK(*aside);
    (*aside)->core = core;
    list_init(&(*aside)->jobs);
    event_init(&(*aside)->event, aside_on_event);
    link_init(&(*aside)->link);
    list_push(&asides, &(*aside)->link);
    return ERR_NONE;
}

void aside_close(struct aside *aside)
{
    if (!aside) return;
    CHECK(list_is_empty(&aside->jobs) && "a job is out");
    list_remove(&aside->link);
    free(aside);
}

void aside_kill_all(void)
{
    struct link *link;
    while ((link = list_pop(&asides)))
        event_cancel(&container_of(link, struct aside, link)->event);
}

void aside_job_init(struct aside_job *job, aside_fn *run, op_fn *done)
{
    op_init(&job->op, done);
    job->run = run;
}

void aside_start(struct aside *aside, struct aside_job *job)
{
    op_begin(&job->op);
    list_push(&aside->jobs, &job->op.link);
    if (!aside->event.place)
        event_start(&aside->event, world->now_ns + world_between(1, 300 * NS_PER_US));
}

/* ── walk: the names that the disk had when it began, each looked at when it is handed over; of a
 * forest, those at the top, and the others when their folder is reached ─────────────────────── */

struct walk {
    struct core *core;
    struct aside *aside;
    char *root, *behind;
    char **paths; /* absolute, in byte order of what is behind the root; "…/": a folder's */
    uint32_t count, next;
    bool begun;
};

static int walk_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool walk_begins_before(const struct walk *walk, const char *rest)
{
    if (!walk->behind[0]) return true;
    return strcmp(rest, walk->behind) > 0 && strncmp(rest, walk->behind, strlen(walk->behind)) != 0;
}

static void walk_add(struct walk *walk, const char *path, size_t bytes)
{
    for (uint32_t i = 0; path[bytes - 1] == '/' && i < walk->count; i++)
        if (strlen(walk->paths[i]) == bytes && strncmp(walk->paths[i], path, bytes) == 0) return;
    walk->paths = realloc(walk->paths, (walk->count + 1) * sizeof *walk->paths);
    CHECK(walk->paths);
    walk->paths[walk->count++] = strndup(path, bytes);
}

/* The files in a folder, or with `deep` false at the top, and the folders there. */
static void walk_read(struct walk *walk, const char *folder, bool deep)
{
    size_t bytes = strlen(folder);
    for (uint32_t i = 0; i < disk_count(); i++) {
        const struct disk_name *name = disk_name(i);
        if (strncmp(name->path, folder, bytes) != 0 || name->node->folder) continue;
        const char *slash = deep ? NULL : strchr(name->path + bytes, '/');
        size_t count = slash ? (size_t)(slash - name->path) + 1 : strlen(name->path);
        if (deep || walk_begins_before(walk, name->path + bytes)) walk_add(walk, name->path, count);
    }
}

static void walk_sort(struct walk *walk)
{
    if (walk->next == walk->count) return;
    qsort(walk->paths + walk->next, walk->count - walk->next, sizeof *walk->paths, walk_compare);
}

static void walk_begin(struct walk *walk)
{
    char path[PATH_BYTES_MAX];
    const char *name;
    walk->begun = true;
    snprintf(path, sizeof path, "%s/", walk->root);
    walk_read(walk, path, !forest_is_one());
    for (uint32_t i = 0; forest_is_one() && (name = forest_empty(i)); i++) {
        snprintf(path, sizeof path, "%s/%s/", walk->root, name);
        if (walk_begins_before(walk, path + strlen(walk->root) + 1))
            walk_add(walk, path, strlen(path));
    }
    walk_sort(walk);
}

static struct walk_entry *walk_put(struct walk *walk, struct walk_batch *batch, const char *path)
{
    struct walk_entry *entry = &batch->entries[batch->count++];
    *entry = (struct walk_entry){.path = path + strlen(walk->root) + 1, .kind = WALK_FILE};
    return entry;
}

static void walk_look(struct walk *walk, struct walk_batch *batch, const char *path)
{
    struct walk_entry *entry = walk_put(walk, batch, path);
    struct disk_node *node = disk_find(path);
    struct statx status;
    int failed = node ? disk_stat(AT_FDCWD, path, &status) : -ENOENT;
    if (failed) {
        entry->kind = WALK_ERROR;
        entry->err = err_of_errno(-failed);
        entry->raw = -failed;
    } else {
        file_identity_of_statx(&entry->identity, &status);
    }
    scenario_on_found(path, entry->err);
}

/* Its files come next, or some of them. */
static void walk_enter(struct walk *walk, struct walk_batch *batch, char *path)
{
    uint32_t before = walk->count, most;
    walk_read(walk, path, true);
    path[strlen(path) - 1] = '\0';
    uint32_t files = walk->count - before;
    enum walk_kind kind = forest_on_folder(path + strlen(walk->root) + 1, files, &most);
    while (walk->count - before > most)
        free(walk->paths[--walk->count]);
    walk_sort(walk);
    if (kind == WALK_FILE) return;
    struct walk_entry *entry = walk_put(walk, batch, path);
    entry->kind = kind;
    if (kind != WALK_ERROR) return;
    entry->raw = files ? EACCES : ENOENT;
    entry->err = err_of_errno(entry->raw);
}

static void walk_step(struct walk *walk, struct walk_batch *batch)
{
    char *path = walk->paths[walk->next++];
    if (path[strlen(path) - 1] == '/')
        walk_enter(walk, batch, path);
    else
        walk_look(walk, batch, path);
}

static enum err walk_run(struct aside_job *job)
{
    struct walk_batch *batch = container_of(job, struct walk_batch, job);
    struct walk *walk = batch->walk;
    uint64_t wanted = world_between(1, WALK_BATCH_ENTRIES);
    if (forest_is_one()) wanted = 1 + world_below(1ull << world_below(9));
    batch->count = 0;
    if (!walk->begun) walk_begin(walk);
    while (walk->next < walk->count && batch->count < wanted)
        walk_step(walk, batch);
    return ERR_NONE;
}

static void walk_on_run(struct op *op)
{
    struct walk_batch *batch = container_of(op, struct walk_batch, job.op);
    core_finish(batch->walk->core, &batch->op, op->err);
}

enum err walk_open(struct walk **walk, struct core *core, const char *root,
                   enum walk_symlinks symlinks, struct bytes behind)
{
    (void)symlinks;
    *walk = calloc(1, sizeof **walk);
    CHECK(*walk);
    (*walk)->core = core;
    (*walk)->root = strdup(root);
    (*walk)->behind = strndup(behind.count ? behind.data : "", behind.count);
    forest_on_walk(true);
    if (behind.count) forest_on_branch((*walk)->behind);
    return aside_open(&(*walk)->aside, core, "walk");
}

void walk_close(struct walk *walk)
{
    forest_on_walk(false);
    aside_close(walk->aside);
    for (uint32_t i = 0; i < walk->count; i++)
        free(walk->paths[i]);
    free(walk->paths);
    free(walk->behind);
    free(walk->root);
    free(walk);
}

void walk_batch_init(struct walk_batch *batch)
{
    memset(batch, 0, sizeof *batch);
    aside_job_init(&batch->job, walk_run, walk_on_run);
}

void walk_batch_fini(struct walk_batch *batch)
{
    CHECK(!batch->job.op.out);
}

void walk_next(struct walk *walk, struct walk_batch *batch, op_fn *done)
{
    op_init(&batch->op, done);
    op_begin(&batch->op);
    batch->walk = walk;
    aside_start(walk->aside, &batch->job);
}

/* ── place: before a run, without faults ────────────────────────────────────────────────────── */

enum err place_look(struct place *place, const char *path, int *raw)
{
    struct disk_node *node = disk_find(path);
    const char *slash = strrchr(path, '/');
    memset(place, 0, sizeof *place);
    *raw = 0;
    CHECK(path[0] == '/' && slash);
    snprintf(place->folder, sizeof place->folder, "%.*s", slash == path ? 1 : (int)(slash - path),
             path);
    snprintf(place->name, sizeof place->name, "%s", slash + 1);
    if (strncmp(path, "/dev/", 5) == 0) {
        place->kind = PLACE_STREAM;
    } else if (node) {
        place->kind = node->folder ? PLACE_FOLDER : PLACE_FILE;
        place->size_bytes = node->bytes;
    }
    return ERR_NONE;
}

enum err place_open_folder(const char *path, enum place_make make, int *fd, int *raw)
{
    if (make != PLACE_FIND) disk_put_folder(path);
    bool faulty = world->faulty;
    world->faulty = false;
    int result = disk_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, 0);
    world->faulty = faulty;
    *raw = result < 0 ? -result : 0;
    *fd = result;
    return err_of_errno(*raw);
}

enum err place_open_stream(const char *path, int *fd, int *raw)
{
    CHECK(strcmp(path, "-") == 0);
    *raw = 0;
    *fd = pipe_standard_input();
    return ERR_NONE;
}

/* What was written last may lack its end. */
static uint64_t whole_lines(const struct disk_node *node)
{
    uint64_t bytes = node->bytes;
    while (bytes > 0 && node->data[bytes - 1] != '\n')
        bytes--;
    return bytes;
}

enum err place_open_lines(const char *path, bool append, int *fd, uint64_t *bytes, int *raw)
{
    const struct disk_node *node = disk_find(path);
    bool faulty = world->faulty;
    *bytes = append && node ? whole_lines(node) : 0;
    world->faulty = false;
    *fd = disk_open(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, 0);
    if (*fd >= 0) CHECK(disk_truncate(*fd, *bytes) == 0);
    world->faulty = faulty;
    *raw = *fd < 0 ? -*fd : 0;
    return err_of_errno(*raw);
}

enum err place_path(int fd, char path[PATH_BYTES_MAX], int *raw)
{
    *raw = 0;
    snprintf(path, PATH_BYTES_MAX, "%s", table_row(fd)->path);
    return ERR_NONE;
}

enum err place_folder_of(const char *path, char folder[PATH_BYTES_MAX], int *raw)
{
    *raw = 0;
    snprintf(folder, PATH_BYTES_MAX, "%.*s", (int)(strrchr(path, '/') - path), path);
    return ERR_NONE;
}

uint32_t place_remove_named(int folder_fd, const char *prefix, bool below)
{
    const char *folder = table_row(folder_fd)->path;
    size_t folder_bytes = strlen(folder);
    uint32_t count = 0;
    for (uint32_t i = disk_count(); i > 0; i--) {
        const char *path = disk_name(i - 1)->path, *slash = strrchr(path, '/');
        bool inside = strncmp(path, folder, folder_bytes) == 0 && path[folder_bytes] == '/';
        bool direct = slash == path + folder_bytes;
        if (!inside || !(below || direct)) continue;
        if (strncmp(slash + 1, prefix, strlen(prefix)) != 0) continue;
        count += disk_unlink(AT_FDCWD, path) == 0;
    }
    return count;
}

/* One process at a time. */
void place_unlock(int fd)
{
    (void)table_row(fd);
}

void place_close(int fd)
{
    if (fd >= 0) close(fd);
}

uint32_t place_umask(void)
{
    return 022;
}

void place_raise_descriptors(uint64_t wanted)
{
    (void)wanted;
}

/* ── log: the scenario reads it ─────────────────────────────────────────────────────────────── */

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    char text[LOG_TEXT_BYTES_MAX + 1];
    va_list args;
    (void)log;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    world_say("log %d: %s", (int)level, text);
    scenario_on_line(level, text);
}

/* ── owner: one process at a time, and one machine ───────────────────────────────────────────── */

static uint32_t owner_processes = 1, owner_boots = 1;
static uint32_t owner_beside; /* one that lives as well; 0: none */

void owner_start_anew(bool booted)
{
    owner_processes++;
    owner_boots += booted;
}

void owner_stay(bool stays)
{
    owner_beside = stays ? owner_processes : 0;
}

void owner_of_this_process(struct owner *owner)
{
    memset(owner, 0, sizeof *owner);
    snprintf(owner->host, sizeof owner->host, "sim");
    snprintf(owner->boot, sizeof owner->boot, "boot %u", owner_boots);
    owner->pid = owner_processes;
}

bool owner_is_alive(const struct owner *owner, int64_t lease_until_s, int64_t now_s)
{
    struct owner here;
    (void)lease_until_s, (void)now_s; /* the judge is on the same machine */
    owner_of_this_process(&here);
    bool lives = owner->pid == owner_processes || (owner_beside && owner->pid == owner_beside);
    return lives && strcmp(here.boot, owner->boot) == 0;
}

/* ── dns ────────────────────────────────────────────────────────────────────────────────────── */

static enum err dns_run(struct aside_job *job)
{
    struct dns_query *query = container_of(job, struct dns_query, job);
    if (world_fault(FAULT_NAME_FAILS)) {
        snprintf(query->why, sizeof query->why, "simulated");
        return world_chance(0.9) ? ERR_NAME_SERVER : ERR_NAME_UNKNOWN;
    }
    query->count = net_addresses(query->addrs, query->port);
    return ERR_NONE;
}

void dns_query_init(struct dns_query *query, op_fn *done)
{
    memset(query, 0, sizeof *query);
    aside_job_init(&query->job, dns_run, done);
}

void dns_resolve(struct aside *aside, struct dns_query *query)
{
    query->count = 0;
    query->why[0] = '\0';
    aside_start(aside, &query->job);
}
