#include "core/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* First outputs of the reference xoshiro256** for the state {1, 2, 3, 4}: computed by hand for the
 * first two, rotl(2·5, 7)·9 = 11520 and rotl(0·5, 7)·9 = 0. */
static void test_reference(void **state)
{
    struct rand rand = {.state = {1, 2, 3, 4}};
    (void)state;
    assert_int_equal(rand_u64(&rand), 11520);
    assert_int_equal(rand_u64(&rand), 0);
    assert_int_equal(rand_u64(&rand), 1509978240);
    assert_int_equal(rand_u64(&rand), 1215971899390074240ull);
}

static void test_seed(void **state)
{
    struct rand a, b, c;
    (void)state;
    rand_init(&a, 0);
    rand_init(&b, 0);
    rand_init(&c, 1);
    /* splitmix64's first output for seed 0, as published with it */
    assert_int_equal(a.state[0], 0xe220a8397b1dcdafull);
    for (int i = 0; i < 100; i++) {
        uint64_t x = rand_u64(&a);
        assert_int_equal(x, rand_u64(&b));
        assert_int_not_equal(x, rand_u64(&c));
    }
}

static void test_below(void **state)
{
    struct rand rand;
    uint32_t seen[7] = {0};
    (void)state;
    rand_init(&rand, 7);
    for (int i = 0; i < 70000; i++) {
        uint64_t x = rand_below(&rand, 7);
        assert_true(x < 7);
        seen[x]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500); /* five standard deviations are 463 */
    assert_int_equal(rand_below(&rand, 1), 0);
    uint64_t upper_half = 0;
    for (int i = 0; i < 3000; i++) { /* a bound where a plain modulus would be far off */
        uint64_t x = rand_below(&rand, 3ull << 62);
        assert_true(x < 3ull << 62);
        upper_half += x >= 3ull << 61;
    }
    assert_in_range(upper_half, 1350, 1650);
}

static void test_unit(void **state)
{
    struct rand rand;
    double sum = 0;
    (void)state;
    rand_init(&rand, 9);
    for (int i = 0; i < 10000; i++) {
        double x = rand_unit(&rand);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(sum > 4850 && sum < 5150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_unit),
    };
    return cmocka_run_group_tests_name("rand", tests, NULL, NULL);
}
