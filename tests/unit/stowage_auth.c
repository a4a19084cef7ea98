/* Who is let in: signed heads made by s3/sigv4's other side, and each thing that can be wrong. */
#include "tools/stowage_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS (1369353600 * NS_PER_S) /* 20130524T000000Z */

struct request { /* what the client does; NULL or 0: the right thing */
    const char *access_key, *secret_key, *region, *payload, *tamper;
    int64_t skew_s;
    bool anonymous;
};

/* A received head: signed as asked, then parsed from its text, as a connection does. */
static enum stowage_error check(const struct request *request, bool required,
                                struct stowage_auth_verdict *verdict)
{
    static struct stowage_auth auth;
    static char text[4096];
    const char *payload = request->payload ? request->payload : SIGV4_UNSIGNED;
    struct sigv4_key key;
    char authorization[SIGV4_AUTHORIZATION_BYTES] = "", time[STAMP_BASIC_BYTES];
    struct writer w;
    struct http_parser parser;
    uint32_t bytes;
    uint64_t then_ns = NOW_NS + (uint64_t)(request->skew_s * (int64_t)NS_PER_S);
    stamp_format_basic(then_ns, time);
    sigv4_key_init(&key, request->access_key ? request->access_key : "AKIA",
                   request->secret_key ? request->secret_key : "secret",
                   request->region ? request->region : "us-east-1");
    struct http_header headers[] = {{BYTES("host"), BYTES("h:1")},
                                    {BYTES("x-amz-date"), bytes_of(time)},
                                    {BYTES("x-amz-content-sha256"), bytes_of(payload)}};
    struct sigv4_request signing = {.method = BYTES("PUT"),
                                    .path = BYTES("/b/k%20"),
                                    .query = BYTES("partNumber=1&uploadId=x"),
                                    .headers = headers,
                                    .header_count = ARRAY_COUNT(headers),
                                    .payload_hash = bytes_of(payload),
                                    .wall_ns = then_ns};
    writer_init(&w, authorization, sizeof(authorization));
    assert_int_equal(sigv4_sign(&key, &signing, &w), ERR_NONE);
    writer_string(&w);
    snprintf(text, sizeof(text),
             "PUT %s HTTP/1.1\r\nHost: h:1\r\nX-Amz-Date: %s\r\nx-amz-content-sha256: %s\r\n%s%s%s"
             "Content-Length: 0\r\n\r\n",
             request->tamper ? request->tamper : "/b/k%20?partNumber=1&uploadId=x", time, payload,
             request->anonymous ? "" : "Authorization: ", request->anonymous ? "" : authorization,
             request->anonymous ? "" : "\r\n");
    http_parser_init(&parser, HTTP_REQUEST, false);
    assert_int_equal(http_parse_head(&parser, text, (uint32_t)strlen(text), &bytes), ERR_NONE);
    stowage_auth_init(&auth, "AKIA", "secret", "us-east-1");
    auth.required = required;
    struct bytes query, path = bytes_cut(parser.head.target, '?', &query);
    return stowage_auth_check(&auth, &parser.head, path, query, NOW_NS, verdict);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct request request;
        enum stowage_error error;
    } rows[] = {
        {{.access_key = NULL}, STOWAGE_ERROR_NONE},
        {{.skew_s = 899}, STOWAGE_ERROR_NONE},
        {{.skew_s = -899}, STOWAGE_ERROR_NONE},
        {{.skew_s = 901}, STOWAGE_ERROR_SKEW},
        {{.skew_s = -901}, STOWAGE_ERROR_SKEW},
        {{.access_key = "AKIB"}, STOWAGE_ERROR_UNKNOWN_KEY_ID},
        {{.secret_key = "Secret"}, STOWAGE_ERROR_SIGNATURE},
        {{.region = "eu-west-1"}, STOWAGE_ERROR_HEADER_MALFORMED},
        {{.tamper = "/b/K%20?partNumber=1&uploadId=x"}, STOWAGE_ERROR_SIGNATURE},
        {{.tamper = "/b/k%20?partNumber=2&uploadId=x"}, STOWAGE_ERROR_SIGNATURE},
        {{.tamper = "/b/k%20?uploadId=x&partNumber=1"}, STOWAGE_ERROR_NONE},
        {{.anonymous = true}, STOWAGE_ERROR_ACCESS_DENIED},
        {{.payload = "nonsense"}, STOWAGE_ERROR_DIGEST},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct stowage_auth_verdict verdict;
        enum stowage_error error = check(&rows[i].request, true, &verdict);
        if (error != rows[i].error)
            fail_msg("row %zu: %s, not %s", i, stowage_error_code(error),
                     stowage_error_code(rows[i].error));
        bool garbled = rows[i].error == STOWAGE_ERROR_DIGEST;
        assert_int_equal(check(&rows[i].request, false, &verdict), garbled ? rows[i].error : 0);
    }
}

static void test_payloads(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum stowage_payload payload;
        bool check_chunks;
    } rows[] = {
        {SIGV4_UNSIGNED, STOWAGE_PAYLOAD_UNSIGNED, false},
        {SIGV4_EMPTY_SHA256, STOWAGE_PAYLOAD_HASHED, false},
        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", STOWAGE_PAYLOAD_CHUNKS_SIGNED, true},
        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", STOWAGE_PAYLOAD_CHUNKS_SIGNED, true},
        {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", STOWAGE_PAYLOAD_CHUNKS_UNSIGNED, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct stowage_auth_verdict verdict;
        struct request request = {.payload = rows[i].text};
        assert_int_equal(check(&request, true, &verdict), STOWAGE_ERROR_NONE);
        assert_int_equal(verdict.payload, rows[i].payload);
        assert_int_equal(verdict.check_chunks, rows[i].check_chunks);
        if (rows[i].check_chunks) {
            assert_string_equal(verdict.signer.time, "20130524T000000Z");
            assert_string_equal(verdict.signer.scope, "20130524/us-east-1/s3/aws4_request");
        }
        if (rows[i].payload == STOWAGE_PAYLOAD_HASHED) assert_int_equal(verdict.sha256[0], 0xe3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
