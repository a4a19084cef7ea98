/* sigv4: AWS Signature Version 4, for service s3. Pure; allocates nothing.
 *
 *   signing key       HMAC chain over day, region, service: computed once a day, kept in struct
 * sigv4_key
 *   canonical request method, path, query, headers, signed header names, payload hash
 *   signature         HMAC(signing key, algorithm, time, scope, SHA-256(canonical request))
 *
 * The same code computes the signature of a request to send and of one received (the server side
 * compares). Paths and query come escaped as they stand on the wire (target_escape()) and are not
 * escaped twice, as S3 wants. Budget: below 4 µs a signature with the cached key.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
 * sigv4-query-string-auth.html */
#ifndef S3_SIGV4_H
#define S3_SIGV4_H

#include "compress/digest.h"
#include "net/http.h"
#include "s3/creds.h"
#include "s3/stamp.h"

#define SIGV4_HEX_BYTES    65u /* a SHA-256 in hex, and 0 */
#define SIGV4_HEADERS_MAX  48u
#define SIGV4_QUERY_MAX    32u
#define SIGV4_UNSIGNED     "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGV4_AUTHORIZATION_BYTES                                                                  \
    2048u /* of the Authorization value: key, scope, names, signature */

struct sigv4_key {
    /* private */
    struct digest_hmac_key key;
    char date[9]; /* of `key`, or "": none yet */
    char access_key[CREDS_KEY_BYTES_MAX + 1];
    char secret_key[CREDS_KEY_BYTES_MAX + 1];
    char region[CREDS_REGION_BYTES_MAX + 1];
};

struct sigv4_request {
    struct bytes method;
    struct bytes path;                 /* escaped, begins with "/" */
    struct bytes query;                /* escaped, without "?", any order: "a=1&b" */
    const struct http_header *headers; /* to be signed, any order, names in any case; incl. host */
    uint32_t header_count;             /* ≤ SIGV4_HEADERS_MAX */
    struct bytes payload_hash;         /* 64 hex digits, SIGV4_UNSIGNED, or STREAMING-… */
    uint64_t wall_ns; /* since 1970; must be the moment that the x-amz-date header says */
};

void sigv4_key_init(struct sigv4_key *key, const char *access_key, const char *secret_key,
                    const char *region);
void sigv4_key_fini(struct sigv4_key *key); /* wipes it */

/* The Authorization header's value into `w`. Errors: ERR_REQUEST (more headers or query than the
 * maxima above, or a canonical request above 24 KiB). */
MUST_USE enum err sigv4_sign(struct sigv4_key *key, const struct sigv4_request *request,
                             struct writer *w);
/* Only the signature, in hex. */
MUST_USE enum err sigv4_signature(struct sigv4_key *key, const struct sigv4_request *request,
                                  char hex[SIGV4_HEX_BYTES]);

/* The server's side. */
struct sigv4_claim { /* what a request says of its own signature; slices of the head */
    struct bytes access_key, date, region, service; /* of the credential scope */
    struct bytes signed_headers;                    /* "host;x-amz-date" */
    struct bytes signature;                         /* hex */
    struct bytes time;                              /* "20130524T000000Z" */
    uint64_t expires_s;                             /* presigned only */
    bool presigned;
};

/* Reads the Authorization and x-amz-date headers, or the query of a presigned request. `scratch`
 * holds what had to be unescaped. Errors: ERR_CREDENTIALS (there is none: anonymous), ERR_REQUEST
 * (malformed). */
MUST_USE enum err sigv4_parse_claim(const struct http_head *head, struct bytes query,
                                    struct writer *scratch, struct sigv4_claim *claim);
/* Does the claim's signature fit this received head? `path` and `query` as on the wire. Compares in
 * constant time. The caller checks the time and looks up the key. Errors: ERR_CREDENTIALS (it does
 * not), ERR_REQUEST. */
MUST_USE enum err sigv4_verify(struct sigv4_key *key, const struct sigv4_claim *claim,
                               const struct http_head *head, struct bytes path, struct bytes query);

#endif
