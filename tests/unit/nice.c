#include "core/nice.h"

#include <linux/ioprio.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
    int cpu;
    long disk;
};

static void *look(void *context)
{
    struct seen *seen = context;
    seen->cpu = getpriority(PRIO_PROCESS, 0);
    seen->disk = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
    return NULL;
}

/* Lower, never higher, also for threads that come later. */
static void test_threads_inherit_it(void **state)
{
    int before = getpriority(PRIO_PROCESS, 0);
    struct seen seen = {0, 0};
    pthread_t thread;
    (void)state;
    nice_lower();
    assert_int_equal(pthread_create(&thread, NULL, look, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen.cpu, before > 10 ? before : 10);
    assert_int_equal(IOPRIO_PRIO_CLASS(seen.disk), IOPRIO_CLASS_BE);
    assert_int_equal(IOPRIO_PRIO_DATA(seen.disk), IOPRIO_NR_LEVELS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_inherit_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
