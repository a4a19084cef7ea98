/* What trying again corrects: clock, region, credentials; and when it ends. Against a scripted
 * peer. */

#include "core/clock.h"
#include "s3/request.h"
#include "tests/unit/wire.h"

#define FOLDER "/tmp/argosy-test-again"

struct world {
    struct wire wire;
    struct creds creds;
    struct request request;
    struct request_call call;
    struct op op;
};

static void write_profile(const char *key)
{
    FILE *file = fopen(FOLDER "/credentials", "w");
    assert_non_null(file);
    fprintf(file, "[default]\naws_access_key_id = %s\naws_secret_access_key = s\n", key);
    fclose(file);
}

static void open_world(struct world *w, const struct peer_step *steps)
{
    char why[512];
    memset(w, 0, sizeof(*w));
    wire_open(&w->wire, steps);
    assert_int_equal(aside_open(&w->wire.aside, &w->wire.core, "test"), ERR_NONE);
    w->wire.conf.connections_max = 4;
    w->wire.conf.reply_timeout_ns = w->wire.conf.stall_timeout_ns = 2 * NS_PER_S;
    write_profile("OLDKEY");
    assert_int_equal(creds_load(&w->creds, NULL, why), ERR_NONE);
    wire_connect(&w->wire, &w->creds);
    request_init(&w->request, &w->wire.client);
    op_init(&w->op, wire_on_done);
    w->call = (struct request_call){
        .kind = REQUEST_GET_OBJECT, .bucket = BYTES("bucket"), .key = BYTES("key")};
}

static void close_world(struct world *w)
{
    request_fini(&w->request);
    wire_close(&w->wire);
}

static enum err call(struct world *w)
{
    request_start(&w->request, &w->call, &w->op);
    return wire_wait(&w->wire, &w->op);
}

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"e\"\r\n\r\n"

#define SKEWED                                                                                     \
    "HTTP/1.1 403 Forbidden\r\nDate: Tue, 02 Jan 2035 03:04:05 GMT\r\nContent-Length: 48\r\n\r\n"  \
    "<Error><Code>RequestTimeTooSkewed</Code></Error>"
#define BARE_SKEWED                                                                                \
    "HTTP/1.1 403 Forbidden\r\nDate: Tue, 02 Jan 2035 03:04:05 GMT\r\nContent-Length: 9\r\n\r\n"
#define EMPTY_SKEWED                                                                               \
    "HTTP/1.1 403 Forbidden\r\nDate: Tue, 02 Jan 2035 03:04:05 GMT\r\nContent-Length: 0\r\n\r\n"
#define ELSEWHERE                                                                                  \
    "HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: mars-north-1\r\n"                      \
    "Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
#define MALFORMED                                                                                  \
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 85\r\n\r\n"                                       \
    "<Error><Code>AuthorizationHeaderMalformed</Code><Region>mars-north-1</Region></Error>"
#define EXPIRED                                                                                    \
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 40\r\n\r\n"                                       \
    "<Error><Code>ExpiredToken</Code></Error>"

static void test_clock(void **state)
{
    static const struct peer_step steps[] = {ACCEPT,         HEAD, SEND(SKEWED),   HEAD,
                                             SEND(OK_EMPTY), HEAD, SEND(OK_EMPTY), END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, 2);
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, 1); /* it is remembered */
    close_world(&w);
    assert_int_equal(peer_heads_with(&w.wire.peer, "x-amz-date: 20350102T0304"), 2);
}

/* A server that calls its own time wrong. */
static void test_clock_once(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD, SEND(SKEWED), HEAD, SEND(SKEWED), END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    assert_int_equal(call(&w), ERR_CLOCK_SKEW);
    assert_int_equal(w.request.attempts, 2);
    close_world(&w);
}

/* One server of several is wrong, while others accept what we sign: that is not thrown away. */
static void test_clock_and_region_are_kept(void **state)
{
    static const char *const answers[] = {SKEWED, ELSEWHERE};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct peer_step steps[] = {ACCEPT,           HEAD, SEND(OK_EMPTY), HEAD,
                                    SEND(answers[i]), HEAD, SEND(OK_EMPTY), END};
        struct world w;
        open_world(&w, steps);
        assert_int_equal(call(&w), ERR_NONE);
        assert_int_equal(call(&w), ERR_NONE);
        assert_int_equal(w.request.attempts, 2);
        close_world(&w);
        assert_int_equal(peer_heads_with(&w.wire.peer, "x-amz-date: 2035"), 0);
        assert_int_equal(peer_heads_with(&w.wire.peer, "mars-north-1"), 0);
    }
}

/* Nobody accepts it any more: this machine's clock has been set meanwhile. */
static void test_clock_that_jumps(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT,       HEAD, SEND(OK_EMPTY), HEAD, SEND(SKEWED),   HEAD,
        SEND(SKEWED), HEAD, SEND(SKEWED),   HEAD, SEND(SKEWED),   HEAD,
        SEND(SKEWED), HEAD, SEND(SKEWED),   HEAD, SEND(OK_EMPTY), END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, IDENTITY_REFUSALS_MAX + 1);
    close_world(&w);
    assert_int_equal(peer_heads_with(&w.wire.peer, "x-amz-date: 20350102T0304"), 1);
}

/* What a HEAD does not say, the GET behind it does, or the clock is suspected. */
static void test_clock_of_head(void **state)
{
    static const char *const answers[] = {SKEWED, EMPTY_SKEWED};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct peer_step steps[] = {ACCEPT,           HEAD, SEND(BARE_SKEWED), HEAD,
                                    SEND(answers[i]), HEAD, SEND(OK_EMPTY),    END};
        struct world w;
        open_world(&w, steps);
        w.call.kind = REQUEST_HEAD_OBJECT;
        assert_int_equal(call(&w), ERR_NONE);
        close_world(&w);
        assert_int_equal(peer_heads_with(&w.wire.peer, "x-amz-date: 20350102T0304"), 1);
        assert_int_equal(peer_heads_with(&w.wire.peer, "range: bytes=0-0"), 1);
    }
}

static void test_region(void **state)
{
    static const char *const answers[] = {ELSEWHERE, MALFORMED};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct peer_step steps[] = {ACCEPT, HEAD, SEND(answers[i]), HEAD, SEND(OK_EMPTY), END};
        struct world w;
        open_world(&w, steps);
        assert_int_equal(call(&w), ERR_NONE);
        close_world(&w);
        assert_int_equal(peer_heads_with(&w.wire.peer, "/us-east-1/s3/aws4_request"), 1);
        assert_int_equal(peer_heads_with(&w.wire.peer, "/mars-north-1/s3/aws4_request"), 1);
    }
}

/* It is on another host: the run stops, and the other host hears nothing. */
static void test_region_elsewhere(void **state)
{
    static const struct peer_step steps[] = {ACCEPT,          HEAD, SEND(ELSEWHERE), HEAD,
                                             SEND(ELSEWHERE), END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    assert_int_equal(call(&w), ERR_WRONG_REGION);
    assert_int_equal(w.request.attempts, 2);
    assert_string_equal(w.request.reply.region, "mars-north-1");
    close_world(&w);
}

/* --- to another host --- */

#define PEERS 7

/* The home is w->wire.peer; others[0] … are where it may send us. Each answers one request with the
 * text of that number, and then with success. */
struct tour {
    struct peer others[PEERS];
    struct peer_step steps[PEERS][6];
    char texts[PEERS + 1][256];
};

static const char *sends_to(char text[256], uint32_t status, uint16_t port, const char *more)
{
    snprintf(text, 256,
             "HTTP/1.1 %u Elsewhere\r\nLocation: http://127.0.0.1:%u/bucket/key\r\n%s"
             "Content-Length: 0\r\n\r\n",
             status, port, more);
    return text;
}

static void start_other(struct tour *tour, uint32_t index, const char *text)
{
    const struct peer_step steps[] = {ACCEPT, HEAD, SEND(text), HEAD, SEND(OK_EMPTY), END};
    memcpy(tour->steps[index], steps, sizeof(steps));
    peer_start(&tour->others[index], tour->steps[index]);
}

/* One that nobody must come to. */
static void start_unasked(struct tour *tour, uint32_t index)
{
    static const struct peer_step nothing[] = {END};
    peer_start(&tour->others[index], nothing);
}

static bool is_unasked(const struct peer *peer)
{
    struct pollfd ready = {peer->listener, POLLIN, 0};
    return poll(&ready, 1, 0) == 0 && peer->accepted == 0;
}

static uint64_t authorizations(const struct peer *peer)
{
    return peer_heads_with(peer, "\r\nauthorization: AWS4-HMAC-SHA256 ");
}

/* A temporary redirect is for one call: the next one asks at home again. */
static void test_follows_once(void **state)
{
    static struct tour tour;
    struct peer_step steps[] = {ACCEPT, HEAD, SEND(tour.texts[0]), HEAD, SEND(OK_EMPTY), END};
    char host[64];
    struct world w;
    (void)state;
    start_other(&tour, 0, OK_EMPTY);
    sends_to(tour.texts[0], 307, tour.others[0].port, "");
    open_world(&w, steps);
    w.wire.conf.follow_redirects = "127.0.0.1";
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, 2);
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, 1);
    assert_int_equal(client_counts(&w.wire.client).opened, 2);
    assert_int_equal(w.wire.client.doors[1].port, tour.others[0].port);
    close_world(&w);
    peer_join(&tour.others[0]);
    assert_int_equal(authorizations(&w.wire.peer), 2);
    assert_int_equal(authorizations(&tour.others[0]), 1);
    snprintf(host, sizeof(host), "GET /bucket/key HTTP/1.1\r\nhost: 127.0.0.1:%u\r\n",
             tour.others[0].port);
    assert_int_equal(peer_heads_with(&tour.others[0], host), 1);
}

/* A permanent one is for the bucket, with the region that comes with it. */
static void test_moves_for_good(void **state)
{
    static struct tour tour;
    struct peer_step steps[] = {ACCEPT, HEAD, SEND(tour.texts[0]), HEAD, SEND(OK_EMPTY), END};
    struct world w;
    (void)state;
    start_other(&tour, 0, OK_EMPTY);
    sends_to(tour.texts[0], 301, tour.others[0].port, "x-amz-bucket-region: mars-north-1\r\n");
    open_world(&w, steps);
    w.wire.conf.follow_redirects = "127.0.0.1";
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, 2);
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, 1);
    w.call.bucket = BYTES("another"); /* which nobody has moved */
    assert_int_equal(call(&w), ERR_NONE);
    close_world(&w);
    peer_join(&tour.others[0]);
    assert_int_equal(authorizations(&w.wire.peer), 2);
    assert_int_equal(peer_heads_with(&w.wire.peer, "mars-north-1"), 0);
    assert_int_equal(peer_heads_with(&w.wire.peer, "/another/key"), 1);
    assert_int_equal(peer_heads_with(&tour.others[0], "/mars-north-1/s3/aws4_request"), 2);
}

/* The redirect's host fails: the next attempt begins at home. */
static void test_comes_home(void **state)
{
    static struct tour tour;
    static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    struct peer_step steps[] = {ACCEPT, HEAD, SEND(tour.texts[0]), HEAD, SEND(OK_EMPTY), END};
    struct world w;
    (void)state;
    start_other(&tour, 0, busy);
    sends_to(tour.texts[0], 307, tour.others[0].port, "");
    open_world(&w, steps);
    w.wire.conf.follow_redirects = "127.0.0.1";
    assert_int_equal(call(&w), ERR_NONE);
    assert_int_equal(w.request.attempts, 3);
    close_world(&w);
    peer_join(&tour.others[0]);
    assert_int_equal(authorizations(&w.wire.peer), 2);
    assert_int_equal(authorizations(&tour.others[0]), 1);
}

/* Nobody asked for it: the other host hears nothing, and both are named. */
static void test_refuses(void **state)
{
    static const uint32_t statuses[] = {301, 302, 307, 308};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
        static struct tour tour;
        struct peer_step steps[] = {ACCEPT, HEAD, SEND(tour.texts[0]), END};
        char words[64];
        struct world w;
        start_unasked(&tour, 0);
        sends_to(tour.texts[0], statuses[i], tour.others[0].port, "");
        open_world(&w, steps);
        assert_int_equal(call(&w), ERR_REDIRECT);
        assert_int_equal(w.request.attempts, 1);
        assert_int_equal(w.wire.client.door_count, 1);
        snprintf(words, sizeof(words), "http://127.0.0.1:%u redirects to", w.wire.peer.port);
        assert_non_null(strstr(w.request.why, words));
        snprintf(words, sizeof(words), "--follow-redirects 127.0.0.1:%u", tour.others[0].port);
        assert_non_null(strstr(w.request.why, words));
        close_world(&w);
        assert_true(is_unasked(&tour.others[0]));
        peer_join(&tour.others[0]);
    }
}

static void test_loop(void **state)
{
    static struct tour tour;
    struct peer_step steps[] = {ACCEPT, HEAD, SEND(tour.texts[0]), END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    start_other(&tour, 0, sends_to(tour.texts[1], 307, w.wire.peer.port, ""));
    sends_to(tour.texts[0], 307, tour.others[0].port, "");
    w.wire.peer.told = 1; /* it has begun already */
    w.wire.conf.follow_redirects = "127.0.0.1";
    assert_int_equal(call(&w), ERR_REDIRECT);
    assert_int_equal(w.request.attempts, 2);
    assert_non_null(strstr(w.request.why, "a loop"));
    close_world(&w);
    peer_join(&tour.others[0]);
}

/* Each host knows another one: the sixth is not asked any more. */
static void test_hops(void **state)
{
    static struct tour tour;
    struct peer_step steps[] = {ACCEPT, HEAD, SEND(tour.texts[PEERS]), END};
    struct world w;
    (void)state;
    _Static_assert(PEERS == REDIRECT_HOPS_MAX + 2, "two of them are never asked");
    start_unasked(&tour, 0);
    start_unasked(&tour, 1);
    for (uint32_t i = 2; i < PEERS; i++)
        start_other(&tour, i, sends_to(tour.texts[i], 307, tour.others[i - 1].port, ""));
    sends_to(tour.texts[PEERS], 307, tour.others[PEERS - 1].port, "");
    open_world(&w, steps);
    w.wire.conf.follow_redirects = "any";
    assert_int_equal(call(&w), ERR_REDIRECT);
    assert_int_equal(w.request.attempts, 1 + REDIRECT_HOPS_MAX);
    assert_non_null(strstr(w.request.why, "as many redirects as are followed"));
    close_world(&w);
    for (uint32_t i = 0; i < PEERS; i++) {
        if (i < 2) assert_true(is_unasked(&tour.others[i]));
        peer_join(&tour.others[i]);
    }
}

/* To HEAD, AWS says no more than 400 and the region, or 301 without any. */
static void test_region_of_head(void **state)
{
    static const struct peer_step said[] = {
        ACCEPT,
        HEAD,
        SEND("HTTP/1.1 400 Bad Request\r\nx-amz-bucket-region: mars-north-1\r\n"
             "Content-Length: 0\r\n\r\n"),
        HEAD,
        SEND(OK_EMPTY),
        END};
    static const struct peer_step asked[] = {
        ACCEPT,
        HEAD,
        SEND("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"),
        HEAD,
        SEND(MALFORMED),
        HEAD,
        SEND(OK_EMPTY),
        END};
    static const struct peer_step *const both[] = {said, asked};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
        struct world w;
        open_world(&w, both[i]);
        w.call.kind = REQUEST_HEAD_OBJECT;
        assert_int_equal(call(&w), ERR_NONE);
        close_world(&w);
        assert_int_equal(peer_heads_with(&w.wire.peer, "/mars-north-1/s3/aws4_request"), 1);
        assert_int_equal(peer_heads_with(&w.wire.peer, "range: bytes=0-0"), i);
    }
}

static void test_credentials(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD,           SEND(EXPIRED),
                                             HEAD,   SEND(OK_EMPTY), END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    write_profile("NEWKEY");
    assert_int_equal(call(&w), ERR_NONE);
    close_world(&w);
    assert_int_equal(peer_heads_with(&w.wire.peer, "Credential=OLDKEY/"), 1);
    assert_int_equal(peer_heads_with(&w.wire.peer, "Credential=NEWKEY/"), 1);
}

/* Nothing new in the file, and nothing ever worked: no waiting. */
static void test_credentials_unchanged(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD, SEND(EXPIRED), HEAD, SEND(EXPIRED), END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    uint64_t begin_ns = clock_now_ns();
    assert_int_equal(call(&w), ERR_CREDENTIALS_EXPIRED);
    assert_true(clock_now_ns() - begin_ns < 2 * NS_PER_S);
    close_world(&w);
}

/* Retry-After is waited for. */
static void test_asked_delay(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT,
        HEAD,
        SEND("HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"),
        HEAD,
        SEND(OK_EMPTY),
        END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    uint64_t begin_ns = clock_now_ns();
    assert_int_equal(call(&w), ERR_NONE);
    assert_true(clock_now_ns() - begin_ns >= NS_PER_S);
    close_world(&w);
}

/* A connection was made once, though nothing succeeded yet: then it is a server that restarts, not
 * a wrong address. */
static void test_lost_contact(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT, HEAD, {PEER_RESET, NULL, 0}, {PEER_STOP, NULL, 0}, END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    w.wire.conf.deadline_ns = AGAIN_FIRST_CONTACT_NS + NS_PER_S;
    uint64_t begin_ns = clock_now_ns();
    assert_false(bulletin_was_reached(w.wire.client.bulletin));
    assert_int_equal(call(&w), ERR_REFUSED);
    assert_true(bulletin_was_reached(w.wire.client.bulletin));
    assert_true(clock_now_ns() - begin_ns >= w.wire.conf.deadline_ns);
    close_world(&w);
}

/* Nobody ever listened: given up after seconds, whatever number of attempts is allowed. */
static void test_first_contact(void **state)
{
    static const struct peer_step steps[] = {{PEER_STOP, NULL, 0}, END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    peer_join(&w.wire.peer);
    w.wire.conf.deadline_ns = AGAIN_FIRST_CONTACT_NS / 6; /* the shorter one counts */
    uint64_t begin_ns = clock_now_ns();
    assert_int_equal(call(&w), ERR_REFUSED);
    uint64_t took_ns = clock_now_ns() - begin_ns;
    assert_true(took_ns >= w.wire.conf.deadline_ns && took_ns < AGAIN_FIRST_CONTACT_NS);
    bulletin_set_worked(w.wire.client.bulletin);
    w.wire.conf.deadline_ns =
        4 * NS_PER_S; /* the breaker is open or opens soon: waiting counts too */
    begin_ns = clock_now_ns();
    assert_int_equal(call(&w), ERR_REFUSED);
    took_ns = clock_now_ns() - begin_ns;
    assert_true(took_ns >= w.wire.conf.deadline_ns / 2 && took_ns < 4 * w.wire.conf.deadline_ns);
    assert_int_equal(w.wire.client.doors[0].breaker.state, BREAKER_OPEN);
    assert_non_null(strstr(w.request.why, "127.0.0.1:"));
    request_fini(&w.request);
    client_close(&w.wire.client, &w.wire.end);
    assert_int_equal(wire_wait(&w.wire, &w.wire.end), ERR_NONE);
    aside_close(w.wire.aside);
    core_close(&w.wire.core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_clock_once),
        cmocka_unit_test(test_clock_and_region_are_kept),
        cmocka_unit_test(test_clock_that_jumps),
        cmocka_unit_test(test_clock_of_head),
        cmocka_unit_test(test_region),
        cmocka_unit_test(test_region_elsewhere),
        cmocka_unit_test(test_follows_once),
        cmocka_unit_test(test_moves_for_good),
        cmocka_unit_test(test_comes_home),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_hops),
        cmocka_unit_test(test_region_of_head),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_credentials_unchanged),
        cmocka_unit_test(test_asked_delay),
        cmocka_unit_test(test_first_contact),
        cmocka_unit_test(test_lost_contact),
    };
    if (system("mkdir -p " FOLDER)) return 1;
    setenv("AWS_SHARED_CREDENTIALS_FILE", FOLDER "/credentials", 1);
    setenv("AWS_CONFIG_FILE", FOLDER "/config", 1);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_PROFILE");
    return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
