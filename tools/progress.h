/* progress: one line on a terminal, redrawn a few times a second: bytes acknowledged (of parts
 * under way by TCP, which is taken back where one begins anew), rate, time left, files, failures.
 * Nothing where standard error is not a terminal.
 *
 * While the line stands, lines of the log must erase it first: progress_log_program() is the log's
 * program name that does. The rate is smoothed over a few seconds. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include "core/bytes.h"
#include "s3/run.h"

struct progress {
    bool on;
    double rate_bytes_per_s; /* of the last seconds */
    /* private */
    uint64_t drawn_ns, drawn_bytes; /* at the last drawing */
    bool has_rate;
};

/* `wanted`: it is on when standard error is a terminal as well. */
void progress_init(struct progress *progress, bool wanted, uint64_t now_ns);
const char *progress_log_program(const struct progress *progress);
/* Draws, or but measures when it is off, when it is time to (5 times a second). */
void progress_draw(struct progress *progress, const struct run_numbers *numbers, uint64_t now_ns);
void progress_erase(struct progress *progress);

/* Pure halves of drawing. The text has at most `columns` characters, all ASCII. */
void progress_measure(struct progress *progress, uint64_t done_bytes, uint64_t now_ns);
void progress_format(const struct progress *progress, const struct run_numbers *numbers,
                     uint32_t columns, struct writer *w);

#endif
