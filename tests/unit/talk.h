/* One core's exchange with a scripted peer over loopback, for the tests of net/exchange. */
#ifndef TESTS_UNIT_TALK_H
#define TESTS_UNIT_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/exchange.h"
#include "tests/unit/peer.h"

#define MS NS_PER_MS

struct world {
    struct core core;
    struct peer peer;
    struct dial *dial;
    struct exchange x;
    struct op start, write, head, read, end;
};

static inline void on_done(struct op *op)
{
    (void)op;
}

static inline enum err wait_for(struct world *w, struct op *op)
{
    while (op->out)
        core_turn(&w->core, true);
    return op->err;
}

static inline void open_world(struct world *w, const struct peer_step *steps)
{
    static const struct exchange_timeouts patient = {20 * NS_PER_S, 10 * NS_PER_S};
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    int raw;
    alarm(120);
    memset(w, 0, sizeof(*w));
    peer_start(&w->peer, steps);
    assert_int_equal(core_open(&w->core, &options, &raw), ERR_NONE);
    struct dial_options dial = {.host = "127.0.0.1",
                                .port = w->peer.port,
                                .connections_max = 2,
                                .connect_timeout_ns = NS_PER_S,
                                .tls_timeout_ns = NS_PER_S,
                                .idle_max_ns = 10 * NS_PER_S};
    assert_int_equal(dial_open(&w->dial, &w->core, &dial), ERR_NONE);
    exchange_init(&w->x, &w->core, w->dial, &patient);
    struct op *ops[] = {&w->start, &w->write, &w->head, &w->read, &w->end};
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++)
        op_init(ops[i], on_done);
}

static inline void close_world(struct world *w)
{
    dial_close(w->dial, &w->end);
    assert_int_equal(wait_for(w, &w->end), ERR_NONE);
    peer_join(&w->peer);
    core_close(&w->core);
}

#define GET_HEAD "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"

static inline void start_get(struct world *w)
{
    static const struct exchange_send send = {.head = {GET_HEAD, sizeof(GET_HEAD) - 1}};
    exchange_start(&w->x, &send, &w->start);
}

static inline enum err head_of(struct world *w)
{
    exchange_head(&w->x, &w->head);
    return wait_for(w, &w->head);
}

static inline enum err read_into(struct world *w, void *memory, uint32_t bytes)
{
    exchange_read(&w->x, memory, bytes, &w->read);
    return wait_for(w, &w->read);
}

static inline void end_it(struct world *w)
{
    exchange_end(&w->x, &w->end);
    assert_int_equal(wait_for(w, &w->end), ERR_NONE);
}

/* A GET whose reply is `status` and `body`, read in one go. */
static inline void get_text(struct world *w, uint32_t status, const char *body)
{
    char area[4096];
    start_get(w);
    assert_int_equal(wait_for(w, &w->start), ERR_NONE);
    assert_int_equal(head_of(w), ERR_NONE);
    assert_int_equal(w->x.parser.head.status, status);
    assert_int_equal(read_into(w, area, sizeof(area)), ERR_NONE);
    assert_int_equal(w->read.count, strlen(body));
    assert_memory_equal(area, body, strlen(body));
    assert_int_equal(read_into(w, area, sizeof(area)), ERR_NONE);
    assert_int_equal(w->read.count, 0);
    end_it(w);
}

#endif
