#include "s3/naming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct naming up = {.is_upload = true, .bucket = "b", .prefix = "p/", .only_path = ""};
static const struct naming down = {.bucket = "b", .prefix = "p/", .only_path = ""};
static const struct naming only = {.bucket = "b", .prefix = "p/x", .only_path = "/tmp/y"};
static const struct naming whole = {.bucket = "b", .prefix = "", .only_path = ""};

static void test_names(void **state)
{
    static const struct {
        const struct naming *naming;
        const char *name;
        enum err err;
        const char *key, *path;
    } rows[] = {
        {&up, "a/b", ERR_NONE, "p/a/b", "a/b"},
        {&up, "../a", ERR_NONE, "p/../a", "../a"}, /* it is a key, not a path */
        {&down, "a/b", ERR_NONE, "p/a/b", "a/b"},
        {&down, "a/..b", ERR_NONE, "p/a/..b", "a/..b"},
        {&down, "a/../../b", ERR_FILE_ESCAPES, "p/a/../../b", "a/../../b"},
        {&down, "..", ERR_FILE_ESCAPES, "p/..", ".."},
        {&down, "/etc/x", ERR_FILE_ESCAPES, "p//etc/x", "/etc/x"},
        {&down, "", ERR_FILE_NAME, "p/", ""},
        {&only, "", ERR_NONE, "p/x", "/tmp/y"},
        {&whole, "", ERR_KEY, "", ""},
    };
    struct work *work = calloc(1, sizeof *work);
    (void)state;
    assert_non_null(work);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum err err = naming_apply(rows[i].naming, bytes_of(rows[i].name), work);
        if (err != rows[i].err) fail_msg("row %zu: %d", i, (int)err);
        assert_string_equal(work->bucket, "b");
        assert_string_equal(work->key, rows[i].key);
        assert_string_equal(work->path, rows[i].path);
    }
    assert_int_equal(naming_apply(&down, (struct bytes){"a\0b", 3}, work), ERR_FILE_NAME);
    free(work);
}

/* What goes up with digits comes down without them, and nothing else does. */
static void test_spread(void **state)
{
    struct naming spread_up = up, spread_down = down;
    struct work *work = calloc(1, sizeof *work);
    (void)state;
    assert_non_null(work);
    spread_up.spread = spread_down.spread = 16;
    assert_int_equal(naming_apply(&spread_up, BYTES("a/b"), work), ERR_NONE);
    assert_string_not_equal(work->key, "p/a/b");
    assert_string_equal(work->path, "a/b");
    char name[64];
    snprintf(name, sizeof name, "%s", work->key + strlen("p/"));
    assert_int_equal(naming_apply(&spread_down, bytes_of(name), work), ERR_NONE);
    assert_string_equal(work->path, "a/b");
    assert_int_equal(naming_apply(&spread_down, BYTES("zz"), work), ERR_SPREAD);
    free(work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_spread),
    };
    return cmocka_run_group_tests_name("naming", tests, NULL, NULL);
}
