/* Addresses: literals and their texts. */
#include "net/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_literals(void **state)
{
    static const struct {
        const char *host, *text; /* text NULL: not a literal */
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:443"},
        {"0.0.0.0", "0.0.0.0:443"},
        {"255.255.255.255", "255.255.255.255:443"},
        {"::1", "[::1]:443"},
        {"2001:db8:0:0::1", "[2001:db8::1]:443"},
        {"::ffff:10.0.0.1", "[::ffff:10.0.0.1]:443"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:443"},
        {"", NULL},
        {"localhost", NULL},
        {"127.0.0", NULL},
        {"127.0.0.1.", NULL},
        {"127.0.0.256", NULL},
        {"[::1]", NULL},
        {"::1%lo", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {" 127.0.0.1", NULL},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct addr addr;
        char text[ADDR_TEXT_BYTES];
        bool literal = addr_parse(bytes_of(rows[i].host), 443, &addr);
        assert_int_equal(literal, rows[i].text != NULL);
        assert_int_equal(addr_is_literal(bytes_of(rows[i].host)), literal);
        if (!literal) continue;
        assert_string_equal(addr_format(&addr, text), rows[i].text);
        assert_int_equal(addr_port(&addr), 443);
    }
}

static void test_a_zero_hides_nothing(void **state)
{
    (void)state;
    assert_false(addr_is_literal((struct bytes){"127.0.0.1\0.evil", 15}));
}

static void test_no_address(void **state)
{
    struct addr none = {.bytes = 0};
    char text[ADDR_TEXT_BYTES];
    (void)state;
    assert_string_equal(addr_format(&none, text), "no address");
    assert_int_equal(addr_port(&none), 0);
}

static void test_equal(void **state)
{
    static const struct {
        const char *host;
        uint16_t port;
    } rows[] = {{"127.0.0.1", 80}, {"127.0.0.1", 81}, {"127.0.0.2", 80},
                {"::1", 80},       {"::1", 81},       {"::2", 80}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (size_t j = 0; j < ARRAY_COUNT(rows); j++) {
            struct addr a, b;
            assert_true(addr_parse(bytes_of(rows[i].host), rows[i].port, &a));
            assert_true(addr_parse(bytes_of(rows[j].host), rows[j].port, &b));
            assert_int_equal(addr_equal(&a, &b), i == j);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_a_zero_hides_nothing),
        cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
