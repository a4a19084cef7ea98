#include "sched/ledbat.h"

#include <math.h>

#include "core/check.h"

#define LEDBAT_GAIN         0.25 /* see the header, also for the next three */
#define LEDBAT_GAIN_NEAR    (1.0 / 16)
#define LEDBAT_NEAR         0.8
#define LEDBAT_CUT_MOST     0.3
#define LEDBAT_WINDOW_MIN   (2 * LEDBAT_SEGMENT)  /* RFC 6817, MIN_CWND */
#define LEDBAT_WINDOW_START (10 * LEDBAT_SEGMENT) /* RFC 6928 */
#define LEDBAT_LOSS_MIN                                                                            \
    0.002 /* of what was sent since the last look: a full buffer drops several */
#define LEDBAT_LOSS_WEIGHT 50.0
#define LEDBAT_MEASURE_NS  (200 * NS_PER_MS) /* four ticks: their jitter stays below 10 % */
/* Of what comes through, since a rate that is not used says nothing, and comes as a burst later. */
#define LEDBAT_AHEAD_START 2.0
#define LEDBAT_AHEAD       1.5
#define LEDBAT_AHEAD_NEAR  1.1
#define LEDBAT_UNUSED      0.9 /* of a window that is beyond that, a look */
#define LEDBAT_BACK        0.9 /* when the queue is too long: what was beyond that stands in it */

void ledbat_init(struct ledbat *l)
{
    *l = (struct ledbat){.rate_bytes_per_s = LEDBAT_RATE_START,
                         .told_bytes_per_s = LEDBAT_RATE_START,
                         .state = LEDBAT_START,
                         .why = "start"};
    window_init(&l->base, WINDOW_LEAST, LEDBAT_BASE_NS);
    window_init(&l->longest, WINDOW_GREATEST, LEDBAT_LONGEST_NS);
}

uint64_t ledbat_target_ns(const struct ledbat *l)
{
    return min_u64(max_u64(l->base_ns / 4, LEDBAT_TARGET_NS_MIN), LEDBAT_TARGET_NS_MAX);
}

const char *ledbat_state_name(enum ledbat_state state)
{
    static const char *const names[] = {
        [LEDBAT_START] = "start", [LEDBAT_STEADY] = "steady", [LEDBAT_REST] = "rest"};
    return names[state];
}

/* In which a change of the rate shows. */
static uint64_t ledbat_round_ns(const struct ledbat *l)
{
    return l->base_ns + l->queue_ns + LEDBAT_LAG_NS;
}

static void ledbat_learn_base(struct ledbat *l, const struct ledbat_look *look)
{
    uint64_t least_ns = look->rtt_min_ns;
    if (look->rtt_ns > 0 && (least_ns == 0 || look->rtt_ns < least_ns)) least_ns = look->rtt_ns;
    if (least_ns == 0) return;
    window_add(&l->base, look->now_ns, (double)least_ns);
    l->base_ns = (uint64_t)window_value(&l->base);
}

static void ledbat_measure(struct ledbat *l, const struct ledbat_look *look)
{
    uint64_t passed_ns = look->now_ns - l->from.now_ns;
    if (l->from.now_ns == 0 || l->state == LEDBAT_REST) {
        l->from = *look;
        l->delivered_bytes_per_s = 0;
        return;
    }
    if (passed_ns < max_u64(ledbat_round_ns(l), LEDBAT_MEASURE_NS)) return;
    uint64_t bytes = look->delivered_bytes - l->from.delivered_bytes;
    l->delivered_bytes_per_s = (double)bytes * (double)NS_PER_S / (double)passed_ns;
    l->from = *look;
}

static void ledbat_enter(struct ledbat *l, enum ledbat_state state, uint64_t now_ns,
                         const char *why)
{
    l->state = state;
    l->state_ns = now_ns;
    l->why = why;
}

/* Where the path was full before, it is approached slowly: a queue shows a round late. */
static bool ledbat_is_near(const struct ledbat *l)
{
    double rate = l->rate_bytes_per_s / fmax(l->full_bytes_per_s, 1);
    return rate > LEDBAT_NEAR && rate < 1 / LEDBAT_NEAR;
}

static void ledbat_step_back(struct ledbat *l)
{
    double came = l->delivered_bytes_per_s * (double)(l->base_ns + LEDBAT_LAG_NS) / 1e9;
    if (came > 0) l->window_bytes = fmin(l->window_bytes, LEDBAT_BACK * came);
}

/* A window that the path, the server or we do not fill says nothing of the path. */
static void ledbat_bound(struct ledbat *l, double before)
{
    double ahead = l->state == LEDBAT_START ? LEDBAT_AHEAD_START
                   : ledbat_is_near(l)      ? LEDBAT_AHEAD_NEAR
                                            : LEDBAT_AHEAD;
    double most = ahead * l->delivered_bytes_per_s * (double)ledbat_round_ns(l) / 1e9;
    if (l->delivered_bytes_per_s > 0 && l->window_bytes > most)
        l->window_bytes = fmax(most, LEDBAT_UNUSED * fmin(before, l->window_bytes));
    l->window_bytes = fmax(l->window_bytes, LEDBAT_WINDOW_MIN);
}

/* The share of the round that lies between two looks, at most all of it. */
static double ledbat_share(const struct ledbat *l, const struct ledbat_look *look)
{
    if (l->seen.now_ns == 0) return 0;
    return fmin(1, (double)(look->now_ns - l->seen.now_ns) / (double)ledbat_round_ns(l));
}

/* Is a loss that of a full buffer? Where the queue can be as long as half the target, it must be,
 * and several packets must be lost. In a shorter one any loss counts that meets half of the longest
 * queue seen; of a download, where packets that were overtaken count a little, half a segment. */
static bool ledbat_is_overflow(const struct ledbat *l, double share, bool is_sent)
{
    uint64_t target_ns = ledbat_target_ns(l), longest_ns = (uint64_t)window_value(&l->longest);
    if (longest_ns >= target_ns / 2) return l->queue_ns > target_ns / 2 && share >= LEDBAT_LOSS_MIN;
    if (!is_sent && l->lost_bytes < LEDBAT_SEGMENT / 2) return false;
    return l->queue_ns > max_u64(longest_ns, LEDBAT_TARGET_NS_MIN) / 2;
}

/* What was lost since the last look, of what went that way. */
static double ledbat_loss(const struct ledbat *l, const struct ledbat_look *look, bool is_sent)
{
    uint64_t sent = look->sent_bytes - l->seen.sent_bytes;
    uint64_t delivered = look->delivered_bytes - l->seen.delivered_bytes;
    if (is_sent) return (double)(look->resent_bytes - l->seen.resent_bytes) / fmax((double)sent, 1);
    return (double)(look->lost_bytes - l->seen.lost_bytes) / fmax((double)delivered, 1);
}

/* True when something was lost and the window is smaller for it. */
static bool ledbat_answer_loss(struct ledbat *l, const struct ledbat_look *look)
{
    if (l->seen.now_ns == 0) return false;
    /* By the sums, since in a look there may be little but acknowledgements. */
    bool is_sent = sample_is_sent(look->sent_bytes, look->delivered_bytes);
    double share = ledbat_loss(l, look, is_sent);
    l->lost_bytes *= 1 - ledbat_share(l, look);
    l->lost_bytes += (double)(look->lost_bytes - l->seen.lost_bytes);
    if (share <= 0) return false;
    if (!ledbat_is_overflow(l, share, is_sent)) {
        l->window_bytes *= fmax(0.5, 1 - LEDBAT_LOSS_WEIGHT * share * ledbat_share(l, look));
        return false;
    }
    if (look->now_ns - l->halved_ns < ledbat_round_ns(l)) return false;
    l->halved_ns = look->now_ns;
    l->lost_bytes = 0;
    l->window_bytes /= 2;
    return true;
}

static void ledbat_start(struct ledbat *l, const struct ledbat_look *look)
{
    bool is_full = l->queue_ns > ledbat_target_ns(l) / 4 * 3;
    double before = l->window_bytes;
    if (!ledbat_answer_loss(l, look) && !is_full) {
        l->window_bytes *= 1 + LEDBAT_GAIN * ledbat_share(l, look);
        ledbat_bound(l, before);
        return;
    }
    ledbat_step_back(l);
    ledbat_bound(l, before);
    ledbat_enter(l, LEDBAT_STEADY, look->now_ns, is_full ? "a queue grows" : "losses");
    l->rest_at_ns = look->now_ns + 2 * ledbat_round_ns(l); /* as LEDBAT++ */
}

static void ledbat_steady(struct ledbat *l, const struct ledbat_look *look)
{
    double target = (double)ledbat_target_ns(l), before = l->window_bytes;
    double off = (target - (double)l->queue_ns) / target, share = ledbat_share(l, look);
    double gain = ledbat_is_near(l) ? LEDBAT_GAIN_NEAR : LEDBAT_GAIN;
    if (ledbat_answer_loss(l, look)) {
        ledbat_bound(l, before);
        return;
    }
    bool holds = l->halved_ns > 0 && look->now_ns - l->halved_ns < LEDBAT_HOLD_NS;
    if (off > 0 && !holds)
        l->window_bytes += share * (LEDBAT_SEGMENT + before * gain * off * off);
    else if (off <= 0 && !l->is_full)
        ledbat_step_back(l);
    else if (off <= 0)
        l->window_bytes += share * before * fmax(LEDBAT_GAIN * off, -LEDBAT_CUT_MOST);
    l->is_full = off <= 0;
    ledbat_bound(l, before);
    if (look->now_ns < l->rest_at_ns || l->window_bytes < 2 * LEDBAT_WINDOW_MIN) return;
    ledbat_enter(l, LEDBAT_REST, look->now_ns, "looks for the least round trip");
}

static void ledbat_rest(struct ledbat *l, const struct ledbat_look *look)
{
    uint64_t rest_ns = 2 * ledbat_round_ns(l);
    if (look->now_ns - l->state_ns < rest_ns) return;
    ledbat_enter(l, LEDBAT_STEADY, look->now_ns, "rested");
    l->rest_at_ns = look->now_ns + max_u64(LEDBAT_REST_EVERY * rest_ns, LEDBAT_REST_NS);
}

static void ledbat_step(struct ledbat *l, const struct ledbat_look *look)
{
    switch (l->state) {
    case LEDBAT_START: ledbat_start(l, look); return;
    case LEDBAT_STEADY: ledbat_steady(l, look); return;
    case LEDBAT_REST: ledbat_rest(l, look); return;
    }
}

static void ledbat_set_rate(struct ledbat *l)
{
    double window = l->state == LEDBAT_REST ? LEDBAT_WINDOW_MIN : l->window_bytes;
    double rate = window * 1e9 / (double)ledbat_round_ns(l);
    l->rate_bytes_per_s = fmax(rate, LEDBAT_RATE_MIN);
}

static bool ledbat_tell(struct ledbat *l, enum ledbat_state before)
{
    double rate = l->rate_bytes_per_s, told = l->told_bytes_per_s;
    bool differs = rate > told * (1 + LEDBAT_TELL) || rate < told / (1 + LEDBAT_TELL);
    if (l->state == before && !differs) return false;
    if (l->state == before) {
        bool yields = l->queue_ns > ledbat_target_ns(l);
        l->why = yields ? "others want the path" : rate > told ? "there is room" : "less is needed";
    }
    l->told_before_bytes_per_s = told;
    l->told_bytes_per_s = rate;
    return true;
}

bool ledbat_tick(struct ledbat *l, const struct ledbat_look *look)
{
    enum ledbat_state before = l->state;
    CHECK(look->now_ns >= l->seen.now_ns);
    ledbat_learn_base(l, look);
    if (look->rtt_ns == 0) {
        /* Nothing came back: nothing is known. A rest ends by the clock, and begins so. */
        if (l->state == LEDBAT_REST) ledbat_rest(l, look);
    } else {
        l->queue_ns = look->rtt_ns - min_u64(l->base_ns, look->rtt_ns);
        if (l->window_bytes == 0)
            l->window_bytes =
                fmax(LEDBAT_WINDOW_START, LEDBAT_RATE_START * (double)ledbat_round_ns(l) / 1e9);
        if (l->queue_ns > ledbat_target_ns(l) && l->seen.now_ns > 0)
            l->yielded_ns += min_u64(look->now_ns - l->seen.now_ns, NS_PER_S);
        window_add(&l->longest, look->now_ns, (double)l->queue_ns);
        ledbat_measure(l, look);
        if (l->queue_ns > ledbat_target_ns(l) && l->delivered_bytes_per_s > 0)
            l->full_bytes_per_s = l->delivered_bytes_per_s;
        ledbat_step(l, look);
        l->seen = *look;
    }
    if (l->window_bytes == 0) return false;
    ledbat_set_rate(l);
    return ledbat_tell(l, before);
}
