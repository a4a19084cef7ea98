#include "sched/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    struct breaker breaker;
    struct rand rand;
    uint64_t now_ns;
};

static void open_world(struct world *w)
{
    breaker_init(&w->breaker);
    rand_init(&w->rand, 1);
    w->now_ns = 1000 * NS_PER_S;
}

static bool admit(struct world *w, uint32_t *ticket)
{
    uint64_t wait_ns;
    bool admitted = breaker_admit(&w->breaker, &w->rand, w->now_ns, ticket, &wait_ns);
    assert_true(admitted == (wait_ns == 0));
    return admitted;
}

static bool result(struct world *w, uint32_t ticket, enum breaker_result result)
{
    return breaker_on_result(&w->breaker, &w->rand, w->now_ns, ticket, result);
}

static bool once(struct world *w, enum breaker_result what)
{
    uint32_t ticket;
    assert_true(admit(w, &ticket));
    return result(w, ticket, what);
}

static void test_row_opens(void **state)
{
    struct world w;
    uint32_t ticket;
    (void)state;
    open_world(&w);
    for (uint32_t i = 0; i + 1 < BREAKER_ROW; i++)
        assert_false(once(&w, BREAKER_TRANSPORT));
    assert_false(once(&w, BREAKER_GOOD)); /* breaks the row */
    assert_false(once(&w, BREAKER_NEUTRAL));
    for (uint32_t i = 0; i + 1 < BREAKER_ROW; i++)
        assert_false(once(&w, BREAKER_TRANSPORT));
    assert_false(once(&w, BREAKER_NEUTRAL)); /* does not */
    assert_true(once(&w, BREAKER_TRANSPORT));
    assert_int_equal(w.breaker.state, BREAKER_OPEN);
    assert_false(admit(&w, &ticket));
    assert_in_range(w.breaker.until_ns - w.now_ns, BREAKER_OPEN_NS / 2, BREAKER_OPEN_NS);
}

static void test_ratio_opens(void **state)
{
    struct world w;
    bool opened = false;
    uint32_t count = 0;
    (void)state;
    open_world(&w);
    for (int i = 0; i < 1000; i++) { /* a third: never */
        assert_false(once(&w, i % 3 ? BREAKER_GOOD : BREAKER_REFUSAL));
        w.now_ns += NS_PER_MS;
    }
    open_world(&w);
    while (!opened) {
        opened = once(&w, count % 2 ? BREAKER_REFUSAL : BREAKER_GOOD);
        count++;
    }
    assert_int_equal(count, BREAKER_ANSWERS_MIN);
    open_world(&w);
    for (int i = 0; i < 100; i++) { /* too few at a time */
        assert_false(once(&w, BREAKER_REFUSAL));
        w.now_ns += NS_PER_S;
    }
}

static void break_it(struct world *w)
{
    while (!once(w, BREAKER_TRANSPORT))
        continue;
}

/* One probe; twice as many a round after it; then no limit. */
static void test_ramp(void **state)
{
    struct world w;
    uint32_t tickets[64], width = 1;
    (void)state;
    open_world(&w);
    break_it(&w);
    w.now_ns = w.breaker.until_ns;
    while (w.breaker.state != BREAKER_CLOSED) {
        uint32_t count = 0;
        while (count < 64 && admit(&w, &tickets[count]))
            count++;
        assert_int_equal(count, width);
        width *= 2;
        for (uint32_t i = 0; i < count; i++)
            assert_false(result(&w, tickets[i], BREAKER_GOOD));
        w.now_ns += 10 * NS_PER_MS;
    }
    assert_true(width >= BREAKER_RAMP_MAX && width < 4 * BREAKER_RAMP_MAX);
    for (uint32_t i = 0; i < 64; i++)
        assert_true(admit(&w, &tickets[i]));
}

/* An outage of 30 s: few probes; and the wait after its end is bounded. */
static void test_outage(void **state)
{
    struct world w;
    uint32_t probes = 0;
    (void)state;
    open_world(&w);
    break_it(&w);
    uint64_t heal_ns = w.now_ns + 30 * NS_PER_S;
    while (w.breaker.until_ns < heal_ns) {
        w.now_ns = w.breaker.until_ns;
        assert_true(once(&w, BREAKER_TRANSPORT)); /* the probe fails */
        probes++;
    }
    assert_in_range(probes, 4, 12);
    assert_true(w.breaker.until_ns - heal_ns <= BREAKER_OPEN_NS_MAX);
    w.now_ns = w.breaker.until_ns;
    assert_false(once(&w, BREAKER_GOOD));
    assert_int_equal(w.breaker.state, BREAKER_RAMP);
}

/* A server where a fifth of all fails is never shut out for long. */
static void test_ramp_bears_some(void **state)
{
    struct world w;
    uint64_t open_ns = 0;
    (void)state;
    open_world(&w);
    break_it(&w);
    uint64_t begin_ns = w.now_ns;
    for (int i = 0; i < 20000; i++) {
        uint32_t ticket;
        if (!admit(&w, &ticket)) {
            w.now_ns += 10 * NS_PER_MS;
            open_ns += 10 * NS_PER_MS;
            continue;
        }
        bool bad = rand_below(&w.rand, 5) == 0;
        result(&w, ticket, bad ? BREAKER_REFUSAL : BREAKER_GOOD);
        w.now_ns += 5 * NS_PER_MS;
    }
    assert_true(open_ns < (w.now_ns - begin_ns) / 10);
}

/* What was sent before the opening says nothing of the server now. */
static void test_old_tickets(void **state)
{
    struct world w;
    uint32_t old, probe, other;
    (void)state;
    open_world(&w);
    assert_true(admit(&w, &old));
    break_it(&w);
    w.now_ns = w.breaker.until_ns;
    assert_true(admit(&w, &probe));
    assert_false(result(&w, old, BREAKER_TRANSPORT));
    assert_int_equal(w.breaker.state, BREAKER_RAMP);
    assert_false(admit(&w, &other)); /* the probe is still out */
    assert_false(result(&w, probe, BREAKER_NEUTRAL));
    assert_true(admit(&w, &probe)); /* a cancelled probe makes room for another */
    assert_true(result(&w, probe, BREAKER_REFUSAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_opens),
        cmocka_unit_test(test_ratio_opens),
        cmocka_unit_test(test_ramp),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_ramp_bears_some),
        cmocka_unit_test(test_old_tickets),
    };
    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
