/* bbr: BBR's model of a path, lifted from packets to requests. Pure.
 *
 *     BtlBw  = the greatest rate of the last BBR_RATE_ROUNDS rounds, bytes/s
 *     slow   = the least slowness of the last BBR_SLOWNESS_NS, request-s a byte: BBR's RTprop. It
 *            has
 *              the round trip, the server's time and a connection's own speed in it
 *     BDP    = BtlBw × slow, in requests: the fewest with which the path was seen full
 *     window = gain × BDP
 *
 *     STARTUP ──(3 rounds without 25 % more, or a loss)──► DRAIN
 *     DRAIN ──(load ≤ BDP, or less comes)──► CRUISE
 *     CRUISE ──(BBR_CRUISE_ROUNDS)──► UP ──(more came: again)──► UP
 *     UP ──(no more came, or a loss)──► DOWN ──(fewer brought as much: again)──► DOWN ──► CRUISE
 *                                            (and when the scout wants to ask for more)
 *     CRUISE ──(slow was not seen again for BBR_SLOWNESS_NS)──► PROBE_RTT ──► CRUISE
 *
 *     gains: STARTUP 2 · DRAIN 1 · CRUISE 1 · UP 1.25 · DOWN 0.9 · PROBE_RTT 0.75
 *
 * As draft-ietf-ccwg-bbr (BBRv3), but for what follows from requests: no pacing rate (the kernel
 * paces a connection, sched/pace the machine), so that the window alone has the gains, and CRUISE
 * keeps to the BDP instead of 2 × it: what is more only queues, and turns staged bytes cold.
 * PROBE_RTT keeps 0.75, since requests are few. A window that the server refused is a ceiling:
 * 0.7 × it, raised again by UP; round trips and packet losses are the kernel's. App-limited rounds
 * raise BtlBw, and never lower the model.
 *
 * A path that has changed (sched/scout) makes all that was measured void: STARTUP again, from the
 * present window. There a glance that shows BBR_GLANCE_SHARE of what the window has grown by since
 * is enough, and the next doubling follows at once.
 *
 * An alarm may have been none: where the rate that Startup ends with is that of before, and had not
 * to grow to it with what was added, within what σ explains (BBR_NOISE of it), the window before
 * is kept, and the scout believes in more noise.
 *
 * Requests may become slower while all that is known of them is older: connections begin fast and
 * have their losses later. So DRAIN ends where it costs rate, and what is in flight then is what
 * the path needs. And where in STARTUP or DRAIN as much in flight brings less than before, packets
 * get lost and nothing queues, the path is not full: what was measured is void, and STARTUP goes on
 * from there (parts may take half a minute: that fewer are enough would not show for as long).
 *
 * Where the kernel's congestion control answers to losses, and they came before the path was full,
 * what its connections will be like is known before it is seen (sched/response): the first STARTUP
 * takes no fewer than the path will need then, though no more than BBR_AGED_MOST times what it
 * needs now; and what it then has in flight of these, DRAIN and CRUISE keep.
 *
 * STARTUP at most doubles what is in flight: the first rate may be that of buffers which fill.
 *
 * Cores without time left end STARTUP, and are not asked for more by UP.
 *
 * A path on which round trip and answer together are shorter than BBR_SHORT_NS begins in CRUISE:
 * there the kernel's windows open within milliseconds, one connection may fill it, and doubling
 * would only cost CPU. UP finds what is missing, as fast as it is there.
 *
 * Reference: https://datatracker.ietf.org/doc/draft-ietf-ccwg-bbr/ */
#ifndef SCHED_BBR_H
#define SCHED_BBR_H

#include "sched/cc.h"
#include "sched/scout.h"
#include "sched/window.h"

#define BBR_GROWTH            1.25 /* BBR: less in BBR_FULL_ROUNDS rounds is a full pipe */
#define BBR_GLANCE_SHARE      0.6  /* of what slow start brings within a round it is reached late */
#define BBR_FALLEN            0.6  /* noise is not that large */
#define BBR_SAME              0.5  /* ln(rate): by less any path may differ at another time */
#define BBR_NOISE             2.0  /* σ: by so much a path is another at another time */
#define BBR_FULL_ROUNDS       3u
#define BBR_RATE_ROUNDS       24u             /* two cycles and what UP repeats */
#define BBR_SLOWNESS_NS       (10 * NS_PER_S) /* as long as BBR keeps RTprop */
#define BBR_CRUISE_ROUNDS     6u
#define BBR_CRUISE_ROUNDS_MAX 96u /* doubled by each UP that was refused */
#define BBR_CRUISE_DRIFT      0.05
#define BBR_DRAIN_ROUNDS      4u   /* at most: large requests end late */
#define BBR_UP_MORE           1.06 /* a quarter of what UP adds: then the path was not full */
#define BBR_DRAINED_LESS      0.9  /* of what Startup had: then nothing is left that queues */
#define BBR_DRAINED_LOAD      0.95 /* of what was in flight when it began */
#define BBR_DOWN_LESS         0.97 /* a third of what DOWN takes away: then the path is not full */
#define BBR_DOWN_WHOLE        3.5  /* requests: below, one less is too much to try */
#define BBR_DOWN_SLACK        0.05 /* ln(rate) beyond what fewer requests explain */
#define BBR_AGED_MOST         4.0  /* a policer, or a burst, looks like chance, too */
#define BBR_LOAD_NEAR         1.05 /* drained, as good as */
#define BBR_SLOWNESS_NEAR     1.05 /* as good as seen again: samples are noisy */
#define BBR_LOSS_BETA         0.7
#define BBR_RESENT_SHARE      0.02 /* of bytes: BBR's bound; ends STARTUP, moves nothing else */
#define BBR_REFUSED_MOST      0.2  /* of what is in flight, since small objects count for less */
#define BBR_SHORT_NS          SCOUT_SHORT_NS

enum bbr_state { BBR_STARTUP, BBR_DRAIN, BBR_CRUISE, BBR_UP, BBR_DOWN, BBR_PROBE_RTT };

struct bbr_before { /* a change that the path may not have had */
    double window;  /* 0: there was none */
    double level;   /* ln(rate) */
    double rate;    /* the first of STARTUP; 0: not yet */
};

struct bbr {
    struct cc cc;
    enum bbr_state state;
    /* private */
    struct window rate, slowness;
    uint64_t round;          /* counts samples */
    uint64_t slowness_at_ns; /* when the least was last seen, nearly */
    uint32_t rounds_here;    /* in this state */
    uint32_t full_rounds;    /* of STARTUP without growth */
    double full_rate;        /* that growth is measured from */
    double before_rate;      /* UP: the mean of the cruise before it */
    double cruise_rate_sum;
    uint32_t cruise_rates, cruise_rounds; /* that are in the sum; until UP */
    double cruise_window;
    double ceiling;     /* requests; 0: never refused */
    struct scout scout; /* in CRUISE, UP and DOWN */
    double full_load;   /* requests in flight at full_rate */
    double drain_load;  /* and when DRAIN began */
    struct bbr_before before;
    double foreseen; /* slowness, of connections that STARTUP sees young; 0: it is not known */
    bool foresaw;    /* and so CRUISE has more than what was measured */
    bool kept;       /* the window before a change that was none */
    bool aged;       /* STARTUP goes on from what is measured now, and has not grown since */
    bool started, is_short, starts_anyway, lost;
    bool again;       /* STARTUP follows a change: the connections are at speed */
    bool cpu_limited; /* the newest sample was */
};

void bbr_init(struct bbr *bbr, const struct cc_limits *limits);
/* Anew, from the present window, with which nothing was refused; on a short path as well. */
void bbr_start_up(struct bbr *bbr);
/* A change may be none: what to compare with. Comes before bbr_start_up and cc_on_change. */
void bbr_remember(struct bbr *bbr, double window, double level);
double bbr_rate(const struct bbr *bbr);     /* BtlBw, bytes/s; 0: no sample yet */
double bbr_slowness(const struct bbr *bbr); /* request-ns a byte */
/* Requests. While connections are young, those that the path needs when they are not. */
double bbr_bdp(const struct bbr *bbr);

#endif
