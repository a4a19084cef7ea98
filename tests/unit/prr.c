#include "sched/prr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* From `flight` to `window`: after every end the launched are in proportion, and it ends at the
 * window. */
static void test_proportion(void **state)
{
    static const uint32_t rows[][2] = {{20, 10}, {20, 19}, {20, 14}, {3, 1}, {64, 45}, {2, 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint32_t from = rows[i][0], window = rows[i][1], flight = from, launched = 0, ended = 0;
        struct prr prr;
        prr_init(&prr);
        prr_set(&prr, window, flight);
        while (flight > window) {
            flight--;
            ended++;
            uint32_t allowed = prr_on_end(&prr, window, flight);
            assert_in_range(allowed, 0, 1);
            flight += allowed;
            launched += allowed;
            if (flight > window) assert_int_equal(launched, (ended * window + from - 1) / from);
            assert_true(ended < 100 * from);
        }
        assert_int_equal(flight, window);
        assert_int_equal(prr_on_end(&prr, window, flight - 1), 1); /* one for one from here on */
    }
}

static void test_no_cut(void **state)
{
    struct prr prr;
    (void)state;
    prr_init(&prr);
    assert_int_equal(prr_on_end(&prr, 4, 3), 1);
    assert_int_equal(prr_on_end(&prr, 8, 3), 5);
    assert_int_equal(prr_on_end(&prr, 4, 4), 0);
    prr_set(&prr, 10, 4);
    assert_int_equal(prr_on_end(&prr, 10, 3), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proportion),
        cmocka_unit_test(test_no_cut),
    };
    return cmocka_run_group_tests_name("prr", tests, NULL, NULL);
}
