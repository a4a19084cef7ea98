#include "sched/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_extremes(void **state)
{
    static const struct {
        enum window_kind kind;
        uint64_t position;
        double value, extreme;
    } rows[] = {
        {WINDOW_GREATEST, 0, 5, 5},   {WINDOW_GREATEST, 10, 3, 5},  {WINDOW_GREATEST, 20, 7, 7},
        {WINDOW_GREATEST, 90, 1, 7},  {WINDOW_GREATEST, 99, 2, 7},  {WINDOW_GREATEST, 110, 2, 2},
        {WINDOW_GREATEST, 111, 0, 2}, {WINDOW_GREATEST, 500, 1, 1},
    };
    struct window greatest, least;
    (void)state;
    window_init(&greatest, WINDOW_GREATEST, 80);
    window_init(&least, WINDOW_LEAST, 80);
    assert_true(window_is_empty(&greatest));
    assert_true(window_value(&greatest) == 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        window_add(&greatest, rows[i].position, rows[i].value);
        window_add(&least, rows[i].position, -rows[i].value);
        assert_true(window_value(&greatest) == rows[i].extreme);
        assert_true(window_value(&least) == -rows[i].extreme);
    }
}

static void test_span(void **state)
{
    (void)state;
    for (uint64_t age = 1; age < 200; age++) {
        struct window window;
        window_init(&window, WINDOW_GREATEST, 80);
        window_add(&window, 1000, 9);
        window_add(&window, 1000 + age, 1);
        if (age < 70) assert_true(window_value(&window) == 9);
        if (age >= 80) assert_true(window_value(&window) == 1);
        window_move(&window, 1000 + age + 80);
        assert_true(window_is_empty(&window));
    }
}

static void test_reset(void **state)
{
    struct window window;
    (void)state;
    window_init(&window, WINDOW_LEAST, 8);
    window_add(&window, 3, 4);
    window_reset(&window);
    assert_true(window_is_empty(&window));
    window_add(&window, 3, 6);
    assert_true(window_value(&window) == 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_span),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
