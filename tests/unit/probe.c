/* Looking at an object, at a file, and into one: what is found out, and what is said of failures.
 * */
#include "s3/probe.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/wire.h"

#define BYTES_ALL (3 * MIB + 100)

struct world {
    struct wire wire; /* its client is not used: probe asks by a station's */
    struct station station;
    struct probe probe;
    struct work work;
    char folder[64];
};

static struct world w;
static uint8_t data[BYTES_ALL];

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", w.folder, name);
}

static void open_world(const struct peer_step *steps)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 16 * MIB, .seed = 1};
    char url[64], why[TLS_WHY_BYTES], path[128];
    int raw;
    alarm(60);
    memset(&w, 0, sizeof w);
    peer_start(&w.wire.peer, steps);
    assert_int_equal(core_open(&w.wire.core, &options, &raw), ERR_NONE);
    conf_init(&w.wire.conf);
    w.wire.conf.log.level_max = LOG_ERROR;
    w.wire.conf.attempts_max = 1;
    op_init(&w.wire.end, wire_on_done);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", w.wire.peer.port);
    struct endpoint_options endpoint = {.url = url};
    assert_int_equal(target_parse_endpoint(&w.wire.endpoint, &endpoint, why), ERR_NONE);
    snprintf(w.folder, sizeof w.folder, "/tmp/argosy-probe-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    w.station.core = &w.wire.core;
    w.station.conf = &w.wire.conf;
    w.station.folder_fd = open(w.folder, O_RDONLY | O_DIRECTORY);
    for (uint32_t i = 0; i < 2; i++) /* it is the second that is asked */
        assert_int_equal(client_open(&w.station.clients[i], &w.wire.core, &w.wire.conf,
                                     &w.wire.endpoint, NULL, why),
                         ERR_NONE);
    for (uint64_t i = 0; i < BYTES_ALL; i++)
        data[i] = (uint8_t)(i * 131 >> 3);
    path_of("file", path);
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(data, 1, BYTES_ALL, file), BYTES_ALL);
    fclose(file);
    probe_init(&w.probe, &w.station);
}

static void close_world(void)
{
    char command[128];
    probe_fini(&w.probe);
    for (uint32_t i = 0; i < 2; i++) {
        client_close(&w.station.clients[i], &w.wire.end);
        assert_int_equal(wire_wait(&w.wire, &w.wire.end), ERR_NONE);
    }
    peer_join(&w.wire.peer);
    assert_int_equal(pool_free_count(&w.wire.core.large), w.wire.core.large.count_max);
    core_close(&w.wire.core);
    close(w.station.folder_fd);
    snprintf(command, sizeof command, "rm -rf %s", w.folder);
    assert_int_equal(system(command), 0);
}

static struct work *task(enum work_kind kind, const char *name)
{
    memset(&w.work, 0, sizeof w.work);
    task_init(&w.work.task, 0, TASK_THEN);
    w.work.kind = kind;
    w.work.endpoint = 1;
    snprintf(w.work.bucket, sizeof w.work.bucket, "bkt");
    snprintf(w.work.key, sizeof w.work.key, "%s", name);
    snprintf(w.work.path, sizeof w.work.path, "%s", name);
    return &w.work;
}

/* op->err is that of the result. */
static enum err look(void)
{
    struct op op;
    op_init(&op, wire_on_done);
    assert_true(probe_takes(&w.work));
    probe_start(&w.probe, &w.work, &op);
    enum err err = wire_wait(&w.wire, &op);
    assert_int_equal(err, w.work.result.err);
    return err;
}

static void test_kinds(void **state)
{
    static const enum work_kind others[] = {WORK_PUT, WORK_PART, WORK_GET, WORK_RANGE,
                                            WORK_SUM_OBJECT};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        assert_false(probe_takes(&(struct work){.kind = others[i]}));
}

/* --- an object --- */

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: \"e\"\r\n"
#define SAY(text)                                                                                  \
    {                                                                                              \
        PEER_SEND, text "\r\n", 0                                                                  \
    }
#define REFUSED(code, length) SEND("HTTP/1.1 " code "\r\nContent-Length: " length "\r\n\r\n")

static void test_head(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT, HEAD,    SAY(OK "x-amz-version-id: v1\r\nx-amz-checksum-crc32c: AQIDBA==\r\n"),
        HEAD,   SAY(OK), /* it has none */
        END};
    (void)state;
    open_world(steps);
    struct work *work = task(WORK_HEAD, "key");
    work->sum = CHECKSUM_CRC32C;
    assert_int_equal(look(), ERR_NONE);
    assert_int_equal(work->bytes, 9);
    assert_string_equal(work->result.etag, "\"e\"");
    assert_string_equal(work->result.version, "v1");
    assert_true(work->result.confirmed);
    assert_int_equal(work->result.checksum.kind, CHECKSUM_CRC32C);
    assert_memory_equal(work->result.checksum.data, "\1\2\3\4", 4);
    assert_int_equal(work->result.part_count, 0);
    work = task(WORK_HEAD, "key"); /* nothing stays of the one before */
    assert_int_equal(look(), ERR_NONE);
    assert_false(work->result.confirmed);
    assert_string_equal(work->result.version, "");
    close_world(); /* the peer is joined: what it received can be looked at */
    assert_int_equal(peer_heads_with(&w.wire.peer, "HEAD /bkt/key "), 2);
    assert_int_equal(peer_heads_with(&w.wire.peer, "x-amz-checksum-mode: ENABLED"), 2);
}

static void test_head_composite(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD,
                                             SAY(OK "x-amz-checksum-crc32c: AQIDBA==-3\r\n"), END};
    (void)state;
    open_world(steps);
    struct work *work = task(WORK_HEAD, "key");
    assert_int_equal(look(), ERR_NONE);
    assert_true(work->result.confirmed);
    assert_int_equal(work->result.part_count, 3);
    close_world();
}

/* No such object, with the GET that tells why; and a reply that does not say how large it is. */
static void test_head_failures(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0},
        HEAD,
        {PEER_SEND,
         "HTTP/1.1 404 Not Found\r\nContent-Length: 58\r\n\r\n"
         "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>",
         0},
        HEAD,
        {PEER_SEND, "HTTP/1.1 200 OK\r\nETag: \"e\"\r\n\r\n", 0},
        END};
    (void)state;
    open_world(steps);
    struct work *work = task(WORK_HEAD, "none");
    assert_int_equal(look(), ERR_NO_KEY);
    assert_true(strlen(work->result.why) > 0);
    assert_false(work->result.confirmed);
    task(WORK_HEAD, "key");
    assert_int_equal(look(), ERR_RANGE);
    close_world();
}

/* --- a file --- */

static void test_stat(void **state)
{
    static const struct peer_step steps[] = {END};
    char path[128];
    struct stat there;
    (void)state;
    open_world(steps);
    path_of("file", path);
    assert_return_code(stat(path, &there), 0);
    struct work *work = task(WORK_STAT, "file");
    assert_int_equal(look(), ERR_NONE);
    assert_int_equal(work->bytes, BYTES_ALL);
    assert_int_equal(work->identity.size_bytes, BYTES_ALL);
    assert_int_equal(work->identity.inode, there.st_ino);
    task(WORK_STAT, "none");
    assert_int_equal(look(), ERR_FILE_MISSING);
    task(WORK_STAT, ".");
    assert_int_equal(look(), ERR_FILE_IS_FOLDER);
    path_of("pipe", path);
    assert_return_code(mkfifo(path, 0600), 0);
    task(WORK_STAT, "pipe");
    assert_int_equal(look(), ERR_FILE_KIND);
    task(WORK_STAT, "file/below");
    assert_int_not_equal(look(), ERR_NONE);
    close_world();
}

static struct work *sum_task(uint64_t offset, uint64_t bytes)
{
    task(WORK_STAT, "file");
    assert_int_equal(look(), ERR_NONE);
    struct file_identity identity = w.work.identity;
    struct work *work = task(WORK_SUM_FILE, "file");
    work->identity = identity;
    work->offset = offset;
    work->bytes = bytes;
    work->sum = CHECKSUM_CRC32C;
    return work;
}

/* At any offset, aligned or not. */
static void test_sum(void **state)
{
    static const struct peer_step steps[] = {END};
    static const uint64_t ranges[][2] = {
        {0, BYTES_ALL}, {MIB, MIB}, {777, 2 * MIB}, {BYTES_ALL - 1, 1}, {BYTES_ALL, 0}};
    uint64_t done_bytes = 0;
    (void)state;
    open_world(steps);
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        struct checksum_value expected;
        struct work *work = sum_task(ranges[i][0], ranges[i][1]);
        checksum_of(CHECKSUM_CRC32C, data + ranges[i][0], ranges[i][1], &expected);
        assert_int_equal(look(), ERR_NONE);
        assert_true(checksum_equal(&work->result.checksum, &expected));
        assert_int_equal(work->result.moved_bytes, ranges[i][1]);
        done_bytes += ranges[i][1];
    }
    assert_int_equal(meter_read(&w.station.done_bytes), done_bytes);
    struct work *work = sum_task(0, 3); /* and by MD5 */
    char path[128];
    path_of("file", path);
    work->md5 = true;
    assert_int_equal(look(), ERR_NONE);
    assert_int_equal(work->result.checksum.count, DIGEST_MD5_BYTES);
    close_world();
}

/* Only in the state that it had. */
static void test_sum_changed(void **state)
{
    static const struct peer_step steps[] = {END};
    char path[128];
    (void)state;
    open_world(steps);
    path_of("file", path);
    sum_task(0, BYTES_ALL);
    FILE *file = fopen(path, "a");
    fputs("more", file);
    fclose(file);
    assert_int_equal(look(), ERR_FILE_CHANGED);
    sum_task(BYTES_ALL, 5); /* of four */
    assert_int_equal(look(), ERR_SHORT_READ);
    sum_task(0, 10);
    unlink(path);
    assert_int_equal(look(), ERR_FILE_MISSING);
    close_world();
}

/* While it waits for the server, or reads; and when nothing is under way. */
static void test_cancel(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD, {PEER_QUIET, NULL, 0}, END};
    struct op op;
    (void)state;
    open_world(steps);
    probe_cancel(&w.probe);
    op_init(&op, wire_on_done);
    probe_start(&w.probe, task(WORK_HEAD, "key"), &op);
    while (w.wire.peer.done < 2)
        core_turn(&w.wire.core, false);
    probe_cancel(&w.probe);
    assert_int_equal(wire_wait(&w.wire, &op), ERR_CANCELLED);
    assert_int_equal(w.work.result.err, ERR_CANCELLED);
    probe_start(&w.probe, sum_task(0, BYTES_ALL), &op);
    probe_cancel(&w.probe);
    assert_int_equal(wire_wait(&w.wire, &op), ERR_CANCELLED);
    sum_task(0, BYTES_ALL); /* another may follow */
    assert_int_equal(look(), ERR_NONE);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_head),
        cmocka_unit_test(test_head_composite), cmocka_unit_test(test_head_failures),
        cmocka_unit_test(test_stat),           cmocka_unit_test(test_sum),
        cmocka_unit_test(test_sum_changed),    cmocka_unit_test(test_cancel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
