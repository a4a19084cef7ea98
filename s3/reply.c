#include "s3/reply.h"

#include "net/http.h"

struct reply_code_row {
    const char *code;
    enum err err;
};

/* By S3 code. AWS's list of error responses, and what Ceph RGW and Swift send besides. */
static const struct reply_code_row reply_codes[] = {
    {"AccessDenied", ERR_DENIED},
    {"AccountProblem", ERR_DENIED},
    {"AllAccessDisabled", ERR_DENIED},
    {"InvalidObjectState", ERR_DENIED}, /* archived: it must be restored first */
    {"InvalidPayer", ERR_DENIED},
    {"NotSignedUp", ERR_CREDENTIALS},
    {"UserSuspended", ERR_CREDENTIALS},
    {"SignatureDoesNotMatch", ERR_CREDENTIALS},
    {"InvalidAccessKeyId", ERR_CREDENTIALS},
    {"InvalidSecurity", ERR_CREDENTIALS},
    {"InvalidToken", ERR_CREDENTIALS},
    {"TokenRefreshRequired", ERR_CREDENTIALS_EXPIRED},
    {"ExpiredToken", ERR_CREDENTIALS_EXPIRED},
    {"ExpiredTokenException", ERR_CREDENTIALS_EXPIRED},
    {"RequestExpired", ERR_CLOCK_SKEW},
    {"RequestTimeTooSkewed", ERR_CLOCK_SKEW},
    {"AuthorizationHeaderMalformed", ERR_WRONG_REGION}, /* the scope names another region */
    {"IllegalLocationConstraintException", ERR_WRONG_REGION},
    {"InvalidRegion", ERR_WRONG_REGION},
    {"PermanentRedirect", ERR_WRONG_REGION},
    {"TemporaryRedirect", ERR_REDIRECT},
    {"Redirect", ERR_REDIRECT},
    {"NoSuchBucket", ERR_NO_BUCKET},
    {"NoSuchKey", ERR_NO_KEY},
    {"NoSuchVersion", ERR_NO_KEY},
    {"NoSuchUpload", ERR_NO_UPLOAD},
    {"BucketAlreadyExists", ERR_BUCKET_EXISTS},
    {"BucketAlreadyOwnedByYou", ERR_BUCKET_EXISTS},
    {"BucketNotEmpty", ERR_BUCKET_NOT_EMPTY},
    {"PreconditionFailed", ERR_CHANGED},
    {"BadDigest", ERR_CHECKSUM},
    {"InvalidDigest", ERR_REQUEST}, /* not a digest at all: to send it again is in vain */
    {"XAmzContentSHA256Mismatch", ERR_CHECKSUM},
    {"XAmzContentChecksumMismatch", ERR_CHECKSUM},
    {"InvalidRange", ERR_RANGE},
    {"InvalidPart", ERR_PART},
    {"InvalidPartOrder", ERR_PART},
    {"InvalidPartNumber", ERR_PART},
    {"EntityTooSmall", ERR_PART},
    {"EntityTooLarge", ERR_TOO_LARGE},
    {"KeyTooLongError", ERR_KEY},
    {"InvalidURI", ERR_KEY},
    {"QuotaExceeded", ERR_QUOTA},
    {"TooManyBuckets", ERR_QUOTA},
    {"SlowDown", ERR_SLOW_DOWN},
    {"SlowDownRead", ERR_SLOW_DOWN},
    {"SlowDownWrite", ERR_SLOW_DOWN},
    {"RequestLimitExceeded", ERR_SLOW_DOWN},
    {"Throttling", ERR_SLOW_DOWN},
    {"ThrottlingException", ERR_SLOW_DOWN},
    {"TooManyRequests", ERR_SLOW_DOWN},
    {"BandwidthLimitExceeded", ERR_SLOW_DOWN},
    {"ServiceUnavailable", ERR_SLOW_DOWN}, /* AWS: "reduce your request rate" */
    {"Busy", ERR_SLOW_DOWN},
    {"InternalError", ERR_SERVER},
    {"InternalFailure", ERR_SERVER},
    {"OperationAborted", ERR_CONFLICT},
    {"ConditionalRequestConflict", ERR_CONFLICT},
    {"IncompleteBody", ERR_SERVER},  /* the body was cut on the way */
    {"RequestTimeout", ERR_STALLED}, /* the body did not come in time */
    {"NotImplemented", ERR_UNSUPPORTED},
    {"MethodNotAllowed", ERR_UNSUPPORTED},
    {"UnsupportedOperation", ERR_UNSUPPORTED},
    {"MissingContentLength", ERR_UNSUPPORTED},
    {"InvalidArgument", ERR_REQUEST},
    {"InvalidRequest", ERR_REQUEST},
    {"InvalidBucketName", ERR_REQUEST},
    {"MalformedXML", ERR_REQUEST},
};

struct reply_status_row {
    uint16_t status;
    enum err err;
};

/* By HTTP status, where there is no code, or none that we know. */
static const struct reply_status_row reply_statuses[] = {
    {301, ERR_WRONG_REGION}, /* HEAD of a bucket elsewhere, which x-amz-bucket-region names */
    {304, ERR_CHANGED},      {401, ERR_CREDENTIALS}, {403, ERR_DENIED},
    {405, ERR_UNSUPPORTED},  {408, ERR_SERVER},      {409, ERR_REQUEST},
    {411, ERR_UNSUPPORTED},  {412, ERR_CHANGED},     {413, ERR_TOO_LARGE},
    {416, ERR_RANGE},        {425, ERR_SERVER},      {429, ERR_SLOW_DOWN},
    {500, ERR_SERVER},       {501, ERR_UNSUPPORTED}, {502, ERR_SERVER},
    {503, ERR_SERVER}, /* without SlowDown: a balancer with no server behind it */
    {504, ERR_SERVER},       {507, ERR_QUOTA},       {509, ERR_SLOW_DOWN},
};

static enum err reply_err_of_code(struct bytes code)
{
    for (size_t i = 0; i < ARRAY_COUNT(reply_codes); i++) {
        if (bytes_equal(code, bytes_of(reply_codes[i].code))) return reply_codes[i].err;
    }
    return ERR_NONE;
}

static enum err reply_err_of_missing(enum reply_operation operation)
{
    switch (operation) {
    case REPLY_OBJECT: return ERR_NO_KEY;
    case REPLY_UPLOAD: return ERR_NO_UPLOAD;
    case REPLY_BUCKET: break;
    }
    return ERR_NO_BUCKET;
}

static enum err reply_err_of_status(uint32_t status, enum reply_operation operation)
{
    if (status == 404 || status == 410) return reply_err_of_missing(operation);
    for (size_t i = 0; i < ARRAY_COUNT(reply_statuses); i++) {
        if (reply_statuses[i].status == status) return reply_statuses[i].err;
    }
    if (status >= 300 && status < 400) return ERR_REDIRECT;
    if (status >= 400 && status < 500) return ERR_REQUEST;
    if (status >= 500 && status < 600) return ERR_SERVER;
    return ERR_HTTP_GARBAGE;
}

enum err reply_err(uint32_t status, struct bytes code, enum reply_operation operation)
{
    bool is_success = status >= 200 && status < 300;
    enum err err;

    if (code.count == 0) return is_success ? ERR_NONE : reply_err_of_status(status, operation);
    err = reply_err_of_code(code);
    if (err) return err;
    /* A 200 that turned into an unknown error midway: the server had accepted the request. */
    return is_success ? ERR_SERVER : reply_err_of_status(status, operation);
}

void reply_copy_text(struct bytes from, char *area, size_t area_bytes)
{
    struct writer w;

    writer_init(&w, area, area_bytes - 1);
    while (from.count > 0) {
        size_t count = bytes_utf8_count(from);
        struct bytes character = {from.data, count};
        uint8_t first = (uint8_t)from.data[0];

        if (count == 0)
            character = BYTES("?");
        else if (first < 0x20 || first == 0x7f)
            character = BYTES(" ");
        else if (first == 0xc2 && (uint8_t)from.data[1] < 0xa0) /* U+0080 … U+009F: controls too */
            character = BYTES(" ");
        if (w.count + character.count > w.count_max) break;
        writer_put(&w, character);
        count = count > 0 ? count : 1;
        from = (struct bytes){from.data + count, from.count - count};
    }
    area[w.count] = '\0';
}

const char *reply_format(uint32_t status, const struct reply_error *error,
                         char text[REPLY_TEXT_BYTES])
{
    char line[2 * REPLY_TEXT_BYTES];
    struct bytes message = bytes_trim(bytes_of(error->message));
    struct writer w;

    writer_init(&w, line, sizeof(line));
    if (status < 200 || status > 299) writer_format(&w, "HTTP %u ", status);
    writer_text(&w, error->code[0] ? error->code : http_reason(status));
    if (message.count > 0) {
        writer_text(&w, ": ");
        writer_put(&w, message);
    }
    if (error->region[0]) writer_format(&w, " (region %s)", error->region);
    if (error->endpoint[0]) writer_format(&w, " (endpoint %s)", error->endpoint);
    reply_copy_text(writer_bytes(&w), text, REPLY_TEXT_BYTES);
    return text;
}

_Static_assert(REPLY_CODE_BYTES + REPLY_MESSAGE_BYTES + 64 + HOST_BYTES_MAX + 64 <=
                   2 * REPLY_TEXT_BYTES,
               "the whole line fits before it is cut");
