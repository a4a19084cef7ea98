/* stowage_chunk: the aws-chunked encoding of a body, decoded in place as it arrives.
 *
 *     chunk := hex-size [";chunk-signature=" hex] CRLF data CRLF
 *     body  := chunk* chunk-of-0 trailer-line* CRLF
 *
 * With a signer every chunk's signature is checked when its last byte is there, and the trailer's.
 * References: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
 * sigv4-streaming-trailers.html */
#ifndef TOOLS_STOWAGE_CHUNK_H
#define TOOLS_STOWAGE_CHUNK_H

#include "compress/digest.h"
#include "core/bytes.h"
#include "tools/stowage_error.h"

#define STOWAGE_CHUNK_LINE_BYTES 512u

struct stowage_chunk_signer {
    struct digest_hmac_key key; /* the signing key of the request's day */
    char time[20];              /* "20130524T000000Z" */
    char scope[160];            /* "20130524/us-east-1/s3/aws4_request" */
    char previous[65];          /* signature before: at first the request's own */
};

struct stowage_chunk {
    bool done;
    /* the trailer's lines: "name:value\n" of each, names in lower case */
    char trailer[1024];
    uint32_t trailer_count;
    /* private */
    uint8_t state;
    uint64_t left; /* of the present chunk's data */
    char line[STOWAGE_CHUNK_LINE_BYTES];
    uint32_t line_count;
    char signature[65]; /* of the present chunk */
    bool is_signed, last;
    struct stowage_chunk_signer signer;
    struct digest_sha256 digest;
};

/* `signer` NULL: signatures are not expected. Copied. */
void stowage_chunk_init(struct stowage_chunk *chunk, const struct stowage_chunk_signer *signer);
/* On return the first *payload bytes of `data` are payload. What follows the end is an error.
 * Errors: REQUEST (not this encoding), SIGNATURE. */
MUST_USE enum stowage_error stowage_chunk_decode(struct stowage_chunk *chunk, char *data,
                                                 uint32_t count, uint32_t *payload);
/* The value of a trailer line; data NULL when there is none. */
struct bytes stowage_chunk_trailer(const struct stowage_chunk *chunk, const char *name);

#endif
