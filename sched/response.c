#include "sched/response.h"

#include <math.h>

/* (C (3 + β) / (4 (1 − β)))^(1/4) with C = 0.4 and β = 0.7 */
#define RESPONSE_CUBIC 1.054

double response_window(double loss, uint64_t rtt_ns)
{
    double rtt_s = (double)rtt_ns / (double)NS_PER_S;

    return fmax(RESPONSE_CUBIC * pow(rtt_s / loss, 0.75), sqrt(1.5 / loss));
}

/* Of an upload: what goes the other way is heads. */
static void response_add(struct response *response, const struct sample_totals *to, double span_s)
{
    const struct sample_totals *from = &response->at;
    uint64_t delivered_bytes = to->delivered_bytes - from->delivered_bytes;
    uint64_t quiet_bytes = to->quiet_bytes - from->quiet_bytes;

    if (response->count == RESPONSE_SPANS || response->segment_bytes == 0) return;
    if (delivered_bytes < RESPONSE_LEAST * response->segment_bytes) return;
    if (!sample_is_sent(to->sent_bytes - from->sent_bytes, delivered_bytes)) return;
    response->spans[response->count++] = (struct response_span){
        .rate = (double)delivered_bytes / span_s,
        .losses = (double)(to->quiet_losses - from->quiet_losses),
        .segments = (double)quiet_bytes / (double)response->segment_bytes,
        .busy_ns = (double)(to->busy_ns - from->busy_ns),
        .flow_ns = response->flow_ns,
    };
}

void response_tick(struct response *response, uint64_t now_ns, const struct sample_totals *totals,
                   uint64_t rtt_ns)
{
    if (rtt_ns > 0) response->rtt_ns = rtt_ns;
    if (totals->segment_bytes > 0) response->segment_bytes = totals->segment_bytes;
    if (response->ticked_ns > 0)
        response->flow_ns += (double)totals->flows * (double)(now_ns - response->ticked_ns);
    response->ticked_ns = now_ns;
    if (response->rtt_ns == 0 || sample_is_late(totals, now_ns)) return;
    if (response->at_ns > 0) {
        uint64_t passed_ns = now_ns - response->at_ns;
        if (passed_ns < sample_glance_ns(response->rtt_ns, 1)) return;
        response_add(response, totals, (double)passed_ns / (double)NS_PER_S);
    }
    response->at = *totals;
    response->at_ns = now_ns;
    response->flow_ns = 0;
}

/* The second best: one span may have what another lacked. */
static double response_best(const struct response *response)
{
    double best = 0, second = 0;

    for (uint32_t i = 0; i < response->count; i++) {
        double rate = response->spans[i].rate;
        second = fmax(second, fmin(best, rate));
        best = fmax(best, rate);
    }
    return second;
}

double response_slowness(const struct response *response)
{
    double below = RESPONSE_LESS * response_best(response);
    double losses = 0, segments = 0, busy_ns = 0, flow_ns = 0;

    for (uint32_t i = 0; i < response->count; i++) {
        const struct response_span *span = &response->spans[i];
        if (span->rate > below) continue;
        losses += span->losses;
        segments += span->segments;
        busy_ns += span->busy_ns;
        flow_ns += span->flow_ns;
    }
    if (losses < RESPONSE_LOSSES) return 0;
    losses += sqrt(losses);
    if (segments <= losses) return 0;
    double window = response_window(losses / segments, response->rtt_ns);
    double requests = flow_ns > 0 ? fmin(1, busy_ns / flow_ns) : 1; /* of a connection */
    return requests * (double)response->rtt_ns / (window * (double)response->segment_bytes);
}
