#include "sched/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sched/pace.h"

#define NOW (1000 * NS_PER_S)

/* Shares without cores: only `ask` is used, with a time of ours. */
static uint64_t ask(struct budget_share *share, uint64_t now_ns, uint32_t wanted)
{
    uint64_t again_ns = UINT64_MAX;
    uint32_t granted = share->gate.ask(&share->gate, now_ns, wanted, &again_ns);
    if (granted == 0) {
        assert_true(again_ns > now_ns);
        assert_true(again_ns <= now_ns + BUDGET_LOOK_NS);
    }
    return granted;
}

static void test_no_limit(void **state)
{
    struct budget budget;
    struct budget_share share, alone;
    (void)state;
    budget_init(&budget);
    budget_share_init(&share, &budget, NULL);
    budget_share_init(&alone, NULL, NULL);
    assert_int_equal(budget_rate(&budget), 0);
    assert_int_equal(ask(&share, NOW, UINT32_MAX), UINT32_MAX);
    assert_int_equal(ask(&alone, NOW, UINT32_MAX), UINT32_MAX);
}

/* Two cores share a rate, whether both want or one does; slices are whole quanta. */
static void test_shares_add_up_to_the_rate(void **state)
{
    const uint64_t rate = 10000000;
    (void)state;
    for (uint32_t cores = 1; cores <= 2; cores++) {
        struct budget budget;
        struct budget_share shares[2];
        uint64_t sent[2] = {0, 0};
        budget_init(&budget);
        budget_set(&budget, rate, NOW);
        for (uint32_t i = 0; i < 2; i++)
            budget_share_init(&shares[i], &budget, NULL);
        for (uint64_t ms = 0; ms < 5000; ms++)
            for (uint32_t i = 0; i < cores; i++) {
                uint64_t granted = ask(&shares[i], NOW + ms * NS_PER_MS, 8 * MIB);
                assert_true(granted == 0 || granted == pace_quantum_bytes(rate));
                sent[i] += granted;
            }
        assert_in_range(sent[0] + sent[1], rate * 5 / 100 * 98, rate * 5 / 100 * 102);
        if (cores == 2) assert_in_range(sent[0], rate * 5 / 100 * 40, rate * 5 / 100 * 60);
    }
}

/* What moved unasked is paid back before anything else goes; what was not used is there again. */
static void test_charges_and_returns(void **state)
{
    const uint64_t rate = 1000000; /* quanta of 10,000 */
    struct budget budget;
    struct budget_share share;
    uint64_t now_ns = NOW, sent = 0;
    (void)state;
    budget_init(&budget);
    budget_set(&budget, rate, NOW);
    budget_share_init(&share, &budget, NULL);
    while (ask(&share, now_ns, 10000) > 0)
        continue; /* what could be made up for */
    gate_charge(&share.gate, 500000);
    for (; sent == 0; now_ns += NS_PER_MS)
        sent = ask(&share, now_ns, 10000);
    assert_in_range(now_ns - NOW, 490 * NS_PER_MS, 530 * NS_PER_MS);
    while (ask(&share, now_ns, 10000) > 0)
        continue;
    gate_return(&share.gate, 10000 * 3);
    assert_int_equal(ask(&share, now_ns, 6000), 6000);
}

/* From a crawl to a run: the claim of the crawl, seconds ahead, is void. */
static void test_a_new_rate_holds_at_once(void **state)
{
    struct budget budget;
    struct budget_share shares[2];
    uint64_t now_ns = NOW;
    (void)state;
    budget_init(&budget);
    for (uint32_t i = 0; i < 2; i++)
        budget_share_init(&shares[i], &budget, NULL);
    budget_set(&budget, PACE_RATE_MIN, now_ns);
    for (uint32_t i = 0; i < 20; i++)
        for (uint32_t core = 0; core < 2; core++)
            (void)ask(&shares[core], now_ns, 1 * MIB);
    for (uint32_t core = 0; core < 2; core++)
        assert_int_equal(ask(&shares[core], now_ns, 1 * MIB), 0);
    now_ns += 10 * NS_PER_MS;
    budget_set(&budget, 1000000000, now_ns);
    now_ns += 10 * NS_PER_MS;
    for (uint32_t core = 0; core < 2; core++)
        assert_true(ask(&shares[core], now_ns, 1 * MIB) > 0);
    budget_set(&budget, 0, now_ns);
    assert_int_equal(ask(&shares[0], now_ns, UINT32_MAX), UINT32_MAX);
}

/* A steep cut: what was granted at the old rate is not owed at the new one. */
static void test_a_cut_leaves_no_debt(void **state)
{
    struct budget budget;
    struct budget_share share;
    uint64_t now_ns = NOW, sent = 0;
    (void)state;
    budget_init(&budget);
    budget_share_init(&share, &budget, NULL);
    budget_set(&budget, 125000000, now_ns);
    for (uint32_t ms = 0; ms < 100; ms++, now_ns += NS_PER_MS)
        sent += ask(&share, now_ns, 1 * MIB);
    assert_true(sent > 10000000);
    share.gate.credit_bytes -= 1 * MIB; /* and a reply that came */
    budget_set(&budget, 125000, now_ns);
    sent = 0;
    for (uint32_t ms = 0; ms < 1000; ms++, now_ns += NS_PER_MS)
        sent += ask(&share, now_ns, 1 * MIB);
    assert_in_range(sent, 125000 / 2, 125000 * 102 / 100 + pace_quantum_bytes(125000));
}

/* The lower of the two holds; what gives way changes each 50 ms, and the mean is kept all the same.
 * */
static void test_the_background_is_a_second_source(void **state)
{
    const uint64_t rate = 10000000;
    struct budget budget;
    struct budget_share shares[2];
    uint64_t sent = 0;
    (void)state;
    budget_init(&budget);
    for (uint32_t i = 0; i < 2; i++)
        budget_share_init(&shares[i], &budget, NULL);
    budget_set_background(&budget, rate);
    assert_int_equal(budget_rate(&budget), rate);
    budget_set(&budget, 2 * rate, NOW);
    assert_int_equal(budget_rate(&budget), rate);
    budget_set(&budget, rate / 2, NOW);
    assert_int_equal(budget_rate(&budget), rate / 2);
    budget_set(&budget, 0, NOW);
    assert_int_equal(budget_rate(&budget), rate);
    for (uint64_t ms = 0; ms < 5000; ms++) {
        if (ms % 50 == 0)
            budget_set_background(&budget, ms % 100 ? rate + 1000000 : rate - 1000000);
        for (uint32_t i = 0; i < 2; i++)
            sent += ask(&shares[i], NOW + ms * NS_PER_MS, 8 * MIB);
    }
    assert_in_range(sent, rate * 5 / 100 * 97, rate * 5 / 100 * 103);
    budget_set_background(&budget, 0);
    assert_int_equal(ask(&shares[0], NOW, UINT32_MAX), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_shares_add_up_to_the_rate),
        cmocka_unit_test(test_charges_and_returns),
        cmocka_unit_test(test_a_new_rate_holds_at_once),
        cmocka_unit_test(test_a_cut_leaves_no_debt),
        cmocka_unit_test(test_the_background_is_a_second_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
