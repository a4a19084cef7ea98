/* wan_netem: the path by the kernel's own means, for comparison: the namespaces joined by a pair of
 * veth devices, through ip(8) and tc(8).
 *
 *     wan0 ── veth ── wan0 ─(ingress, mirred)─► ifb with netem ─► the receiver
 *
 * netem stands where packets come in, so that what its queue drops is lost on the way; where they
 * go out, the sender's TCP would be told of it at once. Segmentation offload is off, since netem
 * would lose a whole super-packet. Its queue counts packets, with those that are under way. Not
 * here: schedules and policers, which only wanlab's own path has. */
#ifndef TOOLS_WAN_NETEM_H
#define TOOLS_WAN_NETEM_H

#include "core/bytes.h"
#include "tools/wan_net.h"
#include "tools/wan_plan.h"

#define WAN_NETEM_COMMAND_BYTES 512u

/* The namespaces are open, without devices. False: net->why has a sentence. */
MUST_USE bool wan_netem_open(struct wan_net *net, const struct wan_plan *plan, uint32_t mtu);
/* The arguments behind "netem" for one lane, with packets of `mtu` bytes. */
void wan_netem_format(struct writer *w, const struct wan_plan_lane_setting *lane, uint32_t mtu);

#endif
