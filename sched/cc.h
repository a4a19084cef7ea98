/* cc: a congestion controller of requests: how many of them may be in flight to an endpoint. Pure.
 *
 * The kernel has one a connection, for packets; this one is for requests, of all connections to an
 * endpoint together. It chooses how many there are, and it sees what TCP cannot: a server that is
 * full. It never answers to a round trip that grew, nor to a lost packet alone: the kernel does.
 *
 *     kind           sched/   finds its window by
 *     "bbr"          bbr      a model: the greatest rate, the least slowness
 *     "cubic"        cubic    growing until there is a loss: a refusal, a timeout, an overflow
 *     "fixed"        fixed    being told
 *     "auto"         tune     bbr's start, then experiments, until something changes
 *
 * A kind embeds `struct cc` as its first member. It gets the sample of each round and sets
 * cc->window, in limits.min … limits.max, and `why` where it moved. */
#ifndef SCHED_CC_H
#define SCHED_CC_H

#include "sched/sample.h"

struct cc;

struct cc_kind {
    void (*on_sample)(struct cc *cc, const struct sample *sample);
    /* A glance, much shorter than a round; NULL: none is wanted. True when it says enough: then it
     * is the round's sample, which ends here. */
    bool (*on_glance)(struct cc *cc, const struct sample *sample);
    /* The path is not what it was: forget what was measured, go on from the present window. */
    void (*on_change)(struct cc *cc);
};

struct cc_limits { /* of the window: 1 ≤ min ≤ start ≤ max */
    double min, start, max;
};

struct cc {
    const struct cc_kind *kind;
    double window; /* requests in flight that are allowed */
    struct cc_limits limits;
    const char *why;   /* of the last change; a literal */
    const char *state; /* for reports; a literal */
    /* by kinds */
    bool cutting; /* the window was cut, and more than it are in flight yet */
};

static inline void cc_init(struct cc *cc, const struct cc_kind *kind,
                           const struct cc_limits *limits)
{
    cc->kind = kind;
    cc->limits = *limits;
    cc->window = limits->start;
    cc->why = cc->state = "start";
    cc->cutting = false;
}

static inline void cc_on_sample(struct cc *cc, const struct sample *sample)
{
    cc->kind->on_sample(cc, sample);
}

static inline bool cc_on_glance(struct cc *cc, const struct sample *sample)
{
    return cc->kind->on_glance && cc->kind->on_glance(cc, sample);
}

static inline void cc_on_change(struct cc *cc)
{
    cc->kind->on_change(cc);
}

/* By kinds: within the limits. */
static inline void cc_set(struct cc *cc, double window, const char *why)
{
    if (window < cc->limits.min) window = cc->limits.min;
    if (window > cc->limits.max) window = cc->limits.max;
    if (window != cc->window) cc->why = why;
    cc->window = window;
}

/* Is it a loss that the window has to answer to? What was in flight when it was cut, and is refused
 * since, was answered to: at most once a round, as TCP. */
static inline bool cc_is_loss(struct cc *cc, const struct sample *sample)
{
    if (cc->cutting && sample->load <= 1.1 * cc->window) cc->cutting = false;
    if (sample->refusals + sample->timeouts == 0 || cc->cutting) return false;
    cc->cutting = true;
    return true;
}

#endif
