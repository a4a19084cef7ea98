/* Strings written and read back, and texts that are not JSON. */
#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *written(struct bytes text)
{
    static char area[256];
    struct writer w;
    writer_init(&w, area, sizeof area);
    json_write(&w, text);
    return writer_string(&w);
}

static void test_write(void **state)
{
    static const struct {
        struct bytes text;
        const char *json;
    } rows[] = {
        {BYTES(""), "\"\""},
        {BYTES("a b"), "\"a b\""},
        {BYTES("\"\\/"), "\"\\\"\\\\/\""},
        {BYTES("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {BYTES("\x01\x1f\x7f"), "\"\\u0001\\u001f\\u007f\""},
        {BYTES("\0"), "\"\\u0000\""},
        {BYTES("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {BYTES("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(written(rows[i].text), rows[i].json);
}

/* The string in `text`; NULL: it is bad. */
static const char *string_of(const char *text, size_t room)
{
    static char area[64];
    struct json json;
    struct writer w;
    json_init(&json, bytes_of(text));
    writer_init(&w, area, room);
    json_string(&json, &w);
    return json_is_over(&json) ? writer_string(&w) : NULL;
}

static void test_strings(void **state)
{
    static const struct {
        const char *json, *text; /* NULL: bad */
    } rows[] = {
        {"\"\"", ""},
        {" \"a b\" ", "a b"},
        {"\"\\b\\f\\n\\r\\t\\\"\\\\\\/\"", "\b\f\n\r\t\"\\/"},
        {"\"\\u0041\\u00e9\\u20ac\\uD83D\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\\u0000\"", NULL},
        {"\"\\ud83d\"", NULL},
        {"\"\\ud83dx\"", NULL},
        {"\"\\ud83d\\u0041\"", NULL},
        {"\"\\ude00\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\u12g4\"", NULL},
        {"\"\\x\"", NULL},
        {"\"a", NULL},
        {"\"a\\\"", NULL},
        {"\"a\\", NULL},
        {"\"\n\"", NULL},
        {"\"\xff\"", NULL},
        {"a\"", NULL},
        {"\"a\"b", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *text = string_of(rows[i].json, 64);
        if (rows[i].text)
            assert_string_equal(text, rows[i].text);
        else
            assert_null(text);
    }
    assert_null(string_of("\"abcd\"", 3)); /* it does not fit */
}

static void test_round_trip(void **state)
{
    char text[128];
    (void)state;
    for (int c = 1; c < 128; c++) {
        char one[2] = {(char)c, '\0'};
        snprintf(text, sizeof text, "%s", written((struct bytes){one, 1}));
        assert_string_equal(string_of(text, 64), one);
    }
}

/* Reads {"n": u64, "b": bool, "o": {"s": string}} and skips the rest. */
static bool read_object(const char *text, uint64_t *n, bool *b, char s[16])
{
    struct json json;
    struct bytes name, inner;
    struct writer w;
    *n = 0;
    *b = false;
    writer_init(&w, s, 16);
    json_init(&json, bytes_of(text));
    json_enter(&json);
    while (json_member(&json, &name)) {
        if (bytes_equal(name, BYTES("n"))) {
            *n = json_u64(&json);
        } else if (bytes_equal(name, BYTES("b"))) {
            *b = json_bool(&json);
        } else if (bytes_equal(name, BYTES("o"))) {
            json_enter(&json);
            while (json_member(&json, &inner))
                if (bytes_equal(inner, BYTES("s")))
                    json_string(&json, &w);
                else
                    json_skip(&json);
        } else {
            json_skip(&json);
        }
    }
    (void)writer_string(&w);
    return json_is_over(&json);
}

static void test_objects(void **state)
{
    static const char *const good[] = {
        "{\"n\":7,\"b\":true,\"o\":{\"s\":\"x\"}}",
        " { \"o\" : { \"s\" : \"x\" } , \"b\" : true , \"n\" : 7 } \r\n",
        ("{\"x\":null,\"y\":[1,-2.5e3,{\"z\":[]},\"]}\"],\"n\":7,\"b\":true,"
         "\"o\":{\"q\":{\"r\":{}},\"s\":\"x\",\"t\":\"\\\"\"},\"z\":false}"),
    };
    static const char *const bad[] = {
        "",
        "{",
        "}",
        "[]",
        "{\"n\"}",
        "{\"n\":}",
        "{\"n\":7",
        "{\"n\":7,}",
        "{,\"n\":7}",
        "{\"n\":7 \"b\":true}",
        "{\"n\":-1}",
        "{\"n\":1.5}",
        "{\"n\":01}",
        "{\"n\":18446744073709551616}",
        "{\"n\":\"7\"}",
        "{\"b\":1}",
        "{\"b\":truer}",
        "{\"o\":7}",
        "{\"x\":}",
        "{\"x\":[}",
        "{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]}",
        "{\"n\":7} x",
        "{\"n\":7}{}",
    };
    uint64_t n;
    bool b;
    char s[16];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(read_object(good[i], &n, &b, s));
        assert_int_equal(n, 7);
        assert_true(b);
        assert_string_equal(s, "x");
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (read_object(bad[i], &n, &b, s)) fail_msg("taken for good: %s", bad[i]);
    assert_true(read_object("{}", &n, &b, s));
    assert_true(read_object("{\"n\":18446744073709551615}", &n, &b, s));
    assert_true(n == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
