/* Records are handed over without waiting and written by an aside: order, flushes, bounds, what a
 * kill leaves, and what happens when the file cannot be written. */
#include "s3/journal.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "s3/past.h"

#define HASTE_NS (100 * NS_PER_MS) /* clearly less than the linger */

static char folder[64], path[128], why[JOURNAL_DB_WHY_BYTES];
static struct core core;
static struct journal_db *db;
static struct journal *journal;
static int64_t job_id;

static const struct journal_job asked = {.direction = JOURNAL_UPLOAD, .source = "/a"};

static void open_all(void)
{
    static struct journal_job job;
    struct core_options options = {.cpu = -1, .memory_bytes = MIB};
    bool is_new;
    int raw;
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    assert_int_equal(journal_db_open(&db, path, why), ERR_NONE);
    assert_int_equal(journal_db_claim(db, &asked, true, &job, &is_new), ERR_NONE);
    job_id = job.id;
    assert_int_equal(journal_open(&journal, db, 0, &core), ERR_NONE);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-journal-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    open_all();
    return 0;
}

static void close_all(void)
{
    journal_close(journal);
    journal_db_close(db);
    core_close(&core);
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void on_done(struct op *op)
{
    (void)op;
}

static enum err wait_for(struct op *op)
{
    while (op->out)
        core_turn(&core, true);
    return op->err;
}

static enum err flush(void)
{
    struct op op;
    op_init(&op, on_done);
    journal_flush(journal, &op);
    return wait_for(&op);
}

static enum err end(enum journal_state how)
{
    struct journal_end last = {.state = how};
    struct op op;
    op_init(&op, on_done);
    journal_end(journal, &last, &op);
    return wait_for(&op);
}

static struct journal_mark mark_of(uint32_t number)
{
    struct journal_mark mark;
    past_mark_object(&mark, "key", number, "");
    return mark;
}

static void put_done(uint32_t number, uint32_t object)
{
    struct journal_mark mark = mark_of(number);
    journal_put_done(journal, &mark, object);
}

static uint32_t put_object(const char *key)
{
    struct journal_object object;
    memset(&object, 0, sizeof object);
    object.number = journal_new_number(journal);
    object.state = JOURNAL_MOVING;
    snprintf(object.key, sizeof object.key, "%s", key);
    journal_put_object(journal, &object);
    return object.number;
}

static void put_part(uint32_t object, uint32_t number)
{
    struct journal_part part;
    memset(&part, 0, sizeof part);
    part.object = object;
    part.number = number;
    journal_put_part(journal, &part);
}

/* What another process would find now. */
static void load(struct past *past)
{
    struct journal_db *other;
    assert_int_equal(journal_db_open(&other, path, why), ERR_NONE);
    assert_int_equal(past_load(past, other, job_id), ERR_NONE);
    journal_db_close(other);
}

static void test_flushed_is_there(void **state)
{
    struct past past;
    (void)state;
    uint32_t object = put_object("big");
    for (uint32_t i = 1; i <= 100; i++)
        put_part(object, i);
    put_done(1, 0);
    load(&past);
    assert_true(past.object_count == 0 && past.mark_count == 0); /* nothing is written at once */
    past_fini(&past);
    assert_int_equal(flush(), ERR_NONE);
    load(&past);
    assert_int_equal(past.object_count, 1);
    assert_int_equal(past.objects[0].part_count, 100);
    assert_int_equal(past.mark_count, 1);
    past_fini(&past);
    put_done(2, object); /* the large one is done: its rows go */
    assert_int_equal(end(JOURNAL_PARKED), ERR_NONE);
    load(&past);
    assert_true(past.object_count == 0 && past.mark_count == 2);
    past_fini(&past);
    close_all();
}

/* Who flushes does not wait for the linger: once at least of some times, since the write itself
 * takes longer on a machine whose disk others load. */
static void test_flush_is_at_once(void **state)
{
    uint64_t least_ns = UINT64_MAX;
    (void)state;
    for (uint32_t i = 0; i < 100 && least_ns >= HASTE_NS; i++) {
        put_done(i, 0);
        uint64_t started_ns = clock_now_ns();
        assert_int_equal(flush(), ERR_NONE);
        least_ns = min_u64(least_ns, clock_now_ns() - started_ns);
    }
    assert_true(least_ns < HASTE_NS);
    assert_int_equal(end(JOURNAL_PARKED), ERR_NONE);
    close_all();
}

static void test_lingers_then_writes(void **state)
{
    struct past past;
    struct timer timer;
    uint64_t started_ns = core.now_ns; /* the journal's time as well */
    uint32_t count = 0;
    (void)state;
    put_done(1, 0);
    timer_init(&timer, on_done);
    while (count == 0) { /* as long as the disk takes */
        assert_true(clock_now_ns() - started_ns < 60 * NS_PER_S);
        timer_start(&core.timers, &timer, clock_now_ns() + HASTE_NS / 4);
        wait_for(&timer.op);
        load(&past);
        count = past.mark_count;
        past_fini(&past);
    }
    assert_int_equal(count, 1);
    assert_true(clock_now_ns() - started_ns >= JOURNAL_LINGER_NS);
    assert_int_equal(flush(), ERR_NONE); /* there is nothing to be flushed */
    assert_int_equal(end(JOURNAL_PARKED), ERR_NONE);
    close_all();
}

/* Many more records than a batch, and more than the queue asks for: all are there, in the end. */
static void test_back_pressure(void **state)
{
    const uint32_t count = 600000;
    struct past past;
    struct op op;
    uint32_t waits = 0;
    (void)state;
    op_init(&op, on_done);
    for (uint32_t i = 0; i < count; i++) {
        put_done(i, 0);
        if (!journal_is_full(journal)) continue;
        journal_wait(journal, &op);
        assert_int_equal(wait_for(&op), ERR_NONE);
        assert_false(journal_is_full(journal));
        waits++;
    }
    assert_true(waits > 0);
    assert_int_equal(end(JOURNAL_FAILED), ERR_NONE);
    load(&past);
    assert_int_equal(past.mark_count, count);
    for (uint32_t i = 0; i < count; i += 1000) {
        struct journal_mark mark = mark_of(i);
        assert_true(past_has(&past, &mark));
    }
    past_fini(&past);
    close_all();
}

static void test_ends_without_records(void **state)
{
    static struct journal_job job;
    bool found;
    (void)state;
    assert_int_equal(end(JOURNAL_DONE), ERR_NONE);
    assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
    assert_true(found && job.state == JOURNAL_DONE);
    close_all();
}

/* Somebody took the job: that is told once, and everything still ends. */
static void test_taken_over(void **state)
{
    sqlite3 *handle;
    struct op waiting;
    (void)state;
    put_done(1, 0);
    assert_int_equal(flush(), ERR_NONE);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "UPDATE job SET token=0", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    put_done(2, 0);
    assert_int_equal(flush(), ERR_JOB_TAKEN);
    assert_int_equal(journal_err(journal), ERR_JOB_TAKEN);
    put_done(3, 0);
    op_init(&waiting, on_done);
    journal_wait(journal, &waiting);
    assert_int_equal(wait_for(&waiting), ERR_JOB_TAKEN);
    assert_int_equal(flush(), ERR_JOB_TAKEN);
    assert_int_equal(end(JOURNAL_PARKED), ERR_JOB_TAKEN);
    close_all();
}

/* The file goes bad under a run. */
static void test_damaged_midway(void **state)
{
    char command[512];
    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        put_done(i, 0);
    assert_int_equal(flush(), ERR_NONE);
    snprintf(command, sizeof command, "yes x | head -c 100000 >%s; yes x | head -c 100000 >%s-wal",
             path, path);
    assert_int_equal(system(command), 0);
    for (uint32_t i = 0; i < 50 && !journal_err(journal); i++) {
        put_done(i, put_object("x"));
        enum err ignored = flush();
        (void)ignored;
    }
    if (journal_err(journal)) assert_true(journal_why(journal)[0] != 0);
    enum err ignored = end(JOURNAL_PARKED);
    (void)ignored; /* it may have been written without a look at the file: but no hang, no crash */
    close_all();
}

/* The child tells which marks are flushed; it is killed at some moment: these must all be there,
 * and what else is there must be whole. */
static void run_until_killed(int tell)
{
    open_all();
    for (uint32_t i = 1;; i++) {
        uint32_t object = put_object("large");
        put_part(object, i % PARTS_MAX + 1);
        put_done(i, 0);
        if (i % 7 == 0 && flush()) _exit(3);
        if (i % 7 == 0 && write(tell, &i, sizeof i) < 0) _exit(4);
    }
}

static void test_killed_in_the_middle(void **state)
{
    (void)state;
    assert_int_equal(end(JOURNAL_DONE), ERR_NONE);
    close_all();
    for (uint32_t round = 1; round <= 5; round++) {
        int pipes[2];
        uint32_t told = 0, last = 0;
        struct past past;
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) run_until_killed(pipes[1]);
        close(pipes[1]);
        assert_int_equal(read(pipes[0], &last, sizeof last), sizeof last);
        usleep(10000 * round + 377 * round);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        do
            told = last;
        while (read(pipes[0], &last, sizeof last) == sizeof last);
        close(pipes[0]);
        job_id = 1 + round;
        load(&past);
        for (uint32_t i = 1; i <= told; i++) {
            struct journal_mark mark = mark_of(i);
            assert_true(past_has(&past, &mark));
        }
        assert_int_equal(past.object_count, past.mark_count);
        for (uint32_t i = 0; i < past.object_count; i++)
            assert_int_equal(past.objects[i].part_count, 1);
        past_fini(&past);
        assert_int_equal(journal_db_open(&db, path, why), ERR_NONE);
        assert_int_equal(journal_db_remove(db, job_id), ERR_NONE);
        journal_db_close(db);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_flushed_is_there),     TEST(test_flush_is_at_once),
        TEST(test_lingers_then_writes),  TEST(test_back_pressure),
        TEST(test_ends_without_records), TEST(test_taken_over),
        TEST(test_damaged_midway),       TEST(test_killed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
