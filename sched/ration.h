/* ration: how many parts share a rate that is the limit. Pure.
 *
 * All parts in flight share what is allowed, so the more there are, the later each is done; and
 * what is not done when a run is stopped or killed is moved again. So no more are in flight than
 * the rate moves in RATION_NS, and at least one. The next one begins when another is about to end
 * (ration_is_ending), so that the rate is used in the meantime.
 *
 * Where nobody waits for the rate, it is not the limit: the path, or the server, is. Then more may
 * be in flight, twice as many each RATION_FREE_NS; and half as many more each RATION_PACED_NS that
 * it is. */
#ifndef SCHED_RATION_H
#define SCHED_RATION_H

#include "core/base.h"

#define RATION_NS        (5 * NS_PER_S) /* half of the time in which a stopped run is to end */
#define RATION_ENDING_NS (NS_PER_S / 2) /* a round trip, and what a server takes for an answer */
#define RATION_FREE_NS   (NS_PER_S / 2) /* ten looks: a pause between two slices is no proof */
#define RATION_PACED_NS  (5 * NS_PER_S)
#define RATION_MORE_MAX  1024u /* of a core: more than it has connections */

struct ration {                /* a core's */
    uint64_t rate_bytes_per_s; /* 0: no limit */
    uint32_t share, more;      /* parts: of the rate; beyond that, where it is not the limit */
    /* private */
    uint64_t since_ns; /* the last change */
    bool paced;
};

void ration_init(struct ration *ration, uint64_t now_ns);
struct ration_view {
    uint64_t now_ns;
    uint64_t rate_bytes_per_s; /* of the machine; 0: no limit */
    uint64_t part_bytes;       /* of a part, as they are cut now */
    uint32_t index, count;     /* which of how many cores this is */
    bool paced;                /* something here waits for the rate */
    bool full;                 /* as many parts are in flight as may be */
};
void ration_look(struct ration *ration, const struct ration_view *view); /* every 50 ms or so */
/* Parts that this core may have in flight; UINT32_MAX without a limit, 0 where others have them. */
uint32_t ration_parts(const struct ration *ration);
/* Is so little left of a part that the next one may begin? */
bool ration_is_ending(const struct ration *ration, uint64_t left_bytes);

#endif
