/* What the model server does for each kind of request. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "s3/stamp.h"
#include "tests/sim/abandon.h"
#include "tests/sim/catalog.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"
#include "tests/sim/stock.h"
#include "tests/sim/world.h"

#define PART_BYTES_LEAST (5ull << 20)

/* ── is the body what the client meant? ─────────────────────────────────────────────────────── */

static enum checksum_kind sum_of_request(const struct server_request *request, const char **text)
{
    for (enum checksum_kind kind = CHECKSUM_CRC32C; kind < CHECKSUM_KINDS; kind++)
        if ((*text = server_header(request, proof_header(kind)))) return kind;
    return CHECKSUM_NONE;
}

static bool is_hash(const char *text)
{
    return text && strlen(text) == 64;
}

/* Only where somebody would notice. */
static void corrupt_body(struct server_request *request)
{
    const char *sum;
    bool noticed = server_header(request, "content-md5") ||
                   is_hash(server_header(request, "x-amz-content-sha256")) ||
                   (server_world()->sums && sum_of_request(request, &sum));
    if (!request->body || !noticed || !world_fault(FAULT_REQUEST_CORRUPT)) return;
    request->body->data[world_below(request->body->bytes)] ^= (char)(1 << world_below(8));
}

/* False, and the reply says so, when a checksum does not match. */
static bool check_body(const struct server_request *request, struct server_reply *reply)
{
    const char *data = request->body ? request->body->data : "";
    uint64_t bytes = request->body_bytes;
    char text[PROOF_TEXT_BYTES + 2];
    const char *md5 = server_header(request, "content-md5"), *sum;
    const char *sha256 = server_header(request, "x-amz-content-sha256");
    if (is_hash(sha256)) {
        char hex[65];
        proof_sha256_hex(data, bytes, hex);
        if (strcmp(hex, sha256) != 0) {
            server_error(reply, 400, "XAmzContentSHA256Mismatch");
            return false;
        }
    }
    if (md5) {
        proof_md5_text(data, bytes, text);
        if (strcmp(text, md5) != 0) {
            server_error(reply, 400, "BadDigest");
            return false;
        }
    }
    enum checksum_kind kind = sum_of_request(request, &sum);
    if (!kind || !server_world()->sums || request->method[1] == 'O') return true;
    proof_text(kind, data, bytes, text);
    if (strcmp(text, sum) == 0) return true;
    server_error(reply, 400, "BadDigest");
    return false;
}

static void say_sum(struct server_reply *reply, enum checksum_kind kind, const char *sum)
{
    char text[PROOF_TEXT_BYTES + 16];
    snprintf(text, sizeof text, "%s", sum);
    if (world_fault(FAULT_WRONG_ECHO)) text[0] = text[0] == 'A' ? 'B' : 'A';
    server_say(reply, proof_header(kind), text);
}

/* The body becomes somebody else's. */
static struct blob *take_body(struct server_request *request)
{
    struct blob *body = request->body ? request->body : blob_new(0);
    request->body = NULL;
    return body;
}

/* ── writing ────────────────────────────────────────────────────────────────────────────────── */

static void put_object(struct server_request *request, struct server_reply *reply)
{
    const char *mtime = server_header(request, "x-amz-meta-mtime"), *sum;
    enum checksum_kind kind = sum_of_request(request, &sum);
    struct store_object *object = store_put(request->key, take_body(request));
    object->late |= request->late;
    if (mtime) snprintf(object->mtime, sizeof object->mtime, "%s", mtime);
    if (kind && server_world()->sums) {
        object->kind = kind;
        snprintf(object->sum, sizeof object->sum, "%s", sum);
        say_sum(reply, kind, sum);
        server_say(reply, "x-amz-checksum-type", "FULL_OBJECT");
    }
    server_say(reply, "ETag", object->etag);
}

static void create_upload(struct server_request *request, struct server_reply *reply)
{
    const char *algorithm = server_header(request, "x-amz-checksum-algorithm");
    const char *type = server_header(request, "x-amz-checksum-type");
    const char *mtime = server_header(request, "x-amz-meta-mtime");
    struct store_upload *upload = store_create(request->key);
    upload->late = request->late;
    upload->behind = scenario_is_behind(upload->created_s);
    upload->missed = abandon_has_looked(request->key);
    if (mtime) snprintf(upload->mtime, sizeof upload->mtime, "%s", mtime);
    for (enum checksum_kind kind = CHECKSUM_CRC32C; algorithm && kind < CHECKSUM_KINDS; kind++)
        if (strcmp(algorithm, proof_algorithm(kind)) == 0 && server_world()->sums)
            upload->kind = kind;
    upload->composite = type && strcmp(type, "COMPOSITE") == 0;
    if (upload->kind) server_say(reply, "x-amz-checksum-algorithm", algorithm);
    memcpy(reply->created, upload->id, sizeof reply->created);
    server_text(reply,
                "<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>k</Key>"
                "<UploadId>%s</UploadId></InitiateMultipartUploadResult>",
                STORE_BUCKET, upload->id);
}

struct store_part *actions_part(const struct server_request *request)
{
    const char *number = server_query(request, "partNumber");
    const char *id = server_query(request, "uploadId");
    struct store_upload *upload = id ? store_upload(id) : NULL;
    uint32_t index = number ? (uint32_t)atoi(number) : 0;
    bool put = strcmp(request->method, "PUT") == 0;
    return put && upload && index && index <= STORE_PARTS_MAX ? &upload->parts[index] : NULL;
}

/* A copy that its client has given up may be anything: it is not checked any more, as by a server
 * that checks nothing. One that checks has checked it. */
static void alter_copy(struct server_request *request)
{
    const char *sum;
    bool checked = server_header(request, "content-md5") ||
                   is_hash(server_header(request, "x-amz-content-sha256")) ||
                   (server_world()->sums && sum_of_request(request, &sum));
    if (!request->gone || checked || !request->body || !world_fault(FAULT_COPY_ALTERED)) return;
    if (world_chance(0.5))
        request->body->bytes = world_between(1, request->body->bytes);
    else
        request->body->data[world_below(request->body->bytes)] ^= 0x55;
}

static void put_part(struct server_request *request, struct server_reply *reply)
{
    struct store_upload *upload = store_upload(server_query(request, "uploadId"));
    uint32_t number = (uint32_t)atoi(server_query(request, "partNumber"));
    const char *sum;
    enum checksum_kind kind = sum_of_request(request, &sum);
    if (!upload) {
        server_error(reply, 404, "NoSuchUpload");
        return;
    }
    if (number < 1 || number > STORE_PARTS_MAX) world_broken("part number %u", number);
    struct store_part *part = &upload->parts[number];
    request->raced = request->gone && part->blob;
    alter_copy(request);
    store_put_part(upload, number, take_body(request));
    if (kind && server_world()->sums) {
        if (kind != upload->kind) world_broken("a part with another checksum than its upload");
        snprintf(part->sum, sizeof part->sum, "%s", sum);
        say_sum(reply, kind, sum);
    }
    server_say(reply, "ETag", part->etag);
}

/* ── completing ─────────────────────────────────────────────────────────────────────────────── */

static bool element(const char *from, const char *end, const char *name, char *value, size_t bytes)
{
    char open[40];
    snprintf(open, sizeof open, "<%s>", name);
    const char *at = strstr(from, open);
    if (!at || at >= end) return false;
    at += strlen(open);
    size_t count = 0;
    while (*at != '<' && count + 1 < bytes) {
        if (strncmp(at, "&quot;", 6) == 0) {
            value[count++] = '"';
            at += 6;
        } else {
            value[count++] = *at++;
        }
    }
    value[count] = '\0';
    return true;
}

struct listed { /* the parts that the client names */
    struct store_part *parts;
    uint32_t count;
    uint64_t bytes;
};

/* NULL, or the code of what is wrong with the list. */
static const char *check_list(struct store_upload *upload, char *xml, struct listed *listed)
{
    uint32_t last = 0;
    char *at = xml;
    listed->parts = calloc(STORE_PARTS_MAX, sizeof *listed->parts);
    CHECK(listed->parts);
    while ((at = strstr(at, "<Part>"))) {
        char number[16], etag[160], sum[PROOF_TEXT_BYTES];
        const char *end = strstr(at, "</Part>");
        if (!end) return "MalformedXML";
        if (!element(at, end, "PartNumber", number, sizeof number)) return "MalformedXML";
        if (!element(at, end, "ETag", etag, sizeof etag)) return "MalformedXML";
        uint32_t index = (uint32_t)atoi(number);
        if (index <= last) return "InvalidPartOrder";
        last = index;
        if (index > STORE_PARTS_MAX || !upload->parts[index].blob) return "InvalidPart";
        struct store_part *part = &upload->parts[index];
        if (strcmp(part->etag, etag) != 0) return "InvalidPart";
        bool has = upload->kind && element(at, end, proof_element(upload->kind), sum, sizeof sum);
        if (has && strcmp(sum, part->sum) != 0) return "InvalidPart";
        if (upload->kind && upload->composite && !has) return "InvalidPart";
        if (part->doubtful)
            world_broken("part %u of %s has come twice, and the client did not ask which is there",
                         index, upload->key);
        listed->parts[listed->count++] = *part;
        listed->bytes += part->blob->bytes;
        at++;
    }
    for (uint32_t i = 0; i + 1 < listed->count; i++)
        if (listed->parts[i].blob->bytes < PART_BYTES_LEAST) return "EntityTooSmall";
    return listed->count ? NULL : "MalformedXML";
}

static struct blob *join(const struct listed *listed)
{
    struct blob *all = blob_new(listed->bytes);
    uint64_t at = 0;
    for (uint32_t i = 0; i < listed->count; i++) {
        const struct blob *part = listed->parts[i].blob;
        memcpy(all->data + at, part->data, part->bytes);
        at += part->bytes;
    }
    return all;
}

/* The object's checksum: of its bytes, or of its parts' checksums. */
static void sum_object(const struct store_upload *upload, const struct listed *listed,
                       const struct blob *all, char text[PROOF_TEXT_BYTES + 16])
{
    uint8_t *raws = malloc(32 * (listed->count + 1));
    uint32_t count = 0;
    CHECK(raws);
    if (!upload->composite) {
        proof_text(upload->kind, all->data, all->bytes, text);
        free(raws);
        return;
    }
    for (uint32_t i = 0; i < listed->count; i++) {
        const struct blob *part = listed->parts[i].blob;
        count += proof_raw(upload->kind, part->data, part->bytes, raws + count);
    }
    proof_text(upload->kind, raws, count, text);
    snprintf(text + strlen(text), 16, "-%u", listed->count);
    free(raws);
}

static void keep_parts(struct store_object *object, const struct listed *listed)
{
    object->parts = calloc(listed->count, sizeof *object->parts);
    object->part_bytes = calloc(listed->count, sizeof *object->part_bytes);
    CHECK(object->parts && object->part_bytes);
    object->part_count = listed->count;
    for (uint32_t i = 0; i < listed->count; i++) {
        object->parts[i] = listed->parts[i];
        object->part_bytes[i] = listed->parts[i].blob->bytes;
        object->parts[i].blob = NULL;
    }
}

static void say_completed(const struct store_object *object, struct server_reply *reply)
{
    char etag[80], sum[80];
    snprintf(etag, sizeof etag, "&quot;%.*s&quot;", (int)strlen(object->etag) - 2,
             object->etag + 1);
    snprintf(sum, sizeof sum, "%s", object->sum);
    server_text(reply, "<CompleteMultipartUploadResult><ETag>%s</ETag>", etag);
    if (object->kind)
        server_text(reply, "<%s>%s</%s>", proof_element(object->kind), sum,
                    proof_element(object->kind));
    server_text(reply, "</CompleteMultipartUploadResult>");
}

static void complete_listed(struct server_request *request, struct server_reply *reply,
                            struct store_upload *upload, const struct listed *listed)
{
    char sum[PROOF_TEXT_BYTES + 16] = "";
    const char *claimed = upload->kind ? server_header(request, proof_header(upload->kind)) : NULL;
    struct blob *all = join(listed);
    if (upload->kind) sum_object(upload, listed, all, sum);
    if (claimed && strcmp(claimed, sum) != 0) {
        blob_drop(&all);
        server_error(reply, 400, "BadDigest");
        return;
    }
    if (world_fault(FAULT_ERROR_IN_200)) {
        blob_drop(&all);
        server_error(reply, 200, "InternalError");
        return;
    }
    struct store_object *object = store_put(request->key, all);
    object->late |= request->late;
    snprintf(object->mtime, sizeof object->mtime, "%s", upload->mtime);
    object->kind = upload->kind;
    snprintf(object->sum, sizeof object->sum, "%s", sum);
    keep_parts(object, listed);
    store_drop_upload(upload);
    say_completed(object, reply);
}

static void complete_upload(struct server_request *request, struct server_reply *reply)
{
    struct store_upload *upload = store_upload(server_query(request, "uploadId"));
    struct listed listed = {NULL, 0, 0};
    struct blob *body = take_body(request);
    char *xml = strndup(body->data, body->bytes);
    const char *wrong = "NoSuchUpload";
    struct store_object *object = store_find(request->key);
    if (upload) wrong = check_list(upload, xml, &listed);
    if (!upload && server_world()->completes_again && object && object->part_count)
        say_completed(object, reply);
    else if (wrong)
        server_error(reply, upload ? 400 : 404, wrong);
    else
        complete_listed(request, reply, upload, &listed);
    free(listed.parts);
    free(xml);
    blob_drop(&body);
}

static void abort_upload(struct server_request *request, struct server_reply *reply)
{
    struct store_upload *upload = store_upload(server_query(request, "uploadId"));
    if (!upload) {
        server_error(reply, 404, "NoSuchUpload");
        return;
    }
    store_drop_upload(upload);
    reply->status = 204;
}

/* ── reading ────────────────────────────────────────────────────────────────────────────────── */

static void format_time(int64_t seconds, char text[64])
{
    struct tm tm;
    time_t time = seconds;
    gmtime_r(&time, &tm);
    strftime(text, 64, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void say_object(const struct store_object *object, struct server_reply *reply, bool sums)
{
    char modified[64];
    format_time(object->modified_s, modified);
    server_say(reply, "ETag", object->etag);
    server_say(reply, "Last-Modified", modified);
    server_say(reply, "Accept-Ranges", "bytes");
    if (object->mtime[0]) server_say(reply, "x-amz-meta-mtime", object->mtime);
    if (!sums || !object->kind) return;
    server_say(reply, proof_header(object->kind), object->sum);
    server_say(reply, "x-amz-checksum-type",
               strchr(object->sum, '-') ? "COMPOSITE" : "FULL_OBJECT");
}

/* A byte of the body changes on the way, where the object's checksum will tell. */
static void corrupt_reply(const struct store_object *object, struct server_reply *reply)
{
    bool noticed = object->kind && !strchr(object->sum, '-') && reply->bytes > 0;
    if (!noticed || !world_fault(FAULT_REPLY_CORRUPT)) return;
    struct blob *copy = blob_new(reply->bytes);
    memcpy(copy->data, reply->body->data + reply->from, reply->bytes);
    copy->data[world_below(reply->bytes)] ^= (char)(1 << world_below(8));
    blob_drop(&reply->body);
    reply->body = copy;
    reply->from = 0;
}

/* False: there is no such range. */
static bool cut_range(const char *range, struct server_reply *reply)
{
    unsigned long long first, last;
    uint64_t total = reply->bytes;
    char text[80];
    if (sscanf(range, "bytes=%llu-%llu", &first, &last) != 2) world_broken("range %s", range);
    if (first >= total) return false;
    last = min_u64(last, total - 1);
    reply->from = first;
    reply->bytes = last - first + 1;
    if (world_fault(FAULT_WRONG_RANGE)) {
        if (world_chance(0.5)) { /* as servers do that know no ranges */
            reply->from = 0;
            reply->bytes = total;
            return true;
        }
        first++;
    }
    reply->status = 206;
    snprintf(text, sizeof text, "bytes %llu-%llu/%llu", first, last, (unsigned long long)total);
    server_say(reply, "Content-Range", text);
    return true;
}

static void get_object(struct server_request *request, struct server_reply *reply)
{
    struct store_object *object = store_find(request->key);
    const char *range = server_header(request, "range");
    const char *match = server_header(request, "if-match");
    bool head = reply->no_body;
    if (!object || !object->blob) {
        server_error(reply, 404, "NoSuchKey");
        return;
    }
    if (world_fault(FAULT_OBJECT_CHANGES)) object = stock_change_object(object);
    if (match && strcmp(match, object->etag) != 0) {
        server_error(reply, 412, "PreconditionFailed");
        return;
    }
    say_object(object, reply, server_header(request, "x-amz-checksum-mode"));
    reply->body = blob_hold(object->blob);
    reply->bytes = object->blob->bytes;
    if (range && !cut_range(range, reply)) {
        server_error(reply, 416, "InvalidRange");
        return;
    }
    if (!head) corrupt_reply(object, reply);
}

static void get_attributes(struct server_request *request, struct server_reply *reply)
{
    struct store_object *object = store_find(request->key);
    const char *marker = server_header(request, "x-amz-part-number-marker");
    if (!object || !object->blob || !server_world()->attributes) {
        server_error(reply, object ? 501 : 404, object ? "NotImplemented" : "NoSuchKey");
        return;
    }
    uint32_t first = marker ? (uint32_t)atoi(marker) : 0;
    uint32_t end = (uint32_t)min_u64(object->part_count, first + server_world()->page_max);
    const char *name = proof_element(object->kind);
    server_text(reply, "<GetObjectAttributesResponse><ObjectSize>%llu</ObjectSize>",
                (unsigned long long)object->blob->bytes);
    server_text(reply,
                "<ObjectParts><TotalPartsCount>%u</TotalPartsCount>"
                "<IsTruncated>%s</IsTruncated><NextPartNumberMarker>%u"
                "</NextPartNumberMarker>",
                object->part_count, end < object->part_count ? "true" : "false", end);
    for (uint32_t i = first; i < end; i++) {
        server_text(reply, "<Part><PartNumber>%u</PartNumber><Size>%llu</Size>", i + 1,
                    (unsigned long long)object->part_bytes[i]);
        if (object->kind) server_text(reply, "<%s>%s</%s>", name, object->parts[i].sum, name);
        server_text(reply, "</Part>");
    }
    server_text(reply, "</ObjectParts></GetObjectAttributesResponse>");
}

static void list_parts(struct server_request *request, struct server_reply *reply)
{
    const struct store_upload *upload = store_upload(server_query(request, "uploadId"));
    const char *marker = server_query(request, "part-number-marker");
    uint32_t last = marker ? (uint32_t)atoi(marker) : 0, count = 0, next = 0;
    char stamp[STAMP_ISO_BYTES];
    bool more = false;
    if (!upload) {
        server_error(reply, 404, "NoSuchUpload");
        return;
    }
    server_text(reply, "<ListPartsResult><UploadId>%s</UploadId>", upload->id);
    for (uint32_t i = last + 1; i <= upload->part_max && !more; i++) {
        struct store_part *part = &upload->parts[i];
        const char *name = proof_element(upload->kind);
        if (!part->blob) continue;
        more = count++ == server_world()->page_max;
        if (more) break;
        next = i;
        stamp_format_iso((uint64_t)part->modified_s * NS_PER_S, stamp);
        server_text(reply,
                    "<Part><PartNumber>%u</PartNumber><ETag>&quot;%.*s&quot;</ETag>"
                    "<LastModified>%s</LastModified><Size>%llu</Size>",
                    i, (int)strlen(part->etag) - 2, part->etag + 1, stamp,
                    (unsigned long long)part->blob->bytes);
        if (part->sum[0]) server_text(reply, "<%s>%s</%s>", name, part->sum, name);
        server_text(reply, "</Part>");
    }
    for (uint32_t i = last + 1; i <= (more ? next : STORE_PARTS_MAX); i++) {
        upload->parts[i].doubtful = false; /* also of one that is not there */
        upload->parts[i].listed_ns = world->now_ns;
    }
    server_text(reply, "<IsTruncated>%s</IsTruncated>", more ? "true" : "false");
    if (more) server_text(reply, "<NextPartNumberMarker>%u</NextPartNumberMarker>", next);
    server_text(reply, "</ListPartsResult>");
}

static void say_escaped(struct server_reply *reply, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        server_text(reply, c >= 0x80 || isalnum(c) ? "%c" : "&#%d;", c);
    }
}

/* One page. */
static void list_uploads(struct server_request *request, struct server_reply *reply)
{
    const struct store *store = store_world();
    const char *prefix = server_query(request, "prefix");
    abandon_on_look(prefix);
    server_text(reply, "<ListMultipartUploadsResult>");
    for (uint32_t i = 0; i < store->upload_count; i++) {
        const struct store_upload *upload = &store->uploads[i];
        char stamp[STAMP_ISO_BYTES];
        stamp_format_iso((uint64_t)upload->created_s * NS_PER_S, stamp);
        if (strncmp(upload->key, prefix, strlen(prefix)) != 0) continue;
        server_text(reply, "<Upload><Key>");
        say_escaped(reply, upload->key);
        server_text(reply, "</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>",
                    upload->id, stamp);
    }
    server_text(reply, "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
}

/* ── which ──────────────────────────────────────────────────────────────────────────────────── */

typedef void action_fn(struct server_request *request, struct server_reply *reply);

static action_fn *action_of(const struct server_request *request)
{
    bool get = request->method[0] == 'G' || request->method[0] == 'H';
    bool post = strcmp(request->method, "POST") == 0;
    bool upload = server_query(request, "uploadId");
    if (get && server_query(request, "list-type")) return catalog_list;
    if (get && server_query(request, "attributes")) return get_attributes;
    if (get && server_query(request, "uploads")) return list_uploads;
    if (get) return upload ? list_parts : get_object;
    if (post && server_query(request, "uploads")) return create_upload;
    if (post && upload) return complete_upload;
    if (strcmp(request->method, "PUT") == 0) return upload ? put_part : put_object;
    if (strcmp(request->method, "DELETE") == 0 && upload) return abort_upload;
    world_broken("the model server does not know this %s", request->method);
}

void actions_run(struct server_request *request, struct server_reply *reply)
{
    if (elsewhere_answers(request, reply)) return;
    corrupt_body(request);
    if (check_body(request, reply)) action_of(request)(request, reply);
}
