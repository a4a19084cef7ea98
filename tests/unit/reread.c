/* The sum of a range of a file as it is now, and of a file that is still what it was. */
#include "s3/reread.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES_ALL (9 * MIB + 100)

static struct core core;
static struct reread reread;
static struct reread_range range;
static int folder_fd;
static struct op op;
static char folder[64];
static uint8_t *data;

static void on_done(struct op *done)
{
    (void)done;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 16 * MIB};
    char path[128];
    int raw;
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-reread-XXXXXX");
    if (!mkdtemp(folder) || core_open(&core, &options, &raw)) return -1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    data = malloc(BYTES_ALL);
    for (uint64_t i = 0; i < BYTES_ALL; i++)
        data[i] = (uint8_t)(i * 131 >> 3);
    snprintf(path, sizeof path, "%s/temp", folder);
    FILE *file = fopen(path, "w");
    if (fwrite(data, 1, BYTES_ALL, file) != BYTES_ALL || fclose(file)) return -1;
    op_init(&op, on_done);
    reread_init(&reread, &core);
    range = (struct reread_range){
        .file = {.dir_fd = folder_fd, .path = "temp", .expected_bytes = BYTES_ALL}};
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    close(folder_fd);
    core_close(&core);
    free(data);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static enum err sum(uint64_t offset, uint64_t bytes, enum checksum_kind kind)
{
    range.offset = offset;
    range.bytes = bytes;
    range.kind = kind;
    reread_start(&reread, &range, &op);
    while (op.out)
        core_turn(&core, true);
    assert_int_equal(reread.source.file.fd, -1);
    assert_int_equal(pool_free_count(&core.large), core.large.count_max);
    assert_int_equal(pool_free_count(&core.small), core.small.count_max);
    return op.err;
}

/* Is the sum of that range that of what was written? */
static bool same(uint64_t offset, uint64_t bytes, enum checksum_kind kind)
{
    struct checksum_value expected;
    checksum_of(kind, data + offset, bytes, &expected);
    assert_int_equal(sum(offset, bytes, kind), ERR_NONE);
    return checksum_equal(&reread.checksum, &expected);
}

static void test_the_same(void **state)
{
    struct meter meter = {0};
    (void)state;
    range.read_bytes = &meter;
    for (int kind = CHECKSUM_NONE + 1; kind < CHECKSUM_KINDS; kind++) {
        assert_true(same(0, BYTES_ALL, (enum checksum_kind)kind));
        assert_true(same(4096, 5 * MIB, (enum checksum_kind)kind));
        assert_true(same(BYTES_ALL - 3, 3, (enum checksum_kind)kind));
    }
    assert_true(same(0, 0, CHECKSUM_CRC32C)); /* of nothing */
    assert_true(same(BYTES_ALL, 0, CHECKSUM_SHA256));
    assert_int_equal(reread.read_bytes, 0);
    assert_int_equal(meter_read(&meter),
                     (BYTES_ALL + 5 * MIB + 3) * (CHECKSUM_KINDS - CHECKSUM_NONE - 1));
    range.file.direct = FILE_DIRECT_ON;
    assert_true(same(8 * MIB, MIB + 100, CHECKSUM_CRC32C));
    range.file.direct = FILE_DIRECT_OFF;
    assert_true(same(777, MIB, CHECKSUM_CRC32C));
}

static void test_others(void **state)
{
    (void)state;
    data[5 * MIB] ^= 1;
    assert_false(same(4 * MIB, 2 * MIB, CHECKSUM_CRC32C));
    assert_true(same(0, 5 * MIB, CHECKSUM_CRC32C));
    assert_int_equal(sum(BYTES_ALL - 10, 11, CHECKSUM_CRC32C), ERR_SHORT_READ);
    range.file.path = "none";
    assert_int_equal(sum(0, 10, CHECKSUM_CRC32C), ERR_FILE_MISSING);
    range.file.path = ".";
    assert_int_equal(sum(0, 10, CHECKSUM_CRC32C), ERR_FILE_IS_FOLDER);
}

static void grow(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "more", 4), 4);
    close(fd);
}

/* With an identity: before the first read, and behind the last. */
static void test_identity(void **state)
{
    struct file_identity identity;
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/temp", folder);
    assert_true(same(0, 10, CHECKSUM_CRC32C));
    identity = reread.source.identity;
    range.identity = &identity;
    assert_true(same(0, BYTES_ALL, CHECKSUM_CRC32C));
    range.bytes = BYTES_ALL;
    reread_start(&reread, &range, &op);
    while (op.out && reread.read_bytes == 0)
        core_turn(&core, true);
    assert_true(op.out); /* between two reads */
    grow(path);
    while (op.out)
        core_turn(&core, true);
    assert_int_equal(op.err, ERR_FILE_CHANGED);
    assert_int_equal(sum(0, 10, CHECKSUM_CRC32C), ERR_FILE_CHANGED);
    assert_int_equal(reread.read_bytes, 0);
}

static void test_cancel(void **state)
{
    (void)state;
    reread_cancel(&reread); /* idle */
    range.bytes = BYTES_ALL;
    range.kind = CHECKSUM_CRC32C;
    reread_start(&reread, &range, &op);
    reread_cancel(&reread);
    while (op.out)
        core_turn(&core, true);
    assert_int_equal(op.err, ERR_CANCELLED);
    assert_int_equal(pool_free_count(&core.large), core.large.count_max);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_the_same), TEST(test_others), TEST(test_identity),
                                       TEST(test_cancel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
