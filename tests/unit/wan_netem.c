#include "tools/wan_netem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_format(void **state)
{
    static const struct {
        const char *path;
        uint32_t mtu;
        const char *text;
    } rows[] = {
        {"rtt=50ms", 1500, "limit 2147483647 delay 25000us"},
        {"rate=1G rtt=50ms queue=1500000", 1500, "limit 3084 delay 25000us rate 1000000000bit -14"},
        {"rtt=50ms jitter=2ms loss=0.1%", 1500,
         "limit 2147483647 delay 25000us 2000us loss 0.100000%"},
        {"rate=1G rtt=50ms queue=1500000", 9000, "limit 514 delay 25000us rate 1000000000bit -14"},
        {"rate=1G rtt=50ms jitter=2ms queue=1500000", 1500,
         "limit 3250 delay 25000us 2000us rate 1000000000bit -14"},
        {"loss=90%/2", 1500, "limit 2147483647 delay 0us loss gemodel 100.000000% 50.000000%"},
        {"loss=1%/8", 1500, "limit 2147483647 delay 0us loss gemodel 0.126263% 12.500000%"},
    };
    struct wan_plan plan;
    char text[WAN_NETEM_COMMAND_BYTES];
    struct writer w;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_true(wan_plan_parse(&plan, bytes_of(rows[i].path), BYTES(""), 0));
        writer_init(&w, text, sizeof text);
        wan_netem_format(&w, &plan.steps[0].lanes[0], rows[i].mtu);
        assert_string_equal(writer_string(&w), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_format)};
    return cmocka_run_group_tests_name("wan_netem", tests, NULL, NULL);
}
