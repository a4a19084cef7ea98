/* wan_house: the first process of a PID namespace, and all that lives in it: the network
 * namespaces, the pump between them, a server at one end, the command at the other.
 *
 *   open ─► calibrate (a probe, each step of the plan) ─► server, until its port answers ─► command
 *   ─► report
 *
 * When this process ends, in whichever way, the kernel ends every other one of its PID namespace,
 * and with them go namespaces and devices: nothing has to be tidied up, not even after SIGKILL.
 * SIGINT, SIGTERM and SIGHUP are passed on to the command, which has WAN_HOUSE_GRACE_NS to end; a
 * second one ends everything at once. */
#ifndef TOOLS_WAN_HOUSE_H
#define TOOLS_WAN_HOUSE_H

#include "core/log.h"
#include "tools/wan_net.h"
#include "tools/wan_plan.h"

#define WAN_HOUSE_GRACE_NS (3 * NS_PER_S)

enum wan_house_exit {
    WAN_HOUSE_EXIT_OFF = 124,   /* the path is not what was asked for */
    WAN_HOUSE_EXIT_LAB = 125,   /* namespaces, devices, the server */
    WAN_HOUSE_EXIT_START = 127, /* the command could not be started, as a shell says it */
};

struct wan_house_options {
    const struct wan_plan *plan;
    struct wan_net_options net;
    uint64_t seed;
    const char *server;     /* a shell's command for the server's namespace; NULL: none */
    uint64_t server_port;   /* is waited for; 0: none */
    char *const *command;   /* NULL: none, calibration only */
    const char *report;     /* file of the JSON report; NULL: none */
    bool calibrate, anyhow; /* first; and go on although it is off */
    bool realtime;          /* the pump before all others */
    bool netem;             /* the kernel's qdisc instead of the pump */
    bool quiet;             /* no calibration lines where all is well */
};

/* In the first process of a new PID namespace, to be ended with what is returned: the command's
 * exit code (128 + signal where one ended it), or one of enum wan_house_exit. */
int wan_house_run(const struct wan_house_options *options, const struct log *log);

#endif
