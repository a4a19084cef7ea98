/* identity: what one core signs requests to an endpoint with: credentials, and the difference of
 * the server's clock from ours. Both are corrected while a run goes on. The region is the bucket's
 * (s3/atlas): for each region that is signed for, somebody keeps a key.
 *
 * `epoch` counts corrections. A request remembers the epoch that it was signed in: one that failed
 * for its identity and finds another epoch now need only be signed again.
 *
 *   credentials   the profile's files are read again, on the aside. What came from the environment
 *                 cannot change while a process lives: then nothing is found
 *   clock         to what the reply says that it is
 *
 * One server of several may have a wrong clock: while others accept what we sign, ours is kept
 * (identity_keeps()), and the request is only asked again.
 *
 * Secrets are wiped at the end. */
#ifndef S3_IDENTITY_H
#define S3_IDENTITY_H

#include "core/aside.h"
#include "s3/creds.h"
#include "s3/sigv4.h"
#include "s3/target.h"

#define IDENTITY_CLOCK_NS  (60 * NS_PER_S) /* less is no cause: S3 allows 15 minutes */
#define IDENTITY_REREAD_NS (2 * NS_PER_S)  /* the files are not read more often */
/* In a row: where a fifth of the servers is wrong, that happens once in 15,000 requests. */
#define IDENTITY_REFUSALS_MAX 6u

struct identity_key { /* zeroed before use */
    /* private */
    struct sigv4_key key;
    uint32_t epoch; /* that it is of */
    bool ready;
};

struct identity {
    uint32_t epoch;
    bool signs; /* else the rest is empty */
    struct creds creds;
    /* private */
    struct core *core;
    struct aside *aside;
    const char *profile;
    struct aside_job job;
    struct op *close_owner;
    struct creds fresh;
    uint64_t read_ns;        /* when it was begun last; 0: never */
    int64_t clock_offset_ns; /* to be added to ours */
    bool accepted;           /* something that was signed in this epoch */
    uint32_t refusals;       /* of the clock, since then */
    enum err read_err;
    char read_why[CREDS_WHY_BYTES];
};

/* `endpoint` and `profile` (or NULL) stay in place; `aside` NULL: nothing is ever read again. */
void identity_init(struct identity *identity, struct core *core, const struct endpoint *endpoint,
                   const char *profile, struct aside *aside);
/* Wipes it, when no reading is out any more. */
void identity_close(struct identity *identity, struct op *op);
bool identity_is_reading(const struct identity *identity);

/* Begins to read the credentials again, unless that is under way or was done within
 * IDENTITY_REREAD_NS: false then, and when they cannot have changed. */
bool identity_reread(struct identity *identity);
/* What was signed in that epoch has been accepted. */
void identity_on_success(struct identity *identity, uint32_t epoch);
/* The server calls the clock wrong that we sign with now: true when it is more likely wrong itself.
 * Counts the refusal. */
bool identity_keeps(struct identity *identity);
/* The server's time, in seconds since 1970, after it called ours wrong: true when that is taken as
 * the time from now on. INT64_MIN: it said none. */
bool identity_set_clock(struct identity *identity, int64_t server_s);
/* What is signed with now, for that region: valid until something is corrected. */
struct sigv4_key *identity_key(struct identity *identity, struct identity_key *key,
                               const char *region);
void identity_forget_key(struct identity_key *key); /* wipes it; harmless when there is none */

uint64_t identity_wall_ns(const struct identity *identity); /* since 1970, by the server's clock */
/* How far the server's clock is from ours, if more than IDENTITY_CLOCK_NS; else 0. */
int64_t identity_clock_error_ns(const struct identity *identity, int64_t server_s);

#endif
