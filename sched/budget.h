/* budget: how fast the whole machine may move bytes, shared out to its cores as tokens.
 *
 * There is one rate, or none: the lower of two, what the user allows and what is left to a transfer
 * that gives way to others (sched/ledbat). The cores claim quanta from one schedule (sched/pace) by
 * compare-and-swap: one cache line, once a quantum (at most a hundred times a second and core, or
 * once a MiB), and not at all while there is no limit. The guarantee is pace's, with the cores as
 * claimers. A core that has no work claims nothing, so the others get all of it. A new rate holds
 * at once for new claims, and within BUDGET_LOOK_NS for those that wait.
 *
 * What counts is what HTTP sends and receives together, heads included; TLS and TCP come on top. */
#ifndef SCHED_BUDGET_H
#define SCHED_BUDGET_H

#include <stdatomic.h>

#include "core/gate.h"

#define BUDGET_LOOK_NS (100 * NS_PER_MS)

struct budget {
    /* private */
    _Atomic uint64_t rate_bytes_per_s;       /* the user's; 0: no limit */
    _Atomic uint64_t background_bytes_per_s; /* 0: it does not give way */
    _Atomic uint64_t next_ns;                /* of the schedule */
    _Atomic uint32_t epoch;                  /* of the rate */
};

struct budget_share { /* a core's */
    struct gate gate;
    struct budget *budget;
    /* private */
    uint64_t claim_at_ns;
    uint32_t claim_bytes; /* 0: nothing is claimed */
    uint32_t epoch;       /* when it was claimed */
};

void budget_init(struct budget *budget); /* no limit */
/* From any thread, one at a time. 0: no limit. */
void budget_set(struct budget *budget, uint64_t rate_bytes_per_s, uint64_t now_ns);
/* The same of the other source, which changes often: claims stand, so that a change forgives no
 * debt. A claim at the old rate is waited for, at most a quantum's time. */
void budget_set_background(struct budget *budget, uint64_t rate_bytes_per_s);
uint64_t budget_rate(const struct budget *budget); /* from any thread; 0: no limit */
/* Before the core runs; with budget NULL nothing is ever limited. */
void budget_share_init(struct budget_share *share, struct budget *budget, struct core *core);

#endif
