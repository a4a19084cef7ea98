#include "tools/wan_calibrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct wan_plan plan;
static struct wan_calibrate calibrate;

/* What the probes of a perfect path would bring: 1 Gbit/s, 50 ms, 1 %. */
static struct wan_probe_result perfect(void)
{
    struct wan_probe_stream gentle = {.sent_packets = 50000, .received_packets = 49500};
    struct wan_probe_stream flood = {.sent_packets = 40000,
                                     .received_packets = 35000,
                                     .steady_bytes = 31250000,
                                     .steady_ns = 250 * NS_PER_MS};
    struct wan_probe_result result = {
        .ran = true, .pings = 40, .echoes = 39, .pongs = 38, .rtt_median_ns = 50200 * NS_PER_US};
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        result.gentle[i] = gentle;
        result.flood[i] = flood;
    }
    return result;
}

/* The words of the rows that are off, one behind the other. */
static const char *judge(const struct wan_probe_result *result, int64_t up, int64_t down)
{
    static char words[256];
    struct wan_calibrate_drops drops = {{up, down}};
    struct writer w;
    writer_init(&w, words, sizeof words);
    wan_calibrate_init(&calibrate);
    wan_calibrate_judge(&calibrate, &plan, 0, result, &drops);
    for (uint32_t i = 0; i < calibrate.count; i++)
        if (!calibrate.rows[i].good)
            writer_format(&w, "%s%d ", calibrate.rows[i].what, calibrate.rows[i].lane);
    return writer_string(&w);
}

static void test_judgement(void **state)
{
    struct wan_probe_result result = perfect();
    (void)state;
    assert_true(wan_plan_parse(&plan, BYTES("rate=1G rtt=50ms loss=1%"), BYTES(""), 0));
    assert_string_equal(judge(&result, 5501, 5501), "");
    assert_true(calibrate.good);
    assert_int_equal(calibrate.count, 9);
    assert_string_equal(judge(&result, -1, -1), ""); /* nobody counted */
    assert_int_equal(calibrate.count, 7);
    assert_string_equal(judge(&result, 5502, 5501), "count0 ");
    assert_false(calibrate.good);

    result.rtt_median_ns = 51100 * NS_PER_US;
    assert_string_equal(judge(&result, 5501, 5501), "rtt-1 ");
    result = perfect();
    result.pongs = 0;
    assert_non_null(strstr(judge(&result, 5501, 5539), "rtt-1"));
    result = perfect();
    result.flood[1].steady_bytes = 30500000; /* 2.4 % too slow */
    assert_string_equal(judge(&result, 5501, 5501), "rate1 ");
    result = perfect();
    result.gentle[0].received_packets = 49200;
    assert_string_equal(judge(&result, 5801, 5501), "wire0 ");
    result.ran = false;
    judge(&result, -1, -1);
    assert_false(calibrate.good);
}

/* Jitter loosens the round trip; without rate and loss there is nothing of them to judge. */
static void test_what_is_judged(void **state)
{
    struct wan_probe_result result = perfect();
    (void)state;
    assert_true(wan_plan_parse(&plan, BYTES("rtt=46ms jitter=2ms"), BYTES(""), 0));
    assert_string_equal(judge(&result, -1, -1), "");
    assert_int_equal(calibrate.count, 1);
    assert_true(wan_plan_parse(&plan, BYTES("rtt=50ms rate=2G police=1G"), BYTES(""), 0));
    assert_string_equal(judge(&result, -1, -1), "");
    assert_int_equal(calibrate.count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_what_is_judged),
    };
    return cmocka_run_group_tests_name("wan_calibrate", tests, NULL, NULL);
}
