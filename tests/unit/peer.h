/* A scripted peer for the tests of net and s3: blocking sockets on a thread of its own, on a port
 * of 127.0.0.1 that the kernel chose. It runs its steps in order; what it received is kept for the
 * test to look at. */
#ifndef TESTS_UNIT_PEER_H
#define TESTS_UNIT_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/core.h"

enum peer_kind {
    PEER_END,
    PEER_ACCEPT,  /* the next connection; it is the one that the following steps use */
    PEER_USE,     /* connection `count`, by order of accepting */
    PEER_HEAD,    /* receives up to an empty line, and `count` body bytes after it */
    PEER_BODY,    /* receives `count` bytes */
    PEER_SEND,    /* `text` */
    PEER_SPLIT,   /* `text` byte by byte, 1 ms apart where it is short */
    PEER_PATTERN, /* sends `count` bytes of the pattern */
    PEER_SLEEP,   /* `count` ms */
    PEER_CLOSE,
    PEER_RESET, /* closes with RST */
    PEER_QUIET, /* receives until the end of the stream, or a reset */
    PEER_STOP,  /* closes the listener */
};

struct peer_step {
    enum peer_kind kind;
    const char *text;
    uint32_t count;
};

#define PEER_CONNS_MAX 8

struct peer {
    const struct peer_step *steps;
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic uint32_t told; /* set behind what is written to a step's text while it runs */
    _Atomic uint32_t done; /* steps, for who waits for one */
    int conns[PEER_CONNS_MAX];
    int accepted, current;
    uint64_t body_bytes, bad_bytes; /* received; not of the pattern */
    bool was_reset;                 /* the end of PEER_QUIET */
    char heads[65536];              /* all that PEER_HEAD received */
    size_t head_bytes;
};

static inline uint8_t peer_pattern(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8) * 17 + 7);
}

static inline void peer_die(const char *what)
{
    fprintf(stderr, "peer: %s\n", what);
    abort();
}

static inline void peer_take_body(struct peer *p, uint64_t count)
{
    char area[65536];
    uint64_t at = 0;
    while (at < count) {
        uint64_t room = count - at < sizeof(area) ? count - at : sizeof(area);
        ssize_t got = recv(p->conns[p->current], area, room, 0);
        if (got <= 0) return; /* the client ended it */
        for (ssize_t i = 0; i < got; i++)
            p->bad_bytes += (uint8_t)area[i] != peer_pattern(at + (uint64_t)i);
        at += (uint64_t)got;
        p->body_bytes += (uint64_t)got;
    }
}

static inline void peer_take_head(struct peer *p, uint64_t body)
{
    size_t begin = p->head_bytes;
    for (;;) {
        char c;
        if (recv(p->conns[p->current], &c, 1, 0) <= 0) return;
        if (p->head_bytes + 1 >= sizeof(p->heads)) peer_die("too many heads");
        p->heads[p->head_bytes++] = c;
        if (p->head_bytes - begin >= 4 && !memcmp(p->heads + p->head_bytes - 4, "\r\n\r\n", 4))
            break;
    }
    peer_take_body(p, body);
}

static inline void peer_put(struct peer *p, const char *data, size_t count, bool split)
{
    size_t step = split ? 1 : count;
    for (size_t at = 0; at < count; at += step) {
        if (send(p->conns[p->current], data + at, step, MSG_NOSIGNAL) < 0) return;
        if (split && count < 500) usleep(1000);
    }
}

static inline void peer_put_pattern(struct peer *p, uint64_t count)
{
    char area[50000];
    for (uint64_t at = 0, n; at < count; at += n) {
        n = count - at < sizeof(area) ? count - at : sizeof(area);
        for (uint64_t i = 0; i < n; i++)
            area[i] = (char)peer_pattern(at + i);
        if (send(p->conns[p->current], area, n, MSG_NOSIGNAL) < 0) return;
    }
}

static inline void peer_drop(struct peer *p, bool reset)
{
    struct linger linger = {1, 0};
    int fd = p->conns[p->current];
    if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    p->conns[p->current] = -1;
}

static inline void peer_accept(struct peer *p)
{
    if (p->accepted == PEER_CONNS_MAX) peer_die("too many connections");
    struct pollfd ready = {p->listener, POLLIN, 0};
    if (poll(&ready, 1, 60000) != 1) peer_die("nobody connected");
    p->current = p->accepted++;
    p->conns[p->current] = accept(p->listener, NULL, NULL);
}

static inline void peer_listen(struct peer *p)
{
    ssize_t got;
    for (char byte; (got = recv(p->conns[p->current], &byte, 1, 0)) > 0;)
        continue;
    p->was_reset = got < 0 && errno == ECONNRESET;
}

static inline void *peer_run(void *argument)
{
    struct peer *p = argument;
    for (const struct peer_step *s = p->steps; s->kind != PEER_END; s++, p->done++) {
        switch (s->kind) {
        case PEER_ACCEPT: peer_accept(p); break;
        case PEER_USE: p->current = (int)s->count; break;
        case PEER_HEAD: peer_take_head(p, s->count); break;
        case PEER_BODY: peer_take_body(p, s->count); break;
        case PEER_SEND: (void)p->told, peer_put(p, s->text, strlen(s->text), false); break;
        case PEER_SPLIT: peer_put(p, s->text, strlen(s->text), true); break;
        case PEER_PATTERN: peer_put_pattern(p, s->count); break;
        case PEER_SLEEP: usleep(s->count * 1000); break;
        case PEER_CLOSE: peer_drop(p, false); break;
        case PEER_RESET: peer_drop(p, true); break;
        case PEER_QUIET: peer_listen(p); break;
        case PEER_STOP: close(p->listener), p->listener = -1; break;
        case PEER_END: break;
        }
    }
    return NULL;
}

static inline void peer_start(struct peer *p, const struct peer_step *steps)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(in);
    memset(p, 0, sizeof(*p));
    p->steps = steps;
    memset(p->conns, -1, sizeof(p->conns));
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(p->listener, (struct sockaddr *)&in, sizeof(in)) || listen(p->listener, 16) ||
        getsockname(p->listener, (struct sockaddr *)&in, &bytes))
        peer_die("listen");
    p->port = ntohs(in.sin_port);
    if (pthread_create(&p->thread, NULL, peer_run, p)) peer_die("thread");
}

static inline void peer_join(struct peer *p)
{
    pthread_join(p->thread, NULL);
    for (int i = 0; i < PEER_CONNS_MAX; i++)
        if (p->conns[i] >= 0) close(p->conns[i]);
    if (p->listener >= 0) close(p->listener);
}

/* How often `text` was received in heads. */
static inline uint32_t peer_heads_with(const struct peer *p, const char *text)
{
    uint32_t count = 0;
    for (const char *at = p->heads; (at = strstr(at, text)); at++)
        count++;
    return count;
}

#endif
