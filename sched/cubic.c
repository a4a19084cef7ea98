#include "sched/cubic.h"

#include <math.h>

static struct cubic *cubic_of(struct cc *cc)
{
    return container_of(cc, struct cubic, cc);
}

/* Has the path come to its end? What is in flight now is compared with what was when it was
 * CUBIC_MORE less, and a cut begins that anew. Lost packets alone say nothing: where they are lost
 * at random, more in flight brings more. */
static bool cubic_overflows(struct cubic *cubic, const struct sample *sample)
{
    double more = cubic->load > 0 ? sample->load / cubic->load : 0;
    if (more >= 1 && more < CUBIC_MORE) return false;
    double brought = cubic->rate > 0 ? sample->rate_bytes_per_s / cubic->rate : 0;
    cubic->load = sample->load;
    cubic->rate = sample->rate_bytes_per_s;
    bool loses = sample->resent_share > CUBIC_RESENT || sample->hole_share > CUBIC_HOLES;
    return loses && more > 1 && 2 * (brought - 1) < more - 1;
}

static void cubic_on_loss(struct cubic *cubic, const struct sample *sample, const char *why)
{
    double window = cubic->cc.window;
    bool converges = !cubic->slow_start && window < cubic->window_greatest;

    cubic->window_greatest = converges ? window * (1 + CUBIC_BETA) / 2 : window;
    cubic->slow_start = false;
    cubic->k_s = cbrt(cubic->window_greatest * (1 - CUBIC_BETA) / CUBIC_C);
    cubic->epoch_ns = sample->now_ns;
    cc_set(&cubic->cc, CUBIC_BETA * window, why);
    cubic->window_estimate = cubic->cc.window;
    cubic->cc.state = "avoidance";
}

/* As RFC 9438 4.3 to 4.5. One step at most raises the window by half. */
static void cubic_avoid(struct cubic *cubic, const struct sample *sample)
{
    double t_s = (double)(sample->now_ns - cubic->epoch_ns) / (double)NS_PER_S;
    double target = CUBIC_C * pow(t_s - cubic->k_s, 3) + cubic->window_greatest;
    double reno = 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA);

    cubic->window_estimate += reno;
    target = fmax(target, cubic->window_estimate);
    target = fmin(target, 1.5 * cubic->cc.window);
    if (target > cubic->cc.window) cc_set(&cubic->cc, target, "no loss: the cubic grows");
}

static void cubic_on_sample(struct cc *cc, const struct sample *sample)
{
    struct cubic *cubic = cubic_of(cc);

    if (cc_is_loss(cc, sample)) {
        cubic_on_loss(cubic, sample, "requests were refused or lost");
    } else if (!sample->app_limited && cubic_overflows(cubic, sample)) {
        cubic_on_loss(cubic, sample, "packets were lost, and more in flight brought no more");
    } else if (sample->app_limited) {
        cubic->epoch_ns += sample->interval_ns; /* no time in which the window was tried */
    } else if (cubic->slow_start) {
        double answered = sample->requests_per_s * (double)sample->interval_ns / (double)NS_PER_S;
        cc_set(cc, cc->window + fmin(cc->window, answered), "slow start");
    } else {
        cubic_avoid(cubic, sample);
    }
}

static void cubic_on_change(struct cc *cc)
{
    struct cubic *cubic = cubic_of(cc);
    cubic->slow_start = true;
    cubic->load = 0;
    cc->state = "slow start";
}

static const struct cc_kind cubic_kind = {.on_sample = cubic_on_sample,
                                          .on_change = cubic_on_change};

void cubic_init(struct cubic *cubic, const struct cc_limits *limits)
{
    *cubic = (struct cubic){.slow_start = true};
    cc_init(&cubic->cc, &cubic_kind, limits);
    cubic->cc.state = "slow start";
}
