#include "sched/fair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TASKS    512u
#define PREFIXES 3u

static struct world {
    struct prefixes prefixes;
    struct fair fair;
    struct task tasks[TASKS];
    uint32_t pushed;
    uint32_t got[PREFIXES + 1]; /* tasks, of each prefix */
} world;

static struct world *open_world(void)
{
    struct world *w = &world;
    char name[8];

    memset(w, 0, sizeof *w);
    assert_int_equal(prefixes_open(&w->prefixes, PREFIXES_FAIR, 0), ERR_NONE);
    assert_int_equal(fair_open(&w->fair, &w->prefixes), ERR_NONE);
    for (uint32_t i = 1; i <= PREFIXES; i++) {
        snprintf(name, sizeof name, "%u/", i);
        assert_int_equal(prefixes_find(&w->prefixes, bytes_of(name), 0), i);
    }
    return w;
}

static void close_world(struct world *w)
{
    assert_false(fair_may_have(&w->fair));
    assert_int_equal(w->fair.queued, 0);
    fair_close(&w->fair);
    prefixes_close(&w->prefixes);
}

/* What they cost is what they move, and what a request costs beside. */
static void push(struct world *w, uint16_t prefix, uint32_t count, uint64_t cost)
{
    while (count-- > 0) {
        struct task *task = &w->tasks[w->pushed++];
        task_init(task, 0, TASK_THEN);
        task->prefix = prefix;
        task->bytes = cost - FAIR_REQUEST_BYTES;
        fair_push(&w->fair, task);
    }
}

static struct task *pop(struct world *w)
{
    struct task *task = fair_pop(&w->fair, 0);
    if (task) w->got[task->prefix]++;
    return task;
}

static void pop_many(struct world *w, uint32_t count)
{
    memset(w->got, 0, sizeof w->got);
    while (count-- > 0)
        assert_non_null(pop(w));
}

static void pop_rest(struct world *w)
{
    while (w->fair.queued > 0)
        assert_non_null(pop(w));
}

static void test_in_order(void **state)
{
    struct world *w = open_world();
    struct task *last[PREFIXES + 1] = {NULL}, *task;
    (void)state;
    for (uint32_t i = 0; i < 30; i++)
        push(w, (uint16_t)(1 + i % PREFIXES), 1, MIB);
    while ((task = pop(w)) != NULL) {
        assert_true(!last[task->prefix] || task > last[task->prefix]);
        last[task->prefix] = task;
    }
    assert_int_equal(w->got[1] + w->got[2] + w->got[3], 30);
    close_world(w);
}

/* By bytes, not by tasks; and by weight. Two differ by a task of each at most. */
static void test_shares(void **state)
{
    struct world *w = open_world();
    (void)state;
    push(w, 1, 200, MIB);
    push(w, 2, 100, 4 * MIB);
    push(w, 3, 200, MIB);
    w->prefixes.entries[3].prefix.weight = 2;
    pop_many(w, 130); /* 4 : 1 : 8 */
    assert_in_range(w->got[1], 39, 41);
    assert_in_range(w->got[2], 9, 11);
    assert_in_range(w->got[3], 79, 81);
    pop_rest(w);
    close_world(w);
}

/* Who had nothing to do has not saved up what it could have had. */
static void test_idle_saves_nothing(void **state)
{
    struct world *w = open_world();
    (void)state;
    push(w, 1, 150, MIB);
    pop_many(w, 100);
    push(w, 2, 50, MIB);
    pop_many(w, 20);
    assert_in_range(w->got[1], 9, 11);
    assert_in_range(w->got[2], 9, 11);
    pop_rest(w);
    close_world(w);
}

/* A prefix that may have no more in flight is set aside, and the others go; it goes on when one of
 * it is back, in its turn, and nothing is lost. */
static void test_set_aside(void **state)
{
    struct world *w = open_world();
    struct prefix *held = &w->prefixes.entries[1].prefix;
    (void)state;
    held->window = 1;
    push(w, 1, 10, MIB);
    push(w, 2, 20, MIB);
    pop_many(w, 11);
    assert_int_equal(w->got[1], 1);
    assert_int_equal(w->got[2], 10);
    assert_false(fair_unblock(&w->fair, 2)); /* it was not */
    prefixes_on_back(&w->prefixes, 1);
    assert_true(fair_unblock(&w->fair, 1));
    pop_many(w, 4);
    assert_int_equal(w->got[1], 1);
    held->window = 0; /* no limit any more */
    fair_unblock_all(&w->fair);
    pop_many(w, 15);
    assert_in_range(w->got[1], 7, 8);
    assert_in_range(w->got[2], 7, 8);
    close_world(w);
}

/* While it is limited alone there is nothing to be had, though something waits. */
static void test_nobody_may_go(void **state)
{
    struct world *w = open_world();
    (void)state;
    w->prefixes.entries[1].prefix.window = 1;
    push(w, 1, 2, MIB);
    assert_non_null(pop(w));
    assert_true(fair_may_have(&w->fair)); /* as far as is known */
    assert_null(pop(w));
    assert_false(fair_may_have(&w->fair));
    assert_int_equal(w->fair.queued, 1);
    assert_int_equal(w->prefixes.entries[1].queued, 1);
    prefixes_on_back(&w->prefixes, 1);
    fair_unblock_all(&w->fair);
    assert_non_null(pop(w));
    close_world(w);
}

/* Where only the order is asked for, no limit holds and nothing counts as begun. */
static void test_orders_only(void **state)
{
    struct world *w = open_world();
    (void)state;
    w->fair.orders_only = true;
    struct prefix *full = &w->prefixes.entries[1].prefix;
    full->window = full->in_flight = 1;
    push(w, 1, 5, MIB);
    pop_many(w, 5);
    assert_int_equal(full->in_flight, 1);
    assert_int_equal(w->prefixes.entries[1].queued, 0);
    close_world(w);
}

static bool is_not(void *context, uint32_t prefix)
{
    return prefix != *(uint32_t *)context;
}

/* But for those that the owner lets wait: the others go, and these once it is asked again. */
static void test_may_begin(void **state)
{
    struct world *w = open_world();
    uint32_t waiting = 1;
    (void)state;
    w->fair.orders_only = true;
    w->fair.may_begin = is_not;
    w->fair.context = &waiting;
    push(w, 1, 5, MIB);
    push(w, 2, 5, MIB);
    pop_many(w, 5);
    assert_int_equal(w->got[2], 5);
    assert_null(pop(w));
    waiting = 2;
    assert_null(pop(w)); /* it is set aside */
    fair_unblock_all(&w->fair);
    pop_many(w, 5);
    assert_int_equal(w->got[1], 5);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),           cmocka_unit_test(test_shares),
        cmocka_unit_test(test_idle_saves_nothing), cmocka_unit_test(test_set_aside),
        cmocka_unit_test(test_nobody_may_go),      cmocka_unit_test(test_orders_only),
        cmocka_unit_test(test_may_begin),
    };
    return cmocka_run_group_tests_name("fair", tests, NULL, NULL);
}
