#include "net/dns.h"

#include <ares.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* 2 + 4 + 8 s to each server: a name server that is slower than that is no help to a transfer. */
#define DNS_TIMEOUT_MS 2000
#define DNS_TRIES      3

static struct dns_query *dns_query_of(struct aside_job *job)
{
    return container_of(job, struct dns_query, job);
}

static void dns_add(struct dns_query *query, const struct sockaddr *address, socklen_t bytes)
{
    if (query->count == ADDRESSES_MAX || bytes > sizeof(query->addrs[0].u)) return;
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6) return;
    struct addr *addr = &query->addrs[query->count++];
    memset(addr, 0, sizeof(*addr));
    memcpy(&addr->u, address, bytes);
    addr->bytes = bytes;
    if (address->sa_family == AF_INET)
        addr->u.in4.sin_port = htons(query->port);
    else
        addr->u.in6.sin6_port = htons(query->port);
}

/* RFC 6761 6.3: such names never go to a name server. IPv4 first, since servers that are tried out
 * on a laptop or in a test often listen there only. */
static bool dns_is_localhost(struct bytes host)
{
    if (bytes_end_with(host, BYTES("."))) host.count--;
    struct bytes end = {host.data + host.count - 10, 10};
    return bytes_equal_ignoring_case(host, BYTES("localhost")) ||
           (host.count > 10 && bytes_equal_ignoring_case(end, BYTES(".localhost")));
}

/* What needs no name server; false for all else. */
static bool dns_resolve_here(struct dns_query *query)
{
    struct bytes host = bytes_of(query->host);
    if (addr_parse(host, query->port, &query->addrs[0])) {
        query->count = 1;
        return true;
    }
    if (host.count == 0 || !dns_is_localhost(host)) return false;
    query->count = addr_parse(BYTES("127.0.0.1"), query->port, &query->addrs[0]) &&
                           addr_parse(BYTES("::1"), query->port, &query->addrs[1])
                       ? 2
                       : 0;
    return true;
}

/* ---- on the side thread ---- */

struct dns_answer { /* on the side thread's stack */
    struct dns_query *query;
    enum err err;
};

static enum err dns_error(int status)
{
    switch (status) {
    case ARES_SUCCESS: return ERR_NONE;
    case ARES_ENOMEM: return ERR_NO_MEMORY;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_ENONAME:
    case ARES_EBADNAME: return ERR_NAME_UNKNOWN;
    default: return ERR_NAME_SERVER;
    }
}

/* c-ares has put the addresses in the order of RFC 6724. */
static void dns_on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *result)
{
    struct dns_answer *answer = argument;
    struct dns_query *query = answer->query;
    (void)timeouts;
    answer->err = dns_error(status);
    if (result) {
        for (struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next)
            dns_add(query, node->ai_addr, (socklen_t)node->ai_addrlen);
        ares_freeaddrinfo(result);
    }
    if (answer->err == ERR_NONE && query->count == 0) answer->err = ERR_NAME_UNKNOWN;
    if (answer->err != ERR_NONE)
        snprintf(query->why, sizeof(query->why), "%s", ares_strerror(status));
}

/* Blocks until the channel has nothing to wait for; its timeouts bound that. poll(2), since a
 * process with many connections has descriptors that select(2) cannot name. */
static void dns_wait(ares_channel channel)
{
    for (;;) {
        ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
        struct pollfd fds[ARES_GETSOCK_MAXNUM];
        struct timeval span = {1, 0};
        unsigned mask = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
        nfds_t count = 0;
        for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
            /* ares.h's own macros for these bits shift a signed 1 into the sign. */
            short events = (short)((mask >> i & 1 ? POLLIN : 0) |
                                   (mask >> (i + ARES_GETSOCK_MAXNUM) & 1 ? POLLOUT : 0));
            if (events) fds[count++] = (struct pollfd){.fd = sockets[i], .events = events};
        }
        if (count == 0) return;
        ares_timeout(channel, &span, &span);
        (void)poll(fds, count, (int)(span.tv_sec * 1000 + span.tv_usec / 1000 + 1));
        for (nfds_t i = 0; i < count; i++) {
            bool in = fds[i].revents & ~POLLOUT, out = fds[i].revents & POLLOUT;
            ares_process_fd(channel, in ? fds[i].fd : ARES_SOCKET_BAD,
                            out ? fds[i].fd : ARES_SOCKET_BAD); /* neither: looks at the clock */
        }
    }
}

static enum err dns_run(struct aside_job *job)
{
    struct dns_query *query = dns_query_of(job);
    if (dns_resolve_here(query)) return ERR_NONE;
    struct dns_answer answer = {query, ERR_NAME_SERVER};
    struct ares_options options = {.timeout = DNS_TIMEOUT_MS, .tries = DNS_TRIES};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_channel channel; /* a new one each time, since resolv.conf may have changed */
    if (query->is_whole) {
        options.flags = ARES_FLAG_NOSEARCH;
        options.tries = 1;
        mask |= ARES_OPT_FLAGS;
    }
    int status = ares_init_options(&channel, &options, mask);
    if (status != ARES_SUCCESS) {
        snprintf(query->why, sizeof(query->why), "%s", ares_strerror(status));
        return dns_error(status);
    }
    ares_getaddrinfo(channel, query->host, NULL, &hints, dns_on_answer, &answer);
    dns_wait(channel);
    ares_destroy(channel);
    return answer.err;
}

void dns_query_init(struct dns_query *query, op_fn *done)
{
    memset(query, 0, sizeof(*query));
    aside_job_init(&query->job, dns_run, done);
}

void dns_resolve(struct aside *aside, struct dns_query *query)
{
    query->count = 0;
    query->why[0] = '\0';
    aside_start(aside, &query->job);
}
