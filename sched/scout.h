/* scout: has the path changed? Looks at every glance, which is far shorter than a round, and asks
 * the path for what cannot be seen from where the window is. Pure.
 *
 * A path that gives less, or more to each request, shows in the rate: a CUSUM (sched/change) over
 * its logarithm finds it within two to four glances. Capacity beyond the window does not show: so,
 * SCOUT_REST_NS after the last one, a pulse of SCOUT_GAIN × the window follows; when the same CUSUM
 * finds the rate of the pulse above the level before it, the path has changed as well.
 *
 *     WATCH ──(SCOUT_REST_NS)──► PULSE ──(nothing came)──► SKIP ──► WATCH
 *       └──(the rate moved)──► news ◄──(more came)──┘
 *
 * A pulse lasts two glances, and goes on for four rounds where more seems to come: a connection
 * that begins needs some round trips. It ends at a refusal, and then there are none for
 * SCOUT_REFUSED_NS; nor on a path below SCOUT_SHORT_NS, where the kernel fills the path with what
 * there is, nor while the cores have no time left.
 *
 * A server under the kernel's bbr pauses each ten seconds: its connections have four packets in
 * flight for 200 ms and a round trip, all at about the same time (ProbeRTT). So a steep fall, to
 * less than SCOUT_STEEP of the level, is news once more is missing than such a pause takes away,
 *
 *     Σ (1 − rate / level) · glance ≥ SCOUT_PAUSE_NS + round trip,
 *
 * or at its third glance from the first steep one on: a pause touches no more than three, and in
 * the last the rate is half back or more. Where it is back, nothing was. Until then such glances
 * are `falling`. What falls again within SCOUT_FORGIVEN_NS lacks what was missing then as well, and
 * is news when that is too much: a rate that comes and goes is no pause, but connections may pause
 * one after another. On a path that is doubted SCOUT_STEEP_DOUBT counts, since there falls have no
 * need to be of pauses.
 *
 * What the owner does to the window by itself is no news: it calls scout_hold() then.
 *
 * A path may be uneven by nature: its rate moves more, or more slowly, than CUSUM's σ knows, and
 * such an alarm leads to what was there before. Each that did (scout_doubt) doubles the σ that is
 * believed at least, up to SCOUT_SIGMA_MAX, with which a step by a factor of 3 is still found
 * within four glances; each that was a change (scout_trust) halves it. */
#ifndef SCHED_SCOUT_H
#define SCHED_SCOUT_H

#include "sched/cc.h"
#include "sched/change.h"

#define SCOUT_GAIN       1.25
#define SCOUT_REST_NS    (1200 * NS_PER_MS) /* with what follows within 3 s at 120 ms */
#define SCOUT_REFUSED_NS (60 * NS_PER_S)
#define SCOUT_SHORT_NS   (5 * NS_PER_MS)
#define SCOUT_GLANCES    2u    /* of a pulse, at least; of a step that is found */
#define SCOUT_SLACK      0.223 /* ln 1.25 */
#define SCOUT_SIGMA_MAX  0.3   /* ln 3 is more than 3.6 of it */

#define SCOUT_STEEP       0.65 /* half of a pause in each of two glances is less than that */
#define SCOUT_STEEP_DOUBT 0.5
/* Linux: bbr_probe_rtt_mode_ms, 200, and until all are at speed again: seen in wanlab. */
#define SCOUT_PAUSE_NS     (250 * NS_PER_MS)
#define SCOUT_FALL_GLANCES 3u
#define SCOUT_FORGIVEN_NS  (5 * NS_PER_S) /* bbr_probe_rtt is each ten seconds */

#define SCOUT_SLACK_MORE 0.02 /* more in flight brings less only at a server that is full */

enum scout_view {
    SCOUT_LEVEL, /* the window is where the level was measured */
    SCOUT_MORE,  /* it is larger: more is a change, and so is less */
    SCOUT_OTHER, /* it is another one */
};

struct scout {
    bool pulsing;
    bool falling; /* the newest glance was of a steep fall: a change, or a pause */
    double slack; /* by which ln(rate) may differ at another window; SCOUT_SLACK, or the owner's */
    double sigma; /* of ln(rate), that is believed at least */
    double level; /* ln(rate): what the newest glance was compared with */
    /* private */
    struct change change;   /* of ln(rate) */
    uint32_t skip;          /* glances */
    uint32_t glances;       /* of the pulse */
    bool fallen;            /* the newest glances are of a fall */
    uint32_t steep_glances; /* of these, from the first steep one on */
    double lowest;          /* ln(rate) of these */
    double missing_ns;      /* in which the level's rate would have brought what they lack */
    uint64_t forgiven_ns;   /* when the first fall of the newest ones was; 0: never */
    uint64_t pulse_ns;      /* when the last pulse began, or ended */
    uint64_t refused_ns;    /* the last time; 0: never */
};

void scout_init(struct scout *scout, uint64_t now_ns);
/* The level is another one: it is measured anew. Refusals and σ are remembered. */
void scout_forget(struct scout *scout, uint64_t now_ns);
void scout_refuse(struct scout *scout, uint64_t now_ns); /* the server refused */
/* The level is known: the rate of a sample that was measured at the window that stays. */
void scout_seed(struct scout *scout, const struct sample *sample);
void scout_shift(struct scout *scout, double by);       /* the window moved; by ln(rate) */
void scout_hold(struct scout *scout, uint32_t glances); /* these are looked away from */
void scout_doubt(struct scout *scout);                  /* the news were none */
void scout_trust(struct scout *scout);                  /* they were some */
void scout_believe(struct scout *scout, double sigma);
double scout_doubts(const struct scout *scout); /* by how much σ is believed larger; 0: nothing */
/* One glance. −1 the path gives less, 1 more, 0 no news: then `pulsing` may be another. */
int scout_on_glance(struct scout *scout, const struct sample *sample, enum scout_view view);
/* The window while it pulses. */
double scout_window(double window);

#endif
