/* Pools on a real ring: the bound, first come first served, cancel, pins, unregistered memory. */
#include "core/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/limits.h"
#include "core/ring.h"

#define BUFS 20u /* of 1 MiB: one whole arena and a part of one */

struct bench {
    struct ring *ring;
    struct list ready;
    struct pool pool;
};

static void on_nothing(struct op *op)
{
    (void)op;
}

static void bench_open(struct bench *bench)
{
    int raw;
    list_init(&bench->ready);
    assert_int_equal(ring_open(&bench->ring, 8, 64, &raw), ERR_NONE);
    assert_int_equal(pool_init(&bench->pool, bench->ring, &bench->ready, BUF_LARGE_BYTES, BUFS, 3),
                     ERR_NONE);
}

static void bench_close(struct bench *bench)
{
    assert_int_equal(pool_free_count(&bench->pool), BUFS);
    ring_close(bench->ring);
    pool_fini(&bench->pool);
}

/* The next wish that is done, as a core takes it; NULL when there is none. */
static struct pool_wish *bench_next(struct bench *bench)
{
    struct link *link = list_pop(&bench->ready);
    if (!link) return NULL;
    struct pool_wish *wish = container_of(link, struct pool_wish, op.link);
    wish->op.out = false;
    return wish;
}

/* All but one: two arenas, two turns. */
static void bench_take_most(struct bench *bench, struct pool_wish *all)
{
    pool_take(&bench->pool, all, BUFS - 1);
    pool_turn(&bench->pool);
}

static void test_bound(void **state)
{
    (void)state;
    struct bench bench;
    struct buf *bufs[BUFS];
    bench_open(&bench);
    for (uint32_t i = 0; i < BUFS; i++) {
        bufs[i] = pool_try_take(&bench.pool);
        assert_non_null(bufs[i]);
        assert_int_equal(bufs[i]->count_max, BUF_LARGE_BYTES);
        assert_int_equal((uintptr_t)bufs[i]->data % 4096, 0);
        assert_int_equal(bufs[i]->arena, 3 + i / 16);
        memset(bufs[i]->data, (int)i, bufs[i]->count_max);
    }
    assert_null(pool_try_take(&bench.pool));
    assert_int_equal(pool_free_count(&bench.pool), 0);
    for (uint32_t i = 0; i < BUFS; i++) {
        for (uint32_t at = 0; at < BUF_LARGE_BYTES; at += 4096) /* no two overlap */
            assert_int_equal(bufs[i]->data[at], (char)i);
        pool_give(&bufs[i]);
        assert_null(bufs[i]);
    }
    bench_close(&bench);
}

static void test_last_in_first_out(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench);
    struct buf *a = pool_try_take(&bench.pool), *b = pool_try_take(&bench.pool), *b_was = b;
    pool_give(&a);
    pool_give(&b);
    assert_ptr_equal(b = pool_try_take(&bench.pool), b_was);
    pool_give(&b);
    bench_close(&bench);
}

static void test_first_come_first_served(void **state)
{
    (void)state;
    struct bench bench;
    struct pool_wish all, large, small;
    bench_open(&bench);
    pool_wish_init(&all, on_nothing);
    pool_wish_init(&large, on_nothing);
    pool_wish_init(&small, on_nothing);
    bench_take_most(&bench, &all);
    assert_ptr_equal(bench_next(&bench), &all);
    assert_int_equal(all.op.count, BUFS - 1);
    pool_take(&bench.pool, &large, 3);
    pool_take(&bench.pool, &small, 1);
    assert_null(bench_next(&bench)); /* one is free, but `large` is first */
    assert_null(pool_try_take(&bench.pool));
    struct buf *one = container_of(list_pop(&all.bufs), struct buf, link);
    pool_give(&one);
    assert_null(bench_next(&bench));
    one = container_of(list_pop(&all.bufs), struct buf, link);
    pool_give(&one);
    assert_ptr_equal(bench_next(&bench), &large);
    assert_null(bench_next(&bench));
    pool_give_all(&large.bufs);
    assert_ptr_equal(bench_next(&bench), &small);
    assert_int_equal(small.op.err, ERR_NONE);
    pool_give_all(&small.bufs);
    pool_give_all(&all.bufs);
    bench_close(&bench);
}

/* Mapping one takes long: what is under way has its turn in between. */
static void test_one_arena_a_turn(void **state)
{
    (void)state;
    struct bench bench;
    struct pool_wish large, small;
    bench_open(&bench);
    pool_wish_init(&large, on_nothing);
    pool_wish_init(&small, on_nothing);
    pool_take(&bench.pool, &small, 1);
    assert_false(pool_wants_turn(&bench.pool));
    assert_ptr_equal(bench_next(&bench), &small);
    pool_take(&bench.pool, &large, 16);
    assert_null(bench_next(&bench));
    assert_int_equal(bench.pool.arena_count, 1);
    assert_true(pool_wants_turn(&bench.pool));
    pool_turn(&bench.pool);
    assert_ptr_equal(bench_next(&bench), &large);
    assert_int_equal(bench.pool.arena_count, 2);
    assert_false(pool_wants_turn(&bench.pool));
    pool_give_all(&large.bufs);
    pool_take(&bench.pool, &large, BUFS); /* that is more than there will be before `small` ends */
    pool_turn(&bench.pool);
    assert_null(bench_next(&bench));
    assert_false(pool_wants_turn(&bench.pool)); /* no turn brings it */
    pool_give_all(&small.bufs);
    assert_ptr_equal(bench_next(&bench), &large);
    pool_give_all(&large.bufs);
    bench_close(&bench);
}

static void test_cancel(void **state)
{
    (void)state;
    struct bench bench;
    struct pool_wish all, large, small;
    bench_open(&bench);
    pool_wish_init(&all, on_nothing);
    pool_wish_init(&large, on_nothing);
    pool_wish_init(&small, on_nothing);
    bench_take_most(&bench, &all);
    pool_cancel(&bench.pool, &all); /* granted already: harmless */
    assert_ptr_equal(bench_next(&bench), &all);
    assert_int_equal(all.op.err, ERR_NONE);
    pool_take(&bench.pool, &large, 2);
    pool_take(&bench.pool, &small, 1);
    pool_cancel(&bench.pool, &large);
    pool_cancel(&bench.pool, &large); /* twice is once */
    assert_ptr_equal(bench_next(&bench), &large);
    assert_int_equal(large.op.err, ERR_CANCELLED);
    assert_ptr_equal(bench_next(&bench), &small); /* no longer behind it */
    assert_null(bench_next(&bench));
    pool_cancel(&bench.pool, &small); /* not out */
    pool_give_all(&small.bufs);
    pool_give_all(&all.bufs);
    assert_null(bench_next(&bench));
    bench_close(&bench);
}

static void test_pinned_buf_comes_home_last(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench);
    struct buf *buf = pool_try_take(&bench.pool), *kept = buf;
    pool_pin(kept);
    pool_pin(kept);
    pool_give(&buf);
    assert_int_equal(pool_free_count(&bench.pool), BUFS - 1);
    pool_unpin(kept);
    assert_int_equal(pool_free_count(&bench.pool), BUFS - 1);
    pool_unpin(kept);
    assert_int_equal(pool_free_count(&bench.pool), BUFS);
    bench_close(&bench);
}

/* In a process that may lock 64 KiB, as many systems have it: a ring opens, and bufs come all the
 * same, without an arena. */
static int use_pool_without_locked_memory(void)
{
    struct rlimit little = {64 * KIB, 64 * KIB};
    struct list ready;
    struct ring *ring;
    struct pool pool;
    int raw;
    list_init(&ready);
    if (setrlimit(RLIMIT_MEMLOCK, &little)) return 2;
    if (getuid() == 0 && setuid(65534)) return 3; /* root is exempt */
    if (ring_open(&ring, RING_SQ_ENTRIES, RING_CQ_ENTRIES, &raw)) return 4;
    if (pool_init(&pool, ring, &ready, BUF_LARGE_BYTES, BUFS, 0)) return 5;
    struct buf *bufs[BUFS];
    for (uint32_t i = 0; i < BUFS; i++) {
        bufs[i] = pool_try_take(&pool);
        if (!bufs[i] || bufs[i]->arena != RING_NO_ARENA) return 6;
        memset(bufs[i]->data, 'x', bufs[i]->count_max);
    }
    if (pool.unregistered != ERR_MEMLOCK) return 7;
    for (uint32_t i = 0; i < BUFS; i++)
        pool_give(&bufs[i]);
    ring_close(ring);
    pool_fini(&pool);
    return 0;
}

static void test_without_locked_memory(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(use_pool_without_locked_memory());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_last_in_first_out),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_one_arena_a_turn),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_pinned_buf_comes_home_last),
        cmocka_unit_test(test_without_locked_memory),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
