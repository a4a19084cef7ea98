/* world: what a simulated machine shares: virtual time, the events to come, chance, and the faults
 * that this seed may have.
 *
 * One world a process, made from one seed. Time stands still while code runs and jumps to the next
 * event when nobody has work. Everything random comes from the seed, so that the same seed and the
 * same code give the same run; world_hash() tells whether two runs were the same. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "core/check.h"
#include "core/rand.h"

/* Every way in which this world may misbehave. Each seed draws which of them it has, and how often
 * (swarm testing: Groce et al., ISSTA 2012). */
#define FAULTS(F)                                                                                  \
    /* files */                                                                                    \
    F(OPEN_FAILS)                                                                                  \
    F(NO_DESCRIPTOR)                                                                               \
    F(READ_EIO)                                                                                    \
    F(READ_SHORT)                                                                                  \
    F(WRITE_EIO)                                                                                   \
    F(WRITE_SHORT)                                                                                 \
    F(DISK_FULL)                                                                                   \
    F(AGAIN)                                                                                       \
    F(STAT_FAILS)                                                                                  \
    F(RENAME_FAILS)                                                                                \
    F(UNLINK_FAILS)                                                                                \
    F(ALLOCATE_FAILS)                                                                              \
    F(DIRECT_FAILS)                                                                                \
    F(TIMES_FAIL)                                                                                  \
    F(FOLDER_FAILS)                                                                                \
    F(SYNC_FAILS)                                                                                  \
    F(CLOSE_FAILS)                                                                                 \
    F(FILE_CHANGES)                                                                                \
    F(SLOW_DISK)                                                                                   \
    F(JOURNAL_FAILS)                                                                               \
    /* network */                                                                                  \
    F(NAME_FAILS)                                                                                  \
    F(REFUSED)                                                                                     \
    F(UNREACHABLE)                                                                                 \
    F(CONNECT_HANGS)                                                                               \
    F(RESET)                                                                                       \
    F(STALL)                                                                                       \
    F(BLACK_HOLE)                                                                                  \
    F(OUTAGE)                                                                                      \
    F(CONN_SLOW)                                                                                   \
    F(CONN_FADES)                                                                                  \
    /* server */                                                                                   \
    F(ERROR_500)                                                                                   \
    F(SLOW_DOWN)                                                                                   \
    F(ERROR_AFTER)                                                                                 \
    F(REPLY_LOST)                                                                                  \
    F(REPLY_CUT)                                                                                   \
    F(REPLY_SLOW)                                                                                  \
    F(REPLY_TRICKLES)                                                                              \
    F(REPLY_GARBAGE)                                                                               \
    F(REPLY_CORRUPT)                                                                               \
    F(REQUEST_CORRUPT)                                                                             \
    F(REQUEST_CUT)                                                                                 \
    F(EARLY_REPLY)                                                                                 \
    F(WRONG_ECHO)                                                                                  \
    F(ERROR_IN_200)                                                                                \
    F(CLOSE_AFTER)                                                                                 \
    F(COPY_LATE)                                                                                   \
    F(COPY_ALTERED)                                                                                \
    F(COMPLETE_SLOW)                                                                               \
    F(DENIED)                                                                                      \
    F(WRONG_RANGE)                                                                                 \
    F(OBJECT_CHANGES)                                                                              \
    /* machine */                                                                                  \
    F(CORE_PAUSES)                                                                                 \
    F(INTERRUPT)                                                                                   \
    /* of forests (forest.h), which draw them themselves */                                        \
    F(FOLDER_CLOSED)                                                                               \
    F(FOREST_CHANGES)                                                                              \
    F(LISTING_FAILS)                                                                               \
    F(LISTING_TURNS)

#define WORLD_FAULTS_DRAWN (FAULT_INTERRUPT + 1) /* by each seed */
#define WORLD_BEGIN_NS     (1000 * NS_PER_S)

enum fault {
#define FAULT(name) FAULT_##name,
    FAULTS(FAULT)
#undef FAULT
        FAULT_COUNT
};

struct event;
typedef void event_fn(struct event *event);

struct event { /* embedded */
    uint64_t at_ns, order;
    event_fn *run;
    uint32_t place; /* in the heap, from 1; 0: not waiting */
};

struct world {
    uint64_t seed, now_ns, wall_offset_ns;
    struct rand rand;
    struct rand later; /* for what was added later, so that the seeds of before draw the same */
    uint64_t calm_ns;  /* from then on nothing new goes wrong in phase 1; UINT64_MAX: never */
    uint32_t life;     /* which process it is: counts their starts */
    bool faulty;       /* phase 1; in phase 2 nothing goes wrong */
    bool verbose;
    double fault_rates[FAULT_COUNT]; /* 0: this seed has it not */
    uint64_t fault_counts[FAULT_COUNT];
    uint64_t hash, notes;
    /* private */
    struct event **heap;
    uint32_t heap_count, heap_max;
    uint64_t order;
    struct check_hook hook;
};

extern struct world *world; /* the fakes' functions have no place for it in their parameters */

void world_open(uint64_t seed, bool verbose);
void world_close(void);

/* chance */
uint64_t world_below(uint64_t bound); /* uniform in [0, bound) */
uint64_t world_between(uint64_t first, uint64_t last);
bool world_chance(double probability);
double world_scale(double least, double most); /* log-uniform: orders of magnitude alike */
bool world_has_fault(enum fault fault);        /* may it go wrong in this seed? */
/* Does this go wrong now? Counts it, if so. */
bool world_fault(enum fault fault);
const char *world_fault_name(enum fault fault);

/* time */
void event_init(struct event *event, event_fn *run);
void event_start(struct event *event, uint64_t at_ns);
void event_cancel(struct event *event);
uint64_t world_next_ns(void); /* UINT64_MAX: no event waits */
bool world_run_due(void);     /* all events whose time has come; false: there was none */
void world_advance(uint64_t to_ns);
void world_pass(uint64_t until_ns); /* what is still on its way, as far as it is before then */

/* what happened, for the hash, and for reading with V=1 */
void world_note(const char *what, uint64_t a, uint64_t b);
void world_say(const char *format, ...) PRINTF_LIKE(1, 2);
/* A rule of the simulation is broken: prints it, the flight recorders and how to replay it. */
__attribute__((noreturn)) void world_broken(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
