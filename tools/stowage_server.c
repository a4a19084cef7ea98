#include "tools/stowage_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

/* Objects are in malloc'ed memory: the core's own buffers are hardly used. */
#define SERVER_BUFFER_BYTES  (64 * MIB)
#define FAULT_FILE_BYTES_MAX 32768u /* 64 rules of 256 bytes, and comments */

static void server_finish_closing(struct stowage_server *server)
{
    if (!server->closing || !server->accepts_no_more || server->conn_count) return;
    if (!server->keep_closed.out) stowage_keep_close(server->world.keep, &server->keep_closed);
}

static void on_keep_closed(struct op *op)
{
    struct stowage_server *server = container_of(op, struct stowage_server, keep_closed);
    core_stop(&server->core);
}

static void on_accept_closed(struct op *op)
{
    struct stowage_server *server = container_of(op, struct stowage_server, accept_closed);
    server->accepts_no_more = true;
    server_finish_closing(server);
}

static void watch_next_signal(struct stowage_server *server)
{
    ring_read(server->core.ring, server->signal_fd, &server->signal_info,
              sizeof(server->signal_info), UINT64_MAX, RING_NO_ARENA, &server->on_signal);
}

/* The file's rules instead of those that were. It is small, local, and read seldom: the loop waits
 * for it. */
static enum err read_faults(struct stowage_server *server, const char *path, char *why)
{
    char text[FAULT_FILE_BYTES_MAX], reason[STOWAGE_FAULT_WHY_BYTES];
    FILE *file = fopen(path, "r");
    size_t count = file ? fread(text, 1, sizeof(text), file) : 0;
    bool whole = file && feof(file);
    if (file) fclose(file);
    if (!whole) {
        snprintf(why, STOWAGE_SERVER_WHY_BYTES, "cannot read %s, or it is longer than %u bytes",
                 path, FAULT_FILE_BYTES_MAX);
        return ERR_CONFIG;
    }
    struct stowage_fault *fresh = malloc(sizeof(*fresh));
    if (!fresh) return ERR_NO_MEMORY;
    stowage_fault_init(fresh);
    enum err err = stowage_fault_add_all(fresh, (struct bytes){text, count}, reason);
    if (err) snprintf(why, STOWAGE_SERVER_WHY_BYTES, "%s: %s", path, reason);
    if (!err) stowage_fault_clear(&server->fault);
    if (!err) err = stowage_fault_add_all(&server->fault, (struct bytes){text, count}, reason);
    free(fresh);
    return err;
}

static void report(struct stowage_server *server)
{
    const struct log *log = server->conn_options.log;
    const struct stowage_conn_traffic *now = &server->traffic, *then = &server->reported;
    stowage_fault_report(&server->fault, log);
    if (server->service.limited_count || server->service.knee_count)
        log_line(log, LOG_NOTE, "slowed down: %llu by limits of prefixes, %llu beyond the knee",
                 (unsigned long long)server->service.limited_count,
                 (unsigned long long)server->service.knee_count);
    log_line(log, LOG_NOTE, "traffic: %llu requests, %llu bytes in, %llu bytes out",
             (unsigned long long)(now->requests - then->requests),
             (unsigned long long)(now->received_bytes - then->received_bytes),
             (unsigned long long)(now->sent_bytes - then->sent_bytes));
}

/* After the words that say so the new rules are in force. */
static void reread_faults(struct stowage_server *server)
{
    const struct log *log = server->conn_options.log;
    char why[STOWAGE_SERVER_WHY_BYTES] = "out of memory";
    report(server);
    if (!server->fault_file)
        log_line(log, LOG_NOTE, "faults: no --faults FILE was given: nothing to read");
    else if (read_faults(server, server->fault_file, why))
        log_line(log, LOG_ERROR, "faults: %s; the rules stay as they were", why);
    else
        log_line(log, LOG_NOTE, "faults: %u rules from now on", server->fault.rule_count);
    server->reported = server->traffic;
}

static void end_server(struct stowage_server *server)
{
    server->closing = true;
    accept_close(&server->acceptor, &server->accept_closed);
    for (struct link *link = server->conns.head.next, *next; link != &server->conns.head;
         link = next) {
        next = link->next;
        stowage_conn_stop(container_of(link, struct stowage_conn, link));
    }
}

static void on_signal(struct op *op)
{
    struct stowage_server *server = container_of(op, struct stowage_server, on_signal);
    uint32_t number = op->err ? SIGTERM : server->signal_info.ssi_signo;
    if (number == SIGUSR1) {
        report(server);
        log_line(server->conn_options.log, LOG_NOTE, "faults: that is all");
    } else if (number == SIGHUP) {
        reread_faults(server);
    } else {
        end_server(server);
        return;
    }
    watch_next_signal(server);
}

/* The machine's op is the connection's: its server is found through the options that all share. */
static void on_conn_done(struct op *op)
{
    struct stowage_conn *conn = container_of(op, struct stowage_conn, done);
    struct stowage_server *server =
        container_of((struct stowage_conn_options *)(uintptr_t)conn->options, struct stowage_server,
                     conn_options);
    list_remove(&conn->link);
    server->conn_count--;
    stowage_conn_free(conn);
    server_finish_closing(server);
}

static void on_accepted(struct acceptor *acceptor, struct accepted *accepted)
{
    struct stowage_server *server = container_of(acceptor, struct stowage_server, acceptor);
    struct stowage_conn *conn;
    enum err err =
        stowage_conn_open(&conn, &server->world, accepted, &server->conn_options, on_conn_done);
    CHECK(err == ERR_NONE && "a test server without memory for a connection ends");
    list_push(&server->conns, &conn->link);
    server->conn_count++;
    if (server->closing) stowage_conn_stop(conn);
}

static enum err open_keep(struct stowage_server *server,
                          const struct stowage_server_options *options, char *why)
{
    struct stowage_world *world = &server->world;
    enum err err = ERR_NONE;
    world->null = NULL;
    switch (options->mode) {
    case STOWAGE_MEMORY:
        stowage_memory_init(&server->memory, &server->core, options->memory_bytes);
        world->keep = &server->memory.keep;
        break;
    case STOWAGE_NULL:
        err = stowage_null_init(&server->null, &server->core);
        world->null = &server->null;
        world->keep = &server->null.keep;
        break;
    case STOWAGE_FOLDER:
        err = stowage_folder_open(&server->folder, &server->core, options->folder, &world->store,
                                  why);
        if (!err) world->keep = stowage_folder_keep(server->folder);
        break;
    }
    if (!err) world->store.keep = world->keep;
    return err;
}

/* Signals end in a descriptor that the ring reads, so that no handler touches anything. */
static enum err watch_signals(struct stowage_server *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, NULL)) return ERR_SYSTEM;
    server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (server->signal_fd < 0) return ERR_SYSTEM;
    watch_next_signal(server);
    return ERR_NONE;
}

static enum err open_faults(struct stowage_server *server,
                            const struct stowage_server_options *options, char *why)
{
    char reason[STOWAGE_FAULT_WHY_BYTES];
    enum err err = ERR_NONE;
    stowage_fault_init(&server->fault);
    server->fault_file = options->fault_file;
    if (options->fault_file) err = read_faults(server, options->fault_file, why);
    for (uint32_t i = 0; i < options->fault_count && !err; i++) {
        err = stowage_fault_add(&server->fault, bytes_of(options->faults[i]), reason);
        if (err) snprintf(why, STOWAGE_SERVER_WHY_BYTES, "--fault %s", reason);
    }
    return err;
}

static enum err open_listener(struct stowage_server *server,
                              const struct stowage_server_options *options, char *why)
{
    char text[ADDR_TEXT_BYTES];
    int raw = 0;
    enum err err =
        accept_open(&server->acceptor, &server->core, &options->accept, on_accepted, &raw);
    if (err)
        snprintf(why, STOWAGE_SERVER_WHY_BYTES, "cannot listen on %s: %s (%s)",
                 addr_format(&options->accept.addr, text), err_sentence(err), strerror(raw));
    server->bound = server->acceptor.bound;
    return err;
}

enum err stowage_server_open(struct stowage_server *server,
                             const struct stowage_server_options *options, const struct log *log,
                             char why[STOWAGE_SERVER_WHY_BYTES])
{
    struct core_options core_options = {
        .cpu = options->cpu, .memory_bytes = SERVER_BUFFER_BYTES, .seed = clock_wall_ns()};
    int raw = 0;
    memset(server, 0, sizeof(*server));
    list_init(&server->conns);
    op_init(&server->on_signal, on_signal);
    op_init(&server->accept_closed, on_accept_closed);
    op_init(&server->keep_closed, on_keep_closed);
    server->conn_options = (struct stowage_conn_options){log, &server->traffic};
    enum err err = core_open(&server->core, &core_options, &raw);
    if (err) {
        snprintf(why, STOWAGE_SERVER_WHY_BYTES, "%s (%s)", err_sentence(err), strerror(raw));
        return err;
    }
    struct stowage_world *world = &server->world;
    world->core = &server->core;
    world->verify = !options->no_verify;
    world->fault = &server->fault;
    world->service = &server->service;
    if (options->service)
        server->service = *options->service;
    else
        stowage_service_init(&server->service, 0);
    stowage_store_init(&world->store, NULL);
    stowage_auth_init(&world->auth, options->access_key, options->secret_key, options->region);
    world->auth.required = !options->no_auth;
    snprintf(why, STOWAGE_SERVER_WHY_BYTES, "cannot start");
    err = open_faults(server, options, why);
    if (!err) err = open_keep(server, options, why);
    if (!err) err = watch_signals(server);
    return err ? err : open_listener(server, options, why);
}

void stowage_server_run(struct stowage_server *server)
{
    core_run(&server->core);
}

void stowage_server_close(struct stowage_server *server)
{
    close(server->signal_fd);
    stowage_fault_report(&server->fault, server->conn_options.log);
    stowage_fault_fini(&server->fault);
    stowage_service_fini(&server->service);
    stowage_store_fini(&server->world.store);
    if (server->world.null) stowage_null_fini(&server->null);
    if (server->folder) stowage_folder_free(server->folder);
    sigv4_key_fini(&server->world.auth.key);
    core_close(&server->core);
}
