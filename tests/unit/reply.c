#include "s3/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct row {
    uint32_t status;
    const char *code;
    enum reply_operation operation;
    enum err err;
    enum err_class class;
};

#define O      REPLY_OBJECT
#define U      REPLY_UPLOAD
#define B      REPLY_BUCKET
#define RETRY  ERR_CLASS_RETRY
#define SLOW   ERR_CLASS_SLOW
#define OBJECT ERR_CLASS_OBJECT
#define RUN    ERR_CLASS_RUN

static const struct row rows[] = {
    /* success */
    {200, "", O, ERR_NONE, ERR_CLASS_NONE},
    {204, "", U, ERR_NONE, ERR_CLASS_NONE},
    {206, "", O, ERR_NONE, ERR_CLASS_NONE},
    {200, "InternalError", U, ERR_SERVER, RETRY}, /* CompleteMultipartUpload's late error */
    {200, "SlowDown", U, ERR_SLOW_DOWN, SLOW},
    {200, "Whatever", U, ERR_SERVER, RETRY},
    /* redirects */
    {301, "PermanentRedirect", B, ERR_WRONG_REGION, RUN},
    {301, "", B, ERR_WRONG_REGION, RUN},
    {302, "", O, ERR_REDIRECT, RUN},
    {307, "TemporaryRedirect", B, ERR_REDIRECT, RUN},
    {307, "Redirect", B, ERR_REDIRECT, RUN},
    {307, "", B, ERR_REDIRECT, RUN},
    {308, "", B, ERR_REDIRECT, RUN},
    {304, "", O, ERR_CHANGED, OBJECT},
    /* 400 */
    {400, "", O, ERR_REQUEST, OBJECT},
    {400, "Unheard", O, ERR_REQUEST, OBJECT},
    {400, "ExpiredToken", O, ERR_CREDENTIALS_EXPIRED, RUN},
    {400, "ExpiredTokenException", O, ERR_CREDENTIALS_EXPIRED, RUN},
    {400, "TokenRefreshRequired", O, ERR_CREDENTIALS_EXPIRED, RUN},
    {400, "InvalidToken", O, ERR_CREDENTIALS, RUN},
    {400, "AuthorizationHeaderMalformed", B, ERR_WRONG_REGION, RUN},
    {400, "IllegalLocationConstraintException", B, ERR_WRONG_REGION, RUN},
    {400, "InvalidRegion", B, ERR_WRONG_REGION, RUN},
    {400, "BadDigest", O, ERR_CHECKSUM, RETRY},
    {400, "InvalidDigest", O, ERR_REQUEST, OBJECT},
    {400, "XAmzContentSHA256Mismatch", O, ERR_CHECKSUM, RETRY},
    {400, "XAmzContentChecksumMismatch", O, ERR_CHECKSUM, RETRY},
    {400, "EntityTooSmall", U, ERR_PART, OBJECT},
    {400, "InvalidPart", U, ERR_PART, OBJECT},
    {400, "InvalidPartOrder", U, ERR_PART, OBJECT},
    {400, "InvalidPartNumber", U, ERR_PART, OBJECT},
    {400, "EntityTooLarge", O, ERR_TOO_LARGE, OBJECT},
    {400, "IncompleteBody", O, ERR_SERVER, RETRY},
    {400, "RequestTimeout", O, ERR_STALLED, RETRY},
    {400, "KeyTooLongError", O, ERR_KEY, OBJECT},
    {400, "InvalidURI", O, ERR_KEY, OBJECT},
    {400, "InvalidArgument", O, ERR_REQUEST, OBJECT},
    {400, "InvalidRequest", O, ERR_REQUEST, OBJECT},
    {400, "InvalidBucketName", B, ERR_REQUEST, OBJECT},
    {400, "MalformedXML", U, ERR_REQUEST, OBJECT},
    {400, "TooManyBuckets", B, ERR_QUOTA, RUN},
    {400, "RequestExpired", O, ERR_CLOCK_SKEW, RUN},
    {400, "Throttling", O, ERR_SLOW_DOWN, SLOW},
    {400, "ThrottlingException", O, ERR_SLOW_DOWN, SLOW},
    {400, "UnsupportedOperation", O, ERR_UNSUPPORTED, OBJECT},
    /* 401, 403 */
    {401, "", B, ERR_CREDENTIALS, RUN},
    {401, "NotSignedUp", B, ERR_CREDENTIALS, RUN},
    {403, "", O, ERR_DENIED, OBJECT},
    {403, "AccessDenied", O, ERR_DENIED, OBJECT},
    {403, "AccountProblem", O, ERR_DENIED, OBJECT},
    {403, "AllAccessDisabled", O, ERR_DENIED, OBJECT},
    {403, "InvalidObjectState", O, ERR_DENIED, OBJECT},
    {403, "InvalidPayer", O, ERR_DENIED, OBJECT},
    {403, "SignatureDoesNotMatch", O, ERR_CREDENTIALS, RUN},
    {403, "InvalidAccessKeyId", O, ERR_CREDENTIALS, RUN},
    {403, "InvalidSecurity", O, ERR_CREDENTIALS, RUN},
    {403, "UserSuspended", O, ERR_CREDENTIALS, RUN},
    {403, "RequestTimeTooSkewed", O, ERR_CLOCK_SKEW, RUN},
    {403, "QuotaExceeded", O, ERR_QUOTA, RUN},
    /* 404 */
    {404, "", O, ERR_NO_KEY, OBJECT},
    {404, "", U, ERR_NO_UPLOAD, OBJECT},
    {404, "", B, ERR_NO_BUCKET, RUN},
    {410, "", O, ERR_NO_KEY, OBJECT},
    {404, "NoSuchKey", O, ERR_NO_KEY, OBJECT},
    {404, "NoSuchVersion", O, ERR_NO_KEY, OBJECT},
    {404, "NoSuchBucket", O, ERR_NO_BUCKET, RUN},
    {404, "NoSuchUpload", U, ERR_NO_UPLOAD, OBJECT},
    /* the other 4xx */
    {405, "", O, ERR_UNSUPPORTED, OBJECT},
    {405, "MethodNotAllowed", O, ERR_UNSUPPORTED, OBJECT},
    {408, "", O, ERR_SERVER, RETRY},
    {409, "", B, ERR_REQUEST, OBJECT},
    {409, "BucketAlreadyExists", B, ERR_BUCKET_EXISTS, OBJECT},
    {409, "BucketAlreadyOwnedByYou", B, ERR_BUCKET_EXISTS, OBJECT},
    {409, "BucketNotEmpty", B, ERR_BUCKET_NOT_EMPTY, OBJECT},
    {409, "OperationAborted", B, ERR_CONFLICT, RETRY},
    {409, "ConditionalRequestConflict", O, ERR_CONFLICT, RETRY},
    {411, "", O, ERR_UNSUPPORTED, OBJECT},
    {411, "MissingContentLength", O, ERR_UNSUPPORTED, OBJECT},
    {412, "", O, ERR_CHANGED, OBJECT},
    {412, "PreconditionFailed", O, ERR_CHANGED, OBJECT},
    {413, "", O, ERR_TOO_LARGE, OBJECT},
    {416, "", O, ERR_RANGE, OBJECT},
    {416, "InvalidRange", O, ERR_RANGE, OBJECT},
    {418, "", O, ERR_REQUEST, OBJECT},
    {425, "", O, ERR_SERVER, RETRY},
    {429, "", O, ERR_SLOW_DOWN, SLOW},
    {429, "TooManyRequests", O, ERR_SLOW_DOWN, SLOW},
    /* 5xx */
    {500, "", O, ERR_SERVER, RETRY},
    {500, "InternalError", O, ERR_SERVER, RETRY},
    {500, "InternalFailure", O, ERR_SERVER, RETRY},
    {501, "", O, ERR_UNSUPPORTED, OBJECT},
    {501, "NotImplemented", O, ERR_UNSUPPORTED, OBJECT},
    {502, "", O, ERR_SERVER, RETRY},
    {503, "", O, ERR_SERVER, RETRY},
    {503, "SlowDown", O, ERR_SLOW_DOWN, SLOW},
    {503, "SlowDownRead", O, ERR_SLOW_DOWN, SLOW},
    {503, "SlowDownWrite", O, ERR_SLOW_DOWN, SLOW},
    {503, "RequestLimitExceeded", O, ERR_SLOW_DOWN, SLOW},
    {503, "BandwidthLimitExceeded", O, ERR_SLOW_DOWN, SLOW},
    {503, "ServiceUnavailable", O, ERR_SLOW_DOWN, SLOW},
    {503, "Busy", O, ERR_SLOW_DOWN, SLOW},
    {504, "", O, ERR_SERVER, RETRY},
    {507, "", O, ERR_QUOTA, RUN},
    {509, "", O, ERR_SLOW_DOWN, SLOW},
    {599, "", O, ERR_SERVER, RETRY},
    /* not HTTP at all */
    {0, "", O, ERR_HTTP_GARBAGE, RETRY},
    {100, "", O, ERR_HTTP_GARBAGE, RETRY},
    {600, "", O, ERR_HTTP_GARBAGE, RETRY},
};

static void test_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        enum err err = reply_err(row->status, bytes_of(row->code), row->operation);

        if (err != row->err)
            fail_msg("%u %s: %s, not %s", row->status, row->code, err_name(err),
                     err_name(row->err));
        assert_int_equal(err_class(err), row->class);
    }
}

static void test_sentences(void **state)
{
    static const struct {
        uint32_t status;
        struct reply_error error;
        const char *text;
    } texts[] = {
        {403,
         {.code = "SignatureDoesNotMatch", .message = "Check your key."},
         "HTTP 403 SignatureDoesNotMatch: Check your key."},
        {404, {.code = ""}, "HTTP 404 Not Found"},
        {503, {.code = "SlowDown"}, "HTTP 503 SlowDown"},
        {200, {.code = "InternalError", .message = "We failed"}, "InternalError: We failed"},
        {301,
         {.code = "PermanentRedirect", .message = "Go", .region = "eu-west-1", .endpoint = "h"},
         "HTTP 301 PermanentRedirect: Go (region eu-west-1) (endpoint h)"},
        {400, {.message = "\x1b[31mred\n"}, "HTTP 400 Bad Request:  [31mred"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        char text[REPLY_TEXT_BYTES];

        assert_string_equal(reply_format(texts[i].status, &texts[i].error, text), texts[i].text);
    }
}

static void test_longest_sentence_is_cut(void **state)
{
    struct reply_error error = {0};
    char text[REPLY_TEXT_BYTES];

    (void)state;
    memset(error.code, 'c', sizeof(error.code) - 1);
    memset(error.message, 'm', sizeof(error.message) - 1);
    memset(error.region, 'r', sizeof(error.region) - 1);
    memset(error.endpoint, 'e', sizeof(error.endpoint) - 1);
    reply_format(403, &error, text);
    assert_int_equal(strlen(text), sizeof(text) - 1);
    assert_non_null(strstr(text, "HTTP 403 ccc"));
    assert_non_null(strstr(text, "mmm (region rrr"));
}

static void test_foreign_text(void **state)
{
    static const struct {
        const char *from;
        size_t area_bytes;
        const char *to;
    } texts[] = {
        {"plain", 16, "plain"},
        {"plain", 6, "plain"},
        {"plain", 5, "plai"},
        {"plain", 1, ""},
        {"a\r\nb\tc\x7f", 16, "a  b c "},
        {"\xc3\xa9\xc3\xa9", 5, "\xc3\xa9\xc3\xa9"},
        {"\xc3\xa9\xc3\xa9", 4, "\xc3\xa9"}, /* never half a character */
        {"\xc2\x9b"
         "31m",
         16, " 31m"}, /* CSI in one character */
        {"\xff\xfe", 16, "??"},
        {"a\xc3", 16, "a?"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        char area[16];

        reply_copy_text(bytes_of(texts[i].from), area, texts[i].area_bytes);
        assert_string_equal(area, texts[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_longest_sentence_is_cut),
        cmocka_unit_test(test_foreign_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
