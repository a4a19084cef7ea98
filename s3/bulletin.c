#include "s3/bulletin.h"

#include "core/check.h"

/* Looked at first: the line is shared by all cores, and a store would take it from them. */
void bulletin_set_reached(struct bulletin *bulletin)
{
    if (bulletin_was_reached(bulletin)) return;
    atomic_store_explicit(&bulletin->reached, true, memory_order_relaxed);
}

bool bulletin_was_reached(const struct bulletin *bulletin)
{
    return atomic_load_explicit(&bulletin->reached, memory_order_relaxed);
}

void bulletin_set_worked(struct bulletin *bulletin)
{
    if (bulletin_has_worked(bulletin)) return;
    atomic_store_explicit(&bulletin->worked, true, memory_order_relaxed);
}

bool bulletin_has_worked(const struct bulletin *bulletin)
{
    return atomic_load_explicit(&bulletin->worked, memory_order_relaxed);
}

bool bulletin_set_by_path(struct bulletin *bulletin)
{
    return !atomic_exchange_explicit(&bulletin->by_path, true, memory_order_relaxed);
}

bool bulletin_is_by_path(const struct bulletin *bulletin)
{
    return atomic_load_explicit(&bulletin->by_path, memory_order_relaxed);
}

bool bulletin_claim(struct bulletin *bulletin, enum err cause, uint64_t now_ns)
{
    CHECK(cause < ERR_COUNT);
    _Atomic uint64_t *said = &bulletin->said_ns[cause];
    uint64_t before_ns = atomic_load_explicit(said, memory_order_relaxed);
    if (before_ns && now_ns < before_ns + BULLETIN_AGAIN_NS) return false;
    if (!atomic_compare_exchange_strong_explicit(said, &before_ns, max_u64(now_ns, 1),
                                                 memory_order_relaxed, memory_order_relaxed))
        return false; /* another core says it */
    return true;
}

void bulletin_set_troubled(struct bulletin *bulletin)
{
    atomic_store_explicit(&bulletin->troubled, true, memory_order_relaxed);
}

bool bulletin_claim_relief(struct bulletin *bulletin, uint64_t now_ns)
{
    if (!atomic_load_explicit(&bulletin->troubled, memory_order_relaxed)) return false;
    if (!atomic_exchange_explicit(&bulletin->troubled, false, memory_order_relaxed)) return false;
    atomic_store_explicit(&bulletin->relieved_ns, now_ns, memory_order_relaxed);
    for (uint32_t i = 0; i < ERR_COUNT; i++)
        atomic_store_explicit(&bulletin->said_ns[i], 0, memory_order_relaxed);
    return true;
}

bool bulletin_is_relieved(const struct bulletin *bulletin, uint64_t since_ns)
{
    return atomic_load_explicit(&bulletin->relieved_ns, memory_order_relaxed) > since_ns;
}
