/* S3 calls against a scripted peer: signing, classes of answers, retries, bodies. */

#include "s3/request.h"
#include "tests/unit/wire.h"

#define MS NS_PER_MS

struct world {
    struct wire wire;
    struct creds creds;
    struct request request;
    struct request_call call;
    struct op op;
};

static void open_world(struct world *w, const struct peer_step *steps)
{
    memset(w, 0, sizeof(*w));
    wire_open(&w->wire, steps);
    w->wire.conf.connections_max = 4;
    w->wire.conf.attempts_max = 3;
    w->wire.conf.reply_timeout_ns = w->wire.conf.stall_timeout_ns = 2 * NS_PER_S;
    snprintf(w->creds.access_key, sizeof(w->creds.access_key), "AKIDEXAMPLE");
    snprintf(w->creds.secret_key, sizeof(w->creds.secret_key), "verysecret");
    snprintf(w->creds.session_token, sizeof(w->creds.session_token), "token");
    wire_connect(&w->wire, &w->creds);
    request_init(&w->request, &w->wire.client);
    op_init(&w->op, wire_on_done);
    w->call = (struct request_call){
        .kind = REQUEST_GET_OBJECT, .bucket = BYTES("bucket"), .key = BYTES("a key+%")};
}

static void close_world(struct world *w)
{
    request_fini(&w->request);
    wire_close(&w->wire);
    assert_int_equal(w->wire.client.door_count, 0);
}

static enum err call(struct world *w)
{
    request_start(&w->request, &w->call, &w->op);
    return wire_wait(&w->wire, &w->op);
}

static void end_it(struct world *w)
{
    request_end(&w->request, &w->wire.end);
    assert_int_equal(wire_wait(&w->wire, &w->wire.end), ERR_NONE);
}

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"e\"\r\n\r\n"

static void test_facts(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND,
         "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nETag: \"0af\"\r\n"
         "Content-Range: bytes 96-99/1234\r\nX-Amz-Checksum-CRC32C: AAAAAA==\r\n"
         "x-amz-checksum-type: FULL_OBJECT\r\nx-amz-meta-mtime: 12.5\r\n"
         "Last-Modified: Fri, 24 May 2013 00:00:00 GMT\r\nx-amz-request-id: R1\r\n\r\nbody",
         0},
        HEAD,
        {PEER_SEND, OK_EMPTY, 0},
        END,
    };
    struct world w;
    char area[16];
    (void)state;
    open_world(&w, steps);
    w.call.reply_body = true;
    w.call.header_count = 1;
    w.call.headers[0] = (struct request_pair){BYTES("range"), BYTES("bytes=96-99")};
    w.call.query_count = 2;
    w.call.query[0] = (struct request_pair){BYTES("versionId"), BYTES("a/b c")};
    w.call.query[1] = (struct request_pair){BYTES("acl"), BYTES("")};
    assert_int_equal(call(&w), ERR_NONE);
    const struct request_reply *reply = &w.request.reply;
    assert_int_equal(reply->status, 206);
    assert_string_equal(reply->etag, "\"0af\"");
    assert_int_equal(reply->content_bytes, 4);
    assert_int_equal(reply->range_first, 96);
    assert_int_equal(reply->range_last, 99);
    assert_int_equal(reply->range_total, 1234);
    assert_string_equal(reply->checksum[CHECKSUM_CRC32C], "AAAAAA==");
    assert_string_equal(reply->checksum[CHECKSUM_SHA256], "");
    assert_string_equal(reply->checksum_type, "FULL_OBJECT");
    assert_string_equal(reply->mtime, "12.5");
    assert_int_equal(reply->last_modified_s, 1369353600);
    assert_string_equal(reply->request_id, "R1");
    request_read(&w.request, area, 4, &w.op);
    assert_int_equal(wire_wait(&w.wire, &w.op), ERR_NONE);
    assert_int_equal(w.op.count, 4);
    assert_memory_equal(area, "body", 4);
    end_it(&w);
    w.call = (struct request_call){.kind = REQUEST_LIST_BUCKETS};
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(client_counts(&w.wire.client).opened, 1); /* the body was read whole */
    assert_int_equal(meter_read(&w.wire.client.requests), 2);
    close_world(&w);
    const struct peer *p = &w.wire.peer;
    assert_int_equal(peer_heads_with(p, "GET /bucket/a%20key%2B%25?versionId=a%2Fb%20c&acl "), 1);
    assert_int_equal(peer_heads_with(p, "GET / HTTP/1.1\r\nhost: 127.0.0.1:"), 1);
    assert_int_equal(peer_heads_with(p, "\r\nauthorization: AWS4-HMAC-SHA256 "), 2);
    assert_int_equal(peer_heads_with(p, "\r\nx-amz-security-token: token\r\n"), 2);
    assert_int_equal(peer_heads_with(p, "host;range;x-amz-content-sha256;x-amz-date;"), 1);
    assert_int_equal(peer_heads_with(p, "content-length"), 0);
}

/* The answer's class decides what happens; each row is one call. */
struct answer {
    const char *name;
    enum request_kind kind;
    const char *replies[8]; /* of one connection; "" closes it and accepts another */
    enum err err;
    uint32_t attempts, status;
    const char *why;
};

#define ERROR_404                                                                                  \
    "HTTP/1.1 404 Not Found\r\nContent-Length: 53\r\n\r\n"                                         \
    "<Error><Code>NoSuchBucket</Code><Message/></Error>   "
#define ERROR_503 "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"
#define ERROR_500                                                                                  \
    "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n"                                      \
    "5\r\n<html\r\n0\r\n\r\n"
#define ERROR_403                                                                                  \
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 101\r\n\r\n"                                        \
    "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>not\nfor you</Message>"       \
    "</Error>          "

#define OK_PAGE  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define HEAD_404 "HTTP/1.1 404 Not Found\r\nContent-Length: 77\r\n\r\n"
#define HEAD_403 "HTTP/1.1 403 Forbidden\r\nContent-Length: 101\r\n\r\n"
#define WHY_403  "HTTP 403 AccessDenied: not for you"

static const char error_503[] = ERROR_503;

static const struct answer answers[] = {
    {"done", REQUEST_DELETE_OBJECT, {"HTTP/1.1 204 No Content\r\n\r\n"}, ERR_NONE, 1, 204, ""},
    {"slow down, then done", REQUEST_PUT_OBJECT, {ERROR_503, OK_EMPTY}, ERR_NONE, 2, 200, ""},
    {"slow down to a HEAD, then done",
     REQUEST_HEAD_OBJECT,
     {error_503, OK_EMPTY},
     ERR_NONE,
     2,
     200,
     ""},
    {"failing for ever",
     REQUEST_GET_OBJECT,
     {ERROR_500, ERROR_500, ERROR_500},
     ERR_SERVER,
     3,
     500,
     "HTTP 500"},
    {"no bucket", REQUEST_GET_OBJECT, {ERROR_404}, ERR_NO_BUCKET, 1, 404, "HTTP 404 NoSuchBucket"},
    /* a HEAD that is refused: a GET learns why */
    {"no key, and no bucket",
     REQUEST_HEAD_OBJECT,
     {HEAD_404, ERROR_404},
     ERR_NO_BUCKET,
     1,
     404,
     "HTTP 404 NoSuchBucket"},
    {"denied", REQUEST_HEAD_OBJECT, {HEAD_403, ERROR_403}, ERR_DENIED, 1, 403, WHY_403},
    /* the GET is not refused: once more, and at last the HEAD is believed */
    {"no key, and yet it is there",
     REQUEST_HEAD_OBJECT,
     {HEAD_404, OK_EMPTY, OK_EMPTY},
     ERR_NONE,
     2,
     200,
     ""},
    {"denied, and yet not, for ever",
     REQUEST_HEAD_OBJECT,
     {HEAD_403, OK_EMPTY, HEAD_403, OK_EMPTY, HEAD_403, OK_EMPTY, HEAD_403, OK_EMPTY},
     ERR_DENIED,
     4,
     403,
     "HTTP 403"},
    {"no key, then cut", REQUEST_HEAD_OBJECT, {HEAD_404, "x"}, ERR_NO_KEY, 1, 404, "HTTP 404"},
    {"no key, another way",
     REQUEST_HEAD_OBJECT,
     {HEAD_404, ERROR_500},
     ERR_NO_KEY,
     1,
     404,
     "HTTP 404 Not Found"},
    {"denied", REQUEST_GET_OBJECT, {ERROR_403}, ERR_DENIED, 1, 403, WHY_403},
    {"closed, then done", REQUEST_PUT_OBJECT, {"", OK_EMPTY}, ERR_NONE, 2, 200, ""},
    {"a page of a proxy's",
     REQUEST_PUT_OBJECT,
     {OK_PAGE, OK_PAGE, OK_PAGE},
     ERR_NOT_S3,
     3,
     200,
     "it has no ETag"},
    {"garbage for ever", REQUEST_PUT_OBJECT, {"x", "x", "x"}, ERR_HTTP_GARBAGE, 3, 0, "127.0.0.1:"},
};

#define ANSWER_STEPS_MAX 20u /* eight good answers take 18 */

static void answer_steps(const struct answer *row, struct peer_step steps[ANSWER_STEPS_MAX])
{
    size_t n = 0;
    steps[n++] = (struct peer_step)ACCEPT;
    for (size_t i = 0; i < ARRAY_COUNT(row->replies) && row->replies[i]; i++) {
        bool bad = row->replies[i][0] != 'H';
        steps[n++] = (struct peer_step)HEAD;
        steps[n++] = (struct peer_step){PEER_SEND, row->replies[i], 0};
        if (!bad) continue;
        steps[n++] = (struct peer_step){PEER_CLOSE, NULL, 0};
        bool more = i + 1 < ARRAY_COUNT(row->replies) && row->replies[i + 1];
        if (more) steps[n++] = (struct peer_step)ACCEPT;
    }
    steps[n] = (struct peer_step)END;
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        const struct answer *row = &answers[i];
        struct peer_step steps[ANSWER_STEPS_MAX];
        struct world w;
        answer_steps(row, steps);
        open_world(&w, steps);
        w.call.kind = row->kind;
        enum err err = call(&w);
        if (err != row->err) fail_msg("%s: %s, %s", row->name, err_name(err), w.request.why);
        assert_int_equal(w.request.attempts, row->attempts);
        assert_int_equal(w.request.reply.status, row->status);
        assert_int_equal(strncmp(w.request.why, row->why, strlen(row->why)), 0);
        assert_int_equal(meter_read(&w.wire.client.retries), row->attempts - 1);
        /* Without a code, 503 is a refusal where no code could come. */
        bool refused = row->kind == REQUEST_HEAD_OBJECT && row->replies[0] == error_503;
        assert_int_equal(meter_read(&w.wire.client.traffic.refusals), refused);
        end_it(&w); /* harmless */
        close_world(&w);
    }
}

/* A connection that the server had closed is replaced without counting. */
static void test_stale(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT, HEAD, {PEER_SEND, OK_EMPTY, 0}, HEAD, {PEER_CLOSE, NULL, 0},
        ACCEPT, HEAD, {PEER_SEND, OK_EMPTY, 0}, END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    w.wire.conf.attempts_max = 1;
    w.call.kind = REQUEST_PUT_OBJECT;
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.again.retry.attempts, 1);
    assert_int_equal(client_counts(&w.wire.client).opened, 2);
    close_world(&w);
}

/* Errors that hide in a 200, and XML that is not what was asked for. */
static void test_xml(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        {PEER_SEND,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "26\r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n",
         0},
        {PEER_SEND,
         "4\r\n \n \n\r\n33\r\n<Error><Code>InvalidPart</Code><Message>x</Message>\r\n8\r\n</Error>"
         "\r\n0\r\n\r\n",
         0},
        HEAD,
        {PEER_SEND,
         "HTTP/1.1 200 OK\r\nContent-Length: 95\r\n\r\n"
         "<InitiateMultipartUploadResult><UploadId>up-1</UploadId></InitiateMultipartUploadResult>"
         "       ",
         0},
        END,
    };
    static struct xml_result result;
    static struct xml_created created;
    struct world w;
    (void)state;
    open_world(&w, steps);
    xml_result_init(&result);
    xml_created_init(&created);
    w.call.kind = REQUEST_COMPLETE_UPLOAD;
    w.call.xml = &result.xml;
    assert_int_equal(call(&w), ERR_PART);
    assert_string_equal(w.request.why, "InvalidPart: x");
    w.call.kind = REQUEST_CREATE_UPLOAD;
    w.call.xml = &created.xml;
    assert_int_equal(call(&w), ERR_NONE);
    assert_string_equal(created.upload_id, "up-1");
    xml_fini(&result.xml);
    xml_fini(&created.xml);
    close_world(&w);
}

static uint8_t body[32 << 20];

/* A body in three pieces. */
static void test_follows(void **state)
{
    enum { PIECE = 500000 };
    static const struct peer_step steps[] = {
        ACCEPT, {PEER_HEAD, NULL, 3 * PIECE}, {PEER_SEND, OK_EMPTY, 0}, END};
    struct iovec iovec = {body, PIECE};
    struct world w;
    (void)state;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = peer_pattern(i);
    open_world(&w, steps);
    w.call.kind = REQUEST_PUT_OBJECT;
    w.call.body = &iovec;
    w.call.body_count = 1;
    w.call.body_bytes = 3 * PIECE;
    w.call.body_follows = w.call.body_is_unsigned = true;
    assert_int_equal(call(&w), ERR_NONE);
    for (int i = 1; i < 3; i++) {
        struct iovec next = {body + i * PIECE, PIECE};
        request_write(&w.request, &next, 1, &w.op);
        assert_int_equal(wire_wait(&w.wire, &w.op), ERR_NONE);
    }
    request_reply(&w.request, &w.op);
    assert_int_equal(wire_wait(&w.wire, &w.op), ERR_NONE);
    assert_int_equal(w.request.reply.status, 200);
    close_world(&w);
    assert_int_equal(w.wire.peer.body_bytes, 3 * PIECE);
    assert_int_equal(w.wire.peer.bad_bytes, 0);
    assert_int_equal(peer_heads_with(&w.wire.peer, "x-amz-content-sha256: UNSIGNED-PAYLOAD"), 1);
}

/* The server refuses in the midst of it, or the owner gives up. */
static void test_follows_not(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT, {PEER_HEAD, NULL, 1000}, {PEER_SLEEP, NULL, 20}, {PEER_SEND, ERROR_403, 0},
        ACCEPT, {PEER_HEAD, NULL, 1000}, {PEER_QUIET, NULL, 0},  END};
    struct iovec iovec = {body, 1000}, rest = {body, sizeof(body) - 1000};
    struct world w;
    (void)state;
    open_world(&w, steps);
    w.call.kind = REQUEST_PUT_OBJECT;
    w.call.body = &iovec;
    w.call.body_count = 1;
    w.call.body_bytes = sizeof(body);
    w.call.body_follows = w.call.body_is_unsigned = true;
    assert_int_equal(call(&w), ERR_NONE);
    request_write(&w.request, &rest, 1, &w.op);
    assert_int_equal(wire_wait(&w.wire, &w.op), ERR_DENIED);
    end_it(&w);
    assert_int_equal(call(&w), ERR_NONE);
    end_it(&w);
    close_world(&w);
}

static void test_cancel(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT, HEAD, {PEER_SEND, ERROR_500, 0}, HEAD, {PEER_QUIET, NULL, 0}, END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    request_cancel(&w.request); /* nothing is out */
    request_start(&w.request, &w.call, &w.op);
    request_cancel(&w.request); /* while dialing */
    assert_int_equal(wire_wait(&w.wire, &w.op), ERR_CANCELLED);
    request_start(&w.request, &w.call, &w.op);
    while (!w.request.backoff.op.out)
        core_turn(&w.wire.core, true);
    request_cancel(&w.request);
    for (int i = 0; i < 5; i++) /* it does not wait for the end of the backoff, nor of anything */
        core_turn(&w.wire.core, false);
    assert_false(w.op.out);
    assert_int_equal(w.op.err, ERR_CANCELLED);
    w.call.reply_body = true;
    request_start(&w.request, &w.call, &w.op);
    for (int i = 0; i < 20; i++)
        core_turn(&w.wire.core, false);
    request_cancel(&w.request);
    assert_int_equal(wire_wait(&w.wire, &w.op), ERR_CANCELLED);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),   cmocka_unit_test(test_answers),
        cmocka_unit_test(test_stale),   cmocka_unit_test(test_xml),
        cmocka_unit_test(test_follows), cmocka_unit_test(test_follows_not),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
