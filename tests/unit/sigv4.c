#include "s3/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"

#define HEADERS_MAX 8
#define WELCOME     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

struct identity {
    const char *access_key, *secret_key, *region;
    const char *date, *time;
    uint64_t wall_ns;
};

/* The account of AWS's documentation. */
static const struct identity aws = {"AKIAIOSFODNN7EXAMPLE",
                                    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                    "us-east-1",
                                    "20130524",
                                    "20130524T000000Z",
                                    1369353600 * NS_PER_S};
/* An account with odd characters, for rows whose signatures botocore 1.29 computed. */
static const struct identity odd = {"AK/ID",    "se/cr+et",         "eu-west-1",
                                    "20240229", "20240229T123456Z", 1709210096 * NS_PER_S};

struct row {
    const struct identity *identity;
    const char *method, *path, *query, *payload_hash;
    const char *headers[HEADERS_MAX][2]; /* host and others, in an arbitrary order */
    const char *signed_headers, *signature;
};

static const struct row rows[] = {
    /* AWS, "Transferring Payload in a Single Chunk": get object, put object, lifecycle, list */
    {&aws,
     "GET",
     "/test.txt",
     "",
     SIGV4_EMPTY_SHA256,
     {{"Host", "examplebucket.s3.amazonaws.com"},
      {"Range", "bytes=0-9"},
      {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
      {"x-amz-date", "20130524T000000Z"}},
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {&aws,
     "PUT",
     "/test%24file.text",
     "",
     WELCOME,
     {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"x-amz-content-sha256", WELCOME},
      {"x-amz-date", "20130524T000000Z"},
      {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
      {"Host", "examplebucket.s3.amazonaws.com"}},
     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {&aws,
     "GET",
     "/",
     "lifecycle",
     SIGV4_EMPTY_SHA256,
     {{"host", "examplebucket.s3.amazonaws.com"},
      {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
      {"x-amz-date", "20130524T000000Z"}},
     "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {&aws,
     "GET",
     "/",
     "prefix=J&max-keys=2",
     SIGV4_EMPTY_SHA256,
     {{"host", "examplebucket.s3.amazonaws.com"},
      {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
      {"x-amz-date", "20130524T000000Z"}},
     "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    /* botocore */
    {&odd,
     "PUT",
     "/bucket/a%20b%2Bc%25/%C3%A9/..//x",
     "uploadId=2~ab%2Fc%3D%3D&partNumber=10",
     SIGV4_EMPTY_SHA256,
     {{"x-amz-checksum-crc32c", "AAAAAA=="},
      {"X-Amz-Meta-Note", "  a   b  c "},
      {"Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="},
      {"X-Amz-Date", "20240229T123456Z"},
      {"X-Amz-Content-SHA256", SIGV4_EMPTY_SHA256},
      {"host", "127.0.0.1:9000"}},
     "content-md5;host;x-amz-checksum-crc32c;x-amz-content-sha256;x-amz-date;x-amz-meta-note",
     "81f3f0550e173a629d9e835e5b8ed450b5efbb998494defecfe144cd9fbcf5c0"},
    {&odd,
     "GET",
     "/",
     "prefix=a%2Fb&list-type=2&delimiter=%2F&max-keys=1000&a-b=1&a=2&a=1&continuation-token=",
     SIGV4_EMPTY_SHA256,
     {{"Host", "b.s3.eu-west-1.amazonaws.com"},
      {"X-Amz-Date", "20240229T123456Z"},
      {"X-Amz-Content-SHA256", SIGV4_EMPTY_SHA256}},
     "host;x-amz-content-sha256;x-amz-date",
     "4af66a9e6e0a60fa6f03b1d5f3f821b98de67468e196d2fb4d76a59c1fbc711a"},
};

static uint32_t headers_of(const struct row *row, struct http_header *headers)
{
    uint32_t count = 0;

    for (; count < HEADERS_MAX && row->headers[count][0]; count++)
        headers[count] = (struct http_header){bytes_of(row->headers[count][0]),
                                              bytes_of(row->headers[count][1])};
    return count;
}

static struct sigv4_request request_of(const struct row *row, struct http_header *headers)
{
    return (struct sigv4_request){.method = bytes_of(row->method),
                                  .path = bytes_of(row->path),
                                  .query = bytes_of(row->query),
                                  .headers = headers,
                                  .header_count = headers_of(row, headers),
                                  .payload_hash = bytes_of(row->payload_hash),
                                  .wall_ns = row->identity->wall_ns};
}

static void test_published_signatures(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        const struct identity *who = row->identity;
        struct http_header headers[HEADERS_MAX];
        struct sigv4_request request = request_of(row, headers);
        char area[SIGV4_AUTHORIZATION_BYTES], expected[1024], hex[SIGV4_HEX_BYTES];
        struct sigv4_key key;
        struct writer w;

        sigv4_key_init(&key, who->access_key, who->secret_key, who->region);
        assert_int_equal(sigv4_signature(&key, &request, hex), ERR_NONE);
        assert_string_equal(hex, row->signature);
        writer_init(&w, area, sizeof(area));
        assert_int_equal(sigv4_sign(&key, &request, &w), ERR_NONE);
        snprintf(expected, sizeof(expected),
                 "AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request, SignedHeaders=%s, "
                 "Signature=%s",
                 who->access_key, who->date, who->region, row->signed_headers, row->signature);
        assert_string_equal(writer_string(&w), expected);
        sigv4_key_fini(&key);
    }
}

/* The cached key changes with the day, and comes back the same. */
static void test_the_day_changes(void **state)
{
    struct http_header headers[HEADERS_MAX];
    struct sigv4_request request = request_of(&rows[0], headers);
    char first[SIGV4_HEX_BYTES], other[SIGV4_HEX_BYTES];
    struct sigv4_key key;

    (void)state;
    sigv4_key_init(&key, aws.access_key, aws.secret_key, aws.region);
    for (int day = 1; day <= 3; day++) {
        request.wall_ns = aws.wall_ns + (uint64_t)day * 86400 * NS_PER_S;
        assert_int_equal(sigv4_signature(&key, &request, other), ERR_NONE);
        assert_string_not_equal(other, rows[0].signature);
        request.wall_ns = aws.wall_ns;
        assert_int_equal(sigv4_signature(&key, &request, first), ERR_NONE);
        assert_string_equal(first, rows[0].signature);
    }
}

static void test_headers_of_one_name_are_joined(void **state)
{
    struct http_header twice[] = {
        {BYTES("x-a"), BYTES("1")}, {BYTES("host"), BYTES("h")}, {BYTES("X-A"), BYTES(" 2 ")}};
    struct http_header once[] = {{BYTES("host"), BYTES("h")}, {BYTES("x-a"), BYTES("1,2")}};
    struct sigv4_request a = {.method = BYTES("GET"),
                              .path = BYTES("/"),
                              .headers = twice,
                              .header_count = 3,
                              .payload_hash = BYTES(SIGV4_UNSIGNED),
                              .wall_ns = aws.wall_ns};
    struct sigv4_request b = a;
    char hex_a[SIGV4_HEX_BYTES], hex_b[SIGV4_HEX_BYTES];
    struct sigv4_key key;

    (void)state;
    b.headers = once;
    b.header_count = 2;
    sigv4_key_init(&key, aws.access_key, aws.secret_key, aws.region);
    assert_int_equal(sigv4_signature(&key, &a, hex_a), ERR_NONE);
    assert_int_equal(sigv4_signature(&key, &b, hex_b), ERR_NONE);
    assert_string_equal(hex_a, hex_b);
}

/* --- the server's side --- */

static void head_of(const struct row *row, struct bytes authorization, struct http_head *head)
{
    *head = (struct http_head){.method = bytes_of(row->method)};
    head->header_count = headers_of(row, head->headers);
    if (authorization.count > 0)
        head->headers[head->header_count++] =
            (struct http_header){BYTES("Authorization"), authorization};
}

static enum err verify(const struct row *row, const struct http_head *head, const char *path,
                       const char *query)
{
    char area[1024];
    struct sigv4_claim claim;
    struct sigv4_key key;
    struct writer scratch;
    enum err err;

    writer_init(&scratch, area, sizeof(area));
    err = sigv4_parse_claim(head, bytes_of(query), &scratch, &claim);
    if (err) return err;
    assert_true(bytes_equal(claim.access_key, bytes_of(row->identity->access_key)));
    sigv4_key_init(&key, row->identity->access_key, row->identity->secret_key,
                   row->identity->region);
    return sigv4_verify(&key, &claim, head, bytes_of(path), bytes_of(query));
}

static void test_what_is_signed_verifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct http_header headers[HEADERS_MAX];
        struct sigv4_request request = request_of(row, headers);
        char area[SIGV4_AUTHORIZATION_BYTES];
        struct http_head head;
        struct sigv4_key key;
        struct writer w;

        sigv4_key_init(&key, row->identity->access_key, row->identity->secret_key,
                       row->identity->region);
        writer_init(&w, area, sizeof(area));
        assert_int_equal(sigv4_sign(&key, &request, &w), ERR_NONE);
        head_of(row, writer_bytes(&w), &head);
        assert_int_equal(verify(row, &head, row->path, row->query), ERR_NONE);

        /* any change of what was signed is found */
        assert_int_equal(verify(row, &head, "/other", row->query), ERR_CREDENTIALS);
        assert_int_equal(verify(row, &head, row->path, "other"), ERR_CREDENTIALS);
        head.method = BYTES("DELETE");
        assert_int_equal(verify(row, &head, row->path, row->query), ERR_CREDENTIALS);
        head.method = bytes_of(row->method);
        head.headers[0].value = BYTES("other");
        assert_int_not_equal(verify(row, &head, row->path, row->query), ERR_NONE);
        head.headers[0].name = BYTES("other");
        assert_int_not_equal(verify(row, &head, row->path, row->query), ERR_NONE);
        /* and so is any change of the signature */
        head_of(row, writer_bytes(&w), &head);
        area[w.count - 1] = area[w.count - 1] == '0' ? '1' : '0';
        assert_int_equal(verify(row, &head, row->path, row->query), ERR_CREDENTIALS);
    }
}

/* A client may leave characters unescaped that the canonical form escapes. */
static void test_other_escaping_verifies(void **state)
{
    const struct row *row = &rows[1];
    struct http_header headers[HEADERS_MAX];
    struct sigv4_request request = request_of(row, headers);
    char area[SIGV4_AUTHORIZATION_BYTES];
    struct http_head head;
    struct sigv4_key key;
    struct writer w;

    (void)state;
    sigv4_key_init(&key, aws.access_key, aws.secret_key, aws.region);
    writer_init(&w, area, sizeof(area));
    assert_int_equal(sigv4_sign(&key, &request, &w), ERR_NONE);
    head_of(row, writer_bytes(&w), &head);
    assert_int_equal(verify(row, &head, "/test$file.text", ""), ERR_NONE);
    assert_int_equal(verify(row, &head, "/%74est%24file.text", ""), ERR_NONE);
}

#define PRESIGNED                                                                                  \
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"         \
    "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"                \
    "&X-Amz-SignedHeaders=host&X-Amz-Signature="                                                   \
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

/* AWS, "Authenticating Requests: Using Query Parameters". */
static void test_presigned(void **state)
{
    const struct row row = {&aws, "GET", "/test.txt",
                            .headers = {{"host", "examplebucket.s3.amazonaws.com"}}};
    char area[1024];
    struct sigv4_claim claim;
    struct http_head head;
    struct writer scratch;

    (void)state;
    head_of(&row, (struct bytes){0}, &head);
    assert_int_equal(verify(&row, &head, "/test.txt", PRESIGNED), ERR_NONE);
    assert_int_equal(verify(&row, &head, "/test2.txt", PRESIGNED), ERR_CREDENTIALS);
    assert_int_equal(verify(&row, &head, "/test.txt", PRESIGNED "&x=1"), ERR_CREDENTIALS);
    writer_init(&scratch, area, sizeof(area));
    assert_int_equal(sigv4_parse_claim(&head, BYTES(PRESIGNED), &scratch, &claim), ERR_NONE);
    assert_true(claim.presigned);
    assert_int_equal(claim.expires_s, 86400);
    writer_init(&scratch, area, 20);
    assert_int_equal(sigv4_parse_claim(&head, BYTES(PRESIGNED), &scratch, &claim), ERR_REQUEST);
}

#define CREDENTIAL "Credential=A/20130524/us-east-1/s3/aws4_request"
#define SIGNATURE  "Signature=" WELCOME

static void test_broken_claims(void **state)
{
    static const struct {
        const char *authorization, *time, *query;
        enum err err;
    } claims[] = {
        {"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host," SIGNATURE, "20130524T000000Z", "",
         ERR_NONE},
        {"AWS4-HMAC-SHA256 " SIGNATURE ",   SignedHeaders=host, " CREDENTIAL, "20130524T000000Z",
         "", ERR_NONE},
        {NULL, "20130524T000000Z", "", ERR_CREDENTIALS},
        {NULL, "20130524T000000Z", "list-type=2", ERR_CREDENTIALS},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host," SIGNATURE, NULL, "", ERR_REQUEST},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host," SIGNATURE, "today", "", ERR_REQUEST},
        {"AWS4-HMAC-SHA512 " CREDENTIAL ",SignedHeaders=host," SIGNATURE, "20130524T000000Z", "",
         ERR_REQUEST},
        {"AWS A:x", "20130524T000000Z", "", ERR_REQUEST},
        {"AWS4-HMAC-SHA256", "20130524T000000Z", "", ERR_REQUEST},
        {"AWS4-HMAC-SHA256 ,,,=,==", "20130524T000000Z", "", ERR_REQUEST},
        {"AWS4-HMAC-SHA256 " CREDENTIAL "," SIGNATURE, "20130524T000000Z", "", ERR_REQUEST},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host", "20130524T000000Z", "", ERR_REQUEST},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host,Signature=ab", "20130524T000000Z", "",
         ERR_REQUEST},
        {"AWS4-HMAC-SHA256 Credential=A/s3/aws4_request,SignedHeaders=host," SIGNATURE,
         "20130524T000000Z", "", ERR_REQUEST},
        {"AWS4-HMAC-SHA256 Credential=A/1/2/3/4,SignedHeaders=host," SIGNATURE, "20130524T000000Z",
         "", ERR_REQUEST},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(claims); i++) {
        struct http_head head = {.method = BYTES("GET")};
        char area[256];
        struct sigv4_claim claim;
        struct writer scratch;

        if (claims[i].authorization)
            head.headers[head.header_count++] =
                (struct http_header){BYTES("authorization"), bytes_of(claims[i].authorization)};
        if (claims[i].time)
            head.headers[head.header_count++] =
                (struct http_header){BYTES("x-amz-date"), bytes_of(claims[i].time)};
        writer_init(&scratch, area, sizeof(area));
        if (sigv4_parse_claim(&head, bytes_of(claims[i].query), &scratch, &claim) != claims[i].err)
            fail_msg("row %zu", i);
    }
}

static void test_too_much(void **state)
{
    static char query[SIGV4_QUERY_MAX * 2 + 8], value[32 * KIB];
    struct http_header headers[SIGV4_HEADERS_MAX + 1];
    struct sigv4_request request = {.method = BYTES("GET"),
                                    .path = BYTES("/"),
                                    .headers = headers,
                                    .header_count = 1,
                                    .payload_hash = BYTES(SIGV4_UNSIGNED),
                                    .wall_ns = aws.wall_ns};
    char hex[SIGV4_HEX_BYTES];
    struct sigv4_key key;

    (void)state;
    sigv4_key_init(&key, aws.access_key, aws.secret_key, aws.region);
    for (uint32_t i = 0; i <= SIGV4_HEADERS_MAX; i++)
        headers[i] = (struct http_header){BYTES("x"), BYTES("y")};
    for (uint32_t i = 0; i < SIGV4_QUERY_MAX; i++)
        memcpy(query + 2 * i, "a&", 3);
    request.query = bytes_of(query);
    assert_int_equal(sigv4_signature(&key, &request, hex), ERR_NONE);
    strcat(query, "b");
    request.query = bytes_of(query);
    assert_int_equal(sigv4_signature(&key, &request, hex), ERR_REQUEST);
    assert_string_equal(hex, "");
    request.query = (struct bytes){0};
    request.header_count = SIGV4_HEADERS_MAX + 1;
    assert_int_equal(sigv4_signature(&key, &request, hex), ERR_REQUEST);
    request.header_count = 1;
    memset(value, 'v', sizeof(value));
    headers[0].value = (struct bytes){value, sizeof(value)};
    assert_int_equal(sigv4_signature(&key, &request, hex), ERR_REQUEST);
    headers[0].name = (struct bytes){value, 2000};
    headers[0].value = BYTES("");
    assert_int_equal(sigv4_signature(&key, &request, hex), ERR_REQUEST);
}

/* The budget is 4 µs; ten times that tells a lost cache or an allocation, not a busy machine. The
 * best of several rounds is printed. */
static void test_cost(void **state)
{
    struct http_header headers[HEADERS_MAX];
    struct sigv4_request request = request_of(&rows[4], headers);
    uint64_t best_ns = UINT64_MAX;
    struct sigv4_key key;

    (void)state;
    sigv4_key_init(&key, odd.access_key, odd.secret_key, odd.region);
    for (int round = 0; round < 20; round++) {
        uint64_t start_ns = clock_now_ns();

        for (int i = 0; i < 500; i++) {
            char area[SIGV4_AUTHORIZATION_BYTES];
            struct writer w;

            writer_init(&w, area, sizeof(area));
            assert_int_equal(sigv4_sign(&key, &request, &w), ERR_NONE);
        }
        best_ns = min_u64(best_ns, (clock_now_ns() - start_ns) / 500);
    }
    print_message("a signature takes %llu ns\n", (unsigned long long)best_ns);
#ifdef ARGOSY_SLOW_CHECKS
    skip(); /* a sanitizer's code, of whose speed nobody promised anything */
#endif
    assert_true(best_ns < 40 * NS_PER_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_signatures),
        cmocka_unit_test(test_the_day_changes),
        cmocka_unit_test(test_headers_of_one_name_are_joined),
        cmocka_unit_test(test_what_is_signed_verifies),
        cmocka_unit_test(test_other_escaping_verifies),
        cmocka_unit_test(test_presigned),
        cmocka_unit_test(test_broken_claims),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
