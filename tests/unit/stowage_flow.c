/* Bodies that are held up: where, for how long, at which rate. */
#include "tools/stowage_flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_NS (1000 * NS_PER_S)

/* Moves a body of `bytes` in steps of at most `step`; where the act came: bytes moved before. */
static uint64_t run(const char *line, uint64_t bytes, uint64_t step_bytes,
                    enum stowage_flow_act *act, uint64_t *until_ns)
{
    struct stowage_rule rule;
    struct stowage_flow flow;
    char why[STOWAGE_RULE_WHY_BYTES];
    assert_int_equal(stowage_rule_parse(&rule, bytes_of(line), why), ERR_NONE);
    stowage_flow_init(&flow, &rule, bytes);
    *act = STOWAGE_FLOW_GO;
    for (uint64_t moved = 0;;) {
        uint64_t left = bytes - moved;
        struct stowage_flow_step step =
            stowage_flow_next(&flow, left < step_bytes ? left : step_bytes, NOW_NS);
        if (step.act != STOWAGE_FLOW_GO) {
            assert_true(flow.fired);
            *act = step.act;
            *until_ns = step.until_ns;
            step = stowage_flow_next(&flow, left, NOW_NS); /* once */
            assert_int_equal(step.act, STOWAGE_FLOW_GO);
            assert_true(step.bytes == left);
            return moved;
        }
        assert_false(flow.fired);
        if (!left) return UINT64_MAX;
        assert_true(step.bytes > 0 && step.bytes <= step_bytes);
        stowage_flow_moved(&flow, step.bytes, NOW_NS);
        moved += step.bytes;
    }
}

static void test_where(void **state)
{
    static const struct {
        const char *line;
        uint64_t bytes, at;
        enum stowage_flow_act act;
    } rows[] = {
        {"reset", 100, 0, STOWAGE_FLOW_RESET},
        {"reset after=30", 100, 30, STOWAGE_FLOW_RESET},
        {"reset after=50%", 100, 50, STOWAGE_FLOW_RESET},
        {"reset after=1K", 100, 100, STOWAGE_FLOW_RESET},
        {"reset", 0, 0, STOWAGE_FLOW_RESET},
        {"close after=100%", 100, 100, STOWAGE_FLOW_CLOSE},
        {"stall=2s after=1", 100, 1, STOWAGE_FLOW_PAUSE},
        {"corrupt after=100%", 100, 99, STOWAGE_FLOW_CORRUPT},
        {"corrupt after=7", 100, 7, STOWAGE_FLOW_CORRUPT},
        {"corrupt", 0, UINT64_MAX, STOWAGE_FLOW_GO}, /* there is nothing to alter */
        {"lost", 100, UINT64_MAX, STOWAGE_FLOW_GO},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (uint64_t step = 1; step < 130; step += 9) {
            enum stowage_flow_act act;
            uint64_t until_ns = 0;
            assert_true(run(rows[i].line, rows[i].bytes, step, &act, &until_ns) == rows[i].at);
            assert_int_equal(act, rows[i].act);
            if (act == STOWAGE_FLOW_PAUSE) assert_true(until_ns == NOW_NS + 2 * NS_PER_S);
        }
    enum stowage_flow_act act;
    uint64_t until_ns = 0;
    run("stall", 10, 10, &act, &until_ns);
    assert_true(act == STOWAGE_FLOW_PAUSE && until_ns == UINT64_MAX);
}

/* A megabyte at 100 KB/s takes ten seconds, whatever the steps; the lower of two rates counts. */
static void test_rate(void **state)
{
    struct stowage_rule slow;
    char why[STOWAGE_RULE_WHY_BYTES];
    (void)state;
    assert_int_equal(stowage_rule_parse(&slow, BYTES("slow=100KB"), why), ERR_NONE);
    for (int faster = 0; faster < 2; faster++) {
        struct stowage_flow flow;
        uint64_t now_ns = NOW_NS, left = 1000000, pauses = 0;
        stowage_flow_init(&flow, &slow, left);
        stowage_flow_limit(&flow, faster ? 200000 : 50000, NULL);
        assert_false(stowage_flow_is_free(&flow));
        while (left) {
            struct stowage_flow_step step = stowage_flow_next(&flow, left, now_ns);
            if (step.act == STOWAGE_FLOW_PAUSE) {
                assert_true(step.until_ns > now_ns);
                now_ns = step.until_ns;
                pauses++;
                continue;
            }
            assert_int_equal(step.act, STOWAGE_FLOW_GO);
            stowage_flow_moved(&flow, step.bytes, now_ns);
            left -= step.bytes;
        }
        double s = (double)(now_ns - NOW_NS) / 1e9;
        assert_true(faster ? s > 9.9 && s <= 10 : s > 19.9 && s <= 20);
        assert_true(pauses > 100 && pauses < 2000);
        assert_int_equal(flow.fired, faster); /* a limit of the server is no fault */
    }
    struct stowage_flow flow;
    stowage_flow_init(&flow, NULL, 100);
    assert_true(stowage_flow_is_free(&flow));
}

/* Two bodies at one clock share its rate. */
static void test_shared(void **state)
{
    struct stowage_flow flows[2];
    uint64_t clock = 0, now_ns = NOW_NS, left[2] = {500000, 500000};
    (void)state;
    for (int i = 0; i < 2; i++) {
        stowage_flow_init(&flows[i], NULL, left[i]);
        stowage_flow_limit(&flows[i], 100000, &clock);
    }
    while (left[0] || left[1]) {
        uint64_t next_ns = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            struct stowage_flow_step step = stowage_flow_next(&flows[i], left[i], now_ns);
            if (step.act == STOWAGE_FLOW_PAUSE && step.until_ns < next_ns) next_ns = step.until_ns;
            if (step.act == STOWAGE_FLOW_PAUSE || !step.bytes) continue;
            stowage_flow_moved(&flows[i], step.bytes, now_ns);
            left[i] -= step.bytes;
        }
        if (next_ns != UINT64_MAX) now_ns = next_ns;
    }
    double s = (double)(now_ns - NOW_NS) / 1e9;
    assert_true(s > 9.9 && s <= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
