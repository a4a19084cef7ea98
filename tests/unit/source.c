/* Bytes of files and pipes into bufs, in order and summed; what a file must not do meanwhile. */
#include "s3/source.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE_BUFS 12u
#define DATA_BYTES (LARGE_BUFS * BUF_LARGE_BYTES)

static struct core core;
static struct source source;
static struct op op;
static struct list bufs;
static char folder[64];
static uint8_t *data; /* DATA_BYTES, what all files begin with */

static void on_done(struct op *done)
{
    (void)done;
}

static enum err wait_op(void)
{
    while (op.out)
        core_turn(&core, true);
    return op.err;
}

static const char *make_file(uint64_t bytes)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/file", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);
    return path;
}

static enum err open_source(const char *path, enum file_direct direct)
{
    const struct file_open how = {.dir_fd = AT_FDCWD, .path = path, .direct = direct};
    source_init(&source, &core);
    source_open(&source, &how, &op);
    return wait_op();
}

static void close_source(void)
{
    source_close(&source, &op);
    assert_int_equal(wait_op(), ERR_NONE);
}

static void take_bufs(struct pool *pool, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct buf *buf = pool_try_take(pool);
        assert_non_null(buf);
        list_push(&bufs, &buf->link);
    }
}

static enum err read_range(uint64_t offset, uint64_t bytes, struct sums *sums)
{
    source_read(&source, &bufs, offset, bytes, sums, &op);
    assert_true(op.out);
    return wait_op();
}

/* The bufs hold `bytes` bytes of the data from `offset`, each filled before the next. */
static void expect_bytes(uint64_t offset, uint64_t bytes)
{
    uint64_t left = bytes;
    for (struct link *link = bufs.head.next; link != &bufs.head && left > 0; link = link->next) {
        struct buf *buf = container_of(link, struct buf, link);
        assert_int_equal(buf->count, min_u64(left, buf->count_max));
        assert_memory_equal(buf->data, data + offset + (bytes - left), buf->count);
        left -= buf->count;
    }
    assert_int_equal(left, 0);
}

static int set_up(void **state)
{
    (void)state;
    struct core_options options = {.cpu = -1, .memory_bytes = 16 * MIB};
    int raw;
    snprintf(folder, sizeof folder, "/tmp/argosy-source-XXXXXX");
    data = malloc(DATA_BYTES);
    if (!mkdtemp(folder) || !data || core_open(&core, &options, &raw)) return -1;
    for (uint64_t i = 0; i < DATA_BYTES / 8; i++)
        ((uint64_t *)(void *)data)[i] = rand_u64(&core.rand);
    op_init(&op, on_done);
    list_init(&bufs);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    pool_give_all(&bufs);
    core_close(&core);
    free(data);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static void read_whole(uint64_t bytes, bool small, enum file_direct direct)
{
    struct sums sums;
    struct sums_value value;
    struct checksum_value expected;
    struct pool *pool = small ? &core.small : &core.large;
    int raw;
    assert_int_equal(open_source(make_file(bytes), direct), ERR_NONE);
    assert_int_equal(source.identity.size_bytes, bytes);
    take_bufs(pool, (uint32_t)((bytes + pool->buf_bytes - 1) / pool->buf_bytes));
    sums_init(&sums, CHECKSUM_CRC32C, false, false);
    assert_int_equal(read_range(0, bytes, &sums), ERR_NONE);
    assert_int_equal(op.count, bytes);
    expect_bytes(0, bytes);
    sums_final(&sums, &value);
    checksum_of(CHECKSUM_CRC32C, data, bytes, &expected);
    assert_true(checksum_equal(&value.checksum, &expected)); /* so it was summed in order */
    assert_int_equal(source_check(&source, &raw), ERR_NONE);
    pool_give_all(&bufs);
    close_source();
}

static void test_whole_files(void **state)
{
    (void)state;
    const uint64_t sizes[] = {0,       1,           4095,        4096,           65536,   65537,
                              1 * MIB, 1 * MIB - 1, 1 * MIB + 1, 11 * MIB + 777, 12 * MIB};
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        read_whole(sizes[i], false, FILE_DIRECT_OFF);
        read_whole(sizes[i], false, FILE_DIRECT_ON);
        if (sizes[i] > 1 * MIB + 1) continue; /* there are few small bufs */
        read_whole(sizes[i], true, FILE_DIRECT_OFF);
        read_whole(sizes[i], true, FILE_DIRECT_ON);
    }
}

/* Parts, with and without O_DIRECT; the last one ends with the file, at no block's end. */
static void test_ranges(void **state)
{
    (void)state;
    const uint64_t size = 10 * MIB + 4097, part = 3 * MIB;
    for (uint32_t direct = 0; direct < 2; direct++) {
        assert_int_equal(open_source(make_file(size), direct ? FILE_DIRECT_ON : FILE_DIRECT_OFF),
                         ERR_NONE);
        for (uint64_t at = 0; at < size; at += part) {
            uint64_t bytes = min_u64(part, size - at);
            take_bufs(&core.large, 3);
            assert_int_equal(read_range(at, bytes, NULL), ERR_NONE);
            assert_int_equal(op.count, bytes);
            expect_bytes(at, bytes);
            pool_give_all(&bufs);
        }
        close_source();
    }
}

static void test_file_becomes_short(void **state)
{
    (void)state;
    const uint64_t left[] = {0, 1, 1 * MIB, 4 * MIB + 5, 6 * MIB - 1};
    for (uint32_t i = 0; i < 2 * ARRAY_COUNT(left); i++) {
        const char *path = make_file(6 * MIB);
        int raw;
        assert_int_equal(open_source(path, i % 2 ? FILE_DIRECT_ON : FILE_DIRECT_OFF), ERR_NONE);
        assert_int_equal(truncate(path, (off_t)left[i / 2]), 0);
        take_bufs(&core.large, 6);
        assert_int_equal(read_range(0, 6 * MIB, NULL), ERR_SHORT_READ);
        assert_int_equal(source_check(&source, &raw), ERR_FILE_CHANGED);
        pool_give_all(&bufs);
        close_source();
    }
}

static void test_file_changes(void **state)
{
    (void)state;
    const struct timespec before[2] = {{.tv_sec = 1}, {.tv_sec = 1000000000, .tv_nsec = 5}};
    int raw;
    const char *path = make_file(1000);
    assert_int_equal(open_source(path, FILE_DIRECT_OFF), ERR_NONE);
    assert_int_equal(chmod(path, 0600), 0); /* touches no byte */
    assert_int_equal(source_check(&source, &raw), ERR_NONE);
    assert_int_equal(utimensat(AT_FDCWD, path, before, 0), 0);
    assert_int_equal(source_check(&source, &raw), ERR_FILE_CHANGED); /* the same size */
    close_source();
    path = make_file(1000);
    assert_int_equal(open_source(path, FILE_DIRECT_OFF), ERR_NONE);
    assert_int_equal(truncate(path, 1001), 0);
    assert_int_equal(source_check(&source, &raw), ERR_FILE_CHANGED);
    close_source();
}

static void test_not_a_file(void **state)
{
    (void)state;
    char path[128];
    assert_int_equal(open_source(folder, FILE_DIRECT_OFF), ERR_FILE_IS_FOLDER);
    close_source();
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_source(path, FILE_DIRECT_OFF), ERR_FILE_KIND); /* without hanging */
    close_source();
    assert_int_equal(open_source("/dev/zero", FILE_DIRECT_OFF), ERR_FILE_KIND);
    close_source();
    snprintf(path, sizeof path, "%s/missing", folder);
    assert_int_equal(open_source(path, FILE_DIRECT_OFF), ERR_FILE_MISSING);
    assert_int_equal(op.raw, 2);
    close_source(); /* also after a failed open */
}

/* A link that was put where a folder was found must not lead elsewhere. */
static void test_stays_below(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("/etc", path), 0);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct file_open how = {.dir_fd = fd, .path = "link/passwd", .resolve = RESOLVE_BENEATH};
    source_init(&source, &core);
    source_open(&source, &how, &op);
    assert_int_equal(wait_op(), ERR_FILE_ESCAPES);
    close_source();
    close(fd);
}

/* --- pipes --- */

/* A child that writes `bytes` of the data in odd pieces. */
static pid_t write_pipe(int fds[2], uint64_t bytes)
{
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child != 0) {
        assert_true(child > 0);
        close(fds[1]);
        return child;
    }
    close(fds[0]);
    for (uint64_t at = 0; at < bytes;) {
        ssize_t moved = write(fds[1], data + at, min_u64(bytes - at, 1 + at % 40001));
        if (moved < 0) _exit(1);
        at += (uint64_t)moved;
    }
    _exit(0);
}

static void end_child(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* In parts of 2 MiB: all are whole but the last, which may be empty. */
static void read_pipe(uint64_t bytes)
{
    const uint64_t part = 2 * MIB;
    uint64_t at = 0;
    int fds[2];
    pid_t child = write_pipe(fds, bytes);
    source_init(&source, &core);
    source_adopt(&source, fds[0]);
    while (!source.at_end) {
        take_bufs(&core.large, 2);
        assert_int_equal(read_range(UINT64_MAX, part, NULL), ERR_NONE);
        assert_int_equal(op.count, min_u64(part, bytes - at));
        expect_bytes(at, op.count);
        at += op.count;
        pool_give_all(&bufs);
    }
    assert_int_equal(at, bytes);
    take_bufs(&core.large, 1);
    assert_int_equal(read_range(UINT64_MAX, MIB, NULL), ERR_NONE); /* the end stays the end */
    assert_int_equal(op.count, 0);
    pool_give_all(&bufs);
    close_source();
    end_child(child);
}

static void test_pipes(void **state)
{
    (void)state;
    const uint64_t sizes[] = {0, 1, 2 * MIB - 1, 2 * MIB, 5 * MIB + 3};
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++)
        read_pipe(sizes[i]);
}

/* A read of a pipe that nobody writes to ends when it is cancelled, and so does one that had some
 * bytes already. */
static void test_cancel_pipe(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        if (i) assert_int_equal(write(fds[1], data, 100), 100);
        source_init(&source, &core);
        source_adopt(&source, fds[0]);
        take_bufs(&core.large, 1);
        source_read(&source, &bufs, UINT64_MAX, MIB, NULL, &op);
        for (uint32_t turn = 0; turn < 5; turn++)
            core_turn(&core, false);
        assert_true(op.out);
        source_cancel(&source);
        assert_int_equal(wait_op(), ERR_CANCELLED);
        pool_give_all(&bufs);
        close_source();
        close(fds[1]);
    }
}

/* All reads that were out have arrived when the cancel comes: the next ones are not started. */
static void test_cancel_file(void **state)
{
    (void)state;
    assert_int_equal(open_source(make_file(12 * MIB), FILE_DIRECT_OFF), ERR_NONE);
    take_bufs(&core.large, 12);
    source_read(&source, &bufs, 0, 12 * MIB, NULL, &op);
    source_cancel(&source);
    assert_int_equal(wait_op(), ERR_CANCELLED);
    assert_int_equal(container_of(bufs.head.previous, struct buf, link)->count, 0);
    source_cancel(&source); /* harmless when nothing is out */
    assert_int_equal(read_range(0, 12 * MIB, NULL), ERR_NONE);
    expect_bytes(0, 12 * MIB);
    pool_give_all(&bufs);
    close_source();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_becomes_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stays_below, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pipes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
