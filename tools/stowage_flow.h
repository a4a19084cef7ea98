/* stowage_flow: how far a body may move, at which rate, and what happens to it on the way. Pure.
 *
 * Whoever moves the body asks before each step what is next, does it, and says how many bytes
 * moved:
 *
 *   GO       up to `bytes` may move
 *   PAUSE    nothing until `until_ns` (UINT64_MAX: for good)
 *   RESET, CLOSE    the connection
 *   CORRUPT  flip a bit of the next byte; it is there
 *
 * What a fault does, it does once, when `after` bytes have moved, or where the body ends before. */
#ifndef TOOLS_STOWAGE_FLOW_H
#define TOOLS_STOWAGE_FLOW_H

#include "tools/stowage_rule.h"

enum stowage_flow_act {
    STOWAGE_FLOW_GO,
    STOWAGE_FLOW_PAUSE,
    STOWAGE_FLOW_RESET,
    STOWAGE_FLOW_CLOSE,
    STOWAGE_FLOW_CORRUPT,
};

struct stowage_flow { /* all zeros: everything moves at once */
    uint64_t moved_bytes;
    bool fired; /* what the rule says came about */
    /* private */
    bool has_act;
    enum stowage_rule_act act;
    uint64_t at_bytes, stall_ns;
    uint64_t rate_bytes_per_s; /* 0: none */
    uint64_t next_ns;          /* the rate: nothing before */
    uint64_t *shared_ns;       /* instead of next_ns, where others move at the same rate */
    bool is_slow;              /* the rate is the rule's */
};

struct stowage_flow_step {
    enum stowage_flow_act act;
    uint64_t bytes, until_ns;
};

/* `rule` NULL or of another kind: none. `body_bytes`: of the whole. */
void stowage_flow_init(struct stowage_flow *flow, const struct stowage_rule *rule,
                       uint64_t body_bytes);
/* A limit of the server's: a rule's rate counts where it is lower. `clock` NULL: of this body
 * alone, else of all flows with that clock together. 0 bytes/s: none. */
void stowage_flow_limit(struct stowage_flow *flow, uint64_t rate_bytes_per_s, uint64_t *clock);
/* `left_bytes`: that are still to come; 0: only what the fault does at the end. GO with 0 bytes
 * then. */
struct stowage_flow_step stowage_flow_next(struct stowage_flow *flow, uint64_t left_bytes,
                                           uint64_t now_ns);
void stowage_flow_moved(struct stowage_flow *flow, uint64_t bytes, uint64_t now_ns);
/* Has it nothing to say: may all move at once? */
bool stowage_flow_is_free(const struct stowage_flow *flow);

#endif
