/* ring: io_uring, and what this kernel can do. A linker seam: tests/sim has a fake one on virtual
 * time.
 *
 * One ring a thread, SINGLE_ISSUER and DEFER_TASKRUN where the kernel has them (6.1), COOP_TASKRUN
 * or nothing where it has not. Starts are queued and submitted together by ring_turn(); a full
 * submission queue is submitted at once. Everything that a start borrows (memory, paths, iovecs,
 * addresses) stays in place until its op is done. op->count is the bytes moved, or the descriptor
 * opened. Errors: err_of_errno() for files, err_of_socket_errno() for sockets, the errno in
 * op->raw.
 *
 * Reference: io_uring(7), io_uring_enter(2). Not here: which op to retry, alignment (core/file),
 * timers. */
#ifndef CORE_RING_H
#define CORE_RING_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "core/op.h"

struct ring;
struct statx;

#define RING_NO_ARENA UINT16_MAX /* memory that is not registered */

struct ring_features {
    bool single_issuer;
    bool defer_taskrun;
    bool registered_buffers;
    bool message_ring;
    bool send_zero_copy;
    bool truncate; /* IORING_OP_FTRUNCATE, Linux 6.9 */
    uint32_t last_opcode;
};

/* A fact about a connection, from getsockopt(TCP_INFO) (linux/tcp.h); times in ns. */
struct ring_tcp_info {
    uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retransmitted;
    uint64_t bytes_sacked; /* that arrived behind a hole, to the segment: now, and not acked */
    uint64_t rtt_ns, rtt_variance_ns, rtt_min_ns;
    uint64_t receive_rtt_ns; /* by what we receive (timestamps, in steps of 1 ms); 0: none yet */
    uint64_t busy_ns, receive_window_limited_ns, send_buffer_limited_ns;
    uint64_t delivery_rate_bytes_per_s;
    uint32_t not_sent_bytes, congestion_window_segments, segment_bytes;
    /* What we receive. Behind a hole: what is before it was lost, or comes later; 0: before Linux
     * 5.4. Both counters wrap. */
    uint32_t segments_received, segments_behind_hole, receive_segment_bytes;
    uint32_t receive_window_bytes; /* that the peer may send; 0: before Linux 6.2 */
    bool delivery_rate_app_limited;
    bool peer_closed; /* it sends no more, or the connection is gone */
};

/* `entries` is a power of two; fewer are had where little memory may be locked. Errors: ERR_NO_RING
 * (with errno in *raw: ENOSYS absent, EPERM forbidden by kernel.io_uring_disabled or seccomp),
 * ERR_MEMLOCK, ERR_NO_MEMORY. */
MUST_USE enum err ring_open(struct ring **ring, uint32_t entries, uint32_t completions, int *raw);
/* The ring belongs to the thread of its first ring_turn(), whoever opened it; until then at most
 * `entries` starts can wait in it. ring_leave(): by that thread, before it ends, where another one
 * closes. */
void ring_leave(struct ring *ring);
void ring_close(struct ring *ring);
const struct ring_features *ring_features(const struct ring *ring);

/* Submits what is queued, then waits until at least one completion is there or the clock reaches
 * `until_ns` (0: does not wait; UINT64_MAX: no bound), and pushes the finished ops to `ready`. */
void ring_turn(struct ring *ring, uint64_t until_ns, struct list *ready);

/* Ends the wait of `to`'s thread, or its next one. `from` is the caller's own ring: the message
 * goes out with its next turn. NULL: the caller has none, and pays a system call now. */
void ring_wake(struct ring *from, struct ring *to);

/* Registers memory as arena `index` (below ARENAS_MAX) for ring_read()/ring_write(). Pins and
 * touches all of it. Errors: ERR_MEMLOCK, ERR_NO_MEMORY: the memory can still be used, as
 * RING_NO_ARENA. */
MUST_USE enum err ring_register_arena(struct ring *ring, uint16_t index, void *memory,
                                      size_t bytes);

/* files; `dir_fd` as in openat(2), AT_FDCWD for the working directory */
void ring_open_file(struct ring *ring, int dir_fd, const char *path, int flags, mode_t mode,
                    struct op *op);
/* The same with openat2(2)'s RESOLVE_ flags (0: none): RESOLVE_BENEATH keeps a path below dir_fd.
 */
void ring_open_resolved(struct ring *ring, int dir_fd, const char *path, int flags, mode_t mode,
                        uint64_t resolve, struct op *op);
void ring_close_file(struct ring *ring, int fd, struct op *op);
/* `arena`: the memory's, or RING_NO_ARENA. `offset` UINT64_MAX: the file's own position (pipes,
 * devices). */
void ring_read(struct ring *ring, int fd, void *memory, uint32_t bytes, uint64_t offset,
               uint16_t arena, struct op *op);
void ring_write(struct ring *ring, int fd, const void *memory, uint32_t bytes, uint64_t offset,
                uint16_t arena, struct op *op);
void ring_sync(struct ring *ring, int fd, bool data_only, struct op *op);
void ring_allocate(struct ring *ring, int fd, int mode, uint64_t offset, uint64_t bytes,
                   struct op *op);
void ring_truncate(struct ring *ring, int fd, uint64_t bytes,
                   struct op *op); /* falls back to ftruncate(2) */
void ring_stat(struct ring *ring, int dir_fd, const char *path, int flags, struct statx *result,
               struct op *op);
void ring_rename(struct ring *ring, int old_dir_fd, const char *old_path, int new_dir_fd,
                 const char *new_path, unsigned flags, struct op *op);
void ring_unlink(struct ring *ring, int dir_fd, const char *path, int flags, struct op *op);
void ring_make_folder(struct ring *ring, int dir_fd, const char *path, mode_t mode, struct op *op);

/* sockets. ring_socket() and the options are plain non-blocking system calls, here so that a
 * simulation has them. */
MUST_USE enum err ring_socket(struct ring *ring, int family, int *fd, int *raw);
MUST_USE enum err ring_socket_option(struct ring *ring, int fd, int level, int name,
                                     const void *value, socklen_t value_bytes, int *raw);
MUST_USE enum err ring_listen(struct ring *ring, int fd, const struct sockaddr *address,
                              socklen_t address_bytes, int backlog, int *raw);
/* The address a socket is bound to; for the port that the kernel chose. */
MUST_USE enum err ring_socket_name(struct ring *ring, int fd, struct sockaddr_storage *address,
                                   socklen_t *address_bytes);
MUST_USE enum err ring_socket_info(struct ring *ring, int fd, struct ring_tcp_info *info);
/* Is there nothing to read and no end of file? For connections that were idle. One recv(2) with
 * MSG_PEEK. */
bool ring_socket_is_quiet(struct ring *ring, int fd);
/* Ends sending: a send that is out fails soon, the peer sees the end of the stream behind what is
 * queued; receiving goes on. */
void ring_socket_end_sending(struct ring *ring, int fd);
void ring_connect(struct ring *ring, int fd, const struct sockaddr *address,
                  socklen_t address_bytes, struct op *op);
void ring_accept(struct ring *ring, int fd, struct op *op); /* count: the descriptor */
/* The bytes of the message's iovecs, at least one (MSG_WAITALL | MSG_NOSIGNAL): all of them, unless
 * the connection failed or a cancel came midway, or the kernel is older than 5.19. Who finds count
 * too small sends the rest, and meets the error, if there was one, then. */
void ring_send(struct ring *ring, int fd, const struct msghdr *message, struct op *op);
/* At least one byte, at most `bytes`; count 0 is the end of the stream. */
void ring_receive(struct ring *ring, int fd, void *memory, uint32_t bytes, struct op *op);

/* Asks the kernel to end `target`, which finishes with ERR_CANCELLED, or as if nothing had been
 * asked when it was too late. Harmless when it is not out. */
void ring_cancel(struct ring *ring, struct op *target);

#endif
