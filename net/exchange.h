/* exchange: one HTTP request and its reply on a connection of a dial.
 *
 *     request half: IDLE → DIAL → DIALING → ADMIT (→ PACING) → SEND → SENDING → (ADMIT …)
 *                                                           → SENT → (ADMIT …)      → BROKEN
 *     reply half:   IDLE → ASK → AWAITING → (ASK …) → HEAD
 *                                → BODY → READ (→ PACING) → RECEIVE → READING → (READ …) → BODY …
 *                                                                            → OVER
 *
 * The halves are independent: the reply's head is awaited from the moment of sending, so that an
 * early refusal is seen and ends the sending. The owner drives it with ops:
 *
 *   exchange_start()  takes a connection, sends the head and the first body bytes; done: they are
 *                     sent, or the reply came first (x->reply_early)
 *   exchange_write()  more body bytes, while fewer than announced have gone. After an early reply
 *                     it sends nothing and succeeds: look at x->reply_early
 *   exchange_head()   done: x->parser.head is the reply's; may be called right after start. Its
 *                     slices point into the connection: valid until exchange_end()
 *   exchange_read()   fills the caller's memory with body bytes; a count below what was asked, or
 *                     0: the body is over. Bytes that arrived with the head come first: the only
 *                     payload bytes that are copied (x->copied_bytes)
 *   exchange_end()    gives the connection back: kept when both halves are complete, else closed.
 *                     Always called once after start, after success and error alike; what is out is
 *                     cancelled first. Afterwards the exchange can be started anew
 *
 * Where x->gate is set, bytes go in the slices that it grants, in both directions. What comes
 * unasked is charged: a reply's head, and as much of its body as the peer may send ahead of us
 * (dial_ahead_bytes()); reading then pays for what it makes room for, so that the pace is that of
 * the wire. Waiting for pace is never a stall.
 *
 * One each of start-or-write, head, and read may be out at a time. After an error everything ends
 * with that error, and the connection is closed at once.
 *
 * Errors: those of dial, stream and http; ERR_STALE when a reused connection failed before any byte
 * of the reply came; ERR_TIMEOUT (no reply within reply_ns of the last sign of life after the
 * request), ERR_STALLED (no byte moved within stall_ns, by TCP's own counters, or a head that takes
 * longer than that). The watchdog looks four times in such a span, so it may be late by a half.
 * A failed send waits a moment for the reply that may explain it. A connection on which nothing
 * moves is reset: what the kernel has not sent yet is not sent later.
 *
 * Whoever wants to know how it goes on looks with exchange_view(), and may end it with
 * exchange_cut(). Time is counted while the peer is waited for, not while the owner is. */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include "core/gate.h"
#include "net/dial.h"
#include "net/http.h"

struct exchange_timeouts {
    uint64_t reply_ns; /* without a sign of life, from the last byte sent to the reply's first */
    uint64_t stall_ns; /* a send or a receive without one byte of progress */
};

#define EXCHANGE_WHY_BYTES 192u
/* From this body on, TCP's counters are read at the start: below, a system call more would cost. */
#define EXCHANGE_COUNT_BYTES MIB

enum exchange_wait { /* for what */
                     EXCHANGE_WAIT_OWNER,
                     EXCHANGE_WAIT_PACE,   /* x->gate: neither its owner nor its peer is slow */
                     EXCHANGE_WAIT_SEND,   /* the peer takes what is sent */
                     EXCHANGE_WAIT_ANSWER, /* all is sent, and nothing came yet */
                     EXCHANGE_WAIT_BODY,   /* or the rest of a reply's head */
};

struct exchange_view {
    /* SEND, not ANSWER, while the peer's kernel has not acknowledged all: ours holds megabytes. */
    enum exchange_wait wait;
    uint64_t moved_bytes; /* by TCP's counters, both ways, heads and TLS included: about right */
    uint64_t waited_ns;   /* for the peer, since there is a connection */
    bool unsent;          /* some of the request is here yet: with its owner, or in our kernel */
};

struct exchange {
    struct core *core;
    struct dial *dial;
    struct conn *conn; /* NULL before it was got, after an error and after the end */
    struct http_parser parser;
    bool reply_early;  /* the reply came before the request was wholly sent */
    bool fresh_only;   /* set by the owner before start: not on a reused connection */
    struct gate *gate; /* set by the owner before start, or NULL: not paced */
    uint64_t sent_bytes, received_bytes; /* of bodies */
    uint64_t copied_bytes;               /* of bodies: those that came with the head */
    uint64_t started_ns, dialed_ns, sent_ns, head_ns, ended_ns; /* for samples; 0: not yet */
    uint64_t waited_ns;           /* for the peer, since there is a connection */
    char why[EXCHANGE_WHY_BYTES]; /* after an error: "127.0.0.1:443: connection refused" */
    /* private */
    struct dial_wish wish;
    struct op sending, receiving;
    struct gate_wish send_pass, receive_pass;
    struct op *write_owner, *head_owner, *read_owner, *end_owner;
    struct timer watchdog;
    struct iovec iovecs[STREAM_IOVECS_MAX]; /* from iovec_at on: not sent yet */
    uint32_t iovec_at, iovec_count;
    uint32_t slice_iovecs, cut_bytes; /* of the slice that is out; kept from its last iovec */
    uint32_t slice_bytes;             /* granted for the next slice, or out */
    uint32_t receive_bytes;           /* granted, not received yet */
    uint64_t unpaid_bytes;            /* of the reply's body: not asked for at the gate yet */
    uint64_t unsent_bytes;            /* of what was given, the head among it */
    uint64_t head_left_bytes;         /* of the request's head */
    bool send_paced, receive_paced;   /* a pass was waited for, and is not taken yet */
    struct exchange_timeouts timeouts;
    uint64_t body_bytes;              /* announced */
    uint64_t moved_ns, head_began_ns; /* last progress; first byte of the reply */
    uint64_t moved_bytes;             /* TCP's counters at the watchdog's last look */
    uint64_t first_bytes;             /* and before the first byte of ours; or UINT64_MAX */
    uint64_t tallied_ns;              /* up to then waited_ns is counted */
    uint8_t wait;                     /* since then: enum exchange_wait */
    uint32_t head_count;              /* reply bytes in conn->head */
    uint32_t extra_at, extra_end;     /* body bytes that came with the head */
    char *read_memory;
    uint32_t read_bytes, read_count;
    enum err err, send_err;
    uint8_t send_state, reply_state;
    bool reused, no_body, dirty, closing;
    char send_why[EXCHANGE_WHY_BYTES];
};

struct exchange_send {
    /* The whole request head, incl. the empty line; stays in place until the op of exchange_start()
     * is done. */
    struct bytes head;
    const struct iovec *body; /* first body bytes, at most STREAM_IOVECS_MAX - 1; array copied */
    uint32_t body_count;
    uint64_t body_bytes; /* of the whole body, as announced in the head */
    bool no_body;        /* the reply has none: HEAD */
};

void exchange_init(struct exchange *x, struct core *core, struct dial *dial,
                   const struct exchange_timeouts *timeouts);
void exchange_start(struct exchange *x, const struct exchange_send *send, struct op *op);
void exchange_write(struct exchange *x, const struct iovec *iovecs, uint32_t count, struct op *op);
void exchange_head(struct exchange *x, struct op *op);
/* op->count: bytes filled; `bytes` at least 1. After exchange_head() is done. */
void exchange_read(struct exchange *x, void *memory, uint32_t bytes, struct op *op);
void exchange_end(struct exchange *x, struct op *op);
enum exchange_wait exchange_wait(const struct exchange *x); /* now */
/* Of this request, both ways, as of the last look at the connection (conn->seen): about right, of
 * large ones; 0: not known. */
uint64_t exchange_moved_bytes(const struct exchange *x);
/* False: there is no connection now. One system call. */
MUST_USE bool exchange_view(struct exchange *x, struct exchange_view *view);
/* Fails what is out, with this error, and resets the connection. Only with a connection. */
void exchange_cut(struct exchange *x, enum err err, const char *words);

#endif
