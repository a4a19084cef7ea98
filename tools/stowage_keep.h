/* stowage_keep: where the bytes of objects are: in memory, in a folder, or nowhere.
 *
 * A kind embeds `struct stowage_keep`. Bytes go in through a sink and come out through a source,
 * one op at a time on each. A sink says where to receive the next bytes, so that memory takes them
 * straight; a source says where they are, so that they are sent from there.
 *
 *   sink:    open → (area, write)* → close → its segment is the caller's, or dropped
 *   source:  open → (fill → send iovecs)* → close
 *
 * Notes tell the keep of changes to the index, so that a folder survives a restart. Errors are
 * those of files; memory that cannot be had is ERR_NO_MEMORY. */
#ifndef TOOLS_STOWAGE_KEEP_H
#define TOOLS_STOWAGE_KEEP_H

#include <sys/uio.h>

#include "core/core.h"
#include "core/file.h"
#include "tools/stowage_store.h"

#define STOWAGE_SOURCE_IOVECS 16u
#define STOWAGE_SCRATCH_BYTES (1u * 1024u * 1024u) /* what one receive or read takes at most */

struct stowage_keep;

struct stowage_sink {
    struct stowage_keep *keep;
    struct stowage_segment segment; /* bytes: written so far */
    struct bytes bucket, key;       /* whose; for names; valid during open */
    uint64_t bytes_max;             /* announced: no more are written */
    char *scratch;                  /* the connection's, STOWAGE_SCRATCH_BYTES */
    bool is_open;
    /* private */
    struct file file;
    struct file_io io;
    struct op step;
    struct buf buf;
    struct op *owner;
    char *path;
};

struct stowage_source {
    struct stowage_keep *keep;
    const struct stowage_object *object; /* held by the caller */
    uint64_t at, end;                    /* what is still to come */
    char *scratch;
    struct iovec iovecs[STOWAGE_SOURCE_IOVECS]; /* after fill: the next bytes */
    uint32_t iovec_count;
    bool is_open;
    /* private */
    struct file file;
    struct file_io io;
    struct op step;
    struct buf buf;
    struct op *owner;
    uint64_t part_first; /* offset of the part that `file` is */
    uint32_t part_index;
    char *path;
};

struct stowage_note { /* a change of the index */
    enum {
        STOWAGE_NOTE_BUCKET,   /* was made */
        STOWAGE_NOTE_UNBUCKET, /* is removed */
        STOWAGE_NOTE_OBJECT,   /* is put */
        STOWAGE_NOTE_REMOVE    /* is removed */
    } kind;
    struct bytes bucket, key;
    uint64_t created_ns;                 /* of a bucket */
    const struct stowage_object *object; /* of OBJECT */
};

struct stowage_keep_kind {
    const char *name;
    bool has_content; /* MD5 ETags are worth computing, a copy copies bytes */
    void (*sink_open)(struct stowage_sink *sink, struct op *op);
    void (*sink_write)(struct stowage_sink *sink, const char *data, uint32_t count, struct op *op);
    void (*sink_close)(struct stowage_sink *sink, struct op *op);
    void (*source_fill)(struct stowage_source *source, struct op *op);
    void (*source_close)(struct stowage_source *source, struct op *op);
    void (*drop)(struct stowage_keep *keep, struct stowage_segment *segment);
    void (*note)(struct stowage_keep *keep, const struct stowage_note *note, struct op *op);
    void (*close)(struct stowage_keep *keep, struct op *op);
};

struct stowage_keep {
    const struct stowage_keep_kind *kind;
    struct core *core;
};

/* `bytes_max`: of the body. */
void stowage_keep_sink_init(struct stowage_sink *sink, struct stowage_keep *keep,
                            uint64_t bytes_max, char *scratch);
void stowage_keep_sink_open(struct stowage_sink *sink, struct op *op);
/* Where the next bytes may be received, and how many: at least 1 while fewer than bytes_max came.
 * */
char *stowage_keep_sink_area(struct stowage_sink *sink, uint32_t *bytes);
/* `data`: the area, or elsewhere (then it stays in place until done). count ≥ 1. */
void stowage_keep_sink_write(struct stowage_sink *sink, const char *data, uint32_t count,
                             struct op *op);
void stowage_keep_sink_close(struct stowage_sink *sink, struct op *op);

/* Bytes [first, first + count) of the object. */
void stowage_keep_source_init(struct stowage_source *source, struct stowage_keep *keep,
                              const struct stowage_object *object, char *scratch);
void stowage_keep_source_range(struct stowage_source *source, uint64_t first, uint64_t count);
/* The next bytes, at least 1, at most a few MiB: source->iovecs. Only while at < end. */
void stowage_keep_source_fill(struct stowage_source *source, struct op *op);
void stowage_keep_source_close(struct stowage_source *source, struct op *op);

/* `op` NULL: nobody waits for it. Notes take effect in order. */
void stowage_keep_note(struct stowage_keep *keep, const struct stowage_note *note, struct op *op);
/* The content goes, soon; the struct is emptied. */
void stowage_keep_drop(struct stowage_keep *keep, struct stowage_segment *segment);
/* Only our memory goes: a file stays. */
void stowage_keep_forget(struct stowage_segment *segment);
void stowage_keep_close(struct stowage_keep *keep, struct op *op);

#endif
