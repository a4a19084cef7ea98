/* What the kernel took is not what the peer has: a request that waits in our socket's buffer is
 * still being sent, for who looks at it. The peer listens in this thread, with little room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/exchange.h"

#define HEAD       "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 12000\r\n\r\n"
#define BODY_BYTES 12000u /* below what a socket's buffer takes at once; above the peer's room */
#define ROOM_BYTES 2048

struct world {
    struct core core;
    struct dial *dial;
    struct exchange x;
    struct op start, end;
    int listener, peer;
};

static void on_done(struct op *op)
{
    (void)op;
}

static void wait_for(struct world *w, struct op *op)
{
    while (op->out)
        core_turn(&w->core, true);
    assert_int_equal(op->err, ERR_NONE);
}

static uint16_t listen_narrow(struct world *w)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof in;
    int room = ROOM_BYTES;
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(setsockopt(w->listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    assert_return_code(bind(w->listener, (struct sockaddr *)&in, sizeof in), 0);
    assert_return_code(listen(w->listener, 1), 0);
    assert_return_code(getsockname(w->listener, (struct sockaddr *)&in, &bytes), 0);
    return ntohs(in.sin_port);
}

static void open_world(struct world *w)
{
    static const struct exchange_timeouts patient = {60 * NS_PER_S, 60 * NS_PER_S};
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    int raw;
    alarm(120);
    memset(w, 0, sizeof *w);
    assert_int_equal(core_open(&w->core, &options, &raw), ERR_NONE);
    struct dial_options dial = {.host = "127.0.0.1",
                                .port = listen_narrow(w),
                                .connections_max = 1,
                                .connect_timeout_ns = 60 * NS_PER_S,
                                .tls_timeout_ns = 60 * NS_PER_S,
                                .idle_max_ns = 60 * NS_PER_S};
    assert_int_equal(dial_open(&w->dial, &w->core, &dial), ERR_NONE);
    exchange_init(&w->x, &w->core, w->dial, &patient);
    op_init(&w->start, on_done);
    op_init(&w->end, on_done);
}

static void close_world(struct world *w)
{
    exchange_end(&w->x, &w->end);
    wait_for(w, &w->end);
    dial_close(w->dial, &w->end);
    wait_for(w, &w->end);
    close(w->peer);
    close(w->listener);
    core_close(&w->core);
}

/* The peer's program takes `count` bytes. */
static void take(struct world *w, size_t count)
{
    char area[4096];
    while (count > 0) {
        ssize_t got = recv(w->peer, area, count < sizeof area ? count : sizeof area, 0);
        assert_true(got > 0);
        count -= (size_t)got;
    }
}

static void test_unsent(void **state)
{
    static char body[BODY_BYTES];
    struct iovec iovec = {body, sizeof body};
    struct exchange_send send = {
        .head = BYTES(HEAD), .body = &iovec, .body_count = 1, .body_bytes = sizeof body};
    struct exchange_view view;
    struct world w;
    (void)state;
    open_world(&w);
    exchange_start(&w.x, &send, &w.start);
    wait_for(&w, &w.start);
    assert_int_equal(exchange_wait(&w.x), EXCHANGE_WAIT_ANSWER); /* our kernel has all of it */
    assert_true(exchange_view(&w.x, &view));
    assert_int_equal(view.wait, EXCHANGE_WAIT_SEND);
    assert_true(view.unsent);
    assert_true(view.moved_bytes < BODY_BYTES);
    w.peer = accept(w.listener, NULL, NULL);
    take(&w, sizeof HEAD - 1 + BODY_BYTES);
    do {
        core_turn(&w.core, false);
        assert_true(exchange_view(&w.x, &view));
    } while (view.wait != EXCHANGE_WAIT_ANSWER); /* until the last acknowledgement */
    assert_false(view.unsent);
    assert_in_range(view.moved_bytes, BODY_BYTES, 2 * BODY_BYTES);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unsent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
