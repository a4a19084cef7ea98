/* wan_report: what a run on the path was worth, for people and as JSON. */
#ifndef TOOLS_WAN_REPORT_H
#define TOOLS_WAN_REPORT_H

#include "tools/wan_calibrate.h"
#include "tools/wan_net.h"
#include "tools/wan_pump.h"

struct wan_report {
    const struct wan_plan *plan;
    const struct wan_calibrate *calibrate; /* NULL: not done */
    const struct wan_pump *pump;           /* NULL: the path was the kernel's */
    uint64_t seed, begin_ns,
        elapsed_ns; /* of the command; begin_ns as the monotonic clock has it */
    uint64_t device_drops[WAN_NET_SIDES];
    int exit_code;
};

/* A sentence on why the run is void: this machine did not keep up with the path. NULL: it is sound.
 * */
const char *wan_report_void(const struct wan_report *report);
MUST_USE bool wan_report_write(const struct wan_report *report, const char *path);

#endif
