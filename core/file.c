#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/core.h"

#define XFS_MAGIC 0x58465342u /* "XFSB"; linux/magic.h of Debian 12 has it not */

/* EAGAIN and EINTR in a row: each costs a turn of the ring, so this many are a fault, not bad luck.
 */
#define TRIES_MAX 64u

_Static_assert(BUF_SMALL_BYTES % FILE_DIRECT_ALIGN == 0, "a padded last block fits its buf");
_Static_assert(BUF_LARGE_BYTES % FILE_DIRECT_ALIGN == 0, "a padded last block fits its buf");

static void on_open(struct op *step);
static void on_allocate(struct op *step);
static void on_io(struct op *step);
static void io_start(struct file_io *io);

void file_init(struct file *file, struct core *core)
{
    *file = (struct file){.core = core, .fd = -1};
    op_init(&file->step, on_open);
}

/* open and allocate lend their owner's op to the file while the file's own op is out. */
static void file_begin(struct file *file, struct op *op, op_fn *done)
{
    CHECK(!file->owner && "one open or allocate at a time");
    op_begin(op);
    op_init(&file->step, done);
    file->owner = op;
}

static void file_finish(struct file *file, enum err err, int raw)
{
    struct op *op = file->owner;
    CHECK(op);
    file->owner = NULL;
    op->raw = raw;
    core_finish(file->core, op, err);
}

void file_open(struct file *file, const struct file_open *how, struct op *op)
{
    struct ring *ring = file->core->ring;
    int flags = how->flags | O_CLOEXEC;
    CHECK(file->fd < 0 && "a file is opened once at a time");
    CHECK(!(how->flags & O_DIRECT) && "the wish is in `direct`");
    file_begin(file, op, on_open);
    file->wish = (uint8_t)how->direct;
    file->expected_bytes = how->expected_bytes;
    file->direct = false;
    file->flags = how->flags & (O_APPEND | O_NOATIME);
    file->nonblocking = how->flags & O_NONBLOCK;
    if (how->resolve)
        ring_open_resolved(ring, how->dir_fd, how->path, flags, how->mode, how->resolve,
                           &file->step);
    else
        ring_open_file(ring, how->dir_fd, how->path, flags, how->mode, &file->step);
}

static bool direct_is_wanted(const struct file *file)
{
    switch ((enum file_direct)file->wish) {
    case FILE_DIRECT_OFF: return false;
    case FILE_DIRECT_ON: return true;
    case FILE_DIRECT_AUTO:
        return file->expected_bytes >= FILE_DIRECT_BYTES_MIN && file_system_is_local(file->fd);
    }
    NEVER("no such wish");
}

/* Of what fcntl(2) can change of an open file, what the caller asked for and O_DIRECT or not. False
 * where there is no O_DIRECT: EINVAL. */
static bool set_flags(const struct file *file, bool direct)
{
    return fcntl(file->fd, F_SETFL, file->flags | (direct ? O_DIRECT : 0)) == 0;
}

/* After an open with O_NONBLOCK the flag goes: where a file system cannot try without waiting (NFS,
 * FUSE), io_uring answers EAGAIN to a read that would wait, instead of waiting elsewhere. */
static void settle_flags(struct file *file)
{
    file->direct = direct_is_wanted(file) && set_flags(file, true);
    if (file->nonblocking && !file->direct) (void)set_flags(file, false);
}

static void on_open(struct op *step)
{
    struct file *file = container_of(step, struct file, step);
    CHECK(file->owner && file->fd < 0);
    if (step->err == ERR_NONE) {
        file->fd = (int)step->count;
        settle_flags(file);
        file->owner->count = step->count;
    }
    file_finish(file, step->err, step->raw);
}

void file_adopt(struct file *file, int fd)
{
    CHECK(file->fd < 0 && fd >= 0);
    file->fd = fd;
    file->direct = false;
    file->expected_bytes = 0;
    file->flags = fcntl(fd, F_GETFL) & (O_APPEND | O_NOATIME);
    (void)set_flags(file, false); /* refused at worst: then a slow pipe is an error */
}

void file_close(struct file *file, struct op *op)
{
    int fd = file->fd;
    CHECK(!file->owner && file->io_count == 0 && "nothing is out when a file is closed");
    file->fd = -1;
    file->direct = false;
    if (fd >= 0) {
        ring_close_file(file->core->ring, fd, op);
        return;
    }
    op_begin(op);
    core_finish(file->core, op, ERR_NONE);
}

void file_io_init(struct file_io *io, op_fn *done)
{
    memset(io, 0, sizeof(*io));
    op_init(&io->op, done);
    op_init(&io->step, on_io);
}

static void io_begin(struct file *file, struct file_io *io, struct buf *buf, uint32_t bytes,
                     uint64_t offset)
{
    CHECK(file->fd >= 0 && !file->owner);
    CHECK(bytes <= buf->count_max);
    op_begin(&io->op);
    io->file = file;
    io->buf = buf;
    io->offset = offset;
    io->bytes = bytes;
    io->moved = 0;
    io->tries = 0;
    io->cancelled = false;
    file->io_count++;
    if (!file->direct) return;
    CHECK(offset % FILE_DIRECT_ALIGN == 0 && "direct I/O starts at whole blocks");
    CHECK(buf->count_max % FILE_DIRECT_ALIGN == 0 && "direct I/O may fill the last block");
}

static void io_finish(struct file_io *io, enum err err, int raw)
{
    struct file *file = io->file;
    CHECK(file->io_count > 0);
    file->io_count--;
    io->op.raw = raw;
    io->op.count = err == ERR_NONE ? io->moved : 0;
    if (!io->writes) io->buf->count = io->op.count;
    core_finish(file->core, &io->op, err);
}

void file_read(struct file *file, struct file_io *io, struct buf *buf, uint32_t bytes,
               uint64_t offset)
{
    io->writes = false;
    io_begin(file, io, buf, (uint32_t)min_u64(bytes, buf->count_max), offset);
    buf->count = 0;
    io_start(io);
}

void file_write(struct file *file, struct file_io *io, struct buf *buf, uint64_t offset)
{
    uint32_t padded = (uint32_t)align_up_u64(buf->count, FILE_DIRECT_ALIGN);
    io->writes = true;
    io_begin(file, io, buf, buf->count, offset);
    if (file->direct && padded > buf->count) {
        uint64_t end = file->expected_bytes;
        CHECK((end == 0 || offset + buf->count >= end) && "only the last block may be padded");
        memset(buf->data + buf->count, 0, padded - buf->count);
    }
    io_start(io);
}

/* Asks for what is left of it, or finishes when nothing is. */
static void io_start(struct file_io *io)
{
    struct file *file = io->file;
    struct ring *ring = file->core->ring;
    char *at = io->buf->data + io->moved;
    uint32_t left = io->bytes - io->moved;
    uint64_t offset = io->offset == FILE_NO_OFFSET ? FILE_NO_OFFSET : io->offset + io->moved;
    if (left == 0) {
        io_finish(io, ERR_NONE, 0);
        return;
    }
    io->direct = file->direct;
    if (io->direct) left = (uint32_t)align_up_u64(left, FILE_DIRECT_ALIGN);
    if (io->writes)
        ring_write(ring, file->fd, at, left, offset, io->buf->arena, &io->step);
    else
        ring_read(ring, file->fd, at, left, offset, io->buf->arena, &io->step);
}

/* From here on the file is buffered. Harmless to what is out: the kernel looked at the flag when it
 * started that. */
static enum err leave_direct(struct file *file)
{
    if (file->direct && !set_flags(file, false)) return err_of_errno(errno);
    file->direct = false;
    return ERR_NONE;
}

static void io_failed(struct file_io *io)
{
    int raw = io->step.raw;
    bool again = (raw == EINTR || raw == EAGAIN) && ++io->tries < TRIES_MAX;
    /* this file or device wants another alignment than ours, or has no O_DIRECT after all */
    bool refused = raw == EINVAL && io->direct && leave_direct(io->file) == ERR_NONE;
    if ((again || refused) && !io->cancelled)
        io_start(io);
    else
        io_finish(io, io->step.err, raw);
}

/* Some bytes were moved: all, or fewer than asked. */
static void io_moved(struct file_io *io)
{
    uint64_t moved = (uint64_t)io->moved + io->step.count;
    io->tries = 0;
    io->moved = (uint32_t)min_u64(moved, io->bytes); /* not the padding */
    if (io->moved == io->bytes) {
        io_finish(io, ERR_NONE, 0);
        return;
    }
    if (io->step.count == 0) { /* a write that moves nothing would do so for ever */
        io_finish(io, io->writes ? ERR_FILE_IO : ERR_NONE, io->writes ? EIO : 0);
        return;
    }
    enum err err = ERR_NONE;
    /* a direct rest would start inside a block, and be rounded up past the end of its buf */
    if (io->moved % FILE_DIRECT_ALIGN != 0) err = leave_direct(io->file);
    if (err == ERR_NONE && io->cancelled) err = ERR_CANCELLED;
    if (err == ERR_NONE)
        io_start(io);
    else
        io_finish(io, err, 0);
}

static void on_io(struct op *step)
{
    struct file_io *io = container_of(step, struct file_io, step);
    CHECK(io->op.out);
    if (step->err == ERR_NONE)
        io_moved(io);
    else
        io_failed(io);
}

void file_cancel(struct file_io *io)
{
    if (!io->step.out) return;
    io->cancelled = true;
    ring_cancel(io->file->core->ring, &io->step);
}

void file_allocate(struct file *file, uint64_t bytes, struct op *op)
{
    CHECK(file->fd >= 0);
    file_begin(file, op, on_allocate);
    if (bytes == 0) /* fallocate(2) answers EINVAL to that */
        file_finish(file, ERR_NONE, 0);
    else
        ring_allocate(file->core->ring, file->fd, 0, 0, bytes, &file->step);
}

static void on_allocate(struct op *step)
{
    struct file *file = container_of(step, struct file, step);
    bool absent = step->raw == EOPNOTSUPP || step->raw == ENOSYS;
    file_finish(file, absent ? ERR_NONE : step->err, absent ? 0 : step->raw);
}

void file_truncate(struct file *file, uint64_t bytes, struct op *op)
{
    CHECK(file->fd >= 0);
    ring_truncate(file->core->ring, file->fd, bytes, op);
}

void file_sync(struct file *file, bool data_only, struct op *op)
{
    CHECK(file->fd >= 0);
    ring_sync(file->core->ring, file->fd, data_only, op);
}

static struct timespec timespec_of(int64_t time_ns)
{
    int64_t seconds = time_ns / (int64_t)NS_PER_S;
    int64_t rest_ns = time_ns % (int64_t)NS_PER_S;
    if (rest_ns < 0) { /* before 1970: the fraction counts upwards all the same */
        seconds--;
        rest_ns += (int64_t)NS_PER_S;
    }
    return (struct timespec){.tv_sec = seconds, .tv_nsec = rest_ns};
}

/* Runs on the aside's thread. */
static enum err set_status(struct aside_job *job)
{
    struct file_status *status = container_of(job, struct file_status, job);
    struct timespec both[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    bool timed = status->mtime_ns != FILE_KEEP_MTIME;
    if (timed) both[1] = timespec_of(status->mtime_ns);
    if ((status->mode == FILE_KEEP_MODE || fchmod(status->fd, status->mode) == 0) &&
        (!timed || futimens(status->fd, both) == 0))
        return ERR_NONE;
    job->op.raw = errno;
    return err_of_errno(errno);
}

void file_status_init(struct file_status *status, op_fn *done)
{
    aside_job_init(&status->job, set_status, done);
    status->fd = -1;
    status->mtime_ns = FILE_KEEP_MTIME;
    status->mode = FILE_KEEP_MODE;
}

void file_set_status(struct file *file, struct file_status *status, struct aside *aside)
{
    CHECK(file->fd >= 0);
    status->fd = file->fd;
    aside_start(aside, &status->job);
}

/* Beyond the year 2262 or before 1678, which damaged files claim: the nearest that we can say. */
static int64_t ns_of(struct statx_timestamp time)
{
    int64_t ns;
    if (__builtin_mul_overflow(time.tv_sec, (int64_t)NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)time.tv_nsec, &ns))
        return time.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

void file_identity_of_statx(struct file_identity *identity, const struct statx *result)
{
    *identity = (struct file_identity){
        .size_bytes = result->stx_size,
        .mtime_ns = ns_of(result->stx_mtime),
        .ctime_ns = ns_of(result->stx_ctime),
        .inode = result->stx_ino,
        .dev_major = result->stx_dev_major,
        .dev_minor = result->stx_dev_minor,
        .mode = result->stx_mode,
    };
}

enum err file_identify(const struct file *file, struct file_identity *identity, int *raw)
{
    struct statx result;
    CHECK(file->fd >= 0);
    *raw = 0;
    if (statx(file->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &result) != 0) {
        *raw = errno;
        return err_of_errno(errno);
    }
    file_identity_of_statx(identity, &result);
    return ERR_NONE;
}

/* Not ctime: a new link, owner or name changes it, and no byte of the content. */
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
    return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns && a->inode == b->inode &&
           a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

/* Network file systems have no block device behind them, that is major 0, as btrfs has; fstatfs(2)
 * would ask their servers, and stall this thread for as long as they take. */
bool file_system_is_local(int fd)
{
    struct statx file;
    struct statfs system;
    struct btrfs_ioctl_fs_info_args btrfs = {0};
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &file) != 0) return false;
    if (file.stx_dev_major == 0) return ioctl(fd, BTRFS_IOC_FS_INFO, &btrfs) == 0;
    if (fstatfs(fd, &system) != 0) return false;
    return system.f_type == EXT4_SUPER_MAGIC || system.f_type == XFS_MAGIC ||
           system.f_type == F2FS_SUPER_MAGIC;
}
