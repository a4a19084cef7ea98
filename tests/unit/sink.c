/* Files that appear whole or not at all, and what is written through. */
#include "s3/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct core core;
static struct conf conf;
static struct station station;
static struct sink sink;
static struct op op;
static struct file_io io;
static char base[64]; /* holds "in", where the sinks are, and "out" */

static void on_done(struct op *done)
{
    (void)done;
}

static enum err wait_for(struct op *waited)
{
    while (waited->out)
        core_turn(&core, true);
    return waited->err;
}

/* A path below `base`; four of them live at a time. */
static const char *name(const char *relative)
{
    static char paths[4][PATH_BYTES_MAX];
    static uint32_t next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_BYTES_MAX, "%s/%s", base, relative);
    return path;
}

static void shell(const char *text) /* in `base` */
{
    char command[256];
    snprintf(command, sizeof command, "cd '%s' && %s", base, text);
    assert_int_equal(system(command), 0);
}

static void put_file(const char *relative, const char *text)
{
    FILE *file = fopen(name(relative), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_file(const char *relative, const char *text)
{
    char found[64];
    FILE *file = fopen(name(relative), "r");
    assert_non_null(file);
    size_t count = fread(found, 1, sizeof found - 1, file);
    found[count] = '\0';
    fclose(file);
    assert_string_equal(found, text);
}

static mode_t kind_of(const char *relative) /* 0: nothing */
{
    struct stat status;
    return lstat(name(relative), &status) == 0 ? status.st_mode & S_IFMT : 0;
}

/* Entries of a folder, hidden ones too: no temporary file may stay. */
static uint32_t entries(const char *relative)
{
    char command[256];
    uint32_t count = 0;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", name(relative));
    FILE *pipe = popen(command, "r");
    assert_int_equal(fscanf(pipe, "%u", &count), 1);
    pclose(pipe);
    return count;
}

static enum err open_sink(const char *path, uint64_t bytes, bool through)
{
    sink_init(&sink, &station);
    sink_open(&sink, path, bytes, through, &op);
    assert_true(op.out);
    return wait_for(&op);
}

static enum err write_at(const void *data, uint32_t count, uint64_t offset)
{
    struct buf *buf = pool_try_take(&core.large);
    assert_non_null(buf);
    memcpy(buf->data, data, count);
    buf->count = count;
    file_write(&sink.file, &io, buf, offset);
    enum err err = wait_for(&io.op);
    pool_give(&buf);
    return err;
}

static enum err write_text(const char *text)
{
    return write_at(text, (uint32_t)strlen(text), sink.through ? FILE_NO_OFFSET : 0);
}

static enum err commit(int64_t mtime_ns)
{
    sink_commit(&sink, mtime_ns, &op);
    return wait_for(&op);
}

static void abandon(void)
{
    sink_abandon(&sink, &op);
    assert_int_equal(wait_for(&op), ERR_NONE);
    assert_int_equal(sink.file.fd, -1);
}

static int set_up(void **state)
{
    (void)state;
    struct core_options options = {.cpu = -1, .memory_bytes = 16 * MIB};
    int raw;
    snprintf(base, sizeof base, "/tmp/argosy-sink-XXXXXX");
    if (!mkdtemp(base) || mkdir(name("in"), 0755) || mkdir(name("out"), 0755)) return -1;
    if (core_open(&core, &options, &raw)) return -1;
    conf_init(&conf);
    memset(&station, 0, sizeof station);
    station.core = &core;
    station.conf = &conf;
    station.resolve = RESOLVE_BENEATH;
    station.file_mode = 0644;
    station.folder_fd = open(name("in"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    op_init(&op, on_done);
    file_io_init(&io, on_done);
    return aside_open(&station.aside, &core, "test") ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    aside_close(station.aside);
    core_close(&core);
    close(station.folder_fd);
    shell("rm -rf in out");
    rmdir(base);
    return 0;
}

static void test_commit(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(open_sink("new file", 5, false), ERR_NONE);
    assert_int_equal(write_text("hello"), ERR_NONE);
    assert_int_equal(kind_of("in/new file"), 0); /* not before it is whole */
    assert_int_equal(entries("in"), 1);
    assert_int_equal(commit(1234567890123456789), ERR_NONE);
    expect_file("in/new file", "hello");
    assert_int_equal(entries("in"), 1);
    assert_int_equal(stat(name("in/new file"), &status), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1234567890);
    assert_int_equal(status.st_mtim.tv_nsec, 123456789);
    assert_int_equal(sink.file.fd, -1);
}

static mode_t mode_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return status.st_mode & 07777;
}

/* Its owner's alone until it is whole, whatever the umask allows. */
static void test_modes(void **state)
{
    (void)state;
    struct stat status;
    const mode_t masks[] = {0, 022, 027, 0777};
    for (uint32_t i = 0; i < ARRAY_COUNT(masks); i++) {
        mode_t before = umask(0);
        assert_int_equal(open_sink("new/empty", 0, false), ERR_NONE);
        umask(before);
        assert_int_equal(mode_of(sink.file.fd), 0600);
        station.file_mode = 0666 & ~masks[i];
        assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
        assert_int_equal(stat(name("in/new/empty"), &status), 0);
        assert_int_equal(status.st_size, 0);
        assert_int_equal(status.st_mode & 07777, 0666 & ~masks[i]);
    }
}

static uint32_t descriptors(void)
{
    uint32_t count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Someone else puts a symbolic link in a folder's place while the sink is open. */
static void test_symlink_races(void **state)
{
    (void)state;
    const char *const paths[] = {"a/b/file", "a/file"};
    for (uint32_t i = 0; i < 2 * ARRAY_COUNT(paths); i++) {
        uint32_t before = descriptors();
        assert_int_equal(open_sink(paths[i / 2], 4, false), ERR_NONE);
        assert_int_equal(write_text("data"), ERR_NONE);
        shell("mv in/a in/moved && mkdir -p out/b && ln -s ../out in/a");
        put_file("out/file", "theirs");
        put_file("out/b/file", "theirs");
        if (i % 2)
            abandon();
        else
            assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
        expect_file("out/file", "theirs");
        expect_file("out/b/file", "theirs");
        if (i % 2 == 0) expect_file(i / 2 ? "in/moved/file" : "in/moved/b/file", "data");
        assert_int_equal(entries("out"), 2);
        assert_int_equal(descriptors(), before);
        assert_int_equal(open_sink(paths[i / 2], 4, false), ERR_FILE_ESCAPES);
        abandon();
        shell("rm -rf in/a in/moved out/b out/file");
        assert_int_equal(entries("in"), 0);
        assert_int_equal(descriptors(), before);
    }
}

static void test_synced(void **state)
{
    (void)state;
    const enum conf_fsync policies[] = {CONF_FSYNC_FILE, CONF_FSYNC_ALL};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t before = descriptors();
        conf.fsync = policies[i];
        assert_int_equal(open_sink("x/y/z/file", 4, false), ERR_NONE);
        assert_int_equal(write_text("data"), ERR_NONE);
        assert_int_equal(commit(1000000000), ERR_NONE);
        expect_file("in/x/y/z/file", "data");
        assert_int_equal(open_sink("file", 4, false), ERR_NONE);
        assert_int_equal(write_text("data"), ERR_NONE);
        assert_int_equal(commit(1000000000), ERR_NONE);
        expect_file("in/file", "data");
        shell("rm -rf in/x in/file");
        assert_int_equal(descriptors(), before);
    }
    conf.fsync = CONF_FSYNC_ALL; /* what cannot be synced is written through all the same */
    assert_int_equal(open_sink("/dev/null", 4, true), ERR_NONE);
    assert_int_equal(write_text("data"), ERR_NONE);
    assert_int_equal(commit(1), ERR_NONE);
}

static void test_abandon(void **state)
{
    (void)state;
    assert_int_equal(open_sink("gone", 2 * MIB, false), ERR_NONE);
    assert_int_equal(write_text("half"), ERR_NONE);
    assert_int_equal(entries("in"), 1);
    abandon();
    assert_int_equal(entries("in"), 0);
}

/* A temporary file that cannot be removed is counted, so that who knows its job can look for it. */
static void test_stays(void **state)
{
    (void)state;
    assert_int_equal(open_sink("gone", 4, false), ERR_NONE);
    assert_int_equal(write_text("half"), ERR_NONE);
    shell("cd in && name=$(ls -A) && rm $name && mkdir $name");
    sink_abandon(&sink, &op);
    assert_int_not_equal(wait_for(&op), ERR_NONE);
    assert_int_equal(meter_read(&station.stray_files), 1);
    assert_int_equal(entries("in"), 1);
}

static void test_replaces_a_file(void **state)
{
    (void)state;
    put_file("in/file", "before");
    assert_int_equal(open_sink("file", 5, false), ERR_NONE);
    assert_int_equal(write_text("after"), ERR_NONE);
    expect_file("in/file", "before");
    abandon();
    expect_file("in/file", "before");
    assert_int_equal(open_sink("file", 5, false), ERR_NONE);
    assert_int_equal(write_text("after"), ERR_NONE);
    assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
    expect_file("in/file", "after");
    assert_int_equal(entries("in"), 1);
}

static void test_replaces_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        mode_t kind;
        enum err err;
    } rows[] = {
        {"folder", S_IFDIR, ERR_FILE_IS_FOLDER}, {"full", S_IFDIR, ERR_FILE_IS_FOLDER},
        {"link", S_IFLNK, ERR_FILE_EXISTS},      {"dangling", S_IFLNK, ERR_FILE_EXISTS},
        {"pipe", S_IFIFO, ERR_FILE_EXISTS},
    };
    shell("cd in && mkdir folder full && touch full/x && ln -s full/x link && "
          "ln -s nowhere dangling && mkfifo pipe");
    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char path[64];
        snprintf(path, sizeof path, "in/%s", rows[i].path);
        assert_int_equal(open_sink(rows[i].path, 4, false), ERR_NONE);
        assert_int_equal(write_text("data"), ERR_NONE);
        assert_int_equal(commit(SINK_NO_MTIME), rows[i].err);
        assert_int_equal(kind_of(path), rows[i].kind);
        assert_int_equal(entries("in"), ARRAY_COUNT(rows)); /* no temporary file */
    }
    expect_file("in/full/x", "");
}

static void test_makes_folders(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) { /* the second time they are there */
        assert_int_equal(open_sink("a/b/c d/file", 1, false), ERR_NONE);
        assert_int_equal(write_text("x"), ERR_NONE);
        assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
        expect_file("in/a/b/c d/file", "x");
        assert_int_equal(entries("in/a/b/c d"), 1);
    }
    put_file("in/file", "");
    assert_int_equal(open_sink("file/below", 1, false), ERR_FILE_MISSING);
    abandon();
    assert_int_equal(entries("in"), 2);
}

static void test_does_not_escape(void **state)
{
    (void)state;
    const char *const paths[] = {"outer/x",  "outer/new/x",   "absolute/x",  "absolute/new/x",
                                 "../out/x", "a/../../out/x", "../out/new/x"};
    assert_int_equal(symlink("../out", name("in/outer")), 0);
    assert_int_equal(symlink(name("out"), name("in/absolute")), 0);
    assert_int_equal(mkdir(name("in/a"), 0755), 0);
    for (uint32_t i = 0; i < ARRAY_COUNT(paths); i++) {
        assert_int_equal(open_sink(paths[i], 1, false), ERR_FILE_ESCAPES);
        abandon();
        assert_int_equal(entries("out"), 0);
    }
    assert_int_equal(open_sink(name("out/x"), 1, false), ERR_FILE_ESCAPES);
    abandon();
    assert_int_equal(entries("out"), 0);
    assert_int_equal(entries("in"), 3);
}

static void test_names(void **state)
{
    (void)state;
    char path[PATH_BYTES_MAX];
    memset(path, 'n', sizeof path);
    path[255] = '\0'; /* NAME_MAX: the temporary name is not longer than its target's */
    assert_int_equal(open_sink(path, 0, false), ERR_NONE);
    assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
    path[255] = 'n';
    path[256] = '\0';
    assert_int_equal(open_sink(path, 0, false), ERR_NONE);
    assert_int_equal(commit(SINK_NO_MTIME), ERR_FILE_NAME);
    assert_int_equal(entries("in"), 1);
    for (uint32_t i = 0; i < PATH_BYTES_MAX - 1; i++)
        path[i] = i % 2 ? '/' : 'd';
    path[PATH_BYTES_MAX - 1] = '\0';
    assert_int_equal(open_sink(path, 0, false), ERR_FILE_NAME);
    abandon();
}

static enum err adopt(const char *path, uint64_t bytes, uint64_t inode)
{
    sink_init(&sink, &station);
    sink_adopt(&sink, path, bytes, inode, &op);
    return wait_for(&op);
}

/* Of a job: the temporary name is the same in each of its runs, another one for another target and
 * in another job. */
static void test_names_of_a_job(void **state)
{
    char first[PATH_BYTES_MAX];
    (void)state;
    station.temp_tag = 0x1234;
    assert_int_equal(open_sink("x", 3, false), ERR_NONE);
    assert_non_null(strstr(sink.temp, ".argosy-0000000000001234-"));
    snprintf(first, sizeof first, "%s", sink.temp);
    abandon();
    assert_int_equal(open_sink("y", 3, false), ERR_NONE);
    assert_string_not_equal(sink.temp, first);
    abandon();
    station.temp_tag = 0x4321;
    assert_int_equal(open_sink("x", 3, false), ERR_NONE);
    assert_null(strstr(first, strrchr(sink.temp, '-')));
    abandon();
    station.temp_tag = 0;
}

/* What a run has left is gone on with, or in nobody's way. */
static void test_parked(void **state)
{
    uint64_t inode, other;
    (void)state;
    station.temp_tag = 0x1234;
    assert_int_equal(adopt("d/x", 6, 1), ERR_FILE_MISSING);
    assert_int_equal(entries("in"), 0); /* no folder is made for nothing */
    assert_int_equal(open_sink("d/x", 6, false), ERR_NONE);
    assert_int_equal(sink_inode(&sink, &inode), ERR_NONE);
    assert_int_equal(write_text("abcdef"), ERR_NONE);
    sink_park(&sink, &op);
    assert_int_equal(wait_for(&op), ERR_NONE);
    assert_int_equal(entries("in/d"), 1);
    assert_int_equal(adopt("d/x", 6, inode + 1), ERR_FILE_CHANGED);
    assert_int_equal(entries("in/d"), 1); /* it is not ours to remove */
    assert_int_equal(adopt("d/x", 6, inode), ERR_NONE);
    assert_int_equal(write_at("XY", 2, 4), ERR_NONE);
    assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
    expect_file("in/d/x", "abcdXY");
    assert_int_equal(open_sink("d/x", 3, false), ERR_NONE);
    sink_park(&sink, &op);
    assert_int_equal(wait_for(&op), ERR_NONE);
    assert_int_equal(open_sink("d/x", 3, false), ERR_NONE); /* in the place of what was parked */
    assert_int_equal(sink_inode(&sink, &other), ERR_NONE);
    assert_int_equal(write_text("new"), ERR_NONE);
    assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
    expect_file("in/d/x", "new");
    assert_int_equal(entries("in/d"), 1);
    station.temp_tag = 0;
}

/* O_DIRECT writes whole blocks; the file ends where the object does all the same. */
static void test_direct(void **state)
{
    (void)state;
    const uint64_t sizes[] = {1 * MIB + 100, 1 * MIB + 4096, 100};
    static char data[BUF_LARGE_BYTES];
    memset(data, 'd', sizeof data);
    conf.direct = FILE_DIRECT_ON;
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct stat status;
        uint32_t first = (uint32_t)min_u64(sizes[i], BUF_LARGE_BYTES);
        assert_int_equal(open_sink("direct", sizes[i], false), ERR_NONE);
        assert_int_equal(write_at(data, first, 0), ERR_NONE);
        if (sizes[i] > first)
            assert_int_equal(write_at(data, (uint32_t)sizes[i] - first, first), ERR_NONE);
        if (i == 0) sink.file.direct = false; /* as after a refused write: buffered from there on */
        assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
        assert_int_equal(stat(name("in/direct"), &status), 0);
        assert_int_equal(status.st_size, sizes[i]);
    }
}

static void test_through_devices(void **state)
{
    (void)state;
    struct stat status;
    station.folder_fd = AT_FDCWD;
    station.resolve = 0;
    assert_int_equal(open_sink("/dev/null", 4, true), ERR_NONE);
    assert_int_equal(write_text("data"), ERR_NONE);
    assert_int_equal(commit(1), ERR_NONE);
    assert_int_equal(open_sink("/dev/null", UINT64_MAX, true), ERR_NONE);
    abandon();
    assert_int_equal(stat("/dev/null", &status), 0);
    assert_true(S_ISCHR(status.st_mode));
    assert_int_equal(open_sink("/dev/full", 4, true), ERR_NONE);
    assert_int_equal(write_text("data"), ERR_DISK_FULL);
    abandon();
}

static void test_through_a_pipe(void **state)
{
    (void)state;
    char found[8] = "";
    int kept = dup(STDOUT_FILENO), fds[2];
    assert_int_equal(mkfifo(name("in/pipe"), 0600), 0);
    int reader = open(name("in/pipe"), O_RDONLY | O_NONBLOCK);
    assert_int_equal(open_sink("pipe", 4, true), ERR_NONE);
    assert_int_equal(write_text("data"), ERR_NONE);
    assert_int_equal(commit(SINK_NO_MTIME), ERR_NONE);
    assert_int_equal(read(reader, found, 8), 4);
    assert_memory_equal(found, "data", 4);
    close(reader);
    assert_int_equal(kind_of("in/pipe"), S_IFIFO);
    /* standard output stays open */
    assert_int_equal(pipe(fds), 0);
    fflush(stdout);
    dup2(fds[1], STDOUT_FILENO);
    enum err opened = open_sink("-", 4, true), written = write_text("text");
    enum err committed = commit(SINK_NO_MTIME);
    bool is_open = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
    dup2(kept, STDOUT_FILENO);
    assert_true(!opened && !written && !committed && is_open);
    assert_int_equal(read(fds[0], found, 8), 4);
    assert_memory_equal(found, "text", 4);
    close(fds[0]);
    close(fds[1]);
    close(kept);
}

/* --- file systems of our own --- */

static bool mount_small(const char *relative, unsigned long flags)
{
    assert_int_equal(mkdir(name(relative), 0755), 0);
    if (mount("argosy-test", name(relative), "tmpfs", flags, "size=2m") == 0) return true;
    rmdir(name(relative));
    return false;
}

static void test_full_disk(void **state)
{
    (void)state;
    static char data[BUF_LARGE_BYTES];
    if (!mount_small("in/small", 0)) skip();
    assert_int_equal(open_sink("small/x", 4 * MIB, false), ERR_DISK_FULL); /* found at once */
    assert_int_equal(op.raw, ENOSPC);
    abandon();
    assert_int_equal(entries("in/small"), 0);
    assert_int_equal(open_sink("small/x", 1 * MIB - 1, false), ERR_NONE); /* not preallocated */
    assert_int_equal(write_at(data, MIB, 0), ERR_NONE);
    assert_int_equal(write_at(data, MIB, 1 * MIB), ERR_NONE);
    assert_int_equal(write_at(data, MIB, 2 * MIB), ERR_DISK_FULL);
    abandon();
    uint32_t left = entries("in/small");
    assert_int_equal(umount(name("in/small")), 0);
    assert_int_equal(left, 0);
}

static void test_read_only(void **state)
{
    (void)state;
    if (!mount_small("in/fixed", MS_RDONLY)) skip();
    enum err direct = open_sink("fixed/x", 1, false);
    abandon();
    enum err below = open_sink("fixed/new/x", 1, false);
    abandon();
    assert_int_equal(umount(name("in/fixed")), 0);
    assert_int_equal(direct, ERR_READ_ONLY);
    assert_int_equal(below, ERR_READ_ONLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_symlink_races, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_synced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abandon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaces_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaces_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_makes_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_does_not_escape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_of_a_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_direct, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_through_devices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_through_a_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
