/* wan_pump: carries frames between two TUN devices through two models, one a direction.
 *
 *   device 0 ─ read ─► ring of bytes, model ─ writev ─► device 1        and the other way
 *
 * A frame is read straight into the lane's ring and written from there: its payload is never
 * copied. The ring is touched at the start, since first touch is slow on virtual machines, and is
 * as large as what can be under way; should it run full all the same, frames wait in the device and
 * `stalls` counts, which makes a run void, as do late deliveries: `late_ns_max` and the share
 * beyond WAN_PUMP_LATE_NS tell how far this machine kept up.
 *
 * One thread, wan_pump_turn() at a time; it sleeps until the next event. */
#ifndef TOOLS_WAN_PUMP_H
#define TOOLS_WAN_PUMP_H

#include "tools/wan_model.h"

#define WAN_PUMP_LATE_NS     NS_PER_MS
#define WAN_PUMP_SAMPLE_NS   (100 * NS_PER_MS)
#define WAN_PUMP_SAMPLES_MAX 20000u /* more than half an hour; later ones are left out */

struct wan_pump_counters {
    uint64_t stalls;         /* turns in which a full ring kept frames waiting */
    uint64_t foreign_frames; /* neither IPv4 nor known: not carried */
    uint64_t write_errors;
    uint64_t chunks, late_chunks; /* delivered; and those more than WAN_PUMP_LATE_NS behind time */
    uint64_t late_ns_max;
};

struct wan_pump_lane {
    struct wan_model model;
    struct wan_pump_counters counters;
    /* private */
    int from, to;
    uint8_t *ring;
    uint64_t ring_bytes, head, tail; /* positions, counted on */
    struct wan_model_chunk *chunks;
};

/* The path over time: how much has been delivered by then, and what stands in the queues. */
struct wan_pump_sample {
    uint64_t delivered_bytes[WAN_PLAN_LANES], queued_bytes[WAN_PLAN_LANES];
};

struct wan_pump {
    struct wan_pump_lane lanes[WAN_PLAN_LANES];
    struct wan_pump_sample samples[WAN_PUMP_SAMPLES_MAX]; /* one each WAN_PUMP_SAMPLE_NS */
    uint32_t sample_count;
    /* private */
    const struct wan_plan *plan;
    uint64_t seed;
    uint64_t begin_ns, change_ns; /* of the schedule; the next step's moment */
    uint64_t sample_ns;           /* the next one's */
};

/* `pump` is zeroed. Devices are [client, server]. False: no memory. */
MUST_USE bool wan_pump_open(struct wan_pump *pump, const struct wan_plan *plan,
                            const int devices[2], uint64_t seed);
/* From now on, without the schedule; for calibration. After opening, the first step holds. */
void wan_pump_hold(struct wan_pump *pump, const struct wan_plan_step *step, uint64_t now_ns);
/* The schedule's time 0 is now. Models, dice, counters and samples begin anew. */
void wan_pump_begin(struct wan_pump *pump, uint64_t now_ns);
/* Carries what is due, then sleeps until the next event, until `wake_fd` is readable, or until
 * `until_ns`. True: wake_fd is readable. */
MUST_USE bool wan_pump_turn(struct wan_pump *pump, int wake_fd, uint64_t until_ns);

#endif
