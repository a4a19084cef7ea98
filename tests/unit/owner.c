/* Owners: a process is known by number and start; what cannot be seen goes by its lease. */
#include "core/owner.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_we_are_alive(void **state)
{
    struct owner owner;
    (void)state;
    owner_of_this_process(&owner);
    assert_int_equal(owner.pid, getpid());
    assert_true(owner.host[0] != 0 && owner.boot[0] != 0 && owner.started > 0);
    assert_true(owner_is_alive(&owner, 0, 100)); /* whatever the lease says */
}

static void test_number_used_again(void **state)
{
    struct owner owner;
    (void)state;
    owner_of_this_process(&owner);
    owner.started--;
    assert_false(owner_is_alive(&owner, INT64_MAX, 0));
}

/* A process that was killed is dead before and after its parent has taken note. */
static void test_dead_child(void **state)
{
    int pipes[2];
    struct owner owner;
    siginfo_t info;
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        owner_of_this_process(&owner);
        if (write(pipes[1], &owner, sizeof owner) < 0) _exit(1);
        pause();
    }
    assert_int_equal(read(pipes[0], &owner, sizeof owner), sizeof owner);
    assert_int_equal(owner.pid, child);
    assert_true(owner_is_alive(&owner, 0, 100));
    kill(child, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_false(owner_is_alive(&owner, INT64_MAX, 100)); /* a zombie */
    waitpid(child, NULL, 0);
    assert_false(owner_is_alive(&owner, INT64_MAX, 100));
    close(pipes[0]);
    close(pipes[1]);
}

static void test_elsewhere(void **state)
{
    struct owner owner;
    (void)state;
    owner_of_this_process(&owner);
    snprintf(owner.host, sizeof owner.host, "another.machine.example");
    assert_true(owner_is_alive(&owner, 101, 100));
    assert_false(owner_is_alive(&owner, 100, 100));
}

static void test_before_a_restart(void **state)
{
    struct owner owner;
    (void)state;
    owner_of_this_process(&owner);
    owner.boot[0] = owner.boot[0] == '0' ? '1' : '0';
    assert_false(owner_is_alive(&owner, INT64_MAX, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_we_are_alive),     cmocka_unit_test(test_number_used_again),
        cmocka_unit_test(test_dead_child),       cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_before_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
