/* The journal's rows tell on which boot they were written; journals of older versions are brought
 * up. */
#include "s3/journal_db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/ledger.h"

static void put_download(struct journal_db *db, uint32_t number)
{
    static struct {
        struct journal_record record;
        struct journal_object object;
    } row;
    struct journal_batch batch = {.records = (void *)&row, .records_bytes = sizeof row};
    row.record = (struct journal_record){JOURNAL_RECORD_OBJECT, number};
    row.object.number = number;
    row.object.state = JOURNAL_MOVING;
    snprintf(row.object.temp, sizeof row.object.temp, "temporary");
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
}

static bool is_of_this_boot(struct journal_db *db, int64_t job, uint32_t number)
{
    struct journal_object object = {.number = number - 1};
    bool found;
    assert_int_equal(journal_db_next_object(db, job, &object, &found), ERR_NONE);
    assert_true(found && object.number == number);
    return object.is_of_this_boot;
}

static void put_mark(struct journal_db *db, uint8_t value)
{
    struct journal_mark mark = {{value}};
    struct journal_batch batch = {.marks = &mark, .mark_count = 1};
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
}

/* The first bytes of all marks, one behind the other. */
static void expect_marks(struct journal_db *db, int64_t job, const char *values)
{
    char there[16];
    struct bytes marks;
    int64_t id = 0;
    size_t count = 0;
    bool found = true;
    while (found) {
        assert_int_equal(journal_db_next_marks(db, job, &id, &marks, &found), ERR_NONE);
        if (!found) break;
        assert_int_equal(marks.count, sizeof(struct journal_mark));
        there[count++] = marks.data[0];
        assert_true(count < sizeof there);
    }
    there[count] = '\0';
    assert_string_equal(there, values);
}

/* A row keeps its boot, whoever has the job by then, until it is written again. */
static void test_boots_of_objects(void **state)
{
    static struct journal_job job;
    (void)state;
    struct journal_db *db = open_it();
    int64_t id = claim(db, &asked, true);
    for (uint32_t number = 1; number <= 3; number++)
        put_download(db, number);
    assert_true(is_of_this_boot(db, id, 1));
    execute("UPDATE object SET boot='another' WHERE number <= 2");
    execute("UPDATE object SET boot='' WHERE number=3");
    kill_owner(1000);
    for (int round = 0; round < 2; round++) { /* the second takes it from a process of this boot */
        assert_int_equal(journal_db_take(db, id, &job), ERR_NONE);
        assert_false(is_of_this_boot(db, id, 1) || is_of_this_boot(db, id, 2));
        assert_false(is_of_this_boot(db, id, 3));
        end_job(db, JOURNAL_PARKED);
    }
    assert_int_equal(journal_db_take(db, id, &job), ERR_NONE);
    put_download(db, 1);
    assert_true(is_of_this_boot(db, id, 1));
    assert_false(is_of_this_boot(db, id, 2));
    assert_int_equal(journal_db_give_back(db, &job), ERR_NONE);
    assert_false(is_of_this_boot(db, id, 2));
    journal_db_close(db);
}

/* Those of other boots go, and of no others, whoever has the job by then. */
static void test_boots_of_marks(void **state)
{
    static struct journal_job job, other;
    (void)state;
    struct journal_db *db = open_it();
    other = asked;
    other.direction = JOURNAL_DOWNLOAD;
    int64_t beside = claim(db, &other, true);
    put_mark(db, 'x');
    int64_t id = claim(db, &asked, true);
    for (uint8_t value = 'a'; value <= 'd'; value++)
        put_mark(db, value);
    execute("UPDATE done SET boot='another' WHERE substr(marks, 1, 1) IN (x'61', x'63', x'78')");
    execute("UPDATE done SET boot='' WHERE substr(marks, 1, 1)=x'64'");
    kill_owner(1000);
    assert_int_equal(journal_db_take(db, id, &job), ERR_NONE);
    expect_marks(db, id, "abcd"); /* who takes it may give it back */
    assert_int_equal(journal_db_forget_old_marks(db, id), ERR_NONE);
    expect_marks(db, id, "b");
    put_mark(db, 'e');
    assert_int_equal(journal_db_forget_old_marks(db, id), ERR_NONE);
    expect_marks(db, id, "be");
    expect_marks(db, beside, "x");
    journal_db_close(db);
}

/* A journal as version 1 wrote it, when these were read out of the options' text. */
static const char version_1[] =
    "CREATE TABLE job(id INTEGER PRIMARY KEY AUTOINCREMENT, tag INT NOT NULL,"
    " created INT NOT NULL, updated INT NOT NULL, lease INT NOT NULL, token INT NOT NULL,"
    " host TEXT NOT NULL, boot TEXT NOT NULL, pid INT NOT NULL, started INT NOT NULL,"
    " state INT NOT NULL, done INT NOT NULL, failed INT NOT NULL, remaining INT NOT NULL,"
    " direction INT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, endpoint TEXT NOT NULL,"
    " bucket TEXT NOT NULL, prefix TEXT NOT NULL, options TEXT NOT NULL, arguments BLOB NOT NULL);"
    "CREATE TABLE object(job INT NOT NULL, number INT NOT NULL, state INT NOT NULL,"
    " sum INT NOT NULL, created INT NOT NULL, bytes INT NOT NULL, part_bytes INT NOT NULL,"
    " mtime INT NOT NULL, ctime INT NOT NULL, inode INT NOT NULL, key TEXT NOT NULL,"
    " etag TEXT NOT NULL, upload_id TEXT NOT NULL, temp TEXT NOT NULL,"
    " PRIMARY KEY(job, number)) WITHOUT ROWID;"
    "CREATE TABLE part(job INT NOT NULL, object INT NOT NULL, number INT NOT NULL,"
    " start INT NOT NULL, bytes INT NOT NULL, confirmed INT NOT NULL, sum INT NOT NULL,"
    " checksum BLOB NOT NULL, etag TEXT NOT NULL,"
    " PRIMARY KEY(job, object, number)) WITHOUT ROWID;"
    "CREATE TABLE done(id INTEGER PRIMARY KEY, job INT NOT NULL, marks BLOB NOT NULL);"
    "CREATE INDEX done_of_job ON done(job);"
    "PRAGMA user_version=1; PRAGMA application_id=0x61726779;";

static const struct {
    const char *options;
    bool recursive;
    uint32_t fsync, spread;
} old_jobs[] = {
    {"recursive=1 symlinks=0 mtime=1 fsync=2 checksum=crc32c part=0 threshold=16777216 spread=64",
     true, 2, 64},
    {"recursive=0 symlinks=0 mtime=1 fsync=0 checksum=crc32c part=0 threshold=16777216", false, 0,
     0},
    {"recursive=1 symlinks=1 mtime=0 fsync=1 checksum=none part=8388608 threshold=16777216", true,
     1, 0},
};

static void write_old_jobs(void)
{
    char text[1024];
    execute(version_1);
    for (size_t i = 0; i < ARRAY_COUNT(old_jobs); i++) {
        snprintf(text, sizeof text,
                 "INSERT INTO job VALUES(NULL, 7, 1, 2, 0, 9, 'h', 'b', 1, 1, 2, 3, 4, 5, 1,"
                 " '/data/run42', 's3://bucket/run42/', 'https://store.example:443', 'bucket',"
                 " 'run42/', '%s', x'')",
                 old_jobs[i].options);
        execute(text);
    }
    /* Uploads of the first: one without an id, and one with. */
    execute("INSERT INTO object VALUES(1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 'k', '', '', ''),"
            " (1, 2, 2, 0, 1, 1, 1, 0, 0, 0, 'l', '', 'id', ''),"
            " (99, 1, 1, 0, 1, 1, 1, 0, 0, 0, 'nobody''s', '', '', '')");
    execute("INSERT INTO done VALUES(1, 1, zeroblob(16)), (2, 99, zeroblob(16))");
}

/* What is in it stays; what has a column now is read out of the text once; the same command still
 * finds its job. */
static void test_version_1_is_brought_up(void **state)
{
    static struct journal_job job, same;
    bool found, is_new;
    (void)state;
    write_old_jobs();
    for (int round = 0; round < 2; round++) { /* the second open finds it as it should be */
        struct journal_db *db = open_it();
        job.id = 0;
        for (size_t i = 0; i < ARRAY_COUNT(old_jobs); i++) {
            assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
            assert_true(found && job.id == (int64_t)i + 1 && job.tag == 7);
            assert_true(job.state == JOURNAL_PARKED && job.done == 3 && job.left == 5);
            assert_string_equal(job.options, old_jobs[i].options);
            assert_int_equal(job.recursive, old_jobs[i].recursive);
            assert_int_equal(job.fsync, old_jobs[i].fsync);
            assert_int_equal(job.spread, old_jobs[i].spread);
        }
        assert_int_equal(until_of(db, 1, 1), 2); /* it has ended then */
        assert_int_equal(until_of(db, 1, 2), 0);
        assert_false(is_of_this_boot(db, 1, 1));
        journal_db_close(db);
    }
    struct journal_db *db = open_it();
    same = asked;
    strcpy(same.options, old_jobs[0].options);
    assert_int_equal(journal_db_claim(db, &same, true, &job, &is_new), ERR_NONE);
    assert_true(!is_new && job.id == 1 && job.spread == 64);
    journal_db_close(db);
}

/* As version 3 wrote it: the boot of the marks is that of their job's last owner, who has forgotten
 * older ones. That of an object may have been an earlier one. */
static void test_version_3_is_brought_up(void **state)
{
    static const char *const steps[] = {
        version_1,
        "ALTER TABLE job ADD COLUMN recursive INT NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN fsync INT NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN spread INT NOT NULL DEFAULT 0;"
        "ALTER TABLE object ADD COLUMN until INT NOT NULL DEFAULT 0; PRAGMA user_version=3;",
        "INSERT INTO job VALUES(NULL, 7, 1, 2, 0, 9, 'h', 'b', 1, 1, 2, 3, 4, 5, 2, 's', 't', 'e',"
        " 'b', 'p', 'o', x'', 1, 0, 0), (NULL, 7, 1, 2, 0, 9, 'h', 'another', 1, 1, 2, 3, 4, 5, 2,"
        " 's', 't', 'e', 'b', 'p', 'o', x'', 1, 0, 0);"
        "INSERT INTO object VALUES(1, 1, 2, 0, 1, 1, 1, 0, 0, 0, 'k', 'e', '', 'temporary', 0);"
        "INSERT INTO done VALUES(1, 1, x'61000000000000000000000000000000'),"
        " (2, 2, x'62000000000000000000000000000000'), (3, 9, zeroblob(16));",
    };
    struct owner owner;
    char text[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++)
        execute(steps[i]);
    owner_of_this_process(&owner);
    snprintf(text, sizeof text, "UPDATE job SET boot='%s' WHERE id=1", owner.boot);
    execute(text);
    for (int round = 0; round < 2; round++) { /* the second open finds it as it should be */
        struct journal_db *db = open_it();
        assert_false(is_of_this_boot(db, 1, 1));
        for (int64_t job = 1; job <= 2; job++)
            assert_int_equal(journal_db_forget_old_marks(db, job), ERR_NONE);
        expect_marks(db, 1, "a");
        expect_marks(db, 2, "");
        journal_db_close(db);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_boots_of_objects),
        TEST(test_boots_of_marks),
        TEST(test_version_1_is_brought_up),
        TEST(test_version_3_is_brought_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
