/* wan_model: one direction of a path, on virtual time. Pure: takes `now` and sizes, tells what is
 * lost and when the rest arrives; who has the bytes is none of its business.
 *
 *   offer ─► loss ─► policer ─► queue (bytes, drop-tail) ─► link (bits/s) ─► delay line ─► pop
 *
 * Everything counts wire packets: a TSO super-packet is offered as its `packets`, each of which is
 * lost, policed, queued or not by itself. Those that pass side by side stay together as a chunk, as
 * long as the link needs at most WAN_MODEL_CHUNK_NS for it, so that a slow link does not hand over
 * 64 KiB at a time; a chunk arrives when its last bit does. Packets never overtake each other.
 *
 * Loss is Gilbert's: in the good state nothing is lost, in the bad one all is, and the mean stay in
 * the bad state is the mean burst; a burst of 1/(1−loss) makes it plain random loss. Jitter
 * wanders: every WAN_MODEL_JITTER_NS a new deviation in [−jitter, jitter] is drawn, and the path
 * goes there in a straight line, since a path whose delay jumps from packet to packet would,
 * without overtaking, only be a longer one.
 *
 * A queue's limit excludes the chunk on the link. A change of the rate counts from the next chunk
 * on, one of the delay for what leaves the link from then on (what is in the fibre stays there). */
#ifndef TOOLS_WAN_MODEL_H
#define TOOLS_WAN_MODEL_H

#include "core/rand.h"
#include "tools/wan_plan.h"

#define WAN_MODEL_CHUNK_NS  (250 * NS_PER_US)
#define WAN_MODEL_JITTER_NS (20 * NS_PER_MS)

struct wan_model_loss {
    double into, out; /* the chance, at a packet, to enter and to leave the bad state */
    bool bad;
    uint64_t left; /* packets until the state changes */
    struct rand rand;
};

struct wan_model_chunk {
    uint64_t ready_ns;       /* before it is served: when it came */
    uint64_t where;          /* the owner's: of the super-packet */
    uint32_t first, packets; /* of the super-packet */
    uint32_t wire_bytes;
};

struct wan_model_counters {
    uint64_t packets, bytes;                                 /* offered */
    uint64_t lost_packets, policed_packets, dropped_packets; /* the last: queue full */
    uint64_t delivered_packets, delivered_bytes;
    uint64_t
        refused_packets; /* no chunk was free: the figures of this run are not worth anything */
    uint64_t queue_bytes_max;
};

struct wan_model {
    struct wan_model_counters counters;
    uint64_t queued_bytes; /* now */
    /* private */
    struct wan_plan_lane_setting setting;
    struct wan_model_loss loss;
    struct rand rand; /* of jitter */
    struct wan_model_chunk *chunks;
    uint64_t mask;
    uint64_t head, served, tail; /* deliver, serve, add; counted on, taken & mask */
    uint64_t link_free_ns, ready_last_ns;
    double tokens; /* bytes */
    uint64_t tokens_ns;
    double deviation_from, deviation_to; /* −1 to 1 */
    uint64_t deviation_ns;               /* when `from` held */
};

struct wan_model_offer {
    uint64_t where;
    uint32_t packets;
    uint32_t packet_bytes, last_packet_bytes; /* on the wire; of all but the last, of the last */
};

/* `chunks` is the caller's, a power of two of them. */
void wan_model_init(struct wan_model *model, struct wan_model_chunk *chunks, uint64_t chunk_count,
                    uint64_t seed);
void wan_model_set(struct wan_model *model, const struct wan_plan_lane_setting *setting,
                   uint64_t now_ns);
/* `now_ns` never goes back. */
void wan_model_offer(struct wan_model *model, uint64_t now_ns, const struct wan_model_offer *offer);
/* When wan_model_pop() has something; UINT64_MAX: nothing is under way. */
uint64_t wan_model_next_ns(const struct wan_model *model);
/* What has arrived by now; NULL: nothing. Valid until the next call. */
const struct wan_model_chunk *wan_model_pop(struct wan_model *model, uint64_t now_ns);
bool wan_model_is_empty(const struct wan_model *model);

/* Exposed for calibration: this many packets through the loss process alone; how many are lost. */
void wan_model_loss_init(struct wan_model_loss *loss, uint64_t seed);
void wan_model_loss_set(struct wan_model_loss *loss, double share, double burst_packets);
uint64_t wan_model_loss_count(struct wan_model_loss *loss, uint64_t packets);

#endif
