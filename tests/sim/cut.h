/* cut: the simulated process ends in the midst of it, as by kill -9, or the power goes.
 *
 * What the process had asked of the kernel may have happened or not; its sockets are closed, or
 * nothing is heard of them any more; its memory is left as it is, and nobody looks at it again.
 * Then the machine is as the next process finds it: after a power cut with what the platter has. */
#ifndef TESTS_SIM_CUT_H
#define TESTS_SIM_CUT_H

#include "core/base.h"

enum cut_kind { CUT_NONE, CUT_KILL, CUT_POWER };

void cut_open_world(void);
/* The next process will end so, at this time (UINT64_MAX: not by the clock), or at this change of
 * the journal's files from now on (UINT64_MAX: at none), unless it ends by itself before. */
void cut_plan(enum cut_kind kind, uint64_t at_ns, uint64_t changes);
void cut_forget(void);  /* it ended by itself */
void cut_now(void);     /* its code runs on until it is back in the crew, and changes nothing */
bool cut_is_over(void); /* it has ended, and is not buried yet */
/* Buries it. Returns how it ended, CUT_NONE if it did not. */
enum cut_kind cut_settle(void);

#endif
