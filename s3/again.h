/* again: what becomes of a call whose attempt failed: looks up what is to be done (s3/policy), and
 * does what can be done by trying again: waits (sched/retry), corrects what is signed with
 * (s3/identity), goes where the bucket or the request is sent (s3/redirect), and tells the user
 * when that takes long.
 *
 * One `struct again` a call, through all its attempts. What has never worked is given up sooner:
 * then it is more likely a wrong address than a passing fault. */
#ifndef S3_AGAIN_H
#define S3_AGAIN_H

#include "s3/client.h"
#include "s3/policy.h"
#include "s3/redirect.h"

/* Of an endpoint to which no connection was ever made: nobody listens there, or it has another
 * name. */
#define AGAIN_FIRST_CONTACT_NS (3 * NS_PER_S)
/* Of one to which there was a connection, but which never answered with success. */
#define AGAIN_FIRST_SUCCESS_NS (15 * NS_PER_S)
#define AGAIN_CORRECTIONS_MAX  16u /* of a call's signature: minutes, where new ones must come */
#define AGAIN_SAY_NS           NS_PER_S

/* Where a call was sent, one redirect after the other; begins anew when it fails otherwise. */
struct again_trail {
    uint8_t site; /* that the next attempt goes to; 0: the bucket's home */
    uint8_t hop_count;
    uint8_t hops[REDIRECT_HOPS_MAX]; /* sites that redirected it */
};

_Static_assert(CLIENT_SITES_MAX <= UINT8_MAX, "a trail holds sites");

struct again {
    struct retry retry;
    enum policy_act act; /* what the last failure asks for */
    struct again_trail trail;
    enum redirect_verdict verdict; /* of the last REGION or REDIRECT */
    /* private */
    struct client *client;
    struct client_door *door; /* of the last attempt; NULL: none was admitted */
    uint32_t corrections;
    uint32_t ticket; /* of the breaker, while `admitted` */
    bool admitted;
};

struct again_failure { /* of an attempt */
    struct policy_case what;
    const char *why;          /* the transport's or the server's words, or "" */
    struct bytes bucket, key; /* for the user */
    uint32_t epoch;           /* of the identity that signed it */
    uint32_t site;            /* that it went to */
    uint32_t status;          /* HTTP, or 0 */
    uint64_t asked_ns;        /* Retry-After, or 0 */
    int64_t date_s;           /* the server's time, or INT64_MIN */
    const char *region;       /* that the server names, or "" */
    const struct redirect_place *place;
    bool owner_rereads; /* the owner can read its source again: it is told instead */
};

void again_init(struct again *again, struct client *client);
/* May the next attempt go? True; or false, and when to ask again: the server is in trouble. That
 * counts as failing: *over when it has lasted too long for this call. */
MUST_USE bool again_admit(struct again *again, const struct client_way *way, struct bytes bucket,
                          uint64_t *wait_ns, bool *over);
/* The attempt is over: what it says of the server. Once after each again_admit(). */
void again_report(struct again *again, const struct policy_case *failure); /* NULL: success */
/* The attempt is over and says nothing: it was cancelled. */
void again_leave(struct again *again);

/* After a failure: true, and the delay until the next attempt, which is counted; or false: it is
 * final, or again->act is the owner's to do. */
MUST_USE bool again_may(struct again *again, const struct again_failure *failure,
                        uint64_t *delay_ns);
/* After again_may() said no: instead of the server's words, what was refused and what one can do;
 * `text` stays as it is where the server's words say it all. */
void again_explain(const struct again *again, const struct again_failure *failure, char *text,
                   size_t bytes);
void again_progressed(struct again *again); /* bytes have moved: the deadline begins anew */
void again_succeeded(struct again *again);

#endif
