#include "s3/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct moment_row {
    uint64_t wall_ns;
    const char *basic, *iso, *http;
};

/* From `date -u`. */
static const struct moment_row moment_rows[] = {
    {0, "19700101T000000Z", "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
    {1369353600 * NS_PER_S, "20130524T000000Z", "2013-05-24T00:00:00.000Z",
     "Fri, 24 May 2013 00:00:00 GMT"},
    {951827696 * NS_PER_S + 789999999, "20000229T123456Z", "2000-02-29T12:34:56.789Z",
     "Tue, 29 Feb 2000 12:34:56 GMT"},
    {4107542399 * NS_PER_S + 999000000, "21000228T235959Z", "2100-02-28T23:59:59.999Z",
     "Sun, 28 Feb 2100 23:59:59 GMT"},
    {4107542400 * NS_PER_S, "21000301T000000Z", "2100-03-01T00:00:00.000Z",
     "Mon, 01 Mar 2100 00:00:00 GMT"},
    {1735689599 * NS_PER_S, "20241231T235959Z", "2024-12-31T23:59:59.000Z",
     "Tue, 31 Dec 2024 23:59:59 GMT"},
};

static void test_moments(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(moment_rows); i++) {
        const struct moment_row *row = &moment_rows[i];
        const char *forms[] = {row->basic, row->iso, row->http};
        char basic[STAMP_BASIC_BYTES], iso[STAMP_ISO_BYTES], http[STAMP_HTTP_BYTES];

        stamp_format_basic(row->wall_ns, basic);
        stamp_format_iso(row->wall_ns, iso);
        stamp_format_http(row->wall_ns, http);
        assert_string_equal(basic, row->basic);
        assert_string_equal(iso, row->iso);
        assert_string_equal(http, row->http);
        for (size_t n = 0; n < ARRAY_COUNT(forms); n++) {
            int64_t seconds;

            assert_true(stamp_parse(bytes_of(forms[n]), &seconds));
            assert_int_equal(seconds, row->wall_ns / NS_PER_S);
        }
    }
}

/* Every day of 400 years, there and back. */
static void test_every_day(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 146097 + 366; day++) {
        char text[STAMP_BASIC_BYTES];
        int64_t seconds;

        stamp_format_basic(day * 86400 * NS_PER_S, text);
        assert_true(stamp_parse(bytes_of(text), &seconds));
        assert_int_equal(seconds, day * 86400);
    }
}

static void test_other_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* −1: refused */
    } rows[] = {
        {"2013-05-24T00:00:00Z", 1369353600},
        {"2013-05-24T00:00:00.5Z", 1369353600},
        {"2013-05-24T00:00:00.123456789Z", 1369353600},
        {"9999-12-31T23:59:59Z", 253402300799},
        {"", -1},
        {"2013-05-24", -1},
        {"2013-05-24T00:00:00", -1},
        {"2013-05-24T00:00:00.Z", -1},
        {"2013-05-24T00:00:00+02:00", -1},
        {"2013-13-24T00:00:00Z", -1},
        {"2013-02-30T00:00:00Z", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"2013-05-24T24:00:00Z", -1},
        {"2013-05-24T00:00:0xZ", -1},
        {"20130524T000000", -1},
        {"20130524 000000Z", -1},
        {"Fri, 24 Mai 2013 00:00:00 GMT", -1},
        {"Fri, 24 May 2013 00:00:00 CET", -1},
        {"Friday, 24-May-13 00:00:00 GMT", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t seconds = -1;

        assert_int_equal(stamp_parse(bytes_of(rows[i].text), &seconds), rows[i].seconds >= 0);
        if (rows[i].seconds >= 0) assert_int_equal(seconds, rows[i].seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_other_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
