/* audit: a check of a copy, on the first core, as plan is of a copying run: takes what pairs finds,
 * makes matches of it, lends their works to all cores, and tells each verdict as it comes.
 *
 *     pairs ─► matches (s3/match) ─► works ─► lend ─► slots of all cores ─► results ─► verdicts
 *
 *     found = equal + changed + missing + extra + failed + skipped   when it is over
 *
 * Whoever is told the verdicts (`audit_listener`) runs on this core's thread, and may say that
 * nobody listens any more: then the audit stops. So it does at a failure of class RUN, and at a
 * transport failure before anything was told. */
#ifndef S3_AUDIT_H
#define S3_AUDIT_H

#include "s3/match.h"
#include "s3/mover.h"
#include "s3/pairs.h"

#define AUDIT_MATCHES_MAX 512u /* under way: a few turns' worth of small ones for every core */
#define AUDIT_LARGE_MAX   32u  /* large objects that are read: enough to fill all cores */

struct audit_finding {
    enum match_verdict verdict;
    bool is_file;             /* which side's name is told: the copy's */
    bool by_size;             /* EQUAL: no checksum was compared */
    const char *bucket, *key; /* of an object, or "" */
    const char *folder;       /* before the path, with its "/", or "" */
    const char *path;         /* of a file, or "" */
    const char *why;          /* a sentence, or "" */
    enum err err;             /* FAILED */
};

struct audit_listener { /* embedded by who listens */
    /* False: no more. Not told of what is EQUAL, nor of what is SKIPPED. */
    bool (*tell)(struct audit_listener *listener, const struct audit_finding *finding);
};

struct audit_meters {
    struct meter found, equal, changed, missing, extra, failed, skipped;
    struct meter by_size; /* of the equal ones: by their sizes only */
    struct meter found_bytes, found_all, over;
};

struct audit_options {
    struct mover *mover;
    const struct meter *interrupt;
    struct audit_listener *listener;
    enum pairs_kind kind;
    bool file_is_copy;   /* ONE, JOIN: the file, or tree, is compared with the objects */
    struct steer *steer; /* of the fleet */
    uint32_t endpoint;
    const char *bucket, *prefix;          /* ONE: the whole key; JOIN: before an item's name */
    const char *path;                     /* ONE: the file, from the station's folder; else "" */
    const char *local_root;               /* what a person calls the folder of names; "" none */
    void (*on_over)(struct audit *audit); /* on the core's thread, once: nothing is out any more */
};

struct audit {
    struct meter stop; /* read by all movers */
    struct audit_meters meters;
    struct pairs pairs; /* its finds, or its roll, are opened by the owner, after audit_open() */
    enum err err, first_failure;
    char why[512];
    /* private */
    struct audit_options options;
    const struct conf *conf;
    struct work_pool works;
    struct match *matches;
    struct list free;              /* of matches */
    struct list ready[TASK_RANKS]; /* those that have works to give, by rank */
    struct timer tick;
    struct op begin, finding;
    uint32_t matches_out, large_out, ranges_out;
    bool waiting, ending;
    char name[PATH_BYTES_MAX + KEY_BYTES_MAX]; /* of a finding, while it is told */
    char local_root[PATH_BYTES_MAX];           /* with its "/", or "" */
};

/* Allocates what it will use. Errors: ERR_NO_MEMORY. */
MUST_USE enum err audit_open(struct audit *audit, const struct audit_options *options);
void audit_start(struct audit *audit); /* before the core runs */
void audit_on_return(struct lend *lend, struct task *task);
void audit_close(struct audit *audit); /* after the core has stopped */

#endif
