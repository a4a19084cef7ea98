#include "sched/ration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TICK_NS (50 * NS_PER_MS)

static struct ration_view view;

static void begin(struct ration *ration, uint64_t rate_bytes_per_s, uint64_t part_bytes)
{
    view = (struct ration_view){.now_ns = NS_PER_S,
                                .rate_bytes_per_s = rate_bytes_per_s,
                                .part_bytes = part_bytes,
                                .count = 1,
                                .paced = true,
                                .full = true};
    ration_init(ration, view.now_ns);
    ration_look(ration, &view);
}

static void pass(struct ration *ration, uint64_t ns)
{
    for (uint64_t end_ns = view.now_ns + ns; view.now_ns < end_ns;) {
        view.now_ns += TICK_NS;
        ration_look(ration, &view);
    }
}

/* No more than five seconds of the rate, at least one, and all cores together as many as one. */
static void test_share(void **state)
{
    static const struct {
        uint64_t rate_bytes_per_s, part_bytes;
        uint32_t parts;
    } rows[] = {
        {1000000, 5 * MIB, 1},    {1050000, 5 * MIB, 1},   {2000000, 5 * MIB, 1},
        {2200000, 5 * MIB, 2},    {10 * MIB, 5 * MIB, 10}, {1000, 5ull * GIB, 1},
        {100 * MIB, 8 * MIB, 62}, {UINT64_MAX, 1, 1024},
    };
    struct ration ration;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (uint32_t count = 1; count < 70; count += 17) {
            uint32_t sum = 0, least = UINT32_MAX, most = 0;
            for (uint32_t index = 0; index < count; index++) {
                begin(&ration, rows[i].rate_bytes_per_s, rows[i].part_bytes);
                view.index = index;
                view.count = count;
                ration_look(&ration, &view);
                uint32_t mine = ration_parts(&ration);
                sum += mine;
                least = mine < least ? mine : least;
                most = mine > most ? mine : most;
                if (index == 0) assert_true(mine >= 1);
            }
            if (sum != rows[i].parts) fail_msg("row %zu, %u cores: %u parts", i, count, sum);
            assert_true(most - least <= 1);
        }
    }
}

static void test_no_limit(void **state)
{
    struct ration ration;
    (void)state;
    begin(&ration, 0, 8 * MIB);
    assert_true(ration_parts(&ration) == UINT32_MAX);
    assert_false(ration_is_ending(&ration, 0));
    view.rate_bytes_per_s = 1000000; /* now there is one */
    pass(&ration, TICK_NS);
    assert_int_equal(ration_parts(&ration), 1);
    view.rate_bytes_per_s = 0; /* it is lifted */
    pass(&ration, TICK_NS);
    assert_true(ration_parts(&ration) == UINT32_MAX);
}

/* Half a second of the rate. */
static void test_ending(void **state)
{
    struct ration ration;
    (void)state;
    begin(&ration, 1000000, 5 * MIB);
    assert_true(ration_is_ending(&ration, 0));
    assert_true(ration_is_ending(&ration, 499999));
    assert_false(ration_is_ending(&ration, 500000));
}

/* A path that is slower than the rate needs as many as it needs; a rate that is used up does not.
 * */
static void test_more_where_it_is_not_the_limit(void **state)
{
    struct ration ration;
    (void)state;
    begin(&ration, 1000000, 5 * MIB);
    pass(&ration, 60 * NS_PER_S);
    assert_int_equal(ration_parts(&ration), 1);
    view.paced = false;
    pass(&ration, RATION_FREE_NS - TICK_NS);
    assert_int_equal(ration_parts(&ration), 1);
    pass(&ration, 4 * RATION_FREE_NS);
    assert_true(ration_parts(&ration) >= 8);
    pass(&ration, 60 * NS_PER_S);
    assert_int_equal(ration_parts(&ration), 1 + RATION_MORE_MAX);
    view.paced = true;
    pass(&ration, 12 * RATION_PACED_NS);
    assert_int_equal(ration_parts(&ration), 1);
}

/* Where there are fewer than may be, more would not help. */
static void test_not_more_than_there_are(void **state)
{
    struct ration ration;
    (void)state;
    begin(&ration, 1000000, 5 * MIB);
    view.paced = view.full = false;
    pass(&ration, 60 * NS_PER_S);
    assert_int_equal(ration_parts(&ration), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_ending),
        cmocka_unit_test(test_more_where_it_is_not_the_limit),
        cmocka_unit_test(test_not_more_than_there_are),
    };
    return cmocka_run_group_tests_name("ration", tests, NULL, NULL);
}
