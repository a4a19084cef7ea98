#include "sched/pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/rand.h"

static void test_quanta(void **state)
{
    static const struct {
        uint64_t rate;
        uint32_t bytes;
    } rows[] = {
        {1000, PACE_QUANTUM_BYTES_MIN},
        {400000, PACE_QUANTUM_BYTES_MIN},
        {1250000, 12500},
        {125000000, PACE_QUANTUM_BYTES_MAX},
        {12500000000, PACE_QUANTUM_BYTES_MAX},
        {UINT64_MAX, PACE_QUANTUM_BYTES_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(pace_quantum_bytes(rows[i].rate), rows[i].bytes);
}

/* Claimers that always want, woken late by up to `late_ns` each time: what went in every span of 5
 * s is within 2 %, whatever the rate. */
static void run_at(uint64_t rate, uint64_t late_ns)
{
    enum { CLAIMERS = 4, SLOTS = 200 };
    const uint64_t slot_ns = 100 * NS_PER_MS, end_ns = SLOTS * slot_ns;
    uint64_t next_ns = 0, wake_ns[CLAIMERS] = {0}, slots[SLOTS] = {0};
    uint32_t quantum = pace_quantum_bytes(rate);
    struct rand rand;
    rand_init(&rand, rate + late_ns);
    for (;;) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < CLAIMERS; i++)
            if (wake_ns[i] < wake_ns[first]) first = i;
        uint64_t now_ns = wake_ns[first];
        if (now_ns >= end_ns) break;
        slots[now_ns / slot_ns] += quantum; /* what it had claimed goes; then it claims anew */
        uint64_t at_ns = pace_claim(&next_ns, rate, quantum, now_ns);
        wake_ns[first] = max_u64(at_ns, now_ns) + rand_below(&rand, late_ns + 1);
    }
    for (uint32_t from = 10; from + 50 <= SLOTS; from++) {
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < 50; i++)
            bytes += slots[from + i];
        assert_in_range(bytes, rate * 5 / 100 * 98, rate * 5 / 100 * 102);
    }
}

static void test_any_5_s_are_within_2_percent(void **state)
{
    static const uint64_t rates[] = {1250000, 10000000, 125000000, 1250000000, 6000000000};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        run_at(rates[i], 0);
        run_at(rates[i], 200 * NS_PER_US);
        run_at(rates[i], pace_quantum_bytes(rates[i]) * NS_PER_S / rates[i]);
    }
}

/* What nobody claimed is lost but for PACE_CATCH_UP_NS of it. */
static void test_idle_time_is_no_credit(void **state)
{
    const uint64_t rate = 1000000, now_ns = 100 * NS_PER_S;
    uint64_t next_ns = 0, at_once = 0;
    (void)state;
    while (pace_claim(&next_ns, rate, 10000, now_ns) <= now_ns)
        at_once += 10000;
    assert_in_range(at_once, 50000, 60000);
    assert_true(next_ns > now_ns);
}

static void test_time_begins(void **state)
{
    uint64_t next_ns = 0;
    (void)state;
    assert_int_equal(pace_claim(&next_ns, 1000, 4096, 1), 0);
    assert_int_equal(next_ns, 4096 * NS_PER_MS);
    assert_int_equal(pace_claim(&next_ns, 1000, 4096, 2), 4096 * NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quanta),
        cmocka_unit_test(test_any_5_s_are_within_2_percent),
        cmocka_unit_test(test_idle_time_is_no_credit),
        cmocka_unit_test(test_time_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
