/* xml: what S3 answers in XML (expat hidden here).
 *
 * A kind of reply embeds `struct xml`; any chunks go to xml_feed() and facts come out in fields
 * of fixed size or, where there are many, one at a time through a typed callback. An <Error> root
 * is accepted for every kind (a 200 can carry one): then xml.is_error. Documents are bounded in
 * depth, text, tags, attributes and size; a DOCTYPE is refused, so there are no entities but XML's
 * five. Unknown elements are passed over.
 *
 *   xml_list_init() → [xml_begin() → xml_feed()* → xml_end()]* → xml_fini()
 *
 * xml_begin() forgets everything, so that a retried request begins anew (`on_begin` tells the owner
 * of entries).
 * Memory: expat allocates some KiB for real replies, and at most a few times XML_QUIET_BYTES_MAX,
 * if a server sends one huge tag.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html */
#ifndef S3_XML_H
#define S3_XML_H

#include "compress/checksum.h"
#include "s3/reply.h"

#define XML_DEPTH_MAX      12u   /* S3's deepest reply has 6 */
#define XML_ATTRIBUTES_MAX 8u    /* S3 has xmlns and xsi:type */
#define XML_PATH_BYTES     256u  /* of "Element/Element", below the root */
#define XML_TEXT_BYTES_MAX 4096u /* a key of 1,024 bytes, URL-encoded, is 3,072; tokens are below */
/* Spaces that keep a slow reply alive, and a tag that is not whole yet, which expat reads again
 * from its beginning with each chunk. S3's longest tag is below 200 bytes; a space a second is a
 * day. */
#define XML_QUIET_BYTES_MAX (64u * KIB)
#define XML_TOKEN_BYTES     (XML_TEXT_BYTES_MAX + 1)
#define XML_CHECKSUM_BYTES  64u /* base64 of SHA-256, "-10000" and 0 */

struct XML_ParserStruct;
struct xml_kind; /* private: a table row of xml.c */

struct xml {
    bool is_error; /* the root was <Error> */
    struct reply_error error;
    /* private */
    const struct xml_kind *kind;
    struct XML_ParserStruct *parser;
    enum err err;     /* sticky */
    bool url_encoded; /* EncodingType is url */
    bool text_is_cut;
    uint32_t items;               /* emitted so far */
    uint32_t depth, elements;     /* open now; in all */
    uint64_t bytes;               /* fed so far */
    uint64_t quiet_bytes;         /* fed since a tag or a text was whole */
    char path[XML_PATH_BYTES];    /* below the root */
    uint16_t ends[XML_DEPTH_MAX]; /* length of `path` at each depth */
    char text[XML_TEXT_BYTES_MAX + 1];
    uint32_t text_bytes;
};

/* As sent, base64 (composite: "base64-parts"), by enum checksum_kind; "": absent. */
struct xml_checksums {
    char text[CHECKSUM_KINDS][XML_CHECKSUM_BYTES];
    char type[16]; /* FULL_OBJECT, COMPOSITE or "" */
};

/* Begins a document; also after a broken one. Errors: ERR_NO_MEMORY. */
MUST_USE enum err xml_begin(struct xml *xml);
/* Errors: ERR_XML_GARBAGE (not well formed, beyond the bounds, or another root than the kind's), or
 * what a callback returned. Sticky until xml_begin(). */
MUST_USE enum err xml_feed(struct xml *xml, struct bytes chunk);
MUST_USE enum err xml_end(struct xml *xml); /* the document must be whole now */
void xml_fini(struct xml *xml);

/* Only <Error>. */
void xml_error_init(struct xml *xml);

struct xml_created { /* InitiateMultipartUploadResult */
    struct xml xml;
    char upload_id[UPLOAD_ID_BYTES_MAX + 1];
};
void xml_created_init(struct xml_created *created);

struct xml_result { /* CompleteMultipartUploadResult, CopyObjectResult, CopyPartResult */
    struct xml xml;
    char etag[ETAG_BYTES_MAX + 1];
    struct xml_checksums checksums;
    int64_t modified_s; /* INT64_MIN: absent */
};
void xml_result_init(struct xml_result *result);

struct xml_list;
struct xml_entry {    /* valid during the callback */
    struct bytes key; /* decoded; may hold any byte */
    bool is_prefix;
    uint64_t size_bytes;
    int64_t modified_s;            /* since 1970; INT64_MIN: absent */
    char etag[ETAG_BYTES_MAX + 1]; /* with its quotes */
    char storage_class[32];
    bool has_checksum[CHECKSUM_KINDS]; /* ChecksumAlgorithm */
    bool checksum_is_full;             /* ChecksumType is FULL_OBJECT */
};
typedef enum err xml_entry_fn(struct xml_list *list, const struct xml_entry *entry);
typedef void xml_begin_fn(struct xml *xml);

struct xml_list { /* ListBucketResult */
    struct xml xml;
    bool is_truncated;
    char next_token[XML_TOKEN_BYTES]; /* as sent: to be given back as it is */
    /* private */
    xml_entry_fn *on_entry;
    xml_begin_fn *on_begin;
    struct xml_entry entry;
    char key[KEY_BYTES_MAX + 1];
    uint32_t key_bytes;
};
/* Entries and prefixes in the document's order. `on_begin` may be NULL. */
void xml_list_init(struct xml_list *list, xml_entry_fn *on_entry, xml_begin_fn *on_begin);

struct xml_parts;
struct xml_part {
    uint32_t number; /* from 1 */
    uint64_t bytes;
    int64_t modified_s;
    char etag[ETAG_BYTES_MAX + 1]; /* "" in attributes */
    struct xml_checksums checksums;
};
typedef enum err xml_part_fn(struct xml_parts *parts, const struct xml_part *part);

/* ListPartsResult; GetObjectAttributesResponse, whose parts are in ObjectParts */
struct xml_parts {
    struct xml xml;
    bool is_truncated;
    uint32_t next_number; /* NextPartNumberMarker */
    /* of the object, in attributes only */
    uint32_t parts_count;          /* 0: not a multipart object, or not said */
    uint64_t object_bytes;         /* UINT64_MAX: not said */
    char etag[ETAG_BYTES_MAX + 1]; /* without quotes, as attributes have it */
    struct xml_checksums checksums;
    /* private */
    xml_part_fn *on_part;
    xml_begin_fn *on_begin;
    struct xml_part part;
};
void xml_parts_init(struct xml_parts *parts, xml_part_fn *on_part, xml_begin_fn *on_begin);

struct xml_names;
struct xml_name { /* valid during the callback; what a kind does not have is "" or INT64_MIN */
    char name[KEY_BYTES_MAX + 1]; /* key, or bucket */
    char upload_id[UPLOAD_ID_BYTES_MAX + 1];
    char initiator[256];      /* its ID, perhaps cut */
    int64_t time_s;           /* Initiated, CreationDate */
    struct reply_error error; /* code and message, of a DeleteResult */
};
typedef enum err xml_name_fn(struct xml_names *names, const struct xml_name *name);

/* ListMultipartUploadsResult (its uploads), ListAllMyBucketsResult (buckets), DeleteResult (its
 * errors) */
struct xml_names {
    struct xml xml;
    bool is_truncated;
    char next_name[XML_TOKEN_BYTES];              /* NextKeyMarker, ContinuationToken; as sent */
    char next_upload_id[UPLOAD_ID_BYTES_MAX + 1]; /* NextUploadIdMarker */
    /* private */
    xml_name_fn *on_name;
    xml_begin_fn *on_begin;
    struct xml_name item;
};
void xml_names_init(struct xml_names *names, xml_name_fn *on_name, xml_begin_fn *on_begin);

struct xml_region { /* LocationConstraint */
    struct xml xml;
    char region[64]; /* us-east-1 for an empty one, as S3 means it; eu-west-1 for "EU" */
};
void xml_region_init(struct xml_region *region);

#endif
