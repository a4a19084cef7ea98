#include "sched/rtt.h"

void rtt_add(struct rtt *rtt, uint64_t sample_ns)
{
    uint64_t high = max_u64(rtt->smoothed_ns, sample_ns);
    uint64_t low = min_u64(rtt->smoothed_ns, sample_ns);

    if (rtt->count++ == 0) {
        rtt->smoothed_ns = sample_ns;
        rtt->deviation_ns = sample_ns / 2;
        return;
    }
    rtt->deviation_ns = (3 * rtt->deviation_ns + (high - low)) / 4;
    rtt->smoothed_ns = (7 * rtt->smoothed_ns + sample_ns) / 8;
}

uint64_t rtt_timeout_ns(const struct rtt *rtt)
{
    return rtt->smoothed_ns + max_u64(RTT_GRAIN_NS, 4 * rtt->deviation_ns);
}
