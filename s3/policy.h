/* policy: what is done about a failure: one table. Pure.
 *
 * The way to it: errno (core/err.c), TLS alert and certificate (net/tls.c), HTTP status and S3 code
 * (s3/reply.c) each become an enum err where they enter; that, the phase in which the attempt
 * failed, and what was called decide here. Rows come first, the class of the err (core/err.def)
 * decides what no row names.
 *
 *   AGAIN_NOW      on a new connection, the first time without a delay
 *   BACK_OFF       after a delay
 *   THROTTLE       after a longer delay; the pacer is told
 *   CREDENTIALS    read the profile again; sign with what is there now
 *   CLOCK          take the time from the reply's Date; sign with that
 *   SUSPECT        an answer without a code (HEAD has no body): perhaps the clock or the
 *                  credentials: look at both, else the object fails
 *   REGION         the bucket is elsewhere: sign for the region, or go to the host, that the server
 *                  names, as far as s3/redirect allows it
 *   REDIRECT       the request is to go to another host: as REGION
 *   REREAD         the bytes were altered on the way or in memory: read the source again
 *   RECONCILE      it may have been done: look before anything else
 *   RELIST         ask the server which parts it has
 *   RESTART        begin the object anew
 *   FAIL_OBJECT    the others go on
 *   STOP_RUN       nothing else would fare better */
#ifndef S3_POLICY_H
#define S3_POLICY_H

#include "core/err.h"

enum policy_phase {
    POLICY_RESOLVE,
    POLICY_CONNECT,
    POLICY_TLS,    /* the handshake */
    POLICY_SEND,   /* the request is not out yet */
    POLICY_AWAIT,  /* it is, and no reply came */
    POLICY_ANSWER, /* a reply with a status, and perhaps an S3 code */
    POLICY_BODY,   /* a reply whose body broke */
    POLICY_XML,    /* or was not what it should be */
    POLICY_PHASES
};

enum policy_call { POLICY_ANY, POLICY_PART, POLICY_COMPLETE };

enum policy_act {
    POLICY_AGAIN_NOW,
    POLICY_BACK_OFF,
    POLICY_THROTTLE,
    POLICY_CREDENTIALS,
    POLICY_CLOCK,
    POLICY_SUSPECT,
    POLICY_REGION,
    POLICY_REDIRECT,
    POLICY_REREAD,
    POLICY_RECONCILE,
    POLICY_RELIST,
    POLICY_RESTART,
    POLICY_FAIL_OBJECT,
    POLICY_STOP_RUN,
};

struct policy_case {
    enum policy_phase phase;
    enum policy_call call;
    enum err err; /* not ERR_NONE */
    bool bare;    /* an answer that has no S3 code */
};

struct policy {
    enum policy_act act;
    uint32_t attempts_max; /* 0: as many as the user allows; what seldom passes has fewer */
};

struct policy policy_find(const struct policy_case *failure);
/* The row that decides; policy_row_count(): none, but the class. */
uint32_t policy_row_of(const struct policy_case *failure);
uint32_t policy_row_count(void);
/* The phase of a connection that could not be made, by its err. */
enum policy_phase policy_dial_phase(enum err err);
const char *policy_act_name(enum policy_act act);       /* "back off" */
const char *policy_phase_name(enum policy_phase phase); /* "connect" */

#endif
