/* Folders made above a path, below a folder that they must not leave. */
#include "core/folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/core.h"

static struct core core;
static struct aside *aside;
static struct folder_maker maker;
static char base[64]; /* holds "in", which paths are below, and "out" */
static int in_fd;

static void on_done(struct op *op)
{
    (void)op;
}

static enum err make(int fd, const char *path, uint64_t resolve)
{
    folder_make_above(&maker, fd, path, resolve, aside);
    assert_true(maker.job.op.out);
    while (maker.job.op.out)
        core_turn(&core, true);
    return maker.job.op.err;
}

static const char *name(const char *relative)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", base, relative);
    return path;
}

static bool is_folder(const char *relative)
{
    struct stat status;
    return stat(name(relative), &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_nothing(const char *relative)
{
    return access(name(relative), F_OK) != 0;
}

static void make_file(const char *relative)
{
    int fd = open(name(relative), O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB};
    int raw;
    snprintf(base, sizeof base, "/tmp/argosy-folder-XXXXXX");
    if (!mkdtemp(base)) return -1;
    if (mkdir(name("in"), 0755) != 0 || mkdir(name("out"), 0755) != 0) return -1;
    in_fd = open(name("in"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (core_open(&core, &options, &raw) || aside_open(&aside, &core, "test")) return -1;
    folder_maker_init(&maker, on_done);
    return in_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    aside_close(aside);
    core_close(&core);
    close(in_fd);
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command) == 0 ? 0 : -1;
}

static void test_makes_all_but_the_last(void **state)
{
    (void)state;
    const uint64_t resolves[] = {0, RESOLVE_BENEATH};
    for (uint32_t i = 0; i < 2; i++) {
        char path[64], folder[64];
        snprintf(path, sizeof path, "%u/b/c d/\xc3\xa9/file", i);
        snprintf(folder, sizeof folder, "in/%u/b/c d/\xc3\xa9", i);
        assert_int_equal(make(in_fd, path, resolves[i]), ERR_NONE);
        assert_true(is_folder(folder));
        snprintf(folder, sizeof folder, "in/%u/b/c d/\xc3\xa9/file", i);
        assert_true(is_nothing(folder));
        assert_int_equal(make(in_fd, path, resolves[i]), ERR_NONE); /* again: all there */
        snprintf(path, sizeof path, "%u/b/other/file", i);
        assert_int_equal(make(in_fd, path, resolves[i]), ERR_NONE);
        snprintf(folder, sizeof folder, "in/%u/b/other", i);
        assert_true(is_folder(folder));
    }
}

static void test_nothing_to_make(void **state)
{
    (void)state;
    assert_int_equal(make(in_fd, "file", RESOLVE_BENEATH), ERR_NONE);
    assert_true(is_nothing("in/file"));
}

static void test_absolute(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/in/x/y/file", base);
    assert_int_equal(make(AT_FDCWD, path, 0), ERR_NONE);
    assert_true(is_folder("in/x/y"));
    assert_true(is_nothing("in/x/y/file"));
}

static void test_many_slashes(void **state)
{
    (void)state;
    assert_int_equal(make(in_fd, "p//q///r/file", RESOLVE_BENEATH), ERR_NONE);
    assert_true(is_folder("in/p/q/r"));
    assert_int_equal(make(in_fd, "s//t//file", 0), ERR_NONE);
    assert_true(is_folder("in/s/t"));
}

static void test_umask_decides_the_mode(void **state)
{
    (void)state;
    struct stat status;
    mode_t before = umask(027);
    assert_int_equal(make(in_fd, "m/file", RESOLVE_BENEATH), ERR_NONE);
    umask(before);
    assert_int_equal(stat(name("in/m"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
}

static void test_links(void **state)
{
    (void)state;
    assert_int_equal(mkdir(name("in/real"), 0755), 0);
    assert_int_equal(symlink("real", name("in/inner")), 0);
    assert_int_equal(symlink("../out", name("in/outer")), 0);
    char out[128];
    snprintf(out, sizeof out, "%s/out", base);
    assert_int_equal(symlink(out, name("in/absolute")), 0);
    /* one that stays inside is a folder like another */
    assert_int_equal(make(in_fd, "inner/a/b/file", RESOLVE_BENEATH), ERR_NONE);
    assert_true(is_folder("in/real/a/b"));
    assert_int_equal(make(in_fd, "outer/a/file", RESOLVE_BENEATH), ERR_FILE_ESCAPES);
    assert_int_equal(make(in_fd, "absolute/a/file", RESOLVE_BENEATH), ERR_FILE_ESCAPES);
    assert_int_equal(make(in_fd, "../out/a/file", RESOLVE_BENEATH), ERR_FILE_ESCAPES);
    assert_true(is_nothing("out/a"));
    /* where the user named the place, its links are the user's */
    assert_int_equal(make(in_fd, "outer/a/file", 0), ERR_NONE);
    assert_true(is_folder("out/a"));
}

static void test_a_file_in_the_way(void **state)
{
    (void)state;
    make_file("in/file");
    assert_int_equal(make(in_fd, "file/a/b", RESOLVE_BENEATH), ERR_FILE_MISSING);
    assert_int_equal(make(in_fd, "file/a/b", 0), ERR_FILE_MISSING);
    assert_int_not_equal(maker.job.op.raw, 0);
}

static void test_names_too_long(void **state)
{
    (void)state;
    static char path[PATH_BYTES_MAX + 8];
    memset(path, 'n', 300);
    memcpy(path + 300, "/file", 6);
    assert_int_equal(make(in_fd, path, RESOLVE_BENEATH), ERR_FILE_NAME);
    for (uint32_t i = 0; i < PATH_BYTES_MAX; i++)
        path[i] = i % 2 ? '/' : 'd';
    path[PATH_BYTES_MAX] = '\0';
    assert_int_equal(make(in_fd, path, RESOLVE_BENEATH), ERR_FILE_NAME);
    assert_true(is_nothing("in/d")); /* refused before anything was made */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_makes_all_but_the_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_to_make, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_absolute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_slashes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_umask_decides_the_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_too_long, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
