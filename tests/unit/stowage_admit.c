/* What a head says before anything is done: who is let in, which rule hits, how long its body is.
 * */
#include "tools/stowage_admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"

static struct stowage_world world;
static struct stowage_fault fault;
static struct stowage_call call;
static struct stowage_fault_hit hit;
static struct stowage_chunk chunk;
static struct http_parser parser;
static char text[4096];

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    stowage_fault_init(&fault);
    stowage_auth_init(&world.auth, "AKIA", "secret", "us-east-1");
    world.fault = &fault;
    world.verify = true;
    stowage_call_init(&call, &world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stowage_call_fini(&call);
    stowage_fault_fini(&fault);
    return 0;
}

static void add_rule(const char *line)
{
    char why[STOWAGE_FAULT_WHY_BYTES];
    stowage_fault_clear(&fault);
    assert_int_equal(stowage_fault_add(&fault, bytes_of(line), why), ERR_NONE);
}

struct request { /* NULL or 0: as it should be; signed, for now and here */
    const char *method, *target, *region, *payload, *more;
    int64_t ahead_s;
    bool anonymous;
};

static enum stowage_error admit(const struct request *r)
{
    const char *method = r->method ? r->method : "GET", *target = r->target ? r->target : "/b/k";
    const char *payload = r->payload ? r->payload : SIGV4_UNSIGNED;
    char authorization[SIGV4_AUTHORIZATION_BYTES] = "", time[STAMP_BASIC_BYTES];
    uint64_t then_ns = clock_wall_ns() + (uint64_t)(r->ahead_s * (int64_t)NS_PER_S);
    struct bytes query, path = bytes_cut(bytes_of(target), '?', &query);
    struct sigv4_key key;
    struct writer w;
    uint32_t bytes;
    stamp_format_basic(then_ns, time);
    sigv4_key_init(&key, "AKIA", "secret", r->region ? r->region : "us-east-1");
    struct http_header headers[] = {{BYTES("host"), BYTES("h:1")},
                                    {BYTES("x-amz-content-sha256"), bytes_of(payload)},
                                    {BYTES("x-amz-date"), bytes_of(time)}};
    struct sigv4_request signing = {.method = bytes_of(method),
                                    .path = path,
                                    .query = query,
                                    .headers = headers,
                                    .header_count = ARRAY_COUNT(headers),
                                    .payload_hash = bytes_of(payload),
                                    .wall_ns = then_ns};
    writer_init(&w, authorization, sizeof authorization);
    assert_int_equal(sigv4_sign(&key, &signing, &w), ERR_NONE);
    writer_string(&w);
    sigv4_key_fini(&key);
    snprintf(text, sizeof text,
             "%s %s HTTP/1.1\r\nHost: h:1\r\nX-Amz-Date: %s\r\nx-amz-content-sha256: %s\r\n%s%s%s%s"
             "\r\n",
             method, target, time, payload,
             r->anonymous ? "" : "Authorization: ", r->anonymous ? "" : authorization,
             r->anonymous ? "" : "\r\n", r->more ? r->more : "");
    http_parser_init(&parser, HTTP_REQUEST, false);
    assert_int_equal(http_parse_head(&parser, text, (uint32_t)strlen(text), &bytes), ERR_NONE);
    stowage_call_clear(&call);
    memset(&hit, 0xff, sizeof hit); /* whatever was there before */
    return stowage_admit_head(&call, &parser.head, &hit);
}

/* --- who, and what --- */

static const struct row {
    struct request request;
    const char *rule;
    enum stowage_error error;
    uint64_t fired;
} rows[] = {
    {{.method = NULL}, NULL, STOWAGE_ERROR_NONE, 0},
    {{.anonymous = true}, NULL, STOWAGE_ERROR_ACCESS_DENIED, 0},
    {{.method = "PATCH"}, NULL, STOWAGE_ERROR_METHOD, 0},
    {{.method = "PATCH", .anonymous = true}, NULL, STOWAGE_ERROR_ACCESS_DENIED, 0},
    {{.ahead_s = 3600}, NULL, STOWAGE_ERROR_SKEW, 0},
    /* an error is for who is let in */
    {{.method = NULL}, "error=SlowDown", STOWAGE_ERROR_INJECTED, 1},
    {{.anonymous = true}, "error=SlowDown", STOWAGE_ERROR_ACCESS_DENIED, 0},
    {{.method = NULL}, "error=SlowDown op=PutObject", STOWAGE_ERROR_NONE, 0},
    {{.method = NULL}, "error-in-200", STOWAGE_ERROR_INJECTED, 1},
    {{.method = NULL}, "redirect=http://h:2/*", STOWAGE_ERROR_INJECTED, 1},
    {{.method = NULL}, "moved=h:2", STOWAGE_ERROR_INJECTED, 1},
    /* what happens on the way, or later, is not said now */
    {{.method = NULL}, "reset", STOWAGE_ERROR_NONE, 0},
    {{.method = NULL}, "lost", STOWAGE_ERROR_NONE, 0},
    /* another clock */
    {{.method = NULL}, "skew=1h", STOWAGE_ERROR_SKEW, 1},
    {{.method = NULL}, "skew=-1h", STOWAGE_ERROR_SKEW, 1},
    {{.ahead_s = 3600}, "skew=1h", STOWAGE_ERROR_NONE, 0},
    {{.method = NULL}, "skew=1m", STOWAGE_ERROR_NONE, 0},
    /* another region: who signs for that one is let in */
    {{.method = NULL}, "region=eu-west-1", STOWAGE_ERROR_INJECTED, 1},
    {{.region = "eu-west-1"}, "region=eu-west-1", STOWAGE_ERROR_NONE, 0},
    {{.anonymous = true}, "region=eu-west-1", STOWAGE_ERROR_ACCESS_DENIED, 0},
};

static void test_admission(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        stowage_fault_clear(&fault);
        if (row->rule) add_rule(row->rule);
        enum stowage_error error = admit(&row->request);
        if (error != row->error) fail_msg("row %zu: %s", i, stowage_error_code(error));
        if (fault.counts[0].fired != row->fired) fail_msg("row %zu: fired", i);
        if (!row->rule) assert_false(hit.is_hit);
        assert_int_equal(call.refusal != NULL, row->error == STOWAGE_ERROR_INJECTED);
    }
}

/* An error of the region names ours. */
static void test_region(void **state)
{
    (void)state;
    assert_int_equal(admit(&(struct request){.region = "eu-west-1"}),
                     STOWAGE_ERROR_HEADER_MALFORMED);
    assert_string_equal(call.detail, "expecting the region 'us-east-1'");
}

static void test_open_house(void **state)
{
    (void)state;
    world.auth.required = false;
    assert_int_equal(admit(&(struct request){.anonymous = true}), STOWAGE_ERROR_NONE);
    add_rule("region=eu-west-1"); /* it asks nobody either */
    assert_int_equal(admit(&(struct request){.anonymous = true}), STOWAGE_ERROR_NONE);
}

static void test_facts(void **state)
{
    (void)state;
    assert_int_equal(admit(&(struct request){.method = "HEAD"}), STOWAGE_ERROR_NONE);
    assert_true(call.no_body);
    assert_int_equal(call.route.operation, STOWAGE_HEAD_OBJECT);
    assert_ptr_equal(call.head, &parser.head);
    assert_int_equal(admit(&(struct request){.method = NULL}), STOWAGE_ERROR_NONE);
    assert_false(call.no_body);
}

/* --- its body --- */

#define PUT   .method = "PUT"
#define PART  .method = "PUT", .target = "/b/k?partNumber=1&uploadId=u"
#define AWS   .payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
#define PARTS .method = "POST", .target = "/b/k?uploads="

static const struct body {
    struct request request;
    enum stowage_error error;
    bool chunked;
    uint64_t bytes;
} bodies[] = {
    {{PUT, .more = "Content-Length: 9\r\n"}, STOWAGE_ERROR_NONE, false, 9},
    {{PUT, .more = "Content-Length: 0\r\n"}, STOWAGE_ERROR_NONE, false, 0},
    {{PUT}, STOWAGE_ERROR_NO_LENGTH, false, 0},
    {{PART}, STOWAGE_ERROR_NO_LENGTH, false, 0},
    {{PARTS}, STOWAGE_ERROR_NONE, false, 0}, /* needs none */
    {{.method = "GET"}, STOWAGE_ERROR_NONE, false, 0},
    {{PUT, .more = "Transfer-Encoding: chunked\r\n"}, STOWAGE_ERROR_NO_LENGTH, false, 0},
    {{PUT, AWS, .more = "Content-Length: 99\r\nx-amz-decoded-content-length: 9\r\n"},
     STOWAGE_ERROR_NONE,
     true,
     9},
    {{PUT, AWS, .more = "Transfer-Encoding: chunked\r\nx-amz-decoded-content-length: 9\r\n"},
     STOWAGE_ERROR_NONE,
     true,
     9},
    {{PUT, AWS, .more = "Content-Length: 99\r\n"}, STOWAGE_ERROR_NO_LENGTH, true, 99},
    {{PUT, AWS, .more = "Content-Length: 99\r\nx-amz-decoded-content-length: -9\r\n"},
     STOWAGE_ERROR_NO_LENGTH,
     true,
     99},
};

static void test_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        const struct body *body = &bodies[i];
        bool chunked;
        assert_int_equal(admit(&body->request), STOWAGE_ERROR_NONE);
        enum stowage_error error = stowage_admit_body(&call, &chunk, &chunked);
        if (error != body->error) fail_msg("row %zu: %s", i, stowage_error_code(error));
        if (chunked != body->chunked) fail_msg("row %zu: chunked", i);
        if (!error) assert_int_equal(call.content_bytes, body->bytes);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_admission), TEST(test_region),
                                       TEST(test_open_house), TEST(test_facts), TEST(test_bodies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
