#include "s3/source.h"

#include <fcntl.h>
#include <sys/stat.h>

static void source_on_open(struct op *op);
static void source_on_read(struct op *op);
static void source_pump(struct source *source);

void source_init(struct source *source, struct core *core)
{
    source->core = core;
    source->kind = SOURCE_FILE;
    source->owner = NULL;
    source->at_end = false;
    source->first = source->busy = 0;
    file_init(&source->file, core);
    op_init(&source->step, source_on_open);
    for (uint32_t i = 0; i < SOURCE_READS_MAX; i++) {
        file_io_init(&source->reads[i].io, source_on_read);
        source->reads[i].source = source;
        source->reads[i].buf = NULL;
    }
}

static void source_finish(struct source *source, enum err err, int raw, uint64_t count)
{
    struct op *owner = source->owner;
    source->owner = NULL;
    owner->raw = raw;
    owner->count = (uint32_t)count;
    core_finish(source->core, owner, err);
}

void source_open(struct source *source, const struct file_open *how, struct op *op)
{
    struct file_open mine = *how;
    op_begin(op);
    CHECK(!source->owner);
    source->kind = SOURCE_FILE;
    source->owner = op;
    /* Without O_NONBLOCK a pipe that was found in a folder would hang the open. */
    mine.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    file_open(&source->file, &mine, &source->step);
}

static void source_on_open(struct op *op)
{
    struct source *source = container_of(op, struct source, step);
    enum err err = op->err;
    int raw = op->raw;
    if (!err) err = file_identify(&source->file, &source->identity, &raw);
    if (!err && !S_ISREG(source->identity.mode))
        err = S_ISDIR(source->identity.mode) ? ERR_FILE_IS_FOLDER : ERR_FILE_KIND;
    source_finish(source, err, raw, 0);
}

void source_adopt(struct source *source, int fd)
{
    source->kind = SOURCE_PIPE;
    file_adopt(&source->file, fd);
}

void source_read(struct source *source, struct list *bufs, uint64_t offset, uint64_t bytes,
                 struct sums *sums, struct op *op)
{
    op_begin(op);
    CHECK(!source->owner && source->busy == 0);
    CHECK(bytes <= UINT32_MAX && "op->count must hold it");
    source->owner = op;
    source->bufs = bufs;
    source->to_read = bufs->head.next;
    source->offset = offset;
    source->left_bytes = source->at_end ? 0 : bytes;
    source->read_bytes = 0;
    source->sums = sums;
    source->err = ERR_NONE;
    source->raw = 0;
    source_pump(source);
}

/* Buffered reads that hit the page cache run inside the submission: more than two of them only push
 * what was read out of the CPU's cache before it is summed. */
static uint32_t source_depth(const struct source *source)
{
    if (source->kind == SOURCE_PIPE) return 1;
    return source->file.direct ? SOURCE_READS_MAX : 2;
}

static void source_start_one(struct source *source)
{
    struct buf *buf = container_of(source->to_read, struct buf, link);
    struct source_read *read = &source->reads[(source->first + source->busy) % SOURCE_READS_MAX];
    uint32_t bytes = (uint32_t)min_u64(source->left_bytes, buf->count_max);
    bool pipe = source->kind == SOURCE_PIPE;
    CHECK(source->to_read != &source->bufs->head && "the bufs must hold what is asked");
    source->to_read = source->to_read->next;
    read->buf = buf;
    read->done = false;
    source->busy++;
    file_read(&source->file, &read->io, buf, bytes, pipe ? FILE_NO_OFFSET : source->offset);
    source->offset += bytes;
    source->left_bytes -= bytes;
}

static void source_pump(struct source *source)
{
    while (!source->err && source->left_bytes > 0 && source->busy < source_depth(source))
        source_start_one(source);
    if (source->busy > 0) return;
    if (!source->err && source->kind == SOURCE_FILE && source->left_bytes > 0)
        source->err = ERR_SHORT_READ;
    source_finish(source, source->err, source->raw, source->read_bytes);
}

/* The oldest read is done: its bytes come next. */
static void source_consume(struct source *source, struct source_read *read)
{
    struct op *op = &read->io.op;
    uint32_t wanted = read->io.bytes;
    if (source->err) return;
    source->err = op->err;
    source->raw = op->raw;
    if (op->err) return;
    if (source->sums) sums_update(source->sums, read->buf->data, read->buf->count);
    source->read_bytes += read->buf->count;
    if (read->buf->count == wanted) return;
    if (source->kind == SOURCE_PIPE)
        source->at_end = true;
    else
        source->err = ERR_SHORT_READ;
    source->left_bytes = 0;
}

static void source_on_read(struct op *op)
{
    struct source_read *read = container_of(op, struct source_read, io.op);
    struct source *source = read->source;
    read->done = true;
    while (source->busy > 0 && source->reads[source->first].done) {
        struct source_read *oldest = &source->reads[source->first];
        source->first = (source->first + 1) % SOURCE_READS_MAX;
        source->busy--;
        source_consume(source, oldest);
    }
    source_pump(source);
}

enum err source_check(const struct source *source, int *raw)
{
    struct file_identity now;
    if (source->kind != SOURCE_FILE) return ERR_NONE;
    enum err err = file_identify(&source->file, &now, raw);
    if (err) return err;
    return file_identity_equal(&now, &source->identity) ? ERR_NONE : ERR_FILE_CHANGED;
}

void source_cancel(struct source *source)
{
    if (source->busy == 0) return;
    /* Also where all that is out has arrived already: no further read is started. */
    if (!source->err) source->err = ERR_CANCELLED;
    for (uint32_t i = 0; i < source->busy; i++)
        file_cancel(&source->reads[(source->first + i) % SOURCE_READS_MAX].io);
}

void source_close(struct source *source, struct op *op)
{
    file_close(&source->file, op);
}
