/* A manifest as a list of what is to be checked: each thing once, damage before anything else. */
#include "s3/roll.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct core core;
static struct conf conf;
static struct station station;
static struct roll roll;
static struct op op;
static char folder[64], path[128];
static FILE *file;

static void on_done(struct op *done)
{
    (void)done;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 8 * MIB};
    int raw;
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/argosy-roll-XXXXXX");
    if (!mkdtemp(folder) || core_open(&core, &options, &raw)) return -1;
    snprintf(path, sizeof path, "%s/manifest", folder);
    conf_init(&conf);
    station = (struct station){.core = &core, .conf = &conf};
    op_init(&op, on_done);
    file = fopen(path, "w");
    return file ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    core_close(&core);
    unlink(path);
    return rmdir(folder);
}

/* --- what is in it --- */

static char area[MANIFEST_LINE_BYTES_MAX];

static void put_head(bool is_upload, const char *root, const char *bucket, const char *prefix)
{
    struct manifest_head head = {
        .format = MANIFEST_FORMAT, .is_upload = is_upload, .is_tree = true};
    struct writer w;
    snprintf(head.root, sizeof head.root, "%s", root);
    snprintf(head.bucket, sizeof head.bucket, "%s", bucket);
    snprintf(head.prefix, sizeof head.prefix, "%s", prefix);
    writer_init(&w, area, sizeof area);
    manifest_write_head(&w, &head);
    fwrite(w.data, 1, w.count, file);
}

static void put_object(const char *name, uint64_t bytes)
{
    struct manifest_object object = {.bytes = bytes, .mtime_ns = MANIFEST_NO_MTIME};
    struct writer w;
    snprintf(object.path, sizeof object.path, "%s", name);
    snprintf(object.bucket, sizeof object.bucket, "bucket");
    snprintf(object.key, sizeof object.key, "p/%s", name);
    writer_init(&w, area, sizeof area);
    manifest_write_object(&w, &object);
    fwrite(w.data, 1, w.count, file);
}

static void put_end(bool complete)
{
    struct manifest_end end = {.complete = complete};
    struct writer w;
    writer_init(&w, area, sizeof area);
    manifest_write_end(&w, &end);
    fwrite(w.data, 1, w.count, file);
}

/* --- what comes out --- */

static void begin(enum roll_side side)
{
    if (file) fclose(file);
    file = NULL;
    assert_int_equal(roll_open(&roll, &station, path, side), ERR_NONE);
}

static const struct roll_item *next(void)
{
    for (;;) {
        const struct roll_item *item = roll_peek(&roll);
        if (item || roll_is_over(&roll)) return item;
        roll_wait(&roll, &op);
        while (op.out)
            core_turn(&core, true);
    }
}

static void expect(const char *name, uint64_t bytes)
{
    const struct roll_item *item = next();
    assert_non_null(item);
    assert_string_equal(item->object->path, name);
    assert_true(item->object->bytes == bytes);
    roll_pop(&roll);
}

static void finish(void)
{
    roll_close(&roll);
    assert_int_equal(pool_free_count(&core.large), core.large.count_max);
}

static void expect_end(void)
{
    assert_null(next());
    assert_int_equal(roll.err, ERR_NONE);
    finish();
}

/* Nothing is given, and `words` are in the sentence. */
static void expect_refused(enum err err, const char *words)
{
    begin(ROLL_COPY);
    assert_null(next());
    assert_int_equal(roll.err, err);
    if (!strstr(roll.why, words)) fail_msg("%s is not in: %s", words, roll.why);
    assert_non_null(strstr(roll.why, path));
    finish();
}

/* Lines lie across the bufs that they are read into, and the last one has no end. */
static void test_many_lines(void **state)
{
    const uint32_t count = 30000; /* over 2 MiB */
    char name[64];
    (void)state;
    put_head(true, "/in", "bucket", "p/");
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%06u", i);
        put_object(name, i);
    }
    assert_true(ftell(file) > (long)(2 * BUF_LARGE_BYTES));
    fflush(file);
    assert_int_equal(ftruncate(fileno(file), ftell(file) - 1), 0);
    begin(ROLL_COPY);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%06u", i);
        expect(name, i);
    }
    assert_false(roll.complete); /* no end */
    expect_end();
}

static void test_the_last_of_a_thing_counts(void **state)
{
    (void)state;
    put_head(true, "/in", "bucket", "p/");
    put_object("a", 1);
    put_object("b", 2);
    put_object("a", 3);
    put_end(true);
    put_head(true, "/in", "bucket", "p/");
    put_object("b", 4);
    put_end(true);
    begin(ROLL_COPY);
    expect("a", 3);
    expect("b", 4);
    assert_true(roll.complete);
    assert_int_equal(roll.scope_count, 1);
    expect_end();
}

/* The side that the run wrote, or the one that is asked for; a file is known by its root, too. */
static void test_sides(void **state)
{
    (void)state;
    put_head(true, "/in", "bucket", "p/");
    put_object("a", 1);
    put_end(true);
    put_head(false, "/out", "bucket", "p/");
    put_object("a", 2);
    put_end(true);
    begin(ROLL_COPY);
    assert_false(next()->files);
    roll_pop(&roll);
    assert_true(next()->files);
    assert_string_equal(next()->head->root, "/out");
    roll_pop(&roll);
    assert_int_equal(roll.scope_count, 2);
    assert_false(roll.scopes[0].files);
    assert_string_equal(roll.scopes[0].root, "bucket");
    assert_string_equal(roll.scopes[0].prefix, "p/");
    assert_true(roll.scopes[1].files);
    assert_string_equal(roll.scopes[1].root, "/out");
    expect_end();
    begin(ROLL_OBJECTS); /* one object in both: the last line */
    expect("a", 2);
    expect_end();
    begin(ROLL_FILES); /* /in/a and /out/a */
    expect("a", 1);
    expect("a", 2);
    expect_end();
}

static bool claim(const char *name)
{
    bool named;
    assert_int_equal(roll_claim(&roll, "bucket", "p/", bytes_of(name), &named), ERR_NONE);
    return named;
}

static void test_claims(void **state)
{
    char name[64];
    (void)state;
    put_head(true, "/in", "bucket", "p/");
    put_object("a", 1);
    put_end(true);
    begin(ROLL_COPY);
    expect("a", 1);
    assert_true(claim("a"));
    for (uint32_t i = 0; i < 10000; i++) { /* the table grows */
        snprintf(name, sizeof name, "%u", i);
        assert_false(claim(name));
        assert_true(claim(name));
    }
    assert_true(claim("a"));
    expect_end();
}

static void test_complete(void **state)
{
    (void)state;
    put_head(true, "/in", "bucket", "p/"); /* was killed */
    put_object("a", 1);
    put_head(true, "/in", "bucket", "p/");
    put_end(true);
    begin(ROLL_COPY);
    expect("a", 1);
    assert_false(roll.complete);
    expect_end();
    file = fopen(path, "w");
    put_head(true, "/in", "bucket", "p/"); /* was stopped */
    put_end(false);
    begin(ROLL_COPY);
    assert_null(next());
    assert_false(roll.complete);
    expect_end();
}

/* Known before anything is given. */
static void test_damage(void **state)
{
    (void)state;
    put_head(true, "/in", "bucket", "p/");
    put_object("a", 1);
    fputs("\n{\"later\":\"format\"}\n{\"key\":\"x\"\n", file);
    put_object("b", 1);
    expect_refused(ERR_MANIFEST, "line 5");

    file = fopen(path, "w");
    put_object("a", 1);
    expect_refused(ERR_MANIFEST, "line 1: an object, but no head");

    file = fopen(path, "w");
    fputs("\n\n", file);
    expect_refused(ERR_MANIFEST, "no head of a manifest");

    file = fopen(path, "w");
    put_head(true, "/in", "bucket", "p/");
    for (uint32_t i = 0; i <= MANIFEST_LINE_BYTES_MAX; i++)
        fputc('x', file);
    expect_refused(ERR_MANIFEST, "line 2: too long");

    file = NULL;
    unlink(path);
    expect_refused(ERR_FILE_MISSING, "no such file");
    file = fopen(path, "w");
    fclose(file);
    file = NULL;
}

/* It is read twice, and must be the same. */
static void test_change(void **state)
{
    (void)state;
    put_head(true, "/in", "bucket", "p/");
    for (uint32_t i = 0; i < 20000; i++)
        put_object("a-name-that-is-everywhere-the-same", i);
    put_object("b", 1);
    begin(ROLL_COPY);
    roll_wait(&roll, &op); /* the first time through, and the second's first buf */
    while (op.out)
        core_turn(&core, true);
    assert_int_equal(op.err, ERR_NONE);
    FILE *other = fopen(path, "a");
    fputs("\n", other);
    fclose(other);
    assert_null(next());
    assert_int_equal(roll.err, ERR_FILE_CHANGED);
    finish();
}

static void test_stop(void **state)
{
    (void)state;
    put_head(true, "/in", "bucket", "p/");
    put_object("a", 1);
    begin(ROLL_COPY);
    roll_wait(&roll, &op);
    roll_stop(&roll);
    while (op.out)
        core_turn(&core, true);
    assert_null(roll_peek(&roll));
    assert_true(roll_is_over(&roll));
    finish();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_many_lines), TEST(test_the_last_of_a_thing_counts),
                                       TEST(test_sides),      TEST(test_claims),
                                       TEST(test_complete),   TEST(test_damage),
                                       TEST(test_change),     TEST(test_stop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
