/* Who has a place, who waits for one, and in which order they come. */
#include "core/semaphore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WAITERS 6u

struct waiter {
    struct op op;
    uint32_t number;
};

static struct core core;
static struct semaphore semaphore;
static struct waiter waiters[WAITERS];
static uint32_t order[WAITERS], order_count;

static void on_turn(struct op *op)
{
    struct waiter *waiter = container_of(op, struct waiter, op);
    if (!op->err) order[order_count++] = waiter->number;
}

static int set_up(void **state)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    int raw;
    (void)state;
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    semaphore_init(&semaphore, &core, 2);
    order_count = 0;
    for (uint32_t i = 0; i < WAITERS; i++) {
        op_init(&waiters[i].op, on_turn);
        waiters[i].number = i;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    core_close(&core);
    return 0;
}

static void take_all(void)
{
    for (uint32_t i = 0; i < WAITERS; i++)
        semaphore_take(&semaphore, &waiters[i].op);
    core_turn(&core, false);
}

static void expect_order(uint32_t count)
{
    core_turn(&core, false);
    assert_int_equal(order_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(order[i], i);
}

static void test_in_order(void **state)
{
    (void)state;
    take_all();
    expect_order(2);
    assert_int_equal(semaphore.taken, 2);
    assert_int_equal(semaphore.waiting_count, WAITERS - 2);
    semaphore_give(&semaphore);
    expect_order(3);
    semaphore_give(&semaphore);
    semaphore_give(&semaphore);
    expect_order(5);
    assert_int_equal(semaphore.taken, 2);
}

static void test_try(void **state)
{
    (void)state;
    assert_true(semaphore_try_take(&semaphore));
    assert_true(semaphore_try_take(&semaphore));
    assert_false(semaphore_try_take(&semaphore));
    semaphore_take(&semaphore, &waiters[0].op);
    semaphore_give(&semaphore); /* it is the waiter's */
    assert_false(semaphore_try_take(&semaphore));
    expect_order(1);
    semaphore_give(&semaphore);
    assert_true(semaphore_try_take(&semaphore));
}

/* Nobody passes those who wait, though there was room for a moment. */
static void test_other_bounds(void **state)
{
    (void)state;
    take_all();
    semaphore_set(&semaphore, 4);
    expect_order(4);
    semaphore_set(&semaphore, 1); /* nobody is sent away */
    assert_int_equal(semaphore.taken, 4);
    for (uint32_t i = 0; i < 3; i++)
        semaphore_give(&semaphore);
    expect_order(4);
    semaphore_give(&semaphore);
    expect_order(5);
}

static void test_cancel(void **state)
{
    (void)state;
    take_all();
    semaphore_cancel(&semaphore, &waiters[3].op);
    semaphore_cancel(&semaphore, &waiters[3].op); /* once */
    semaphore_cancel(&semaphore, &waiters[0].op); /* it has its place */
    core_turn(&core, false);
    assert_int_equal(waiters[3].op.err, ERR_CANCELLED);
    assert_int_equal(waiters[0].op.err, ERR_NONE);
    assert_int_equal(semaphore.waiting_count, WAITERS - 3);
    semaphore_give(&semaphore);
    semaphore_cancel(&semaphore, &waiters[2].op); /* and so has it, though it does not know */
    core_turn(&core, false);
    assert_int_equal(waiters[2].op.err, ERR_NONE);
    assert_int_equal(semaphore.taken, 2);
    semaphore_give(&semaphore);
    core_turn(&core, false);
    assert_int_equal(order[order_count - 1], 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_in_order), TEST(test_try), TEST(test_other_bounds),
                                       TEST(test_cancel)};
    return cmocka_run_group_tests_name("semaphore", tests, NULL, NULL);
}
