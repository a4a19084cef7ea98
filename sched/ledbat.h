/* ledbat: the rate of a transfer that gives way to others: it takes what nobody else wants, and
 * leaves as soon as somebody does, which it sees by the queue that grows. Pure.
 *
 *     base   = the least round trip of the last LEDBAT_BASE_NS
 *     queue  = round trip now − base
 *     target = base / 4, in LEDBAT_TARGET_NS_MIN … _MAX      the queue that is aimed at
 *     off    = (target − queue) / target
 *     window : a round · (1 + off² / 4)   while off > 0, and a segment more; off² / 16 near the
 *                                         rate at which the queue was too long before
 *              a round · (1 + off / 4)    while off < 0, by 30 % at most
 *     rate   = window / round,  round = round trip + LEDBAT_LAG_NS
 *
 * A window, not the rate, is what moves: so a longer round trip lowers the rate by itself, and the
 * loop does not swing. The target is below what a loss-based flow ever leaves in a buffer of one
 * bandwidth-delay product: CUBIC goes from 2 BDP in flight to 0.7 of that (RFC 9438, 4.6), so at
 * least 0.4 base stay queued, and a transfer that aims at a quarter is driven to its least. Where
 * the buffer is much shorter than that, only losses tell:
 *
 *     losses while the queue is above half the target;      window halved, once a round, and
 *     where it never is, any loss above half of the           it does not grow for LEDBAT_HOLD_NS
 *     longest queue of LEDBAT_LONGEST_NS
 *     losses otherwise                                      less by 50 times their share
 *
 * so that a path that loses a packet in ten thousand by itself is used all the same.
 * Losses are those of the direction in which the bytes go, as shares of them. Of a download the
 * least is known, one segment for each loss event of a connection (s3/traffic): exact where losses
 * are rare, and at an overflow, where it is too little, that there is one is what counts. A packet
 * that was only overtaken shows as a small part of a segment: half of one within a round is a loss.
 *
 *        START ──(queue > ¾ target, loss)──► STEADY ⇄ REST
 *
 * START grows by a quarter each round: doubling takes three, so that whoever begins about now has
 * ended its own slow start before ours fills the path (LEDBAT++ grows by less than slow start does
 * for the same reason). In REST next to nothing is sent for two rounds, so that the queue that
 * it made itself drains, and whoever came later sees the true base: that costs a twentieth of the
 * time. What was measured then is the anchor: without others the path's own rate is that of base.
 *
 * A path that became longer looks like one that is full, until the old base is forgotten.
 * Reference: RFC 6817 (base history, target, halving at a loss); draft-irtf-iccrg-ledbat-plus-plus
 * (start, multiplicative decrease, slowdowns). Growth is in proportion, not a segment a round,
 * since a gigabit over 50 ms is 4300 segments: so several of these do not share evenly. */
#ifndef SCHED_LEDBAT_H
#define SCHED_LEDBAT_H

#include "sched/sample.h"
#include "sched/window.h"

#define LEDBAT_BASE_NS (600 * NS_PER_S) /* RFC 6817: ten minutes */
/* What a busy machine adds to a round trip by itself. */
#define LEDBAT_TARGET_NS_MIN NS_PER_MS
/* RFC 6817 allows 100 ms; people notice 25 in a call, and a router's buffer is often longer. */
#define LEDBAT_TARGET_NS_MAX (25 * NS_PER_MS)
#define LEDBAT_LAG_NS        (50 * NS_PER_MS) /* from a look to the next: s3/mover's tick */
/* CUBIC's own way back takes as long at 100 Mbit/s over 50 ms (RFC 9438, K). */
#define LEDBAT_HOLD_NS    (6 * NS_PER_S)
#define LEDBAT_LONGEST_NS (10 * NS_PER_S) /* some of a loss-based flow's cycles */
#define LEDBAT_SEGMENT    1448.0          /* bytes: Ethernet's MTU less IP, TCP, timestamps */
#define LEDBAT_RATE_START 1e6             /* bytes/s, until a round trip is known */
/* 8 MiB in ten minutes: below that servers take us for dead. */
#define LEDBAT_RATE_MIN   16384.0
#define LEDBAT_REST_EVERY 20u /* times as long as a rest takes, at least … */
#define LEDBAT_REST_NS    (5 * NS_PER_S)
#define LEDBAT_TELL       0.25 /* a rate that differs by so much from the last one told is news */

struct ledbat_look { /* what is known at a tick; sums only grow */
    uint64_t now_ns;
    uint64_t delivered_bytes, sent_bytes, resent_bytes;
    uint64_t lost_bytes; /* of what is received, at least: a segment for each loss event */
    uint64_t rtt_ns;     /* now, the least of the connections on which bytes moved; 0: none did */
    uint64_t rtt_min_ns; /* the least that any of them has ever seen; 0: none is in use */
};

enum ledbat_state { LEDBAT_START, LEDBAT_STEADY, LEDBAT_REST };

struct ledbat {
    double rate_bytes_per_s; /* what may be sent, or asked for */
    enum ledbat_state state;
    const char *why;                /* of the last news; a literal */
    double told_bytes_per_s;        /* the rate of the last news, */
    double told_before_bytes_per_s; /* and of the one before */
    uint64_t base_ns, queue_ns;     /* 0: not known */
    uint64_t yielded_ns;            /* how long the queue was above the target, so far */
    /* private */
    double window_bytes;
    struct window base, longest;  /* the queue */
    struct ledbat_look seen;      /* the last one with a round trip */
    struct ledbat_look from;      /* where the measurement of `delivered` began */
    double delivered_bytes_per_s; /* 0: not measured since the last rest */
    double full_bytes_per_s; /* what came through when the queue was above the target; 0: never */
    double lost_bytes; /* of what is received, over about a round, since the window was halved */
    bool is_full;
    uint64_t state_ns; /* since when it is in this state */
    uint64_t rest_at_ns, halved_ns;
};

void ledbat_init(struct ledbat *ledbat);
/* At each tick. True when there is news: another state, or a rate that is told. */
bool ledbat_tick(struct ledbat *ledbat, const struct ledbat_look *look);
uint64_t ledbat_target_ns(const struct ledbat *ledbat);
const char *ledbat_state_name(enum ledbat_state state);

#endif
