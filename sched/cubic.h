/* cubic: the window of RFC 9438, in requests. Pure.
 *
 *     slow start   the window grows by what was answered, up to doubling a round, until a loss
 *     avoidance    W(t) = C (t − K)³ + W_max,  K = ∛(W_max (1 − β) / C),  C = 0.4/s³, β = 0.7,
 *                  never below W_est, which grows by α = 3 (1 − β) / (1 + β) a round
 *     loss         W_max = W, or W (1 + β) / 2 when W had not come back to the last W_max (fast
 *                  convergence); W = β W; at most once a round
 *
 * A loss is a refusal of the server, a request that was lost, or a path that overflows: CUBIC_MORE
 * in flight brought less than half of that, and of the bytes sent more than CUBIC_RESENT were sent
 * again (BBRv3's bound). Of what is received that is not known: each connection tells one loss a
 * round trip, however many there were, so there it is a hole for most of the time (CUBIC_HOLES).
 * Single lost packets are the kernel's affair (sched/cc.h). Rounds that were app-limited grow
 * nothing. Where there is no loss it grows up to its greatest window:
 * that is its nature, and why it is not the default.
 * Reference: https://www.rfc-editor.org/rfc/rfc9438 */
#ifndef SCHED_CUBIC_H
#define SCHED_CUBIC_H

#include "sched/cc.h"

#define CUBIC_C    0.4 /* RFC 9438 5 */
#define CUBIC_BETA 0.7 /* RFC 9438 4.6 */

#define CUBIC_RESENT 0.02 /* BBRLossThresh */
#define CUBIC_HOLES  0.5
#define CUBIC_MORE   1.1 /* less in flight shows in no rate */

struct cubic {
    struct cc cc;
    /* private */
    double window_greatest; /* W_max */
    double window_estimate; /* W_est */
    double k_s;
    double load, rate; /* with which the next ones are compared; 0: none yet */
    uint64_t epoch_ns; /* since when t counts, app-limited time left out */
    bool slow_start;
};

void cubic_init(struct cubic *cubic, const struct cc_limits *limits);

#endif
