/* verify: the check of a whole copy, as the command sees it: a folder and what is below a prefix, a
 * file and an object, or what a manifest says. As s3/run is for copies.
 *
 *   found = equal + changed + missing + extra + failed + skipped,   when it ended by itself
 *
 * Nothing is written, neither here nor there. */
#ifndef S3_VERIFY_H
#define S3_VERIFY_H

#include "s3/audit.h"
#include "s3/conf.h"
#include "s3/run.h"

struct verify_options {
    const char *manifest;            /* or NULL: */
    struct run_place source, target; /* one of each side; the target is judged */
    enum roll_side side;             /* of a manifest's lines */
    struct audit_listener *listener;
};

struct verify_numbers {
    uint64_t found, equal, changed, missing, extra, failed, skipped;
    uint64_t by_size; /* of the equal ones: only their sizes were compared */
    uint64_t found_bytes, read_bytes;
    uint64_t requests, retries, connections;
    struct blame_totals blame; /* as in struct run_numbers, and the two: */
    uint64_t background_bytes_per_s, yielded_ns;
    bool searching; /* found… still grow */
};

struct verify_result {
    struct verify_numbers numbers;
    enum err err;           /* why it stopped early, or ERR_NONE */
    enum err first_failure; /* of an object that could not be checked */
    char why[512];          /* a sentence for err */
    uint64_t elapsed_ns;
};

struct verify;

/* Errors with a sentence in `why`: ERR_USAGE, ERR_FILE_MISSING, ERR_FILE_IS_FOLDER, ERR_NO_RING …
 * */
MUST_USE enum err verify_open(struct verify **verify, const struct conf *conf,
                              const struct verify_options *options, char why[512]);
MUST_USE enum err verify_start(struct verify *verify);
bool verify_is_over(const struct verify *verify);                              /* any thread */
void verify_read(const struct verify *verify, struct verify_numbers *numbers); /* any thread */
void verify_limit(struct verify *verify, uint64_t rate_bytes_per_s);           /* as run_limit() */
void verify_interrupt(struct verify *verify);                                  /* any thread */
void verify_wait(struct verify *verify, struct verify_result *result);
void verify_close(struct verify *verify);

#endif
