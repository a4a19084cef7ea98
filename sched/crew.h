/* crew: starts, pins and stops cores, one thread each, and joins their mailboxes.
 *
 *   crew_open() → the first work is given to the cores → crew_start() → crew_wait() → crew_close()
 *
 * Core i of the crew has index i. All signals are blocked in the cores' threads: they are the main
 * thread's business. */
#ifndef SCHED_CREW_H
#define SCHED_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/core.h"

struct crew;

struct crew_seat {
    /* private */
    struct crew *crew;
    struct core *core;
    pthread_t thread;
    struct msg stop;
};

struct crew {
    uint16_t count;
    struct core *cores[CORES_MAX];
    /* private */
    struct crew_seat seats[CORES_MAX];
    pthread_mutex_t gate; /* held while threads are made: none runs before all can */
    bool failed;          /* behind the gate: not all could be made */
    bool running;
    _Atomic bool stopping;
};

/* "3": that many CPUs of those we may use; "0,2-5": these ("3-3": one of them); NULL: all we may
 * use, at most CORES_MAX. Errors: ERR_USAGE, `why` says it. */
MUST_USE enum err crew_parse_cpus(const char *text, int cpus[CORES_MAX], uint16_t *count, char *why,
                                  size_t why_bytes);
/* Opens one core a CPU with an equal share of `memory_bytes`. Errors: as core_open(); nothing is
 * open then. */
MUST_USE enum err crew_open(struct crew *crew, const int *cpus, uint16_t count,
                            uint64_t memory_bytes, uint64_t seed, int *raw);
/* After the cores' first work was given to them. Errors: ERR_SYSTEM (no more threads): none runs.
 */
MUST_USE enum err crew_start(struct crew *crew);
void crew_wait(struct crew *crew);  /* until all have stopped */
void crew_close(struct crew *crew); /* not while they run */
/* From the thread of a core of the crew: stops all of them, after what was posted before. Only the
 * first call counts. */
void crew_stop(struct crew *crew, struct core *from);

#endif
