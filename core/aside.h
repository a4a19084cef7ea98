/* aside: the one home of blocking calls: a named side thread that runs jobs in order and completes
 * their ops on the core that gave them. A linker seam.
 *
 * For directory reads, name resolution, databases, memory that the kernel has to find, and the few
 * file calls that io_uring has not. A job is embedded in its owner, as an op is. `run` executes on
 * the side thread, must touch nothing but what the job's owner leaves alone meanwhile, and returns
 * the op's err (raw and count it may set in job->op). Jobs cannot be cancelled: a blocking call has
 * no end but its own. */
#ifndef CORE_ASIDE_H
#define CORE_ASIDE_H

#include "core/op.h"

struct aside;
struct aside_job;
struct core;
typedef enum err aside_fn(struct aside_job *job);

struct aside_job {
    struct op op;
    aside_fn *run;
};

/* `name` shows in ps and top, at most 15 bytes. Opened before the core's thread starts, or on it;
 * jobs come from, and complete on, the core's thread only. Errors: ERR_NO_MEMORY,
 * ERR_NO_DESCRIPTOR, ERR_SYSTEM (no more threads). */
MUST_USE enum err aside_open(struct aside **aside, struct core *core, const char *name);
void aside_close(struct aside *aside); /* no job may be out; waits for the thread's end */

void aside_job_init(struct aside_job *job, aside_fn *run, op_fn *done);
void aside_start(struct aside *aside, struct aside_job *job);

#endif
