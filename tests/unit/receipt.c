/* A manifest that is written while a core turns: whole under its name, or partial and marked. */
#include "s3/receipt.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/core.h"
#include "core/place.h"

static struct core core;
static struct aside *aside;
static struct receipt receipt;
static struct work work;
static struct op op;
static char base[64], path[128], partial[160], why[RECEIPT_WHY_BYTES];

static void on_done(struct op *done)
{
    (void)done;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 4 * MIB};
    int raw;
    (void)state;
    snprintf(base, sizeof base, "/tmp/argosy-receipt-XXXXXX");
    if (!mkdtemp(base) || core_open(&core, &options, &raw)) return -1;
    snprintf(path, sizeof path, "%s/manifest", base);
    snprintf(partial, sizeof partial, "%s.partial", path);
    op_init(&op, on_done);
    memset(&work, 0, sizeof work);
    snprintf(work.bucket, sizeof work.bucket, "bucket");
    work.result.mtime_ns = WORK_NO_MTIME;
    return aside_open(&aside, &core, "test") ? -1 : 0;
}

static int tear_down(void **state)
{
    char command[96];
    (void)state;
    aside_close(aside);
    core_close(&core);
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

static enum err open_it(const char *name, bool append)
{
    static const struct manifest_head head = {
        .format = MANIFEST_FORMAT, .is_upload = true, .is_tree = true, .bucket = "bucket"};
    struct receipt_options options = {
        .core = &core, .aside = aside, .path = name, .append = append, .file_mode = 0640};
    return receipt_open(&receipt, &options, &head, why);
}

static void add(uint32_t number)
{
    snprintf(work.path, sizeof work.path, "folder/file %u", number);
    snprintf(work.key, sizeof work.key, "prefix/folder/file %u", number);
    work.bytes = number;
    receipt_add(&receipt, &work);
}

static enum err end_it(bool complete)
{
    struct manifest_end end = {.complete = complete, .done = 1};
    receipt_end(&receipt, &end, &op);
    while (op.out)
        core_turn(&core, true);
    return op.err;
}

/* Objects in the file, in order of their sizes from 0; heads and ends are counted. */
static uint32_t read_back(const char *name, uint32_t *heads, uint32_t *ends)
{
    static char text[MANIFEST_LINE_BYTES_MAX];
    static struct manifest_line line;
    const char *what;
    uint32_t count = 0;
    FILE *file = fopen(name, "r");
    *heads = *ends = 0;
    assert_non_null(file);
    while (fgets(text, sizeof text, file)) {
        size_t bytes = strlen(text);
        assert_int_equal(text[bytes - 1], '\n');
        assert_int_equal(manifest_parse((struct bytes){text, bytes - 1}, &line, &what), ERR_NONE);
        *heads += line.kind == MANIFEST_HEAD;
        *ends += line.kind == MANIFEST_END;
        if (line.kind != MANIFEST_OBJECT) continue;
        assert_int_equal(line.object.bytes, count);
        count++;
    }
    fclose(file);
    return count;
}

static void test_whole(void **state)
{
    struct stat status;
    uint32_t heads, ends;
    (void)state;
    assert_int_equal(open_it(path, false), ERR_NONE);
    for (uint32_t i = 0; i < 5000; i++) {
        add(i);
        if (i % 100 == 0) core_turn(&core, false);
    }
    assert_int_equal(access(path, F_OK), -1); /* not before it is whole */
    do { /* written as it grows, by another thread, which may come late */
        core_turn(&core, false);
        assert_int_equal(stat(partial, &status), 0);
    } while (status.st_size == 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(end_it(true), ERR_NONE);
    receipt_close(&receipt);
    assert_int_equal(read_back(path, &heads, &ends), 5000);
    assert_int_equal(heads, 1);
    assert_int_equal(ends, 1);
    assert_int_equal(access(partial, F_OK), -1);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void test_replaces_at_the_end(void **state)
{
    uint32_t heads, ends;
    (void)state;
    for (uint32_t round = 0; round < 2; round++) {
        assert_int_equal(open_it(path, false), ERR_NONE);
        for (uint32_t i = 0; i < round + 1; i++)
            add(i);
        if (round > 0) assert_int_equal(read_back(path, &heads, &ends), round);
        assert_int_equal(end_it(true), ERR_NONE);
        receipt_close(&receipt);
        assert_int_equal(read_back(path, &heads, &ends), round + 1);
    }
}

static void test_partial_and_appended(void **state)
{
    uint32_t heads, ends;
    (void)state;
    assert_int_equal(open_it(path, false), ERR_NONE);
    add(0);
    receipt_flush(&receipt);
    assert_int_equal(end_it(false), ERR_NONE);
    receipt_close(&receipt);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(read_back(partial, &heads, &ends), 1);
    assert_int_equal(ends, 1);
    FILE *file = fopen(partial, "a"); /* the writer was killed within a line */
    fputs("{\"key\":\"torn", file);
    fclose(file);
    assert_int_equal(open_it(path, true), ERR_NONE);
    add(1);
    assert_int_equal(end_it(true), ERR_NONE);
    receipt_close(&receipt);
    assert_int_equal(read_back(path, &heads, &ends), 2);
    assert_int_equal(heads, 2);
    assert_int_equal(ends, 2);
}

static void test_torn_only(void **state)
{
    uint32_t heads, ends;
    (void)state;
    FILE *file = fopen(partial, "w");
    for (uint32_t i = 0; i < 200000; i++) /* more than one step of the search */
        fputc('x', file);
    fclose(file);
    assert_int_equal(open_it(path, true), ERR_NONE);
    assert_int_equal(end_it(true), ERR_NONE);
    receipt_close(&receipt);
    assert_int_equal(read_back(path, &heads, &ends), 0);
    assert_int_equal(heads, 1);
}

static void test_locked(void **state)
{
    struct receipt first;
    (void)state;
    assert_int_equal(open_it(path, false), ERR_NONE);
    first = receipt;
    assert_int_equal(open_it(path, false), ERR_CONFLICT);
    assert_non_null(strstr(why, "manifest.partial: another run"));
    receipt_close(&receipt);
    receipt = first;
    receipt_close(&receipt);
}

static void test_cannot_open(void **state)
{
    char name[PATH_BYTES_MAX];
    (void)state;
    snprintf(name, sizeof name, "%s/none/manifest", base);
    assert_int_equal(open_it(name, false), ERR_FILE_MISSING);
    receipt_close(&receipt);
    assert_int_equal(symlink("elsewhere", partial), 0); /* not followed */
    assert_int_equal(open_it(path, false), ERR_FILE_LOOP);
    receipt_close(&receipt);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(open_it(name, false), ERR_FILE_NAME);
    receipt_close(&receipt);
}

static void test_full_disk(void **state)
{
    char small[128], name[160];
    (void)state;
    snprintf(small, sizeof small, "%s/small", base);
    snprintf(name, sizeof name, "%s/m", small);
    assert_int_equal(mkdir(small, 0755), 0);
    if (mount("argosy-test", small, "tmpfs", 0, "size=64k") != 0) skip();
    assert_int_equal(open_it(name, false), ERR_NONE);
    for (uint32_t i = 0; i < 5000; i++) {
        add(i);
        core_turn(&core, false);
    }
    while (!receipt.err)
        core_turn(&core, false);
    assert_int_equal(receipt.err, ERR_DISK_FULL);
    assert_true(!receipt_is_full(&receipt));
    enum err err = end_it(true);
    receipt_close(&receipt);
    bool absent = access(name, F_OK) != 0;
    umount(small);
    assert_int_equal(err, ERR_DISK_FULL);
    assert_true(absent);
}

/* Nobody turns the core: lines gather, and whoever adds is told to wait. */
static void test_full(void **state)
{
    uint32_t heads, ends, count = 0;
    (void)state;
    assert_int_equal(open_it(path, false), ERR_NONE);
    while (!receipt_is_full(&receipt) && count < 100000)
        add(count++);
    assert_true(receipt_is_full(&receipt) && count > 1000);
    while (receipt_is_full(&receipt))
        core_turn(&core, true);
    add(count++);
    assert_int_equal(end_it(true), ERR_NONE);
    receipt_close(&receipt);
    assert_int_equal(read_back(path, &heads, &ends), count);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole),
        TEST(test_replaces_at_the_end),
        TEST(test_partial_and_appended),
        TEST(test_torn_only),
        TEST(test_locked),
        TEST(test_cannot_open),
        TEST(test_full_disk),
        TEST(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
