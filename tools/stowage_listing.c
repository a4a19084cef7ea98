#include <stdlib.h>
#include <string.h>

#include "compress/base64.h"
#include "s3/target.h"
#include "tools/stowage_ops.h"

#define PAGE_MAX        1000u /* entries of a page, and keys of a DeleteObjects, as S3 */
#define TOKEN_BYTES_MAX (BASE64_CHARS(KEY_BYTES_MAX) + 1)

static void write_owner(struct stowage_xml *text, const char *element)
{
    stowage_xml_format(text, "<%s><ID>stowage</ID><DisplayName>stowage</DisplayName></%s>", element,
                       element);
}

enum stowage_error stowage_listing_buckets(struct stowage_call *call)
{
    const struct stowage_tree *buckets = &call->world->store.buckets;
    struct stowage_xml *text = &call->text;
    stowage_xml_begin(text, "ListAllMyBucketsResult");
    write_owner(text, "Owner");
    stowage_xml_open(text, "Buckets");
    for (struct stowage_tree_node *node = stowage_tree_from(buckets, BYTES("")); node;
         node = stowage_tree_after(buckets, node->key)) {
        stowage_xml_open(text, "Bucket");
        stowage_xml_text(text, "Name", node->key);
        stowage_xml_time(text, "CreationDate",
                         container_of(node, struct stowage_bucket, node)->created_ns);
        stowage_xml_close(text, "Bucket");
    }
    stowage_xml_close(text, "Buckets");
    stowage_xml_close(text, "ListAllMyBucketsResult");
    return STOWAGE_ERROR_NONE;
}

/* A page of a listing as the query asks for it. */
struct page {
    struct stowage_list list;
    struct bytes encoding;
    uint64_t max;      /* asked for */
    uint64_t count;    /* entries so far */
    struct bytes last; /* entry of the page */
    bool truncated;
};

static enum stowage_error read_page(struct stowage_call *call, struct page *page)
{
    struct stowage_bucket *bucket;
    memset(page, 0, sizeof(*page));
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (!error)
        error = stowage_route_number(&call->route, "max-keys", INT32_MAX, PAGE_MAX, &page->max);
    if (error) return error;
    page->list.bucket = bucket;
    page->list.prefix = stowage_route_param(&call->route, "prefix");
    page->list.delimiter = stowage_route_param(&call->route, "delimiter");
    page->encoding = stowage_route_param(&call->route, "encoding-type");
    bool known = bytes_equal(page->encoding, BYTES("url"));
    return page->encoding.count && !known ? STOWAGE_ERROR_ARGUMENT : STOWAGE_ERROR_NONE;
}

/* A key, escaped where the client asked for it. */
static void write_key(struct stowage_call *call, const struct page *page, const char *name,
                      struct bytes key)
{
    char area[3 * KEY_BYTES_MAX + 1];
    struct writer w;
    if (!page->encoding.count) {
        stowage_xml_text(&call->text, name, key);
        return;
    }
    writer_init(&w, area, sizeof(area));
    target_escape(&w, key, true);
    stowage_xml_text(&call->text, name, writer_bytes(&w));
}

static void write_object(struct stowage_call *call, const struct page *page,
                         const struct stowage_list_entry *entry, bool owner)
{
    struct stowage_xml *text = &call->text;
    stowage_xml_open(text, "Contents");
    write_key(call, page, "Key", entry->key);
    stowage_xml_time(text, "LastModified", entry->object->modified_ns);
    stowage_xml_etag(text, entry->object->etag);
    if (entry->object->checksum.kind) {
        stowage_xml_text(text, "ChecksumAlgorithm",
                         bytes_of(stowage_call_checksum_label(entry->object->checksum.kind)));
        stowage_xml_text(text, "ChecksumType",
                         entry->object->checksum_is_full ? BYTES("FULL_OBJECT")
                                                         : BYTES("COMPOSITE"));
    }
    stowage_xml_u64(text, "Size", entry->object->bytes);
    if (owner) write_owner(text, "Owner");
    stowage_xml_text(text, "StorageClass", BYTES("STANDARD"));
    stowage_xml_close(text, "Contents");
}

static void write_entries(struct stowage_call *call, struct page *page, struct bytes after,
                          bool owner)
{
    struct stowage_list_entry entry;
    uint64_t max = min_u64(page->max, PAGE_MAX);
    stowage_store_list_start(&page->list, after);
    while (max && stowage_store_list_next(&page->list, &entry)) {
        page->truncated = page->count == max;
        if (page->truncated) return;
        if (entry.object) {
            write_object(call, page, &entry, owner);
        } else {
            stowage_xml_open(&call->text, "CommonPrefixes");
            write_key(call, page, "Prefix", entry.key);
            stowage_xml_close(&call->text, "CommonPrefixes");
        }
        page->last = entry.key;
        page->count++;
    }
}

static void write_page_head(struct stowage_call *call, const struct page *page)
{
    stowage_xml_begin(&call->text, "ListBucketResult");
    stowage_xml_text(&call->text, "Name", call->route.bucket);
    write_key(call, page, "Prefix", page->list.prefix);
    if (page->list.delimiter.count) write_key(call, page, "Delimiter", page->list.delimiter);
    if (page->encoding.count) stowage_xml_text(&call->text, "EncodingType", page->encoding);
    stowage_xml_u64(&call->text, "MaxKeys", page->max);
}

enum stowage_error stowage_listing_objects(struct stowage_call *call)
{
    struct page page;
    enum stowage_error error = read_page(call, &page);
    if (error) return error;
    struct bytes marker = stowage_route_param(&call->route, "marker");
    write_page_head(call, &page);
    write_key(call, &page, "Marker", marker);
    write_entries(call, &page, marker, true);
    stowage_xml_bool(&call->text, "IsTruncated", page.truncated);
    /* S3 says it with a delimiter only; without, clients use the last key. Both may have it. */
    if (page.truncated) write_key(call, &page, "NextMarker", page.last);
    stowage_xml_close(&call->text, "ListBucketResult");
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_listing_objects_v2(struct stowage_call *call)
{
    struct page page;
    char area[KEY_BYTES_MAX], token_text[TOKEN_BYTES_MAX];
    size_t count = 0;
    enum stowage_error error = read_page(call, &page);
    if (error) return error;
    struct bytes token = stowage_route_param(&call->route, "continuation-token");
    struct bytes after = stowage_route_param(&call->route, "start-after");
    bool owner = bytes_equal(stowage_route_param(&call->route, "fetch-owner"), BYTES("true"));
    if (token.data && !base64_decode(token, area, sizeof(area), &count))
        return stowage_call_fail(call, STOWAGE_ERROR_ARGUMENT,
                                 "The continuation token provided is incorrect");
    write_page_head(call, &page);
    if (token.data) stowage_xml_text(&call->text, "ContinuationToken", token);
    if (after.data) write_key(call, &page, "StartAfter", after);
    write_entries(call, &page, token.data ? (struct bytes){area, count} : after, owner);
    stowage_xml_u64(&call->text, "KeyCount", page.count);
    stowage_xml_bool(&call->text, "IsTruncated", page.truncated);
    if (page.truncated) {
        base64_encode(page.last.data, page.last.count, token_text);
        stowage_xml_text(&call->text, "NextContinuationToken", bytes_of(token_text));
    }
    stowage_xml_close(&call->text, "ListBucketResult");
    return STOWAGE_ERROR_NONE;
}

/* The first upload behind (key-marker, upload-id-marker): behind all of the key's where no id is
 * said. */
static struct stowage_tree_node *first_upload(struct stowage_call *call,
                                              const struct stowage_tree *uploads)
{
    char area[KEY_BYTES_MAX + STOWAGE_ID_BYTES + 8];
    struct writer w;
    struct bytes key = stowage_route_param(&call->route, "key-marker");
    struct bytes id = stowage_route_param(&call->route, "upload-id-marker");
    if (!key.count) return stowage_tree_from(uploads, BYTES(""));
    writer_init(&w, area, sizeof(area));
    writer_put(&w, key);
    writer_char(&w, 0);
    writer_put(&w, id);
    return id.count ? stowage_tree_after(uploads, writer_bytes(&w))
                    : stowage_tree_past(uploads, writer_bytes(&w));
}

static void write_upload(struct stowage_call *call, const struct page *page,
                         const struct stowage_upload *upload)
{
    struct stowage_xml *text = &call->text;
    stowage_xml_open(text, "Upload");
    write_key(call, page, "Key", upload->key);
    stowage_xml_text(text, "UploadId", bytes_of(upload->id));
    write_owner(text, "Initiator");
    write_owner(text, "Owner");
    stowage_xml_text(text, "StorageClass", BYTES("STANDARD"));
    stowage_xml_time(text, "Initiated", upload->started_ns);
    if (upload->checksum) {
        stowage_xml_text(text, "ChecksumAlgorithm",
                         bytes_of(stowage_call_checksum_label(upload->checksum)));
        stowage_xml_text(text, "ChecksumType",
                         upload->checksum_is_full ? BYTES("FULL_OBJECT") : BYTES("COMPOSITE"));
    }
    stowage_xml_close(text, "Upload");
}

enum stowage_error stowage_listing_uploads(struct stowage_call *call)
{
    struct page page;
    uint64_t max;
    const struct stowage_upload *last = NULL;
    enum stowage_error error = read_page(call, &page);
    if (!error)
        error = stowage_route_number(&call->route, "max-uploads", INT32_MAX, PAGE_MAX, &max);
    if (error) return error;
    const struct stowage_tree *uploads = &page.list.bucket->uploads;
    struct stowage_xml *text = &call->text;
    stowage_xml_begin(text, "ListMultipartUploadsResult");
    stowage_xml_text(text, "Bucket", call->route.bucket);
    write_key(call, &page, "KeyMarker", stowage_route_param(&call->route, "key-marker"));
    stowage_xml_text(text, "UploadIdMarker", stowage_route_param(&call->route, "upload-id-marker"));
    write_key(call, &page, "Prefix", page.list.prefix);
    if (page.encoding.count) stowage_xml_text(text, "EncodingType", page.encoding);
    stowage_xml_u64(text, "MaxUploads", max);
    for (struct stowage_tree_node *node = first_upload(call, uploads); node;
         node = stowage_tree_after(uploads, node->key)) {
        struct stowage_upload *upload = container_of(node, struct stowage_upload, node);
        if (!bytes_start_with(upload->key, page.list.prefix)) continue;
        page.truncated = page.count == min_u64(max, PAGE_MAX);
        if (page.truncated) break;
        write_upload(call, &page, upload);
        page.count++;
        last = upload;
    }
    stowage_xml_bool(text, "IsTruncated", page.truncated);
    if (page.truncated && last) {
        write_key(call, &page, "NextKeyMarker", last->key);
        stowage_xml_text(text, "NextUploadIdMarker", bytes_of(last->id));
    }
    stowage_xml_close(text, "ListMultipartUploadsResult");
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_listing_delete_begin(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (!error && call->content_bytes > STOWAGE_CALL_INPUT_MAX) error = STOWAGE_ERROR_XML;
    if (!error) error = stowage_call_claims(call, CHECKSUM_NONE, false);
    call->intake = STOWAGE_INTAKE_TEXT;
    return error;
}

static void delete_one(struct stowage_call *call, struct stowage_bucket *bucket, struct bytes key)
{
    struct stowage_object *object = stowage_store_object(bucket, key);
    struct stowage_note note = {
        .kind = STOWAGE_NOTE_REMOVE, .bucket = call->route.bucket, .key = key};
    if (!object) return;
    stowage_keep_note(call->world->keep, &note, NULL);
    stowage_store_remove(&call->world->store, bucket, object);
}

static enum stowage_error delete_listed(struct stowage_call *call, struct stowage_bucket *bucket,
                                        struct stowage_xml_reader *reader)
{
    bool quiet = false;
    uint32_t count = 0;
    struct bytes key = BYTES("");
    for (;;) {
        enum stowage_xml_event event = stowage_xml_read(reader);
        if (event == STOWAGE_XML_END) break;
        if (event == STOWAGE_XML_BAD) return STOWAGE_ERROR_XML;
        if (event != STOWAGE_XML_CLOSE) continue;
        if (reader->depth == 2 && bytes_equal(reader->name, BYTES("Key"))) key = reader->text;
        if (reader->depth == 1 && bytes_equal(reader->name, BYTES("Quiet")))
            quiet = bytes_equal(bytes_trim(reader->text), BYTES("true"));
        if (reader->depth != 1 || !bytes_equal(reader->name, BYTES("Object"))) continue;
        if (!key.count || ++count > PAGE_MAX) return STOWAGE_ERROR_XML;
        delete_one(call, bucket, key);
        if (!quiet) {
            stowage_xml_open(&call->text, "Deleted");
            stowage_xml_text(&call->text, "Key", key);
            stowage_xml_close(&call->text, "Deleted");
        }
        key = BYTES("");
    }
    return count ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_XML;
}

enum stowage_error stowage_listing_delete(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    struct stowage_xml_reader reader;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error) return error;
    stowage_xml_reader_init(&reader, call->input.data, call->input.count);
    stowage_xml_begin(&call->text, "DeleteResult");
    error = delete_listed(call, bucket, &reader);
    stowage_xml_close(&call->text, "DeleteResult");
    return error;
}
