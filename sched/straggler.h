/* straggler: which transfers are cut, to be asked for again on another connection. Pure.
 *
 * Of all that one core has under way to one endpoint, a look every half second finds
 *
 *   STALLED  what trickles: STRAGGLER_FLOOR bytes/s in the time in which not one byte would count
 *            as a stall; or, within a third of that time, a STRAGGLER_SHARE-th of what the others
 *            get now
 *   BEHIND   what is far behind its model: it has waited longer than
 *
 *                limit = max(mean + 4 deviations, 2 means, 1 s)     of transfers of its size,
 *
 *            would take longer than that still at the rate that it gets now, and is alone in this:
 *            others finished meanwhile, and get twice its rate. The last one of all has none to be
 *            compared with: it waits for two limits; and one whose likes are as slow, for three
 *   LONE     slow all the time, while all that is under way moves less than a floor together: less
 *            than STRAGGLER_LONE_FLOOR, or a STRAGGLER_SHARE-th of what one of its size was used to
 *            get. It has had max(4 limits, the time of a stall), or, while nothing is known of its
 *            size, STRAGGLER_LONE_STALLS such times; twice that when it was cut so before, and so
 *            on; and would take as long again. Where not the connection but the path is so slow,
 *            half of the time is lost at most
 *
 * So when connections have ceased to become slow, what is under way on a core ends within
 *
 *     bytes left / STRAGGLER_LONE_FLOOR + two of the times that LONE has waited for
 *
 * The time that counts is the time spent waiting for the peer: a transfer that waits for its disk,
 * or for its turn to send (a rate that the user asked for), is not slow. Where all is slow nothing
 * is cut: the model follows what finishes, one slow sample widens the deviation at once, and while
 * nothing finishes nothing is behind. Below STRAGGLER_SAMPLES_MIN of a size nothing is known of it.
 *
 * What is cut as BEHIND is paid for: a budget of STRAGGLER_PERCENT of the bytes moved, which may be
 * overdrawn once, so that
 *
 *     bytes moved in vain ≤ 3 % of the bytes moved + one transfer        (a core and endpoint)
 *
 * and each transfer is cut STRAGGLER_CUTS_MAX times: then it is slow for another cause. What is
 * STALLED or LONE is not paid for: it moved next to nothing.
 * Estimators are those of RFC 6298 (sched/rtt), one pair for each power of two of sizes; the idea
 * of asking again is from J. Dean, L. Barroso, The Tail at Scale (CACM 2013). */
#ifndef SCHED_STRAGGLER_H
#define SCHED_STRAGGLER_H

#include "sched/rtt.h"

#define STRAGGLER_LOOK_NS     (500 * NS_PER_MS)
#define STRAGGLER_SAMPLES_MIN 8u /* then the first one's share of the mean is a third */
#define STRAGGLER_PERCENT     3u
#define STRAGGLER_TOKENS_MAX  (64 * MIB) /* not all of a long good time's savings at once */
#define STRAGGLER_CUTS_MAX    2u
/* Bytes/s: three segments in half a minute, of which a path that works brings more. */
#define STRAGGLER_FLOOR 128u
#define STRAGGLER_SHARE 32u
/* Bytes/s: a part of 5 MiB would take 21 minutes; a modem's path brings more. */
#define STRAGGLER_LONE_FLOOR  (4 * KIB)
#define STRAGGLER_LONE_STALLS 32u /* a quarter of an hour: who knows nothing is in no hurry */
/* In less, one that has lost a segment looks like nothing. */
#define STRAGGLER_SHARE_NS  (5 * NS_PER_S)
#define STRAGGLER_LIMIT_NS  NS_PER_S /* a new connection is not made and warmed up in less */
#define STRAGGLER_CLASSES   17u      /* from 64 KiB, in which latency is all, to 4 GiB */
#define STRAGGLER_RATES_MAX 64u

enum straggler_verdict { STRAGGLER_FINE, STRAGGLER_STALLED, STRAGGLER_BEHIND, STRAGGLER_LONE };

struct straggler { /* of one core's way to one endpoint */
    /* private */
    uint64_t finished;
    int64_t tokens_bytes; /* × 100 */
    struct rtt classes[STRAGGLER_CLASSES];
    uint64_t rates[STRAGGLER_RATES_MAX]; /* of this look, ascending */
    uint32_t rate_count;
    uint64_t rate_sum;             /* of this look, of all */
    uint32_t out_count, out_max;   /* under way in this look; in any */
    uint64_t looks, finished_look; /* so far; when one finished last */
};

struct straggler_trail { /* of one transfer's attempt */
    /* private */
    uint64_t finished_before;
    uint64_t moved_bytes, waited_ns;  /* at the last look */
    uint64_t look_bytes, look_ns;     /* from the one before to the last look */
    uint64_t window_bytes, window_ns; /* of the last seconds */
    uint64_t floor_bytes, floor_ns;   /* where this span of the floor began */
    uint64_t share_bytes, share_ns;   /* and that of the share */
    uint64_t lone_bytes, lone_ns;     /* and where it was last seen to move */
    bool moving;
};

struct straggler_view {   /* of an attempt, at a look */
    uint64_t bytes;       /* to be moved in all; 0: not known yet */
    uint64_t moved_bytes; /* so far */
    uint64_t waited_ns;   /* for the peer, so far */
    bool answering;       /* all was sent: nothing moves until the peer answers */
    uint64_t again_bytes; /* what another attempt would have to move */
    uint64_t stall_ns;    /* without a byte */
    uint32_t cuts;        /* of the same transfer, before, as BEHIND */
    uint32_t lone_cuts;   /* and as LONE */
    bool floor_only;      /* too small, or too peculiar, to be compared with others */
};

void straggler_init(struct straggler *straggler);
void straggler_begin(const struct straggler *straggler, struct straggler_trail *trail);

/* A look: straggler_survey(), then straggler_see() of each that is under way, then
 * straggler_judge() of each. */
void straggler_survey(struct straggler *straggler);
void straggler_see(struct straggler *straggler, struct straggler_trail *trail,
                   const struct straggler_view *view);
enum straggler_verdict straggler_judge(struct straggler *straggler, struct straggler_trail *trail,
                                       const struct straggler_view *view);

/* It was cut as BEHIND, having moved `vain_bytes` that have to be moved again. */
void straggler_on_cut(struct straggler *straggler, const struct straggler_view *view,
                      uint64_t vain_bytes);
void straggler_on_finished(struct straggler *straggler, uint64_t bytes, uint64_t waited_ns);

/* How long a transfer of this size may take; 0: nobody knows yet. */
uint64_t straggler_limit_ns(const struct straggler *straggler, uint64_t bytes);
uint64_t straggler_rate(const struct straggler_trail *trail); /* bytes/s of the last seconds */

#endif
