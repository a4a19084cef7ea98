#include "s3/reread.h"

#include <string.h>

#define REREAD_STATES(S)                                                                           \
    S(OPEN)                                                                                        \
    S(OPENING) S(TAKE) S(TAKING) S(READ) S(READING) S(GOT) S(CLOSE) S(CLOSING) S(END)

enum reread_state {
#define STATE(name) REREAD_##name,
    REREAD_STATES(STATE)
#undef STATE
        REREAD_STATE_COUNT
};

static const char *const reread_state_names[REREAD_STATE_COUNT] = {
#define STATE(name) #name,
    REREAD_STATES(STATE)
#undef STATE
};

static const struct machine_kind reread_kind;

static struct reread *reread_of(struct machine *machine)
{
    return container_of(machine, struct reread, machine);
}

static void reread_on_step(struct op *op)
{
    struct reread *reread = container_of(op, struct reread, step);
    machine_settle(&reread->machine, op);
}

static void reread_on_wish(struct op *op)
{
    struct reread *reread = container_of(op, struct reread, wish.op);
    machine_settle(&reread->machine, op);
}

void reread_init(struct reread *reread, struct core *core)
{
    memset(reread, 0, sizeof *reread);
    op_init(&reread->step, reread_on_step);
    pool_wish_init(&reread->wish, reread_on_wish);
    source_init(&reread->source, core);
}

void reread_start(struct reread *reread, const struct reread_range *range, struct op *op)
{
    reread->range = *range;
    reread->pool = NULL;
    reread->read_bytes = 0;
    machine_start(&reread->machine, &reread_kind, reread->source.core, op);
}

void reread_cancel(struct reread *reread)
{
    if (!machine_is_running(&reread->machine)) return;
    machine_fail(&reread->machine, ERR_CANCELLED, 0);
    if (reread->pool) pool_cancel(reread->pool, &reread->wish);
    source_cancel(&reread->source);
}

static uint32_t reread_open(struct machine *machine)
{
    struct reread *reread = reread_of(machine);
    machine_begin(machine);
    source_open(&reread->source, &reread->range.file, &reread->step);
    return REREAD_OPENING;
}

static uint32_t reread_take(struct machine *machine)
{
    struct reread *reread = reread_of(machine);
    const struct reread_range *range = &reread->range;
    if (range->identity && !file_identity_equal(&reread->source.identity, range->identity)) {
        machine_fail(machine, ERR_FILE_CHANGED, 0);
        return REREAD_CLOSE;
    }
    sums_init(&reread->sums, range->kind, false, range->with_md5);
    if (range->bytes == 0) return REREAD_GOT;
    bool small = range->bytes <= BUF_SMALL_BYTES;
    uint64_t count = (range->bytes - 1) / BUF_LARGE_BYTES + 1;
    reread->pool = small ? &machine->core->small : &machine->core->large;
    machine_begin(machine);
    pool_take(reread->pool, &reread->wish,
              (uint32_t)min_u64(count, min_u64(REREAD_BUFS_MAX, reread->pool->count_max)));
    return REREAD_TAKING;
}

static uint32_t reread_read(struct machine *machine)
{
    struct reread *reread = reread_of(machine);
    const struct reread_range *range = &reread->range;
    uint64_t room = (uint64_t)reread->wish.count * reread->pool->buf_bytes;
    machine_begin(machine);
    source_read(&reread->source, &reread->wish.bufs, range->offset + reread->read_bytes,
                min_u64(room, range->bytes - reread->read_bytes), &reread->sums, &reread->step);
    return REREAD_READING;
}

static uint32_t reread_got(struct machine *machine)
{
    struct reread *reread = reread_of(machine);
    const struct reread_range *range = &reread->range;
    uint32_t count = range->bytes > 0 ? reread->step.count : 0;
    struct sums_value value;
    int raw = 0;
    reread->read_bytes += count;
    if (range->read_bytes) meter_add(range->read_bytes, count);
    if (reread->read_bytes < range->bytes) return REREAD_READ;
    if (range->identity) machine_fail(machine, source_check(&reread->source, &raw), raw);
    sums_final(&reread->sums, &value);
    reread->checksum = value.checksum;
    memcpy(reread->md5, value.md5, sizeof reread->md5);
    return REREAD_CLOSE;
}

static uint32_t reread_close(struct machine *machine)
{
    struct reread *reread = reread_of(machine);
    pool_give_all(&reread->wish.bufs);
    machine_begin(machine);
    source_close(&reread->source, &reread->step);
    return REREAD_CLOSING;
}

static uint32_t reread_end(struct machine *machine)
{
    (void)machine;
    return MACHINE_END;
}

static const struct machine_row reread_rows[REREAD_STATE_COUNT] = {
    [REREAD_OPEN] = {reread_open, 0},      [REREAD_OPENING] = {NULL, REREAD_TAKE},
    [REREAD_TAKE] = {reread_take, 0},      [REREAD_TAKING] = {NULL, REREAD_READ},
    [REREAD_READ] = {reread_read, 0},      [REREAD_READING] = {NULL, REREAD_GOT},
    [REREAD_GOT] = {reread_got, 0},        [REREAD_CLOSE] = {reread_close, 0},
    [REREAD_CLOSING] = {NULL, REREAD_END}, [REREAD_END] = {reread_end, 0},
};

static const struct machine_kind reread_kind = {
    .trace = {"reread", reread_state_names, REREAD_STATE_COUNT},
    .rows = reread_rows,
    .on_error = REREAD_CLOSE,
};
