/* Plain streams over a socket pair: whole sends, ends, and what close does to what is out. */
#include "net/plain.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/rand.h"

#define PAYLOAD_BYTES (4 * MIB)
#define LAST          (STREAM_IOVECS_MAX - 1)

struct fixture {
    struct core core;
    struct plain plain;
    struct stream *stream;
    struct op open, send, receive, close;
    int peer; /* the other end, non-blocking */
    int order, send_order, receive_order, close_order;
    char *out, *in;
};

static struct fixture f;

static void on_send(struct op *op)
{
    (void)op;
    f.send_order = ++f.order;
}

static void on_receive(struct op *op)
{
    (void)op;
    f.receive_order = ++f.order;
}

static void on_close(struct op *op)
{
    (void)op;
    f.close_order = ++f.order;
}

static void on_open(struct op *op)
{
    (void)op;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1};
    struct rand rand;
    int raw, fds[2];
    (void)state;
    memset(&f, 0, sizeof(f));
    if (core_open(&f.core, &options, &raw) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) return 1;
    f.peer = fds[1];
    if (fcntl(f.peer, F_SETFL, O_NONBLOCK)) return 1;
    plain_init(&f.plain, &f.core, fds[0]);
    f.stream = &f.plain.stream;
    op_init(&f.open, on_open);
    op_init(&f.send, on_send);
    op_init(&f.receive, on_receive);
    op_init(&f.close, on_close);
    f.out = malloc(PAYLOAD_BYTES);
    f.in = malloc(PAYLOAD_BYTES);
    rand_init(&rand, 3);
    for (size_t i = 0; i < PAYLOAD_BYTES; i++)
        f.out[i] = (char)rand_u64(&rand);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(f.peer);
    core_close(&f.core);
    free(f.out);
    free(f.in);
    return 0;
}

static void wait_for(const struct op *op)
{
    while (op->out)
        core_turn(&f.core, true);
}

static void close_stream(void)
{
    stream_close(f.stream, &f.close);
    wait_for(&f.close);
    assert_int_equal(f.close.err, ERR_NONE);
    assert_int_equal(f.stream->fd, -1);
}

static void test_send_is_whole(void **state)
{
    struct iovec iovecs[STREAM_IOVECS_MAX];
    size_t at = 0, got = 0;
    (void)state;
    for (uint32_t i = 0; i < STREAM_IOVECS_MAX; i++) {
        size_t piece = i == LAST ? PAYLOAD_BYTES - at : i == 5 ? 0 : i * 919;
        iovecs[i] = (struct iovec){f.out + at, piece};
        at += piece;
    }
    size_t last_bytes = iovecs[LAST].iov_len;
    stream_open(f.stream, &f.open);
    wait_for(&f.open);
    stream_send(f.stream, iovecs, STREAM_IOVECS_MAX, &f.send);
    while (got < PAYLOAD_BYTES) { /* far more than the socket holds: it stops half way many times */
        core_turn(&f.core, false);
        ssize_t count = read(f.peer, f.in + got, 50000);
        if (count > 0) got += (size_t)count;
    }
    wait_for(&f.send);
    assert_int_equal(f.send.err, ERR_NONE);
    assert_int_equal(f.send.count, PAYLOAD_BYTES);
    assert_memory_equal(f.in, f.out, PAYLOAD_BYTES);
    assert_int_equal(iovecs[LAST].iov_len, last_bytes); /* the caller's are left alone */
    close_stream();
}

static void test_nothing_to_send(void **state)
{
    struct iovec empty = {f.out, 0};
    (void)state;
    stream_send(f.stream, &empty, 1, &f.send);
    assert_true(f.send.out); /* never done inside the start */
    wait_for(&f.send);
    assert_int_equal(f.send.err, ERR_NONE);
    close_stream();
}

static void test_receive_and_end(void **state)
{
    (void)state;
    assert_int_equal(write(f.peer, f.out, 1000), 1000);
    stream_receive(f.stream, f.in, PAYLOAD_BYTES, &f.receive);
    wait_for(&f.receive);
    assert_int_equal(f.receive.count, 1000);
    assert_memory_equal(f.in, f.out, 1000);
    shutdown(f.peer, SHUT_WR);
    stream_receive(f.stream, f.in, 10, &f.receive);
    wait_for(&f.receive);
    assert_int_equal(f.receive.err, ERR_NONE);
    assert_int_equal(f.receive.count, 0);
    close_stream();
}

static void test_peer_gone(void **state)
{
    struct iovec iovec = {f.out, 1000};
    (void)state;
    shutdown(f.peer, SHUT_RDWR);
    stream_send(f.stream, &iovec, 1, &f.send);
    wait_for(&f.send);
    assert_int_equal(f.send.err, ERR_RESET);
    assert_int_equal(f.send.count, 0);
    assert_int_not_equal(f.send.raw, 0);
    close_stream();
}

static void test_close_cancels_first(void **state)
{
    struct iovec iovec = {f.out, PAYLOAD_BYTES};
    (void)state;
    stream_send(f.stream, &iovec, 1, &f.send);
    stream_receive(f.stream, f.in, 10, &f.receive);
    for (int i = 0; i < 5; i++)
        core_turn(&f.core, false);
    assert_true(f.send.out && f.receive.out);
    close_stream();
    assert_int_equal(f.receive.err, ERR_CANCELLED);
    assert_int_equal(f.send.err, ERR_CANCELLED);
    assert_int_equal(f.close_order, 3); /* after both */
}

static void test_close_before_the_kernel_heard(void **state)
{
    (void)state;
    stream_receive(f.stream, f.in, 10, &f.receive);
    close_stream();
    assert_int_equal(f.receive.err, ERR_CANCELLED);
    assert_int_equal(f.receive_order, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_send_is_whole),       TEST(test_nothing_to_send),
        TEST(test_receive_and_end),     TEST(test_peer_gone),
        TEST(test_close_cancels_first), TEST(test_close_before_the_kernel_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
