#include "tests/sim/vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/list.h"
#include "tests/sim/cut.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

#define SECTOR_BYTES 4096
#define REGIONS_MAX  64
#define JULIAN_EPOCH 210866760000000ll /* ms from its beginning to 1970 */
#define FILE_MODE    0600u
#define VFS_PATH_MAX 512

struct vfs_file {
    sqlite3_file base; /* first: SQLite's */
    struct link link;
    struct disk_node *node; /* NULL: its process is gone */
    bool new_log;           /* its name goes with its first sync, as SQLite does on Linux */
    char folder[VFS_PATH_MAX];
};

static struct {
    struct list files;
    void *regions[REGIONS_MAX];
    uint64_t changes, die_at;
    bool failed;
} vfs;

static struct vfs_file *file_of(sqlite3_file *base)
{
    return container_of(base, struct vfs_file, base);
}

/* ── what goes wrong ────────────────────────────────────────────────────────────────────────── */

/* False: the process ends here, or has ended. */
static bool lives_on(const struct vfs_file *file)
{
    if (cut_is_over() || !file->node) return false;
    if (vfs.changes++ != vfs.die_at) return true;
    cut_now();
    return false;
}

static bool fails(void)
{
    if (!world_fault(FAULT_JOURNAL_FAILS)) return false;
    vfs.failed = true;
    return true;
}

/* ── files ──────────────────────────────────────────────────────────────────────────────────── */

static int file_close(sqlite3_file *base)
{
    struct vfs_file *file = file_of(base);
    if (!file->node) return SQLITE_OK;
    list_remove(&file->link);
    disk_drop(file->node);
    file->node = NULL;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *memory, int count, sqlite3_int64 offset)
{
    const struct disk_node *node = file_of(base)->node;
    uint64_t at = (uint64_t)offset, bytes = (uint64_t)count, there = 0;
    if (!node || cut_is_over()) return SQLITE_IOERR_READ;
    if (at < node->bytes) there = min_u64(bytes, node->bytes - at);
    if (there) memcpy(memory, node->data + at, there);
    if (there == bytes) return SQLITE_OK;
    memset((char *)memory + there, 0, bytes - there);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *memory, int count, sqlite3_int64 offset)
{
    struct vfs_file *file = file_of(base);
    struct disk_node *node = file->node;
    uint64_t bytes = (uint64_t)count;
    bool was_over = cut_is_over(), lives = lives_on(file);
    if (lives && fails()) return world_chance(0.5) ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    if (!node) return SQLITE_IOERR_WRITE;
    if (!lives && (was_over || world_chance(0.3))) return SQLITE_IOERR_WRITE;
    if (!lives) bytes = world_below(bytes + 1);
    if (bytes) disk_write_node(node, memory, bytes, (uint64_t)offset);
    return lives ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 bytes)
{
    struct vfs_file *file = file_of(base);
    if (!lives_on(file)) return SQLITE_IOERR_TRUNCATE;
    disk_resize(file->node, (uint64_t)bytes);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct vfs_file *file = file_of(base);
    if (!lives_on(file)) return SQLITE_IOERR_FSYNC;
    if (fails()) return SQLITE_IOERR_FSYNC;
    disk_sync_node(file->node, flags & SQLITE_SYNC_DATAONLY);
    if (file->new_log) platter_sync(file->folder);
    file->new_log = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *bytes)
{
    const struct disk_node *node = file_of(base)->node;
    if (!node) return SQLITE_IOERR_FSTAT;
    *bytes = (sqlite3_int64)node->bytes;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int lock)
{
    (void)base, (void)lock;
    return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *base, int *result)
{
    (void)base;
    *result = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int what, void *argument)
{
    (void)base, (void)what, (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
    (void)base;
    return SECTOR_BYTES;
}

/* As SQLite assumes of Linux's file systems. */
static int file_traits(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int file_map_region(sqlite3_file *base, int index, int bytes, int extend,
                           void volatile **region)
{
    (void)base;
    CHECK(index < REGIONS_MAX);
    if (!vfs.regions[index] && extend) vfs.regions[index] = calloc(1, (size_t)bytes);
    *region = vfs.regions[index];
    return SQLITE_OK;
}

static int file_lock_region(sqlite3_file *base, int offset, int count, int flags)
{
    (void)base, (void)offset, (void)count, (void)flags;
    return SQLITE_OK;
}

static void file_barrier(sqlite3_file *base)
{
    (void)base;
}

static void forget_regions(void)
{
    for (int i = 0; i < REGIONS_MAX; i++)
        free(vfs.regions[i]);
    memset(vfs.regions, 0, sizeof vfs.regions);
}

static int file_unmap_regions(sqlite3_file *base, int remove)
{
    if (file_of(base)->node && remove) forget_regions();
    return SQLITE_OK;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_is_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_map_region,
    .xShmLock = file_lock_region,
    .xShmBarrier = file_barrier,
    .xShmUnmap = file_unmap_regions,
};

/* ── names ──────────────────────────────────────────────────────────────────────────────────── */

static int vfs_open_file(sqlite3_vfs *self, const char *path, sqlite3_file *base, int flags,
                         int *out_flags)
{
    struct vfs_file *file = file_of(base);
    (void)self;
    CHECK(path && "no file of the journal is without a name");
    base->pMethods = NULL;
    if (cut_is_over()) return SQLITE_CANTOPEN;
    struct disk_node *node = disk_find(path);
    bool log = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL);
    file->new_log = log && (flags & SQLITE_OPEN_CREATE);
    if (!node && !(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
    if (!node) node = disk_make(path, FILE_MODE);
    snprintf(file->folder, sizeof file->folder, "%s", path);
    *strrchr(file->folder, '/') = '\0';
    disk_hold(node);
    file->node = node;
    base->pMethods = &file_methods;
    link_init(&file->link);
    list_push(&vfs.files, &file->link);
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *self, const char *path, int sync)
{
    char folder[VFS_PATH_MAX];
    (void)self;
    if (cut_is_over()) return SQLITE_IOERR_DELETE;
    if (vfs.changes++ == vfs.die_at) {
        cut_now();
        return SQLITE_IOERR_DELETE;
    }
    if (disk_unlink_path(path)) return SQLITE_IOERR_DELETE_NOENT;
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    if (sync) platter_sync(folder);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *self, const char *path, int flags, int *result)
{
    const struct disk_node *node = disk_find(path);
    (void)self;
    *result = node && (flags != SQLITE_ACCESS_EXISTS || node->bytes > 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *self, const char *path, int room, char *full)
{
    (void)self;
    sqlite3_snprintf(room, full, "%s", path);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *self, int count, char *bytes)
{
    (void)self;
    for (int i = 0; i < count; i++)
        bytes[i] = (char)world_below(256);
    return count;
}

static int vfs_sleep(sqlite3_vfs *self, int us)
{
    (void)self;
    return us;
}

static int vfs_now(sqlite3_vfs *self, sqlite3_int64 *ms)
{
    (void)self;
    *ms = JULIAN_EPOCH + (sqlite3_int64)((world->now_ns + world->wall_offset_ns) / NS_PER_MS);
    return SQLITE_OK;
}

static int vfs_now_days(sqlite3_vfs *self, double *days)
{
    sqlite3_int64 ms;
    (void)vfs_now(self, &ms);
    *days = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *self, int count, char *text)
{
    (void)self, (void)count, (void)text;
    return 0;
}

static sqlite3_vfs vfs_methods = {
    .iVersion = 2,
    .szOsFile = sizeof(struct vfs_file),
    .mxPathname = VFS_PATH_MAX,
    .zName = "sim",
    .xOpen = vfs_open_file,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_random,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_now_days,
    .xGetLastError = vfs_last_error,
    .xCurrentTimeInt64 = vfs_now,
};

/* ── the world's ────────────────────────────────────────────────────────────────────────────── */

void vfs_open_world(void)
{
    memset(&vfs, 0, sizeof vfs);
    list_init(&vfs.files);
    vfs.die_at = UINT64_MAX;
    if (sqlite3_vfs_register(&vfs_methods, 1)) NEVER("SQLite takes another system");
    sqlite3_randomness(0, NULL); /* from this seed anew */
}

void vfs_close_world(void)
{
    CHECK(list_is_empty(&vfs.files) && "the journal was closed");
    forget_regions();
}

uint64_t vfs_changes(void)
{
    return vfs.changes;
}

void vfs_die_at(uint64_t change)
{
    vfs.die_at = change;
}

bool vfs_failed(void)
{
    return vfs.failed;
}

void vfs_kill(void)
{
    struct link *link;
    while ((link = list_pop(&vfs.files))) {
        struct vfs_file *file = container_of(link, struct vfs_file, link);
        disk_drop(file->node);
        file->node = NULL;
    }
    forget_regions();
}
