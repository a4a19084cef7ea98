#include "tools/wan_calibrate.h"

#include <math.h>

#include "core/check.h"

#define RATE_SHARE  0.02
#define RTT_MS      1.0
#define LOSS_SHARE  0.05
#define DEVIATIONS  4.0     /* chance does more than this once in 16,000 times */
#define DICE_LOSSES 20000.0 /* so many are wanted: 0.7 % is their standard deviation */
#define DICE_SEED   1

void wan_calibrate_init(struct wan_calibrate *calibrate)
{
    *calibrate = (struct wan_calibrate){.good = true};
}

static void add(struct wan_calibrate *calibrate, struct wan_calibrate_row row)
{
    CHECK(calibrate->count < WAN_CALIBRATE_ROWS_MAX);
    row.good = fabs(row.measured - row.asked) <= row.tolerance;
    calibrate->good = calibrate->good && row.good;
    calibrate->rows[calibrate->count++] = row;
}

static double limit_bits(const struct wan_plan_lane_setting *lane)
{
    double rate = (double)lane->rate_bits_per_s, police = (double)lane->police_bits_per_s;
    if (rate == 0 || (police > 0 && police < rate)) return police;
    return rate;
}

static void judge_rtt(struct wan_calibrate *calibrate, const struct wan_plan_step *step,
                      uint32_t index, const struct wan_probe_result *result)
{
    const struct wan_plan_lane_setting *lanes = step->lanes;
    double asked = (double)(lanes[0].delay_ns + lanes[1].delay_ns) / (double)NS_PER_MS;
    double jitter = (double)(lanes[0].jitter_ns + lanes[1].jitter_ns) / (double)NS_PER_MS;
    double measured = result->pongs ? (double)result->rtt_median_ns / (double)NS_PER_MS : -1;
    add(calibrate, (struct wan_calibrate_row){.what = "rtt",
                                              .unit = "ms",
                                              .step = index,
                                              .lane = -1,
                                              .asked = asked,
                                              .measured = measured,
                                              .tolerance = RTT_MS + jitter});
}

static void judge_rate(struct wan_calibrate *calibrate, const struct wan_plan_lane_setting *lane,
                       struct wan_calibrate_row row, const struct wan_probe_stream *flood)
{
    row.what = "rate";
    row.unit = "Mbit/s";
    row.asked = limit_bits(lane) / 1e6;
    row.tolerance = row.asked * RATE_SHARE;
    if (flood->steady_ns > 0)
        row.measured = (double)flood->steady_bytes * 8e3 / (double)flood->steady_ns;
    add(calibrate, row);
}

static void judge_loss(struct wan_calibrate *calibrate, const struct wan_plan_lane_setting *lane,
                       struct wan_calibrate_row row, const struct wan_probe_stream *gentle)
{
    struct wan_model_loss dice;
    double burst = lane->burst_packets > 0 ? lane->burst_packets : 1;
    double sent = (double)gentle->sent_packets, packets = DICE_LOSSES * burst / lane->loss;
    double expected = sent * lane->loss;
    wan_model_loss_init(&dice, DICE_SEED);
    wan_model_loss_set(&dice, lane->loss, lane->burst_packets);
    row.unit = "%";
    row.asked = lane->loss * 100;
    row.what = "loss";
    row.measured = (double)wan_model_loss_count(&dice, (uint64_t)packets) / packets * 100;
    row.tolerance = row.asked * LOSS_SHARE;
    add(calibrate, row);
    row.what = "wire";
    row.measured = sent > 0 ? (sent - (double)gentle->received_packets) / sent * 100 : 100;
    /* The number of losses varies as bursts of this mean length do. */
    row.tolerance += expected > 0 ? row.asked * DEVIATIONS * sqrt(2 * burst / expected) : row.asked;
    add(calibrate, row);
}

static void judge_count(struct wan_calibrate *calibrate, struct wan_calibrate_row row,
                        const struct wan_probe_result *result, int64_t dropped)
{
    const struct wan_probe_stream *gentle = &result->gentle[row.lane],
                                  *flood = &result->flood[row.lane];
    bool up = row.lane == WAN_PLAN_UP;
    uint64_t sent = gentle->sent_packets + flood->sent_packets;
    uint64_t received = gentle->received_packets + flood->received_packets;
    sent += up ? result->pings : result->echoes;
    received += up ? result->echoes : result->pongs;
    row.what = "count";
    row.unit = "packets";
    row.asked = (double)dropped;
    row.measured = (double)sent - (double)received;
    add(calibrate, row);
}

void wan_calibrate_judge(struct wan_calibrate *calibrate, const struct wan_plan *plan,
                         uint32_t index, const struct wan_probe_result *result,
                         const struct wan_calibrate_drops *drops)
{
    const struct wan_plan_step *step = &plan->steps[index];
    judge_rtt(calibrate, step, index, result);
    for (int i = 0; i < (int)WAN_PLAN_LANES; i++) {
        const struct wan_plan_lane_setting *lane = &step->lanes[i];
        struct wan_calibrate_row row = {.step = index, .lane = i};
        if (limit_bits(lane) > 0) judge_rate(calibrate, lane, row, &result->flood[i]);
        if (lane->loss > 0) judge_loss(calibrate, lane, row, &result->gentle[i]);
        if (drops->packets[i] >= 0) judge_count(calibrate, row, result, drops->packets[i]);
    }
    if (!result->ran) calibrate->good = false;
}

void wan_calibrate_print(const struct wan_calibrate *calibrate, FILE *out)
{
    static const char *const lanes[] = {"", "up", "down"};
    for (uint32_t i = 0; i < calibrate->count; i++) {
        const struct wan_calibrate_row *row = &calibrate->rows[i];
        fprintf(out, "wanlab: step %u %-4s %-5s asked %9.3f measured %9.3f ±%.3f %s%s\n", row->step,
                lanes[row->lane + 1], row->what, row->asked, row->measured, row->tolerance,
                row->unit, row->good ? "" : "  OFF");
    }
}
