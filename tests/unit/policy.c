/* From what the network, OpenSSL and the server say to what is done: one row a cause. */
#include "s3/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "s3/reply.h"

struct row {
    enum policy_phase phase;
    enum policy_call call;
    int number;      /* errno of a socket call, or 0 */
    uint32_t status; /* HTTP, or 0 */
    const char *code;
    enum err err; /* where neither says it */
    enum policy_act act;
    uint32_t attempts_max;
};

#define WIRE(phase, number, act)                                                                   \
    {                                                                                              \
        POLICY_##phase, POLICY_ANY, number, 0, "", 0, POLICY_##act, 0                              \
    }
#define OURS(phase, err, act)                                                                      \
    {                                                                                              \
        POLICY_##phase, POLICY_ANY, 0, 0, "", ERR_##err, POLICY_##act, 0                           \
    }
#define SAYS(status, code, act)                                                                    \
    {                                                                                              \
        POLICY_ANSWER, POLICY_ANY, 0, status, code, 0, POLICY_##act, 0                             \
    }
#define DONE(phase, err, act)                                                                      \
    {                                                                                              \
        POLICY_##phase, POLICY_COMPLETE, 0, 0, "", ERR_##err, POLICY_##act, 0                      \
    }

static const struct row rows[] = {
    /* the name */
    OURS(RESOLVE, NAME_UNKNOWN, STOP_RUN),
    OURS(RESOLVE, NAME_SERVER, BACK_OFF),
    /* the connection */
    WIRE(CONNECT, ECONNREFUSED, BACK_OFF),
    WIRE(CONNECT, ETIMEDOUT, BACK_OFF),
    WIRE(CONNECT, EHOSTUNREACH, BACK_OFF),
    WIRE(CONNECT, ENETUNREACH, BACK_OFF),
    WIRE(CONNECT, ECONNRESET, BACK_OFF),
    WIRE(CONNECT, EMFILE, BACK_OFF),
    WIRE(CONNECT, ENOMEM, STOP_RUN),
    OURS(CONNECT, CONNECT_TIMEOUT, BACK_OFF),
    /* TLS */
    OURS(TLS, TLS_HANDSHAKE, BACK_OFF),
    OURS(TLS, TLS_CERTIFICATE, STOP_RUN),
    OURS(TLS, NOT_TLS, STOP_RUN),
    OURS(TLS, CONNECT_TIMEOUT, BACK_OFF),
    /* sending and waiting */
    WIRE(SEND, ECONNRESET, AGAIN_NOW),
    WIRE(SEND, EPIPE, AGAIN_NOW),
    WIRE(AWAIT, ECONNRESET, AGAIN_NOW),
    OURS(AWAIT, STALE, AGAIN_NOW),
    OURS(AWAIT, CLOSED, AGAIN_NOW),
    OURS(AWAIT, TIMEOUT, BACK_OFF),
    OURS(SEND, STALLED, AGAIN_NOW),
    OURS(AWAIT, STRAGGLER, AGAIN_NOW),
    OURS(AWAIT, TLS_TRUNCATED, AGAIN_NOW),
    OURS(AWAIT, TLS_ALERT, BACK_OFF),
    {POLICY_AWAIT, POLICY_ANY, 0, 0, "", ERR_HTTP_GARBAGE, POLICY_BACK_OFF, 9},
    {POLICY_AWAIT, POLICY_ANY, 0, 0, "", ERR_HTTP_HEAD_SIZE, POLICY_BACK_OFF, 9},
    /* a reply's body */
    WIRE(BODY, ECONNRESET, AGAIN_NOW),
    OURS(BODY, CLOSED, AGAIN_NOW),
    OURS(BODY, STALLED, AGAIN_NOW),
    OURS(BODY, STRAGGLER, AGAIN_NOW),
    OURS(BODY, TLS_TRUNCATED, AGAIN_NOW),
    {POLICY_XML, POLICY_ANY, 0, 0, "", ERR_XML_GARBAGE, POLICY_BACK_OFF, 9},
    {POLICY_XML, POLICY_ANY, 0, 0, "", ERR_NOT_S3, POLICY_BACK_OFF, 9},
    {POLICY_BODY, POLICY_ANY, 0, 0, "", ERR_LENGTH, POLICY_BACK_OFF, 9},
    {POLICY_BODY, POLICY_ANY, 0, 0, "", ERR_CHECKSUM, POLICY_REREAD, 6},
    OURS(XML, NO_MEMORY, STOP_RUN),
    /* what the server says: it is busy */
    SAYS(503, "SlowDown", THROTTLE),
    SAYS(503, "ServiceUnavailable", THROTTLE),
    SAYS(429, "", THROTTLE),
    SAYS(400, "Throttling", THROTTLE),
    SAYS(503, "", BACK_OFF),
    SAYS(500, "InternalError", BACK_OFF),
    SAYS(502, "", BACK_OFF),
    SAYS(504, "", BACK_OFF),
    SAYS(200, "InternalError", BACK_OFF),
    SAYS(200, "SlowDown", THROTTLE),
    SAYS(400, "RequestTimeout", AGAIN_NOW),
    SAYS(400, "IncompleteBody", BACK_OFF),
    {POLICY_ANSWER, POLICY_ANY, 0, 409, "OperationAborted", 0, POLICY_BACK_OFF, 9},
    /* who we are, when, where */
    SAYS(400, "ExpiredToken", CREDENTIALS),
    SAYS(403, "InvalidAccessKeyId", CREDENTIALS),
    SAYS(403, "SignatureDoesNotMatch", CREDENTIALS),
    SAYS(403, "RequestTimeTooSkewed", CLOCK),
    SAYS(403, "RequestExpired", CLOCK),
    SAYS(400, "AuthorizationHeaderMalformed", REGION),
    SAYS(301, "PermanentRedirect", REGION),
    SAYS(301, "", REGION),
    SAYS(307, "TemporaryRedirect", REDIRECT),
    SAYS(302, "", REDIRECT),
    SAYS(403, "AccessDenied", FAIL_OBJECT),
    SAYS(403, "", SUSPECT),
    SAYS(400, "", SUSPECT),
    SAYS(400, "InvalidRequest", FAIL_OBJECT),
    /* the bytes */
    {POLICY_ANSWER, POLICY_ANY, 0, 400, "BadDigest", 0, POLICY_REREAD, 6},
    {POLICY_ANSWER, POLICY_ANY, 0, 400, "XAmzContentSHA256Mismatch", 0, POLICY_REREAD, 6},
    /* the object */
    SAYS(404, "NoSuchKey", FAIL_OBJECT),
    SAYS(412, "PreconditionFailed", FAIL_OBJECT),
    SAYS(416, "InvalidRange", FAIL_OBJECT),
    SAYS(400, "EntityTooLarge", FAIL_OBJECT),
    SAYS(404, "NoSuchBucket", STOP_RUN),
    SAYS(403, "QuotaExceeded", STOP_RUN),
    SAYS(501, "", FAIL_OBJECT),
    /* uploads */
    {POLICY_ANSWER, POLICY_PART, 0, 404, "NoSuchUpload", 0, POLICY_RESTART, 0},
    {POLICY_ANSWER, POLICY_PART, 0, 503, "SlowDown", 0, POLICY_THROTTLE, 0},
    {POLICY_ANSWER, POLICY_ANY, 0, 404, "NoSuchUpload", 0, POLICY_FAIL_OBJECT, 0},
    /* a completion that may have happened */
    DONE(AWAIT, RESET, RECONCILE),
    DONE(AWAIT, CLOSED, RECONCILE),
    DONE(AWAIT, STALE, RECONCILE),
    DONE(AWAIT, TIMEOUT, RECONCILE),
    DONE(AWAIT, HTTP_GARBAGE, RECONCILE),
    DONE(AWAIT, HTTP_HEAD_SIZE, RECONCILE),
    DONE(AWAIT, TLS_ALERT, RECONCILE),
    {POLICY_AWAIT, POLICY_COMPLETE, ETIMEDOUT, 0, "", 0, POLICY_RECONCILE, 0},
    {POLICY_BODY, POLICY_COMPLETE, EHOSTUNREACH, 0, "", 0, POLICY_RECONCILE, 0},
    DONE(BODY, RESET, RECONCILE),
    DONE(BODY, STALLED, RECONCILE),
    DONE(BODY, TLS_TRUNCATED, RECONCILE),
    DONE(XML, XML_GARBAGE, RECONCILE),
    DONE(XML, NOT_S3, RECONCILE),
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 500, "InternalError", 0, POLICY_RECONCILE, 0},
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 200, "InternalError", 0, POLICY_RECONCILE, 0},
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 504, "", 0, POLICY_RECONCILE, 0},
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 404, "NoSuchUpload", 0, POLICY_RECONCILE, 0},
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 400, "InvalidPart", 0, POLICY_RELIST, 0},
    /* and one that cannot have */
    DONE(CONNECT, REFUSED, BACK_OFF),
    DONE(SEND, RESET, AGAIN_NOW),
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 503, "SlowDown", 0, POLICY_THROTTLE, 0},
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 409, "OperationAborted", 0, POLICY_BACK_OFF, 9},
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 400, "BadDigest", 0, POLICY_REREAD, 6},
    {POLICY_ANSWER, POLICY_COMPLETE, 0, 403, "AccessDenied", 0, POLICY_FAIL_OBJECT, 0},
    /* our side */
    OURS(SEND, CANCELLED, FAIL_OBJECT),
    OURS(SEND, FILE_CHANGED, FAIL_OBJECT),
    OURS(SEND, FILE_IO, FAIL_OBJECT),
    OURS(SEND, DISK_FULL, STOP_RUN),
};

#define ROWS_MAX 128u

/* Each row of the table, and each class, has a case here. */
static void check_all_seen(const bool *rows_seen, const bool *classes_seen)
{
    for (uint32_t i = 0; i < policy_row_count(); i++)
        if (!rows_seen[i]) fail_msg("row %u of the table has no case", i);
    for (enum err_class class = ERR_CLASS_RETRY; class <= ERR_CLASS_RUN; class ++)
        if (!classes_seen[class]) fail_msg("class %d has no case", class);
}

static void test_rows(void **state)
{
    bool rows_seen[ROWS_MAX] = {false}, classes_seen[ERR_CLASS_RUN + 1] = {false};
    (void)state;
    assert_true(policy_row_count() < ROWS_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct policy_case failure = {.phase = row->phase, .call = row->call, .err = row->err};
        if (row->number) failure.err = err_of_socket_errno(row->number);
        if (row->status) failure.err = reply_err(row->status, bytes_of(row->code), REPLY_OBJECT);
        failure.bare = row->status && !row->code[0];
        struct policy policy = policy_find(&failure);
        uint32_t index = policy_row_of(&failure);
        rows_seen[index] = true;
        if (index == policy_row_count()) classes_seen[err_class(failure.err)] = true;
        if (policy.act != row->act || policy.attempts_max != row->attempts_max)
            fail_msg("row %zu, %s at %s (errno %d, HTTP %u %s): %s, not %s", i,
                     err_name(failure.err), policy_phase_name(row->phase), row->number, row->status,
                     row->code, policy_act_name(policy.act), policy_act_name(row->act));
    }
    check_all_seen(rows_seen, classes_seen);
}

/* Whatever fails once a completion has been sent: nobody asks for it again without looking, unless
 * the server has said that it was not done. */
static void test_completions_are_looked_for(void **state)
{
    (void)state;
    for (enum err err = ERR_NONE + 1; err < ERR_COUNT; err++)
        for (enum policy_phase phase = POLICY_AWAIT; phase < POLICY_PHASES; phase++) {
            struct policy_case failure = {.phase = phase, .call = POLICY_COMPLETE, .err = err};
            enum policy_act act = policy_find(&failure).act;
            bool refused = err == ERR_CONFLICT || err == ERR_CHECKSUM;
            bool blind = act == POLICY_AGAIN_NOW || act == POLICY_BACK_OFF || act == POLICY_REREAD;
            if (blind && !(refused && phase == POLICY_ANSWER))
                fail_msg("%s at %s", err_name(err), policy_phase_name(phase));
        }
}

/* Whatever the err and the phase: what is tried again has a class that allows it. */
static void test_acts_agree_with_classes(void **state)
{
    (void)state;
    for (enum err err = ERR_NONE + 1; err < ERR_COUNT; err++)
        for (enum policy_phase phase = 0; phase < POLICY_PHASES; phase++) {
            struct policy_case failure = {.phase = phase, .call = POLICY_ANY, .err = err};
            enum policy_act act = policy_find(&failure).act;
            enum err_class class = err_class(err);
            bool again = class == ERR_CLASS_RETRY || class == ERR_CLASS_SLOW;
            bool waits = act <= POLICY_THROTTLE || act == POLICY_REREAD;
            if (again != waits) fail_msg("%s at %s", err_name(err), policy_phase_name(phase));
        }
}

static void test_dial_phases(void **state)
{
    (void)state;
    assert_int_equal(policy_dial_phase(ERR_NAME_UNKNOWN), POLICY_RESOLVE);
    assert_int_equal(policy_dial_phase(ERR_REFUSED), POLICY_CONNECT);
    assert_int_equal(policy_dial_phase(ERR_NOT_TLS), POLICY_TLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_completions_are_looked_for),
        cmocka_unit_test(test_acts_agree_with_classes),
        cmocka_unit_test(test_dial_phases),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
