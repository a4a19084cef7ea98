/* database: a file of tables (SQLite, hidden here), read and written by blocking calls, by one
 * thread at a time.
 *
 * Durable: what database_finish() committed survives a kill, a crash of the machine and a power cut
 * (WAL with synchronous=FULL; on network file systems, where WAL cannot be shared, a rollback
 * journal). Several processes may have the file open. It is made 0600, its folders 0700. A version
 * is in its header: older ones are brought up in steps, newer ones are refused, and so are files
 * that are not ours.
 *
 * A call in progress is a chain: use a statement, put its values in order, step, get its columns in
 * order. The first failure sticks until the next begin or start, what follows it does nothing. What
 * is read is not trusted: a column that does not fit what was asked makes the file damaged.
 * Reference: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html */
#ifndef CORE_DATABASE_H
#define CORE_DATABASE_H

#include "core/bytes.h"
#include "core/err.h"

#define DATABASE_WHY_BYTES 512u

struct database;

struct database_kind { /* what a file is; in place as long as it is open */
    const char *name;  /* "a journal of argosy": for messages */
    int32_t application, version;
    const char *const *steps;      /* [n] brings version n to n + 1 */
    const char *const *statements; /* by the numbers that database_use() gets */
    uint32_t statement_count;
};

/* Errors, with a sentence in `why`: ERR_JOURNAL (damaged, not ours, of a newer version, locked for
 * too long), and those of files. */
MUST_USE enum err database_open(struct database **database, const struct database_kind *kind,
                                const char *path, char why[DATABASE_WHY_BYTES]);
void database_close(struct database *database);

void database_start(struct database *database); /* of reading: forgets the last failure */
void database_begin(struct database *database); /* of a transaction, that nobody else can join */
/* Commits, or after a failure takes all of it back. */
MUST_USE enum err database_finish(struct database *database);
void database_fail(struct database *database, enum err err, const char *format, ...)
    PRINTF_LIKE(3, 4);
void database_damaged(struct database *database);
enum err database_err(const struct database *database);
const char *database_why(const struct database *database);

void database_use(struct database *database, uint32_t statement);
void database_put(struct database *database, int64_t value);
void database_put_text(struct database *database, const char *text); /* in place until the step */
void database_put_bytes(struct database *database, const void *data, size_t count); /* as well */
/* True: a row, to be read, and then left by database_leave() or by stepping on. */
MUST_USE bool database_step(struct database *database);
void database_run(struct database *database); /* a step that gives no row */
void database_leave(struct database *database);

int64_t database_get(struct database *database, int64_t least, int64_t most);
uint64_t database_get_word(struct database *database); /* any 64 bits */
void database_get_text(struct database *database, char *area, size_t area_bytes);
struct bytes database_get_bytes(struct database *database); /* in place until the row is left */

uint64_t database_changed(const struct database *database); /* rows, by the last change */
int64_t database_inserted(const struct database *database); /* the last one's id */
/* Gives unused space back, where nobody else is in the way. */
void database_shrink(struct database *database);

#endif
