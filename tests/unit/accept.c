/* The acceptor, with plain and TLS clients of ours on loopback. */
#include "net/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/certificate.h"

#define CLIENTS_MAX 12u

struct client {
    struct op connect, open, close;
    struct plain plain;
    struct tls *tls;
    struct stream *stream;
    int fd;
};

struct fixture { /* the acceptor's owner */
    struct core core;
    struct acceptor acceptor;
    struct list accepted;
    uint32_t accepted_count;
    struct op closing;
    struct client clients[CLIENTS_MAX];
};

static struct fixture f;

static void on_done(struct op *op)
{
    (void)op; /* the tests look at `out` */
}

static void on_accepted(struct acceptor *acceptor, struct accepted *accepted)
{
    struct fixture *owner = container_of(acceptor, struct fixture, acceptor);
    list_push(&owner->accepted, &accepted->link);
    owner->accepted_count++;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1};
    int raw;
    (void)state;
    memset(&f, 0, sizeof(f));
    list_init(&f.accepted);
    op_init(&f.closing, on_done);
    return core_open(&f.core, &options, &raw);
}

static int tear_down(void **state)
{
    (void)state;
    core_close(&f.core);
    return 0;
}

static void wait_for(const struct op *op)
{
    while (op->out)
        core_turn(&f.core, true);
}

static void turns(int count)
{
    while (count-- > 0)
        core_turn(&f.core, false);
}

static void wait_accepted(uint32_t count)
{
    while (f.accepted_count < count)
        core_turn(&f.core, true);
}

static void listen_on(const char *host, struct tls_context *tls, uint32_t connections_max)
{
    struct accept_options options = {.tls = tls, .connections_max = connections_max};
    int raw;
    assert_true(addr_parse(bytes_of(host), 0, &options.addr));
    assert_int_equal(accept_open(&f.acceptor, &f.core, &options, on_accepted, &raw), ERR_NONE);
    assert_int_not_equal(addr_port(&f.acceptor.bound), 0);
}

static struct client *dial(uint32_t index)
{
    struct client *client = &f.clients[index];
    struct sock_options options = {0};
    int raw;
    op_init(&client->connect, on_done);
    op_init(&client->open, on_done);
    op_init(&client->close, on_done);
    assert_int_equal(sock_open(&f.core, &f.acceptor.bound, &options, &client->fd, &raw), ERR_NONE);
    ring_connect(f.core.ring, client->fd, &f.acceptor.bound.u.any, f.acceptor.bound.bytes,
                 &client->connect);
    wait_for(&client->connect);
    assert_int_equal(client->connect.err, ERR_NONE);
    plain_init(&client->plain, &f.core, client->fd);
    client->stream = &client->plain.stream;
    return client;
}

static void hang_up(struct client *client)
{
    stream_close(client->stream, &client->close);
    wait_for(&client->close);
}

static void release_first(void)
{
    struct accepted *accepted = container_of(list_pop(&f.accepted), struct accepted, link);
    struct op closing;
    op_init(&closing, on_done);
    stream_close(accepted->stream, &closing);
    wait_for(&closing);
    accept_release(accepted);
}

static void close_acceptor(void)
{
    accept_close(&f.acceptor, &f.closing);
    wait_for(&f.closing);
}

static void test_plain(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        char peer[ADDR_TEXT_BYTES], sent[] = "hello", got[8];
        struct iovec iovec = {sent, sizeof(sent)};
        struct op send, receive;
        f.accepted_count = 0;
        listen_on(hosts[i], NULL, 4);
        struct client *client = dial(0);
        wait_accepted(1);
        struct accepted *accepted = container_of(list_first(&f.accepted), struct accepted, link);
        assert_non_null(strstr(addr_format(&accepted->peer, peer), hosts[i]));
        op_init(&send, on_done);
        op_init(&receive, on_done);
        stream_send(accepted->stream, &iovec, 1, &send);
        stream_receive(client->stream, got, sizeof(got), &receive);
        wait_for(&send);
        wait_for(&receive);
        assert_string_equal(got, sent);
        hang_up(client);
        release_first();
        close_acceptor();
    }
}

/* More clients than slots: the others wait until a slot is free. */
static void test_full(void **state)
{
    (void)state;
    listen_on("127.0.0.1", NULL, 5);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        dial(i);
    wait_accepted(5);
    turns(20);
    assert_int_equal(f.accepted_count, 5);
    for (uint32_t i = 5; i < CLIENTS_MAX; i++) {
        release_first();
        wait_accepted(i + 1);
        turns(3);
        assert_int_equal(f.accepted_count, i + 1);
    }
    while (!list_is_empty(&f.accepted))
        release_first();
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        hang_up(&f.clients[i]);
    assert_int_equal(f.acceptor.accepted_count, CLIENTS_MAX);
    close_acceptor();
}

/* Out of descriptors: it pauses, and goes on when there are some again. */
static void test_no_descriptors(void **state)
{
    struct rlimit old, tight;
    struct sock_options options = {0};
    struct op connect;
    struct addr addr;
    int fd, raw;
    (void)state;
    listen_on("127.0.0.1", NULL, 5);
    assert_true(addr_parse(BYTES("127.0.0.1"), addr_port(&f.acceptor.bound), &addr));
    assert_int_equal(sock_open(&f.core, &addr, &options, &fd, &raw), ERR_NONE);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0); /* before the kernel hears of accepts */
    op_init(&connect, on_done);
    ring_connect(f.core.ring, fd, &addr.u.any, addr.bytes, &connect);
    wait_for(&connect);
    turns(200);
    assert_int_equal(f.accepted_count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    wait_accepted(1); /* it waited in the backlog */
    turns(3);
    close(fd);
    release_first();
    close_acceptor();
}

static void test_close_waits_for_the_released(void **state)
{
    (void)state;
    listen_on("127.0.0.1", NULL, 2);
    struct client *client = dial(0);
    wait_accepted(1);
    accept_close(&f.acceptor, &f.closing);
    turns(10);
    assert_true(f.closing.out);
    release_first();
    wait_for(&f.closing);
    hang_up(client);
}

static void test_port_in_use(void **state)
{
    struct acceptor other;
    struct accept_options options = {.connections_max = 1};
    int raw;
    (void)state;
    listen_on("127.0.0.1", NULL, 1);
    options.addr = f.acceptor.bound;
    assert_int_not_equal(accept_open(&other, &f.core, &options, on_accepted, &raw), ERR_NONE);
    assert_int_not_equal(raw, 0);
    close_acceptor();
}

static void test_tls(void **state)
{
    static const char certificate[] = "/tmp/argosy-accept-certificate.pem";
    static const char key[] = "/tmp/argosy-accept-key.pem";
    struct tls_server_options server_options = {certificate, key};
    struct tls_client_options client_options = {.ca_bundle = certificate, .verify = true};
    struct tls_context *server, *client;
    char why[TLS_WHY_BYTES];
    (void)state;
    assert_int_equal(certificate_make(certificate, key, 1, why), ERR_NONE);
    assert_int_equal(tls_context_open_server(&server, &server_options, why), ERR_NONE);
    assert_int_equal(tls_context_open_client(&client, &client_options, why), ERR_NONE);
    listen_on("127.0.0.1", server, 3);

    struct client *rude = dial(0); /* says nothing TLS knows */
    assert_int_equal(write(rude->fd, "GET / HTTP/1.1\r\n", 16), 16);
    while (f.acceptor.failed_count < 1)
        core_turn(&f.core, true);
    assert_non_null(strstr(f.acceptor.why, "the client does not speak TLS"));
    hang_up(rude);

    struct client *good = dial(1);
    assert_int_equal(tls_open(&good->tls, &f.core), ERR_NONE);
    assert_int_equal(tls_start(good->tls, client, good->fd, "127.0.0.1"), ERR_NONE);
    good->stream = tls_stream(good->tls);
    stream_open(good->stream, &good->open);
    wait_for(&good->open);
    assert_int_equal(good->open.err, ERR_NONE);
    wait_accepted(1);

    struct client *slow = dial(2); /* still in its handshake when we close */
    turns(10);
    hang_up(good);
    release_first();
    close_acceptor();
    hang_up(slow);
    assert_int_equal(f.acceptor.accepted_count, 1);
    tls_close(good->tls);
    tls_context_close(server);
    tls_context_close(client);
    unlink(certificate);
    unlink(key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain),          TEST(test_full),
        TEST(test_no_descriptors), TEST(test_close_waits_for_the_released),
        TEST(test_port_in_use),    TEST(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
