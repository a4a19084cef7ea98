#include "s3/creds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the text of one file --- */

struct text_row {
    const char *text;
    bool is_config;
    const char *profile;
    enum err err;
    bool found;
    const char *access_key, *secret_key, *token, *region, *url;
    const char *why; /* a part of it; "": nothing */
};

static const struct text_row text_rows[] = {
    {"", false, "default", ERR_NONE, false, "", "", "", "", "", ""},
    {"[default]\naws_access_key_id = AK\naws_secret_access_key = SK\n", false, "default", ERR_NONE,
     true, "AK", "SK", "", "", "", ""},
    {"[default]\r\naws_access_key_id=AK\r\naws_secret_access_key=S/K+=\r\n"
     "aws_session_token=T==\r\n",
     false, "default", ERR_NONE, true, "AK", "S/K+=", "T==", "", "", ""},
    {"\xef\xbb\xbf# first\n; second\n\n[other]\naws_access_key_id=NO\n[me] # mine\n"
     "AWS_Access_Key_Id:AK\naws_secret_access_key  =  SK  # behind\n[third]\nregion=no",
     false, "me", ERR_NONE, true, "AK", "SK", "", "", "", ""},
    {"[default]\nregion = eu-west-1\n[profile me]\nregion = eu-west-2\n", true, "default", ERR_NONE,
     true, "", "", "", "eu-west-1", "", ""},
    {"[default]\nregion = eu-west-1\n[profile me]\nregion = eu-west-2\n", true, "me", ERR_NONE,
     true, "", "", "", "eu-west-2", "", ""},
    {"[profile default]\nregion=a\n", true, "default", ERR_NONE, true, "", "", "", "a", "", ""},
    {"[ profile  \"my own\" ]\nregion=a\n", true, "my own", ERR_NONE, true, "", "", "", "a", "",
     ""},
    {"[me]\nregion = eu-west-2\n", true, "me", ERR_NONE, false, "", "", "", "", "", ""},
    {"[profile me]\nregion = eu-west-2\n", false, "me", ERR_NONE, false, "", "", "", "", "", ""},
    {"[default]\ns3 =\n  endpoint_url = http://nested\n  region = nested\n\tregion = nested\n"
     "endpoint_url = http://h:9000\n",
     true, "default", ERR_NONE, true, "", "", "", "", "http://h:9000", ""},
    {"[default]\nregion = first\nregion = second\noutput = json\n", true, "default", ERR_NONE, true,
     "", "", "", "first", "", ""},
    {"[default]\nregion =\n", true, "default", ERR_NONE, true, "", "", "", "", "", ""},
    {"[default]\ncredential_process = /bin/x\n", true, "default", ERR_NONE, true, "", "", "", "",
     "", "credential_process"},
    {"[default]\nrole_arn = a\naws_access_key_id=AK\naws_secret_access_key=SK", true, "default",
     ERR_NONE, true, "AK", "SK", "", "", "", ""},
    {"[other]\nrole_arn = a\n", false, "default", ERR_NONE, false, "", "", "", "", "", ""},
    {"[default]\nnonsense\n", false, "default", ERR_CONFIG, false, "", "", "", "", "",
     "name, line 2: neither"},
    {"\n\n[default\n", false, "default", ERR_CONFIG, false, "", "", "", "", "", "line 3"},
    {"[default]\naws_secret_access_key = SEC RET\n", false, "default", ERR_CONFIG, false, "", "",
     "", "", "", "aws_secret_access_key holds a space"},
    {"[default]\nregion = "
     "0123456789012345678901234567890123456789012345678901234567890123456789\n",
     false, "default", ERR_CONFIG, false, "", "", "", "", "", "longer than 63"},
};

static void test_one_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(text_rows); i++) {
        const struct text_row *row = &text_rows[i];
        struct creds_text file = {bytes_of(row->text), "name", row->is_config};
        struct creds creds = {.source = CREDS_NONE};
        char why[CREDS_WHY_BYTES];
        bool found;

        if (creds_parse(&creds, &file, row->profile, &found, why) != row->err)
            fail_msg("row %zu: \"%s\"", i, why);
        if (!strstr(why, row->why) || (!row->why[0] && why[0])) fail_msg("row %zu: %s", i, why);
        assert_null(strstr(why, "SEC RET"));
        if (row->err) continue;
        assert_int_equal(found, row->found);
        assert_string_equal(creds.access_key, row->access_key);
        assert_string_equal(creds.secret_key, row->secret_key);
        assert_string_equal(creds.session_token, row->token);
        assert_string_equal(creds.region, row->region);
        assert_string_equal(creds.endpoint_url, row->url);
    }
}

/* --- all sources --- */

static const char *const variables[] = {
    "AWS_ACCESS_KEY_ID",  "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN", "AWS_PROFILE",           "AWS_DEFAULT_PROFILE",
    "AWS_REGION",         "AWS_DEFAULT_REGION",    "AWS_ENDPOINT_URL",
    "AWS_CONFIG_FILE",    "AWS_ENDPOINT_URL_S3",   "AWS_SHARED_CREDENTIALS_FILE",
};

static char home[64];

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", home, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **state)
{
    char path[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(variables); i++)
        unsetenv(variables[i]);
    snprintf(home, sizeof(home), "/tmp/argosy-creds-XXXXXX");
    if (!mkdtemp(home)) return -1;
    snprintf(path, sizeof(path), "%s/.aws", home);
    mkdir(path, 0700);
    setenv("HOME", home, 1);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {".aws/credentials", ".aws/config", "mine", ".aws", ""};
    char path[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", home, names[i]);
        remove(path);
    }
    return 0;
}

#define KEYS(name) "aws_access_key_id=AK-" name "\naws_secret_access_key=SK-" name "\n"

static void write_both(void)
{
    write_file(".aws/credentials", "[default]\n" KEYS("default") "[me]\n" KEYS(
                                       "me") "aws_session_token=T\n[half]\naws_access_key_id=x\n");
    write_file(".aws/config",
               "[default]\nregion=r-default\n[profile me]\nregion=r-me\n"
               "endpoint_url=http://me\n[profile config]\n" KEYS("config") "region=r-config\n");
}

static enum err load(struct creds *creds, const char *profile, char why[CREDS_WHY_BYTES])
{
    enum err err = creds_load(creds, profile, why);

    if (!err && creds->source != CREDS_NONE) assert_string_equal(why, "");
    return err;
}

static void test_profiles(void **state)
{
    struct creds creds;
    char why[CREDS_WHY_BYTES];

    (void)state;
    write_both();
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_int_equal(creds.source, CREDS_CREDENTIALS_FILE);
    assert_string_equal(creds.access_key, "AK-default");
    assert_string_equal(creds.secret_key, "SK-default");
    assert_string_equal(creds.session_token, "");
    assert_string_equal(creds.region, "r-default");

    assert_int_equal(load(&creds, "me", why), ERR_NONE);
    assert_string_equal(creds.access_key, "AK-me");
    assert_string_equal(creds.session_token, "T");
    assert_string_equal(creds.region, "r-me");
    assert_string_equal(creds.endpoint_url, "http://me");

    setenv("AWS_PROFILE", "config", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_int_equal(creds.source, CREDS_CONFIG_FILE);
    assert_string_equal(creds.access_key, "AK-config");
    assert_string_equal(creds.region, "r-config");

    assert_int_equal(load(&creds, "half", why), ERR_CONFIG);
    assert_non_null(strstr(why, "no secret key"));
    assert_string_equal(creds.access_key, "");

    assert_int_equal(load(&creds, "absent", why), ERR_CONFIG);
    assert_non_null(strstr(why, "\"absent\""));
    assert_non_null(strstr(why, ".aws/credentials"));
    setenv("AWS_PROFILE", "absent", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_CONFIG);
}

static void test_environment(void **state)
{
    struct creds creds;
    char why[CREDS_WHY_BYTES];

    (void)state;
    write_both();
    setenv("AWS_ACCESS_KEY_ID", "AK-env", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_CONFIG);
    assert_non_null(strstr(why, "no secret key"));

    /* keys come as a set: no token of the profile's with keys of the environment's */
    setenv("AWS_SECRET_ACCESS_KEY", "SK-env", 1);
    setenv("AWS_PROFILE", "me", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_int_equal(creds.source, CREDS_ENVIRONMENT);
    assert_string_equal(creds.access_key, "AK-env");
    assert_string_equal(creds.session_token, "");
    assert_string_equal(creds.region, "r-me");

    setenv("AWS_SESSION_TOKEN", "T-env", 1);
    setenv("AWS_DEFAULT_REGION", "r-2", 1);
    setenv("AWS_ENDPOINT_URL", "http://2", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_string_equal(creds.session_token, "T-env");
    assert_string_equal(creds.region, "r-2");
    assert_string_equal(creds.endpoint_url, "http://2");
    setenv("AWS_REGION", "r-1", 1);
    setenv("AWS_ENDPOINT_URL_S3", "http://1", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_string_equal(creds.region, "r-1");
    assert_string_equal(creds.endpoint_url, "http://1");

    /* a profile by option comes before the environment's keys */
    assert_int_equal(load(&creds, "me", why), ERR_NONE);
    assert_string_equal(creds.access_key, "AK-me");
    assert_string_equal(creds.session_token, "T");
}

static void test_nothing_is_no_error(void **state)
{
    struct creds creds;
    char why[CREDS_WHY_BYTES];

    (void)state;
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_int_equal(creds.source, CREDS_NONE);
    assert_non_null(strstr(why, ".aws/credentials"));

    unsetenv("HOME");
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_int_equal(creds.source, CREDS_NONE);
    assert_non_null(strstr(why, "HOME is not set"));
    assert_int_equal(load(&creds, "me", why), ERR_CONFIG);

    setenv("HOME", home, 1);
    write_file(".aws/config", "[default]\nsso_start_url=https://x\nregion=r\n");
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_int_equal(creds.source, CREDS_NONE);
    assert_string_equal(creds.region, "r");
    assert_non_null(strstr(why, "sso_start_url, which is not supported"));
}

static void test_files_by_variable(void **state)
{
    struct creds creds;
    char why[CREDS_WHY_BYTES], big[5000];

    (void)state;
    write_file("mine", "[default]\n" KEYS("mine"));
    setenv("AWS_SHARED_CREDENTIALS_FILE", "~/mine", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_NONE);
    assert_string_equal(creds.access_key, "AK-mine");

    setenv("AWS_SHARED_CREDENTIALS_FILE", home, 1); /* a folder */
    assert_int_equal(load(&creds, NULL, why), ERR_CONFIG);
    assert_non_null(strstr(why, "cannot be read"));

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    setenv("AWS_SHARED_CREDENTIALS_FILE", big, 1);
    assert_int_equal(load(&creds, NULL, why), ERR_CONFIG);
    assert_non_null(strstr(why, "too long"));

    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/zero", 1);
    assert_int_equal(load(&creds, NULL, why), ERR_CONFIG);
    assert_non_null(strstr(why, "too large"));
}

static void test_secrets_are_wiped(void **state)
{
    static const struct creds zero;
    struct creds creds;
    char why[CREDS_WHY_BYTES];

    (void)state;
    write_both();
    assert_int_equal(load(&creds, "me", why), ERR_NONE);
    creds_fini(&creds);
    assert_memory_equal(&creds, &zero, sizeof(creds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_file),
        cmocka_unit_test_setup_teardown(test_profiles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_is_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_by_variable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secrets_are_wiped, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
