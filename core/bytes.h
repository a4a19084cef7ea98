/* bytes: a borrowed slice, and a writer that fills a fixed area and can never run past it.
 *
 * A slice is valid until the callee returns, unless a header says otherwise. It is not
 * 0-terminated. A writer's overflow is sticky: a write that does not fit writes nothing, sets
 * `overflow`, and neither does any later one, so that a caller checks once, at the end. */
#ifndef CORE_BYTES_H
#define CORE_BYTES_H

#include "core/base.h"

struct bytes {
    const char *data;
    size_t count;
};

struct writer {
    char *data;
    size_t count;     /* written so far */
    size_t count_max; /* size of the area */
    bool overflow;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

struct bytes bytes_of(const char *string); /* NULL gives an empty slice */
bool bytes_equal(struct bytes a, struct bytes b);
/* By their bytes, unsigned, as S3 orders keys: below 0, 0 or above 0. What begins as the other and
 * ends there comes first. */
int bytes_compare(struct bytes a, struct bytes b);
bool bytes_equal_ignoring_case(struct bytes a, struct bytes b); /* ASCII */
bool bytes_start_with(struct bytes whole, struct bytes start);
bool bytes_end_with(struct bytes whole, struct bytes end);
struct bytes bytes_trim(struct bytes b); /* without leading and trailing spaces, tabs, CR, LF */

/* The part before the first `separator`, and the rest after it in *rest (empty when there is none).
 */
struct bytes bytes_cut(struct bytes whole, char separator, struct bytes *rest);

/* A decimal number that fills the whole slice: false when empty, not digits, or past UINT64_MAX. */
MUST_USE bool bytes_parse_u64(struct bytes b, uint64_t *value);

/* The bytes of the well-formed UTF-8 character that `b` begins with: 1 to 4; 0 when it is none
 * (Unicode 15, table 3-7: no surrogates, no overlong forms, nothing above U+10FFFF) or `b` is
 * empty. */
size_t bytes_utf8_count(struct bytes b);

/* Copies and adds a 0; false (and an empty string) when it does not fit. string_bytes ≥ 1. */
MUST_USE bool bytes_to_string(struct bytes b, char *string, size_t string_bytes);

void writer_init(struct writer *w, char *area, size_t area_bytes);
void writer_put(struct writer *w, struct bytes b);
void writer_text(struct writer *w, const char *string); /* NULL writes nothing */
void writer_char(struct writer *w, char c);
void writer_u64(struct writer *w, uint64_t value);                    /* decimal */
void writer_hex(struct writer *w, const uint8_t *data, size_t count); /* lower case */
/* As printf(3). Needs room for one byte more than it writes. */
void writer_format(struct writer *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* Foreign text made fit for a terminal and a single line: control characters, and bytes that are
 * not UTF-8, become \xNN. */
void writer_visible(struct writer *w, struct bytes b);
struct bytes writer_bytes(const struct writer *w);
const char *writer_string(struct writer *w); /* adds a 0 behind, "" on overflow */

#endif
