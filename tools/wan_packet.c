#include "tools/wan_packet.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "core/check.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define IPV4_BYTES_MIN  20u
#define PROTOCOL_TCP    6u
#define PROTOCOL_UDP    17u
#define TCP_BYTES_MIN   20u
#define UDP_BYTES       8u
#define TCP_FIN_PSH     0x09u /* only on the last segment */
#define TCP_CWR         0x80u /* only on the first */
#define TCP_CHECKSUM_AT 16u
#define UDP_CHECKSUM_AT 6u

_Static_assert(sizeof(struct virtio_net_hdr) == WAN_PACKET_VNET_BYTES, "TUN's default header");

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void store16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void add32(uint8_t *at, uint32_t increment)
{
    uint32_t value = ((uint32_t)load16(at) << 16 | load16(at + 2)) + increment;
    store16(at, value >> 16);
    store16(at + 2, value & 0xffff);
}

static uint32_t sum16(const uint8_t *data, uint32_t bytes, uint32_t sum)
{
    for (uint32_t i = 0; i + 1 < bytes; i += 2)
        sum += load16(data + i);
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The kind of segmentation and the transport header's size; false: a frame that cannot be. */
static bool parse_segmented(struct wan_packet *packet, const uint8_t *ip, uint32_t ip_total,
                            const struct virtio_net_hdr *vnet)
{
    const uint8_t *transport = ip + packet->ip_bytes;
    uint32_t kind = vnet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN, transport_bytes;
    packet->tcp = kind == VIRTIO_NET_HDR_GSO_TCPV4;
    if (!packet->tcp && kind != VIRTIO_NET_HDR_GSO_UDP_L4) return false;
    if (ip[9] != (packet->tcp ? PROTOCOL_TCP : PROTOCOL_UDP)) return false;
    if (ip_total < packet->ip_bytes + (packet->tcp ? TCP_BYTES_MIN : UDP_BYTES)) return false;
    transport_bytes = packet->tcp ? (uint32_t)(transport[12] >> 4) * 4 : UDP_BYTES;
    if (packet->tcp && transport_bytes < TCP_BYTES_MIN) return false;
    if (ip_total <= packet->ip_bytes + transport_bytes || vnet->gso_size == 0) return false;
    packet->header_bytes = WAN_PACKET_VNET_BYTES + packet->ip_bytes + transport_bytes;
    packet->payload_bytes = ip_total - packet->ip_bytes - transport_bytes;
    packet->segment_bytes = vnet->gso_size;
    packet->packets = (packet->payload_bytes + vnet->gso_size - 1) / vnet->gso_size;
    return true;
}

bool wan_packet_parse(struct wan_packet *packet, const uint8_t *frame, uint32_t bytes)
{
    struct virtio_net_hdr vnet;
    const uint8_t *ip = frame + sizeof vnet;
    *packet = (struct wan_packet){.packets = 1};
    if (bytes < sizeof vnet + IPV4_BYTES_MIN || ip[0] >> 4 != 4) return false;
    memcpy(&vnet, frame, sizeof vnet);
    packet->ip_bytes = (ip[0] & 15u) * 4;
    uint32_t ip_total = load16(ip + 2);
    if (packet->ip_bytes < IPV4_BYTES_MIN || ip_total < packet->ip_bytes) return false;
    if (sizeof vnet + ip_total > bytes) return false;
    packet->header_bytes = (uint32_t)sizeof vnet + packet->ip_bytes;
    packet->payload_bytes = ip_total - packet->ip_bytes;
    if (vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE) return true;
    return parse_segmented(packet, ip, ip_total, &vnet);
}

uint32_t wan_packet_wire_bytes(const struct wan_packet *packet)
{
    uint32_t headers = packet->header_bytes - WAN_PACKET_VNET_BYTES;
    return headers + (packet->packets > 1 ? packet->segment_bytes : packet->payload_bytes);
}

uint32_t wan_packet_last_wire_bytes(const struct wan_packet *packet)
{
    uint32_t headers = packet->header_bytes - WAN_PACKET_VNET_BYTES;
    return headers + packet->payload_bytes - (packet->packets - 1) * packet->segment_bytes;
}

static void rewrite_vnet(uint8_t *header, uint32_t count)
{
    struct virtio_net_hdr vnet;
    memcpy(&vnet, header, sizeof vnet);
    if (count == 1) {
        vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
        vnet.gso_size = 0;
    }
    memcpy(header, &vnet, sizeof vnet);
}

static void rewrite_ip(uint8_t *ip, uint32_t ip_bytes, uint32_t total, uint32_t first)
{
    store16(ip + 2, total);
    store16(ip + 4, (uint32_t)load16(ip + 4) + first);
    store16(ip + 10, 0);
    store16(ip + 10, (uint16_t)~fold(sum16(ip, ip_bytes, 0)));
}

/* The checksum field has the pseudo header's sum, which the receiver or its card completes. */
static void rewrite_transport(const struct wan_packet *packet, struct wan_packet_slice *slice,
                              uint32_t bytes)
{
    uint8_t *ip = slice->header + WAN_PACKET_VNET_BYTES, *transport = ip + packet->ip_bytes;
    uint32_t pseudo = sum16(ip + 12, 8, (uint32_t)ip[9] + bytes);
    if (!packet->tcp) {
        store16(transport + 4, bytes);
        store16(transport + UDP_CHECKSUM_AT, fold(pseudo));
        return;
    }
    add32(transport + 4, slice->first * packet->segment_bytes);
    if (slice->first + slice->count < packet->packets) transport[13] &= (uint8_t)~TCP_FIN_PSH;
    if (slice->first > 0) transport[13] &= (uint8_t)~TCP_CWR;
    store16(transport + TCP_CHECKSUM_AT, fold(pseudo));
}

void wan_packet_slice(const struct wan_packet *packet, const uint8_t *frame,
                      struct wan_packet_slice *slice)
{
    uint32_t behind = slice->first + slice->count, headers;
    CHECK(slice->count >= 1 && behind <= packet->packets);
    CHECK(packet->header_bytes <= WAN_PACKET_HEADER_BYTES);
    memcpy(slice->header, frame, packet->header_bytes);
    slice->header_bytes = packet->header_bytes;
    slice->payload_offset = packet->header_bytes + slice->first * packet->segment_bytes;
    slice->payload_bytes = behind == packet->packets
                               ? packet->payload_bytes - slice->first * packet->segment_bytes
                               : slice->count * packet->segment_bytes;
    if (packet->segment_bytes == 0 || slice->count == packet->packets) return;
    headers = packet->header_bytes - WAN_PACKET_VNET_BYTES;
    rewrite_vnet(slice->header, slice->count);
    rewrite_ip(slice->header + WAN_PACKET_VNET_BYTES, packet->ip_bytes,
               headers + slice->payload_bytes, slice->first);
    rewrite_transport(packet, slice, headers - packet->ip_bytes + slice->payload_bytes);
}
