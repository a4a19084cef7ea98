#include "core/walk.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/core.h"

/* Everything is below one new folder, the working directory of the tests. */
struct world {
    struct core core;
    char folder[PATH_MAX];
    struct walk *walk;
    struct walk_batch batches[2];
    bool done[2];
    struct writer seen; /* a line an entry: kind, path in quotes, error */
    uint32_t count, batch_count;
};

static struct world world;
static char seen_area[4 * MIB];

static void on_batch_0(struct op *op)
{
    assert_ptr_equal(op, &world.batches[0].op);
    world.done[0] = true;
}

static void on_batch_1(struct op *op)
{
    assert_ptr_equal(op, &world.batches[1].op);
    world.done[1] = true;
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const char *path, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

static void make_link(const char *to, const char *path)
{
    assert_int_equal(symlink(to, path), 0);
}

static void remove_all(void)
{
    assert_int_equal(system("find . -mindepth 1 -delete"), 0);
}

static void start_behind(const char *root, enum walk_symlinks symlinks, const char *behind)
{
    assert_int_equal(walk_open(&world.walk, &world.core, root, symlinks, bytes_of(behind)),
                     ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(world.batches); i++)
        walk_batch_init(&world.batches[i]);
    writer_init(&world.seen, seen_area, sizeof(seen_area));
    world.count = world.batch_count = 0;
}

static void start(const char *root, enum walk_symlinks symlinks)
{
    start_behind(root, symlinks, "");
}

static void ask(uint32_t index)
{
    world.done[index] = false;
    walk_next(world.walk, &world.batches[index], index == 0 ? on_batch_0 : on_batch_1);
}

static void note(const struct walk_entry *entry)
{
    static const char *const kinds[] = {"file",    "folder", "symlink", "special",
                                        "nowhere", "loop",   "error"};
    writer_text(&world.seen, kinds[entry->kind]);
    writer_text(&world.seen, " '");
    writer_visible(&world.seen, bytes_of(entry->path));
    writer_char(&world.seen, '\'');
    if (entry->kind == WALK_ERROR) writer_format(&world.seen, " %s", err_name(entry->err));
    if (entry->kind == WALK_FILE)
        writer_format(&world.seen, " %llu", (unsigned long long)entry->identity.size_bytes);
    writer_char(&world.seen, '\n');
}

/* Waits for a batch that was asked for; false when the walk is over. */
static bool await(uint32_t index)
{
    const struct walk_batch *batch = &world.batches[index];
    while (!world.done[index])
        core_turn(&world.core, true);
    assert_int_equal(batch->op.err, ERR_NONE);
    for (uint32_t i = 0; i < batch->count; i++)
        note(&batch->entries[i]);
    world.count += batch->count;
    world.batch_count++;
    return batch->count > 0;
}

static void finish(void)
{
    walk_close(world.walk);
    for (size_t i = 0; i < ARRAY_COUNT(world.batches); i++)
        walk_batch_fini(&world.batches[i]);
}

static const char *walk_to_the_end(void)
{
    do
        ask(0);
    while (await(0));
    ask(0);
    assert_false(await(0)); /* over stays over */
    finish();
    return writer_string(&world.seen);
}

static const char *walk_all(const char *root, enum walk_symlinks symlinks)
{
    start(root, symlinks);
    return walk_to_the_end();
}

static const char *walk_behind(const char *root, const char *behind)
{
    start_behind(root, WALK_SYMLINKS_FOLLOW, behind);
    return walk_to_the_end();
}

static void test_order(void **state)
{
    (void)state;
    make_folder("t");
    make_folder("t/a");
    make_folder("t/empty");
    make_folder("t/a/deep");
    make_file("t/a/b", 1);
    make_file("t/a/deep/x", 2);
    make_file("t/a.b", 3);
    make_file("t/a0", 4);
    make_file("t/B", 5);
    make_file("t/\xff", 6);
    make_file("t/.hidden", 7);
    make_file("t/new\nline", 8);
    make_file("t/sp ace+%2F", 0);
    assert_string_equal(walk_all("t", WALK_SYMLINKS_FOLLOW), "file '.hidden' 7\n"
                                                             "file 'B' 5\n"
                                                             "file 'a.b' 3\n"
                                                             "file 'a/b' 1\n"
                                                             "file 'a/deep/x' 2\n"
                                                             "file 'a0' 4\n"
                                                             "folder 'empty'\n"
                                                             "file 'new\\x0aline' 8\n"
                                                             "file 'sp ace+%2F' 0\n"
                                                             "file '\\xff' 6\n");
}

/* Behind a folder, whether it is still there or not; names in deeper folders are not meant. */
static void test_behind(void **state)
{
    (void)state;
    make_folder("t");
    make_folder("t/a");
    make_folder("t/b");
    make_folder("t/b/a");
    make_file("t/a.b", 1);
    make_file("t/a/1", 2);
    make_file("t/a0", 3);
    make_file("t/b/0", 4);
    make_file("t/b/a/1", 5);
    assert_string_equal(walk_behind("t", "a/"), "file 'a0' 3\n"
                                                "file 'b/0' 4\n"
                                                "file 'b/a/1' 5\n");
    assert_string_equal(walk_behind("t", "aa/"), "file 'b/0' 4\n"
                                                 "file 'b/a/1' 5\n");
    assert_string_equal(walk_behind("t", "b/"), "");
    make_folder("t/b/e");
    assert_string_equal(walk_behind("t/b/e", "a/"), ""); /* nor that it is empty */
    assert_string_equal(walk_behind("gone", "a/"), "error '' FILE_MISSING\n");
}

static void make_link_tree(void)
{
    make_folder("t");
    make_folder("t/in");
    make_folder("out");
    make_file("out/o", 1);
    make_file("f", 2);
    make_link("../out", "t/a");
    make_link("..", "t/in/up");
    make_link("../f", "t/b");
    make_link("missing", "t/dangling");
    make_link("self", "t/self");
    make_link("../out/o/x", "t/through-a-file");
    make_link("t", "root");
}

static void test_symlinks_followed(void **state)
{
    (void)state;
    make_link_tree();
    assert_string_equal(walk_all("root", WALK_SYMLINKS_FOLLOW), "file 'a/o' 1\n"
                                                                "file 'b' 2\n"
                                                                "nowhere 'dangling'\n"
                                                                "loop 'in/up'\n"
                                                                "nowhere 'self'\n"
                                                                "nowhere 'through-a-file'\n");
}

static void test_symlinks_skipped(void **state)
{
    (void)state;
    make_link_tree();
    assert_string_equal(walk_all("root", WALK_SYMLINKS_SKIP), "symlink 'a'\n"
                                                              "symlink 'b'\n"
                                                              "symlink 'dangling'\n"
                                                              "symlink 'in/up'\n"
                                                              "symlink 'self'\n"
                                                              "symlink 'through-a-file'\n");
}

static void test_roots(void **state)
{
    static const struct {
        const char *root, *seen;
    } rows[] = {
        {"file", "file '' 9\n"},
        {"link", "file '' 9\n"},
        {"folder", "folder ''\n"},
        {"folder/", "folder ''\n"},
        {"pipe", "special ''\n"},
        {"missing", "error '' FILE_MISSING\n"},
        {"file/x", "error '' FILE_MISSING\n"},
        {"", "error '' FILE_MISSING\n"},
        {"/dev/null", "special ''\n"},
    };
    (void)state;
    make_file("file", 9);
    make_link("file", "link");
    make_folder("folder");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_string_equal(walk_all(rows[i].root, WALK_SYMLINKS_FOLLOW), rows[i].seen);
        assert_string_equal(walk_all(rows[i].root, WALK_SYMLINKS_SKIP), rows[i].seen);
    }
}

static void test_identity(void **state)
{
    struct stat status;
    const struct file_identity *identity = &world.batches[0].entries[0].identity;
    (void)state;
    make_folder("t");
    make_file("t/f", 12345);
    assert_int_equal(stat("t/f", &status), 0);
    start("t", WALK_SYMLINKS_FOLLOW);
    ask(0);
    assert_true(await(0));
    assert_int_equal(identity->size_bytes, 12345);
    assert_int_equal(identity->inode, status.st_ino);
    assert_int_equal(identity->mode, status.st_mode);
    assert_int_equal(identity->mtime_ns,
                     status.st_mtim.tv_sec * (int64_t)NS_PER_S + status.st_mtim.tv_nsec);
    finish();
}

static void test_denied(void **state)
{
    bool is_root = geteuid() == 0;
    (void)state;
    make_folder("t");
    make_folder("t/closed");
    make_file("t/closed/x", 1);
    make_file("t/z", 2);
    assert_int_equal(chmod("t/closed", 0), 0);
    if (is_root) assert_int_equal(seteuid(65534), 0);
    const char *seen = walk_all("t", WALK_SYMLINKS_FOLLOW);
    if (is_root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod("t/closed", 0700), 0);
    assert_string_equal(seen, "error 'closed' FILE_DENIED\n"
                              "file 'z' 2\n");
}

#define MANY 1000u

static void make_many(const char *folder)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "%s/%04u", folder, (i * 617) % MANY);
        make_file(path, i % 3);
    }
}

/* Both batches are out at once; the names come in order all the same. */
static void test_many(void **state)
{
    char path[16];
    uint32_t number = 0;
    bool more[2] = {true, true};
    (void)state;
    make_folder("t");
    make_many("t");
    start("t", WALK_SYMLINKS_FOLLOW);
    ask(0);
    ask(1);
    for (uint32_t index = 0; more[index]; index ^= 1) {
        const struct walk_batch *batch = &world.batches[index];
        more[index] = await(index);
        for (uint32_t i = 0; i < batch->count; i++, number++) {
            snprintf(path, sizeof(path), "%04u", number);
            assert_string_equal(batch->entries[i].path, path);
        }
        if (more[index]) ask(index);
    }
    while (!world.done[0] || !world.done[1])
        core_turn(&world.core, true);
    finish();
    assert_int_equal(number, MANY);
    assert_true(world.batch_count > MANY / WALK_BATCH_ENTRIES);
}

static void test_vanished(void **state)
{
    (void)state;
    make_folder("t");
    make_many("t");
    start("t", WALK_SYMLINKS_FOLLOW);
    ask(0);
    assert_true(await(0));
    uint32_t before = world.count;
    assert_true(before <= WALK_BATCH_ENTRIES);
    remove_all();
    writer_init(&world.seen, seen_area, sizeof(seen_area));
    do
        ask(0);
    while (await(0));
    finish();
    assert_int_equal(world.count, MANY);
    uint32_t missing = 0;
    const char *at = writer_string(&world.seen);
    while ((at = strstr(at, "FILE_MISSING\n"))) {
        missing++;
        at++;
    }
    assert_int_equal(missing, MANY - before);
}

/* folder/d/d/d… with a file "z" in each, made with descriptors since the path may get long. */
static void make_deep(const char *folder, const char *name, uint32_t levels)
{
    make_folder(folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    for (uint32_t i = 0; i < levels; i++) {
        int file = openat(fd, "z", O_WRONLY | O_CREAT, 0644);
        assert_true(file >= 0);
        close(file);
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int below = openat(fd, name, O_RDONLY | O_DIRECTORY);
        assert_true(below >= 0);
        close(fd);
        fd = below;
    }
    close(fd);
}

/* The limit that leaves `count` descriptors free. */
static rlim_t limit_for(uint32_t count)
{
    int fd = 0;
    for (; count > 0; fd++)
        if (fcntl(fd, F_GETFD) < 0) count--;
    return (rlim_t)fd;
}

/* With no more descriptors than the header promises. */
static void test_deep(void **state)
{
    enum { LEVELS = 300 };
    struct rlimit before, now;
    (void)state;
    make_deep("t", "d", LEVELS);
    start("t", WALK_SYMLINKS_FOLLOW);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = limit_for(WALK_DESCRIPTORS_MAX);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    do
        ask(0);
    while (await(0));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    finish();
    const char *seen = writer_string(&world.seen);
    assert_int_equal(world.count, LEVELS + 1);
    assert_null(strstr(seen, "error"));
    assert_memory_equal(seen, "folder 'd/d/d/", 14);
    assert_string_equal(seen + strlen(seen) - strlen("\nfile 'd/z' 0\nfile 'z' 0\n"),
                        "\nfile 'd/z' 0\nfile 'z' 0\n");
}

/* A folder that was closed on the way down is another one on the way up. */
static void test_changed_above(void **state)
{
    (void)state;
    make_deep("t", "d", 100);
    char deepest[2 * 100 + 8] = "t";
    for (int i = 0; i < 100; i++)
        strcat(deepest, "/d");
    make_many(deepest);
    start("t", WALK_SYMLINKS_FOLLOW);
    ask(0);
    assert_true(await(0)); /* we are in the deepest folder now */
    assert_int_equal(rename("t/d/d/d", "t/d/d/moved"), 0);
    make_folder("t/d/d/d");
    make_folder("t/d/d/d/d");
    do
        ask(0);
    while (await(0));
    finish();
    const char *seen = writer_string(&world.seen);
    assert_non_null(strstr(seen, "error 'd/d/d/d' FILE_CHANGED\n"
                                 "error 'd/d/d' FILE_CHANGED\n"
                                 "file 'd/d/z' 0\n"
                                 "file 'd/z' 0\n"
                                 "file 'z' 0\n"));
    assert_non_null(strstr(seen, "/d/d/d/d/d' FILE_MISSING\n"));
}

static void test_long_paths(void **state)
{
    char name[NAME_MAX + 1];
    (void)state;
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = 0;
    make_deep("t", name, PATH_BYTES_MAX / (NAME_MAX + 1) + 2);
    const char *seen = walk_all("t", WALK_SYMLINKS_FOLLOW);
    /* the sixteenth level's folder has a path of 16 * 256 - 1 = 4095 bytes: the longest there is */
    const char *error = strstr(seen, "error '");
    assert_non_null(error);
    assert_ptr_equal(strstr(error, "' FILE_NAME\n"), error + 7 + PATH_BYTES_MAX - 1);
    uint32_t files = 0;
    for (const char *at = seen; (at = strstr(at, "/z' 0\n")); at++)
        files++;
    assert_int_equal(files, PATH_BYTES_MAX / (NAME_MAX + 1) - 1);
}

static int set_up(void **state)
{
    const struct core_options options = {.cpu = -1, .memory_bytes = 64 * MIB, .seed = 1};
    int raw;
    (void)state;
    snprintf(world.folder, sizeof(world.folder), "/tmp/argosy-walk-XXXXXX");
    if (!mkdtemp(world.folder) || chmod(world.folder, 0755) || chdir(world.folder)) return -1;
    return core_open(&world.core, &options, &raw) == ERR_NONE ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    remove_all();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    core_close(&world.core);
    return chdir("/") || rmdir(world.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_order, clean),
        cmocka_unit_test_teardown(test_behind, clean),
        cmocka_unit_test_teardown(test_symlinks_followed, clean),
        cmocka_unit_test_teardown(test_symlinks_skipped, clean),
        cmocka_unit_test_teardown(test_roots, clean),
        cmocka_unit_test_teardown(test_identity, clean),
        cmocka_unit_test_teardown(test_denied, clean),
        cmocka_unit_test_teardown(test_many, clean),
        cmocka_unit_test_teardown(test_vanished, clean),
        cmocka_unit_test_teardown(test_deep, clean),
        cmocka_unit_test_teardown(test_changed_above, clean),
        cmocka_unit_test_teardown(test_long_paths, clean),
    };
    return cmocka_run_group_tests_name("walk", tests, set_up, tear_down);
}
