#include "s3/xml_write.h"

#include "compress/base64.h"
#include "core/check.h"

#define XML_WRITE_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

static const char *const xml_write_checksums[CHECKSUM_KINDS] = {
    [CHECKSUM_CRC32C] = "ChecksumCRC32C",
    [CHECKSUM_CRC32] = "ChecksumCRC32",
    [CHECKSUM_CRC64NVME] = "ChecksumCRC64NVME",
    [CHECKSUM_SHA256] = "ChecksumSHA256",
};

static void xml_write_character(struct writer *w, char c)
{
    switch (c) {
    case '&': writer_put(w, BYTES("&amp;")); break;
    case '<': writer_put(w, BYTES("&lt;")); break;
    case '>': writer_put(w, BYTES("&gt;")); break;
    default: /* a control byte, which a reader would drop or turn into another */
        writer_put(w, BYTES("&#"));
        writer_u64(w, (uint8_t)c);
        writer_char(w, ';');
    }
}

static bool xml_write_is_special(char c)
{
    return c == '&' || c == '<' || c == '>' || (uint8_t)c < 0x20;
}

void xml_write_text(struct writer *w, struct bytes text)
{
    while (text.count > 0) {
        size_t count = 0;

        while (count < text.count && !xml_write_is_special(text.data[count]))
            count++;
        writer_put(w, (struct bytes){text.data, count});
        if (count == text.count) return;
        xml_write_character(w, text.data[count]);
        text = (struct bytes){text.data + count + 1, text.count - count - 1};
    }
}

#define XML_WRITE_ESCAPE_BYTES_MAX 5u /* "&amp;", "&#31;" */

void xml_write_element(struct writer *w, const char *name, struct bytes text)
{
    writer_char(w, '<');
    writer_text(w, name);
    writer_char(w, '>');
    xml_write_text(w, text);
    writer_put(w, BYTES("</"));
    writer_text(w, name);
    writer_char(w, '>');
}

static void xml_write_part(struct writer *w, uint32_t number, const struct multipart_part *part,
                           enum checksum_kind kind)
{
    char text[CHECKSUM_TEXT_BYTES];

    writer_put(w, BYTES("<Part><PartNumber>"));
    writer_u64(w, number);
    writer_put(w, BYTES("</PartNumber>"));
    xml_write_element(w, "ETag", bytes_of(part->etag));
    if (kind != CHECKSUM_NONE && part->checksum_bytes > 0) {
        base64_encode(part->checksum, part->checksum_bytes, text);
        xml_write_element(w, xml_write_checksums[kind], bytes_of(text));
    }
    writer_put(w, BYTES("</Part>"));
}

void xml_write_complete(struct writer *w, const struct multipart *multipart,
                        enum checksum_kind kind)
{
    writer_put(w, BYTES("<CompleteMultipartUpload xmlns=\"" XML_WRITE_NAMESPACE "\">"));
    for (uint32_t i = 0; i < multipart->count; i++)
        xml_write_part(w, i + 1, multipart_part(multipart, i), kind);
    writer_put(w, BYTES("</CompleteMultipartUpload>"));
}

/* A part alone, with an ETag all of escapes and the longest checksum, is below this. */
#define XML_WRITE_PART_BYTES_MAX 1024u

_Static_assert(ETAG_BYTES_MAX *XML_WRITE_ESCAPE_BYTES_MAX + CHECKSUM_TEXT_BYTES + 160 <
                   XML_WRITE_PART_BYTES_MAX,
               "a part fits");

uint64_t xml_write_complete_bytes(const struct multipart *multipart, enum checksum_kind kind)
{
    uint64_t bytes = sizeof("<CompleteMultipartUpload xmlns=\"" XML_WRITE_NAMESPACE
                            "\"></CompleteMultipartUpload>") -
                     1;

    for (uint32_t i = 0; i < multipart->count; i++) {
        char area[XML_WRITE_PART_BYTES_MAX];
        struct writer w;

        writer_init(&w, area, sizeof(area));
        xml_write_part(&w, i + 1, multipart_part(multipart, i), kind);
        CHECK(!w.overflow);
        bytes += w.count;
    }
    return bytes;
}

void xml_write_bucket(struct writer *w, struct bytes region)
{
    if (region.count == 0 || bytes_equal(region, BYTES("us-east-1"))) return;
    writer_put(w, BYTES("<CreateBucketConfiguration xmlns=\"" XML_WRITE_NAMESPACE "\">"));
    xml_write_element(w, "LocationConstraint", region);
    writer_put(w, BYTES("</CreateBucketConfiguration>"));
}

#define XML_WRITE_DELETE_BEGIN "<Delete xmlns=\"" XML_WRITE_NAMESPACE "\"><Quiet>true</Quiet>"
#define XML_WRITE_DELETE_END   "</Delete>"

void xml_write_delete_begin(struct writer *w)
{
    writer_put(w, BYTES(XML_WRITE_DELETE_BEGIN));
}

void xml_write_delete_key(struct writer *w, struct bytes key)
{
    writer_put(w, BYTES("<Object>"));
    xml_write_element(w, "Key", key);
    writer_put(w, BYTES("</Object>"));
}

void xml_write_delete_end(struct writer *w)
{
    writer_put(w, BYTES(XML_WRITE_DELETE_END));
}

uint64_t xml_write_delete_bytes_max(uint32_t count, uint64_t key_bytes)
{
    return sizeof(XML_WRITE_DELETE_BEGIN XML_WRITE_DELETE_END) - 1 +
           count * (uint64_t)(sizeof("<Object><Key></Key></Object>") - 1) +
           key_bytes * XML_WRITE_ESCAPE_BYTES_MAX;
}
