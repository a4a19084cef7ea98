/* stored: the checksums that the server has of an object: that of the whole, from a reply's head,
 * and those of the parts that it was made of, as the server remembers them (GetObjectAttributes):
 * what a checksum of checksums must be compared at.
 *
 * Many stores do not have the call, or do not remember the parts: that is an error of the call, or
 * an empty table. One object at a time; pages are asked for until all parts are there. Reference:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html */
#ifndef S3_STORED_H
#define S3_STORED_H

#include "s3/multipart.h"
#include "s3/request.h"
#include "s3/xml.h"

/* The one of kind `wanted` where there is one, else the cheapest to compute. *part_count: of a
 * composite one, else 0. False: the server has none, or none that can be compared. */
MUST_USE bool stored_checksum(const struct request_reply *reply, enum checksum_kind wanted,
                              struct checksum_value *value, uint32_t *part_count);

struct stored_object {
    struct client *client;
    struct bytes bucket, key; /* in place until the op is done */
    enum checksum_kind kind;  /* whose values of parts are wanted */
};

struct stored {
    struct request request; /* its `why`, after an error */
    /* private */
    struct core *core;
    struct request_call call;
    struct xml_parts attributes;
    struct op step;
    struct op *owner;
    struct stored_object object;
    struct multipart *parts;
    uint32_t with_checksum;
    char marker[16];
};

void stored_init(struct stored *stored, struct core *core, struct client *client);
void stored_fini(struct stored *stored); /* nothing may be out */
/* Fills `parts`, an empty table: sizes, and what multipart_expect() keeps. Errors: as request,
 * ERR_XML_GARBAGE (a part is missing between others), ERR_NO_MEMORY. */
void stored_learn(struct stored *stored, const struct stored_object *object,
                  struct multipart *parts, struct op *op);
void stored_cancel(struct stored *stored); /* harmless when nothing is out */
/* Do they make up an object of `bytes`, in `part_count` parts, each with its checksum? */
bool stored_is_usable(const struct stored *stored, uint64_t bytes, uint32_t part_count);

#endif
