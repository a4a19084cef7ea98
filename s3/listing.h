/* listing: the objects of a bucket below a prefix, page by page (ListObjectsV2), in the server's
 * order. The entries of a page live in the listing's memory until the next page is asked for. */
#ifndef S3_LISTING_H
#define S3_LISTING_H

#include "s3/request.h"

struct listing_entry {
    struct bytes key; /* decoded; ends with the delimiter when it is a common prefix */
    bool is_prefix;
    uint64_t size_bytes;
    int64_t modified_s;            /* since 1970; INT64_MIN: not said */
    char etag[ETAG_BYTES_MAX + 1]; /* with its quotes */
    struct bytes storage_class;
};

struct listing;

/* Everything is copied. `delimiter`: "/" or "" for all keys below. `after`: keys up to this one are
 * left out, or ""; some servers do not know that (StartAfter). Errors: ERR_NO_MEMORY. */
MUST_USE enum err listing_open(struct listing **listing, struct client *client, struct bytes bucket,
                               struct bytes prefix, struct bytes delimiter, struct bytes after);
void listing_close(struct listing *listing); /* nothing may be out */
/* Done: the entries of the next page are there, or none and listing_is_done(). An intermediate page
 * may be empty. Errors: as request, ERR_XML_GARBAGE (no way to the next page); then no entries. */
void listing_next(struct listing *listing, struct op *op);
void listing_cancel(struct listing *listing); /* ends a page that is asked for: ERR_CANCELLED */
uint32_t listing_count(const struct listing *listing);
const struct listing_entry *listing_entry(const struct listing *listing, uint32_t index);
bool listing_is_done(const struct listing *listing);
const char *listing_why(const struct listing *listing);

#endif
