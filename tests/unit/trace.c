/* The flight recorder, and how a failed check prints it. */
#include "core/trace.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/core.h"

static const char *const door_states[] = {"OPEN", "CLOSED"};
static const struct trace_kind door = {"door", door_states, 2};
static const struct trace_kind plain = {.machine = "plain"};

static char *printed(const struct trace *trace)
{
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *out = open_memstream(&text, &text_bytes);
    trace_print(trace, out);
    fclose(out);
    return text;
}

static void test_names_and_numbers(void **state)
{
    (void)state;
    static struct trace trace;
    int object;
    trace_state(&trace, 5000, &door, &object, 0, 1);
    trace_state(&trace, 9999, &plain, &object, 3, 4);
    trace_state(&trace, 9999, &door, &object, 0, 2); /* a state without a name */
    char *text = printed(&trace);
    assert_non_null(strstr(text, " 5 us  door "));
    assert_non_null(strstr(text, " OPEN → CLOSED\n"));
    assert_non_null(strstr(text, " 9 us  plain "));
    assert_non_null(strstr(text, " 3 → 4\n"));
    assert_non_null(strstr(text, " OPEN → 2\n"));
    free(text);
}

static void test_keeps_the_last(void **state)
{
    (void)state;
    static struct trace trace;
    char line[64];
    for (uint32_t i = 0; i < TRACE_RECORDS + 10; i++)
        trace_state(&trace, i * NS_PER_US, &plain, &trace, i, i);
    char *text = printed(&trace);
    uint32_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, TRACE_RECORDS);
    snprintf(line, sizeof(line), "%12u us", 10);
    assert_memory_equal(text, line, strlen(line)); /* the oldest that is left, first */
    assert_null(strstr(text, " 9 → 9\n"));
    snprintf(line, sizeof(line), " %u → %u\n", TRACE_RECORDS + 9, TRACE_RECORDS + 9);
    assert_string_equal(text + strlen(text) - strlen(line), line);
    free(text);
}

/* A check that fails while a core is open: exits by SIGABRT with place, condition and recorder. */
static void fail_in_child(int stderr_fd)
{
    static struct core core;
    struct core_options options = {.index = 7, .cpu = -1, .memory_bytes = MIB};
    int raw;
    dup2(stderr_fd, STDERR_FILENO);
    signal(SIGABRT, SIG_DFL); /* cmocka catches it */
    if (core_open(&core, &options, &raw)) _exit(1);
    trace_state(&core.trace, 0, &door, &core, 1, 0);
    NEVER("a test");
}

static void test_failed_check_prints(void **state)
{
    (void)state;
    int ends[2], status;
    char text[4096];
    size_t got = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) fail_in_child(ends[1]);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + got, sizeof(text) - 1 - got)) > 0;)
        got += (size_t)n;
    text[got] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "tests/unit/trace.c:"));
    assert_non_null(strstr(text, "never: a test"));
    assert_non_null(strstr(text, "flight recorder of core 7"));
    assert_non_null(strstr(text, " CLOSED → OPEN\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_numbers),
        cmocka_unit_test(test_keeps_the_last),
        cmocka_unit_test(test_failed_check_prints),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
