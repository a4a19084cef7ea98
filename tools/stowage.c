/* stowage: the embedded S3 endpoint, for tests, demonstrations and benchmarks: keeps objects in
 * memory, in a folder, or nowhere. One core; see tools/stowage_server.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/dump.h"
#include "core/mem.h"
#include "net/certificate.h"
#include "tools/opts.h"
#include "tools/stowage_server.h"

#define TEST_ACCESS_KEY  "stowage"
#define TEST_SECRET_KEY  "stowage-test-secret"
#define CERTIFICATE_DAYS 30

enum exit_code { EXIT_USAGE = 2, EXIT_ENVIRONMENT = 5 }; /* as argosy's */

struct settings {
    const char *listen, *port_file, *folder, *tls_folder, *access_key, *secret_key, *region,
        *tcp_cc, *fault_file;
    struct opts_list faults, limits, times, rates;
    const char *knee;
    uint64_t seed;
    uint64_t connections_max, cpu, memory_bytes;
    bool null, tls, no_auth, no_verify, verbose, help, version;
};

#define FIELD(name) offsetof(struct settings, name)

static const struct opts_row place_rows[] = {
    {.kind = OPTS_TEXT,
     .name = "listen",
     .argument = "ADDR:PORT",
     .offset = FIELD(listen),
     .help = "where to listen (default 127.0.0.1:0: the kernel chooses the port)"},
    {.kind = OPTS_TEXT,
     .name = "port-file",
     .argument = "FILE",
     .offset = FIELD(port_file),
     .help = "writes the port there once it listens"},
    {.kind = OPTS_FLAG,
     .name = "tls",
     .offset = FIELD(tls),
     .help = "HTTPS, with a certificate made for localhost and 127.0.0.1"},
    {.kind = OPTS_TEXT,
     .name = "tls-dir",
     .argument = "FOLDER",
     .offset = FIELD(tls_folder),
     .help = "where cert.pem and key.pem are made, or found (default: a temporary folder)"},
    {.kind = OPTS_TEXT,
     .name = "tcp-cc",
     .argument = "NAME",
     .offset = FIELD(tcp_cc),
     .help = "TCP congestion control of connections (default: the system's)"},
    {.kind = OPTS_NUMBER,
     .name = "connections",
     .argument = "N",
     .offset = FIELD(connections_max),
     .help = "at a time; others wait (default 256)",
     .least = 1,
     .most = 65536},
    {.kind = OPTS_NUMBER,
     .name = "cpu",
     .argument = "N",
     .offset = FIELD(cpu),
     .help = "pins the server to a CPU",
     .most = 4095},
};

static const struct opts_row keep_rows[] = {
    {.kind = OPTS_SIZE,
     .name = "memory",
     .argument = "SIZE",
     .offset = FIELD(memory_bytes),
     .help = "of all objects in memory (default: half of the machine's); more is refused",
     .least = MIB},
    {.kind = OPTS_TEXT,
     .name = "dir",
     .argument = "FOLDER",
     .offset = FIELD(folder),
     .help = "keeps objects in a folder, over restarts"},
    {.kind = OPTS_FLAG,
     .name = "null",
     .offset = FIELD(null),
     .help = "keeps nothing: PUT counts and checks, GET answers a pattern; keys such as size-4GiB "
             "or size-16KiB/1 exist without a PUT"},
};

static const struct opts_row trust_rows[] = {
    {.kind = OPTS_TEXT,
     .name = "access-key",
     .argument = "KEY",
     .offset = FIELD(access_key),
     .help = "credentials that are accepted (default: AWS_ACCESS_KEY_ID and "
             "AWS_SECRET_ACCESS_KEY, else " TEST_ACCESS_KEY " and " TEST_SECRET_KEY ")"},
    {.kind = OPTS_TEXT,
     .name = "secret-key",
     .argument = "KEY",
     .offset = FIELD(secret_key),
     .help = "the other half"},
    {.kind = OPTS_TEXT,
     .name = "region",
     .argument = "NAME",
     .offset = FIELD(region),
     .help = "that signatures must name (default us-east-1)"},
    {.kind = OPTS_FLAG,
     .name = "no-auth",
     .offset = FIELD(no_auth),
     .help = "lets everybody in, checks no signature"},
    {.kind = OPTS_FLAG,
     .name = "no-verify",
     .offset = FIELD(no_verify),
     .help = "believes the checksums that clients send"},
};

static const struct opts_row service_rows[] = {
    {.kind = OPTS_LIST,
     .name = "prefix-limit",
     .argument = "'N/s[:BURST] WORDS'",
     .offset = FIELD(limits),
     .help = "requests of each prefix of keys, up to the slash that depth=N counts (1); 503 "
             "SlowDown beyond"},
    {.kind = OPTS_LIST,
     .name = "service-time",
     .argument = "'SHAPE WORDS'",
     .offset = FIELD(times),
     .help = "of a request: fixed:TIME, exponential:MEAN or lognormal:MEDIAN:SIGMA"},
    {.kind = OPTS_TEXT,
     .name = "knee",
     .argument = "N[:FACTOR]",
     .offset = FIELD(knee),
     .help = "beyond N requests in flight service times grow with their number, beyond FACTOR × N "
             "(1.5) 503 SlowDown"},
    {.kind = OPTS_LIST,
     .name = "byte-rate",
     .argument = "'SIZE WORDS'",
     .offset = FIELD(rates),
     .help = "of bodies in a second: of each, or with per=object of all that have the same "
             "object. WORDS say which requests: op=NAME,… bucket=GLOB key=GLOB part=N-M; the first "
             "rule of a kind that fits counts"},
    {.kind = OPTS_NUMBER,
     .name = "seed",
     .argument = "N",
     .offset = FIELD(seed),
     .help = "of service times (default 1)"},
};

static const struct opts_row fault_rows[] = {
    {.kind = OPTS_LIST,
     .name = "fault",
     .argument = "RULE",
     .offset = FIELD(faults),
     .help = "misbehaves as the rule says (see below); may be given more than once"},
    {.kind = OPTS_TEXT,
     .name = "faults",
     .argument = "FILE",
     .offset = FIELD(fault_file),
     .help = "rules, one a line, before those of --fault; SIGHUP reads it again, instead of all "
             "rules; SIGUSR1 tells on standard error how often each rule fired, and so does the "
             "end"},
};

static const struct opts_row other_rows[] = {
    {.kind = OPTS_FLAG,
     .letter = 'v',
     .name = "verbose",
     .offset = FIELD(verbose),
     .help = "a line a request, on standard error"},
    {.kind = OPTS_FLAG, .letter = 'h', .name = "help", .offset = FIELD(help), .help = "this text"},
    {.kind = OPTS_FLAG, .name = "version", .offset = FIELD(version), .help = "and no more"},
};

static const struct opts_table place_table = {"where", place_rows, ARRAY_COUNT(place_rows)};
static const struct opts_table keep_table = {"what is kept (default: in memory)", keep_rows,
                                             ARRAY_COUNT(keep_rows)};
static const struct opts_table trust_table = {"who is let in", trust_rows, ARRAY_COUNT(trust_rows)};
static const struct opts_table service_table = {"how fast it is (default: as it can)", service_rows,
                                                ARRAY_COUNT(service_rows)};
static const struct opts_table fault_table = {"how it misbehaves", fault_rows,
                                              ARRAY_COUNT(fault_rows)};
static const struct opts_table other_table = {"other", other_rows, ARRAY_COUNT(other_rows)};
static const struct opts_table *const tables[] = {
    &place_table, &keep_table, &trust_table, &service_table, &fault_table, &other_table, NULL};

struct command {
    struct settings settings;
    struct stowage_server_options server;
    struct stowage_service service;
    struct log log;
    char tls_folder[PATH_BYTES_MAX];
    char certificate[PATH_BYTES_MAX + 16], key[PATH_BYTES_MAX + 16];
    char why[STOWAGE_SERVER_WHY_BYTES];
};

static void set_defaults(struct settings *settings)
{
    const char *access_key = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    bool both = access_key && secret && *access_key && *secret;
    *settings = (struct settings){.listen = "127.0.0.1:0",
                                  .access_key = both ? access_key : TEST_ACCESS_KEY,
                                  .secret_key = both ? secret : TEST_SECRET_KEY,
                                  .region = "us-east-1",
                                  .connections_max = 256,
                                  .seed = 1,
                                  .cpu = UINT64_MAX,
                                  .memory_bytes = mem_ram_bytes() / 2};
}

/* "ADDR:PORT" or "[ADDR]:PORT". */
static bool parse_listen(const char *text, struct addr *addr)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !bytes_parse_u64(bytes_of(colon + 1), &port) || port > UINT16_MAX) return false;
    struct bytes host = {text, (size_t)(colon - text)};
    if (bytes_start_with(host, BYTES("[")) && bytes_end_with(host, BYTES("]")))
        host = (struct bytes){host.data + 1, host.count - 2};
    if (bytes_equal(host, BYTES("localhost"))) host = BYTES("127.0.0.1");
    return addr_parse(host, (uint16_t)port, addr);
}

static enum err add_service(struct command *command, enum stowage_service_kind kind,
                            const struct opts_list *list, const char *option)
{
    char why[STOWAGE_SERVICE_WHY_BYTES];
    for (uint32_t i = 0; i < list->count; i++) {
        if (stowage_service_add(&command->service, kind, bytes_of(list->texts[i]), why) == ERR_NONE)
            continue;
        snprintf(command->why, sizeof(command->why), "--%s '%s': %s", option, list->texts[i], why);
        return ERR_USAGE;
    }
    return ERR_NONE;
}

static enum err prepare_service(struct command *command)
{
    const struct settings *settings = &command->settings;
    char why[STOWAGE_SERVICE_WHY_BYTES];
    stowage_service_init(&command->service, settings->seed);
    command->server.service = &command->service;
    enum err err = add_service(command, STOWAGE_SERVICE_LIMIT, &settings->limits, "prefix-limit");
    if (!err) err = add_service(command, STOWAGE_SERVICE_TIME, &settings->times, "service-time");
    if (!err) err = add_service(command, STOWAGE_SERVICE_RATE, &settings->rates, "byte-rate");
    if (err || !settings->knee) return err;
    err = stowage_service_set_knee(&command->service, bytes_of(settings->knee), why);
    if (err) snprintf(command->why, sizeof(command->why), "--knee '%s': %s", settings->knee, why);
    if (!err && !settings->times.count) {
        snprintf(command->why, sizeof(command->why), "--knee wants a --service-time, which grows");
        err = ERR_USAGE;
    }
    return err;
}

/* From settings to what the server takes. Errors: ERR_USAGE, with a sentence in `why`. */
static enum err prepare(struct command *command)
{
    const struct settings *settings = &command->settings;
    struct stowage_server_options *server = &command->server;
    const char *wrong = NULL;
    *server = (struct stowage_server_options){.folder = settings->folder,
                                              .memory_bytes = settings->memory_bytes,
                                              .access_key = settings->access_key,
                                              .secret_key = settings->secret_key,
                                              .region = settings->region,
                                              .no_auth = settings->no_auth,
                                              .no_verify = settings->no_verify,
                                              .faults = settings->faults.texts,
                                              .fault_count = settings->faults.count,
                                              .fault_file = settings->fault_file};
    server->mode = settings->null     ? STOWAGE_NULL
                   : settings->folder ? STOWAGE_FOLDER
                                      : STOWAGE_MEMORY;
    server->cpu = settings->cpu == UINT64_MAX ? -1 : (int)settings->cpu;
    server->accept.connections_max = (uint32_t)settings->connections_max;
    server->accept.sock.congestion_control = settings->tcp_cc;
    if (!parse_listen(settings->listen, &server->accept.addr)) wrong = "--listen wants ADDR:PORT";
    if (settings->null && settings->folder) wrong = "--dir and --null exclude each other";
    if (strlen(settings->access_key) > CREDS_KEY_BYTES_MAX ||
        strlen(settings->secret_key) > CREDS_KEY_BYTES_MAX ||
        strlen(settings->region) > CREDS_REGION_BYTES_MAX)
        wrong = "a key or the region is too long";
    if (wrong) snprintf(command->why, sizeof(command->why), "%s", wrong);
    return wrong ? ERR_USAGE : prepare_service(command);
}

/* An exit code, or −1: go on. */
static int parse_command(struct command *command, int argc, char **argv)
{
    struct opts opts = {.tables = tables, .settings = &command->settings};
    command->log = (struct log){LOG_NOTE, "stowage"};
    set_defaults(&command->settings);
    if (opts_parse(&opts, argc - 1, argv + 1)) {
        log_line(&command->log, LOG_ERROR, "%s", opts.why);
        return EXIT_USAGE;
    }
    if (command->settings.help) {
        printf(
            "usage: stowage [options]\n\nAn S3 endpoint for tests and benchmarks. Prints its URL "
            "on the first line; SIGTERM ends it.\n");
        opts_print(stdout, tables);
        stowage_rule_print(stdout);
        return EXIT_SUCCESS;
    }
    if (command->settings.version) {
        printf("stowage " ARGOSY_VERSION "\n");
        return EXIT_SUCCESS;
    }
    if (command->settings.verbose) command->log.level_max = LOG_DETAIL;
    if (prepare(command) == ERR_NONE) return -1;
    log_line(&command->log, LOG_ERROR, "%s", command->why);
    return EXIT_USAGE;
}

/* The certificate of an earlier start is used again, so that clients need not be told anew. */
static enum err open_tls(struct command *command)
{
    struct tls_server_options options = {command->certificate, command->key};
    const char *folder = command->settings.tls_folder;
    enum err err = ERR_NONE;
    if (!folder) {
        snprintf(command->tls_folder, sizeof(command->tls_folder), "/tmp/stowage-XXXXXX");
        folder = mkdtemp(command->tls_folder);
    }
    if (!folder) {
        snprintf(command->why, sizeof(command->why), "cannot make a folder for the certificate");
        return ERR_SYSTEM;
    }
    snprintf(command->certificate, sizeof(command->certificate), "%s/cert.pem", folder);
    snprintf(command->key, sizeof(command->key), "%s/key.pem", folder);
    if (access(command->certificate, R_OK) || access(command->key, R_OK))
        err = certificate_make(command->certificate, command->key, CERTIFICATE_DAYS, command->why);
    if (!err) err = tls_context_open_server(&command->server.accept.tls, &options, command->why);
    return err;
}

static void close_tls(struct command *command)
{
    tls_context_close(command->server.accept.tls);
    if (command->settings.tls_folder) return;
    remove(command->certificate);
    remove(command->key);
    remove(command->tls_folder);
}

/* The URL comes last of what others wait for: whoever has read it finds the port file. */
static void announce(const struct command *command, const struct stowage_server *server)
{
    const struct settings *settings = &command->settings;
    char text[ADDR_TEXT_BYTES];
    FILE *file = settings->port_file ? fopen(settings->port_file, "w") : NULL;
    if (file) fprintf(file, "%u\n", addr_port(&server->bound));
    if (settings->port_file && (!file || fclose(file)))
        log_line(&command->log, LOG_ERROR, "cannot write %s", settings->port_file);
    printf("listening on %s://%s\n", settings->tls ? "https" : "http",
           addr_format(&server->bound, text));
    if (settings->tls) printf("certificate %s\n", command->certificate);
    if (!strcmp(settings->access_key, TEST_ACCESS_KEY))
        printf("access key " TEST_ACCESS_KEY ", secret key " TEST_SECRET_KEY "\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct command command = {.why = ""};
    dump_forbid();
    int code = parse_command(&command, argc, argv);
    if (code >= 0) return code;
    struct stowage_server *server = malloc(sizeof(*server));
    enum err err = server ? ERR_NONE : ERR_NO_MEMORY;
    if (!err && command.settings.tls) err = open_tls(&command);
    if (!err) err = stowage_server_open(server, &command.server, &command.log, command.why);
    if (err) {
        log_line(&command.log, LOG_ERROR, "%s", command.why[0] ? command.why : err_sentence(err));
        free(server);
        return EXIT_ENVIRONMENT;
    }
    announce(&command, server);
    stowage_server_run(server);
    stowage_server_close(server);
    if (command.settings.tls) close_tls(&command);
    free(server);
    return EXIT_SUCCESS;
}
