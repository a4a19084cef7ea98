#include "tools/wan_packet.h"

#include <linux/virtio_net.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define GSO_UDP_L4 5
#define FLAGS_AT   (WAN_PACKET_VNET_BYTES + 20 + 13)

static uint8_t frame[WAN_PACKET_FRAME_BYTES];

static uint32_t load16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t load32(const uint8_t *at)
{
    return load16(at) << 16 | load16(at + 2);
}

static uint32_t fold(const uint8_t *data, uint32_t bytes, uint32_t sum)
{
    for (uint32_t i = 0; i < bytes; i += 2)
        sum += load16(data + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* A super-packet as the kernel hands it over: 12 bytes of TCP options, CWR, PSH and FIN set. */
static uint32_t make_frame(bool tcp, uint32_t payload_bytes, uint16_t segment_bytes)
{
    uint8_t *ip = frame + WAN_PACKET_VNET_BYTES, *transport = ip + 20;
    uint32_t transport_bytes = tcp ? 32 : 8, total = 20 + transport_bytes + payload_bytes;
    struct virtio_net_hdr vnet = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = tcp ? VIRTIO_NET_HDR_GSO_TCPV4 : GSO_UDP_L4,
        .gso_size = segment_bytes,
        .csum_start = 20,
        .csum_offset = tcp ? 16 : 6,
    };
    memset(frame, 0, sizeof frame);
    memcpy(frame, &vnet, sizeof vnet);
    ip[0] = 0x45;
    ip[2] = (uint8_t)(total >> 8);
    ip[3] = (uint8_t)total;
    ip[5] = 7; /* identification */
    ip[9] = tcp ? 6 : 17;
    memcpy(ip + 12, (uint8_t[]){10, 77, 0, 1, 10, 77, 0, 2}, 8);
    if (tcp) {
        memcpy(transport + 4, (uint8_t[]){0xff, 0xff, 0xff, 0x00}, 4); /* near its end */
        transport[12] = 0x80;
        transport[13] = 0x80 | 0x10 | 0x08 | 0x01;
    }
    return WAN_PACKET_VNET_BYTES + total;
}

static void check_slice(const struct wan_packet *packet, uint32_t first, uint32_t count)
{
    struct wan_packet_slice slice = {.first = first, .count = count};
    uint8_t *header = slice.header, *ip = header + WAN_PACKET_VNET_BYTES;
    struct virtio_net_hdr vnet;
    wan_packet_slice(packet, frame, &slice);
    uint32_t header_bytes = slice.header_bytes, offset = slice.payload_offset;
    uint32_t bytes = slice.payload_bytes;
    uint32_t headers = header_bytes - WAN_PACKET_VNET_BYTES, whole = packet->packets;
    bool last = first + count == whole;
    memcpy(&vnet, header, sizeof vnet);
    assert_int_equal(header_bytes, packet->header_bytes);
    assert_int_equal(offset, header_bytes + first * packet->segment_bytes);
    if (!last) assert_int_equal(bytes, count * packet->segment_bytes);
    assert_true(offset + bytes <= packet->header_bytes + packet->payload_bytes);
    assert_int_equal(load16(ip + 2), headers + bytes);
    assert_int_equal(vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE, count == 1 && whole > 1);
    if (count == whole) return; /* as it came */
    assert_int_equal(load16(ip + 4), 7 + first);
    assert_int_equal(fold(ip, 20, 0), 0xffff); /* a good checksum */
    uint32_t pseudo = fold(ip + 12, 8, (uint32_t)ip[9] + headers - 20 + bytes);
    if (!packet->tcp) {
        assert_int_equal(load16(ip + 24), headers - 20 + bytes);
        assert_int_equal(load16(ip + 26), pseudo);
        return;
    }
    assert_int_equal(load32(ip + 24), 0xffffff00u + first * packet->segment_bytes);
    assert_int_equal(load16(ip + 36), pseudo);
    assert_int_equal(header[FLAGS_AT] & 0x09, last ? 0x09 : 0);
    assert_int_equal(header[FLAGS_AT] & 0x80, first == 0 ? 0x80 : 0);
    assert_int_equal(header[FLAGS_AT] & 0x10, 0x10);
}

static void test_all_slices(void **state)
{
    static const struct {
        bool tcp;
        uint32_t payload;
        uint16_t segment;
        uint32_t packets;
    } rows[] = {{true, 14480, 1448, 10}, {true, 14481, 1448, 11}, {true, 100, 1448, 1},
                {true, 1449, 1448, 2},   {false, 7360, 1472, 5},  {false, 7000, 1472, 5}};
    struct wan_packet packet;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint32_t bytes = make_frame(rows[i].tcp, rows[i].payload, rows[i].segment);
        uint32_t headers = rows[i].tcp ? 52 : 28;
        assert_true(wan_packet_parse(&packet, frame, bytes));
        assert_int_equal(packet.packets, rows[i].packets);
        uint32_t last = rows[i].payload - (rows[i].packets - 1) * rows[i].segment;
        assert_int_equal(wan_packet_last_wire_bytes(&packet), headers + last);
        if (rows[i].packets > 1)
            assert_int_equal(wan_packet_wire_bytes(&packet), headers + rows[i].segment);
        for (uint32_t first = 0; first < packet.packets; first++)
            for (uint32_t count = 1; first + count <= packet.packets; count++)
                check_slice(&packet, first, count);
    }
}

/* A frame that is one packet goes on as it is, whatever it carries. */
static void test_plain(void **state)
{
    uint32_t bytes = make_frame(true, 1000, 0);
    struct wan_packet_slice slice = {.first = 0, .count = 1};
    struct wan_packet packet;
    (void)state;
    ((struct virtio_net_hdr *)(void *)frame)->gso_type = VIRTIO_NET_HDR_GSO_NONE;
    frame[WAN_PACKET_VNET_BYTES + 9] = 1; /* ICMP */
    assert_true(wan_packet_parse(&packet, frame, bytes));
    assert_int_equal(packet.packets, 1);
    assert_int_equal(wan_packet_last_wire_bytes(&packet), bytes - WAN_PACKET_VNET_BYTES);
    assert_int_equal(wan_packet_wire_bytes(&packet), bytes - WAN_PACKET_VNET_BYTES);
    wan_packet_slice(&packet, frame, &slice);
    assert_memory_equal(slice.header, frame, slice.header_bytes);
    assert_int_equal(slice.payload_offset, slice.header_bytes);
    assert_int_equal(slice.header_bytes + slice.payload_bytes, bytes);
}

static void test_refusals(void **state)
{
    uint32_t bytes = make_frame(true, 14480, 1448);
    uint8_t *ip = frame + WAN_PACKET_VNET_BYTES;
    struct wan_packet packet;
    (void)state;
    assert_true(wan_packet_parse(&packet, frame, bytes));
    assert_false(wan_packet_parse(&packet, frame, bytes - 1));
    assert_false(wan_packet_parse(&packet, frame, WAN_PACKET_VNET_BYTES + 19));
    assert_false(wan_packet_parse(&packet, frame, 0));
    ip[0] = 0x65; /* IPv6 */
    assert_false(wan_packet_parse(&packet, frame, bytes));
    ip[0] = 0x44; /* a header of 16 bytes */
    assert_false(wan_packet_parse(&packet, frame, bytes));
    ip[0] = 0x45;
    ip[9] = 17; /* the segmentation says TCP */
    assert_false(wan_packet_parse(&packet, frame, bytes));
    ip[9] = 6;
    ip[20 + 12] = 0x40; /* a TCP header of 16 bytes */
    assert_false(wan_packet_parse(&packet, frame, bytes));
    make_frame(true, 14480, 0); /* segments of nothing */
    assert_false(wan_packet_parse(&packet, frame, bytes));
    make_frame(true, 14480, 1448);
    frame[1] = VIRTIO_NET_HDR_GSO_TCPV6;
    assert_false(wan_packet_parse(&packet, frame, bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_slices),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("wan_packet", tests, NULL, NULL);
}
