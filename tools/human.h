/* human: numbers as people read them. Pure. */
#ifndef TOOLS_HUMAN_H
#define TOOLS_HUMAN_H

#include "core/base.h"

#define HUMAN_TEXT_BYTES 32u

/* "" for 1, else "s": what a count's noun ends with. */
const char *human_plural(uint64_t count);
/* All the others return `text`. */
const char *human_bytes(uint64_t bytes, char text[HUMAN_TEXT_BYTES]); /* "1.25 GiB", "7 B" */
const char *human_count(uint64_t count, char text[HUMAN_TEXT_BYTES]); /* "12,345" */
const char *human_duration(uint64_t ns,
                           char text[HUMAN_TEXT_BYTES]); /* "0.35 s", "1:02:03", "30 days" */
/* Bytes in a time; "-" for no time. */
const char *human_rate(uint64_t bytes, uint64_t ns, char text[HUMAN_TEXT_BYTES]); /* "1.25 GiB/s" */

#endif
