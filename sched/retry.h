/* retry: whether and when to try again. Pure.
 *
 * Delays are exponential with full jitter: uniform in [0, min(cap, base × 2^(retry − 1))), which
 * spreads clients that failed together better than any fixed part would
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). What the server asks
 * for (Retry-After) is the least.
 *
 * A call ends when it has failed without any progress for longer than its limit and has had at
 * least RETRY_ATTEMPTS_MIN attempts, or when its attempts are used up. Attempts alone would give up
 * early on a short outage and late on a slow one.
 *
 * A budget, shared by all requests of one core to one endpoint, bounds the extra load while much
 * fails: a retry takes tokens, a success gives some back, so that retries are at most 1/RETRY_COST
 * of the successes once the initial tokens are spent
 * (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html). An empty budget
 * fails nothing: it lets one retry go every RETRY_DRIP_NS, each behind the one before. Class SLOW
 * takes none: the pacer answers to it, by sending less, and attempts are bounded anyway.
 *
 * ERR_STALE (the server had closed an idle connection) and ERR_STRAGGLER (we cut a slow one, within
 * a budget of its own, sched/straggler) are tried again at once and count as no failure, up to
 * RETRY_STALE_MAX times a call; after that they are failures like others. */
#ifndef SCHED_RETRY_H
#define SCHED_RETRY_H

#include "core/err.h"
#include "core/rand.h"

#define RETRY_BASE_NS      (100 * NS_PER_MS) /* a few round trips of a long path */
#define RETRY_SLOW_BASE_NS (500 * NS_PER_MS) /* what a throttling store needs to see less load */
#define RETRY_CAP_NS       (20 * NS_PER_S)   /* as the AWS SDKs: longer looks like a hang */
#define RETRY_TOKENS       500u /* as the AWS SDKs' standard mode: 100 retries in a row */
#define RETRY_COST         5u
#define RETRY_DRIP_NS      (100 * NS_PER_MS) /* ten a second a core: a server in trouble bears it */
#define RETRY_STALE_MAX    32u /* more idle connections than a core's pool drops at once */
/* With 5 % of requests failing, six attempts leave one part in 64 million to fail. */
#define RETRY_ATTEMPTS_MIN 6u

struct retry_budget {
    uint32_t tokens, tokens_max;
    uint64_t drip_ns; /* when the next retry may go while it is empty */
};

struct retry {                       /* of one call */
    uint32_t attempts, attempts_max; /* made so far, incl. the first; 1 means no retry */
    uint64_t failing_since_ns;       /* without progress; 0: it is not */
    /* private */
    uint32_t stale_count, at_once_count;
    uint32_t tokens; /* taken for the last retry */
};

struct retry_failure { /* of an attempt */
    enum err err;      /* not ERR_NONE */
    uint64_t now_ns;
    uint64_t limit_ns;     /* of failing without progress; 0: none */
    uint32_t attempts_min; /* the limit holds from this attempt on; 0: from the first */
    uint32_t attempts_max; /* fewer than the call's, for this error; 0: as the call's */
    uint64_t asked_ns;     /* what the server asks for: the least delay */
    bool at_once;          /* the first time without a delay */
};

void retry_budget_init(struct retry_budget *budget, uint32_t tokens_max);

/* `attempts_max` ≥ 1. The first attempt counts as made. */
void retry_init(struct retry *retry, uint32_t attempts_max);

/* True, and *delay_ns until the next attempt, which is counted as made; or false: it is final. Only
 * the classes RETRY and SLOW are tried again. */
MUST_USE bool retry_again(struct retry *retry, struct retry_budget *budget, struct rand *rand,
                          const struct retry_failure *failure, uint64_t *delay_ns);

/* Bytes arrived or were acknowledged: what fails from now on fails anew. */
void retry_progressed(struct retry *retry);

/* The call succeeded: its last retry's tokens return, or one token when there was no retry. */
void retry_succeeded(struct retry *retry, struct retry_budget *budget);

/* The delay before retry number `retry_number` (from 1) after an error of `class`. */
uint64_t retry_delay_ns(struct rand *rand, enum err_class class, uint32_t retry_number);

#endif
