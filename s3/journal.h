/* journal: what a run has done, for a later one to go on from: records are handed over without
 * waiting, and an aside writes them to the journal's file (s3/journal_db) in batches.
 *
 *   journal_put_*()  copies a record into the batch that gathers. It costs some ns and never blocks
 *   journal_flush()  done when all that was put before it is on the disk
 *   journal_wait()   done when there is room again, for who found journal_is_full()
 *
 * A batch is written JOURNAL_LINGER_NS after its first record, or as soon as it has
 * JOURNAL_BATCH_RECORDS or somebody flushes; one at a time, so that a slow disk makes batches
 * larger, not more. What a kill or a power cut loses is what was put within that time and a
 * write's: of work that was under way just before. Who must not lose a record flushes.
 *
 * Bounds: a full journal (JOURNAL_QUEUE_BYTES) asks its user to begin nothing new; what is under
 * way by then still has room, as much as it needs: at most a record for each part or object out,
 * and a few for each large one.
 *
 * The journal never fails a run by itself: after a failure, which sticks, it takes records and
 * forgets them, flushes end with the error, and journal_err() tells.
 *
 * It keeps the job's lease alive as long as its core turns. Lives on one core. */
#ifndef S3_JOURNAL_H
#define S3_JOURNAL_H

#include "core/core.h"
#include "s3/journal_db.h"

#define JOURNAL_LINGER_NS     (200 * NS_PER_MS)
#define JOURNAL_BATCH_RECORDS 2048u
#define JOURNAL_QUEUE_BYTES   (4 * MIB)
#define JOURNAL_RENEW_NS      (JOURNAL_DB_LEASE_S / 3 * NS_PER_S)

struct journal;

/* For the job that `db` has claimed; `numbers_used`: the highest object number in it. Before the
 * core runs. `db` is the journal's until journal_close(). Errors: ERR_NO_MEMORY, ERR_NO_DESCRIPTOR,
 * ERR_SYSTEM. */
MUST_USE enum err journal_open(struct journal **journal, struct journal_db *db,
                               uint32_t numbers_used, struct core *core);
/* After journal_end(), or where the core never ran. */
void journal_close(struct journal *journal);

uint32_t journal_new_number(struct journal *journal); /* for an object that is new here */
void journal_put_object(struct journal *journal, const struct journal_object *object);
void journal_put_part(struct journal *journal, const struct journal_part *part);
/* `object`: the number of the large object whose rows go with this, or 0. */
void journal_put_done(struct journal *journal, const struct journal_mark *mark, uint32_t object);
void journal_drop_object(struct journal *journal, uint32_t object);

void journal_flush(struct journal *journal, struct op *op);
bool journal_is_full(const struct journal *journal);
void journal_wait(struct journal *journal, struct op *op);
/* Writes what is left and how the job stands; nothing may be put any more. */
void journal_end(struct journal *journal, const struct journal_end *end, struct op *op);

enum err journal_err(const struct journal *journal); /* ERR_NONE, or why it gave up */
const char *journal_why(const struct journal *journal);

#endif
