/* What nobody goes on from is removed, and nothing else is: uploads at a scripted server, files in
 * a folder. */
#include "s3/sweep.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <time.h>

#include "s3/stamp.h"
#include "tests/unit/wire.h"

#define OBJECTS_MAX 4

struct world {
    struct wire wire;
    struct sweep sweep;
    struct past_object objects[OBJECTS_MAX];
    struct op ops[OBJECTS_MAX];
    char folder[64];
    int folder_fd;
};

static void open_world(struct world *w, const struct peer_step *steps)
{
    memset(w, 0, sizeof *w);
    wire_open(&w->wire, steps);
    wire_connect(&w->wire, NULL);
    snprintf(w->folder, sizeof w->folder, "/tmp/argosy-sweep-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->folder_fd = open(w->folder, O_PATH | O_DIRECTORY);
    struct sweep_place place = {.client = &w->wire.client,
                                .log = &w->wire.conf.log,
                                .bucket = "bkt",
                                .folder_fd = w->folder_fd,
                                .resolve = RESOLVE_BENEATH};
    sweep_init(&w->sweep, &w->wire.core, &place);
    for (int i = 0; i < OBJECTS_MAX; i++) {
        op_init(&w->ops[i], wire_on_done);
        snprintf(w->objects[i].row.key, sizeof w->objects[i].row.key, "key");
        w->objects[i].row.created_s = 1000;
        w->objects[i].row.until_s = 2000;
    }
}

static void close_world(struct world *w)
{
    char command[128];
    sweep_fini(&w->sweep);
    wire_close(&w->wire);
    close(w->folder_fd);
    snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
}

#define GONE "HTTP/1.1 204 No Content\r\n\r\n"
#define UNKNOWN                                                                                    \
    "HTTP/1.1 404 Not Found\r\nContent-Length: 40\r\n\r\n<Error><Code>NoSuchUpload</Code></Error>"
#define DENIED                                                                                     \
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 40\r\n\r\n<Error><Code>AccessDenied</Code></Error>"

/* Removed, gone already, and refused: the one does not keep the other from its turn. */
static void test_known_uploads(void **state)
{
    static const struct peer_step steps[] = {ACCEPT,
                                             HEAD,
                                             {PEER_SEND, GONE, 0},
                                             HEAD,
                                             {PEER_SEND, UNKNOWN, 0},
                                             HEAD,
                                             {PEER_SEND, DENIED, 0},
                                             END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    for (int i = 0; i < 3; i++) {
        snprintf(w.objects[i].row.upload_id, sizeof w.objects[i].row.upload_id, "id%d", i);
        sweep_start(&w.sweep, &w.objects[i], &w.ops[i]);
        assert_true(w.objects[i].taken);
    }
    assert_int_equal(wire_wait(&w.wire, &w.ops[0]), ERR_NONE);
    assert_int_equal(wire_wait(&w.wire, &w.ops[1]), ERR_NONE);
    assert_int_equal(wire_wait(&w.wire, &w.ops[2]), ERR_DENIED);
    assert_true(w.sweep.aborted == 1 && w.sweep.failed == 1 && w.sweep.removed == 0);
    close_world(&w); /* the peer is joined: what it received can be looked at */
    assert_non_null(strstr(w.wire.peer.heads, "DELETE /bkt/key?uploadId=id0 "));
}

static void on_first_done(struct op *op)
{
    struct world *w = container_of(op, struct world, ops[0]);
    sweep_start(&w->sweep, &w->objects[1], &w->ops[1]);
}

/* An upload of which two runs have left something: the second is asked for while the sweep, which
 * had no more to do, is ending. */
static void test_one_behind_the_other(void **state)
{
    static const struct peer_step steps[] = {
        ACCEPT, HEAD, {PEER_SEND, DENIED, 0}, HEAD, {PEER_SEND, GONE, 0}, END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    op_init(&w.ops[0], on_first_done);
    for (int i = 0; i < 2; i++)
        snprintf(w.objects[i].row.upload_id, sizeof w.objects[i].row.upload_id, "id%d", i);
    sweep_start(&w.sweep, &w.objects[0], &w.ops[0]);
    assert_int_equal(wire_wait(&w.wire, &w.ops[0]), ERR_DENIED);
    assert_int_equal(wire_wait(&w.wire, &w.ops[1]), ERR_NONE);
    assert_true(w.sweep.aborted == 1 && w.sweep.failed == 1);
    close_world(&w);
}

struct listed { /* an upload, on a page */
    const char *key;
    int64_t at_s; /* and so its id; 0: no more */
    const char *owner;
};

/* The server's clock is a day ahead of ours. */
static const char *page_of(char *area, size_t bytes, const struct listed *listed)
{
    char xml[3072], date[STAMP_HTTP_BYTES], stamp[STAMP_ISO_BYTES];
    const int64_t ahead = 24 * 3600;
    int at = snprintf(xml, sizeof xml, "<ListMultipartUploadsResult>");
    stamp_format_http((uint64_t)(time(NULL) + ahead) * NS_PER_S, date);
    for (; listed->key; listed++) {
        stamp_format_iso((uint64_t)(listed->at_s + ahead) * NS_PER_S, stamp);
        at += snprintf(xml + at, sizeof xml - (size_t)at,
                       "<Upload><Key>%s</Key><UploadId>at%lld</UploadId><Initiator><ID>%s</ID>"
                       "</Initiator><Initiated>%s</Initiated></Upload>",
                       listed->key, (long long)listed->at_s, listed->owner ? listed->owner : "",
                       stamp);
    }
    at += snprintf(xml + at, sizeof xml - (size_t)at, "</ListMultipartUploadsResult>");
    snprintf(area, bytes, "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Length: %d\r\n\r\n%s", date, at,
             xml);
    return area;
}

#define PARTS(xml, length) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" xml
#define NO_PARTS           PARTS("<ListPartsResult></ListPartsResult>", "35")
#define A_PART                                                                                     \
    PARTS("<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>5</Size></Part>"   \
          "</ListPartsResult>",                                                                    \
          "102")

/* A part that arrived then, by our clock. */
static const char *part_of(char *area, size_t bytes, int64_t at_s)
{
    char xml[512], stamp[STAMP_ISO_BYTES];
    stamp_format_iso((uint64_t)(at_s + 24 * 3600) * NS_PER_S, stamp);
    int count = snprintf(xml, sizeof xml,
                         "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>5"
                         "</Size><LastModified>%s</LastModified></Part></ListPartsResult>",
                         stamp);
    snprintf(area, bytes, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", count, xml);
    return area;
}

/* Only those of the key, of the time in which ours must have been created, and without a part that
 * came when ours was dead. */
static void test_upload_without_id(void **state)
{
    static char first[4096], second[4096], early[1024], late[1024];
    static const struct listed listed[] = {{"key", 900, NULL},   {"key", 1500, NULL},
                                           {"key", 1600, NULL},  {"key", 2100, NULL},
                                           {"key2", 1500, NULL}, {NULL, 0, NULL}};
    static const struct listed others[] = {{"key", 1500, NULL}, {NULL, 0, NULL}};
    struct peer_step steps[] = {ACCEPT,
                                HEAD,
                                {PEER_SEND, page_of(first, sizeof first, listed), 0},
                                HEAD,
                                {PEER_SEND, part_of(late, sizeof late, 2006), 0},
                                HEAD,
                                {PEER_SEND, part_of(early, sizeof early, 1700), 0},
                                HEAD,
                                {PEER_SEND, GONE, 0},
                                HEAD,
                                {PEER_SEND, page_of(second, sizeof second, others), 0},
                                HEAD,
                                {PEER_SEND, late, 0},
                                END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    sweep_start(&w.sweep, &w.objects[0], &w.ops[0]);
    assert_int_equal(wire_wait(&w.wire, &w.ops[0]), ERR_NONE);
    assert_int_equal(w.sweep.aborted, 1);
    close_world(&w);
    assert_non_null(strstr(w.wire.peer.heads, "GET /bkt?uploads&prefix=key "));
    assert_non_null(strstr(w.wire.peer.heads, "GET /bkt/key?uploadId=at1500 "));
    assert_non_null(strstr(w.wire.peer.heads, "DELETE /bkt/key?uploadId=at1600 "));
    assert_null(strstr(w.wire.peer.heads, "DELETE /bkt/key?uploadId=at1500 "));
    assert_null(strstr(w.wire.peer.heads, "at900"));
    assert_null(strstr(w.wire.peer.heads, "at2100"));
}

/* Of the time in which ours was created are those, too, whose owners the journal knows. */
static void test_known_to_the_journal(void **state)
{
    static char first[4096], second[4096];
    static const struct listed listed[] = {
        {"key", 1500, NULL}, {"key", 1600, NULL}, {"key", 1700, NULL}, {NULL, 0, NULL}};
    static const struct listed left[] = {{"key", 1500, NULL}, {"key", 1700, NULL}, {NULL, 0, NULL}};
    struct peer_step steps[] = {ACCEPT,
                                HEAD,
                                {PEER_SEND, page_of(first, sizeof first, listed), 0},
                                HEAD,
                                {PEER_SEND, NO_PARTS, 0},
                                HEAD,
                                {PEER_SEND, GONE, 0},
                                HEAD,
                                {PEER_SEND, page_of(second, sizeof second, left), 0},
                                END};
    char one[] = "at1500", other[] = "at1700", *known[] = {one, other};
    struct world w;
    (void)state;
    open_world(&w, steps);
    w.objects[0].known = known;
    w.objects[0].known_count = ARRAY_COUNT(known);
    sweep_start(&w.sweep, &w.objects[0], &w.ops[0]);
    assert_int_equal(wire_wait(&w.wire, &w.ops[0]), ERR_NONE);
    assert_int_equal(w.sweep.aborted, 1);
    close_world(&w);
    assert_non_null(strstr(w.wire.peer.heads, "DELETE /bkt/key?uploadId=at1600 "));
    assert_null(strstr(w.wire.peer.heads, "at1500"));
    assert_null(strstr(w.wire.peer.heads, "at1700"));
}

/* A job that lives has the key under way as well: the server is not even asked. */
static void test_disputed(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD, {PEER_SEND, GONE, 0}, END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    w.objects[0].disputed = true;
    snprintf(w.objects[1].row.upload_id, sizeof w.objects[1].row.upload_id, "known");
    for (int i = 0; i < 2; i++)
        sweep_start(&w.sweep, &w.objects[i], &w.ops[i]);
    assert_int_equal(wire_wait(&w.wire, &w.ops[0]), ERR_CONFLICT);
    assert_int_equal(wire_wait(&w.wire, &w.ops[1]), ERR_NONE);
    assert_true(w.sweep.aborted == 1 && w.sweep.failed == 1);
    close_world(&w);
    assert_null(strstr(w.wire.peer.heads, "uploads"));
}

/* Ours was asked for twice in two seconds, a minute ago, and is `now`, by the server. */
static void start_twins(struct world *w, int64_t now, uint32_t lost)
{
    static char spared[32];
    snprintf(spared, sizeof spared, "at%lld", (long long)now);
    struct sweep_doubt doubt = {.key = "key", .spared = spared, .lost = lost};
    doubt.asked_s = now - 62;
    doubt.answered_s = now - 60;
    sweep_twins(&w->objects[0], &doubt);
    sweep_start(&w->sweep, &w->objects[0], &w->ops[0]);
    assert_int_equal(wire_wait(&w->wire, &w->ops[0]), ERR_NONE);
}

/* All of the key, the time and the user but the one that stays, and what has a part. */
static void test_twins(void **state)
{
    static char page[4096];
    const int64_t now = time(NULL);
    const struct listed listed[] = {{"key", now - 100, "me"}, {"key", now - 2, "other"},
                                    {"key", now - 1, "me"},   {"key", now, "me"},
                                    {"key", now + 2, ""},     {"key", now + 100, "me"},
                                    {"key2", now, "me"},      {NULL, 0, NULL}};
    struct peer_step steps[] = {ACCEPT,
                                HEAD,
                                {PEER_SEND, page_of(page, sizeof page, listed), 0},
                                HEAD,
                                {PEER_SEND, NO_PARTS, 0},
                                HEAD,
                                {PEER_SEND, A_PART, 0},
                                HEAD,
                                {PEER_SEND, GONE, 0},
                                END};
    struct world w;
    char other[64];
    (void)state;
    snprintf(other, sizeof other, "DELETE /bkt/key?uploadId=at%lld ", (long long)now - 1);
    open_world(&w, steps);
    start_twins(&w, now, 1);
    assert_int_equal(w.sweep.aborted, 1);
    close_world(&w);
    assert_non_null(strstr(w.wire.peer.heads, other));
}

/* One answer got lost, and there are two: one is another writer's, and nobody can tell which. */
static void test_too_many_twins(void **state)
{
    static char page[4096];
    const int64_t now = time(NULL);
    const struct listed listed[] = {
        {"key", now - 1, "me"}, {"key", now, "me"}, {"key", now + 1, "me"}, {NULL, 0, NULL}};
    struct peer_step steps[] = {ACCEPT,
                                HEAD,
                                {PEER_SEND, page_of(page, sizeof page, listed), 0},
                                HEAD,
                                {PEER_SEND, NO_PARTS, 0},
                                HEAD,
                                {PEER_SEND, NO_PARTS, 0},
                                END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    start_twins(&w, now, 1);
    assert_int_equal(w.sweep.aborted, 0);
    assert_true(w.sweep.unsure);
    close_world(&w);
    assert_null(strstr(w.wire.peer.heads, "DELETE"));
}

static void touch(const struct world *w, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static bool is_there(const struct world *w, const char *name)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    return lstat(path, &status) == 0;
}

static void test_files(void **state)
{
    static const struct peer_step steps[] = {END};
    static const char *const temps[] = {".argosy-1", "a/.argosy-2", "out/.argosy-3", "a/mine"};
    struct world w;
    char path[256];
    (void)state;
    open_world(&w, steps);
    snprintf(path, sizeof path, "%s/a", w.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/out", w.folder);
    assert_int_equal(symlink("/tmp", path), 0);
    touch(&w, ".argosy-1");
    touch(&w, "a/.argosy-2");
    touch(&w, "a/mine");
    for (int i = 0; i < 4; i++) {
        snprintf(w.objects[i].row.temp, sizeof w.objects[i].row.temp, "%s", temps[i]);
        sweep_start(&w.sweep, &w.objects[i], &w.ops[i]);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(wire_wait(&w.wire, &w.ops[i]), i == 2 ? ERR_FILE_ESCAPES : ERR_NONE);
    assert_false(is_there(&w, ".argosy-1") || is_there(&w, "a/.argosy-2"));
    assert_true(is_there(&w, "a/mine"));
    assert_string_equal(w.objects[1].row.temp, temps[1]); /* the row may be written again */
    assert_int_equal(w.sweep.removed, 2);
    close_world(&w);
}

static void test_cancel(void **state)
{
    static const struct peer_step steps[] = {ACCEPT, HEAD, {PEER_QUIET, NULL, 0}, END};
    struct world w;
    (void)state;
    open_world(&w, steps);
    sweep_cancel(&w.sweep); /* nothing is out */
    for (int i = 0; i < 2; i++) {
        snprintf(w.objects[i].row.upload_id, sizeof w.objects[i].row.upload_id, "id%d", i);
        sweep_start(&w.sweep, &w.objects[i], &w.ops[i]);
    }
    for (int i = 0; i < 20; i++)
        core_turn(&w.wire.core, false);
    sweep_cancel(&w.sweep);
    assert_int_equal(wire_wait(&w.wire, &w.ops[0]), ERR_CANCELLED);
    assert_int_equal(wire_wait(&w.wire, &w.ops[1]), ERR_CANCELLED);
    assert_int_equal(w.sweep.failed, 0);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_uploads),
        cmocka_unit_test(test_one_behind_the_other),
        cmocka_unit_test(test_upload_without_id),
        cmocka_unit_test(test_known_to_the_journal),
        cmocka_unit_test(test_disputed),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_too_many_twins),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
