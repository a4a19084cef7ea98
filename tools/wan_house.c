#include "tools/wan_house.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tools/wan_calibrate.h"
#include "tools/wan_netem.h"
#include "tools/wan_probe.h"
#include "tools/wan_pump.h"
#include "tools/wan_report.h"

#define PORT_PATIENCE_NS (15 * NS_PER_S)
#define PORT_EVERY_NS    (20 * NS_PER_MS)
#define SAME_SIGNAL_NS                                                                             \
    (500 * NS_PER_MS)              /* a terminal's Ctrl-C comes twice: to us, and passed on \
                                            */
#define SETTLE_NS (50 * NS_PER_MS) /* after a probe: the last of its echoes */

struct house {
    const struct wan_house_options *options;
    const struct log *log;
    struct wan_net net;
    struct wan_pump pump;
    struct wan_calibrate calibrate;
    int signals;
    pid_t server, command; /* 0: none, or ended */
    pid_t ended;           /* the last that was waited for, and how it ended */
    int ended_status;
    int stop_signal; /* 0: none came */
    uint64_t stop_ns;
};

static bool fail(struct house *house, const char *what)
{
    log_line(house->log, LOG_ERROR, "%s", what);
    return false;
}

/* A /proc that knows the processes of this PID namespace, in mounts of our own. */
static bool mount_proc(struct house *house)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
        return true;
    log_line(house->log, LOG_ERROR, "cannot mount /proc for the laboratory: %s", strerror(errno));
    return false;
}

static bool open_signals(struct house *house)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    house->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return house->signals >= 0 || fail(house, "no signalfd");
}

static bool open_path(struct house *house)
{
    const struct wan_house_options *options = house->options;
    struct sched_param priority = {.sched_priority = 1};
    if (!wan_net_open(&house->net, &options->net)) return fail(house, house->net.why);
    if (options->netem)
        return wan_netem_open(&house->net, options->plan, options->net.mtu) ||
               fail(house, house->net.why);
    if (!wan_pump_open(&house->pump, options->plan, house->net.device, options->seed))
        return fail(house, "not enough memory for what the path holds");
    prctl(PR_SET_TIMERSLACK, 1ul);
    if (options->realtime && sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority))
        log_line(house->log, LOG_WARNING, "no real-time priority (%s): delays will be less exact",
                 strerror(errno));
    return true;
}

static void on_child(struct house *house, pid_t pid, int status)
{
    house->ended = pid;
    house->ended_status = status;
    if (pid != house->server) return;
    house->server = 0;
    if (house->command > 0)
        log_line(house->log, LOG_WARNING, "the server has ended, status %d", WEXITSTATUS(status));
}

static void on_stop(struct house *house, int signal)
{
    uint64_t now_ns = clock_now_ns();
    if (house->stop_signal && now_ns - house->stop_ns < SAME_SIGNAL_NS) return;
    if (house->command > 0) kill(house->command, house->stop_signal ? SIGKILL : signal);
    house->stop_signal = signal;
    house->stop_ns = now_ns;
}

/* Carries the path on until a signal came or `until_ns`. */
static void turn(struct house *house, uint64_t until_ns)
{
    struct signalfd_siginfo info;
    if (house->options->netem) {
        struct pollfd wait = {house->signals, POLLIN, 0};
        (void)!poll(&wait, 1, 20);
    } else if (!wan_pump_turn(&house->pump, house->signals, until_ns)) {
        return;
    }
    while (read(house->signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD) on_stop(house, (int)info.ssi_signo);
}

/* Until the process ends, or the time is over (then false). Others that end are noted. */
static bool await(struct house *house, pid_t pid, uint64_t until_ns)
{
    for (;;) {
        int status;
        pid_t ended;
        while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
            on_child(house, ended, status);
            if (ended == pid) return true;
        }
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= until_ns) return false;
        if (house->stop_signal && now_ns - house->stop_ns > WAN_HOUSE_GRACE_NS) return false;
        turn(house, min_u64(until_ns, now_ns + NS_PER_S));
    }
}

/* A child with everything as a program expects it, in that namespace; 0 in the child, −1: none. */
static pid_t fork_into(struct house *house, enum wan_net_side side)
{
    sigset_t none;
    pid_t pid = fork();
    if (pid != 0) return pid;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_TIMERSLACK, 0ul);
    if (!wan_net_enter(&house->net, side)) _exit(WAN_HOUSE_EXIT_LAB);
    setenv("WANLAB_SERVER", WAN_NET_SERVER, 1);
    setenv("WANLAB_CLIENT", WAN_NET_CLIENT, 1);
    return 0;
}

static uint64_t dropped(const struct house *house, uint32_t lane)
{
    const struct wan_model_counters *counters = &house->pump.lanes[lane].model.counters;
    return counters->lost_packets + counters->policed_packets + counters->dropped_packets +
           counters->refused_packets;
}

/* Runs the probes in a process of their own, with the path at one step of the plan. */
static bool probe_step(struct house *house, const struct wan_plan_step *step,
                       struct wan_probe_result *result)
{
    int ends[2];
    *result = (struct wan_probe_result){.ran = false};
    if (pipe(ends)) return false;
    pid_t pid = fork_into(house, WAN_NET_SIDE_CLIENT);
    if (pid == 0) {
        wan_probe_run(&house->net, step, house->options->net.mtu, result);
        ssize_t count = write(ends[1], result, sizeof *result);
        _exit(count == sizeof *result ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[1]);
    bool good = pid > 0 && await(house, pid, UINT64_MAX) && !house->stop_signal &&
                read(ends[0], result, sizeof *result) == sizeof *result;
    close(ends[0]);
    await(house, -1, clock_now_ns() + SETTLE_NS);
    return good;
}

static bool calibrate(struct house *house)
{
    const struct wan_plan *plan = house->options->plan;
    bool netem = house->options->netem;
    wan_calibrate_init(&house->calibrate);
    for (uint32_t i = 0; i < (netem ? 1 : plan->step_count); i++) {
        struct wan_calibrate_drops drops = {{-1, -1}};
        struct wan_probe_result result;
        if (!netem) wan_pump_hold(&house->pump, &plan->steps[i], clock_now_ns());
        for (uint32_t j = 0; j < WAN_PLAN_LANES && !netem; j++)
            drops.packets[j] = -(int64_t)dropped(house, j);
        if (!probe_step(house, &plan->steps[i], &result))
            return fail(house, house->stop_signal ? "interrupted" : "the probes did not run");
        for (uint32_t j = 0; j < WAN_PLAN_LANES && !netem; j++)
            drops.packets[j] += (int64_t)dropped(house, j);
        wan_calibrate_judge(&house->calibrate, plan, i, &result, &drops);
    }
    if (!house->calibrate.good || !house->options->quiet)
        wan_calibrate_print(&house->calibrate, stderr);
    return true;
}

static bool port_answers(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, WAN_NET_SERVER, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) close(fd);
    return good;
}

/* Its output goes where errors go: standard output is the command's. */
static bool start_server(struct house *house)
{
    const struct wan_house_options *options = house->options;
    uint64_t until_ns = clock_now_ns() + PORT_PATIENCE_NS;
    house->server = fork_into(house, WAN_NET_SIDE_SERVER);
    if (house->server < 0) return fail(house, "cannot start a process for the server");
    if (house->server == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", options->server, (char *)NULL);
        _exit(WAN_HOUSE_EXIT_START);
    }
    while (options->server_port > 0 && !port_answers((uint16_t)options->server_port)) {
        await(house, -1, clock_now_ns() + PORT_EVERY_NS);
        if (house->stop_signal) return fail(house, "interrupted");
        if (house->server == 0) return fail(house, "the server ended before its port answered");
        if (clock_now_ns() > until_ns)
            return fail(house,
                        "the server's port (--server-port) does not answer on " WAN_NET_SERVER);
    }
    return true;
}

static int exit_code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_command(struct house *house)
{
    char *const *command = house->options->command;
    if (!house->options->netem) wan_pump_begin(&house->pump, clock_now_ns());
    house->command = fork_into(house, WAN_NET_SIDE_CLIENT);
    if (house->command < 0) return WAN_HOUSE_EXIT_LAB;
    if (house->command == 0) {
        execvp(command[0], command);
        log_line(house->log, LOG_ERROR, "cannot start %s: %s", command[0], strerror(errno));
        _exit(WAN_HOUSE_EXIT_START);
    }
    pid_t pid = house->command;
    bool ended = await(house, pid, UINT64_MAX);
    house->command = 0;
    return ended ? exit_code_of(house->ended_status) : 128 + house->stop_signal;
}

/* SIGTERM to all that still runs, and a moment for it: a server may write its last words. */
static void end_others(struct house *house)
{
    if (house->server <= 0) return;
    kill(house->server, SIGTERM);
    house->stop_signal = 0;
    await(house, house->server, clock_now_ns() + NS_PER_S);
}

static int conclude(struct house *house, uint64_t begin_ns, int code)
{
    struct wan_report report = {.plan = house->options->plan,
                                .seed = house->options->seed,
                                .begin_ns = begin_ns,
                                .elapsed_ns = clock_now_ns() - begin_ns,
                                .exit_code = code};
    if (house->options->calibrate) report.calibrate = &house->calibrate;
    if (!house->options->netem) report.pump = &house->pump;
    for (uint32_t i = 0; i < WAN_NET_SIDES; i++)
        if (wan_net_enter(&house->net, i)) report.device_drops[i] = wan_net_device_drops();
    const char *why = wan_report_void(&report);
    if (why && house->options->command)
        log_line(house->log, LOG_WARNING, "this run is void: %s", why);
    if (house->options->report && !wan_report_write(&report, house->options->report)) {
        log_line(house->log, LOG_ERROR, "cannot write %s: %s", house->options->report,
                 strerror(errno));
        return WAN_HOUSE_EXIT_LAB;
    }
    return code;
}

int wan_house_run(const struct wan_house_options *options, const struct log *log)
{
    struct house *house = calloc(1, sizeof *house);
    uint64_t begin_ns = clock_now_ns();
    int code = EXIT_SUCCESS;
    if (!house) return WAN_HOUSE_EXIT_LAB;
    house->options = options;
    house->log = log;
    if (!mount_proc(house) || !open_signals(house) || !open_path(house)) return WAN_HOUSE_EXIT_LAB;
    if (options->calibrate && !calibrate(house)) return WAN_HOUSE_EXIT_LAB;
    if (options->calibrate && !house->calibrate.good) {
        log_line(log, options->anyhow ? LOG_WARNING : LOG_ERROR,
                 "the path is not what was asked for: see the lines with OFF");
        if (!options->anyhow) return conclude(house, begin_ns, WAN_HOUSE_EXIT_OFF);
    }
    if (options->server && !start_server(house)) return WAN_HOUSE_EXIT_LAB;
    begin_ns = clock_now_ns();
    if (options->command) code = run_command(house);
    code = conclude(house, begin_ns, code);
    end_others(house);
    return code; /* the caller exits: the kernel frees and ends the rest */
}
