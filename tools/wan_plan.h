/* wan_plan: what a path is asked to be, now and later, from text. Pure.
 *
 *   path      'rate=1G rtt=50ms queue=1BDP loss=0.1%'        words: NAME=VALUE, up.NAME=VALUE …
 *   schedule  '30s rate=300M rtt=120ms; 60s rate=1G'         from that time on; the rest stays
 *   repeat    60s                                            the schedule begins anew, with step 0
 *
 * | name   | value                 | means                                                       |
 * |--------|-----------------------|-------------------------------------------------------------|
 * | rate   | 1G, 300M, 56k, 0      | bits/s of the bottleneck, IP header included; 0: no limit   |
 * | delay  | 25ms                  | one way                                                     |
 * | rtt    | 50ms                  | half of it one way, and half the other                      |
 * | jitter | 2ms                   | the delay wanders by as much, up and down (wan_model.h)     |
 * | queue  | 1BDP, 256K            | in front of the bottleneck, drop-tail                       |
 * | loss   | 0.1%, 0.001, 0.1%/8   | of packets; behind the stroke: the mean length of a burst   |
 * | police | 500M, 500M/1M, 0      | a token bucket: bits/s and bytes; what is above is dropped  |
 *
 * A word holds for both directions, or with "up." for client to server, or "down." for the other
 * way. "2BDP" is twice rate × rtt as they are where it is written; when rate or rtt change later, a
 * queue keeps its bytes, as a router's does, until a step says "queue=" again. Without a word a
 * queue is 1 BDP of the beginning, and at least WAN_PLAN_QUEUE_BYTES_MIN. */
#ifndef TOOLS_WAN_PLAN_H
#define TOOLS_WAN_PLAN_H

#include "core/bytes.h"

#define WAN_PLAN_STEPS_MAX       64u
#define WAN_PLAN_WHY_BYTES       256u
#define WAN_PLAN_QUEUE_BYTES_MIN (32u * 1500u) /* packets of a burst that any router holds */
#define WAN_PLAN_POLICE_BYTES    (256u * 1024u)

enum wan_plan_lane { WAN_PLAN_UP, WAN_PLAN_DOWN, WAN_PLAN_LANES };

struct wan_plan_lane_setting {
    uint64_t rate_bits_per_s; /* 0: no limit */
    uint64_t delay_ns;        /* one way */
    uint64_t jitter_ns;
    uint64_t queue_bytes;
    double loss;                                    /* of packets, 0 to 1 */
    double burst_packets;                           /* mean; 0: each packet by itself */
    uint64_t police_bits_per_s, police_burst_bytes; /* 0: no policer */
};

struct wan_plan_step {
    uint64_t at_ns; /* since the beginning, or since the schedule began anew */
    struct wan_plan_lane_setting lanes[WAN_PLAN_LANES];
};

struct wan_plan {
    struct wan_plan_step steps[WAN_PLAN_STEPS_MAX]; /* the first at 0 */
    uint32_t step_count;
    uint64_t repeat_ns; /* 0: the last step stays */
    char why[WAN_PLAN_WHY_BYTES];
};

/* `schedule` may be empty. False: `why` has a sentence. */
MUST_USE bool wan_plan_parse(struct wan_plan *plan, struct bytes path, struct bytes schedule,
                             uint64_t repeat_ns);
/* The step that holds at `elapsed_ns`, and when the next begins (UINT64_MAX: never). */
const struct wan_plan_step *wan_plan_at(const struct wan_plan *plan, uint64_t elapsed_ns,
                                        uint64_t *until_ns);
/* The most of any step, for sizing: bytes that can be under way in a lane, queue included. */
uint64_t wan_plan_bytes_max(const struct wan_plan *plan, enum wan_plan_lane lane,
                            uint64_t unlimited_bits_per_s);
/* "1G", "2.5M", "56k": decimal multiples. */
MUST_USE bool wan_plan_parse_rate(struct bytes text, uint64_t *bits_per_s);

#endif
