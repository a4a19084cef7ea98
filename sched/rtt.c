#include "sched/rtt.h"

#include "core/check.h"

void rtt_init(struct rtt *rtt, uint64_t least_span_ns)
{
    *rtt = (struct rtt){.smoothed_ns = 0};
    window_init(&rtt->least, WINDOW_LEAST, least_span_ns);
}

void rtt_add(struct rtt *rtt, uint64_t now_ns, uint64_t sample_ns)
{
    CHECK(sample_ns >= 1);
    if (rtt->smoothed_ns == 0) {
        rtt->smoothed_ns = sample_ns;
        rtt->deviation_ns = sample_ns / 2;
    } else {
        uint64_t high = max_u64(rtt->smoothed_ns, sample_ns);
        uint64_t low = min_u64(rtt->smoothed_ns, sample_ns);
        rtt->deviation_ns = (3 * rtt->deviation_ns + (high - low)) / 4;
        rtt->smoothed_ns = max_u64((7 * rtt->smoothed_ns + sample_ns) / 8, 1);
    }
    rtt->back_offs = 0;
    window_add(&rtt->least, now_ns, (double)sample_ns);
}

void rtt_back_off(struct rtt *rtt)
{
    if (rtt->back_offs < 16) rtt->back_offs++; /* more is beyond the greatest */
}

uint64_t rtt_timeout_ns(const struct rtt *rtt)
{
    uint64_t ns = rtt->smoothed_ns + max_u64(RTT_GRAIN_NS, 4 * rtt->deviation_ns);

    ns = max_u64(ns, RTT_TIMEOUT_NS_MIN);
    for (uint32_t i = 0; i < rtt->back_offs && ns < RTT_TIMEOUT_NS_MAX; i++)
        ns *= 2;
    return min_u64(ns, RTT_TIMEOUT_NS_MAX);
}

uint64_t rtt_least_ns(const struct rtt *rtt)
{
    return (uint64_t)window_value(&rtt->least);
}
