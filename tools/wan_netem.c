#include "tools/wan_netem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define INGRESS_DEVICE "wanin"
#define HARDWARE       "02:00:00:00:00:01" /* of both ends: without ARP each is its own neighbour */
#define ETHERNET_BYTES 14                  /* which netem counts, and a path's rate does not */

void wan_netem_format(struct writer *w, const struct wan_plan_lane_setting *lane, uint32_t mtu)
{
    double under_way = (double)lane->rate_bits_per_s / 8 *
                       (double)(lane->delay_ns + lane->jitter_ns) / (double)NS_PER_S;
    uint64_t packets = ((uint64_t)under_way + lane->queue_bytes + mtu - 1) / mtu;
    uint64_t delay_us = lane->delay_ns / NS_PER_US, jitter_us = lane->jitter_ns / NS_PER_US;
    writer_format(w, "limit %" PRIu64 " delay %" PRIu64 "us",
                  lane->rate_bits_per_s ? packets : (uint64_t)UINT32_MAX / 2, delay_us);
    if (jitter_us) writer_format(w, " %" PRIu64 "us", jitter_us);
    if (lane->loss > 0 && lane->burst_packets > 1) {
        double out = 1 / lane->burst_packets;
        double into = fmin(1, lane->loss * out / (1 - lane->loss));
        writer_format(w, " loss gemodel %.6f%% %.6f%%", into * 100, out * 100);
    } else if (lane->loss > 0) {
        writer_format(w, " loss %.6f%%", lane->loss * 100);
    }
    if (lane->rate_bits_per_s)
        writer_format(w, " rate %" PRIu64 "bit %d", lane->rate_bits_per_s, -ETHERNET_BYTES);
}

static bool run(struct wan_net *net, const char *command, const char *why)
{
    if (system(command) == 0) return true;
    snprintf(net->why, sizeof net->why, "%s", why);
    return false;
}

/* A side, and the lane that comes in there. */
static bool set_up_side(struct wan_net *net, enum wan_net_side side,
                        const struct wan_plan_lane_setting *lane, uint32_t mtu)
{
    static const char *const addresses[] = {WAN_NET_CLIENT, WAN_NET_SERVER};
    char words[WAN_NETEM_COMMAND_BYTES], command[2 * WAN_NETEM_COMMAND_BYTES];
    struct writer w;
    writer_init(&w, words, sizeof words);
    wan_netem_format(&w, lane, mtu);
    if (!wan_net_enter(net, side)) return false;
    snprintf(command, sizeof command,
             "ip address add %s peer %s dev " WAN_NET_DEVICE " && ip link set " WAN_NET_DEVICE
             " arp off gso_max_segs 1 up",
             addresses[side], addresses[1 - side]);
    if (!run(net, command, "ip(8) cannot set up the veth devices")) return false;
    snprintf(command, sizeof command,
             "ip link add " INGRESS_DEVICE " mtu %" PRIu32
             " type ifb && ip link set " INGRESS_DEVICE " up && "
             "tc qdisc add dev " INGRESS_DEVICE " root netem %s && "
             "tc qdisc add dev " WAN_NET_DEVICE " ingress && "
             "tc filter add dev " WAN_NET_DEVICE
             " ingress matchall action mirred egress redirect dev " INGRESS_DEVICE,
             mtu, writer_string(&w));
    return run(
        net, command,
        "ip(8) or tc(8) cannot set up netem (see what it said): the kernel must have it, and "
        "ifb, matchall and mirred; without --netem, wanlab needs only TUN devices");
}

bool wan_netem_open(struct wan_net *net, const struct wan_plan *plan, uint32_t mtu)
{
    char command[WAN_NETEM_COMMAND_BYTES];
    if (!wan_net_enter(net, WAN_NET_SIDE_CLIENT)) return false;
    snprintf(command, sizeof command,
             "ip link add " WAN_NET_DEVICE " address " HARDWARE " mtu %" PRIu32
             " type veth peer name wan1 address " HARDWARE " mtu %" PRIu32
             " && ip link set wan1 netns /proc/1/fd/%d name " WAN_NET_DEVICE,
             mtu, mtu, net->space[WAN_NET_SIDE_SERVER]);
    if (!run(net, command, "ip(8) cannot make a pair of veth devices")) return false;
    return set_up_side(net, WAN_NET_SIDE_CLIENT, &plan->steps[0].lanes[WAN_PLAN_DOWN], mtu) &&
           set_up_side(net, WAN_NET_SIDE_SERVER, &plan->steps[0].lanes[WAN_PLAN_UP], mtu);
}
