/* digest: SHA-256, HMAC-SHA256 and MD5 of memory, running or in one call (libcrypto hidden here).
 *
 * A running state is plain data: it may be copied, dropped at any time, and used by one thread at a
 * time. Nothing allocates and nothing can fail. A 64-byte SHA-256 costs about 0.1 µs where the CPU
 * has SHA extensions.
 *
 * References: FIPS 180-4 (SHA-256), RFC 2104 (HMAC), RFC 1321 (MD5: for Content-MD5 and ETags only,
 * it keeps nobody out). */
#ifndef COMPRESS_DIGEST_H
#define COMPRESS_DIGEST_H

#include "core/base.h"

#define DIGEST_SHA256_BYTES 32u
#define DIGEST_MD5_BYTES    16u

struct digest_sha256 {
    /* private */
    uint32_t state[28]; /* room for libcrypto's SHA256_CTX */
};

struct digest_md5 {
    /* private */
    uint32_t state[23]; /* room for libcrypto's MD5_CTX */
};

/* A key made ready: the two key blocks are hashed once, not once a message. Never log it. */
struct digest_hmac_key {
    /* private */
    struct digest_sha256 inner, outer;
};

void digest_sha256_init(struct digest_sha256 *digest);
void digest_sha256_update(struct digest_sha256 *digest, const void *data, size_t count);
/* The state is used up: init it again. */
void digest_sha256_final(struct digest_sha256 *digest, uint8_t value[DIGEST_SHA256_BYTES]);
void digest_sha256(const void *data, size_t count, uint8_t value[DIGEST_SHA256_BYTES]);

void digest_md5_init(struct digest_md5 *digest);
void digest_md5_update(struct digest_md5 *digest, const void *data, size_t count);
void digest_md5_final(struct digest_md5 *digest, uint8_t value[DIGEST_MD5_BYTES]);
void digest_md5(const void *data, size_t count, uint8_t value[DIGEST_MD5_BYTES]);

/* HMAC-SHA256. Keys of any length, also 0. */
void digest_hmac_key_init(struct digest_hmac_key *key, const void *data, size_t count);
void digest_hmac_with(const struct digest_hmac_key *key, const void *data, size_t count,
                      uint8_t value[DIGEST_SHA256_BYTES]);
void digest_hmac(const void *key, size_t key_count, const void *data, size_t count,
                 uint8_t value[DIGEST_SHA256_BYTES]);

#endif
