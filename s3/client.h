/* client: one core's ways to one endpoint: its connections, its TLS context, what it signs with,
 * its retry budget, and what it has learned of the server. Everything that requests to it share.
 *
 * A *door* is a host name and port with its connections and its breaker; a *site* is an endpoint
 * with a region. Site 0 is the endpoint itself, 1 and up are the bulletin's (s3/atlas: the same
 * numbers on all cores), and the rest are this core's own, of redirects that one request follows.
 * client_find() says what way a request takes now: it is asked at each attempt.
 *
 * With virtual-host addressing each bucket is a host name of its own, to be resolved and verified
 * as such: it gets a door of its own at the first request, as does each other host (the only
 * allocations after the start). Where virtual-host addressing was a guess (s3/target) and nothing
 * has worked yet, a bucket's name that does not resolve, or has no certificate, turns all of the
 * endpoint's requests to the path.
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

/* A run has a bucket or two; temporary redirects may lead to each node of a cluster. */
#define CLIENT_DOORS_MAX   32u
#define CLIENT_PASSING_MAX 24u
#define CLIENT_SITES_MAX   (1 + ATLAS_SITES_MAX + CLIENT_PASSING_MAX)
/* Refusals in a row, where others were accepted: as of the clock (s3/identity). */
#define CLIENT_REFUSALS_MAX IDENTITY_REFUSALS_MAX

#define CLIENT_TROUBLE_BYTES 320u /* a request's words */

enum client_confirms { /* does the server check the checksums that we send? */
                       CLIENT_CONFIRMS_UNKNOWN,
                       CLIENT_CONFIRMS,
                       CLIENT_CONFIRMS_NOT
};

struct client_door {
    char name[TARGET_HOST_BYTES];
    uint16_t port;
    bool tls;
    struct dial *dial;
    struct breaker breaker;
};

struct client_site {
    struct identity_key key; /* for its region */
    bool accepted;           /* something that was sent there */
    uint32_t refusals;       /* that called it the wrong place, since then */
};

struct client_way { /* of one attempt */
    uint32_t site;
    const struct endpoint *endpoint; /* as requests are to be addressed there */
    struct client_door *door;
};

struct client {
    struct core *core;
    const struct conf *conf;
    const struct endpoint *endpoint;
    enum client_confirms confirms;  /* set by whoever sees a reply to an upload */
    struct meter requests, retries; /* sent, incl. retries; retries alone */
    struct meter connections;       /* opened, when it was closed */
    struct meter cuts, cut_bytes;   /* requests that were too slow; what had to be moved again */
    struct traffic traffic;
    struct identity identity;
    struct retry_budget budget;
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
    uint64_t pacing_bytes_per_s;
    struct client_door doors[CLIENT_DOORS_MAX]; /* the first: to the endpoint's own name */
    uint32_t door_count;                        /* 0: the client is closed */
    struct client_door *recent;                 /* the last that was asked for */
    struct client_site sites[CLIENT_SITES_MAX];
    struct endpoint passing[CLIENT_PASSING_MAX];
    uint32_t passing_count;
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

/* The way of a bucket's next attempt; `bucket` empty: the service's. `site` 0: the bucket's home,
 * else one of client_pass(). Errors: ERR_NO_MEMORY (also with more than CLIENT_DOORS_MAX),
 * ERR_NAME_UNKNOWN, ERR_CONFIG (TLS, where nobody asked for it at the start). */
MUST_USE enum err client_find(struct client *client, struct bytes bucket, uint32_t site,
                              struct client_way *way);
/* An attempt that took `way` failed: true when it was because the bucket has no host name of its
 * own, so that the next one goes by path. */
MUST_USE bool client_goes_by_path(struct client *client, enum err err,
                                  const struct client_way *way);
struct sigv4_key *client_key(struct client *client, const struct client_way *way);

uint32_t client_home(const struct client *client, struct bytes bucket); /* its site, now */
const struct endpoint *client_site(const struct client *client, uint32_t site);
/* A site for one request's redirect, made or found; 0: there are too many. */
uint32_t client_pass(struct client *client, const struct endpoint *endpoint);
bool client_is_passing(uint32_t site);
/* What was sent there has been accepted. */
void client_on_success(struct client *client, uint32_t site);
/* A server says that it is the wrong place or region: true when that server is more likely wrong
 * itself. Counts the refusal. */
MUST_USE bool client_keeps(struct client *client, uint32_t site);
struct dial_counts client_counts(const struct client *client); /* of all doors */
/* The receive window of its connections, as dial_set_window(). */
void client_set_window(struct client *client, uint32_t bytes);
/* How fast each of its connections may send, as dial_set_pacing(). */
void client_set_pacing(struct client *client, uint64_t bytes_per_s);
/* Calls `visit` with each connection in use. */
void client_each(struct client *client, void (*visit)(struct conn *conn, void *context),
                 void *context);

#endif
