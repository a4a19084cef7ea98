/* breaker: stops asking a server that fails, and begins again with care. Pure.
 *
 *     CLOSED ──(BREAKER_ROW transport failures in a row, or half of a window's answers)──► OPEN
 *     OPEN ──(1 s, doubling to BREAKER_OPEN_NS_MAX, jittered)──► RAMP: a probe, then ever more
 *     RAMP ──(BREAKER_RAMP_MAX at a time)──► CLOSED
 *     RAMP ──(the probe failed, or half of all)──► OPEN
 *
 * While it is open nothing fails for it: work waits. So a server that is down meets one request of
 * each core now and then instead of every core's retries, and one that comes back is not
 * overwhelmed at once. A client's own mistakes (a key that is denied) are no failures here. Results
 * of requests from before the opening do not count for the probe: each carries a ticket.
 *
 * Reference: M. Nygard, Release It!, 2nd ed., 5.2 */
#ifndef SCHED_BREAKER_H
#define SCHED_BREAKER_H

#include "core/rand.h"

/* At 5 % of failures, once in three million requests by chance. */
#define BREAKER_ROW              5u
#define BREAKER_ANSWERS_MIN      20u
#define BREAKER_RAMP_ANSWERS_MIN 6u
#define BREAKER_WINDOW_NS        (10 * NS_PER_S)
#define BREAKER_OPEN_NS          NS_PER_S
/* A probe in 8 s costs nothing; longer delays the end. */
#define BREAKER_OPEN_NS_MAX (8 * NS_PER_S)
#define BREAKER_RAMP_MAX    16u /* as many as a core's connections: no limit any more */
#define BREAKER_ASK_NS      (50 * NS_PER_MS) /* between two looks for a place in the ramp */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_RAMP };

enum breaker_result {
    BREAKER_NEUTRAL,   /* cancelled, or nothing that the server did */
    BREAKER_GOOD,      /* it answered, whatever */
    BREAKER_TRANSPORT, /* it did not */
    BREAKER_REFUSAL,   /* it said that it cannot: 500, 503 */
};

struct breaker {
    enum breaker_state state;
    uint64_t opened_ns, until_ns; /* OPEN: since then; then it is probed */
    /* private */
    uint32_t epoch; /* tickets of before the last opening have another */
    uint32_t row, level;
    uint32_t out, allowed; /* RAMP */
    uint32_t answers, failures;
    uint64_t window_ns, closed_ns;
};

void breaker_init(struct breaker *breaker);
/* May a request go now? True, with its ticket; or false, and *wait_ns until it may ask again. */
MUST_USE bool breaker_admit(struct breaker *breaker, struct rand *rand, uint64_t now_ns,
                            uint32_t *ticket, uint64_t *wait_ns);
/* Of a request that was admitted, once. True when it opened the breaker. */
bool breaker_on_result(struct breaker *breaker, struct rand *rand, uint64_t now_ns, uint32_t ticket,
                       enum breaker_result result);

#endif
