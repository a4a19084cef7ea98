/* repeat: the command line of a job's copy, once more. */
#ifndef TOOLS_REPEAT_H
#define TOOLS_REPEAT_H

#include "s3/journal_db.h"
#include "tools/settings.h"

/* The settings that the job was begun with, and `count` more arguments of `cp` behind them. Its
 * working folder is ours from now on, so that they mean the same. The texts are those of `row` and
 * `arguments`. Errors, with a sentence in `why`: ERR_FILE_MISSING (the folder),
 * ERR_USAGE (also: its command line was too long to be kept). */
MUST_USE enum err repeat_job(const struct journal_job *row, int count, char *const *arguments,
                             struct settings *settings, char why[SETTINGS_WHY_BYTES]);

#endif
