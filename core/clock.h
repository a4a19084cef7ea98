/* clock: what time it is. A linker seam: tests/sim has a virtual one. Code on a core uses
 * core->now_ns, one reading a turn, so that causes never come after effects; only core.c and side
 * threads read the clock. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/base.h"

struct clock_thread {   /* what a thread has had of the CPUs; zeroed before the first look */
    uint64_t ran_ns;    /* on one, in its own code and in the kernel's */
    uint64_t waited_ns; /* for one: ready to run, while others ran; 0: the kernel does not tell */
    /* private */
    int file; /* 1 + the descriptor; 0: not opened yet; < 0: not to be had */
};

uint64_t clock_now_ns(void);                          /* monotonic, since an arbitrary moment */
uint64_t clock_wall_ns(void);                         /* since 1970-01-01 UTC */
void clock_look_thread(struct clock_thread *thread);  /* by that thread: two system calls */
void clock_close_thread(struct clock_thread *thread); /* by any, behind the last look */

#endif
