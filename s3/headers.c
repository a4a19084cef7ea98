#include "s3/headers.h"

#include <inttypes.h>
#include <stdio.h>

struct headers_row {
    const char *header, *algorithm;
};

static const struct headers_row headers_rows[CHECKSUM_KINDS] = {
    [CHECKSUM_CRC32C] = {"x-amz-checksum-crc32c", "CRC32C"},
    [CHECKSUM_CRC32] = {"x-amz-checksum-crc32", "CRC32"},
    [CHECKSUM_CRC64NVME] = {"x-amz-checksum-crc64nvme", "CRC64NVME"},
    [CHECKSUM_SHA256] = {"x-amz-checksum-sha256", "SHA256"},
};

const char *headers_checksum(enum checksum_kind kind)
{
    return headers_rows[kind].header;
}

const char *headers_algorithm(enum checksum_kind kind)
{
    return headers_rows[kind].algorithm;
}

void headers_format_mtime(int64_t mtime_ns, char *text, size_t text_bytes)
{
    int64_t s = mtime_ns / (int64_t)NS_PER_S, ns = mtime_ns % (int64_t)NS_PER_S;
    bool negative = mtime_ns < 0;
    if (negative) {
        s = -s;
        ns = -ns;
    }
    snprintf(text, text_bytes, "%s%" PRId64 ".%09" PRId64, negative ? "-" : "", s, ns);
}

bool headers_parse_mtime(struct bytes text, int64_t *mtime_ns)
{
    struct bytes fraction;
    uint64_t s, ns = 0, scale = NS_PER_S;
    bool negative = text.count > 0 && text.data[0] == '-';
    if (negative) text = (struct bytes){text.data + 1, text.count - 1};
    struct bytes whole = bytes_cut(text, '.', &fraction);
    /* 292 years either way is what fits into nanoseconds. */
    if (!bytes_parse_u64(whole, &s) || s > INT64_MAX / NS_PER_S - 1) return false;
    for (size_t i = 0; i < fraction.count; i++) {
        if (fraction.data[i] < '0' || fraction.data[i] > '9') return false;
        scale /= 10;
        ns += scale * (uint64_t)(fraction.data[i] - '0');
    }
    *mtime_ns = (int64_t)(s * NS_PER_S + ns);
    if (negative) *mtime_ns = -*mtime_ns;
    return true;
}

void headers_format_range(uint64_t offset, uint64_t bytes, char *text, size_t text_bytes)
{
    snprintf(text, text_bytes, "bytes=%" PRIu64 "-%" PRIu64, offset, offset + bytes - 1);
}
