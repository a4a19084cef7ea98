/* stowage_server: the embedded S3 endpoint on one core: listens, and gives each connection its
 * machine. Ends on SIGTERM and SIGINT: accepts no more, cuts what is under way, lets the keep
 * finish its writing. SIGHUP reads the file of fault rules again, SIGUSR1 tells how often each rule
 * fired, and what moved since the rules came; the end tells the former. Signals, because no S3
 * client can send one. */
#ifndef TOOLS_STOWAGE_SERVER_H
#define TOOLS_STOWAGE_SERVER_H

#include <sys/signalfd.h>

#include "tools/stowage_conn.h"
#include "tools/stowage_folder.h"
#include "tools/stowage_memory.h"

#define STOWAGE_SERVER_WHY_BYTES 640u

struct stowage_server_options {
    struct accept_options accept;
    enum { STOWAGE_MEMORY, STOWAGE_FOLDER, STOWAGE_NULL } mode;
    const char *folder;    /* of STOWAGE_FOLDER */
    uint64_t memory_bytes; /* of STOWAGE_MEMORY: what all objects may have */
    const char *access_key, *secret_key, *region;
    bool no_auth, no_verify;
    const struct stowage_service *service; /* how fast it is; copied, NULL: as it can */
    const char *const *faults;             /* rules; in force until a file replaces them */
    uint32_t fault_count;
    const char *fault_file; /* NULL: none */
    int cpu;                /* −1: not pinned */
};

struct stowage_server {
    struct core core;
    struct stowage_world world;
    struct stowage_fault fault;
    struct stowage_service service;
    struct addr bound;
    /* private */
    struct stowage_memory memory;
    struct stowage_null null;
    struct stowage_folder *folder;
    struct acceptor acceptor;
    struct list conns;
    uint32_t conn_count;
    struct stowage_conn_traffic traffic, reported; /* since the start, and until the last report */
    struct stowage_conn_options conn_options;
    int signal_fd;
    const char *fault_file;
    struct signalfd_siginfo signal_info;
    struct op on_signal, accept_closed, keep_closed;
    bool closing, accepts_no_more;
};

/* Opens core, keep and listener. `server` is large and stays in place. Errors, with a sentence in
 * `why`. */
MUST_USE enum err stowage_server_open(struct stowage_server *server,
                                      const struct stowage_server_options *options,
                                      const struct log *log, char why[STOWAGE_SERVER_WHY_BYTES]);
void stowage_server_run(struct stowage_server *server); /* until a signal */
void stowage_server_close(struct stowage_server *server);

#endif
