/* rand: seeded pseudo-random numbers (xoshiro256**, https://prng.di.unimi.it). Not for secrets. */
#ifndef CORE_RAND_H
#define CORE_RAND_H

#include "core/base.h"

struct rand {
    uint64_t state[4];
};

void rand_init(struct rand *rand, uint64_t seed);
uint64_t rand_u64(struct rand *rand);
uint64_t rand_below(struct rand *rand, uint64_t bound); /* uniform in [0, bound); bound ≥ 1 */
double rand_unit(struct rand *rand);                    /* uniform in [0, 1) */

#endif
