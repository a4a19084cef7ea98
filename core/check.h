/* check: assertions that stay on. A failed check is a bug of ours, never of a peer, a disk or a
 * user.
 *
 * A failed check prints the place and the condition, prints what the hooks print (the flight
 * recorders, see core/trace.h), and aborts.
 *
 * The table of hooks is the one mutable global of argosy: a check fails anywhere, with nothing in
 * its hands, and must still find the recorders. Only this module reads it, and only to print. */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "core/base.h"

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, __func__, #condition))

/* Costly checks: in debug builds, sanitizer builds and the simulation. */
#ifdef ARGOSY_SLOW_CHECKS
#define CHECK_SLOW(condition) CHECK(condition)
#else
#define CHECK_SLOW(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#define NEVER(why) check_failed(__FILE__, __LINE__, __func__, "never: " why)

#define CHECK_HOOKS_MAX 128u /* two sets of CORES_MAX: a test has client and server cores */

/* Prints what its owner knows. It runs in the thread that failed, while others may go on: what it
 * prints may be torn. */
struct check_hook {
    void (*print)(struct check_hook *hook);
};

/* From any thread. Where the table is full, a hook is left out. */
void check_hook_add(struct check_hook *hook);
void check_hook_remove(struct check_hook *hook); /* harmless when it was not added */

__attribute__((noreturn, cold)) void check_failed(const char *file, int line, const char *function,
                                                  const char *condition);

#endif
