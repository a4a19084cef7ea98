#include "core/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct core core;
    struct gate gate;
    uint64_t tokens;            /* what `ask` has to give */
    uint64_t again_ns, more_ns; /* 100 more come so long after it was found empty: then */
    uint32_t order[8], order_count, asked;
};

struct waiter {
    struct gate_wish wish;
    struct world *world;
    uint32_t number;
};

static uint32_t on_ask(struct gate *gate, uint64_t now_ns, uint32_t wanted, uint64_t *again_ns)
{
    struct world *w = container_of(gate, struct world, gate);
    w->asked++;
    if (w->tokens == 0 && w->more_ns > 0 && now_ns >= w->more_ns) {
        w->tokens = 100;
        w->more_ns = 0;
    }
    if (w->tokens == 0) {
        if (w->more_ns == 0) w->more_ns = now_ns + w->again_ns;
        *again_ns = w->more_ns;
        return 0;
    }
    uint32_t granted = (uint32_t)min_u64(w->tokens, wanted);
    w->tokens -= granted;
    return granted;
}

static void on_wish(struct op *op)
{
    struct waiter *waiter = container_of(op, struct waiter, wish.op);
    struct world *w = waiter->world;
    w->order[w->order_count++] = waiter->number;
}

static void open_world(struct world *w, struct waiter *waiters, uint32_t count)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    int raw;
    memset(w, 0, sizeof *w);
    assert_int_equal(core_open(&w->core, &options, &raw), ERR_NONE);
    gate_init(&w->gate, &w->core, on_ask);
    for (uint32_t i = 0; i < count; i++) {
        gate_wish_init(&waiters[i].wish, on_wish);
        waiters[i].world = w;
        waiters[i].number = i;
    }
}

static void close_world(struct world *w)
{
    gate_fini(&w->gate);
    core_turn(&w->core, false);
    assert_int_equal(timers_next_ns(&w->core.timers), UINT64_MAX);
    core_close(&w->core);
}

static void test_a_pass_is_a_call(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, NULL, 0);
    w.tokens = 1000;
    assert_int_equal(gate_pass(&w.gate, 700), 700);
    assert_int_equal(gate_pass(&w.gate, 700), 300);
    assert_int_equal(gate_pass(&w.gate, 700), 0);
    assert_int_equal(w.asked, 3);
    gate_return(&w.gate, 50);
    assert_int_equal(w.gate.credit_bytes, 50);
    gate_charge(&w.gate, 80);
    assert_int_equal(w.gate.credit_bytes, -30);
    close_world(&w);
}

static void test_waiters_are_served_in_order(void **state)
{
    struct waiter waiters[3];
    struct world w;
    (void)state;
    open_world(&w, waiters, 3);
    w.again_ns = NS_PER_MS;
    for (uint32_t i = 0; i < 3; i++)
        gate_wait(&w.gate, &waiters[i].wish, 80);
    w.tokens = 50;
    assert_int_equal(gate_pass(&w.gate, 1), 0); /* there are some, but others wait */
    w.tokens = 0;
    while (w.order_count < 3)
        core_turn(&w.core, true);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(w.order[i], i);
        assert_int_equal(waiters[i].wish.op.err, ERR_NONE);
    }
    assert_int_equal(waiters[0].wish.op.count, 80);
    assert_int_equal(waiters[1].wish.op.count, 20); /* a slice; the next wave brings 100 more */
    assert_int_equal(waiters[2].wish.op.count, 80);
    close_world(&w);
}

/* One that was cancelled gets nothing, one that was served keeps it, the others go on. */
static void test_cancel(void **state)
{
    struct waiter waiters[3];
    struct world w;
    (void)state;
    open_world(&w, waiters, 3);
    w.tokens = 60;
    w.again_ns = NS_PER_MS;
    for (uint32_t i = 0; i < 3; i++)
        gate_wait(&w.gate, &waiters[i].wish, 60);
    for (uint32_t i = 0; i < 2; i++) {
        gate_cancel(&w.gate, &waiters[i].wish);
        gate_cancel(&w.gate, &waiters[i].wish);
    }
    assert_int_equal(w.order_count, 0);
    while (w.order_count < 3)
        core_turn(&w.core, true);
    assert_int_equal(waiters[0].wish.op.err, ERR_NONE);
    assert_int_equal(waiters[0].wish.op.count, 60);
    assert_int_equal(waiters[1].wish.op.err, ERR_CANCELLED);
    assert_int_equal(waiters[1].wish.op.count, 0);
    assert_int_equal(waiters[2].wish.op.count, 60);
    gate_cancel(&w.gate, &waiters[2].wish); /* harmless */
    assert_int_equal(w.order_count, 3);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pass_is_a_call),
        cmocka_unit_test(test_waiters_are_served_in_order),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
