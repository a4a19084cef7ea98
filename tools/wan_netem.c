#include "tools/wan_netem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PACKET_BYTES  1500u
#define PACKETS_EXTRA 1000u /* beyond what rate, delay and queue say: small packets count as much */

void wan_netem_format(struct writer *w, const struct wan_plan_lane_setting *lane)
{
    double under_way = (double)lane->rate_bits_per_s / 8 *
                       (double)(lane->delay_ns + lane->jitter_ns) / (double)NS_PER_S;
    uint64_t packets = ((uint64_t)under_way + lane->queue_bytes) / PACKET_BYTES + PACKETS_EXTRA;
    uint64_t delay_us = lane->delay_ns / NS_PER_US, jitter_us = lane->jitter_ns / NS_PER_US;
    writer_format(w, "limit %" PRIu64 " delay %" PRIu64 "us",
                  lane->rate_bits_per_s ? packets : (uint64_t)UINT32_MAX / 2, delay_us);
    if (jitter_us) writer_format(w, " %" PRIu64 "us", jitter_us);
    if (lane->loss > 0 && lane->burst_packets > 1) {
        double out = 1 / lane->burst_packets, into = lane->loss * out / (1 - lane->loss);
        writer_format(w, " loss gemodel %.6f%% %.6f%%", into * 100, out * 100);
    } else if (lane->loss > 0) {
        writer_format(w, " loss %.6f%%", lane->loss * 100);
    }
    if (lane->rate_bits_per_s) writer_format(w, " rate %" PRIu64 "bit", lane->rate_bits_per_s);
}

static bool run(struct wan_net *net, const char *command, const char *why)
{
    if (system(command) == 0) return true;
    snprintf(net->why, sizeof net->why, "%s", why);
    return false;
}

static bool set_up_side(struct wan_net *net, enum wan_net_side side,
                        const struct wan_plan_lane_setting *lane)
{
    static const char *const addresses[] = {WAN_NET_CLIENT, WAN_NET_SERVER};
    char words[WAN_NETEM_COMMAND_BYTES], command[2 * WAN_NETEM_COMMAND_BYTES];
    struct writer w;
    writer_init(&w, words, sizeof words);
    wan_netem_format(&w, lane);
    if (!wan_net_enter(net, side)) return false;
    snprintf(command, sizeof command,
             "ip address add %s peer %s dev " WAN_NET_DEVICE " && ip link set " WAN_NET_DEVICE
             " gso_max_segs 1 up",
             addresses[side], addresses[1 - side]);
    if (!run(net, command, "ip(8) cannot set up the veth devices")) return false;
    snprintf(command, sizeof command, "tc qdisc replace dev " WAN_NET_DEVICE " root netem %s",
             writer_string(&w));
    return run(net, command,
               "this kernel or tc(8) has no netem (CONFIG_NET_SCH_NETEM): without --netem, wanlab "
               "needs only TUN devices");
}

bool wan_netem_open(struct wan_net *net, const struct wan_plan *plan)
{
    char command[WAN_NETEM_COMMAND_BYTES];
    if (!wan_net_enter(net, WAN_NET_SIDE_CLIENT)) return false;
    snprintf(command, sizeof command,
             "ip link add " WAN_NET_DEVICE " type veth peer name wan1 && "
             "ip link set wan1 netns /proc/1/fd/%d name " WAN_NET_DEVICE,
             net->space[WAN_NET_SIDE_SERVER]);
    if (!run(net, command, "ip(8) cannot make a pair of veth devices")) return false;
    return set_up_side(net, WAN_NET_SIDE_CLIENT, &plan->steps[0].lanes[WAN_PLAN_UP]) &&
           set_up_side(net, WAN_NET_SIDE_SERVER, &plan->steps[0].lanes[WAN_PLAN_DOWN]);
}
