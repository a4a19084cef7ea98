/* atlas: where the buckets of an endpoint turned out to be: what the cores of a run have learned of
 * that, shared by all of them.
 *
 * A site is a host and a region. A bucket is at home at the endpoint itself (site 0) until a server
 * says otherwise (s3/redirect); then at the newest site that was put for it, for every request of
 * every core. Sites are only added: once it is there, one never changes, so that readers need no
 * lock. One core at a time adds; who finds another at it comes again. Relaxed and release-acquire
 * atomics, any thread.
 *
 * Not here: where a single request goes (a temporary redirect), which is its own affair. */
#ifndef S3_ATLAS_H
#define S3_ATLAS_H

#include <stdatomic.h>

#include "s3/target.h"

/* A run has a bucket or two, and each moves once; more is a server that sends us around. */
#define ATLAS_SITES_MAX 16u

struct atlas_site {
    char bucket[BUCKET_NAME_BYTES_MAX + 1]; /* "": the service */
    struct endpoint endpoint;
};

struct atlas { /* zeroed before use */
    /* private */
    _Atomic uint32_t count;
    _Atomic bool adding;
    struct atlas_site sites[ATLAS_SITES_MAX];
};

enum atlas_put {
    ATLAS_ADDED,
    ATLAS_KNOWN, /* the bucket is at that site already */
    ATLAS_BUSY,  /* another core adds: come again */
    ATLAS_FULL
};

uint32_t atlas_count(const struct atlas *atlas);
/* The number of the bucket's home; 0: the endpoint itself. */
uint32_t atlas_home(const struct atlas *atlas, struct bytes bucket);
/* Site `number`, 1 to atlas_count(). Stays as it is. */
const struct endpoint *atlas_site(const struct atlas *atlas, uint32_t number);
/* Host, port, scheme, addressing and region are the same. */
bool atlas_is_same(const struct endpoint *a, const struct endpoint *b);
enum atlas_put atlas_put(struct atlas *atlas, struct bytes bucket, const struct endpoint *endpoint);

#endif
