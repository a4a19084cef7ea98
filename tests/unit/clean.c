/* A job is forgotten with what it left, or stays as it was. The server's side, and the session to
 * it, are the test's own; the journal and the folders are real. */
#include "tools/clean.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "s3/sweep.h"
#include "tools/repeat.h"
#include "tools/session.h"

static char folder[64], why[SETTINGS_WHY_BYTES];
static struct journal_db *db;
static struct journal_job job; /* as it was read */
static struct settings settings;
static struct clean_counts counts;

static uint32_t sessions, swept;
static int swept_folder_fd;
static const char *stubborn; /* the key of what cannot be removed */
static enum err repeat_err, session_err;

/* --- the way to the server --- */

enum err repeat_job(const struct journal_job *row, int count, char *const *arguments,
                    struct settings *repeated, char text[SETTINGS_WHY_BYTES])
{
    (void)count;
    (void)arguments;
    assert_int_equal(row->id, job.id);
    memset(repeated, 0, sizeof *repeated);
    snprintf(text, SETTINGS_WHY_BYTES, "%s", repeat_err ? "not again" : "");
    return repeat_err;
}

enum err session_open(struct session *session, const struct settings *with,
                      char text[SETTINGS_WHY_BYTES])
{
    (void)session;
    assert_true(with->quiet); /* as this command was asked, not the job's */
    if (session_err)
        snprintf(text, SETTINGS_WHY_BYTES, "no way");
    else
        sessions++;
    return session_err;
}

void session_close(struct session *session)
{
    (void)session;
    sessions--;
}

static void on_done(struct op *op)
{
    (void)op;
}

void session_op_init(struct op *op)
{
    op_init(op, on_done);
}

enum err session_wait(struct session *session, const struct op *op)
{
    (void)session;
    return op->err;
}

void sweep_init(struct sweep *sweep, struct core *core, const struct sweep_place *place)
{
    (void)core;
    memset(sweep, 0, sizeof *sweep);
    assert_string_equal(place->bucket, "bucket");
    swept_folder_fd = place->folder_fd;
    assert_int_equal(place->resolve != 0, place->folder_fd != AT_FDCWD);
}

void sweep_start(struct sweep *sweep, struct past_object *object, struct op *op)
{
    bool stays = stubborn && strcmp(object->row.key, stubborn) == 0;
    object->taken = true;
    if (!object->row.upload_id[0] && !object->row.temp[0]) assert_true(object->row.until_s > 0);
    op->err = stays ? ERR_DENIED : ERR_NONE;
    swept++;
    if (stays) return;
    if (object->row.upload_id[0])
        sweep->aborted++;
    else
        sweep->removed++;
}

void sweep_fini(struct sweep *sweep)
{
    (void)sweep;
}

/* --- a journal, and a folder --- */

static int set_up(void **state)
{
    char path[128];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-clean-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    sessions = swept = 0;
    stubborn = NULL;
    repeat_err = session_err = ERR_NONE;
    settings.quiet = true;
    return journal_db_open(&db, path, why) ? -1 : 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    journal_db_close(db);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return sessions || system(command) ? -1 : 0;
}

static bool read_job(int64_t id)
{
    bool found = true;
    job = (struct journal_job){.id = id - 1};
    assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
    return found && job.id == id;
}

static void end_job(enum journal_state how)
{
    struct journal_end end = {.state = how, .done = 7, .failed = 2, .left = 1};
    struct journal_batch batch = {.end = &end};
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
}

/* A large object that is under way: an upload with an id, or a file. */
static void add_object(uint32_t number, const char *key, const char *upload_id)
{
    struct {
        struct journal_record record;
        struct journal_object object;
    } row = {{JOURNAL_RECORD_OBJECT, number},
             {.number = number, .state = JOURNAL_MOVING, .bytes = 100, .part_bytes = 10}};
    snprintf(row.object.key, sizeof row.object.key, "%s", key);
    snprintf(row.object.upload_id, sizeof row.object.upload_id, "%s", upload_id);
    struct journal_batch batch = {.records = (void *)&row, .records_bytes = sizeof row};
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
}

static void make_job(enum journal_direction direction, const char *target)
{
    static struct journal_job asked, made;
    bool is_new;
    asked = (struct journal_job){.direction = direction, .recursive = true, .bucket = "bucket"};
    snprintf(asked.target, sizeof asked.target, "%s", target);
    assert_int_equal(journal_db_claim(db, &asked, false, &made, &is_new), ERR_NONE);
    job = made;
}

static void execute(const char *text)
{
    char path[128];
    sqlite3 *handle;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static enum err clean(void)
{
    assert_true(read_job(job.id));
    return clean_job(db, &job, &settings, &counts, why);
}

static void expect_gone(void)
{
    assert_int_equal(clean(), ERR_NONE);
    assert_string_equal(why, "");
    assert_false(read_job(job.id));
}

/* It is as it was, and free for another attempt. */
static void expect_stays(enum err err, const char *words)
{
    enum journal_state state = job.state;
    execute("UPDATE job SET updated=updated - 40 * 24 * 3600, boot='another', pid=7");
    assert_true(read_job(job.id));
    int64_t updated_s = job.updated_s;
    assert_int_equal(clean(), err);
    assert_non_null(strstr(why, words));
    assert_true(read_job(job.id));
    assert_true(journal_db_is_free(&job));
    assert_int_equal(job.state, state);
    assert_true(job.done == 7 && job.failed == 2 && job.left == 1);
    assert_true(job.updated_s == updated_s && job.owner.pid == 7);
    assert_string_equal(job.owner.boot, "another");
}

/* --- uploads --- */

static void test_upload(void **state)
{
    (void)state;
    make_job(JOURNAL_UPLOAD, "s3://bucket/");
    add_object(1, "a", "id1");
    add_object(2, "b", "id2");
    end_job(JOURNAL_PARKED);
    expect_gone();
    assert_true(counts.aborted == 2 && counts.removed == 0);
    assert_int_equal(swept_folder_fd, AT_FDCWD);
}

/* Who left nothing needs no server. */
static void test_nothing_left(void **state)
{
    static const enum journal_state states[] = {JOURNAL_PARKED, JOURNAL_FAILED, JOURNAL_DONE};
    (void)state;
    session_err = repeat_err = ERR_REFUSED;
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        make_job(JOURNAL_UPLOAD, "s3://bucket/");
        end_job(states[i]);
        expect_gone();
        assert_true(counts.aborted == 0 && counts.removed == 0);
    }
}

/* One that stays keeps the job, and none of the others. */
static void test_stubborn(void **state)
{
    static const enum journal_state states[] = {JOURNAL_PARKED, JOURNAL_FAILED};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        swept = 0;
        stubborn = "a";
        make_job(JOURNAL_UPLOAD, "s3://bucket/");
        add_object(1, "a", "id1");
        add_object(2, "b", "id2");
        end_job(states[i]);
        job.state = states[i];
        expect_stays(ERR_DENIED, "still there");
        assert_int_equal(swept, 2);
        assert_int_equal(counts.aborted, 1);
        stubborn = NULL;
        expect_gone();
    }
}

static void test_no_way(void **state)
{
    (void)state;
    make_job(JOURNAL_UPLOAD, "s3://bucket/");
    add_object(1, "a", "id1");
    end_job(JOURNAL_PARKED);
    job.state = JOURNAL_PARKED;
    session_err = ERR_CONFIG;
    expect_stays(ERR_CONFIG, "no way");
    repeat_err = ERR_USAGE;
    expect_stays(ERR_USAGE, "not again");
    assert_int_equal(swept, 0);
}

/* Somebody works on it: nothing is touched. */
static void test_running(void **state)
{
    (void)state;
    make_job(JOURNAL_UPLOAD, "s3://bucket/");
    add_object(1, "a", "id1");
    assert_int_equal(clean(), ERR_JOB_RUNNING);
    assert_true(strlen(why) > 0);
    assert_int_equal(swept, 0);
    assert_true(read_job(job.id));
}

/* --- downloads: temporary files --- */

static void path_of(char path[256], const char *mark, uint64_t tag)
{
    snprintf(path, 256, "%s/out/%s%016" PRIx64 "-x", folder, mark, tag);
}

static void make_file(const char *mark, uint64_t tag)
{
    char path[256];
    path_of(path, mark, tag);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_return_code(fd, 0);
    close(fd);
}

static bool is_there(const char *mark, uint64_t tag)
{
    char path[256];
    path_of(path, mark, tag);
    return access(path, F_OK) == 0;
}

static void make_download(const char *name)
{
    char target[128];
    snprintf(target, sizeof target, "%s/%s", folder, name);
    mkdir(target, 0700);
    make_job(JOURNAL_DOWNLOAD, target);
}

/* Those whose names are this job's, wherever they are below its folder. */
static void test_download(void **state)
{
    (void)state;
    make_download("out");
    uint64_t tag = job.tag;
    char path[128];
    snprintf(path, sizeof path, "%s/out/deep", folder);
    assert_return_code(mkdir(path, 0700), 0);
    make_file(SWEEP_TEMP_MARK, tag);
    make_file("deep/" SWEEP_TEMP_MARK, tag);
    make_file(SWEEP_TEMP_MARK, tag + 1);
    make_file("x" SWEEP_TEMP_MARK, tag);
    add_object(1, "a", "");
    end_job(JOURNAL_PARKED);
    expect_gone();
    assert_true(swept_folder_fd >= 0);
    assert_int_equal(counts.removed, 1 + 2); /* of the object's row, and by their names */
    assert_false(is_there(SWEEP_TEMP_MARK, tag) || is_there("deep/" SWEEP_TEMP_MARK, tag));
    assert_true(is_there(SWEEP_TEMP_MARK, tag + 1) && is_there("x" SWEEP_TEMP_MARK, tag));
}

/* What is done may have some all the same, that a power cut brought back. Of several jobs of one
 * tag (the same command again) the last one looks. */
static void test_download_done(void **state)
{
    (void)state;
    make_download("out");
    struct journal_job first = job;
    end_job(JOURNAL_DONE);
    make_download("out");
    struct journal_job second = job;
    assert_true(second.tag == first.tag && second.id != first.id);
    make_file(SWEEP_TEMP_MARK, first.tag);
    make_file(SWEEP_TEMP_MARK, first.tag + 1);
    job = first;
    expect_gone(); /* the other one works */
    assert_true(counts.removed == 0 && is_there(SWEEP_TEMP_MARK, first.tag));
    job = second;
    end_job(JOURNAL_DONE);
    expect_gone();
    assert_true(counts.removed == 1 && !is_there(SWEEP_TEMP_MARK, first.tag));
    assert_true(is_there(SWEEP_TEMP_MARK, first.tag + 1));
}

/* Another job of the same tag works: the files may be its own. */
static void test_download_shared(void **state)
{
    (void)state;
    make_download("out");
    struct journal_job first = job;
    make_file(SWEEP_TEMP_MARK, first.tag);
    end_job(JOURNAL_PARKED);
    make_download("other"); /* it is not ended */
    execute("UPDATE job SET tag=(SELECT tag FROM job WHERE id=1)");
    job = first;
    assert_int_equal(job.id, 1);
    expect_gone();
    assert_true(is_there(SWEEP_TEMP_MARK, first.tag));
}

/* The folder is gone, and all in it. */
static void test_download_gone(void **state)
{
    (void)state;
    make_download("out");
    char path[128];
    snprintf(path, sizeof path, "%s/out", folder);
    assert_return_code(rmdir(path), 0);
    end_job(JOURNAL_PARKED);
    expect_gone();
    assert_int_equal(counts.removed, 0);
}

/* The folder and the one above are not there: they may come back, so that the job stays until its
 * user says that it may go. */
static void test_download_away(void **state)
{
    (void)state;
    make_job(JOURNAL_DOWNLOAD, "/nowhere/at/all");
    add_object(1, "a", "");
    end_job(JOURNAL_PARKED);
    job.state = JOURNAL_PARKED;
    expect_stays(ERR_FILE_MISSING, "/nowhere/at/all");
    assert_true(counts.folder_is_gone);
    assert_true(sessions == 0 && swept == 0);
    assert_int_equal(clean_forget(db, &job, why), ERR_NONE);
    assert_false(read_job(job.id));
}

/* So does one that had nothing but small files under way, which are in no row. */
static void test_small_download_away(void **state)
{
    (void)state;
    make_job(JOURNAL_DOWNLOAD, "/nowhere/at/all");
    end_job(JOURNAL_PARKED);
    job.state = JOURNAL_PARKED;
    expect_stays(ERR_FILE_MISSING, "/nowhere/at/all");
    assert_true(counts.folder_is_gone);
    assert_int_equal(clean_forget(db, &job, why), ERR_NONE);
    assert_false(read_job(job.id));
    make_job(JOURNAL_DOWNLOAD, "/nowhere/at/all");
    end_job(JOURNAL_DONE); /* nothing of it is missed */
    expect_gone();
    assert_false(counts.folder_is_gone);
}

/* Nobody's but those that are free. */
static void test_forget_running(void **state)
{
    (void)state;
    make_job(JOURNAL_DOWNLOAD, "/nowhere/at/all");
    assert_int_equal(clean_forget(db, &job, why), ERR_JOB_RUNNING);
    assert_non_null(strstr(why, "running")); /* its own reason */
    assert_true(read_job(job.id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_upload),
                                       TEST(test_nothing_left),
                                       TEST(test_stubborn),
                                       TEST(test_no_way),
                                       TEST(test_running),
                                       TEST(test_download),
                                       TEST(test_download_done),
                                       TEST(test_download_gone),
                                       TEST(test_download_shared),
                                       TEST(test_download_away),
                                       TEST(test_small_download_away),
                                       TEST(test_forget_running)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
