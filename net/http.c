#include "net/http.h"

#include <string.h>

#include "core/check.h"

/* llhttp has a constant of this name too. */
#define HTTP_REQUEST LLHTTP_HTTP_REQUEST
#include <llhttp.h>
#undef HTTP_REQUEST

_Static_assert(sizeof(llhttp_t) <= sizeof(((struct http_parser *)0)->llhttp),
               "the parser has room for llhttp's");

/* Of framing a byte of payload: a chunk of one byte has 6 of them; the rest is for extensions. */
#define HTTP_FRAME_BYTES_MAX 128u

#define HTTP_STOP (-1) /* from a callback: llhttp gives up with HPE_USER */

static llhttp_t *http_inner(struct http_parser *parser)
{
    return (llhttp_t *)(void *)parser->llhttp;
}

static struct http_parser *http_of(llhttp_t *inner)
{
    return container_of(inner, struct http_parser, llhttp);
}

/* A span of the head comes in pieces when it was received in pieces; in the area they adjoin. A
 * folded value (RFC 9112 5.2, obsolete) does not, and is refused. */
static int http_grow(struct bytes *slice, const char *at, size_t count)
{
    if (count == 0) return 0;
    if (slice->data && slice->count && slice->data + slice->count != at) return HTTP_STOP;
    if (!slice->count) slice->data = at;
    slice->count += count;
    return 0;
}

static int http_on_begin(llhttp_t *inner)
{
    struct http_parser *parser = http_of(inner);
    parser->head.header_count = 0; /* those of a 1xx reply are forgotten */
    return 0;
}

static int http_on_method(llhttp_t *inner, const char *at, size_t count)
{
    return http_grow(&http_of(inner)->head.method, at, count);
}

static int http_on_target(llhttp_t *inner, const char *at, size_t count)
{
    return http_grow(&http_of(inner)->head.target, at, count);
}

/* Trailers are passed over, within a bound. */
static int http_skip_trailer(struct http_parser *parser, size_t count)
{
    parser->trailer_bytes += (uint32_t)count;
    parser->too_large = parser->trailer_bytes > HTTP_HEAD_BYTES_MAX;
    return parser->too_large ? HTTP_STOP : 0;
}

static int http_on_name(llhttp_t *inner, const char *at, size_t count)
{
    struct http_parser *parser = http_of(inner);
    struct http_head *head = &parser->head;
    if (parser->head_done) return http_skip_trailer(parser, count);
    if (!parser->in_name) {
        if (head->header_count == HTTP_HEADERS_MAX) {
            parser->too_large = true;
            return HTTP_STOP;
        }
        parser->in_name = true;
        head->headers[head->header_count++] = (struct http_header){{at, 0}, {NULL, 0}};
    }
    return http_grow(&head->headers[head->header_count - 1].name, at, count);
}

static int http_on_value(llhttp_t *inner, const char *at, size_t count)
{
    struct http_parser *parser = http_of(inner);
    struct http_head *head = &parser->head;
    if (parser->head_done) return http_skip_trailer(parser, count);
    CHECK(head->header_count > 0);
    struct bytes *value = &head->headers[head->header_count - 1].value;
    if (!parser->in_value) *value = (struct bytes){at, 0};
    parser->in_name = false;
    parser->in_value = true;
    return http_grow(value, at, count);
}

static int http_on_value_complete(llhttp_t *inner)
{
    struct http_parser *parser = http_of(inner);
    struct http_head *head = &parser->head;
    if (parser->head_done) return 0;
    struct bytes *value = &head->headers[head->header_count - 1].value;
    if (!value->data) *value = (struct bytes){"", 0};
    *value = bytes_trim(*value);
    parser->in_name = parser->in_value = false;
    return 0;
}

/* RFC 9112 6.3: which bytes are the body. */
static enum http_framing http_frame(const struct http_parser *parser, const llhttp_t *inner)
{
    const struct http_head *head = &parser->head;
    bool reply = inner->type == HTTP_RESPONSE;
    if (parser->no_body || (reply && (head->status == 204 || head->status == 304)))
        return HTTP_BODY_NONE;
    if (head->chunked) return HTTP_BODY_CHUNKED;
    if (inner->flags & F_TRANSFER_ENCODING) return HTTP_BODY_UNTIL_END;
    if (head->content_bytes == UINT64_MAX) return reply ? HTTP_BODY_UNTIL_END : HTTP_BODY_NONE;
    return head->content_bytes ? HTTP_BODY_COUNTED : HTTP_BODY_NONE;
}

static int http_on_head(llhttp_t *inner)
{
    struct http_parser *parser = http_of(inner);
    struct http_head *head = &parser->head;
    bool reply = inner->type == HTTP_RESPONSE;
    if (reply && inner->status_code / 100 == 1) return 1; /* no body: the next head follows */
    if (reply && (inner->status_code < 200 || inner->status_code > 999)) return HTTP_STOP;

    head->status = reply ? inner->status_code : 0;
    head->content_bytes = inner->flags & F_CONTENT_LENGTH ? inner->content_length : UINT64_MAX;
    head->chunked = inner->flags & F_CHUNKED;
    parser->framing = http_frame(parser, inner);
    parser->body_left = parser->framing == HTTP_BODY_COUNTED ? head->content_bytes : 0;
    bool newer = inner->http_major > 1 || (inner->http_major == 1 && inner->http_minor > 0);
    head->keep_alive = newer ? !(inner->flags & F_CONNECTION_CLOSE)
                             : (inner->flags & F_CONNECTION_KEEP_ALIVE) != 0;
    if (parser->framing == HTTP_BODY_UNTIL_END) head->keep_alive = false;
    struct bytes expect = http_header(head, "expect");
    head->expect_continue = bytes_equal_ignoring_case(expect, BYTES("100-continue"));
    parser->head_done = true;
    parser->body_done = parser->framing == HTTP_BODY_NONE;
    return HPE_PAUSED;
}

/* Payload bytes of a chunked body, moved together over the framing that lay between them. */
static int http_on_body(llhttp_t *inner, const char *at, size_t count)
{
    struct http_parser *parser = http_of(inner);
    if (parser->out != at) memmove(parser->out, at, count);
    parser->out += count;
    parser->out_count += (uint32_t)count;
    return 0;
}

static int http_on_end(llhttp_t *inner)
{
    struct http_parser *parser = http_of(inner);
    if (!parser->head_done) return 0; /* of a 1xx reply */
    parser->body_done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t http_settings = {
    .on_message_begin = http_on_begin,
    .on_method = http_on_method,
    .on_url = http_on_target,
    .on_header_field = http_on_name,
    .on_header_value = http_on_value,
    .on_header_value_complete = http_on_value_complete,
    .on_headers_complete = http_on_head,
    .on_body = http_on_body,
    .on_message_complete = http_on_end,
};

void http_parser_init(struct http_parser *parser, enum http_kind kind, bool no_body)
{
    struct http_head *head = &parser->head;
    head->status = 0;
    head->method = head->target = (struct bytes){NULL, 0};
    head->header_count = 0;
    head->content_bytes = UINT64_MAX;
    head->chunked = head->keep_alive = head->expect_continue = false;
    parser->head_done = parser->body_done = false;
    parser->why = "";
    parser->framing = HTTP_BODY_NONE;
    parser->body_left = 0;
    parser->parsed_count = parser->head_bytes = parser->trailer_bytes = 0;
    parser->frame_bytes_left = HTTP_HEAD_BYTES_MAX;
    parser->out = NULL;
    parser->out_count = 0;
    parser->no_body = no_body;
    parser->in_name = parser->in_value = parser->too_large = false;
    llhttp_init(http_inner(parser), kind == HTTP_REQUEST ? LLHTTP_HTTP_REQUEST : HTTP_RESPONSE,
                &http_settings);
}

/* llhttp's verdict as ours. *used counts the bytes that it took, when it stopped early. */
static enum err http_execute(struct http_parser *parser, const char *data, uint32_t count,
                             uint32_t *used)
{
    llhttp_t *inner = http_inner(parser);
    llhttp_errno_t result = llhttp_execute(inner, data, count);
    *used = count;
    if (result == HPE_OK) return ERR_NONE;
    if (result == HPE_PAUSED) {
        *used = (uint32_t)(llhttp_get_error_pos(inner) - data);
        CHECK(*used <= count);
        return ERR_NONE;
    }
    if (parser->too_large) {
        parser->why = "too many or too long headers";
        return ERR_HTTP_HEAD_SIZE;
    }
    const char *why = llhttp_get_error_reason(inner);
    parser->why = why ? why : "";
    return ERR_HTTP_GARBAGE;
}

enum err http_parse_head(struct http_parser *parser, char *area, uint32_t count,
                         uint32_t *head_bytes)
{
    CHECK(!parser->head_done);
    CHECK(count >= parser->parsed_count);
    uint32_t used;
    *head_bytes = 0;
    enum err err =
        http_execute(parser, area + parser->parsed_count, count - parser->parsed_count, &used);
    if (err) return err;
    parser->parsed_count += used;
    if (parser->head_done) {
        *head_bytes = parser->head_bytes = parser->parsed_count;
        return ERR_NONE;
    }
    if (count < HTTP_HEAD_BYTES_MAX) return ERR_NONE;
    parser->why = "no end of the head";
    return ERR_HTTP_HEAD_SIZE;
}

/* What is around the payload, such as zeros before a chunk's size and extensions behind it, has no
 * end by itself. Each byte of payload pays for some of it. */
static enum err http_pay_frames(struct http_parser *parser, uint32_t payload, uint32_t frames)
{
    parser->frame_bytes_left += (uint64_t)payload * HTTP_FRAME_BYTES_MAX;
    if (parser->frame_bytes_left >= frames) {
        parser->frame_bytes_left -= frames;
        return ERR_NONE;
    }
    parser->why = "chunks with next to nothing in them";
    return ERR_HTTP_HEAD_SIZE;
}

static enum err http_parse_chunks(struct http_parser *parser, char *data, uint32_t count,
                                  uint32_t *payload, uint32_t *unused)
{
    uint32_t used;
    parser->out = data;
    parser->out_count = 0;
    llhttp_resume(http_inner(parser)); /* paused at the head's end */
    enum err err = http_execute(parser, data, count, &used);
    *payload = parser->out_count;
    *unused = count - used;
    return err ? err : http_pay_frames(parser, *payload, used - *payload);
}

enum err http_parse_body(struct http_parser *parser, char *data, uint32_t count, uint32_t *payload,
                         uint32_t *unused)
{
    CHECK(parser->head_done);
    *payload = *unused = 0;
    if (parser->body_done) {
        *unused = count;
        return ERR_NONE;
    }
    switch (parser->framing) {
    case HTTP_BODY_CHUNKED: return http_parse_chunks(parser, data, count, payload, unused);
    case HTTP_BODY_UNTIL_END: *payload = count; return ERR_NONE;
    case HTTP_BODY_COUNTED:
        *payload = (uint32_t)min_u64(count, parser->body_left);
        *unused = count - *payload;
        http_body_skip(parser, *payload);
        return ERR_NONE;
    case HTTP_BODY_NONE: break;
    }
    NEVER("a body that is not there is done");
}

uint64_t http_body_left(const struct http_parser *parser)
{
    CHECK(parser->head_done);
    if (parser->body_done) return 0;
    return parser->framing == HTTP_BODY_COUNTED ? parser->body_left : UINT64_MAX;
}

void http_body_skip(struct http_parser *parser, uint64_t count)
{
    CHECK(parser->framing == HTTP_BODY_COUNTED);
    CHECK(count <= parser->body_left);
    parser->body_left -= count;
    if (parser->body_left == 0) parser->body_done = true;
}

enum err http_parse_end(struct http_parser *parser)
{
    if (!parser->head_done) return ERR_CLOSED;
    if (parser->body_done) return ERR_NONE;
    if (parser->framing != HTTP_BODY_UNTIL_END) return ERR_CLOSED;
    parser->body_done = true;
    return ERR_NONE;
}

struct bytes http_header(const struct http_head *head, const char *name)
{
    struct bytes wanted = bytes_of(name);
    for (uint32_t i = 0; i < head->header_count; i++)
        if (bytes_equal_ignoring_case(head->headers[i].name, wanted)) return head->headers[i].value;
    return (struct bytes){NULL, 0};
}

const char *http_reason(uint32_t status)
{
    static const struct {
        uint32_t status;
        const char *reason;
    } rows[] = {
        {100, "Continue"},
        {200, "OK"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {416, "Range Not Satisfiable"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].status == status) return rows[i].reason;
    return "Unknown";
}
