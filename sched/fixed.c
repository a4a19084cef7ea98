#include "sched/fixed.h"

static void fixed_on_sample(struct cc *cc, const struct sample *sample)
{
    (void)cc;
    (void)sample;
}

static void fixed_on_change(struct cc *cc)
{
    (void)cc;
}

static const struct cc_kind fixed_kind = {.on_sample = fixed_on_sample,
                                          .on_change = fixed_on_change};

void fixed_init(struct fixed *fixed, const struct cc_limits *limits)
{
    cc_init(&fixed->cc, &fixed_kind, limits);
}
