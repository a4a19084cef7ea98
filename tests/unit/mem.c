/* Memory from the kernel, and the two clocks. */
#include "core/mem.h"

#include <errno.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

static void test_map(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 64 * KIB, 2 * MIB, 2 * MIB + 1, 16 * MIB};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        void *area;
        assert_int_equal(mem_map(&area, rows[i]), ERR_NONE);
        assert_int_equal((uintptr_t)area % (2 * MIB), 0);
        ((char *)area)[0] = ((char *)area)[rows[i] - 1] = 'x';
        mem_unmap(area, rows[i]);
    }
}

static void test_map_too_much(void **state)
{
    (void)state;
    void *area;
    assert_int_equal(mem_map(&area, 1ull << 60), ERR_NO_MEMORY);
}

#ifdef __SANITIZE_ADDRESS__
#define SLACK_BYTES (8 * MIB) /* its shadow is an eighth of what is touched */
#else
#define SLACK_BYTES (4 * MIB)
#endif

static void test_resident_follows_touch(void **state)
{
    (void)state;
    const size_t bytes = 32 * MIB, slack_bytes = SLACK_BYTES;
    void *area;
    uint64_t before = mem_resident_bytes();
    assert_true(before > 0);
    assert_int_equal(mem_map(&area, bytes), ERR_NONE);
    assert_true(mem_resident_bytes() < before + slack_bytes); /* mapped is not touched */
    mem_touch(area, bytes, mem_node());
    assert_true(mem_resident_bytes() + slack_bytes > before + bytes);
    mem_unmap(area, bytes);
    assert_true(mem_resident_bytes() < before + slack_bytes);
}

/* A node that this machine may not have, or that no mask of ours names, is no error. */
static void test_touch_anywhere(void **state)
{
    (void)state;
    static const unsigned nodes[] = {0, 1, 63, 64, UINT_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(nodes); i++) {
        void *area;
        unsigned char pages[2 * MIB / 4096] = {0};
        assert_int_equal(mem_map(&area, 2 * MIB), ERR_NONE);
        mem_touch(area, 2 * MIB, nodes[i]);
        assert_return_code(mincore(area, 2 * MIB, pages), errno);
        for (size_t at = 0; at < 2 * MIB / (size_t)sysconf(_SC_PAGESIZE); at++)
            assert_true(pages[at] & 1);
        mem_unmap(area, 2 * MIB);
    }
}

/* The kernel's word for where an area is to come from. */
static void test_touch_prefers(void **state)
{
    (void)state;
    const size_t bytes = 2 * MIB + 64 * KIB;
    unsigned long nodes = 0;
    int mode = MPOL_DEFAULT;
    void *area;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0ul, NULL, 0ul) || mode != MPOL_DEFAULT) skip();
    const unsigned own = mem_node();
    assert_int_equal(mem_map(&area, bytes), ERR_NONE);
    mem_touch(area, bytes, own);
    for (size_t at = 0; at < 4 * MIB; at += 2 * MIB - 1) { /* to the end of the last huge page */
        void *address = (char *)area + at;
        assert_int_equal(
            syscall(SYS_get_mempolicy, &mode, &nodes, 65ul, address, (unsigned long)MPOL_F_ADDR),
            0);
        assert_int_equal(mode, MPOL_PREFERRED);
        assert_int_equal(nodes, 1ul << own);
    }
    mem_unmap(area, bytes);
}

static void test_ram(void **state)
{
    (void)state;
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_true(mem_ram_bytes() > 0 && mem_ram_bytes() <= machine);
}

static void test_clocks(void **state)
{
    (void)state;
    uint64_t first_ns = clock_now_ns();
    usleep(2000);
    uint64_t passed_ns = clock_now_ns() - first_ns;
    assert_true(passed_ns >= 2 * NS_PER_MS && passed_ns < 10 * NS_PER_S);
    uint64_t wall_s = clock_wall_ns() / NS_PER_S;
    struct timespec now; /* time() would be behind by up to a tick of the kernel's */
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    assert_true(wall_s + 60 >= (uint64_t)now.tv_sec && wall_s <= (uint64_t)now.tv_sec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_too_much),
        cmocka_unit_test(test_resident_follows_touch),
        cmocka_unit_test(test_touch_anywhere),
        cmocka_unit_test(test_touch_prefers),
        cmocka_unit_test(test_ram),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
