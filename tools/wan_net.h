/* wan_net: two network namespaces of our own, each with loopback and one TUN device, "wan0", which
 * is its only way out. Nothing has a name outside: namespaces and devices live as long as the
 * processes that hold them, so that after any end, by SIGKILL too, nothing of them is left.
 *
 *   client  WAN_NET_CLIENT ── wan0 ── fd │ fd ── wan0 ── WAN_NET_SERVER  server
 *
 * The devices offload segmentation and checksums to whoever reads them (IFF_VNET_HDR, TSO, and UDP
 * segmentation from Linux 6.2 on), which is what makes gigabits possible in user space. IPv6 is
 * off. */
#ifndef TOOLS_WAN_NET_H
#define TOOLS_WAN_NET_H

#include "core/base.h"

#define WAN_NET_CLIENT    "10.77.0.1"
#define WAN_NET_SERVER    "10.77.0.2"
#define WAN_NET_WHY_BYTES 256u
#define WAN_NET_DEVICE    "wan0"

enum wan_net_side { WAN_NET_SIDE_CLIENT, WAN_NET_SIDE_SERVER, WAN_NET_SIDES };

struct wan_net_options {
    uint32_t mtu;
    uint64_t tcp_memory_bytes; /* most a socket buffers, either way; 0: as the kernel has it */
    bool devices;              /* false: namespaces only, the way between is another's (netem) */
};

struct wan_net {
    int space[WAN_NET_SIDES];  /* descriptors of the namespaces */
    int device[WAN_NET_SIDES]; /* of the TUN devices, non-blocking; −1 without */
    char why[WAN_NET_WHY_BYTES];
};

/* The calling process is in the server's namespace then. False: `why` has a sentence. */
MUST_USE bool wan_net_open(struct wan_net *net, const struct wan_net_options *options);
MUST_USE bool wan_net_enter(struct wan_net *net, enum wan_net_side side);
/* What the device of the caller's namespace dropped on its way to us: 0 in a sound run. */
uint64_t wan_net_device_drops(void);

#endif
