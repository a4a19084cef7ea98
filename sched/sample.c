#include "sched/sample.h"

#include <math.h>

void sampler_init(struct sampler *sampler)
{
    *sampler = (struct sampler){.running = false};
}

static uint64_t sample_span_ns(uint64_t rtts, uint64_t rtt_ns, uint64_t answer_ns)
{
    if (answer_ns == 0) return SAMPLE_NS_MAX;
    uint64_t ns = rtts * min_u64(rtt_ns, SAMPLE_NS_MAX) + min_u64(answer_ns, SAMPLE_NS_MAX);
    return min_u64(max_u64(ns, SAMPLE_NS_MIN), SAMPLE_NS_MAX);
}

uint64_t sample_round_ns(uint64_t rtt_ns, uint64_t answer_ns)
{
    return sample_span_ns(SAMPLE_RTTS, rtt_ns, answer_ns);
}

uint64_t sample_glance_ns(uint64_t rtt_ns, uint64_t answer_ns)
{
    return sample_span_ns(SAMPLE_GLANCE_RTTS, rtt_ns, answer_ns);
}

double sample_slowness(const struct sample *sample)
{
    if (sample->rate_bytes_per_s <= 0) return 0;
    return sample->load * (double)NS_PER_S / sample->rate_bytes_per_s;
}

bool sample_is_late(const struct sample_totals *totals, uint64_t now_ns)
{
    return totals->looked_ns > 0 && now_ns > totals->looked_ns + SAMPLE_LATE_NS;
}

bool sample_is_cpu_limited(const struct sample *sample)
{
    return sample->cpu_share >= SAMPLE_CPU_FULL;
}

bool sample_is_sent(uint64_t sent_bytes, uint64_t delivered_bytes)
{
    return sent_bytes > 0 && 2 * sent_bytes >= delivered_bytes;
}

double sample_loss(const struct sample *sample)
{
    return fmax(sample->resent_share, sample->lost_share);
}

bool sample_is_quiet(uint64_t rtt_now_ns, uint64_t rtt_least_ns)
{
    double empty_ns = SAMPLE_NO_QUEUE * (double)rtt_least_ns + (double)SAMPLE_NO_QUEUE_NS;

    return rtt_now_ns > 0 && rtt_least_ns > 0 && (double)rtt_now_ns <= empty_ns;
}

bool sample_is_loss_limited(const struct sample *sample)
{
    return sample_loss(sample) > SAMPLE_LOSS && sample_is_quiet(sample->rtt_now_ns, sample->rtt_ns);
}

/* Of the direction in which the bytes went. */
static void sampler_fill_losses(const struct sampler *sampler, const struct sample_totals *to,
                                struct sample *sample)
{
    const struct sample_totals *from = &sampler->at;
    uint64_t sent_bytes = to->sent_bytes - from->sent_bytes;
    uint64_t delivered_bytes = to->delivered_bytes - from->delivered_bytes;

    sample->resent_share = sample->lost_share = sample->hole_share = 0;
    if (sample_is_sent(sent_bytes, delivered_bytes)) {
        sample->resent_share = (double)(to->resent_bytes - from->resent_bytes) / (double)sent_bytes;
    } else if (delivered_bytes > 0) {
        sample->lost_share = (double)(to->lost_bytes - from->lost_bytes) / (double)delivered_bytes;
        sample->hole_share =
            (double)(to->behind_hole_bytes - from->behind_hole_bytes) / (double)delivered_bytes;
    }
}

static void sampler_fill(const struct sampler *sampler, const struct sample_totals *to,
                         struct sample *sample)
{
    const struct sample_totals *from = &sampler->at;
    double interval_s = (double)sample->interval_ns / (double)NS_PER_S;
    uint64_t delivered_bytes = to->delivered_bytes - from->delivered_bytes;

    sample->rate_bytes_per_s = (double)delivered_bytes / interval_s;
    sample->load = (double)(to->busy_ns - from->busy_ns) / (double)sample->interval_ns;
    sample->allowed = sampler->allowed_ns / (double)sample->interval_ns;
    sample->requests_per_s = (double)(to->requests - from->requests) / interval_s;
    sample->refusals = (uint32_t)(to->refusals - from->refusals);
    sample->timeouts = (uint32_t)(to->timeouts - from->timeouts);
    if (to->cores > 0)
        sample->cpu_share =
            (double)(to->cpu_ns - from->cpu_ns) / (double)sample->interval_ns / to->cores;
    sampler_fill_losses(sampler, to, sample);
    if (sampler->rtt_moved_ns > 0)
        sample->rtt_now_ns = (uint64_t)(sampler->rtt_ns_sum / sampler->rtt_moved_ns);
    sample->app_limited = sample->load < SAMPLE_LOAD_MIN * sample->allowed;
}

void sampler_begin(struct sampler *sampler, uint64_t now_ns, const struct sample_totals *totals)
{
    *sampler = (struct sampler){.at = *totals,
                                .began_ns = now_ns,
                                .looked_ns = now_ns,
                                .running = true,
                                .waits = sample_is_late(totals, now_ns)};
}

/* All have counted, or have been waited for long enough. What was refused meanwhile is news. */
static void sampler_begin_late(struct sampler *sampler, uint64_t now_ns,
                               const struct sample_totals *totals)
{
    const struct sample_totals before = sampler->at;

    sampler_begin(sampler, now_ns, totals);
    sampler->at.refusals = before.refusals;
    sampler->at.timeouts = before.timeouts;
    sampler->waits = false;
}

bool sampler_tick(struct sampler *sampler, uint64_t now_ns, const struct sample_totals *totals,
                  double window, uint64_t round_ns, struct sample *sample)
{
    if (!sampler->running) {
        sampler_begin(sampler, now_ns, totals);
        return false;
    }
    double looked_ns = (double)(now_ns - sampler->looked_ns);
    sampler->allowed_ns += window * looked_ns;
    sampler->rtt_ns_sum += looked_ns * (double)totals->rtt_now_ns;
    if (totals->rtt_now_ns > 0) sampler->rtt_moved_ns += looked_ns;
    sampler->looked_ns = now_ns;
    uint64_t passed_ns = now_ns - sampler->began_ns;
    bool late = round_ns > 0 && sample_is_late(totals, now_ns);
    if (sampler->waits && round_ns > 0) {
        if (!late || passed_ns >= SAMPLE_WAIT_NS) sampler_begin_late(sampler, now_ns, totals);
        return false;
    }
    if (passed_ns < max_u64(round_ns, 1) + (late ? SAMPLE_WAIT_NS : 0)) return false;
    *sample = (struct sample){.now_ns = now_ns, .interval_ns = passed_ns};
    sampler_fill(sampler, totals, sample);
    sampler_begin(sampler, now_ns, totals);
    return true;
}
