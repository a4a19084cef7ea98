/* Work that never stops: watch() must leave all the same, with the right exit code. */
#include "tools/watch.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tools/status.h"

struct stuck {
    struct watched watched;
    int told; /* a pipe: a byte when it was asked to stop */
};

static bool stuck_is_over(const struct watched *watched)
{
    (void)watched;
    return false;
}

static void stuck_read(const struct watched *watched, struct run_numbers *numbers)
{
    (void)watched;
    memset(numbers, 0, sizeof *numbers);
}

static void stuck_interrupt(struct watched *watched)
{
    if (write(container_of(watched, struct stuck, watched)->told, "x", 1) != 1) _exit(99);
}

static void stuck_limit(struct watched *watched, uint64_t rate_bytes_per_s)
{
    (void)watched;
    (void)rate_bytes_per_s;
}

static const struct watched_kind stuck_kind = {stuck_is_over, stuck_read, stuck_interrupt,
                                               stuck_limit};

static void work(int told)
{
    char why[TIMETABLE_WHY_BYTES];
    struct throttle throttle = {.rate_bytes_per_s = 0};
    struct stuck stuck = {.watched = {.kind = &stuck_kind,
                                      .throttle = &throttle,
                                      .command = "cp",
                                      .source = "a",
                                      .target = "b"},
                          .told = told};
    struct log log = {.program = "watch"};
    struct progress progress;
    if (!throttle_set(&throttle, NULL, why)) _exit(97);
    progress_init(&progress, false, clock_now_ns());
    watch(&stuck.watched, &progress, &log);
    _exit(98);
}

static void do_by_default(int ignored)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        signal(numbers[i], numbers[i] == ignored ? SIG_IGN : SIG_DFL);
}

/* A process that watches stuck work, of which it says into a pipe when it was asked to stop. */
static pid_t begin(int ignored, int *told)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    do_by_default(ignored);
    watch_block_signals(); /* so that a signal that comes before the child's watch() waits for it */
    pid_t pid = fork();
    if (pid == 0) work(ends[1]);
    assert_true(pid > 0);
    close(ends[1]);
    *told = ends[0];
    return pid;
}

/* And was sent `number`; returns when the work knows of it. */
static pid_t start(int number)
{
    int told;
    char byte;
    pid_t pid = begin(0, &told);
    assert_int_equal(kill(pid, number), 0);
    assert_int_equal(read(told, &byte, 1), 1);
    close(told);
    return pid;
}

static int exit_code(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_second_signal(void **state)
{
    (void)state;
    uint64_t started_ns = clock_now_ns();
    pid_t pid = start(SIGTERM);
    assert_int_equal(kill(pid, SIGINT), 0);
    assert_int_equal(exit_code(pid), STATUS_INTERRUPTED);
    assert_true(clock_now_ns() - started_ns < WATCH_GRACE_NS);
}

static void test_grace(void **state)
{
    (void)state;
    uint64_t started_ns = clock_now_ns();
    pid_t pid = start(SIGTERM);
    assert_int_equal(exit_code(pid), STATUS_TERMINATED);
    assert_true(clock_now_ns() - started_ns >= WATCH_GRACE_NS);
}

/* nohup(1) has SIGHUP ignored, a script's & SIGINT. */
static void test_ignored(void **state)
{
    static const int numbers[] = {SIGHUP, SIGINT};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        int told;
        char byte;
        pid_t pid = begin(numbers[i], &told);
        assert_int_equal(kill(pid, numbers[i]), 0);
        struct pollfd wait = {told, POLLIN, 0};
        assert_int_equal(poll(&wait, 1, 500), 0);
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(read(told, &byte, 1), 1);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(told);
    }
    do_by_default(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_second_signal),
        cmocka_unit_test(test_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
