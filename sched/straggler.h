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
 * and each transfer is cut STRAGGLER_CUTS_MAX times: then it is slow for another cause.
 * Estimators as in RFC 6298, one pair for each power of two of sizes; the idea of asking again is
 * from J. Dean, L. Barroso, The Tail at Scale (CACM 2013). */
#ifndef SCHED_STRAGGLER_H
#define SCHED_STRAGGLER_H

#include "core/base.h"

#define STRAGGLER_LOOK_NS     (500 * NS_PER_MS)
#define STRAGGLER_SAMPLES_MIN 8u /* then the first one's share of the mean is a third */
#define STRAGGLER_PERCENT     3u
#define STRAGGLER_TOKENS_MAX  (64 * MIB) /* not all of a long good time's savings at once */
#define STRAGGLER_CUTS_MAX    2u
/* Bytes/s: three segments in half a minute, of which a path that works brings more. */
#define STRAGGLER_FLOOR 128u
#define STRAGGLER_SHARE 32u
/* In less, one that has lost a segment looks like nothing. */
#define STRAGGLER_SHARE_NS  (5 * NS_PER_S)
#define STRAGGLER_LIMIT_NS  NS_PER_S /* a new connection is not made and warmed up in less */
#define STRAGGLER_CLASSES   17u      /* from 64 KiB, in which latency is all, to 4 GiB */
#define STRAGGLER_RATES_MAX 64u

enum straggler_verdict { STRAGGLER_FINE, STRAGGLER_STALLED, STRAGGLER_BEHIND };

struct straggler_class {
    uint64_t mean_ns, deviation_ns;
    uint32_t count;
};

struct straggler { /* of one core's way to one endpoint */
    /* private */
    uint64_t finished;
    int64_t tokens_bytes; /* × 100 */
    struct straggler_class classes[STRAGGLER_CLASSES];
    uint64_t rates[STRAGGLER_RATES_MAX]; /* of this look, ascending */
    uint32_t rate_count;
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
    bool moving;
};

struct straggler_view {   /* of an attempt, at a look */
    uint64_t bytes;       /* to be moved in all; 0: not known yet */
    uint64_t moved_bytes; /* so far */
    uint64_t waited_ns;   /* for the peer, so far */
    bool answering;       /* all was sent: nothing moves until the peer answers */
    uint64_t again_bytes; /* what another attempt would have to move */
    uint64_t stall_ns;    /* without a byte */
    uint32_t cuts;        /* of the same transfer, before */
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
