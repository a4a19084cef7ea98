#include "tools/wan_model.h"

#include <math.h>
#include <string.h>

#include "core/check.h"

#define BITS_PER_BYTE 8.0

/* How many packets a state stays when each may end it: at least one. */
static uint64_t draw_stay(struct wan_model_loss *loss)
{
    double chance = loss->bad ? loss->out : loss->into;
    if (chance <= 0) return UINT64_MAX;
    if (chance >= 1) return 1;
    double stay = floor(log1p(-rand_unit(&loss->rand)) / log1p(-chance));
    return stay < 1e18 ? 1 + (uint64_t)stay : UINT64_MAX;
}

void wan_model_loss_init(struct wan_model_loss *loss, uint64_t seed)
{
    *loss = (struct wan_model_loss){.left = UINT64_MAX};
    rand_init(&loss->rand, seed);
}

void wan_model_loss_set(struct wan_model_loss *loss, double share, double burst_packets)
{
    CHECK(share >= 0 && share < 1);
    double burst = burst_packets > 0 ? burst_packets : 1 / (1 - share);
    loss->out = 1 / burst;
    loss->into = share / (burst * (1 - share));
    loss->bad = false;
    loss->left = draw_stay(loss);
}

static bool loss_next(struct wan_model_loss *loss)
{
    bool lost = loss->bad;
    if (--loss->left == 0) {
        loss->bad = !loss->bad;
        loss->left = draw_stay(loss);
    }
    return lost;
}

uint64_t wan_model_loss_count(struct wan_model_loss *loss, uint64_t packets)
{
    uint64_t lost = 0;
    while (packets > 0) {
        uint64_t step = min_u64(packets, loss->left);
        lost += loss->bad ? step : 0;
        packets -= step;
        loss->left -= step;
        if (loss->left > 0) break;
        loss->bad = !loss->bad;
        loss->left = draw_stay(loss);
    }
    return lost;
}

void wan_model_init(struct wan_model *model, struct wan_model_chunk *chunks, uint64_t chunk_count,
                    uint64_t seed)
{
    CHECK(chunk_count > 0 && (chunk_count & (chunk_count - 1)) == 0);
    *model = (struct wan_model){.chunks = chunks, .mask = chunk_count - 1};
    wan_model_loss_init(&model->loss, seed);
    rand_init(&model->rand, seed + 1);
}

static uint64_t transmit_ns(const struct wan_model *model, uint64_t bytes)
{
    if (model->setting.rate_bits_per_s == 0) return 0;
    return (uint64_t)((double)bytes * BITS_PER_BYTE * (double)NS_PER_S /
                      (double)model->setting.rate_bits_per_s);
}

/* The delay of what leaves the link at `at_ns`, jitter included. */
static uint64_t delay_at(struct wan_model *model, uint64_t at_ns)
{
    const struct wan_plan_lane_setting *setting = &model->setting;
    if (setting->jitter_ns == 0) return setting->delay_ns;
    if (at_ns >= model->deviation_ns + WAN_MODEL_JITTER_NS) {
        uint64_t behind = (at_ns - model->deviation_ns) / WAN_MODEL_JITTER_NS;
        model->deviation_ns += behind * WAN_MODEL_JITTER_NS;
        model->deviation_from = model->deviation_to;
        model->deviation_to = 2 * rand_unit(&model->rand) - 1;
    }
    double share = (double)(at_ns - model->deviation_ns) / (double)WAN_MODEL_JITTER_NS;
    double deviation = model->deviation_from +
                       (model->deviation_to - model->deviation_from) * fmin(fmax(share, 0), 1);
    double delay = (double)setting->delay_ns + deviation * (double)setting->jitter_ns;
    return delay > 0 ? (uint64_t)delay : 0;
}

/* Puts on the link what it has begun to send by now: from the queue to the delay line. */
static void serve(struct wan_model *model, uint64_t now_ns)
{
    while (model->served < model->tail) {
        struct wan_model_chunk *chunk = &model->chunks[model->served & model->mask];
        uint64_t begin_ns = max_u64(model->link_free_ns, chunk->ready_ns);
        if (begin_ns > now_ns) return;
        model->link_free_ns = begin_ns + transmit_ns(model, chunk->wire_bytes);
        model->queued_bytes -= chunk->wire_bytes;
        chunk->ready_ns = max_u64(model->ready_last_ns,
                                  model->link_free_ns + delay_at(model, model->link_free_ns));
        model->ready_last_ns = chunk->ready_ns;
        model->served++;
    }
}

static void refill_tokens(struct wan_model *model, uint64_t now_ns)
{
    const struct wan_plan_lane_setting *setting = &model->setting;
    double earned = (double)(now_ns - model->tokens_ns) / (double)NS_PER_S *
                    (double)setting->police_bits_per_s / BITS_PER_BYTE;
    model->tokens = fmin(model->tokens + earned, (double)setting->police_burst_bytes);
    model->tokens_ns = now_ns;
}

void wan_model_set(struct wan_model *model, const struct wan_plan_lane_setting *setting,
                   uint64_t now_ns)
{
    bool policer_is_new = model->setting.police_bits_per_s == 0;
    serve(model, now_ns);
    refill_tokens(model, now_ns);
    if (model->setting.loss != setting->loss ||
        model->setting.burst_packets != setting->burst_packets)
        wan_model_loss_set(&model->loss, setting->loss, setting->burst_packets);
    if (model->setting.jitter_ns == 0) model->deviation_ns = now_ns;
    model->setting = *setting;
    if (policer_is_new) model->tokens = (double)setting->police_burst_bytes;
}

/* Whether a packet of that size gets into the queue; counts it where not. */
static bool admit(struct wan_model *model, uint32_t bytes)
{
    const struct wan_plan_lane_setting *setting = &model->setting;
    struct wan_model_counters *counters = &model->counters;
    if (loss_next(&model->loss)) {
        counters->lost_packets++;
        return false;
    }
    if (setting->police_bits_per_s > 0 && model->tokens < bytes) {
        counters->policed_packets++;
        return false;
    }
    bool queues = setting->rate_bits_per_s > 0;
    if (queues && model->queued_bytes + bytes > setting->queue_bytes) {
        counters->dropped_packets++;
        return false;
    }
    if (model->tail - model->head > model->mask) {
        counters->refused_packets++;
        return false;
    }
    if (setting->police_bits_per_s > 0) model->tokens -= bytes;
    model->queued_bytes += bytes;
    counters->queue_bytes_max = max_u64(counters->queue_bytes_max, model->queued_bytes);
    return true;
}

void wan_model_offer(struct wan_model *model, uint64_t now_ns, const struct wan_model_offer *offer)
{
    struct wan_model_chunk *chunk = NULL;
    serve(model, now_ns);
    if (model->setting.police_bits_per_s > 0) refill_tokens(model, now_ns);
    for (uint32_t i = 0; i < offer->packets; i++) {
        uint32_t bytes = i + 1 < offer->packets ? offer->packet_bytes : offer->last_packet_bytes;
        model->counters.packets++;
        model->counters.bytes += bytes;
        if (!admit(model, bytes)) {
            chunk = NULL;
            continue;
        }
        if (!chunk || transmit_ns(model, chunk->wire_bytes + bytes) > WAN_MODEL_CHUNK_NS) {
            chunk = &model->chunks[model->tail++ & model->mask];
            *chunk = (struct wan_model_chunk){now_ns, offer->where, i, 0, 0};
        }
        chunk->packets++;
        chunk->wire_bytes += bytes;
    }
    serve(model, now_ns);
}

uint64_t wan_model_next_ns(const struct wan_model *model)
{
    if (model->head < model->served) return model->chunks[model->head & model->mask].ready_ns;
    if (model->served == model->tail) return UINT64_MAX;
    return max_u64(model->link_free_ns, model->chunks[model->served & model->mask].ready_ns);
}

const struct wan_model_chunk *wan_model_pop(struct wan_model *model, uint64_t now_ns)
{
    serve(model, now_ns);
    if (model->head == model->served) return NULL;
    const struct wan_model_chunk *chunk = &model->chunks[model->head & model->mask];
    if (chunk->ready_ns > now_ns) return NULL;
    model->counters.delivered_packets += chunk->packets;
    model->counters.delivered_bytes += chunk->wire_bytes;
    model->head++;
    return chunk;
}

bool wan_model_is_empty(const struct wan_model *model)
{
    return model->head == model->tail;
}
