/* What was before: marks tell states of objects apart, and the table finds what was put in. */
#include "s3/past.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_marks_of_files(void **state)
{
    struct file_identity identity = {.size_bytes = 1, .mtime_ns = 2, .ctime_ns = 3, .inode = 4};
    struct file_identity others[6];
    struct journal_mark mark, other;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        others[i] = identity;
    others[0].size_bytes++;
    others[1].mtime_ns++;
    others[2].ctime_ns++;
    others[3].inode++;
    others[4].dev_minor++; /* no difference */
    past_mark_file(&mark, "a/b", &identity);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        past_mark_file(&other, i == 5 ? "a/c" : "a/b", &others[i]);
        assert_int_equal(memcmp(&mark, &other, sizeof mark) == 0, i == 4);
    }
}

static void test_marks_of_objects(void **state)
{
    struct journal_mark marks[4];
    (void)state;
    past_mark_object(&marks[0], "k", 1, "\"e\"");
    past_mark_object(&marks[1], "k", 2, "\"e\"");
    past_mark_object(&marks[2], "k", 1, "\"f\"");
    past_mark_object(&marks[3], "l", 1, "\"e\"");
    for (size_t i = 1; i < ARRAY_COUNT(marks); i++)
        assert_memory_not_equal(&marks[0], &marks[i], sizeof marks[0]);
    past_mark_object(&marks[1], "k", 1, "\"e\"");
    assert_memory_equal(&marks[0], &marks[1], sizeof marks[0]);
}

static void test_nothing_was(void **state)
{
    struct journal_mark mark = {{1}};
    struct past past;
    (void)state;
    past_init(&past);
    assert_false(past_has(&past, &mark));
    assert_null(past_find(&past, "k"));
    past_fini(&past);
}

static struct journal_db *fill(const char *folder, int64_t *job, uint32_t count)
{
    static const struct journal_job asked = {.direction = JOURNAL_DOWNLOAD};
    static struct journal_job claimed;
    static struct {
        struct journal_record record;
        struct journal_object object;
    } rows[2];
    struct journal_mark *marks = calloc(count, sizeof *marks);
    struct journal_batch batch = {
        .records = (void *)rows, .records_bytes = sizeof rows, .marks = marks, .mark_count = count};
    char path[128], why[JOURNAL_DB_WHY_BYTES];
    struct journal_db *db;
    bool is_new;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    assert_int_equal(journal_db_open(&db, path, why), ERR_NONE);
    assert_int_equal(journal_db_claim(db, &asked, true, &claimed, &is_new), ERR_NONE);
    *job = claimed.id;
    for (uint32_t i = 1; i < count; i++) /* the first stays all zeros: no object's mark */
        past_mark_object(&marks[i], "k", i, "");
    for (uint32_t i = 0; i < 2; i++) {
        rows[i].record.kind = JOURNAL_RECORD_OBJECT;
        rows[i].object.number = 3 + i;
        rows[i].object.state = JOURNAL_MOVING;
        snprintf(rows[i].object.key, sizeof rows[i].object.key, "key%u", i);
    }
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE); /* twice the same: no matter */
    free(marks);
    return db;
}

/* The machine was started anew. */
static void boot(const char *in)
{
    char path[128];
    sqlite3 *handle;
    snprintf(path, sizeof path, "%s/journal.db", in);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "UPDATE object SET boot='another';"
                                  "UPDATE done SET boot='another'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(handle);
}

static void test_loaded(void **state)
{
    const uint32_t count = 5000;
    char folder[] = "/tmp/argosy-past-XXXXXX", command[64];
    struct journal_mark mark;
    struct past past;
    int64_t job;
    (void)state;
    assert_non_null(mkdtemp(folder));
    struct journal_db *db = fill(folder, &job, count);
    assert_int_equal(past_load(&past, db, job), ERR_NONE);
    assert_int_equal(past.mark_count, count - 1);
    for (uint32_t i = 0; i < 2 * count; i++) {
        past_mark_object(&mark, "k", i, "");
        assert_int_equal(past_has(&past, &mark), i > 0 && i < count);
    }
    assert_int_equal(past.numbers_used, 4);
    struct past_object *object = past_find(&past, "key1");
    assert_non_null(object);
    assert_int_equal(object->row.number, 4);
    object->taken = true;
    assert_null(past_find(&past, "key1"));
    assert_non_null(past_find(&past, "key0"));
    past_fini(&past);
    for (int round = 0; round < 2; round++) {
        if (round == 1) boot(folder);
        assert_int_equal(journal_db_forget_old_marks(db, job), ERR_NONE);
        assert_int_equal(past_load(&past, db, job), ERR_NONE);
        assert_int_equal(past.mark_count, round == 0 ? count - 1 : 0);
        assert_int_equal(past.object_count, 2);
        assert_int_equal(past.objects[1].row.is_of_this_boot, round == 0);
        past_fini(&past);
    }
    journal_db_close(db);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void put_row(struct journal_db *db, const char *key, const char *id)
{
    static struct {
        struct journal_record record;
        struct journal_object object;
    } row;
    struct journal_batch batch = {.records = (void *)&row, .records_bytes = sizeof row};
    row.record.kind = JOURNAL_RECORD_OBJECT;
    row.object.number++;
    row.object.state = JOURNAL_CREATING;
    snprintf(row.object.key, sizeof row.object.key, "%s", key);
    snprintf(row.object.upload_id, sizeof row.object.upload_id, "%s", id);
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
}

static struct journal_db *claim(const char *path, const char *bucket, int64_t *id)
{
    static struct journal_job asked, claimed;
    char why[JOURNAL_DB_WHY_BYTES];
    struct journal_db *db;
    bool is_new;
    asked.direction = JOURNAL_UPLOAD;
    snprintf(asked.bucket, sizeof asked.bucket, "%s", bucket);
    assert_int_equal(journal_db_open(&db, path, why), ERR_NONE);
    assert_int_equal(journal_db_claim(db, &asked, false, &claimed, &is_new), ERR_NONE);
    *id = claimed.id;
    return db;
}

static bool is_disputed(struct past *past, const char *key)
{
    const struct past_object *object = past_find(past, key);
    assert_non_null(object);
    return object->disputed;
}

/* The ids of others, one behind the other. */
static void expect_known(struct past *past, const char *key, const char *ids)
{
    const struct past_object *object = past_find(past, key);
    char text[128] = "";
    assert_non_null(object);
    for (uint32_t i = 0; i < object->known_count; i++) {
        strcat(text, object->known[i]);
        strcat(text, " ");
    }
    assert_string_equal(text, ids);
}

/* --- beside other jobs --- */

static char folder[32], journal[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-past-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(journal, sizeof journal, "%s/journal.db", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? -1 : 0;
}

/* Two of which nobody works, or one twice: an upload whose id a row has is not the lost one of the
 * other. Two that both have lost theirs do not stand in each other's way. */
static void test_known(void **state)
{
    struct journal_end end = {.state = JOURNAL_PARKED};
    struct journal_batch ending = {.end = &end};
    struct past past;
    int64_t job, parked, elsewhere;
    (void)state;
    struct journal_db *db = claim(journal, "bkt", &job);
    struct journal_db *dbs[] = {claim(journal, "bkt", &parked),
                                claim(journal, "another", &elsewhere)};
    put_row(db, "key", "");
    put_row(db, "key", "own");
    put_row(db, "lost", "");
    put_row(db, "known", "id1");
    put_row(dbs[0], "key", "id2");
    put_row(dbs[0], "key", "id3");
    put_row(dbs[0], "key2", "id4");
    put_row(dbs[0], "lost", "");
    put_row(dbs[0], "known", "id5");
    put_row(dbs[1], "key", "id6");
    for (size_t i = 0; i < ARRAY_COUNT(dbs); i++) {
        assert_int_equal(journal_db_write(dbs[i], &ending), ERR_NONE);
        journal_db_close(dbs[i]);
    }
    assert_int_equal(past_load(&past, db, job), ERR_NONE);
    expect_known(&past, "key", "own id2 id3 ");
    expect_known(&past, "lost", "");
    expect_known(&past, "known", "");
    assert_false(is_disputed(&past, "key") || is_disputed(&past, "lost"));
    past_fini(&past);
    journal_db_close(db);
}

/* An upload whose id got lost, of a key that a job has which runs: nobody can tell them apart. */
static void test_disputed(void **state)
{
    struct journal_end end = {.state = JOURNAL_PARKED};
    struct journal_batch ending = {.end = &end};
    struct past past;
    int64_t job, live, ended, elsewhere;
    (void)state;
    struct journal_db *db = claim(journal, "bkt", &job);
    struct journal_db *dbs[] = {claim(journal, "bkt", &live), claim(journal, "bkt", &ended),
                                claim(journal, "another", &elsewhere)};
    put_row(db, "alone", "");
    put_row(db, "shared", "");
    put_row(db, "known", "id1");
    put_row(db, "ended", "");
    put_row(db, "elsewhere", "");
    put_row(dbs[0], "shared", "id2");
    put_row(dbs[0], "known", "id3");
    put_row(dbs[1], "ended", "id4");
    put_row(dbs[2], "elsewhere", "id5");
    assert_int_equal(journal_db_write(dbs[1], &ending), ERR_NONE);
    assert_int_equal(past_load(&past, db, job), ERR_NONE);
    assert_true(is_disputed(&past, "shared"));
    assert_false(is_disputed(&past, "alone") || is_disputed(&past, "known"));
    assert_false(is_disputed(&past, "ended") || is_disputed(&past, "elsewhere"));
    expect_known(&past, "ended", "id4 ");
    expect_known(&past, "elsewhere", "");
    past_fini(&past);
    for (size_t i = 0; i < ARRAY_COUNT(dbs); i++)
        journal_db_close(dbs[i]);
    journal_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks_of_files),
        cmocka_unit_test(test_marks_of_objects),
        cmocka_unit_test(test_nothing_was),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test_setup_teardown(test_disputed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_known, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
