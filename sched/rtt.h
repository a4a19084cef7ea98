/* rtt: the estimators of RFC 6298, for the time that a request takes. Pure.
 *
 *     deviation ← ¾ deviation + ¼ |smoothed − sample|     (before smoothed moves)
 *     smoothed  ← ⅞ smoothed + ⅛ sample
 *     timeout   = smoothed + max(RTT_GRAIN_NS, 4 deviation)
 *
 * The bounds of the timeout, and backing off, are the caller's. What was sent twice is no sample
 * (Karn): the caller leaves it out. Reference: https://www.rfc-editor.org/rfc/rfc6298 */
#ifndef SCHED_RTT_H
#define SCHED_RTT_H

#include "core/base.h"

#define RTT_GRAIN_NS NS_PER_MS /* of our timers, and of most servers' own */

struct rtt { /* zeroed: no sample yet */
    uint64_t smoothed_ns, deviation_ns;
    uint32_t count; /* of samples */
};

void rtt_add(struct rtt *rtt, uint64_t sample_ns);
uint64_t rtt_timeout_ns(const struct rtt *rtt);

#endif
