/* rate: rates as people write and read them. Pure.
 *
 *     50M  50MiB/s  1.5g         binary bytes a second, as rclone --bwlimit and curl --limit-rate
 *     50MB  50MB/s  50MBps       decimal bytes
 *     400Mbit  400Mbit/s  400Mbps  0.4Gbit   decimal bits; Kibit, Mibit, Gibit are binary
 *     off  0                     no limit
 *
 * Prefixes k, m, g, t in any case. A number without a unit is refused, since curl reads it as bytes
 * and rclone as KiB; and so is a bare small b ("50Mb"), which is bits to some and bytes to others.
 */
#ifndef TOOLS_RATE_H
#define TOOLS_RATE_H

#include "core/bytes.h"
#include "tools/human.h"

#define RATE_WHY_BYTES 160u

/* In bytes/s, 0: no limit. False with a sentence in `why`; also below 1 kB/s, which is no transfer.
 */
MUST_USE bool rate_parse(struct bytes text, uint64_t *bytes_per_s, char why[RATE_WHY_BYTES]);
/* "50.0 MiB/s (419 Mbit/s)", or "off". Returns `text`. */
const char *rate_format(uint64_t bytes_per_s, char text[2 * HUMAN_TEXT_BYTES]);

#endif
