#include "s3/xml.h"

#include <expat.h>
#include <string.h>

#include "core/check.h"
#include "s3/stamp.h"
#include "s3/target.h"

/* --- what the kinds are made of --- */

enum xml_type {
    XML_STRING,    /* char[], whole or the document is refused */
    XML_DECODED,   /* the same, URL-decoded where the document says so */
    XML_WORDS,     /* char[], for people: cut, without control bytes */
    XML_U64,       /* uint64_t */
    XML_U32,       /* uint32_t */
    XML_BOOL,      /* bool */
    XML_TIME,      /* int64_t, seconds since 1970 */
    XML_KEY,       /* of a struct xml_list */
    XML_ENCODING,  /* EncodingType, of any */
    XML_ALGORITHM, /* bool[CHECKSUM_KINDS] */
    XML_IS_FULL,   /* bool: FULL_OBJECT */
};

struct xml_field { /* an element below the root, and the member that its text goes to */
    const char *path;
    size_t path_bytes;
    enum xml_type type;
    size_t offset, bytes; /* in the struct that embeds the xml */
};

struct xml_kind {
    const char *roots[3];
    const struct xml_field *fields;
    size_t field_count;
    void (*reset)(struct xml *xml);                   /* to "absent" */
    void (*open)(struct xml *xml, struct bytes path); /* an element begins; or NULL */
    enum err (*close)(struct xml *xml,
                      struct bytes path); /* it ended, its text is stored; or NULL */
};

#define XML_FIELD(path, type, owner, member)                                                       \
    {                                                                                              \
        path, sizeof(path) - 1, type, offsetof(struct owner, member),                              \
            sizeof(((struct owner *)NULL)->member)                                                 \
    }

#define XML_CHECKSUM_FIELDS(above, owner, member)                                                  \
    XML_FIELD(above "ChecksumCRC32C", XML_STRING, owner, member.text[CHECKSUM_CRC32C]),            \
        XML_FIELD(above "ChecksumCRC32", XML_STRING, owner, member.text[CHECKSUM_CRC32]),          \
        XML_FIELD(above "ChecksumCRC64NVME", XML_STRING, owner, member.text[CHECKSUM_CRC64NVME]),  \
        XML_FIELD(above "ChecksumSHA256", XML_STRING, owner, member.text[CHECKSUM_SHA256]),        \
        XML_FIELD(above "ChecksumType", XML_STRING, owner, member.type)

static const char *const xml_checksum_elements[CHECKSUM_KINDS] = {
    [CHECKSUM_CRC32C] = "ChecksumCRC32C",
    [CHECKSUM_CRC32] = "ChecksumCRC32",
    [CHECKSUM_CRC64NVME] = "ChecksumCRC64NVME",
    [CHECKSUM_SHA256] = "ChecksumSHA256",
};

/* --- Error, for every kind --- */

static const struct xml_field xml_error_fields[] = {
    XML_FIELD("Code", XML_WORDS, xml, error.code),
    XML_FIELD("Message", XML_WORDS, xml, error.message),
    XML_FIELD("Region", XML_WORDS, xml, error.region),
    XML_FIELD("Endpoint", XML_WORDS, xml, error.endpoint),
    XML_FIELD("BucketName", XML_WORDS, xml, error.bucket),
    XML_FIELD("Bucket", XML_WORDS, xml, error.bucket),
    XML_FIELD("RequestId", XML_WORDS, xml, error.request_id),
};

static const struct xml_kind xml_error_kind = {.fields = xml_error_fields,
                                               .field_count = ARRAY_COUNT(xml_error_fields)};

/* --- InitiateMultipartUploadResult --- */

static void xml_created_reset(struct xml *xml)
{
    container_of(xml, struct xml_created, xml)->upload_id[0] = '\0';
}

static const struct xml_field xml_created_fields[] = {
    XML_FIELD("UploadId", XML_STRING, xml_created, upload_id),
};

static const struct xml_kind xml_created_kind = {
    .roots = {"InitiateMultipartUploadResult"},
    .fields = xml_created_fields,
    .field_count = ARRAY_COUNT(xml_created_fields),
    .reset = xml_created_reset,
};

/* --- CompleteMultipartUploadResult, CopyObjectResult, CopyPartResult --- */

static void xml_result_reset(struct xml *xml)
{
    struct xml_result *result = container_of(xml, struct xml_result, xml);

    result->etag[0] = '\0';
    memset(&result->checksums, 0, sizeof(result->checksums));
    result->modified_s = INT64_MIN;
}

static const struct xml_field xml_result_fields[] = {
    XML_FIELD("ETag", XML_STRING, xml_result, etag),
    XML_FIELD("LastModified", XML_TIME, xml_result, modified_s),
    XML_CHECKSUM_FIELDS("", xml_result, checksums),
};

static const struct xml_kind xml_result_kind = {
    .roots = {"CompleteMultipartUploadResult", "CopyObjectResult", "CopyPartResult"},
    .fields = xml_result_fields,
    .field_count = ARRAY_COUNT(xml_result_fields),
    .reset = xml_result_reset,
};

/* --- ListBucketResult --- */

static void xml_list_reset(struct xml *xml)
{
    struct xml_list *list = container_of(xml, struct xml_list, xml);

    list->is_truncated = false;
    list->next_token[0] = '\0';
    if (list->on_begin) list->on_begin(xml);
}

static void xml_list_open(struct xml *xml, struct bytes path)
{
    struct xml_list *list = container_of(xml, struct xml_list, xml);
    bool is_prefix = bytes_equal(path, BYTES("CommonPrefixes"));

    if (!is_prefix && !bytes_equal(path, BYTES("Contents"))) return;
    list->entry = (struct xml_entry){.is_prefix = is_prefix, .modified_s = INT64_MIN};
    list->key_bytes = 0;
}

static enum err xml_list_close(struct xml *xml, struct bytes path)
{
    struct xml_list *list = container_of(xml, struct xml_list, xml);

    if (!bytes_equal(path, BYTES("Contents")) && !bytes_equal(path, BYTES("CommonPrefixes")))
        return ERR_NONE;
    if (list->key_bytes == 0) return ERR_XML_GARBAGE;
    list->entry.key = (struct bytes){list->key, list->key_bytes};
    xml->items++;
    return list->on_entry(list, &list->entry);
}

static const struct xml_field xml_list_fields[] = {
    XML_FIELD("Contents/Key", XML_KEY, xml_list, key),
    XML_FIELD("Contents/LastModified", XML_TIME, xml_list, entry.modified_s),
    XML_FIELD("Contents/ETag", XML_STRING, xml_list, entry.etag),
    XML_FIELD("Contents/Size", XML_U64, xml_list, entry.size_bytes),
    XML_FIELD("Contents/StorageClass", XML_WORDS, xml_list, entry.storage_class),
    XML_FIELD("Contents/ChecksumAlgorithm", XML_ALGORITHM, xml_list, entry.has_checksum),
    XML_FIELD("Contents/ChecksumType", XML_IS_FULL, xml_list, entry.checksum_is_full),
    XML_FIELD("CommonPrefixes/Prefix", XML_KEY, xml_list, key),
    XML_FIELD("EncodingType", XML_ENCODING, xml_list, xml.url_encoded),
    XML_FIELD("IsTruncated", XML_BOOL, xml_list, is_truncated),
    XML_FIELD("NextContinuationToken", XML_STRING, xml_list, next_token),
};

static const struct xml_kind xml_list_kind = {
    .roots = {"ListBucketResult"},
    .fields = xml_list_fields,
    .field_count = ARRAY_COUNT(xml_list_fields),
    .reset = xml_list_reset,
    .open = xml_list_open,
    .close = xml_list_close,
};

/* --- ListPartsResult, GetObjectAttributesResponse --- */

static void xml_parts_reset(struct xml *xml)
{
    struct xml_parts *parts = container_of(xml, struct xml_parts, xml);

    parts->is_truncated = false;
    parts->next_number = 0;
    parts->parts_count = 0;
    parts->object_bytes = UINT64_MAX;
    parts->etag[0] = '\0';
    memset(&parts->checksums, 0, sizeof(parts->checksums));
    if (parts->on_begin) parts->on_begin(xml);
}

static bool xml_is_part(struct bytes path)
{
    return bytes_equal(path, BYTES("Part")) || bytes_equal(path, BYTES("ObjectParts/Part"));
}

static void xml_parts_open(struct xml *xml, struct bytes path)
{
    struct xml_parts *parts = container_of(xml, struct xml_parts, xml);

    if (xml_is_part(path)) parts->part = (struct xml_part){.modified_s = INT64_MIN};
}

static enum err xml_parts_close(struct xml *xml, struct bytes path)
{
    struct xml_parts *parts = container_of(xml, struct xml_parts, xml);

    if (!xml_is_part(path)) return ERR_NONE;
    if (parts->part.number < 1 || parts->part.number > PARTS_MAX) return ERR_XML_GARBAGE;
    xml->items++;
    return parts->on_part(parts, &parts->part);
}

#define XML_PART_FIELDS(above)                                                                     \
    XML_FIELD(above "PartNumber", XML_U32, xml_parts, part.number),                                \
        XML_FIELD(above "Size", XML_U64, xml_parts, part.bytes),                                   \
        XML_FIELD(above "ETag", XML_STRING, xml_parts, part.etag),                                 \
        XML_FIELD(above "LastModified", XML_TIME, xml_parts, part.modified_s),                     \
        XML_CHECKSUM_FIELDS(above, xml_parts, part.checksums)

static const struct xml_field xml_parts_fields[] = {
    XML_PART_FIELDS("Part/"),
    XML_PART_FIELDS("ObjectParts/Part/"),
    XML_FIELD("IsTruncated", XML_BOOL, xml_parts, is_truncated),
    XML_FIELD("NextPartNumberMarker", XML_U32, xml_parts, next_number),
    XML_FIELD("ChecksumType", XML_STRING, xml_parts, checksums.type),
    XML_FIELD("ObjectParts/IsTruncated", XML_BOOL, xml_parts, is_truncated),
    XML_FIELD("ObjectParts/NextPartNumberMarker", XML_U32, xml_parts, next_number),
    XML_FIELD("ObjectParts/PartsCount", XML_U32, xml_parts, parts_count),
    XML_FIELD("ObjectParts/TotalPartsCount", XML_U32, xml_parts, parts_count),
    XML_FIELD("ObjectSize", XML_U64, xml_parts, object_bytes),
    XML_FIELD("ETag", XML_STRING, xml_parts, etag),
    XML_CHECKSUM_FIELDS("Checksum/", xml_parts, checksums),
};

/* The API reference names the second root …Output, servers send …Response. */
static const struct xml_kind xml_parts_kind = {
    .roots = {"ListPartsResult", "GetObjectAttributesResponse", "GetObjectAttributesOutput"},
    .fields = xml_parts_fields,
    .field_count = ARRAY_COUNT(xml_parts_fields),
    .reset = xml_parts_reset,
    .open = xml_parts_open,
    .close = xml_parts_close,
};

/* --- ListMultipartUploadsResult, ListAllMyBucketsResult, DeleteResult --- */

static void xml_names_reset(struct xml *xml)
{
    struct xml_names *names = container_of(xml, struct xml_names, xml);

    names->is_truncated = false;
    names->next_name[0] = '\0';
    names->next_upload_id[0] = '\0';
    if (names->on_begin) names->on_begin(xml);
}

static bool xml_is_name(struct bytes path)
{
    return bytes_equal(path, BYTES("Upload")) || bytes_equal(path, BYTES("Buckets/Bucket")) ||
           bytes_equal(path, BYTES("Error"));
}

static void xml_names_open(struct xml *xml, struct bytes path)
{
    struct xml_names *names = container_of(xml, struct xml_names, xml);

    if (xml_is_name(path)) names->item = (struct xml_name){.time_s = INT64_MIN};
}

static enum err xml_names_close(struct xml *xml, struct bytes path)
{
    struct xml_names *names = container_of(xml, struct xml_names, xml);

    if (!xml_is_name(path)) return ERR_NONE;
    if (!names->item.name[0]) return ERR_XML_GARBAGE;
    xml->items++;
    return names->on_name(names, &names->item);
}

static const struct xml_field xml_names_fields[] = {
    XML_FIELD("Upload/Key", XML_DECODED, xml_names, item.name),
    XML_FIELD("Upload/UploadId", XML_STRING, xml_names, item.upload_id),
    XML_FIELD("Upload/Initiated", XML_TIME, xml_names, item.time_s),
    XML_FIELD("Upload/Initiator/ID", XML_WORDS, xml_names, item.initiator),
    XML_FIELD("Buckets/Bucket/Name", XML_STRING, xml_names, item.name),
    XML_FIELD("Buckets/Bucket/CreationDate", XML_TIME, xml_names, item.time_s),
    XML_FIELD("Error/Key", XML_STRING, xml_names, item.name),
    XML_FIELD("Error/Code", XML_WORDS, xml_names, item.error.code),
    XML_FIELD("Error/Message", XML_WORDS, xml_names, item.error.message),
    XML_FIELD("EncodingType", XML_ENCODING, xml_names, xml.url_encoded),
    XML_FIELD("IsTruncated", XML_BOOL, xml_names, is_truncated),
    XML_FIELD("NextKeyMarker", XML_DECODED, xml_names, next_name),
    XML_FIELD("ContinuationToken", XML_STRING, xml_names, next_name),
    XML_FIELD("NextUploadIdMarker", XML_STRING, xml_names, next_upload_id),
};

static const struct xml_kind xml_names_kind = {
    .roots = {"ListMultipartUploadsResult", "ListAllMyBucketsResult", "DeleteResult"},
    .fields = xml_names_fields,
    .field_count = ARRAY_COUNT(xml_names_fields),
    .reset = xml_names_reset,
    .open = xml_names_open,
    .close = xml_names_close,
};

/* --- LocationConstraint --- */

static void xml_region_reset(struct xml *xml)
{
    container_of(xml, struct xml_region, xml)->region[0] = '\0';
}

static enum err xml_region_close(struct xml *xml, struct bytes path)
{
    struct xml_region *region = container_of(xml, struct xml_region, xml);
    const char *meant = NULL;

    if (path.count > 0) return ERR_NONE;
    if (!region->region[0]) meant = "us-east-1";
    if (strcmp(region->region, "EU") == 0) meant = "eu-west-1"; /* the name of before 2010 */
    if (meant) memcpy(region->region, meant, strlen(meant) + 1);
    return ERR_NONE;
}

static const struct xml_field xml_region_fields[] = {
    XML_FIELD("", XML_STRING, xml_region, region), /* the root's own text */
};

static const struct xml_kind xml_region_kind = {
    .roots = {"LocationConstraint"},
    .fields = xml_region_fields,
    .field_count = ARRAY_COUNT(xml_region_fields),
    .reset = xml_region_reset,
    .close = xml_region_close,
};

/* --- storing a text --- */

static enum err xml_store_string(struct bytes text, char *at, size_t bytes)
{
    return bytes_to_string(text, at, bytes) ? ERR_NONE : ERR_XML_GARBAGE;
}

static enum err xml_store_decoded(const struct xml *xml, struct bytes text, char *at, size_t bytes,
                                  uint32_t *count)
{
    struct writer w;

    writer_init(&w, at, bytes - 1);
    if (xml->url_encoded)
        target_unescape(&w, text, true);
    else
        writer_put(&w, text);
    if (w.overflow) return ERR_XML_GARBAGE;
    at[w.count] = '\0';
    *count = (uint32_t)w.count;
    return ERR_NONE;
}

static enum err xml_store_number(struct bytes text, enum xml_type type, void *at)
{
    uint64_t value;

    if (!bytes_parse_u64(bytes_trim(text), &value)) return ERR_XML_GARBAGE;
    if (type == XML_U64) {
        *(uint64_t *)at = value;
        return ERR_NONE;
    }
    if (value > UINT32_MAX) return ERR_XML_GARBAGE;
    *(uint32_t *)at = (uint32_t)value;
    return ERR_NONE;
}

static enum err xml_store_bool(struct bytes text, bool *at)
{
    text = bytes_trim(text);
    *at = bytes_equal_ignoring_case(text, BYTES("true"));
    return *at || bytes_equal_ignoring_case(text, BYTES("false")) ? ERR_NONE : ERR_XML_GARBAGE;
}

/* An encoding that comes behind what it is about would leave keys undecoded: refused. */
static enum err xml_store_encoding(struct xml *xml, struct bytes text)
{
    if (xml->items > 0) return ERR_XML_GARBAGE;
    xml->url_encoded = bytes_equal_ignoring_case(bytes_trim(text), BYTES("url"));
    return ERR_NONE;
}

static void xml_store_algorithm(struct bytes text, bool *at)
{
    for (size_t i = 0; i < CHECKSUM_KINDS; i++) {
        if (xml_checksum_elements[i] &&
            bytes_equal(text, bytes_of(xml_checksum_elements[i] + strlen("Checksum"))))
            at[i] = true;
    }
}

static enum err xml_store(struct xml *xml, const struct xml_field *field, struct bytes text)
{
    void *at = (char *)xml + field->offset; /* every kind embeds `struct xml` as its first member */
    uint32_t ignored;

    switch (field->type) {
    case XML_STRING: return xml_store_string(text, at, field->bytes);
    case XML_DECODED: return xml_store_decoded(xml, text, at, field->bytes, &ignored);
    case XML_KEY:
        return xml_store_decoded(xml, text, at, field->bytes,
                                 &container_of(xml, struct xml_list, xml)->key_bytes);
    case XML_U64:
    case XML_U32: return xml_store_number(text, field->type, at);
    case XML_BOOL: return xml_store_bool(text, at);
    case XML_ENCODING: return xml_store_encoding(xml, text);
    case XML_WORDS: reply_copy_text(bytes_trim(text), at, field->bytes); break;
    case XML_ALGORITHM: xml_store_algorithm(bytes_trim(text), at); break;
    case XML_IS_FULL: *(bool *)at = bytes_equal(bytes_trim(text), BYTES("FULL_OBJECT")); break;
    case XML_TIME:
        if (!stamp_parse(bytes_trim(text), at)) *(int64_t *)at = INT64_MIN;
        break;
    }
    return ERR_NONE;
}

_Static_assert(offsetof(struct xml_created, xml) == 0 && offsetof(struct xml_result, xml) == 0 &&
                   offsetof(struct xml_list, xml) == 0 && offsetof(struct xml_parts, xml) == 0 &&
                   offsetof(struct xml_names, xml) == 0 && offsetof(struct xml_region, xml) == 0,
               "fields are offsets from the xml");

/* --- expat's events --- */

static void xml_fail(struct xml *xml, enum err err)
{
    if (!xml->err) xml->err = err;
    XML_StopParser(xml->parser, XML_FALSE);
}

static struct bytes xml_path(const struct xml *xml)
{
    CHECK(xml->depth >= 1);
    return (struct bytes){xml->path, xml->ends[xml->depth - 1]};
}

static enum err xml_open_root(struct xml *xml, const char *name)
{
    xml->ends[0] = 0;
    if (strcmp(name, "Error") == 0) {
        xml->is_error = true;
        return ERR_NONE;
    }
    for (size_t i = 0; i < ARRAY_COUNT(xml->kind->roots) && xml->kind->roots[i]; i++) {
        if (strcmp(name, xml->kind->roots[i]) == 0) return ERR_NONE;
    }
    return ERR_XML_GARBAGE;
}

/* One step down the path. */
static enum err xml_open_child(struct xml *xml, const char *name)
{
    struct bytes above = {xml->path, xml->ends[xml->depth - 1]};
    struct writer w;

    if (xml->depth == XML_DEPTH_MAX) return ERR_XML_GARBAGE;
    writer_init(&w, xml->path, sizeof(xml->path));
    w.count = above.count;
    if (above.count > 0) writer_char(&w, '/');
    writer_text(&w, name);
    if (w.overflow) return ERR_XML_GARBAGE;
    xml->ends[xml->depth] = (uint16_t)w.count;
    return ERR_NONE;
}

static void xml_on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct xml *xml = context;
    size_t count = 0;
    enum err err;

    xml->quiet_bytes = 0;
    if (xml->err) return;
    while (attributes[count])
        count++;
    err = xml->depth == 0 ? xml_open_root(xml, name) : xml_open_child(xml, name);
    if (!err && count > 2 * XML_ATTRIBUTES_MAX) err = ERR_XML_GARBAGE; /* names and values */
    if (err) {
        xml_fail(xml, err);
        return;
    }
    xml->depth++;
    xml->elements++;
    xml->text_bytes = 0;
    xml->text_is_cut = false;
    if (!xml->is_error && xml->kind->open) xml->kind->open(xml, xml_path(xml));
}

static void xml_on_text(void *context, const XML_Char *text, int count)
{
    struct xml *xml = context;
    size_t room = XML_TEXT_BYTES_MAX - xml->text_bytes, bytes = (size_t)count;

    xml->quiet_bytes = 0;
    if (xml->err) return;
    if (bytes > room) {
        bytes = room;
        xml->text_is_cut = true;
    }
    memcpy(xml->text + xml->text_bytes, text, bytes);
    xml->text_bytes += (uint32_t)bytes;
}

/* The text of an element that we know goes to its field. Only an Error's may be cut. */
static enum err xml_store_path(struct xml *xml, struct bytes path)
{
    const struct xml_kind *kind = xml->is_error ? &xml_error_kind : xml->kind;
    struct bytes text = {xml->text, xml->text_bytes};

    for (size_t i = 0; i < kind->field_count; i++) {
        const struct xml_field *field = &kind->fields[i];

        if (field->path_bytes != path.count || memcmp(field->path, path.data, path.count) != 0)
            continue;
        if (xml->text_is_cut && !xml->is_error) return ERR_XML_GARBAGE;
        return xml_store(xml, field, text);
    }
    return ERR_NONE;
}

static void xml_on_end(void *context, const XML_Char *name)
{
    struct xml *xml = context;
    struct bytes path;
    enum err err;

    (void)name;
    xml->quiet_bytes = 0;
    if (xml->err) return;
    path = xml_path(xml);
    err = xml_store_path(xml, path);
    if (!err && !xml->is_error && xml->kind->close) err = xml->kind->close(xml, path);
    xml->depth--;
    xml->text_bytes = 0; /* what follows a child is not its parent's text */
    xml->text_is_cut = false;
    if (err) xml_fail(xml, err);
}

/* A DOCTYPE is the only way to entities of one's own. S3 has none. */
static void xml_on_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                           const XML_Char *public_id, int has_internal_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal_subset;
    xml_fail(context, ERR_XML_GARBAGE);
}

/* --- a document --- */

static void xml_init(struct xml *xml, const struct xml_kind *kind)
{
    *xml = (struct xml){.kind = kind};
    if (kind->reset) kind->reset(xml);
}

enum err xml_begin(struct xml *xml)
{
    const struct xml_kind *kind = xml->kind;
    XML_Parser parser = xml->parser;

    if (parser && !XML_ParserReset(parser, NULL)) return ERR_NO_MEMORY;
    if (!parser) parser = XML_ParserCreate(NULL);
    if (!parser) return ERR_NO_MEMORY;
    xml_init(xml, kind);
    xml->parser = parser;
    XML_SetUserData(parser, xml);
    XML_SetElementHandler(parser, xml_on_start, xml_on_end);
    XML_SetCharacterDataHandler(parser, xml_on_text);
    XML_SetStartDoctypeDeclHandler(parser, xml_on_doctype);
    return ERR_NONE;
}

static enum err xml_parse(struct xml *xml, struct bytes chunk, bool is_last)
{
    enum XML_Status status;

    CHECK(xml->parser && "xml_begin() comes first");
    if (xml->err) return xml->err;
    status = XML_Parse(xml->parser, chunk.data, (int)chunk.count, is_last);
    if (xml->err) return xml->err;
    if (status != XML_STATUS_OK)
        xml->err =
            XML_GetErrorCode(xml->parser) == XML_ERROR_NO_MEMORY ? ERR_NO_MEMORY : ERR_XML_GARBAGE;
    return xml->err;
}

enum err xml_feed(struct xml *xml, struct bytes chunk)
{
    xml->quiet_bytes += chunk.count; /* until expat has something to say */
    /* Some stores keep a slow reply's connection alive with spaces even before the declaration,
     * which XML does not allow there. */
    while (xml->bytes == 0 && chunk.count > 0 && memchr(" \t\r\n", chunk.data[0], 4))
        chunk = (struct bytes){chunk.data + 1, chunk.count - 1};
    if (chunk.count > XML_REPLY_BYTES_MAX - xml->bytes) xml->err = ERR_XML_GARBAGE;
    xml->bytes += chunk.count;
    enum err err = chunk.count > 0 ? xml_parse(xml, chunk, false) : xml->err;
    if (!err && xml->quiet_bytes > XML_QUIET_BYTES_MAX) err = xml->err = ERR_XML_GARBAGE;
    return err;
}

enum err xml_end(struct xml *xml)
{
    return xml_parse(xml, (struct bytes){"", 0}, true);
}

void xml_fini(struct xml *xml)
{
    if (xml->parser) XML_ParserFree(xml->parser);
    xml->parser = NULL;
}

void xml_error_init(struct xml *xml)
{
    xml_init(xml, &xml_error_kind);
}

void xml_created_init(struct xml_created *created)
{
    xml_init(&created->xml, &xml_created_kind);
}

void xml_result_init(struct xml_result *result)
{
    xml_init(&result->xml, &xml_result_kind);
}

void xml_list_init(struct xml_list *list, xml_entry_fn *on_entry, xml_begin_fn *on_begin)
{
    list->on_entry = on_entry;
    list->on_begin = on_begin;
    list->key_bytes = 0;
    xml_init(&list->xml, &xml_list_kind);
}

void xml_parts_init(struct xml_parts *parts, xml_part_fn *on_part, xml_begin_fn *on_begin)
{
    parts->on_part = on_part;
    parts->on_begin = on_begin;
    xml_init(&parts->xml, &xml_parts_kind);
}

void xml_names_init(struct xml_names *names, xml_name_fn *on_name, xml_begin_fn *on_begin)
{
    names->on_name = on_name;
    names->on_begin = on_begin;
    xml_init(&names->xml, &xml_names_kind);
}

void xml_region_init(struct xml_region *region)
{
    xml_init(&region->xml, &xml_region_kind);
}
