/* The file of tables: made, brought up, refused; what is in it is not trusted. */
#include "core/database.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/limits.h"

#define NOBODY 65534

enum { PUT, GET, COUNT, STATEMENTS };

static const char *const steps[] = {
    "CREATE TABLE t(id INTEGER PRIMARY KEY, word TEXT)",
    "ALTER TABLE t ADD COLUMN data BLOB",
};
static const char *const statements[STATEMENTS] = {
    [PUT] = "INSERT INTO t(id, word, data) VALUES(?1, ?2, ?3)",
    [GET] = "SELECT id, word, data FROM t WHERE id=?1",
    [COUNT] = "SELECT count(*) FROM t",
};
static const struct database_kind kind = {"a test's file", 77, 2, steps, statements, STATEMENTS};
static const struct database_kind older = {"a test's file", 77, 1, steps, statements, STATEMENTS};

static char folder[] = "/tmp/argosy-database-XXXXXX";
static char path[128], why[DATABASE_WHY_BYTES];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-database-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a/b/test.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct database *open_it(void)
{
    struct database *database;
    enum err err = database_open(&database, &kind, path, why);
    if (err) print_error("%s\n", why);
    assert_int_equal(err, ERR_NONE);
    return database;
}

static void put(struct database *database, int64_t id, const char *word)
{
    database_use(database, PUT);
    database_put(database, id);
    database_put_text(database, word);
    database_put_bytes(database, word, strlen(word));
    database_run(database);
}

static int64_t count(struct database *database)
{
    int64_t value = -1;
    database_start(database);
    database_use(database, COUNT);
    if (database_step(database)) value = database_get(database, 0, INT64_MAX);
    database_leave(database);
    return value;
}

static void shell(const char *text) /* "$p" in it is the file */
{
    char command[512];
    snprintf(command, sizeof command, "p=%s; %s", path, text);
    assert_int_equal(system(command), 0);
}

static void execute(const char *text) /* as somebody else would */
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void assert_refused(const struct database_kind *as, enum err err, const char *word)
{
    struct database *database;
    assert_int_equal(database_open(&database, as, path, why), err);
    assert_null(database);
    assert_non_null(strstr(why, path));
    if (!strstr(why, word)) print_error("%s\n", why);
    assert_non_null(strstr(why, word));
}

static void test_rows_come_back(void **state)
{
    struct stat status;
    char word[8];
    (void)state;
    struct database *database = open_it();
    database_begin(database);
    put(database, 5, "five");
    assert_int_equal(database_inserted(database), 5);
    assert_int_equal(database_finish(database), ERR_NONE);
    database_close(database);
    database = open_it();
    database_start(database);
    database_use(database, GET);
    database_put(database, 5);
    assert_true(database_step(database));
    assert_int_equal(database_get(database, 1, 9), 5);
    database_get_text(database, word, sizeof word);
    assert_string_equal(word, "five");
    assert_true(bytes_equal(database_get_bytes(database), BYTES("five")));
    assert_false(database_step(database));
    assert_int_equal(database_err(database), ERR_NONE);
    database_close(database);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void test_failure_takes_all_back(void **state)
{
    (void)state;
    struct database *database = open_it();
    database_begin(database);
    put(database, 1, "one");
    put(database, 1, "again");
    put(database, 2, "after the failure");
    assert_int_equal(database_finish(database), ERR_JOURNAL);
    assert_non_null(strstr(database_why(database), "UNIQUE"));
    assert_int_equal(count(database), 0);
    database_begin(database); /* and it can be used again */
    put(database, 1, "one");
    assert_int_equal(database_finish(database), ERR_NONE);
    assert_int_equal(count(database), 1);
    database_close(database);
}

static void test_what_is_read_is_judged(void **state)
{
    char word[4];
    (void)state;
    database_close(open_it());
    execute("INSERT INTO t VALUES(1, 'too long for it', NULL), (2, x'61006200', NULL),"
            "(3, NULL, NULL)");
    struct database *database = open_it();
    for (int64_t id = 1; id <= 3; id++) {
        database_start(database);
        database_use(database, GET);
        database_put(database, id);
        assert_true(database_step(database));
        assert_int_equal(database_get(database, 1, 3), id);
        database_get_text(database, word, sizeof word);
        assert_int_equal(database_err(database), ERR_JOURNAL);
        assert_string_equal(word, "");
        database_leave(database);
    }
    database_start(database);
    database_use(database, GET);
    database_put(database, 3);
    assert_true(database_step(database));
    assert_int_equal(database_get(database, 4, 9), 4); /* outside: the least, and a failure */
    assert_int_equal(database_err(database), ERR_JOURNAL);
    database_close(database);
}

static void test_brought_up_in_steps(void **state)
{
    struct database *database;
    (void)state;
    assert_int_equal(database_open(&database, &older, path, why), ERR_NONE);
    database_close(database);
    execute("INSERT INTO t(id, word) VALUES(7, 'kept')");
    database = open_it();
    assert_int_equal(count(database), 1);
    database_begin(database);
    put(database, 8, "with data");
    assert_int_equal(database_finish(database), ERR_NONE);
    database_close(database);
    assert_refused(&older, ERR_JOURNAL, "newer");
}

static void test_others_files_are_left_alone(void **state)
{
    (void)state;
    database_close(open_it());
    execute("PRAGMA application_id=78");
    assert_refused(&kind, ERR_JOURNAL, "is not a test's file");
    execute("PRAGMA application_id=0; PRAGMA user_version=0");
    assert_refused(&kind, ERR_JOURNAL, "is not a test's file"); /* it has tables */
}

static void test_damaged(void **state)
{
    (void)state;
    database_close(open_it());
    shell("yes garbage | head -c 20000 >$p");
    assert_refused(&kind, ERR_JOURNAL, "damaged");
    shell("test $(stat -c %s $p) = 20000"); /* left as it is */
}

/* The header is whole, the tables are not: a failure at their use, and no crash. */
static void test_damaged_inside(void **state)
{
    (void)state;
    struct database *database = open_it();
    database_begin(database);
    for (int64_t i = 1; i < 2000; i++)
        put(database, i, "a word that takes some room in its page");
    assert_int_equal(database_finish(database), ERR_NONE);
    database_close(database);
    shell("yes x | dd of=$p bs=4096 seek=1 count=20 conv=notrunc status=none");
    if (database_open(&database, &kind, path, why)) return; /* found at once: as good */
    database_start(database);
    database_use(database, COUNT);
    assert_false(database_step(database));
    assert_int_equal(database_err(database), ERR_JOURNAL);
    assert_non_null(strstr(database_why(database), "damaged"));
    database_close(database);
}

static void test_places_that_cannot_be(void **state)
{
    struct database *database;
    char *end;
    (void)state;
    database_close(open_it());
    end = strrchr(path, '/');
    *end = '\0';
    assert_refused(&kind, ERR_FILE_IS_FOLDER, "directory");
    snprintf(path, sizeof path, "/proc/version/x.db");
    assert_int_equal(database_open(&database, &kind, path, why), ERR_FILE_MISSING);
    snprintf(path, sizeof path, "/proc/nowhere/x.db");
    assert_true(database_open(&database, &kind, path, why) != ERR_NONE);
}

/* In a child: others may not have its rights and limits. Its exit status is the error. */
static enum err in_child(enum err (*run)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) _exit((int)run());
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    return (enum err)WEXITSTATUS(status);
}

static enum err open_as_nobody(void)
{
    struct database *database;
    if (setgid(NOBODY) || setuid(NOBODY)) return ERR_COUNT;
    return database_open(&database, &kind, path, why);
}

static void test_not_ours_to_open(void **state)
{
    (void)state;
    if (getuid() != 0) skip();
    database_close(open_it());
    assert_int_equal(chmod(folder, 0755), 0);
    shell("d=$(dirname $p) && chmod 755 $d $d/.. && chmod 644 $p");
    assert_int_equal(in_child(open_as_nobody), ERR_FILE_DENIED);
}

/* A limit on files' sizes does what a full disk does. */
static enum err fill_disk(void)
{
    struct rlimit limit = {200 * 1024, 200 * 1024};
    struct database *database;
    static char words[3000];
    enum err err;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit)) return ERR_COUNT;
    if (database_open(&database, &kind, path, why)) return ERR_COUNT;
    memset(words, 'x', sizeof words - 1);
    for (int64_t id = 1; id < 1000; id++) {
        database_begin(database);
        put(database, id, words);
        err = database_finish(database);
        if (!err) continue;
        if (count(database) != id - 1) return ERR_COUNT; /* what was committed is there */
        return strstr(database_why(database), path) || database_err(database) == ERR_NONE
                   ? err
                   : ERR_COUNT;
    }
    return ERR_NONE;
}

static void test_disk_full(void **state)
{
    (void)state;
    enum err err = in_child(fill_disk);
    assert_true(err == ERR_DISK_FULL || err == ERR_SYSTEM || err == ERR_FILE_IO ||
                err == ERR_TOO_LARGE);
    struct database *database = open_it(); /* there is room again: nothing is broken */
    assert_true(count(database) > 5);
    database_begin(database);
    put(database, 5000, "room");
    assert_int_equal(database_finish(database), ERR_NONE);
    database_close(database);
}

static enum err write_many(void)
{
    struct database *database;
    if (database_open(&database, &kind, path, why)) return ERR_COUNT;
    for (int64_t i = 0; i < 200; i++) {
        database_begin(database);
        put(database, (int64_t)getpid() * 1000 + i, "one of many");
        if (database_finish(database)) return ERR_COUNT;
    }
    database_close(database);
    return ERR_NONE;
}

static void test_processes_at_once(void **state)
{
    int status;
    (void)state;
    for (int i = 0; i < 4; i++)
        if (fork() == 0) _exit((int)write_many()); /* all of them find no file yet */
    for (int i = 0; i < 4; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    struct database *database = open_it();
    assert_int_equal(count(database), 800);
    database_close(database);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows_come_back),
        TEST(test_failure_takes_all_back),
        TEST(test_what_is_read_is_judged),
        TEST(test_brought_up_in_steps),
        TEST(test_others_files_are_left_alone),
        TEST(test_damaged),
        TEST(test_damaged_inside),
        TEST(test_places_that_cannot_be),
        TEST(test_not_ours_to_open),
        TEST(test_disk_full),
        TEST(test_processes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
