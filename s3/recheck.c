#include "s3/recheck.h"

#include <string.h>

#define RECHECK_STATES(S)                                                                          \
    S(OPEN)                                                                                        \
    S(OPENING) S(TAKE) S(TAKING) S(READ) S(READING) S(GOT) S(CLOSE) S(CLOSING) S(END)

enum recheck_state {
#define STATE(name) RECHECK_##name,
    RECHECK_STATES(STATE)
#undef STATE
        RECHECK_STATE_COUNT
};

static const char *const recheck_state_names[RECHECK_STATE_COUNT] = {
#define STATE(name) #name,
    RECHECK_STATES(STATE)
#undef STATE
};

static const struct machine_kind recheck_kind;

static struct recheck *recheck_of(struct machine *machine)
{
    return container_of(machine, struct recheck, machine);
}

static void recheck_on_step(struct op *op)
{
    struct recheck *recheck = container_of(op, struct recheck, step);
    machine_settle(&recheck->machine, op);
}

static void recheck_on_wish(struct op *op)
{
    struct recheck *recheck = container_of(op, struct recheck, wish.op);
    machine_settle(&recheck->machine, op);
}

void recheck_init(struct recheck *recheck, struct station *station)
{
    memset(recheck, 0, sizeof *recheck);
    recheck->station = station;
    op_init(&recheck->step, recheck_on_step);
    pool_wish_init(&recheck->wish, recheck_on_wish);
    source_init(&recheck->source, station->core);
}

void recheck_start(struct recheck *recheck, const struct work *work, struct op *op)
{
    CHECK(work->written.count > 0 && work->bytes > 0);
    recheck->work = work;
    recheck->read_bytes = 0;
    machine_start(&recheck->machine, &recheck_kind, recheck->station->core, op);
}

void recheck_cancel(struct recheck *recheck)
{
    if (!machine_is_running(&recheck->machine)) return;
    machine_fail(&recheck->machine, ERR_CANCELLED, 0);
    pool_cancel(&recheck->station->core->large, &recheck->wish);
    source_cancel(&recheck->source);
}

static uint32_t recheck_open(struct machine *machine)
{
    struct recheck *recheck = recheck_of(machine);
    const struct work *work = recheck->work;
    struct file_open how = {.dir_fd = recheck->station->folder_fd,
                            .path = work->path,
                            .resolve = recheck->station->resolve,
                            .direct =
                                work->buffered ? FILE_DIRECT_OFF : recheck->station->conf->direct,
                            .expected_bytes = work->identity.size_bytes};
    machine_begin(machine);
    source_open(&recheck->source, &how, &recheck->step);
    return RECHECK_OPENING;
}

static uint32_t recheck_take(struct machine *machine)
{
    struct recheck *recheck = recheck_of(machine);
    struct pool *pool = &machine->core->large;
    uint64_t count = (recheck->work->bytes + BUF_LARGE_BYTES - 1) / BUF_LARGE_BYTES;
    sums_init(&recheck->sums, recheck->work->written.kind, false, false);
    machine_begin(machine);
    pool_take(pool, &recheck->wish,
              (uint32_t)min_u64(count, min_u64(RECHECK_BUFS_MAX, pool->count_max)));
    return RECHECK_TAKING;
}

static uint32_t recheck_read(struct machine *machine)
{
    struct recheck *recheck = recheck_of(machine);
    const struct work *work = recheck->work;
    uint64_t room = (uint64_t)recheck->wish.count * BUF_LARGE_BYTES;
    machine_begin(machine);
    source_read(&recheck->source, &recheck->wish.bufs, work->offset + recheck->read_bytes,
                min_u64(room, work->bytes - recheck->read_bytes), &recheck->sums, &recheck->step);
    return RECHECK_READING;
}

static uint32_t recheck_got(struct machine *machine)
{
    struct recheck *recheck = recheck_of(machine);
    struct sums_value value;
    recheck->read_bytes += recheck->step.count;
    if (recheck->read_bytes < recheck->work->bytes) return RECHECK_READ;
    sums_final(&recheck->sums, &value);
    if (!checksum_equal(&value.checksum, &recheck->work->written))
        machine_fail(machine, ERR_CHECKSUM, 0);
    return RECHECK_CLOSE;
}

static uint32_t recheck_close(struct machine *machine)
{
    struct recheck *recheck = recheck_of(machine);
    pool_give_all(&recheck->wish.bufs);
    machine_begin(machine);
    source_close(&recheck->source, &recheck->step);
    return RECHECK_CLOSING;
}

static uint32_t recheck_end(struct machine *machine)
{
    (void)machine;
    return MACHINE_END;
}

static const struct machine_row recheck_rows[RECHECK_STATE_COUNT] = {
    [RECHECK_OPEN] = {recheck_open, 0},      [RECHECK_OPENING] = {NULL, RECHECK_TAKE},
    [RECHECK_TAKE] = {recheck_take, 0},      [RECHECK_TAKING] = {NULL, RECHECK_READ},
    [RECHECK_READ] = {recheck_read, 0},      [RECHECK_READING] = {NULL, RECHECK_GOT},
    [RECHECK_GOT] = {recheck_got, 0},        [RECHECK_CLOSE] = {recheck_close, 0},
    [RECHECK_CLOSING] = {NULL, RECHECK_END}, [RECHECK_END] = {recheck_end, 0},
};

static const struct machine_kind recheck_kind = {
    .trace = {"recheck", recheck_state_names, RECHECK_STATE_COUNT},
    .rows = recheck_rows,
    .on_error = RECHECK_CLOSE,
};
