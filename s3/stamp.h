/* stamp: the three ways in which S3 writes a moment. Pure; no locale, no time zone but UTC.
 *
 * basic "20130524T000000Z" (SigV4) · ISO 8601 "2013-05-24T00:00:00.000Z" (XML) · HTTP
 * "Fri, 24 May 2013 00:00:00 GMT" (RFC 9110 5.6.7, the fixed form only). Years 1970 to 9999. */
#ifndef S3_STAMP_H
#define S3_STAMP_H

#include "core/bytes.h"

#define STAMP_BASIC_BYTES 17u /* with the 0 */
#define STAMP_ISO_BYTES   25u
#define STAMP_HTTP_BYTES  30u

/* From a time since 1970-01-01 UTC. Each writes a 0-terminated string. */
void stamp_format_basic(uint64_t wall_ns, char text[STAMP_BASIC_BYTES]);
void stamp_format_iso(uint64_t wall_ns, char text[STAMP_ISO_BYTES]); /* with milliseconds */
void stamp_format_http(uint64_t wall_ns, char text[STAMP_HTTP_BYTES]);

/* Any of the three forms, to seconds since 1970 (fractions are dropped): false for anything else.
 * */
MUST_USE bool stamp_parse(struct bytes text, int64_t *seconds);

#endif
