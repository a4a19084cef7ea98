/* The one-step functions of libcrypto 3.0's old interface: EVP costs an allocation a context and,
 * for 64 bytes, several times the hash itself; these use the same assembler. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "compress/digest.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <string.h>

#define HMAC_BLOCK_BYTES 64u /* RFC 2104: SHA-256's block */

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct digest_sha256), "the state must fit");
_Static_assert(sizeof(MD5_CTX) <= sizeof(struct digest_md5), "the state must fit");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct digest_sha256), "and be aligned");
_Static_assert(_Alignof(MD5_CTX) <= _Alignof(struct digest_md5), "and be aligned");

static SHA256_CTX *sha256_context(struct digest_sha256 *digest)
{
    return (SHA256_CTX *)(void *)digest->state;
}

static MD5_CTX *md5_context(struct digest_md5 *digest)
{
    return (MD5_CTX *)(void *)digest->state;
}

void digest_sha256_init(struct digest_sha256 *digest)
{
    SHA256_Init(sha256_context(digest));
}

void digest_sha256_update(struct digest_sha256 *digest, const void *data, size_t count)
{
    SHA256_Update(sha256_context(digest), data, count);
}

void digest_sha256_final(struct digest_sha256 *digest, uint8_t value[DIGEST_SHA256_BYTES])
{
    SHA256_Final(value, sha256_context(digest));
}

void digest_sha256(const void *data, size_t count, uint8_t value[DIGEST_SHA256_BYTES])
{
    struct digest_sha256 digest;
    digest_sha256_init(&digest);
    digest_sha256_update(&digest, data, count);
    digest_sha256_final(&digest, value);
}

void digest_md5_init(struct digest_md5 *digest)
{
    MD5_Init(md5_context(digest));
}

void digest_md5_update(struct digest_md5 *digest, const void *data, size_t count)
{
    MD5_Update(md5_context(digest), data, count);
}

void digest_md5_final(struct digest_md5 *digest, uint8_t value[DIGEST_MD5_BYTES])
{
    MD5_Final(value, md5_context(digest));
}

void digest_md5(const void *data, size_t count, uint8_t value[DIGEST_MD5_BYTES])
{
    struct digest_md5 digest;
    digest_md5_init(&digest);
    digest_md5_update(&digest, data, count);
    digest_md5_final(&digest, value);
}

static void hash_key_block(struct digest_sha256 *digest, const uint8_t *block, uint8_t pad)
{
    uint8_t padded[HMAC_BLOCK_BYTES];
    for (size_t i = 0; i < HMAC_BLOCK_BYTES; i++)
        padded[i] = block[i] ^ pad;
    digest_sha256_init(digest);
    digest_sha256_update(digest, padded, sizeof padded);
    explicit_bzero(padded, sizeof padded);
}

void digest_hmac_key_init(struct digest_hmac_key *key, const void *data, size_t count)
{
    uint8_t block[HMAC_BLOCK_BYTES] = {0};
    if (count > HMAC_BLOCK_BYTES)
        digest_sha256(data, count, block);
    else if (count > 0)
        memcpy(block, data, count);
    hash_key_block(&key->inner, block, 0x36);
    hash_key_block(&key->outer, block, 0x5c);
    explicit_bzero(block, sizeof block);
}

void digest_hmac_with(const struct digest_hmac_key *key, const void *data, size_t count,
                      uint8_t value[DIGEST_SHA256_BYTES])
{
    struct digest_sha256 digest = key->inner;
    digest_sha256_update(&digest, data, count);
    digest_sha256_final(&digest, value);
    digest = key->outer;
    digest_sha256_update(&digest, value, DIGEST_SHA256_BYTES);
    digest_sha256_final(&digest, value);
}

void digest_hmac(const void *key, size_t key_count, const void *data, size_t count,
                 uint8_t value[DIGEST_SHA256_BYTES])
{
    struct digest_hmac_key ready;
    digest_hmac_key_init(&ready, key, key_count);
    digest_hmac_with(&ready, data, count, value);
    explicit_bzero(&ready, sizeof ready);
}
