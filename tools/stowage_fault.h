/* stowage_fault: which request is misbehaved with, and how often that came true. Pure.
 *
 * The first rule that hits is done; a request has one fault. Each rule counts the requests that it
 * is for, those that it hit, and those where what it says really came about (a body may have ended
 * before), so that a test can assert that it tested something.
 *
 * The attempts of requests are counted by what they ask for (operation, key, part, range), without
 * the bucket, whose name differs from run to run. Memory: 16 to 32 bytes a different request. */
#ifndef TOOLS_STOWAGE_FAULT_H
#define TOOLS_STOWAGE_FAULT_H

#include "core/log.h"
#include "tools/stowage_rule.h"

#define STOWAGE_FAULT_RULES_MAX 64u
#define STOWAGE_FAULT_WHY_BYTES (STOWAGE_RULE_WHY_BYTES + STOWAGE_RULE_TEXT_BYTES)

struct stowage_fault_request {
    enum stowage_operation operation;
    struct bytes bucket, key, range; /* range: the header as it came */
    uint32_t part_number;
    bool has_body;
};

struct stowage_fault_count {
    uint64_t fitting, hits, fired;
};

struct stowage_fault_seen { /* hash 0: a free place */
    uint64_t hash, attempts;
};

struct stowage_fault {
    struct stowage_rule rules[STOWAGE_FAULT_RULES_MAX];
    struct stowage_fault_count counts[STOWAGE_FAULT_RULES_MAX];
    uint32_t rule_count;
    /* private */
    uint32_t generation;             /* of the rules */
    struct stowage_fault_seen *seen; /* open hash table */
    uint64_t seen_count, seen_max;
};

/* What a request was hit with: a copy, since the rules may change meanwhile. */
struct stowage_fault_hit {
    struct stowage_rule rule;
    bool is_hit;
    uint64_t draw; /* what p was drawn from: the seed of noise */
    /* private */
    bool fired;
    uint32_t index, generation;
};

void stowage_fault_init(struct stowage_fault *fault);
void stowage_fault_fini(struct stowage_fault *fault);
/* One more rule, as stowage_rule_parse(). Errors: ERR_USAGE. */
MUST_USE enum err stowage_fault_add(struct stowage_fault *fault, struct bytes line,
                                    char why[STOWAGE_FAULT_WHY_BYTES]);
/* A file's rules, one a line, "#" begins a comment: added; after an error none of them is. */
MUST_USE enum err stowage_fault_add_all(struct stowage_fault *fault, struct bytes text,
                                        char why[STOWAGE_FAULT_WHY_BYTES]);
void stowage_fault_clear(struct stowage_fault *fault); /* rules, counts and attempts */

/* Once a request, when it is known what it asks for. */
void stowage_fault_choose(struct stowage_fault *fault, const struct stowage_fault_request *request,
                          struct stowage_fault_hit *hit);
/* What the rule says came about; the first time counts. */
void stowage_fault_fired(struct stowage_fault *fault, struct stowage_fault_hit *hit);
/* A line a rule: `fault 1: 120 fit, 7 hit, 7 fired: reset p=5%`. */
void stowage_fault_report(const struct stowage_fault *fault, const struct log *log);

#endif
