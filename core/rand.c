#include "core/rand.h"

#include "core/check.h"

/* splitmix64, which the authors of xoshiro recommend to fill its state: no seed gives all zeros. */
static uint64_t seed_next(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void rand_init(struct rand *rand, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_COUNT(rand->state); i++)
        rand->state[i] = seed_next(&seed);
}

uint64_t rand_u64(struct rand *rand)
{
    uint64_t *s = rand->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* The high half of a 128-bit product is uniform once the few low halves that would be counted twice
 * are drawn again (Lemire 2019, "Fast random integer generation in an interval"). */
uint64_t rand_below(struct rand *rand, uint64_t bound)
{
    CHECK(bound >= 1);
    uint64_t surplus = (0 - bound) % bound;
    for (;;) {
        unsigned __int128 product = (unsigned __int128)rand_u64(rand) * bound;
        if ((uint64_t)product >= surplus) return (uint64_t)(product >> 64);
    }
}

double rand_unit(struct rand *rand)
{
    return (double)(rand_u64(rand) >> 11) * 0x1.0p-53; /* the 53 bits of a double's fraction */
}
