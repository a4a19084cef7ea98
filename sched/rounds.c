#include "sched/rounds.h"

#include <math.h>

void rounds_init(struct rounds *rounds)
{
    *rounds = (struct rounds){.window = 0};
    sampler_init(&rounds->round);
    sampler_init(&rounds->glance);
}

static void rounds_know(struct sample *sample, const struct sample *known)
{
    sample->rtt_ns = known->rtt_ns;
    sample->answer_ns = known->answer_ns;
    sample->lasting = known->lasting;
}

/* `window`: what was given out until now. */
static void rounds_follow(struct rounds *rounds, const struct cc *cc, const struct sample *known)
{
    double to = cc->window;
    bool begins = to > ROUNDS_STEP * rounds->window + 1 && known->answer_ns >= ROUNDS_SPREAD_NS;
    bool goes_on = rounds->to > rounds->window && to > rounds->window && known->answer_ns > 0;

    if (rounds->window <= 0 || (!begins && !goes_on)) {
        rounds->window = rounds->to = to;
        return;
    }
    if (rounds->to != to) {
        rounds->from = rounds->window;
        rounds->from_ns = known->now_ns;
        rounds->to = to;
    }
    double passed_ns = (double)(known->now_ns - rounds->from_ns);
    double answer_ns = fmin((double)known->answer_ns, SAMPLE_NS_MAX);
    double share = fmin(1, passed_ns / (ROUNDS_SPREAD * answer_ns));
    rounds->window = fmax(rounds->window, rounds->from + share * (to - rounds->from));
}

/* Is there a loss that the controller has not heard of, and would answer to? */
static bool rounds_is_lost(const struct rounds *rounds, const struct cc *cc,
                           const struct sample_totals *totals)
{
    const struct sample_totals *at = &rounds->round.at;
    bool lost = totals->refusals + totals->timeouts > at->refusals + at->timeouts;

    return rounds->round.running && lost && !cc->cutting;
}

bool rounds_tick(struct rounds *rounds, struct cc *cc, const struct sample_totals *totals,
                 struct sample *sample)
{
    const struct sample known = *sample;
    struct sample glance;
    double window = lround(rounds->window > 0 ? rounds->window : cc->window);
    bool lost = rounds_is_lost(rounds, cc, totals);
    uint64_t round_ns = sample_round_ns(known.rtt_ns, known.answer_ns);
    uint64_t glance_ns = sample_glance_ns(known.rtt_ns, known.answer_ns);
    bool ended =
        sampler_tick(&rounds->round, known.now_ns, totals, window, lost ? 0 : round_ns, sample);
    bool glanced =
        sampler_tick(&rounds->glance, known.now_ns, totals, window, lost ? 0 : glance_ns, &glance);

    rounds_know(sample, &known);
    bool late = sample_is_late(totals, known.now_ns);
    sample->cut_short = ended && lost && (late || sample->interval_ns < round_ns);
    if (sample->cut_short) sample->load_now = glanced ? glance.load : sample->load;
    rounds_know(&glance, &known);
    if (glanced && !lost && cc_on_glance(cc, &glance)) {
        sampler_begin(&rounds->round, known.now_ns, totals);
        *sample = glance;
        ended = true;
    }
    if (ended)
        cc_on_sample(cc, sample);
    else if (glanced)
        *sample = glance;
    rounds_follow(rounds, cc, &known);
    if (lround(rounds->window) != (long)window)
        sampler_begin(&rounds->glance, known.now_ns, totals);
    return ended || glanced;
}
