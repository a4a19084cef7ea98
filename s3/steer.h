/* steer: the flow control of a fleet: adds up what its cores measure, asks the controllers of the
 * path (sched/flow) and of each prefix (sched/prefixes), and gives the window out again. One thread
 * writes, the home core's; the window is a relaxed atomic that every core looks at in its own tick,
 * so that nobody waits for anybody. The queues that the home core lends from are here (`fairs`).
 *
 * With conf->background a third controller (sched/ledbat) sets how fast all of it may be, in the
 * run's budget.
 *
 * Decisions wait in a ring for whoever wants to write them down (any one other thread): what finds
 * it full is lost, and counted. */
#ifndef S3_STEER_H
#define S3_STEER_H

#include <stdatomic.h>

#include "s3/conf.h"
#include "s3/traffic.h"
#include "sched/budget.h"
#include "sched/clamp.h"
#include "sched/depth.h"
#include "sched/fair.h"
#include "sched/flow.h"
#include "sched/grain.h"
#include "sched/ledbat.h"

/* Parts that a core stages ahead, at most; FLOW_OBJECTS times as many objects. */
#define STEER_AHEAD_MAX 16u
#define STEER_PARTS_MAX 512u /* handed out at a time: twice what 256 connections can send */
#define STEER_DECISIONS 256u /* a minute's worth, read several times a second */
/* Parts in flight, of all cores, with which a path is full more often than not: a core begins with
 * as many. Where there are no more, more might help or not: then it is not lack of work. */
#define STEER_ENOUGH   4u
#define STEER_TOLD_NS  NS_PER_S /* between two tellings of what may change with each connection */
#define STEER_PACED_NS (200 * NS_PER_MS) /* for which a wait for pace counts: four ticks */

#define STEER_SHARERS_KEPT 0.9 /* a tick, of those that are not there any more */

struct steer_decision {
    uint64_t now_ns;
    const char *knob;                 /* a literal */
    char prefix[PREFIXES_NAME_BYTES]; /* of which; "": of all */
    double before, after;             /* 0: none */
    const char *state, *why;
    struct sample sample; /* of the path's newest round */
};

struct steer_told { /* of what the cores do by themselves, as it was told last */
    uint64_t ration, ration_more, ration_ns;
    uint64_t pacing_bytes_per_s, pacing_ns;
    uint64_t window_bytes, window_ns;
    uint64_t cuts[STRAGGLER_LONE + 1];
    uint64_t shut;
};

struct steer {
    struct meter window;       /* parts in flight, all cores */
    struct meter staged_ahead; /* parts that are staged beyond them, all cores (sched/depth) */
    struct meter part_bytes;   /* the size of parts and ranges to be cut; 0: none is found here */
    struct meter idle;    /* what slots that are free lack: enum blame_cause, by the home core */
    struct meter flows;   /* connections in use, all cores, at the last tick */
    struct meter sharers; /* of a rate: what is in slots, all cores, or was of late; at least 1 */
    struct meter clamp_share_bytes, clamp_flight_ns, clamp_rate_ns; /* struct clamp_terms */
    struct meter background_bytes_per_s, yielded_ns, resting;       /* of ledbat; 0 without */
    struct prefixes prefixes;
    struct fair fairs[TASK_RANKS];
    /* private */
    struct flow flow;
    struct grain grain;
    struct depth depth;
    struct clamp clamp;
    uint64_t memory_bytes, staged_bytes_max; /* of parts; of one part, 0: it is not staged */
    const struct conf *conf;
    struct ledbat ledbat;
    struct budget *budget; /* NULL: it does not give way */
    struct traffic *traffics[CORES_MAX];
    uint32_t count;
    uint32_t objects_max; /* that have a connection, all cores */
    double sharing;       /* `sharers`, not rounded */
    struct steer_decision decisions[STEER_DECISIONS];
    _Atomic uint64_t decided, taken;
    struct meter lost;
    uint64_t news_lost; /* of the prefixes', that are in it */
    struct steer_told told;
};

/* Memory zeroed before. `budget` is the run's, for conf->background, and may be NULL without.
 * `stages`: parts are read before they are sent; where they are not, none is staged ahead, whatever
 * conf->stage_ahead says. Errors: ERR_NO_MEMORY; it is closed all the same. */
MUST_USE enum err steer_open(struct steer *steer, const struct conf *conf, struct budget *budget,
                             bool stages);
void steer_close(struct steer *steer); /* no core runs */
/* A core's traffic to the endpoint; before any core runs. Errors: ERR_NO_MEMORY. */
MUST_USE enum err steer_join(struct steer *steer, struct traffic *traffic);
/* By the home core. */
void steer_tick(struct steer *steer, uint64_t now_ns);
/* By the home core, when it ends: what was cut since its last tick. */
void steer_tell_cuts(struct steer *steer, uint64_t now_ns);
/* What key counts as: its part up to the first "/" at or behind `base`, where all keys of the run
 * begin to differ. */
uint16_t steer_prefix(struct steer *steer, struct bytes key, size_t base, uint64_t now_ns);
/* Before any core runs: the size of parts is to be found, from first_bytes on. staged_bytes_max: of
 * a part that is staged whole, as those of uploads are; 0: nothing is. */
void steer_find_grain(struct steer *steer, const struct conf *conf, uint64_t first_bytes,
                      uint64_t staged_bytes_max);
/* By the home core, at a cut: the size of the next part, with so many bytes left to be cut, or
 * GRAIN_WHOLE_RUN. 0: it is not found here. */
uint64_t steer_part_bytes(struct steer *steer, uint64_t left_bytes, uint64_t now_ns);
void steer_release(struct steer *steer); /* nothing is held back any more: the run is to end */
/* From any thread. */
uint32_t steer_share(const struct steer *steer, uint32_t core_index);
uint32_t steer_ahead(const struct steer *steer, uint32_t core_index); /* parts; may be 0 */
struct clamp_terms steer_clamp(const struct steer *steer);            /* of receive windows */
/* How many parts may be handed out: as many again as are in flight, so that no core waits, and
 * those staged ahead. */
uint32_t steer_parts_out_max(const struct steer *steer);
/* Is a rate not the limit: as many parts are under way as window and rations allow, and nobody has
 * waited for it lately, on whatever core? */
bool steer_rate_has_room(const struct steer *steer, uint64_t now_ns);
/* Of the slots of all cores, how many are busy, 0 to 1, and what the others lack. */
double steer_filled(const struct steer *steer, uint64_t now_ns, enum blame_cause *idle);
/* By one other thread: the oldest decision that it has not had yet. False: there is none. */
MUST_USE bool steer_take(struct steer *steer, struct steer_decision *decision);
uint64_t steer_lost(const struct steer *steer);    /* decisions that found the ring full */
const char *steer_name(const struct steer *steer); /* of the controller */

#endif
