/* wan_calibrate: is the path what was asked for? Pure: judges what the probes found.
 *
 * | row   | how it was measured                              | may be off by                     |
 * |-------|--------------------------------------------------|-----------------------------------|
 * | rate  | a stream above the rate: how fast it arrives     | 2 %                               |
 * | rtt   | the median of round trips                        | 1 ms, and the jitter              |
 * | loss  | the model's own dice, over very many packets     | 5 % of the value                  |
 * | wire  | packets missing in a stream below the rate       | 5 % of the value, and 4 standard  |
 * |       |                                                  | deviations of so few packets      |
 * | count | packets missing on the wire, against those that  | nothing                           |
 * |       | the model says it dropped                        |                                   |
 *
 * A loss of 0.01 % cannot be measured to 5 % in a second on any wire: hence the dice by themselves,
 * and the proof (count) that what they say is what happens. */
#ifndef TOOLS_WAN_CALIBRATE_H
#define TOOLS_WAN_CALIBRATE_H

#include <stdio.h>

#include "tools/wan_model.h"
#include "tools/wan_probe.h"

#define WAN_CALIBRATE_ROWS_STEP 10u /* of a step, at most */
#define WAN_CALIBRATE_ROWS_MAX  (WAN_CALIBRATE_ROWS_STEP * WAN_PLAN_STEPS_MAX)

struct wan_calibrate_row {
    const char *what; /* of the table above */
    const char *unit; /* what the numbers are in */
    uint32_t step;
    int lane; /* enum wan_plan_lane, −1: both */
    double asked, measured, tolerance;
    bool good;
};

struct wan_calibrate {
    struct wan_calibrate_row rows[WAN_CALIBRATE_ROWS_MAX];
    uint32_t count;
    bool good; /* all of them */
};

/* What the models dropped while the probes ran; negative: nobody counted (netem). */
struct wan_calibrate_drops {
    int64_t packets[WAN_PLAN_LANES];
};

void wan_calibrate_init(struct wan_calibrate *calibrate);
/* Adds the rows of step `index` of the plan. */
void wan_calibrate_judge(struct wan_calibrate *calibrate, const struct wan_plan *plan,
                         uint32_t index, const struct wan_probe_result *result,
                         const struct wan_calibrate_drops *drops);
void wan_calibrate_print(const struct wan_calibrate *calibrate, FILE *out);

#endif
