#include "tools/wan_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"

#define PORT            7777
#define PINGS           40u
#define PING_EVERY_NS   (10 * NS_PER_MS)
#define PATIENCE_NS     (300 * NS_PER_MS) /* beyond the path's own time */
#define STREAM_NS       (500 * NS_PER_MS)
#define STREAM_SLOW_NS  (1500 * NS_PER_MS) /* where half a second has too few packets */
#define SLOW_BITS_PER_S (100ull * 1000 * 1000)
#define GENTLE          0.6 /* of the rate */
#define FLOOD           1.15
#define FLOOD_SLOW      1.5             /* so that a policer's burst is over in the first half */
#define BURST_NS        (NS_PER_MS / 2) /* what is sent at a time, at the stream's rate */
#define HEADERS_BYTES   28u             /* IP and UDP */
#define DATAGRAM_BYTES  65000u          /* most that is sent at a time, below 65,507 */
#define SEGMENTS_MAX    60u             /* the kernel takes 64 */
#define SOCKET_BYTES    (64 << 20)

struct probe {
    int sockets[WAN_NET_SIDES];
    const struct wan_plan_step *step;
    uint32_t payload_bytes; /* of a packet */
    uint64_t path_ns;       /* at most, there and back, with full queues */
    uint8_t data[DATAGRAM_BYTES];
};

static int open_socket(struct wan_net *net, enum wan_net_side side)
{
    static const char *const addresses[] = {WAN_NET_CLIENT, WAN_NET_SERVER};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct sockaddr_in peer = own;
    int on = 1, bytes = SOCKET_BYTES;
    inet_pton(AF_INET, addresses[side], &own.sin_addr);
    inet_pton(AF_INET, addresses[1 - side], &peer.sin_addr);
    if (!wan_net_enter(net, side)) return -1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) == 0 &&
        connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0)
        return fd;
    close(fd);
    return -1;
}

static void sleep_until(int fd, uint64_t until_ns)
{
    uint64_t now_ns = clock_now_ns(), ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec time = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    struct pollfd wait = {fd, POLLIN, 0};
    (void)!ppoll(&wait, 1, &time, NULL);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The other side sends back what came. */
static void echo(const struct probe *probe, struct wan_probe_result *result)
{
    int server = probe->sockets[WAN_NET_SIDE_SERVER];
    uint64_t stamp;
    while (recv(server, &stamp, sizeof stamp, 0) == sizeof stamp)
        result->echoes += send(server, &stamp, sizeof stamp, 0) == sizeof stamp;
}

static void ping(struct probe *probe, struct wan_probe_result *result)
{
    int client = probe->sockets[WAN_NET_SIDE_CLIENT];
    uint64_t rtts_ns[PINGS], stamp, next_ns = clock_now_ns();
    uint64_t end_ns = next_ns + PINGS * PING_EVERY_NS + probe->path_ns + PATIENCE_NS;
    while (clock_now_ns() < end_ns && result->pongs < PINGS) {
        struct pollfd waits[] = {{client, POLLIN, 0},
                                 {probe->sockets[WAN_NET_SIDE_SERVER], POLLIN, 0}};
        stamp = clock_now_ns();
        if (result->pings < PINGS && stamp >= next_ns) {
            result->pings += send(client, &stamp, sizeof stamp, 0) == sizeof stamp;
            next_ns += PING_EVERY_NS;
        }
        uint64_t sleep_ns = next_ns > stamp ? next_ns - stamp : NS_PER_MS;
        struct timespec sleep = {0, (long)min_u64(sleep_ns, PING_EVERY_NS)};
        (void)!ppoll(waits, ARRAY_COUNT(waits), &sleep, NULL);
        echo(probe, result);
        while (result->pongs < PINGS && recv(client, &stamp, sizeof stamp, 0) == sizeof stamp)
            rtts_ns[result->pongs++] = clock_now_ns() - stamp;
    }
    if (result->pongs == 0) return;
    qsort(rtts_ns, result->pongs, sizeof rtts_ns[0], compare_u64);
    result->rtt_median_ns = rtts_ns[result->pongs / 2];
    result->rtt_min_ns = rtts_ns[0];
}

/* Sends packets of full size in one call. False: no room now. */
static bool send_packets(struct probe *probe, int fd, uint32_t packets)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control = {.bytes = {0}};
    uint16_t segment = (uint16_t)probe->payload_bytes;
    struct iovec piece = {probe->data, (size_t)packets * probe->payload_bytes};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_UDP;
    control.header.cmsg_type = UDP_SEGMENT;
    control.header.cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(&control.header), &segment, sizeof segment);
    return sendmsg(fd, &message, 0) == (ssize_t)piece.iov_len;
}

/* A stream as it arrives. */
struct arrival {
    uint64_t steady_from_ns; /* what arrives from then on is the later half */
    uint64_t first_ns, last_ns;
    uint64_t packets, steady_bytes, last_bytes;
};

static void receive(struct probe *probe, int fd, struct arrival *arrival)
{
    for (;;) {
        ssize_t count = recv(fd, probe->data, sizeof probe->data, 0);
        if (count <= 0) return;
        uint64_t packets = ((uint64_t)count + probe->payload_bytes - 1) / probe->payload_bytes;
        uint64_t now_ns = clock_now_ns(), bytes = (uint64_t)count + packets * HEADERS_BYTES;
        arrival->packets += packets;
        if (now_ns < arrival->steady_from_ns) continue;
        if (arrival->first_ns == 0)
            arrival->first_ns = now_ns; /* the time begins behind this one's bytes */
        else
            arrival->steady_bytes += bytes;
        arrival->last_ns = now_ns;
    }
}

/* Sends at `bits_per_s` for a while; then waits until nothing more can arrive. */
static void stream(struct probe *probe, enum wan_plan_lane lane, uint64_t bits_per_s,
                   struct wan_probe_stream *result)
{
    int from = probe->sockets[lane], to = probe->sockets[1 - lane];
    uint64_t duration_ns = bits_per_s < SLOW_BITS_PER_S ? STREAM_SLOW_NS : STREAM_NS;
    double packet_ns =
        (double)(probe->payload_bytes + HEADERS_BYTES) * 8 * (double)NS_PER_S / (double)bits_per_s;
    uint32_t most = (uint32_t)min_u64(SEGMENTS_MAX, DATAGRAM_BYTES / probe->payload_bytes);
    uint32_t burst = (uint32_t)max_u64(1, min_u64(most, (uint64_t)((double)BURST_NS / packet_ns)));
    uint64_t begin_ns = clock_now_ns(), end_ns = begin_ns + duration_ns, now_ns = begin_ns;
    struct arrival arrival = {.steady_from_ns =
                                  begin_ns + probe->step->lanes[lane].delay_ns + duration_ns / 2};
    while (now_ns < end_ns) {
        uint64_t due_ns = begin_ns + (uint64_t)((double)result->sent_packets * packet_ns);
        if (due_ns > now_ns)
            sleep_until(to, due_ns);
        else if (send_packets(probe, from, burst))
            result->sent_packets += burst;
        receive(probe, to, &arrival);
        now_ns = clock_now_ns();
    }
    uint64_t patience_ns = now_ns + probe->path_ns + PATIENCE_NS;
    while (clock_now_ns() < patience_ns) {
        if (arrival.packets == result->sent_packets) break;
        sleep_until(to, min_u64(patience_ns, clock_now_ns() + 10 * NS_PER_MS));
        receive(probe, to, &arrival);
    }
    result->received_packets = arrival.packets;
    result->steady_bytes = arrival.steady_bytes;
    result->steady_ns = arrival.last_ns - arrival.first_ns;
}

/* What the lane lets through in the long run; 0: no limit. */
static uint64_t limit_of(const struct wan_plan_lane_setting *setting)
{
    if (setting->police_bits_per_s == 0) return setting->rate_bits_per_s;
    if (setting->rate_bits_per_s == 0) return setting->police_bits_per_s;
    return min_u64(setting->rate_bits_per_s, setting->police_bits_per_s);
}

static uint64_t path_ns(const struct wan_plan_step *step)
{
    uint64_t ns = 0;
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        const struct wan_plan_lane_setting *lane = &step->lanes[i];
        ns += lane->delay_ns + lane->jitter_ns;
        if (lane->rate_bits_per_s > 0)
            ns += (uint64_t)((double)lane->queue_bytes * 8 * (double)NS_PER_S /
                             (double)lane->rate_bits_per_s);
    }
    return ns;
}

void wan_probe_run(struct wan_net *net, const struct wan_plan_step *step, uint32_t mtu,
                   struct wan_probe_result *result)
{
    struct probe *probe = calloc(1, sizeof *probe);
    *result = (struct wan_probe_result){.ran = false};
    if (!probe) return;
    probe->step = step;
    probe->payload_bytes = mtu - HEADERS_BYTES;
    probe->path_ns = path_ns(step);
    for (uint32_t i = 0; i < WAN_NET_SIDES; i++)
        probe->sockets[i] = open_socket(net, i);
    result->ran = probe->sockets[0] >= 0 && probe->sockets[1] >= 0;
    if (result->ran) ping(probe, result);
    for (uint32_t i = 0; i < WAN_PLAN_LANES && result->ran; i++) {
        uint64_t limit = limit_of(&step->lanes[i]);
        double base = limit ? (double)limit : (double)WAN_PROBE_UNLIMITED_BITS_PER_S;
        stream(probe, i, (uint64_t)(base * GENTLE), &result->gentle[i]);
        double flood = limit < SLOW_BITS_PER_S ? FLOOD_SLOW : FLOOD;
        if (limit) stream(probe, i, (uint64_t)(base * flood), &result->flood[i]);
    }
    for (uint32_t i = 0; i < WAN_NET_SIDES; i++)
        if (probe->sockets[i] >= 0) close(probe->sockets[i]);
    free(probe);
}
