#include "net/sock.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44 /* of Linux 6.15 */
#endif
#define SOCK_BACKOFF_MS 120000u /* the kernel's own, TCP_RTO_MAX_SEC */

static enum err sock_set(struct core *core, int fd, int level, int name, int value, int *raw)
{
    return ring_socket_option(core->ring, fd, level, name, &value, sizeof(value), raw);
}

static bool sock_ask_congestion(int fd, const char *name)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
}

enum err sock_choose_congestion(const char *wanted, char chosen[SOCK_CONGESTION_BYTES],
                                bool *is_system, int *raw)
{
    char system[SOCK_CONGESTION_BYTES] = "";
    socklen_t system_bytes = sizeof system - 1, chosen_bytes = SOCK_CONGESTION_BYTES - 1;
    enum err err = ERR_NONE;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(chosen, 0, SOCK_CONGESTION_BYTES);
    *is_system = true;
    *raw = errno;
    if (fd < 0) return err_of_errno(*raw);
    bool is_known = getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, system, &system_bytes) == 0;
    if (!sock_ask_congestion(fd, wanted ? wanted : "bbr") && wanted) {
        *raw = errno;
        err = *raw == ENOENT || *raw == EPERM ? ERR_CONFIG : err_of_errno(*raw);
    }
    if (is_known && getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, chosen, &chosen_bytes) == 0)
        *is_system = strcmp(chosen, system) == 0;
    close(fd);
    return err;
}

enum err sock_prepare(struct core *core, int fd, const struct sock_options *options, int *raw)
{
    enum err err = sock_set(core, fd, IPPROTO_TCP, TCP_NODELAY, 1, raw);
    if (err == ERR_NONE && options->congestion_control) {
        const char *name = options->congestion_control;
        socklen_t bytes = (socklen_t)strlen(name);
        err = ring_socket_option(core->ring, fd, IPPROTO_TCP, TCP_CONGESTION, name, bytes, raw);
        if (err != ERR_NONE && (*raw == ENOENT || *raw == EPERM)) err = ERR_CONFIG;
    }
    if (err == ERR_NONE && options->user_timeout_ms) {
        err = sock_set(core, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)options->user_timeout_ms, raw);
    }
    return err;
}

/* Where the kernel refuses, more comes at once than was meant: no reason to fail. */
void sock_limit_window(struct core *core, int fd, uint32_t bytes)
{
    int raw;
    enum err ignored = sock_set(core, fd, SOL_SOCKET, SO_RCVBUF, (int)bytes, &raw);
    (void)ignored;
}

void sock_clamp_window(struct core *core, int fd, uint32_t bytes)
{
    int raw, most = bytes > 0 ? (int)min_u64(bytes, INT32_MAX) : INT32_MAX;
    enum err ignored = sock_set(core, fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, most, &raw);
    (void)ignored;
}

uint32_t sock_window_max(void)
{
    int wanted = INT_MAX / 2, had = 0;
    socklen_t bytes = sizeof had;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    (void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &had, &bytes);
    close(fd);
    return (uint32_t)had / 2; /* socket(7): it doubles what was asked for */
}

void sock_limit_backoff(struct core *core, int fd, uint32_t ms)
{
    int raw, most = (int)(ms > 0 ? ms : SOCK_BACKOFF_MS);
    enum err ignored = sock_set(core, fd, IPPROTO_TCP, TCP_RTO_MAX_MS, most, &raw);
    (void)ignored;
}

/* All ones are the kernel's "no limit". Where it refuses, the flow is less even: no reason to
 * fail. */
void sock_limit_pacing(struct core *core, int fd, uint64_t bytes_per_s)
{
    uint64_t rate = bytes_per_s > 0 ? bytes_per_s : UINT64_MAX;
    int raw;
    enum err ignored = ring_socket_option(core->ring, fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate,
                                          sizeof rate, &raw);
    (void)ignored;
}

enum err sock_open(struct core *core, const struct addr *addr, const struct sock_options *options,
                   int *fd, int *raw)
{
    enum err err = ring_socket(core->ring, addr->u.any.sa_family, fd, raw);
    if (err != ERR_NONE) return err;
    err = sock_prepare(core, *fd, options, raw);
    if (err != ERR_NONE) {
        close(*fd);
        *fd = -1;
    }
    return err;
}

enum err sock_listen(struct core *core, const struct addr *addr, const struct sock_options *options,
                     int backlog, int *fd, struct addr *bound, int *raw)
{
    enum err err = sock_open(core, addr, options, fd, raw);
    if (err != ERR_NONE) return err;
    if (options->share_port) err = sock_set(core, *fd, SOL_SOCKET, SO_REUSEPORT, 1, raw);
    if (err == ERR_NONE)
        err = ring_listen(core->ring, *fd, &addr->u.any, addr->bytes, backlog, raw);
    memset(bound, 0, sizeof(*bound));
    bound->bytes = sizeof(bound->u.storage);
    if (err == ERR_NONE) err = ring_socket_name(core->ring, *fd, &bound->u.storage, &bound->bytes);
    if (err != ERR_NONE) {
        close(*fd);
        *fd = -1;
    }
    return err;
}

void sock_forget(struct core *core, int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    int raw;
    (void)!ring_socket_option(core->ring, fd, SOL_SOCKET, SO_LINGER, &now, sizeof now, &raw);
}

void sock_peer(int fd, struct addr *addr)
{
    memset(addr, 0, sizeof(*addr));
    socklen_t bytes = sizeof(addr->u.storage);
    if (getpeername(fd, &addr->u.any, &bytes) == 0) addr->bytes = bytes;
}
