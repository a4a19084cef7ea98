#include "sched/change.h"

#include <math.h>

void change_init(struct change *change)
{
    *change = (struct change){.variance = CHANGE_SIGMA_FIRST * CHANGE_SIGMA_FIRST,
                              .sigma_least = CHANGE_SIGMA_MIN};
}

/* What is believed outlasts what was measured. */
static void change_restart(struct change *change)
{
    double sigma = change->sigma_least;

    change_init(change);
    change_believe(change, sigma);
}

void change_seed(struct change *change, double level)
{
    change_init(change);
    change->level = change->best = level;
    change->count = CHANGE_LEARN;
}

void change_shift(struct change *change, double by)
{
    change->level += by;
    change->best += by;
}

void change_believe(struct change *change, double sigma)
{
    change->sigma_least = fmax(sigma, CHANGE_SIGMA_MIN);
}

static double change_sigma(const struct change *change)
{
    return fmax(sqrt(change->variance), change->sigma_least);
}

/* The first samples are simply averaged; later an outlier moves neither the level nor σ by more
 * than it counts for. */
static void change_learn(struct change *change, double innovation)
{
    double memory = fmin(change->count, CHANGE_MEMORY);
    double bound = CHANGE_STEP_MAX * change_sigma(change);

    if (change->count > CHANGE_LEARN) innovation = fmax(-bound, fmin(bound, innovation));
    change->level += innovation / memory;
    if (change->count == 1) return;
    change->variance += (innovation * innovation - change->variance) / CHANGE_MEMORY;
}

static int change_sum(struct change *change, double innovation)
{
    double step = innovation / change_sigma(change);

    step = fmax(-CHANGE_STEP_MAX, fmin(CHANGE_STEP_MAX, step));
    change->up = fmax(0, change->up + step - CHANGE_K);
    change->down = fmax(0, change->down - step - CHANGE_K);
    if (change->up <= CHANGE_H && change->down <= CHANGE_H) return 0;
    int found = change->up > CHANGE_H ? 1 : -1;
    change_restart(change);
    return found;
}

bool change_is_learnt(const struct change *change)
{
    return change->count >= CHANGE_LEARN;
}

double change_up(const struct change *change)
{
    return change->up;
}

double change_down(const struct change *change)
{
    return change->down;
}

void change_forgive(struct change *change)
{
    change->down = 0;
}

int change_peek(struct change *change, double value)
{
    return change_is_learnt(change) ? change_sum(change, value - change->level) : 0;
}

/* Has what the level followed become a change? */
static int change_find_sag(struct change *change)
{
    if (!change_is_learnt(change)) return 0;
    bool first = change->count == CHANGE_LEARN;
    change->best = first ? change->level : fmax(change->best, change->level);
    if (change->level >= change->best - CHANGE_SAG - change_sigma(change)) return 0;
    change_restart(change);
    return -1;
}

int change_add(struct change *change, double value)
{
    double innovation = value - change->level;
    int found = change_peek(change, value);

    if (found) return found;
    change->count++;
    if (fmax(change->up, change->down) < CHANGE_H / 2) change_learn(change, innovation);
    return change_find_sag(change);
}
