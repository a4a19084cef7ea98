/* reconcile: is what the server has what we sent? Pure. For answers that got lost: a completion
 * that may have happened, parts of which two copies may have arrived.
 *
 * An object is taken for ours by, in this order: its size, which must fit in any case; its
 * checksum, where the server tells one; its ETag, where that of a multipart upload can be computed
 * (the MD5 of the parts' MD5s, as Amazon, Ceph and Swift make it); else by the number of parts in
 * the ETag, our mtime in its metadata, and a Last-Modified not before our upload was created, by
 * the server's own clock. */
#ifndef S3_RECONCILE_H
#define S3_RECONCILE_H

#include "compress/digest.h"
#include "s3/multipart.h"
#include "s3/request.h"
#include "s3/xml.h"

struct reconcile { /* what the object must be */
    const struct multipart *parts;
    enum checksum_kind kind;
    const char *checksum; /* as it stands in headers; "" none */
    const char *mtime;    /* x-amz-meta-mtime, or "" */
    int64_t created_s;    /* the server's time at the upload's creation, or INT64_MAX */
};

/* Of a HEAD reply. *sure: by checksum or ETag, not by circumstances. */
bool reconcile_is_ours(const struct reconcile *expected, const struct request_reply *reply,
                       bool *sure);

/* The MD5 that an ETag is, of an object that was put whole; false where it is none. That it looks
 * like one proves nothing: encrypted objects have other ETags of that form. */
MUST_USE bool reconcile_md5(const char *etag, uint8_t md5[DIGEST_MD5_BYTES]);
/* "md5-of-md5s-N" in quotes; false when a part's ETag is no MD5. */
bool reconcile_etag(const struct multipart *parts, char etag[ETAG_BYTES_MAX + 1]);

enum reconcile_part {
    RECONCILE_PART_SAME,    /* the ETag that we know */
    RECONCILE_PART_RENAMED, /* the same bytes, by their checksum, under another ETag */
    RECONCILE_PART_OTHER,   /* other bytes, or nobody can tell: to be sent again */
};
/* What the server lists as part `index`, which is done. */
enum reconcile_part reconcile_part(const struct multipart *parts, uint32_t index,
                                   enum checksum_kind kind, const struct xml_part *listed);

#endif
