/* The words between a large object's transfer and the journal: what is written when, and what a
 * later run takes up of it. */
#include "s3/keep.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PART (5 * MIB)

static char folder[64];
static struct core core;
static struct journal_db *db;
static struct conf conf;
static struct station station;
static struct past past;
static struct keep keep;
static struct work object;
static struct op op;
static int64_t job_id;

static void on_done(struct op *done)
{
    (void)done;
}

static void wait_for_it(void)
{
    while (op.out)
        core_turn(&core, true);
}

static int set_up(void **state)
{
    static const struct journal_job asked = {.direction = JOURNAL_UPLOAD, .source = "/a"};
    static struct journal_job job;
    struct core_options options = {.cpu = -1, .memory_bytes = MIB};
    char path[128], why[JOURNAL_DB_WHY_BYTES];
    bool is_new;
    int raw;
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-keep-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    assert_int_equal(journal_db_open(&db, path, why), ERR_NONE);
    assert_int_equal(journal_db_claim(db, &asked, true, &job, &is_new), ERR_NONE);
    job_id = job.id;
    conf_init(&conf);
    past_init(&past);
    station = (struct station){.core = &core, .conf = &conf, .past = &past};
    assert_int_equal(journal_open(&station.journal, db, 0, &core), ERR_NONE);
    memset(&object, 0, sizeof object);
    object.kind = WORK_PUT;
    object.bytes = object.identity.size_bytes = 3 * PART;
    object.identity.mtime_ns = 11;
    object.identity.ctime_ns = 12;
    object.identity.inode = 13;
    snprintf(object.key, sizeof object.key, "key");
    op_init(&op, on_done);
    keep_init(&keep, &station);
    return 0;
}

static int tear_down(void **state)
{
    struct journal_end end = {.state = JOURNAL_PARKED};
    char command[128];
    (void)state;
    journal_end(station.journal, &end, &op);
    wait_for_it();
    journal_close(station.journal);
    past_fini(&past);
    journal_db_close(db);
    core_close(&core);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void done_part(uint32_t number, bool confirmed)
{
    struct work work = {.part_number = number, .offset = (number - 1) * PART, .bytes = PART};
    work.result.confirmed = confirmed;
    checksum_of(CHECKSUM_CRC32C, "x", number & 1, &work.result.checksum);
    snprintf(work.result.etag, sizeof work.result.etag, "\"e%u\"", number);
    keep_part(&keep, &work);
}

static void begin(bool goes_on)
{
    keep_intend_upload(&keep, &object, PART, goes_on, &op);
    wait_for_it();
    keep_begun_upload(&keep, "the id", 77);
}

static void look_again(void)
{
    keep_flush(&keep, &op);
    wait_for_it();
    past_fini(&past);
    assert_int_equal(past_load(&past, db, job_id), ERR_NONE);
    keep_init(&keep, &station);
}

/* What a process that dies leaves of an upload that was begun twice, besides the one it knows. */
static void test_a_doubt_has_a_row(void **state)
{
    (void)state;
    keep_intend_upload(&keep, &object, PART, true, &op);
    wait_for_it();
    keep_doubt(&keep, 70);
    keep_begun_upload(&keep, "the id", 77);
    keep_flush(&keep, &op);
    wait_for_it();
    assert_int_equal(past_load(&past, db, job_id), ERR_NONE);
    assert_int_equal(past.object_count, 2);
    assert_string_equal(past.objects[0].row.upload_id, "the id");
    const struct past_object *twin = &past.objects[1];
    assert_int_equal(twin->row.state, JOURNAL_CREATING);
    assert_string_equal(twin->row.key, "key");
    assert_string_equal(twin->row.upload_id, "");
    assert_int_equal(twin->row.created_s, 70);
    assert_int_equal(twin->row.until_s, 0);
    assert_int_equal(twin->row.part_bytes, 1);
    assert_int_equal(twin->known_count, 1);
    assert_string_equal(twin->known[0], "the id");
    past_fini(&past);
}

static void test_a_doubt_is_settled(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        begin(true);
        keep_doubt(&keep, 70);
        keep_settle_doubt(&keep, over);
        keep_settle_doubt(&keep, !over); /* once */
        keep_flush(&keep, &op);
        wait_for_it();
        keep_drop(&keep);
        keep_doubt(&keep, 70); /* of nothing */
        assert_int_equal(past_load(&past, db, job_id), ERR_NONE);
        assert_int_equal(past.object_count, 2); /* the second time that of before */
        assert_true(past.objects[over ? 0 : 1].row.until_s > 70);
        past_fini(&past);
    }
}

static void test_an_upload_is_taken_up(void **state)
{
    struct multipart parts;
    bool confirmed;
    (void)state;
    begin(true);
    done_part(3, true);
    done_part(1, false);
    done_part(9, true); /* a part that the object has not: a damaged row's */
    look_again();
    struct past_object *there = keep_find(&keep, &object);
    assert_non_null(there);
    assert_true(keep_fits_upload(&keep, there, &object));
    multipart_init(&parts);
    assert_int_equal(multipart_cut(&parts, 3 * PART, PART), ERR_NONE);
    keep_adopt_upload(&keep, there, &parts, &confirmed);
    assert_false(confirmed);
    assert_int_equal(parts.done_count, 2);
    assert_int_equal(multipart_part(&parts, 1)->state, MULTIPART_WAITING);
    assert_string_equal(multipart_part(&parts, 2)->etag, "\"e3\"");
    assert_string_equal(keep.row.upload_id, "the id");
    assert_int_equal(keep.row.created_s, 77);
    assert_null(keep_find(&keep, &object)); /* it is taken */
    keep_forsake(&keep);
    assert_ptr_equal(keep_find(&keep, &object), there);
    assert_false(keep_fits_upload(&keep, there, &object));
    multipart_fini(&parts);
}

/* Cut as it was sent: the parts that are known stay where they were. */
static void test_a_grown_upload_is_taken_up(void **state)
{
    static const struct {
        uint32_t number;
        uint64_t offset, bytes;
    } known[] = {{2, 8 * MIB, 16 * MIB}, {4, 40 * MIB, 6 * MIB}};
    struct multipart parts;
    bool confirmed;
    (void)state;
    object.bytes = object.identity.size_bytes = 60 * MIB + 1;
    keep_intend_upload(&keep, &object, 0, true, &op);
    wait_for_it();
    keep_begun_upload(&keep, "the id", 77);
    for (int i = 0; i < 2; i++) {
        struct work work = {
            .part_number = known[i].number, .offset = known[i].offset, .bytes = known[i].bytes};
        work.result.confirmed = true;
        checksum_of(CHECKSUM_CRC32C, "x", 1, &work.result.checksum);
        keep_part(&keep, &work);
    }
    look_again();
    struct past_object *there = keep_find(&keep, &object);
    assert_int_equal(there->row.state, JOURNAL_MOVING);
    assert_true(keep_fits_upload(&keep, there, &object));
    multipart_init(&parts);
    assert_int_equal(keep_cut(there, &parts), ERR_NONE);
    keep_adopt_upload(&keep, there, &parts, &confirmed);
    assert_true(confirmed && !parts.whole);
    assert_int_equal(parts.count, 4);
    assert_int_equal(parts.done_count, 2);
    assert_int_equal(multipart_part(&parts, 2)->offset, 24 * MIB);
    assert_int_equal(multipart_part(&parts, 2)->bytes, 16 * MIB);
    multipart_fini(&parts);
    keep_forsake(&keep);
    there->row.state = JOURNAL_MOVING;
    there->parts[0].offset += MIB; /* a damaged row's, which nobody can tell from a good one */
    assert_true(keep_fits_upload(&keep, there, &object));
    there->parts[0].bytes = 17 * MIB + 1;
    assert_false(keep_fits_upload(&keep, there, &object));
    there->parts[0].bytes = 40 * MIB; /* over its neighbour */
    assert_false(keep_fits_upload(&keep, there, &object));
    there->parts[0].bytes = 4 * MIB; /* no store takes that */
    assert_false(keep_fits_upload(&keep, there, &object));
}

static void test_what_does_not_fit(void **state)
{
    struct file_identity now[4];
    (void)state;
    begin(true);
    look_again();
    struct past_object *there = keep_find(&keep, &object);
    for (int i = 0; i < 4; i++)
        now[i] = object.identity;
    now[0].size_bytes++;
    now[1].mtime_ns++;
    now[2].ctime_ns++;
    now[3].inode++;
    for (int i = 0; i < 4; i++) {
        struct work other = object;
        other.identity = now[i];
        assert_false(keep_fits_upload(&keep, there, &other));
    }
    conf.checksum = CHECKSUM_SHA256;
    assert_false(keep_fits_upload(&keep, there, &object));
    conf.checksum = CHECKSUM_CRC32C;
    assert_true(keep_fits_upload(&keep, there, &object));
    there->row.part_bytes = 1; /* a damaged row's: too many parts */
    assert_false(keep_fits_upload(&keep, there, &object));
}

/* Of an upload that was only intended, and of a pipe's, nobody goes on. */
static void test_intents_and_pipes(void **state)
{
    (void)state;
    keep_intend_upload(&keep, &object, PART, true, &op);
    wait_for_it();
    look_again();
    struct past_object *there = keep_find(&keep, &object);
    assert_int_equal(there->row.state, JOURNAL_CREATING);
    assert_false(keep_fits_upload(&keep, there, &object));
    keep_swept(&station, there, ERR_NONE);
    begin(false);
    look_again();
    there = keep_find(&keep, &object);
    assert_int_equal(past.object_count, 1);
    assert_int_equal(there->row.state, JOURNAL_ORPHAN);
    assert_false(keep_fits_upload(&keep, there, &object));
}

static void test_ends(void **state)
{
    struct journal_mark mark;
    (void)state;
    begin(true);
    assert_true(keep_parks(&keep, ERR_CANCELLED));
    assert_true(keep_parks(&keep, ERR_TIMEOUT));
    assert_true(keep_parks(&keep, ERR_CREDENTIALS_EXPIRED));
    assert_false(keep_parks(&keep, ERR_FILE_CHANGED));
    keep_orphan(&keep);
    assert_false(keep_parks(&keep, ERR_CANCELLED));
    begin(true);
    done_part(1, true);
    keep_drop(&keep);
    begin(true);
    done_part(1, true);
    keep_end(&keep, &object);
    journal_flush(station.journal, &op);
    wait_for_it();
    look_again();
    assert_int_equal(past.object_count, 1);
    assert_int_equal(past.objects[0].row.state, JOURNAL_ORPHAN);
    past_mark_file(&mark, object.key, &object.identity);
    assert_true(past_has(&past, &mark));
    keep_swept(&station, &past.objects[0], ERR_DENIED); /* it stays */
    journal_flush(station.journal, &op);
    wait_for_it();
    look_again();
    assert_int_equal(past.object_count, 1);
}

/* A download: what is pinned is the object, and a range only with its place and kind of checksum.
 * */
static void test_a_download_is_taken_up(void **state)
{
    struct multipart_part range = {.offset = PART, .bytes = PART};
    struct work other;
    (void)state;
    object.kind = WORK_GET;
    snprintf(object.etag, sizeof object.etag, "\"e\"");
    keep_begun_download(&keep, &object, "a/.argosy-1", 99, CHECKSUM_CRC32C, PART);
    done_part(2, true);
    assert_true(keep_parks(&keep, ERR_DISK_FULL));
    look_again();
    struct past_object *there = keep_find(&keep, &object);
    other = object;
    other.bytes++;
    assert_false(keep_fits_download(there, &other));
    other = object;
    snprintf(other.etag, sizeof other.etag, "\"f\"");
    assert_false(keep_fits_download(there, &other));
    assert_true(keep_fits_download(there, &object));
    assert_null(keep_written(&keep, 2, &range, CHECKSUM_CRC32C));
    keep_adopt_download(&keep, there);
    assert_int_equal(keep.row.inode, 99);
    assert_non_null(keep_written(&keep, 2, &range, CHECKSUM_CRC32C));
    assert_null(keep_written(&keep, 2, &range, CHECKSUM_CRC32));
    assert_null(keep_written(&keep, 1, &range, CHECKSUM_CRC32C));
    range.bytes--;
    assert_null(keep_written(&keep, 2, &range, CHECKSUM_CRC32C));
    keep_end(&keep, &object);
    keep_flush(&keep, &op);
    wait_for_it();
    journal_flush(station.journal, &op);
    wait_for_it();
    look_again();
    assert_int_equal(past.object_count, 0);
    assert_true(keep_was_done(&station, &object, NULL));
    assert_int_equal(keep_sum(&station), CHECKSUM_CRC32C);
}

/* The machine was started anew. */
static void boot(void)
{
    char path[128];
    sqlite3 *handle;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "UPDATE object SET boot='another'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(handle);
}

/* What was done of it lasts until a power cut, unless it was synced; and again once its temporary
 * file was found, not before. */
static void test_a_download_before_a_power_cut(void **state)
{
    (void)state;
    object.kind = WORK_GET;
    keep_begun_download(&keep, &object, "a/.argosy-1", 99, CHECKSUM_CRC32C, PART);
    look_again();
    assert_true(keep_lasts(&station, keep_find(&keep, &object)));
    boot();
    for (int round = 0; round < 2; round++) { /* who took it up may be killed at once */
        look_again();
        struct past_object *there = keep_find(&keep, &object);
        assert_false(keep_lasts(&station, there));
        past.lasts = true;
        assert_true(keep_lasts(&station, there));
        past.lasts = false;
        keep_adopt_download(&keep, there);
    }
    keep_found_download(&keep);
    look_again();
    assert_true(keep_lasts(&station, keep_find(&keep, &object)));
    assert_int_equal(past.objects[0].row.inode, 99);
}

static void test_without_a_journal(void **state)
{
    struct journal *journal = station.journal;
    (void)state;
    station.journal = NULL;
    assert_int_equal(keep_sum(&station), CHECKSUM_NONE);
    begin(true);
    done_part(1, true);
    assert_int_equal(keep.row.number, 0);
    assert_false(keep_parks(&keep, ERR_CANCELLED));
    keep_flush(&keep, &op);
    wait_for_it();
    keep_end(&keep, &object);
    keep_drop(&keep);
    station.journal = journal;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_doubt_has_a_row),
        TEST(test_a_doubt_is_settled),
        TEST(test_an_upload_is_taken_up),
        TEST(test_a_grown_upload_is_taken_up),
        TEST(test_what_does_not_fit),
        TEST(test_intents_and_pipes),
        TEST(test_ends),
        TEST(test_a_download_is_taken_up),
        TEST(test_a_download_before_a_power_cut),
        TEST(test_without_a_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
