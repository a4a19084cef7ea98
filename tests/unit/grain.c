#include "sched/grain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define FIRST (8 * MIB)

/* A path on which each part waits and then moves at a rate of its own, in virtual time. */
struct path {
    struct grain grain;
    struct grain_totals totals;
    double rate_bytes_per_s;
    uint64_t wait_ns, bytes_max;
    uint32_t changes;
};

static void open_path(struct path *path, double rate_bytes_per_s, uint64_t wait_ns)
{
    *path = (struct path){
        .rate_bytes_per_s = rate_bytes_per_s, .wait_ns = wait_ns, .bytes_max = GRAIN_BYTES_MAX};
    grain_init(&path->grain, FIRST);
}

static void move_parts(struct path *path, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        double moved_s = (double)path->grain.bytes / path->rate_bytes_per_s;
        path->totals.parts++;
        path->totals.bytes += path->grain.bytes;
        path->totals.taken_ns += path->wait_ns + (uint64_t)(moved_s * (double)NS_PER_S);
        uint64_t before = path->grain.bytes;
        bool changed = grain_tick(&path->grain, &path->totals, path->wait_ns, path->bytes_max);
        assert_int_equal(changed, path->grain.bytes != before);
        if (!changed) continue;
        path->changes++;
        assert_int_equal(path->grain.before_bytes, before);
        assert_true(strlen(path->grain.why) > 0 && strlen(path->grain.state) > 0);
    }
}

static double waiting_share(const struct path *path)
{
    double moved_s = (double)path->grain.bytes / path->rate_bytes_per_s;
    double wait_s = (double)path->wait_ns / (double)NS_PER_S;
    return wait_s / (wait_s + moved_s);
}

static void test_grows_to_a_tenth(void **state)
{
    static const struct {
        double rate;
        uint64_t wait_ms, bytes;
    } rows[] = {
        {90e6, 150, 116 * MIB}, /* S3 from another continent */
        {90e6, 30, 24 * MIB},
        {20e6, 200, 35 * MIB},
        {1e9, 5, FIRST}, /* a house's own store */
        {1e9, 19, FIRST},
        {1e6, 300, FIRST}, /* a slow path: eight MiB are large there */
        {1e9, 300, GRAIN_BYTES_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct path path;
        open_path(&path, rows[i].rate, rows[i].wait_ms * NS_PER_MS);
        move_parts(&path, 200);
        if (path.grain.bytes * 5 < rows[i].bytes * 4 || path.grain.bytes > rows[i].bytes + 16 * MIB)
            fail_msg("row %zu: %llu", i, (unsigned long long)path.grain.bytes);
        assert_int_equal(path.grain.bytes % MIB, 0);
        bool bound = path.grain.bytes == GRAIN_BYTES_MAX;
        if (path.changes > 0 && !bound) assert_true(waiting_share(&path) < 1.25 * GRAIN_SHARE);
        uint32_t changes = path.changes;
        move_parts(&path, 400); /* and stays */
        assert_int_equal(path.changes, changes);
    }
}

/* Never faster than by two a look, so that one odd look costs little. */
static void test_steps(void **state)
{
    struct path path;
    (void)state;
    open_path(&path, 500e6, 200 * NS_PER_MS);
    move_parts(&path, GRAIN_PARTS - 1);
    assert_int_equal(path.changes, 0);
    move_parts(&path, 1);
    assert_int_equal(path.grain.bytes, 2 * FIRST);
    move_parts(&path, GRAIN_PARTS);
    assert_int_equal(path.grain.bytes, 4 * FIRST);
    assert_string_equal(path.grain.state, "growing");
}

static void test_shrinks_again(void **state)
{
    struct path path;
    (void)state;
    open_path(&path, 90e6, 150 * NS_PER_MS);
    move_parts(&path, 100);
    uint64_t grown = path.grain.bytes;
    path.wait_ns = 40 * NS_PER_MS;
    move_parts(&path, 200);
    assert_true(path.grain.bytes < grown / 2 && path.grain.bytes > FIRST);
    assert_string_equal(path.grain.state, "shrinking");
    path.wait_ns = 2 * NS_PER_MS;
    move_parts(&path, 200);
    assert_int_equal(path.grain.bytes, FIRST);
}

/* Memory holds it down at once, whatever was measured; never below the first value. */
static void test_memory(void **state)
{
    struct path path;
    (void)state;
    open_path(&path, 500e6, 200 * NS_PER_MS);
    path.bytes_max = 20 * MIB + 12345;
    move_parts(&path, 100);
    assert_int_equal(path.grain.bytes, 20 * MIB);
    path.bytes_max = 12 * MIB;
    move_parts(&path, 1);
    assert_int_equal(path.grain.bytes, 12 * MIB);
    assert_string_equal(path.grain.state, "bounded");
    path.bytes_max = MIB;
    move_parts(&path, 100);
    assert_int_equal(path.grain.bytes, FIRST);
}

/* Rates that scatter by a factor of three do not make it wander. */
static void test_noise(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct path path;
        struct rand rand;
        (void)state;
        rand_init(&rand, seed);
        open_path(&path, 50e6, 100 * NS_PER_MS);
        move_parts(&path, 200);
        path.changes = 0;
        for (int i = 0; i < 2000; i++) {
            path.rate_bytes_per_s = 25e6 + (double)rand_below(&rand, 50000000);
            move_parts(&path, 1);
            assert_true(path.grain.bytes >= 20 * MIB && path.grain.bytes <= 90 * MIB);
        }
        if (path.changes > 60)
            fail_msg("seed %llu: %u changes", (unsigned long long)seed, path.changes);
    }
}

static void test_told(void **state)
{
    struct grain_totals totals = {100, GIB, 100 * NS_PER_S};
    struct grain grain;
    bool changed;
    (void)state;
    grain_init(&grain, 0);
    assert_false(grain_tick(&grain, &totals, 200 * NS_PER_MS, GRAIN_BYTES_MAX));
    assert_int_equal(grain_next(&grain, GIB, 4, &changed), 0);
    assert_false(changed);
}

/* What each slot does, by the sizes that grain_next() gives: the last ends how long after the first
 * that finds nothing to do? */
static double tail_s(bool shaped, uint64_t object_bytes)
{
    enum { SLOTS = 8 };
    double free_at[SLOTS] = {0}, first = 0, last = 0;
    uint64_t left = object_bytes;
    struct path path;
    open_path(&path, 50e6, 150 * NS_PER_MS);
    move_parts(&path, 200);
    while (left > 0) {
        bool changed;
        int slot = 0;
        for (int i = 1; i < SLOTS; i++)
            if (free_at[i] < free_at[slot]) slot = i;
        uint64_t bytes = grain_next(&path.grain, shaped ? left : GRAIN_WHOLE_RUN, SLOTS, &changed);
        assert_true(bytes >= FIRST && bytes <= path.grain.bytes);
        bytes = min_u64(bytes, left);
        left -= bytes;
        free_at[slot] += 0.15 + (double)bytes / 50e6;
    }
    first = last = free_at[0];
    for (int i = 1; i < SLOTS; i++) {
        if (free_at[i] < first) first = free_at[i];
        if (free_at[i] > last) last = free_at[i];
    }
    return last - first;
}

static void test_tail(void **state)
{
    struct grain grain;
    bool changed;
    double worst = 0;
    (void)state;
    for (uint64_t mib = 1000; mib < 1400; mib += 7) {
        double without = tail_s(false, mib * MIB);
        if (without > worst) worst = without;
        double with = tail_s(true, mib * MIB);
        if (with > 0.15 + 8.4 / 50 + 0.01)
            fail_msg("%llu MiB: %f s", (unsigned long long)mib, with);
    }
    assert_true(worst > 1); /* a whole part: that is what it saves */
    grain_init(&grain, FIRST);
    grain.bytes = 64 * MIB;
    assert_int_equal(grain_next(&grain, GRAIN_WHOLE_RUN, 8, &changed), 64 * MIB);
    assert_int_equal(grain_next(&grain, 600 * MIB, 8, &changed), 64 * MIB);
    assert_false(changed);
    assert_int_equal(grain_next(&grain, 400 * MIB, 8, &changed), 50 * MIB);
    assert_true(changed && grain.before_bytes == 64 * MIB);
    assert_int_equal(grain_next(&grain, MIB, 8, &changed), FIRST);
    assert_false(changed); /* told once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_to_a_tenth),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_shrinks_again),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
