/* stowage_xml: text that grows, XML written into it, and the little XML that clients send read.
 *
 * Growth is bounded by XML_REPLY_BYTES_MAX; running past it or out of memory is sticky, as in
 * core/bytes.h's writer: one look at `overflow` at the end. The reader understands elements, text,
 * the five entities and the usual numeric references, which is all that the S3 requests with a body
 * use; declarations and comments are passed over. */
#ifndef TOOLS_STOWAGE_XML_H
#define TOOLS_STOWAGE_XML_H

#include "core/bytes.h"

struct stowage_xml {
    char *data;
    size_t count, count_max;
    bool overflow;
};

void stowage_xml_init(struct stowage_xml *xml); /* no memory yet */
void stowage_xml_fini(struct stowage_xml *xml);
void stowage_xml_clear(struct stowage_xml *xml); /* empty again, the memory is kept */

void stowage_xml_raw(struct stowage_xml *xml, struct bytes text);
void stowage_xml_format(struct stowage_xml *xml, const char *format, ...) PRINTF_LIKE(2, 3);
void stowage_xml_begin(struct stowage_xml *xml, const char *root); /* declaration, <root xmlns=…> */
void stowage_xml_open(struct stowage_xml *xml, const char *name);
void stowage_xml_close(struct stowage_xml *xml, const char *name);
void stowage_xml_text(struct stowage_xml *xml, const char *name, struct bytes value); /* escaped */
void stowage_xml_u64(struct stowage_xml *xml, const char *name, uint64_t value);
void stowage_xml_bool(struct stowage_xml *xml, const char *name, bool value);
void stowage_xml_time(struct stowage_xml *xml, const char *name, uint64_t wall_ns);
void stowage_xml_etag(struct stowage_xml *xml, const char *etag); /* <ETag>"…"</ETag> */

enum stowage_xml_event { STOWAGE_XML_OPEN, STOWAGE_XML_CLOSE, STOWAGE_XML_END, STOWAGE_XML_BAD };

struct stowage_xml_reader {
    struct bytes name; /* of the element that was opened or closed, without a namespace prefix */
    struct bytes text; /* at CLOSE: its own text, decoded, not trimmed; in the input's memory */
    uint32_t depth;    /* after the event: 1 at the root's OPEN, 0 at its CLOSE */
    /* private */
    char *at, *end;
    char *text_start;
    bool empty; /* "<a/>": a CLOSE is due */
};

/* The input is decoded in place. */
void stowage_xml_reader_init(struct stowage_xml_reader *reader, char *input, size_t count);
enum stowage_xml_event stowage_xml_read(struct stowage_xml_reader *reader);

#endif
