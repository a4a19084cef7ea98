/* state: what a transfer that runs says of itself to `argosy ctl`, as a JSON object; and that
 * object in words. Members may be added; who reads it leaves alone what it does not know. */
#ifndef TOOLS_STATE_H
#define TOOLS_STATE_H

#include "core/bytes.h"
#include "s3/run.h"

struct state {
    uint32_t pid;
    int64_t job; /* its number in the journal; 0: none */
    const char *command, *source, *target;
    struct run_numbers numbers;
    uint64_t elapsed_ns, rate_bytes_per_s; /* since it began; of the last seconds */
    uint64_t limit_bytes_per_s;            /* 0: none */
    bool limit_by_clock;                   /* it may change */
    /* Of the last second, or "": what most of the cores' time went to, by the name of --json's
     * limited_by; and the shares in words. */
    const char *limited_by, *time;
};

/* False when it does not fit. */
MUST_USE bool state_write(const struct state *state, char *text, size_t text_bytes);
/* What is missing is 0 or "". Texts are kept in `area`, also *why: what the object says is wrong,
 * or "" when it is none of ours. */
MUST_USE bool state_read(struct state *state, const char *text, struct writer *area,
                         const char **why);
/* {"error":"why"}: what state_read() returns as *why. */
void state_write_error(const char *why, char *text, size_t text_bytes);
/* "job 7 (pid 4711) cp /a → s3://b/c: 1.2 GiB of 5 GiB …", one line. */
void state_say(const struct state *state, struct writer *w);

#endif
