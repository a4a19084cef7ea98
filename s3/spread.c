#include "s3/spread.h"

#include <stdio.h>
#include <string.h>

#include "compress/digest.h"
#include "core/check.h"

bool spread_is_count(uint64_t count)
{
    return count >= SPREAD_MIN && count <= SPREAD_MAX && (count & (count - 1)) == 0;
}

void spread_format(uint32_t count, struct bytes name, char text[SPREAD_TEXT_BYTES])
{
    uint8_t hash[DIGEST_SHA256_BYTES];

    text[0] = '\0';
    if (count == 0) return;
    CHECK(spread_is_count(count));
    int bits = __builtin_ctz(count), digits = (bits + 3) / 4;
    digest_sha256(name.data, name.count, hash);
    uint32_t first = (uint32_t)hash[0] << 8 | hash[1];
    snprintf(text, SPREAD_TEXT_BYTES, "%0*x/", digits, (first >> (16 - bits)) & (SPREAD_MAX - 1));
}

bool spread_strip(uint32_t count, struct bytes spread, struct bytes *name)
{
    char text[SPREAD_TEXT_BYTES];
    const char *slash = count > 0 ? memchr(spread.data, '/', spread.count) : NULL;

    *name = spread;
    if (count == 0) return true;
    if (!slash) return false;
    size_t before = (size_t)(slash - spread.data) + 1;
    struct bytes rest = {spread.data + before, spread.count - before};
    spread_format(count, rest, text);
    if (rest.count == 0 || !bytes_start_with(spread, bytes_of(text))) return false;
    *name = rest;
    return true;
}
