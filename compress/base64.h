/* base64: RFC 4648 section 4, as Content-MD5 and x-amz-checksum-* carry it. Strict: padding is
 * required, nothing but the alphabet is accepted, and unused bits must be 0, so that a value has
 * exactly one text. No allocation. */
#ifndef COMPRESS_BASE64_H
#define COMPRESS_BASE64_H

#include "core/bytes.h"

/* Characters of `count` bytes of data, without a 0. */
#define BASE64_CHARS(count) (((size_t)(count) + 2) / 3 * 4)

/* Writes BASE64_CHARS(count) characters and a 0 to `text`. */
void base64_encode(const void *data, size_t count, char *text);

/* At most `count_max` bytes to `data`, their number to *count. False, and *count 0, when the text
 * is not strict base64 or would give more. */
MUST_USE bool base64_decode(struct bytes text, void *data, size_t count_max, size_t *count);

#endif
