/* response: what a connection will move in the end, by the losses that it meets. Pure.
 *
 * A connection under cubic begins fast, and is as slow as its losses make it seconds later: its
 * window, in segments, is then on the mean, by the response function (RFC 9438, 5.1; `p` losses a
 * segment, RTT in seconds)
 *
 *     W = max(1.054 · (RTT / p)^(3/4), sqrt(3 / 2p))
 *
 * (Reno has only the root: where the other is larger, too few are foreseen.) So of a connection a
 * byte takes RTT / (W · segment): what Startup measures while they are young may be a third of
 * that. Of a request, too, but that small objects count for less than a connection each
 * (sched/flow.h).
 *
 * This holds for losses that come by chance. Those of a path that is full come and go with what is
 * in flight; so what counts is what was lost while nothing queued, a few segments at a time (what
 * overflows is many), in spans of two round trips in which less came than the path has shown to
 * have (what overflows comes at its full rate, and is sent again a round trip later). */
#ifndef SCHED_RESPONSE_H
#define SCHED_RESPONSE_H

#include "sched/sample.h"

#define RESPONSE_SPANS  32u /* the first ones, while connections are young: 6 s or more */
#define RESPONSE_LESS   0.8 /* of the best: the path was not full */
#define RESPONSE_LEAST  64u /* segments that came: less is heads, or the begin of a search */
#define RESPONSE_LOSSES 8.0 /* that must have been seen: fewer say little */

struct response {
    /* private */
    struct response_span {
        double rate, losses, segments, busy_ns, flow_ns;
    } spans[RESPONSE_SPANS];
    uint32_t count;
    double flow_ns; /* of the span that is now: connection-ns, as busy_ns is request-ns */
    uint64_t ticked_ns;
    uint64_t rtt_ns, segment_bytes; /* as they were last known */
    struct sample_totals at;        /* at the begin of the span that is now */
    uint64_t at_ns;                 /* 0: there is none */
};

/* The mean window, in segments; loss above 0. */
double response_window(double loss, uint64_t rtt_ns);
/* With the newest totals, several times a span. rtt_ns: the least; 0: none is known. */
void response_tick(struct response *response, uint64_t now_ns, const struct sample_totals *totals,
                   uint64_t rtt_ns);
/* Request-ns a byte. What was lost may have been few by chance: one standard deviation more is
 * what counts, since one connection too few costs more than one too many. 0: not known. */
double response_slowness(const struct response *response);

#endif
