#include "tools/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct state example = {
    .pid = 4711,
    .job = 7,
    .command = "cp",
    .source = "/a \"b\"\n\303\251",
    .target = "s3://b/k",
    .numbers = {.found = 10,
                .done = 3,
                .failed = 1,
                .found_bytes = 5 * GIB,
                .done_bytes = GIB,
                .before_bytes = GIB,
                .planning = true},
    .elapsed_ns = 90 * NS_PER_S,
    .rate_bytes_per_s = 3 * MIB,
    .limit_bytes_per_s = 4 * MIB,
    .limit_by_clock = true,
    .limited_by = "",
    .time = "",
};

static void test_what_is_written_is_read(void **state)
{
    char text[2048], again[2048], kept[2048];
    struct state read;
    struct writer area;
    const char *why;
    (void)state;
    assert_true(state_write(&example, text, sizeof text));
    writer_init(&area, kept, sizeof kept);
    assert_true(state_read(&read, text, &area, &why));
    assert_string_equal(read.source, example.source);
    assert_int_equal(read.numbers.before_bytes, GIB);
    assert_true(state_write(&read, again, sizeof again));
    assert_string_equal(again, text);
}

static void test_no_room(void **state)
{
    char text[100];
    (void)state;
    assert_false(state_write(&example, text, sizeof text));
}

static void test_what_is_no_state(void **state)
{
    static const char *const texts[] = {"", "{", "{}", "[]", "{\"pid\":\"x\"}", "{\"pid\":0}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        char kept[256];
        struct state read;
        struct writer area;
        const char *why;
        writer_init(&area, kept, sizeof kept);
        if (state_read(&read, texts[i], &area, &why)) fail_msg("'%s' was taken", texts[i]);
        assert_string_equal(why, "");
    }
}

static void test_a_refusal(void **state)
{
    char text[256], kept[256];
    struct state read;
    struct writer area;
    const char *why;
    (void)state;
    state_write_error("no \"rate\"", text, sizeof text);
    writer_init(&area, kept, sizeof kept);
    assert_false(state_read(&read, text, &area, &why));
    assert_string_equal(why, "no \"rate\"");
}

/* A later argosy may say more, an earlier one less. */
static void test_other_versions(void **state)
{
    char kept[256];
    struct state read;
    struct writer area;
    const char *why;
    (void)state;
    writer_init(&area, kept, sizeof kept);
    assert_true(state_read(&read, "{\"new\":[1,{\"a\":2}],\"pid\":5}", &area, &why));
    assert_int_equal(read.pid, 5);
    assert_string_equal(read.target, "");
}

static void test_words(void **state)
{
    char line[512];
    struct writer w;
    (void)state;
    writer_init(&w, line, sizeof line);
    state_say(&example, &w);
    assert_string_equal(writer_string(&w),
                        "job 7 (pid 4711) cp /a \"b\"\\x0a\303\251 s3://b/k: 2.00 GiB of 5.00 GiB+ "
                        "in 1:30, now 3.00 MiB/s, at most 4.00 MiB/s (33.6 Mbit/s) now, by the "
                        "clock, 1 failed");
}

static void test_what_limits_it(void **state)
{
    char text[2048], kept[2048], line[512];
    struct state limited = example, read;
    struct writer area, w;
    const char *why;
    (void)state;
    limited.limited_by = "network_window";
    limited.time = "network 71 %, CPU 29 %";
    limited.numbers.window = 12;
    assert_true(state_write(&limited, text, sizeof text));
    writer_init(&area, kept, sizeof kept);
    assert_true(state_read(&read, text, &area, &why));
    assert_string_equal(read.limited_by, "network_window");
    assert_int_equal(read.numbers.window, 12);
    writer_init(&w, line, sizeof line);
    state_say(&read, &w);
    assert_non_null(strstr(writer_string(&w), "1 failed; time: network 71 %, CPU 29 %"));
}

/* Whatever another process says of itself, a terminal is told in visible characters. */
static void test_foreign_words(void **state)
{
    char line[512];
    struct state odd = example;
    struct writer w;
    (void)state;
    odd.command = "c\033p";
    odd.target = "s3://\033[2J";
    odd.time = "CPU\n\033]0;x\a";
    writer_init(&w, line, sizeof line);
    state_say(&odd, &w);
    const char *text = writer_string(&w);
    assert_non_null(strstr(text, " c\\x1bp /a \"b\"\\x0a\303\251 s3://\\x1b[2J: "));
    assert_non_null(strstr(text, "; time: CPU\\x0a\\x1b]0;x\\x07"));
    for (const char *at = text; *at; at++)
        assert_true((unsigned char)*at >= ' ');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_what_is_no_state),        cmocka_unit_test(test_a_refusal),
        cmocka_unit_test(test_other_versions),          cmocka_unit_test(test_words),
        cmocka_unit_test(test_what_limits_it),          cmocka_unit_test(test_foreign_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
