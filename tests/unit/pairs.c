/* What two searches have in common, and what only one of them found; and what no line of a manifest
 * names. The searches are the test's own: words, that come a few at a time. */
#include "s3/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "s3/spread.h"

enum { FILES, OBJECTS, SIDES };

/* A letter is a name, a capital one a thing to skip, a digit one that cannot be looked at. */
struct search {
    const char *words;
    uint32_t at, ready, batch; /* so many words are there; so many come at a wait */
    enum err err;              /* how it ends */
    bool over, has_spread_names;
    struct op *owner;
    struct find_item item;
    struct file_identity identity;
    char name[SPREAD_TEXT_BYTES + 2];
};

static struct core core;
static struct conf conf;
static struct station station;
static struct pairs pairs;
static struct search searches[SIDES];
static struct op op;
static const char *opened_root, *opened_prefix;
static enum err open_err;

/* --- the searches --- */

static struct search *search_of(const struct find *find)
{
    return &searches[find == &pairs.files ? FILES : OBJECTS];
}

void find_init(struct find *find, struct core *of)
{
    memset(find, 0, sizeof *find);
    find->core = of;
}

enum err find_open_walk(struct find *find, const char *root, enum walk_symlinks symlinks,
                        struct bytes behind)
{
    (void)symlinks;
    assert_int_equal(behind.count, 0);
    assert_ptr_equal(find, &pairs.files);
    opened_root = root;
    return open_err;
}

enum err find_open_listing(struct find *find, struct client *client, struct bytes bucket,
                           struct bytes prefix, struct bytes behind)
{
    assert_int_equal(behind.count, 0);
    assert_ptr_equal(find, &pairs.objects);
    assert_ptr_equal(client, &station.clients[1]);
    opened_root = bucket.data;
    opened_prefix = prefix.data;
    return open_err;
}

const struct find_item *find_peek(struct find *find)
{
    struct search *s = search_of(find);
    assert_int_equal(open_err, ERR_NONE); /* else there is nothing to look at */
    if (find->stopped || s->owner || s->at == s->ready) return NULL;
    char c = s->words[s->at];
    enum find_verdict verdict = c <= '9' ? FIND_FAIL : c <= 'Z' ? FIND_SKIP : FIND_MOVE;
    snprintf(s->name, sizeof s->name, "%c", c);
    if (s->has_spread_names && verdict == FIND_MOVE && c < 'x') { /* x, y, z have no digits */
        spread_format(16, (struct bytes){&c, 1}, s->name);
        snprintf(s->name + strlen(s->name), 2, "%c", c);
    }
    s->identity.size_bytes = (uint64_t)c;
    s->item = (struct find_item){.verdict = verdict,
                                 .name = bytes_of(s->name),
                                 .size_bytes = (uint64_t)c + (s == &searches[OBJECTS]),
                                 .identity = s == &searches[FILES] ? &s->identity : NULL,
                                 .reason = "why",
                                 .err = verdict == FIND_FAIL ? ERR_FILE_DENIED : ERR_NONE};
    return &s->item;
}

void find_pop(struct find *find)
{
    assert_non_null(find_peek(find));
    search_of(find)->at++;
}

bool find_is_over(const struct find *find)
{
    return (search_of(find)->over || find->stopped) && !search_of(find)->owner;
}

void find_wait(struct find *find, struct op *done)
{
    struct search *s = search_of(find);
    assert_true(!find_peek(find) && !s->over);
    op_begin(done);
    s->owner = done;
}

void find_stop(struct find *find)
{
    find->stopped = true;
}

void find_close(struct find *find)
{
    assert_null(search_of(find)->owner);
}

/* More comes, of both or of the one that was asked. */
static void bring(void)
{
    for (int side = 0; side < SIDES; side++) {
        struct search *s = &searches[side];
        struct op *owner = s->owner;
        if (!owner) continue;
        s->owner = NULL;
        s->over = s->words[s->ready] == '\0';
        for (uint32_t i = 0; i < s->batch && s->words[s->ready]; i++)
            s->ready++;
        snprintf((side == FILES ? &pairs.files : &pairs.objects)->why, 100, "words of %d", side);
        core_finish(&core, owner, s->over ? s->err : ERR_NONE);
    }
}

static void on_done(struct op *done)
{
    (void)done;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 8 * MIB};
    int raw;
    (void)state;
    conf_init(&conf);
    memset(&station, 0, sizeof station);
    station.core = &core;
    station.conf = &conf;
    open_err = ERR_NONE;
    opened_root = opened_prefix = NULL;
    op_init(&op, on_done);
    return core_open(&core, &options, &raw) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    core_close(&core);
    return 0;
}

static void begin(enum pairs_kind kind, const char *files, const char *objects, uint32_t batch)
{
    memset(searches, 0, sizeof searches);
    searches[FILES].words = files;
    searches[OBJECTS].words = objects;
    searches[FILES].batch = searches[OBJECTS].batch = batch;
    searches[OBJECTS].has_spread_names = kind == PAIRS_SPREAD;
    pairs_init(&pairs, &station, kind, 1);
}

static const struct pairs_item *next(void)
{
    for (;;) {
        const struct pairs_item *item = pairs_peek(&pairs);
        if (item || pairs_is_over(&pairs)) return item;
        pairs_wait(&pairs, &op);
        assert_null(pairs_peek(&pairs));
        while (op.out) {
            bring();
            core_turn(&core, false);
        }
        assert_int_equal(op.err, pairs.err);
    }
}

/* All that comes: a sign for the verdict and the name. What is odd has the sign of its side, too.
 * */
static const char *all(void)
{
    static const char signs[] = {[PAIRS_BOTH] = '=',  [PAIRS_FILE] = '-', [PAIRS_OBJECT] = '+',
                                 [PAIRS_EXTRA] = 'E', [PAIRS_SKIP] = 'S', [PAIRS_FAIL] = 'F'};
    static char text[256];
    struct writer w;
    const struct pairs_item *item;
    writer_init(&w, text, sizeof text);
    while ((item = next()) != NULL) {
        assert_ptr_equal(pairs_peek(&pairs), item); /* until it is popped */
        if (w.count) writer_char(&w, ' ');
        if (item->verdict != PAIRS_LINE) writer_char(&w, signs[item->verdict]);
        if (item->verdict > PAIRS_LINE) writer_char(&w, item->is_file ? 'f' : 'o');
        if (item->err == ERR_SPREAD) writer_char(&w, '!');
        if (item->verdict == PAIRS_LINE)
            writer_text(&w, item->line->object->path);
        else
            writer_put(&w, item->name);
        pairs_pop(&pairs);
    }
    return writer_string(&w);
}

static void finish(void)
{
    assert_null(pairs_peek(&pairs));
    assert_true(pairs_is_over(&pairs));
    pairs_close(&pairs);
}

/* --- one, and a join --- */

static void test_one(void **state)
{
    (void)state;
    begin(PAIRS_ONE, "", "", 1);
    const struct pairs_item *item = next();
    assert_int_equal(item->verdict, PAIRS_BOTH);
    assert_int_equal(item->name.count, 0);
    assert_null(item->identity);
    pairs_pop(&pairs);
    finish();
}

struct row {
    const char *files, *objects, *all;
};

static const struct row joins[] = {
    {"", "", ""},
    {"ab", "", "-a -b"},
    {"", "ab", "+a +b"},
    {"abc", "abc", "=a =b =c"},
    {"abd", "bcd", "-a =b +c =d"},
    {"ace", "bdf", "-a +b -c +d -e +f"},
    {"aBc", "ac", "=a SfB =c"},
    {"ac", "aBc", "=a SoB =c"},
    {"a1", "a2b", "=a Ff1 Fo2 +b"},
    {"A", "A", "SfA SoA"},
};

static void test_join(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(joins); i++)
        for (uint32_t batch = 1; batch <= 4; batch++) {
            begin(PAIRS_JOIN, joins[i].files, joins[i].objects, batch);
            assert_string_equal(all(), joins[i].all);
            assert_int_equal(pairs.err, ERR_NONE);
            finish();
        }
}

static void test_facts(void **state)
{
    (void)state;
    begin(PAIRS_JOIN, "abD3", "bc", 9);
    const struct pairs_item *item = next(); /* -a */
    assert_int_equal(item->file_bytes, 'a');
    assert_int_equal(item->object_bytes, 0);
    assert_int_equal(item->identity->size_bytes, 'a');
    pairs_pop(&pairs);
    item = next(); /* =b */
    assert_int_equal(item->file_bytes, 'b');
    assert_int_equal(item->object_bytes, 'b' + 1);
    assert_false(item->unlisted);
    pairs_pop(&pairs);
    item = next();
    assert_int_equal(item->verdict, PAIRS_SKIP);
    assert_string_equal(item->reason, "why");
    pairs_pop(&pairs);
    item = next();
    assert_int_equal(item->verdict, PAIRS_FAIL);
    assert_int_equal(item->err, ERR_FILE_DENIED);
    pairs_pop(&pairs);
    item = next(); /* +c */
    assert_int_equal(item->object_bytes, 'c' + 1);
    assert_int_equal(item->file_bytes, 0);
    assert_null(item->identity);
    pairs_pop(&pairs);
    assert_null(next());
    finish();
}

/* Of a server that lists in another order, or a name twice, nothing can be said. */
static void test_order(void **state)
{
    static const char *const others[] = {"ba", "aa", "acb"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        begin(PAIRS_JOIN, "", others[i], 2);
        (void)all();
        assert_int_equal(pairs.err, ERR_UNSUPPORTED);
        assert_non_null(strstr(pairs.why, "order"));
        finish();
    }
}

/* A search that fails takes the whole with it: what it did not find is unknown. */
static void test_failures(void **state)
{
    (void)state;
    for (int side = 0; side < SIDES; side++) {
        begin(PAIRS_JOIN, "ab", "ab", 2);
        searches[side].err = ERR_DENIED;
        assert_string_equal(all(), "=a =b");
        assert_int_equal(pairs.err, ERR_DENIED);
        assert_string_equal(pairs.why, side == FILES ? "words of 0" : "words of 1");
        finish();
    }
}

static void test_stop(void **state)
{
    (void)state;
    begin(PAIRS_JOIN, "ab", "ab", 2);
    assert_non_null(next());
    pairs_stop(&pairs); /* while there is one */
    finish();
    begin(PAIRS_JOIN, "ab", "ab", 2);
    pairs_wait(&pairs, &op);
    pairs_stop(&pairs); /* and while one is waited for */
    assert_false(pairs_is_over(&pairs));
    bring();
    while (op.out)
        core_turn(&core, false);
    finish();
}

/* --- digits in front of the keys --- */

/* The files first, whatever is listed; then what is listed besides, once. */
static const struct row spreads[] = {
    {"ab", "ba", "=a =b"},
    {"abC1", "caD", "=a =b SfC Ff1 +c SoD"},
    {"", "caca", "+c +a"},
    {"x", "xa", "=x +!x +a"},
};

static void test_spread(void **state)
{
    (void)state;
    conf.spread = 16;
    for (size_t i = 0; i < ARRAY_COUNT(spreads); i++)
        for (uint32_t batch = 1; batch <= 4; batch++) {
            begin(PAIRS_SPREAD, spreads[i].files, spreads[i].objects, batch);
            assert_string_equal(all(), spreads[i].all);
            assert_int_equal(pairs.err, ERR_NONE);
            finish();
        }
    begin(PAIRS_SPREAD, "a", "a", 1);
    assert_true(next()->unlisted);
    assert_int_equal(next()->file_bytes, 'a');
    pairs_stop(&pairs);
    finish();
}

/* --- a manifest --- */

static char area[MANIFEST_LINE_BYTES_MAX];

static void put(FILE *file, bool is_upload, const char *names)
{
    struct manifest_head head = {.format = MANIFEST_FORMAT,
                                 .is_upload = is_upload,
                                 .is_tree = true,
                                 .root = "/in",
                                 .bucket = "bucket",
                                 .prefix = "p/"};
    struct writer w;
    writer_init(&w, area, sizeof area);
    manifest_write_head(&w, &head);
    for (; *names; names++) {
        struct manifest_object object = {.mtime_ns = MANIFEST_NO_MTIME, .bucket = "bucket"};
        object.path[0] = *names;
        snprintf(object.key, sizeof object.key, "p/%c", *names);
        manifest_write_object(&w, &object);
    }
    fwrite(w.data, 1, w.count, file);
}

static void begin_roll(const char *uploaded, const char *downloaded, const char *files,
                       const char *objects)
{
    char path[] = "/tmp/argosy-pairs-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    if (uploaded) put(file, true, uploaded);
    if (downloaded) put(file, false, downloaded);
    fclose(file);
    begin(PAIRS_ROLL, files, objects, 2);
    assert_int_equal(roll_open(&pairs.roll, &station, path, ROLL_COPY), ERR_NONE);
    pairs_wait(&pairs, &op);
    while (op.out)
        core_turn(&core, true);
    assert_int_equal(op.err, pairs.err);
    unlink(path);
}

static void test_roll(void **state)
{
    (void)state;
    begin_roll("ab", NULL, "", "abcD1");
    assert_string_equal(all(), "a b Eoc SoD Fo1");
    assert_string_equal(opened_root, "bucket");
    assert_string_equal(opened_prefix, "p/");
    finish();
    begin_roll("a", "bc", "cXdb", "ae");
    assert_string_equal(all(), "a b c Eoe SfX Efd");
    assert_string_equal(opened_root, "/in");
    finish();
}

static void test_roll_scope(void **state)
{
    (void)state;
    begin_roll("", NULL, "", "c1");
    for (int i = 0; i < 2; i++) { /* an extra object, and what cannot be looked at */
        const struct pairs_item *item = next();
        assert_string_equal(item->scope->root, "bucket");
        assert_false(item->scope->files);
        pairs_pop(&pairs);
    }
    assert_null(next());
    finish();
}

static void test_roll_failures(void **state)
{
    (void)state;
    begin_roll("a", NULL, "", "ab"); /* of a listing */
    searches[OBJECTS].err = ERR_DENIED;
    assert_string_equal(all(), "a Eob");
    assert_int_equal(pairs.err, ERR_DENIED);
    finish();
    open_err = ERR_NO_MEMORY;
    begin_roll("a", NULL, "", "ab"); /* of its beginning */
    assert_string_equal(all(), "a");
    assert_int_equal(pairs.err, ERR_NO_MEMORY);
    finish();
    begin_roll(NULL, NULL, "", ""); /* of the manifest: it is empty */
    assert_string_equal(all(), "");
    assert_int_equal(pairs.err, ERR_MANIFEST);
    assert_non_null(strstr(pairs.why, "no head"));
    finish();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one),        TEST(test_join),         TEST(test_facts),  TEST(test_order),
        TEST(test_failures),   TEST(test_stop),         TEST(test_spread), TEST(test_roll),
        TEST(test_roll_scope), TEST(test_roll_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
