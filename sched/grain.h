/* grain: how large the next part or range is: the slow loop of flow control, one decision for all
 * cores, which takes effect at the next cut. Pure.
 *
 * What a part costs beside its bytes is a wait W: the server's time and a round trip, in which its
 * connection moves nothing. With r bytes a second while it moves, a part of P bytes waits for the
 * share W / (W + P/r) of its time, and that is at most GRAIN_SHARE where
 *
 *     P ≥ r · W · (1 − GRAIN_SHARE) / GRAIN_SHARE
 *
 * W is the least that was measured: what parts wait longer is queueing, or work that grows with
 * them, and larger parts would not save it. r is the mean of the parts that are done, halved with
 * each look. The size grows at most by two a look, and moves only where it would by a quarter
 * (down: by a third). A wait below GRAIN_WAIT_NS leaves it at its first value: one part in flight
 * more hides it, and small parts stay in the cache (docs/architecture.md: client CPU per GiB).
 *
 * At the end of a run, sizes fall to what is left divided by what is in flight, so that the last
 * parts end together: guided self-scheduling (Polychronopoulos and Kuck, 1987). What a store asks
 * of parts (their least size, their number, that they be equal) is no matter of this: see
 * s3/multipart. */
#ifndef SCHED_GRAIN_H
#define SCHED_GRAIN_H

#include "core/base.h"

#define GRAIN_SHARE     0.1
#define GRAIN_PARTS     8u               /* a look: their mean is known within a third or so */
#define GRAIN_WAIT_NS   (20 * NS_PER_MS) /* no path in a house has that */
#define GRAIN_BYTES_MAX (256ull * MIB)   /* what one failure may cost; a second of 2 Gbit/s */
#define GRAIN_ALIGN     MIB              /* O_DIRECT, and whole bufs */
#define GRAIN_WHOLE_RUN UINT64_MAX       /* left: nobody knows how much */

struct grain_totals { /* of parts that are done: sums that only grow */
    uint64_t parts, bytes;
    uint64_t taken_ns; /* of their connections, waits included */
};

struct grain {
    uint64_t bytes;          /* the size of parts now; 0: it was told, and is not ours to find */
    uint64_t before_bytes;   /* before the last change */
    const char *state, *why; /* of the last change; literals */
    uint64_t wait_ns;        /* the mean of the last look */
    double rate_bytes_per_s; /* of a connection that moves, then */
    /* private */
    uint64_t first_bytes;
    struct grain_totals seen;
    double parts, moved_bytes, taken_ns; /* halved with each look */
    bool ending;
};

/* Begins with `first_bytes`, and is never below; 0: it never has a value. */
void grain_init(struct grain *grain, uint64_t first_bytes);
/* Every tick. `wait_ns`: W, 0 when nothing was answered yet; `bytes_max`: what may be staged of a
 * part now. True: it changed. */
MUST_USE bool grain_tick(struct grain *grain, const struct grain_totals *totals, uint64_t wait_ns,
                         uint64_t bytes_max);
/* The size of the next part, of `slots` that are in flight, where `left_bytes` are to be cut yet.
 * *changed: it is the first of the end. */
uint64_t grain_next(struct grain *grain, uint64_t left_bytes, uint32_t slots, bool *changed);

#endif
