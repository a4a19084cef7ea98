/* lookout: looks at the requests that one core has under way to one endpoint, and cuts those that
 * trickle or fall far behind the others (sched/straggler decides); a request tries again by itself
 * then, on a fresh connection to another address if there is one.
 *
 *   parts of uploads          at any time: two copies of a part may arrive then, which s3/upload
 *                             sorts out with ListParts before it completes
 *   ranges, whole downloads   at any time: they go on from what was written
 *   whole objects up          while not all has left this machine, so that the server cannot have
 *                             the object
 *   listings, HEAD            only when they trickle
 *   all else                  never: a completion or a copy in the server is silent, or sends a
 *                             space now and then, for as long as it takes
 *
 * Two looks a second, with a system call for each request that is older than that; most are not.
 * Each core judges by its own samples: some seconds of work make a model, and nothing is shared. */
#ifndef S3_LOOKOUT_H
#define S3_LOOKOUT_H

#include "core/core.h"
#include "sched/straggler.h"

struct lookout_item { /* of a request */
    struct link link;
    struct straggler_trail trail;
    struct straggler_view view; /* of this look, when it was seen */
    uint32_t cuts, lone_cuts;   /* of the same part, range or object */
    bool watched, seen, unsent; /* the last two: at this look */
};

struct lookout { /* of a client */
    struct straggler straggler;
    /* private */
    struct core *core;
    struct list items;
    struct timer timer;
    bool closed;
};

struct request;

void lookout_init(struct lookout *lookout, struct core *core);
/* No request may be under way; its timer's op is done in the next turn. */
void lookout_close(struct lookout *lookout);

/* An attempt of the request begins, and ends, well or not. */
void lookout_begin(struct lookout *lookout, struct request *request);
void lookout_end(struct lookout *lookout, struct request *request);

#endif
