/* The journal's rows: claimed by one process at a time, written in batches, read one by one. */
#include "s3/journal_db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/ledger.h"

static void assert_same_command(const struct journal_job *a, const struct journal_job *b)
{
    assert_int_equal(a->direction, b->direction);
    assert_string_equal(a->source, b->source);
    assert_string_equal(a->target, b->target);
    assert_string_equal(a->endpoint, b->endpoint);
    assert_string_equal(a->bucket, b->bucket);
    assert_string_equal(a->prefix, b->prefix);
    assert_string_equal(a->options, b->options);
    assert_int_equal(a->arguments_bytes, b->arguments_bytes);
    assert_memory_equal(a->arguments, b->arguments, b->arguments_bytes);
}

static void test_new_then_continued(void **state)
{
    static struct journal_job job, other;
    bool is_new, found;
    (void)state;
    struct journal_db *db = open_it();
    assert_int_equal(journal_db_claim(db, &asked, true, &job, &is_new), ERR_NONE);
    assert_true(is_new && job.id > 0 && job.tag != 0);
    assert_same_command(&job, &asked);
    end_job(db, JOURNAL_PARKED);
    journal_db_close(db);
    db = open_it();
    other.id = 0;
    assert_int_equal(journal_db_next_job(db, &other, &found), ERR_NONE);
    assert_true(found && other.id == job.id && other.state == JOURNAL_PARKED);
    assert_true(other.done == 7 && other.failed == 2 && other.left == 1);
    assert_int_equal(journal_db_claim(db, &asked, true, &other, &is_new), ERR_NONE);
    assert_true(!is_new && other.id == job.id && other.tag == job.tag);
    assert_same_command(&other, &asked);
    assert_int_equal(journal_db_next_job(db, &other, &found), ERR_NONE);
    assert_false(found);
    journal_db_close(db);
}

/* A power cut may take back the last rename of a job that is done: its temporary file is found by
 * the next one of the same command, and by no other, nor by two at once. */
static void test_tag_goes_on(void **state)
{
    static struct journal_job first, second, third, other, another;
    bool is_new;
    (void)state;
    struct journal_db *db = open_it();
    another = asked;
    strcpy(another.target, "s3://bucket/run43/");
    assert_int_equal(journal_db_claim(db, &asked, true, &first, &is_new), ERR_NONE);
    end_job(db, JOURNAL_DONE);
    assert_int_equal(journal_db_claim(db, &another, true, &other, &is_new), ERR_NONE);
    assert_true(is_new && other.tag != first.tag);
    assert_int_equal(journal_db_claim(db, &asked, true, &second, &is_new), ERR_NONE);
    assert_true(is_new && second.id != first.id && second.tag == first.tag);
    assert_int_equal(journal_db_claim(db, &asked, false, &third, &is_new), ERR_NONE);
    assert_true(is_new && third.id != second.id && third.tag != first.tag);
    journal_db_close(db);
}

/* Whatever makes another command makes another job. */
static void test_identity(void **state)
{
    static struct journal_job other[5];
    (void)state;
    struct journal_db *db = open_it();
    int64_t first = claim(db, &asked, true);
    end_job(db, JOURNAL_PARKED);
    for (size_t i = 0; i < ARRAY_COUNT(other); i++)
        other[i] = asked;
    other[0].direction = JOURNAL_DOWNLOAD;
    strcpy(other[1].source, "/data/run43");
    strcpy(other[2].endpoint, "http://store.example:80");
    strcpy(other[3].options, "recursive=1 checksum=sha256");
    other[4].arguments_bytes = 0; /* not part of it */
    for (size_t i = 0; i < ARRAY_COUNT(other); i++) {
        int64_t id = claim(db, &other[i], i < 4);
        assert_int_equal(id == first, i == 4);
        end_job(db, JOURNAL_FAILED);
    }
    end_job(db, JOURNAL_DONE);
    claim(db, &asked, true); /* what is done is begun anew */
    journal_db_close(db);
}

static void test_running_elsewhere(void **state)
{
    static struct journal_job job;
    int64_t first, second;
    (void)state;
    struct journal_db *db = open_it();
    first = claim(db, &asked, true); /* by this process, which is alive */
    second = claim(db, &asked, true);
    assert_true(second > first);
    assert_int_equal(journal_db_take(db, first, &job), ERR_JOB_RUNNING);
    assert_non_null(strstr(journal_db_why(db), "running"));
    assert_int_equal(journal_db_take(db, 99, &job), ERR_JOB_MISSING);
    assert_int_equal(journal_db_take(db, 0, &job), ERR_JOB_MISSING);
    execute("UPDATE job SET boot='another', lease=0 WHERE id=1");
    assert_int_equal(journal_db_take(db, 0, &job), ERR_NONE);
    assert_int_equal(job.id, first);
    end_job(db, JOURNAL_DONE);
    assert_int_equal(journal_db_take(db, first, &job), ERR_JOB_DONE);
    journal_db_close(db);
}

static void test_taken_over(void **state)
{
    static struct journal_job job;
    struct journal_mark mark = {{1}};
    struct journal_batch batch = {.marks = &mark, .mark_count = 1};
    struct bytes marks;
    int64_t id = 0;
    bool found;
    (void)state;
    struct journal_db *ours = open_it(), *theirs = open_it();
    int64_t number = claim(ours, &asked, true);
    assert_int_equal(journal_db_write(ours, &batch), ERR_NONE);
    execute("UPDATE job SET host='elsewhere', lease=0");
    assert_int_equal(journal_db_take(theirs, number, &job), ERR_NONE);
    assert_int_equal(journal_db_write(ours, &batch), ERR_JOB_TAKEN);
    assert_int_equal(journal_db_write(theirs, &batch), ERR_NONE);
    assert_int_equal(journal_db_next_marks(ours, number, &id, &marks, &found), ERR_NONE);
    assert_true(found);
    assert_int_equal(journal_db_next_marks(ours, number, &id, &marks, &found), ERR_NONE);
    assert_true(found);
    assert_int_equal(journal_db_next_marks(ours, number, &id, &marks, &found), ERR_NONE);
    assert_false(found); /* two batches of three */
    assert_int_equal(journal_db_remove(theirs, number), ERR_NONE);
    assert_int_equal(journal_db_write(theirs, &batch), ERR_JOB_TAKEN);
    journal_db_close(ours);
    journal_db_close(theirs);
}

/* A job of another machine: its lease alone says whether somebody works on it. */
static void test_leases(void **state)
{
    static struct journal_job job;
    bool is_new;
    char text[128];
    (void)state;
    struct journal_db *db = open_it();
    int64_t id = claim(db, &asked, true);
    int64_t now_s = (int64_t)time(NULL);
    snprintf(text, sizeof text, "UPDATE job SET host='elsewhere', lease=%lld",
             (long long)now_s + JOURNAL_DB_LEASE_S);
    execute(text);
    assert_int_equal(journal_db_take(db, id, &job), ERR_JOB_RUNNING); /* live: refused */
    assert_int_equal(journal_db_take(db, 0, &job), ERR_JOB_MISSING);
    assert_int_equal(journal_db_claim(db, &asked, true, &job, &is_new), ERR_NONE);
    assert_true(is_new && job.id != id);
    end_job(db, JOURNAL_DONE);
    snprintf(text, sizeof text, "UPDATE job SET lease=%lld WHERE id=%lld", (long long)now_s - 1,
             (long long)id);
    execute(text); /* expired: taken over by the same command */
    assert_int_equal(journal_db_claim(db, &asked, true, &job, &is_new), ERR_NONE);
    assert_true(!is_new && job.id == id);
    assert_string_equal(job.owner.host, "elsewhere"); /* as it stood */
    journal_db_close(db);
    db = open_it();
    job.id = id - 1;
    assert_int_equal(journal_db_next_job(db, &job, &is_new), ERR_NONE);
    assert_true(job.owner.pid == (uint32_t)getpid() &&
                job.lease_until_s >= now_s + JOURNAL_DB_LEASE_S);
    journal_db_close(db);
}

/* Each batch, an empty one as well, moves the lease on; without an owner's word it stays. */
static void test_lease_is_renewed(void **state)
{
    static struct journal_job job;
    struct journal_batch batch = {.end = NULL};
    bool found;
    (void)state;
    struct journal_db *db = open_it();
    int64_t id = claim(db, &asked, true);
    execute("UPDATE job SET lease=7, updated=7");
    int64_t began_s = (int64_t)time(NULL) - 1; /* that clock and the journal's differ by a tick */
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
    job.id = id - 1;
    assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
    assert_true(found && job.lease_until_s >= began_s + JOURNAL_DB_LEASE_S);
    assert_true(job.updated_s >= began_s);
    journal_db_close(db);
}

static struct journal_object an_object(uint32_t number)
{
    struct journal_object object;
    memset(&object, 0, sizeof object);
    object.number = number;
    object.until_s = 1000 + number;
    object.state = JOURNAL_MOVING;
    object.sum = CHECKSUM_SHA256;
    object.bytes = 1ull << 40;
    object.part_bytes = 8 * MIB;
    object.mtime_ns = -5;
    object.inode = UINT64_MAX;
    snprintf(object.key, sizeof object.key, "run42/ü %u", number);
    snprintf(object.etag, sizeof object.etag, "\"e\"");
    snprintf(object.upload_id, sizeof object.upload_id, "id-%u", number);
    return object;
}

static struct journal_part a_part(uint32_t object, uint32_t number)
{
    struct journal_part part;
    memset(&part, 0, sizeof part);
    part.object = object;
    part.number = number;
    part.offset = (number - 1) * 8 * MIB;
    part.bytes = 8 * MIB;
    part.confirmed = number % 2;
    checksum_of(CHECKSUM_SHA256, &number, sizeof number, &part.checksum);
    snprintf(part.etag, sizeof part.etag, "\"part%u\"", number);
    return part;
}

struct area {
    uint8_t data[200000];
    size_t count;
};

static void add(struct area *area, enum journal_record_kind kind, uint32_t number, const void *data,
                size_t bytes)
{
    struct journal_record record = {kind, number};
    memcpy(area->data + area->count, &record, sizeof record);
    if (bytes) memcpy(area->data + area->count + sizeof record, data, bytes);
    area->count += sizeof record + bytes;
}

static void write_area(struct journal_db *db, struct area *area)
{
    struct journal_batch batch = {.records = area->data, .records_bytes = area->count};
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
    area->count = 0;
}

static uint32_t count_parts(struct journal_db *db, int64_t job, uint32_t object)
{
    struct journal_part part = {.object = object}, expected;
    uint32_t count = 0;
    bool found;
    for (;; count++) {
        assert_int_equal(journal_db_next_part(db, job, &part, &found), ERR_NONE);
        if (!found) return count;
        expected = a_part(object, part.number);
        assert_memory_equal(&part.checksum, &expected.checksum, sizeof part.checksum);
        assert_string_equal(part.etag, expected.etag);
        assert_true(part.offset == expected.offset && part.bytes == expected.bytes);
        assert_int_equal(part.confirmed, expected.confirmed);
    }
}

static void test_objects_and_parts(void **state)
{
    static struct area area;
    struct journal_object object, expected;
    bool found;
    (void)state;
    struct journal_db *db = open_it();
    int64_t job = claim(db, &asked, true);
    for (uint32_t i = 1; i <= 2; i++) {
        object = an_object(i);
        add(&area, JOURNAL_RECORD_OBJECT, i, &object, sizeof object);
        for (uint32_t p = 1; p <= 20; p += i) {
            struct journal_part part = a_part(i, p);
            add(&area, JOURNAL_RECORD_PART, i, &part, sizeof part);
        }
    }
    write_area(db, &area);
    object.number = 0;
    for (uint32_t i = 1; i <= 2; i++) {
        expected = an_object(i);
        assert_int_equal(journal_db_next_object(db, job, &object, &found), ERR_NONE);
        assert_true(found);
        assert_memory_equal(&object, &expected, offsetof(struct journal_object, key));
        assert_string_equal(object.key, expected.key);
        assert_string_equal(object.etag, expected.etag);
        assert_string_equal(object.upload_id, expected.upload_id);
        assert_string_equal(object.temp, "");
        assert_int_equal(object.until_s, expected.until_s);
        assert_int_equal(count_parts(db, job, i), 20 / i);
    }
    assert_int_equal(journal_db_next_object(db, job, &object, &found), ERR_NONE);
    assert_false(found);
    add(&area, JOURNAL_RECORD_DROP, 1, NULL, 0);
    object = an_object(2);
    object.state = JOURNAL_ORPHAN;
    add(&area, JOURNAL_RECORD_OBJECT, 2, &object, sizeof object); /* replaces it, parts stay */
    write_area(db, &area);
    assert_int_equal(count_parts(db, job, 1), 0);
    assert_int_equal(count_parts(db, job, 2), 10);
    object.number = 0;
    assert_int_equal(journal_db_next_object(db, job, &object, &found), ERR_NONE);
    assert_true(found && object.number == 2 && object.state == JOURNAL_ORPHAN);
    journal_db_close(db);
}

/* --- until when an upload without an id was begun --- */

static void put_upload(struct journal_db *db, uint32_t number, const char *id, const char *temp)
{
    static struct area area;
    struct journal_object object = an_object(number);
    object.until_s = 0;
    snprintf(object.upload_id, sizeof object.upload_id, "%s", id);
    snprintf(object.temp, sizeof object.temp, "%s", temp);
    add(&area, JOURNAL_RECORD_OBJECT, number, &object, sizeof object);
    write_area(db, &area);
}

/* When who wrote it was last alive; and whoever takes the job afterwards, that does not move. */
static void test_span_does_not_move(void **state)
{
    static struct journal_job job;
    (void)state;
    struct journal_db *db = open_it();
    int64_t id = claim(db, &asked, true);
    put_upload(db, 1, "", "");
    put_upload(db, 2, "known", "");
    put_upload(db, 3, "", "temporary");
    kill_owner(1000);
    assert_int_equal(until_of(db, id, 1), 0);
    assert_int_equal(journal_db_take(db, id, &job), ERR_NONE);
    assert_int_equal(until_of(db, id, 1), 1000 + JOURNAL_DB_LEASE_S);
    assert_true(until_of(db, id, 2) == 0 && until_of(db, id, 3) == 0);
    put_upload(db, 4, "", ""); /* a run that goes on with it, and is killed as well */
    kill_owner(2000);
    assert_int_equal(claim(db, &asked, false), id);
    assert_int_equal(until_of(db, id, 1), 1000 + JOURNAL_DB_LEASE_S);
    assert_int_equal(until_of(db, id, 4), 2000 + JOURNAL_DB_LEASE_S);
    journal_db_close(db);
}

/* Whoever took it had seen that its process is dead: not the lease's end, which is still to come.
 * */
static void test_span_ends_when_taken(void **state)
{
    static struct journal_job job;
    (void)state;
    struct journal_db *db = open_it();
    int64_t id = claim(db, &asked, true), now_s = (int64_t)time(NULL);
    put_upload(db, 1, "", "");
    kill_owner(now_s - 1);
    assert_int_equal(journal_db_take(db, id, &job), ERR_NONE);
    assert_in_range(until_of(db, id, 1), now_s - 1, (int64_t)time(NULL) + 1);
    journal_db_close(db);
}

/* Who ends in order knows it best. */
static void test_span_ends_with_the_job(void **state)
{
    static const enum journal_state states[] = {JOURNAL_PARKED, JOURNAL_FAILED, JOURNAL_DONE};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        static struct journal_job job;
        struct journal_db *db = open_it();
        bool is_new;
        assert_int_equal(journal_db_claim(db, &asked, false, &job, &is_new), ERR_NONE);
        put_upload(db, 1, "", "");
        int64_t now_s = (int64_t)time(NULL);
        end_job(db, states[i]);
        assert_in_range(until_of(db, job.id, 1), now_s - 1, (int64_t)time(NULL) + 1);
        journal_db_close(db);
    }
}

/* As it was: when it was active, and by whom, on which boot of which machine. Nobody else's: who
 * took it meanwhile keeps it. */
static void test_given_back(void **state)
{
    static struct journal_job taken, job;
    bool found;
    (void)state;
    struct journal_db *db = open_it(), *other = open_it();
    int64_t id = claim(db, &asked, true);
    kill_owner(1000);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(journal_db_take(db, id, &taken), ERR_NONE);
        assert_int_equal(taken.updated_s, 1000);
        assert_int_equal(journal_db_take(other, id, &job), ERR_JOB_RUNNING);
        assert_int_equal(journal_db_give_back(db, &taken), ERR_NONE);
        job.id = id - 1;
        assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
        assert_true(found && job.updated_s == 1000 && job.state == JOURNAL_PARKED);
        assert_true(journal_db_is_free(&job) && job.owner.pid == 7);
        assert_string_equal(job.owner.boot, "another");
    }
    assert_int_equal(journal_db_take(db, id, &taken), ERR_NONE);
    kill_owner(1000);
    assert_int_equal(journal_db_take(other, id, &job), ERR_NONE);
    assert_int_equal(journal_db_give_back(db, &taken), ERR_JOB_TAKEN);
    job.id = id - 1;
    assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
    assert_true(found && job.state == JOURNAL_RUNNING && job.owner.pid == (uint32_t)getpid());
    journal_db_close(db);
    journal_db_close(other);
}

static void test_old_ones_are_forgotten(void **state)
{
    static struct journal_job job;
    bool found, is_empty;
    (void)state;
    struct journal_db *db = open_it();
    int64_t first = claim(db, &asked, true);
    end_job(db, JOURNAL_DONE);
    int64_t second = claim(db, &asked, true);
    end_job(db, JOURNAL_PARKED); /* old, but not done */
    assert_int_equal(journal_db_is_empty(db, second, &is_empty), ERR_NONE);
    assert_true(is_empty);
    execute("UPDATE job SET updated=updated - 31 * 24 * 3600");
    assert_int_equal(claim(db, &asked, false), second);
    job.id = 0;
    assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
    assert_true(found && job.id == second && first < second);
    journal_db_close(db);
}

static void test_done_clears_marks(void **state)
{
    static struct journal_mark many[1000];
    struct journal_end end = {.state = JOURNAL_DONE, .done = 1000};
    struct journal_batch batch = {.marks = many, .mark_count = 1000};
    struct bytes marks;
    int64_t id = 0;
    bool found, is_empty;
    (void)state;
    struct journal_db *db = open_it();
    int64_t job = claim(db, &asked, true);
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
    assert_int_equal(journal_db_is_empty(db, job, &is_empty), ERR_NONE);
    assert_false(is_empty);
    assert_int_equal(journal_db_next_marks(db, job, &id, &marks, &found), ERR_NONE);
    assert_true(found && marks.count == sizeof many);
    batch = (struct journal_batch){.end = &end};
    assert_int_equal(journal_db_write(db, &batch), ERR_NONE);
    id = 0;
    assert_int_equal(journal_db_next_marks(db, job, &id, &marks, &found), ERR_NONE);
    assert_false(found);
    journal_db_shrink(db);
    journal_db_close(db);
}

/* Rows that somebody else, or a broken disk, has written: an error each, never a wrong value. */
static void test_rows_are_not_trusted(void **state)
{
    static const char *const rows[] = {
        "UPDATE job SET source=hex(zeroblob(3000))",
        "UPDATE job SET direction=3",
        "UPDATE job SET state=0",
        "UPDATE job SET pid=-1",
        "UPDATE job SET arguments=zeroblob(9000)",
        "UPDATE job SET arguments='no end'",
        "UPDATE job SET options=x'00'",
    };
    static struct journal_job job;
    bool found;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct journal_db *db = open_it();
        claim(db, &asked, true);
        execute(rows[i]);
        job.id = 0;
        assert_int_equal(journal_db_next_job(db, &job, &found), ERR_JOURNAL);
        assert_non_null(strstr(journal_db_why(db), "damaged"));
        journal_db_close(db);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_parts_are_not_trusted(void **state)
{
    static const char *const rows[] = {
        "UPDATE part SET number=10001",  "UPDATE part SET bytes=-1",
        "UPDATE part SET sum=5",         "UPDATE part SET checksum=x'01'",
        "UPDATE part SET confirmed=2",   "UPDATE part SET etag=hex(zeroblob(64))",
        "UPDATE part SET start='wrong'", "UPDATE part SET checksum=zeroblob(100)",
    };
    static struct area area;
    bool found;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct journal_part part = a_part(1, 1);
        struct journal_db *db = open_it();
        int64_t job = claim(db, &asked, true);
        add(&area, JOURNAL_RECORD_PART, 1, &part, sizeof part);
        write_area(db, &area);
        execute(rows[i]);
        part.number = 0;
        assert_int_equal(journal_db_next_part(db, job, &part, &found), ERR_JOURNAL);
        journal_db_close(db);
        assert_int_equal(unlink(path), 0);
    }
}

/* Several processes take the job at the same time: one gets it. */
static void assert_taken_once(int64_t id)
{
    static struct journal_job job;
    struct journal_db *db;
    int status, got = 0, pipes[2], tried[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(pipe(tried), 0);
    for (int i = 0; i < 4; i++) {
        char byte;
        if (fork() != 0) continue;
        close(pipes[1]);
        db = open_it();
        enum err err = journal_db_take(db, id, &job);
        if (write(tried[1], "x", 1) != 1) _exit(8);
        if (read(pipes[0], &byte, 1) != 0) _exit(9); /* all live until the last one tried */
        _exit(err == ERR_NONE ? 1 : err == ERR_JOB_RUNNING ? 0 : 2);
    }
    close(tried[1]);
    for (int i = 0; i < 4; i++) {
        char byte;
        assert_int_equal(read(tried[0], &byte, 1), 1);
    }
    close(tried[0]);
    close(pipes[1]);
    for (int i = 0; i < 4; i++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
        got += WEXITSTATUS(status);
    }
    close(pipes[0]);
    assert_int_equal(got, 1);
}

static void test_claimed_once(void **state)
{
    (void)state;
    struct journal_db *db = open_it();
    int64_t id = claim(db, &asked, true);
    end_job(db, JOURNAL_PARKED);
    journal_db_close(db);
    assert_taken_once(id);
}

/* The owner, on another machine, has not been heard of for a minute: of all who see that, one. */
static void test_expired_lease_is_taken_once(void **state)
{
    (void)state;
    struct journal_db *db = open_it();
    int64_t id = claim(db, &asked, true);
    journal_db_close(db);
    execute("UPDATE job SET host='elsewhere', lease=7");
    assert_taken_once(id);
}

/* They are kept, and make no other job of the same command. */
static void test_options_with_columns(void **state)
{
    static struct journal_job one, job;
    bool found, is_new;
    (void)state;
    struct journal_db *db = open_it();
    one = asked;
    one.recursive = true;
    one.fsync = 2;
    one.spread = 4096;
    int64_t id = claim(db, &one, true);
    job.id = 0;
    assert_int_equal(journal_db_next_job(db, &job, &found), ERR_NONE);
    assert_true(found && job.recursive && job.fsync == 2 && job.spread == 4096);
    end_job(db, JOURNAL_PARKED);
    assert_int_equal(journal_db_claim(db, &asked, true, &job, &is_new), ERR_NONE);
    assert_true(!is_new && job.id == id && job.recursive && job.fsync == 2 && job.spread == 4096);
    journal_db_close(db);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_then_continued),
        TEST(test_identity),
        TEST(test_tag_goes_on),
        TEST(test_running_elsewhere),
        TEST(test_taken_over),
        TEST(test_objects_and_parts),
        TEST(test_span_does_not_move),
        TEST(test_span_ends_when_taken),
        TEST(test_span_ends_with_the_job),
        TEST(test_given_back),
        TEST(test_old_ones_are_forgotten),
        TEST(test_done_clears_marks),
        TEST(test_rows_are_not_trusted),
        TEST(test_parts_are_not_trusted),
        TEST(test_claimed_once),
        TEST(test_leases),
        TEST(test_lease_is_renewed),
        TEST(test_expired_lease_is_taken_once),
        TEST(test_options_with_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
