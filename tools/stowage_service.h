/* stowage_service: how fast a store is that is modelled: limits of requests for each prefix, the
 * time that a request takes, how that grows with the load, and rates of bytes. Pure: it takes
 * `now` and gives numbers; the connection waits and answers.
 *
 *   --prefix-limit 'N/s[:BURST] [depth=N] …'   of each prefix of keys, cut behind its Nth "/" (1;
 *                   0: all keys together). Beyond it 503 SlowDown, which takes nothing from the
 *                   limit (GCRA, ITU-T I.371: at most BURST + N·t requests in any time t)
 *   --service-time 'fixed:TIME …' 'exponential:MEAN …' 'lognormal:MEDIAN:SIGMA …'
 *   --knee N[:FACTOR]   beyond N requests in flight the service time is multiplied by their number
 *                   / N, so that the store does no more than N / service time; beyond FACTOR · N
 *                   (1.5) 503 SlowDown
 *   --byte-rate 'SIZE [per=connection|object] …'   of bodies, a second; an object's is shared by
 *                   all that read or write it
 *
 * "…": a stowage_select; of several rules of a kind the first that fits counts. Draws are seeded:
 * the same requests in the same order take the same times. Memory: 32 bytes a different prefix or
 * object that a rule limits. */
#ifndef TOOLS_STOWAGE_SERVICE_H
#define TOOLS_STOWAGE_SERVICE_H

#include "core/err.h"
#include "core/rand.h"
#include "tools/stowage_select.h"

#define STOWAGE_SERVICE_RULES_MAX 32u /* of a kind */
#define STOWAGE_SERVICE_WHY_BYTES 256u
#define STOWAGE_SERVICE_TABLE_MAX 4096u /* chains of the clocks */

enum stowage_service_kind {
    STOWAGE_SERVICE_LIMIT,
    STOWAGE_SERVICE_TIME,
    STOWAGE_SERVICE_RATE,
    STOWAGE_SERVICE_KINDS
};

struct stowage_service_rule {
    struct stowage_select select;
    double per_s, burst; /* LIMIT: requests */
    uint32_t depth;
    enum { STOWAGE_SERVICE_FIXED, STOWAGE_SERVICE_EXPONENTIAL, STOWAGE_SERVICE_LOGNORMAL } shape;
    uint64_t time_ns; /* TIME: all of it, its mean, or its median */
    double sigma;
    uint64_t bytes_per_s; /* RATE */
    bool per_object;
};

struct stowage_service_clock { /* of a prefix or an object: nothing more before that time */
    struct stowage_service_clock *next;
    uint64_t hash, at_ns;
};

struct stowage_service {
    uint64_t limited_count, knee_count; /* requests that were refused */
    uint32_t in_flight;
    /* private */
    struct stowage_service_rule rules[STOWAGE_SERVICE_KINDS][STOWAGE_SERVICE_RULES_MAX];
    uint32_t rule_counts[STOWAGE_SERVICE_KINDS];
    double knee, knee_factor; /* 0: none */
    struct rand rand;
    struct stowage_service_clock *clocks[STOWAGE_SERVICE_TABLE_MAX];
};

struct stowage_service_request {
    enum stowage_operation operation;
    struct bytes bucket, key;
    uint32_t part_number;
};

struct stowage_service_verdict {
    bool slow_down; /* answer 503 */
    uint64_t serve_ns;
    uint64_t rate_bytes_per_s; /* of its body; 0: no limit */
    uint64_t *rate_clock;      /* that it shares with others; NULL: its own */
};

void stowage_service_init(struct stowage_service *service, uint64_t seed);
void stowage_service_fini(struct stowage_service *service);
/* Errors: ERR_USAGE, with a sentence in `why`. */
MUST_USE enum err stowage_service_add(struct stowage_service *service,
                                      enum stowage_service_kind kind, struct bytes text,
                                      char why[STOWAGE_SERVICE_WHY_BYTES]);
MUST_USE enum err stowage_service_set_knee(struct stowage_service *service, struct bytes text,
                                           char why[STOWAGE_SERVICE_WHY_BYTES]);

/* A request came; it is in flight until stowage_service_end(), refused ones too. */
void stowage_service_begin(struct stowage_service *service,
                           const struct stowage_service_request *request, uint64_t now_ns,
                           struct stowage_service_verdict *verdict);
void stowage_service_end(struct stowage_service *service);

#endif
