/* run: a whole copy as the command sees it: starts the crew, plans, moves, and counts.
 *
 *   found = done + skipped + failed,                when the run ended by itself
 *   found = done + skipped + failed + unfinished,   when it was stopped
 *
 * Failures and warnings are logged where they are handled (conf.log), one line an object. The
 * numbers may be read from any thread while the run goes on. */
#ifndef S3_RUN_H
#define S3_RUN_H

#include "s3/conf.h"
#include "s3/journal_db.h"
#include "s3/steer.h"
#include "sched/crew.h"

enum run_side { RUN_LOCAL, RUN_S3 };

struct run_place { /* a source or a target */
    enum run_side side;
    const char *path;  /* local: "-" is standard input or output */
    struct uri uri;    /* S3 */
    uint32_t endpoint; /* index into conf->endpoints */
};

struct run_keep { /* a job that was claimed in a journal */
    struct journal_db *db;
    int64_t job;
    uint64_t tag; /* of its temporary files */
    bool is_new;  /* it has no past */
    bool lasts;   /* what it has done is there after a power cut; else it is done again then */
};

struct run_numbers {
    uint64_t found, done, skipped, failed; /* objects */
    uint64_t unfinished;                   /* stopped with the run, for no fault of their own */
    uint64_t before, before_bytes;         /* of those skipped: by earlier runs of the job */
    uint64_t found_bytes;                  /* of what was found so far */
    uint64_t done_bytes;                   /* acknowledged by the server, or written */
    uint64_t moving_bytes; /* beside those, of parts under way: acknowledged by TCP */
    uint64_t unconfirmed;  /* objects whose checksum the server did not confirm */
    uint64_t unverified;   /* downloads for which the server had no checksum */
    uint64_t stray_files;  /* temporary files that could not be removed */
    uint64_t requests, retries, connections;
    uint64_t cuts, cut_bytes;  /* requests cut for being slow; what was moved in vain by them */
    uint64_t window;           /* parts that may be in flight, all cores */
    uint64_t staged_ahead;     /* parts that may be staged beyond them */
    struct blame_totals blame; /* what the cores' time went to */
    uint64_t
        part_bytes; /* the size of parts and ranges, as it was told or found; 0: by the object */
    uint64_t background_bytes_per_s; /* what --background leaves itself now; 0: it does not yield */
    uint64_t yielded_ns;             /* how long it found others' traffic in its way, so far */
    bool planning;                   /* found… still grow */
};

struct run_result {
    struct run_numbers numbers;
    enum err err;           /* why the run stopped early, or ERR_NONE */
    enum err first_failure; /* of an object: for the exit code when none was done */
    char why[512];          /* a sentence for err */
    uint64_t elapsed_ns;
};

struct run;

/* Checks what can be checked before anything moves (source exists, is readable, a directory without
 * -r, target folder…) and opens the cores. `keep` may be NULL: nothing is journalled; else its db
 * is the run's until run_close(). Errors with a sentence in `why`: ERR_FILE_MISSING,
 * ERR_FILE_IS_FOLDER, ERR_NO_RING … */
MUST_USE enum err run_open(struct run **run, const struct conf *conf,
                           const struct run_place *source, const struct run_place *target,
                           const struct run_keep *keep, char why[512]);
MUST_USE enum err run_start(struct run *run);
bool run_is_over(const struct run *run);                           /* any thread */
void run_read(const struct run *run, struct run_numbers *numbers); /* any thread */
/* Any thread, but one at a time; also before run_start(). 0: no limit. */
void run_limit(struct run *run, uint64_t rate_bytes_per_s);
const char *run_cc(const struct run *run); /* the flow control's name */
/* By one thread: what the flow control decided; see s3/steer.h. */
MUST_USE bool run_take_decision(struct run *run, struct steer_decision *decision);
uint64_t run_lost_decisions(const struct run *run);
void run_interrupt(struct run *run); /* any thread: ends soon */
void run_wait(struct run *run, struct run_result *result);
void run_close(struct run *run);

#endif
