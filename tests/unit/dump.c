/* Dumps: a process that forbids them leaves no core where another one does, and its memory is not
 * readable for others of the same user. */
#include "core/dump.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base.h"

#define NOBODY 65534

static bool dies_with_a_core(bool forbidden)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    int status;
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &all);
        signal(SIGABRT, SIG_DFL); /* not cmocka's, nor a sanitizer's */
        if (forbidden) dump_forbid();
        abort();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return WCOREDUMP(status);
}

static void test_no_core(void **state)
{
    char folder[] = "/tmp/argosy-dump-XXXXXX", command[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    bool possible = dies_with_a_core(false); /* the machine may have no cores at all */
    assert_false(dies_with_a_core(true));
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    if (!possible) skip();
}

/* Whether a process of a user can open the memory of another one of that user. */
static bool is_readable(bool forbidden)
{
    int to_parent[2], status;
    char byte, path[64];
    assert_int_equal(pipe(to_parent), 0);
    pid_t child = fork();
    if (child == 0) {
        if (setuid(NOBODY) != 0) _exit(1);
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* a change of user took it away */
        if (forbidden) dump_forbid();
        if (write(to_parent[1], "x", 1) == 1) pause();
        _exit(1);
    }
    close(to_parent[1]);
    assert_int_equal(read(to_parent[0], &byte, 1), 1);
    close(to_parent[0]);
    snprintf(path, sizeof path, "/proc/%d/environ", child);
    pid_t other = fork();
    if (other == 0) {
        if (setuid(NOBODY) != 0) _exit(2);
        _exit(open(path, O_RDONLY) >= 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(other, &status, 0), other);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

static void test_memory_is_not_readable(void **state)
{
    (void)state;
    if (geteuid() != 0) skip(); /* it takes a user to be given up */
    assert_true(is_readable(false));
    assert_false(is_readable(true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_core),
        cmocka_unit_test(test_memory_is_not_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
