/* A virtual path to a server, for the tests of congestion control: a fluid model in virtual time,
 * seeded. With n requests in flight, each of `part_bytes`, that take latency L and move at most at
 * r bytes/s each:
 *
 *     rate(n) = min(capacity, n · part / (part / r + L(n))),   L(n) = L · max(1, n / knee)
 *
 * so that the knee of the whole is at n* = capacity · (1/r + L/part), as in docs/flow-control.md.
 * Beyond `refuse` in flight, requests are refused in proportion. */
#ifndef TESTS_UNIT_PATH_H
#define TESTS_UNIT_PATH_H

#include <math.h>
#include <string.h>

#include "core/rand.h"
#include "sched/rounds.h"

#define PATH_TICK_NS (50 * NS_PER_MS)

struct path {
    double capacity, connection; /* bytes/s: of all, of one */
    double latency_s, part_bytes;
    double knee, refuse; /* requests in flight; 0: none */
    double noise;        /* of the rate, a standard deviation */
    double drain;        /* of what is beyond the window, a tick */
    double work;         /* requests that there are at most; 0: no end */
    double cpu;          /* bytes/s that the cores can move; 0: any */
    uint64_t rtt_ns;
    struct rand rand;
    uint64_t now_ns;
    struct sample_totals totals;
    double flight;
    uint32_t startups; /* of the controller */
};

static inline void path_init(struct path *path)
{
    memset(path, 0, sizeof *path);
    path->capacity = 125e6;
    path->connection = 30e6;
    path->latency_s = 0.1;
    path->part_bytes = 8 * MIB;
    path->noise = 0.01;
    path->drain = 0.1;
    path->rtt_ns = 50 * NS_PER_MS;
    path->now_ns = NS_PER_S;
    rand_init(&path->rand, 11);
}

static inline double path_knee(const struct path *path)
{
    double n = path->capacity * (1 / path->connection + path->latency_s / path->part_bytes);
    return path->knee > 0 ? fmin(n, path->knee) : n;
}

static inline double path_rate(const struct path *path, double n)
{
    double latency_s = path->latency_s;
    if (path->knee > 0) latency_s *= fmax(1, n / path->knee);
    double one = path->part_bytes / (path->part_bytes / path->connection + latency_s);
    return fmin(path->capacity, n * one);
}

/* Roughly normal: the sum of twelve. */
static inline double path_noise(struct path *path)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += rand_unit(&path->rand);
    return 1 + path->noise * sum;
}

/* One tick with this window; what is beyond it drains as parts end. */
static inline void path_tick(struct path *path, double window)
{
    struct sample_totals *totals = &path->totals;
    double s = (double)PATH_TICK_NS / (double)NS_PER_S;
    double wanted = path->work > 0 ? fmin(window, path->work) : window;
    path->flight = wanted >= path->flight ? wanted : fmax(wanted, (1 - path->drain) * path->flight);
    double rate = path_rate(path, path->flight) * fmax(0.1, path_noise(path));
    if (path->cpu > 0) rate = fmin(rate, path->cpu);
    double requests = rate * s / path->part_bytes;
    path->now_ns += PATH_TICK_NS;
    totals->delivered_bytes += (uint64_t)(rate * s);
    totals->sent_bytes = totals->delivered_bytes;
    totals->busy_ns += (uint64_t)(path->flight * (double)PATH_TICK_NS);
    totals->cores = 1;
    if (path->cpu > 0) totals->cpu_ns += (uint64_t)(rate / path->cpu * (double)PATH_TICK_NS);
    totals->requests += (uint64_t)(requests + rand_unit(&path->rand));
    totals->answer_ns = totals->requests * (uint64_t)(path->latency_s * (double)NS_PER_S);
    if (path->refuse > 0 && path->flight > path->refuse)
        totals->refusals += (uint64_t)(path->flight - path->refuse) + 1;
}

/* Drives a controller for a while; returns the mean rate. */
static inline double path_drive(struct path *path, struct cc *cc, struct rounds *rounds,
                                double seconds)
{
    uint64_t until_ns = path->now_ns + (uint64_t)(seconds * (double)NS_PER_S);
    uint64_t from_bytes = path->totals.delivered_bytes;
    while (path->now_ns < until_ns) {
        path_tick(path, lround(rounds->window > 0 ? rounds->window : cc->window));
        struct sample sample = {.now_ns = path->now_ns, .rtt_ns = path->rtt_ns};
        sample.answer_ns = (uint64_t)(path->latency_s * (double)NS_PER_S);
        const char *state = cc->state;
        if (!rounds_tick(rounds, cc, &path->totals, &sample)) continue;
        if (cc->state != state && strcmp(cc->state, "startup") == 0) path->startups++;
    }
    return (double)(path->totals.delivered_bytes - from_bytes) / seconds;
}

struct path_step { /* from one path to another */
    struct path_speed {
        double capacity, connection, latency_s;
        uint64_t rtt_ms;
    } sides[2];
};

/* Capacity, round trips, the speed of a connection; what waits and what moves. */
static const struct path_step path_steps[] = {
    {{{125e6, 30e6, 0.1, 50}, {37.5e6, 30e6, 0.1, 50}}},
    {{{125e6, 5e6, 0.1, 50}, {37.5e6, 5e6, 0.1, 50}}},
    {{{125e6, 30e6, 0.02, 20}, {37.5e6, 30e6, 0.02, 20}}},
    {{{125e6, 30e6, 0.1, 50}, {125e6, 6e6, 0.1, 50}}},
    {{{125e6, 200e6, 0.02, 20}, {125e6, 200e6, 0.12, 120}}},
    {{{125e6, 60e6, 0.02, 20}, {125e6, 10e6, 0.12, 120}}},
    {{{125e6, 30e6, 0.02, 20}, {125e6, 5e6, 0.12, 120}}},
    {{{125e6, 30e6, 0.12, 120}, {125e6, 6e6, 0.12, 120}}},
    {{{125e6, 10e6, 0.12, 120}, {37.5e6, 10e6, 0.12, 120}}},
};

static inline void path_use(struct path *path, const struct path_speed *speed)
{
    path->capacity = speed->capacity;
    path->connection = speed->connection;
    path->latency_s = speed->latency_s;
    path->rtt_ns = speed->rtt_ms * NS_PER_MS;
}

/* What part of the new level is there 3 s after a step, on the mean of 2 s: the step comes in
 * `phase` of what the controller does by itself. 10 RTT are less than that on all these paths. */
static inline double path_recover(struct path *path, struct cc *cc, struct rounds *rounds,
                                  const struct path_step *step, uint32_t back, uint32_t phase)
{
    rand_init(&path->rand, 11 + phase);
    path->noise = 0.02;
    path_use(path, &step->sides[back]);
    path_drive(path, cc, rounds, 20 + 0.55 * phase);
    path_use(path, &step->sides[!back]);
    path_drive(path, cc, rounds, 3);
    return path_drive(path, cc, rounds, 2) / path->capacity;
}

#endif
