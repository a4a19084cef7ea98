#include "tools/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/mem.h"
#include "s3/redirect.h"
#include "s3/steer.h"
#include "sched/crew.h"
#include "tools/human.h"

/* Memory by default: an eighth of the RAM, since the machine is often shared; beyond the cap it is
 * more than the bandwidth-delay product of 100 Gbit/s over half a second. */
#define MEMORY_SHARE     8u
#define MEMORY_BYTES_CAP (8ull * GIB)

/* In the background, unless told otherwise: each connection in use is another flow in the queue
 * that others wait in, and these fill a gigabit over a tenth of a second where TCP may have 4 MiB
 * each in flight. */
#define BACKGROUND_CC    "fixed:4"
#define BACKGROUND_CORES 2u

_Static_assert(ADDRESSING_AUTO == 0 && ADDRESSING_PATH == 1 && ADDRESSING_VIRTUAL == 2,
               "the order of the words of --addressing");

_Static_assert(PREFIXES_FAIR == 0 && PREFIXES_STATIC == 1 && PREFIXES_NONE == 2,
               "the order of the words of --prefixes");

#define HOUR_NS (3600 * NS_PER_S)

static const struct opts_row endpoint_rows[] = {
    {.kind = OPTS_TEXT,
     .name = "endpoint-url",
     .argument = "URL",
     .offset = SETTINGS_FIELD(endpoint_url),
     .help = "the store, http://host:port or https://host (default: AWS_ENDPOINT_URL_S3, "
             "AWS_ENDPOINT_URL, the profile's endpoint_url, AWS)"},
    {.kind = OPTS_TEXT,
     .name = "region",
     .argument = "NAME",
     .offset = SETTINGS_FIELD(region),
     .help = "of the bucket (default: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1)"},
    {.kind = OPTS_TEXT,
     .name = "profile",
     .argument = "NAME",
     .offset = SETTINGS_FIELD(profile),
     .help = "of ~/.aws/credentials and ~/.aws/config (default: AWS_PROFILE, default)"},
    {.kind = OPTS_CHOICE,
     .name = "addressing",
     .argument = "auto|path|virtual",
     .offset = SETTINGS_FIELD(addressing),
     .help =
         "the bucket in the path or in the host name; auto: in the path for IP addresses and "
         "names without a dot (localhost), and where the bucket's host name does not resolve or "
         "has no certificate"},
    {.kind = OPTS_TEXT,
     .name = "follow-redirects",
     .argument = "HOST,…|any",
     .offset = SETTINGS_FIELD(follow_redirects),
     .help =
         "where a server may send requests, signed anew: HOST, HOST:PORT, *.DOMAIN, or any; never "
         "from https to http (default: among AWS's own S3 hosts)"},
    {.kind = OPTS_FLAG,
     .name = "sign-request",
     .offset = SETTINGS_FIELD(sign),
     .on = true,
     .help = "anonymous requests: no credentials are looked for"},
    {.kind = OPTS_TEXT,
     .name = "ca-bundle",
     .argument = "FILE",
     .offset = SETTINGS_FIELD(ca_bundle),
     .help = "trusted certificates, PEM (default: AWS_CA_BUNDLE, the system's)"},
    {.kind = OPTS_FLAG,
     .name = "verify-ssl",
     .offset = SETTINGS_FIELD(verify_tls),
     .on = true,
     .help = "accept any certificate: whoever sits on the way can read and alter the data"},
};

static const struct opts_row rate_rows[] = {
    {.kind = OPTS_TEXT,
     .name = "max-rate",
     .argument = "RATE",
     .offset = SETTINGS_FIELD(max_rate),
     .help = "of all cores and connections together: 50M or 50MiB/s, 50MB/s, 400Mbit/s, off "
             "(default); 10M:1M is up:down; by the clock: '08:00,50M 19:00,off', "
             "'Mon-08:00,50M Fri-19:00,off'"},
    {.kind = OPTS_FLAG,
     .name = "background",
     .offset = SETTINGS_FIELD(background),
     .help =
         "give way to other traffic: slower as soon as round trips grow or packets are lost, few "
         "connections and cores, and CPU and disk after others"},
};

static const struct opts_row network_rows[] = {
    {.kind = OPTS_NUMBER,
     .name = "retries",
     .argument = "N",
     .offset = SETTINGS_FIELD(retries),
     .most = 100,
     .help = "of a request that failed for a passing reason, 0 to 100 (default 40)"},
    {.kind = OPTS_DURATION,
     .name = "deadline",
     .argument = "TIME",
     .offset = SETTINGS_FIELD(deadline_ns),
     .least = NS_PER_S,
     .most = 24 * HOUR_NS,
     .help = "of retrying without any progress, 1s to 24h (default 5m)"},
    {.kind = OPTS_DURATION,
     .name = "connect-timeout",
     .argument = "TIME",
     .offset = SETTINGS_FIELD(connect_timeout_ns),
     .least = NS_PER_MS,
     .most = HOUR_NS,
     .help = "for a TCP connection to be made, 1ms to 1h (default 10s)"},
    {.kind = OPTS_DURATION,
     .name = "tls-timeout",
     .argument = "TIME",
     .offset = SETTINGS_FIELD(tls_timeout_ns),
     .least = NS_PER_MS,
     .most = HOUR_NS,
     .help = "for a TLS handshake, 1ms to 1h (default 10s)"},
    {.kind = OPTS_DURATION,
     .name = "reply-timeout",
     .argument = "TIME",
     .offset = SETTINGS_FIELD(reply_timeout_ns),
     .least = NS_PER_MS,
     .most = HOUR_NS,
     .help = "from a request's last byte to its reply's first, 1ms to 1h (default 60s)"},
    {.kind = OPTS_DURATION,
     .name = "stall-timeout",
     .argument = "TIME",
     .offset = SETTINGS_FIELD(stall_timeout_ns),
     .least = NS_PER_MS,
     .most = HOUR_NS,
     .help = "without one byte of progress, 1ms to 1h (default 30s)"},
    {.kind = OPTS_TEXT,
     .name = "tcp-cc",
     .argument = "NAME",
     .offset = SETTINGS_FIELD(tcp_congestion_control),
     .help = "the kernel's congestion control of our sockets (default: bbr where it is offered, "
             "else the system's)"},
};

static const struct opts_row flow_rows[] = {
    {.kind = OPTS_TEXT,
     .name = "cc",
     .argument = "auto|bbr|cubic|fixed:N",
     .offset = SETTINGS_FIELD(cc),
     .help = "how many parts are in flight: found by measuring, by BBR's model, by CUBIC, or N in "
             "all, 1 to 512 (default auto)"},
    {.kind = OPTS_TEXT,
     .name = "stage-ahead",
     .argument = "auto|N",
     .offset = SETTINGS_FIELD(stage_ahead),
     .help =
         "of uploads: parts that are read ahead of those that are sent, on all cores: as many as "
         "keep them sending (default), or N, 0 to 16"},
    {.kind = OPTS_CHOICE,
     .name = "receive-windows",
     .argument = "auto|kernel",
     .offset = SETTINGS_FIELD(receive_windows),
     .help = "of downloads: made smaller where they only fill a queue on the path (default), or as "
             "large as the kernel makes them"},
    {.kind = OPTS_CHOICE,
     .name = "prefixes",
     .argument = "fair|static|none",
     .offset = SETTINGS_FIELD(prefixes),
     .help = "how the prefixes of keys share what is in flight: fair shares, each within what the "
             "server allows it (default); a fixed part each; or in the order in which objects are "
             "found"},
    {.kind = OPTS_TEXT,
     .name = "log-decisions",
     .argument = "FILE",
     .offset = SETTINGS_FIELD(log_decisions),
     .help = "write what is decided (parts in flight, limits, rates, sizes, cuts) and why, as JSON "
             "lines"},
};

static const struct opts_row machine_rows[] = {
    {.kind = OPTS_SIZE,
     .name = "memory",
     .argument = "SIZE",
     .offset = SETTINGS_FIELD(memory_bytes),
     .least = CONF_MEMORY_BYTES_MIN,
     .help = "of staged buffers, at least 32M a core (default: an eighth of the RAM, at most 8G)"},
    {.kind = OPTS_TEXT,
     .name = "cores",
     .argument = "N|LIST",
     .offset = SETTINGS_FIELD(cores),
     .help = "so many CPUs, or these: 0,2-5 (default: all that we may use)"},
    {.kind = OPTS_CHOICE,
     .name = "direct",
     .argument = "off|auto|on",
     .offset = SETTINGS_FIELD(direct),
     .help = "O_DIRECT for files; auto: large ones on local file systems"},
    {.kind = OPTS_NUMBER,
     .name = "connections",
     .argument = "N",
     .offset = SETTINGS_FIELD(connections),
     .least = 1,
     .most = 1024,
     .help = "at most, a core and endpoint, 1 to 1024; begins with N/4 parts a core (default: 64, "
             "begins as 16)"},
};

static const struct opts_row output_rows[] = {
    {.kind = OPTS_FLAG,
     .name = "json",
     .offset = SETTINGS_FIELD(json),
     .help = "the results on standard output, for programs"},
    {.kind = OPTS_COUNTER,
     .letter = 'v',
     .name = "verbose",
     .offset = SETTINGS_FIELD(verbose),
     .help = "say what is used and done; -vv says more"},
    {.kind = OPTS_FLAG,
     .letter = 'q',
     .name = "quiet",
     .offset = SETTINGS_FIELD(quiet),
     .help = "errors only: no progress, no summary"},
    {.kind = OPTS_FLAG,
     .letter = 'h',
     .name = "help",
     .offset = SETTINGS_FIELD(help),
     .help = "this text"},
};

const struct opts_table settings_endpoint_table = {"Store", endpoint_rows,
                                                   ARRAY_COUNT(endpoint_rows)};
const struct opts_table settings_rate_table = {"Rate", rate_rows, ARRAY_COUNT(rate_rows)};
const struct opts_table settings_network_table = {"Network", network_rows,
                                                  ARRAY_COUNT(network_rows)};
const struct opts_table settings_machine_table = {"Machine", machine_rows,
                                                  ARRAY_COUNT(machine_rows)};
const struct opts_table settings_flow_table = {"Flow control", flow_rows, ARRAY_COUNT(flow_rows)};
const struct opts_table settings_output_table = {"Output", output_rows, ARRAY_COUNT(output_rows)};

void settings_init(struct settings *settings)
{
    struct conf conf;
    conf_init(&conf); /* the one home of the defaults */
    *settings = (struct settings){
        .mtime = conf.keep_mtime,
        .symlinks = conf.symlinks,
        .checksum = conf.checksum,
        .content_md5 = conf.content_md5,
        .sign_payload = conf.sign_payload,
        .direct = conf.direct,
        .fsync = conf.fsync,
        .part_bytes = conf.part_bytes,
        .multipart_threshold_bytes = conf.multipart_threshold_bytes,
        .resume = true,
        .addressing = ADDRESSING_AUTO,
        .sign = true,
        .verify_tls = conf.verify_tls,
        .retries = conf.attempts_max - 1,
        .deadline_ns = conf.deadline_ns,
        .older_than_ns = 30 * 24 * HOUR_NS,
        .connect_timeout_ns = conf.connect_timeout_ns,
        .tls_timeout_ns = conf.tls_timeout_ns,
        .reply_timeout_ns = conf.reply_timeout_ns,
        .stall_timeout_ns = conf.stall_timeout_ns,
    };
}

struct log settings_log(const struct settings *settings)
{
    enum log_level level = LOG_NOTE;
    if (settings->quiet) level = LOG_ERROR;
    if (settings->verbose == 1) level = LOG_DETAIL;
    if (settings->verbose > 1) level = LOG_DEBUG;
    return (struct log){.level_max = level, .program = "argosy"};
}

PRINTF_LIKE(3, 4)
static enum err complain(char why[SETTINGS_WHY_BYTES], enum err err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, SETTINGS_WHY_BYTES, format, arguments);
    va_end(arguments);
    return err;
}

/* Cores and memory together: a core needs CONF_MEMORY_BYTES_MIN. Where the cores were not named,
 * little memory means fewer of them. */
static enum err apply_machine(const struct settings *settings, struct conf *conf,
                              char why[SETTINGS_WHY_BYTES])
{
    char crew_why[256] = "";
    enum err err =
        crew_parse_cpus(settings->cores, conf->cpus, &conf->cpu_count, crew_why, sizeof crew_why);
    if (err != ERR_NONE) return complain(why, err, "--cores: %s", crew_why);
    conf->memory_bytes = settings->memory_bytes;
    if (conf->memory_bytes == 0) {
        uint64_t share = min_u64(mem_ram_bytes() / MEMORY_SHARE, MEMORY_BYTES_CAP);
        conf->memory_bytes = max_u64(share, CONF_MEMORY_BYTES_MIN);
    }
    if (settings->background && !settings->cores)
        conf->cpu_count = (uint16_t)min_u64(conf->cpu_count, BACKGROUND_CORES);
    uint64_t cores_max = conf->memory_bytes / CONF_MEMORY_BYTES_MIN;
    if (conf->cpu_count <= cores_max) return ERR_NONE;
    if (settings->cores)
        return complain(why, ERR_USAGE, "--memory: %u cores need at least %lluM", conf->cpu_count,
                        conf->cpu_count * CONF_MEMORY_BYTES_MIN / MIB);
    conf->cpu_count = (uint16_t)cores_max;
    return ERR_NONE;
}

static enum err apply_rate(const struct settings *settings, struct settings_conf *to,
                           char why[SETTINGS_WHY_BYTES])
{
    char rate_why[TIMETABLE_WHY_BYTES];
    if (throttle_set(&to->throttle, settings->max_rate, rate_why)) return ERR_NONE;
    return complain(why, ERR_USAGE, "--max-rate: %s", rate_why);
}

static const char *cc_word(const struct settings *settings)
{
    if (settings->cc) return settings->cc;
    return settings->background ? BACKGROUND_CC : "auto";
}

/* "auto", "bbr", "cubic", "fixed:N". */
static enum err apply_cc(const struct settings *settings, struct conf *conf,
                         char why[SETTINGS_WHY_BYTES])
{
    struct bytes number, word = bytes_cut(bytes_of(cc_word(settings)), ':', &number);
    uint64_t count = 0;
    uint32_t kind = 0;
    while (kind < FLOW_KINDS && !bytes_equal(word, bytes_of(flow_kind_name((enum flow_kind)kind))))
        kind++;
    bool fixed = kind == FLOW_FIXED;
    bool good = fixed ? bytes_parse_u64(number, &count) && count >= 1 && count <= STEER_PARTS_MAX
                      : kind < FLOW_KINDS && number.count == 0;
    if (!good)
        return complain(why, ERR_USAGE,
                        "--cc %.40s: one of auto, bbr, cubic, or fixed:N with N in 1 to %u",
                        settings->cc, STEER_PARTS_MAX);
    conf->cc = (enum flow_kind)kind;
    conf->cc_fixed = (uint32_t)count;
    if (fixed) conf->cpu_count = (uint16_t)min_u64(conf->cpu_count, count); /* one each, at least */
    return ERR_NONE;
}

static enum err apply_ahead(const struct settings *settings, struct conf *conf,
                            char why[SETTINGS_WHY_BYTES])
{
    const char *word = settings->stage_ahead ? settings->stage_ahead : "auto";
    uint64_t count = 0;
    conf->stage_ahead = CONF_STAGE_AUTO;
    if (strcmp(word, "auto") == 0) return ERR_NONE;
    if (!bytes_parse_u64(bytes_of(word), &count) || count > STEER_AHEAD_MAX)
        return complain(why, ERR_USAGE, "--stage-ahead %.40s: auto, or a number from 0 to %u", word,
                        STEER_AHEAD_MAX);
    conf->stage_ahead = (uint32_t)count;
    return ERR_NONE;
}

/* The names that the kernel offers: "reno bbr cubic", or "". */
static void read_offered(bool to_all, char *names, size_t bytes)
{
    FILE *file = fopen(to_all ? "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
                              : "/proc/sys/net/ipv4/tcp_available_congestion_control",
                       "re");
    if (!file || !fgets(names, (int)bytes, file)) names[0] = '\0';
    if (file) fclose(file);
    names[strcspn(names, "\n")] = '\0';
}

static enum err apply_tcp_cc(const struct settings *settings, struct settings_conf *to,
                             char why[SETTINGS_WHY_BYTES])
{
    const char *wanted = settings->tcp_congestion_control;
    char offered[128];
    bool is_system;
    int raw = 0;
    enum err err = sock_choose_congestion(wanted, to->tcp_cc, &is_system, &raw);
    if (err == ERR_CONFIG) {
        read_offered(raw == EPERM, offered, sizeof offered);
        return complain(why, ERR_USAGE, "--tcp-cc %.40s: the kernel %s (it offers: %s)", wanted,
                        raw == EPERM ? "does not let this user have it" : "does not have it",
                        offered);
    }
    if (err != ERR_NONE)
        return complain(why, err, "a socket: %s%s", err_sentence(err), err_remedy(err, raw));
    if (!is_system) to->conf.tcp_congestion_control = to->tcp_cc;
    to->conf.tcp_answers_to_losses =
        strcmp(to->tcp_cc, "cubic") == 0 || strcmp(to->tcp_cc, "reno") == 0;
    return ERR_NONE;
}

static enum err check_spread(const struct settings *settings, char why[SETTINGS_WHY_BYTES])
{
    const char *wrong = NULL;
    if (settings->spread == 0) return ERR_NONE;
    if (!spread_is_count(settings->spread))
        wrong = "a power of two: 2, 4, 8, 16 … 4096";
    else if (!settings->recursive)
        wrong = "it is for trees, and needs -r";
    return wrong ? complain(why, ERR_USAGE, "--spread %llu: %s",
                            (unsigned long long)settings->spread, wrong)
                 : ERR_NONE;
}

/* After the cores are known. A number that was named is what a core begins with, as well. */
static enum err apply_connections(const struct settings *settings, struct conf *conf,
                                  char why[SETTINGS_WHY_BYTES])
{
    uint32_t needed = (conf->cc_fixed + conf->cpu_count - 1) / conf->cpu_count;
    if (settings->connections == 0) {
        conf->connections_max = (uint32_t)max_u64(conf->connections_max, needed);
        return ERR_NONE;
    }
    conf->connections_max = conf->connections_start = (uint32_t)settings->connections;
    if (needed <= conf->connections_max) return ERR_NONE;
    return complain(why, ERR_USAGE, "--cc fixed:%u needs --connections of at least %u, a core",
                    conf->cc_fixed, needed);
}

static enum err apply_endpoint(const struct settings *settings, struct settings_conf *to,
                               char why[SETTINGS_WHY_BYTES])
{
    struct endpoint_options options = {
        .url = settings->endpoint_url,
        .region = settings->region,
        .addressing = (enum addressing)settings->addressing,
        .sign = settings->sign,
        .creds = settings->sign ? &to->creds : NULL,
    };
    char creds_why[CREDS_WHY_BYTES] = "", target_why[TARGET_WHY_BYTES] = "";
    enum err err = creds_load(&to->creds, settings->profile, creds_why);
    if (err == ERR_NONE && settings->sign && to->creds.source == CREDS_NONE)
        err = ERR_NO_CREDENTIALS;
    if (err == ERR_NO_CREDENTIALS)
        return complain(why, err, "%s (%s; --no-sign-request for anonymous access)",
                        err_sentence(err), creds_why);
    if (err != ERR_NONE)
        return complain(why, err, "%s", creds_why[0] ? creds_why : err_sentence(err));
    if (!options.url) options.url = to->creds.endpoint_url;
    if (!options.region) options.region = to->creds.region;
    err = target_parse_endpoint(&to->conf.endpoints[0], &options, target_why);
    if (err != ERR_NONE) return complain(why, err, "%s", target_why);
    to->conf.endpoint_count = 1;
    to->conf.follow_redirects = settings->follow_redirects;
    if (!settings->follow_redirects) return ERR_NONE;
    if (redirect_check_allowed(settings->follow_redirects, target_why) != ERR_NONE)
        return complain(why, ERR_USAGE, "--follow-redirects %.60s: %s", settings->follow_redirects,
                        target_why);
    return ERR_NONE;
}

/* After the endpoint is known. S3 takes parts of any sizes (5 MiB at least, but for the last);
 * other stores may not: Cloudflare's R2 wants all but the last alike. */
static void apply_unequal_parts(const struct settings *settings, struct conf *conf)
{
    struct bytes host = bytes_of(conf->endpoints[0].host);
    bool is_aws = bytes_end_with(host, BYTES(".amazonaws.com")) ||
                  bytes_end_with(host, BYTES(".amazonaws.com.cn"));
    conf->unequal_parts = settings->unequal_parts == 0 ? is_aws : settings->unequal_parts == 1;
}

static void apply_plain(const struct settings *settings, struct conf *conf)
{
    const char *ca_bundle = getenv("AWS_CA_BUNDLE");
    conf->recursive = settings->recursive;
    conf->spread = (uint32_t)settings->spread;
    conf->keep_mtime = settings->mtime;
    conf->symlinks = (enum walk_symlinks)settings->symlinks;
    conf->checksum = (enum checksum_kind)settings->checksum;
    conf->content_md5 = (enum conf_md5)settings->content_md5;
    conf->sign_payload = settings->sign_payload;
    conf->direct = (enum file_direct)settings->direct;
    conf->fsync = (enum conf_fsync)settings->fsync;
    conf->manifest = settings->manifest;
    conf->read_back = settings->read_back;
    conf->cheap = settings->cheap;
    conf->keep_sums = settings->manifest != NULL;
    conf->prefixes = (enum prefixes_kind)settings->prefixes;
    conf->clamp_windows = settings->receive_windows == 0;
    conf->background = settings->background;
    conf->part_bytes = settings->part_bytes;
    conf->multipart_threshold_bytes = settings->multipart_threshold_bytes;
    conf->attempts_max = (uint32_t)settings->retries + 1;
    conf->deadline_ns = settings->deadline_ns;
    conf->profile = settings->profile;
    conf->connect_timeout_ns = settings->connect_timeout_ns;
    conf->tls_timeout_ns = settings->tls_timeout_ns;
    conf->reply_timeout_ns = settings->reply_timeout_ns;
    conf->stall_timeout_ns = settings->stall_timeout_ns;
    conf->verify_tls = settings->verify_tls;
    conf->ca_bundle = settings->ca_bundle;
    conf->window_bytes_max = (uint32_t)max_u64(sock_window_max(), conf->window_bytes_max);
    if (!conf->ca_bundle && ca_bundle && ca_bundle[0] != 0) conf->ca_bundle = ca_bundle;
}

/* What -v wants to know of every command: whom it asks, and as whom. */
static void say_endpoint(const struct settings_conf *to)
{
    const struct conf *conf = &to->conf;
    const struct endpoint *endpoint = &conf->endpoints[0];
    log_line(&conf->log, LOG_DETAIL, "endpoint %s://%s:%u, region %s, %s addressing, %s",
             endpoint->tls ? "https" : "http", endpoint->host, endpoint->port, endpoint->region,
             endpoint->is_guess                           ? "virtual or path"
             : endpoint->addressing == ADDRESSING_VIRTUAL ? "virtual"
                                                          : "path",
             endpoint->sign ? "signed" : "not signed");
    if (conf->follow_redirects)
        log_line(&conf->log, LOG_DETAIL, "redirects are followed to %s", conf->follow_redirects);
    if (endpoint->sign)
        log_line(&conf->log, LOG_DETAIL, "credentials from %s",
                 creds_source_name(to->creds.source));
}

void settings_say_run(const struct settings *settings, const struct settings_conf *to)
{
    const struct conf *conf = &to->conf;
    char cpus[256];
    struct writer w;
    writer_init(&w, cpus, sizeof cpus);
    for (uint32_t i = 0; i < conf->cpu_count; i++)
        writer_format(&w, "%s%d", i > 0 ? "," : "", conf->cpus[i]);
    log_line(&conf->log, LOG_DETAIL, "flow control %s, at most %u connections a core; TCP's is %s",
             cc_word(settings), conf->connections_max, to->tcp_cc);
    if (conf->background)
        log_line(&conf->log, LOG_DETAIL, "in the background: gives way when round trips grow");
    log_line(&conf->log, LOG_DETAIL, "%u core%s (CPUs %s), %llu MiB of staged buffers, checksum %s",
             conf->cpu_count, human_plural(conf->cpu_count), w.overflow ? "…" : writer_string(&w),
             (unsigned long long)(conf->memory_bytes / MIB), checksum_kind_name(conf->checksum));
}

enum err settings_apply(const struct settings *settings, struct settings_conf *to,
                        char why[SETTINGS_WHY_BYTES])
{
    struct conf *conf = &to->conf;
    memset(to, 0, sizeof *to);
    conf_init(conf);
    conf->log = settings_log(settings);
    apply_plain(settings, conf);
    if (getrandom(&conf->seed, sizeof conf->seed, 0) != (ssize_t)sizeof conf->seed)
        return complain(why, ERR_SYSTEM, "the kernel gives no random numbers");
    enum err err = check_spread(settings, why);
    if (err == ERR_NONE) err = apply_rate(settings, to, why);
    if (err == ERR_NONE) err = apply_machine(settings, conf, why);
    if (err == ERR_NONE) err = apply_cc(settings, conf, why);
    if (err == ERR_NONE) err = apply_ahead(settings, conf, why);
    if (err == ERR_NONE) err = apply_tcp_cc(settings, to, why);
    if (err == ERR_NONE) err = apply_connections(settings, conf, why);
    if (err == ERR_NONE) err = apply_endpoint(settings, to, why);
    if (err != ERR_NONE) return err;
    apply_unequal_parts(settings, conf);
    if (!conf->verify_tls && conf->endpoints[0].tls)
        log_line(&conf->log, LOG_WARNING,
                 "warning: certificates are not verified (--no-verify-ssl)");
    say_endpoint(to);
    return ERR_NONE;
}

void settings_fini(struct settings_conf *conf)
{
    creds_fini(&conf->creds);
}
