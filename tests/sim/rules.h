/* rules: what must be true after each process of a scenario, however it ended.
 *
 *   safety    an object is one state that its file had, or what was there before; a file is one
 *             version of its object, or what was there before; what was reported done is there.
 *             After a power cut that holds of names with --fsync file, and of what was reported
 *             done with --fsync all.
 *             Of a process that ended by itself: no temporary file, no upload, no descriptor, no op
 *             is left, unless its removal failed or it can be gone on with; found = done + skipped
 *             + failed
 *   liveness  the last process does all of it, soon: all targets are what their sources are now,
 *             nothing is left; and what was moved twice is what the ends of processes may cost */
#ifndef TESTS_SIM_RULES_H
#define TESTS_SIM_RULES_H

#include "core/base.h"

struct disk_node;
struct item;

/* What is under the name that an object comes down to, or NULL. */
const struct disk_node *rules_target(const struct item *item);
uint32_t rules_temps(void);   /* how many temporary files there are */
uint32_t rules_uploads(void); /* and uploads, but for the last words of dead processes */
bool rules_drew_faults(void);
void rules_check_run(void);   /* a process has ended by itself */
void rules_check_cut(void);   /* it was ended; notes what is under the targets' names now */
void rules_check_clean(void); /* the copy was given up: nothing of it is left */
void rules_check_last(void);  /* beside rules_check_run(): of the last process */

#endif
