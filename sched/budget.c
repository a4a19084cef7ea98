#include "sched/budget.h"

#include "sched/pace.h"

void budget_init(struct budget *budget)
{
    atomic_init(&budget->rate_bytes_per_s, 0);
    atomic_init(&budget->background_bytes_per_s, 0);
    atomic_init(&budget->next_ns, 0);
    atomic_init(&budget->epoch, 0);
}

static uint64_t budget_allowed(const struct budget *budget)
{
    return atomic_load_explicit(&budget->rate_bytes_per_s, memory_order_relaxed);
}

uint64_t budget_rate(const struct budget *budget)
{
    uint64_t background =
        atomic_load_explicit(&budget->background_bytes_per_s, memory_order_relaxed);
    uint64_t allowed = budget_allowed(budget);
    if (allowed == 0 || background == 0) return allowed + background;
    return min_u64(allowed, background);
}

void budget_set_background(struct budget *budget, uint64_t rate_bytes_per_s)
{
    atomic_store_explicit(&budget->background_bytes_per_s, rate_bytes_per_s, memory_order_relaxed);
}

/* What was claimed at the old rate is void: at a very low one it may lie seconds ahead. */
void budget_set(struct budget *budget, uint64_t rate_bytes_per_s, uint64_t now_ns)
{
    if (budget_allowed(budget) == rate_bytes_per_s) return;
    atomic_store_explicit(&budget->rate_bytes_per_s, rate_bytes_per_s, memory_order_relaxed);
    uint64_t next_ns = atomic_load(&budget->next_ns);
    while (next_ns > now_ns && !atomic_compare_exchange_weak(&budget->next_ns, &next_ns, now_ns))
        continue;
    atomic_fetch_add_explicit(&budget->epoch, 1, memory_order_release);
}

static uint64_t budget_claim(struct budget *budget, uint64_t rate, uint32_t bytes, uint64_t now_ns)
{
    uint64_t next_ns = atomic_load_explicit(&budget->next_ns, memory_order_relaxed);
    for (;;) {
        uint64_t after_ns = next_ns;
        uint64_t at_ns = pace_claim(&after_ns, rate, bytes, now_ns);
        if (atomic_compare_exchange_weak_explicit(&budget->next_ns, &next_ns, after_ns,
                                                  memory_order_relaxed, memory_order_relaxed))
            return at_ns;
    }
}

static bool budget_top_up(struct budget_share *share, uint64_t rate, uint32_t quantum,
                          uint64_t now_ns)
{
    uint32_t epoch = atomic_load_explicit(&share->budget->epoch, memory_order_acquire);
    /* What was granted at a higher rate would take long to pay. */
    int64_t least = -(int64_t)quantum;
    if (share->epoch != epoch && share->gate.credit_bytes < least) share->gate.credit_bytes = least;
    if (share->claim_bytes == 0 || share->epoch != epoch) {
        share->claim_at_ns = budget_claim(share->budget, rate, quantum, now_ns);
        share->claim_bytes = quantum;
        share->epoch = epoch;
    }
    if (share->claim_at_ns > now_ns) return false;
    share->gate.credit_bytes += share->claim_bytes;
    share->claim_bytes = 0;
    return true;
}

/* A grant is a whole quantum where that much is wanted, even if less is left: the debt is paid
 * before the next one. So slices never become small. */
static uint32_t budget_on_ask(struct gate *gate, uint64_t now_ns, uint32_t wanted,
                              uint64_t *again_ns)
{
    struct budget_share *share = container_of(gate, struct budget_share, gate);
    uint64_t rate = share->budget ? budget_rate(share->budget) : 0;
    if (rate == 0) {
        gate->credit_bytes = 0;
        return wanted;
    }
    uint32_t quantum = pace_quantum_bytes(rate);
    if (gate->credit_bytes > (int64_t)quantum) gate->credit_bytes = quantum; /* of a higher rate */
    while (gate->credit_bytes <= 0) {
        if (budget_top_up(share, rate, quantum, now_ns)) continue;
        *again_ns = min_u64(share->claim_at_ns, now_ns + BUDGET_LOOK_NS);
        return 0;
    }
    uint32_t granted = wanted < quantum ? wanted : quantum;
    gate->credit_bytes -= granted;
    return granted;
}

void budget_share_init(struct budget_share *share, struct budget *budget, struct core *core)
{
    gate_init(&share->gate, core, budget_on_ask);
    share->budget = budget;
    share->claim_at_ns = 0;
    share->claim_bytes = 0;
    share->epoch = 0;
}
