#include "sched/clamp.h"

#include <math.h>

#include "core/check.h"

struct clamp_round {
    uint64_t now_ns, rtt_ns; /* the least round trip */
    double rate;             /* bytes/s */
    double trips;            /* of now, in the least */
};

void clamp_init(struct clamp *clamp)
{
    *clamp = (struct clamp){.state = CLAMP_FREE, .why = "start", .rest_ns = CLAMP_REST_NS};
}

const char *clamp_state_name(enum clamp_state state)
{
    static const char *const names[] = {[CLAMP_FREE] = "free",
                                        [CLAMP_LOWERING] = "lowering",
                                        [CLAMP_RAISED] = "raised",
                                        [CLAMP_HELD] = "held"};
    return names[state];
}

static double clamp_bytes(const struct clamp *clamp)
{
    return clamp->gain * clamp->level * (double)clamp->rtt_ns / (double)NS_PER_S;
}

static bool clamp_set(struct clamp *clamp, enum clamp_state state, double gain, const char *why)
{
    clamp->before_bytes = clamp_bytes(clamp);
    clamp->state = state;
    clamp->gain = gain;
    clamp->after_bytes = clamp_bytes(clamp);
    clamp->why = why;
    return clamp->before_bytes != clamp->after_bytes;
}

bool clamp_release(struct clamp *clamp, const char *why)
{
    bool changed = clamp_set(clamp, CLAMP_FREE, 0, why);

    clamp->level = 0;
    clamp->even_rounds = 0;
    return changed;
}

static void clamp_rest(struct clamp *clamp, uint64_t now_ns)
{
    clamp->resting_until_ns = now_ns + clamp->rest_ns;
    clamp->rest_ns = min_u64(2 * clamp->rest_ns, CLAMP_REST_MOST);
}

static bool clamp_lower(struct clamp *clamp, double from)
{
    CHECK(clamp->level > 0);
    clamp->late_rounds = 0;
    return clamp_set(clamp, CLAMP_LOWERING, fmax(CLAMP_GAIN, CLAMP_STEP * from),
                     "more than a round trip's worth only queues");
}

static void clamp_hold(struct clamp *clamp, const struct clamp_round *round)
{
    clamp->state = CLAMP_HELD;
    clamp->less_rounds = 0;
    clamp->mean = round->rate;
}

/* --- a round of each state --- */

static bool clamp_on_free(struct clamp *clamp, const struct clamp_round *round)
{
    bool even = fabs(round->rate - clamp->level) <= CLAMP_EVEN * clamp->level;

    clamp->level = even ? (clamp->level + round->rate) / 2 : round->rate;
    clamp->even_rounds = even ? clamp->even_rounds + 1 : 0;
    clamp->rtt_ns = round->rtt_ns;
    if (clamp->even_rounds < CLAMP_ROUNDS || round->now_ns < clamp->resting_until_ns) return false;
    if (round->trips < 1 + CLAMP_QUEUE) return false;
    return clamp_lower(clamp, round->trips);
}

static bool clamp_on_lowering(struct clamp *clamp, const struct clamp_round *round)
{
    if (round->rate < CLAMP_LESS * clamp->level) {
        clamp_rest(clamp, round->now_ns);
        return clamp_set(clamp, CLAMP_RAISED, clamp->gain / CLAMP_STEP,
                         "less comes with less in flight");
    }
    bool follows = round->trips <= CLAMP_FOLLOWED * clamp->gain;
    if (!follows && ++clamp->late_rounds < CLAMP_LATE_ROUNDS) return false;
    if (clamp->gain > CLAMP_GAIN) return clamp_lower(clamp, clamp->gain);
    clamp_hold(clamp, round);
    return false;
}

/* What comes now is the path's, or others', or the limit's doing: without it that will show. */
static bool clamp_on_less(struct clamp *clamp, const struct clamp_round *round)
{
    if (clamp->resting_until_ns <= round->now_ns) clamp_rest(clamp, round->now_ns);
    return clamp_release(clamp, "less comes than before: windows are the kernel's affair again");
}

static bool clamp_on_raised(struct clamp *clamp, const struct clamp_round *round)
{
    if (round->rate < CLAMP_LESS * clamp->level) return clamp_on_less(clamp, round);
    clamp_hold(clamp, round);
    return false;
}

/* The level never falls: else a limit that is a little too small would shrink with what it lets
 * through, for ever. */
static bool clamp_on_held(struct clamp *clamp, const struct clamp_round *round)
{
    clamp->less_rounds = round->rate < CLAMP_LESS * clamp->level ? clamp->less_rounds + 1 : 0;
    clamp->mean = (3 * clamp->mean + round->rate) / 4;
    if (clamp->less_rounds >= CLAMP_LESS_ROUNDS || round->rate < CLAMP_STEP * clamp->level ||
        clamp->mean < CLAMP_LESS_MEAN * clamp->level)
        return clamp_on_less(clamp, round);
    if (clamp->less_rounds > 0) return false;
    clamp->level = fmax(clamp->level, clamp->mean);
    clamp->rtt_ns = round->rtt_ns;
    if (clamp->gain <= CLAMP_GAIN || round->now_ns < clamp->resting_until_ns) return false;
    if (round->trips < 1 + CLAMP_QUEUE) return false;
    return clamp_lower(clamp, clamp->gain);
}

static bool (*const clamp_rows[])(struct clamp *clamp, const struct clamp_round *round) = {
    clamp_on_free, clamp_on_lowering, clamp_on_raised, clamp_on_held};

/* --- rounds --- */

static void clamp_begin_round(struct clamp *clamp, uint64_t now_ns,
                              const struct sample_totals *totals)
{
    clamp->began_ns = now_ns;
    clamp->delivered_bytes = totals->delivered_bytes;
    clamp->sent_bytes = totals->sent_bytes;
    clamp->rtt_sum_ns = clamp->rtt_count = 0;
}

/* What is changed at its start shows in its second half: that takes a round trip, as long as it is
 * now. */
static uint64_t clamp_round_ns(const struct clamp *clamp, uint64_t rtt_ns)
{
    uint64_t now_ns = max_u64(clamp->rtt_now_ns, rtt_ns);

    return max_u64(sample_round_ns(rtt_ns, rtt_ns), min_u64(4 * now_ns, CLAMP_ROUND_NS_MAX));
}

bool clamp_tick(struct clamp *clamp, uint64_t now_ns, const struct sample_totals *totals,
                uint64_t rtt_ns)
{
    if (clamp->began_ns == 0) clamp_begin_round(clamp, now_ns, totals);
    uint64_t passed_ns = now_ns - clamp->began_ns, round_ns = clamp_round_ns(clamp, rtt_ns);
    if (totals->rtt_now_ns > 0 && (clamp->rtt_now_ns == 0 || 2 * passed_ns >= round_ns)) {
        clamp->rtt_sum_ns += totals->rtt_now_ns;
        clamp->rtt_count++;
    }
    if (sample_is_late(totals, now_ns)) round_ns += SAMPLE_WAIT_NS;
    if (passed_ns == 0 || passed_ns < round_ns) return false;
    uint64_t delivered = totals->delivered_bytes - clamp->delivered_bytes;
    uint64_t sent = totals->sent_bytes - clamp->sent_bytes;
    clamp->rtt_now_ns = clamp->rtt_count > 0 ? clamp->rtt_sum_ns / clamp->rtt_count : 0;
    clamp->rate_bytes_per_s = (double)delivered / (double)passed_ns * (double)NS_PER_S;
    clamp_begin_round(clamp, now_ns, totals);
    if (delivered == 0 || clamp->rtt_now_ns == 0) return clamp_release(clamp, "nothing comes");
    if (sent > delivered / CLAMP_SENT_SHARE) return clamp_release(clamp, "more is sent");
    if (rtt_ns < CLAMP_SHORT_NS) return clamp_release(clamp, "the path is short");
    const struct clamp_round round = {.now_ns = now_ns,
                                      .rtt_ns = rtt_ns,
                                      .rate = clamp->rate_bytes_per_s,
                                      .trips = (double)clamp->rtt_now_ns / (double)rtt_ns};
    return clamp_rows[clamp->state](clamp, &round);
}

/* --- a connection --- */

struct clamp_terms clamp_terms(const struct clamp *clamp, uint64_t flows)
{
    if (clamp->state == CLAMP_FREE) return (struct clamp_terms){0};
    double share = clamp_bytes(clamp) / (double)max_u64(flows, 1);
    return (struct clamp_terms){
        .share_bytes = max_u64((uint64_t)share, CLAMP_BYTES_MIN),
        .flight_ns = (uint64_t)(clamp->gain * (double)clamp->rtt_ns),
        .rate_ns = max_u64(CLAMP_RATE_RTTS * clamp->rtt_ns, CLAMP_RATE_NS_MIN),
    };
}

double clamp_mean_rate(const struct clamp_terms *terms, double rate, uint64_t received_bytes,
                       uint64_t passed_ns)
{
    if (passed_ns == 0) return rate;
    uint64_t mean_ns = max_u64(terms->rate_ns, CLAMP_RATE_NS_MIN);
    double now = (double)received_bytes / (double)passed_ns * (double)NS_PER_S;
    return rate + (now - rate) * fmin(1, (double)passed_ns / (double)mean_ns);
}

uint32_t clamp_window(const struct clamp_terms *terms, double rate)
{
    if (terms->share_bytes == 0) return 0;
    double own = rate * (double)terms->flight_ns / (double)NS_PER_S;
    return (uint32_t)fmin(fmax(own, (double)terms->share_bytes), INT32_MAX);
}
