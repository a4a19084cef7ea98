/* What a scripted server answers to a completion, and what is made of it: an object is ours or it
 * is not, and nothing is asked for again that may have happened. */
#include "s3/completion.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/peer.h"

/* Of two parts, 100 and 50 bytes, whose MD5s are those of "abc" and of nothing. */
#define MD5_A "\"900150983cd24fb0d6963f7d28e17f72\""
#define MD5_B "\"d41d8cd98f00b204e9800998ecf8427e\""
#define OURS  "\"fdf1fdf1567f6942ffe1743f1e72301e-2\""

#define ACCEPT                                                                                     \
    {                                                                                              \
        PEER_ACCEPT, NULL, 0                                                                       \
    }
#define ASKED                                                                                      \
    {                                                                                              \
        PEER_HEAD, NULL, 0                                                                         \
    }
#define CUT                                                                                        \
    {                                                                                              \
        PEER_RESET, NULL, 0                                                                        \
    }
#define END                                                                                        \
    {                                                                                              \
        PEER_END, NULL, 0                                                                          \
    }
#define SAY(text)                                                                                  \
    {                                                                                              \
        PEER_SEND, text, 0                                                                         \
    }
#define CHUNK(size, text) "Transfer-Encoding: chunked\r\n\r\n" size "\r\n" text "\r\n0\r\n\r\n"
#define COMPLETED                                                                                  \
    SAY("HTTP/1.1 200 OK\r\n" CHUNK(                                                               \
        "51",                                                                                      \
        "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>"))
#define COMPLETED_AS_ANOTHER                                                                       \
    SAY("HTTP/1.1 200 OK\r\n" CHUNK("7f", "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag>"    \
                                          "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"              \
                                          "     </CompleteMultipartUploadResult>"))
#define REFUSED(status, size, code)                                                                \
    SAY("HTTP/1.1 " status "\r\n" CHUNK(size, "<Error><Code>" code "</Code></Error>"))
/* A reply to HEAD has no code: it is asked for. */
#define NOT_THERE                                                                                  \
    SAY("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), ASKED,                             \
        REFUSED("404 Not Found", "25", "NoSuchKey")
#define THERE         SAY("HTTP/1.1 200 OK\r\nContent-Length: 150\r\nETag: " OURS "\r\n\r\n")
#define ANOTHER_THERE SAY("HTTP/1.1 200 OK\r\nContent-Length: 151\r\nETag: " OURS "\r\n\r\n")

struct row {
    const char *name;
    completion_fn *start;
    const struct peer_step *steps;
    enum err err;
    enum completion_verdict verdict;
    uint32_t posts, heads; /* asked in all */
    const char *etag;
};

static const struct peer_step plain[] = {ACCEPT, ASKED, COMPLETED, END};
static const struct peer_step lost[] = {ACCEPT, ASKED, CUT, ACCEPT, ASKED, THERE, END};
static const struct peer_step not_done[] = {ACCEPT,    ASKED, CUT,       ACCEPT, ASKED,
                                            NOT_THERE, ASKED, COMPLETED, END};
static const struct peer_step others[] = {ACCEPT,        ASKED, CUT,       ACCEPT, ASKED,
                                          ANOTHER_THERE, ASKED, COMPLETED, END};
static const struct peer_step wrong_parts[] = {
    ACCEPT, ASKED, REFUSED("400 Bad Request", "27", "InvalidPart"), END};
static const struct peer_step gone[] = {
    ACCEPT, ASKED, REFUSED("404 Not Found", "28", "NoSuchUpload"), ASKED, NOT_THERE, END};
static const struct peer_step gone_since_done[] = {
    ACCEPT, ASKED, REFUSED("404 Not Found", "28", "NoSuchUpload"), ASKED, THERE, END};
static const struct peer_step altered[] = {ACCEPT, ASKED,         COMPLETED_AS_ANOTHER,
                                           ASKED,  ANOTHER_THERE, END};
static const struct peer_step misreported[] = {ACCEPT, ASKED, COMPLETED_AS_ANOTHER,
                                               ASKED,  THERE, END};
static const struct peer_step denied[] = {ACCEPT, ASKED,
                                          REFUSED("403 Forbidden", "28", "AccessDenied"), END};
static const struct peer_step only_there[] = {ACCEPT, ASKED, THERE, END};
static const struct peer_step only_another[] = {ACCEPT, ASKED, ANOTHER_THERE, END};

static const struct row rows[] = {
    {"plain", completion_ask, plain, ERR_NONE, COMPLETION_DONE, 1, 0, "\"x-2\""},
    {"its answer got lost", completion_ask, lost, ERR_NONE, COMPLETION_DONE, 1, 1, OURS},
    {"it did not happen", completion_ask, not_done, ERR_NONE, COMPLETION_DONE, 2, 1, "\"x-2\""},
    {"another's object", completion_ask, others, ERR_NONE, COMPLETION_DONE, 2, 1, "\"x-2\""},
    {"the parts", completion_ask, wrong_parts, ERR_NONE, COMPLETION_PARTS, 1, 0, ""},
    {"no such upload", completion_ask, gone, ERR_NONE, COMPLETION_LOST, 1, 1, ""},
    {"done before", completion_ask, gone_since_done, ERR_NONE, COMPLETION_DONE, 1, 1, OURS},
    {"something else", completion_ask, altered, ERR_NONE, COMPLETION_ALTERED, 1, 1, ""},
    {"only the answer", completion_ask, misreported, ERR_NONE, COMPLETION_DONE, 1, 1, OURS},
    {"denied", completion_ask, denied, ERR_DENIED, COMPLETION_DONE, 1, 0, ""},
    {"by an earlier run", completion_look, only_there, ERR_NONE, COMPLETION_DONE, 0, 1, OURS},
    {"not by it", completion_look, only_another, ERR_NONE, COMPLETION_LOST, 0, 1, ""},
};

struct world {
    struct core core;
    struct peer peer;
    struct conf conf;
    struct endpoint endpoint;
    struct station station;
    struct multipart parts;
    struct request request;
    struct completion completion;
    struct work object;
    struct op op;
};

static void on_done(struct op *op)
{
    (void)op;
}

static enum err wait_for(struct world *w)
{
    while (w->op.out)
        core_turn(&w->core, true);
    return w->op.err;
}

static void make_parts(struct multipart *parts)
{
    const char *const etags[] = {MD5_A, MD5_B};
    uint32_t index;
    multipart_init(parts);
    assert_int_equal(multipart_cut(parts, 150, 100), ERR_NONE);
    for (int i = 0; i < 2; i++) {
        assert_true(multipart_next(parts, &index));
        assert_int_equal(
            multipart_done(parts, index, bytes_of(etags[i]), (struct bytes){"\1\2\3\4", 4}),
            ERR_NONE);
    }
}

static struct world *open_world(const struct peer_step *steps)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    struct world *w = calloc(1, sizeof *w);
    char url[64], why[TLS_WHY_BYTES];
    int raw;
    alarm(60);
    assert_non_null(w);
    peer_start(&w->peer, steps);
    assert_int_equal(core_open(&w->core, &options, &raw), ERR_NONE);
    conf_init(&w->conf);
    w->conf.log.level_max = LOG_ERROR;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", w->peer.port);
    struct endpoint_options endpoint = {.url = url};
    assert_int_equal(target_parse_endpoint(&w->endpoint, &endpoint, why), ERR_NONE);
    w->station.core = &w->core;
    w->station.conf = &w->conf;
    assert_int_equal(
        client_open(&w->station.clients[0], &w->core, &w->conf, &w->endpoint, NULL, why), ERR_NONE);
    snprintf(w->object.bucket, sizeof w->object.bucket, "bkt");
    snprintf(w->object.key, sizeof w->object.key, "key");
    make_parts(&w->parts);
    request_init(&w->request, &w->station.clients[0]);
    completion_init(&w->completion, &w->station, &w->request);
    completion_begin(&w->completion, &w->object, &w->parts);
    op_init(&w->op, on_done);
    return w;
}

static void close_world(struct world *w)
{
    completion_fini(&w->completion);
    request_fini(&w->request);
    multipart_fini(&w->parts);
    client_close(&w->station.clients[0], &w->op);
    assert_int_equal(wait_for(w), ERR_NONE);
    peer_join(&w->peer);
    core_close(&w->core);
}

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct world *w = open_world(row->steps);
        struct completion_facts facts = {
            .upload_id = "id", .mtime = "", .created_s = INT64_MAX, .confirmed = true};
        row->start(&w->completion, &facts, &w->op);
        enum err err = wait_for(w);
        enum completion_verdict verdict = w->completion.verdict;
        close_world(w); /* the peer is joined: what it received can be looked at */
        uint32_t posts = peer_heads_with(&w->peer, "POST /bkt/key?uploadId=id ");
        uint32_t heads = peer_heads_with(&w->peer, "HEAD /bkt/key ");
        if (err != row->err || verdict != row->verdict)
            fail_msg("%s: %s, verdict %d", row->name, err_name(err), (int)verdict);
        if (posts != row->posts || heads != row->heads)
            fail_msg("%s: %u completions, %u looks", row->name, posts, heads);
        assert_string_equal(w->object.result.etag, row->etag);
        free(w);
    }
}

/* While it waits to ask again. */
static void test_cancelled(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, ASKED, CUT, ACCEPT, ASKED, NOT_THERE, END};
    struct world *w = open_world(steps);
    struct completion_facts facts = {
        .upload_id = "id", .mtime = "", .created_s = INT64_MAX, .confirmed = true};
    (void)state;
    completion_ask(&w->completion, &facts, &w->op);
    while (!w->completion.pause.op.out)
        core_turn(&w->core, true);
    completion_cancel(&w->completion);
    assert_int_equal(wait_for(w), ERR_CANCELLED);
    close_world(w);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_cancelled),
    };
    return cmocka_run_group_tests_name("completion", tests, NULL, NULL);
}
