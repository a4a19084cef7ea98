#include "tools/control.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A runtime folder of the test's own; what else of this user runs is found in other folders. */
static char runtime[64];

static int make_runtime(void **state)
{
    (void)state;
    snprintf(runtime, sizeof runtime, "/tmp/control-test-XXXXXX");
    if (!mkdtemp(runtime)) return -1;
    return setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static int remove_runtime(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", runtime);
    return system(command);
}

static void answer(void *context, const char *request, char text[CONTROL_TEXT_BYTES])
{
    snprintf(text, CONTROL_TEXT_BYTES, "%s, %s", (const char *)context, request);
}

static _Atomic bool over;

static void *serve(void *argument)
{
    static char greeting[] = "hello";
    while (!atomic_load(&over)) {
        const struct timespec nap = {.tv_nsec = 1000000};
        control_serve(argument, answer, greeting);
        nanosleep(&nap, NULL);
    }
    return NULL;
}

struct found {
    char path[128];
    uint32_t count;
};

static void find_ours(void *context, const char *path)
{
    struct found *found = context;
    if (strncmp(path, runtime, strlen(runtime)) != 0) return;
    snprintf(found->path, sizeof found->path, "%s", path);
    found->count++;
}

static struct found look(void)
{
    struct found found = {.count = 0};
    control_each(find_ours, &found);
    return found;
}

static void test_asks_and_answers(void **state)
{
    struct control control;
    struct stat status;
    pthread_t thread;
    char why[CONTROL_WHY_BYTES], text[CONTROL_TEXT_BYTES], long_request[CONTROL_TEXT_BYTES];
    (void)state;
    if (!control_open(&control, why)) fail_msg("%s", why);
    struct found found = look();
    assert_int_equal(found.count, 1);
    assert_int_equal(stat(found.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(pthread_create(&thread, NULL, serve, &control), 0);
    for (uint32_t i = 0; i < 3; i++) {
        if (!control_ask(found.path, "state", text, why)) fail_msg("%s", why);
        assert_string_equal(text, "hello, state");
    }
    memset(long_request, 'x', sizeof long_request - 100);
    long_request[sizeof long_request - 100] = '\0';
    assert_true(control_ask(found.path, long_request, text, why));
    assert_int_equal(strlen(text), sizeof long_request - 100 + strlen("hello, "));
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    control_close(&control);
    assert_int_equal(look().count, 0);
}

/* As a process that was killed leaves it. */
static void test_a_name_without_a_process_is_removed(void **state)
{
    struct control control;
    char why[CONTROL_WHY_BYTES], text[CONTROL_TEXT_BYTES];
    (void)state;
    assert_true(control_open(&control, why));
    close(control.fd);
    struct found found = look();
    assert_int_equal(found.count, 1);
    assert_false(control_ask(found.path, "state", text, why));
    assert_string_equal(why, "");
    assert_int_equal(look().count, 0);
}

static void test_the_name_of_a_dead_process_with_our_number(void **state)
{
    struct control dead, control;
    char why[CONTROL_WHY_BYTES];
    (void)state;
    assert_true(control_open(&dead, why));
    close(dead.fd);
    if (!control_open(&control, why)) fail_msg("%s", why);
    assert_int_equal(look().count, 1);
    control_close(&control);
}

/* In two containers that share the folder. */
static void test_two_with_the_same_number(void **state)
{
    struct control one, other;
    char why[CONTROL_WHY_BYTES];
    (void)state;
    assert_true(control_open(&one, why));
    if (!control_open(&other, why)) fail_msg("%s", why);
    assert_int_equal(look().count, 2);
    control_close(&other);
    assert_int_equal(look().count, 1);
    control_close(&one);
    assert_int_equal(look().count, 0);
}

/* Anybody could put a socket there that we then trust. */
static void test_a_folder_that_others_may_enter_is_not_used(void **state)
{
    struct control control;
    char why[CONTROL_WHY_BYTES], folder[80];
    (void)state;
    snprintf(folder, sizeof folder, "%s/argosy", runtime);
    assert_int_equal(chmod(folder, 0770), 0);
    assert_false(control_open(&control, why));
    assert_non_null(strstr(why, "0700"));
    control_serve(&control, answer, NULL); /* harmless */
    control_close(&control);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_true(control_open(&control, why));
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(look().count, 0);
    assert_int_equal(chmod(folder, 0700), 0);
    control_close(&control);
}

static void test_a_path_that_is_too_long(void **state)
{
    struct control control;
    char why[CONTROL_WHY_BYTES] = "", folder[200];
    (void)state;
    snprintf(folder, sizeof folder, "%s/%0100d", runtime, 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
    if (!control_open(&control, why)) fail_msg("%s", why); /* in /tmp instead */
    control_close(&control);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks_and_answers),
        cmocka_unit_test(test_a_name_without_a_process_is_removed),
        cmocka_unit_test(test_the_name_of_a_dead_process_with_our_number),
        cmocka_unit_test(test_two_with_the_same_number),
        cmocka_unit_test(test_a_folder_that_others_may_enter_is_not_used),
        cmocka_unit_test(test_a_path_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, make_runtime, remove_runtime);
}
