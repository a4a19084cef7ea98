#include "compress/sums.h"

#include <string.h>

/* Pieces that stay in the first-level cache, so that the second sum finds the bytes there. */
#define SUMS_PIECE_BYTES (16ull * KIB)

void sums_init(struct sums *sums, enum checksum_kind kind, bool with_sha256, bool with_md5)
{
    checksum_init(&sums->checksum, kind);
    sums->with_sha256 = with_sha256;
    sums->with_md5 = with_md5;
    if (with_sha256) digest_sha256_init(&sums->sha256);
    if (with_md5) digest_md5_init(&sums->md5);
}

void sums_update(struct sums *sums, const void *data, size_t count)
{
    const char *at = data;
    if (!sums->with_sha256 && !sums->with_md5) {
        checksum_update(&sums->checksum, data, count);
        return;
    }
    while (count > 0) {
        size_t piece = (size_t)min_u64(count, SUMS_PIECE_BYTES);
        checksum_update(&sums->checksum, at, piece);
        if (sums->with_sha256) digest_sha256_update(&sums->sha256, at, piece);
        if (sums->with_md5) digest_md5_update(&sums->md5, at, piece);
        at += piece;
        count -= piece;
    }
}

void sums_final(struct sums *sums, struct sums_value *value)
{
    memset(value, 0, sizeof *value);
    checksum_final(&sums->checksum, &value->checksum);
    if (sums->with_sha256) digest_sha256_final(&sums->sha256, value->sha256);
    if (sums->with_md5) digest_md5_final(&sums->md5, value->md5);
}

bool sums_equal(const struct sums_value *a, const struct sums_value *b)
{
    return checksum_equal(&a->checksum, &b->checksum) &&
           memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0 &&
           memcmp(a->md5, b->md5, sizeof a->md5) == 0;
}
