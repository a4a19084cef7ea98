/* rtt: the estimators of RFC 6298, and the least value of a while. Pure. For round trips of packets
 * and, with the same equations, for the time that a server takes to answer.
 *
 *     deviation ← ¾ deviation + ¼ |smoothed − sample|     (before smoothed moves)
 *     smoothed  ← ⅞ smoothed + ⅛ sample
 *     timeout   = smoothed + max(RTT_GRAIN_NS, 4 deviation), in RTT_TIMEOUT_NS_MIN … _MAX,
 *                 doubled by each rtt_back_off() since the last sample
 *
 * What was sent twice is no sample (Karn): the caller leaves it out.
 * Reference: https://www.rfc-editor.org/rfc/rfc6298 */
#ifndef SCHED_RTT_H
#define SCHED_RTT_H

#include "sched/window.h"

#define RTT_GRAIN_NS       NS_PER_MS       /* of our timers, and of most servers' own */
#define RTT_TIMEOUT_NS_MIN NS_PER_S        /* RFC 6298 2.4 */
#define RTT_TIMEOUT_NS_MAX (60 * NS_PER_S) /* RFC 6298 2.5 */

struct rtt {
    uint64_t smoothed_ns, deviation_ns; /* 0: no sample yet */
    /* private */
    uint32_t back_offs;
    struct window least;
};

void rtt_init(struct rtt *rtt, uint64_t least_span_ns);
void rtt_add(struct rtt *rtt, uint64_t now_ns, uint64_t sample_ns); /* sample_ns ≥ 1 */
void rtt_back_off(struct rtt *rtt);                                 /* a timeout came true */
uint64_t rtt_timeout_ns(const struct rtt *rtt);
/* Of the last least_span_ns; 0: no sample. */
uint64_t rtt_least_ns(const struct rtt *rtt);

#endif
