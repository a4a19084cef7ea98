#include "sched/prefix.h"

#include <math.h>
#include <string.h>

#include "core/check.h"

void prefix_init(struct prefix *prefix, uint64_t now_ns)
{
    *prefix = (struct prefix){
        .weight = 1, .why = "start", .tokens_ns = now_ns, .hold_ns = PREFIX_HOLD_NS};
}

/* --- tokens --- */

static void prefix_refill(struct prefix *prefix, uint64_t now_ns)
{
    double passed_s = (double)(now_ns - prefix->tokens_ns) / (double)NS_PER_S;
    double rate = prefix->rate_per_s;
    double most = 1 + fmax(PREFIX_BURST_S * rate, fmin(PREFIX_BURST, PREFIX_BURST_SLOW_S * rate));

    prefix->tokens = fmin(most, prefix->tokens + passed_s * prefix->rate_per_s);
    prefix->tokens_ns = now_ns;
}

bool prefix_may_go(struct prefix *prefix, uint64_t now_ns)
{
    if (prefix->paused || (prefix->kept > 0 && prefix->in_flight >= prefix->kept_most))
        return false;
    if (prefix->window > 0 && prefix->in_flight >= floor(prefix->window)) {
        prefix->window_bound = true;
        return false;
    }
    if (prefix->rate_per_s <= 0) return true;
    prefix_refill(prefix, now_ns);
    if (prefix->tokens >= 1) return true;
    prefix->rate_bound = true;
    return false;
}

void prefix_on_go(struct prefix *prefix)
{
    prefix->in_flight++;
    if (prefix->in_flight > prefix->flight_most) prefix->flight_most = prefix->in_flight;
    if (prefix->rate_per_s > 0) prefix->tokens--;
}

void prefix_on_back(struct prefix *prefix)
{
    CHECK(prefix->in_flight > 0);
    prefix->in_flight--;
}

void prefix_pause(struct prefix *prefix)
{
    if (prefix->echo == 0) prefix->paused = true;
}

void prefix_keep(struct prefix *prefix)
{
    if (prefix->rate_per_s > 0) return;
    if (prefix->kept == 0) prefix->kept_most = fmax(prefix->in_flight, 1);
    prefix->kept = PREFIX_KEEP_ROUNDS;
}

/* --- rounds --- */

static uint32_t prefix_answered(const struct prefix *prefix)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < prefix->known; i++)
        sum += prefix->answered[(prefix->round + PREFIX_HISTORY - i) % PREFIX_HISTORY];
    return sum;
}

/* And in how many seconds. */
static double prefix_known_s(const struct prefix *prefix)
{
    uint64_t sum_ns = 0;

    for (uint32_t i = 0; i < prefix->known; i++)
        sum_ns += prefix->interval_ns[(prefix->round + PREFIX_HISTORY - i) % PREFIX_HISTORY];
    return (double)sum_ns / (double)NS_PER_S;
}

static void prefix_hold(struct prefix *prefix, uint64_t now_ns)
{
    if (prefix->state == PREFIX_PROBING)
        prefix->hold_ns = min_u64(2 * prefix->hold_ns, PREFIX_HOLD_NS_MAX);
    prefix->state = PREFIX_HELD;
    prefix->held_until_ns = now_ns + prefix->hold_ns;
    prefix->echo = PREFIX_ECHO_ROUNDS;
    prefix->steady = prefix->loose = 0;
}

/* What was answered is the limit, where it is enough to be told from chance. */
static void prefix_cut_rate(struct prefix *prefix, const struct prefix_round *round,
                            uint32_t answered)
{
    double rate = PREFIX_RATE_BETA * prefix->rate_per_s;

    if (answered >= PREFIX_ANSWERED_MIN) {
        double beta = round->brisk && rate <= 0 ? PREFIX_BRISK_BETA : PREFIX_RATE_BETA;
        double found = beta * answered / prefix_known_s(prefix);
        rate = rate > 0 ? fmin(rate, found) : found;
    }
    if (rate > 0) prefix->rate_per_s = fmax(rate, PREFIX_RATE_MIN);
}

static bool prefix_on_loss(struct prefix *prefix, const struct prefix_round *round)
{
    uint32_t answered = prefix_answered(prefix);

    if (round->common && !round->brisk && ++prefix->common < PREFIX_COMMON_ROUNDS) return false;
    if (prefix->echo > 0 || prefix->known < PREFIX_KNOWN_MIN) return false;
    if (round->common && answered < PREFIX_ANSWERED_MIN) return false;
    prefix_cut_rate(prefix, round, answered);
    prefix->is_its_own = !round->common && prefix->rate_per_s > 0;
    /* The server has nothing saved up either. */
    prefix->tokens = prefix->state == PREFIX_FREE ? -PREFIX_DEBT_S * prefix->rate_per_s : 0;
    prefix->tokens_ns = round->now_ns;
    if (!round->common || round->brisk)
        prefix->window = fmax(1, PREFIX_WINDOW_BETA * prefix->flight_most);
    prefix->why = !round->common ? "requests to this prefix were refused"
                  : round->brisk
                      ? "all prefixes are refused, and answers are as quick as ever"
                      : "the server refuses all prefixes, and fewer in flight did not help";
    prefix_hold(prefix, round->now_ns);
    return true;
}

static bool prefix_free(struct prefix *prefix)
{
    prefix->state = PREFIX_FREE;
    prefix->window = prefix->rate_per_s = 0;
    prefix->is_its_own = false;
    prefix->hold_ns = PREFIX_HOLD_NS;
    prefix->why = "its limits were not reached for long";
    return true;
}

/* A second's growth, by how long nothing was refused. */
static double prefix_growth(const struct prefix *prefix)
{
    static const double steps[] = {0.01, 0.03, 0.25};

    return steps[min_u64(prefix->steady / PREFIX_STEP_ROUNDS, ARRAY_COUNT(steps) - 1)];
}

static bool prefix_is_used(const struct prefix *prefix)
{
    double wanted = PREFIX_USED * prefix->rate_per_s * prefix_known_s(prefix);

    return prefix_answered(prefix) + 1 >= wanted;
}

/* Growth only where the limit was felt: what was not tried says nothing. */
static bool prefix_grow(struct prefix *prefix, const struct prefix_round *round)
{
    double interval_s = (double)round->interval_ns / (double)NS_PER_S;
    bool bound = prefix->rate_bound || prefix->window_bound;

    if (prefix->window > 0 && prefix->window_bound) {
        prefix->window++;
        prefix->why = "nothing was refused at its limits";
    }
    if (prefix->state == PREFIX_HELD) {
        if (round->now_ns >= prefix->held_until_ns) prefix->state = PREFIX_PROBING;
        return false;
    }
    prefix->loose = bound ? 0 : prefix->loose + 1;
    if (prefix->loose >= PREFIX_LOOSE_ROUNDS) return prefix_free(prefix);
    if (!prefix->rate_bound || !prefix_is_used(prefix)) return false;
    prefix->steady++;
    prefix->why = "nothing was refused at its limits";
    prefix->rate_per_s +=
        fmax(prefix_growth(prefix) * prefix->rate_per_s, PREFIX_GROWTH_MIN) * interval_s;
    if (prefix->steady > 2 * PREFIX_STEP_ROUNDS) prefix->hold_ns = PREFIX_HOLD_NS;
    return false;
}

/* A round in which nothing was in flight says nothing of the server. */
static void prefix_remember(struct prefix *prefix, const struct prefix_round *round)
{
    bool idle = prefix->flight_most == 0 && round->answered == 0 && round->refused == 0;

    prefix->round = (prefix->round + 1) % PREFIX_HISTORY;
    prefix->answered[prefix->round] = round->answered;
    prefix->interval_ns[prefix->round] = round->interval_ns;
    prefix->known = idle ? 0 : (uint32_t)min_u64(prefix->known + 1, PREFIX_HISTORY);
}

bool prefix_on_round(struct prefix *prefix, const struct prefix_round *round)
{
    bool news = false;

    CHECK(round->interval_ns > 0);
    prefix_remember(prefix, round);
    if (prefix->echo > 0) prefix->echo--;
    if (round->refused > 0)
        news = prefix_on_loss(prefix, round);
    else
        prefix->common = 0;
    if (round->refused == 0 && prefix->state != PREFIX_FREE) news = prefix_grow(prefix, round);
    if (prefix->rate_per_s > 0) /* they come again, unasked */
        prefix->tokens = fmax(prefix->tokens - round->refused, -prefix->rate_per_s);
    prefix->rate_bound = prefix->window_bound = prefix->paused = false;
    if (prefix->kept > 0) prefix->kept--;
    if (prefix->kept > 0) prefix->kept_most = PREFIX_KEEP_STEP * prefix->kept_most + 1;
    prefix->flight_most = prefix->in_flight;
    return news;
}
