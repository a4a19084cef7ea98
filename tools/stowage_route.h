/* stowage_route: which S3 operation a request's head asks for, on which bucket and key, with which
 * query. Pure.
 *
 * Path style ("/bucket/key") and virtual-host style ("bucket.localhost"). Keys are bytes and are
 * never normalised. Not here: whether it is allowed, whether the bucket is there. */
#ifndef TOOLS_STOWAGE_ROUTE_H
#define TOOLS_STOWAGE_ROUTE_H

#include "net/http.h"
#include "tools/stowage_error.h"

#define STOWAGE_ROUTE_QUERY_MAX 32u

#define STOWAGE_OPERATIONS(X)                                                                      \
    X(UNKNOWN, "Unknown")                                                                          \
    X(LIST_BUCKETS, "ListBuckets")                                                                 \
    X(CREATE_BUCKET, "CreateBucket")                                                               \
    X(HEAD_BUCKET, "HeadBucket")                                                                   \
    X(DELETE_BUCKET, "DeleteBucket")                                                               \
    X(GET_BUCKET_LOCATION, "GetBucketLocation")                                                    \
    X(LIST_OBJECTS, "ListObjects")                                                                 \
    X(LIST_OBJECTS_V2, "ListObjectsV2")                                                            \
    X(LIST_UPLOADS, "ListMultipartUploads")                                                        \
    X(DELETE_OBJECTS, "DeleteObjects")                                                             \
    X(GET_OBJECT, "GetObject")                                                                     \
    X(HEAD_OBJECT, "HeadObject")                                                                   \
    X(PUT_OBJECT, "PutObject")                                                                     \
    X(COPY_OBJECT, "CopyObject")                                                                   \
    X(DELETE_OBJECT, "DeleteObject")                                                               \
    X(GET_OBJECT_ATTRIBUTES, "GetObjectAttributes")                                                \
    X(CREATE_UPLOAD, "CreateMultipartUpload")                                                      \
    X(UPLOAD_PART, "UploadPart")                                                                   \
    X(UPLOAD_PART_COPY, "UploadPartCopy")                                                          \
    X(COMPLETE_UPLOAD, "CompleteMultipartUpload")                                                  \
    X(ABORT_UPLOAD, "AbortMultipartUpload")                                                        \
    X(LIST_PARTS, "ListParts")                                                                     \
    X(READ_SETTING, "ReadSetting") /* ?acl, ?versioning …: what a plain bucket or object has */  \
    X(WRITE_SETTING, "WriteSetting")

enum stowage_operation {
#define X(name, text) STOWAGE_##name,
    STOWAGE_OPERATIONS(X)
#undef X
        STOWAGE_OPERATION_COUNT
};

struct stowage_route {
    enum stowage_operation operation;
    struct bytes bucket, key; /* decoded; "" where there is none */
    struct bytes path, query; /* as on the wire */
    struct bytes setting;     /* of READ_SETTING and WRITE_SETTING: "acl" */
    uint32_t part_number;     /* 0: none said */
    struct {
        struct bytes name, value; /* decoded */
    } params[STOWAGE_ROUTE_QUERY_MAX];
    uint32_t param_count;
    char text[2 * HTTP_URI_BYTES_MAX]; /* holds what is decoded */
};

const char *stowage_route_name(enum stowage_operation operation); /* "PutObject" */

/* `head`'s slices must stay in place as long as the route is used. */
MUST_USE enum stowage_error stowage_route_parse(struct stowage_route *route,
                                                const struct http_head *head);

/* The value of a query parameter; data NULL when it is absent. */
struct bytes stowage_route_param(const struct stowage_route *route, const char *name);
bool stowage_route_has(const struct stowage_route *route, const char *name);
/* A number in [0, max], `otherwise` where it is absent. ARGUMENT for anything else. */
MUST_USE enum stowage_error stowage_route_number(const struct stowage_route *route,
                                                 const char *name, uint64_t max, uint64_t otherwise,
                                                 uint64_t *value);

/* "/bucket/key" or "bucket/key", escaped, perhaps with "?versionId=…", as in x-amz-copy-source.
 * Decoded into `text` of `text_bytes`. */
MUST_USE enum stowage_error stowage_route_parse_source(struct bytes source, struct writer *text,
                                                       struct bytes *bucket, struct bytes *key);

/* Range (RFC 9110 14.1.2) on `size_bytes`. True: [*first, *first + *count) is asked for. False with
 * *count 0: not satisfiable. False with *count UINT64_MAX: to be ignored (none, or not one range of
 * bytes). */
bool stowage_route_range(struct bytes range, uint64_t size_bytes, uint64_t *first, uint64_t *count);

#endif
