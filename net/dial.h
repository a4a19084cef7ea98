/* dial: one core's connections to one endpoint: names resolved to all their addresses, connections
 * spread over them, kept alive, reused last-in first-out, retired when idle too long or failed.
 *
 * dial_take() gives an idle connection, or makes one (resolve, connect, handshake), or waits its
 * turn when `connections_max` are in use. dial_give() takes it back: reusable or not. A connection
 * that was idle is looked at first (ring_socket_is_quiet); one that the server closed meanwhile is
 * replaced silently.
 *
 * Wishes wait in one queue. A connection that becomes ready, whichever it is, serves the oldest
 * wish that can use it, and one that could not be opened fails the oldest: which wish caused which
 * opening does not matter. A connect that fails goes on to the next address first; an address that
 * failed is left aside while there are others, longer each time, and then tried by one connection
 * before the rest follow. Names are resolved at the first need
 * and again when the answer is a minute old; a failing refresh keeps the old addresses.
 *
 *     FREE → CONNECT → CONNECTING → SHAKE → SHAKING → OFFER ⇄ READY → CLOSE → CLOSING → CLOSED
 *       ▲        ▲          └──────────────────┴──────(failed)─────────►┘                  │ │
 *       └────────┴──────────────────────────────(the next address)──────────────────────────┴─┘
 *
 * All memory is allocated by dial_open(), and a TLS object at the first use of a connection's slot;
 * a reused connection costs none. Not here: retries and backoff (s3/request). */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "core/core.h"
#include "net/dns.h"
#include "net/plain.h"
#include "net/sock.h"
#include "net/tls.h"

struct dial;

struct dial_options {
    const char *host; /* copied; a name or a literal without brackets */
    uint16_t port;
    bool host_is_whole;      /* as dns_query's is_whole */
    struct tls_context *tls; /* NULL: plain; borrowed, same core */
    uint32_t connections_max;
    uint64_t connect_timeout_ns, tls_timeout_ns, idle_max_ns;
    struct sock_options sock; /* its strings stay in place */
    struct aside *aside;      /* for names; may be NULL when the host is a literal */
};

struct conn {
    struct link link; /* of dial, or of whoever holds it */
    struct stream *stream;
    struct dial *dial;
    struct addr addr;
    uint64_t used_count; /* times that it was given back: 0 during its first exchange */
    uint64_t idle_since_ns;
    uint32_t window_bytes;       /* that its peer may fill ahead of us, about; 0: not limited */
    uint64_t pacing_bytes_per_s; /* the kernel's cap for what we send on it; 0: none */
    /* Its user's: as last looked at, and the time before; zero on a new connection. */
    struct ring_tcp_info seen, before;
    uint64_t seen_ns, hole_bytes; /* when; that had arrived behind a hole by then, and wait there */
    uint64_t lost_ns;             /* when a loss of what is sent on it was counted last */
    bool is_slow;                 /* its round trips are long: TCP backs off as it likes */
    double rate_bytes_per_s;      /* that it received with, of late (sched/clamp) */
    uint32_t clamp_bytes;         /* its window as it was clamped last; 0: it is not */
    char *head; /* HTTP_HEAD_BYTES_MAX bytes for the reply's head of an exchange */
};

#define DIAL_WHY_BYTES 192u

struct dial_wish {
    struct op op; /* done: conn is set, or err: ERR_NAME_UNKNOWN, ERR_REFUSED, ERR_TLS_… */
    struct conn *conn;
    bool fresh_only;          /* do not reuse an idle one: after a failure */
    char why[DIAL_WHY_BYTES]; /* after an error: address and the library's words */
    /* private */
    bool waiting;
};

struct dial_counts { /* for reports and samples */
    uint64_t opened, reused, replaced_stale, failed;
    uint32_t open_now, idle_now, resumed;
};

/* Errors: ERR_NO_MEMORY, ERR_NAME_UNKNOWN (longer than HOST_BYTES_MAX, or a name without aside). */
MUST_USE enum err dial_open(struct dial **dial, struct core *core,
                            const struct dial_options *options);
/* Closes all connections and frees the dial; no wish may be out and every connection must be back.
 */
void dial_close(struct dial *dial, struct op *op);
/* At once, of one that was never asked for a connection: then its core need not run. */
void dial_discard(struct dial *dial);

void dial_wish_init(struct dial_wish *wish, op_fn *done);
void dial_take(struct dial *dial, struct dial_wish *wish);
/* Ends a wish soon with ERR_CANCELLED, or as if nothing had been asked when it was too late: then
 * wish->conn is the owner's. Harmless when it is not out. */
void dial_cancel(struct dial *dial, struct dial_wish *wish);
/* And sets the caller's pointer to NULL. Not reusable: the stream is closed, and what is out on it
 * finishes soon. */
void dial_give(struct conn **conn, bool reusable);
/* The connection failed in use, before it is given back. `dead`: nothing moves there any more, so
 * that the next one goes to another address, if there is one; else only several in a row count. */
void dial_blame(struct conn *conn, bool dead);
/* The receive window of all connections, from their next use or at once where they are in use; 0:
 * the kernel's affair. A connection that was limited once stays so, as large as may be, and is not
 * used again when there is no limit any more. */
void dial_set_window(struct dial *dial, uint32_t bytes);
/* How fast each connection may send, from its next use or at once where it is in use; 0: no limit.
 * Costs nothing while it does not change. */
void dial_set_pacing(struct dial *dial, uint64_t bytes_per_s);
/* Its round trip, as TCP smooths it, less its deviation; 0: not known yet. Where that is long, so
 * is what TCP may wait for. */
void dial_see_rtt(struct conn *conn, uint64_t rtt_ns);
/* What the peer may have sent of a body before it is asked for, where windows are limited. */
uint32_t dial_ahead_bytes(const struct conn *conn);
struct dial_counts dial_counts(const struct dial *dial);
/* Calls `visit` with each connection in use: for TCP_INFO samples. */
void dial_each(struct dial *dial, void (*visit)(struct conn *conn, void *context), void *context);

#endif
