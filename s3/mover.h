/* mover: one core's composition: its station, its slots for parts or ranges, and its queue of
 * tasks.
 *
 * It wants as many tasks of each rank as its share of the window (s3/steer) allows: so many parts
 * or ranges, and FLOW_OBJECTS times as many whole objects, each at most as many as it has
 * connections. It runs each in a slot and returns it to its home. When the window shrinks, what is
 * in the slots goes on, and others follow in proportion (sched/prr). Where the rate is the limit,
 * fewer parts share it (sched/ration). Of uploads, some more are begun than may be sent, where
 * reading them would leave the window free otherwise (sched/depth): they wait in station.senders.
 *
 * A tick counts what is busy, looks at the connections, at what each slot waits for (sched/blame)
 * and at the window; on the home core it lets the window be found; and it looks whether the run is
 * to stop: then what is in the slots is cancelled, and what still comes is returned unrun, with
 * ERR_CANCELLED. */
#ifndef S3_MOVER_H
#define S3_MOVER_H

#include "core/clock.h"
#include "s3/part.h"
#include "s3/probe.h"
#include "s3/range.h"
#include "s3/steer.h"
#include "sched/budget.h"
#include "sched/lend.h"
#include "sched/prr.h"
#include "sched/ration.h"

#define MOVER_TICK_NS (50 * NS_PER_MS) /* how late a Ctrl-C may be noticed */

enum mover_kind { MOVER_UPLOADS, MOVER_DOWNLOADS, MOVER_CHECKS };

struct mover_slot {
    struct link link; /* free or busy */
    struct op op;
    struct mover *mover;
    struct work *work;
    struct part *part;   /* uploads */
    struct range *range; /* downloads; checks, of what is read back */
    struct probe *probe; /* checks */
    bool is_ending;      /* so little is left that the next part may begin */
    uint64_t told_bytes; /* of it, in the station's moving_bytes */
};

struct plan;
struct audit;
struct intake;

struct mover {
    struct station station;
    struct lend lend;
    struct budget_share share; /* of the run's budget: what its requests wait at */
    const struct meter *stop;  /* not 0: the run is to end */
    struct plan *plan;         /* on the home core: whose tasks come back here; one of the two */
    struct audit *audit;
    struct intake *intake; /* on the home core: uploads a pipe, without slots; or NULL */
    struct blame blame;    /* what the core's time went to */
    /* private */
    struct mover_slot *slots;
    struct part *parts;
    struct range *ranges;
    struct probe *probes;
    uint32_t slot_count;
    struct list free, busy;
    uint32_t window_bytes;       /* of paced downloads; 0: not set */
    uint64_t pacing_bytes_per_s; /* of each connection; 0: not set */
    uint64_t rtt_max_ns;         /* of the connections in use, the least of each */
    struct steer *steer;
    uint32_t endpoint;
    uint32_t ahead;             /* parts that are staged beyond the window (s3/steer) */
    uint32_t parts_share;       /* of the window: parts in flight that this core may have */
    uint32_t asked[TASK_RANKS]; /* wanted, or in a slot: parts and ranges; whole objects */
    uint32_t in_slots[TASK_RANKS];
    uint32_t reading[TASK_RANKS], lacking[TASK_RANKS]; /* at the tick: mover_count_reading() */
    struct prr prr[TASK_RANKS];
    struct ration ration;  /* where the rate is the limit: parts in flight */
    uint32_t parts_ending; /* of the parts in slots: they do not count there */
    uint64_t busy_ns;      /* up to when busy slots are counted */
    uint64_t blamed_ns;
    struct clock_thread thread;
    bool is_single;
    struct timer tick;
    struct op closing;
    bool cancelled, ending, closed;
};

struct mover_options {
    const struct conf *conf;
    enum mover_kind kind;
    int folder_fd;
    uint64_t resolve;
    uint32_t file_mode;
    uint64_t temp_tag;          /* as in struct station */
    struct bulletin *bulletins; /* of the run, one an endpoint */
    struct budget *budget;      /* of the run */
    struct steer *steer;        /* of the run */
    uint32_t endpoint;          /* whose traffic is steered */
    bool is_single; /* there is one task, or a pipe: other slots are none that lack work */
    const struct meter *stop;
    lend_task_fn *on_return; /* of tasks whose home this core is */
};

/* Allocates all that the core's data path will use. Errors, with a sentence in `why`:
 * ERR_NO_MEMORY, ERR_CONFIG. */
MUST_USE enum err mover_open(struct mover *mover, struct core *core,
                             const struct mover_options *options, char why[TLS_WHY_BYTES]);
void mover_start(struct mover *mover); /* before the core runs: wants its first tasks */
/* From the core's thread: no task will come any more; closes connections, then stops the core's
 * loop. */
void mover_end(struct mover *mover);
void mover_close(struct mover *mover); /* after the core has stopped */

#endif
