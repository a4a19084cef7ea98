/* Which operation a head asks for; ranges; sources of copies. */
#include "tools/stowage_route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/limits.h"

static void parse_head(struct http_parser *parser, char *text)
{
    uint32_t bytes;
    http_parser_init(parser, HTTP_REQUEST, false);
    assert_int_equal(http_parse_head(parser, text, (uint32_t)strlen(text), &bytes), ERR_NONE);
    assert_true(parser->head_done);
}

static void assert_bytes(struct bytes b, const char *want)
{
    assert_int_equal(b.count, strlen(want));
    assert_memory_equal(b.data, want, b.count);
}

static const struct row {
    const char *line, *headers; /* request line without the version */
    enum stowage_error error;
    enum stowage_operation operation;
    const char *bucket, *key;
} rows[] = {
    {"GET /", "", 0, STOWAGE_LIST_BUCKETS, "", ""},
    {"PUT /b", "", 0, STOWAGE_CREATE_BUCKET, "b", ""},
    {"PUT /b/", "", 0, STOWAGE_CREATE_BUCKET, "b", ""},
    {"HEAD /b", "", 0, STOWAGE_HEAD_BUCKET, "b", ""},
    {"DELETE /b", "", 0, STOWAGE_DELETE_BUCKET, "b", ""},
    {"GET /b?location", "", 0, STOWAGE_GET_BUCKET_LOCATION, "b", ""},
    {"GET /b?prefix=x&marker=y", "", 0, STOWAGE_LIST_OBJECTS, "b", ""},
    {"GET /b?list-type=2", "", 0, STOWAGE_LIST_OBJECTS_V2, "b", ""},
    {"GET /b?uploads", "", 0, STOWAGE_LIST_UPLOADS, "b", ""},
    {"POST /b?delete", "", 0, STOWAGE_DELETE_OBJECTS, "b", ""},
    {"GET /b?versioning", "", 0, STOWAGE_READ_SETTING, "b", ""},
    {"PUT /b/k?acl", "", 0, STOWAGE_WRITE_SETTING, "b", "k"},
    {"GET /b/k", "", 0, STOWAGE_GET_OBJECT, "b", "k"},
    {"HEAD /b/k", "", 0, STOWAGE_HEAD_OBJECT, "b", "k"},
    {"PUT /b/k", "", 0, STOWAGE_PUT_OBJECT, "b", "k"},
    {"PUT /b/k", "x-amz-copy-source: /b/s\r\n", 0, STOWAGE_COPY_OBJECT, "b", "k"},
    {"DELETE /b/k", "", 0, STOWAGE_DELETE_OBJECT, "b", "k"},
    {"GET /b/k?attributes", "", 0, STOWAGE_GET_OBJECT_ATTRIBUTES, "b", "k"},
    {"POST /b/k?uploads", "", 0, STOWAGE_CREATE_UPLOAD, "b", "k"},
    {"PUT /b/k?partNumber=7&uploadId=u", "", 0, STOWAGE_UPLOAD_PART, "b", "k"},
    {"PUT /b/k?partNumber=7&uploadId=u", "X-Amz-Copy-Source: b/s\r\n", 0, STOWAGE_UPLOAD_PART_COPY,
     "b", "k"},
    {"POST /b/k?uploadId=u", "", 0, STOWAGE_COMPLETE_UPLOAD, "b", "k"},
    {"DELETE /b/k?uploadId=u", "", 0, STOWAGE_ABORT_UPLOAD, "b", "k"},
    {"GET /b/k?uploadId=u", "", 0, STOWAGE_LIST_PARTS, "b", "k"},
    /* keys are bytes: nothing is normalised */
    {"GET /b//k/../x/", "", 0, STOWAGE_GET_OBJECT, "b", "/k/../x/"},
    {"GET /b/a%20b+c%2F%25?x", "", 0, STOWAGE_GET_OBJECT, "b", "a b+c/%"},
    /* virtual hosts */
    {"GET /b/k", "host: buck.localhost:80\r\n", 0, STOWAGE_GET_OBJECT, "buck", "b/k"},
    {"GET /", "host: buck.localhost\r\n", 0, STOWAGE_LIST_OBJECTS, "buck", ""},
    {"GET /k", "host: buck.s3.eu-west-1.amazonaws.com\r\n", 0, STOWAGE_GET_OBJECT, "buck", "k"},
    {"GET /b/k", "host: s3.eu-west-1.amazonaws.com\r\n", 0, STOWAGE_GET_OBJECT, "b", "k"},
    {"GET /b/k", "host: localhost:80\r\n", 0, STOWAGE_GET_OBJECT, "b", "k"},
    /* refused */
    {"POST /", "", STOWAGE_ERROR_METHOD, 0, NULL, NULL},
    {"POST /b/k", "", STOWAGE_ERROR_METHOD, 0, NULL, NULL},
    {"PUT /b/k?partNumber=0&uploadId=u", "", STOWAGE_ERROR_ARGUMENT, 0, NULL, NULL},
    {"PUT /b/k?partNumber=10001&uploadId=u", "", STOWAGE_ERROR_ARGUMENT, 0, NULL, NULL},
    {"PUT /b/k?partNumber=1x&uploadId=u", "", STOWAGE_ERROR_ARGUMENT, 0, NULL, NULL},
};

static void test_operations(void **state)
{
    (void)state;
    static struct stowage_route route;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct http_parser parser;
        char text[512];
        snprintf(text, sizeof(text), "%s HTTP/1.1\r\n%s\r\n", row->line, row->headers);
        parse_head(&parser, text);
        enum stowage_error error = stowage_route_parse(&route, &parser.head);
        if (error != row->error || (!error && route.operation != row->operation))
            fail_msg("%s: error %d, %s", row->line, error, stowage_route_name(route.operation));
        if (error) continue;
        assert_bytes(route.bucket, row->bucket);
        assert_bytes(route.key, row->key);
    }
}

static void test_query(void **state)
{
    (void)state;
    static struct stowage_route route;
    struct http_parser parser;
    uint64_t value;
    char text[] = "GET /b?prefix=a%2Fb+c&empty=&flag&max-keys=17&part=x HTTP/1.1\r\n\r\n";
    parse_head(&parser, text);
    assert_int_equal(stowage_route_parse(&route, &parser.head), STOWAGE_ERROR_NONE);
    assert_bytes(stowage_route_param(&route, "prefix"), "a/b c");
    assert_bytes(stowage_route_param(&route, "empty"), "");
    assert_true(stowage_route_has(&route, "empty") && stowage_route_has(&route, "flag"));
    assert_false(stowage_route_has(&route, "pre"));
    assert_int_equal(stowage_route_number(&route, "max-keys", 20, 5, &value), 0);
    assert_int_equal(value, 17);
    assert_int_equal(stowage_route_number(&route, "none", 20, 5, &value), 0);
    assert_int_equal(value, 5);
    assert_int_equal(stowage_route_number(&route, "max-keys", 16, 5, &value),
                     STOWAGE_ERROR_ARGUMENT);
    assert_int_equal(stowage_route_number(&route, "part", 16, 5, &value), STOWAGE_ERROR_ARGUMENT);
}

static void test_long_key(void **state)
{
    (void)state;
    static struct stowage_route route;
    for (size_t count = KEY_BYTES_MAX; count <= KEY_BYTES_MAX + 1; count++) {
        char text[KEY_BYTES_MAX + 64] = "GET /b/";
        memset(text + 7, 'k', count);
        strcpy(text + 7 + count, " HTTP/1.1\r\n\r\n");
        struct http_parser parser;
        parse_head(&parser, text);
        assert_int_equal(stowage_route_parse(&route, &parser.head),
                         count > KEY_BYTES_MAX ? STOWAGE_ERROR_KEY_TOO_LONG : STOWAGE_ERROR_NONE);
    }
}

#define IGNORED UINT64_MAX

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        uint64_t size, first, count; /* count 0: not satisfiable */
    } table[] = {
        {"bytes=0-9", 100, 0, 10},
        {"bytes=0-0", 100, 0, 1},
        {"bytes=90-", 100, 90, 10},
        {"bytes=90-1000", 100, 90, 10},
        {"bytes=99-99", 100, 99, 1},
        {"bytes=-7", 100, 93, 7},
        {"bytes=-100", 100, 0, 100},
        {"bytes=-500", 100, 0, 100},
        {"Bytes = 1 - 2", 100, 1, 2},
        {"bytes=100-", 100, 0, 0},
        {"bytes=100-200", 100, 0, 0},
        {"bytes=-0", 100, 0, 0},
        {"bytes=0-", 0, 0, 0},
        {"bytes=-1", 0, 0, 0},
        {"bytes=5-4", 100, 0, IGNORED},
        {"bytes=-", 100, 0, IGNORED},
        {"bytes=a-b", 100, 0, IGNORED},
        {"bytes=1-2,4-5", 100, 0, IGNORED},
        {"items=1-2", 100, 0, IGNORED},
        {"", 100, 0, IGNORED},
        {"bytes=1", 100, 0, IGNORED},
        {"bytes=--1", 100, 0, IGNORED},
        {"bytes=0-18446744073709551615", 100, 0, 100},
        {"bytes=0-18446744073709551616", 100, 0, IGNORED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        uint64_t first, count;
        bool asked = stowage_route_range(bytes_of(table[i].range), table[i].size, &first, &count);
        if (count != table[i].count || asked != (count != 0 && count != IGNORED))
            fail_msg("%s: %d, %llu", table[i].range, asked, (unsigned long long)count);
        if (asked) assert_int_equal(first, table[i].first);
    }
}

static void test_copy_sources(void **state)
{
    (void)state;
    static const struct {
        const char *source, *bucket, *key; /* NULL: refused */
    } table[] = {
        {"/b/k", "b", "k"},     {"b/k", "b", "k"},  {"b%2Fk/a%20b?versionId=null", "b", "k/a b"},
        {"/b//k/", "b", "/k/"}, {"/b", NULL, NULL}, {"/b/", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        char area[64];
        struct writer w;
        struct bytes bucket, key;
        writer_init(&w, area, sizeof(area));
        enum stowage_error error =
            stowage_route_parse_source(bytes_of(table[i].source), &w, &bucket, &key);
        assert_int_equal(error, table[i].bucket ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_ARGUMENT);
        if (error) continue;
        assert_bytes(bucket, table[i].bucket);
        assert_bytes(key, table[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),   cmocka_unit_test(test_query),
        cmocka_unit_test(test_long_key),     cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_copy_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
