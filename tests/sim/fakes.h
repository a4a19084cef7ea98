/* fakes: the small linker seams: core/aside.h, core/walk.h, core/place.h, core/log.h, core/owner.h
 * and net/dns.h; what a simulated process's end does to them. */
#ifndef TESTS_SIM_FAKES_H
#define TESTS_SIM_FAKES_H

#include "core/base.h"

void aside_kill_all(void);          /* their jobs are done no more */
void owner_start_anew(bool booted); /* the process, or the machine as well */
void owner_stay(bool stays);        /* the present process lives on beside those that follow */

#endif
