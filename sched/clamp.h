/* clamp: about how many bytes of a download may be in flight: what its receive windows let the
 * peers send, where that only stands in a queue. Pure.
 *
 *     limit      = gain × rate × round trip      rate: what comes; round trip: the least one
 *     a window   = max(limit / connections,
 *                      gain × the connection's own rate × round trip)
 *
 * A sender takes what the window of the receiver and its congestion control give it, and a
 * loss-based one fills whatever queue there is, for all who share it. Twice the bandwidth-delay
 * product is enough: once for the path and once for what a loss holds up, as of BBR's cwnd_gain. An
 * even share starves whom the path has more for, where others are slow by themselves: so what each
 * brings counts as well, with which a connection can double in three round trips, whatever its
 * share. So where they are uneven, there is up to twice the limit in flight.
 *
 * The least round trip may be one of another time, and what looks like a queue the path's own
 * length. So the limit comes down from what is in flight, by a quarter each time, when the round
 * trip has followed, or had time to; and each step must cost nothing:
 *
 *     FREE ──(3 even rounds, more than a round trip queues)──► LOWERING
 *     LOWERING ──(as much comes: again, down to CLAMP_GAIN)──► HELD
 *     LOWERING ──(less comes)──► RAISED: the step is taken back ──(as much comes)──► HELD
 *     RAISED, HELD ──(less comes)──► FREE
 *
 * and after one that did cost something none is tried for CLAMP_REST_NS, which doubles each time.
 * Where little queues, or the path is short, nothing is clamped: the kernel's tuning is good.
 *
 * Reference: draft-ietf-ccwg-bbr (cwnd_gain); RFC 9293, 3.8.6 (the receive window) */
#ifndef SCHED_CLAMP_H
#define SCHED_CLAMP_H

#include "sched/sample.h"

#define CLAMP_GAIN         2.0
#define CLAMP_STEP         0.75
#define CLAMP_QUEUE        1.25 /* round trips that queue: CLAMP_GAIN leaves one */
#define CLAMP_EVEN         0.1  /* by no more do even rounds differ */
#define CLAMP_LESS         0.9  /* a step that costs leaves CLAMP_STEP of the rate */
#define CLAMP_FOLLOWED     1.25 /* times the limit may be in flight: rates are uneven */
#define CLAMP_LATE_ROUNDS  4u   /* in which the round trip may follow: TCP's is a smoothed one */
#define CLAMP_LESS_ROUNDS  2u   /* that one has less, by no more than a step costs, is chance */
#define CLAMP_LESS_MEAN    0.95 /* of four rounds: chance is smaller there */
#define CLAMP_ROUND_NS_MAX (4 * NS_PER_S) /* a stall is in TCP's round trip as well */
#define CLAMP_SENT_SHARE   8u             /* of what moves: more is no download's heads */
#define CLAMP_ROUNDS       3u
#define CLAMP_SHORT_NS     (5 * NS_PER_MS) /* of the round trip: shorter paths are left alone */
#define CLAMP_REST_NS      (10 * NS_PER_S)
#define CLAMP_REST_MOST    (640 * NS_PER_S) /* the kernel forgets a least round trip in 300 s */
/* A window is not made smaller: a reply's first flight is ten segments (RFC 6928). */
#define CLAMP_BYTES_MIN (16 * KIB)
/* Of a connection's own rate: round trips that it is a mean of, and the least time. */
#define CLAMP_RATE_RTTS   4u
#define CLAMP_RATE_NS_MIN (200 * NS_PER_MS)

enum clamp_state { CLAMP_FREE, CLAMP_LOWERING, CLAMP_RAISED, CLAMP_HELD };

struct clamp_terms { /* for all connections; share_bytes 0: windows are the kernel's affair */
    uint64_t share_bytes, flight_ns; /* of an even share; in which its own rate brings the window */
    uint64_t rate_ns;                /* that its own rate is a mean of */
};

struct clamp {
    enum clamp_state state;
    double gain; /* 0: FREE */
    /* Of the last change: bytes in flight, 0 where nothing is clamped; a literal. */
    double before_bytes, after_bytes;
    const char *why;
    double rate_bytes_per_s; /* of the round that led to it, and its round trip */
    uint64_t rtt_now_ns;
    /* private */
    uint64_t began_ns, delivered_bytes, sent_bytes; /* of the round */
    uint64_t rtt_sum_ns, rtt_count;                 /* of its second half */
    uint64_t rtt_ns;
    double level; /* bytes/s, as it is without a limit; 0: not known */
    double mean;  /* of what has come since it is HELD */
    uint32_t even_rounds, late_rounds, less_rounds;
    uint64_t resting_until_ns, rest_ns;
};

void clamp_init(struct clamp *clamp);
/* Every tick, with the sums over all cores and the least round trip of late (0: none). True: the
 * limit changed, and `why` says why. */
MUST_USE bool clamp_tick(struct clamp *clamp, uint64_t now_ns, const struct sample_totals *totals,
                         uint64_t rtt_ns);
/* Windows are the kernel's affair from now on. True: they were not. */
bool clamp_release(struct clamp *clamp, const char *why);
/* With so many connections in use. */
struct clamp_terms clamp_terms(const struct clamp *clamp, uint64_t flows);
const char *clamp_state_name(enum clamp_state state);

/* A connection's own rate, bytes/s, when it has received so much in `passed_ns` more. */
double clamp_mean_rate(const struct clamp_terms *terms, double rate, uint64_t received_bytes,
                       uint64_t passed_ns);
/* And its window; 0: it is the kernel's affair. */
uint32_t clamp_window(const struct clamp_terms *terms, double rate);

#endif
