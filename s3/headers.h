/* headers: the header fields of S3 that more than one call uses: their names and their texts. Pure.
 * */
#ifndef S3_HEADERS_H
#define S3_HEADERS_H

#include "compress/checksum.h"

/* "x-amz-checksum-crc32c"; NULL for CHECKSUM_NONE. */
const char *headers_checksum(enum checksum_kind kind);
/* "CRC32C": x-amz-checksum-algorithm; NULL for CHECKSUM_NONE. */
const char *headers_algorithm(enum checksum_kind kind);

/* A modification time in x-amz-meta-mtime: seconds since 1970 with nine decimals, as rclone writes
 * it (https://rclone.org/s3/#modification-times-and-hashes), so that either tool can read the
 * other's. */
void headers_format_mtime(int64_t mtime_ns, char *text, size_t text_bytes);
MUST_USE bool headers_parse_mtime(struct bytes text, int64_t *mtime_ns);

/* "bytes=first-last" of a Range header. */
void headers_format_range(uint64_t offset, uint64_t bytes, char *text, size_t text_bytes);

#endif
