#include "sched/retry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct delay_row {
    enum err_class class;
    uint32_t retry_number;
    uint64_t ceiling_ns;
};

static const struct delay_row delay_rows[] = {
    {ERR_CLASS_RETRY, 1, 100 * NS_PER_MS},  {ERR_CLASS_RETRY, 2, 200 * NS_PER_MS},
    {ERR_CLASS_RETRY, 7, 6400 * NS_PER_MS}, {ERR_CLASS_RETRY, 8, 12800 * NS_PER_MS},
    {ERR_CLASS_RETRY, 9, 20 * NS_PER_S},    {ERR_CLASS_RETRY, 4000000000u, 20 * NS_PER_S},
    {ERR_CLASS_SLOW, 1, 500 * NS_PER_MS},   {ERR_CLASS_SLOW, 5, 8 * NS_PER_S},
    {ERR_CLASS_SLOW, 6, 16 * NS_PER_S},     {ERR_CLASS_SLOW, 7, 20 * NS_PER_S},
};

/* Uniform in [0, ceiling]: never above, near both ends, and on average the middle. */
static void test_delays_are_full_jitter(void **state)
{
    struct rand rand;

    (void)state;
    rand_init(&rand, 1);
    for (size_t i = 0; i < ARRAY_COUNT(delay_rows); i++) {
        const struct delay_row *row = &delay_rows[i];
        uint64_t low = UINT64_MAX, high = 0, sum = 0;

        for (int n = 0; n < 4000; n++) {
            uint64_t delay = retry_delay_ns(&rand, row->class, row->retry_number);

            low = min_u64(low, delay);
            high = max_u64(high, delay);
            sum += delay;
        }
        assert_true(high <= row->ceiling_ns);
        assert_true(high > row->ceiling_ns / 100 * 99);
        assert_true(low < row->ceiling_ns / 100);
        assert_in_range(sum / 4000, row->ceiling_ns / 100 * 47, row->ceiling_ns / 100 * 53);
    }
}

static bool again(struct retry *retry, struct retry_budget *budget, struct rand *rand, enum err err,
                  uint64_t *delay_ns)
{
    struct retry_failure failure = {.err = err, .now_ns = NS_PER_S};
    return retry_again(retry, budget, rand, &failure, delay_ns);
}

static void test_attempts_are_bounded(void **state)
{
    static const struct {
        enum err err;
        uint32_t attempts_max, error_max, retries;
    } rows[] = {
        {ERR_RESET, 5, 0, 4},    {ERR_SLOW_DOWN, 3, 0, 2},   {ERR_SERVER, 1, 0, 0},
        {ERR_DENIED, 5, 0, 0},   {ERR_CREDENTIALS, 5, 0, 0}, {ERR_CHECKSUM, 9, 4, 3},
        {ERR_CHECKSUM, 3, 4, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct retry retry;
        struct retry_budget budget;
        struct rand rand;
        struct retry_failure failure = {
            .err = rows[i].err, .now_ns = 1, .attempts_max = rows[i].error_max};
        uint32_t retries = 0;
        uint64_t delay_ns;

        rand_init(&rand, i);
        retry_init(&retry, rows[i].attempts_max);
        retry_budget_init(&budget, RETRY_TOKENS);
        while (retry_again(&retry, &budget, &rand, &failure, &delay_ns))
            retries++;
        assert_int_equal(retries, rows[i].retries);
        assert_int_equal(retry.attempts, rows[i].retries + 1);
    }
}

/* Time without progress ends it, from the least attempts on; progress begins it anew. */
static void test_limit(void **state)
{
    struct retry retry;
    struct retry_budget budget;
    struct rand rand;
    struct retry_failure failure = {.err = ERR_RESET, .limit_ns = 10 * NS_PER_S, .attempts_min = 4};
    uint64_t delay_ns, begin_ns = 1000 * NS_PER_S;

    (void)state;
    rand_init(&rand, 5);
    retry_init(&retry, 100);
    retry_budget_init(&budget, RETRY_TOKENS);
    failure.now_ns = begin_ns;
    assert_true(retry_again(&retry, &budget, &rand, &failure, &delay_ns)); /* the second */
    failure.now_ns += 20 * NS_PER_S;
    assert_true(retry_again(&retry, &budget, &rand, &failure, &delay_ns));
    assert_true(retry_again(&retry, &budget, &rand, &failure, &delay_ns)); /* the fourth */
    assert_false(retry_again(&retry, &budget, &rand, &failure, &delay_ns));
    retry_progressed(&retry);
    assert_true(retry_again(&retry, &budget, &rand, &failure, &delay_ns));
    failure.now_ns += 10 * NS_PER_S - 1;
    assert_true(retry_again(&retry, &budget, &rand, &failure, &delay_ns));
    failure.now_ns += 1;
    assert_false(retry_again(&retry, &budget, &rand, &failure, &delay_ns));
}

static void test_least_delay_and_none(void **state)
{
    struct retry retry;
    struct retry_budget budget;
    struct rand rand;
    struct retry_failure asked = {.err = ERR_SLOW_DOWN, .now_ns = 1, .asked_ns = 7 * NS_PER_S};
    struct retry_failure at_once = {.err = ERR_RESET, .now_ns = 1, .at_once = true};
    uint64_t delay_ns, sum_ns = 0;

    (void)state;
    rand_init(&rand, 5);
    retry_init(&retry, 100);
    retry_budget_init(&budget, RETRY_TOKENS);
    assert_true(retry_again(&retry, &budget, &rand, &asked, &delay_ns));
    assert_int_equal(delay_ns, 7 * NS_PER_S);
    assert_true(retry_again(&retry, &budget, &rand, &at_once, &delay_ns));
    assert_int_equal(delay_ns, 0);
    for (int i = 0; i < 10; i++) {
        assert_true(retry_again(&retry, &budget, &rand, &at_once, &delay_ns));
        sum_ns += delay_ns;
    }
    assert_true(sum_ns > NS_PER_S);
}

static void check_no_failure(enum err err)
{
    struct retry retry;
    struct retry_budget budget;
    struct rand rand;
    uint64_t delay_ns;

    rand_init(&rand, 7);
    retry_init(&retry, 2);
    retry_budget_init(&budget, RETRY_TOKENS);
    for (uint32_t i = 0; i < RETRY_STALE_MAX; i++) {
        delay_ns = 1;
        assert_true(again(&retry, &budget, &rand, err, &delay_ns));
        assert_int_equal(delay_ns, 0);
    }
    assert_int_equal(retry.attempts, 1);
    assert_int_equal(budget.tokens, RETRY_TOKENS);
    assert_true(again(&retry, &budget, &rand, err, &delay_ns));
    assert_int_equal(retry.attempts, 2);
    assert_false(again(&retry, &budget, &rand, err, &delay_ns));
}

static void test_stale_connections_are_no_failures(void **state)
{
    (void)state;
    check_no_failure(ERR_STALE);
    check_no_failure(ERR_STRAGGLER); /* nor are those that we cut */
}

/* One request's failures after another's: what the tokens do not pay for drips, one behind the
 * other, and nothing fails for it. */
static void test_budget_runs_out_and_refills(void **state)
{
    struct retry_budget budget;
    struct rand rand;
    struct retry retry;
    uint64_t delay_ns;

    (void)state;
    rand_init(&rand, 3);
    retry_budget_init(&budget, 50);
    for (int i = 0; i < 10; i++) {
        retry_init(&retry, 5);
        assert_true(again(&retry, &budget, &rand, ERR_TIMEOUT, &delay_ns));
        assert_true(delay_ns <= RETRY_BASE_NS);
    }
    assert_int_equal(budget.tokens, 0);
    for (uint32_t i = 1; i <= 30; i++) {
        retry_init(&retry, 5);
        assert_true(again(&retry, &budget, &rand, ERR_TIMEOUT, &delay_ns));
        assert_true(delay_ns >= i * RETRY_DRIP_NS);
        assert_true(delay_ns <= i * RETRY_DRIP_NS + RETRY_BASE_NS);
    }
    retry_init(&retry, 5);
    assert_true(again(&retry, &budget, &rand, ERR_SLOW_DOWN, &delay_ns)); /* costs nothing */
    assert_true(delay_ns <= RETRY_SLOW_BASE_NS);

    for (uint32_t i = 0; i < RETRY_COST; i++) {
        retry_init(&retry, 5);
        assert_int_equal(budget.tokens, i);
        retry_succeeded(&retry, &budget);
    }
    retry_init(&retry, 5);
    assert_true(again(&retry, &budget, &rand, ERR_TIMEOUT, &delay_ns));
    assert_true(delay_ns <= RETRY_BASE_NS);
    assert_int_equal(budget.tokens, 0);
    retry_succeeded(&retry, &budget); /* its cost comes back */
    assert_int_equal(budget.tokens, RETRY_COST);
}

static void test_budget_does_not_overflow(void **state)
{
    struct retry_budget budget;
    struct retry retry;

    (void)state;
    retry_budget_init(&budget, 10);
    retry_init(&retry, 3);
    retry_succeeded(&retry, &budget);
    assert_int_equal(budget.tokens, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_are_full_jitter),
        cmocka_unit_test(test_attempts_are_bounded),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_least_delay_and_none),
        cmocka_unit_test(test_stale_connections_are_no_failures),
        cmocka_unit_test(test_budget_runs_out_and_refills),
        cmocka_unit_test(test_budget_does_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
