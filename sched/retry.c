#include "sched/retry.h"

#include "core/check.h"

void retry_budget_init(struct retry_budget *budget, uint32_t tokens_max)
{
    budget->tokens = tokens_max;
    budget->tokens_max = tokens_max;
    budget->drip_ns = 0;
}

void retry_init(struct retry *retry, uint32_t attempts_max)
{
    CHECK(attempts_max >= 1);
    *retry = (struct retry){.attempts = 1, .attempts_max = attempts_max};
}

uint64_t retry_delay_ns(struct rand *rand, enum err_class class, uint32_t retry_number)
{
    uint64_t base_ns = class == ERR_CLASS_SLOW ? RETRY_SLOW_BASE_NS : RETRY_BASE_NS;
    uint64_t ceiling_ns = RETRY_CAP_NS;

    CHECK(retry_number >= 1);
    /* Beyond 2^8 times the base every ceiling is the cap; a larger shift could overflow. */
    if (retry_number <= 8) ceiling_ns = min_u64(RETRY_CAP_NS, base_ns << (retry_number - 1));
    return rand_below(rand, ceiling_ns + 1);
}

_Static_assert((RETRY_BASE_NS << 8) >= RETRY_CAP_NS, "the ninth retry's ceiling is the cap");

/* The least delay that the budget allows. */
static uint64_t retry_pay_ns(struct retry *retry, struct retry_budget *budget, enum err_class class,
                             uint64_t now_ns)
{
    uint32_t cost = class == ERR_CLASS_SLOW ? 0 : RETRY_COST;

    retry->tokens = 0;
    if (budget->tokens >= cost) {
        budget->tokens -= cost;
        retry->tokens = cost;
        return 0;
    }
    budget->drip_ns = max_u64(budget->drip_ns, now_ns) + RETRY_DRIP_NS;
    return budget->drip_ns - now_ns;
}

static bool retry_is_over(const struct retry *retry, const struct retry_failure *failure)
{
    uint32_t attempts_max = retry->attempts_max;

    if (failure->attempts_max > 0)
        attempts_max = (uint32_t)min_u64(attempts_max, failure->attempts_max);
    if (retry->attempts >= attempts_max) return true;
    if (failure->limit_ns == 0 || retry->attempts < failure->attempts_min) return false;
    return failure->now_ns - retry->failing_since_ns >= failure->limit_ns;
}

bool retry_again(struct retry *retry, struct retry_budget *budget, struct rand *rand,
                 const struct retry_failure *failure, uint64_t *delay_ns)
{
    enum err_class class = err_class(failure->err);
    bool none = failure->err == ERR_STALE || failure->err == ERR_STRAGGLER;

    CHECK(failure->err != ERR_NONE);
    *delay_ns = 0;
    if (none && retry->stale_count < RETRY_STALE_MAX) {
        retry->stale_count++;
        return true;
    }
    if (class != ERR_CLASS_RETRY && class != ERR_CLASS_SLOW) return false;
    if (retry->failing_since_ns == 0) retry->failing_since_ns = max_u64(failure->now_ns, 1);
    if (retry_is_over(retry, failure)) return false;
    *delay_ns = max_u64(retry_pay_ns(retry, budget, class, failure->now_ns), failure->asked_ns);
    if (!failure->at_once || retry->at_once_count++ > 0)
        *delay_ns = max_u64(*delay_ns, retry_delay_ns(rand, class, retry->attempts));
    retry->attempts++;
    return true;
}

void retry_progressed(struct retry *retry)
{
    retry->failing_since_ns = 0;
}

void retry_succeeded(struct retry *retry, struct retry_budget *budget)
{
    uint32_t back = retry->tokens > 0 ? retry->tokens : 1;

    budget->tokens = (uint32_t)min_u64(budget->tokens_max, (uint64_t)budget->tokens + back);
    retry->tokens = 0;
    retry_progressed(retry);
}
