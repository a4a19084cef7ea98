/* decisions: writes down what the flow control of a run decides, as JSON lines (--log-decisions),
 * and says it to the log at LOG_DEBUG. By the main thread, between two looks at the run. */
#ifndef TOOLS_DECISIONS_H
#define TOOLS_DECISIONS_H

#include <stdio.h>

#include "s3/run.h"

struct decisions {
    /* private */
    FILE *file; /* NULL: none is wanted */
    const struct log *log;
    uint64_t began_ns;
    uint64_t limit_bytes_per_s; /* the rate that is asked for; 0: none */
    bool failed;
};

/* `path` may be NULL. Errors: ERR_SYSTEM, with a sentence in `why`. */
MUST_USE enum err decisions_open(struct decisions *decisions, const char *path,
                                 const struct log *log, char why[512]);
void decisions_take(struct decisions *decisions, struct run *run);
/* Another rate is asked for now; 0: none. `why`: a literal. */
void decisions_note_limit(struct decisions *decisions, struct run *run, uint64_t rate_bytes_per_s,
                          const char *why);
/* Takes what is left, and says if not all could be written. `run` may be NULL. */
void decisions_close(struct decisions *decisions, struct run *run);
/* Pure: one line, without its end. `began_ns`: what its times count from. */
void decisions_format(const struct steer_decision *decision, const char *cc, uint64_t began_ns,
                      struct writer *w);

#endif
