#include "tests/sim/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/sim/disk.h"
#include "tests/sim/net.h"
#include "tests/sim/pipe.h"
#include "tests/sim/scenario.h"
#include "tests/sim/table.h"

struct ring_area {
    char *memory;
    size_t bytes;
};

struct ring {
    struct link link;
    struct ring_features features;
    struct list queued, out; /* of entries */
    struct list done;        /* of ops */
    uint16_t index;
    bool unregistered; /* the kernel of this seed may not lock memory */
    struct ring_area areas[ARENAS_MAX];
};

static struct list rings = {{&rings.head, &rings.head}};

static const char *const call_names[] = {
    [RING_OPEN] = "open",         [RING_CLOSE] = "close",       [RING_READ] = "read",
    [RING_WRITE] = "write",       [RING_SYNC] = "sync",         [RING_ALLOCATE] = "allocate",
    [RING_TRUNCATE] = "truncate", [RING_STAT] = "stat",         [RING_RENAME] = "rename",
    [RING_UNLINK] = "unlink",     [RING_MAKE_FOLDER] = "mkdir", [RING_CONNECT] = "connect",
    [RING_SEND] = "send",         [RING_RECEIVE] = "receive",   [RING_CANCEL] = "cancel",
};

enum err ring_open(struct ring **ring, uint32_t entries, uint32_t completions, int *raw)
{
    (void)entries;
    (void)completions;
    struct ring *r = calloc(1, sizeof *r);
    CHECK(r);
    *raw = 0;
    list_init(&r->queued);
    list_init(&r->out);
    list_init(&r->done);
    r->features = (struct ring_features){.single_issuer = true, .truncate = true};
    r->unregistered = world_chance(0.1);
    link_init(&r->link);
    list_push(&rings, &r->link);
    *ring = r;
    return ERR_NONE;
}

void ring_set_index(struct ring *ring, uint16_t index)
{
    ring->index = index;
}

void ring_leave(struct ring *ring)
{
    (void)ring;
}

void ring_close(struct ring *ring)
{
    if (!ring) return;
    if (!list_is_empty(&ring->out) || !list_is_empty(&ring->done))
        world_broken("core %u ends while ops are out", ring->index);
    struct link *link;
    while ((link = list_pop(&ring->queued))) { /* cancels of what was done already */
        struct ring_entry *entry = container_of(link, struct ring_entry, link);
        if (entry->call != RING_CANCEL) world_broken("core %u ends with starts", ring->index);
        free(entry);
    }
    list_remove(&ring->link);
    free(ring);
}

const struct ring_features *ring_features(const struct ring *ring)
{
    return &ring->features;
}

enum err ring_register_arena(struct ring *ring, uint16_t index, void *memory, size_t bytes)
{
    CHECK(index < ARENAS_MAX && !ring->areas[index].memory);
    if (ring->unregistered && world_chance(0.5)) return ERR_MEMLOCK;
    ring->areas[index] = (struct ring_area){memory, bytes};
    return ERR_NONE;
}

bool ring_has_work(const struct ring *ring)
{
    return !list_is_empty(&ring->queued) || !list_is_empty(&ring->done);
}

void ring_wake(struct ring *from, struct ring *to)
{
    (void)from; /* whoever has work is turned anyway */
    (void)to;
}

/* ── entries ────────────────────────────────────────────────────────────────────────────────── */

void ring_entry_done(struct ring_entry *entry, int64_t result)
{
    struct op *op = entry->op;
    CHECK(op->magic == OP_MAGIC && op->out && "the op moved or was finished while it was out");
    world_note(call_names[entry->call], (uint64_t)result, entry->ring->index);
    if (table_has(entry->fd) && entry->call != RING_CLOSE) {
        switch (entry->call) {
        case RING_READ:
        case RING_WRITE:
        case RING_SYNC:
        case RING_ALLOCATE:
        case RING_TRUNCATE:
        case RING_CONNECT:
        case RING_SEND:
        case RING_RECEIVE: table_row(entry->fd)->busy--; break;
        default: break;
        }
    }
    if (result >= 0) {
        op->count = (uint32_t)result;
    } else {
        op->raw = (int)-result;
        op->err = op->socket ? err_of_socket_errno(op->raw) : err_of_errno(op->raw);
    }
    list_remove(&entry->link);
    list_push(&entry->ring->done, &op->link);
    event_cancel(&entry->event);
    free(entry);
}

static int64_t entry_run(struct ring_entry *e)
{
    switch (e->call) {
    case RING_OPEN: return disk_open(e->fd, e->path, e->flags, (uint32_t)e->mode, e->resolve);
    case RING_READ: return disk_read(e->fd, e->memory, e->bytes, e->offset);
    case RING_WRITE: return disk_write(e->fd, e->memory, e->bytes, e->offset);
    case RING_SYNC: return disk_sync(e->fd, e->flags);
    case RING_ALLOCATE: return disk_allocate(e->fd, e->mode, e->offset, e->resolve);
    case RING_TRUNCATE: return disk_truncate(e->fd, e->offset);
    case RING_STAT: return disk_stat(e->fd, e->path, e->memory);
    case RING_RENAME: return disk_rename(e->fd, e->path, e->fd2, e->path2, (unsigned)e->flags);
    case RING_UNLINK: return disk_unlink(e->fd, e->path);
    case RING_MAKE_FOLDER: return disk_make_folder(e->fd, e->path);
    default: NEVER("not of a file");
    }
}

static void entry_on_event(struct event *event)
{
    struct ring_entry *entry = container_of(event, struct ring_entry, event);
    ring_entry_done(entry, entry_run(entry));
}

/* A close takes the descriptor at once, whatever it answers. */
static void submit_close(struct ring_entry *entry)
{
    enum table_kind kind = table_row(entry->fd)->kind;
    int64_t result = kind == TABLE_SOCKET ? net_close(entry->fd)
                     : kind == TABLE_PIPE ? pipe_close(entry->fd)
                                          : disk_close(entry->fd);
    ring_entry_done(entry, result);
}

static void submit_file(struct ring_entry *entry)
{
    uint64_t delay_ns = 0; /* what is in the page cache is done inside the submission */
    if (table_has(entry->fd) && table_row(entry->fd)->kind == TABLE_PIPE) {
        pipe_start(entry);
        return;
    }
    if (world_chance(0.7)) delay_ns = world_below(400 * NS_PER_US);
    if (world_fault(FAULT_SLOW_DISK)) delay_ns = world_below(5 * NS_PER_S);
    if (delay_ns == 0)
        entry_on_event(&entry->event);
    else
        event_start(&entry->event, world->now_ns + delay_ns);
}

/* What a started op is asked to do can be undone only before the kernel does it. */
static void submit_cancel(struct ring *ring, struct ring_entry *cancel)
{
    struct link *link = ring->out.head.next;
    for (; link != &ring->out.head; link = link->next) {
        struct ring_entry *entry = container_of(link, struct ring_entry, link);
        if (entry->op != cancel->op) continue;
        if (entry->call >= RING_CONNECT)
            net_cancel(entry);
        else if (table_has(entry->fd) && table_row(entry->fd)->kind == TABLE_PIPE)
            pipe_cancel(entry);
        else if (world_chance(0.5))
            ring_entry_done(entry, -ECANCELED);
        break;
    }
    free(cancel);
}

static void submit(struct ring *ring, struct ring_entry *entry)
{
    if (entry->call == RING_CANCEL) {
        submit_cancel(ring, entry);
        return;
    }
    list_push(&ring->out, &entry->link);
    switch (entry->call) {
    case RING_CLOSE: submit_close(entry); break;
    case RING_CONNECT: net_connect(entry); break;
    case RING_SEND: net_send(entry); break;
    case RING_RECEIVE: net_receive(entry); break;
    default: submit_file(entry);
    }
}

static void entry_die(struct ring_entry *entry, bool submitted)
{
    bool pipe = table_has(entry->fd) && entry->call != RING_CLOSE &&
                table_row(entry->fd)->kind == TABLE_PIPE;
    bool file = entry->call < RING_CONNECT && entry->call != RING_CLOSE && !pipe;
    event_cancel(&entry->event);
    if (submitted && file && world_chance(0.5)) (void)entry_run(entry);
    free(entry);
}

void ring_kill_all(void)
{
    struct link *link, *entry;
    while ((link = list_pop(&rings))) {
        struct ring *ring = container_of(link, struct ring, link);
        while ((entry = list_pop(&ring->out)))
            entry_die(container_of(entry, struct ring_entry, link), true);
        while ((entry = list_pop(&ring->queued)))
            entry_die(container_of(entry, struct ring_entry, link), false);
    }
}

/* Of a core that turns itself (tools/session): it may be woken for nothing. */
static void ring_wait(uint64_t until_ns)
{
    uint64_t next_ns = min_u64(world_next_ns(), until_ns);
    if (next_ns == UINT64_MAX) world_broken("the core waits for ever");
    world_advance(max_u64(next_ns, world->now_ns));
    (void)world_run_due();
    scenario_on_round();
}

void ring_turn(struct ring *ring, uint64_t until_ns, struct list *ready)
{
    struct link *link;
    while ((link = list_pop(&ring->queued)))
        submit(ring, container_of(link, struct ring_entry, link));
    if (until_ns && list_is_empty(&ring->done)) ring_wait(until_ns);
    list_move_all(ready, &ring->done);
}

/* ── starts ─────────────────────────────────────────────────────────────────────────────────── */

static struct ring_entry *entry_new(struct ring *ring, enum ring_call call, int fd, struct op *op)
{
    struct ring_entry *entry = calloc(1, sizeof *entry);
    CHECK(entry);
    entry->ring = ring;
    entry->call = call;
    entry->fd = fd;
    entry->op = op;
    event_init(&entry->event, entry_on_event);
    list_push(&ring->queued, &entry->link);
    return entry;
}

static struct ring_entry *start(struct ring *ring, enum ring_call call, int fd, struct op *op)
{
    op_begin(op);
    op->socket = call >= RING_CONNECT;
    return entry_new(ring, call, fd, op);
}

/* The same for a descriptor that must stay open until the op is done. */
static struct ring_entry *start_on(struct ring *ring, enum ring_call call, int fd, struct op *op)
{
    table_row(fd)->busy++;
    return start(ring, call, fd, op);
}

void ring_open_file(struct ring *ring, int dir_fd, const char *path, int flags, mode_t mode,
                    struct op *op)
{
    ring_open_resolved(ring, dir_fd, path, flags, mode, 0, op);
}

void ring_open_resolved(struct ring *ring, int dir_fd, const char *path, int flags, mode_t mode,
                        uint64_t resolve, struct op *op)
{
    struct ring_entry *entry = start(ring, RING_OPEN, dir_fd, op);
    entry->path = path;
    entry->flags = flags;
    entry->mode = (int)mode;
    entry->resolve = resolve;
}

void ring_close_file(struct ring *ring, int fd, struct op *op)
{
    (void)table_row(fd);
    start(ring, RING_CLOSE, fd, op);
}

static void check_area(struct ring *ring, uint16_t arena, const char *memory, uint32_t bytes)
{
    if (arena == RING_NO_ARENA) return;
    const struct ring_area *area = &ring->areas[arena];
    CHECK(arena < ARENAS_MAX && memory >= area->memory &&
          memory + bytes <= area->memory + area->bytes && "memory of another arena");
}

void ring_read(struct ring *ring, int fd, void *memory, uint32_t bytes, uint64_t offset,
               uint16_t arena, struct op *op)
{
    struct ring_entry *entry = start_on(ring, RING_READ, fd, op);
    check_area(ring, arena, memory, bytes);
    entry->memory = memory;
    entry->bytes = bytes;
    entry->offset = offset;
}

void ring_write(struct ring *ring, int fd, const void *memory, uint32_t bytes, uint64_t offset,
                uint16_t arena, struct op *op)
{
    struct ring_entry *entry = start_on(ring, RING_WRITE, fd, op);
    check_area(ring, arena, memory, bytes);
    entry->memory = (void *)(uintptr_t)memory;
    entry->bytes = bytes;
    entry->offset = offset;
}

void ring_sync(struct ring *ring, int fd, bool data_only, struct op *op)
{
    start_on(ring, RING_SYNC, fd, op)->flags = data_only;
}

void ring_allocate(struct ring *ring, int fd, int mode, uint64_t offset, uint64_t bytes,
                   struct op *op)
{
    struct ring_entry *entry = start_on(ring, RING_ALLOCATE, fd, op);
    entry->mode = mode;
    entry->offset = offset;
    entry->resolve = bytes;
}

void ring_truncate(struct ring *ring, int fd, uint64_t bytes, struct op *op)
{
    start_on(ring, RING_TRUNCATE, fd, op)->offset = bytes;
}

void ring_stat(struct ring *ring, int dir_fd, const char *path, int flags, struct statx *result,
               struct op *op)
{
    struct ring_entry *entry = start(ring, RING_STAT, dir_fd, op);
    (void)flags; /* the disk has no symbolic links */
    entry->path = path;
    entry->memory = result;
}

void ring_rename(struct ring *ring, int old_dir_fd, const char *old_path, int new_dir_fd,
                 const char *new_path, unsigned flags, struct op *op)
{
    struct ring_entry *entry = start(ring, RING_RENAME, old_dir_fd, op);
    entry->path = old_path;
    entry->fd2 = new_dir_fd;
    entry->path2 = new_path;
    entry->flags = (int)flags;
}

void ring_unlink(struct ring *ring, int dir_fd, const char *path, int flags, struct op *op)
{
    (void)flags;
    start(ring, RING_UNLINK, dir_fd, op)->path = path;
}

void ring_make_folder(struct ring *ring, int dir_fd, const char *path, mode_t mode, struct op *op)
{
    (void)mode;
    start(ring, RING_MAKE_FOLDER, dir_fd, op)->path = path;
}

/* ── sockets ────────────────────────────────────────────────────────────────────────────────── */

enum err ring_socket(struct ring *ring, int family, int *fd, int *raw)
{
    (void)family;
    int result = net_socket(ring->index);
    *raw = result < 0 ? -result : 0;
    *fd = result;
    return err_of_socket_errno(*raw);
}

enum err ring_socket_option(struct ring *ring, int fd, int level, int name, const void *value,
                            socklen_t value_bytes, int *raw)
{
    (void)ring;
    (void)level;
    (void)name;
    (void)value;
    (void)value_bytes;
    (void)table_row_of(fd, TABLE_SOCKET);
    *raw = 0;
    return ERR_NONE;
}

enum err ring_listen(struct ring *ring, int fd, const struct sockaddr *address,
                     socklen_t address_bytes, int backlog, int *raw)
{
    (void)ring;
    (void)fd;
    (void)address;
    (void)address_bytes;
    (void)backlog;
    *raw = 0;
    NEVER("the simulated server listens by itself");
}

enum err ring_socket_name(struct ring *ring, int fd, struct sockaddr_storage *address,
                          socklen_t *address_bytes)
{
    (void)ring;
    (void)fd;
    (void)address;
    (void)address_bytes;
    NEVER("only listeners ask");
}

void ring_accept(struct ring *ring, int fd, struct op *op)
{
    (void)ring;
    (void)fd;
    (void)op;
    NEVER("the simulated server accepts by itself");
}

enum err ring_socket_info(struct ring *ring, int fd, struct ring_tcp_info *info)
{
    (void)ring;
    net_info(fd, info);
    return ERR_NONE;
}

bool ring_socket_is_quiet(struct ring *ring, int fd)
{
    (void)ring;
    return net_is_quiet(fd);
}

void ring_socket_end_sending(struct ring *ring, int fd)
{
    (void)ring;
    net_end_sending(fd);
}

void ring_connect(struct ring *ring, int fd, const struct sockaddr *address,
                  socklen_t address_bytes, struct op *op)
{
    struct ring_entry *entry = start_on(ring, RING_CONNECT, fd, op);
    memcpy(&entry->address, address, address_bytes);
}

void ring_send(struct ring *ring, int fd, const struct msghdr *message, struct op *op)
{
    start_on(ring, RING_SEND, fd, op)->message = message;
}

void ring_receive(struct ring *ring, int fd, void *memory, uint32_t bytes, struct op *op)
{
    struct ring_entry *entry = start_on(ring, RING_RECEIVE, fd, op);
    entry->memory = memory;
    entry->bytes = bytes;
}

void ring_cancel(struct ring *ring, struct op *target)
{
    if (target->out) entry_new(ring, RING_CANCEL, -1, target);
}
