/* clock: what time it is. A linker seam: tests/sim has a virtual one. Code on a core uses
 * core->now_ns, one reading a turn, so that causes never come after effects; only core.c and side
 * threads read the clock. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/base.h"

uint64_t clock_now_ns(void);  /* monotonic, since an arbitrary moment */
uint64_t clock_wall_ns(void); /* since 1970-01-01 UTC */

#endif
