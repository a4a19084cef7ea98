/* tune: the kind "auto": BBR's start, then experiments. Pure.
 *
 * bbr finds the knee by a model: extremes of what it measured, which noise exaggerates. Once it
 * cruises this takes over, one owner a knob, and asks the path instead: is the window B, a quarter
 * more or less, better than the present one, A?
 *
 *     MODEL ──(bbr cruises)──► REST ──► TRY: slots A B B A A B B A ──(better)──► TRY, on the same
 *     way
 *       ▲                       ▲         └──(not better: the other way next)──► REST, longer
 *       └───(a refusal, or the rate changed by itself)── any
 *
 *     utility U = ln(rate) − TUNE_COST · ln(window),   B is better when ΔU > TUNE_MARGIN
 *
 * A slot is as long as TUNE_SLOT_ROUNDS rounds, of which the first, in which the window before
 * still shows, is left out; where less is tried, so is all until what is in flight has followed the
 * window: where parts take long, less would seem to cost nothing. It is measured glance by glance,
 * but for those in which the scout asks the path for more, or the rate falls steeply (sched/scout).
 * Two neighbouring slots are a pair; a decision needs |mean − margin| > 2 standard errors, or
 * TUNE_PAIRS_MAX pairs; what is plain in the first pair (TUNE_PLAIN) needs no second. In the order
 * A B B A a steady drift of the path cancels. A round that was app-limited ends the experiment. The
 * rest doubles with every failure: a stationary path is left alone, but for the scout's pulses.
 *
 * On a path that was found uneven (scout_doubts) pairs are noisy as well, and pulses find less:
 * what is plain must be more than that noise, and rests end sooner. There one less can never be
 * proved better: of two windows with equal rates (TUNE_EQUAL) the smaller one is kept, after up to
 * TUNE_PAIRS_DOUBT pairs.
 *
 * While the cores have no time left nothing more is tried, only less.
 *
 * Reference: M. Dong et al., PCC Vivace: Online-Learning Congestion Control, NSDI 2018 */
#ifndef SCHED_TUNE_H
#define SCHED_TUNE_H

#include "sched/bbr.h"

#define TUNE_STEP        1.25
#define TUNE_STEP_DOUBT  1.5  /* less by so much shows in noise, where it is too little */
#define TUNE_COST        0.1  /* a window a quarter larger must bring 2.2 % … */
#define TUNE_MARGIN      0.01 /* … and 1 % that is above noise */
#define TUNE_PLAIN       0.08
#define TUNE_SIGMA_MIN   0.005 /* of a pair */
#define TUNE_SLOT_ROUNDS 3u
#define TUNE_PAIRS_MAX   4u
#define TUNE_PAIRS_DOUBT 16u
#define TUNE_EQUAL       0.03 /* of ln(rate) that a quarter less may cost where it is in doubt */
#define TUNE_FOLLOWED    1.06 /* in flight, of the window: then a slot is its own */
#define TUNE_FOLLOW_NS   (60 * NS_PER_S)
#define TUNE_REST_ROUNDS 6u
#define TUNE_REST_DOUBT  24u
#define TUNE_REST_MAX    192u /* rounds: 40 s to minutes */

enum tune_state { TUNE_MODEL, TUNE_REST, TUNE_TRY };

struct tune {
    struct cc cc;
    struct bbr bbr;
    enum tune_state state;
    double level; /* A: the window outside of B's slots */
    /* private */
    double other; /* B */
    bool upward;
    uint32_t rest, rested; /* rounds */
    uint32_t slot;         /* of the experiment */
    double slot_bytes, slot_s, rates[2];
    bool slot_lags; /* the window before the pulse still shows */
    uint32_t pairs;
    double sum, square_sum; /* of ln(B) − ln(A) */
    struct scout scout;     /* of the rate at `level` */
    uint64_t slot_ns;       /* when it began; 0: now */
    bool cpu_limited;       /* the newest sample was */
};

void tune_init(struct tune *tune, const struct cc_limits *limits);

#endif
