/* report: what came of a run: a few lines for people, one object for programs, and the exit code.
 *
 *   found = done + skipped + failed + unfinished,   or the exit code is not 0
 *
 * (Unfinished: stopped with the run, by a signal or by what stopped it; then the exit code is not 0
 * either.) */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include <stdio.h>

#include <cjson/cJSON.h>

#include "s3/run.h"
#include "tools/status.h"
#include "tools/why.h"

struct report {
    struct run_result result;
    enum checksum_kind checksum; /* that was asked for */
    const char *cc, *tcp_cc;     /* the flow control, the kernel's, or NULL */
    struct why why;              /* for advice; without a conf none is given */
    int signal;                  /* that interrupted it, or 0 */
};

/* The run's own error decides, then failed objects: the code of the first failure where nothing was
 * done, else STATUS_SOME_FAILED. Counts that do not add up are never STATUS_OK. */
enum status report_status(const struct report *report);
bool report_reconciles(const struct run_numbers *numbers);

/* One line to the log at LOG_NOTE, the warnings that belong to it, and why it was not faster. */
void report_say(const struct report *report, const struct log *log);
/* Of these numbers: why it was not faster, and how it gave way to others. */
void report_say_limits(const struct why *why, const struct run_numbers *numbers,
                       uint64_t elapsed_ns, const struct log *log);
void report_add_limits(cJSON *json, const struct run_numbers *numbers);
/* One object and a newline. False when it could not be written. */
MUST_USE bool report_write_json(const struct report *report, FILE *out);

#endif
