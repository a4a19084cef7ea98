/* flow: the one controller of the traffic to an endpoint: measured sums in, requests in flight out.
 * Pure.
 *
 *     totals of all cores, every tick ─► sample (rounds) ─► cc (bbr, cubic, fixed, auto) ─► window
 *
 * The window counts parts, of all cores. Small objects are cheaper to have in flight and wait more
 * than they send: a window of w allows w parts and FLOW_OBJECTS · w whole objects, each of which
 * counts for 1/FLOW_OBJECTS. Each part or object in flight is one connection in use, so the window
 * is the number of connections as well; what stands in the buffers is the window times the size of
 * a part. flow_share() deals it out to the cores. Reports and --log-decisions read `decision`.
 *
 * The fewest connections with which the path is full have a closed form,
 *
 *     n* = B/r + B · L/P      B: what the path brings, r: a connection that moves, bytes/s
 *                             L: what a request waits for its answer, P: its bytes
 *
 * of which the first part moves bytes and the second waits. bbr's slowness is 1/r + L/P, measured
 * together, since r shows nowhere alone: so its B × slowness is n*, where the search of "auto"
 * begins. While connections are young, r is what losses will make it (sched/response). Each
 * decision has n* and B · L/P, to compare with (`knee` of its sample). While more than n* were in
 * flight from the first round on, it is what was in flight: no more than that shows. */
#ifndef SCHED_FLOW_H
#define SCHED_FLOW_H

#include "sched/cubic.h"
#include "sched/fixed.h"
#include "sched/response.h"
#include "sched/rounds.h"
#include "sched/tune.h"
#include "sched/window.h"

#define FLOW_KINDS   4u /* of enum flow_kind */
#define FLOW_OBJECTS 3u /* of 16 connections of a core, 4 for parts and 12 for objects: measured */
#define FLOW_RTT_NS  (10 * NS_PER_S) /* how long a least round trip holds: as BBR's */

#define FLOW_REQUESTS_MAX 64u /* that P is the mean of: then both sums are halved */

enum flow_kind { FLOW_AUTO, FLOW_BBR, FLOW_CUBIC, FLOW_FIXED };

struct flow_decision {
    uint64_t now_ns;
    uint32_t before, after; /* parts in flight, all cores */
    const char *state, *why;
    struct sample sample; /* of the round that led to it */
};

struct flow {
    struct flow_decision decision; /* the newest */
    struct sample sample;          /* the newest round's */
    /* private */
    union {
        struct cc cc;
        struct tune tune;
        struct bbr bbr;
        struct cubic cubic;
        struct fixed fixed;
    } u;
    struct rounds rounds;
    struct window answer_least, rtt_least;
    struct response response;
    struct sample_totals seen;
    uint64_t began_ns;              /* when the first was in flight; 0: not yet */
    double requests, request_bytes; /* of late, to know P */
    /* By the newest model: n*, B, and of n* what waits; 0: none yet. */
    double knee, knee_bytes_per_s, knee_waiting;
    enum flow_kind kind;
    uint32_t window; /* as it was given out */
    bool has_seen;
};

void flow_init(struct flow *flow, enum flow_kind kind, const struct cc_limits *limits);
/* Every 50 to 100 ms, with the sums over all cores and the least round trip of this tick (0: none).
 * True when the window has another value: flow->decision says why. */
bool flow_tick(struct flow *flow, uint64_t now_ns, const struct sample_totals *totals,
               uint64_t rtt_ns);
uint32_t flow_window(const struct flow *flow); /* parts in flight, all cores */
const char *flow_kind_name(enum flow_kind kind);
uint64_t flow_rtt_ns(const struct flow *flow); /* the least of the last while; 0: none */
/* Of a window, what core `index` of `count` may have; at least 1. */
uint32_t flow_share(uint32_t window, uint32_t index, uint32_t count);

#endif
