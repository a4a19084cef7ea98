#include "sched/change.h"

#include <math.h>

void change_init(struct change *change)
{
    *change = (struct change){.variance = CHANGE_SIGMA_FIRST * CHANGE_SIGMA_FIRST};
}

static double change_sigma(const struct change *change)
{
    return fmax(sqrt(change->variance), CHANGE_SIGMA_MIN);
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

int change_add(struct change *change, double value)
{
    double innovation = value - change->level;
    int found = 0;

    change->count++;
    if (change->count > CHANGE_LEARN) {
        double step = innovation / change_sigma(change);
        step = fmax(-CHANGE_STEP_MAX, fmin(CHANGE_STEP_MAX, step));
        change->up = fmax(0, change->up + step - CHANGE_K);
        change->down = fmax(0, change->down - step - CHANGE_K);
        if (change->up > CHANGE_H) found = 1;
        if (change->down > CHANGE_H) found = -1;
    }
    if (found)
        change_init(change);
    else
        change_learn(change, innovation);
    return found;
}
