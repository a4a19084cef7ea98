/* stowage_auth: is a request signed by whom we know, for our region, and now?
 *
 * SigV4 in the Authorization header or in the query (presigned); no signature is anonymous, which
 * is let in only without `required`. What the payload hash says of the body comes out with it.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html */
#ifndef TOOLS_STOWAGE_AUTH_H
#define TOOLS_STOWAGE_AUTH_H

#include "s3/sigv4.h"
#include "tools/stowage_chunk.h"

#define STOWAGE_AUTH_SKEW_S    (15 * 60)       /* as S3 */
#define STOWAGE_AUTH_EXPIRES_S (7 * 24 * 3600) /* the longest that S3 lets a presigned URL live */

struct stowage_auth {
    bool required; /* --no-auth: everything is let in, nothing is checked */
    char access_key[CREDS_KEY_BYTES_MAX + 1];
    char secret_key[CREDS_KEY_BYTES_MAX + 1];
    char region[CREDS_REGION_BYTES_MAX + 1];
    struct sigv4_key key;
};

enum stowage_payload {
    STOWAGE_PAYLOAD_UNSIGNED,
    STOWAGE_PAYLOAD_HASHED,          /* sha256 is claimed */
    STOWAGE_PAYLOAD_CHUNKS_SIGNED,   /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER] */
    STOWAGE_PAYLOAD_CHUNKS_UNSIGNED, /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

struct stowage_auth_verdict {
    enum stowage_payload payload;
    uint8_t sha256[DIGEST_SHA256_BYTES];
    struct stowage_chunk_signer signer; /* of CHUNKS_SIGNED, when it is to be checked */
    bool check_chunks;
};

/* Strings are copied; they must fit. */
void stowage_auth_init(struct stowage_auth *auth, const char *access_key, const char *secret_key,
                       const char *region);
/* `path` and `query` as on the wire. Errors: ACCESS_DENIED (anonymous), EXPIRED, HEADER_MALFORMED
 * (also: another region), QUERY_MALFORMED, UNKNOWN_KEY_ID, SKEW, SIGNATURE, DIGEST. */
MUST_USE enum stowage_error stowage_auth_check(struct stowage_auth *auth,
                                               const struct http_head *head, struct bytes path,
                                               struct bytes query, uint64_t wall_ns,
                                               struct stowage_auth_verdict *verdict);

#endif
