/* TLS streams of both sides in one core: handshakes, payload through odd pieces, resumption, and
 * all that a peer can do wrong. */
#include "net/tls.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/rand.h"
#include "net/certificate.h"

#define PAYLOAD_BYTES (20 * MIB)

struct side {
    struct tls *tls;
    struct stream *stream;
    struct op open, send, receive, close;
    struct rand content, shape; /* of what it sends */
    uint64_t sent_bytes, received_bytes, total_bytes;
    struct iovec iovecs[STREAM_IOVECS_MAX];
    char out[300000], in[100001];
    char *payload;
    uint32_t sending_bytes;
};

struct fixture {
    struct core core;
    char folder[32], certificate[64], key[64], why[TLS_WHY_BYTES];
    struct tls_context *server;
    struct side sides[2]; /* client, server */
};

static struct fixture f;
static struct side *const client = &f.sides[0], *const server = &f.sides[1];

static void on_done(struct op *op)
{
    (void)op; /* the tests look at `out` */
}

static void wait_for(const struct op *op)
{
    for (int i = 0; op->out; i++) {
        assert_true(i < 1000000);
        core_turn(&f.core, true);
    }
}

static void side_init(struct side *side)
{
    assert_int_equal(tls_open(&side->tls, &f.core), ERR_NONE);
    side->stream = tls_stream(side->tls);
    op_init(&side->open, on_done);
    op_init(&side->send, on_done);
    op_init(&side->receive, on_done);
    op_init(&side->close, on_done);
}

static void remake_server(void)
{
    struct tls_server_options options = {f.certificate, f.key};
    if (f.server) tls_context_close(f.server);
    assert_int_equal(tls_context_open_server(&f.server, &options, f.why), ERR_NONE);
}

static void make_certificate(int days)
{
    assert_int_equal(certificate_make(f.certificate, f.key, days, f.why), ERR_NONE);
    remake_server();
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1};
    int raw;
    (void)state;
    memset(&f, 0, sizeof(f));
    if (core_open(&f.core, &options, &raw)) return 1;
    snprintf(f.folder, sizeof(f.folder), "/tmp/argosy-tls-XXXXXX");
    if (!mkdtemp(f.folder)) return 1;
    snprintf(f.certificate, sizeof(f.certificate), "%s/certificate.pem", f.folder);
    snprintf(f.key, sizeof(f.key), "%s/key.pem", f.folder);
    make_certificate(30);
    side_init(client);
    side_init(server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_close(client->tls);
    tls_close(server->tls);
    tls_context_close(f.server);
    core_close(&f.core);
    unlink(f.certificate);
    unlink(f.key);
    return rmdir(f.folder);
}

static struct tls_context *client_context(bool trusting, bool tls12_only, const char *suites)
{
    struct tls_client_options options = {.ca_bundle = trusting ? f.certificate : NULL,
                                         .verify = true,
                                         .tls12_only = tls12_only,
                                         .tls13_suites = suites};
    struct tls_context *context;
    assert_int_equal(tls_context_open_client(&context, &options, f.why), ERR_NONE);
    return context;
}

static void start_client(struct tls_context *context, const char *host, int *other_fd)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(tls_start(client->tls, context, fds[0], host), ERR_NONE);
    *other_fd = fds[1];
    stream_open(client->stream, &client->open);
}

static enum err handshake(struct tls_context *context, const char *host)
{
    int fd;
    start_client(context, host, &fd);
    assert_int_equal(tls_start(server->tls, f.server, fd, NULL), ERR_NONE);
    stream_open(server->stream, &server->open);
    wait_for(&client->open);
    if (client->open.err == ERR_NONE) {
        wait_for(&server->open);
        assert_int_equal(server->open.err, ERR_NONE);
    }
    return client->open.err;
}

static void close_both(void)
{
    stream_close(client->stream, &client->close);
    stream_close(server->stream, &server->close);
    wait_for(&client->close);
    wait_for(&server->close);
    assert_int_equal(client->stream->fd, -1);
}

/* ---- payload ---- */

static void send_some(struct side *side)
{
    uint32_t at = 0, count = 1 + (uint32_t)rand_below(&side->shape, STREAM_IOVECS_MAX);
    uint64_t left = side->total_bytes - side->sent_bytes;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t most = min_u64(left - at, rand_below(&side->shape, 4) ? 60000 : 40);
        uint32_t piece = (uint32_t)rand_below(&side->shape, most + 1);
        side->iovecs[i] = (struct iovec){side->payload + side->sent_bytes + at, piece};
        at += piece;
    }
    side->sending_bytes = at;
    stream_send(side->stream, side->iovecs, count, &side->send);
}

static void pump(struct side *from, struct side *to)
{
    if (!from->send.out && from->sent_bytes < from->total_bytes) {
        assert_int_equal(from->send.err, ERR_NONE);
        assert_int_equal(from->send.count, from->sending_bytes);
        from->sent_bytes += from->sending_bytes;
        from->sending_bytes = 0;
        if (from->sent_bytes < from->total_bytes) send_some(from);
    }
    if (!to->receive.out && to->received_bytes < from->total_bytes) {
        assert_int_equal(to->receive.err, ERR_NONE);
        assert_memory_equal(to->in, from->payload + to->received_bytes, to->receive.count);
        to->received_bytes += to->receive.count;
        uint32_t room =
            1 + (uint32_t)rand_below(&to->shape, rand_below(&to->shape, 8) ? sizeof(to->in) : 50);
        if (to->received_bytes < from->total_bytes)
            stream_receive(to->stream, to->in, room, &to->receive);
    }
}

static void exchange_payload(uint64_t bytes)
{
    for (uint64_t i = 0; i < 2; i++) {
        struct side *side = &f.sides[i];
        rand_init(&side->content, 11 + i);
        rand_init(&side->shape, 21 + i);
        side->sent_bytes = side->received_bytes = 0;
        side->sending_bytes = 0;
        side->total_bytes = bytes;
        side->payload = malloc(bytes);
        for (uint64_t k = 0; k < bytes; k += 8) {
            uint64_t word = rand_u64(&side->content);
            memcpy(side->payload + k, &word, min_u64(8, bytes - k));
        }
        op_init(&side->send, on_done);
        op_init(&side->receive, on_done);
    }
    while (client->received_bytes < bytes || server->received_bytes < bytes ||
           client->sent_bytes < bytes || server->sent_bytes < bytes) {
        pump(client, server);
        pump(server, client);
        core_turn(&f.core, client->send.out || client->receive.out || server->send.out ||
                               server->receive.out);
    }
    free(client->payload);
    free(server->payload);
}

static void test_payload(void **state)
{
    static const struct {
        bool tls12_only;
        const char *suites, *described;
    } rows[] = {
        {false, NULL, "TLSv1.3 TLS_AES_128_GCM_SHA256"},
        {false, "TLS_AES_256_GCM_SHA384", "TLSv1.3 TLS_AES_256_GCM_SHA384"},
        {false, "TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256"},
        {true, NULL, "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[96];
        struct tls_context *context = client_context(true, rows[i].tls12_only, rows[i].suites);
        assert_int_equal(handshake(context, "localhost"), ERR_NONE);
        tls_describe(client->tls, text, sizeof(text));
        assert_string_equal(text, rows[i].described);
        exchange_payload(i == 0 ? PAYLOAD_BYTES + 1 : PAYLOAD_BYTES / 8 + 1);
        close_both();
        tls_context_close(context);
    }
}

/* ---- resumption ---- */

static void say_something(void)
{
    exchange_payload(1000); /* the tickets come before the first payload */
}

static void test_resumption(void **state)
{
    (void)state;
    for (int tls12 = 0; tls12 <= 1; tls12++) {
        struct tls_context *context = client_context(true, tls12, NULL);
        for (int round = 0; round < 4; round++) {
            assert_int_equal(handshake(context, "localhost"), ERR_NONE);
            assert_int_equal(tls_is_resumed(client->tls), round > 0);
            say_something();
            close_both();
            if (round == 2) remake_server(); /* another core's context: the same tickets do */
        }
        /* a ticket is of its host only */
        assert_int_equal(handshake(context, "127.0.0.1"), ERR_NONE);
        assert_false(tls_is_resumed(client->tls));
        close_both();
        tls_context_close(context);
    }
}

/* ---- certificates ---- */

static void test_names(void **state)
{
    static const struct {
        const char *host;
        enum err err;
    } rows[] = {
        {"localhost", ERR_NONE},
        {"LOCALHOST", ERR_NONE},
        {"localhost.", ERR_NONE},
        {"bucket.localhost", ERR_TLS_CERTIFICATE},
        {"127.0.0.1", ERR_NONE},
        {"::1", ERR_NONE},
        {"a.b.localhost", ERR_TLS_CERTIFICATE},
        {"example.org", ERR_TLS_CERTIFICATE},
        {"127.0.0.2", ERR_TLS_CERTIFICATE},
    };
    (void)state;
    struct tls_context *context = client_context(true, false, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(handshake(context, rows[i].host), rows[i].err);
        if (rows[i].err)
            assert_string_equal(client->stream->why, "host name does not match (CN=localhost)");
        close_both();
    }
    tls_context_close(context);
}

static void test_untrusted_and_expired(void **state)
{
    (void)state;
    struct tls_context *context = client_context(false, false, NULL);
    assert_int_equal(handshake(context, "localhost"), ERR_TLS_CERTIFICATE);
    assert_string_equal(client->stream->why, "self-signed certificate (CN=localhost)");
    wait_for(&server->open); /* it is told */
    assert_int_equal(server->open.err, ERR_TLS_HANDSHAKE);
    assert_non_null(strstr(server->stream->why, "unknown ca"));
    close_both();
    tls_context_close(context);

    make_certificate(0);
    context = client_context(true, false, NULL);
    assert_int_equal(handshake(context, "localhost"), ERR_TLS_CERTIFICATE);
    assert_string_equal(client->stream->why, "certificate has expired (CN=localhost)");
    close_both();
    tls_context_close(context);

    struct tls_client_options careless = {.verify = false};
    assert_int_equal(tls_context_open_client(&context, &careless, f.why), ERR_NONE);
    assert_int_equal(handshake(context, "example.org"), ERR_NONE);
    close_both();
    tls_context_close(context);
}

static void test_bad_files(void **state)
{
    struct tls_context *context;
    struct tls_client_options bundle = {.ca_bundle = "/nonexistent/ca.pem", .verify = true};
    struct tls_server_options key = {f.certificate, f.certificate};
    (void)state;
    assert_int_equal(tls_context_open_client(&context, &bundle, f.why), ERR_CONFIG);
    assert_non_null(strstr(f.why, "/nonexistent/ca.pem"));
    assert_int_equal(tls_context_open_server(&context, &key, f.why), ERR_CONFIG);
    assert_non_null(strstr(f.why, f.certificate));
    assert_int_equal(certificate_make("/nonexistent/c", f.key, 1, f.why), ERR_CONFIG);
    assert_non_null(strstr(f.why, "/nonexistent/c"));
    bundle.ca_bundle = "/etc/ssl/certs";
    assert_int_equal(tls_context_open_client(&context, &bundle, f.why), ERR_NONE);
    tls_context_close(context);
}

/* ---- peers that misbehave ---- */

static void test_plain_text_peers(void **state)
{
    int fd;
    static const char reply[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    (void)state;
    struct tls_context *context = client_context(true, false, NULL);
    start_client(context, "localhost", &fd);
    assert_int_equal(write(fd, reply, sizeof(reply) - 1), sizeof(reply) - 1);
    wait_for(&client->open);
    assert_int_equal(client->open.err, ERR_NOT_TLS);
    assert_string_equal(client->stream->why, "the server does not speak TLS");
    stream_close(client->stream, &client->close);
    wait_for(&client->close);
    close(fd);

    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(write(fds[1], request, sizeof(request) - 1), sizeof(request) - 1);
    assert_int_equal(tls_start(server->tls, f.server, fds[0], NULL), ERR_NONE);
    stream_open(server->stream, &server->open);
    wait_for(&server->open);
    assert_int_equal(server->open.err, ERR_TLS_HANDSHAKE);
    assert_string_equal(server->stream->why, "the client does not speak TLS");
    stream_close(server->stream, &server->close);
    wait_for(&server->close);
    close(fds[1]);
    tls_context_close(context);
}

static void test_closed_in_handshake(void **state)
{
    int fd;
    (void)state;
    struct tls_context *context = client_context(true, false, NULL);
    start_client(context, "localhost", &fd);
    core_turn(&f.core, true);
    shutdown(fd, SHUT_WR);
    wait_for(&client->open);
    assert_int_equal(client->open.err, ERR_TLS_HANDSHAKE);
    assert_string_equal(client->stream->why, "the connection was closed during the handshake");
    stream_close(client->stream, &client->close);
    wait_for(&client->close);
    close(fd);
    tls_context_close(context);
}

static void test_cancelled_handshake(void **state)
{
    int fd;
    (void)state;
    struct tls_context *context = client_context(true, false, NULL);
    start_client(context, "localhost", &fd);
    core_turn(&f.core, true); /* the hello is sent, and an answer awaited */
    stream_close(client->stream, &client->close);
    wait_for(&client->close);
    assert_false(client->open.out);
    assert_int_equal(client->open.err, ERR_CANCELLED);
    close(fd);
    tls_context_close(context);
}

static void receive(struct side *side)
{
    op_init(&side->receive, on_done);
    stream_receive(side->stream, side->in, sizeof(side->in), &side->receive);
}

static void test_ends(void **state)
{
    (void)state;
    for (int row = 0; row < 4; row++) { /* TLS 1.3 by hand, TLS 1.2 by OpenSSL; told or cut */
        bool cut = row % 2;
        struct tls_context *context = client_context(true, row / 2, NULL);
        assert_int_equal(handshake(context, "localhost"), ERR_NONE);
        say_something();
        assert_true(tls_is_quiet(client->tls));
        receive(client);
        core_turn(&f.core, false);
        assert_true(client->receive.out);
        if (cut) shutdown(server->stream->fd, SHUT_RDWR);
        stream_close(server->stream, &server->close);
        wait_for(&server->close);
        wait_for(&client->receive);
        assert_int_equal(client->receive.err, cut ? ERR_TLS_TRUNCATED : ERR_NONE);
        assert_int_equal(client->receive.count, 0);
        if (!cut) assert_false(tls_is_quiet(client->tls));
        stream_close(client->stream, &client->close);
        wait_for(&client->close);
        tls_context_close(context);
    }
}

static void test_close_cancels(void **state)
{
    (void)state;
    struct tls_context *context = client_context(true, false, NULL);
    assert_int_equal(handshake(context, "localhost"), ERR_NONE);
    struct iovec much[STREAM_IOVECS_MAX];
    for (uint32_t i = 0; i < ARRAY_COUNT(much); i++)
        much[i] = (struct iovec){client->out, sizeof(client->out)};
    op_init(&client->send, on_done);
    stream_send(client->stream, much, ARRAY_COUNT(much), &client->send);
    receive(client);
    for (int i = 0; i < 20; i++)
        core_turn(&f.core, false);
    assert_true(client->send.out); /* nobody reads */
    assert_true(client->receive.out);
    stream_close(client->stream, &client->close);
    wait_for(&client->close);
    assert_false(client->send.out || client->receive.out);
    assert_int_equal(client->send.err, ERR_CANCELLED);
    assert_int_equal(client->receive.err, ERR_CANCELLED);
    stream_close(server->stream, &server->close);
    wait_for(&server->close);
    tls_context_close(context);
}

/* A peer that stops reading must not hold the goodbye up. */
static void test_close_with_full_socket(void **state)
{
    char junk[4096] = {0};
    (void)state;
    struct tls_context *context = client_context(true, false, NULL);
    assert_int_equal(handshake(context, "localhost"), ERR_NONE);
    while (send(client->stream->fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
        continue;
    stream_close(client->stream, &client->close);
    wait_for(&client->close);
    stream_close(server->stream, &server->close);
    wait_for(&server->close);
    tls_context_close(context);
}

static void test_forged_record(void **state)
{
    char record[5 + 100] = {23, 3, 3, 0, 100};
    (void)state;
    for (int tls12 = 0; tls12 <= 1; tls12++) {
        struct tls_context *context = client_context(true, tls12, NULL);
        assert_int_equal(handshake(context, "localhost"), ERR_NONE);
        say_something();
        assert_int_equal(write(server->stream->fd, record, sizeof(record)), sizeof(record));
        receive(client);
        wait_for(&client->receive);
        assert_int_equal(client->receive.err, ERR_TLS_ALERT);
        assert_string_not_equal(client->stream->why, "");
        close_both();
        tls_context_close(context);
    }
}

/* ---- a peer that is OpenSSL itself ---- */

static SSL *openssl_server(SSL_CTX **context, int fd)
{
    *context = SSL_CTX_new(TLS_server_method());
    assert_non_null(*context);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(*context, f.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(*context, f.key, SSL_FILETYPE_PEM), 1);
    SSL *ssl = SSL_new(*context);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    while (SSL_accept(ssl) != 1)
        core_turn(&f.core, false);
    wait_for(&client->open);
    assert_int_equal(client->open.err, ERR_NONE);
    return ssl;
}

static void client_hears(SSL *ssl, char *text, int bytes)
{
    assert_int_equal(SSL_write(ssl, text, bytes), bytes);
    receive(client);
    wait_for(&client->receive);
    assert_int_equal(client->receive.err, ERR_NONE);
    assert_int_equal(client->receive.count, bytes);
    assert_memory_equal(client->in, text, bytes);
}

static void client_says(SSL *ssl, char *text, size_t bytes)
{
    char got[100];
    struct iovec iovec = {text, bytes};
    op_init(&client->send, on_done);
    stream_send(client->stream, &iovec, 1, &client->send);
    wait_for(&client->send);
    assert_int_equal(client->send.err, ERR_NONE);
    assert_int_equal(SSL_read(ssl, got, sizeof(got)), bytes);
    assert_memory_equal(got, text, bytes);
}

/* Key updates asked for and not, at the very start and later, several at once. */
static void test_key_updates(void **state)
{
    static const int kinds[] = {SSL_KEY_UPDATE_REQUESTED, SSL_KEY_UPDATE_NOT_REQUESTED};
    char hello[] = "hello", answer[] = "a longer answer";
    (void)state;
    for (int round = 0; round < 8; round++) {
        int fd;
        SSL_CTX *context;
        struct tls_context *ours = client_context(true, false, NULL);
        start_client(ours, "localhost", &fd);
        SSL *ssl = openssl_server(&context, fd);
        if (round & 1) client_hears(ssl, hello, sizeof(hello));
        if (round & 2) client_says(ssl, answer, sizeof(answer));
        for (int i = 0; i < 3; i++) {
            assert_int_equal(SSL_key_update(ssl, kinds[(round >> 2 & 1) ^ (i & 1)]), 1);
            assert_int_equal(SSL_do_handshake(ssl), 1); /* sends it */
            if (i == 1) continue;
            client_hears(ssl, hello, sizeof(hello));
            client_says(ssl, answer, sizeof(answer));
            client_says(ssl, hello, sizeof(hello));
        }
        stream_close(client->stream, &client->close);
        wait_for(&client->close);
        char none;
        assert_int_equal(SSL_read(ssl, &none, 1), 0);
        assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
        SSL_free(ssl);
        SSL_CTX_free(context);
        close(fd);
        tls_context_close(ours);
    }
}

/* Padding (RFC 8446 5.4) and small records. */
static void test_padded_records(void **state)
{
    char hello[] = "hello";
    int fd;
    SSL_CTX *context;
    (void)state;
    struct tls_context *ours = client_context(true, false, NULL);
    start_client(ours, "localhost", &fd);
    SSL *ssl = openssl_server(&context, fd);
    assert_int_equal(SSL_set_block_padding(ssl, 4096), 1);
    for (int i = 0; i < 50; i++)
        client_hears(ssl, hello, 1 + i % 6);
    receive(client);
    core_turn(&f.core, false);
    assert_true(SSL_shutdown(ssl) >= 0);
    wait_for(&client->receive);
    assert_int_equal(client->receive.count, 0);
    assert_int_equal(client->receive.err, ERR_NONE);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    stream_close(client->stream, &client->close);
    wait_for(&client->close);
    tls_context_close(ours);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_payload),
        TEST(test_resumption),
        TEST(test_names),
        TEST(test_untrusted_and_expired),
        TEST(test_bad_files),
        TEST(test_plain_text_peers),
        TEST(test_closed_in_handshake),
        TEST(test_cancelled_handshake),
        TEST(test_ends),
        TEST(test_close_cancels),
        TEST(test_close_with_full_socket),
        TEST(test_forged_record),
        TEST(test_key_updates),
        TEST(test_padded_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
