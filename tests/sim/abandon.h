/* abandon: the user gives a seed's copy up. `argosy jobs clean`, the command as it is, on what the
 * processes of the copy have left, and beside what is not theirs. */
#ifndef TESTS_SIM_ABANDON_H
#define TESTS_SIM_ABANDON_H

#include "core/base.h"

struct conf;
struct settings;

/* The words of the command line that `conf` could have been made of: clean repeats them. */
void abandon_say_arguments(const struct conf *conf, struct settings *settings);
/* Once with the seed's faults, if it is to be so, and then without: nothing of the copy is left in
 * the end, and all that is not its own is as it was. True: what was left could be that of a job
 * that runs, and went when that had ended. */
bool abandon_run(bool with_faults);
/* for the server: the uploads of a key are listed; an upload of it is made */
void abandon_on_look(const char *key);
bool abandon_has_looked(const char *key);

#endif
