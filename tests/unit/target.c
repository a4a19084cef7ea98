#include "s3/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct endpoint_row {
    const char *url, *region;
    enum addressing addressing;
    /* expected; host NULL: refused, with `why` in the sentence */
    const char *host;
    bool tls;
    uint16_t port;
    const char *out_region;
    uint32_t out_addressing; /* or G */
    const char *why;
};

#define P ADDRESSING_PATH
#define V ADDRESSING_VIRTUAL
#define A ADDRESSING_AUTO
#define G 3 /* virtual as a guess */

static const struct endpoint_row endpoint_rows[] = {
    {NULL, NULL, A, "s3.us-east-1.amazonaws.com", true, 443, "us-east-1", V, ""},
    {"", "eu-central-1", A, "s3.eu-central-1.amazonaws.com", true, 443, "eu-central-1", V, ""},
    {NULL, "cn-north-1", A, "s3.cn-north-1.amazonaws.com.cn", true, 443, "cn-north-1", V, ""},
    {NULL, "eu-west-1", P, "s3.eu-west-1.amazonaws.com", true, 443, "eu-west-1", P, ""},
    {"https://s3.eu-west-3.amazonaws.com", NULL, A, "s3.eu-west-3.amazonaws.com", true, 443,
     "eu-west-3", V, ""},
    {"https://s3.dualstack.eu-west-3.amazonaws.com", NULL, A,
     "s3.dualstack.eu-west-3.amazonaws.com", true, 443, "eu-west-3", V, ""},
    {"https://s3.amazonaws.com", NULL, A, "s3.amazonaws.com", true, 443, "us-east-1", V, ""},
    {"http://127.0.0.1:9000", NULL, A, "127.0.0.1", false, 9000, "us-east-1", P, ""},
    {"http://127.0.0.1:9000/", NULL, A, "127.0.0.1", false, 9000, "us-east-1", P, ""},
    {"http://localhost", "x", A, "localhost", false, 80, "x", P, ""},
    {"https://[::1]:8443", NULL, A, "::1", true, 8443, "us-east-1", P, ""},
    {"https://[2001:db8::2]", NULL, A, "2001:db8::2", true, 443, "us-east-1", P, ""},
    {"HTTPS://S3.Example.ORG", NULL, A, "s3.example.org", true, 443, "us-east-1", G, ""},
    {"http://s3.example.org:7480", NULL, P, "s3.example.org", false, 7480, "us-east-1", P, ""},
    {"http://minio:9000", NULL, A, "minio", false, 9000, "us-east-1", P, ""},
    {"http://s3.localhost:9000", NULL, A, "s3.localhost", false, 9000, "us-east-1", P, ""},
    {"https://s3.example.org", NULL, V, "s3.example.org", true, 443, "us-east-1", V, ""},
    {"https://amazonaws.com.example.org", NULL, A, "amazonaws.com.example.org", true, 443,
     "us-east-1", G, ""},
    {"s3.example.org", NULL, A, NULL, .why = "http://"},
    {"ftp://s3.example.org", NULL, A, NULL, .why = "http://"},
    {"http://", NULL, A, NULL, .why = "missing"},
    {"http://:80", NULL, A, NULL, .why = "missing"},
    {"http://h:0", NULL, A, NULL, .why = "port"},
    {"http://h:", NULL, A, NULL, .why = "port"},
    {"http://h:65536", NULL, A, NULL, .why = "port"},
    {"http://h:8o", NULL, A, NULL, .why = "port"},
    {"http://h/path", NULL, A, NULL, .why = "path"},
    {"http://h/?x", NULL, A, NULL, .why = "path"},
    {"http://h?x", NULL, A, NULL, .why = "path"},
    {"http://h#x", NULL, A, NULL, .why = "path"},
    {"http://me:pass@h", NULL, A, NULL, .why = "user name"},
    {"http://[::1", NULL, A, NULL, .why = "IPv6"},
    {"http://[::1]x", NULL, A, NULL, .why = "IPv6"},
    {"http://[127.0.0.1]", NULL, A, NULL, .why = "IPv6"},
    {"http://[]", NULL, A, NULL, .why = "IPv6"},
    {"http://[::1]:", NULL, A, NULL, .why = "port"},
    {"http://a b", NULL, A, NULL, .why = "character"},
    {"http://a\r\nb", NULL, A, NULL, .why = "character"},
    {"http://10.0.0.1", NULL, V, NULL, .why = "IP address"},
    {"http://h", "eu/west", A, NULL, .why = "region"},
    {NULL, "eu-west-1\r\n", A, NULL, .why = "region"},
};

static void test_endpoints(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(endpoint_rows); i++) {
        const struct endpoint_row *row = &endpoint_rows[i];
        struct endpoint_options options = {
            .url = row->url, .region = row->region, .addressing = row->addressing};
        struct endpoint endpoint;
        char why[TARGET_WHY_BYTES];
        enum err err = target_parse_endpoint(&endpoint, &options, why);

        if (!row->host) {
            assert_int_equal(err, ERR_USAGE);
            if (!strstr(why, row->why)) fail_msg("row %zu: \"%s\"", i, why);
            continue;
        }
        if (err) fail_msg("row %zu: %s", i, why);
        assert_string_equal(endpoint.host, row->host);
        assert_int_equal(endpoint.tls, row->tls);
        assert_int_equal(endpoint.port, row->port);
        assert_string_equal(endpoint.region, row->out_region);
        bool guess = row->out_addressing == G;
        assert_int_equal(endpoint.addressing, guess ? V : row->out_addressing);
        assert_int_equal(endpoint.is_guess, guess);
        assert_string_equal(why, "");
    }
}

static void test_long_hosts(void **state)
{
    char url[400] = "http://";
    struct endpoint_options options = {.url = url};
    struct endpoint endpoint;
    char why[TARGET_WHY_BYTES];

    (void)state;
    memset(url + 7, 'a', HOST_BYTES_MAX);
    assert_int_equal(target_parse_endpoint(&endpoint, &options, why), ERR_NONE);
    memset(url + 7, 'a', HOST_BYTES_MAX + 1);
    assert_int_equal(target_parse_endpoint(&endpoint, &options, why), ERR_USAGE);
    assert_non_null(strstr(why, "too long"));
}

static void test_uris(void **state)
{
    static const struct {
        const char *text, *bucket, *key; /* bucket NULL: refused */
        const char *why;
    } rows[] = {
        {"s3://bucket/key", "bucket", "key", ""},
        {"s3://bucket", "bucket", "", ""},
        {"s3://bucket/", "bucket", "", ""},
        {"s3://bucket//key//", "bucket", "/key//", ""},
        {"s3://bucket/a/../b/./c", "bucket", "a/../b/./c", ""},
        {"s3://bucket/a%20b+c d?x=y#z", "bucket", "a%20b+c d?x=y#z", ""},
        {"s3://bucket/\xc3\xa9\xe6\x97\xa5\xf0\x9f\x9a\xa2", "bucket",
         "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x9a\xa2", ""},
        {"s3://my.dotted.bucket/k", "my.dotted.bucket", "k", ""},
        {"s3://Old_Bucket/k", "Old_Bucket", "k", ""},
        {"s3://abc", "abc", "", ""},
        {"s3://", NULL, NULL, "3 to 63"},
        {"s3:///key", NULL, NULL, "3 to 63"},
        {"s3://ab/key", NULL, NULL, "3 to 63"},
        {"s3://a234567890123456789012345678901234567890123456789012345678901234/k", NULL, NULL,
         "3 to 63"},
        {"s3://a23456789012345678901234567890123456789012345678901234567890123/k",
         "a23456789012345678901234567890123456789012345678901234567890123", "k", ""},
        {"s3://a..b/k", NULL, NULL, "dots"},
        {"s3://-ab/k", NULL, NULL, "begin"},
        {"s3://ab-/k", NULL, NULL, "begin"},
        {"s3://a b/k", NULL, NULL, "letters"},
        {"s3://b\xc3\xa9t/k", NULL, NULL, "letters"},
        {"s3://192.168.1.1/k", NULL, NULL, "IP address"},
        {"s3://bucket/\xff", NULL, NULL, "UTF-8"},
        {"s3://bucket/\xc0\xaf", NULL, NULL, "UTF-8"},
        {"s3:/bucket/key", NULL, NULL, "s3://"},
        {"S3://bucket/key", NULL, NULL, "s3://"},
        {"/bucket/key", NULL, NULL, "s3://"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct uri uri;
        char why[TARGET_WHY_BYTES];
        enum err err = target_parse_uri(&uri, rows[i].text, why);

        if (!rows[i].bucket) {
            assert_int_equal(err, ERR_URI);
            if (!strstr(why, rows[i].why)) fail_msg("row %zu: \"%s\"", i, why);
            continue;
        }
        if (err) fail_msg("row %zu: %s", i, why);
        assert_string_equal(uri.bucket, rows[i].bucket);
        assert_string_equal(uri.key, rows[i].key);
        assert_int_equal(uri.key_bytes, strlen(rows[i].key));
    }
}

static void test_keys_have_1024_bytes(void **state)
{
    char text[1100] = "s3://bucket/";
    struct uri uri;
    char why[TARGET_WHY_BYTES];

    (void)state;
    memset(text + 12, 'k', 1024);
    assert_int_equal(target_parse_uri(&uri, text, why), ERR_NONE);
    assert_int_equal(uri.key_bytes, 1024);
    assert_int_equal(target_check_key(bytes_of(text + 12)), ERR_NONE);
    text[12 + 1024] = 'k';
    assert_int_equal(target_parse_uri(&uri, text, why), ERR_URI);
    assert_non_null(strstr(why, "1025"));
    assert_int_equal(target_check_key(bytes_of(text + 12)), ERR_KEY);
    assert_int_equal(target_check_key(BYTES("")), ERR_KEY);
    assert_int_equal(target_check_key(BYTES("a\xed\xa0\x80")), ERR_KEY);
}

static void test_hosts_and_paths(void **state)
{
    static const struct {
        const char *url;
        enum addressing addressing;
        const char *bucket, *key, *name, *host, *path;
    } rows[] = {
        {"http://h:9000", P, "buc", "a/b", "h", "h:9000", "/buc/a/b"},
        {"http://h:80", P, "buc", "", "h", "h", "/buc"},
        {"http://h:443", P, "", "", "h", "h:443", "/"},
        {"https://h:443", P, "buc", "/k", "h", "h", "/buc//k"},
        {"https://h", V, "buc", "k", "buc.h", "buc.h", "/k"},
        {"https://h:8443", V, "buc", "", "buc.h", "buc.h:8443", "/"},
        {"https://h", V, "", "", "h", "h", "/"},
        {"https://h", V, "b.c", "k", "h", "h", "/b.c/k"},
        {"http://h", V, "b.c", "k", "b.c.h", "b.c.h", "/k"},
        {"http://[::1]:99", P, "buc", "k", "::1", "[::1]:99", "/buc/k"},
        {"http://h", P, "buc", "a b+c%/\xc3\xa9=&?~-_.", "h", "h",
         "/buc/a%20b%2Bc%25/%C3%A9%3D%26%3F~-_."},
        {"http://h", P, "buc", "a/../b//./\x01\x7f", "h", "h", "/buc/a/../b//./%01%7F"},
        {"http://h", P, "buc", "!'()*:@,;$[]", "h", "h",
         "/buc/%21%27%28%29%2A%3A%40%2C%3B%24%5B%5D"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct endpoint_options options = {.url = rows[i].url, .addressing = rows[i].addressing};
        struct endpoint endpoint;
        char why[TARGET_WHY_BYTES], area[3][512];
        struct writer name, host, path;

        assert_int_equal(target_parse_endpoint(&endpoint, &options, why), ERR_NONE);
        writer_init(&name, area[0], sizeof(area[0]));
        writer_init(&host, area[1], sizeof(area[1]));
        writer_init(&path, area[2], sizeof(area[2]));
        target_name(&endpoint, bytes_of(rows[i].bucket), &name);
        target_host(&endpoint, bytes_of(rows[i].bucket), &host);
        target_path(&endpoint, bytes_of(rows[i].bucket), bytes_of(rows[i].key), &path);
        assert_string_equal(writer_string(&name), rows[i].name);
        assert_string_equal(writer_string(&host), rows[i].host);
        assert_string_equal(writer_string(&path), rows[i].path);
    }
}

/* Every byte, there and back, and the longest path fits its bound. */
static void test_escaping_round_trip(void **state)
{
    char raw[256], escaped[3 * 256], back[256], longest[TARGET_PATH_BYTES], key[KEY_BYTES_MAX];
    char bucket[BUCKET_NAME_BYTES_MAX];
    struct endpoint endpoint = {.addressing = P};
    struct writer out, in, path;

    (void)state;
    for (int i = 0; i < 256; i++)
        raw[i] = (char)i;
    for (int keep_slash = 0; keep_slash < 2; keep_slash++) {
        writer_init(&out, escaped, sizeof(escaped));
        target_escape(&out, (struct bytes){raw, sizeof(raw)}, keep_slash);
        assert_false(out.overflow);
        assert_int_equal(memchr(escaped, '/', out.count) != NULL, keep_slash);
        writer_init(&in, back, sizeof(back));
        target_unescape(&in, writer_bytes(&out), true);
        assert_int_equal(in.count, sizeof(raw));
        assert_memory_equal(back, raw, sizeof(raw));
    }
    memset(key, '\x80', sizeof(key));
    memset(bucket, '_', sizeof(bucket));
    writer_init(&path, longest, sizeof(longest));
    target_path(&endpoint, (struct bytes){bucket, sizeof(bucket)}, (struct bytes){key, sizeof(key)},
                &path);
    assert_false(path.overflow);
}

static void test_unescape(void **state)
{
    static const struct {
        const char *escaped;
        bool plus_is_space;
        const char *raw;
    } rows[] = {
        {"a+b%2Bc%2bd", true, "a b+c+d"},
        {"a+b", false, "a+b"},
        {"%", true, "%"},
        {"%4", true, "%4"},
        {"%4g", true, "%4g"},
        {"%%41", true, "%A"},
        {"%2541", true, "%41"},
        {"", true, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char area[64];
        struct writer w;

        writer_init(&w, area, sizeof(area));
        target_unescape(&w, bytes_of(rows[i].escaped), rows[i].plus_is_space);
        assert_string_equal(writer_string(&w), rows[i].raw);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_long_hosts),
        cmocka_unit_test(test_uris),
        cmocka_unit_test(test_keys_have_1024_bytes),
        cmocka_unit_test(test_hosts_and_paths),
        cmocka_unit_test(test_escaping_round_trip),
        cmocka_unit_test(test_unescape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
