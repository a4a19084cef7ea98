/* What an earlier run has written is believed only when it is read back the same. */
#include "s3/recheck.h"

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
static struct conf conf;
static struct station station;
static struct recheck recheck;
static struct work work;
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
    snprintf(folder, sizeof folder, "/tmp/argosy-recheck-XXXXXX");
    if (!mkdtemp(folder) || core_open(&core, &options, &raw)) return -1;
    conf_init(&conf);
    station = (struct station){.core = &core, .conf = &conf};
    station.folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    data = malloc(BYTES_ALL);
    for (uint64_t i = 0; i < BYTES_ALL; i++)
        data[i] = (uint8_t)(i * 131 >> 3);
    snprintf(path, sizeof path, "%s/temp", folder);
    FILE *file = fopen(path, "w");
    if (fwrite(data, 1, BYTES_ALL, file) != BYTES_ALL || fclose(file)) return -1;
    op_init(&op, on_done);
    recheck_init(&recheck, &station);
    memset(&work, 0, sizeof work);
    work.kind = WORK_RANGE;
    work.identity.size_bytes = BYTES_ALL;
    snprintf(work.path, sizeof work.path, "temp");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    close(station.folder_fd);
    core_close(&core);
    free(data);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static enum err check(uint64_t offset, uint64_t bytes, enum checksum_kind kind)
{
    work.offset = offset;
    work.bytes = bytes;
    if (offset + bytes <= BYTES_ALL) checksum_of(kind, data + offset, bytes, &work.written);
    recheck_start(&recheck, &work, &op);
    while (op.out)
        core_turn(&core, true);
    assert_int_equal(recheck.source.file.fd, -1);
    assert_int_equal(pool_free_count(&core.large), core.large.count_max);
    return op.err;
}

static void test_the_same(void **state)
{
    (void)state;
    for (int kind = CHECKSUM_NONE + 1; kind < CHECKSUM_KINDS; kind++) {
        assert_int_equal(check(0, BYTES_ALL, (enum checksum_kind)kind), ERR_NONE);
        assert_int_equal(check(4096, 5 * MIB, (enum checksum_kind)kind), ERR_NONE);
        assert_int_equal(check(BYTES_ALL - 3, 3, (enum checksum_kind)kind), ERR_NONE);
    }
    conf.direct = FILE_DIRECT_ON;
    assert_int_equal(check(8 * MIB, MIB + 100, CHECKSUM_CRC32C), ERR_NONE);
    work.buffered = true;
    assert_int_equal(check(777, MIB, CHECKSUM_CRC32C), ERR_NONE);
}

static void test_others(void **state)
{
    (void)state;
    data[5 * MIB] ^= 1;
    assert_int_equal(check(4 * MIB, 2 * MIB, CHECKSUM_CRC32C), ERR_CHECKSUM);
    assert_int_equal(check(0, 5 * MIB, CHECKSUM_CRC32C), ERR_NONE);
    assert_int_equal(check(BYTES_ALL - 10, 11, CHECKSUM_CRC32C), ERR_SHORT_READ);
    snprintf(work.path, sizeof work.path, "none");
    assert_int_equal(check(0, 10, CHECKSUM_CRC32C), ERR_FILE_MISSING);
    snprintf(work.path, sizeof work.path, ".");
    assert_int_equal(check(0, 10, CHECKSUM_CRC32C), ERR_FILE_IS_FOLDER);
}

static void test_cancel(void **state)
{
    (void)state;
    recheck_cancel(&recheck); /* idle */
    work.bytes = BYTES_ALL;
    checksum_of(CHECKSUM_CRC32C, data, BYTES_ALL, &work.written);
    recheck_start(&recheck, &work, &op);
    recheck_cancel(&recheck);
    while (op.out)
        core_turn(&core, true);
    assert_int_equal(op.err, ERR_CANCELLED);
    assert_int_equal(pool_free_count(&core.large), core.large.count_max);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_the_same), TEST(test_others), TEST(test_cancel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
