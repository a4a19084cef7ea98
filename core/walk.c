#include "core/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/core.h"

#define READ_BYTES  (64ull * KIB)  /* of getdents64(2): some 2,000 names a call */
#define NAMES_BYTES (128ull * KIB) /* of a batch: 500 bytes a path, seldom needed whole */

/* Open at once: the root, the lowest folders, and one more while we step down. */
#define LOW_FOLDERS_MAX (WALK_DESCRIPTORS_MAX - 2)

_Static_assert(NAMES_BYTES >= 2 * PATH_BYTES_MAX, "a batch holds at least one path");
_Static_assert(READ_BYTES >= PATH_BYTES_MAX, "a call returns at least one name");

/* A folder on the way from the root to here, with the names that it had when we came. The names lie
 * behind each other, each with its 0; a folder's name has a "/" behind it, so that byte order of
 * names is byte order of whole paths. */
struct walk_folder {
    int fd; /* −1: closed for the time being */
    struct file_identity identity;
    size_t path_bytes; /* of its own path in walk->path */
    char *names;
    size_t names_bytes, names_bytes_max;
    uint32_t *order; /* where each name begins */
    uint32_t count, count_max, next;
};

struct walk {
    struct core *core;
    struct aside *aside;
    enum walk_symlinks symlinks;
    char *root;
    char *behind; /* of the root's names those up to this are left out; or "" */
    /* the rest belongs to the side thread */
    bool begun, failed;
    struct walk_folder *folders; /* from the root down */
    uint32_t depth, depth_max;
    struct walk_batch *batch;
    char path[PATH_BYTES_MAX]; /* of the entry that we look at, with its 0 */
    char read_area[READ_BYTES];
};

static struct walk_entry *push_entry(struct walk *walk, enum walk_kind kind)
{
    struct walk_batch *batch = walk->batch;
    struct walk_entry *entry = &batch->entries[batch->count++];
    size_t bytes = strlen(walk->path) + 1;
    CHECK(batch->count <= WALK_BATCH_ENTRIES);
    CHECK(bytes <= batch->names_bytes_max - batch->names_bytes);
    memset(entry, 0, sizeof(*entry));
    entry->kind = kind;
    entry->path = memcpy(batch->names + batch->names_bytes, walk->path, bytes);
    batch->names_bytes += bytes;
    return entry;
}

static void push_error(struct walk *walk, enum err err, int raw)
{
    struct walk_entry *entry = push_entry(walk, WALK_ERROR);
    entry->err = err;
    entry->raw = raw;
}

static void push_errno(struct walk *walk)
{
    int raw = errno;
    push_error(walk, err_of_errno(raw), raw);
}

/* A step gives one entry at most. */
static bool batch_is_full(const struct walk_batch *batch)
{
    return batch->count == WALK_BATCH_ENTRIES ||
           batch->names_bytes_max - batch->names_bytes < PATH_BYTES_MAX;
}

/* Room for `bytes` more names and one more in the order. */
static bool folder_reserve(struct walk_folder *folder, size_t bytes)
{
    if (folder->names_bytes_max - folder->names_bytes < bytes) {
        size_t wanted = 2 * folder->names_bytes_max + READ_BYTES;
        char *names = wanted <= UINT32_MAX ? realloc(folder->names, wanted) : NULL;
        if (!names) return false;
        folder->names = names;
        folder->names_bytes_max = wanted;
    }
    if (folder->count == folder->count_max) {
        uint32_t wanted = 2 * folder->count_max + 256;
        uint32_t *order = realloc(folder->order, wanted * sizeof(*order));
        if (!order) return false;
        folder->order = order;
        folder->count_max = wanted;
    }
    return true;
}

/* Where that cannot be told it is taken for one, as another walk of the same root may find it. */
static bool is_folder(const struct walk *walk, int fd, const struct dirent64 *dirent)
{
    struct statx status;
    int flags = walk->symlinks == WALK_SYMLINKS_SKIP ? AT_SYMLINK_NOFOLLOW : 0;
    if (dirent->d_type == DT_DIR) return true;
    if (dirent->d_type != DT_UNKNOWN && dirent->d_type != DT_LNK) return false;
    if (dirent->d_type == DT_LNK && flags) return false;
    if (statx(fd, dirent->d_name, flags, STATX_TYPE, &status) == 0) return S_ISDIR(status.stx_mode);
    return errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
}

static bool folder_add(const struct walk *walk, struct walk_folder *folder,
                       const struct dirent64 *dirent)
{
    const char *name = dirent->d_name;
    size_t bytes = strlen(name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return true;
    if (!folder_reserve(folder, bytes + 2)) return false;
    folder->order[folder->count++] = (uint32_t)folder->names_bytes;
    memcpy(folder->names + folder->names_bytes, name, bytes);
    folder->names_bytes += bytes;
    if (is_folder(walk, folder->fd, dirent)) folder->names[folder->names_bytes++] = '/';
    folder->names[folder->names_bytes++] = 0;
    return true;
}

static int compare_names(const void *a, const void *b, void *names)
{
    const uint32_t *left = a, *right = b;
    const char *base = names;
    return strcmp(base + *left, base + *right);
}

/* All names of the folder, sorted. A read error becomes an entry, and what was read is kept. */
static enum err folder_read(struct walk *walk, struct walk_folder *folder)
{
    for (;;) {
        ssize_t bytes = getdents64(folder->fd, walk->read_area, sizeof(walk->read_area));
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0) push_errno(walk);
        if (bytes <= 0) break;
        for (ssize_t at = 0; at < bytes;) {
            const struct dirent64 *dirent = (const void *)(walk->read_area + at);
            if (!folder_add(walk, folder, dirent)) return ERR_NO_MEMORY;
            at += dirent->d_reclen;
        }
    }
    if (folder->count > 1)
        qsort_r(folder->order, folder->count, sizeof(*folder->order), compare_names, folder->names);
    return ERR_NONE;
}

static void folder_drop(struct walk_folder *folder)
{
    if (folder->fd >= 0) close(folder->fd);
    free(folder->names);
    free(folder->order);
}

static bool is_same_folder(const struct file_identity *a, const struct file_identity *b)
{
    return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static bool is_above(const struct walk *walk, const struct file_identity *identity)
{
    for (uint32_t i = 0; i < walk->depth; i++)
        if (is_same_folder(&walk->folders[i].identity, identity)) return true;
    return false;
}

static bool identify(int fd, struct file_identity *identity)
{
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status) != 0) return false;
    file_identity_of_statx(identity, &status);
    return true;
}

static void skip_names(struct walk_folder *folder, const char *last)
{
    while (folder->next < folder->count &&
           strcmp(folder->names + folder->order[folder->next], last) <= 0)
        folder->next++;
}

/* Goes down into the folder that walk->path names and `fd` is open on. Takes `fd` over. */
static enum err push_folder(struct walk *walk, int fd)
{
    if (walk->depth == walk->depth_max) {
        uint32_t wanted = 2 * walk->depth_max + 16;
        struct walk_folder *folders = realloc(walk->folders, wanted * sizeof(*folders));
        if (!folders) {
            close(fd);
            return ERR_NO_MEMORY;
        }
        walk->folders = folders;
        walk->depth_max = wanted;
    }
    struct walk_folder *folder = &walk->folders[walk->depth];
    *folder = (struct walk_folder){.fd = fd, .path_bytes = strlen(walk->path)};
    if (!identify(fd, &folder->identity)) {
        push_errno(walk);
        close(fd);
        return ERR_NONE;
    }
    if (is_above(walk, &folder->identity)) {
        push_entry(walk, WALK_LOOP)->identity = folder->identity;
        close(fd);
        return ERR_NONE;
    }
    walk->depth++;
    if (walk->depth > LOW_FOLDERS_MAX + 1) {
        struct walk_folder *high = &walk->folders[walk->depth - 1 - LOW_FOLDERS_MAX];
        close(high->fd);
        high->fd = -1;
    }
    uint32_t errors_before = walk->batch->count;
    enum err err = folder_read(walk, folder);
    if (walk->depth == 1 && walk->behind[0])
        skip_names(folder, walk->behind);
    else if (err == ERR_NONE && folder->count == 0 && walk->batch->count == errors_before)
        push_entry(walk, WALK_FOLDER)->identity = folder->identity;
    return err;
}

/* walk->path becomes the folder's own. */
static void cut_path(struct walk *walk, const struct walk_folder *folder)
{
    walk->path[folder->path_bytes] = 0;
}

/* A folder that was closed on the way down is opened again by its path. When it is not the same any
 * more, its other names are not looked at: they would be another folder's. */
static bool reopen(struct walk *walk, struct walk_folder *folder)
{
    struct file_identity identity;
    if (folder->fd >= 0) return true;
    CHECK(folder != walk->folders && "the root stays open");
    cut_path(walk, folder);
    folder->fd = openat(walk->folders[0].fd, walk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd >= 0 && identify(folder->fd, &identity)) {
        if (is_same_folder(&identity, &folder->identity)) return true;
        push_error(walk, ERR_FILE_CHANGED, 0);
    } else {
        push_errno(walk);
    }
    return false;
}

/* The name is appended to the folder's path; false when that is too long: then it is cut off. */
static bool join_path(struct walk *walk, const struct walk_folder *folder, struct bytes name)
{
    size_t at = folder->path_bytes;
    size_t room = PATH_BYTES_MAX - 1 - at;
    size_t slash = at > 0 && room > 0 ? 1 : 0;
    size_t count = (size_t)min_u64(name.count, room - slash);
    if (slash) walk->path[at] = '/';
    memcpy(walk->path + at + slash, name.data, count);
    walk->path[at + slash + count] = 0;
    return count == name.count;
}

static enum err enter_folder(struct walk *walk, int dir_fd, const char *name, int flags)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    if (fd >= 0) return push_folder(walk, fd);
    push_errno(walk);
    return ERR_NONE;
}

/* A link whose target is not there, or a ring of links. What vanished meanwhile is none. */
static bool leads_nowhere(int dir_fd, const char *name)
{
    struct statx status;
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) return false;
    return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) == 0 &&
           S_ISLNK(status.stx_mode);
}

/* Looks at what walk->path names. `name` is the same, seen from dir_fd. */
static enum err visit(struct walk *walk, int dir_fd, const char *name, bool follow)
{
    struct statx status;
    enum walk_kind kind = WALK_SPECIAL;
    int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    if (statx(dir_fd, name, flags, STATX_BASIC_STATS, &status) != 0) {
        int raw = errno;
        if (walk->depth > 0 && follow && leads_nowhere(dir_fd, name))
            push_entry(walk, WALK_DANGLING);
        else
            push_error(walk, err_of_errno(raw), raw);
        return ERR_NONE;
    }
    if (S_ISDIR(status.stx_mode)) return enter_folder(walk, dir_fd, name, follow ? 0 : O_NOFOLLOW);
    if (S_ISREG(status.stx_mode)) kind = WALK_FILE;
    if (S_ISLNK(status.stx_mode)) kind = WALK_SYMLINK;
    file_identity_of_statx(&push_entry(walk, kind)->identity, &status);
    return ERR_NONE;
}

static void pop_folder(struct walk *walk)
{
    CHECK(walk->depth > 0);
    folder_drop(&walk->folders[--walk->depth]);
}

/* The next name of the lowest folder; up when there is none. */
static enum err step(struct walk *walk)
{
    char string[NAME_MAX + 1];
    struct walk_folder *folder = &walk->folders[walk->depth - 1];
    if (folder->next == folder->count || !reopen(walk, folder)) {
        pop_folder(walk);
        return ERR_NONE;
    }
    const char *stored = folder->names + folder->order[folder->next++];
    struct bytes name = {stored, strcspn(stored, "/")};
    if (!join_path(walk, folder, name) || !bytes_to_string(name, string, sizeof(string))) {
        push_error(walk, ERR_FILE_NAME, ENAMETOOLONG);
        return ERR_NONE;
    }
    return visit(walk, folder->fd, string, walk->symlinks == WALK_SYMLINKS_FOLLOW);
}

static enum err fill(struct walk *walk, struct walk_batch *batch)
{
    enum err err = ERR_NONE;
    uint64_t until_ns = clock_now_ns() + WALK_LINGER_NS;
    if (!walk->begun) { /* the root is followed in any case: it was named by the user */
        walk->begun = true;
        err = visit(walk, AT_FDCWD, walk->root, true);
    }
    while (err == ERR_NONE && walk->depth > 0 && !batch_is_full(batch)) {
        if (batch->count > 0 && clock_now_ns() > until_ns) break;
        err = step(walk);
    }
    return err;
}

/* Runs on the aside's thread. */
static enum err run(struct aside_job *job)
{
    struct walk_batch *batch = container_of(job, struct walk_batch, job);
    struct walk *walk = batch->walk;
    batch->count = 0;
    batch->names_bytes = 0;
    if (!batch->names) batch->names = malloc(NAMES_BYTES);
    batch->names_bytes_max = batch->names ? NAMES_BYTES : 0;
    walk->batch = batch;
    if (walk->failed || !batch->names || fill(walk, batch) != ERR_NONE) walk->failed = true;
    return walk->failed ? ERR_NO_MEMORY : ERR_NONE;
}

static void on_run(struct op *op)
{
    struct walk_batch *batch = container_of(op, struct walk_batch, job.op);
    core_finish(batch->walk->core, &batch->op, op->err);
}

enum err walk_open(struct walk **walk, struct core *core, const char *root,
                   enum walk_symlinks symlinks, struct bytes behind)
{
    struct walk *w = calloc(1, sizeof(*w));
    if (!w) return ERR_NO_MEMORY;
    w->core = core;
    w->symlinks = symlinks;
    w->root = strdup(root);
    w->behind = strndup(behind.count ? behind.data : "", behind.count);
    enum err err = w->root && w->behind ? aside_open(&w->aside, core, "walk") : ERR_NO_MEMORY;
    if (err != ERR_NONE) {
        free(w->behind);
        free(w->root);
        free(w);
        return err;
    }
    *walk = w;
    return ERR_NONE;
}

void walk_close(struct walk *walk)
{
    aside_close(walk->aside);
    while (walk->depth > 0)
        pop_folder(walk);
    free(walk->folders);
    free(walk->behind);
    free(walk->root);
    free(walk);
}

void walk_batch_init(struct walk_batch *batch)
{
    memset(batch, 0, sizeof(*batch));
    aside_job_init(&batch->job, run, on_run);
}

void walk_batch_fini(struct walk_batch *batch)
{
    CHECK(!batch->job.op.out);
    free(batch->names);
    batch->names = NULL;
}

void walk_next(struct walk *walk, struct walk_batch *batch, op_fn *done)
{
    op_init(&batch->op, done);
    op_begin(&batch->op);
    batch->walk = walk;
    aside_start(walk->aside, &batch->job);
}
