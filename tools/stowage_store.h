/* stowage_store: buckets, objects and uploads: an index in memory, whatever keeps the bytes.
 *
 *   bucket ──< object ──< part (one, or the parts of its upload) ── segment, kept by the keep
 *          └─< upload ──< part
 *
 * Everything belongs to one core. Nobody holds a pointer into it across a wait, except an object
 * that is being read: stowage_store_hold() keeps it and its segments alive after it was replaced or
 * removed, until stowage_store_release(). Planning-side memory (malloc), bounded by what clients
 * store. Not here: HTTP, XML, permissions. */
#ifndef TOOLS_STOWAGE_STORE_H
#define TOOLS_STOWAGE_STORE_H

#include "compress/checksum.h"
#include "core/limits.h"
#include "tools/stowage_tree.h"

#define STOWAGE_ETAG_BYTES 48u /* 32 hex digits, "-10000", 0 */
#define STOWAGE_ID_BYTES   33u

struct stowage_keep;

struct stowage_segment { /* a run of bytes where the keep has it */
    uint64_t bytes;
    char *memory; /* in memory: room_bytes of it */
    uint64_t room_bytes;
    char *name; /* in a folder: the file */
};

struct stowage_part {
    uint32_t number; /* 1 … PARTS_MAX; 0: this row of an upload is free */
    uint64_t modified_ns;
    char etag[STOWAGE_ETAG_BYTES];
    struct checksum_value checksum;
    struct stowage_segment segment;
};

struct stowage_object {
    struct stowage_tree_node node; /* by key; the key's memory is ours */
    uint64_t bytes, modified_ns;   /* since 1970 */
    char etag[STOWAGE_ETAG_BYTES]; /* without quotes */
    struct checksum_value checksum;
    bool checksum_is_full;
    bool multipart;
    struct stowage_part *parts;
    uint32_t part_count; /* ≥ 1 */
    char *headers;       /* "content-type: …\r\nx-amz-meta-…: …\r\n", as replies have them */
    char upload_id[STOWAGE_ID_BYTES]; /* that made it: a repeated completion is answered alike */
    uint32_t readers;
    bool indexed; /* in its bucket's tree */
};

struct stowage_upload {
    struct stowage_tree_node node; /* by "key\0id" */
    struct bytes key;
    char id[STOWAGE_ID_BYTES];
    uint64_t started_ns;
    enum checksum_kind checksum;
    bool checksum_is_full;
    char *headers;
    struct stowage_part *parts; /* by number − 1 */
    uint32_t part_count;        /* rows */
};

struct stowage_bucket {
    struct stowage_tree_node node;
    char name[BUCKET_NAME_BYTES_MAX + 1];
    uint64_t created_ns;
    struct stowage_tree objects, uploads;
};

struct stowage_store {
    struct stowage_tree buckets;
    struct stowage_keep *keep;
};

void stowage_store_init(struct stowage_store *store, struct stowage_keep *keep);
void stowage_store_fini(struct stowage_store *store); /* frees all, drops no segment's content */

struct stowage_bucket *stowage_store_bucket(const struct stowage_store *store, struct bytes name);
/* The name must be free and fit. NULL: no memory. */
struct stowage_bucket *stowage_store_add_bucket(struct stowage_store *store, struct bytes name,
                                                uint64_t created_ns);
/* It must have no objects; its uploads go with it. */
void stowage_store_remove_bucket(struct stowage_store *store, struct stowage_bucket *bucket);

/* Not in the index yet; owns copies of key and headers and `part_count` empty rows. NULL: no
 * memory. */
struct stowage_object *stowage_store_new_object(struct bytes key, struct bytes headers,
                                                uint32_t part_count);
struct stowage_object *stowage_store_object(const struct stowage_bucket *bucket, struct bytes key);
/* Takes the object over; the one of that key before is dropped. */
void stowage_store_put(struct stowage_store *store, struct stowage_bucket *bucket,
                       struct stowage_object *object);
void stowage_store_remove(struct stowage_store *store, struct stowage_bucket *bucket,
                          struct stowage_object *object);
void stowage_store_hold(struct stowage_object *object);
void stowage_store_release(struct stowage_store *store, struct stowage_object **object);

/* NULL: no memory. */
struct stowage_upload *stowage_store_add_upload(struct stowage_bucket *bucket, struct bytes key,
                                                const char *id, struct bytes headers);
struct stowage_upload *stowage_store_upload(const struct stowage_bucket *bucket, struct bytes key,
                                            struct bytes id);
/* Takes the segment over; a part of that number before is dropped. False: no memory. */
MUST_USE bool stowage_store_put_part(struct stowage_store *store, struct stowage_upload *upload,
                                     const struct stowage_part *part);
const struct stowage_part *stowage_store_part(const struct stowage_upload *upload, uint32_t number);
/* Moves a part out of its upload, which has it no more. */
void stowage_store_take_part(struct stowage_upload *upload, uint32_t number,
                             struct stowage_part *part);
/* With the parts that are left in it. */
void stowage_store_remove_upload(struct stowage_store *store, struct stowage_bucket *bucket,
                                 struct stowage_upload *upload);

/* A listing: keys that start with `prefix`, in order; those that have `delimiter` (which may be
 * empty) behind the prefix are rolled up into one entry each. */
struct stowage_list {
    const struct stowage_bucket *bucket;
    struct bytes prefix, delimiter;
    /* private */
    struct stowage_tree_node *next;
};

struct stowage_list_entry {
    struct bytes key;                    /* of the object, or the common prefix */
    const struct stowage_object *object; /* NULL: a common prefix */
};

/* `after`: begins behind this key; where it is a common prefix itself, behind all of it. "": at the
 * first. The fields above are set by the caller. */
void stowage_store_list_start(struct stowage_list *list, struct bytes after);
bool stowage_store_list_next(struct stowage_list *list, struct stowage_list_entry *entry);

#endif
