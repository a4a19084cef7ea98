/* json: writing strings of JSON, and reading one JSON text member by member, without a tree and
 * without memory of its own. For lines of known shape that we write ourselves (s3/manifest).
 *
 * A reader's error is sticky: after the first thing that is not JSON, or not of the type asked for,
 * `bad` is set, members end, and values are 0. A caller checks once, with json_is_over(). Names are
 * compared as they stand: one that is written with escapes is an unknown one. Reference: RFC 8259.
 *
 * Not here: fractions, negative numbers, arrays other than to be skipped. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "core/bytes.h"

#define JSON_DEPTH_MAX 16u /* of what is skipped */

struct json {
    struct bytes rest; /* not read yet */
    bool bad;
    /* private */
    bool first; /* no member of the present object was read yet */
};

/* In quotes. `text` is UTF-8; a byte that is not is written as U+FFFD. */
void json_write(struct writer *w, struct bytes text);

void json_init(struct json *json, struct bytes text);
void json_enter(struct json *json); /* an object begins here */
/* The next member: its value must then be read, entered or skipped. False at the object's end, and
 * when bad. */
MUST_USE bool json_member(struct json *json, struct bytes *name);
/* A string, unescaped. One that does not fit, and one with U+0000 (our names have none), is bad. */
void json_string(struct json *json, struct writer *to);
uint64_t json_u64(struct json *json);
bool json_bool(struct json *json);
void json_skip(struct json *json);          /* a value of any type */
bool json_is_over(const struct json *json); /* not bad, and nothing but blanks is left */

#endif
