/* file: one open file as the data path sees it: opened with or without O_DIRECT, read and written
 * in bufs, checked against what it was when the transfer began.
 *
 * Any number of reads and writes may be out at once, each with a `struct file_io` of its own; open,
 * close and allocate are one at a time, and close comes after all the others are done.
 *
 * Direct: reads and writes at offsets that are multiples of FILE_DIRECT_ALIGN, from and to the
 * start of a buf; the last block of a written file is padded and cut off by file_truncate(). Where
 * O_DIRECT is refused, at open or later, the file goes on buffered, silently: it is an
 * optimisation. FILE_DIRECT_AUTO means: files of at least FILE_DIRECT_BYTES_MIN on a local file
 * system (ext4, xfs, btrfs, f2fs), never on network file systems. O_DIRECT is turned on after the
 * open, by fcntl(2): an open(2) with O_CREAT and O_DIRECT may create the file and then refuse.
 *
 * Not here: which offsets to read, retries of a failed file, temporary names. */
#ifndef CORE_FILE_H
#define CORE_FILE_H

#include "core/aside.h"
#include "core/op.h"
#include "core/pool.h"

struct core;
struct statx;

#define FILE_DIRECT_ALIGN 4096u /* what every local file system and device here accepts */
#define FILE_DIRECT_BYTES_MIN                                                                      \
    (16ull * MIB)                 /* below, the page cache and its read-ahead are as good */
#define FILE_NO_OFFSET UINT64_MAX /* the file's own position: pipes, terminals */

enum file_direct { FILE_DIRECT_OFF, FILE_DIRECT_AUTO, FILE_DIRECT_ON };

struct file_identity { /* what must not change while we read */
    uint64_t size_bytes;
    int64_t mtime_ns, ctime_ns; /* since 1970, may be negative */
    uint64_t inode;
    uint32_t dev_major, dev_minor;
    uint32_t mode; /* S_IFMT and permissions */
};

struct file {
    struct core *core;
    int fd; /* −1 when closed */
    bool direct;
    /* private */
    uint8_t wish; /* enum file_direct */
    bool nonblocking;
    int flags; /* that fcntl(2) must leave set */
    uint32_t io_count;
    uint64_t expected_bytes;
    struct op step;   /* of ours, while the owner's op is out */
    struct op *owner; /* of an open or allocate that is out */
};

struct file_open {    /* how to open */
    int dir_fd;       /* AT_FDCWD, or a folder that `path` must stay below when `resolve` says so */
    const char *path; /* kept in place by the caller while the file is opened */
    int flags;        /* O_RDONLY, or O_WRONLY | O_CREAT | O_EXCL …; O_CLOEXEC is added, and
                       * O_NONBLOCK holds for the open only */
    uint32_t mode;    /* of a new file */
    uint64_t resolve; /* RESOLVE_BENEATH …, 0: none */
    enum file_direct direct;
    uint64_t expected_bytes; /* the file's size when it is complete; 0: not known */
};

/* One read or write; embedded by its caller, one for each buf that is on its way. */
struct file_io {
    struct op op; /* done when all of it is; its count is buf->count */
    /* private */
    struct op step;
    struct file *file;
    struct buf *buf;
    uint64_t offset;
    uint32_t bytes, moved; /* asked for; done so far */
    uint8_t tries;
    bool writes, direct, cancelled;
};

#define FILE_KEEP_MTIME INT64_MIN
#define FILE_KEEP_MODE  UINT32_MAX

/* One change of what a file says of itself; embedded by its caller. */
struct file_status {
    struct aside_job job; /* done: job.op */
    int64_t mtime_ns;     /* since 1970, or FILE_KEEP_MTIME */
    uint32_t mode;        /* permissions, or FILE_KEEP_MODE */
    /* private */
    int fd;
};

void file_init(struct file *file, struct core *core);
/* op->count: the descriptor. `how` is not needed any more when this returns; how->path is. */
void file_open(struct file *file, const struct file_open *how, struct op *op);
/* Takes over a descriptor that is open, such as standard input: buffered, and O_NONBLOCK is turned
 * off, since io_uring would answer EAGAIN instead of waiting. */
void file_adopt(struct file *file, int fd);
void file_close(struct file *file, struct op *op); /* ERR_NONE at once when it is not open */

void file_io_init(struct file_io *io, op_fn *done);
/* Into buf->data at most buf->count_max and at most `bytes`, from `offset`; sets buf->count. Fewer
 * only at the end of the file, 0 beyond it. `buf` stays with the caller, who leaves it alone until
 * io->op is done. */
void file_read(struct file *file, struct file_io *io, struct buf *buf, uint32_t bytes,
               uint64_t offset);
/* All buf->count bytes, or an error. A direct file's short last block is padded with zeros up to
 * FILE_DIRECT_ALIGN, in the buf too; it must be the file's last (expected_bytes, if given). */
void file_write(struct file *file, struct file_io *io, struct buf *buf, uint64_t offset);
void file_cancel(struct file_io *io); /* as ring_cancel(): harmless when it is not out */

/* Makes room for `bytes` from the start, as fallocate(2), and makes the file that long. A file
 * system that has no such call counts as success: then writes may find the disk full later. */
void file_allocate(struct file *file, uint64_t bytes, struct op *op);
void file_truncate(struct file *file, uint64_t bytes, struct op *op);
void file_sync(struct file *file, bool data_only, struct op *op);

/* Sets the modification time and the mode, as asked, and leaves the access time; on `aside`, since
 * io_uring has no such calls. */
void file_status_init(struct file_status *status, op_fn *done);
void file_set_status(struct file *file, struct file_status *status, struct aside *aside);

/* fstat(2) now: a plain system call on an open descriptor. */
MUST_USE enum err file_identify(const struct file *file, struct file_identity *identity, int *raw);
/* From a statx(2) with STATX_BASIC_STATS. */
void file_identity_of_statx(struct file_identity *identity, const struct statx *result);
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);
/* Is O_DIRECT worth asking for? Asks the local kernel only, never a file server. */
bool file_system_is_local(int fd);

#endif
