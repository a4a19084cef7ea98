/* job: a copy's entry in the journal, as the command line sees it: claimed before the run, told to
 * the user behind it.
 *
 * The journal is $XDG_STATE_HOME/argosy/journal.db (~/.local/state/argosy/journal.db) or what
 * --journal says. The default one is a convenience: where it cannot be used, that is a warning. One
 * that was asked for must work. */
#ifndef TOOLS_JOB_H
#define TOOLS_JOB_H

#include "s3/run.h"
#include "tools/settings.h"

struct job {
    struct run_keep keep; /* for the run, where keep.db is not NULL */
    struct journal_job row;
    bool finishes; /* it can be resumed: it does not come from a pipe */
};

/* Where the journal is, or "" for none: --journal none, or no home. */
void job_find_path(const struct settings *settings, char path[PATH_BYTES_MAX]);

/* Begins with all zeros. Unless one was taken by job_take(): claims the job of an earlier run of
 * the same command that left something (not with --no-resume), or a new one. Errors, with a
 * sentence in `why`: those of journal_db. */
MUST_USE enum err job_open(struct job *job, const struct settings *settings,
                           const struct conf *conf, const struct run_place *source,
                           const struct run_place *target, char why[SETTINGS_WHY_BYTES]);
/* Job number `id`, or with 0 the newest that nobody works on. Errors: as journal_db_take(). */
MUST_USE enum err job_take(struct job *job, const struct settings *settings, int64_t id,
                           char why[SETTINGS_WHY_BYTES]);
/* No run was begun: a job that was there before is as it was, its owner and times as well. */
void job_give_back(struct job *job, const struct log *log);
/* After the run: says how to go on where something was left; a job that has done nothing is
 * forgotten. */
void job_close(struct job *job, const struct conf *conf, const struct run_result *result);

#endif
