#include "tools/wan_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct wan_plan plan;

static bool parse(const char *path, const char *schedule, uint64_t repeat_ns)
{
    return wan_plan_parse(&plan, bytes_of(path), bytes_of(schedule), repeat_ns);
}

static void test_rates(void **state)
{
    static const struct {
        const char *text;
        uint64_t bits; /* UINT64_MAX: none */
    } rows[] = {
        {"0", 0},
        {"1G", 1000000000},
        {"2.5Gbit", 2500000000},
        {"300M", 300000000},
        {"56k", 56000},
        {"9600", 9600},
        {"0.5m", 500000},
        {"", UINT64_MAX},
        {"G", UINT64_MAX},
        {"1Q", UINT64_MAX},
        {"-1G", UINT64_MAX},
        {"1.2.3G", UINT64_MAX},
        {"99999G", UINT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t bits = UINT64_MAX;
        bool good = wan_plan_parse_rate(bytes_of(rows[i].text), &bits);
        assert_int_equal(good, rows[i].bits != UINT64_MAX);
        if (good) assert_int_equal(bits, rows[i].bits);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_true(parse("rate=1G rtt=50ms  loss=0.1%/8 jitter=2ms police=500M/1M queue=256K", "", 0));
    assert_int_equal(plan.step_count, 1);
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        const struct wan_plan_lane_setting *lane = &plan.steps[0].lanes[i];
        assert_int_equal(lane->rate_bits_per_s, 1000000000);
        assert_int_equal(lane->delay_ns, 25 * NS_PER_MS);
        assert_int_equal(lane->jitter_ns, 2 * NS_PER_MS);
        assert_int_equal(lane->queue_bytes, 256 * KIB);
        assert_int_equal(lane->police_bits_per_s, 500000000);
        assert_int_equal(lane->police_burst_bytes, MIB);
        assert_true(lane->loss > 0.000999 && lane->loss < 0.001001);
        assert_true(lane->burst_packets == 8);
    }
}

static void test_one_direction(void **state)
{
    (void)state;
    assert_true(parse("up.rate=10M down.rate=100M delay=10ms down.delay=30ms up.loss=0.5", "", 0));
    const struct wan_plan_lane_setting *lanes = plan.steps[0].lanes;
    assert_int_equal(lanes[WAN_PLAN_UP].rate_bits_per_s, 10000000);
    assert_int_equal(lanes[WAN_PLAN_DOWN].rate_bits_per_s, 100000000);
    assert_int_equal(lanes[WAN_PLAN_UP].delay_ns, 10 * NS_PER_MS);
    assert_int_equal(lanes[WAN_PLAN_DOWN].delay_ns, 30 * NS_PER_MS);
    assert_true(lanes[WAN_PLAN_UP].loss == 0.5 && lanes[WAN_PLAN_DOWN].loss == 0);
    assert_int_equal(lanes[WAN_PLAN_UP].queue_bytes, 50000); /* 1 BDP: 10 Mbit/s · 40 ms */
    assert_int_equal(lanes[WAN_PLAN_DOWN].queue_bytes, 500000);
}

/* A queue of so many BDP is that of the step that says so, wherever in it rate and delay stand. */
static void test_queues(void **state)
{
    (void)state;
    assert_true(parse("queue=2BDP rtt=100ms rate=1G", "10s rate=100M; 20s queue=1bdp", 0));
    assert_int_equal(plan.step_count, 3);
    assert_int_equal(plan.steps[0].lanes[0].queue_bytes, 25000000);
    assert_int_equal(plan.steps[1].lanes[0].queue_bytes, 25000000);
    assert_int_equal(plan.steps[1].lanes[0].rate_bits_per_s, 100000000);
    assert_int_equal(plan.steps[2].lanes[0].queue_bytes, 1250000);
    assert_true(parse("rate=1M rtt=1ms", "", 0));
    assert_int_equal(plan.steps[0].lanes[0].queue_bytes, WAN_PLAN_QUEUE_BYTES_MIN);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *path, *schedule;
        uint64_t repeat_ns;
        const char *word; /* of the sentence */
    } rows[] = {
        {"rate", "", 0, "NAME=VALUE"},
        {"speed=1G", "", 0, "speed=1G"},
        {"rate=fast", "", 0, "rate=fast"},
        {"loss=100%", "", 0, "loss=100%"},
        {"loss=1%/0.5", "", 0, "loss=1%/0.5"},
        {"loss=1%x", "", 0, "loss=1%x"},
        {"up.rtt=3ms", "", 0, "up.rtt"},
        {"delay=2h", "", 0, "delay=2h"},
        {"queue=0BDP", "", 0, "queue=0BDP"},
        {"", "rate=1G", 0, "begins with its time"},
        {"", "10s rate=1G; 10s rate=2G", 0, "not behind"},
        {"", "0s rate=1G", 0, "not behind"},
        {"", "10s rate=1G", 10 * NS_PER_S, "longer"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_false(parse(rows[i].path, rows[i].schedule, rows[i].repeat_ns));
        assert_non_null(strstr(plan.why, rows[i].word));
    }
}

static void test_too_many_steps(void **state)
{
    char text[4096];
    struct writer w;
    (void)state;
    writer_init(&w, text, sizeof text);
    for (uint32_t i = 1; i <= WAN_PLAN_STEPS_MAX; i++)
        writer_format(&w, "%us rate=1G;", i);
    assert_false(parse("", writer_string(&w), 0));
    assert_non_null(strstr(plan.why, "at most"));
}

static void test_when(void **state)
{
    static const struct {
        uint64_t at_s, step, until_s;
    } rows[] = {{0, 0, 30},  {29, 0, 30},  {30, 1, 60},   {59, 1, 60},
                {60, 2, 90}, {90, 0, 120}, {125, 1, 150}, {155, 2, 180}};
    uint64_t until_ns;
    (void)state;
    assert_true(parse("rate=1G", "30s rate=300M;60s rate=2G", 90 * NS_PER_S));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct wan_plan_step *step = wan_plan_at(&plan, rows[i].at_s * NS_PER_S, &until_ns);
        assert_int_equal(step - plan.steps, rows[i].step);
        assert_int_equal(until_ns, rows[i].until_s * NS_PER_S);
    }
    assert_true(parse("rate=1G", "30s rate=300M", 0));
    assert_int_equal(wan_plan_at(&plan, 1000 * NS_PER_S, &until_ns) - plan.steps, 1);
    assert_true(until_ns == UINT64_MAX);
}

static void test_bytes_max(void **state)
{
    (void)state;
    assert_true(parse("rate=1G rtt=100ms queue=1M", "5s rate=2G queue=2M", 0));
    assert_int_equal(wan_plan_bytes_max(&plan, WAN_PLAN_UP, 0), 12500000 + 2 * MIB);
    assert_true(parse("rtt=100ms queue=1M", "", 0));
    assert_int_equal(wan_plan_bytes_max(&plan, WAN_PLAN_UP, 8000000), 50000 + MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),         cmocka_unit_test(test_words),
        cmocka_unit_test(test_one_direction), cmocka_unit_test(test_queues),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_too_many_steps),
        cmocka_unit_test(test_when),          cmocka_unit_test(test_bytes_max),
    };
    return cmocka_run_group_tests_name("wan_plan", tests, NULL, NULL);
}
