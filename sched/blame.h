/* blame: what a core's time went to: why a run was not faster. Pure.
 *
 * Every tick (50 ms) the core says what each of its busy slots waits for, how full its slots are,
 * and what the kernel gave its thread of a CPU; blame_settle() shares the time that has passed out
 * to causes:
 *
 *     passed = ran + waited for a CPU + rest
 *     rest · filled         is shared by the slots, each with its weight
 *     rest · (1 − filled)   goes to what the free slots lack
 *
 * so that all causes add up to the time that passed, exactly. What a core without a busy slot would
 * wait for, were there work for it, is left out. A fixed number of requests that go
 * round through reading, sending and waiting is a closed network of queues: most of them are found
 * where it is slowest, so that the greatest share names it. A slot that waits for buffers waits for
 * what those do that hold them, and has no share; how often that is, is counted beside (staging),
 * unless it waits only until the machine has found memory that we may have.
 *
 * What a connection waits for is told by TCP (struct blame_wire): time with data under way, and of
 * that, time in which the peer's window or our send buffer was the limit. The rest is the path. */
#ifndef SCHED_BLAME_H
#define SCHED_BLAME_H

#include "core/base.h"
#include "core/meter.h"

/* What is shown, in this order, by these names (--json). */
#define BLAME_KIND_TABLE(KIND)                                                                     \
    KIND(DISK, disk)                                                                               \
    KIND(CPU, cpu)                                                                                 \
    KIND(NETWORK_WINDOW, network_window)                                                           \
    KIND(RECEIVE_WINDOW, receive_window)                                                           \
    KIND(SEND_BUFFER, send_buffer)                                                                 \
    KIND(SERVER, server)                                                                           \
    KIND(POLICY, policy)                                                                           \
    KIND(NO_WORK, no_work)

/* What is found, and of which kind that is: what would help depends on it. */
#define BLAME_CAUSE_TABLE(CAUSE)                                                                   \
    CAUSE(FILE, DISK)    /* files are opened, read, written */                                     \
    CAUSE(STREAM, DISK)  /* a pipe: who writes into it, or reads from it */                        \
    CAUSE(JOURNAL, DISK) /* or the manifest */                                                     \
    CAUSE(RUNNING, CPU)                                                                            \
    CAUSE(CPU_TAKEN, CPU)              /* ready to run, and others do */                           \
    CAUSE(GROWING, CPU)                /* until the machine has found memory, and nobody moves */  \
    CAUSE(PATH, NETWORK_WINDOW)        /* bytes under way, the round trip */                       \
    CAUSE(CONNECT, NETWORK_WINDOW)     /* and TLS's handshake */                                   \
    CAUSE(PEER_WINDOW, RECEIVE_WINDOW) /* what we send finds no room there */                      \
    CAUSE(OUR_WINDOW, RECEIVE_WINDOW)  /* what we let the peer send is too little for the path */  \
    CAUSE(SEND_BUFFER, SEND_BUFFER)                                                                \
    CAUSE(ANSWER, SERVER)  /* all is sent, and nothing comes */                                    \
    CAUSE(CONTROL, SERVER) /* creating, completing, looking: nothing else can be done meanwhile */ \
    CAUSE(REFUSED, SERVER) /* a pause after a failure or a refusal */                              \
    CAUSE(PACE, POLICY)    /* --max-rate */                                                        \
    CAUSE(PREFIX, POLICY)  /* what is queued may not go: limits of prefixes */                     \
    CAUSE(MEMORY, POLICY)  /* all wait for buffers */                                              \
    CAUSE(FEW, NO_WORK)    /* all that there is is under way */                                    \
    CAUSE(FINDING, NO_WORK)

enum blame_kind {
#define KIND(name, word) BLAME_KIND_##name,
    BLAME_KIND_TABLE(KIND)
#undef KIND
        BLAME_KINDS
};

enum blame_cause {
#define CAUSE(name, kind) BLAME_##name,
    BLAME_CAUSE_TABLE(CAUSE)
#undef CAUSE
        BLAME_CAUSES
};

struct blame { /* of a core: sums that only grow, in ns */
    struct meter causes[BLAME_CAUSES], staging;
};

struct blame_totals { /* of all cores */
    uint64_t ns[BLAME_CAUSES], staging_ns;
};

struct blame_tick { /* while one is gathered */
    uint64_t now_ns, passed_ns;
    uint64_t ran_ns, waited_ns; /* of the core's thread, in that time: on a CPU, and for one */
    double filled;              /* of all slots there are, 0 to 1 */
    enum blame_cause idle;      /* what the others lack */
    /* private */
    double weights[BLAME_CAUSES], staging, growing;
};

struct blame_wire { /* of a connection; what was counted: since the last tick */
    uint64_t busy_ns, peer_window_ns, send_buffer_ns, received_bytes;
    uint64_t unsent_bytes, unanswered_bytes; /* in our buffer; under way, not acknowledged */
    uint64_t segment_bytes, rtt_min_ns;
    uint64_t window_bytes; /* that the peer may send; 0: not known */
    bool window_is_paced;  /* we made it small, for --max-rate */
};

void blame_tick_init(struct blame_tick *tick, uint64_t now_ns, uint64_t passed_ns);
void blame_add(struct blame_tick *tick, enum blame_cause cause, double weight);
/* A slot that waits for buffers; `growing`: more are on their way. */
void blame_add_staging(struct blame_tick *tick, bool growing, double weight);
/* A slot whose connection takes bytes, or still has some under way. */
void blame_add_sending(struct blame_tick *tick, const struct blame_wire *wire, double weight);
/* All is sent since `sent_ns`, by our account, and no answer has come. */
void blame_add_answer(struct blame_tick *tick, const struct blame_wire *wire, uint64_t sent_ns,
                      double weight);
void blame_add_receiving(struct blame_tick *tick, const struct blame_wire *wire, double weight);
void blame_settle(struct blame *blame, const struct blame_tick *tick);

/* From any thread. */
void blame_add_up(const struct blame *blame, struct blame_totals *totals);
void blame_since(const struct blame_totals *now, const struct blame_totals *before,
                 struct blame_totals *since);
/* The shares in per cent, which add up to 100. False, and all 0: no time was shared out. */
MUST_USE bool blame_shares(const struct blame_totals *totals, uint32_t percents[BLAME_KINDS]);
uint64_t blame_total_ns(const struct blame_totals *totals);
uint64_t blame_kind_ns(const struct blame_totals *totals, enum blame_kind kind);
enum blame_kind blame_greatest(const struct blame_totals *totals);
enum blame_cause blame_greatest_of(const struct blame_totals *totals, enum blame_kind kind);
const char *blame_kind_name(enum blame_kind kind);

#endif
