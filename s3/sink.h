/* sink: where the bytes of a download go: into a temporary file beside its target that takes the
 * target's name when it is whole, or through to something that is not a file.
 *
 *     sink_open() or sink_adopt()  ─►  file writes  ─►  sink_commit(), sink_park() or
 *     sink_abandon()
 *
 *     open:    FOLDING ⇄ (FILE_MISSING: MAKING folders) ─► CREATING ⇄ (CLEARING) ─► ALLOCATING
 *     commit:  CUTTING ─► TIMING ─► SYNCING ─► CLOSING ─► RENAMING (─► CHECKING ─► REPLACING)
 *              ─► SETTLING ─► SHUTTING
 *     abandon, and any error: LEAVE ─► LEAVING ─► UNLINKING ─► SHUTTING
 *
 * The guarantee: under the target's name there is either what was there before or the whole object.
 * The rename replaces only a regular file or nothing. Folders on the way are made. The target's
 * folder is opened once, below the station's, and all that follows goes through that descriptor: a
 * symbolic link that is put in the way later leads nowhere. The file is its owner's alone (0600)
 * until it is whole; then it gets the mode of any new file. What is synced when: conf->fsync.
 * In a run with a journal the temporary name is made from the job's tag and the target's path, so
 * that a later run of the job finds it: to go on with it, or to make it anew.
 * A target that is a device or a pipe, and "-", is written through, in order, and cannot be
 * abandoned.
 * Paths are relative to the station's folder. One operation at a time. A machine for all three,
 * which differ in where they enter. */
#ifndef S3_SINK_H
#define S3_SINK_H

#include <linux/stat.h>

#include "core/folder.h"
#include "core/machine.h"
#include "s3/station.h"

struct sink {
    struct file file;
    bool through;  /* not a file: written in order, no temporary name */
    bool buffered; /* set by the owner before sink_open(): not with O_DIRECT */
    char temp[PATH_BYTES_MAX];
    /* private */
    struct machine machine;
    struct station *station;
    const char *path; /* the caller's, in place until commit or abandon */
    uint64_t bytes;
    struct op step;
    struct file_status status;
    struct folder_maker folders;
    struct statx target; /* what has the target's name */
    int folder_fd;       /* the target's; AT_FDCWD: none is open */
    uint32_t name_at;    /* where the last name begins, in `path` and in `temp` */
    uint8_t entry;
    char cut_byte;
    uint64_t inode; /* of the file that is adopted */
    bool folder_missing, made_folders, created, target_there, cut, taken, cleared;
};

#define SINK_NO_MTIME FILE_KEEP_MTIME

void sink_init(struct sink *sink, struct station *station);
/* `bytes`: of the whole object. Errors: those of files, ERR_DISK_FULL at once where the file system
 * can say so, ERR_FILE_ESCAPES. */
void sink_open(struct sink *sink, const char *path, uint64_t bytes, bool through, struct op *op);
/* The same of a temporary file that an earlier run of the job has parked, or left when it was
 * killed. Errors: also ERR_FILE_MISSING and ERR_FILE_CHANGED (it is another file): then sink_open()
 * may be called. */
void sink_adopt(struct sink *sink, const char *path, uint64_t bytes, uint64_t inode, struct op *op);
/* Which file it is, once it is open. */
MUST_USE enum err sink_inode(const struct sink *sink, uint64_t *inode);
/* All writes are done. `mtime_ns` or SINK_NO_MTIME. Errors: those of files, ERR_FILE_IS_FOLDER and
 * ERR_FILE_EXISTS for a target that is not a regular file; then the temporary file is gone. */
void sink_commit(struct sink *sink, int64_t mtime_ns, struct op *op);
void sink_park(struct sink *sink, struct op *op);    /* closes it; the temporary file stays */
void sink_abandon(struct sink *sink, struct op *op); /* also after a failed open */

#endif
