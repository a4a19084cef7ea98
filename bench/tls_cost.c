/* What TLS costs: CPU ns per KB (1024 bytes) of one side, over loopback between two processes, and
 * of the records alone in memory. Run it with `make bench-tls` and take the best of several runs.
 * TCP congestion control is cubic on both sides. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "net/certificate.h"
#include "net/plain.h"
#include "net/sock.h"
#include "net/tls.h"
#include "net/tls_record.h"

#define ROUND_BYTES (1 * GIB)
#define BUF_BYTES   BUF_LARGE_BYTES
#define BUFS        4u /* as a part under way: more than the L2 cache holds */
#define ROUNDS      3
#define CERTIFICATE "/tmp/argosy-bench-certificate.pem"
#define KEY         "/tmp/argosy-bench-key.pem"

struct end { /* one side: its own process and core */
    struct core core;
    struct plain plain;
    struct tls *tls;
    struct stream *stream;
    struct tls_context *context;
    bool server, sender;
    int fd;
    char *bufs;
    double cpu_ns;
    const char *suites; /* of a client; "" for no TLS */
};

static void must(enum err err, const char *what)
{
    if (err == ERR_NONE) return;
    fprintf(stderr, "%s: %s\n", what, err_sentence(err));
    exit(1);
}

static void on_done(struct op *op)
{
    (void)op;
}

static void wait_for(struct core *core, const struct op *op, const char *what)
{
    while (op->out)
        core_turn(core, true);
    must(op->err, what);
}

static double cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static void end_open(struct end *end)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1};
    struct op op;
    int raw;
    must(core_open(&end->core, &options, &raw), "core");
    op_init(&op, on_done);
    if (!*end->suites) {
        plain_init(&end->plain, &end->core, end->fd);
        end->stream = &end->plain.stream;
    } else {
        must(tls_open(&end->tls, &end->core), "tls");
        must(tls_start(end->tls, end->context, end->fd, end->server ? NULL : "localhost"), "tls");
        end->stream = tls_stream(end->tls);
    }
    stream_open(end->stream, &op);
    wait_for(&end->core, &op, "handshake");
}

static void end_run(struct end *end)
{
    struct op op;
    end_open(end);
    op_init(&op, on_done);
    double before = cpu_ns();
    uint64_t bytes = 0;
    for (uint64_t i = 0; bytes < ROUND_BYTES; i++) {
        struct iovec iovec = {end->bufs + i % BUFS * BUF_BYTES, BUF_BYTES};
        if (end->sender)
            stream_send(end->stream, &iovec, 1, &op);
        else
            stream_receive(end->stream, iovec.iov_base, BUF_BYTES, &op);
        wait_for(&end->core, &op, "transfer");
        bytes += op.count;
    }
    end->cpu_ns = cpu_ns() - before;
    /* The sender waits for the end: a socket closed with something unread (the tickets) would be
     * reset, and what is still on its way with it. */
    if (end->sender) {
        stream_receive(end->stream, end->bufs, BUF_BYTES, &op);
        wait_for(&end->core, &op, "end");
    }
    stream_close(end->stream, &op);
    wait_for(&end->core, &op, "close");
    if (end->tls) tls_close(end->tls);
    core_close(&end->core);
}

static void connect_both(struct end *client, struct end *server)
{
    struct core core;
    struct core_options core_options = {.cpu = -1, .memory_bytes = 1};
    struct sock_options options = {.congestion_control = "cubic"};
    struct addr any, bound;
    struct op accepted, connected;
    int raw, listener;
    op_init(&accepted, on_done);
    op_init(&connected, on_done);
    must(core_open(&core, &core_options, &raw), "core");
    if (!addr_parse(BYTES("127.0.0.1"), 0, &any)) exit(1);
    must(sock_listen(&core, &any, &options, 1, &listener, &bound, &raw), "listen");
    must(sock_open(&core, &bound, &options, &client->fd, &raw), "socket");
    ring_accept(core.ring, listener, &accepted);
    ring_connect(core.ring, client->fd, &bound.u.any, bound.bytes, &connected);
    wait_for(&core, &connected, "connect");
    wait_for(&core, &accepted, "accept");
    server->fd = (int)accepted.count;
    must(sock_prepare(&core, server->fd, &options, &raw), "socket");
    close(listener);
    core_close(&core);
}

/* The server in a child, which tells its CPU through a pipe. */
static void run_both(struct end ends[2])
{
    int pipes[2], status;
    if (pipe(pipes)) exit(1);
    pid_t child = fork();
    if (child < 0) exit(1);
    if (child == 0) {
        close(ends[0].fd); /* or the client's end would stay open here */
        end_run(&ends[1]);
        _exit(write(pipes[1], &ends[1].cpu_ns, sizeof(double)) != sizeof(double));
    }
    close(ends[1].fd);
    ends[1].fd = -1;
    end_run(&ends[0]);
    ends[0].fd = -1;
    close(pipes[1]);
    if (read(pipes[0], &ends[1].cpu_ns, sizeof(double)) != sizeof(double)) exit(1);
    close(pipes[0]);
    if (waitpid(child, &status, 0) != child || status) exit(1);
}

/* One transfer: prints both sides' CPU. */
static void run(const char *name, const char *suites, bool tls12, bool download, char *bufs[2])
{
    char why[TLS_WHY_BYTES] = "";
    struct tls_client_options client_options = {
        .verify = false, .tls12_only = tls12, .tls13_suites = *suites ? suites : NULL};
    struct tls_server_options server_options = {CERTIFICATE, KEY};
    static struct end ends[2];
    double best[2] = {1e18, 1e18}, best_s = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        memset(ends, 0, sizeof(ends));
        must(tls_context_open_client(&ends[0].context, &client_options, why), why);
        must(tls_context_open_server(&ends[1].context, &server_options, why), why);
        ends[1].server = true;
        ends[download].sender = true;
        connect_both(&ends[0], &ends[1]);
        ends[0].suites = ends[1].suites = suites;
        ends[0].bufs = bufs[0];
        ends[1].bufs = bufs[1];
        uint64_t started_ns = clock_now_ns();
        run_both(ends);
        for (int i = 0; i < 2; i++) {
            tls_context_close(ends[i].context);
            best[i] = fmin(best[i], ends[i].cpu_ns / (ROUND_BYTES / KIB));
        }
        double s = (double)(clock_now_ns() - started_ns) / NS_PER_S;
        best_s = fmin(best_s, s);
    }
    printf("%-28s %-8s  send %4.0f  receive %4.0f ns/KB  %5.2f GB/s\n", name,
           download ? "download" : "upload", best[download], best[!download],
           ROUND_BYTES / best_s / 1e9);
}

static void run_records(const struct gcm_engine *engine, enum tls_record_suite suite, char *memory)
{
    struct tls_record sealer, opener;
    char name[64];
    uint8_t secret[TLS_RECORD_SECRET_MAX] = {1};
    static char wire[8][TLS_RECORD_SEALED_MAX];
    double seal_ns = 0, open_ns = 0;
    uint64_t bytes = 0;
    tls_record_init(&sealer, true);
    tls_record_init(&opener, false);
    must(tls_record_start(&sealer, engine, suite, secret, 0), "keys");
    must(tls_record_start(&opener, engine, suite, secret, 0), "keys");
    for (int batch = 0; batch < 4000; batch++) {
        struct iovec iovec = {memory + batch % 32 * 8 * TLS_WIRE_PAYLOAD_MAX,
                              8 * TLS_WIRE_PAYLOAD_MAX};
        struct tls_cursor cursor = {&iovec, 1, 0};
        struct tls_opened opened;
        double before = cpu_ns();
        for (int i = 0; i < 8; i++)
            must(tls_record_seal(&sealer, TLS_RECORD_DATA, &cursor, TLS_WIRE_PAYLOAD_MAX, wire[i]),
                 "seal");
        double middle = cpu_ns();
        for (int i = 0; i < 8; i++)
            must(tls_record_open(&opener, wire[i], TLS_RECORD_SEALED_MAX,
                                 memory + i * TLS_WIRE_PAYLOAD_MAX, TLS_WIRE_PAYLOAD_MAX + 1,
                                 &opened),
                 "open");
        seal_ns += middle - before;
        open_ns += cpu_ns() - middle;
        bytes += 8 * TLS_WIRE_PAYLOAD_MAX;
    }
    snprintf(name, sizeof(name), "AES-%s records, %s",
             suite == TLS_RECORD_AES_128_GCM_SHA256 ? "128" : "256", engine->kind->library);
    printf("%-28s in memory  seal %4.0f  open    %4.0f ns/KB\n", name, seal_ns / (bytes / 1024.0),
           open_ns / (bytes / 1024.0));
    tls_record_wipe(&sealer);
    tls_record_wipe(&opener);
}

int main(void)
{
    char why[CERTIFICATE_WHY_BYTES];
    char *bufs[2];
    for (int i = 0; i < 2; i++) {
        bufs[i] = aligned_alloc(4096, BUFS * BUF_BYTES + 4096);
        if (!bufs[i]) return 1;
        memset(bufs[i], 'x', BUFS * BUF_BYTES + 4096);
    }
    must(certificate_make(CERTIFICATE, KEY, 1, why), why);
    for (uint32_t i = 0; gcm_kind_at(i); i++) {
        struct gcm_engine *engine;
        if (gcm_kind_at(i)->engine_open(&engine) != ERR_NONE) continue; /* not on this CPU */
        run_records(engine, TLS_RECORD_AES_128_GCM_SHA256, bufs[0]);
        run_records(engine, TLS_RECORD_AES_256_GCM_SHA384, bufs[0]);
        gcm_engine_close(engine);
    }
    for (int download = 0; download <= 1; download++) {
        run("plain", "", false, download, bufs);
        run("TLS 1.3 AES-128-GCM", "TLS_AES_128_GCM_SHA256", false, download, bufs);
        run("TLS 1.3 AES-256-GCM", "TLS_AES_256_GCM_SHA384", false, download, bufs);
        run("TLS 1.3 ChaCha20-Poly1305", "TLS_CHACHA20_POLY1305_SHA256", false, download, bufs);
        run("TLS 1.2 AES-128-GCM", "TLS_AES_128_GCM_SHA256", true, download, bufs);
    }
    unlink(CERTIFICATE);
    unlink(KEY);
    for (int i = 0; i < 2; i++)
        free(bufs[i]);
    return 0;
}
