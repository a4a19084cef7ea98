/* sock: a TCP socket's making and settings. Descriptors are ordinary ones, since TCP_INFO cannot be
 * read through io_uring. TCP_NODELAY always: heads and bodies leave in one sendmsg. */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include "core/core.h"
#include "net/addr.h"

#define SOCK_CONGESTION_BYTES 16u /* a congestion control's name, with its 0: TCP_CA_NAME_MAX */

struct sock_options {
    const char *congestion_control; /* TCP_CONGESTION, or NULL: the system's */
    uint32_t user_timeout_ms;       /* TCP_USER_TIMEOUT, RFC 5482; 0: none */
    bool share_port;                /* listeners: one a core on the same port (SO_REUSEPORT) */
};

/* The kernel's congestion control for a process's sockets, asked with one that is thrown away:
 * `wanted`, or with NULL bbr where the kernel has it and lets this user have it, else the system's,
 * since bbr does not take loss for a full path (Cardwell et al., ACM Queue 2016). `chosen` has its
 * name, *is_system says that it needs no asking for. Errors: ERR_CONFIG: the kernel has none of
 * that name (raw ENOENT), or not for us (raw EPERM); what socket(2) says. */
MUST_USE enum err sock_choose_congestion(const char *wanted, char chosen[SOCK_CONGESTION_BYTES],
                                         bool *is_system, int *raw);
/* A socket that can be connected with ring_connect(). Errors: ERR_CONFIG when the kernel has no
 * such congestion control, and what socket(2) says. */
MUST_USE enum err sock_open(struct core *core, const struct addr *addr,
                            const struct sock_options *options, int *fd, int *raw);
/* The settings of an accepted socket; it stays open after an error. Errors: as sock_open(). */
MUST_USE enum err sock_prepare(struct core *core, int fd, const struct sock_options *options,
                               int *raw);
/* Errors: those of bind(2) and listen(2) (ERR_SYSTEM with EADDRINUSE or EACCES in *raw). */
MUST_USE enum err sock_listen(struct core *core, const struct addr *addr,
                              const struct sock_options *options, int backlog, int *fd,
                              struct addr *bound, int *raw);
/* Closing it resets the connection: what the kernel has not sent yet is thrown away, where it would
 * else go on being sent, and may arrive when something newer is there already. */
void sock_forget(struct core *core, int fd);
/* How much the peer may send before we read, about (SO_RCVBUF; the kernel has limits of its own):
 * for a connection that is read at a pace, since all that fits comes at once. Ends the kernel's own
 * tuning of that socket for good (TCP_WINDOW_CLAMP would be raised by it). */
void sock_limit_window(struct core *core, int fd, uint32_t bytes);
/* The window that the peer is told, at most (TCP_WINDOW_CLAMP; 0: no limit any more). The kernel's
 * tuning goes on, and raises it when it makes the buffer larger: so it is to be set anew. */
void sock_clamp_window(struct core *core, int fd, uint32_t bytes);
/* The most that sock_limit_window() can ask for (net.core.rmem_max); 0: the kernel does not say. */
uint32_t sock_window_max(void);
/* How long TCP waits at most until it sends again what is not acknowledged, 1,000 to 120,000 ms
 * (TCP_RTO_MAX_MS, Linux 6.15; older kernels keep to theirs); 0: two minutes, which is what the
 * kernel begins with unless net.ipv4.tcp_rto_max_ms says otherwise. Each failure doubles that wait
 * (RFC 6298, 5.5). For a connection that has a TCP_USER_TIMEOUT, which says for how long it is
 * tried, and is made: SYNs and, under a shut window, probes are counted or timed by this limit. */
void sock_limit_backoff(struct core *core, int fd, uint32_t ms);
/* How fast the kernel sends what it was given, at most (SO_MAX_PACING_RATE; 0: no limit any more).
 * TCP paces by itself, with a timer a socket, whatever the queueing discipline (Linux 4.13). A cap
 * of policy: the congestion control goes on below it. */
void sock_limit_pacing(struct core *core, int fd, uint64_t bytes_per_s);
/* The other end of a connected socket; bytes 0 when the kernel does not say. */
void sock_peer(int fd, struct addr *addr);

#endif
