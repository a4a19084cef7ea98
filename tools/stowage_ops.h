/* stowage_ops: what each S3 operation does. stowage_ops.c has the table and the buckets,
 * stowage_object.c objects, stowage_upload.c multipart uploads, stowage_listing.c listings.
 *
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html; where clients
 * depend on it, what Ceph RGW answers. Settings of buckets (ACLs, policies, versioning …) are not
 * kept: reading one says what a plain bucket has. */
#ifndef TOOLS_STOWAGE_OPS_H
#define TOOLS_STOWAGE_OPS_H

#include "tools/stowage_call.h"

struct stowage_ops_row {
    stowage_call_fn *begin;
    stowage_call_fn *finish; /* NULL: all was done in begin */
};

const struct stowage_ops_row *stowage_ops_row(enum stowage_operation operation);

/* objects */
MUST_USE enum stowage_error stowage_object_get(struct stowage_call *call);
MUST_USE enum stowage_error stowage_object_attributes(struct stowage_call *call);
MUST_USE enum stowage_error stowage_object_put_begin(struct stowage_call *call);
MUST_USE enum stowage_error stowage_object_put(struct stowage_call *call);
MUST_USE enum stowage_error stowage_object_copy_begin(struct stowage_call *call);
MUST_USE enum stowage_error stowage_object_copy(struct stowage_call *call);
MUST_USE enum stowage_error stowage_object_delete(struct stowage_call *call);
/* If-Match and If-None-Match of a request that writes the route's key. */
MUST_USE enum stowage_error stowage_object_may_write(struct stowage_call *call,
                                                     const struct stowage_bucket *bucket);
/* Opens x-amz-copy-source for reading: holds it, sets the source to all of it. */
MUST_USE enum stowage_error stowage_object_open_source(struct stowage_call *call);
/* Notes call->made and puts it into the index; then `next`. */
MUST_USE enum stowage_error stowage_object_store(struct stowage_call *call, stowage_call_fn *next);

/* multipart uploads */
MUST_USE enum stowage_error stowage_upload_create(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_part_begin(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_part(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_copy_begin(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_copy(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_complete_begin(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_complete(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_abort(struct stowage_call *call);
MUST_USE enum stowage_error stowage_upload_list_parts(struct stowage_call *call);

/* listings */
MUST_USE enum stowage_error stowage_listing_buckets(struct stowage_call *call);
MUST_USE enum stowage_error stowage_listing_objects(struct stowage_call *call);
MUST_USE enum stowage_error stowage_listing_objects_v2(struct stowage_call *call);
MUST_USE enum stowage_error stowage_listing_uploads(struct stowage_call *call);
MUST_USE enum stowage_error stowage_listing_delete_begin(struct stowage_call *call);
MUST_USE enum stowage_error stowage_listing_delete(struct stowage_call *call);

#endif
