#include <stdlib.h>
#include <string.h>

#include "tools/stowage_ops.h"

/* x-amz-checksum-algorithm and -type of a new upload. */
static enum stowage_error read_checksum_wish(struct stowage_call *call, enum checksum_kind *kind,
                                             bool *is_full)
{
    struct bytes algorithm = stowage_call_header(call, "x-amz-checksum-algorithm");
    struct bytes type = stowage_call_header(call, "x-amz-checksum-type");
    char name[16] = "";
    *kind = CHECKSUM_NONE;
    *is_full = false;
    if (!algorithm.count) return STOWAGE_ERROR_NONE;
    for (size_t i = 0; i < algorithm.count && i < sizeof(name) - 1; i++)
        name[i] = algorithm.data[i] >= 'A' && algorithm.data[i] <= 'Z'
                      ? (char)(algorithm.data[i] | 0x20)
                      : algorithm.data[i];
    if (bytes_equal(bytes_of(name), BYTES("sha1"))) return STOWAGE_ERROR_NONE;
    if (!checksum_kind_parse(bytes_of(name), kind) || *kind == CHECKSUM_NONE)
        return stowage_call_fail(call, STOWAGE_ERROR_REQUEST,
                                 "Checksum algorithm provided is unsupported.");
    *is_full = *kind == CHECKSUM_CRC64NVME || bytes_equal_ignoring_case(type, BYTES("FULL_OBJECT"));
    if (*is_full && !checksum_kind_combines(*kind))
        return stowage_call_fail(call, STOWAGE_ERROR_REQUEST,
                                 "The FULL_OBJECT checksum type cannot be used with this "
                                 "algorithm.");
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_upload_create(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    char lines[STOWAGE_CALL_META_MAX], id[STOWAGE_ID_BYTES];
    enum checksum_kind kind;
    bool is_full;
    struct writer w, id_writer;
    writer_init(&w, lines, sizeof(lines));
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (!error) error = stowage_call_object_headers(call, &w);
    if (!error) error = read_checksum_wish(call, &kind, &is_full);
    if (error) return error;
    uint64_t random = rand_u64(&call->world->core->rand);
    writer_init(&id_writer, id, sizeof(id));
    writer_format(&id_writer, "%016llx%016llx", (unsigned long long)call->wall_ns,
                  (unsigned long long)random);
    struct stowage_upload *upload = stowage_store_add_upload(
        bucket, call->route.key, writer_string(&id_writer), writer_bytes(&w));
    if (!upload) return STOWAGE_ERROR_INTERNAL;
    upload->started_ns = call->wall_ns;
    upload->checksum = kind;
    upload->checksum_is_full = is_full;
    if (kind) {
        stowage_call_reply_header(call, "x-amz-checksum-algorithm",
                                  bytes_of(stowage_call_checksum_label(kind)));
        stowage_call_reply_header(call, "x-amz-checksum-type",
                                  is_full ? BYTES("FULL_OBJECT") : BYTES("COMPOSITE"));
    }
    stowage_xml_begin(&call->text, "InitiateMultipartUploadResult");
    stowage_xml_text(&call->text, "Bucket", call->route.bucket);
    stowage_xml_text(&call->text, "Key", call->route.key);
    stowage_xml_text(&call->text, "UploadId", bytes_of(upload->id));
    stowage_xml_close(&call->text, "InitiateMultipartUploadResult");
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_upload_part_begin(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    struct stowage_upload *upload;
    if (!call->route.part_number) return STOWAGE_ERROR_ARGUMENT;
    enum stowage_error error = stowage_call_upload(call, &bucket, &upload);
    if (!error && call->content_bytes > PART_BYTES_MAX) error = STOWAGE_ERROR_TOO_LARGE;
    if (!error) error = stowage_call_claims(call, upload->checksum, true);
    if (error) return error;
    enum checksum_kind claimed = call->claimed_checksum.kind;
    if (claimed && upload->checksum && claimed != upload->checksum)
        return stowage_call_fail(call, STOWAGE_ERROR_REQUEST,
                                 "Checksum Type mismatch occurred, expected checksum Type: %s, "
                                 "actual checksum Type: %s",
                                 stowage_call_checksum_label(upload->checksum),
                                 stowage_call_checksum_label(claimed));
    stowage_call_intake(call, STOWAGE_INTAKE_CONTENT, call->content_bytes);
    return STOWAGE_ERROR_NONE;
}

/* The upload may have gone while the body came: looked up again. */
static enum stowage_error put_part(struct stowage_call *call, struct stowage_part *part)
{
    struct stowage_bucket *bucket;
    struct stowage_upload *upload;
    enum stowage_error error = stowage_call_upload(call, &bucket, &upload);
    if (error) return error;
    stowage_call_take_part(call, part);
    if (stowage_store_put_part(&call->world->store, upload, part)) return STOWAGE_ERROR_NONE;
    stowage_keep_drop(call->world->keep, &part->segment);
    return STOWAGE_ERROR_INTERNAL;
}

enum stowage_error stowage_upload_part(struct stowage_call *call)
{
    struct stowage_part part;
    enum stowage_error error = put_part(call, &part);
    if (error) return error;
    stowage_call_etag(call, part.etag);
    stowage_call_checksum(call, &part.checksum, 0);
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_upload_copy_begin(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    struct stowage_upload *upload;
    struct bytes range = stowage_call_header(call, "x-amz-copy-source-range");
    if (!call->route.part_number) return STOWAGE_ERROR_ARGUMENT;
    enum stowage_error error = stowage_call_upload(call, &bucket, &upload);
    if (!error) error = stowage_object_open_source(call);
    if (error) return error;
    uint64_t first = 0, count = call->held->bytes, size = count;
    if (range.data && !stowage_route_range(range, size, &first, &count))
        return count == 0 ? STOWAGE_ERROR_RANGE : STOWAGE_ERROR_ARGUMENT;
    stowage_keep_source_range(&call->source, first, count);
    sums_init(&call->sums, upload->checksum, false, call->world->keep->kind->has_content);
    stowage_call_intake(call, STOWAGE_INTAKE_COPY, count);
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_upload_copy(struct stowage_call *call)
{
    struct stowage_part part;
    enum stowage_error error = put_part(call, &part);
    if (error) return error;
    stowage_xml_begin(&call->text, "CopyPartResult");
    stowage_xml_time(&call->text, "LastModified", part.modified_ns);
    stowage_xml_etag(&call->text, part.etag);
    stowage_call_checksum_xml(call, &part.checksum, 0);
    stowage_xml_close(&call->text, "CopyPartResult");
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_upload_complete_begin(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error) return error;
    if (call->content_bytes > STOWAGE_CALL_INPUT_MAX) return STOWAGE_ERROR_XML;
    /* x-amz-checksum-* here is about the object, not about this XML. */
    sums_init(&call->sums, CHECKSUM_NONE,
              call->world->verify && call->verdict.payload == STOWAGE_PAYLOAD_HASHED, false);
    call->intake = STOWAGE_INTAKE_TEXT;
    return STOWAGE_ERROR_NONE;
}

/* One <Part> as the client lists it. */
struct listed {
    uint64_t number;
    struct bytes etag, checksum;
    enum checksum_kind kind;
};

static enum stowage_error check_listed(const struct stowage_upload *upload,
                                       const struct listed *listed, uint64_t number_before)
{
    struct checksum_value value;
    uint32_t count;
    if (listed->number < 1 || listed->number > PARTS_MAX) return STOWAGE_ERROR_PART;
    if (listed->number <= number_before) return STOWAGE_ERROR_PART_ORDER;
    const struct stowage_part *part = stowage_store_part(upload, (uint32_t)listed->number);
    struct bytes etag = listed->etag;
    if (etag.count >= 2 && etag.data[0] == '"')
        etag = (struct bytes){etag.data + 1, etag.count - 2};
    if (!part || !bytes_equal(etag, bytes_of(part->etag))) return STOWAGE_ERROR_PART;
    if (!listed->kind) return STOWAGE_ERROR_NONE;
    if (!checksum_parse(listed->kind, listed->checksum, &value, &count)) return STOWAGE_ERROR_PART;
    return checksum_equal(&value, &part->checksum) ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_PART;
}

static void read_field(const struct stowage_xml_reader *reader, struct listed *listed, bool *good)
{
    if (bytes_equal(reader->name, BYTES("PartNumber")))
        *good = bytes_parse_u64(bytes_trim(reader->text), &listed->number);
    else if (bytes_equal(reader->name, BYTES("ETag")))
        listed->etag = bytes_trim(reader->text);
    for (int kind = CHECKSUM_NONE + 1; kind < CHECKSUM_KINDS; kind++)
        if (bytes_equal(reader->name,
                        bytes_of(stowage_call_checksum_element((enum checksum_kind)kind)))) {
            listed->kind = (enum checksum_kind)kind;
            listed->checksum = bytes_trim(reader->text);
        }
}

/* Fills `numbers` (PARTS_MAX of them). */
static enum stowage_error read_listed(struct stowage_call *call,
                                      const struct stowage_upload *upload, uint32_t *numbers,
                                      uint32_t *count)
{
    struct stowage_xml_reader reader;
    struct listed listed = {.number = 0};
    uint64_t before = 0;
    bool good = true;
    stowage_xml_reader_init(&reader, call->input.data, call->input.count);
    for (*count = 0; good;) {
        enum stowage_xml_event event = stowage_xml_read(&reader);
        if (event == STOWAGE_XML_BAD) return STOWAGE_ERROR_XML;
        if (event == STOWAGE_XML_END) break;
        if (event == STOWAGE_XML_OPEN && reader.depth == 2) listed = (struct listed){.number = 0};
        if (event == STOWAGE_XML_CLOSE && reader.depth == 2) read_field(&reader, &listed, &good);
        if (event != STOWAGE_XML_CLOSE || reader.depth != 1) continue;
        if (!bytes_equal(reader.name, BYTES("Part"))) continue;
        enum stowage_error error = check_listed(upload, &listed, before);
        if (error)
            return stowage_call_fail(call, error, "Part number %llu",
                                     (unsigned long long)listed.number);
        before = listed.number;
        numbers[(*count)++] = (uint32_t)listed.number;
    }
    return good && *count ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_XML;
}

/* The ETag of parts is the MD5 of their MD5s, and their number. */
static void composite_etag(const struct stowage_object *object, char etag[STOWAGE_ETAG_BYTES])
{
    struct digest_md5 digest;
    uint8_t value[DIGEST_MD5_BYTES];
    struct writer w;
    digest_md5_init(&digest);
    for (uint32_t i = 0; i < object->part_count; i++) {
        const char *hex = object->parts[i].etag;
        for (size_t k = 0; k < sizeof(value); k++) {
            char pair[3] = {hex[2 * k], hex[2 * k + 1], 0};
            value[k] = (uint8_t)strtoul(pair, NULL, 16);
        }
        digest_md5_update(&digest, value, sizeof(value));
    }
    digest_md5_final(&digest, value);
    writer_init(&w, etag, STOWAGE_ETAG_BYTES);
    writer_hex(&w, value, sizeof(value));
    writer_format(&w, "-%u", object->part_count);
    writer_string(&w);
}

static void join_checksums(struct stowage_object *object, enum checksum_kind kind, bool is_full)
{
    struct checksum composite;
    object->checksum.kind = CHECKSUM_NONE;
    object->checksum.count = 0;
    object->checksum_is_full = is_full;
    if (kind == CHECKSUM_NONE) return;
    if (is_full) {
        object->checksum = object->parts[0].checksum;
        for (uint32_t i = 1; i < object->part_count; i++)
            checksum_combine(&object->checksum, &object->parts[i].checksum,
                             object->parts[i].segment.bytes, &object->checksum);
        return;
    }
    checksum_init(&composite, kind);
    for (uint32_t i = 0; i < object->part_count; i++)
        checksum_update_part(&composite, &object->parts[i].checksum);
    checksum_final(&composite, &object->checksum);
}

static enum stowage_error check_sizes(const struct stowage_upload *upload, const uint32_t *numbers,
                                      uint32_t count)
{
    for (uint32_t i = 0; i + 1 < count; i++)
        if (upload->parts[numbers[i] - 1].segment.bytes < PART_BYTES_MIN)
            return STOWAGE_ERROR_TOO_SMALL;
    return STOWAGE_ERROR_NONE;
}

/* What the request says of the whole object: x-amz-checksum-*, x-amz-mp-object-size. */
static enum stowage_error check_whole(struct stowage_call *call,
                                      const struct stowage_object *object)
{
    uint64_t bytes;
    struct bytes size = stowage_call_header(call, "x-amz-mp-object-size");
    if (size.data && (!bytes_parse_u64(bytes_trim(size), &bytes) || bytes != object->bytes))
        return stowage_call_fail(call, STOWAGE_ERROR_REQUEST,
                                 "The provided object size does not match.");
    if (!object->checksum_is_full) return STOWAGE_ERROR_NONE;
    enum stowage_error error = stowage_call_claim_checksum(call);
    if (error || !call->claimed_checksum.kind || !object->checksum.kind) return error;
    return checksum_equal(&call->claimed_checksum, &object->checksum) ? STOWAGE_ERROR_NONE
                                                                      : STOWAGE_ERROR_BAD_DIGEST;
}

/* The object with the parts' facts; their segments stay with the upload until all is checked. */
static enum stowage_error make_whole(struct stowage_call *call, const struct stowage_upload *upload,
                                     const uint32_t *numbers, uint32_t count)
{
    struct stowage_object *object =
        stowage_store_new_object(call->route.key, bytes_of(upload->headers), count);
    if (!object) return STOWAGE_ERROR_INTERNAL;
    stowage_store_hold(object);
    call->made = object;
    for (uint32_t i = 0; i < count; i++) {
        object->parts[i] = upload->parts[numbers[i] - 1];
        object->parts[i].segment.memory = object->parts[i].segment.name = NULL;
        object->bytes += object->parts[i].segment.bytes;
    }
    object->multipart = true;
    object->modified_ns = call->wall_ns;
    memcpy(object->upload_id, upload->id, sizeof(object->upload_id));
    join_checksums(object, upload->checksum, upload->checksum_is_full);
    composite_etag(object, object->etag);
    return check_whole(call, object);
}

static void write_completed(struct stowage_call *call, const struct stowage_object *object)
{
    stowage_xml_begin(&call->text, "CompleteMultipartUploadResult");
    stowage_xml_format(&call->text, "<Location>");
    stowage_xml_raw(&call->text, call->route.path);
    stowage_xml_format(&call->text, "</Location>");
    stowage_xml_text(&call->text, "Bucket", call->route.bucket);
    stowage_xml_text(&call->text, "Key", call->route.key);
    stowage_xml_etag(&call->text, object->etag);
    stowage_call_checksum_xml(call, &object->checksum,
                              object->checksum_is_full ? 0 : object->part_count);
    if (object->checksum.kind)
        stowage_xml_text(&call->text, "ChecksumType",
                         object->checksum_is_full ? BYTES("FULL_OBJECT") : BYTES("COMPOSITE"));
    stowage_xml_close(&call->text, "CompleteMultipartUploadResult");
}

static enum stowage_error complete_stored(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error) return error;
    write_completed(call, call->made);
    stowage_store_put(&call->world->store, bucket, call->made);
    stowage_store_release(&call->world->store, &call->made);
    return STOWAGE_ERROR_NONE;
}

/* A client whose first reply got lost asks again: it is told the same (Ceph and AWS do so). */
static enum stowage_error complete_again(struct stowage_call *call,
                                         const struct stowage_bucket *bucket)
{
    const struct stowage_object *object = stowage_store_object(bucket, call->route.key);
    struct bytes id = stowage_route_param(&call->route, "uploadId");
    if (!object || !id.count || !bytes_equal(id, bytes_of(object->upload_id)))
        return STOWAGE_ERROR_NO_UPLOAD;
    write_completed(call, object);
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_upload_complete(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    struct stowage_upload *upload;
    uint32_t count;
    enum stowage_error error = stowage_call_upload(call, &bucket, &upload);
    if (error == STOWAGE_ERROR_NO_UPLOAD) return complete_again(call, bucket);
    if (!error) error = stowage_object_may_write(call, bucket);
    if (error) return error;
    uint32_t *numbers = malloc(PARTS_MAX * sizeof(*numbers));
    if (!numbers) return STOWAGE_ERROR_INTERNAL;
    error = read_listed(call, upload, numbers, &count);
    if (!error) error = check_sizes(upload, numbers, count);
    if (!error) error = make_whole(call, upload, numbers, count);
    if (!error) {
        for (uint32_t i = 0; i < count; i++)
            stowage_store_take_part(upload, numbers[i], &call->made->parts[i]);
        stowage_store_remove_upload(&call->world->store, bucket, upload);
        error = stowage_object_store(call, complete_stored);
    }
    free(numbers);
    return error;
}

enum stowage_error stowage_upload_abort(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    struct stowage_upload *upload;
    enum stowage_error error = stowage_call_upload(call, &bucket, &upload);
    if (error) return error;
    stowage_store_remove_upload(&call->world->store, bucket, upload);
    call->status = 204;
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_upload_list_parts(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    struct stowage_upload *upload;
    uint64_t marker, max, shown = 0, last = 0;
    bool truncated = false;
    enum stowage_error error = stowage_call_upload(call, &bucket, &upload);
    if (!error)
        error = stowage_route_number(&call->route, "part-number-marker", UINT32_MAX, 0, &marker);
    if (!error) error = stowage_route_number(&call->route, "max-parts", INT32_MAX, 1000, &max);
    if (error) return error;
    struct stowage_xml *text = &call->text;
    stowage_xml_begin(text, "ListPartsResult");
    stowage_xml_text(text, "Bucket", call->route.bucket);
    stowage_xml_text(text, "Key", call->route.key);
    stowage_xml_text(text, "UploadId", bytes_of(upload->id));
    stowage_xml_u64(text, "PartNumberMarker", marker);
    stowage_xml_u64(text, "MaxParts", max);
    stowage_xml_text(text, "StorageClass", BYTES("STANDARD"));
    max = min_u64(max, 1000);
    for (uint64_t i = marker; i < upload->part_count && !truncated; i++) {
        const struct stowage_part *part = &upload->parts[i];
        if (!part->number) continue;
        truncated = shown == max;
        if (truncated) break;
        stowage_xml_open(text, "Part");
        stowage_xml_u64(text, "PartNumber", part->number);
        stowage_xml_time(text, "LastModified", part->modified_ns);
        stowage_xml_etag(text, part->etag);
        stowage_xml_u64(text, "Size", part->segment.bytes);
        stowage_call_checksum_xml(call, &part->checksum, 0);
        stowage_xml_close(text, "Part");
        shown++;
        last = part->number;
    }
    if (last) stowage_xml_u64(text, "NextPartNumberMarker", last);
    stowage_xml_bool(text, "IsTruncated", truncated);
    stowage_xml_close(text, "ListPartsResult");
    return STOWAGE_ERROR_NONE;
}
