/* traffic: what one core's requests to one endpoint have moved and met: sums that only grow, read
 * by the controller of that endpoint (sched/flow) from the home core.
 *
 * Bytes are TCP's own (TCP_INFO): a send is whole or not at all in our world, a part of many MiB,
 * so only the kernel knows what has come through meanwhile. Acknowledged and sacked bytes count for
 * uploads, and for downloads received ones with those that wait behind a hole; whatever the
 * direction, the other is heads only, so both are added. A connection's last bytes are missed when
 * it closes between two looks: less than a tick's worth.
 *
 * What is lost of an upload the kernel has sent again, and counted. Of a download the server does
 * that, and we see the holes: of the segments that arrive a share h comes behind one. A hole stays
 * open for a round trip, until what was lost comes again, so that over a time T there were
 *
 *     losses ≥ h T / round trip
 *
 * What is lost while a hole is open counts as one with it: loss events (RFC 5348, 5.2), as what TCP
 * answers to, and the least that was lost. A segment that was overtaken makes a hole as well, but
 * one that is shorter than a round trip by as much as it came sooner than if it had been lost.
 * Before Linux 5.4 holes are not known. */
#ifndef S3_TRAFFIC_H
#define S3_TRAFFIC_H

#include "core/err.h"
#include "core/meter.h"
#include "sched/blame.h"
#include "sched/clamp.h"
#include "sched/depth.h"
#include "sched/grain.h"
#include "sched/prefixes.h"
#include "sched/rtt.h"
#include "sched/sample.h"
#include "sched/straggler.h"

struct client;
struct conn;

struct traffic {
    struct meter delivered_bytes, sent_bytes, resent_bytes;
    /* Of what was received: a segment for each loss, the least; and what arrived behind a hole. */
    struct meter lost_bytes, behind_hole_bytes;
    struct meter quiet_bytes, quiet_losses, segment_bytes; /* as in struct sample_totals */
    struct meter busy_ns; /* by the mover: request-ns in flight, sched/flow.h says how they count */
    struct meter requests, answer_ns; /* done; from the last byte sent to the reply's first */
    struct meter refusals, timeouts;
    struct meter parts, part_bytes, part_ns; /* that are done (sched/grain), and their time */
    struct meter server_ns; /* the least for an answer, without its round trip; 0: none came */
    struct meter slot_parts, slot_objects; /* by the mover: that are in its slots */
    /* By the mover and its parts, for sched/depth: places to send at that were free while parts
     * were read, in part-ns; what was read, and the tail of its time; what is ready, in parts. */
    struct meter starved_ns, staged[TASK_RANKS], staged_bytes, staging_tail_ns[TASK_RANKS], ready;
    struct meter paced_ns; /* by the mover: when one of them waited for pace, the last time */
    struct meter cpu_ns;   /* by the mover: of the core's thread */
    /* By the mover: parts that may be in flight here, as they share a rate, and how many of them
     * beyond the share (sched/ration); 0: there is no rate. The cap of each connection. */
    struct meter ration, ration_more, pacing_bytes_per_s;
    struct meter window_bytes; /* by the mover: of a connection that is read at a pace; 0: none */
    struct meter shut;         /* hosts whose breaker is not closed, at the last look */
    struct meter cuts[STRAGGLER_LONE + 1]; /* by the lookout, by verdict */
    struct prefixes_cell *cells;           /* the same by prefix; NULL: nobody asks */
    struct rtt staging[TASK_RANKS];        /* the core's own: of which the tails are */
    uint64_t rtt_least_ns;                 /* the same: of all looks; 0: none yet */
    struct meter rtt_ns;                   /* the least of the last look; 0: nothing was in use */
    struct meter rtt_now_ns; /* the least smoothed one, of what moved since; 0: nothing did */
    struct meter flows;      /* connections in use, at the last look */
    struct meter waiting;    /* of these: whose request has arrived, and no answer yet */
    struct meter looked_ns;  /* when that was */
};

/* Each connection in use is looked at: 0.3 µs each. What receives is clamped by these terms, where
 * there are any: one more system call. */
void traffic_look(struct traffic *traffic, struct client *client, const struct clamp_terms *terms);
/* What a connection did between the last two looks. */
void traffic_describe(const struct conn *conn, struct blame_wire *wire);
/* A request was answered, and well: what is refused is refused at once. */
void traffic_on_answer(struct traffic *traffic, uint32_t prefix, uint64_t answer_ns);
/* How long the connection has had something to send, so far. */
uint64_t traffic_busy_ns(const struct conn *conn);
/* The server took so long, and no more, to answer: whatever was asked. */
void traffic_on_wait(struct traffic *traffic, uint64_t server_ns);
void traffic_on_part(struct traffic *traffic, uint64_t bytes, uint64_t taken_ns); /* it is done */
void traffic_add_parts(const struct traffic *traffic, struct grain_totals *totals);
/* A part or an object was read for the first time. An empty one takes no reading. */
void traffic_on_staged(struct traffic *traffic, uint32_t rank, uint64_t bytes, uint64_t taken_ns);
void traffic_add_staged(const struct traffic *traffic, struct depth_totals *totals);
void traffic_on_failure(struct traffic *traffic, uint32_t prefix, enum err err); /* of an attempt */
/* From any thread. *rtt_ns becomes the least, where there is one, and so do the round trip of now
 * and the server's time of the totals. */
void traffic_add_up(const struct traffic *traffic, struct sample_totals *totals, uint64_t *rtt_ns);

#endif
