/* sample: what a path delivered, round by round: the measured input of congestion control. Pure.
 *
 * All that is measured are sums that only grow (struct sample_totals), of all connections of an
 * endpoint. A round is long enough that what was changed at its start shows in it: a connection
 * needs some round trips to open its window, and a server its time. Over a round of T ns:
 *
 *     rate     = Δ delivered / T                    what came through
 *     load     = Δ busy / T                         requests in flight, on the mean
 *     slowness = load / rate                        request-seconds a byte
 *
 * By Little's law the last is the mean time of a request for a byte, whatever the sizes of the
 * requests: their latency, their share of the path, and their queueing. While nothing queues it is
 * constant, and `rate` grows with `load`; from the knee on, `rate` stays and it grows.
 *
 * A round is app-limited when there were not enough requests to fill the window that was allowed:
 * its rate says what was asked for, not what the path can do. It is CPU-limited when the cores have
 * no time left: then more requests cannot bring more bytes, only staged ones that leave the caches
 * before they are sent.
 *
 * A core that had no time to count (it waits for a CPU) would make a round too poor and the next
 * one too rich, and the richest of them the model: a round neither begins nor ends while one is
 * late. */
#ifndef SCHED_SAMPLE_H
#define SCHED_SAMPLE_H

#include "core/base.h"

/* A round is SAMPLE_RTTS round trips and the server's time, within these bounds: slow start opens a
 * window from 10 segments to 4 MB in 8 round trips. */
#define SAMPLE_RTTS        8u
#define SAMPLE_GLANCE_RTTS 2u                /* a step shows after one */
#define SAMPLE_NS_MIN      (200 * NS_PER_MS) /* four ticks of 50 ms: jitter below 10 % */
#define SAMPLE_NS_MAX      (2 * NS_PER_S)
#define SAMPLE_LATE_NS     (150 * NS_PER_MS) /* three ticks */
#define SAMPLE_WAIT_NS     NS_PER_S          /* for cores that are late, at most */
#define SAMPLE_LOAD_MIN    0.9               /* of the window: less is app-limited */
#define SAMPLE_CPU_FULL    0.9               /* the rest is what a tick and a wake leave */
#define SAMPLE_LOSS        0.0005            /* below, losses are rare in what a connection moves */
#define SAMPLE_NO_QUEUE    1.1 /* of the least round trip, beside SAMPLE_NO_QUEUE_NS */
#define SAMPLE_NO_QUEUE_NS NS_PER_MS

struct sample_totals {
    uint64_t delivered_bytes; /* acknowledged by the peer (uploads), or received (downloads) */
    uint64_t busy_ns;         /* grows by one second a second for each request in flight */
    uint64_t sent_bytes, resent_bytes;
    /* Of what is received (s3/traffic): a segment for each loss, at least; behind a hole. */
    uint64_t lost_bytes, behind_hole_bytes;
    /* Of what was sent under a congestion control that answers to losses, while nothing queued:
     * bytes; and losses, of which those of a round trip, or of a look, are one (sched/response). */
    uint64_t quiet_bytes, quiet_losses;
    uint64_t requests; /* answered */
    uint64_t refusals; /* SlowDown: the server's loss signal */
    uint64_t timeouts; /* requests that were lost */
    uint64_t cpu_ns;   /* of all cores' threads: on a CPU, or ready and waiting for one */
    uint64_t
        answer_ns;  /* from the last byte sent to the answer's first, of all that were answered */
    uint32_t cores; /* no sum: that cpu_ns is of */
    /* No sums: the least smoothed round trip of what moved, the least that the server took for
     * data, or for what is like that; 0: none. And connections that wait for an answer alone. */
    uint64_t rtt_now_ns, server_ns;
    uint32_t waiting, flows; /* … of all connections in use */
    uint32_t segment_bytes;  /* the largest that is sent; no sum */
    uint64_t looked_ns;      /* no sum: until when all cores have counted; 0: not known */
};

struct sample { /* of one round */
    uint64_t now_ns, interval_ns;
    double rate_bytes_per_s;
    double load;         /* requests in flight, the mean */
    double allowed;      /* the window during the round, the mean */
    double resent_share; /* of the bytes sent (uploads); 0 where it is heads that are sent */
    /* Of the bytes received (downloads): lost, at least; behind a hole. 0 where those are heads. */
    double lost_share, hole_share;
    double lasting; /* request-ns a byte, when connections are old (sched/response); 0: not known */
    double requests_per_s;
    uint32_t refusals, timeouts;
    uint64_t rtt_ns;     /* the least packet round trip that is known; 0: none */
    uint64_t rtt_now_ns; /* in this round, the mean; without a queue it is the least; 0: none */
    uint64_t answer_ns;  /* the time that the server takes, the least of late; 0: not known */
    double cpu_share;    /* of the time of all cores; 0: not known */
    double knee, knee_waiting; /* by sched/flow: n* = B/r + B·L/P, and of it B·L/P; 0: not known */
    bool app_limited;
    bool cut_short;  /* by a refusal (sched/rounds): too short to say what the path brings … */
    double load_now; /* … and then: the load at its end, since the window last moved */
};

struct sampler {
    /* private */
    struct sample_totals at; /* at the round's begin */
    uint64_t began_ns, looked_ns;
    double allowed_ns;               /* the window's integral over the round */
    double rtt_ns_sum, rtt_moved_ns; /* and of the round trip, over the time in which some moved */
    bool running, waits;             /* for a core that is late, to begin */
};

void sampler_init(struct sampler *sampler);
void sampler_begin(struct sampler *sampler, uint64_t now_ns, const struct sample_totals *totals);
/* With the newest totals, the window that held since the last call, and how long a round should be.
 * True when one ended: then *sample is its, but for rtt_ns and answer_ns, which are the caller's to
 * fill. A round's end is the next one's begin. Both wait for cores that are late, SAMPLE_WAIT_NS
 * at most; a round of 0 ns does not wait. Refusals and timeouts are those since the last end. */
MUST_USE bool sampler_tick(struct sampler *sampler, uint64_t now_ns,
                           const struct sample_totals *totals, double window, uint64_t round_ns,
                           struct sample *sample);
/* Has a core not counted for a while? */
bool sample_is_late(const struct sample_totals *totals, uint64_t now_ns);
bool sample_is_cpu_limited(const struct sample *sample);
/* Is it an upload? What goes the other way is heads. */
bool sample_is_sent(uint64_t sent_bytes, uint64_t delivered_bytes);
/* Of the packets that carry the bytes, whichever way they go. */
double sample_loss(const struct sample *sample);
/* Packets get lost, and nothing queues: what is slow then is each connection by itself, unless
 * something drops what is too much at once (a policer, a short buffer). False where round trips
 * are not known. */
bool sample_is_loss_limited(const struct sample *sample);
/* Does a round trip show no queue? False where one is not known. */
bool sample_is_quiet(uint64_t rtt_now_ns, uint64_t rtt_least_ns);
/* Request-ns a byte; 0 when nothing was delivered. */
double sample_slowness(const struct sample *sample);
/* How long a glance is: two round trips and the server's time. */
uint64_t sample_glance_ns(uint64_t rtt_ns, uint64_t answer_ns);
/* `answer_ns` 0: the server's time is not known. */
uint64_t sample_round_ns(uint64_t rtt_ns, uint64_t answer_ns);

#endif
