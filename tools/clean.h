/* clean: a job that nobody works on is forgotten, and with it goes what it left: uploads on the
 * server, temporary files. */
#ifndef TOOLS_CLEAN_H
#define TOOLS_CLEAN_H

#include "s3/journal_db.h"
#include "tools/settings.h"

struct clean_counts {
    uint32_t aborted, removed; /* uploads, temporary files */
    bool
        folder_is_gone; /* that a download went into: its temporary files could not be looked for */
};

/* `job`: as it was read. Asks the server in the way that the job did; `settings` say how much is
 * told. Where something cannot be removed, the job stays as it was, to be cleaned later. So it does
 * where a download's folder is not there, nor the one above, since their file system may come back
 * (counts->folder_is_gone); clean_forget() is for who knows better. What cannot be seen: of a file
 * system that is away, a mount point may stay as an empty folder; then there is nothing to remove,
 * and the job goes. Errors, with a sentence in `why`: those of journal_db_take(), repeat_job(),
 * session_open(), requests and files. */
MUST_USE enum err clean_job(struct journal_db *db, const struct journal_job *job,
                            const struct settings *settings, struct clean_counts *counts,
                            char why[SETTINGS_WHY_BYTES]);
/* The job alone, as it was read: what it left stays where it is, and nobody knows of it any more.
 * Errors, with a sentence in `why`: those of journal_db_take(). */
MUST_USE enum err clean_forget(struct journal_db *db, const struct journal_job *job,
                               char why[SETTINGS_WHY_BYTES]);

#endif
