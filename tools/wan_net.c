#include "tools/wan_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_PATH     "/dev/net/tun"
#define QUEUE_FRAMES 10000 /* of the device towards us, so that it does not drop when we are late */
#define LINE_BYTES   512u
#define DROPS_COLUMN 11u /* of /proc/net/dev: transmitted and dropped */

static bool fail(struct wan_net *net, const char *format, ...) PRINTF_LIKE(2, 3);

static bool fail(struct wan_net *net, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(net->why, sizeof net->why, format, arguments);
    va_end(arguments);
    return false;
}

static struct ifreq request_of(const char *device)
{
    struct ifreq request = {.ifr_flags = 0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    return request;
}

/* Without UDP segmentation the kernel cuts datagrams itself: slower, not wrong. */
static bool open_device(struct wan_net *net, int *device)
{
    struct ifreq request = request_of(WAN_NET_DEVICE);
    unsigned offload = TUN_F_CSUM | TUN_F_TSO4;
    *device = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*device < 0)
        return fail(net, "cannot open %s: %s (is the tun module there?)", TUN_PATH,
                    strerror(errno));
    request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(*device, TUNSETIFF, &request))
        return fail(net, "cannot make a TUN device: %s", strerror(errno));
    if (ioctl(*device, TUNSETOFFLOAD, offload | TUN_F_USO4 | TUN_F_USO6) &&
        ioctl(*device, TUNSETOFFLOAD, offload))
        return fail(net, "the TUN device does not offload segmentation: %s", strerror(errno));
    return true;
}

static bool set_address(int control, unsigned long what, const char *text)
{
    struct ifreq request = request_of(WAN_NET_DEVICE);
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, text, &address.sin_addr);
    memcpy(&request.ifr_addr, &address, sizeof address);
    return ioctl(control, what, &request) == 0;
}

static bool bring_up(int control, const char *device)
{
    struct ifreq request = request_of(device);
    if (ioctl(control, SIOCGIFFLAGS, &request)) return false;
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    return ioctl(control, SIOCSIFFLAGS, &request) == 0;
}

static bool set_up_device(int control, enum wan_net_side side, uint32_t mtu)
{
    bool client = side == WAN_NET_SIDE_CLIENT;
    struct ifreq request = request_of(WAN_NET_DEVICE);
    request.ifr_mtu = (int)mtu;
    if (ioctl(control, SIOCSIFMTU, &request)) return false;
    request.ifr_qlen = QUEUE_FRAMES;
    if (ioctl(control, SIOCSIFTXQLEN, &request)) return false;
    return set_address(control, SIOCSIFADDR, client ? WAN_NET_CLIENT : WAN_NET_SERVER) &&
           set_address(control, SIOCSIFDSTADDR, client ? WAN_NET_SERVER : WAN_NET_CLIENT) &&
           bring_up(control, WAN_NET_DEVICE);
}

/* "/proc/sys/…" below net/, in the namespace that the caller is in. */
static bool set_sysctl(struct wan_net *net, const char *name, const char *value)
{
    char path[LINE_BYTES];
    snprintf(path, sizeof path, "/proc/sys/net/%s", name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool good = file >= 0 && write(file, value, strlen(value)) == (ssize_t)strlen(value);
    int error = errno;
    if (file >= 0) close(file);
    return good || fail(net, "cannot set %s to %s: %s", path, value, strerror(error));
}

static bool set_sysctls(struct wan_net *net, const struct wan_net_options *options)
{
    char line[LINE_BYTES];
    int has_ipv6 = access("/proc/sys/net/ipv6/conf/all/disable_ipv6", W_OK);
    if (has_ipv6 == 0 && !set_sysctl(net, "ipv6/conf/all/disable_ipv6", "1")) return false;
    if (!set_sysctl(net, "ipv4/tcp_no_metrics_save", "1")) return false;
    if (options->tcp_memory_bytes == 0) return true;
    snprintf(line, sizeof line, "4096 131072 %" PRIu64, options->tcp_memory_bytes);
    return set_sysctl(net, "ipv4/tcp_rmem", line) && set_sysctl(net, "ipv4/tcp_wmem", line);
}

static bool open_side(struct wan_net *net, enum wan_net_side side,
                      const struct wan_net_options *options)
{
    if (unshare(CLONE_NEWNET))
        return fail(net,
                    "cannot make a network namespace: %s (root with CAP_NET_ADMIN and "
                    "CAP_SYS_ADMIN is needed)",
                    strerror(errno));
    net->space[side] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (net->space[side] < 0) return fail(net, "no /proc/thread-self/ns/net: %s", strerror(errno));
    if (options->devices && !open_device(net, &net->device[side])) return false;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good = control >= 0 && bring_up(control, "lo") &&
                (!options->devices || set_up_device(control, side, options->mtu));
    int error = errno;
    if (control >= 0) close(control);
    if (!good) return fail(net, "cannot set up the devices: %s", strerror(error));
    return set_sysctls(net, options);
}

bool wan_net_open(struct wan_net *net, const struct wan_net_options *options)
{
    *net = (struct wan_net){.space = {-1, -1}, .device = {-1, -1}};
    return open_side(net, WAN_NET_SIDE_CLIENT, options) &&
           open_side(net, WAN_NET_SIDE_SERVER, options);
}

bool wan_net_enter(struct wan_net *net, enum wan_net_side side)
{
    return setns(net->space[side], CLONE_NEWNET) == 0 ||
           fail(net, "cannot enter a namespace: %s", strerror(errno));
}

uint64_t wan_net_device_drops(void)
{
    char line[LINE_BYTES], *at;
    uint64_t drops = 0;
    FILE *file = fopen("/proc/thread-self/net/dev", "re");
    while (file && fgets(line, sizeof line, file)) {
        at = strstr(line, WAN_NET_DEVICE ":");
        if (!at) continue;
        at = strtok(at + strlen(WAN_NET_DEVICE ":"), " ");
        for (uint32_t column = 0; at && column < DROPS_COLUMN; column++)
            at = strtok(NULL, " ");
        if (at) sscanf(at, "%" SCNu64, &drops);
    }
    if (file) fclose(file);
    return drops;
}
