/* receipt: writes a run's manifest (s3/manifest) as objects finish, without holding the data path
 * up: lines gather in memory and go to the file through the ring, one write at a time.
 *
 *     receipt_open()  FILE.partial is made (0600) and locked, the head is its first line
 *     receipt_add()   a line; what gathered is written from RECEIPT_WRITE_BYTES on, or by
 *                     receipt_flush(), which the run calls as often as it looks at the clock
 *     receipt_end()   the last line; a run that ended by itself: synced, then renamed to FILE
 *
 *     end: DRAIN ⇄ DRAINING ─► STATUS ─► SYNCING ─► RENAMING ─► CLOSING; an error: CLOSE
 *
 * So FILE is always the manifest of a whole run, with its failures counted in the last line, and
 * what was there before stays until then. A run that was stopped leaves FILE.partial, whose last
 * line says "complete":false; a run that was killed leaves it without a last line, and at most the
 * lines of the last RECEIPT_WRITE_BYTES or two looks at the clock are missing. A run that goes on
 * from there (s3/journal) appends to it.
 *
 * A manifest that cannot be written is a reason to stop: it was asked for as evidence. Memory: two
 * areas; who adds looks at receipt_is_full() before more is begun. */
#ifndef S3_RECEIPT_H
#define S3_RECEIPT_H

#include "core/file.h"
#include "core/machine.h"
#include "s3/manifest.h"
#include "s3/work.h"

#define RECEIPT_WRITE_BYTES (64 * KIB)
#define RECEIPT_FULL_BYTES                                                                         \
    (1 * MIB) /* thousands of lines: a file system that is this slow stalls */
#define RECEIPT_WHY_BYTES 512u

struct receipt_area { /* lines, to be written or being written */
    char *data;
    size_t count, count_max;
};

struct receipt {
    struct machine machine; /* of the end */
    struct core *core;
    struct aside *aside;
    enum err err; /* of writing; sticky */
    int raw;
    char path[PATH_BYTES_MAX], partial[PATH_BYTES_MAX]; /* where it is to be, and where it is */
    /* private */
    struct file file;
    struct file_status status;
    struct receipt_area filling, writing;
    uint64_t object_bytes; /* of the objects that were added */
    uint64_t offset;       /* in the file, of what is written next */
    size_t written;        /* of `writing` */
    struct op write, step;
    struct manifest_object object; /* of the line that is made */
    bool is_tree, complete, awaited;
};

struct receipt_options {
    struct core *core;
    struct aside *aside;
    const char *path;
    bool append; /* behind what FILE.partial holds, if there is one */
    uint32_t file_mode;
};

/* Blocks: before the core runs. Errors, with a sentence in `why`: those of files, ERR_FILE_NAME,
 * ERR_CONFLICT (another run writes it). */
MUST_USE enum err receipt_open(struct receipt *receipt, const struct receipt_options *options,
                               const struct manifest_head *head, char why[RECEIPT_WHY_BYTES]);
/* An object that is done: its work with its result. */
void receipt_add(struct receipt *receipt, const struct work *work);
void receipt_flush(struct receipt *receipt);
bool receipt_is_full(const struct receipt *receipt);
/* Its bytes are counted here. op->err is receipt->err. */
void receipt_end(struct receipt *receipt, const struct manifest_end *end, struct op *op);
void receipt_close(struct receipt *receipt); /* nothing may be out; also after a failed open */

#endif
