/* xml_write: what S3 is asked in XML. Pure: written into the caller's memory, whose size is known
 * beforehand by functions here.
 *
 * In text, & < > and control bytes are escaped; nothing else needs it. */
#ifndef S3_XML_WRITE_H
#define S3_XML_WRITE_H

#include "compress/checksum.h"
#include "s3/multipart.h"

void xml_write_text(struct writer *w, struct bytes text);
void xml_write_element(struct writer *w, const char *name, struct bytes text); /* <name>…</name> */

/* CompleteMultipartUpload of a whole, complete table; CHECKSUM_NONE: without checksums. */
void xml_write_complete(struct writer *w, const struct multipart *multipart,
                        enum checksum_kind kind);
/* Exactly what that takes: 1.4 MB for 10,000 parts of AWS with CRC32C. */
uint64_t xml_write_complete_bytes(const struct multipart *multipart, enum checksum_kind kind);

/* CreateBucketConfiguration: nothing for "" and us-east-1, which S3 refuses to be told. */
void xml_write_bucket(struct writer *w, struct bytes region);
#define XML_WRITE_BUCKET_BYTES 256u

/* Delete, quietly: only errors are answered. Begin, then up to 1,000 keys, then end. */
void xml_write_delete_begin(struct writer *w);
void xml_write_delete_key(struct writer *w, struct bytes key);
void xml_write_delete_end(struct writer *w);
/* A bound for `count` keys of `key_bytes` in all. */
uint64_t xml_write_delete_bytes_max(uint32_t count, uint64_t key_bytes);

#endif
