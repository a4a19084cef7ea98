/* A mailbox in one thread: order, the bound, the wrap of its indices. Two threads: tests/race. */
#include "core/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void deliver_nothing(struct core *core, struct msg *msg)
{
    (void)core;
    (void)msg;
}

static void test_order_and_bound(void **state)
{
    (void)state;
    static struct mailbox box;
    static struct msg msgs[MAILBOX_MESSAGES_MAX + 1];
    mailbox_init(&box);
    assert_true(mailbox_is_empty(&box));
    assert_null(mailbox_pop(&box));
    for (uint32_t i = 0; i <= MAILBOX_MESSAGES_MAX; i++)
        msg_init(&msgs[i], deliver_nothing);
    for (uint32_t i = 0; i < MAILBOX_MESSAGES_MAX; i++)
        assert_true(mailbox_push(&box, &msgs[i]));
    assert_false(mailbox_push(&box, &msgs[MAILBOX_MESSAGES_MAX]));
    assert_false(mailbox_is_empty(&box));
    assert_ptr_equal(mailbox_pop(&box), &msgs[0]);
    assert_true(mailbox_push(&box, &msgs[MAILBOX_MESSAGES_MAX]));
    for (uint32_t i = 1; i <= MAILBOX_MESSAGES_MAX; i++)
        assert_ptr_equal(mailbox_pop(&box), &msgs[i]);
    assert_null(mailbox_pop(&box));
    assert_true(mailbox_is_empty(&box));
}

static void test_index_wraps(void **state)
{
    (void)state;
    static struct mailbox box;
    struct msg a, b;
    msg_init(&a, deliver_nothing);
    msg_init(&b, deliver_nothing);
    mailbox_init(&box);
    atomic_store(&box.pushed, UINT32_MAX);
    atomic_store(&box.popped, UINT32_MAX);
    assert_true(mailbox_push(&box, &a));
    assert_true(mailbox_push(&box, &b));
    assert_ptr_equal(mailbox_pop(&box), &a);
    assert_ptr_equal(mailbox_pop(&box), &b);
    assert_true(mailbox_is_empty(&box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bound),
        cmocka_unit_test(test_index_wraps),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
