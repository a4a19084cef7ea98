#include "s3/reconcile.h"

#include <stdio.h>
#include <string.h>

#define MD5_HEX 32u

/* The server's clock in seconds, and two of its machines may differ. */
#define RECONCILE_CLOCK_S 2

static int reconcile_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct bytes reconcile_bare(const char *etag)
{
    struct bytes text = bytes_of(etag);
    bool quoted = text.count >= 2 && text.data[0] == '"' && text.data[text.count - 1] == '"';
    return quoted ? (struct bytes){text.data + 1, text.count - 2} : text;
}

bool reconcile_md5(const char *etag, uint8_t md5[DIGEST_MD5_BYTES])
{
    struct bytes hex = reconcile_bare(etag);
    if (hex.count != MD5_HEX) return false;
    for (uint32_t i = 0; i < DIGEST_MD5_BYTES; i++) {
        int high = reconcile_digit(hex.data[2 * i]), low = reconcile_digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        md5[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool reconcile_etag(const struct multipart *parts, char etag[ETAG_BYTES_MAX + 1])
{
    struct digest_md5 sum;
    uint8_t md5[DIGEST_MD5_BYTES];
    struct writer w;
    digest_md5_init(&sum);
    for (uint32_t i = 0; i < parts->count; i++) {
        if (!reconcile_md5(multipart_part(parts, i)->etag, md5)) return false;
        digest_md5_update(&sum, md5, sizeof md5);
    }
    digest_md5_final(&sum, md5);
    writer_init(&w, etag, ETAG_BYTES_MAX + 1);
    writer_char(&w, '"');
    writer_hex(&w, md5, sizeof md5);
    writer_format(&w, "-%u\"", parts->count);
    (void)writer_string(&w);
    return true;
}

static bool reconcile_has_parts(const char *etag, uint32_t count)
{
    struct bytes text = reconcile_bare(etag);
    char suffix[16];
    snprintf(suffix, sizeof suffix, "-%u", count);
    return bytes_end_with(text, bytes_of(suffix));
}

bool reconcile_is_ours(const struct reconcile *expected, const struct request_reply *reply,
                       bool *sure)
{
    char etag[ETAG_BYTES_MAX + 1];
    *sure = true;
    if (reply->content_bytes != expected->parts->bytes) return false;
    if (expected->kind != CHECKSUM_NONE && reply->checksum[expected->kind][0])
        return strcmp(reply->checksum[expected->kind], expected->checksum) == 0;
    if (reconcile_etag(expected->parts, etag) &&
        bytes_equal_ignoring_case(reconcile_bare(etag), reconcile_bare(reply->etag)))
        return true;
    *sure = false;
    return reconcile_has_parts(reply->etag, expected->parts->count) &&
           strcmp(reply->mtime, expected->mtime) == 0 && reply->last_modified_s != INT64_MIN &&
           expected->created_s != INT64_MAX &&
           reply->last_modified_s >= expected->created_s - RECONCILE_CLOCK_S;
}

enum reconcile_part reconcile_part(const struct multipart *parts, uint32_t index,
                                   enum checksum_kind kind, const struct xml_part *listed)
{
    const struct multipart_part *part = multipart_part(parts, index);
    struct checksum_value value;
    uint32_t part_count;
    if (listed->bytes != part->bytes) return RECONCILE_PART_OTHER;
    bool same = bytes_equal(reconcile_bare(part->etag), reconcile_bare(listed->etag));
    if (kind == CHECKSUM_NONE || !listed->checksums.text[kind][0])
        return same ? RECONCILE_PART_SAME : RECONCILE_PART_OTHER;
    if (!checksum_parse(kind, bytes_of(listed->checksums.text[kind]), &value, &part_count))
        return RECONCILE_PART_OTHER;
    if (value.count != part->checksum_bytes || memcmp(value.data, part->checksum, value.count) != 0)
        return RECONCILE_PART_OTHER;
    return same ? RECONCILE_PART_SAME : RECONCILE_PART_RENAMED;
}
