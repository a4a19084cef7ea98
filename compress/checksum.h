/* checksum: the integrity checks of S3: CRC32C, CRC32, CRC64NVME and SHA-256, running; and the
 * value of a whole object from the values of its parts.
 *
 *   full object:  checksum_combine() joins the CRCs of neighbours, in O(log length), so that parts
 *                 may be summed in any order and on any core
 *   composite:    checksum_update_part() runs a checksum over the parts' raw values, in order; its
 *                 text ends "-" and the number of parts
 *
 * A running state is plain data, as in digest.h. Values are big-endian, as S3 encodes them.
 * Reference:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html */
#ifndef COMPRESS_CHECKSUM_H
#define COMPRESS_CHECKSUM_H

#include "compress/digest.h"
#include "core/bytes.h"

enum checksum_kind {
    CHECKSUM_NONE,
    CHECKSUM_CRC32C,    /* Castagnoli; ISA-L */
    CHECKSUM_CRC32,     /* IEEE 802.3, as in gzip; ISA-L */
    CHECKSUM_CRC64NVME, /* compress/crc64.h */
    CHECKSUM_SHA256,
    CHECKSUM_KINDS
};

#define CHECKSUM_BYTES_MAX  DIGEST_SHA256_BYTES
#define CHECKSUM_TEXT_BYTES 56u /* base64 of 32 bytes is 44; "-", 10 digits and a 0 */

struct checksum_value {
    enum checksum_kind kind;
    uint32_t count; /* 0 (none), 4, 8 or 32 */
    uint8_t data[CHECKSUM_BYTES_MAX];
};

struct checksum {
    enum checksum_kind kind;
    /* private */
    uint64_t crc; /* of what was given so far */
    struct digest_sha256 sha256;
};

/* "crc32c", "crc32", "crc64nvme", "sha256", "none": for options and reports. */
const char *checksum_kind_name(enum checksum_kind kind);
MUST_USE bool checksum_kind_parse(struct bytes name, enum checksum_kind *kind);
uint32_t checksum_kind_bytes(enum checksum_kind kind); /* of a raw value */
bool checksum_kind_combines(enum checksum_kind kind);  /* the CRCs do */

/* CHECKSUM_NONE is legal: it costs nothing and its value is empty. */
void checksum_init(struct checksum *checksum, enum checksum_kind kind);
void checksum_update(struct checksum *checksum, const void *data, size_t count);
void checksum_update_part(struct checksum *checksum, const struct checksum_value *part);
void checksum_final(struct checksum *checksum, struct checksum_value *value); /* then init again */
void checksum_of(enum checksum_kind kind, const void *data, size_t count,
                 struct checksum_value *value);

/* The value of A followed by B, which is `b_bytes` long. Both of the same kind, one that combines.
 * `value` may be `a` or `b`. */
void checksum_combine(const struct checksum_value *a, const struct checksum_value *b,
                      uint64_t b_bytes, struct checksum_value *value);
bool checksum_equal(const struct checksum_value *a, const struct checksum_value *b);

/* Base64, and "-" and `part_count` behind it unless that is 0 (a composite value). Returns text. */
const char *checksum_format(const struct checksum_value *value, uint32_t part_count,
                            char text[CHECKSUM_TEXT_BYTES]);
/* The inverse. *part_count is 0 where there is no "-N". False when it is not a value of `kind`. */
MUST_USE bool checksum_parse(enum checksum_kind kind, struct bytes text,
                             struct checksum_value *value, uint32_t *part_count);

#endif
