#include "compress/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *data, *text;
};

static const struct row rows[] = {
    /* RFC 4648 section 10 */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xef\xfe", "/+/+"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[32], data[32];
        size_t count = 99;
        base64_encode(rows[i].data, strlen(rows[i].data), text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(strlen(text), BASE64_CHARS(strlen(rows[i].data)));
        assert_true(base64_decode(bytes_of(rows[i].text), data, sizeof data, &count));
        assert_int_equal(count, strlen(rows[i].data));
        assert_memory_equal(data, rows[i].data, count);
    }
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "Z",    "Zg",   "Zg=",  "Zg=x", "Z===",     "====", "=",     "Zm9v\n",
        "Zm 9", "Zm-_", "Zh==", "Zm9=", "Zg==Zg==", "Zg=a", "Zm9vZ", "\xc3\xa9==",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char data[32];
        size_t count = 99;
        if (base64_decode(bytes_of(bad[i]), data, sizeof data, &count))
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(count, 0);
    }
}

static void test_room(void **state)
{
    char data[8] = "zzzzzzz";
    size_t count;
    (void)state;
    assert_false(base64_decode(BYTES("Zm9vYg=="), data, 3, &count));
    assert_string_equal(data, "zzzzzzz");
    assert_true(base64_decode(BYTES("Zm9vYg=="), data, 4, &count));
    assert_memory_equal(data, "foobzzz", 7);
}

/* Every length and every byte value comes back. */
static void test_round_trip(void **state)
{
    uint8_t data[256], back[256];
    char text[BASE64_CHARS(256) + 1];
    (void)state;
    for (uint32_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 167 + 13);
    for (size_t length = 0; length <= sizeof data; length++) {
        size_t count;
        base64_encode(data, length, text);
        assert_true(base64_decode(bytes_of(text), back, sizeof back, &count));
        assert_int_equal(count, length);
        assert_memory_equal(back, data, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
