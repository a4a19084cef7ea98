#include "core/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/limits.h"

/* Newer than Debian 12's headers; the numbers are the kernel's ABI (include/uapi/linux/io_uring.h).
 */
#define RING_OP_FTRUNCATE 55u

/* include/net/tcp_states.h of the kernel; <netinet/tcp.h> has it, but not beside <linux/tcp.h>. */
#define TCP_STATE_ESTABLISHED 1

/* With it a ring and its completions fit into the 64 KiB that may be locked by default where no
 * one raised the limit. */
#define RING_ENTRIES_MIN 128u

/* user_data is the op's address, or one of these; ops are aligned, so bit 0 tells a wake that
 * failed, with the address of the ring that must be woken otherwise. */
#define RING_TAG_IGNORED 0u
#define RING_TAG_BELL    2u
#define RING_TAG_WAKE    1u

struct ring {
    struct io_uring uring;
    struct ring_features features;
    struct list done;    /* finished without the kernel, or reaped while a start made room */
    bool enabled;        /* by its thread's first turn: the kernel ties the ring to that thread */
    int bell_fd;         /* wakes from threads without a ring, and on kernels without MSG_RING */
    uint64_t bell_count; /* read by the kernel */
    bool bell_armed;
    struct open_how hows[]; /* one a queue entry: the kernel reads it when the entry is submitted */
};

/* ── opening ────────────────────────────────────────────────────────────────────────────────── */

static enum err ring_open_error(int number)
{
    switch (number) {
    case ENOMEM: return ERR_MEMLOCK; /* some kernels count rings as locked memory */
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTOR;
    default: return ERR_NO_RING;
    }
}

/* From the best to what every kernel with io_uring has. With DEFER_TASKRUN completions are worked
 * on only when we ask for them, which keeps caches warm and spares interrupts. */
static int ring_set_up(struct ring *ring, uint32_t entries, uint32_t completions)
{
    static const unsigned wishes[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
            IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,                         /* 6.1 */
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL, /* 5.19 */
        0,
    };
    int result = -EINVAL;
    for (size_t i = 0; i < ARRAY_COUNT(wishes) && result == -EINVAL; i++) {
        struct io_uring_params params = {.flags = wishes[i] | IORING_SETUP_CQSIZE,
                                         .cq_entries = completions};
        result = io_uring_queue_init_params(entries, &ring->uring, &params);
    }
    unsigned flags = ring->uring.flags;
    ring->features.single_issuer = flags & IORING_SETUP_SINGLE_ISSUER;
    ring->features.defer_taskrun = flags & IORING_SETUP_DEFER_TASKRUN;
    ring->enabled = !(flags & IORING_SETUP_R_DISABLED);
    return result;
}

static void ring_probe(struct ring *ring)
{
    struct ring_features *features = &ring->features;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);
    if (!probe) return; /* before Linux 5.6: nothing newer is used then */
    features->last_opcode = probe->last_op;
    features->message_ring = io_uring_opcode_supported(probe, IORING_OP_MSG_RING);
    features->send_zero_copy = io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC);
    features->truncate = io_uring_opcode_supported(probe, RING_OP_FTRUNCATE);
    io_uring_free_probe(probe);
    features->registered_buffers =
        io_uring_register_buffers_sparse(&ring->uring, ARENAS_MAX) == 0; /* 5.19 */
}

enum err ring_open(struct ring **ring, uint32_t entries, uint32_t completions, int *raw)
{
    CHECK(entries > 0 && (entries & (entries - 1)) == 0 && "the kernel would round it up");
    struct ring *r = calloc(1, sizeof(*r) + entries * sizeof(r->hows[0]));
    *raw = 0;
    if (!r) return ERR_NO_MEMORY;
    list_init(&r->done);
    r->bell_fd = eventfd(0, EFD_CLOEXEC);
    if (r->bell_fd < 0) {
        *raw = errno;
        free(r);
        return ERR_NO_DESCRIPTOR;
    }
    int result = ring_set_up(r, entries, completions);
    while (result == -ENOMEM && entries > RING_ENTRIES_MIN) {
        entries /= 2; /* works as well, with more system calls */
        completions /= 2;
        result = ring_set_up(r, entries, completions);
    }
    if (result < 0) {
        *raw = -result;
        close(r->bell_fd);
        free(r);
        return ring_open_error(-result);
    }
    ring_probe(r);
    *ring = r;
    return ERR_NONE;
}

void ring_leave(struct ring *ring)
{
    if (ring->uring.enter_ring_fd != ring->uring.ring_fd) io_uring_unregister_ring_fd(&ring->uring);
}

void ring_close(struct ring *ring)
{
    if (!ring) return;
    io_uring_queue_exit(&ring->uring);
    close(ring->bell_fd);
    free(ring);
}

const struct ring_features *ring_features(const struct ring *ring)
{
    return &ring->features;
}

enum err ring_register_arena(struct ring *ring, uint16_t index, void *memory, size_t bytes)
{
    CHECK(index < ARENAS_MAX);
    if (!ring->features.registered_buffers) return ERR_SYSTEM;
    struct iovec area = {.iov_base = memory, .iov_len = bytes};
    __u64 no_tag = 0;
    int result = io_uring_register_buffers_update_tag(&ring->uring, index, &area, &no_tag, 1);
    if (result == 1) return ERR_NONE;
    struct rlimit limit;
    bool limited = !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY;
    return limited ? ERR_MEMLOCK : ERR_NO_MEMORY; /* the kernel says ENOMEM for both */
}

/* ── queue and turn ─────────────────────────────────────────────────────────────────────────── */

static void ring_enable(struct ring *ring)
{
    /* liburing 2.3 declares io_uring_enable_rings(), and does not export it. */
    int result =
        io_uring_register((unsigned)ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    CHECK(result >= 0 && "the kernel enables a ring once");
    ring->enabled = true;
    io_uring_register_ring_fd(&ring->uring); /* spares a look-up a call; harmless when refused */
}

static void ring_finish(struct list *ready, struct op *op, int result)
{
    CHECK(op->magic == OP_MAGIC && op->out && "a completion of an op that is not out");
    if (result >= 0) {
        op->count = (uint32_t)result;
    } else {
        op->raw = -result;
        op->err = op->socket ? err_of_socket_errno(-result) : err_of_errno(-result);
    }
    list_push(ready, &op->link);
}

static void ring_ring_bell(struct ring *to)
{
    uint64_t one = 1;
    ssize_t written = write(to->bell_fd, &one, sizeof(one));
    CHECK(written == (ssize_t)sizeof(one) && "an eventfd takes 2^64 - 1 rings");
}

static void ring_complete(struct ring *ring, const struct io_uring_cqe *cqe, struct list *ready)
{
    uint64_t data = cqe->user_data;
    if (data == RING_TAG_BELL) {
        ring->bell_armed = false;
    } else if (data & RING_TAG_WAKE && data != LIBURING_UDATA_TIMEOUT) {
        if (cqe->res < 0) ring_ring_bell((struct ring *)(uintptr_t)(data & ~1ull));
    } else if (data != RING_TAG_IGNORED && data != LIBURING_UDATA_TIMEOUT) {
        ring_finish(ready, (struct op *)(uintptr_t)data, cqe->res);
    }
}

static void ring_reap(struct ring *ring, struct list *ready)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        ring_complete(ring, cqe, ready);
        count++;
    }
    io_uring_cq_advance(&ring->uring, count);
}

/* A full queue is submitted, and completions are taken out when the kernel wants that first. */
static struct io_uring_sqe *ring_queue(struct ring *ring)
{
    struct io_uring_sqe *sqe;
    while (!(sqe = io_uring_get_sqe(&ring->uring))) {
        CHECK(ring->enabled && "more starts than queue entries before the ring's first turn");
        io_uring_submit(&ring->uring);
        ring_reap(ring, &ring->done);
    }
    return sqe;
}

static void ring_arm_bell(struct ring *ring)
{
    struct io_uring_sqe *sqe = ring_queue(ring);
    io_uring_prep_read(sqe, ring->bell_fd, &ring->bell_count, sizeof(ring->bell_count), 0);
    sqe->user_data = RING_TAG_BELL;
    ring->bell_armed = true;
}

static bool ring_is_transient(int result)
{
    return result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY;
}

static void ring_wait(struct ring *ring, uint64_t until_ns)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec span, *bound = NULL;
    if (until_ns != UINT64_MAX) {
        uint64_t now_ns = clock_now_ns();
        uint64_t span_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        span.tv_sec = (long long)(span_ns / NS_PER_S);
        span.tv_nsec = (long long)(span_ns % NS_PER_S);
        bound = &span;
    }
    int result = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, bound, NULL);
    CHECK((result >= 0 || ring_is_transient(result)) && "io_uring_enter refuses to wait");
}

void ring_turn(struct ring *ring, uint64_t until_ns, struct list *ready)
{
    if (!ring->enabled) ring_enable(ring);
    if (!ring->bell_armed) ring_arm_bell(ring);
    if (until_ns == 0 || !list_is_empty(&ring->done)) {
        int result =
            io_uring_submit(&ring->uring); /* also runs deferred work where there is some */
        CHECK((result >= 0 || ring_is_transient(result)) && "io_uring_enter refuses to submit");
    } else {
        ring_wait(ring, until_ns);
    }
    list_move_all(ready, &ring->done);
    ring_reap(ring, ready);
}

void ring_wake(struct ring *from, struct ring *to)
{
    if (!from || !from->features.message_ring) {
        ring_ring_bell(to);
        return;
    }
    struct io_uring_sqe *sqe = ring_queue(from);
    io_uring_prep_msg_ring(sqe, to->uring.ring_fd, 0, RING_TAG_IGNORED, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS; /* only a failure is news */
    sqe->user_data = (uintptr_t)to | RING_TAG_WAKE;
}

void ring_cancel(struct ring *ring, struct op *target)
{
    if (!target->out) return;
    struct io_uring_sqe *sqe = ring_queue(ring);
    io_uring_prep_cancel(sqe, target, 0);
    sqe->user_data = RING_TAG_IGNORED;
}

/* An entry for `op`. liburing's prep functions leave user_data alone. */
static struct io_uring_sqe *ring_begin(struct ring *ring, struct op *op, bool socket)
{
    op_begin(op);
    op->socket = socket;
    struct io_uring_sqe *sqe = ring_queue(ring);
    sqe->user_data = (uintptr_t)op;
    return sqe;
}

/* ── files ──────────────────────────────────────────────────────────────────────────────────── */

void ring_open_file(struct ring *ring, int dir_fd, const char *path, int flags, mode_t mode,
                    struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    io_uring_prep_openat(sqe, dir_fd, path, flags | O_CLOEXEC, mode);
}

void ring_open_resolved(struct ring *ring, int dir_fd, const char *path, int flags, mode_t mode,
                        uint64_t resolve, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    struct open_how *how = &ring->hows[sqe - ring->uring.sq.sqes];
    bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
    *how = (struct open_how){.flags = (unsigned)(flags | O_CLOEXEC),
                             .mode = makes ? mode : 0, /* openat2(2) insists */
                             .resolve = resolve};
    io_uring_prep_openat2(sqe, dir_fd, path, how);
}

void ring_close_file(struct ring *ring, int fd, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    io_uring_prep_close(sqe, fd);
}

void ring_read(struct ring *ring, int fd, void *memory, uint32_t bytes, uint64_t offset,
               uint16_t arena, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    if (arena == RING_NO_ARENA) {
        io_uring_prep_read(sqe, fd, memory, bytes, offset);
    } else {
        io_uring_prep_read_fixed(sqe, fd, memory, bytes, offset, arena);
    }
}

void ring_write(struct ring *ring, int fd, const void *memory, uint32_t bytes, uint64_t offset,
                uint16_t arena, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    if (arena == RING_NO_ARENA) {
        io_uring_prep_write(sqe, fd, memory, bytes, offset);
    } else {
        io_uring_prep_write_fixed(sqe, fd, memory, bytes, offset, arena);
    }
}

void ring_sync(struct ring *ring, int fd, bool data_only, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    io_uring_prep_fsync(sqe, fd, data_only ? IORING_FSYNC_DATASYNC : 0);
}

void ring_allocate(struct ring *ring, int fd, int mode, uint64_t offset, uint64_t bytes,
                   struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    /* liburing 2.3 declares off_t parameters; the field is 64 bits wide all the same. */
    io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, NULL, (unsigned)mode, offset);
    sqe->addr = bytes;
}

void ring_truncate(struct ring *ring, int fd, uint64_t bytes, struct op *op)
{
    if (ring->features.truncate) {
        struct io_uring_sqe *sqe = ring_begin(ring, op, false);
        io_uring_prep_rw(RING_OP_FTRUNCATE, sqe, fd, NULL, 0, bytes);
        return;
    }
    op_begin(op);
    op->socket = false;
    ring_finish(&ring->done, op, ftruncate(fd, (off_t)bytes) ? -errno : 0);
}

void ring_stat(struct ring *ring, int dir_fd, const char *path, int flags, struct statx *result,
               struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    io_uring_prep_statx(sqe, dir_fd, path, flags, STATX_BASIC_STATS, result);
}

void ring_rename(struct ring *ring, int old_dir_fd, const char *old_path, int new_dir_fd,
                 const char *new_path, unsigned flags, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    io_uring_prep_renameat(sqe, old_dir_fd, old_path, new_dir_fd, new_path, flags);
}

void ring_unlink(struct ring *ring, int dir_fd, const char *path, int flags, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    io_uring_prep_unlinkat(sqe, dir_fd, path, flags);
}

void ring_make_folder(struct ring *ring, int dir_fd, const char *path, mode_t mode, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, false);
    io_uring_prep_mkdirat(sqe, dir_fd, path, mode);
}

/* ── sockets ────────────────────────────────────────────────────────────────────────────────── */

static enum err ring_socket_result(int result, int *raw)
{
    *raw = result < 0 ? errno : 0;
    return err_of_socket_errno(*raw);
}

/* Without O_NONBLOCK: the ring never blocks on a socket, and reports EAGAIN on a non-blocking one.
 */
enum err ring_socket(struct ring *ring, int family, int *fd, int *raw)
{
    (void)ring;
    *fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return ring_socket_result(*fd, raw);
}

enum err ring_socket_option(struct ring *ring, int fd, int level, int name, const void *value,
                            socklen_t value_bytes, int *raw)
{
    (void)ring;
    return ring_socket_result(setsockopt(fd, level, name, value, value_bytes), raw);
}

enum err ring_listen(struct ring *ring, int fd, const struct sockaddr *address,
                     socklen_t address_bytes, int backlog, int *raw)
{
    int on = 1; /* so that a restart need not wait for old connections to be forgotten */
    enum err err = ring_socket_option(ring, fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on), raw);
    if (!err) err = ring_socket_result(bind(fd, address, address_bytes), raw);
    if (!err) err = ring_socket_result(listen(fd, backlog), raw);
    return err;
}

enum err ring_socket_name(struct ring *ring, int fd, struct sockaddr_storage *address,
                          socklen_t *address_bytes)
{
    (void)ring;
    int raw;
    *address_bytes = sizeof(*address);
    return ring_socket_result(getsockname(fd, (struct sockaddr *)address, address_bytes), &raw);
}

/* tcpi_rcv_wnd follows tcpi_snd_wnd since Linux 6.2; the headers that we are built with may be
 * older.
 */
static uint32_t ring_tcp_window(const char *tcp)
{
    uint32_t bytes;
    memcpy(&bytes, tcp + offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof bytes, sizeof bytes);
    return bytes;
}

/* An older kernel fills less of the struct: what it does not know stays 0. */
enum err ring_socket_info(struct ring *ring, int fd, struct ring_tcp_info *info)
{
    (void)ring;
    union {
        struct tcp_info tcp;
        char bytes[sizeof(struct tcp_info) + 64];
    } u = {.bytes = {0}};
    socklen_t tcp_bytes = sizeof(u);
    int raw;
    enum err err = ring_socket_result(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &u, &tcp_bytes), &raw);
    if (err) return err;
    const struct tcp_info tcp = u.tcp;
    *info = (struct ring_tcp_info){
        .bytes_acked = tcp.tcpi_bytes_acked,
        .bytes_received = tcp.tcpi_bytes_received,
        .bytes_sent = tcp.tcpi_bytes_sent,
        .bytes_retransmitted = tcp.tcpi_bytes_retrans,
        .bytes_sacked = (uint64_t)tcp.tcpi_sacked * tcp.tcpi_snd_mss,
        .rtt_ns = tcp.tcpi_rtt * NS_PER_US,
        .rtt_variance_ns = tcp.tcpi_rttvar * NS_PER_US,
        .rtt_min_ns = (tcp.tcpi_min_rtt == UINT32_MAX ? 0 : tcp.tcpi_min_rtt) * NS_PER_US,
        .receive_rtt_ns = tcp.tcpi_rcv_rtt * NS_PER_US,
        .busy_ns = tcp.tcpi_busy_time * NS_PER_US,
        .receive_window_limited_ns = tcp.tcpi_rwnd_limited * NS_PER_US,
        .send_buffer_limited_ns = tcp.tcpi_sndbuf_limited * NS_PER_US,
        .delivery_rate_bytes_per_s = tcp.tcpi_delivery_rate,
        .not_sent_bytes = tcp.tcpi_notsent_bytes,
        .congestion_window_segments = tcp.tcpi_snd_cwnd,
        .segment_bytes = tcp.tcpi_snd_mss,
        .segments_received = tcp.tcpi_data_segs_in,
        .segments_behind_hole = tcp.tcpi_rcv_ooopack,
        .receive_segment_bytes = tcp.tcpi_rcv_mss,
        .receive_window_bytes = ring_tcp_window(u.bytes),
        .delivery_rate_app_limited = tcp.tcpi_delivery_rate_app_limited,
        .peer_closed = tcp.tcpi_state != TCP_STATE_ESTABLISHED,
    };
    return ERR_NONE;
}

bool ring_socket_is_quiet(struct ring *ring, int fd)
{
    (void)ring;
    char byte;
    ssize_t result = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void ring_socket_end_sending(struct ring *ring, int fd)
{
    (void)ring;
    shutdown(fd, SHUT_WR); /* fails only where the connection is gone: then sends fail as well */
}

void ring_connect(struct ring *ring, int fd, const struct sockaddr *address,
                  socklen_t address_bytes, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, true);
    io_uring_prep_connect(sqe, fd, address, address_bytes);
}

void ring_accept(struct ring *ring, int fd, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, true);
    io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
}

void ring_send(struct ring *ring, int fd, const struct msghdr *message, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, true);
    io_uring_prep_sendmsg(sqe, fd, message, MSG_WAITALL | MSG_NOSIGNAL);
}

void ring_receive(struct ring *ring, int fd, void *memory, uint32_t bytes, struct op *op)
{
    struct io_uring_sqe *sqe = ring_begin(ring, op, true);
    io_uring_prep_recv(sqe, fd, memory, bytes, 0);
}
