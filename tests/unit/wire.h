/* What an S3 call needs, for the tests of those who make some: a core, and a client of a scripted
 * peer. A test's world embeds it. */
#ifndef TESTS_UNIT_WIRE_H
#define TESTS_UNIT_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "s3/client.h"
#include "tests/unit/peer.h"

struct wire {
    struct core core;
    struct peer peer;
    struct conf conf;
    struct endpoint endpoint;
    struct aside *aside; /* for clients that read credentials again; else NULL */
    struct client client;
    struct op end;
};

/* The steps of a peer. */
#define ACCEPT                                                                                     \
    {                                                                                              \
        PEER_ACCEPT, NULL, 0                                                                       \
    }
#define HEAD                                                                                       \
    {                                                                                              \
        PEER_HEAD, NULL, 0                                                                         \
    }
#define SEND(text)                                                                                 \
    {                                                                                              \
        PEER_SEND, text, 0                                                                         \
    }
#define END                                                                                        \
    {                                                                                              \
        PEER_END, NULL, 0                                                                          \
    }

static inline void wire_on_done(struct op *op)
{
    (void)op;
}

static inline enum err wire_wait(struct wire *w, struct op *op)
{
    while (op->out)
        core_turn(&w->core, true);
    return op->err;
}

/* The peer is there; of the conf, everything may still be said. */
static inline void wire_open(struct wire *w, const struct peer_step *steps)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    int raw;
    alarm(60);
    memset(w, 0, sizeof(*w));
    peer_start(&w->peer, steps);
    assert_int_equal(core_open(&w->core, &options, &raw), ERR_NONE);
    conf_init(&w->conf);
    w->conf.log.level_max = LOG_ERROR;
    op_init(&w->end, wire_on_done);
}

/* The client; it signs when it has credentials. */
static inline void wire_connect(struct wire *w, struct creds *creds)
{
    char url[64], why[TLS_WHY_BYTES];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", w->peer.port);
    struct endpoint_options endpoint = {.url = url, .sign = creds != NULL, .creds = creds};
    assert_int_equal(target_parse_endpoint(&w->endpoint, &endpoint, why), ERR_NONE);
    assert_int_equal(client_open(&w->client, &w->core, &w->conf, &w->endpoint, w->aside, why),
                     ERR_NONE);
}

static inline void wire_close(struct wire *w)
{
    client_close(&w->client, &w->end);
    assert_int_equal(wire_wait(w, &w->end), ERR_NONE);
    peer_join(&w->peer);
    if (w->aside) aside_close(w->aside);
    core_close(&w->core);
}

#endif
