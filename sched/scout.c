#include "sched/scout.h"

#include <math.h>

void scout_init(struct scout *scout, uint64_t now_ns)
{
    *scout = (struct scout){.pulse_ns = now_ns, .slack = SCOUT_SLACK, .sigma = CHANGE_SIGMA_MIN};
    change_init(&scout->change);
}

void scout_forget(struct scout *scout, uint64_t now_ns)
{
    uint64_t refused_ns = scout->refused_ns;
    double sigma = scout->sigma;

    scout_init(scout, now_ns);
    scout->refused_ns = refused_ns;
    scout_believe(scout, sigma);
}

void scout_believe(struct scout *scout, double sigma)
{
    scout->sigma = fmax(CHANGE_SIGMA_MIN, fmin(sigma, SCOUT_SIGMA_MAX));
    change_believe(&scout->change, scout->sigma);
}

void scout_doubt(struct scout *scout)
{
    scout_believe(scout, 2 * scout->sigma);
}

void scout_trust(struct scout *scout)
{
    scout_believe(scout, scout->sigma / 2);
}

double scout_doubts(const struct scout *scout)
{
    return scout->sigma - CHANGE_SIGMA_MIN;
}

void scout_refuse(struct scout *scout, uint64_t now_ns)
{
    scout->refused_ns = now_ns;
    scout->pulsing = false;
}

static double scout_value(const struct sample *sample)
{
    return log(fmax(sample->rate_bytes_per_s, 1));
}

void scout_seed(struct scout *scout, const struct sample *sample)
{
    scout_forget(scout, scout->pulse_ns);
    change_seed(&scout->change, scout_value(sample));
    change_believe(&scout->change, scout->sigma);
}

void scout_shift(struct scout *scout, double by)
{
    change_shift(&scout->change, by);
}

void scout_hold(struct scout *scout, uint32_t glances)
{
    if (scout->skip < glances) scout->skip = glances;
}

double scout_window(double window)
{
    return fmax(SCOUT_GAIN * window, window + 1);
}

static void scout_end_pulse(struct scout *scout, uint64_t now_ns)
{
    scout->pulsing = false;
    scout->pulse_ns = now_ns;
    scout_hold(scout, 1); /* what was more is let out */
}

/* At another window the rate may differ, within the slack, without the path's doing. */
static int scout_peek(struct scout *scout, double value, enum scout_view view)
{
    double level = scout->change.level, least = level - scout->slack, most = level + scout->slack;

    if (view == SCOUT_MORE) {
        most = level;
        least = level - SCOUT_SLACK_MORE;
    }
    if (value > most)
        value -= most - level;
    else
        value = fmin(level, value + level - least);
    return change_peek(&scout->change, value);
}

/* A fall was forgiven, not long ago: what is missing since then counts together. */
static bool scout_falls_again(const struct scout *scout, const struct sample *sample)
{
    return scout->forgiven_ns > 0 && sample->now_ns < scout->forgiven_ns + SCOUT_FORGIVEN_NS;
}

static void scout_forgive(struct scout *scout, const struct sample *sample)
{
    if (!scout_falls_again(scout, sample)) scout->forgiven_ns = sample->now_ns;
    change_forgive(&scout->change);
    scout->fallen = scout->falling = false;
}

static void scout_fall(struct scout *scout, const struct sample *sample, double level, double value)
{
    double steep = scout_doubts(scout) > 0 ? SCOUT_STEEP_DOUBT : SCOUT_STEEP;

    if (!scout->fallen) {
        scout->lowest = value;
        if (!scout_falls_again(scout, sample)) scout->missing_ns = 0;
        scout->steep_glances = 0;
    }
    scout->lowest = fmin(scout->lowest, value);
    scout->missing_ns += fmax(0, 1 - exp(value - level)) * (double)sample->interval_ns;
    scout->falling = scout->lowest < level + log(steep);
    scout->steep_glances += scout->falling;
    scout->fallen = true;
}

static bool scout_is_back(const struct scout *scout, double level, double value)
{
    return exp(value) > (exp(level) + exp(scout->lowest)) / 2;
}

static bool scout_misses_little(const struct scout *scout, const struct sample *sample)
{
    return scout->missing_ns < (double)(SCOUT_PAUSE_NS + sample->rtt_ns);
}

static bool scout_may_be_pause(const struct scout *scout, const struct sample *sample)
{
    return scout->steep_glances < SCOUT_FALL_GLANCES && scout_misses_little(scout, sample);
}

/* What CUSUM finds, but for a fall that is over, and one that may be soon. */
static int scout_find(struct scout *scout, const struct sample *sample, enum scout_view view)
{
    const struct change before = scout->change;
    double value = scout_value(sample);
    int found =
        view == SCOUT_LEVEL ? change_add(&scout->change, value) : scout_peek(scout, value, view);

    if (found > 0 || (found == 0 && change_down(&scout->change) <= 0)) {
        scout->fallen = false;
        return found;
    }
    scout_fall(scout, sample, before.level, value);
    if (!scout->falling) return found;
    if (scout_falls_again(scout, sample) && !scout_misses_little(scout, sample)) {
        scout->falling = false;
        return found;
    }
    bool back = scout_is_back(scout, before.level, value);
    if (!back && (!found || !scout_may_be_pause(scout, sample))) return found;
    scout->change = before;
    if (back) scout_forgive(scout, sample);
    return 0;
}

static bool scout_may_pulse(const struct scout *scout, const struct sample *sample)
{
    if (sample_is_cpu_limited(sample)) return false;
    if (sample->rtt_ns + sample->answer_ns < SCOUT_SHORT_NS) return false;
    if (scout->refused_ns > 0 && sample->now_ns < scout->refused_ns + SCOUT_REFUSED_NS)
        return false;
    return change_is_learnt(&scout->change) && sample->now_ns >= scout->pulse_ns + SCOUT_REST_NS;
}

static int scout_on_pulse(struct scout *scout, const struct sample *sample)
{
    uint64_t settle_ns = sample_round_ns(sample->rtt_ns, sample->answer_ns);
    int found = scout_find(scout, sample, SCOUT_MORE);

    scout->glances++;
    bool seems = change_up(&scout->change) > 0 && sample->now_ns < scout->pulse_ns + 4 * settle_ns;
    /* What may be a pause is looked at until it is over, but where falls are common. */
    bool falls = scout->falling && scout_doubts(scout) <= 0;
    bool over = scout->glances >= SCOUT_GLANCES && !seems && !falls;
    if (found || over || sample_is_cpu_limited(sample)) scout_end_pulse(scout, sample->now_ns);
    return found;
}

int scout_on_glance(struct scout *scout, const struct sample *sample, enum scout_view view)
{
    int found;

    scout->level = scout->change.level;
    scout->falling = false;
    if (sample->refusals > 0) scout->refused_ns = sample->now_ns;
    if (sample->app_limited || sample->refusals > 0) {
        if (scout->fallen && scout->steep_glances > 0) change_forgive(&scout->change);
        scout->fallen = false; /* what follows is another one */
        if (scout->pulsing) scout_end_pulse(scout, sample->now_ns);
        return 0;
    }
    if (scout->pulsing) return scout_on_pulse(scout, sample);
    if (scout->skip > 0) {
        scout->skip--;
        return 0;
    }
    found = scout_find(scout, sample, view);
    if (found || scout->falling || !scout_may_pulse(scout, sample)) return found;
    scout->pulsing = true;
    scout->glances = 0;
    scout->pulse_ns = sample->now_ns;
    return 0;
}
