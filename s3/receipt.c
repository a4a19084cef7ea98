#include "s3/receipt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/place.h"

#define RECEIPT_STATES(S)                                                                          \
    S(DRAIN)                                                                                       \
    S(DRAINING)                                                                                    \
    S(STATUS) S(STATING) S(SYNC) S(SYNCING) S(RENAME) S(RENAMING) S(CLOSE) S(CLOSING) S(END)

enum receipt_state {
#define STATE(name) RECEIPT_##name,
    RECEIPT_STATES(STATE)
#undef STATE
        RECEIPT_STATE_COUNT
};

static const char *const receipt_state_names[RECEIPT_STATE_COUNT] = {
#define STATE(name) #name,
    RECEIPT_STATES(STATE)
#undef STATE
};

static const struct machine_kind receipt_kind;

static struct receipt *receipt_of(struct machine *machine)
{
    return container_of(machine, struct receipt, machine);
}

/* --- gathering --- */

static void receipt_fail(struct receipt *receipt, enum err err, int raw)
{
    if (receipt->err || !err) return;
    receipt->err = err;
    receipt->raw = raw;
}

/* Room for one more line, in an area that grows as long as writing does not keep up. */
static bool receipt_begin_line(struct receipt *receipt, struct writer *w)
{
    struct receipt_area *area = &receipt->filling;
    if (receipt->err) return false;
    if (area->count_max - area->count < MANIFEST_LINE_BYTES_MAX) {
        size_t more = area->count_max + max_u64(area->count_max, 2 * MANIFEST_LINE_BYTES_MAX);
        char *data = realloc(area->data, more);
        if (!data) {
            receipt_fail(receipt, ERR_NO_MEMORY, 0);
            return false;
        }
        area->data = data;
        area->count_max = more;
    }
    writer_init(w, area->data + area->count, area->count_max - area->count);
    return true;
}

static void receipt_end_line(struct receipt *receipt, const struct writer *w)
{
    CHECK(!w->overflow && "MANIFEST_LINE_BYTES_MAX holds any line");
    receipt->filling.count += w->count;
    if (receipt->filling.count >= RECEIPT_WRITE_BYTES) receipt_flush(receipt);
}

static void receipt_fill(struct receipt *receipt, const struct work *work)
{
    struct manifest_object *object = &receipt->object;
    const struct work_result *result = &work->result;
    const char *slash = receipt->is_tree ? NULL : strrchr(work->path, '/');
    snprintf(object->path, sizeof object->path, "%s", slash ? slash + 1 : work->path);
    snprintf(object->bucket, sizeof object->bucket, "%s", work->bucket);
    snprintf(object->key, sizeof object->key, "%s", work->key);
    snprintf(object->etag, sizeof object->etag, "%s", result->etag);
    snprintf(object->version, sizeof object->version, "%s", result->version);
    object->bytes = work->bytes;
    object->mtime_ns = result->mtime_ns;
    object->checksum = result->checksum;
    object->part_count = result->part_count;
    object->part_bytes = result->part_count ? result->part_bytes : 0;
    object->confirmed = result->confirmed && result->checksum.kind != CHECKSUM_NONE;
}

void receipt_add(struct receipt *receipt, const struct work *work)
{
    struct writer w;
    if (!receipt_begin_line(receipt, &w)) return;
    receipt->object_bytes += work->bytes;
    receipt_fill(receipt, work);
    manifest_write_object(&w, &receipt->object);
    receipt_end_line(receipt, &w);
}

bool receipt_is_full(const struct receipt *receipt)
{
    return receipt->filling.count >= RECEIPT_FULL_BYTES;
}

/* --- writing --- */

static void receipt_swap(struct receipt *receipt)
{
    struct receipt_area area = receipt->writing;
    receipt->writing = receipt->filling;
    receipt->filling = area;
    receipt->filling.count = 0;
    receipt->written = 0;
}

static void receipt_write(struct receipt *receipt)
{
    struct receipt_area *area = &receipt->writing;
    uint32_t count = (uint32_t)min_u64(area->count - receipt->written, GIB);
    ring_write(receipt->core->ring, receipt->file.fd, area->data + receipt->written, count,
               receipt->offset, RING_NO_ARENA, &receipt->write);
}

void receipt_flush(struct receipt *receipt)
{
    if (receipt->write.out || receipt->err || receipt->filling.count == 0) return;
    receipt_swap(receipt);
    receipt_write(receipt);
}

static void receipt_on_write(struct op *op)
{
    struct receipt *receipt = container_of(op, struct receipt, write);
    enum err err = op->raw == EINTR || op->raw == EAGAIN ? ERR_NONE : op->err;
    if (!op->err && op->count == 0) err = ERR_FILE_IO; /* it would move nothing for ever */
    receipt_fail(receipt, err, op->raw);
    receipt->written += op->count;
    receipt->offset += op->count;
    if (!receipt->err && receipt->written < receipt->writing.count)
        receipt_write(receipt);
    else if (receipt->awaited)
        machine_settle_quietly(&receipt->machine);
    else if (receipt->filling.count >= RECEIPT_WRITE_BYTES)
        receipt_flush(receipt);
}

/* --- the end --- */

static uint32_t receipt_drain(struct machine *machine)
{
    struct receipt *receipt = receipt_of(machine);
    receipt_flush(receipt);
    machine_fail(machine, receipt->err, receipt->raw);
    receipt->awaited = receipt->write.out;
    if (!receipt->awaited) return RECEIPT_STATUS;
    machine_begin(machine);
    return RECEIPT_DRAINING;
}

static uint32_t receipt_settle(struct machine *machine)
{
    struct receipt *receipt = receipt_of(machine);
    if (!receipt->complete) return RECEIPT_CLOSE;
    machine_begin(machine);
    file_set_status(&receipt->file, &receipt->status, receipt->aside);
    return RECEIPT_STATING;
}

static uint32_t receipt_sync(struct machine *machine)
{
    struct receipt *receipt = receipt_of(machine);
    machine_begin(machine);
    file_sync(&receipt->file, false, &receipt->step);
    return RECEIPT_SYNCING;
}

static uint32_t receipt_rename(struct machine *machine)
{
    struct receipt *receipt = receipt_of(machine);
    machine_begin(machine);
    ring_rename(machine->core->ring, AT_FDCWD, receipt->partial, AT_FDCWD, receipt->path, 0,
                &receipt->step);
    return RECEIPT_RENAMING;
}

static uint32_t receipt_shut(struct machine *machine)
{
    struct receipt *receipt = receipt_of(machine);
    place_unlock(receipt->file.fd);
    machine_begin(machine);
    file_close(&receipt->file, &receipt->step);
    return RECEIPT_CLOSING;
}

static uint32_t receipt_over(struct machine *machine)
{
    struct receipt *receipt = receipt_of(machine);
    receipt_fail(receipt, machine->err, machine->raw);
    return MACHINE_END;
}

static const struct machine_row receipt_rows[RECEIPT_STATE_COUNT] = {
    [RECEIPT_DRAIN] = {receipt_drain, 0},   [RECEIPT_DRAINING] = {NULL, RECEIPT_DRAIN},
    [RECEIPT_STATUS] = {receipt_settle, 0}, [RECEIPT_STATING] = {NULL, RECEIPT_SYNC},
    [RECEIPT_SYNC] = {receipt_sync, 0},     [RECEIPT_SYNCING] = {NULL, RECEIPT_RENAME},
    [RECEIPT_RENAME] = {receipt_rename, 0}, [RECEIPT_RENAMING] = {NULL, RECEIPT_CLOSE},
    [RECEIPT_CLOSE] = {receipt_shut, 0},    [RECEIPT_CLOSING] = {NULL, RECEIPT_END},
    [RECEIPT_END] = {receipt_over, 0},
};

static const struct machine_kind receipt_kind = {
    .trace = {"receipt", receipt_state_names, RECEIPT_STATE_COUNT},
    .rows = receipt_rows,
    .on_error = RECEIPT_CLOSE,
};

static void receipt_on_step(struct op *op)
{
    struct receipt *receipt = container_of(op, struct receipt, step);
    machine_settle(&receipt->machine, op);
}

static void receipt_on_status(struct op *op)
{
    struct receipt *receipt = container_of(op, struct receipt, status.job.op);
    machine_settle(&receipt->machine, op);
}

void receipt_end(struct receipt *receipt, const struct manifest_end *end, struct op *op)
{
    struct manifest_end counted = *end;
    struct writer w;
    counted.bytes = receipt->object_bytes;
    if (receipt_begin_line(receipt, &w)) {
        manifest_write_end(&w, &counted);
        receipt_end_line(receipt, &w);
    }
    receipt->complete = end->complete;
    machine_start(&receipt->machine, &receipt_kind, receipt->core, op);
}

/* --- opening --- */

static enum err receipt_name(struct receipt *receipt, const char *path)
{
    int count = snprintf(receipt->partial, sizeof receipt->partial, "%s.partial", path);
    snprintf(receipt->path, sizeof receipt->path, "%s", path);
    return count > 0 && (size_t)count < sizeof receipt->partial ? ERR_NONE : ERR_FILE_NAME;
}

enum err receipt_open(struct receipt *receipt, const struct receipt_options *options,
                      const struct manifest_head *head, char why[RECEIPT_WHY_BYTES])
{
    struct writer w;
    int fd = -1, raw = 0;
    memset(receipt, 0, sizeof *receipt);
    receipt->core = options->core;
    receipt->aside = options->aside;
    receipt->is_tree = head->is_tree;
    file_init(&receipt->file, options->core);
    file_status_init(&receipt->status, receipt_on_status);
    receipt->status.mode = options->file_mode;
    op_init(&receipt->write, receipt_on_write);
    op_init(&receipt->step, receipt_on_step);
    enum err err = receipt_name(receipt, options->path);
    if (!err)
        err = place_open_lines(receipt->partial, options->append, &fd, &receipt->offset, &raw);
    if (err) {
        snprintf(why, RECEIPT_WHY_BYTES, "%.300s: %s", receipt->partial,
                 err == ERR_CONFLICT ? "another run writes this manifest" : err_sentence(err));
        return err;
    }
    file_adopt(&receipt->file, fd);
    if (!receipt_begin_line(receipt, &w)) return receipt->err;
    manifest_write_head(&w, head);
    receipt_end_line(receipt, &w);
    return ERR_NONE;
}

void receipt_close(struct receipt *receipt)
{
    CHECK(!machine_is_running(&receipt->machine) && !receipt->write.out);
    if (receipt->core) place_close(receipt->file.fd);
    free(receipt->filling.data);
    free(receipt->writing.data);
    memset(receipt, 0, sizeof *receipt);
}
