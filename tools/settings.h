/* settings: what the command line said, and the run's conf made from it, the environment and the
 * profile. Options win over the environment, which wins over the profile (s3/creds). */
#ifndef TOOLS_SETTINGS_H
#define TOOLS_SETTINGS_H

#include "net/sock.h"
#include "s3/conf.h"
#include "s3/spread.h"
#include "tools/opts.h"
#include "tools/throttle.h"

#define SETTINGS_WHY_BYTES 512u

struct settings { /* fields in the types that tools/opts.h names */
    bool help;
    /* cp */
    bool recursive, mtime;
    uint32_t symlinks; /* enum walk_symlinks */
    uint64_t spread;   /* 0: not */
    uint32_t checksum; /* enum checksum_kind */
    uint32_t content_md5;
    bool sign_payload;
    uint32_t direct; /* enum file_direct */
    uint32_t fsync;  /* enum conf_fsync */
    uint64_t part_bytes, multipart_threshold_bytes;
    uint32_t unequal_parts; /* auto, yes, no */
    const char *manifest;
    const char *journal; /* a path, "none", or NULL: the default */
    bool resume;
    const char *max_rate; /* a rate or a timetable (tools/timetable.h), or NULL */
    bool background;
    /* verify */
    uint32_t check; /* enum roll_side */
    bool read_back, cheap;
    /* jobs */
    uint64_t older_than_ns;
    bool dry_run, all_jobs;
    /* ls */
    bool human;
    /* the endpoint */
    const char *endpoint_url, *region, *profile, *ca_bundle, *follow_redirects;
    uint32_t addressing;
    bool sign, verify_tls;
    /* network and machine */
    uint64_t connections, retries, deadline_ns;   /* connections 0: as many as are found best */
    const char *cc, *stage_ahead, *log_decisions; /* NULL: the default */
    uint32_t prefixes;
    uint32_t receive_windows; /* of --receive-windows auto|kernel, in that order */
    uint64_t connect_timeout_ns, tls_timeout_ns, reply_timeout_ns, stall_timeout_ns;
    const char *tcp_congestion_control;
    const char *cores;
    uint64_t memory_bytes; /* 0: by default */
    /* what is said */
    bool json, quiet;
    uint64_t verbose;
    /* behind the command's name, as they were given */
    int argument_count;
    char *const *arguments;
};

struct settings_conf { /* a conf and what its pointers point at */
    struct conf conf;
    struct creds creds;
    struct throttle throttle;           /* of --max-rate */
    char tcp_cc[SOCK_CONGESTION_BYTES]; /* the kernel's, that the sockets have */
};

void settings_init(struct settings *settings);

/* The log as -v and -q want it; before anything is said. */
struct log settings_log(const struct settings *settings);

/* Endpoint 0 is the one that the options name. `conf` stays where it is as long as it is used.
 * Says what deserves a warning. Errors, with a sentence in `why`: ERR_USAGE, ERR_CONFIG,
 * ERR_NO_CREDENTIALS. */
MUST_USE enum err settings_apply(const struct settings *settings, struct settings_conf *conf,
                                 char why[SETTINGS_WHY_BYTES]);
/* For -v: the cores, the memory and the flow control of a command that moves data. */
void settings_say_run(const struct settings *settings, const struct settings_conf *conf);
void settings_fini(struct settings_conf *conf); /* wipes the secrets */

/* Tables that several commands share. */
/* A row of --spread, for a command's own table. */
#define SETTINGS_SPREAD_ROW(text)                                                                  \
    {                                                                                              \
        .kind = OPTS_NUMBER, .name = "spread", .argument = "N", .offset = SETTINGS_FIELD(spread),  \
        .least = SPREAD_MIN, .most = SPREAD_MAX, .help = (text)                                    \
    }

extern const struct opts_table settings_endpoint_table, settings_rate_table, settings_machine_table,
    settings_network_table, settings_flow_table, settings_output_table;

#define SETTINGS_FIELD(field) offsetof(struct settings, field)

#endif
