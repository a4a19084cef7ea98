#include "tools/repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct journal_job job;
static struct settings settings;
static char why[SETTINGS_WHY_BYTES];

static void set_arguments(const char *text, size_t bytes)
{
    assert_true(bytes <= sizeof job.arguments);
    memcpy(job.arguments, text, bytes);
    job.arguments_bytes = (uint32_t)bytes;
    why[0] = '\0';
}

/* The folder of then, its options, and those of now behind them. */
static void test_as_it_was_begun(void **state)
{
    static const char then[] = "/\0--recursive\0--profile=lab\0--region=north";
    char region[] = "--region=south", *now[] = {region}, folder[64];
    (void)state;
    set_arguments(then, sizeof then);
    assert_int_equal(repeat_job(&job, 1, now, &settings, why), ERR_NONE);
    assert_true(settings.recursive);
    assert_string_equal(settings.profile, "lab");
    assert_string_equal(settings.region, "south");
    assert_string_equal(getcwd(folder, sizeof folder), "/");
}

static void test_the_folder_is_gone(void **state)
{
    static const char then[] = "/nowhere/at/all\0--recursive";
    (void)state;
    set_arguments(then, sizeof then);
    assert_int_equal(repeat_job(&job, 0, NULL, &settings, why), ERR_FILE_MISSING);
    assert_non_null(strstr(why, "/nowhere/at/all"));
}

/* Half a command line would be another command. */
static void test_what_was_not_kept_is_not_guessed(void **state)
{
    char many[3 * 300 + 1] = "";
    (void)state;
    set_arguments("", 0);
    assert_int_equal(repeat_job(&job, 0, NULL, &settings, why), ERR_USAGE);
    assert_non_null(strstr(why, "too long to be kept"));
    for (size_t i = 0; i < 300; i++)
        memcpy(many + 1 + 3 * i, "-r", 3);
    set_arguments(many, sizeof many);
    assert_int_equal(repeat_job(&job, 0, NULL, &settings, why), ERR_USAGE);
    assert_non_null(strstr(why, "256 words"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_was_begun),
        cmocka_unit_test(test_the_folder_is_gone),
        cmocka_unit_test(test_what_was_not_kept_is_not_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
