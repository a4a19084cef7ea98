#include "sched/tune.h"

#include <math.h>

#include "core/check.h"

static struct tune *tune_of(struct cc *cc)
{
    return container_of(cc, struct tune, cc);
}

/* --- resting --- */

static void tune_rest(struct tune *tune, uint32_t rounds, const char *why)
{
    tune->state = TUNE_REST;
    tune->cc.state = "rest";
    tune->rest = rounds;
    tune->rested = 0;
    cc_set(&tune->cc, tune->level, why);
}

static double tune_next(const struct tune *tune)
{
    const struct cc_limits *limits = &tune->cc.limits;
    double up = fmax(tune->level * TUNE_STEP, tune->level + 1);
    double step = scout_doubts(&tune->scout) > 0 ? TUNE_STEP_DOUBT : TUNE_STEP;
    double down = fmin(tune->level / step, tune->level - 1);
    return tune->upward ? fmin(up, limits->max) : fmax(down, limits->min);
}

/* Whole requests are what can differ. */
static bool tune_differs(const struct tune *tune)
{
    return lround(tune->other) != lround(tune->level);
}

static void tune_begin_slot(struct tune *tune)
{
    tune->slot_ns = 0;
    tune->slot_bytes = tune->slot_s = 0;
    tune->slot_lags = false;
}

static void tune_try(struct tune *tune)
{
    if (tune->cpu_limited) tune->upward = false;
    tune->other = tune_next(tune);
    if (!tune_differs(tune)) { /* at a limit: the other way */
        tune->upward = !tune->upward && !tune->cpu_limited;
        tune->other = tune_next(tune);
    }
    if (!tune_differs(tune)) {
        tune_rest(tune, TUNE_REST_MAX, "there is no other window to try");
        return;
    }
    tune->state = TUNE_TRY;
    tune->cc.state = tune->upward ? "trying more" : "trying less";
    double whole = fmax(lround(tune->other), 1) / fmax(lround(tune->level), 1);
    tune->scout.slack = fmax(SCOUT_SLACK, fabs(log(whole)) + TUNE_MARGIN);
    tune->slot = tune->pairs = 0;
    tune->sum = tune->square_sum = 0;
    tune_begin_slot(tune);
}

/* --- an experiment --- */

/* A B B A A B B A: is this slot one of B's? */
static bool tune_is_other(uint32_t slot)
{
    return (slot + 1) / 2 % 2 == 1;
}

enum tune_verdict { TUNE_GO_ON, TUNE_BETTER, TUNE_EQUAL_WITH_LESS, TUNE_NOT_BETTER };

/* What decides is more than a doubted path does by itself. */
static double tune_plain(const struct tune *tune)
{
    double doubt = scout_doubts(&tune->scout);
    return doubt > 0 ? fmax(TUNE_PLAIN, 2 * tune->scout.sigma) : TUNE_PLAIN;
}

/* After the pairs that a decision usually takes. */
static enum tune_verdict tune_judge_doubt(const struct tune *tune, double gain, double error)
{
    if (tune->upward || scout_doubts(&tune->scout) <= 0) return TUNE_NOT_BETTER;
    if (gain > error - TUNE_EQUAL) return TUNE_EQUAL_WITH_LESS;
    return tune->pairs < TUNE_PAIRS_DOUBT ? TUNE_GO_ON : TUNE_NOT_BETTER;
}

static enum tune_verdict tune_judge(const struct tune *tune)
{
    double count = tune->pairs;
    double mean = tune->sum / count;
    double gain = mean - TUNE_COST * log(tune->other / tune->level) - TUNE_MARGIN;
    if (tune->pairs == 1) {
        if (gain > tune_plain(tune)) return TUNE_BETTER;
        return gain < -tune_plain(tune) ? TUNE_NOT_BETTER : TUNE_GO_ON;
    }
    double variance = fmax(0, tune->square_sum / count - mean * mean) * count / (count - 1);
    double least = TUNE_SIGMA_MIN + scout_doubts(&tune->scout) / 2;
    double error = fmax(sqrt(variance), least) / sqrt(count);
    if (gain > 2 * error) return TUNE_BETTER;
    if (gain < -2 * error) return TUNE_NOT_BETTER;
    return tune->pairs < TUNE_PAIRS_MAX ? TUNE_GO_ON : tune_judge_doubt(tune, gain, error);
}

static void tune_to_model(struct tune *tune);

/* What was plainly more says that the path has much more to give: the model finds it faster. */
static void tune_start_up(struct tune *tune, double before)
{
    bbr_remember(&tune->bbr, before, tune->scout.level);
    tune->bbr.cc.window = tune->level;
    bbr_start_up(&tune->bbr);
    tune_to_model(tune);
}

static void tune_accept(struct tune *tune)
{
    double mean = tune->sum / tune->pairs;

    bool doubted = scout_doubts(&tune->scout) > 0;
    double before = doubted ? tune->level : tune->other;
    tune->level = tune->other;
    tune->rest = TUNE_REST_ROUNDS;
    scout_shift(&tune->scout, mean); /* by our own doing */
    if (tune->upward && mean > tune_plain(tune)) {
        tune_start_up(tune, before);
    } else {
        tune_try(tune);
    }
}

static uint32_t tune_longer_rest(const struct tune *tune)
{
    bool doubted = scout_doubts(&tune->scout) > 0;
    return (uint32_t)min_u64(2 * tune->rest, doubted ? TUNE_REST_DOUBT : TUNE_REST_MAX);
}

static void tune_end_pair(struct tune *tune)
{
    double difference = log(fmax(tune->rates[1], 1)) - log(fmax(tune->rates[0], 1));

    tune->pairs++;
    tune->sum += difference;
    tune->square_sum += difference * difference;
    switch (tune_judge(tune)) {
    case TUNE_BETTER: tune_accept(tune); break;
    case TUNE_EQUAL_WITH_LESS:
        cc_set(&tune->cc, tune->other, "an uneven path, on which less brings as much");
        tune_accept(tune);
        break;
    case TUNE_NOT_BETTER:
        tune->upward = !tune->upward;
        tune_rest(tune, tune_longer_rest(tune), "it was not better");
        break;
    default: break;
    }
}

/* More is in flight than the slot's window, as parts of before go on: nothing is learnt of less. On
 * a path that is doubted less is tried because there may be far too much: that is soon gone. */
static bool tune_waits(struct tune *tune, const struct sample *sample)
{
    if (tune->upward || scout_doubts(&tune->scout) > 0) return false;
    if (sample->load <= TUNE_FOLLOWED * (double)lround(tune->cc.window)) return false;
    if (sample->now_ns - tune->slot_ns > TUNE_FOLLOW_NS)
        tune_rest(tune, tune_longer_rest(tune), "what is in flight follows too slowly");
    return true;
}

/* A glance of the slot; its rate is the mean over two rounds. */
static void tune_on_try(struct tune *tune, const struct sample *sample)
{
    uint64_t settle_ns = sample_round_ns(sample->rtt_ns, sample->answer_ns);

    if (tune->slot_ns == 0) tune->slot_ns = sample->now_ns - sample->interval_ns;
    if (sample->now_ns - sample->interval_ns < tune->slot_ns + settle_ns) return;
    if (tune->slot_s <= 0 && !tune->slot_lags && tune_waits(tune, sample)) return;
    if (!tune->slot_lags) {
        double interval_s = (double)sample->interval_ns / (double)NS_PER_S;
        tune->slot_bytes += sample->rate_bytes_per_s * interval_s;
        tune->slot_s += interval_s;
    }
    tune->slot_lags = false;
    if (tune->slot_s * (double)NS_PER_S < (TUNE_SLOT_ROUNDS - 1) * (double)settle_ns) return;
    tune->rates[tune_is_other(tune->slot)] = tune->slot_bytes / tune->slot_s;
    tune->slot++;
    tune_begin_slot(tune);
    if (tune->slot % 2 == 0) tune_end_pair(tune);
}

/* --- who owns the window --- */

static void tune_to_model(struct tune *tune)
{
    tune->state = TUNE_MODEL;
    tune->rest = TUNE_REST_ROUNDS;
    tune->upward = true;
    scout_forget(&tune->scout, tune->scout.pulse_ns);
}

/* More was too much: it is tried again, but later each time. */
static void tune_on_loss(struct tune *tune)
{
    uint32_t rest = (uint32_t)min_u64(2 * tune->rest, TUNE_REST_MAX);

    tune_to_model(tune);
    tune->rest = rest;
}

/* On a short path bbr knows too little after its first round: the window stays until experiments
 * say more. */
static void tune_follow_model(struct tune *tune, const struct sample *sample)
{
    const struct bbr *bbr = &tune->bbr;

    if (!bbr->is_short || bbr->starts_anyway || bbr->ceiling > 0)
        cc_set(&tune->cc, bbr->cc.window, bbr->cc.why);
    tune->cc.state = bbr->cc.state;
    tune->level = tune->cc.window;
    if (bbr->state != BBR_CRUISE || bbr->rounds_here == 0) return;
    scout_believe(&tune->scout, bbr->scout.sigma);
    /* There pulses and what is found by chance have only added. */
    if (scout_doubts(&tune->scout) > 0) tune->upward = false;
    tune_rest(tune, tune->rest, tune->cc.why);
    if (!sample->app_limited) scout_seed(&tune->scout, sample);
}

static void tune_set_window(struct tune *tune)
{
    if (tune->scout.pulsing)
        cc_set(&tune->cc, scout_window(tune->level), "looking whether the path has more");
    else if (tune->state == TUNE_TRY && tune_is_other(tune->slot))
        cc_set(&tune->cc, tune->other, tune->upward ? "tries more" : "tries less");
    else if (tune->state == TUNE_TRY)
        cc_set(&tune->cc, tune->level, "compares with before");
    else if (tune->state == TUNE_REST)
        cc_set(&tune->cc, tune->level, "nothing more came");
}

static enum scout_view tune_view(const struct tune *tune)
{
    if (tune->state == TUNE_REST) return SCOUT_LEVEL;
    if (tune_is_other(tune->slot)) return tune->upward ? SCOUT_MORE : SCOUT_OTHER;
    return tune->slot == 0 || tune->slot_s > 0 ? SCOUT_LEVEL : SCOUT_OTHER;
}

static bool tune_on_glance(struct cc *cc, const struct sample *sample)
{
    struct tune *tune = tune_of(cc);
    bool pulsed = tune->scout.pulsing;

    if (tune->state == TUNE_MODEL) return cc_on_glance(&tune->bbr.cc, sample);
    int news = scout_on_glance(&tune->scout, sample, tune_view(tune));
    if (news > 0 && cc->window > tune->level) {
        double before = scout_doubts(&tune->scout) > 0 ? tune->level : cc->window;
        tune->level = cc->window;
        tune_start_up(tune, before);
        return true;
    }
    if (news != 0) {
        bbr_remember(&tune->bbr, tune->level, tune->scout.level);
        cc_on_change(cc);
        return true;
    }
    if (tune->state == TUNE_TRY && sample->app_limited)
        tune_rest(tune, tune->rest, "the experiment lacked work");
    else if (tune->state == TUNE_TRY && !pulsed && !tune->scout.falling)
        tune_on_try(tune, sample);
    if (pulsed) tune->slot_lags = true;
    tune_set_window(tune);
    return false;
}

static void tune_on_sample(struct cc *cc, const struct sample *sample)
{
    struct tune *tune = tune_of(cc);
    bool owned = tune->state != TUNE_MODEL;

    if (owned) tune->bbr.cc.window = cc->window;
    cc_on_sample(&tune->bbr.cc, sample);
    tune->cpu_limited = sample_is_cpu_limited(sample);
    if (tune->bbr.lost) scout_refuse(&tune->scout, sample->now_ns);
    if (owned && tune->bbr.lost) tune_on_loss(tune);
    if (tune->state == TUNE_MODEL) {
        tune_follow_model(tune, sample);
    } else if (tune->state == TUNE_REST) {
        tune->rested += !sample->app_limited;
        if (tune->rested > tune->rest) tune_try(tune);
    } else if (tune->upward && tune->cpu_limited) {
        tune_rest(tune, tune->rest, "the cores have no time for more");
    }
    tune_set_window(tune);
}

static void tune_on_change(struct cc *cc)
{
    struct tune *tune = tune_of(cc);
    tune->bbr.cc.window = tune->level;
    cc_on_change(&tune->bbr.cc);
    tune_to_model(tune);
}

static const struct cc_kind tune_kind = {
    .on_sample = tune_on_sample, .on_glance = tune_on_glance, .on_change = tune_on_change};

void tune_init(struct tune *tune, const struct cc_limits *limits)
{
    *tune = (struct tune){.level = limits->start};
    cc_init(&tune->cc, &tune_kind, limits);
    bbr_init(&tune->bbr, limits);
    scout_init(&tune->scout, 0);
    tune_to_model(tune);
}
