#include "sched/rounds.h"

#include <math.h>

void rounds_init(struct rounds *rounds)
{
    sampler_init(&rounds->round);
    sampler_init(&rounds->glance);
}

static void rounds_know(struct sample *sample, const struct sample *known)
{
    sample->rtt_ns = known->rtt_ns;
    sample->answer_ns = known->answer_ns;
}

bool rounds_tick(struct rounds *rounds, struct cc *cc, const struct sample_totals *totals,
                 struct sample *sample)
{
    const struct sample known = *sample;
    struct sample glance;
    double window = lround(cc->window);
    uint64_t round_ns = sample_round_ns(known.rtt_ns, known.answer_ns);
    uint64_t glance_ns = sample_glance_ns(known.rtt_ns, known.answer_ns);
    bool ended = sampler_tick(&rounds->round, known.now_ns, totals, window, round_ns, sample);
    bool glanced = sampler_tick(&rounds->glance, known.now_ns, totals, window, glance_ns, &glance);

    rounds_know(sample, &known);
    rounds_know(&glance, &known);
    if (glanced && cc_on_glance(cc, &glance)) {
        sampler_begin(&rounds->round, known.now_ns, totals);
        *sample = glance;
        ended = true;
    }
    if (ended)
        cc_on_sample(cc, sample);
    else if (glanced)
        *sample = glance;
    if (lround(cc->window) != (long)window) sampler_begin(&rounds->glance, known.now_ns, totals);
    return ended || glanced;
}
