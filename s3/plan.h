/* plan: the run's one place of decision, on the first core: takes what search finds, makes works of
 * it, keeps a bounded number under way on all cores, and counts what became of each.
 *
 *     search ─► small objects ────────────────────────► lend ─► slots of all cores ─► results
 *        └──► large objects ─► upload / download ─► parts ─┘ (before any new object)
 *
 * Prefixes of keys have fair shares (sched/fair): of the large objects that were found the next one
 * is of the prefix that had least, and the next part is of the prefix with the fewest out; in a
 * prefix they go in order, oldest first.
 *
 *     found = done + skipped + failed   when it is over
 *
 * Each object that is done goes into the run's receipt, if there is one; a receipt that is full
 * holds back what is new; and before the plan is over it has its last line.
 *
 * With a journal (s3/keep): what an earlier run of the job has done is skipped; a full journal
 * holds back what is new; what an earlier run left of objects that are not there any more is swept
 * away; at the end it is told how the job stands, before the plan is over.
 *
 * A failure of class RUN stops the run: nothing new is begun, what is under way is cancelled, large
 * objects are parked, or without a journal given up. So does a transport failure that outlived its
 * retries before anything has succeeded. */
#ifndef S3_PLAN_H
#define S3_PLAN_H

#include "s3/download.h"
#include "s3/intake.h"
#include "s3/mover.h"
#include "s3/receipt.h"
#include "s3/run.h"
#include "s3/search.h"
#include "s3/upload.h"

#define PLAN_LARGE_MAX                                                                             \
    32u /* large objects under way: enough to fill all cores with their last parts */
#define PLAN_LARGE_LIMITED_MAX                                                                     \
    (PLAN_LARGE_MAX / 2) /* of prefixes that are limited, while others wait: they end late */

struct plan_meters {
    struct meter found, done, skipped, failed, found_bytes, unconfirmed, unverified, found_all,
        over;
    struct meter unfinished;           /* stopped with the run */
    struct meter before, before_bytes; /* skipped, since an earlier run of the job has done it */
};

struct plan_large {   /* a slot for a large object */
    struct link link; /* active, oldest first; or free */
    struct op op, ready;
    struct plan *plan;
    struct work *object;
    struct upload *upload; /* one of the two */
    struct download *download;
};

struct plan {
    struct mover *mover; /* of the home core */
    const struct conf *conf;
    bool is_upload;
    struct meter stop; /* read by all movers */
    const struct meter *interrupt;
    struct steer *steer;
    struct plan_meters meters;
    enum err err, first_failure;
    char why[512];
    /* private */
    struct search search;
    uint32_t turn; /* of its branches */
    struct intake *intake;
    struct op intaking;
    struct work *intake_work;
    struct work_pool works;
    struct plan_large larges[PLAN_LARGE_MAX];
    struct upload *uploads;
    struct download *downloads;
    struct list active, free;
    struct fair ahead; /* large objects that wait for a slot */
    bool only_limited; /* none of the others does */
    struct timer tick;
    struct receipt *receipt; /* or NULL */
    struct op begin, receipted, journalled, swept, ended;
    struct past_object *sweeping; /* what an earlier run left, and nobody wants; NULL: nothing */
    uint32_t objects_out, parts_out, endpoint;
    uint64_t ahead_bytes; /* of those that wait for a slot */
    bool ending, through, told_journal;
    char bucket[BUCKET_NAME_BYTES_MAX + 1];
    char prefix[KEY_BYTES_MAX + 1];  /* before an item's name: its key */
    size_t prefix_base;              /* of it, up to its last "/": all keys begin with that */
    char only_path[PATH_BYTES_MAX];  /* FIND_ONE: the local path */
    char local_root[PATH_BYTES_MAX]; /* for messages: ends with "/", or "" */
    void (*on_over)(struct plan *plan);
};

struct plan_options {
    struct mover *mover;
    const struct meter *interrupt;
    struct receipt *receipt; /* or NULL */
    bool is_upload, through;
    struct steer *steer; /* of the run */
    uint32_t endpoint;
    const char *bucket, *prefix, *only_path;
    const char *local_root; /* what a person calls the folder that names are relative to; "" none */
    void (*on_over)(struct plan *plan); /* on the core's thread, once: nothing is out any more */
};

/* Allocates what it will use. plan->search is opened by the caller, after this; or
 * plan_take_pipe(). */
MUST_USE enum err plan_open(struct plan *plan, const struct plan_options *options);
/* The run's one object comes from this descriptor. Errors: ERR_NO_MEMORY. */
MUST_USE enum err plan_take_pipe(struct plan *plan, int fd);
void plan_start(struct plan *plan); /* before the core runs */
void plan_on_return(struct lend *lend, struct task *task);
void plan_close(struct plan *plan);

#endif
