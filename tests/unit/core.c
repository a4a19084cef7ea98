/* The loop of one core and of several in one thread: time, callbacks, messages, remote finishes. */
#include "core/core.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

#define POSTS (3 * MAILBOX_MESSAGES_MAX) /* more than fit a mailbox */

struct counter {
    struct op op;
    struct core *core;
    uint32_t done;
    bool again;
};

struct parcel {
    struct msg msg;
    uint32_t *next, number;
};

static void open_core(struct core *core, uint16_t index)
{
    struct core_options options = {
        .index = index, .cpu = -1, .memory_bytes = 16 * MIB, .seed = index};
    int raw;
    assert_int_equal(core_open(core, &options, &raw), ERR_NONE);
}

static void on_counter(struct op *op)
{
    struct counter *counter = container_of(op, struct counter, op);
    counter->done++;
    if (!counter->again) return;
    op_begin(op);
    core_finish(counter->core, op, ERR_NONE);
}

static void test_finish_runs_in_a_turn(void **state)
{
    (void)state;
    static struct core core;
    struct counter counter = {.core = &core};
    open_core(&core, 0);
    op_init(&counter.op, on_counter);
    op_begin(&counter.op);
    core_finish(&core, &counter.op, ERR_CANCELLED);
    assert_int_equal(counter.done, 0); /* never inside the start */
    core_turn(&core, true);            /* does not wait: something is ready */
    assert_int_equal(counter.done, 1);
    assert_int_equal(counter.op.err, ERR_CANCELLED);
    assert_false(counter.op.out);
    core_turn(&core, false);
    assert_int_equal(counter.done, 1);
    core_close(&core);
}

static void test_turn_is_bounded(void **state)
{
    (void)state;
    static struct core core;
    struct counter counter = {.core = &core, .again = true};
    open_core(&core, 0);
    op_init(&counter.op, on_counter);
    op_begin(&counter.op);
    core_finish(&core, &counter.op, ERR_NONE);
    core_turn(&core, true);
    assert_int_equal(counter.done, TURN_OPS_MAX);
    counter.again = false;
    core_turn(&core, true);
    assert_int_equal(counter.done, TURN_OPS_MAX + 1);
    core_close(&core);
}

static void on_timer(struct op *op)
{
    (void)op;
}

static void test_waits_for_the_timer(void **state)
{
    (void)state;
    static struct core core;
    struct timer timer;
    open_core(&core, 0);
    timer_init(&timer, on_timer);
    uint64_t at_ns = clock_now_ns() + 20 * NS_PER_MS;
    timer_start(&core.timers, &timer, at_ns);
    core_turn(&core, false); /* does not wait */
    assert_true(timer.op.out);
    uint32_t turns = 0;
    while (timer.op.out) {
        core_turn(&core, true);
        turns++;
    }
    assert_true(core.now_ns >= at_ns && core.now_ns < at_ns + 20 * NS_PER_S);
    assert_true(turns < 10); /* slept, and did not spin */
    core_close(&core);
}

static void on_parcel(struct core *core, struct msg *msg)
{
    struct parcel *parcel = container_of(msg, struct parcel, msg);
    assert_int_equal(msg->to, core->index);
    assert_int_equal(parcel->number, *parcel->next);
    ++*parcel->next;
}

static void test_messages_keep_order(void **state)
{
    (void)state;
    static struct core cores[2];
    static struct parcel parcels[POSTS];
    struct core *peers[] = {&cores[0], &cores[1]};
    uint32_t next = 0;
    for (uint16_t i = 0; i < 2; i++) {
        open_core(&cores[i], i);
    }
    for (uint16_t i = 0; i < 2; i++)
        assert_int_equal(core_join(&cores[i], peers, 2), ERR_NONE);
    for (uint32_t i = 0; i < POSTS; i++) {
        parcels[i] = (struct parcel){.next = &next, .number = i};
        msg_init(&parcels[i].msg, on_parcel);
        core_post(&cores[0], 1, &parcels[i].msg);
    }
    assert_int_equal(next, 0);
    uint32_t turns = 0;
    while (next < POSTS) {
        assert_true(turns++ < 10);
        core_turn(&cores[1], false);
        core_turn(&cores[0], false);
    }
    next = POSTS - 1; /* and to itself: in its next turn */
    core_post(&cores[0], 0, &parcels[POSTS - 1].msg);
    core_turn(&cores[0], true);
    assert_int_equal(next, POSTS);
    for (uint16_t i = 0; i < 2; i++)
        core_close(&cores[i]);
}

static void *finish_from_thread(void *argument)
{
    struct counter *counter = argument;
    usleep(10000); /* so that the core sleeps */
    counter->op.count = 42;
    core_finish_remote(counter->core, &counter->op);
    return NULL;
}

static void test_remote_finish_wakes(void **state)
{
    (void)state;
    static struct core core;
    struct counter counter = {.core = &core};
    pthread_t thread;
    open_core(&core, 0);
    op_init(&counter.op, on_counter);
    for (uint32_t round = 1; round <= 3; round++) {
        op_begin(&counter.op);
        assert_int_equal(pthread_create(&thread, NULL, finish_from_thread, &counter), 0);
        while (counter.done < round)
            core_turn(&core, true); /* would wait for ever without the wake */
        assert_int_equal(counter.op.count, 42);
        pthread_join(thread, NULL);
    }
    core_close(&core);
}

static void on_granted(struct op *op)
{
    assert_int_equal(op->err, ERR_NONE);
}

static void on_cancelled(struct op *op)
{
    assert_int_equal(op->err, ERR_CANCELLED);
}

static void on_looked_at(struct op *op)
{
    (void)op;
}

static void test_pools_fit_the_memory(void **state)
{
    (void)state;
    static struct core core;
    struct core_options options = {.cpu = -1, .memory_bytes = 64 * MIB};
    int raw;
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    assert_int_equal(pool_free_count(&core.small), 8 * MIB / BUF_SMALL_BYTES);
    assert_int_equal(pool_free_count(&core.large), 56);
    core_close(&core);
    options.memory_bytes = 100 * GIB; /* the table of registered buffers is the bound */
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    assert_int_equal(pool_free_count(&core.large), 14 * GIB / BUF_LARGE_BYTES);
    core_close(&core);
    options.memory_bytes = 1; /* works, if slowly */
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    assert_int_equal(pool_free_count(&core.small), 1);
    assert_int_equal(pool_free_count(&core.large), 1);
    core_close(&core);
}

/* Bufs that take several arenas come within as many turns, one a turn, and none of them waits: no
 * timer is set, and nobody else would wake the core. */
static void test_arenas_come_turn_by_turn(void **state)
{
    (void)state;
    static struct core core;
    struct core_options options = {.index = 0, .cpu = -1, .memory_bytes = 128 * MIB};
    struct pool_wish wish;
    uint32_t arenas = 1;
    int raw;
    alarm(60);
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    pool_wish_init(&wish, on_granted);
    pool_take(&core.large, &wish, 64);
    for (; wish.op.out; arenas++) {
        assert_int_equal(core.large.arena_count, arenas);
        core_turn(&core, true);
    }
    assert_int_equal(arenas, 64 * BUF_LARGE_BYTES / ARENA_BYTES);
    assert_int_equal(wish.op.count, 64);
    pool_give_all(&wish.bufs);
    core_close(&core);
}

static void open_core_with_aside(struct core *core)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 128 * MIB, .has_aside = true};
    int raw;
    alarm(60);
    assert_int_equal(core_open(core, &options, &raw), ERR_NONE);
}

static void take_with_aside(struct core *core, struct pool_wish *wish, uint32_t count)
{
    uint16_t arenas = core->large.arena_count;
    pool_take(&core->large, wish, count);
    assert_true(wish->op.out);
    assert_int_equal(core->large.arena_count, arenas); /* it does not wait for that */
    while (wish->op.out)
        core_turn(core, true);
    assert_int_equal(wish->op.count, count);
}

static uint64_t own_faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return (uint64_t)usage.ru_minflt;
}

/* It is another thread that touches what is new: 64 MiB are 32 faults, or thousands. */
static void test_aside_finds_memory(void **state)
{
    (void)state;
    static struct core core;
    struct pool_wish first, then;
    open_core_with_aside(&core);
    pool_wish_init(&first, on_granted);
    pool_wish_init(&then, on_granted);
    take_with_aside(&core, &first, 1);
    uint64_t before = own_faults();
    take_with_aside(&core, &then, 79);
    assert_true(own_faults() < before + 16);
    assert_int_equal(core.large.arena_count, 5);
    assert_false(pool_is_growing(&core.large));
    pool_give_all(&first.bufs);
    pool_give_all(&then.bufs);
    take_with_aside(&core, &then, 112); /* all that there may be */
    assert_int_equal(core.large.count, core.large.count_max);
    pool_give_all(&then.bufs);
    core_close(&core);
}

/* Who waited has gone, and so will the core: not before its memory has come. */
static void test_stop_waits_for_memory(void **state)
{
    (void)state;
    static struct core core;
    for (int i = 0; i < 20; i++) {
        struct pool_wish wish;
        open_core_with_aside(&core);
        pool_wish_init(&wish, on_cancelled);
        pool_take(&core.large, &wish, 1);
        pool_cancel(&core.large, &wish);
        core_stop(&core);
        assert_false(core_is_over(&core));
        core_run(&core);
        assert_false(wish.op.out);
        assert_int_equal(core.large.arena_count, 1);
        core_close(&core);
    }
}

/* Several of both pools', of which one goes away while memory is on its way; and what is given back
 * meanwhile is enough for who is first. */
static void test_growing_for_several(void **state)
{
    (void)state;
    static struct core core;
    struct pool_wish held, gone, large, small;
    open_core_with_aside(&core);
    pool_wish_init(&held, on_granted);
    pool_wish_init(&gone, on_cancelled);
    pool_wish_init(&large, on_granted);
    pool_wish_init(&small, on_granted);
    take_with_aside(&core, &held, 16);
    pool_take(&core.large, &gone, 32);
    pool_take(&core.large, &large, 16);
    pool_take(&core.small, &small, 3);
    assert_true(pool_is_growing(&core.large) && pool_is_growing(&core.small));
    pool_cancel(&core.large, &gone);
    pool_give_all(&held.bufs);
    while (gone.op.out || large.op.out || small.op.out || pool_is_growing(&core.large))
        core_turn(&core, true);
    assert_int_equal(core.large.arena_count, 2);
    assert_int_equal(pool_free_count(&core.large), core.large.count_max - 16);
    pool_give_all(&large.bufs);
    pool_give_all(&small.bufs);
    core_close(&core);
}

/* Its wishes are looked at, not asserted: this is another process. */
static int ask_without_memory(void)
{
    static struct core core;
    struct core_options options = {.cpu = -1, .memory_bytes = 128 * MIB, .has_aside = true};
    struct rlimit little = {MIB, MIB};
    struct pool_wish wish;
    int raw;
    alarm(60);
    if (core_open(&core, &options, &raw) || setrlimit(RLIMIT_AS, &little)) return 2;
    pool_wish_init(&wish, on_looked_at);
    pool_take(&core.large, &wish, 1);
    while (wish.op.out)
        core_turn(&core, true);
    if (wish.op.err != ERR_NO_MEMORY || pool_is_growing(&core.large)) return 3;
    pool_take(&core.large, &wish, 1); /* nobody asks again */
    if (pool_is_growing(&core.large)) return 4;
    while (wish.op.out)
        core_turn(&core, false);
    return wish.op.err == ERR_NO_MEMORY ? 0 : 5;
}

static void test_aside_finds_none(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its runtime has to map memory as well */
#endif
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(ask_without_memory());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finish_runs_in_a_turn),
        cmocka_unit_test(test_turn_is_bounded),
        cmocka_unit_test(test_waits_for_the_timer),
        cmocka_unit_test(test_messages_keep_order),
        cmocka_unit_test(test_remote_finish_wakes),
        cmocka_unit_test(test_pools_fit_the_memory),
        cmocka_unit_test(test_arenas_come_turn_by_turn),
        cmocka_unit_test(test_aside_finds_memory),
        cmocka_unit_test(test_stop_waits_for_memory),
        cmocka_unit_test(test_growing_for_several),
        cmocka_unit_test(test_aside_finds_none),
    };
    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
