/* client: one core's way to one endpoint: its connections, its TLS context, what it signs with,
 * its retry budget, and what it has learned of the server. Everything that requests to it
 * share.
 *
 * With virtual-host addressing each bucket is a host name of its own, to be resolved and verified
 * as such: it gets a dial of its own at the first request (the only allocation after the start).
 * Where virtual-host addressing was a guess (s3/target) and nothing has worked yet, a bucket's name
 * that does not resolve, or has no certificate, turns all of the endpoint's requests to the path.
 * */
#ifndef S3_CLIENT_H
#define S3_CLIENT_H

#include "core/gate.h"
#include "core/meter.h"
#include "net/dial.h"
#include "s3/bulletin.h"
#include "s3/conf.h"
#include "s3/identity.h"
#include "s3/lookout.h"
#include "s3/policy.h"
#include "s3/traffic.h"
#include "sched/breaker.h"
#include "sched/retry.h"

#define CLIENT_BUCKETS_MAX 8u /* with names of their own; a run has a source's and a target's */

#define CLIENT_TROUBLE_BYTES 320u /* a request's words */

enum client_confirms { /* does the server check the checksums that we send? */
                       CLIENT_CONFIRMS_UNKNOWN,
                       CLIENT_CONFIRMS,
                       CLIENT_CONFIRMS_NOT
};

struct client_bucket {
    char name[BUCKET_NAME_BYTES_MAX + 1];
    struct dial *dial;
};

struct client {
    struct core *core;
    const struct conf *conf;
    const struct endpoint *endpoint;
    struct dial *dial;              /* to the endpoint's own name; NULL: the client is closed */
    enum client_confirms confirms;  /* set by whoever sees a reply to an upload */
    struct meter requests, retries; /* sent, incl. retries; retries alone */
    struct meter connections;       /* opened, when it was closed */
    struct meter cuts, cut_bytes;   /* requests that were too slow; what had to be moved again */
    struct traffic traffic;
    struct identity identity;
    struct retry_budget budget;
    struct breaker breaker;
    struct lookout lookout;
    enum err trouble; /* the last failure, of any request */
    enum policy_phase trouble_phase;
    char trouble_why[CLIENT_TROUBLE_BYTES];
    struct bulletin *bulletin; /* of all cores, set after opening; or our own */
    struct gate *gate;         /* the core's, set after opening; NULL: not paced */
    /* private */
    struct endpoint by_path; /* the same, to be used when the guess was wrong */
    struct aside *aside;
    struct tls_context *tls;
    struct bulletin own_bulletin;
    uint32_t window_bytes;
    struct client_bucket buckets[CLIENT_BUCKETS_MAX];
    uint32_t bucket_count;
    struct op closing;
    struct op *close_owner;
};

/* `aside`: for names. `why` says what could not be loaded (a CA bundle). After an error the client
 * is closed. Errors: ERR_CONFIG, ERR_NO_MEMORY, ERR_NAME_UNKNOWN (longer than a name may be). */
MUST_USE enum err client_open(struct client *client, struct core *core, const struct conf *conf,
                              const struct endpoint *endpoint, struct aside *aside,
                              char why[TLS_WHY_BYTES]);
void client_close(struct client *client, struct op *op); /* no request may be out */
/* At once, where its core never ran; harmless when it is closed, or was never opened. */
void client_discard(struct client *client);

/* The dial for a bucket's requests; `bucket` empty: the service's. Errors: ERR_NO_MEMORY (also with
 * more than CLIENT_BUCKETS_MAX), ERR_NAME_UNKNOWN. */
MUST_USE enum err client_dial(struct client *client, struct bytes bucket, struct dial **dial);
/* An attempt through `dial` failed: true when it was because the bucket has no host name of its
 * own, so that the next one should go through *dial by path. */
MUST_USE bool client_goes_by_path(struct client *client, enum err err, struct dial **dial);
/* As requests are to be addressed now. */
const struct endpoint *client_endpoint(const struct client *client);
struct dial_counts client_counts(const struct client *client); /* of all its dials */
/* The receive window of its connections, as dial_set_window(). */
void client_set_window(struct client *client, uint32_t bytes);
/* Calls `visit` with each connection in use. */
void client_each(struct client *client, void (*visit)(struct conn *conn, void *context),
                 void *context);

#endif
