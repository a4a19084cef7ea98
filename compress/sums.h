/* sums: the sums that one upload needs, made in one pass over the bytes while they are warm in the
 * cache: the S3 checksum, the SHA-256 of a signed payload, the MD5 of Content-MD5. Plain data. */
#ifndef COMPRESS_SUMS_H
#define COMPRESS_SUMS_H

#include "compress/checksum.h"

struct sums {
    struct checksum checksum;
    struct digest_sha256 sha256;
    struct digest_md5 md5;
    bool with_sha256, with_md5;
};

struct sums_value {
    struct checksum_value checksum;
    uint8_t sha256[DIGEST_SHA256_BYTES]; /* zeros when not asked for */
    uint8_t md5[DIGEST_MD5_BYTES];
};

void sums_init(struct sums *sums, enum checksum_kind kind, bool with_sha256, bool with_md5);
void sums_update(struct sums *sums, const void *data, size_t count);
void sums_final(struct sums *sums, struct sums_value *value); /* then init again */
bool sums_equal(const struct sums_value *a, const struct sums_value *b);

#endif
