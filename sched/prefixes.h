/* prefixes: the prefixes of keys that a run touches, each with its controller (sched/prefix), its
 * weight, and what all cores measured of it. Pure, but for its memory.
 *
 *     any core   prefixes_cell_*(): adds to its own cells
 *     one core   prefixes_find(): name → index; prefixes_may_go() … _on_back() by whoever hands
 *                out work; prefixes_tick(): cells → rounds → limits and weights
 *
 *     weight = S / S_p, in PREFIXES_WEIGHT_MIN … _MAX     S_p: the mean time that the server takes
 *                                                         to answer there; S: their mean
 *
 * moves only where it would by a fifth (hysteresis), so that noise does not shift shares. A slow
 * prefix begins fewer requests, each of which is in flight for longer: all have as much in flight.
 *
 * Refusals that most of the active prefixes meet alike are the server's: they count in
 * common_refusals, for the controller of the path, and cut no prefix at once (sched/prefix). So
 * do those of a prefix that is active alone, since there is no telling; when others turn out not to
 * be limited, `acquits` takes that back. A run may begin in a prefix that is.
 *
 * Index 0 is what has no prefix. Beyond PREFIXES_MAX several share one, by hash. */
#ifndef SCHED_PREFIXES_H
#define SCHED_PREFIXES_H

#include "core/bytes.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/meter.h"
#include "sched/prefix.h"

#define PREFIXES_MAX         4096u /* 1 MiB when all are in use; S3 itself splits far less often */
#define PREFIXES_NAME_BYTES  64u   /* of a name that is told; longer ones are cut */
#define PREFIXES_WEIGHT_MIN  0.1   /* the slowest still moves */
#define PREFIXES_WEIGHT_MAX  4.0
#define PREFIXES_HYSTERESIS  0.2
#define PREFIXES_SERVICE_MIN 8u   /* answers before a time is believed */
#define PREFIXES_NEWS_MAX    32u  /* lines of a round: a reader's time, and a file's room */
#define PREFIXES_TOLD        0.25 /* growth has a step each round: too many to be told */
#define PREFIXES_SLOW        0.5  /* of another's weight */
#define PREFIXES_BRISK       1.25 /* times the least mean; stowage's knee refuses at 1.5 */
#define PREFIXES_BRISK_NS    (2 * PREFIX_ROUND_NS) /* slower answers tell of the load too late */

enum prefixes_kind {
    PREFIXES_FAIR,   /* weighted shares, within limits */
    PREFIXES_STATIC, /* each has an equal, fixed part of the slots: to compare with */
    PREFIXES_NONE,   /* all is one prefix, without limits */
};

struct prefixes_cell { /* what one core measured: sums that only grow */
    struct meter answered, refused, answer_ns;
};

struct prefixes_entry {
    struct prefix prefix;
    char name[PREFIXES_NAME_BYTES];
    uint32_t queued;   /* tasks that wait for their turn */
    double service_ns; /* that the server takes for an answer, on average; 0: none came */
    /* private */
    uint64_t hash, answered, refused, answer_ns; /* the sums, when they were last read */
    double service_least_ns;
    double told_per_s, told_window, told_weight; /* as they were last in news[] */
    uint32_t answers; /* that it is the mean of, up to PREFIXES_SERVICE_MIN */
    uint32_t round_answered, round_refused;
    uint64_t round_answer_ns;
};

/* A limit that was set, cut or lifted; or it has grown by PREFIXES_TOLD, or a weight has moved by
 * PREFIXES_HYSTERESIS, since it was told last. What has not changed is as it is. Each change is a
 * line. The last two may come a few rounds late, when many have something to tell. */
struct prefixes_news {
    uint32_t index;                          /* one may be there twice, with different changes */
    double rate_before_per_s, window_before; /* 0: there was none */
    double weight_before;
};

struct prefixes {
    enum prefixes_kind kind;
    struct prefixes_entry *entries;
    uint32_t count;
    uint64_t common_refusals; /* that most active prefixes met alike … */
    uint64_t path_refusals;   /* … and not because they are counted: the path answers to these */
    struct prefixes_news news[PREFIXES_NEWS_MAX]; /* of the last tick */
    uint32_t news_count;
    uint64_t news_lost; /* lines of limits set, cut or lifted that found no room, so far */
    bool open;          /* nothing is limited any more: what is left is to be returned, not run */
    bool uneven; /* one is limited, or slow, or has all the work: that of others is worth finding */
    bool acquits; /* in this tick: those refusals were some prefixes', not the server's */
    /* private */
    uint32_t news_lines, tell_from; /* of news[]; whose drift is told first */
    uint16_t *places;               /* an open hash table of indices */
    const struct prefixes_cell *cells[CORES_MAX];
    uint32_t core_count;
    uint64_t round_ns;   /* when it began */
    bool doubted;        /* refusals of a single active prefix count as the server's */
    uint32_t acquitting; /* rounds on end that say that they were not */
};

/* Errors: ERR_NO_MEMORY. */
MUST_USE enum err prefixes_open(struct prefixes *prefixes, enum prefixes_kind kind,
                                uint64_t now_ns);
void prefixes_close(struct prefixes *prefixes);
/* A core's cells: PREFIXES_MAX, zeroed, in place until the end. Before any core runs. */
void prefixes_join(struct prefixes *prefixes, const struct prefixes_cell *cells);
/* The index of a name, made where it is new. */
uint16_t prefixes_find(struct prefixes *prefixes, struct bytes name, uint64_t now_ns);
/* `slots`: STATIC divides them. */
MUST_USE bool prefixes_may_go(struct prefixes *prefixes, uint32_t index, uint32_t slots,
                              uint64_t now_ns);
void prefixes_on_go(struct prefixes *prefixes, uint32_t index);
void prefixes_on_back(struct prefixes *prefixes, uint32_t index);
uint32_t prefixes_load(const struct prefixes *prefixes, uint32_t index); /* queued and in flight */
bool prefixes_is_limited(const struct prefixes *prefixes, uint32_t index);
/* It is limited, and so many wait that its limit is used: more would only wait with them. */
bool prefixes_is_fed(const struct prefixes *prefixes, uint32_t index, uint32_t waiting);
/* Several times a round; true when one has ended. Then news[] says what has changed. */
bool prefixes_tick(struct prefixes *prefixes, uint64_t now_ns);

#endif
