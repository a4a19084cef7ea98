/* wan_netem: the path by the kernel's own means, for comparison: the namespaces joined by a pair of
 * veth devices with a netem qdisc at either end, through ip(8) and tc(8).
 *
 * Segmentation offload is off there, since netem would lose a whole super-packet at once. Not here:
 * schedules and policers, which only wanlab's own path has. */
#ifndef TOOLS_WAN_NETEM_H
#define TOOLS_WAN_NETEM_H

#include "core/bytes.h"
#include "tools/wan_net.h"
#include "tools/wan_plan.h"

#define WAN_NETEM_COMMAND_BYTES 512u

/* The namespaces are open, without devices. False: net->why has a sentence. */
MUST_USE bool wan_netem_open(struct wan_net *net, const struct wan_plan *plan);
/* The arguments behind "netem" for one lane. */
void wan_netem_format(struct writer *w, const struct wan_plan_lane_setting *lane);

#endif
