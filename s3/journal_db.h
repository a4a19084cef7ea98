/* journal_db: the journal's file (core/database), read and written by blocking calls, by one thread
 * at a time.
 *
 * A batch is there whole or not at all, and once it was written it stays, whatever fails. Several
 * processes may have the file open; each job belongs to one of them (core/owner), and a write of
 * who lost its job is refused.
 *
 * An upload without an id was begun when its job was last alive, at the latest. That moment is
 * written into its row when the job ends, or is taken from who died, and never moves again:
 *
 *     until = when it ended; or min(updated + JOURNAL_DB_LEASE_S, when it was taken)
 *
 * Objects and marks tell on which boot of the machine they were written: what was not synced by
 * then may have been lost since, whoever had the job meanwhile.
 *
 * Size: 16 bytes an object that is done, and about 50 for each batch of them; about 100 for each
 * part, and 340 for each large object, under way; the marks of a job go when all of it is done. One
 * million small objects take 16 MB, and 64 MB of memory when the job is resumed.
 * What is read is not trusted: a row that does not fit its struct makes the journal damaged. */
#ifndef S3_JOURNAL_DB_H
#define S3_JOURNAL_DB_H

#include "core/bytes.h"
#include "core/err.h"
#include "s3/journal_record.h"

#define JOURNAL_DB_VERSION   4
#define JOURNAL_DB_WHY_BYTES 512u
#define JOURNAL_DB_LEASE_S   60               /* three missed renewals */
#define JOURNAL_DB_DONE_S    (30 * 24 * 3600) /* for a look at what was done lately */

struct journal_db;

enum journal_record_kind { JOURNAL_RECORD_OBJECT, JOURNAL_RECORD_PART, JOURNAL_RECORD_DROP };

struct journal_record { /* in a batch, with its struct behind it */
    uint32_t kind;      /* enum journal_record_kind */
    uint32_t number;    /* DROP: the object whose rows go */
};

struct journal_end { /* how a job stands from now on */
    enum journal_state state;
    uint64_t done, failed, left;
};

struct journal_batch { /* one transaction */
    const uint8_t *records;
    size_t records_bytes;
    const struct journal_mark *marks;
    uint32_t mark_count;
    const struct journal_end *end; /* or NULL */
};

/* Makes what is missing: file, tables, folders. Errors, with a sentence in `why`: as
 * database_open(). */
MUST_USE enum err journal_db_open(struct journal_db **db, const char *path,
                                  char why[JOURNAL_DB_WHY_BYTES]);
void journal_db_close(struct journal_db *db);
const char *journal_db_why(const struct journal_db *db); /* of the last call that failed */

/* Done jobs older than JOURNAL_DB_DONE_S are forgotten. Takes the newest unfinished job whose
 * identity is that of `asked`, and whose owner is gone, or makes a new one; `resume` false: always
 * a new one. The job is ours from now on, `job` says how it stood (its owner and lease: those of
 * before), *is_new which of both. */
MUST_USE enum err journal_db_claim(struct journal_db *db, const struct journal_job *asked,
                                   bool resume, struct journal_job *job, bool *is_new);
/* Takes this job, or with id 0 the newest unfinished one that nobody works on. Errors:
 * ERR_JOB_MISSING, ERR_JOB_RUNNING, ERR_JOB_DONE. */
MUST_USE enum err journal_db_take(struct journal_db *db, int64_t id, struct journal_job *job);
/* Who took it did nothing with it: it is again as `job`, which taking it told, says, its owner and
 * times as well; but what was running counts as parked. Errors: ERR_JOB_TAKEN. */
MUST_USE enum err journal_db_give_back(struct journal_db *db, const struct journal_job *job);
/* By who claimed it, and nobody else. Errors: ERR_JOB_TAKEN (it is another's now, or gone). */
MUST_USE enum err journal_db_write(struct journal_db *db, const struct journal_batch *batch);
/* Forgets what it has done on other boots of a machine, so that it is done again. */
MUST_USE enum err journal_db_forget_old_marks(struct journal_db *db, int64_t id);
/* Has it neither marks nor objects? Then nothing is lost with it. */
MUST_USE enum err journal_db_is_empty(struct journal_db *db, int64_t id, bool *is_empty);
/* Nobody works on it: it is ended, or its process is gone. */
bool journal_db_is_free(const struct journal_job *job);
/* A job and all its rows, whoever owns it. */
MUST_USE enum err journal_db_remove(struct journal_db *db, int64_t id);
/* Gives unused space back, where nobody else has the file open. */
void journal_db_shrink(struct journal_db *db);

/* Reading goes from one row to the next: `job->id` (object->number, part->number, *id) is that of
 * the row before, 0 at first; *found says whether there was another. */
MUST_USE enum err journal_db_next_job(struct journal_db *db, struct journal_job *job, bool *found);
MUST_USE enum err journal_db_next_object(struct journal_db *db, int64_t job,
                                         struct journal_object *object, bool *found);
MUST_USE enum err journal_db_next_part(struct journal_db *db, int64_t job,
                                       struct journal_part *part, bool *found);
/* A batch of marks, each a struct journal_mark; they stay in place until the next call. */
MUST_USE enum err journal_db_next_marks(struct journal_db *db, int64_t job, int64_t *id,
                                        struct bytes *marks, bool *found);

#endif
