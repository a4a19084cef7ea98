/* prefix: how many requests a prefix of keys may have in flight, and begin in a second. Pure.
 *
 * S3 refuses by prefix (SlowDown), so each has a controller of its own, and a refusal is its loss.
 * While nothing was refused a prefix is FREE: the path's window (sched/flow) bounds it alone.
 *
 *     FREE ──(refused)──► HELD ──(hold passed)──► PROBING ──(refused)──► HELD, twice as long
 *       ▲                                            │
 *       └────(no limit bound for PREFIX_LOOSE_ROUNDS)┘
 *
 *     loss     rate   ← PREFIX_RATE_BETA × what was answered in the last second
 *              window ← PREFIX_WINDOW_BETA × what was in flight;  at most once in
 *                                                                 PREFIX_ECHO_ROUNDS
 *              what the server had saved up is in that the first time: so PREFIX_DEBT_S pass, as
 *              it were, before the next begins
 *     PROBING  rate   ← grows by 1 % a second; without a loss by 3 % after ten seconds, and by a
 *                       quarter after twenty: then the limit has moved
 *     any      window ← window + 1 a round without a loss, where it bound
 *
 * A server that refuses by the rate answers, while it refuses, exactly as much as it allows: what
 * was answered is the limit, so that one loss finds it. Each probe that fails makes the next one
 * later: with a limit that stays, well below 1 % of the requests are refused.
 *
 * Where all prefixes are refused alike it is the server that is full: then the path's window
 * answers to it, and a prefix only when that did not help for PREFIX_COMMON_ROUNDS; or at once
 * where answers take no longer than ever, since a server that is full is slow before it refuses.
 *
 * A refused request comes again by itself, and takes its token then. Reference:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html */
#ifndef SCHED_PREFIX_H
#define SCHED_PREFIX_H

#include "core/base.h"

#define PREFIX_ROUND_NS      (250 * NS_PER_MS)
#define PREFIX_HISTORY       4u /* rounds: the last second */
#define PREFIX_KNOWN_MIN     2u /* of them, before a rate is set: one may be a burst, or nothing */
#define PREFIX_ANSWERED_MIN  8u /* in them: fewer, of slow requests, are no rate */
#define PREFIX_RATE_BETA     0.95
#define PREFIX_DEBT_S        0.25
#define PREFIX_BRISK_BETA    0.75 /* where all run into their limits together, at whatever rate */
#define PREFIX_WINDOW_BETA   0.7
#define PREFIX_RATE_MIN      1.0 /* a second: nobody is shut out */
#define PREFIX_ECHO_ROUNDS   4u  /* after a loss: what was sent before it, and comes again */
#define PREFIX_KEEP_ROUNDS   4u
#define PREFIX_KEEP_STEP     1.25
#define PREFIX_COMMON_ROUNDS 4u
#define PREFIX_HOLD_NS       (3 * NS_PER_S)
#define PREFIX_HOLD_NS_MAX   (24 * NS_PER_S)
/* Servers save up tokens for a second or so, so that what is too much is refused late: little at
 * first, in steps of PREFIX_STEP_ROUNDS. */
#define PREFIX_STEP_ROUNDS  40u
#define PREFIX_LOOSE_ROUNDS 40u
#define PREFIX_GROWTH_MIN                                                                          \
    0.25                 /* a second, each second: a few answers a second are a poor measure */
#define PREFIX_USED 0.85 /* of the rate: less says nothing of it (RFC 7661) */
/* Tokens that are saved up beside the one that is waited for, in seconds of the rate: two ticks of
 * whoever hands out. Without them what comes between a tick and the token it completes is lost: at
 * ten requests a second a sixth. Where little is allowed it is more, up to PREFIX_BURST: slots may
 * be free but a few times a second, where answers come together. */
#define PREFIX_BURST_S      0.1
#define PREFIX_BURST_SLOW_S 0.3
#define PREFIX_BURST        4.0

enum prefix_state { PREFIX_FREE, PREFIX_HELD, PREFIX_PROBING };

struct prefix {
    enum prefix_state state;
    double window;      /* requests in flight; 0: any number */
    double rate_per_s;  /* requests begun; 0: any number */
    double weight;      /* of its share, see sched/prefixes.h */
    uint32_t in_flight; /* handed out, and not back */
    const char *why;    /* of the last change; a literal */
    /* private */
    double tokens;
    uint64_t tokens_ns;
    uint32_t answered[PREFIX_HISTORY];    /* of the last rounds, the newest at `round` */
    uint64_t interval_ns[PREFIX_HISTORY]; /* and how long those were: who ends them may be late */
    uint32_t round, known;                /* how many of them there are, since it was idle */
    uint32_t flight_most;                 /* in this round */
    uint32_t echo, steady, loose, common;
    bool is_its_own;  /* its limit: it was found while others went on */
    bool paused;      /* until the round ends */
    uint32_t kept;    /* rounds, this one with them: */
    double kept_most; /* in flight */
    uint64_t hold_ns, held_until_ns;
    bool rate_bound, window_bound; /* in this round: more could have been handed out */
};

struct prefix_round { /* what was measured in one */
    uint64_t now_ns, interval_ns;
    uint32_t answered, refused;
    bool common; /* most others were refused as well … */
    bool brisk;  /* … and answers took no longer than ever: it is requests that are counted */
};

void prefix_init(struct prefix *prefix, uint64_t now_ns);
/* May one more begin now? */
MUST_USE bool prefix_may_go(struct prefix *prefix, uint64_t now_ns);
void prefix_on_go(struct prefix *prefix);   /* one more begins */
void prefix_on_back(struct prefix *prefix); /* one is over */
/* In the midst of a round: something was refused. Nothing more begins before the round is judged,
 * unless it is the echo of what was answered to. */
void prefix_pause(struct prefix *prefix);
/* Another one pauses: this one takes over what that leaves step by step, since limits are often
 * alike; PREFIX_KEEP_STEP more in flight a round, for PREFIX_KEEP_ROUNDS. */
void prefix_keep(struct prefix *prefix);
/* A round has ended. True when a limit was set, cut or lifted: prefix->why says why. Growth is no
 * news. */
bool prefix_on_round(struct prefix *prefix, const struct prefix_round *round);

#endif
