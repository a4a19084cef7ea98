/* change: has the level of a noisy series changed? Two-sided CUSUM over the innovations of a local
 * level. Pure.
 *
 *     ν = x − level,  level ← level + ν / CHANGE_MEMORY,  σ² ← σ² + (ν² − σ²) / CHANGE_MEMORY
 *     up   ← max(0, up   + ν/σ − k),   down ← max(0, down − ν/σ − k);   changed when one exceeds h
 *
 * k = 1 σ and h = 6 σ: a shift by three σ is found in three samples, and without one an alarm comes
 * once in about 400,000: days of glances (sched/scout). A slow fall, which the level follows, has
 * no innovations: it is a change where the level is CHANGE_SAG and σ below the best that it was.
 * One sample counts for at most CHANGE_STEP_MAX, so that a single outlier is none. The value is a
 * logarithm of what is watched, so that σ is a share of it. What was learnt within CHANGE_MEMORY
 * is too little where noise is slower than that: the owner may know better (change_believe).
 * Reference: E. S. Page, Continuous inspection schemes, Biometrika 41 (1954) */
#ifndef SCHED_CHANGE_H
#define SCHED_CHANGE_H

#include "core/base.h"

#define CHANGE_K           1.0
#define CHANGE_H           6.0
#define CHANGE_STEP_MAX    4.5  /* of σ: two in a row are a change */
#define CHANGE_MEMORY      8    /* samples: about a cycle of what watches */
#define CHANGE_LEARN       4u   /* samples before anything is judged */
#define CHANGE_SAG         0.15 /* ln: of the best, 14 %; noise moves the level less */
#define CHANGE_SIGMA_MIN   0.04 /* a steadier rate than 4 % is luck */
#define CHANGE_SIGMA_FIRST 0.08 /* what is believed before it is known */

struct change {
    double level;
    /* private */
    double variance, up, down;
    double sigma_least; /* σ is believed to be no less */
    double best;        /* the level's greatest, once it is learnt */
    uint32_t count;
};

void change_init(struct change *change);
void change_seed(struct change *change, double level); /* the level is known already */
void change_shift(struct change *change, double by);   /* the level moved by what is known */
/* σ is no less than that, nor than CHANGE_SIGMA_MIN; until the next init or seed. */
void change_believe(struct change *change, double sigma);
/* −1 it fell, 1 it rose, 0 neither. After a change it begins anew. */
int change_add(struct change *change, double value);
/* The same, but nothing is learnt from it: the value was measured in another way. */
int change_peek(struct change *change, double value);
bool change_is_learnt(const struct change *change); /* before that nothing is judged */
double change_up(const struct change *change);      /* σ that speak for a rise */
double change_down(const struct change *change);    /* and for a fall */
void change_forgive(struct change *change);         /* what spoke for a fall is explained */

#endif
