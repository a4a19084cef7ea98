#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/core.h"

#define IOS_MAX 8u

static struct core core;
static char folder[64];
static struct file file;
static struct op file_op;
static struct file_io ios[IOS_MAX];
static struct buf *bufs[IOS_MAX];
static bool o_direct_works; /* in `folder`: not on some tmpfs */

static void on_done(struct op *op)
{
    (void)op;
}

static void wait_for(const struct op *op)
{
    while (op->out)
        core_turn(&core, true);
}

static enum err open_now(const char *path, int flags, enum file_direct direct, uint64_t expected)
{
    const struct file_open how = {
        .dir_fd = AT_FDCWD,
        .path = path,
        .flags = flags,
        .mode = 0640,
        .direct = direct,
        .expected_bytes = expected,
    };
    file_open(&file, &how, &file_op);
    wait_for(&file_op);
    return file_op.err;
}

static void close_now(void)
{
    file_close(&file, &file_op);
    wait_for(&file_op);
    assert_int_equal(file_op.err, ERR_NONE);
    assert_int_equal(file.fd, -1);
}

static enum err read_now(uint32_t bytes, uint64_t offset)
{
    file_read(&file, &ios[0], bufs[0], bytes, offset);
    wait_for(&ios[0].op);
    assert_int_equal(ios[0].op.count, bufs[0]->count);
    return ios[0].op.err;
}

static enum err write_now(uint32_t bytes, uint64_t offset)
{
    bufs[0]->count = bytes;
    file_write(&file, &ios[0], bufs[0], offset);
    wait_for(&ios[0].op);
    return ios[0].op.err;
}

static enum err allocate_now(uint64_t bytes)
{
    file_allocate(&file, bytes, &file_op);
    wait_for(&file_op);
    return file_op.err;
}

static enum err truncate_now(uint64_t bytes)
{
    file_truncate(&file, bytes, &file_op);
    wait_for(&file_op);
    return file_op.err;
}

/* What stands at a place of a file: differs from block to block and from byte to byte. */
static char pattern(uint64_t at)
{
    return (char)(at * 31 + (at >> 12) * 7 + (at >> 20) + 1);
}

static void make_file(const char *path, size_t bytes)
{
    char *data = malloc(bytes + 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0 && data);
    for (size_t i = 0; i < bytes; i++)
        data[i] = pattern(i);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);
    free(data);
}

static void expect_pattern(const char *data, uint64_t offset, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != pattern(offset + i))
            fail_msg("wrong byte at %llu", (unsigned long long)(offset + i));
}

static void test_open_errors(void **state)
{
    (void)state;
    assert_int_equal(open_now("missing", O_RDONLY, FILE_DIRECT_ON, 0), ERR_FILE_MISSING);
    assert_int_equal(file_op.raw, ENOENT);
    assert_int_equal(file.fd, -1);
    assert_int_equal(open_now(".", O_WRONLY, FILE_DIRECT_OFF, 0), ERR_FILE_IS_FOLDER);
    make_file("there", 1);
    assert_int_equal(open_now("there", O_WRONLY | O_CREAT | O_EXCL, FILE_DIRECT_ON, 0),
                     ERR_FILE_EXISTS);
    close_now(); /* of what is not open */
}

static void test_open(void **state)
{
    struct stat status;
    const struct file_open beneath = {
        .dir_fd = AT_FDCWD, .path = "../x", .flags = O_RDONLY, .resolve = 8 /* RESOLVE_BENEATH */};
    (void)state;
    umask(0);
    assert_int_equal(open_now("new", O_WRONLY | O_CREAT | O_EXCL, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(file_op.count, file.fd);
    assert_int_equal(fcntl(file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fstat(file.fd, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    int fd = file.fd;
    close_now();
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    file_open(&file, &beneath, &file_op);
    wait_for(&file_op);
    assert_int_equal(file_op.err, ERR_FILE_ESCAPES);
}

static bool has_o_direct(void)
{
    bool flag = fcntl(file.fd, F_GETFL) & O_DIRECT;
    assert_int_equal(flag, file.direct);
    return flag;
}

static void test_direct_wish(void **state)
{
    (void)state;
    make_file("f", 8192);
    assert_int_equal(open_now("f", O_RDONLY, FILE_DIRECT_OFF, GIB), ERR_NONE);
    assert_false(has_o_direct());
    bool is_local = file_system_is_local(file.fd);
    close_now();
    assert_int_equal(open_now("f", O_RDONLY, FILE_DIRECT_AUTO, FILE_DIRECT_BYTES_MIN - 1),
                     ERR_NONE);
    assert_false(has_o_direct());
    close_now();
    assert_int_equal(open_now("f", O_RDONLY, FILE_DIRECT_AUTO, FILE_DIRECT_BYTES_MIN), ERR_NONE);
    assert_int_equal(has_o_direct(), is_local && o_direct_works);
    close_now();
    assert_int_equal(open_now("f", O_RDONLY, FILE_DIRECT_ON, 0), ERR_NONE);
    assert_int_equal(has_o_direct(), o_direct_works);
    close_now();
    assert_int_equal(open_now("/proc/version", O_RDONLY, FILE_DIRECT_ON, GIB), ERR_NONE);
    assert_false(has_o_direct()); /* refused, silently */
    assert_false(file_system_is_local(file.fd));
    assert_int_equal(read_now(100, 0), ERR_NONE);
    assert_memory_equal(bufs[0]->data, "Linux", 5);
    close_now();
}

/* O_NONBLOCK is for the open; later reads wait (on NFS io_uring answers EAGAIN otherwise). */
static void test_nonblock_open(void **state)
{
    (void)state;
    assert_int_equal(open_now("/proc/version", O_RDONLY | O_NONBLOCK, FILE_DIRECT_AUTO, GIB),
                     ERR_NONE);
    assert_int_equal(read_now(100, 0), ERR_NONE);
    assert_memory_equal(bufs[0]->data, "Linux", 5);
    close_now();
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(open_now("fifo", O_RDONLY | O_NONBLOCK, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(fcntl(file.fd, F_GETFL) & O_NONBLOCK, 0);
    close_now();
}

/* Written in bufs, the last one padded where direct, cut off, and read again the same way. */
static void round_trip(uint64_t bytes, enum file_direct direct)
{
    struct stat status;
    uint32_t step = bufs[0]->count_max;
    int flags = O_RDWR | O_CREAT | O_TRUNC;
    assert_int_equal(open_now("f", flags, direct, bytes), ERR_NONE);
    assert_int_equal(allocate_now(bytes), ERR_NONE);
    for (uint64_t at = 0; at < bytes; at += step) {
        uint32_t count = (uint32_t)min_u64(step, bytes - at);
        for (uint32_t i = 0; i < count; i++)
            bufs[0]->data[i] = pattern(at + i);
        assert_int_equal(write_now(count, at), ERR_NONE);
        assert_int_equal(ios[0].op.count, count);
    }
    assert_int_equal(truncate_now(bytes), ERR_NONE);
    assert_int_equal(has_o_direct(), direct == FILE_DIRECT_ON && o_direct_works);
    assert_int_equal(fstat(file.fd, &status), 0);
    assert_int_equal(status.st_size, bytes);
    for (uint64_t at = 0; at < bytes; at += step) {
        uint32_t count = (uint32_t)min_u64(step, bytes - at);
        assert_int_equal(read_now(count, at), ERR_NONE);
        assert_int_equal(bufs[0]->count, count);
        expect_pattern(bufs[0]->data, at, count);
    }
    assert_int_equal(has_o_direct(), direct == FILE_DIRECT_ON && o_direct_works);
    close_now();
}

static void test_round_trips(void **state)
{
    static const uint64_t sizes[] = {
        0,       1,   4095,    4096,           4097,           512,
        MIB - 1, MIB, MIB + 1, 2 * MIB + 4096, 3 * MIB - 4095, 3 * MIB + 12345};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        round_trip(sizes[i], FILE_DIRECT_OFF);
        round_trip(sizes[i], FILE_DIRECT_ON);
    }
}

/* Nothing that lay in the buf gets into the file. */
static void test_padding(void **state)
{
    char data[8192];
    (void)state;
    if (!o_direct_works) skip();
    memset(bufs[0]->data, 'x', MIB);
    assert_int_equal(open_now("f", O_RDWR | O_CREAT | O_TRUNC, FILE_DIRECT_ON, 100), ERR_NONE);
    assert_int_equal(write_now(100, 0), ERR_NONE);
    int fd = open("f", O_RDONLY);
    assert_int_equal(pread(fd, data, sizeof(data), 0), FILE_DIRECT_ALIGN);
    close(fd);
    for (uint32_t i = 0; i < FILE_DIRECT_ALIGN; i++)
        assert_int_equal(data[i], i < 100 ? 'x' : 0);
    close_now();
}

static void end_of_file(enum file_direct direct)
{
    make_file("f", 10000);
    assert_int_equal(open_now("f", O_RDWR, direct, 0), ERR_NONE);
    assert_int_equal(read_now(0, 0), ERR_NONE);
    assert_int_equal(bufs[0]->count, 0);
    assert_int_equal(read_now(UINT32_MAX, 8192), ERR_NONE); /* bounded by the buf */
    assert_int_equal(bufs[0]->count, 10000 - 8192);
    expect_pattern(bufs[0]->data, 8192, bufs[0]->count);
    assert_int_equal(read_now(4096, 12288), ERR_NONE);
    assert_int_equal(bufs[0]->count, 0);
    assert_int_equal(read_now(5000, 4 * GIB), ERR_NONE);
    assert_int_equal(bufs[0]->count, 0);
    assert_int_equal(truncate_now(20000), ERR_NONE); /* it grows meanwhile */
    assert_int_equal(read_now(MIB, 0), ERR_NONE);
    assert_int_equal(bufs[0]->count, 20000);
    expect_pattern(bufs[0]->data, 0, 10000);
    for (uint32_t i = 10000; i < 20000; i++)
        assert_int_equal(bufs[0]->data[i], 0);
    close_now();
}

static void test_end_of_file(void **state)
{
    (void)state;
    end_of_file(FILE_DIRECT_OFF);
    end_of_file(FILE_DIRECT_ON);
}

static void test_many_out(void **state)
{
    (void)state;
    make_file("f", IOS_MAX * MIB - 100);
    assert_int_equal(open_now("f", O_RDONLY, FILE_DIRECT_ON, 0), ERR_NONE);
    for (uint32_t i = 0; i < IOS_MAX; i++)
        file_read(&file, &ios[i], bufs[i], MIB, i * MIB);
    for (uint32_t i = 0; i < IOS_MAX; i++) {
        wait_for(&ios[i].op);
        assert_int_equal(ios[i].op.err, ERR_NONE);
        assert_int_equal(bufs[i]->count, i + 1 < IOS_MAX ? MIB : MIB - 100);
        expect_pattern(bufs[i]->data, i * MIB, bufs[i]->count);
    }
    close_now();
}

static void test_sparse(void **state)
{
    (void)state;
    int fd = open("f", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_int_equal(ftruncate(fd, 64 * MIB + 77), 0);
    assert_int_equal(pwrite(fd, "island", 6, 32 * MIB + 4096), 6);
    close(fd);
    for (int direct = FILE_DIRECT_OFF; direct <= FILE_DIRECT_ON; direct++) {
        assert_int_equal(open_now("f", O_RDONLY, direct, 64 * MIB + 77), ERR_NONE);
        memset(bufs[0]->data, 'x', MIB);
        assert_int_equal(read_now(MIB, 32 * MIB), ERR_NONE);
        assert_int_equal(bufs[0]->count, MIB);
        for (uint32_t i = 0; i < MIB; i++)
            if (i < 4096 || i >= 4096 + 6) assert_int_equal(bufs[0]->data[i], 0);
        assert_memory_equal(bufs[0]->data + 4096, "island", 6);
        memset(bufs[0]->data, 'x', MIB);
        assert_int_equal(read_now(MIB, 64 * MIB), ERR_NONE);
        assert_int_equal(bufs[0]->count, 77);
        assert_int_equal(bufs[0]->data[76], 0);
        close_now();
    }
}

/* A file without O_DIRECT that we take for one that has it: the first EINVAL corrects that. */
static void test_direct_refused_later(void **state)
{
    (void)state;
    if (!o_direct_works) skip();
    make_file("f", 10000);
    assert_int_equal(open_now("f", O_RDONLY, FILE_DIRECT_ON, 0), ERR_NONE);
    bufs[0]->data += 1; /* O_DIRECT wants aligned memory: EINVAL */
    bufs[0]->count_max -= FILE_DIRECT_ALIGN;
    enum err err = read_now(8192, 0);
    expect_pattern(bufs[0]->data, 0, 8192);
    bufs[0]->data -= 1;
    bufs[0]->count_max += FILE_DIRECT_ALIGN;
    assert_int_equal(err, ERR_NONE);
    close_now();
}

static void test_faults(void **state)
{
    (void)state;
    assert_int_equal(open_now("/proc/self/mem", O_RDONLY, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(read_now(4096, 0), ERR_FILE_IO);
    assert_int_equal(ios[0].op.raw, EIO);
    assert_int_equal(ios[0].op.count, 0);
    close_now();
    assert_int_equal(open_now("/dev/full", O_WRONLY, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(write_now(4096, 0), ERR_DISK_FULL);
    close_now();
    assert_int_equal(open_now(".", O_RDONLY, FILE_DIRECT_ON, 0), ERR_NONE);
    assert_int_equal(read_now(4096, 0), ERR_FILE_IS_FOLDER);
    close_now();
}

/* A write that the file size limit cuts short is continued, and then meets the limit. */
static void test_short_write(void **state)
{
    struct rlimit before, now;
    struct stat status;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    now = before;
    now.rlim_cur = 100000;
    assert_int_equal(open_now("f", O_WRONLY | O_CREAT, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    enum err err = write_now(200000, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, ERR_FILE_SIZE);
    assert_int_equal(ios[0].op.raw, EFBIG);
    assert_int_equal(fstat(file.fd, &status), 0);
    assert_int_equal(status.st_size, 100000);
    close_now();
}

static void make_pipe(int *ours, bool we_write)
{
    int pair[2];
    assert_int_equal(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
    *ours = pair[we_write];
    file_adopt(&file, pair[!we_write]);
    assert_int_equal(fcntl(file.fd, F_GETFL) & O_NONBLOCK, 0);
}

static void test_pipe_in(void **state)
{
    int pipe_fd;
    char data[3000];
    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = pattern(i);
    make_pipe(&pipe_fd, true);
    file_read(&file, &ios[0], bufs[0], 2500, FILE_NO_OFFSET);
    for (size_t at = 0; at < sizeof(data); at += 300) {
        core_turn(&core, false);
        assert_int_equal(write(pipe_fd, data + at, 300), 300);
    }
    close(pipe_fd);
    wait_for(&ios[0].op);
    assert_int_equal(bufs[0]->count, 2500); /* filled, however it came */
    expect_pattern(bufs[0]->data, 0, 2500);
    assert_int_equal(read_now(2500, FILE_NO_OFFSET), ERR_NONE);
    assert_int_equal(bufs[0]->count, 500);
    expect_pattern(bufs[0]->data, 2500, 500);
    assert_int_equal(read_now(2500, FILE_NO_OFFSET), ERR_NONE);
    assert_int_equal(bufs[0]->count, 0);
    close_now();
}

static void test_pipe_out(void **state)
{
    int pipe_fd;
    static char data[MIB];
    size_t count = 0;
    (void)state;
    make_pipe(&pipe_fd, false);
    for (uint32_t i = 0; i < MIB; i++)
        bufs[0]->data[i] = pattern(i);
    bufs[0]->count = MIB; /* more than a pipe holds */
    file_write(&file, &ios[0], bufs[0], FILE_NO_OFFSET);
    while (count < MIB) {
        core_turn(&core, false);
        ssize_t got = read(pipe_fd, data + count, sizeof(data) - count);
        if (got > 0) count += (size_t)got;
    }
    wait_for(&ios[0].op);
    assert_int_equal(ios[0].op.err, ERR_NONE);
    assert_int_equal(ios[0].op.count, MIB);
    expect_pattern(data, 0, MIB);
    close(pipe_fd);
    assert_int_equal(write_now(10, FILE_NO_OFFSET), ERR_PIPE_CLOSED);
    close_now();
}

static void test_cancel(void **state)
{
    int pipe_fd;
    (void)state;
    make_pipe(&pipe_fd, true);
    file_cancel(&ios[0]); /* is not out */
    file_read(&file, &ios[0], bufs[0], 100, FILE_NO_OFFSET);
    for (int i = 0; i < 3; i++)
        core_turn(&core, false);
    assert_true(ios[0].op.out);
    file_cancel(&ios[0]);
    wait_for(&ios[0].op);
    assert_int_equal(ios[0].op.err, ERR_CANCELLED);
    assert_int_equal(write(pipe_fd, "x", 1), 1);
    assert_int_equal(read_now(1, FILE_NO_OFFSET), ERR_NONE); /* and may be used again */
    assert_int_equal(bufs[0]->data[0], 'x');
    close(pipe_fd);
    close_now();
}

static void test_allocate_and_sync(void **state)
{
    struct stat status;
    (void)state;
    assert_int_equal(open_now("f", O_RDWR | O_CREAT | O_TRUNC, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(allocate_now(5 * MIB + 1), ERR_NONE);
    assert_int_equal(fstat(file.fd, &status), 0);
    assert_int_equal(status.st_size, 5 * MIB + 1);
    assert_true(status.st_blocks * 512 >= (blkcnt_t)(5 * MIB));
    assert_int_equal(truncate_now(3), ERR_NONE);
    assert_int_equal(fstat(file.fd, &status), 0);
    assert_int_equal(status.st_size, 3);
    for (int data_only = 0; data_only < 2; data_only++) {
        file_sync(&file, data_only, &file_op);
        wait_for(&file_op);
        assert_int_equal(file_op.err, ERR_NONE);
    }
    close_now();
    /* procfs has no fallocate(2): EOPNOTSUPP */
    assert_int_equal(open_now("/proc/self/oom_score_adj", O_RDWR, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(allocate_now(4096), ERR_NONE);
    assert_int_equal(file_op.raw, 0);
    close_now();
    assert_int_equal(open_now("f", O_RDONLY, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_not_equal(allocate_now(4096), ERR_NONE); /* not open for writing */
    close_now();
}

static void test_times(void **state)
{
    static const int64_t times_ns[] = {0, 1, -1, -1500000000, 1700000000123456789, -86400000000000};
    struct file_status status;
    struct aside *aside;
    struct stat before, after;
    (void)state;
    assert_int_equal(aside_open(&aside, &core, "times"), ERR_NONE);
    assert_int_equal(open_now("f", O_RDWR | O_CREAT, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(fstat(file.fd, &before), 0);
    file_status_init(&status, on_done);
    for (size_t i = 0; i < ARRAY_COUNT(times_ns); i++) {
        struct file_identity identity;
        int raw;
        status.mtime_ns = times_ns[i];
        file_set_status(&file, &status, aside);
        wait_for(&status.job.op);
        assert_int_equal(status.job.op.err, ERR_NONE);
        assert_int_equal(file_identify(&file, &identity, &raw), ERR_NONE);
        assert_int_equal(identity.mtime_ns, times_ns[i]);
        assert_int_equal(fstat(file.fd, &after), 0);
        assert_memory_equal(&after.st_atim, &before.st_atim, sizeof(after.st_atim));
    }
    close_now();
    aside_close(aside);
}

static void test_mode(void **state)
{
    struct file_status status;
    struct aside *aside;
    struct stat before, after;
    (void)state;
    assert_int_equal(aside_open(&aside, &core, "mode"), ERR_NONE);
    assert_int_equal(open_now("m", O_RDWR | O_CREAT, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(fstat(file.fd, &before), 0);
    file_status_init(&status, on_done);
    status.mode = 0604;
    file_set_status(&file, &status, aside);
    wait_for(&status.job.op);
    assert_int_equal(status.job.op.err, ERR_NONE);
    assert_int_equal(fstat(file.fd, &after), 0);
    assert_int_equal(after.st_mode & 07777, 0604);
    assert_memory_equal(&after.st_mtim, &before.st_mtim, sizeof(after.st_mtim));
    close_now();
    aside_close(aside);
}

static void test_identity(void **state)
{
    struct file_identity first, second;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    int raw;
    (void)state;
    make_file("f", 1000);
    assert_int_equal(open_now("f", O_RDWR, FILE_DIRECT_OFF, 0), ERR_NONE);
    assert_int_equal(file_identify(&file, &first, &raw), ERR_NONE);
    assert_int_equal(raw, 0);
    assert_int_equal(first.size_bytes, 1000);
    assert_true(S_ISREG(first.mode));
    assert_int_equal(read_now(1000, 0), ERR_NONE);
    assert_int_equal(fchmod(file.fd, 0600), 0); /* changes no byte */
    assert_int_equal(file_identify(&file, &second, &raw), ERR_NONE);
    assert_true(file_identity_equal(&first, &second));
    assert_int_equal(futimens(file.fd, times), 0);
    assert_int_equal(file_identify(&file, &second, &raw), ERR_NONE);
    assert_false(file_identity_equal(&first, &second));
    assert_int_equal(second.mtime_ns, 1000000000ll * (int64_t)NS_PER_S);
    first = second;
    assert_int_equal(ftruncate(file.fd, 1001), 0);
    assert_int_equal(futimens(file.fd, times), 0);
    assert_int_equal(file_identify(&file, &second, &raw), ERR_NONE);
    assert_false(file_identity_equal(&first, &second));
    close_now();
}

enum misuse { MISUSE_OFFSET, MISUSE_PADDING, MISUSE_CLOSE };

static void misuse(enum misuse which)
{
    fclose(stderr);
    switch (which) {
    case MISUSE_OFFSET: file_read(&file, &ios[0], bufs[0], 4096, 512); break;
    case MISUSE_PADDING:
        bufs[0]->count = 100;
        file_write(&file, &ios[0], bufs[0], 0);
        break;
    case MISUSE_CLOSE:
        file_read(&file, &ios[0], bufs[0], 4096, 0);
        file_close(&file, &file_op);
        break;
    }
    _exit(0);
}

/* What would lose or mix up bytes is caught before it does. */
static void test_misuse(void **state)
{
    (void)state;
    if (!o_direct_works) skip();
    make_file("f", 100000);
    assert_int_equal(open_now("f", O_RDWR, FILE_DIRECT_ON, 100000), ERR_NONE);
    for (int which = MISUSE_OFFSET; which <= MISUSE_CLOSE; which++) {
        int status;
        pid_t child = fork();
        if (child == 0) misuse(which);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
    close_now();
}

static int set_up(void **state)
{
    const struct core_options options = {.cpu = -1, .memory_bytes = 64 * MIB, .seed = 1};
    int raw;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof(folder), "/tmp/argosy-file-XXXXXX");
    if (!mkdtemp(folder) || chdir(folder)) return -1;
    int fd = open("probe", O_RDONLY | O_CREAT | O_DIRECT, 0600);
    o_direct_works = fd >= 0;
    if (fd >= 0) close(fd);
    if (core_open(&core, &options, &raw) != ERR_NONE) return -1;
    file_init(&file, &core);
    op_init(&file_op, on_done);
    for (uint32_t i = 0; i < IOS_MAX; i++) {
        file_io_init(&ios[i], on_done);
        bufs[i] = pool_try_take(&core.large);
        if (!bufs[i]) return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < IOS_MAX; i++)
        pool_give(&bufs[i]);
    core_close(&core);
    if (system("find . -mindepth 1 -delete") != 0) return -1;
    return chdir("/") || rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_errors), cmocka_unit_test(test_open),
        cmocka_unit_test(test_direct_wish), cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_padding),     cmocka_unit_test(test_nonblock_open),
        cmocka_unit_test(test_end_of_file), cmocka_unit_test(test_many_out),
        cmocka_unit_test(test_sparse),      cmocka_unit_test(test_direct_refused_later),
        cmocka_unit_test(test_faults),      cmocka_unit_test(test_short_write),
        cmocka_unit_test(test_pipe_in),     cmocka_unit_test(test_pipe_out),
        cmocka_unit_test(test_cancel),      cmocka_unit_test(test_allocate_and_sync),
        cmocka_unit_test(test_times),       cmocka_unit_test(test_mode),
        cmocka_unit_test(test_identity),    cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests_name("file", tests, set_up, tear_down);
}
