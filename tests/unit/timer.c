/* Timers: order, ties, cancel at every place of the heap, against a plain sorted check. */
#include "core/timer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/rand.h"

#define COUNT 1000u

static void on_nothing(struct op *op)
{
    (void)op;
}

/* As a core does before it calls `done`. */
static struct timer *take(struct list *ready)
{
    struct link *link = list_pop(ready);
    if (!link) return NULL;
    struct timer *timer = container_of(link, struct timer, op.link);
    timer->op.out = false;
    return timer;
}

static void test_empty(void **state)
{
    (void)state;
    struct list ready;
    struct timers timers;
    list_init(&ready);
    timers_init(&timers, &ready);
    assert_true(timers_next_ns(&timers) == UINT64_MAX);
    timers_expire(&timers, UINT64_MAX);
    assert_true(list_is_empty(&ready));
}

static void test_expires_when_due(void **state)
{
    (void)state;
    struct list ready;
    struct timers timers;
    struct timer timer;
    list_init(&ready);
    timers_init(&timers, &ready);
    timer_init(&timer, on_nothing);
    timer_start(&timers, &timer, 100);
    assert_true(timers_next_ns(&timers) == 100);
    timers_expire(&timers, 99);
    assert_null(take(&ready));
    timers_expire(&timers, 100);
    timer_cancel(&timers, &timer); /* too late: harmless */
    assert_ptr_equal(take(&ready), &timer);
    assert_int_equal(timer.op.err, ERR_NONE);
    timer_cancel(&timers, &timer); /* not out: harmless */
    assert_null(take(&ready));
    timer_start(&timers, &timer, 50); /* may be used again */
    timer_cancel(&timers, &timer);
    assert_ptr_equal(take(&ready), &timer);
    assert_int_equal(timer.op.err, ERR_CANCELLED);
    assert_true(timers_next_ns(&timers) == UINT64_MAX);
}

static void test_random(void **state)
{
    (void)state;
    static struct timer many[COUNT];
    struct rand rand;
    struct list ready;
    struct timers timers;
    rand_init(&rand, 7);
    list_init(&ready);
    timers_init(&timers, &ready);
    uint32_t started = 0, cancelled = 0, expired = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        timer_init(&many[i], on_nothing);
        timer_start(&timers, &many[i], rand_below(&rand, 500));
        started++;
        if (rand_below(&rand, 4)) continue;
        struct timer *victim = &many[rand_below(&rand, i + 1)];
        if (!victim->op.out) continue;
        timer_cancel(&timers, victim);
        assert_ptr_equal(take(&ready), victim);
        assert_int_equal(victim->op.err, ERR_CANCELLED);
        cancelled++;
    }
    assert_true(cancelled > 100);
    uint64_t last_ns = 0;
    for (uint64_t now_ns = 0; now_ns < 500; now_ns += 50) {
        timers_expire(&timers, now_ns);
        struct timer *timer;
        while ((timer = take(&ready))) {
            assert_int_equal(timer->op.err, ERR_NONE);
            assert_true(timer->at_ns >= last_ns && timer->at_ns <= now_ns);
            last_ns = timer->at_ns;
            expired++;
        }
        assert_true(timers_next_ns(&timers) > now_ns);
    }
    timers_expire(&timers, 500);
    while (take(&ready))
        expired++;
    assert_int_equal(expired + cancelled, started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_expires_when_due),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
