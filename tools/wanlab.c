/* wanlab: a wide area path in two network namespaces, for experiments: see docs/lab.md, and
 * tools/wan_house.h for how it is built. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/opts.h"
#include "tools/wan_house.h"

#define PATH_TEXT_BYTES 1024u
#define WORDS_MAX       256u
#define MTU_MIN         576u /* what every IPv4 path carries (RFC 791) */
#define EXIT_USAGE      2

struct settings {
    const char *path, *rate, *delay, *rtt, *jitter, *queue, *loss, *police, *schedule;
    const char *server, *report;
    uint64_t repeat_ns, seed, mtu, tcp_memory_bytes, server_port;
    bool calibrate, anyhow, realtime, netem, quiet, help, version;
};

#define FIELD(name) offsetof(struct settings, name)

static const struct opts_row path_rows[] = {
    {OPTS_TEXT, 0, "rate", "BITS", FIELD(rate), "of the bottleneck, such as 1G (default: no limit)",
     0, 0, false},
    {OPTS_TEXT, 0, "delay", "TIME", FIELD(delay), "one way", 0, 0, false},
    {OPTS_TEXT, 0, "rtt", "TIME", FIELD(rtt), "there and back, instead of --delay", 0, 0, false},
    {OPTS_TEXT, 0, "jitter", "TIME", FIELD(jitter), "the delay wanders by so much, up and down", 0,
     0, false},
    {OPTS_TEXT, 0, "queue", "SIZE", FIELD(queue),
     "in front of the bottleneck: bytes, or 2BDP (default 1BDP)", 0, 0, false},
    {OPTS_TEXT, 0, "loss", "SHARE", FIELD(loss),
     "of packets: 0.1%, or 0.1%/8 in bursts of 8 on average", 0, 0, false},
    {OPTS_TEXT, 0, "police", "BITS/SIZE", FIELD(police), "a token bucket: 500M/1M", 0, 0, false},
    {OPTS_TEXT, 0, "path", "TEXT", FIELD(path),
     "the same in one text, up. and down. for one direction: 'rate=1G rtt=50ms up.loss=0.1%'", 0, 0,
     false},
    {OPTS_TEXT, 0, "schedule", "TEXT", FIELD(schedule),
     "changes: '30s rate=300M rtt=120ms; 60s rate=1G rtt=20ms'", 0, 0, false},
    {OPTS_DURATION, 0, "repeat", "TIME", FIELD(repeat_ns), "the schedule begins anew after it", 0,
     0, false},
    {OPTS_NUMBER, 0, "seed", "N", FIELD(seed), "of losses and jitter (default 1)", 0, 0, false},
};

static const struct opts_row lab_rows[] = {
    {OPTS_TEXT, 0, "server", "COMMAND", FIELD(server),
     "a shell runs it at the other end, " WAN_NET_SERVER, 0, 0, false},
    {OPTS_NUMBER, 0, "server-port", "N", FIELD(server_port),
     "the command starts when this TCP port answers", 1, UINT16_MAX, false},
    {OPTS_FLAG, 0, "calibrate", NULL, FIELD(calibrate),
     "measures rate, round trip and loss of each step first; refuses to go on where they are off",
     0, 0, false},
    {OPTS_FLAG, 0, "anyhow", NULL, FIELD(anyhow), "goes on all the same", 0, 0, false},
    {OPTS_TEXT, 0, "report", "FILE", FIELD(report),
     "writes calibration, counters, and whether the run is sound, as JSON", 0, 0, false},
    {OPTS_SIZE, 0, "tcp-memory", "SIZE", FIELD(tcp_memory_bytes),
     "most that a socket buffers, at both ends; 0: as the system has it (default 64M)", 0, GIB,
     false},
    {OPTS_NUMBER, 0, "mtu", "BYTES", FIELD(mtu), "of the devices (default 1500)", MTU_MIN, 9000,
     false},
    {OPTS_FLAG, 0, "realtime", NULL, FIELD(realtime),
     "does not put the path before all other processes", 0, 0, true},
    {OPTS_FLAG, 0, "netem", NULL, FIELD(netem),
     "the kernel's netem instead, where it has one; neither schedule nor policer", 0, 0, false},
    {OPTS_FLAG, 'q', "quiet", NULL, FIELD(quiet), "no calibration lines where all is well", 0, 0,
     false},
    {OPTS_FLAG, 'h', "help", NULL, FIELD(help), "this text", 0, 0, false},
    {OPTS_FLAG, 0, "version", NULL, FIELD(version), "and no more", 0, 0, false},
};

static const struct opts_table path_table = {"the path", path_rows, ARRAY_COUNT(path_rows)};
static const struct opts_table lab_table = {"the laboratory", lab_rows, ARRAY_COUNT(lab_rows)};
static const struct opts_table *const tables[] = {&path_table, &lab_table, NULL};

struct command {
    struct settings settings;
    struct log log;
    struct wan_plan plan;
    struct wan_house_options house;
    const char *words[WORDS_MAX + 1];
    char path[PATH_TEXT_BYTES];
};

/* All options of the path as one text: --path first, the others after it. */
static bool join_path(struct command *command)
{
    const struct settings *settings = &command->settings;
    const struct {
        const char *name, *value;
    } words[] = {{"rate", settings->rate},    {"rtt", settings->rtt},
                 {"delay", settings->delay},  {"jitter", settings->jitter},
                 {"queue", settings->queue},  {"loss", settings->loss},
                 {"police", settings->police}};
    struct writer w;
    writer_init(&w, command->path, sizeof command->path);
    writer_text(&w, settings->path);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (words[i].value) writer_format(&w, " %s=%s", words[i].name, words[i].value);
    return writer_string(&w)[0] != 0 || !w.overflow;
}

static const char *contradiction(const struct command *command)
{
    const struct settings *settings = &command->settings;
    const struct wan_plan *plan = &command->plan;
    if (!command->words[0] && !settings->calibrate)
        return "nothing to do: give a command behind --, or --calibrate";
    if (!command->words[0] && settings->server) return "--server wants a command behind --";
    if (settings->netem && plan->step_count > 1) return "--netem knows no schedule";
    for (uint32_t i = 0; settings->netem && i < WAN_PLAN_LANES; i++)
        if (plan->steps[0].lanes[i].police_bits_per_s) return "--netem knows no policer";
    return NULL;
}

static bool prepare(struct command *command)
{
    const struct settings *settings = &command->settings;
    struct wan_plan *plan = &command->plan;
    if (!join_path(command)) {
        log_line(&command->log, LOG_ERROR, "the path's description is too long");
        return false;
    }
    if (!wan_plan_parse(plan, bytes_of(command->path), bytes_of(settings->schedule),
                        settings->repeat_ns)) {
        log_line(&command->log, LOG_ERROR, "%s", plan->why);
        return false;
    }
    const char *wrong = contradiction(command);
    if (wrong) {
        log_line(&command->log, LOG_ERROR, "%s", wrong);
        return false;
    }
    command->house = (struct wan_house_options){
        .plan = plan,
        .net = {.mtu = (uint32_t)settings->mtu,
                .tcp_memory_bytes = settings->tcp_memory_bytes,
                .devices = !settings->netem},
        .seed = settings->seed,
        .server = settings->server,
        .server_port = settings->server_port,
        .command = command->words[0] ? (char *const *)(uintptr_t)command->words : NULL,
        .report = settings->report,
        .calibrate = settings->calibrate,
        .anyhow = settings->anyhow,
        .realtime = settings->realtime,
        .netem = settings->netem,
        .quiet = settings->quiet};
    return true;
}

/* An exit code, or −1: go on. */
static int parse_command(struct command *command, int argc, char **argv)
{
    struct opts opts = {.tables = tables,
                        .settings = &command->settings,
                        .words = command->words,
                        .word_count_max = WORDS_MAX};
    command->log = (struct log){LOG_NOTE, "wanlab"};
    command->settings =
        (struct settings){.seed = 1, .mtu = 1500, .tcp_memory_bytes = 64 * MIB, .realtime = true};
    if (opts_parse(&opts, argc - 1, argv + 1)) {
        log_line(&command->log, LOG_ERROR, "%s", opts.why);
        return EXIT_USAGE;
    }
    if (command->settings.help) {
        printf("usage: wanlab [options] [--] COMMAND …\n\nRuns a command at one end of a wide area "
               "path (%s), with a server at the other (%s).\nNeeds root. Its exit code is the "
               "command's; 124: the path is off; 125: no laboratory.\n",
               WAN_NET_CLIENT, WAN_NET_SERVER);
        opts_print(stdout, tables);
        return EXIT_SUCCESS;
    }
    if (command->settings.version) {
        printf("wanlab " ARGOSY_VERSION "\n");
        return EXIT_SUCCESS;
    }
    return prepare(command) ? -1 : EXIT_USAGE;
}

/* Passes signals on to the house until it has ended. */
static int watch(pid_t house, const sigset_t *signals)
{
    int signal, status;
    for (;;) {
        pid_t ended = waitpid(house, &status, WNOHANG);
        if (ended == house) return WIFSIGNALED(status) ? WAN_HOUSE_EXIT_LAB : WEXITSTATUS(status);
        if (sigwait(signals, &signal) == 0 && signal != SIGCHLD) kill(house, signal);
    }
}

int main(int argc, char **argv)
{
    static const int passed_on[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP};
    struct command *command = calloc(1, sizeof *command);
    sigset_t signals;
    if (!command) return WAN_HOUSE_EXIT_LAB;
    int code = parse_command(command, argc, argv);
    if (code < 0 && unshare(CLONE_NEWPID)) {
        log_line(&command->log, LOG_ERROR,
                 "cannot make namespaces: %s; wanlab needs root, with CAP_SYS_ADMIN and "
                 "CAP_NET_ADMIN",
                 strerror(errno));
        code = WAN_HOUSE_EXIT_LAB;
    }
    if (code < 0) {
        sigemptyset(&signals);
        for (size_t i = 0; i < ARRAY_COUNT(passed_on); i++)
            sigaddset(&signals, passed_on[i]);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        pid_t house = fork();
        if (house == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            exit(wan_house_run(&command->house, &command->log));
        }
        code = house > 0 ? watch(house, &signals) : WAN_HOUSE_EXIT_LAB;
    }
    free(command);
    return code;
}
