/* Names that need no name server, and one that no name server can know. */
#include "net/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

struct fixture {
    struct core core;
    struct aside *aside;
    struct dns_query query;
    bool done;
};

static struct fixture fixture;

static void on_resolved(struct op *op)
{
    assert_ptr_equal(op, &fixture.query.job.op);
    fixture.done = true;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1};
    int raw;
    (void)state;
    if (core_open(&fixture.core, &options, &raw)) return 1;
    return aside_open(&fixture.aside, &fixture.core, "names");
}

static int tear_down(void **state)
{
    (void)state;
    aside_close(fixture.aside);
    core_close(&fixture.core);
    return 0;
}

static enum err resolve(const char *host)
{
    dns_query_init(&fixture.query, on_resolved);
    snprintf(fixture.query.host, sizeof(fixture.query.host), "%s", host);
    fixture.query.port = 8080;
    fixture.done = false;
    dns_resolve(fixture.aside, &fixture.query);
    while (!fixture.done)
        core_turn(&fixture.core, true);
    return fixture.query.job.op.err;
}

static void test_known_here(void **state)
{
    static const struct {
        const char *host, *first, *second;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:8080", NULL},
        {"::1", "[::1]:8080", NULL},
        {"localhost", "127.0.0.1:8080", "[::1]:8080"},
        {"LocalHost.", "127.0.0.1:8080", "[::1]:8080"},
        {"bucket.localhost", "127.0.0.1:8080", "[::1]:8080"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[ADDR_TEXT_BYTES];
        assert_int_equal(resolve(rows[i].host), ERR_NONE);
        assert_int_equal(fixture.query.count, rows[i].second ? 2 : 1);
        assert_string_equal(addr_format(&fixture.query.addrs[0], text), rows[i].first);
        if (rows[i].second)
            assert_string_equal(addr_format(&fixture.query.addrs[1], text), rows[i].second);
    }
}

/* RFC 6761 6.4: .invalid never exists; without a name server at hand the error says that. */
static void test_unknown(void **state)
{
    (void)state;
    enum err err = resolve("no-such-host.invalid");
    assert_true(err == ERR_NAME_UNKNOWN || err == ERR_NAME_SERVER);
    assert_int_equal(fixture.query.count, 0);
    assert_string_not_equal(fixture.query.why, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known_here, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
