#include <string.h>

#include "s3/stamp.h"
#include "tools/stowage_ops.h"

static struct bytes unquote(struct bytes etag)
{
    etag = bytes_trim(etag);
    if (bytes_start_with(etag, BYTES("W/"))) etag = (struct bytes){etag.data + 2, etag.count - 2};
    if (etag.count >= 2 && etag.data[0] == '"' && etag.data[etag.count - 1] == '"')
        etag = (struct bytes){etag.data + 1, etag.count - 2};
    return etag;
}

/* A list of entity tags, or "*" (RFC 9110 13.1). */
static bool etag_is_in(struct bytes list, const char *etag)
{
    while (list.count) {
        struct bytes one = unquote(bytes_cut(list, ',', &list));
        if (bytes_equal(one, BYTES("*")) || bytes_equal(one, bytes_of(etag))) return true;
    }
    return false;
}

/* -1: before the moment that the header says, 0: at it, 1: after it. False: no such header. */
static bool compare_time(struct bytes header, const struct stowage_object *object, int *order)
{
    int64_t then, modified = (int64_t)(object->modified_ns / NS_PER_S);
    if (!header.data || !stamp_parse(bytes_trim(header), &then)) return false;
    *order = (modified > then) - (modified < then);
    return true;
}

struct conditions { /* header names; those of a copy's source have a prefix */
    const char *match, *none_match, *modified, *unmodified;
    enum stowage_error on_none_match;
};

static enum stowage_error check_conditions(struct stowage_call *call,
                                           const struct stowage_object *object,
                                           const struct conditions *names)
{
    struct bytes match = stowage_call_header(call, names->match);
    struct bytes none_match = stowage_call_header(call, names->none_match);
    int order;
    if (match.data) {
        if (!etag_is_in(match, object->etag)) return STOWAGE_ERROR_PRECONDITION;
    } else if (compare_time(stowage_call_header(call, names->unmodified), object, &order) &&
               order > 0) {
        return STOWAGE_ERROR_PRECONDITION;
    }
    if (none_match.data) {
        if (etag_is_in(none_match, object->etag)) return names->on_none_match;
    } else if (compare_time(stowage_call_header(call, names->modified), object, &order) &&
               order <= 0) {
        return names->on_none_match;
    }
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_object_may_write(struct stowage_call *call,
                                            const struct stowage_bucket *bucket)
{
    const struct stowage_object *object = stowage_store_object(bucket, call->route.key);
    struct bytes match = stowage_call_header(call, "if-match");
    struct bytes none_match = stowage_call_header(call, "if-none-match");
    if (match.data && !object) return STOWAGE_ERROR_NO_KEY;
    if (match.data && !etag_is_in(match, object->etag)) return STOWAGE_ERROR_PRECONDITION;
    if (none_match.data && object && etag_is_in(none_match, object->etag))
        return STOWAGE_ERROR_PRECONDITION;
    return STOWAGE_ERROR_NONE;
}

static bool wants_checksum(const struct stowage_call *call)
{
    return bytes_equal_ignoring_case(stowage_call_header(call, "x-amz-checksum-mode"),
                                     BYTES("ENABLED"));
}

/* An object that is nowhere but in its name, see stowage_null.h. Not in the index: it goes when its
 * reader does. */
static struct stowage_object *make_pattern(struct stowage_call *call)
{
    uint64_t bytes;
    if (!call->world->null || !stowage_null_parse_key(call->route.key, &bytes)) return NULL;
    struct stowage_object *object = stowage_store_new_object(
        call->route.key, BYTES("content-type: binary/octet-stream\r\n"), 1);
    if (!object) return NULL;
    object->bytes = object->parts[0].segment.bytes = bytes;
    object->modified_ns = 1577836800 * NS_PER_S; /* 2020: always the same */
    struct writer w;
    writer_init(&w, object->etag, sizeof(object->etag));
    writer_format(&w, "%032llx", (unsigned long long)bytes);
    writer_string(&w);
    if (wants_checksum(call) || call->route.operation == STOWAGE_GET_OBJECT_ATTRIBUTES)
        stowage_null_checksum(call->world->null, CHECKSUM_CRC32C, bytes, &object->checksum);
    object->checksum_is_full = true;
    return object;
}

/* Holds the object of `key`. */
static enum stowage_error hold(struct stowage_call *call, struct bytes bucket_name,
                               struct bytes key)
{
    struct stowage_bucket *bucket = stowage_store_bucket(&call->world->store, bucket_name);
    if (!bucket) return STOWAGE_ERROR_NO_BUCKET;
    struct stowage_object *object = stowage_store_object(bucket, key);
    if (!object) object = make_pattern(call);
    if (!object) return STOWAGE_ERROR_NO_KEY;
    stowage_store_hold(object);
    call->held = object;
    stowage_keep_source_init(&call->source, call->world->keep, object, NULL);
    return STOWAGE_ERROR_NONE;
}

static void write_last_modified(struct stowage_call *call, const struct stowage_object *object)
{
    char text[STAMP_HTTP_BYTES];
    stamp_format_http(object->modified_ns, text);
    stowage_call_reply_header(call, "Last-Modified", bytes_of(text));
}

/* The stored headers, except where the query has another value (response-content-type=…). */
static void write_stored_headers(struct stowage_call *call, const struct stowage_object *object)
{
    static const char *const overrides[] = {
        "response-content-type",     "response-cache-control",    "response-content-disposition",
        "response-content-encoding", "response-content-language", "response-expires"};
    bool replaced[ARRAY_COUNT(overrides)] = {false};
    for (size_t i = 0; i < ARRAY_COUNT(overrides); i++) {
        struct bytes value = stowage_route_param(&call->route, overrides[i]);
        bool clean = value.count > 0;
        for (size_t k = 0; k < value.count; k++)
            clean = clean && (uint8_t)value.data[k] >= 0x20;
        replaced[i] = clean;
        if (clean) stowage_call_reply_header(call, overrides[i] + strlen("response-"), value);
    }
    struct bytes rest = bytes_of(object->headers);
    while (rest.count) {
        struct bytes value, line = bytes_cut(rest, '\n', &rest),
                            name = bytes_cut(line, ':', &value);
        bool skip = false;
        for (size_t i = 0; i < ARRAY_COUNT(overrides); i++)
            if (replaced[i] && bytes_equal(name, bytes_of(overrides[i] + strlen("response-"))))
                skip = true;
        if (skip) continue;
        writer_put(&call->headers, line);
        writer_char(&call->headers, '\n');
    }
}

/* Where reading gives a pattern, only a pattern's own checksum is true. */
static bool checksum_is_true(const struct stowage_call *call, const struct stowage_object *object)
{
    return !call->world->null || !object->indexed;
}

static void write_checksum(struct stowage_call *call, const struct stowage_object *object)
{
    if (!wants_checksum(call) || !checksum_is_true(call, object) || !object->checksum.kind) return;
    stowage_call_checksum(call, &object->checksum,
                          object->checksum_is_full ? 0 : object->part_count);
    stowage_call_reply_header(call, "x-amz-checksum-type",
                              object->checksum_is_full ? BYTES("FULL_OBJECT") : BYTES("COMPOSITE"));
}

static void write_content_range(struct stowage_call *call, uint64_t first, uint64_t count)
{
    call->status = 206;
    writer_format(&call->headers, "Content-Range: bytes %llu-%llu/%llu\r\n",
                  (unsigned long long)first, (unsigned long long)(first + count - 1),
                  (unsigned long long)call->held->bytes);
}

static enum stowage_error select_part(struct stowage_call *call)
{
    const struct stowage_object *object = call->held;
    uint32_t number = call->route.part_number;
    uint64_t first = 0;
    if (number > object->part_count) return STOWAGE_ERROR_RANGE;
    for (uint32_t i = 0; i + 1 < number; i++)
        first += object->parts[i].segment.bytes;
    uint64_t count = object->parts[number - 1].segment.bytes;
    if (count) write_content_range(call, first, count);
    if (object->multipart)
        writer_format(&call->headers, "x-amz-mp-parts-count: %u\r\n", object->part_count);
    if (wants_checksum(call) && checksum_is_true(call, object))
        stowage_call_checksum(call, &object->parts[number - 1].checksum, 0);
    stowage_keep_source_range(&call->source, first, count);
    return STOWAGE_ERROR_NONE;
}

static enum stowage_error select_range(struct stowage_call *call)
{
    struct bytes range = stowage_call_header(call, "range");
    uint64_t first = 0, count = call->held->bytes;
    if (call->route.part_number) return select_part(call);
    if (range.data) {
        if (stowage_route_range(range, call->held->bytes, &first, &count)) {
            write_content_range(call, first, count);
            stowage_keep_source_range(&call->source, first, count);
            return STOWAGE_ERROR_NONE;
        }
        if (count == 0) {
            writer_format(&call->headers, "Content-Range: bytes */%llu\r\n",
                          (unsigned long long)call->held->bytes);
            return STOWAGE_ERROR_RANGE;
        }
        first = 0;
        count = call->held->bytes;
    }
    write_checksum(call, call->held);
    stowage_keep_source_range(&call->source, first, count);
    return STOWAGE_ERROR_NONE;
}

/* GetObject and HeadObject. */
enum stowage_error stowage_object_get(struct stowage_call *call)
{
    static const struct conditions names = {"if-match", "if-none-match", "if-modified-since",
                                            "if-unmodified-since", STOWAGE_ERROR_NOT_MODIFIED};
    enum stowage_error error = hold(call, call->route.bucket, call->route.key);
    if (error) return error;
    error = check_conditions(call, call->held, &names);
    if (error && error != STOWAGE_ERROR_NOT_MODIFIED) return error;
    stowage_call_etag(call, call->held->etag);
    write_last_modified(call, call->held);
    if (error) return error;
    error = select_range(call);
    if (error) return error;
    writer_text(&call->headers, "Accept-Ranges: bytes\r\n");
    write_stored_headers(call, call->held);
    call->sends_object = true;
    return STOWAGE_ERROR_NONE;
}

static void write_attribute_parts(struct stowage_call *call, const struct stowage_object *object,
                                  uint64_t marker, uint64_t max)
{
    uint64_t from = 0, last = marker;
    while (from < object->part_count && object->parts[from].number <= marker)
        from++;
    uint64_t to = min_u64(object->part_count, from + max);
    if (to > from) last = object->parts[to - 1].number;
    stowage_xml_open(&call->text, "ObjectParts");
    stowage_xml_u64(&call->text, "PartsCount", object->part_count);
    stowage_xml_u64(&call->text, "PartNumberMarker", marker);
    stowage_xml_u64(&call->text, "NextPartNumberMarker", last);
    stowage_xml_u64(&call->text, "MaxParts", max);
    stowage_xml_bool(&call->text, "IsTruncated", to < object->part_count);
    for (uint64_t i = from; i < to; i++) {
        stowage_xml_open(&call->text, "Part");
        stowage_xml_u64(&call->text, "PartNumber", object->parts[i].number);
        stowage_xml_u64(&call->text, "Size", object->parts[i].segment.bytes);
        stowage_call_checksum_xml(call, &object->parts[i].checksum, 0);
        stowage_xml_close(&call->text, "Part");
    }
    stowage_xml_close(&call->text, "ObjectParts");
}

static bool wants_attribute(const struct stowage_call *call, const char *name)
{
    for (uint32_t i = 0; i < call->head->header_count; i++) {
        const struct http_header *header = &call->head->headers[i];
        if (!bytes_equal_ignoring_case(header->name, BYTES("x-amz-object-attributes"))) continue;
        struct bytes list = header->value;
        while (list.count)
            if (bytes_equal(bytes_trim(bytes_cut(list, ',', &list)), bytes_of(name))) return true;
    }
    return false;
}

static enum stowage_error header_number(const struct stowage_call *call, const char *name,
                                        uint64_t otherwise, uint64_t *value)
{
    struct bytes text = stowage_call_header(call, name);
    *value = otherwise;
    if (text.data && !bytes_parse_u64(bytes_trim(text), value)) return STOWAGE_ERROR_ARGUMENT;
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_object_attributes(struct stowage_call *call)
{
    uint64_t marker, max;
    enum stowage_error error = hold(call, call->route.bucket, call->route.key);
    if (!error) error = header_number(call, "x-amz-part-number-marker", 0, &marker);
    if (!error) error = header_number(call, "x-amz-max-parts", 1000, &max);
    if (error) return error;
    const struct stowage_object *object = call->held;
    write_last_modified(call, object);
    stowage_xml_begin(&call->text, "GetObjectAttributesResponse");
    if (wants_attribute(call, "ETag"))
        stowage_xml_text(&call->text, "ETag", bytes_of(object->etag));
    if (wants_attribute(call, "Checksum") && object->checksum.kind) {
        stowage_xml_open(&call->text, "Checksum");
        stowage_call_checksum_xml(call, &object->checksum,
                                  object->checksum_is_full ? 0 : object->part_count);
        stowage_xml_text(&call->text, "ChecksumType",
                         object->checksum_is_full ? BYTES("FULL_OBJECT") : BYTES("COMPOSITE"));
        stowage_xml_close(&call->text, "Checksum");
    }
    if (wants_attribute(call, "ObjectParts") && object->multipart)
        write_attribute_parts(call, object, marker, min_u64(max, 1000));
    if (wants_attribute(call, "StorageClass"))
        stowage_xml_text(&call->text, "StorageClass", BYTES("STANDARD"));
    if (wants_attribute(call, "ObjectSize"))
        stowage_xml_u64(&call->text, "ObjectSize", object->bytes);
    stowage_xml_close(&call->text, "GetObjectAttributesResponse");
    return STOWAGE_ERROR_NONE;
}

static enum stowage_error store_noted(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error) return error;
    stowage_store_put(&call->world->store, bucket, call->made);
    stowage_store_release(&call->world->store, &call->made);
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_object_store(struct stowage_call *call, stowage_call_fn *next)
{
    struct stowage_note note = {.kind = STOWAGE_NOTE_OBJECT,
                                .bucket = call->route.bucket,
                                .key = call->route.key,
                                .object = call->made};
    CHECK(call->made && !call->made->indexed);
    call->next = next;
    stowage_keep_note(call->world->keep, &note, call->op);
    return STOWAGE_ERROR_NONE;
}

/* The object of one part that the sink took in. */
static enum stowage_error make_object(struct stowage_call *call, struct bytes headers)
{
    struct stowage_object *object = stowage_store_new_object(call->route.key, headers, 1);
    if (!object) return STOWAGE_ERROR_INTERNAL;
    stowage_store_hold(object);
    call->made = object;
    stowage_call_take_part(call, &object->parts[0]);
    object->parts[0].number = 1;
    object->bytes = object->parts[0].segment.bytes;
    object->modified_ns = call->wall_ns;
    object->checksum = object->parts[0].checksum;
    object->checksum_is_full = true;
    memcpy(object->etag, object->parts[0].etag, sizeof(object->etag));
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_object_put_begin(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (!error) error = stowage_object_may_write(call, bucket);
    if (!error && call->content_bytes > PART_BYTES_MAX) error = STOWAGE_ERROR_TOO_LARGE;
    if (!error) error = stowage_call_claims(call, CHECKSUM_NONE, true);
    if (!error) stowage_call_intake(call, STOWAGE_INTAKE_CONTENT, call->content_bytes);
    return error;
}

static enum stowage_error put_stored(struct stowage_call *call)
{
    const struct stowage_object *object = call->made;
    stowage_call_etag(call, object->etag);
    if (object->checksum.kind) {
        stowage_call_checksum(call, &object->checksum, 0);
        writer_text(&call->headers, "x-amz-checksum-type: FULL_OBJECT\r\n");
    }
    return store_noted(call);
}

enum stowage_error stowage_object_put(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    char lines[STOWAGE_CALL_META_MAX];
    struct writer w;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (!error) error = stowage_object_may_write(call, bucket);
    writer_init(&w, lines, sizeof(lines));
    if (!error) error = stowage_call_object_headers(call, &w);
    if (!error) error = make_object(call, writer_bytes(&w));
    return error ? error : stowage_object_store(call, put_stored);
}

enum stowage_error stowage_object_open_source(struct stowage_call *call)
{
    static const struct conditions names = {
        "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-unmodified-since",
        STOWAGE_ERROR_PRECONDITION};
    struct bytes bucket, key;
    struct writer w;
    writer_init(&w, call->scratch_text, sizeof(call->scratch_text));
    enum stowage_error error = stowage_route_parse_source(
        stowage_call_header(call, "x-amz-copy-source"), &w, &bucket, &key);
    if (!error) error = hold(call, bucket, key);
    if (!error) error = check_conditions(call, call->held, &names);
    if (!error) stowage_keep_source_range(&call->source, 0, call->held->bytes);
    return error;
}

static bool replaces_metadata(const struct stowage_call *call)
{
    return bytes_equal_ignoring_case(stowage_call_header(call, "x-amz-metadata-directive"),
                                     BYTES("REPLACE"));
}

enum stowage_error stowage_object_copy_begin(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (!error) error = stowage_object_may_write(call, bucket);
    if (!error) error = stowage_object_open_source(call);
    if (error) return error;
    if (call->held->bytes > PART_BYTES_MAX) return STOWAGE_ERROR_TOO_LARGE;
    /* The source's kind of checksum is made anew, over the whole. */
    sums_init(&call->sums, call->held->checksum.kind, false, call->world->keep->kind->has_content);
    stowage_call_intake(call, STOWAGE_INTAKE_COPY, call->held->bytes);
    return STOWAGE_ERROR_NONE;
}

static enum stowage_error copy_stored(struct stowage_call *call)
{
    const struct stowage_object *object = call->made;
    stowage_xml_begin(&call->text, "CopyObjectResult");
    stowage_xml_time(&call->text, "LastModified", object->modified_ns);
    stowage_xml_etag(&call->text, object->etag);
    stowage_call_checksum_xml(call, &object->checksum, 0);
    stowage_xml_close(&call->text, "CopyObjectResult");
    return store_noted(call);
}

enum stowage_error stowage_object_copy(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    char lines[STOWAGE_CALL_META_MAX];
    struct writer w;
    struct bytes headers = bytes_of(call->held->headers);
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    writer_init(&w, lines, sizeof(lines));
    if (!error && replaces_metadata(call)) {
        error = stowage_call_object_headers(call, &w);
        headers = writer_bytes(&w);
    }
    if (!error) error = make_object(call, headers);
    return error ? error : stowage_object_store(call, copy_stored);
}

enum stowage_error stowage_object_delete(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error) return error;
    call->status = 204;
    struct stowage_object *object = stowage_store_object(bucket, call->route.key);
    if (!object) return STOWAGE_ERROR_NONE;
    struct stowage_note note = {
        .kind = STOWAGE_NOTE_REMOVE, .bucket = call->route.bucket, .key = call->route.key};
    stowage_keep_note(call->world->keep, &note, call->op);
    stowage_store_remove(&call->world->store, bucket, object);
    return STOWAGE_ERROR_NONE;
}
