/* status: the exit codes of argosy, and which error gives which. */
#ifndef TOOLS_STATUS_H
#define TOOLS_STATUS_H

#include "core/err.h"

enum status {
    STATUS_OK = 0,
    STATUS_SOME_FAILED = 1, /* some objects failed, the others are done */
    STATUS_USAGE = 2,
    STATUS_ACCESS = 3, /* credentials, authorisation */
    STATUS_NOT_FOUND = 4,
    STATUS_ENVIRONMENT = 5, /* io_uring, memory, disk, network */
    STATUS_HUNG_UP = 129,   /* 128 and the signal's number, as shells have it */
    STATUS_INTERRUPTED = 130,
    STATUS_TERMINATED = 143,
};

/* STATUS_SOME_FAILED for what is the matter of single objects. */
enum status status_of_err(enum err err);
/* SIGHUP, SIGINT or SIGTERM. */
enum status status_of_signal(int number);
extern const char status_help[]; /* the lines of --help */

#endif
