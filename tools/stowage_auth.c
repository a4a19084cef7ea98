#include "tools/stowage_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "s3/stamp.h"

void stowage_auth_init(struct stowage_auth *auth, const char *access_key, const char *secret_key,
                       const char *region)
{
    auth->required = true;
    snprintf(auth->access_key, sizeof(auth->access_key), "%s", access_key);
    snprintf(auth->secret_key, sizeof(auth->secret_key), "%s", secret_key);
    snprintf(auth->region, sizeof(auth->region), "%s", region);
    sigv4_key_init(&auth->key, auth->access_key, auth->secret_key, auth->region);
}

static bool parse_hex(struct bytes text, uint8_t *data, size_t count)
{
    if (text.count != 2 * count) return false;
    for (size_t i = 0; i < text.count; i++) {
        char c = text.data[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return false;
        data[i / 2] = (uint8_t)(data[i / 2] << 4 | digit);
    }
    return true;
}

/* What x-amz-content-sha256 says of the body. */
static enum stowage_error read_payload(const struct http_head *head,
                                       struct stowage_auth_verdict *verdict)
{
    struct bytes hash = http_header(head, "x-amz-content-sha256");
    verdict->check_chunks = false;
    verdict->payload = STOWAGE_PAYLOAD_UNSIGNED;
    if (!hash.count || bytes_equal(hash, BYTES(SIGV4_UNSIGNED))) return STOWAGE_ERROR_NONE;
    if (bytes_start_with(hash, BYTES("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")))
        verdict->payload = STOWAGE_PAYLOAD_CHUNKS_SIGNED;
    else if (bytes_equal(hash, BYTES("STREAMING-UNSIGNED-PAYLOAD-TRAILER")))
        verdict->payload = STOWAGE_PAYLOAD_CHUNKS_UNSIGNED;
    else if (parse_hex(hash, verdict->sha256, sizeof(verdict->sha256)))
        verdict->payload = STOWAGE_PAYLOAD_HASHED;
    else
        return STOWAGE_ERROR_DIGEST;
    return STOWAGE_ERROR_NONE;
}

static enum stowage_error check_time(const struct sigv4_claim *claim, uint64_t wall_ns)
{
    int64_t then, now = (int64_t)(wall_ns / NS_PER_S);
    enum stowage_error malformed =
        claim->presigned ? STOWAGE_ERROR_QUERY_MALFORMED : STOWAGE_ERROR_HEADER_MALFORMED;
    if (!stamp_parse(claim->time, &then)) return STOWAGE_ERROR_ACCESS_DENIED;
    if (!bytes_start_with(claim->time, claim->date) || claim->date.count != 8) return malformed;
    if (!claim->presigned)
        return llabs(now - then) > STOWAGE_AUTH_SKEW_S ? STOWAGE_ERROR_SKEW : STOWAGE_ERROR_NONE;
    if (claim->expires_s > STOWAGE_AUTH_EXPIRES_S) return malformed;
    if (then - now > STOWAGE_AUTH_SKEW_S) return STOWAGE_ERROR_ACCESS_DENIED;
    return now > then + (int64_t)claim->expires_s ? STOWAGE_ERROR_EXPIRED : STOWAGE_ERROR_NONE;
}

/* The signing key of the claim's day, for the chunks of a body. The chain of HMACs is the one of
 * sigv4.h, whose key is its own. */
static enum stowage_error make_signer(const struct stowage_auth *auth,
                                      const struct sigv4_claim *claim,
                                      struct stowage_chunk_signer *signer)
{
    char secret[4 + CREDS_KEY_BYTES_MAX + 1];
    uint8_t key[DIGEST_SHA256_BYTES];
    struct bytes steps[] = {claim->date, claim->region, claim->service, BYTES("aws4_request")};
    int count = snprintf(secret, sizeof(secret), "AWS4%s", auth->secret_key);
    digest_hmac(secret, (size_t)count, steps[0].data, steps[0].count, key);
    for (size_t i = 1; i < ARRAY_COUNT(steps); i++)
        digest_hmac(key, sizeof(key), steps[i].data, steps[i].count, key);
    digest_hmac_key_init(&signer->key, key, sizeof(key));
    struct writer w;
    writer_init(&w, signer->scope, sizeof(signer->scope));
    writer_format(&w, "%.*s/%.*s/%.*s/aws4_request", (int)claim->date.count, claim->date.data,
                  (int)claim->region.count, claim->region.data, (int)claim->service.count,
                  claim->service.data);
    writer_string(&w);
    bool fits = bytes_to_string(claim->time, signer->time, sizeof(signer->time)) &&
                bytes_to_string(claim->signature, signer->previous, sizeof(signer->previous));
    return fits && !w.overflow ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_HEADER_MALFORMED;
}

static enum stowage_error check_claim(struct stowage_auth *auth, const struct sigv4_claim *claim,
                                      uint64_t wall_ns)
{
    if (!bytes_equal(claim->access_key, bytes_of(auth->access_key)))
        return STOWAGE_ERROR_UNKNOWN_KEY_ID;
    if (!bytes_equal(claim->region, bytes_of(auth->region)))
        return claim->presigned ? STOWAGE_ERROR_QUERY_MALFORMED : STOWAGE_ERROR_HEADER_MALFORMED;
    return check_time(claim, wall_ns);
}

enum stowage_error stowage_auth_check(struct stowage_auth *auth, const struct http_head *head,
                                      struct bytes path, struct bytes query, uint64_t wall_ns,
                                      struct stowage_auth_verdict *verdict)
{
    enum stowage_error error = read_payload(head, verdict);
    if (error || !auth->required) return error;
    char text[2048];
    struct writer scratch;
    struct sigv4_claim claim;
    writer_init(&scratch, text, sizeof(text));
    enum err err = sigv4_parse_claim(head, query, &scratch, &claim);
    if (err == ERR_CREDENTIALS) return STOWAGE_ERROR_ACCESS_DENIED;
    if (err) return STOWAGE_ERROR_HEADER_MALFORMED;
    error = check_claim(auth, &claim, wall_ns);
    if (error) return error;
    err = sigv4_verify(&auth->key, &claim, head, path, query);
    if (err) return STOWAGE_ERROR_SIGNATURE;
    if (verdict->payload != STOWAGE_PAYLOAD_CHUNKS_SIGNED) return STOWAGE_ERROR_NONE;
    verdict->check_chunks = true;
    return make_signer(auth, &claim, &verdict->signer);
}
