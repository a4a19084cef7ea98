/* wan_probe: UDP probes through the two namespaces, to find out what the path between them really
 * is: round trips, what arrives of a stream that the path can take, and how fast a stream arrives
 * that it cannot take. One process has a socket in either namespace, so that it needs no protocol
 * with itself; the path must be carried by another one meanwhile.
 *
 * Packets are full (MTU), and segmented by the kernel or the device as TCP's are. */
#ifndef TOOLS_WAN_PROBE_H
#define TOOLS_WAN_PROBE_H

#include "tools/wan_net.h"
#include "tools/wan_plan.h"

#define WAN_PROBE_UNLIMITED_BITS_PER_S (1000ull * 1000 * 1000) /* sent where nothing limits */

struct wan_probe_stream {
    uint64_t sent_packets, received_packets;
    uint64_t steady_bytes,
        steady_ns; /* what arrived in the later half, on the wire, and its time */
};

struct wan_probe_result {
    bool ran;                      /* all of it */
    uint32_t pings, echoes, pongs; /* sent, sent back, come back */
    uint64_t rtt_median_ns, rtt_min_ns;
    struct wan_probe_stream gentle[WAN_PLAN_LANES]; /* below the path's rate */
    struct wan_probe_stream flood[WAN_PLAN_LANES];  /* above it; none where nothing limits */
};

/* Takes some seconds. */
void wan_probe_run(struct wan_net *net, const struct wan_plan_step *step, uint32_t mtu,
                   struct wan_probe_result *result);

#endif
