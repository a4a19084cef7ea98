/* throttle: the rate that is allowed now, by --max-rate and the clock on the wall. */
#ifndef TOOLS_THROTTLE_H
#define TOOLS_THROTTLE_H

#include "tools/timetable.h"

struct throttle {
    struct timetable table;
    enum timetable_way way;    /* in which the bytes go */
    uint64_t rate_bytes_per_s; /* in force; 0: no limit */
    bool by_ctl;               /* the table is what `argosy ctl` said */
};

/* `text`: a rate or a timetable, or NULL for no limit. False with a sentence in `why`; then it is
 * as it was. */
MUST_USE bool throttle_set(struct throttle *throttle, const char *text,
                           char why[TIMETABLE_WHY_BYTES]);
/* True when another rate than before comes into force, *rate. By the local time. */
bool throttle_changes(struct throttle *throttle, uint64_t *rate);

/* Who asked for what is in force; a literal. */
const char *throttle_why(const struct throttle *throttle);

#endif
