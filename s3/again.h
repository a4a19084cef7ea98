/* again: what becomes of a call whose attempt failed: looks up what is to be done (s3/policy), and
 * does what can be done by trying again: waits (sched/retry), corrects what is signed with
 * (s3/identity), and tells the user when that takes long.
 *
 * One `struct again` a call, through all its attempts. What has never worked is given up sooner:
 * then it is more likely a wrong address than a passing fault. */
#ifndef S3_AGAIN_H
#define S3_AGAIN_H

#include "s3/client.h"
#include "s3/policy.h"

/* Of an endpoint to which no connection was ever made: nobody listens there, or it has another
 * name. */
#define AGAIN_FIRST_CONTACT_NS (3 * NS_PER_S)
/* Of one to which there was a connection, but which never answered with success. */
#define AGAIN_FIRST_SUCCESS_NS (15 * NS_PER_S)
#define AGAIN_CORRECTIONS_MAX  16u /* of a call's signature: minutes, where new ones must come */
#define AGAIN_SAY_NS           NS_PER_S

struct again {
    struct retry retry;
    enum policy_act act; /* what the last failure asks for */
    /* private */
    struct client *client;
    uint32_t corrections;
    uint32_t ticket; /* of the breaker, while `admitted` */
    bool admitted;
};

struct again_failure { /* of an attempt */
    struct policy_case what;
    const char *why;          /* the transport's or the server's words, or "" */
    struct bytes bucket, key; /* for the user */
    uint32_t epoch;           /* of the identity that signed it */
    uint64_t asked_ns;        /* Retry-After, or 0 */
    int64_t date_s;           /* the server's time, or INT64_MIN */
    const char *region;       /* that the server names, or "" */
    bool owner_rereads;       /* the owner can read its source again: it is told instead */
};

void again_init(struct again *again, struct client *client);
/* May the next attempt go? True; or false, and when to ask again: the server is in trouble. That
 * counts as failing: *over when it has lasted too long for this call. */
MUST_USE bool again_admit(struct again *again, struct bytes bucket, uint64_t *wait_ns, bool *over);
/* The attempt is over: what it says of the server. Once after each again_admit(). */
void again_report(struct again *again, const struct policy_case *failure); /* NULL: success */
/* The attempt is over and says nothing: it was cancelled. */
void again_leave(struct again *again);

/* After a failure: true, and the delay until the next attempt, which is counted; or false: it is
 * final, or again->act is the owner's to do. */
MUST_USE bool again_may(struct again *again, const struct again_failure *failure,
                        uint64_t *delay_ns);
void again_progressed(struct again *again); /* bytes have moved: the deadline begins anew */
void again_succeeded(struct again *again);

#endif
