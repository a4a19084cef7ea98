/* source: where the bytes of an upload come from: a range of a file, or a pipe.
 *
 *   source_open()   opens a file and takes its identity; source_adopt() takes a pipe over
 *   source_read()   fills bufs in order, several reads under way where the file is direct, and sums
 *                   the bytes as they come; op->count: bytes, fewer than asked only at the end
 *   source_check()  is the file still what it was? Called after the last read of whoever pins it
 *
 * A file that ends early or changed its identity is ERR_SHORT_READ or ERR_FILE_CHANGED: never an
 * object that mixes two states of a file. A pipe is read in order, by one reader at a time.
 * Later kinds (archives, codecs) fill bufs the same way. */
#ifndef S3_SOURCE_H
#define S3_SOURCE_H

#include "compress/sums.h"
#include "core/core.h"
#include "core/file.h"

#define SOURCE_READS_MAX 8u /* 1 MiB reads at depth 8: 139 ns/KB direct, 145 at 4 */

enum source_kind { SOURCE_FILE, SOURCE_PIPE };

struct source_read {
    struct file_io io;
    struct source *source;
    struct buf *buf;
    bool done;
};

struct source {
    struct core *core;
    enum source_kind kind;
    struct file file;
    struct file_identity identity; /* SOURCE_FILE: as of the open */
    bool at_end;                   /* SOURCE_PIPE: the end was seen */
    /* private */
    struct op step;
    struct op *owner;
    struct source_read reads[SOURCE_READS_MAX];
    struct list *bufs;    /* to fill, the caller's */
    struct link *to_read; /* the next of them to start on */
    struct sums *sums;
    uint64_t offset, left_bytes; /* to start on */
    uint64_t read_bytes;         /* read and summed */
    uint32_t first, busy;        /* reads are started and finished in ring order */
    enum err err;
    int raw;
};

void source_init(struct source *source, struct core *core);
/* how->flags are set here. Errors: as file_open(), ERR_FILE_KIND. */
void source_open(struct source *source, const struct file_open *how, struct op *op);
void source_adopt(struct source *source, int fd);
/* `bufs`: empty ones, enough for `bytes`; they stay with the caller. `sums` may be NULL. */
void source_read(struct source *source, struct list *bufs, uint64_t offset, uint64_t bytes,
                 struct sums *sums, struct op *op);
MUST_USE enum err source_check(const struct source *source, int *raw);
void source_cancel(struct source *source); /* ends a read that is out */
void source_close(struct source *source, struct op *op);

#endif
