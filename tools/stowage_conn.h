/* stowage_conn: one connection of the server: reads requests one after the other, moves their
 * bodies, answers.
 *
 *   READ ⇄ READING        a head
 *   MATCH                 which operation, by whom, and how it is misbehaved with (stowage_admit)
 *   CONTINUE → CONTINUING 100 (Continue), where the client waits for it
 *   OPEN → OPENING        the sink
 *   BODY ⇄ RECEIVING, WRITING, COPYING    the body, received straight to where the sink has it
 *        ⇄ HOLDING        a fault rule holds it up
 *   SHUT → SHUTTING       the sink
 *   SERVE → SERVING       the time that the operation takes
 *   FINISH ⇄ FINISHING    the operation
 *   REPLY → FILLING → SEND → PUSH ⇄ SENDING, PAUSING → SENT (→ FILLING …)
 *   LINGER ⇄ LINGERING    a refused body that is too long to be read first
 *   NEXT                  the next request, or
 *   LEAVE ⇄ LEAVING → CLOSING             from any state, after any error of the wire
 *
 * One op is out at a time (and the timer's). A connection that is idle for
 * STOWAGE_CONN_IDLE_NS, or whose transfer stands still for STOWAGE_CONN_STALL_NS, is closed. Bodies
 * that are refused are read and dropped up to STOWAGE_CONN_DRAIN_BYTES, so that the connection can
 * be used on. */
#ifndef TOOLS_STOWAGE_CONN_H
#define TOOLS_STOWAGE_CONN_H

#include "core/log.h"
#include "core/machine.h"
#include "net/accept.h"
#include "tools/stowage_body.h"
#include "tools/stowage_call.h"
#include "tools/stowage_fault.h"
#include "tools/stowage_flow.h"
#include "tools/stowage_out.h"
#include "tools/stowage_service.h"

#define STOWAGE_CONN_IDLE_NS         (65 * NS_PER_S)  /* as Ceph's beast front end */
#define STOWAGE_CONN_STALL_NS        (600 * NS_PER_S) /* a full send buffer of a very slow path */
#define STOWAGE_CONN_LINGER_NS       (2 * NS_PER_S)
#define STOWAGE_CONN_DRAIN_BYTES     (16 * MIB)
#define STOWAGE_CONN_IN_BYTES        (64u * 1024u) /* a head, and most small bodies with it */
#define STOWAGE_CONN_LOW_WATER_BYTES (512 * 1024)  /* half a receive: few wakes, no stall */

struct stowage_conn_traffic { /* heads and bodies, as they are above TLS */
    uint64_t requests, received_bytes, sent_bytes;
};

struct stowage_conn_options { /* of all connections of a server */
    const struct log *log;
    struct stowage_conn_traffic *traffic;
};

struct stowage_conn {
    struct machine machine;
    struct link link; /* in the server's list */
    struct op done;   /* of the machine: the owner's */
    struct accepted *accepted;
    struct stream *stream;
    struct stowage_call call;
    struct op wire, keep, closing;
    struct timer timer, pause;
    uint64_t moved_ns, begun_ns;
    bool low_water; /* SO_RCVLOWAT is raised */
    bool leaving, stop_asked, keep_alive;

    struct stowage_fault_hit hit;           /* how this request is misbehaved with */
    struct stowage_service_verdict service; /* how fast it is served */
    bool in_service;
    struct stowage_flow inflow, outflow;
    char *filler; /* headers that a rule adds */

    struct stowage_body body;
    char *in; /* STOWAGE_CONN_IN_BYTES: a head and what came with it */
    uint32_t in_count;
    char *scratch;       /* STOWAGE_SCRATCH_BYTES, made when first needed */
    char *area;          /* what a receive goes to */
    uint32_t copy_index; /* of the source's iovecs */

    struct stowage_out out;
    struct iovec iovecs[STREAM_IOVECS_MAX];
    uint64_t number; /* of the request, server-wide: its id */
    const struct stowage_conn_options *options;
};

/* Owns `accepted` and releases it; `done` runs when all is over: then fini. Errors: ERR_NO_MEMORY.
 */
MUST_USE enum err stowage_conn_open(struct stowage_conn **conn, struct stowage_world *world,
                                    struct accepted *accepted,
                                    const struct stowage_conn_options *options, op_fn *done);
/* Ends it soon, whatever it is doing. */
void stowage_conn_stop(struct stowage_conn *conn);
void stowage_conn_free(struct stowage_conn *conn); /* after done */

#endif
