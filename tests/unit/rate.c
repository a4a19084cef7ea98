#include "tools/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_rates_that_are_understood(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes_per_s;
    } rows[] = {
        {"off", 0},
        {"OFF", 0},
        {"0", 0},
        {"50M", 50 * MIB},
        {"50m", 50 * MIB},
        {" 50 MiB/s ", 50 * MIB},
        {"50mib", 50 * MIB},
        {"50Mi", 50 * MIB},
        {"1.5g", 1536 * MIB},
        {"512K", 512 * KIB},
        {"2T", 2 * TIB},
        {"50MB", 50000000},
        {"50MB/s", 50000000},
        {"50MBps", 50000000},
        {"50mB/s", 50000000},
        {"5000B", 5000},
        {"10Mbit", 1250000},
        {"10Mbit/s", 1250000},
        {"10mbit/s", 1250000},
        {"10Mbits", 1250000},
        {"10Mbps", 1250000},
        {"10mbps", 1250000},
        {"1Gbit/s", 125000000},
        {"0.4Gbit", 50000000},
        {"100Gbit/s", 12500000000},
        {"1Mibit", 131072},
        {"8kbit", 1000},
        {"80000bit/s", 10000},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char why[RATE_WHY_BYTES] = "";
        uint64_t rate = 7;
        bool good = rate_parse(bytes_of(rows[i].text), &rate, why);
        if (!good || rate != rows[i].bytes_per_s)
            fail_msg("%s: %llu %s", rows[i].text, (unsigned long long)rate, why);
    }
}

static void test_rates_that_are_not(void **state)
{
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"", "not a rate"},
        {"50", "unit"},
        {"50/s", "unit"},
        {"50Mb", "bits or"},
        {"50Mb/s", "bits or"},
        {"50mib/x", "not a rate"},
        {"50Mps", "not a rate"},
        {"M", "not a rate"},
        {"1.2.3M", "not a rate"},
        {"-5M", "not a rate"},
        {"10M:100k", "not a rate"},
        {"5xB", "not a rate"},
        {"5kkB", "not a rate"},
        {"5i", "not a rate"},
        {"0.1k", "out of range"},
        {"0M", "out of range"},
        {"99999999999T", "out of range"},
        {"1e9B", "not a rate"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char why[RATE_WHY_BYTES] = "";
        uint64_t rate;
        if (rate_parse(bytes_of(rows[i].text), &rate, why)) fail_msg("%s", rows[i].text);
        if (!strstr(why, rows[i].word)) fail_msg("%s: %s", rows[i].text, why);
    }
}

static void test_rates_are_shown_both_ways(void **state)
{
    char text[2 * HUMAN_TEXT_BYTES];
    (void)state;
    assert_string_equal(rate_format(0, text), "off");
    assert_string_equal(rate_format(50 * MIB, text), "50.0 MiB/s (419 Mbit/s)");
    assert_string_equal(rate_format(1250000000, text), "1.16 GiB/s (10 Gbit/s)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_that_are_understood),
        cmocka_unit_test(test_rates_that_are_not),
        cmocka_unit_test(test_rates_are_shown_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
