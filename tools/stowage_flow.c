#include "tools/stowage_flow.h"

#include <string.h>

/* A step of a limited rate is what moves in this time: few steps a second, and no bursts. */
#define STEP_NS (20 * NS_PER_MS)

void stowage_flow_init(struct stowage_flow *flow, const struct stowage_rule *rule,
                       uint64_t body_bytes)
{
    memset(flow, 0, sizeof(*flow));
    if (!rule || !stowage_rule_is_on_way(rule->act)) return;
    if (rule->act == STOWAGE_RULE_SLOW) {
        flow->is_slow = true;
        flow->rate_bytes_per_s = rule->number;
        return;
    }
    uint64_t after = rule->after;
    if (rule->after_is_percent)
        after = (uint64_t)((unsigned __int128)body_bytes * rule->after / 100);
    flow->has_act = true;
    flow->act = rule->act;
    flow->at_bytes = min_u64(after, body_bytes);
    /* The last byte can be altered, not the one behind it. */
    if (rule->act == STOWAGE_RULE_CORRUPT && body_bytes && flow->at_bytes == body_bytes)
        flow->at_bytes--;
    flow->stall_ns = rule->number;
}

void stowage_flow_limit(struct stowage_flow *flow, uint64_t rate_bytes_per_s, uint64_t *clock)
{
    if (!rate_bytes_per_s) return;
    if (flow->rate_bytes_per_s && flow->rate_bytes_per_s < rate_bytes_per_s) return;
    flow->is_slow = false;
    flow->rate_bytes_per_s = rate_bytes_per_s;
    flow->shared_ns = clock;
}

static uint64_t *clock_of(struct stowage_flow *flow)
{
    return flow->shared_ns ? flow->shared_ns : &flow->next_ns;
}

/* The act is due. */
static struct stowage_flow_step do_act(struct stowage_flow *flow, uint64_t now_ns)
{
    struct stowage_flow_step step = {STOWAGE_FLOW_GO, 0, 0};
    flow->has_act = false;
    flow->fired = true;
    switch (flow->act) {
    case STOWAGE_RULE_RESET: step.act = STOWAGE_FLOW_RESET; break;
    case STOWAGE_RULE_CLOSE: step.act = STOWAGE_FLOW_CLOSE; break;
    case STOWAGE_RULE_CORRUPT: step.act = STOWAGE_FLOW_CORRUPT; break;
    default:
        step.act = STOWAGE_FLOW_PAUSE;
        step.until_ns = flow->stall_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + flow->stall_ns;
    }
    return step;
}

struct stowage_flow_step stowage_flow_next(struct stowage_flow *flow, uint64_t left_bytes,
                                           uint64_t now_ns)
{
    struct stowage_flow_step step = {STOWAGE_FLOW_GO, left_bytes, 0};
    bool due = flow->has_act && flow->moved_bytes >= flow->at_bytes;
    bool possible = flow->act != STOWAGE_RULE_CORRUPT || left_bytes;
    if (due && possible) return do_act(flow, now_ns);
    if (!left_bytes) return step;
    if (flow->has_act && flow->at_bytes > flow->moved_bytes)
        step.bytes = min_u64(step.bytes, flow->at_bytes - flow->moved_bytes);
    if (!flow->rate_bytes_per_s) return step;
    if (now_ns < *clock_of(flow)) {
        flow->fired = flow->fired || flow->is_slow;
        return (struct stowage_flow_step){STOWAGE_FLOW_PAUSE, 0, *clock_of(flow)};
    }
    uint64_t portion = (uint64_t)((unsigned __int128)flow->rate_bytes_per_s * STEP_NS / NS_PER_S);
    step.bytes = min_u64(step.bytes, portion ? portion : 1);
    return step;
}

void stowage_flow_moved(struct stowage_flow *flow, uint64_t bytes, uint64_t now_ns)
{
    flow->moved_bytes += bytes;
    if (!flow->rate_bytes_per_s) return;
    uint64_t *clock = clock_of(flow);
    if (*clock < now_ns) *clock = now_ns;
    *clock += (uint64_t)((unsigned __int128)bytes * NS_PER_S / flow->rate_bytes_per_s);
}

bool stowage_flow_is_free(const struct stowage_flow *flow)
{
    return !flow->has_act && !flow->rate_bytes_per_s;
}
