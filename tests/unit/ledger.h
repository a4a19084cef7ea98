/* A journal in a folder of its own, for the tests of s3/journal_db: opened, changed behind its
 * back, and claimed by a command that is `asked` for. */
#ifndef TESTS_UNIT_LEDGER_H
#define TESTS_UNIT_LEDGER_H

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "s3/journal_db.h"

static char folder[64], path[128], why[JOURNAL_DB_WHY_BYTES];

static const struct journal_job asked = {
    .direction = JOURNAL_UPLOAD,
    .source = "/data/run42",
    .target = "s3://bucket/run42/",
    .endpoint = "https://store.example:443",
    .bucket = "bucket",
    .prefix = "run42/",
    .options = "recursive=1 checksum=crc32c",
    .arguments = "--recursive\0--profile=lab",
    .arguments_bytes = sizeof "--recursive\0--profile=lab",
};

static inline int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-journal-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    return 0;
}

static inline int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static inline struct journal_db *open_it(void)
{
    struct journal_db *db;
    assert_int_equal(journal_db_open(&db, path, why), ERR_NONE);
    return db;
}

static inline void execute(const char *text)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static inline void end_job(struct journal_db *db, enum journal_state how)
{
    struct journal_end end = {.state = how, .done = 7, .failed = 2, .left = 1};
    struct journal_batch batch = {.end = &end};
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
}

static inline int64_t claim(struct journal_db *db, const struct journal_job *what, bool expect_new)
{
    static struct journal_job job;
    bool is_new;
    assert_int_equal(journal_db_claim(db, what, true, &job, &is_new), ERR_NONE);
    assert_int_equal(is_new, expect_new);
    return job.id;
}

static inline int64_t until_of(struct journal_db *db, int64_t job, uint32_t number)
{
    struct journal_object object = {.number = number - 1};
    bool found;
    assert_int_equal(journal_db_next_object(db, job, &object, &found), ERR_NONE);
    assert_true(found && object.number == number);
    return object.until_s;
}

static inline void kill_owner(int64_t updated_s)
{
    char text[128];
    snprintf(text, sizeof text, "UPDATE job SET boot='another', pid=7, lease=0, updated=%lld",
             (long long)updated_s);
    execute(text);
}

#endif
