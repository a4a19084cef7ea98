#include "s3/request_head.h"

#include <string.h>

#include "s3/headers.h"
#include "s3/stamp.h"

/* Those of a call and host, date, payload hash, token. */
#define REQUEST_HEAD_SIGNED_MAX (REQUEST_HEADERS_MAX + 4)

_Static_assert(REQUEST_HEAD_SIGNED_MAX <= SIGV4_HEADERS_MAX, "all headers of a call can be signed");
_Static_assert(REQUEST_QUERY_MAX <= SIGV4_QUERY_MAX, "a whole query can be signed");

static const struct request_verb request_verbs[REQUEST_KINDS] = {
    [REQUEST_PUT_OBJECT] = {"PUT", REPLY_BUCKET, true},
    [REQUEST_GET_OBJECT] = {"GET", REPLY_OBJECT, true},
    [REQUEST_HEAD_OBJECT] = {"HEAD", REPLY_OBJECT, true},
    [REQUEST_DELETE_OBJECT] = {"DELETE", REPLY_OBJECT, false},
    [REQUEST_CREATE_UPLOAD] = {"POST", REPLY_BUCKET, false},
    [REQUEST_PUT_PART] = {"PUT", REPLY_UPLOAD, true},
    [REQUEST_COMPLETE_UPLOAD] = {"POST", REPLY_UPLOAD, false},
    [REQUEST_ABORT_UPLOAD] = {"DELETE", REPLY_UPLOAD, false},
    [REQUEST_LIST_PARTS] = {"GET", REPLY_UPLOAD, false},
    [REQUEST_LIST_UPLOADS] = {"GET", REPLY_BUCKET, false},
    [REQUEST_LIST_OBJECTS] = {"GET", REPLY_BUCKET, false},
    [REQUEST_OBJECT_ATTRIBUTES] = {"GET", REPLY_OBJECT, false},
    [REQUEST_CREATE_BUCKET] = {"PUT", REPLY_BUCKET, false},
    [REQUEST_HEAD_BUCKET] = {"HEAD", REPLY_BUCKET, false},
    [REQUEST_LIST_BUCKETS] = {"GET", REPLY_BUCKET, false},
};

const struct request_verb *request_head_verb(enum request_kind kind)
{
    CHECK(kind < REQUEST_KINDS);
    return &request_verbs[kind];
}

/* --- out --- */

struct request_head { /* one that is being written */
    struct writer *w;
    struct http_header headers[REQUEST_HEAD_SIGNED_MAX]; /* slices of what was written */
    uint32_t header_count;
    bool broken;
};

static struct bytes request_head_since(const struct request_head *head, size_t from)
{
    return (struct bytes){head->w->data + from, head->w->count - from};
}

static void request_head_line(struct request_head *head, struct bytes name, struct bytes value)
{
    struct writer *w = head->w;
    if (memchr(value.data ? value.data : "", '\n', value.count)) head->broken = true;
    if (memchr(value.data ? value.data : "", '\r', value.count)) head->broken = true;
    writer_put(w, name);
    writer_text(w, ": ");
    writer_put(w, value);
    writer_text(w, "\r\n");
}

static void request_head_add(struct request_head *head, struct bytes name, struct bytes value)
{
    size_t from = head->w->count;
    CHECK(head->header_count < REQUEST_HEAD_SIGNED_MAX);
    request_head_line(head, name, value);
    struct bytes line = request_head_since(head, from);
    if (head->w->overflow) return;
    head->headers[head->header_count++] =
        (struct http_header){{line.data, name.count}, {line.data + name.count + 2, value.count}};
}

static struct bytes request_head_query(struct request_head *head, const struct request_call *call)
{
    struct writer *w = head->w;
    size_t from = w->count + 1;
    if (call->query_count == 0) return (struct bytes){"", 0};
    for (uint32_t i = 0; i < call->query_count; i++) {
        writer_char(w, i == 0 ? '?' : '&');
        target_escape(w, call->query[i].name, false);
        if (call->query[i].value.count == 0) continue; /* "?uploads": signed as "uploads=" */
        writer_char(w, '=');
        target_escape(w, call->query[i].value, false);
    }
    return w->overflow ? (struct bytes){"", 0} : request_head_since(head, from);
}

static struct bytes request_head_payload_hash(const struct request_call *call,
                                              char hex[SIGV4_HEX_BYTES])
{
    struct digest_sha256 sha256;
    uint8_t digest[DIGEST_SHA256_BYTES];
    struct writer w;
    if (call->body_is_unsigned) return BYTES(SIGV4_UNSIGNED);
    if (call->payload_sha256.count) return call->payload_sha256;
    if (call->body_bytes == 0) return BYTES(SIGV4_EMPTY_SHA256);
    CHECK(!call->body_follows && "a body that is not here yet comes with its hash");
    digest_sha256_init(&sha256);
    for (uint32_t i = 0; i < call->body_count; i++)
        digest_sha256_update(&sha256, call->body[i].iov_base, call->body[i].iov_len);
    digest_sha256_final(&sha256, digest);
    writer_init(&w, hex, SIGV4_HEX_BYTES);
    writer_hex(&w, digest, sizeof(digest));
    return writer_bytes(&w);
}

static enum err request_head_sign(struct request_head *head, struct client *client,
                                  const struct client_way *way, const struct request_call *call,
                                  struct sigv4_request *request)
{
    const struct creds *creds = &client->identity.creds;
    char date[STAMP_BASIC_BYTES], hex[SIGV4_HEX_BYTES];
    stamp_format_basic(request->wall_ns, date);
    request->payload_hash = request_head_payload_hash(call, hex);
    request_head_add(head, BYTES("x-amz-date"), bytes_of(date));
    request_head_add(head, BYTES("x-amz-content-sha256"), request->payload_hash);
    if (creds->session_token[0])
        request_head_add(head, BYTES("x-amz-security-token"), bytes_of(creds->session_token));
    request->headers = head->headers;
    request->header_count = head->header_count;
    if (head->w->overflow || head->broken) return ERR_REQUEST;
    writer_text(head->w, "authorization: ");
    enum err err = sigv4_sign(client_key(client, way), request, head->w);
    writer_text(head->w, "\r\n");
    return err;
}

static bool request_head_has_body(const struct request_call *call, const char *method)
{
    return call->body_bytes > 0 || method[0] == 'P'; /* PUT, POST: RFC 9110 8.6 */
}

enum err request_head_format(struct client *client, const struct client_way *way,
                             const struct request_call *call, struct writer *w)
{
    const char *method = request_head_verb(call->kind)->method;
    struct sigv4_request request = {.method = bytes_of(method),
                                    .wall_ns = identity_wall_ns(&client->identity)};
    struct request_head head = {.w = w};
    char host[TARGET_HOST_BYTES];
    struct writer host_w;

    CHECK(call->query_count <= REQUEST_QUERY_MAX && call->header_count <= REQUEST_HEADERS_MAX);
    writer_text(w, method);
    writer_char(w, ' ');
    size_t path_at = w->count;
    const struct endpoint *endpoint = way->endpoint;
    target_path(endpoint, call->bucket, call->key, w);
    request.path = request_head_since(&head, path_at);
    request.query = request_head_query(&head, call);
    writer_text(w, " HTTP/1.1\r\n");
    writer_init(&host_w, host, sizeof(host));
    target_host(endpoint, call->bucket, &host_w);
    request_head_add(&head, BYTES("host"), writer_bytes(&host_w));
    for (uint32_t i = 0; i < call->header_count; i++)
        request_head_add(&head, call->headers[i].name, call->headers[i].value);
    if (client->identity.signs) {
        enum err err = request_head_sign(&head, client, way, call, &request);
        if (err) return err;
    }
    if (request_head_has_body(call, method)) {
        writer_text(w, "content-length: ");
        writer_u64(w, call->body_bytes);
        writer_text(w, "\r\n");
    }
    writer_text(w, "user-agent: argosy/" ARGOSY_VERSION "\r\n\r\n");
    return w->overflow || head.broken ? ERR_REQUEST : ERR_NONE;
}

/* --- in --- */

static void request_head_copy(struct bytes value, char *field, size_t field_bytes)
{
    if (!bytes_to_string(value, field, field_bytes)) field[0] = 0;
}

/* "bytes 0-99/1234", "bytes 0-99/\*", "bytes *\/1234" (RFC 9110 14.4). */
static void request_head_read_range(struct bytes value, struct request_reply *reply)
{
    struct bytes total, last;
    if (!bytes_start_with(value, BYTES("bytes "))) return;
    value.data += 6;
    value.count -= 6;
    struct bytes range = bytes_cut(value, '/', &total);
    struct bytes first = bytes_cut(range, '-', &last);
    if (!bytes_parse_u64(total, &reply->range_total)) reply->range_total = UINT64_MAX;
    uint64_t first_at, last_at;
    if (!bytes_parse_u64(first, &first_at) || !bytes_parse_u64(last, &last_at)) return;
    if (last_at < first_at) return;
    reply->range_first = first_at;
    reply->range_last = last_at;
}

static void request_head_read_retry(struct bytes value, struct request_reply *reply)
{
    uint64_t seconds;
    if (!bytes_parse_u64(value, &seconds)) return; /* a date: no store sends one */
    reply->retry_after_ns = min_u64(seconds, 3600) * NS_PER_S;
}

static void request_head_read_time(struct bytes value, int64_t *seconds)
{
    if (!stamp_parse(value, seconds)) *seconds = INT64_MIN;
}

static void request_head_read_amz(struct bytes name, struct bytes value,
                                  struct request_reply *reply)
{
    const struct {
        const char *name;
        char *field;
        size_t field_bytes;
    } rows[] = {
        {"x-amz-request-id", reply->request_id, sizeof(reply->request_id)},
        {"x-amz-version-id", reply->version, sizeof(reply->version)},
        {"x-amz-bucket-region", reply->region, sizeof(reply->region)},
        {"x-amz-meta-mtime", reply->mtime, sizeof(reply->mtime)},
        {"x-amz-checksum-algorithm", reply->checksum_algorithm, sizeof(reply->checksum_algorithm)},
        {"x-amz-checksum-type", reply->checksum_type, sizeof(reply->checksum_type)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (bytes_equal_ignoring_case(name, bytes_of(rows[i].name)))
            request_head_copy(value, rows[i].field, rows[i].field_bytes);
    for (enum checksum_kind kind = CHECKSUM_NONE + 1; kind < CHECKSUM_KINDS; kind++)
        if (bytes_equal_ignoring_case(name, bytes_of(headers_checksum(kind))))
            request_head_copy(value, reply->checksum[kind], sizeof(reply->checksum[kind]));
}

void request_head_read(const struct http_head *head, struct request_reply *reply)
{
    memset(reply, 0, sizeof(*reply));
    reply->status = head->status;
    reply->content_bytes = head->content_bytes;
    reply->range_first = reply->range_last = reply->range_total = UINT64_MAX;
    reply->last_modified_s = reply->date_s = INT64_MIN;
    for (uint32_t i = 0; i < head->header_count; i++) {
        struct bytes name = head->headers[i].name, value = head->headers[i].value;
        struct bytes start = {name.data, min_u64(name.count, 6)};
        if (bytes_equal_ignoring_case(start, BYTES("x-amz-")))
            request_head_read_amz(name, value, reply);
        else if (bytes_equal_ignoring_case(name, BYTES("etag")))
            request_head_copy(value, reply->etag, sizeof(reply->etag));
        else if (bytes_equal_ignoring_case(name, BYTES("content-range")))
            request_head_read_range(value, reply);
        else if (bytes_equal_ignoring_case(name, BYTES("retry-after")))
            request_head_read_retry(value, reply);
        else if (bytes_equal_ignoring_case(name, BYTES("last-modified")))
            request_head_read_time(value, &reply->last_modified_s);
        else if (bytes_equal_ignoring_case(name, BYTES("date")))
            request_head_read_time(value, &reply->date_s);
    }
}
