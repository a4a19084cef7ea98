#include "tools/stowage_route.h"

#include <string.h>

#include "s3/target.h"

enum level { SERVICE, BUCKET, OBJECT };

/* The first row that fits wins: method, level, a query parameter and a header that must be there.
 * */
static const struct row {
    const char *method;
    enum level level;
    const char *param, *header;
    enum stowage_operation operation;
} rows[] = {
    {"GET", SERVICE, NULL, NULL, STOWAGE_LIST_BUCKETS},
    {"GET", BUCKET, "location", NULL, STOWAGE_GET_BUCKET_LOCATION},
    {"GET", BUCKET, "uploads", NULL, STOWAGE_LIST_UPLOADS},
    {"GET", BUCKET, "list-type", NULL, STOWAGE_LIST_OBJECTS_V2},
    {"GET", BUCKET, NULL, NULL, STOWAGE_LIST_OBJECTS},
    {"PUT", BUCKET, NULL, NULL, STOWAGE_CREATE_BUCKET},
    {"HEAD", BUCKET, NULL, NULL, STOWAGE_HEAD_BUCKET},
    {"DELETE", BUCKET, NULL, NULL, STOWAGE_DELETE_BUCKET},
    {"POST", BUCKET, "delete", NULL, STOWAGE_DELETE_OBJECTS},
    {"GET", OBJECT, "uploadId", NULL, STOWAGE_LIST_PARTS},
    {"GET", OBJECT, "attributes", NULL, STOWAGE_GET_OBJECT_ATTRIBUTES},
    {"GET", OBJECT, NULL, NULL, STOWAGE_GET_OBJECT},
    {"HEAD", OBJECT, NULL, NULL, STOWAGE_HEAD_OBJECT},
    {"PUT", OBJECT, "uploadId", "x-amz-copy-source", STOWAGE_UPLOAD_PART_COPY},
    {"PUT", OBJECT, "uploadId", NULL, STOWAGE_UPLOAD_PART},
    {"PUT", OBJECT, NULL, "x-amz-copy-source", STOWAGE_COPY_OBJECT},
    {"PUT", OBJECT, NULL, NULL, STOWAGE_PUT_OBJECT},
    {"POST", OBJECT, "uploads", NULL, STOWAGE_CREATE_UPLOAD},
    {"POST", OBJECT, "uploadId", NULL, STOWAGE_COMPLETE_UPLOAD},
    {"DELETE", OBJECT, "uploadId", NULL, STOWAGE_ABORT_UPLOAD},
    {"DELETE", OBJECT, NULL, NULL, STOWAGE_DELETE_OBJECT},
};

/* Settings of buckets and objects: not kept, but clients ask for them. */
static const char *const settings[] = {
    "acl",         "policy",     "policyStatus",      "lifecycle",   "cors",
    "tagging",     "versioning", "website",           "logging",     "notification",
    "replication", "encryption", "requestPayment",    "object-lock", "ownershipControls",
    "accelerate",  "analytics",  "publicAccessBlock", "metrics",     "intelligent-tiering",
    "legal-hold",  "retention",  "inventory",         "versions",    "torrent",
};

const char *stowage_route_name(enum stowage_operation operation)
{
    static const char *const names[] = {
#define X(name, text) text,
        STOWAGE_OPERATIONS(X)
#undef X
    };
    return operation < STOWAGE_OPERATION_COUNT ? names[operation] : "?";
}

struct bytes stowage_route_param(const struct stowage_route *route, const char *name)
{
    for (uint32_t i = 0; i < route->param_count; i++)
        if (bytes_equal(route->params[i].name, bytes_of(name))) return route->params[i].value;
    return (struct bytes){NULL, 0};
}

bool stowage_route_has(const struct stowage_route *route, const char *name)
{
    return stowage_route_param(route, name).data != NULL;
}

enum stowage_error stowage_route_number(const struct stowage_route *route, const char *name,
                                        uint64_t max, uint64_t otherwise, uint64_t *value)
{
    struct bytes text = stowage_route_param(route, name);
    *value = otherwise;
    if (!text.count) return STOWAGE_ERROR_NONE;
    if (!bytes_parse_u64(text, value) || *value > max) return STOWAGE_ERROR_ARGUMENT;
    return STOWAGE_ERROR_NONE;
}

/* Unescapes behind what `w` holds. Slices that are empty still have a pointer: they are present. */
static struct bytes unescape(struct writer *w, struct bytes escaped, bool plus_is_space)
{
    size_t before = w->count;
    target_unescape(w, escaped, plus_is_space);
    return (struct bytes){w->data + before, w->overflow ? 0 : w->count - before};
}

static enum stowage_error parse_query(struct stowage_route *route, struct writer *w)
{
    struct bytes rest = route->query;
    while (rest.count) {
        struct bytes value, pair = bytes_cut(rest, '&', &rest);
        struct bytes name = bytes_cut(pair, '=', &value);
        if (!name.count) continue;
        if (route->param_count == STOWAGE_ROUTE_QUERY_MAX) return STOWAGE_ERROR_URI;
        route->params[route->param_count].name = unescape(w, name, true);
        route->params[route->param_count].value = unescape(w, value, true);
        route->param_count++;
    }
    uint64_t number;
    enum stowage_error error = stowage_route_number(route, "partNumber", PARTS_MAX, 0, &number);
    route->part_number = (uint32_t)number;
    if (!error && stowage_route_has(route, "partNumber") && !number) error = STOWAGE_ERROR_ARGUMENT;
    return error;
}

/* "bucket" of "bucket.localhost:port", and of "bucket.s3.REGION.amazonaws.com", so that it can play
 * AWS where that name leads to us; "" for any other host. */
static struct bytes bucket_of_host(struct bytes host)
{
    struct bytes rest, name = bytes_cut(host, ':', &rest);
    struct bytes tail = BYTES(".localhost"), service = BYTES(".s3.");
    if (bytes_end_with(name, BYTES(".amazonaws.com"))) {
        const char *at = memmem(name.data, name.count, service.data, service.count);
        return at ? (struct bytes){name.data, (size_t)(at - name.data)} : BYTES("");
    }
    if (name.count <= tail.count || !bytes_end_with(name, tail)) return BYTES("");
    return (struct bytes){name.data, name.count - tail.count};
}

static enum stowage_error parse_path(struct stowage_route *route, const struct http_head *head,
                                     struct writer *w)
{
    struct bytes path = route->path, key = path;
    if (!bytes_start_with(path, BYTES("/"))) return STOWAGE_ERROR_URI;
    key = (struct bytes){path.data + 1, path.count - 1};
    route->bucket = bucket_of_host(http_header(head, "host"));
    if (!route->bucket.count) {
        struct bytes rest = BYTES("");
        route->bucket = unescape(w, bytes_cut(key, '/', &rest), false);
        key = rest;
    }
    route->key = unescape(w, key, false);
    if (w->overflow) return STOWAGE_ERROR_URI;
    return route->key.count > KEY_BYTES_MAX ? STOWAGE_ERROR_KEY_TOO_LONG : STOWAGE_ERROR_NONE;
}

static bool find_setting(struct stowage_route *route, struct bytes method)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        if (!stowage_route_has(route, settings[i])) continue;
        route->setting = bytes_of(settings[i]);
        route->operation =
            bytes_equal(method, BYTES("GET")) ? STOWAGE_READ_SETTING : STOWAGE_WRITE_SETTING;
        return true;
    }
    return false;
}

static enum stowage_error match(struct stowage_route *route, const struct http_head *head)
{
    enum level level = route->key.count ? OBJECT : route->bucket.count ? BUCKET : SERVICE;
    if (level != SERVICE && find_setting(route, head->method)) return STOWAGE_ERROR_NONE;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        if (row->level != level || !bytes_equal(head->method, bytes_of(row->method))) continue;
        if (row->param && !stowage_route_has(route, row->param)) continue;
        if (row->header && !http_header(head, row->header).data) continue;
        route->operation = row->operation;
        return STOWAGE_ERROR_NONE;
    }
    return STOWAGE_ERROR_METHOD;
}

enum stowage_error stowage_route_parse(struct stowage_route *route, const struct http_head *head)
{
    struct writer w;
    writer_init(&w, route->text, sizeof(route->text));
    route->operation = STOWAGE_UNKNOWN;
    route->bucket = route->key = route->setting = BYTES("");
    route->part_number = route->param_count = 0;
    route->query = BYTES("");
    route->path = bytes_cut(head->target, '?', &route->query);
    enum stowage_error error = parse_path(route, head, &w);
    if (!error) error = parse_query(route, &w);
    if (!error && w.overflow) error = STOWAGE_ERROR_URI;
    return error ? error : match(route, head);
}

enum stowage_error stowage_route_parse_source(struct bytes source, struct writer *text,
                                              struct bytes *bucket, struct bytes *key)
{
    struct bytes version, path = bytes_cut(source, '?', &version);
    size_t before = text->count;
    if (bytes_start_with(path, BYTES("/"))) path = (struct bytes){path.data + 1, path.count - 1};
    target_unescape(text, path, false);
    if (text->overflow) return STOWAGE_ERROR_ARGUMENT;
    struct bytes whole = {text->data + before, text->count - before};
    *bucket = bytes_cut(whole, '/', key);
    return bucket->count && key->count ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_ARGUMENT;
}

bool stowage_route_range(struct bytes range, uint64_t size_bytes, uint64_t *first, uint64_t *count)
{
    struct bytes rest, unit = bytes_cut(range, '=', &rest), to;
    uint64_t a = 0, b = UINT64_MAX;
    *first = 0;
    *count = UINT64_MAX;
    if (!bytes_equal_ignoring_case(bytes_trim(unit), BYTES("bytes"))) return false;
    if (!memchr(rest.data, '-', rest.count)) return false;
    struct bytes from = bytes_trim(bytes_cut(rest, '-', &to));
    to = bytes_trim(to);
    if (from.count && !bytes_parse_u64(from, &a)) return false;
    if (to.count && !bytes_parse_u64(to, &b)) return false;
    if ((!from.count && !to.count) || (from.count && b < a)) return false;
    if (!from.count) { /* the last b bytes */
        a = b < size_bytes ? size_bytes - b : 0;
        b = b ? UINT64_MAX : 0;
        if (!b) a = size_bytes;
    }
    *count = 0;
    if (a >= size_bytes) return false;
    *first = a;
    *count = min_u64(b, size_bytes - 1) - a + 1;
    return true;
}
