#include "core/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t count_descriptors(void)
{
    uint32_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Work is seen as such, sleep is not, and neither is more than the time that passed. */
static void test_thread(void **state)
{
    struct clock_thread thread = {0}, before;
    volatile uint32_t sink = 0;
    (void)state;
    uint64_t began_ns = clock_now_ns();
    clock_look_thread(&thread);
    before = thread;
    while (thread.ran_ns - before.ran_ns < 20 * NS_PER_MS) {
        for (uint32_t i = 0; i < 100000; i++)
            sink += i;
        clock_look_thread(&thread);
    }
    assert_true(sink > 0 && clock_now_ns() - began_ns >= 20 * NS_PER_MS);
    assert_true(thread.waited_ns >= before.waited_ns);
    before = thread;
    usleep(50000);
    clock_look_thread(&thread);
    assert_true(thread.ran_ns - before.ran_ns < 40 * NS_PER_MS);
    clock_close_thread(&thread);
}

static void test_descriptor(void **state)
{
    struct clock_thread thread = {0};
    uint32_t count = count_descriptors();
    (void)state;
    clock_close_thread(&thread);
    clock_look_thread(&thread);
    clock_look_thread(&thread);
    assert_true(count_descriptors() <= count + 1);
    clock_close_thread(&thread);
    clock_close_thread(&thread);
    assert_int_equal(count_descriptors(), count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_thread),
                                       cmocka_unit_test(test_descriptor)};
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
