/* Which way of comparing is taken, what is asked for that, and the verdict: the works come back as
 * the test says. */
#include "s3/match.h"

#include "tests/unit/wire.h"

static const char text[] = "0123456789";

#define TEXT_BYTES 10u
#define LARGE      (2 * MATCH_RANGE_BYTES + 5)
#define MD5_TEXT   "\"781e5e245d69b566979b86e28d23f2c7\""
#define MD5_OTHER  "\"d41d8cd98f00b204e9800998ecf8427e\""
#define NO_MD5     "\"abc-2\""

static struct wire wire;
static struct station station;
static struct match match;
static struct work work; /* the newest that was given */

static void open_world(const struct peer_step *steps)
{
    char why[TLS_WHY_BYTES];
    wire_open(&wire, steps);
    wire.conf.attempts_max = 1;
    wire_connect(&wire, NULL);
    memset(&station, 0, sizeof station);
    station.core = &wire.core;
    station.conf = &wire.conf;
    assert_int_equal(
        client_open(&station.clients[0], &wire.core, &wire.conf, &wire.endpoint, NULL, why),
        ERR_NONE);
    match_init(&match, &station, 7);
    op_init(&match.op, wire_on_done);
    op_init(&match.ready, wire_on_done);
}

static void close_world(void)
{
    match_fini(&match);
    client_close(&station.clients[0], &wire.end);
    assert_int_equal(wire_wait(&wire, &wire.end), ERR_NONE);
    wire_close(&wire);
}

static int set_up(void **state)
{
    static const struct peer_step steps[] = {END};
    (void)state;
    open_world(steps);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_world();
    return 0;
}

/* --- works --- */

static struct match_task *task(bool file, bool object)
{
    memset(&match.task, 0, sizeof match.task);
    match.task.file = file;
    match.task.object = object;
    snprintf(match.task.bucket, sizeof match.task.bucket, "bkt");
    snprintf(match.task.key, sizeof match.task.key, "key");
    snprintf(match.task.path, sizeof match.task.path, "path");
    return &match.task;
}

static struct checksum_value sum_of(enum checksum_kind kind, const char *bytes)
{
    struct checksum_value value;
    checksum_of(kind, bytes, strlen(bytes), &value);
    return value;
}

static bool next(void)
{
    memset(&work, 0, sizeof work);
    task_init(&work.task, 0, TASK_THEN);
    if (!match_next(&match, &work)) return false;
    assert_int_equal(work.owner, 7);
    return true;
}

static void expect(enum work_kind kind)
{
    assert_true(next());
    assert_int_equal(work.kind, kind);
    assert_string_equal(kind == WORK_HEAD || kind == WORK_SUM_OBJECT ? work.key : work.path,
                        kind == WORK_HEAD || kind == WORK_SUM_OBJECT ? "key" : "path");
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        core_turn(&wire.core, false);
}

static void give_back(enum err err)
{
    work.result.err = err;
    match_on_work(&match, &work);
    turn();
}

static void found_file(uint64_t bytes)
{
    expect(WORK_STAT);
    work.bytes = work.identity.size_bytes = bytes;
    work.identity.inode = 42;
    give_back(ERR_NONE);
}

/* `sum`: that the server has, or NULL. */
static void found_object(uint64_t bytes, const char *etag, const struct checksum_value *sum,
                         uint32_t part_count)
{
    expect(WORK_HEAD);
    work.bytes = bytes;
    snprintf(work.result.etag, sizeof work.result.etag, "%s", etag);
    work.result.confirmed = sum != NULL;
    if (sum) work.result.checksum = *sum;
    work.result.part_count = part_count;
    give_back(ERR_NONE);
}

static void read_part(enum work_kind kind, uint64_t offset, const char *bytes)
{
    expect(kind);
    assert_int_equal(work.offset, offset);
    if (kind == WORK_SUM_OBJECT)
        assert_string_equal(work.etag, match.etag); /* pinned */
    else if (!match.task.has_expected)
        assert_int_equal(work.identity.inode, 42);
    work.result.checksum = sum_of(work.sum, bytes);
    if (work.md5) {
        digest_md5(bytes, strlen(bytes), work.result.checksum.data);
        work.result.checksum.count = DIGEST_MD5_BYTES;
    }
    give_back(ERR_NONE);
}

static void expect_verdict(enum match_verdict verdict, bool by_size)
{
    turn();
    assert_false(next());
    assert_false(match.op.out || match.ready.out);
    assert_int_equal(match.op.err, ERR_NONE);
    assert_int_equal(match.verdict, verdict);
    if (verdict == MATCH_EQUAL) assert_int_equal(match.by_size, by_size);
}

/* --- a file and an object --- */

static void start_pair(uint64_t file_bytes, uint64_t object_bytes, const char *etag,
                       const struct checksum_value *sum)
{
    task(true, true);
    match_start(&match);
    turn();
    found_file(file_bytes);
    found_object(object_bytes, etag, sum, 0);
}

static void test_sizes(void **state)
{
    (void)state;
    start_pair(10, 5, MD5_TEXT, NULL);
    expect_verdict(MATCH_CHANGED, false);
    assert_string_equal(match.why, "its size is 5, not 10");
    start_pair(0, 0, MD5_OTHER, NULL); /* nothing is to be read */
    expect_verdict(MATCH_EQUAL, false);
}

static void test_server_checksum(void **state)
{
    struct checksum_value good = sum_of(CHECKSUM_CRC32C, text);
    struct checksum_value bad = sum_of(CHECKSUM_CRC32C, "others");
    char why[MATCH_WHY_BYTES], a[CHECKSUM_TEXT_BYTES], b[CHECKSUM_TEXT_BYTES];
    (void)state;
    start_pair(TEXT_BYTES, TEXT_BYTES, NO_MD5, &good);
    read_part(WORK_SUM_FILE, 0, text);
    expect_verdict(MATCH_EQUAL, false);
    start_pair(TEXT_BYTES, TEXT_BYTES, NO_MD5, &bad);
    read_part(WORK_SUM_FILE, 0, text);
    expect_verdict(MATCH_CHANGED, false);
    snprintf(why, sizeof why, "its crc32c is %s, not %s", checksum_format(&bad, 0, a),
             checksum_format(&good, 0, b)); /* the copy is the object */
    assert_string_equal(match.why, why);
}

/* An ETag that is not the file's MD5 need not be one at all: then both are read. */
static void test_etag(void **state)
{
    (void)state;
    start_pair(TEXT_BYTES, TEXT_BYTES, MD5_TEXT, NULL);
    read_part(WORK_SUM_FILE, 0, text);
    expect_verdict(MATCH_EQUAL, false);
    for (int same = 0; same < 2; same++) {
        start_pair(TEXT_BYTES, TEXT_BYTES, MD5_OTHER, NULL);
        read_part(WORK_SUM_FILE, 0, text);
        read_part(WORK_SUM_FILE, 0, text);
        read_part(WORK_SUM_OBJECT, 0, same ? text : "0123456780");
        expect_verdict(same ? MATCH_EQUAL : MATCH_CHANGED, false);
    }
    assert_int_equal(match.why[0], '\0');
}

static void test_read_both(void **state)
{
    struct checksum_value sum = sum_of(CHECKSUM_CRC32C, text);
    (void)state;
    start_pair(TEXT_BYTES, TEXT_BYTES, NO_MD5, NULL);
    read_part(WORK_SUM_FILE, 0, text);
    read_part(WORK_SUM_OBJECT, 0, "0123456780");
    expect_verdict(MATCH_CHANGED, false);
    assert_string_equal(match.why, "its content differs within bytes 0-9");
    wire.conf.read_back = true; /* whatever the server says */
    start_pair(TEXT_BYTES, TEXT_BYTES, MD5_TEXT, &sum);
    read_part(WORK_SUM_FILE, 0, text);
    read_part(WORK_SUM_OBJECT, 0, text);
    expect_verdict(MATCH_EQUAL, false);
}

static void test_cheap(void **state)
{
    struct checksum_value sum = sum_of(CHECKSUM_CRC32C, text);
    (void)state;
    wire.conf.cheap = true;
    start_pair(TEXT_BYTES, TEXT_BYTES, MD5_TEXT, NULL);
    expect_verdict(MATCH_EQUAL, true);
    start_pair(TEXT_BYTES, TEXT_BYTES, MD5_TEXT, &sum); /* a file is read all the same */
    read_part(WORK_SUM_FILE, 0, text);
    expect_verdict(MATCH_EQUAL, false);
}

/* In ranges, which come back in any order. */
static void test_large(void **state)
{
    struct work first;
    (void)state;
    start_pair(LARGE, LARGE, NO_MD5, NULL);
    assert_true(match_is_large(&match));
    expect(WORK_SUM_FILE);
    first = work;
    assert_int_equal(first.task.rank, TASK_FIRST);
    assert_int_equal(first.bytes, MATCH_RANGE_BYTES);
    read_part(WORK_SUM_FILE, MATCH_RANGE_BYTES, "b");
    read_part(WORK_SUM_FILE, 2 * MATCH_RANGE_BYTES, "c");
    assert_int_equal(work.bytes, 5);
    read_part(WORK_SUM_OBJECT, 0, "a");
    read_part(WORK_SUM_OBJECT, MATCH_RANGE_BYTES, "x");
    read_part(WORK_SUM_OBJECT, 2 * MATCH_RANGE_BYTES, "c");
    assert_true(match.op.out);
    work = first;
    work.result.checksum = sum_of(work.sum, "a");
    give_back(ERR_NONE);
    expect_verdict(MATCH_CHANGED, false);
    assert_string_equal(match.why, "its content differs within bytes 16777216-33554431");
}

/* --- what is not there, or cannot be looked at --- */

static void test_missing(void **state)
{
    (void)state;
    static const struct {
        bool file_is_copy, unlisted;
        enum err file, object;
        enum match_verdict verdict;
    } rows[] = {
        {false, false, ERR_NONE, ERR_NO_KEY, MATCH_MISSING},
        {false, false, ERR_FILE_MISSING, ERR_NONE, MATCH_FAILED}, /* nothing to compare with */
        {true, false, ERR_FILE_MISSING, ERR_NONE, MATCH_MISSING},
        {true, false, ERR_FILE_IS_FOLDER, ERR_NONE, MATCH_CHANGED},
        {true, false, ERR_NONE, ERR_NO_KEY, MATCH_FAILED},
        {true, true, ERR_NONE, ERR_NO_KEY, MATCH_EXTRA},
        {false, true, ERR_NONE, ERR_NO_KEY, MATCH_MISSING},
        {false, false, ERR_NONE, ERR_DENIED, MATCH_FAILED},
        {true, false, ERR_FILE_DENIED, ERR_NONE, MATCH_FAILED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        task(true, true)->file_is_copy = rows[i].file_is_copy;
        match.task.unlisted = rows[i].unlisted;
        match_start(&match);
        turn();
        expect(WORK_STAT);
        struct work file = work;
        expect(WORK_HEAD); /* both are out */
        snprintf(work.result.why, sizeof work.result.why, "words");
        give_back(rows[i].object);
        assert_true(match.op.out);
        work = file;
        give_back(rows[i].file);
        expect_verdict(rows[i].verdict, false);
        if (rows[i].verdict != MATCH_FAILED) continue;
        assert_int_equal(match.err, rows[i].object ? rows[i].object : rows[i].file);
        assert_string_equal(match.why, rows[i].object ? "words" : "");
    }
}

static void test_read_failure(void **state)
{
    (void)state;
    start_pair(LARGE, LARGE, NO_MD5, NULL);
    expect(WORK_SUM_FILE);
    struct work out = work;
    expect(WORK_SUM_FILE);
    work.result.raw = 5;
    give_back(ERR_FILE_IO);
    assert_false(next()); /* no more of it is read */
    assert_true(match.op.out);
    work = out;
    give_back(ERR_NONE);
    expect_verdict(MATCH_FAILED, false);
    assert_int_equal(match.err, ERR_FILE_IO);
    assert_int_equal(match.raw, 5);
}

static void expect_cancelled(void)
{
    turn();
    assert_false(next());
    assert_int_equal(wire_wait(&wire, &match.op), ERR_CANCELLED);
    assert_int_equal(match.verdict, MATCH_FAILED);
    assert_int_equal(match.err, ERR_CANCELLED);
}

static void test_cancel(void **state)
{
    (void)state;
    match_cancel(&match); /* idle */
    start_pair(LARGE, LARGE, NO_MD5, NULL);
    expect(WORK_SUM_FILE);
    match_cancel(&match);
    turn();
    assert_true(match.op.out); /* waits for what is out */
    give_back(ERR_CANCELLED);
    expect_cancelled();
    task(true, true);
    match_start(&match);
    match_cancel(&match);
    expect_cancelled();
    start_pair(LARGE, LARGE, NO_MD5, NULL);
    expect(WORK_SUM_FILE);
    give_back(ERR_CANCELLED); /* by whoever ran it */
    expect_cancelled();
}

/* --- a manifest's line --- */

static void start_line(bool file, const struct match_expected *expected)
{
    task(file, !file)->has_expected = true;
    match.task.expected = *expected;
    match_start(&match);
    turn();
}

static void test_line_and_object(void **state)
{
    struct match_expected line = {.bytes = TEXT_BYTES, .checksum = sum_of(CHECKSUM_CRC32C, text)};
    struct checksum_value bad = sum_of(CHECKSUM_CRC32C, "x"), other = sum_of(CHECKSUM_SHA256, "y");
    (void)state;
    start_line(false, &line);
    found_object(TEXT_BYTES, NO_MD5, &line.checksum, 0); /* of the same form: nothing is read */
    expect_verdict(MATCH_EQUAL, false);
    start_line(false, &line);
    found_object(TEXT_BYTES, NO_MD5, &bad, 0);
    expect_verdict(MATCH_CHANGED, false);
    start_line(false, &line);
    found_object(TEXT_BYTES, NO_MD5, &line.checksum, 2); /* a checksum of checksums */
    read_part(WORK_SUM_OBJECT, 0, text);
    expect_verdict(MATCH_EQUAL, false);
    start_line(false, &line);
    found_object(TEXT_BYTES, NO_MD5, &other, 0);
    read_part(WORK_SUM_OBJECT, 0, "x");
    expect_verdict(MATCH_CHANGED, false);
    wire.conf.cheap = true;
    start_line(false, &line);
    found_object(TEXT_BYTES, NO_MD5, NULL, 0);
    expect_verdict(MATCH_EQUAL, true);
    start_line(false, &line);
    found_object(TEXT_BYTES - 1, NO_MD5, NULL, 0);
    expect_verdict(MATCH_CHANGED, false);
}

/* Without a checksum its ETag says something, and then its size. */
static void test_line_of_size(void **state)
{
    struct match_expected line = {.bytes = TEXT_BYTES, .etag = NO_MD5};
    (void)state;
    start_line(false, &line);
    found_object(TEXT_BYTES, NO_MD5, NULL, 0);
    expect_verdict(MATCH_EQUAL, true);
    start_line(false, &line);
    found_object(TEXT_BYTES, MD5_TEXT, NULL, 0);
    expect_verdict(MATCH_CHANGED, false);
    line.etag[0] = '\0';
    start_line(true, &line);
    found_file(TEXT_BYTES);
    expect_verdict(MATCH_EQUAL, true);
}

/* Checksums of checksums: at the boundaries that the line tells; without them a file's size is all
 * there is. */
static void test_line_and_file(void **state)
{
    struct match_expected line = {.bytes = TEXT_BYTES, .part_count = 3, .part_bytes = 4};
    const char *const parts[] = {"0123", "4567", "89"};
    struct checksum composite;
    (void)state;
    checksum_init(&composite, CHECKSUM_SHA256);
    for (int i = 0; i < 3; i++) {
        struct checksum_value part = sum_of(CHECKSUM_SHA256, parts[i]);
        checksum_update_part(&composite, &part);
    }
    checksum_final(&composite, &line.checksum);
    for (int same = 0; same < 2; same++) {
        start_line(true, &line);
        found_file(TEXT_BYTES);
        for (int i = 0; i < 3; i++)
            read_part(WORK_SUM_FILE, (uint64_t)(4 * i), same || i != 1 ? parts[i] : "4576");
        expect_verdict(same ? MATCH_EQUAL : MATCH_CHANGED, false);
    }
    line.part_bytes = 0;
    start_line(true, &line);
    found_file(TEXT_BYTES);
    expect_verdict(MATCH_EQUAL, true);
}

/* A size that no object has is no reason to cut it for ever. */
static void test_line_beyond_all(void **state)
{
    struct match_expected line = {.bytes = UINT64_MAX - 1,
                                  .checksum = sum_of(CHECKSUM_CRC32C, text)};
    (void)state;
    start_line(false, &line);
    found_object(line.bytes, NO_MD5, NULL, 0);
    assert_true(next() || match.verdict == MATCH_FAILED);
    if (!match.op.out) return;
    give_back(ERR_NO_KEY);
    expect_verdict(MATCH_FAILED, false);
}

/* --- the parts that the server remembers --- */

#define PART(number, bytes, sum)                                                                   \
    "<Part><PartNumber>" number "</PartNumber><Size>" bytes "</Size><ChecksumCRC32C>" sum          \
    "</ChecksumCRC32C></Part>"
#define PARTS                                                                                      \
    "HTTP/1.1 200 OK\r\nContent-Length: "                                                          \
    "274\r\n\r\n<GetObjectAttributesResponse><ObjectParts>" PART("1", "7", "AAAAAA==")             \
        PART("2", "3", "AAAAAA==") "</ObjectParts></GetObjectAttributesResponse>"

static void start_composite(const struct peer_step *steps, const char *second)
{
    struct checksum_value a = sum_of(CHECKSUM_CRC32C, "0123456");
    struct checksum_value b = sum_of(CHECKSUM_CRC32C, second), whole;
    struct checksum composite;
    checksum_init(&composite, CHECKSUM_CRC32C);
    checksum_update_part(&composite, &a);
    checksum_update_part(&composite, &b);
    checksum_final(&composite, &whole);
    open_world(steps);
    task(true, true);
    match_start(&match);
    turn();
    found_file(TEXT_BYTES);
    found_object(TEXT_BYTES, NO_MD5, &whole, 2);
    wire_wait(&wire, &match.ready);
}

static void test_learned(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD, {PEER_SEND, PARTS, 0}, END};
    (void)state;
    for (int same = 0; same < 2; same++) {
        start_composite(steps, same ? "789" : "780");
        read_part(WORK_SUM_FILE, 0, "0123456");
        read_part(WORK_SUM_FILE, 7, "789");
        expect_verdict(same ? MATCH_EQUAL : MATCH_CHANGED, false);
        close_world();
    }
}

/* What the server does not remember is compared by reading both. */
static void test_not_learned(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT, HEAD, SEND("HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"), END};
    (void)state;
    start_composite(steps, "789");
    read_part(WORK_SUM_FILE, 0, text);
    read_part(WORK_SUM_OBJECT, 0, text);
    expect_verdict(MATCH_EQUAL, false);
    close_world();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_sizes),
                                       TEST(test_server_checksum),
                                       TEST(test_etag),
                                       TEST(test_read_both),
                                       TEST(test_cheap),
                                       TEST(test_large),
                                       TEST(test_missing),
                                       TEST(test_read_failure),
                                       TEST(test_cancel),
                                       TEST(test_line_and_object),
                                       TEST(test_line_of_size),
                                       TEST(test_line_and_file),
                                       TEST(test_line_beyond_all),
                                       cmocka_unit_test(test_learned),
                                       cmocka_unit_test(test_not_learned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
