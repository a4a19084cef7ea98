/* The ring against this kernel: files, sockets, errors, cancel, time, a full queue, wakes. */
#include "core/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/mem.h"

#define ENTRIES 16u

struct bench {
    struct ring *ring;
    struct list ready;
    char folder[64];
    int dir_fd;
};

static void on_nothing(struct op *op)
{
    (void)op;
}

static int bench_open(void **state)
{
    static struct bench bench;
    int raw;
    list_init(&bench.ready);
    snprintf(bench.folder, sizeof(bench.folder), "/tmp/argosy-ring-XXXXXX");
    assert_non_null(mkdtemp(bench.folder));
    bench.dir_fd = open(bench.folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(ring_open(&bench.ring, ENTRIES, 64, &raw), ERR_NONE);
    *state = &bench;
    return 0;
}

static int bench_close(void **state)
{
    struct bench *bench = *state;
    assert_true(list_is_empty(&bench->ready));
    ring_close(bench->ring);
    close(bench->dir_fd);
    assert_int_equal(rmdir(bench->folder), 0);
    return 0;
}

/* Turns until `op`, the only one awaited, is done, and ends it as a core does. */
static enum err await(struct bench *bench, struct op *op)
{
    while (list_is_empty(&bench->ready))
        ring_turn(bench->ring, UINT64_MAX, &bench->ready);
    assert_ptr_equal(list_pop(&bench->ready), &op->link);
    assert_true(op->out);
    op->out = false;
    return op->err;
}

static void test_file(void **state)
{
    struct bench *bench = *state;
    struct op op;
    struct statx stat;
    char text[32] = "";
    op_init(&op, on_nothing);
    ring_open_file(bench->ring, bench->dir_fd, "a", O_RDWR | O_CREAT | O_EXCL, 0600, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    int fd = (int)op.count;
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ring_write(bench->ring, fd, "0123456789", 10, 5, RING_NO_ARENA, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(op.count, 10);
    ring_truncate(bench->ring, fd, 8, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    ring_read(bench->ring, fd, text, sizeof(text), 5, RING_NO_ARENA, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(op.count, 3);
    assert_memory_equal(text, "012", 3);
    ring_read(bench->ring, fd, text, sizeof(text), 100, RING_NO_ARENA, &op);
    assert_int_equal(await(bench, &op), ERR_NONE); /* behind the end */
    assert_int_equal(op.count, 0);
    ring_allocate(bench->ring, fd, 0, 0, 5 * MIB, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    ring_sync(bench->ring, fd, true, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    ring_stat(bench->ring, bench->dir_fd, "a", 0, &stat, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(stat.stx_size, 5 * MIB);
    ring_close_file(bench->ring, fd, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    ring_make_folder(bench->ring, bench->dir_fd, "f", 0700, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    ring_rename(bench->ring, bench->dir_fd, "a", bench->dir_fd, "f/b", 0, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    ring_unlink(bench->ring, bench->dir_fd, "f/b", 0, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    ring_unlink(bench->ring, bench->dir_fd, "f", AT_REMOVEDIR, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
}

static void test_file_errors(void **state)
{
    struct bench *bench = *state;
    struct op op;
    char text[8];
    op_init(&op, on_nothing);
    ring_open_file(bench->ring, bench->dir_fd, "absent", O_RDONLY, 0, &op);
    assert_int_equal(await(bench, &op), ERR_FILE_MISSING);
    assert_int_equal(op.raw, ENOENT);
    assert_int_equal(op.count, 0);
    ring_read(bench->ring, 12345, text, sizeof(text), 0, RING_NO_ARENA, &op);
    assert_int_equal(await(bench, &op), ERR_SYSTEM);
    assert_int_equal(op.raw, EBADF);
    ring_truncate(bench->ring, 12345, 0, &op);
    assert_int_equal(await(bench, &op), ERR_SYSTEM);
    uint64_t beneath = 0x08; /* RESOLVE_BENEATH, linux/openat2.h */
    ring_open_resolved(bench->ring, bench->dir_fd, "../x", O_RDONLY, 0600, beneath, &op);
    assert_int_equal(await(bench, &op), ERR_FILE_ESCAPES);
    ring_open_resolved(bench->ring, bench->dir_fd, ".", O_RDONLY, 0600, beneath, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    close((int)op.count);
}

static void test_arena(void **state)
{
    struct bench *bench = *state;
    struct op op;
    void *area;
    assert_int_equal(mem_map(&area, 4 * MIB), ERR_NONE);
    assert_int_equal((uintptr_t)area % (2 * MIB), 0);
    char *memory = area;
    enum err err = ring_register_arena(bench->ring, ARENAS_MAX - 1, memory, 4 * MIB);
    if (err) {
        assert_int_equal(err, ERR_MEMLOCK);
        print_message("[  SKIP    ] the locked-memory limit does not allow arenas\n");
        mem_unmap(area, 4 * MIB);
        return;
    }
    op_init(&op, on_nothing);
    ring_open_file(bench->ring, bench->dir_fd, "a", O_RDWR | O_CREAT, 0600, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    int fd = (int)op.count;
    memset(memory, 'x', MIB);
    ring_write(bench->ring, fd, memory, MIB, 0, ARENAS_MAX - 1, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(op.count, MIB);
    ring_read(bench->ring, fd, memory + 3 * MIB, MIB, 0, ARENAS_MAX - 1, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_memory_equal(memory, memory + 3 * MIB, MIB);
    ring_read(bench->ring, fd, memory, MIB, 0, 5, &op); /* not an arena */
    assert_int_equal(await(bench, &op), ERR_SYSTEM);
    assert_int_equal(op.raw, EFAULT);
    close(fd);
    unlinkat(bench->dir_fd, "a", 0);
    mem_unmap(area, 4 * MIB);
}

/* Both ends of a connection over loopback, in one ring. */
static void connect_pair(struct bench *bench, int pair[2])
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    socklen_t bound_bytes;
    struct op ops[2];
    int raw, listener;
    assert_int_equal(ring_socket(bench->ring, AF_INET, &listener, &raw), ERR_NONE);
    assert_int_equal(
        ring_listen(bench->ring, listener, (struct sockaddr *)&any, sizeof(any), 8, &raw),
        ERR_NONE);
    assert_int_equal(ring_socket_name(bench->ring, listener, &bound, &bound_bytes), ERR_NONE);
    assert_int_equal(ring_socket(bench->ring, AF_INET, &pair[0], &raw), ERR_NONE);
    op_init(&ops[0], on_nothing);
    op_init(&ops[1], on_nothing);
    ring_accept(bench->ring, listener, &ops[1]);
    ring_connect(bench->ring, pair[0], (struct sockaddr *)&bound, bound_bytes, &ops[0]);
    while (list_is_empty(&bench->ready) || bench->ready.head.next->next == &bench->ready.head)
        ring_turn(bench->ring, UINT64_MAX, &bench->ready);
    list_init(&bench->ready);
    assert_int_equal(ops[0].err, ERR_NONE);
    assert_int_equal(ops[1].err, ERR_NONE);
    pair[1] = (int)ops[1].count;
    close(listener);
}

static void test_socket(void **state)
{
    struct bench *bench = *state;
    int pair[2];
    connect_pair(bench, pair);
    struct op op;
    char head[] = "head ", body[] = "body", got[32] = "";
    struct iovec parts[] = {{head, 5}, {body, 4}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    struct ring_tcp_info info;
    op_init(&op, on_nothing);
    assert_true(ring_socket_is_quiet(bench->ring, pair[1]));
    ring_send(bench->ring, pair[0], &message, &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(op.count, 9);
    assert_false(ring_socket_is_quiet(bench->ring, pair[1]));
    ring_receive(bench->ring, pair[1], got, sizeof(got), &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(op.count, 9);
    assert_string_equal(got, "head body");
    int fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ring_socket_info(bench->ring, fresh, &info), ERR_NONE);
    assert_int_equal(info.rtt_min_ns, 0); /* the kernel has all ones for "none yet" */
    close(fresh);
    assert_int_equal(ring_socket_info(bench->ring, pair[0], &info), ERR_NONE);
    assert_int_equal(info.bytes_sent, 9);
    assert_int_equal(ring_socket_info(bench->ring, pair[1], &info), ERR_NONE);
    assert_int_equal(info.segments_received, 1);
    assert_int_equal(info.segments_behind_hole, 0); /* loopback keeps the order */
    assert_true(info.receive_segment_bytes > 0);
    close(pair[0]);
    ring_receive(bench->ring, pair[1], got, sizeof(got), &op);
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(op.count, 0); /* the end of the stream */
    assert_false(ring_socket_is_quiet(bench->ring, pair[1]));
    close(pair[1]);
}

/* Who never waits gets completions too: deferred work is run by a turn that only looks. */
static void test_turns_without_waiting(void **state)
{
    struct bench *bench = *state;
    int pair[2];
    struct op op;
    char byte;
    connect_pair(bench, pair);
    op_init(&op, on_nothing);
    ring_receive(bench->ring, pair[0], &byte, 1, &op);
    ring_turn(bench->ring, 0, &bench->ready);
    assert_true(list_is_empty(&bench->ready));
    assert_int_equal(write(pair[1], "x", 1), 1);
    for (uint32_t turns = 0; list_is_empty(&bench->ready); turns++) {
        assert_true(turns < 1000);
        ring_turn(bench->ring, 0, &bench->ready);
        usleep(100);
    }
    assert_int_equal(await(bench, &op), ERR_NONE);
    assert_int_equal(op.count, 1);
    close(pair[0]);
    close(pair[1]);
}

/* More than the socket buffers hold: the send waits for the reader, and is whole. */
static void test_send_is_whole(void **state)
{
    struct bench *bench = *state;
    const uint32_t bytes = 32 * MIB;
    int pair[2];
    struct op send, receive;
    char *memory = calloc(2, bytes);
    struct iovec part = {memory, bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    connect_pair(bench, pair);
    op_init(&send, on_nothing);
    op_init(&receive, on_nothing);
    ring_send(bench->ring, pair[0], &message, &send);
    ring_turn(bench->ring, 0, &bench->ready);
    assert_true(list_is_empty(&bench->ready));
    for (uint32_t got = 0; got < bytes; got += receive.count) {
        ring_receive(bench->ring, pair[1], memory + bytes + got, bytes - got, &receive);
        bool done = false;
        while (!done) {
            ring_turn(bench->ring, UINT64_MAX, &bench->ready);
            struct link *link;
            while ((link = list_pop(&bench->ready))) {
                struct op *op = container_of(link, struct op, link);
                op->out = false;
                done = done || op == &receive;
            }
        }
        assert_int_equal(receive.err, ERR_NONE);
        assert_true(receive.count > 0);
    }
    if (send.out) assert_int_equal(await(bench, &send), ERR_NONE);
    assert_int_equal(send.count, bytes);
    free(memory);
    close(pair[0]);
    close(pair[1]);
}

static void test_socket_errors(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_in closed = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(1)};
    struct op op;
    int fd, raw, pair[2];
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct linger reset = {.l_onoff = 1};
    op_init(&op, on_nothing);
    assert_int_equal(ring_socket(bench->ring, AF_INET, &fd, &raw), ERR_NONE);
    ring_connect(bench->ring, fd, (struct sockaddr *)&closed, sizeof(closed), &op);
    assert_int_equal(await(bench, &op), ERR_REFUSED);
    assert_int_equal(op.raw, ECONNREFUSED);
    close(fd);
    connect_pair(bench, pair);
    assert_int_equal(ring_socket_option(bench->ring, pair[1], SOL_SOCKET, SO_LINGER, &reset,
                                        sizeof(reset), &raw),
                     ERR_NONE);
    close(pair[1]); /* resets */
    ring_receive(bench->ring, pair[0], &byte, 1, &op);
    assert_int_equal(await(bench, &op), ERR_RESET);
    ring_send(bench->ring, pair[0], &message, &op); /* no SIGPIPE */
    assert_int_equal(await(bench, &op), ERR_RESET);
    close(pair[0]);
}

static void test_cancel(void **state)
{
    struct bench *bench = *state;
    int pair[2];
    struct op op;
    char byte;
    connect_pair(bench, pair);
    op_init(&op, on_nothing);
    ring_cancel(bench->ring, &op); /* not out: harmless */
    for (uint32_t i = 0; i < 2; i++) {
        ring_receive(bench->ring, pair[0], &byte, 1, &op);
        if (i) ring_turn(bench->ring, 0, &bench->ready); /* submitted already, or not yet */
        ring_cancel(bench->ring, &op);
        assert_int_equal(await(bench, &op), ERR_CANCELLED);
    }
    assert_int_equal(write(pair[1], "x", 1), 1);
    ring_receive(bench->ring, pair[0], &byte, 1, &op); /* the op is good for another start */
    assert_int_equal(await(bench, &op), ERR_NONE);
    close(pair[0]);
    close(pair[1]);
}

static void test_full_queue(void **state)
{
    struct bench *bench = *state;
    static struct op ops[1000]; /* more than both queues hold */
    char bytes[8];
    int fd = open("/dev/zero", O_RDONLY);
    ring_turn(bench->ring, 0, &bench->ready); /* now the ring is this thread's */
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        op_init(&ops[i], on_nothing);
        ring_read(bench->ring, fd, bytes, sizeof(bytes), 0, RING_NO_ARENA, &ops[i]);
    }
    for (size_t done = 0; done < ARRAY_COUNT(ops);) {
        ring_turn(bench->ring, UINT64_MAX, &bench->ready);
        struct link *link;
        while ((link = list_pop(&bench->ready))) {
            assert_int_equal(container_of(link, struct op, link)->count, sizeof(bytes));
            done++;
        }
    }
    close(fd);
}

static void test_time(void **state)
{
    struct bench *bench = *state;
    uint64_t start_ns = clock_now_ns();
    ring_turn(bench->ring, start_ns + 20 * NS_PER_MS, &bench->ready);
    uint64_t waited_ns = clock_now_ns() - start_ns;
    assert_true(waited_ns >= 19 * NS_PER_MS && waited_ns < 20 * NS_PER_S);
    for (uint32_t i = 0; i < 100 && waited_ns >= 10 * NS_PER_MS; i++) { /* others may run between */
        start_ns = clock_now_ns();
        ring_turn(bench->ring, start_ns - 1, &bench->ready); /* a moment that has passed */
        ring_turn(bench->ring, 0, &bench->ready);
        waited_ns = clock_now_ns() - start_ns;
    }
    assert_true(waited_ns < 10 * NS_PER_MS);
}

struct waker {
    struct ring *to;
    bool with_ring;
};

static void *wake(void *argument)
{
    struct waker *waker = argument;
    struct ring *from = NULL;
    struct list ready;
    int raw;
    usleep(20000);
    list_init(&ready);
    if (waker->with_ring) assert_int_equal(ring_open(&from, ENTRIES, 64, &raw), ERR_NONE);
    ring_wake(from, waker->to);
    if (from) ring_turn(from, 0, &ready);
    ring_close(from);
    return NULL;
}

static void test_wake(void **state)
{
    struct bench *bench = *state;
    for (int with_ring = 0; with_ring < 2; with_ring++) {
        for (uint32_t round = 0; round < 3; round++) {
            struct waker waker = {bench->ring, with_ring};
            pthread_t thread;
            ring_turn(bench->ring, 0, &bench->ready);
            assert_int_equal(pthread_create(&thread, NULL, wake, &waker), 0);
            uint64_t start_ns = clock_now_ns();
            ring_turn(bench->ring, start_ns + 10 * NS_PER_S, &bench->ready);
            assert_true(clock_now_ns() - start_ns < 5 * NS_PER_S);
            pthread_join(thread, NULL);
            ring_turn(bench->ring, 0, &bench->ready);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_file),
        TEST(test_file_errors),
        TEST(test_arena),
        TEST(test_socket),
        TEST(test_turns_without_waiting),
        TEST(test_send_is_whole),
        TEST(test_socket_errors),
        TEST(test_cancel),
        TEST(test_full_queue),
        TEST(test_time),
        TEST(test_wake),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
