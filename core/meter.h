/* meter: counters that one thread writes and another may read at any time. Relaxed atomics: no
 * order between two counters is promised, each is exact once its writer has stopped. */
#ifndef CORE_METER_H
#define CORE_METER_H

#include <stdatomic.h>

#include "core/base.h"

struct meter {
    _Atomic uint64_t value;
};

static inline void meter_add(struct meter *meter, uint64_t amount) /* by its one writer */
{
    uint64_t now = atomic_load_explicit(&meter->value, memory_order_relaxed);
    atomic_store_explicit(&meter->value, now + amount, memory_order_relaxed);
}

static inline void meter_set(struct meter *meter, uint64_t value) /* by its one writer */
{
    atomic_store_explicit(&meter->value, value, memory_order_relaxed);
}

/* What was counted turned out to be in vain. What several cores' meters add up to stays right where
 * one takes back what another has added. */
static inline void meter_take_back(struct meter *meter, uint64_t amount)
{
    meter_add(meter, (uint64_t)0 - amount);
}

static inline uint64_t meter_read(const struct meter *meter)
{
    return atomic_load_explicit(&meter->value, memory_order_relaxed);
}

#endif
