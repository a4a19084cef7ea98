#include "tests/sim/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

static struct disk disk;

struct disk *disk_world(void)
{
    return &disk;
}

void disk_open_world(void)
{
    disk = (struct disk){.next_inode = 100, .capacity_bytes = UINT64_MAX, .direct_align = 4096};
    disk_put_folder("/");
}

/* ── nodes and names ────────────────────────────────────────────────────────────────────────── */

static struct disk_node *node_new(bool folder)
{
    struct disk_node *node = calloc(1, sizeof *node);
    CHECK(node);
    node->folder = folder;
    node->inode = disk.next_inode++;
    node->mode = node->synced_mode = folder ? S_IFDIR | 0755 : S_IFREG | 0644;
    node->mtime_ns = node->ctime_ns = (int64_t)(world->now_ns + world->wall_offset_ns);
    node->synced_mtime_ns = node->mtime_ns;
    return node;
}

void disk_resize(struct disk_node *node, uint64_t bytes)
{
    if (bytes > node->bytes_max) {
        node->bytes_max = max_u64(bytes, 2 * node->bytes_max);
        node->data = realloc(node->data, node->bytes_max);
        CHECK(node->data);
    }
    if (bytes > node->bytes) memset(node->data + node->bytes, 0, bytes - node->bytes);
    disk.used_bytes += bytes - node->bytes;
    node->bytes = bytes;
}

static void node_forget_spans(struct disk_node *node)
{
    for (uint32_t i = 0; i < node->span_count; i++)
        free(node->spans[i].old);
    node->span_count = 0;
}

void disk_release(struct disk_node *node)
{
    if (node->names || node->opens) return;
    disk.used_bytes -= node->bytes;
    node_forget_spans(node);
    free(node->data);
    free(node->spans);
    free(node);
}

/* Before it is: what the platter has there is remembered. */
static void node_writes(struct disk_node *node, uint64_t offset, uint64_t bytes)
{
    uint64_t old_bytes = min_u64(node->synced_bytes, offset + bytes);
    old_bytes = min_u64(old_bytes, node->bytes);
    struct disk_span span = {.offset = offset, .bytes = bytes};
    if (node->span_count == node->span_max) {
        node->span_max = 2 * node->span_max + 16;
        node->spans = realloc(node->spans, node->span_max * sizeof *node->spans);
        CHECK(node->spans);
    }
    if (old_bytes > offset) {
        span.old_bytes = old_bytes - offset;
        span.old = malloc(span.old_bytes);
        CHECK(span.old);
        memcpy(span.old, node->data + offset, span.old_bytes);
    }
    node->spans[node->span_count++] = span;
    node->mtime_ns = node->ctime_ns = (int64_t)(world->now_ns + world->wall_offset_ns);
}

void disk_write_node(struct disk_node *node, const void *memory, uint64_t bytes, uint64_t offset)
{
    node_writes(node, offset, bytes);
    if (offset + bytes > node->bytes) disk_resize(node, offset + bytes);
    memcpy(node->data + offset, memory, bytes);
}

void disk_sync_node(struct disk_node *node, bool data_only)
{
    node_forget_spans(node);
    node->synced_bytes = node->bytes;
    if (data_only) return;
    node->synced_mtime_ns = node->mtime_ns;
    node->synced_mode = node->mode;
}

void disk_hold(struct disk_node *node)
{
    node->opens++;
}

void disk_drop(struct disk_node *node)
{
    node->opens--;
    disk_release(node);
}

static struct disk_name *name_find(const char *path)
{
    for (uint32_t i = 0; i < disk.count; i++)
        if (strcmp(disk.names[i].path, path) == 0) return &disk.names[i];
    return NULL;
}

struct disk_node *disk_find(const char *path)
{
    struct disk_name *name = name_find(path);
    return name ? name->node : NULL;
}

void disk_add_name(const char *path, struct disk_node *node)
{
    if (disk.count == disk.count_max) {
        disk.count_max = 2 * disk.count_max + 64;
        disk.names = realloc(disk.names, disk.count_max * sizeof *disk.names);
        CHECK(disk.names);
    }
    disk.names[disk.count++] = (struct disk_name){.path = strdup(path), .node = node};
    node->names++;
}

static void name_remove(struct disk_name *name)
{
    struct disk_node *node = name->node;
    free(name->path);
    *name = disk.names[--disk.count];
    node->names--;
    disk_release(node);
}

void disk_drop_name(const char *path)
{
    struct disk_name *name = name_find(path);
    if (name) name_remove(name);
}

void disk_close_world(void)
{
    while (disk.count)
        name_remove(&disk.names[0]);
    platter_close_world();
    CHECK(disk.used_bytes == 0 && "a file is still open");
    free(disk.names);
    disk = (struct disk){0};
}

uint32_t disk_count(void)
{
    return disk.count;
}

const struct disk_name *disk_name(uint32_t index)
{
    return &disk.names[index];
}

void disk_put_folder(const char *path)
{
    char copy[PATH_BYTES_MAX];
    if (disk_find(path)) return;
    snprintf(copy, sizeof copy, "%s", path);
    char *slash = strrchr(copy, '/');
    if (slash && slash != copy) {
        *slash = '\0';
        disk_put_folder(copy);
    }
    struct disk_node *node = node_new(true);
    disk_add_name(path, node);
    platter_put(path, node);
}

struct disk_node *disk_make(const char *path, uint32_t mode)
{
    struct disk_node *node = node_new(false);
    node->mode = node->synced_mode = S_IFREG | mode;
    disk_add_name(path, node);
    platter_link(path, node);
    return node;
}

void disk_put(const char *path, const char *data, uint64_t bytes, int64_t mtime_ns)
{
    struct disk_node *node = disk_find(path);
    if (!node) {
        node = node_new(false);
        disk_add_name(path, node);
        platter_put(path, node);
    }
    disk_resize(node, bytes);
    if (bytes) memcpy(node->data, data, bytes);
    node->mtime_ns = mtime_ns;
    node->ctime_ns = (int64_t)(world->now_ns + world->wall_offset_ns);
    disk_sync_node(node, false);
}

void disk_remove(const char *path)
{
    platter_remove(path);
    disk_drop_name(path);
}

/* ── paths ──────────────────────────────────────────────────────────────────────────────────── */

/* Appends the component; ".." goes up, not above `floor` bytes when `beneath`. */
static int path_step(char *at, const char *component, size_t count, size_t floor, bool beneath)
{
    size_t length = strlen(at);
    if (count == 0 || (count == 1 && component[0] == '.')) return 0;
    if (count > NAME_MAX) return -ENAMETOOLONG;
    if (count == 2 && component[0] == '.' && component[1] == '.') {
        if (beneath && length <= floor) return -EXDEV;
        char *slash = strrchr(at, '/');
        slash[slash == at] = '\0';
        return 0;
    }
    struct disk_node *above = disk_find(at);
    if (!above) return -ENOENT;
    if (!above->folder) return -ENOTDIR;
    if (length + count + 2 > PATH_BYTES_MAX) return -ENAMETOOLONG;
    snprintf(at + length, PATH_BYTES_MAX - length, "%s%.*s", length > 1 ? "/" : "", (int)count,
             component);
    return 0;
}

/* The absolute path; all but its last component must be folders that are there. */
static int path_resolve(int dir_fd, const char *path, uint64_t resolve, char at[PATH_BYTES_MAX])
{
    bool beneath = resolve & RESOLVE_BENEATH;
    if (path[0] == '\0') return -ENOENT;
    if (path[0] == '/' && beneath) return -EXDEV;
    snprintf(at, PATH_BYTES_MAX, "%s", path[0] == '/' ? "/" : table_path(dir_fd));
    size_t floor = strlen(at);
    while (*path) {
        size_t count = strcspn(path, "/");
        int result = path_step(at, path, count, floor, beneath);
        if (result) return result;
        path += count;
        while (*path == '/')
            path++;
    }
    return 0;
}

/* The folder that the resolved path is in: it must be there. */
static int path_check_above(const char *at)
{
    char above[PATH_BYTES_MAX];
    snprintf(above, sizeof above, "%s", at);
    char *slash = strrchr(above, '/');
    slash[slash == above] = '\0';
    struct disk_node *folder = disk_find(above);
    if (!folder) return -ENOENT;
    return folder->folder ? 0 : -ENOTDIR;
}

/* ── open and close ─────────────────────────────────────────────────────────────────────────── */

static int open_fault(bool writes)
{
    static const int reads_errors[] = {EACCES, EIO, ESTALE, EPERM};
    static const int writes_errors[] = {EACCES, EIO, EROFS, ENOSPC, EDQUOT};
    if (world_fault(FAULT_NO_DESCRIPTOR)) return world_chance(0.5) ? -EMFILE : -ENFILE;
    if (!world_fault(FAULT_OPEN_FAILS)) return 0;
    return writes ? -writes_errors[world_below(ARRAY_COUNT(writes_errors))]
                  : -reads_errors[world_below(ARRAY_COUNT(reads_errors))];
}

int disk_open(int dir_fd, const char *path, int flags, uint32_t mode, uint64_t resolve)
{
    char at[PATH_BYTES_MAX];
    int result = path_resolve(dir_fd, path, resolve, at);
    if (!result) result = path_check_above(at);
    if (!result) result = open_fault(flags & (O_WRONLY | O_RDWR));
    if (result) return result;
    struct disk_node *node = disk_find(at);
    if (node && (flags & O_CREAT) && (flags & O_EXCL)) return -EEXIST;
    if (!node && !(flags & O_CREAT)) return -ENOENT;
    if (!node) node = disk_make(at, mode & ~022u);
    if (node->folder && (flags & (O_WRONLY | O_RDWR))) return -EISDIR;
    if (!node->folder && (flags & O_DIRECTORY)) return -ENOTDIR;
    CHECK(!(flags & O_TRUNC) && "nobody cuts a file at its opening");
    enum table_kind kind = node->folder ? TABLE_FOLDER : TABLE_FILE;
    struct table_row *row = table_open(kind, node, flags);
    if (node->folder) row->path = strdup(at);
    disk_hold(node);
    return row->fd;
}

/* Network file systems tell only now that what was written has no room. */
static int close_fault(const struct table_row *row)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT};
    if (!(row->flags & (O_WRONLY | O_RDWR)) || !world_fault(FAULT_CLOSE_FAILS)) return 0;
    return -errors[world_below(ARRAY_COUNT(errors))];
}

int disk_close(int fd)
{
    struct disk_node *node = table_row(fd)->object;
    int result = close_fault(table_row(fd));
    table_close(fd);
    disk_drop(node);
    return result;
}

void disk_forget_fd(int fd)
{
    struct disk_node *node = table_row(fd)->object;
    table_row(fd)->busy = 0;
    table_close(fd);
    disk_drop(node);
}

/* ── data ───────────────────────────────────────────────────────────────────────────────────── */

static bool is_aligned(uint64_t value)
{
    return value % disk.direct_align == 0;
}

/* What the kernel says before it moves a byte; 0: go on. `*bytes` may become fewer. */
static int io_begin(struct table_row *row, const void *memory, uint32_t *bytes, uint64_t offset)
{
    bool direct = row->flags & O_DIRECT;
    if (direct && world_fault(FAULT_DIRECT_FAILS)) return -EINVAL;
    if (direct && !(is_aligned((uintptr_t)memory) && is_aligned(*bytes) && is_aligned(offset)))
        return -EINVAL;
    if (world_fault(FAULT_AGAIN)) return world_chance(0.5) ? -EAGAIN : -EINTR;
    return 0;
}

/* Fewer than asked, at least one; a direct one ends at a block, but for the file's end. */
static uint32_t io_shorten(const struct table_row *row, uint32_t bytes)
{
    if (bytes < 2) return bytes;
    uint32_t fewer = (uint32_t)world_between(1, bytes - 1);
    if (row->flags & O_DIRECT) fewer = (uint32_t)align_up_u64(fewer, disk.direct_align);
    return fewer;
}

int64_t disk_read(int fd, void *memory, uint32_t bytes, uint64_t offset)
{
    struct table_row *row = table_row_of(fd, TABLE_FILE);
    struct disk_node *node = row->object;
    int result = io_begin(row, memory, &bytes, offset);
    if (result) return result;
    if (world_fault(FAULT_READ_EIO)) return world_chance(0.8) ? -EIO : -ESTALE;
    if (world_fault(FAULT_READ_SHORT)) bytes = io_shorten(row, bytes);
    if (offset >= node->bytes) return 0;
    uint32_t count = (uint32_t)min_u64(bytes, node->bytes - offset);
    if (count) memcpy(memory, node->data + offset, count);
    return count;
}

static int disk_has_room(uint64_t more)
{
    bool full = disk.used_bytes + more > disk.capacity_bytes;
    if (!full && !world_fault(FAULT_DISK_FULL)) return 0;
    return world_chance(0.8) ? -ENOSPC : -EDQUOT;
}

int64_t disk_write(int fd, const void *memory, uint32_t bytes, uint64_t offset)
{
    struct table_row *row = table_row_of(fd, TABLE_FILE);
    struct disk_node *node = row->object;
    int result = io_begin(row, memory, &bytes, offset);
    if (result) return result;
    CHECK((row->flags & (O_WRONLY | O_RDWR)) && "written without being opened for it");
    if (world_fault(FAULT_WRITE_EIO)) return -EIO;
    if (world_fault(FAULT_WRITE_SHORT)) bytes = io_shorten(row, bytes);
    uint64_t end = offset + bytes;
    result = disk_has_room(end > node->bytes ? end - node->bytes : 0);
    if (result) return result;
    disk_write_node(node, memory, bytes, offset);
    return bytes;
}

int disk_truncate(int fd, uint64_t bytes)
{
    struct disk_node *node = table_row_of(fd, TABLE_FILE)->object;
    if (world_fault(FAULT_ALLOCATE_FAILS)) return -EIO;
    disk_resize(node, bytes);
    node->mtime_ns = node->ctime_ns = (int64_t)(world->now_ns + world->wall_offset_ns);
    return 0;
}

int disk_allocate(int fd, int mode, uint64_t offset, uint64_t bytes)
{
    struct disk_node *node = table_row_of(fd, TABLE_FILE)->object;
    CHECK(mode == 0);
    if (world_fault(FAULT_ALLOCATE_FAILS)) return world_chance(0.7) ? -EOPNOTSUPP : -EIO;
    uint64_t end = offset + bytes;
    int result = disk_has_room(end > node->bytes ? end - node->bytes : 0);
    if (result) return result;
    if (end > node->bytes) disk_resize(node, end);
    return 0;
}

int disk_sync(int fd, bool data_only)
{
    struct table_row *row = table_row(fd);
    struct disk_node *node = row->object;
    if (row->flags & O_PATH) return -EBADF;
    if (world_fault(FAULT_SYNC_FAILS)) return world_chance(0.5) ? -EIO : -ENOSPC;
    disk_sync_node(node, data_only);
    if (node->folder) platter_sync(row->path);
    return 0;
}

/* ── names ──────────────────────────────────────────────────────────────────────────────────── */

static struct statx_timestamp stamp_of(int64_t ns)
{
    int64_t seconds = ns / (int64_t)NS_PER_S, rest = ns % (int64_t)NS_PER_S;
    if (rest < 0) {
        seconds--;
        rest += (int64_t)NS_PER_S;
    }
    return (struct statx_timestamp){.tv_sec = seconds, .tv_nsec = (uint32_t)rest};
}

static void fill_statx(const struct disk_node *node, struct statx *result)
{
    memset(result, 0, sizeof *result);
    result->stx_mask = STATX_BASIC_STATS;
    result->stx_mode = (uint16_t)node->mode;
    result->stx_size = node->bytes;
    result->stx_ino = node->inode;
    result->stx_dev_major = 8;
    result->stx_mtime = stamp_of(node->mtime_ns);
    result->stx_ctime = stamp_of(node->ctime_ns);
}

int disk_stat(int dir_fd, const char *path, struct statx *result)
{
    char at[PATH_BYTES_MAX];
    int failed = path_resolve(dir_fd, path, 0, at);
    if (failed) return failed;
    if (world_fault(FAULT_STAT_FAILS)) return world_chance(0.5) ? -EIO : -EACCES;
    struct disk_node *node = disk_find(at);
    if (!node) return -ENOENT;
    fill_statx(node, result);
    return 0;
}

int disk_stat_fd(int fd, struct statx *result)
{
    struct table_row *row = table_row(fd);
    if (world_fault(FAULT_STAT_FAILS)) return world_chance(0.5) ? -EIO : -ESTALE;
    fill_statx(row->object, result);
    return 0;
}

int disk_rename(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path,
                unsigned flags)
{
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    int failed = path_resolve(old_dir_fd, old_path, 0, from);
    if (!failed) failed = path_resolve(new_dir_fd, new_path, 0, to);
    if (!failed) failed = path_check_above(to);
    if (failed) return failed;
    if (world_fault(FAULT_RENAME_FAILS)) {
        static const int errors[] = {EIO, ENOSPC, EDQUOT, EROFS};
        if (flags && world_chance(0.5)) return -EINVAL;
        return -errors[world_below(ARRAY_COUNT(errors))];
    }
    struct disk_name *old = name_find(from), *taken = name_find(to);
    if (!old) return -ENOENT;
    if (taken && (flags & RENAME_NOREPLACE)) return -EEXIST;
    if (taken && taken->node->folder) return -EISDIR;
    struct disk_node *node = old->node;
    platter_rename(from, to, node); /* holds it while its name changes */
    if (taken) name_remove(taken);
    name_remove(name_find(from));
    disk_add_name(to, node);
    return 0;
}

int disk_unlink_path(const char *path)
{
    struct disk_name *name = name_find(path);
    if (!name) return -ENOENT;
    if (name->node->folder) return -EISDIR;
    platter_unlink(path, name->node);
    name_remove(name);
    return 0;
}

int disk_unlink(int dir_fd, const char *path)
{
    char at[PATH_BYTES_MAX];
    int failed = path_resolve(dir_fd, path, 0, at);
    if (failed) return failed;
    if (world_fault(FAULT_UNLINK_FAILS)) return -EIO;
    return disk_unlink_path(at);
}

int disk_make_folder(int dir_fd, const char *path)
{
    char at[PATH_BYTES_MAX];
    int failed = path_resolve(dir_fd, path, 0, at);
    if (!failed) failed = path_check_above(at);
    if (failed) return failed;
    if (disk_find(at)) return -EEXIST;
    if (world_fault(FAULT_FOLDER_FAILS)) return world_chance(0.5) ? -EACCES : -EIO;
    struct disk_node *node = node_new(true);
    disk_add_name(at, node);
    platter_link(at, node);
    return 0;
}

int disk_set_mtime(int fd, int64_t mtime_ns)
{
    struct disk_node *node = table_row_of(fd, TABLE_FILE)->object;
    if (world_fault(FAULT_TIMES_FAIL)) return -EPERM;
    node->mtime_ns = mtime_ns;
    return 0;
}

int disk_set_mode(int fd, uint32_t mode)
{
    struct disk_node *node = table_row_of(fd, TABLE_FILE)->object;
    if (world_fault(FAULT_TIMES_FAIL)) return -EPERM;
    node->mode = S_IFREG | mode;
    return 0;
}

int disk_set_flags(int fd, int flags)
{
    struct table_row *row = table_row(fd);
    if ((flags & O_DIRECT) && (disk.no_direct || row->kind != TABLE_FILE)) return -EINVAL;
    int kept = row->flags & (O_ACCMODE | O_CREAT);
    row->flags = kept | (flags & (O_APPEND | O_DIRECT | O_NONBLOCK | O_NOATIME));
    return 0;
}
