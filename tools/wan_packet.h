/* wan_packet: what a TUN device with IFF_VNET_HDR hands over, and slices of it. Pure.
 *
 * A frame is a virtio_net_hdr and an IPv4 packet. With segmentation offload one frame is up to 64
 * KiB that the receiver of a real wire would see as many packets; wan_packet_slice() makes a frame
 * of any run of these, so that a loss in the middle leaves two frames. Slices share the payload
 * with their frame: only the headers are written anew (lengths, IP identification and checksum, TCP
 * sequence number and flags, UDP length, and the partial checksum that the offload left behind).
 *
 * Not here: IPv6 (the laboratory's namespaces have none), IP fragments and options of segmented
 * frames beyond their copy. Reference: VIRTIO 1.2, 5.1.6; Linux include/uapi/linux/virtio_net.h. */
#ifndef TOOLS_WAN_PACKET_H
#define TOOLS_WAN_PACKET_H

#include "core/base.h"

#define WAN_PACKET_VNET_BYTES   10u               /* struct virtio_net_hdr, little endian */
#define WAN_PACKET_HEADER_BYTES (10u + 60u + 60u) /* with the longest IP and TCP headers */
#define WAN_PACKET_FRAME_BYTES  (10u + 65535u)

struct wan_packet {
    uint32_t header_bytes;  /* virtio, IP and, where segmented, TCP or UDP */
    uint32_t ip_bytes;      /* of the IP header */
    uint32_t payload_bytes; /* behind the headers */
    uint32_t segment_bytes; /* payload of one wire packet; 0: the frame is one packet */
    uint32_t packets;       /* on the wire */
    bool tcp;               /* segmented: TCP, else UDP */
};

/* False: not an IPv4 frame that could be handed on. */
MUST_USE bool wan_packet_parse(struct wan_packet *packet, const uint8_t *frame, uint32_t bytes);
/* On the wire, IP header included: of a full packet, and of the frame's last one. */
uint32_t wan_packet_wire_bytes(const struct wan_packet *packet);
uint32_t wan_packet_last_wire_bytes(const struct wan_packet *packet);

/* A run of a frame's wire packets, as a frame: what `header` has, and payload of the whole frame.
 * */
struct wan_packet_slice {
    uint32_t first, count;
    uint32_t header_bytes;
    uint32_t payload_offset, payload_bytes; /* in the whole frame */
    uint8_t header[WAN_PACKET_HEADER_BYTES];
};

/* Fills in what is below `first` and `count`. */
void wan_packet_slice(const struct wan_packet *packet, const uint8_t *frame,
                      struct wan_packet_slice *slice);

#endif
