/* fleet: the cores of a run, each with its mover, joined so that they lend each other work. What
 * copies and what checks (s3/run, s3/verify) are made of one.
 *
 *   fleet_open() → the home core's work is prepared → fleet_start() → … → fleet_end() →
 *   fleet_wait() → fleet_close() */
#ifndef S3_FLEET_H
#define S3_FLEET_H

#include "s3/mover.h"
#include "sched/crew.h"

struct fleet_seat { /* a core's part */
    struct mover mover;
    struct msg end;
};

struct fleet_counts { /* of all cores, so far */
    uint64_t done_bytes, moving_bytes, before_bytes, requests, retries, connections, cuts,
        cut_bytes, stray_files;
    struct blame_totals blame;
};

struct fleet {
    struct crew crew;
    struct fleet_seat *seats;
    struct budget budget; /* how fast all of it may be */
    /* private */
    const struct conf *conf;
    struct lend *lends[CORES_MAX];
    struct bulletin bulletins[CONF_ENDPOINTS_MAX];
    struct steer steer;
    uint16_t mover_count;
};

/* Memory zeroed before. `options` lacks the conf, the bulletins and the budget, which are ours.
 * After an error it is closed as after success. Errors, with a sentence in `why`: those of
 * crew_open() and mover_open(); ERR_USAGE (too little memory for so many cores). */
MUST_USE enum err fleet_open(struct fleet *fleet, const struct conf *conf,
                             struct mover_options *options, char why[512]);
struct mover *fleet_home(struct fleet *fleet); /* of the core that plans */
MUST_USE enum err fleet_start(struct fleet *fleet);
void fleet_end(struct fleet *fleet); /* from the home core's thread: no task will come any more */
void fleet_wait(struct fleet *fleet);
/* Any thread, but one at a time; 0: no limit. From fleet_open() on. */
void fleet_limit(struct fleet *fleet, uint64_t rate_bytes_per_s);
void fleet_count(const struct fleet *fleet, struct fleet_counts *counts); /* any thread */
/* What refers to the home core is closed before. */
void fleet_close(struct fleet *fleet);

#endif
