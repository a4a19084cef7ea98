#include "sched/bbr.h"

#include <math.h>

static const struct bbr_row { /* in the order of enum bbr_state */
    const char *name;
    double gain;
} bbr_table[] = {
    {"startup", 2.0}, {"drain", 1.0}, {"cruise", 1.0},
    {"up", 1.25},     {"down", 0.9},  {"probe rtt", 0.75},
};

static struct bbr *bbr_of(struct cc *cc)
{
    return container_of(cc, struct bbr, cc);
}

double bbr_rate(const struct bbr *bbr)
{
    return window_value(&bbr->rate);
}

double bbr_slowness(const struct bbr *bbr)
{
    return window_value(&bbr->slowness);
}

/* What a request will take for a byte, when its connection is no longer young; at least what it
 * takes now. */
static double bbr_lasting_slowness(const struct bbr *bbr)
{
    double now = bbr_slowness(bbr);

    return fmax(now, fmin(bbr->foreseen, BBR_AGED_MOST * now));
}

double bbr_bdp(const struct bbr *bbr)
{
    return bbr_rate(bbr) * bbr_lasting_slowness(bbr) / (double)NS_PER_S;
}

static void bbr_enter(struct bbr *bbr, enum bbr_state state)
{
    bbr->state = state;
    bbr->cc.state = bbr_table[state].name;
    bbr->rounds_here = 0;
    if (state != BBR_STARTUP) bbr->foreseen = 0;
    if (state == BBR_CRUISE) {
        bbr->cruise_rate_sum = 0;
        bbr->cruise_rates = 0;
    }
}

/* --- the model --- */

/* Rounds in which the scout asks for more queue: so glances see it as well. */
static void bbr_see_slowness(struct bbr *bbr, const struct sample *sample)
{
    double slowness = sample_slowness(sample);
    bool near = window_is_empty(&bbr->slowness) ||
                (slowness > 0 && slowness <= BBR_SLOWNESS_NEAR * bbr_slowness(bbr));

    if (near && !sample->app_limited) bbr->slowness_at_ns = sample->now_ns;
}

/* While it has more than was measured, gaps between parts must not wear it away: round by round it
 * would come down to what connections need while they are young. */
static double bbr_slowness_of(const struct bbr *bbr, const struct sample *sample)
{
    double gaps = sample->load > 0 ? fmax(1, sample->allowed / sample->load) : 1;

    return sample_slowness(sample) * (bbr->foresaw ? gaps : 1);
}

static void bbr_learn(struct bbr *bbr, const struct sample *sample)
{
    double slowness = bbr_slowness_of(bbr, sample);

    if (sample->cut_short) return;
    if (sample->app_limited) { /* the model does not even age */
        if (sample->rate_bytes_per_s > bbr_rate(bbr))
            window_add(&bbr->rate, bbr->round, sample->rate_bytes_per_s);
        bbr->slowness_at_ns += sample->interval_ns; /* a time in which nothing could be learnt */
        return;
    }
    bbr->round++;
    if (slowness <= 0) return;
    bbr_see_slowness(bbr, sample);
    window_add(&bbr->rate, bbr->round, sample->rate_bytes_per_s);
    window_add(&bbr->slowness, bbr->round, slowness);
}

/* The least slowness holds until it is measured anew: what was seen with more in flight says
 * nothing about it. */
static void bbr_relearn_slowness(struct bbr *bbr, const struct sample *sample)
{
    double slowness = sample_slowness(sample);

    if (slowness <= 0) return;
    window_reset(&bbr->slowness);
    window_add(&bbr->slowness, bbr->round, slowness);
    bbr->slowness_at_ns = sample->now_ns;
    bbr->foresaw = false;
}

/* What was foreseen, and is in flight: of connections that were young the model keeps nothing. */
static void bbr_keep_foreseen(struct bbr *bbr)
{
    double held = bbr->drain_load * (double)NS_PER_S / bbr_rate(bbr);
    double lasting = fmin(bbr_lasting_slowness(bbr), held);

    if (lasting <= bbr_slowness(bbr)) return;
    window_reset(&bbr->slowness);
    window_add(&bbr->slowness, bbr->round, lasting);
    bbr->foresaw = true;
}

/* --- changes that were none --- */

/* The first is what to go back to: a change may be found while one is looked at. */
void bbr_remember(struct bbr *bbr, double window, double level)
{
    if (bbr->before.window <= 0) bbr->before = (struct bbr_before){window, level, 0};
}

/* Does the rate differ by more than noise explains? */
static bool bbr_is_another(const struct bbr *bbr, double by, double least)
{
    return fabs(by) > fmax(least, BBR_NOISE * bbr->scout.sigma);
}

/* By Little's law: the window before, and what the rate has grown by since more is in flight. */
static void bbr_keep(struct bbr *bbr, double window)
{
    if (window >= bbr_bdp(bbr)) return;
    window_reset(&bbr->slowness);
    window_add(&bbr->slowness, bbr->round, window * (double)NS_PER_S / bbr_rate(bbr));
    bbr->kept = true;
}

/* STARTUP has ended. */
static void bbr_judge_change(struct bbr *bbr, const struct sample *sample)
{
    const struct bbr_before before = bbr->before;
    double level = log(fmax(bbr_rate(bbr), 1));

    bbr->before = (struct bbr_before){.window = 0};
    if (before.window <= 0 || before.rate <= 0 || sample->app_limited || bbr->lost) return;
    double growth = fmax(0, level - log(before.rate));
    if (!bbr_is_another(bbr, growth, log(BBR_GROWTH)))
        bbr_keep(bbr, before.window);
    else if (scout_doubts(&bbr->scout) > 0)
        bbr_keep(bbr, before.window * exp(growth));
    if (bbr_is_another(bbr, growth, BBR_SAME) ||
        bbr_is_another(bbr, level - before.level, BBR_SAME))
        scout_trust(&bbr->scout);
    else
        scout_doubt(&bbr->scout);
}

/* --- the states: each returns the next --- */

/* Does its rate tell of the path, or of what else was in the way? */
static bool bbr_is_of_path(const struct bbr *bbr, const struct sample *sample)
{
    return !sample->app_limited && !bbr->lost && !bbr->cpu_limited && sample->refusals == 0;
}

/* As much in flight brings less, and nothing queues: what was measured is of connections that were
 * young. Once, until more has come: a path without a queue may be full, and dip by chance. */
static bool bbr_has_aged(const struct bbr *bbr, const struct sample *sample)
{
    return bbr_is_of_path(bbr, sample) && !bbr->aged && bbr->full_rate > 0 &&
           sample->load > BBR_DRAINED_LOAD * bbr->full_load &&
           sample->rate_bytes_per_s < BBR_DRAINED_LESS * bbr->full_rate &&
           sample->rtt_ns >= BBR_SHORT_NS && sample_is_loss_limited(sample);
}

static void bbr_measure_anew(struct bbr *bbr, const struct sample *sample)
{
    window_reset(&bbr->rate);
    window_add(&bbr->rate, bbr->round, sample->rate_bytes_per_s);
    bbr_relearn_slowness(bbr, sample);
    bbr->full_rate = bbr->before.rate = sample->rate_bytes_per_s;
    bbr->full_load = sample->load;
    bbr->full_rounds = 0;
    bbr->aged = true;
}

static enum bbr_state bbr_startup(struct bbr *bbr, const struct sample *sample)
{
    if (bbr->lost) return BBR_DOWN;
    bbr->foreseen = bbr->again || sample->app_limited ? 0 : sample->lasting;
    if (sample->app_limited) return BBR_STARTUP;
    if (bbr_has_aged(bbr, sample)) {
        bbr_measure_anew(bbr, sample);
        return BBR_STARTUP;
    }
    if (bbr->full_rate <= 0) bbr->before.rate = sample->rate_bytes_per_s;
    if (sample->rate_bytes_per_s >= BBR_GROWTH * bbr->full_rate) {
        bbr->full_rate = sample->rate_bytes_per_s;
        bbr->full_load = sample->load;
        bbr->full_rounds = 0;
        bbr->aged = false;
    } else {
        bbr->full_rounds++;
    }
    if (bbr->cpu_limited) bbr->foreseen = 0;
    bool full = bbr->full_rounds >= BBR_FULL_ROUNDS || bbr->cpu_limited ||
                (bbr->full_rounds > 0 && sample_loss(sample) > BBR_RESENT_SHARE);
    if (!full && (bbr->full_rounds == 0 || bbr->cc.window < bbr->cc.limits.max)) return BBR_STARTUP;
    bbr->drain_load = sample->load;
    bbr_keep_foreseen(bbr);
    return BBR_DRAIN;
}

/* What is given out is whole requests. */
static bool bbr_is_drained(const struct sample *sample, double window)
{
    return sample->load <= BBR_LOAD_NEAR * fmax(window, lround(window));
}

/* Fewer bring less: nothing queues, and what is in flight is what the path needs for that rate. */
static bool bbr_is_drained_early(const struct bbr *bbr, const struct sample *sample)
{
    return bbr_is_of_path(bbr, sample) && sample->load < BBR_DRAINED_LOAD * bbr->drain_load &&
           sample->rate_bytes_per_s < BBR_DRAINED_LESS * bbr->full_rate &&
           sample_slowness(sample) > bbr_slowness(bbr);
}

static enum bbr_state bbr_drain(struct bbr *bbr, const struct sample *sample)
{
    if (bbr_has_aged(bbr, sample)) {
        bbr_measure_anew(bbr, sample);
        return BBR_STARTUP;
    }
    if (bbr_is_drained_early(bbr, sample)) {
        bbr_relearn_slowness(bbr, sample);
        return BBR_CRUISE;
    }
    bool drained = bbr_is_drained(sample, bbr_bdp(bbr)) || bbr->rounds_here > BBR_DRAIN_ROUNDS;
    return drained ? BBR_CRUISE : BBR_DRAIN;
}

/* The first round may still be the state before. */
static enum bbr_state bbr_cruise(struct bbr *bbr, const struct sample *sample)
{
    if (bbr->lost) return BBR_DOWN;
    if (sample->app_limited || bbr->rounds_here < 2) return BBR_CRUISE;
    bbr->cruise_rate_sum += sample->rate_bytes_per_s;
    bbr->cruise_rates++;
    if (sample->now_ns - bbr->slowness_at_ns > BBR_SLOWNESS_NS) return BBR_PROBE_RTT;
    if (bbr->cruise_rates < bbr->cruise_rounds) return BBR_CRUISE;
    bbr->before_rate = bbr->cruise_rate_sum / bbr->cruise_rates;
    return bbr->cpu_limited ? BBR_DOWN : BBR_UP;
}

/* The first round brings the new requests up to speed, the second is compared. */
static enum bbr_state bbr_up(struct bbr *bbr, const struct sample *sample)
{
    if (bbr->lost) { /* it was too much: the next time later */
        bbr->cruise_rounds = (uint32_t)min_u64(2 * bbr->cruise_rounds, BBR_CRUISE_ROUNDS_MAX);
        return BBR_DOWN;
    }
    if (sample->app_limited) return BBR_CRUISE;
    if (bbr->rounds_here >= 2) bbr->cruise_rounds = BBR_CRUISE_ROUNDS;
    if (bbr->ceiling > 0) bbr->ceiling = fmax(bbr->ceiling, bbr->cc.window);
    if (bbr->rounds_here < 2) return BBR_UP;
    if (sample->rate_bytes_per_s < BBR_UP_MORE * bbr->before_rate) return BBR_DOWN;
    bbr->before_rate = sample->rate_bytes_per_s;
    bbr->rounds_here = 0;
    return BBR_UP;
}

/* Until what was more has ended; and, while fewer bring as much, ever fewer. */
static enum bbr_state bbr_down(struct bbr *bbr, const struct sample *sample)
{
    if (bbr->lost) return BBR_DOWN;
    bool drained = bbr_is_drained(sample, bbr->cc.window);
    if (sample->app_limited || bbr->rounds_here > BBR_DRAIN_ROUNDS) return BBR_CRUISE;
    if (!drained) return BBR_DOWN;
    if (sample->rate_bytes_per_s > BBR_UP_MORE * bbr->before_rate && bbr->before_rate > 0) {
        cc_on_change(&bbr->cc); /* more with fewer */
        return bbr->state;
    }
    if (bbr->ceiling > 0 || sample->rate_bytes_per_s < BBR_DOWN_LESS * bbr->before_rate)
        return BBR_CRUISE;
    bbr->rounds_here = 0;
    return BBR_DOWN;
}

static enum bbr_state bbr_probe_rtt(struct bbr *bbr, const struct sample *sample)
{
    if (bbr->rounds_here < 2) return BBR_PROBE_RTT;
    bbr_relearn_slowness(bbr, sample);
    return BBR_CRUISE;
}

static enum bbr_state (*const bbr_rows[])(struct bbr *bbr, const struct sample *sample) = {
    bbr_startup, bbr_drain, bbr_cruise, bbr_up, bbr_down, bbr_probe_rtt,
};

/* --- the window --- */

static void bbr_on_refusal(struct bbr *bbr, const struct sample *sample)
{
    /* What is in flight beyond a window that has just been made smaller is there all the same. */
    double held = sample->cut_short ? sample->load_now : fmin(bbr->cc.window, sample->load);

    if (sample->cut_short) held -= fmin(sample->refusals, BBR_REFUSED_MOST * held);

    bbr->ceiling = fmax(BBR_LOSS_BETA * held, bbr->cc.limits.min);
    scout_refuse(&bbr->scout, sample->now_ns);
}

/* Its gain is of what connections are now: what they will be is known, not searched for. */
static double bbr_startup_window(const struct bbr *bbr)
{
    return bbr_table[BBR_STARTUP].gain * bbr_rate(bbr) * bbr_slowness(bbr) / (double)NS_PER_S;
}

static const char *bbr_why(const struct bbr *bbr)
{
    if (bbr->lost) return "requests were refused or lost";
    if (bbr->scout.pulsing) return "looking whether the path has more";
    switch (bbr->state) {
    case BBR_STARTUP:
        if (bbr_bdp(bbr) > bbr_startup_window(bbr))
            return "startup: losses will make its connections slower";
        return bbr->aged ? "startup: nothing queues, its connections have become slower"
                         : "startup: the rate still grows";
    case BBR_DRAIN: return "the path is full: what queues is let out";
    case BBR_CRUISE:
        if (bbr->foresaw) return "as many as its losses will make the path need";
        if (!bbr->kept) return "the fewest with which the path was full";
        return scout_doubts(&bbr->scout) > 0 ? "no change: an uneven path, and more brought nothing"
                                             : "the window before: more brought nothing";
    case BBR_UP: return "probing for more";
    case BBR_DOWN: return "probing with less";
    default: return "probing for the least time of a request";
    }
}

static void bbr_set_window(struct bbr *bbr, const struct sample *sample)
{
    double window = bbr_table[bbr->state].gain * bbr_bdp(bbr);

    if (bbr->state == BBR_STARTUP) window = fmax(bbr_bdp(bbr), bbr_startup_window(bbr));
    if (bbr->state == BBR_DOWN && bbr_bdp(bbr) >= BBR_DOWN_WHOLE) /* fewer, in whole requests */
        window = fmin(window, lround(bbr_bdp(bbr)) - 1);
    if (bbr->state == BBR_DOWN)
        bbr->scout.slack = fmax(SCOUT_SLACK, log((bbr_bdp(bbr) + 0.5) / window) + BBR_DOWN_SLACK);
    if (window_is_empty(&bbr->slowness)) window = bbr->cc.window;
    if (bbr->state == BBR_STARTUP) { /* a rate that buffers have made is no reason for more */
        double most = bbr_table[BBR_STARTUP].gain * fmax(bbr->cc.window, sample->load);
        window = fmax(fmin(window, most), bbr->cc.window);
    }
    if (bbr->ceiling > 0) {
        double probing = bbr->state == BBR_UP ? bbr_table[BBR_UP].gain : 1;
        window = fmin(window, probing * bbr->ceiling);
    }
    if (bbr->state != BBR_CRUISE) bbr->scout.pulsing = false;
    if (bbr->scout.pulsing) window = scout_window(window);
    cc_set(&bbr->cc, window, bbr_why(bbr));
    if (bbr->state != BBR_CRUISE || bbr->scout.pulsing) return;
    if (fabs(bbr->cc.window - bbr->cruise_window) > BBR_CRUISE_DRIFT * bbr->cc.window) {
        bbr->cruise_window = bbr->cc.window; /* a rate that is another by our own doing */
        if (!sample->app_limited) scout_seed(&bbr->scout, sample);
    }
}

static void bbr_on_sample(struct cc *cc, const struct sample *sample)
{
    struct bbr *bbr = bbr_of(cc);
    enum bbr_state next;

    if (!bbr->started) {
        bbr->started = true;
        bbr->slowness_at_ns = sample->now_ns;
        scout_init(&bbr->scout, sample->now_ns);
    }
    bool is_short = sample->rtt_ns + sample->answer_ns < BBR_SHORT_NS;
    if (is_short && !bbr->starts_anyway && bbr->state == BBR_STARTUP) bbr_enter(bbr, BBR_CRUISE);
    bbr->is_short = is_short;
    bbr->lost = cc_is_loss(cc, sample);
    bbr->cpu_limited = sample_is_cpu_limited(sample);
    bbr_learn(bbr, sample);
    if (bbr->lost) bbr_on_refusal(bbr, sample);
    bbr->rounds_here++;
    next = bbr_rows[bbr->state](bbr, sample);
    if (next != bbr->state) {
        bool settled = bbr->state == BBR_DRAIN && next == BBR_CRUISE && !sample->app_limited;
        bbr_enter(bbr, next);
        if (next == BBR_CRUISE || next == BBR_DOWN) bbr_judge_change(bbr, sample);
        if (settled) scout_seed(&bbr->scout, sample);
    }
    bbr_set_window(bbr, sample);
}

/* Did most of what was added come through, as of connections that are at speed? */
static bool bbr_glance_startup(const struct bbr *bbr, const struct sample *sample)
{
    if (sample->app_limited || sample->refusals > 0) return false;
    if (bbr->full_rate <= 0) return bbr->again;
    double added = fmax(0, sample->load / bbr->full_load - 1);
    double growth = fmax(BBR_GROWTH, 1 + BBR_GLANCE_SHARE * added);
    return sample->rate_bytes_per_s >= growth * bbr->full_rate;
}

/* Far below what the model has just been told, with as much in flight. */
static bool bbr_has_fallen(const struct bbr *bbr, const struct sample *sample)
{
    if (sample->app_limited || sample->refusals > 0 || bbr->lost) return false;
    if (bbr->state != BBR_STARTUP && bbr->state != BBR_DRAIN) return false;
    double fallen = fmin(BBR_FALLEN, exp(-BBR_NOISE * bbr->scout.sigma));
    return sample->rate_bytes_per_s < fallen * bbr->full_rate;
}

static bool bbr_on_glance(struct cc *cc, const struct sample *sample)
{
    struct bbr *bbr = bbr_of(cc);
    enum scout_view view = bbr->state == BBR_CRUISE ? SCOUT_LEVEL
                           : bbr->state == BBR_UP   ? SCOUT_MORE
                                                    : SCOUT_OTHER;

    if (!bbr->started) return false;
    if (bbr_has_fallen(bbr, sample)) {
        cc_on_change(cc);
        return true;
    }
    if (bbr->state == BBR_STARTUP) return bbr_glance_startup(bbr, sample);
    if (bbr->state == BBR_DRAIN) return bbr_is_drained_early(bbr, sample);
    if (bbr->state == BBR_PROBE_RTT) return false;
    if (scout_on_glance(&bbr->scout, sample, view)) {
        bbr_remember(bbr, cc->window, bbr->scout.level);
        cc_on_change(cc);
        return true;
    }
    bbr_see_slowness(bbr, sample);
    /* On a long path DOWN takes seconds, in which what the path has more would not show. */
    if (bbr->scout.pulsing && bbr->state == BBR_DOWN && bbr->rounds_here > 0 && !bbr->lost)
        bbr_enter(bbr, BBR_CRUISE);
    bbr->scout.pulsing = bbr->scout.pulsing && bbr->state == BBR_CRUISE;
    if (bbr->state == BBR_CRUISE) bbr_set_window(bbr, sample);
    return false;
}

static void bbr_forget(struct bbr *bbr)
{
    window_reset(&bbr->rate);
    window_reset(&bbr->slowness);
    bbr->full_rate = 0;
    bbr->full_rounds = 0;
    bbr->full_load = 0;
    bbr->aged = bbr->kept = bbr->foresaw = false;
    bbr->foreseen = 0;
    bbr->cruise_rounds = BBR_CRUISE_ROUNDS;
    scout_forget(&bbr->scout, bbr->scout.pulse_ns);
}

void bbr_start_up(struct bbr *bbr)
{
    bbr_forget(bbr);
    if (bbr->ceiling > 0) bbr->ceiling = fmax(bbr->ceiling, bbr->cc.window);
    bbr->starts_anyway = bbr->again = true;
    bbr_enter(bbr, BBR_STARTUP);
}

static void bbr_on_change(struct cc *cc)
{
    struct bbr *bbr = bbr_of(cc);

    bbr_forget(bbr);
    bbr->starts_anyway = false;
    bbr->again = true;
    if (bbr->is_short) bbr->before.window = 0; /* no STARTUP tells */
    bbr_enter(bbr, bbr->is_short ? BBR_CRUISE : BBR_STARTUP);
}

static const struct cc_kind bbr_kind = {
    .on_sample = bbr_on_sample, .on_glance = bbr_on_glance, .on_change = bbr_on_change};

void bbr_init(struct bbr *bbr, const struct cc_limits *limits)
{
    *bbr = (struct bbr){.cruise_rounds = BBR_CRUISE_ROUNDS};
    cc_init(&bbr->cc, &bbr_kind, limits);
    window_init(&bbr->rate, WINDOW_GREATEST, BBR_RATE_ROUNDS);
    window_init(&bbr->slowness, WINDOW_LEAST, BBR_RATE_ROUNDS);
    scout_init(&bbr->scout, 0);
    bbr_enter(bbr, BBR_STARTUP);
}
