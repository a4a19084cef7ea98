/* Heads and bodies in rows, each fed whole and then split at every point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http.h"

struct row {
    const char *name;
    enum http_kind kind;
    bool no_body;
    const char *wire;
    enum err err;       /* of the head or the body */
    uint32_t status;    /* replies */
    const char *header; /* "name: value" that must be there, or NULL */
    const char *body;   /* decoded */
    uint32_t unused;    /* bytes behind the message */
    bool ends;          /* the body ends only with the stream */
    bool cut;           /* the stream's end is an error */
    bool closes;        /* not keep_alive */
};

static const struct row rows[] = {
    {.name = "counted",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"abc\"\r\n\r\nhello",
     .status = 200,
     .header = "etag: \"abc\"",
     .body = "hello"},
    {.name = "bytes behind",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1",
     .status = 200,
     .body = "hello",
     .unused = 8},
    {.name = "empty",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Empty:\r\nX-Space:  a b  \r\n\r\n",
     .status = 200,
     .header = "x-space: a b",
     .body = ""},
    {.name = "reply to HEAD",
     .kind = HTTP_REPLY,
     .no_body = true,
     .wire = "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n",
     .status = 200,
     .header = "content-length: 77",
     .body = ""},
    {.name = "204",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
     .status = 204,
     .body = "",
     .closes = true},
    {.name = "chunked",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n",
     .status = 200,
     .body = "hello 0123456789"},
    {.name = "chunked, bytes behind",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1",
     .status = 200,
     .body = "ok",
     .unused = 8},
    {.name = "chunked, cut",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
     .status = 200,
     .body = "hel",
     .cut = true},
    {.name = "counted, cut",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
     .status = 200,
     .body = "hel",
     .cut = true},
    {.name = "until the end",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 500 Oops\r\n\r\nall of this",
     .status = 500,
     .body = "all of this",
     .ends = true,
     .closes = true},
    {.name = "100 first",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\nHTTP/1.1 403 Forbidden\r\nX-New: 2\r\n"
             "Content-Length: 1\r\n\r\n!",
     .status = 403,
     .header = "x-new: 2",
     .body = "!"},
    {.name = "HTTP/1.0",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n!",
     .status = 200,
     .body = "!",
     .closes = true},
    {.name = "request",
     .kind = HTTP_REQUEST,
     .wire = "PUT /b/k?x=%20y HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n"
             "Expect: 100-Continue\r\n\r\nabcGET",
     .header = "host: h:1",
     .body = "abc",
     .unused = 3},
    {.name = "request without a body",
     .kind = HTTP_REQUEST,
     .wire = "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n",
     .body = "",
     .unused = 16},
    {.name = "not HTTP", .kind = HTTP_REPLY, .wire = "SSH-2.0-x\r\n", .err = ERR_HTTP_GARBAGE},
    {.name = "two lengths",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
     .err = ERR_HTTP_GARBAGE},
    {.name = "length and chunks",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     .err = ERR_HTTP_GARBAGE},
    {.name = "bad chunk size",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
     .err = ERR_HTTP_GARBAGE},
    {.name = "switching protocols",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nXXXX",
     .err = ERR_HTTP_GARBAGE},
    {.name = "folded value",
     .kind = HTTP_REPLY,
     .wire = "HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\n\r\n",
     .err = ERR_HTTP_GARBAGE},
};

struct result {
    enum err err;
    char body[256];
    uint32_t body_count, unused;
    char area[2048];
};

static void feed_body(struct http_parser *parser, struct result *r, char *data, uint32_t count)
{
    uint32_t payload, unused;
    if (count == 0) return;
    r->err = http_parse_body(parser, data, count, &payload, &unused);
    if (r->err) return;
    assert_true(payload + unused <= count);
    assert_true(r->body_count + payload < sizeof(r->body));
    memcpy(r->body + r->body_count, data, payload);
    r->body_count += payload;
    r->unused += unused;
}

/* The wire bytes arrive as two pieces; what is behind the head goes on as body. */
static void run(const struct row *row, uint32_t split, struct http_parser *parser, struct result *r)
{
    uint32_t count = (uint32_t)strlen(row->wire), head_bytes = 0, at = split;
    memset(r, 0, sizeof(*r));
    memcpy(r->area, row->wire, count);
    http_parser_init(parser, row->kind, row->no_body);
    r->err = http_parse_head(parser, r->area, split, &head_bytes);
    if (!r->err && !parser->head_done) {
        r->err = http_parse_head(parser, r->area, count, &head_bytes);
        at = count;
    }
    if (r->err) return;
    assert_true(parser->head_done);
    feed_body(parser, r, r->area + head_bytes, at - head_bytes);
    if (!r->err && at < count) feed_body(parser, r, r->area + at, count - at);
}

static void check_header(const struct row *row, const struct http_parser *parser)
{
    struct bytes value;
    if (!row->header) return;
    char name[64];
    struct bytes want, key = bytes_cut(bytes_of(row->header), ':', &want);
    assert_true(bytes_to_string(key, name, sizeof(name)));
    value = http_header(&parser->head, name);
    assert_non_null(value.data);
    assert_true(bytes_equal(value, bytes_trim(want)));
}

static void check_row(const struct row *row, uint32_t split)
{
    struct http_parser parser;
    struct result r;
    run(row, split, &parser, &r);
    if (r.err != row->err)
        fail_msg("%s, split %u: %s %s", row->name, split, err_name(r.err), parser.why);
    if (row->err) return;
    if (r.body_count != strlen(row->body) || memcmp(r.body, row->body, r.body_count))
        fail_msg("%s, split %u: body \"%.*s\"", row->name, split, (int)r.body_count, r.body);
    assert_int_equal(r.unused, row->unused);
    assert_int_equal(parser.head.keep_alive, !row->closes);
    if (row->kind == HTTP_REPLY) assert_int_equal(parser.head.status, row->status);
    check_header(row, &parser);
    assert_null(http_header(&parser.head, "x-old").data);
    assert_int_equal(parser.body_done, !row->ends && !row->cut);
    assert_int_equal(http_parse_end(&parser), row->cut ? ERR_CLOSED : ERR_NONE);
    assert_int_equal(parser.body_done, !row->cut);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (uint32_t split = 0; split <= strlen(rows[i].wire); split++)
            check_row(&rows[i], split);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct http_parser parser;
        char area[2048];
        uint32_t count = (uint32_t)strlen(row->wire), head_bytes = 0;
        struct result r;
        memset(&r, 0, sizeof(r));
        memcpy(area, row->wire, count);
        http_parser_init(&parser, row->kind, row->no_body);
        for (uint32_t at = 1; at <= count && !r.err; at++) {
            if (!parser.head_done)
                r.err = http_parse_head(&parser, area, at, &head_bytes);
            else
                feed_body(&parser, &r, area + at - 1, 1);
        }
        assert_int_equal(r.err, row->err);
        if (row->err) continue;
        check_header(row, &parser);
        assert_int_equal(r.body_count, strlen(row->body));
        assert_memory_equal(r.body, row->body, r.body_count);
    }
}

static void test_request_line(void **state)
{
    (void)state;
    struct http_parser parser;
    char area[] = "POST /b/k?uploads HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    uint32_t head_bytes;
    http_parser_init(&parser, HTTP_REQUEST, false);
    for (uint32_t i = 0; i < sizeof(area); i++)
        assert_int_equal(http_parse_head(&parser, area, i, &head_bytes), ERR_NONE);
    assert_int_equal(head_bytes, sizeof(area) - 1);
    assert_true(bytes_equal(parser.head.method, BYTES("POST")));
    assert_true(bytes_equal(parser.head.target, BYTES("/b/k?uploads")));
    assert_true(parser.head.expect_continue);
    assert_int_equal(parser.head.content_bytes, 9);
    assert_int_equal(http_body_left(&parser), 9);
    http_body_skip(&parser, 4);
    assert_int_equal(http_body_left(&parser), 5);
    assert_false(parser.body_done);
    http_body_skip(&parser, 5);
    assert_true(parser.body_done);
}

static void test_bounds(void **state)
{
    (void)state;
    static struct http_parser parser;
    static char area[HTTP_HEAD_BYTES_MAX + 1];
    uint32_t head_bytes, count = 0;
    count += (uint32_t)sprintf(area, "HTTP/1.1 200 OK\r\nX: ");
    memset(area + count, 'a', sizeof(area) - count);
    http_parser_init(&parser, HTTP_REPLY, false);
    assert_int_equal(http_parse_head(&parser, area, HTTP_HEAD_BYTES_MAX - 1, &head_bytes),
                     ERR_NONE);
    assert_int_equal(http_parse_head(&parser, area, HTTP_HEAD_BYTES_MAX, &head_bytes),
                     ERR_HTTP_HEAD_SIZE);

    for (uint32_t headers = HTTP_HEADERS_MAX; headers <= HTTP_HEADERS_MAX + 1; headers++) {
        count = (uint32_t)sprintf(area, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n");
        for (uint32_t i = 1; i < headers; i++)
            count += (uint32_t)sprintf(area + count, "N: v\r\n");
        count += (uint32_t)sprintf(area + count, "\r\n");
        http_parser_init(&parser, HTTP_REPLY, false);
        assert_int_equal(http_parse_head(&parser, area, count, &head_bytes),
                         headers > HTTP_HEADERS_MAX ? ERR_HTTP_HEAD_SIZE : ERR_NONE);
    }
}

static void test_trailer_bound(void **state)
{
    (void)state;
    static struct http_parser parser;
    char area[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    char chunks[] = "0\r\n";
    uint32_t head_bytes, payload, unused;
    enum err err = ERR_NONE;
    http_parser_init(&parser, HTTP_REPLY, false);
    assert_int_equal(http_parse_head(&parser, area, sizeof(area) - 1, &head_bytes), ERR_NONE);
    assert_int_equal(http_parse_body(&parser, chunks, 3, &payload, &unused), ERR_NONE);
    for (uint32_t i = 0; i < HTTP_HEAD_BYTES_MAX && !err; i++) {
        char line[] = "Name: value\r\n";
        err = http_parse_body(&parser, line, sizeof(line) - 1, &payload, &unused);
    }
    assert_int_equal(err, ERR_HTTP_HEAD_SIZE);
}

/* `text` again and again, as a chunked body. */
static enum err chunks_of(const char *text, uint32_t times)
{
    static struct http_parser parser;
    char area[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", piece[64];
    uint32_t head_bytes, payload, unused;
    enum err err = ERR_NONE;
    http_parser_init(&parser, HTTP_REPLY, false);
    assert_int_equal(http_parse_head(&parser, area, sizeof(area) - 1, &head_bytes), ERR_NONE);
    for (uint32_t i = 0; i < times && !err; i++) {
        uint32_t count = (uint32_t)sprintf(piece, "%s", text);
        err = http_parse_body(&parser, piece, count, &payload, &unused);
    }
    return err;
}

/* Framing without payload has an end; small chunks have none. */
static void test_chunk_bounds(void **state)
{
    (void)state;
    assert_int_equal(chunks_of("0", HTTP_HEAD_BYTES_MAX + 1), ERR_HTTP_HEAD_SIZE);
    assert_int_equal(chunks_of("0", HTTP_HEAD_BYTES_MAX), ERR_NONE);
    assert_int_equal(chunks_of("1;x=y\r\na\r\n", 100000), ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_request_line),  cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_trailer_bound), cmocka_unit_test(test_chunk_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
