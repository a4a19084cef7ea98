#include "sched/pace.h"

#include "core/check.h"

uint32_t pace_quantum_bytes(uint64_t rate_bytes_per_s)
{
    uint64_t bytes = rate_bytes_per_s / (NS_PER_S / PACE_QUANTUM_NS);
    return (uint32_t)min_u64(max_u64(bytes, PACE_QUANTUM_BYTES_MIN), PACE_QUANTUM_BYTES_MAX);
}

uint64_t pace_claim(uint64_t *next_ns, uint64_t rate_bytes_per_s, uint32_t bytes, uint64_t now_ns)
{
    CHECK(rate_bytes_per_s > 0 && "no rate, no schedule");
    uint64_t earliest_ns = now_ns > PACE_CATCH_UP_NS ? now_ns - PACE_CATCH_UP_NS : 0;
    uint64_t at_ns = max_u64(*next_ns, earliest_ns);
    *next_ns = at_ns + (uint64_t)bytes * NS_PER_S / rate_bytes_per_s; /* below 2^62 */
    return at_ns;
}
