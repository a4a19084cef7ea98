/* slip: the manifest of the simulated runs, read as `argosy verify` reads it and compared with what
 * is there: the model server's objects, or the files. */
#ifndef TESTS_SIM_SLIP_H
#define TESTS_SIM_SLIP_H

#include "s3/conf.h"
#include "tests/sim/items.h"

#define SLIP_FOLDER "/slips"

/* Draws whether the runs write one. */
void slip_draw(struct conf *conf);
/* A process ended. `by_itself`: what it says of it must be true; in any case the file is that of a
 * whole run. */
void slip_check(bool by_itself);
uint64_t slip_count(void); /* lines that were compared */

#endif
