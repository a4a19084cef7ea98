#include "tools/wan_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CHUNKS 4096u

static struct wan_model_chunk chunks[CHUNKS];
static struct wan_model model;

static void begin(const struct wan_plan_lane_setting *setting)
{
    wan_model_init(&model, chunks, CHUNKS, 7);
    wan_model_set(&model, setting, 0);
}

static void offer(uint64_t now_ns, uint64_t where, uint32_t packets, uint32_t bytes)
{
    struct wan_model_offer one = {where, packets, bytes, bytes};
    wan_model_offer(&model, now_ns, &one);
}

/* The next arrival, whenever it is. */
static struct wan_model_chunk next(uint64_t *at_ns)
{
    const struct wan_model_chunk *chunk = NULL;
    while (!chunk) {
        *at_ns = wan_model_next_ns(&model);
        assert_true(*at_ns != UINT64_MAX);
        chunk = wan_model_pop(&model, *at_ns);
    }
    return *chunk;
}

static void test_delay_only(void **state)
{
    struct wan_plan_lane_setting setting = {.delay_ns = 10 * NS_PER_MS};
    uint64_t at_ns;
    (void)state;
    begin(&setting);
    assert_true(wan_model_next_ns(&model) == UINT64_MAX);
    assert_true(wan_model_is_empty(&model));
    offer(5, 1, 44, 1500);
    offer(9, 2, 1, 60);
    assert_null(wan_model_pop(&model, 10 * NS_PER_MS));
    assert_int_equal(next(&at_ns).packets, 44); /* without a rate nothing is cut */
    assert_int_equal(at_ns, 10 * NS_PER_MS + 5);
    assert_int_equal(next(&at_ns).where, 2);
    assert_int_equal(at_ns, 10 * NS_PER_MS + 9);
    assert_true(wan_model_is_empty(&model));
}

/* At 12 Mbit/s a packet of 1500 bytes takes 1 ms: a super-packet becomes single packets, each at
 * its time. */
static void test_rate_cuts_and_spaces(void **state)
{
    struct wan_plan_lane_setting setting = {
        .rate_bits_per_s = 12000000, .queue_bytes = MIB, .delay_ns = 5 * NS_PER_MS};
    uint64_t at_ns;
    (void)state;
    begin(&setting);
    offer(0, 1, 10, 1500);
    for (uint32_t i = 0; i < 10; i++) {
        struct wan_model_chunk chunk = next(&at_ns);
        assert_int_equal(chunk.packets, 1);
        assert_int_equal(chunk.first, i);
        assert_int_equal(at_ns, (i + 1) * NS_PER_MS + 5 * NS_PER_MS);
    }
}

/* Full speed over many super-packets: the last bit arrives when the rate says. */
static void test_rate_is_exact(void **state)
{
    struct wan_plan_lane_setting setting = {.rate_bits_per_s = 1000000000, .queue_bytes = GIB};
    uint64_t at_ns = 0, bytes = 0;
    (void)state;
    begin(&setting);
    for (uint32_t i = 0; i < 500; i++)
        offer(0, i, 44, 1500);
    while (!wan_model_is_empty(&model)) {
        struct wan_model_chunk chunk = next(&at_ns);
        assert_true(chunk.wire_bytes * 8ull <= WAN_MODEL_CHUNK_NS);
        bytes += chunk.wire_bytes;
    }
    assert_int_equal(bytes, 500 * 44 * 1500);
    assert_in_range(at_ns, bytes * 8 - 2000, bytes * 8); /* 1 ns a bit */
}

static void test_drop_tail(void **state)
{
    struct wan_plan_lane_setting setting = {.rate_bits_per_s = 12000000, .queue_bytes = 15000};
    uint64_t at_ns, packets = 0;
    (void)state;
    begin(&setting);
    offer(0, 1, 1, 1500); /* on the link at once */
    offer(0, 2, 20, 1500);
    assert_int_equal(model.counters.dropped_packets, 10);
    assert_int_equal(model.counters.queue_bytes_max, 15000);
    while (!wan_model_is_empty(&model))
        packets += next(&at_ns).packets;
    assert_int_equal(packets, 11);
    assert_int_equal(at_ns, 11 * NS_PER_MS);
    assert_int_equal(model.counters.delivered_packets, 11);
    assert_int_equal(model.counters.packets, 21);
}

/* A new rate counts from the next chunk on; what is in the fibre keeps its time. */
static void test_change(void **state)
{
    struct wan_plan_lane_setting setting = {
        .rate_bits_per_s = 12000000, .queue_bytes = MIB, .delay_ns = 100 * NS_PER_MS};
    static const uint64_t expected_ms[] = {101, 102, 103, 113, 123};
    uint64_t at_ns;
    (void)state;
    begin(&setting);
    offer(0, 1, 5, 1500);
    setting.rate_bits_per_s = 1200000;
    wan_model_set(&model, &setting, 5 * NS_PER_MS / 2); /* while the third is on the link */
    for (size_t i = 0; i < ARRAY_COUNT(expected_ms); i++) {
        next(&at_ns);
        assert_int_equal(at_ns, expected_ms[i] * NS_PER_MS);
    }
    setting.delay_ns = 0; /* nothing overtakes */
    offer(at_ns, 2, 1, 1500);
    wan_model_set(&model, &setting, at_ns);
    offer(at_ns, 3, 1, 1500);
    uint64_t first_ns, second_ns;
    assert_int_equal(next(&first_ns).where, 2);
    assert_int_equal(next(&second_ns).where, 3);
    assert_true(second_ns >= first_ns);
}

static void test_policer(void **state)
{
    struct wan_plan_lane_setting setting = {.police_bits_per_s = 12000000,
                                            .police_burst_bytes = 6000};
    (void)state;
    begin(&setting);
    offer(0, 1, 10, 1500);
    assert_int_equal(model.counters.policed_packets, 6); /* the bucket held four */
    for (uint64_t ms = 1; ms <= 1000; ms++)
        offer(ms * NS_PER_MS, ms, 2, 1500);
    assert_in_range(model.counters.policed_packets, 6 + 999, 6 + 1001); /* one in two */
}

/* The share holds, for single losses and bursts, and bursts have their mean length. */
static void test_loss(void **state)
{
    static const struct {
        double share, burst;
    } rows[] = {{0.0001, 0}, {0.001, 0}, {0.01, 0}, {0.3, 0}, {0.01, 8}, {0.001, 20}, {0.2, 1.5}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        double mean = rows[i].burst > 0 ? rows[i].burst : 1 / (1 - rows[i].share);
        double packets = 40000 * mean / rows[i].share;
        struct wan_model_loss loss;
        wan_model_loss_init(&loss, 3);
        wan_model_loss_set(&loss, rows[i].share, rows[i].burst);
        double share = (double)wan_model_loss_count(&loss, (uint64_t)packets) / packets;
        assert_true(fabs(share / rows[i].share - 1) < 0.04);
    }
}

/* Losses hit wire packets of super-packets, and cut them. */
static void test_loss_in_super_packets(void **state)
{
    struct wan_plan_lane_setting setting = {.loss = 0.02, .burst_packets = 4};
    uint64_t delivered = 0, bursts = 0, at_ns = 0;
    uint32_t behind = 0;
    (void)state;
    begin(&setting);
    for (uint32_t i = 0; i < 20000; i++) {
        offer(i, i, 40, 1500);
        behind = 0;
        while (!wan_model_is_empty(&model)) {
            struct wan_model_chunk chunk = next(&at_ns);
            assert_int_equal(chunk.where, i);
            assert_true(chunk.first >= behind);
            bursts += chunk.first > behind;
            behind = chunk.first + chunk.packets;
            delivered += chunk.packets;
        }
        bursts += behind < 40;
    }
    double lost = (double)model.counters.lost_packets;
    assert_int_equal(delivered + model.counters.lost_packets, 800000);
    assert_true(fabs(lost / 800000 / 0.02 - 1) < 0.06);
    assert_true(lost / (double)bursts > 3.3 && lost / (double)bursts < 4.3);
}

static void test_seed_repeats(void **state)
{
    struct wan_plan_lane_setting setting = {
        .loss = 0.1, .jitter_ns = 3 * NS_PER_MS, .delay_ns = 10 * NS_PER_MS};
    uint64_t sums[2] = {0, 0}, at_ns;
    (void)state;
    for (uint32_t turn = 0; turn < 2; turn++) {
        begin(&setting);
        for (uint32_t i = 0; i < 1000; i++)
            offer(i * NS_PER_MS, i, 1, 100);
        while (!wan_model_is_empty(&model)) {
            uint64_t where = next(&at_ns).where;
            sums[turn] += at_ns * (where + 1);
        }
    }
    assert_true(sums[0] == sums[1]);
}

/* Within its bounds, wandering to both sides, in order. */
static void test_jitter(void **state)
{
    struct wan_plan_lane_setting setting = {.delay_ns = 10 * NS_PER_MS, .jitter_ns = 4 * NS_PER_MS};
    uint64_t least = UINT64_MAX, most = 0, last = 0, at_ns;
    (void)state;
    begin(&setting);
    for (uint64_t i = 0; i < 3000; i++)
        offer(i * NS_PER_MS, i, 1, 100);
    while (!wan_model_is_empty(&model)) {
        uint64_t delay_ns = 0, sent_ns = next(&at_ns).where * NS_PER_MS;
        delay_ns = at_ns - sent_ns;
        least = min_u64(least, delay_ns);
        most = max_u64(most, delay_ns);
        assert_true(at_ns >= last);
        last = at_ns;
    }
    assert_in_range(least, 6 * NS_PER_MS, 7 * NS_PER_MS);
    assert_in_range(most, 13 * NS_PER_MS, 14 * NS_PER_MS);
}

static void test_full(void **state)
{
    struct wan_plan_lane_setting setting = {.delay_ns = NS_PER_S};
    (void)state;
    begin(&setting);
    for (uint32_t i = 0; i < CHUNKS + 3; i++)
        offer(i, i, 1, 100);
    assert_int_equal(model.counters.refused_packets, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay_only),    cmocka_unit_test(test_rate_cuts_and_spaces),
        cmocka_unit_test(test_rate_is_exact), cmocka_unit_test(test_drop_tail),
        cmocka_unit_test(test_change),        cmocka_unit_test(test_policer),
        cmocka_unit_test(test_loss),          cmocka_unit_test(test_loss_in_super_packets),
        cmocka_unit_test(test_seed_repeats),  cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests_name("wan_model", tests, NULL, NULL);
}
