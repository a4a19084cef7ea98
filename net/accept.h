/* accept: a listening socket, for stowage: accepts, sets the socket up, makes the stream (handshake
 * included), and hands each over.
 *
 *     slot:  free → accepting → opening (TLS only) → the owner's → free
 *
 * The owner embeds the acceptor and finds itself with container_of. A handshake that fails, or does
 * not end within ACCEPT_HANDSHAKE_NS, is counted and dropped. When descriptors run out it pauses
 * for ACCEPT_PAUSE_NS instead of spinning. Connections come from a pool of connections_max; when
 * all are in use the others wait in the kernel's backlog. */
#ifndef NET_ACCEPT_H
#define NET_ACCEPT_H

#include "net/plain.h"
#include "net/sock.h"
#include "net/tls.h"

#define ACCEPT_HANDSHAKE_NS (10 * NS_PER_S)  /* many round trips of any path on earth */
#define ACCEPT_PAUSE_NS     (50 * NS_PER_MS) /* long enough for some connection to end */

struct acceptor;

/* A connection that is ready for its first request. The receiver owns it and frees it with
 * accept_release() after its stream was closed. */
struct accepted {
    struct link link; /* the receiver's while it owns it */
    struct stream *stream;
    struct addr peer; /* bytes 0 when the kernel does not say */
    /* private */
    struct acceptor *acceptor;
    struct op op;      /* accept, then the handshake */
    struct op closing; /* of a failed one */
    struct timer timer;
    struct plain plain;
    struct tls *tls;
    uint8_t state;
    bool timed_out;
};

typedef void accept_fn(struct acceptor *acceptor, struct accepted *accepted);

struct accept_options {
    struct addr addr;        /* port 0: the kernel chooses */
    struct tls_context *tls; /* NULL: plain; borrowed, same core */
    struct sock_options sock;
    uint32_t connections_max; /* ≥ 1; more wait in the backlog */
};

struct acceptor { /* embedded in its owner */
    struct core *core;
    struct addr bound; /* with the port that the kernel chose */
    uint64_t accepted_count, failed_count;
    char why[192]; /* of the newest failed handshake */
    /* private */
    accept_fn *on_accepted;
    struct tls_context *tls;
    struct sock_options sock;
    int fd;
    struct accepted *slots;
    struct list free;
    uint32_t slot_count, in_use, accepting;
    struct timer pause;
    struct op closing;
    struct op *close_owner;
};

/* Starts to listen and accept; on_accepted is called from core_turn(). Errors: those of
 * sock_listen(), ERR_NO_MEMORY. */
MUST_USE enum err accept_open(struct acceptor *acceptor, struct core *core,
                              const struct accept_options *options, accept_fn *on_accepted,
                              int *raw);
void accept_release(struct accepted *accepted);
/* Accepts no more; done when all that was handed out is released. */
void accept_close(struct acceptor *acceptor, struct op *op);

#endif
