/* bulletin: what the cores of a run tell each other of one endpoint: that it was ever reached, that
 * it has ever worked, that buckets go into the path there, where else a bucket turned out to be
 * (s3/atlas), and what the user was told already.
 * Relaxed atomics, any thread. */
#ifndef S3_BULLETIN_H
#define S3_BULLETIN_H

#include <stdatomic.h>

#include "core/err.h"
#include "s3/atlas.h"

/* One cause again after this time: who watches for minutes wants to know that it goes on. */
#define BULLETIN_AGAIN_NS (30 * NS_PER_S)

struct bulletin { /* zeroed before use */
    struct atlas atlas;
    /* private */
    _Atomic bool reached, worked, troubled, by_path;
    _Atomic uint64_t said_ns[ERR_COUNT], relieved_ns;
};

void bulletin_set_reached(struct bulletin *bulletin);
bool bulletin_was_reached(const struct bulletin *bulletin); /* a connection was made, TLS and all */
void bulletin_set_worked(struct bulletin *bulletin);
bool bulletin_has_worked(const struct bulletin *bulletin); /* an answer came that was no failure */

/* Buckets have no host names of their own, other than it was guessed. True for the first caller. */
bool bulletin_set_by_path(struct bulletin *bulletin);
bool bulletin_is_by_path(const struct bulletin *bulletin);

/* Is it the caller's turn to tell the user of `cause`? At most one caller in BULLETIN_AGAIN_NS is
 * told so. */
MUST_USE bool bulletin_claim(struct bulletin *bulletin, enum err cause, uint64_t now_ns);
/* The user was told that work waits. */
void bulletin_set_troubled(struct bulletin *bulletin);
/* Something worked: true for one caller, if work waited. The next trouble is said at once. */
MUST_USE bool bulletin_claim_relief(struct bulletin *bulletin, uint64_t now_ns);
/* Was that so after `since_ns`? Then whose trouble is older has not looked again yet. */
bool bulletin_is_relieved(const struct bulletin *bulletin, uint64_t since_ns);

#endif
