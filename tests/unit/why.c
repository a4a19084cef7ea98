#include "tools/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *format(const struct why *why, const struct blame_totals *totals, char *text)
{
    struct writer w;
    writer_init(&w, text, WHY_TEXT_BYTES);
    assert_true(why_format(why, totals, 5 * NS_PER_S, &w));
    return writer_string(&w);
}

static void test_line(void **state)
{
    struct conf conf;
    struct why why = {.conf = &conf, .tcp_cc = "cubic", .is_upload = true};
    struct blame_totals totals = {.staging_ns = 0};
    char text[WHY_TEXT_BYTES];
    (void)state;
    conf_init(&conf);
    totals.ns[BLAME_ANSWER] = 68;
    totals.ns[BLAME_REFUSED] = 3;
    totals.ns[BLAME_RUNNING] = 20;
    totals.ns[BLAME_FILE] = 9;
    assert_string_equal(format(&why, &totals, text),
                        "limited by the server (71 %), CPU 20 %: it answers no faster; larger "
                        "objects and parts need fewer answers");
    conf.cc = FLOW_FIXED;
    assert_non_null(strstr(format(&why, &totals, text), "--cc auto"));
    totals.staging_ns = 60;
    assert_non_null(strstr(format(&why, &totals, text), "--memory"));
    totals.ns[BLAME_REFUSED] = 80;
    assert_non_null(strstr(format(&why, &totals, text), "SlowDown"));
}

/* Every cause has a name and an advice, in both directions and of a check, and they fit. */
static void test_every_cause(void **state)
{
    struct conf conf;
    (void)state;
    conf_init(&conf);
    for (uint32_t i = 0; i < 3 * BLAME_CAUSES; i++) {
        struct why why = {
            .conf = &conf, .is_upload = i < BLAME_CAUSES, .is_check = i >= 2 * BLAME_CAUSES};
        struct blame_totals totals = {.staging_ns = 0};
        char text[WHY_TEXT_BYTES];
        totals.ns[i % BLAME_CAUSES] = 1;
        format(&why, &totals, text);
        assert_ptr_equal(strstr(text, "limited by "), text);
        const char *advice = strstr(text, " (100 %): ");
        assert_non_null(advice);
        assert_true(strlen(advice) > 15 && strlen(text) < 160);
        if (!why.is_check) continue; /* it has no such options, and writes nothing */
        assert_null(strstr(text, "--spread"));
        assert_null(strstr(text, "--part-size"));
        assert_null(strstr(text, "written"));
    }
}

static void test_cpu(void **state)
{
    struct conf conf;
    struct why why = {.conf = &conf, .is_upload = true};
    struct blame_totals totals = {.staging_ns = 0};
    char text[WHY_TEXT_BYTES];
    (void)state;
    conf_init(&conf);
    conf.endpoint_count = 1;
    conf.endpoints[0].sign = conf.sign_payload = true;
    totals.ns[BLAME_RUNNING] = 5;
    totals.ns[BLAME_CPU_TAKEN] = 4;
    assert_non_null(strstr(format(&why, &totals, text), "--no-sign-payload"));
    conf.endpoints[0].tls = true;
    assert_null(strstr(format(&why, &totals, text), "--no-sign-payload"));
    conf.checksum = CHECKSUM_SHA256;
    assert_non_null(strstr(format(&why, &totals, text), "crc32c"));
    why.is_upload = false;
    why.cores_named = true;
    assert_non_null(strstr(format(&why, &totals, text), "more --cores"));
    totals.ns[BLAME_CPU_TAKEN] = 6;
    assert_non_null(strstr(format(&why, &totals, text), "other programs"));
}

static void test_nothing_to_say(void **state)
{
    struct conf conf;
    struct why why = {.conf = &conf};
    struct blame_totals totals = {.staging_ns = 9};
    char text[WHY_TEXT_BYTES];
    struct writer w;
    (void)state;
    conf_init(&conf);
    writer_init(&w, text, sizeof text);
    assert_false(why_format(&why, &totals, 5 * NS_PER_S, &w));
    assert_false(why_format_shares(&totals, &w));
    totals.ns[BLAME_PATH] = 100;
    assert_false(why_format(&why, &totals, NS_PER_S - 1, &w));
    assert_int_equal(w.count, 0);
}

static void test_shares(void **state)
{
    struct blame_totals totals = {.staging_ns = 0};
    char text[WHY_TEXT_BYTES];
    struct writer w;
    (void)state;
    totals.ns[BLAME_PACE] = 750;
    totals.ns[BLAME_OUR_WINDOW] = 8;
    totals.ns[BLAME_CONNECT] = 242;
    writer_init(&w, text, sizeof text);
    assert_true(why_format_shares(&totals, &w));
    assert_string_equal(writer_string(&w), "policy 75 %, network 24 %, receive window 1 %");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),   cmocka_unit_test(test_every_cause),
        cmocka_unit_test(test_cpu),    cmocka_unit_test(test_nothing_to_say),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests_name("why", tests, NULL, NULL);
}
