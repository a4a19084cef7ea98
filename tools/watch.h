/* watch: what the main thread does while the cores work: draws the progress, tells each second what
 * the time went to (-v), limits the rate, and listens for signals and for `argosy ctl`
 * (tools/control).
 *
 * The first signal asks the work to stop, which has WATCH_GRACE_NS for that: what is under way is
 * parked. A second signal, or the end of that time (a disk or a journal that hangs), ends the
 * process at once, with a word on how to go on: what the journal has by then is kept. */
#ifndef TOOLS_WATCH_H
#define TOOLS_WATCH_H

#include "core/log.h"
#include "tools/progress.h"
#include "tools/throttle.h"

#define WATCH_GRACE_NS (9 * NS_PER_S) /* who sends SIGTERM waits for 10 s before SIGKILL, mostly */

struct watched;

struct watched_kind {
    bool (*is_over)(const struct watched *watched);
    void (*read)(const struct watched *watched, struct run_numbers *numbers);
    void (*interrupt)(struct watched *watched);
    void (*limit)(struct watched *watched, uint64_t rate_bytes_per_s); /* 0: none */
};

struct watched { /* embedded */
    const struct watched_kind *kind;
    struct throttle *throttle;             /* whose rates `limit` is given */
    const char *command, *source, *target; /* for who asks; `target` may be "" */
    int64_t job;                           /* its number in the journal; 0: none */
    bool resumes;                          /* a later run can go on with that job */
};

void watch_block_signals(void); /* before the cores' threads are made: they inherit it */
/* Gives it the rate of now; before it starts, and then watch() does. */
void watch_limit(struct watched *watched, const struct log *log);
/* Until it is over. The signal that came, or 0. */
int watch(struct watched *watched, struct progress *progress, const struct log *log);

#endif
