#include "tools/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct settings settings;
    struct settings_conf conf;
    char why[SETTINGS_WHY_BYTES];
};

static struct fixture fixture;

/* A user with keys in the environment, no files, and no leftovers of whoever runs the tests. */
static int setup(void **state)
{
    static const char *const names[] = {
        "AWS_PROFILE",         "AWS_SESSION_TOKEN", "AWS_REGION",    "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL",  "AWS_CA_BUNDLE",
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        unsetenv(names[i]);
    setenv("AWS_ACCESS_KEY_ID", "AK", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    memset(&fixture, 0, sizeof fixture);
    settings_init(&fixture.settings);
    fixture.settings.quiet = true;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    settings_fini(&fixture.conf);
    return 0;
}

static enum err apply(struct fixture *f)
{
    return settings_apply(&f->settings, &f->conf, f->why);
}

static void test_flow_control(void **state)
{
    static const struct {
        const char *cc, *cores;
        uint64_t connections;
        enum err err;
        enum flow_kind kind;
        uint32_t fixed, connections_max, parts_start;
    } rows[] = {
        {"auto", "1", 0, ERR_NONE, FLOW_AUTO, 0, 64, 4},
        {"bbr", "1", 0, ERR_NONE, FLOW_BBR, 0, 64, 4},
        {"cubic", "1", 32, ERR_NONE, FLOW_CUBIC, 0, 32, 8},
        {"auto", "1", 4, ERR_NONE, FLOW_AUTO, 0, 4, 2},
        {"fixed:3", "1", 0, ERR_NONE, FLOW_FIXED, 3, 64, 4},
        {"fixed:100", "1", 0, ERR_NONE, FLOW_FIXED, 100, 100, 4},
        {"fixed:5", "1", 5, ERR_NONE, FLOW_FIXED, 5, 5, 2},
        {"fixed:6", "1", 5, ERR_USAGE, 0, 0, 0, 0},
        {"fixed:0", "1", 0, ERR_USAGE, 0, 0, 0, 0},
        {"fixed:513", "1", 0, ERR_USAGE, 0, 0, 0, 0},
        {"fixed", "1", 0, ERR_USAGE, 0, 0, 0, 0},
        {"fixed:x", "1", 0, ERR_USAGE, 0, 0, 0, 0},
        {"bbr:3", "1", 0, ERR_USAGE, 0, 0, 0, 0},
        {"reno", "1", 0, ERR_USAGE, 0, 0, 0, 0},
        {"", "1", 0, ERR_USAGE, 0, 0, 0, 0},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct conf *conf = &f->conf.conf;
        f->settings.cc = rows[i].cc;
        f->settings.cores = rows[i].cores;
        f->settings.connections = rows[i].connections;
        if (apply(f) != rows[i].err) fail_msg("--cc %s: %s", rows[i].cc, f->why);
        if (rows[i].err) assert_non_null(strstr(f->why, "--c"));
        if (rows[i].err) continue;
        assert_int_equal(conf->cc, rows[i].kind);
        assert_int_equal(conf->cc_fixed, rows[i].fixed);
        assert_int_equal(conf->connections_max, rows[i].connections_max);
        assert_int_equal(conf_parts_start(conf), rows[i].parts_start);
        settings_fini(&f->conf);
    }
    f->settings.cc = "fixed:1"; /* no core without a part */
    f->settings.cores = "2";
    f->settings.connections = 0;
    assert_int_equal(apply(f), ERR_NONE);
    assert_int_equal(f->conf.conf.cpu_count, 1);
    settings_fini(&f->conf);
}

static void test_receive_windows(void **state)
{
    struct fixture *f = *state;
    for (uint32_t kernel = 0; kernel < 2; kernel++) {
        f->settings.receive_windows = kernel;
        assert_int_equal(apply(f), ERR_NONE);
        assert_int_equal(f->conf.conf.clamp_windows, !kernel);
        settings_fini(&f->conf);
    }
}

/* What a loss does to a connection depends on the kernel's congestion control, as it is had. */
static void test_answers_to_losses(void **state)
{
    static const char *const names[] = {"reno", "cubic", "bbr", NULL};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        f->settings.tcp_congestion_control = names[i];
        if (i > 0) settings_fini(&f->conf);
        enum err err = apply(f);
        if (i == 0 || !names[i]) assert_int_equal(err, ERR_NONE); /* the others need not be there */
        if (err == ERR_NONE)
            assert_int_equal(f->conf.conf.tcp_answers_to_losses,
                             strcmp(f->conf.tcp_cc, "cubic") == 0 ||
                                 strcmp(f->conf.tcp_cc, "reno") == 0);
    }
}

static void test_stage_ahead(void **state)
{
    static const struct {
        const char *word;
        enum err err;
        uint32_t ahead;
    } rows[] = {
        {NULL, ERR_NONE, CONF_STAGE_AUTO},
        {"auto", ERR_NONE, CONF_STAGE_AUTO},
        {"0", ERR_NONE, 0},
        {"16", ERR_NONE, 16},
        {"17", ERR_USAGE, 0},
        {"-1", ERR_USAGE, 0},
        {"", ERR_USAGE, 0},
        {"some", ERR_USAGE, 0},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        f->settings.stage_ahead = rows[i].word;
        assert_int_equal(apply(f), rows[i].err);
        if (rows[i].err) assert_non_null(strstr(f->why, "--stage-ahead"));
        if (rows[i].err) continue;
        assert_int_equal(f->conf.conf.stage_ahead, rows[i].ahead);
        settings_fini(&f->conf);
    }
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    struct conf expected;
    conf_init(&expected);
    assert_int_equal(apply(f), ERR_NONE);
    const struct conf *conf = &f->conf.conf;
    assert_int_equal(conf->endpoint_count, 1);
    assert_true(conf->endpoints[0].tls && conf->endpoints[0].sign && conf->verify_tls);
    assert_string_equal(conf->endpoints[0].region, "us-east-1");
    assert_ptr_equal(conf->endpoints[0].creds, &f->conf.creds);
    assert_int_equal(conf->checksum, CHECKSUM_CRC32C);
    assert_int_equal(conf->attempts_max, expected.attempts_max);
    assert_true(conf->multipart_threshold_bytes == expected.multipart_threshold_bytes);
    assert_true(conf->reply_timeout_ns == expected.reply_timeout_ns);
    assert_true(conf->cpu_count >= 1);
    assert_true(conf->memory_bytes >= conf->cpu_count * CONF_MEMORY_BYTES_MIN);
    assert_null(conf->ca_bundle);
}

static void test_options(void **state)
{
    struct fixture *f = *state;
    f->settings.endpoint_url = "http://127.0.0.1:9000";
    f->settings.region = "eu-west-1";
    f->settings.retries = 0;
    f->settings.cores = "1";
    f->settings.memory_bytes = 64 * MIB;
    f->settings.direct = FILE_DIRECT_ON;
    f->settings.sign = false;
    f->settings.checksum = CHECKSUM_SHA256;
    assert_int_equal(apply(f), ERR_NONE);
    const struct conf *conf = &f->conf.conf;
    assert_false(conf->endpoints[0].tls);
    assert_false(conf->endpoints[0].sign);
    assert_int_equal(conf->endpoints[0].port, 9000);
    assert_int_equal(conf->endpoints[0].addressing, ADDRESSING_PATH);
    assert_string_equal(conf->endpoints[0].region, "eu-west-1");
    assert_int_equal(conf->attempts_max, 1);
    assert_int_equal(conf->cpu_count, 1);
    assert_true(conf->memory_bytes == 64 * MIB);
    assert_int_equal(conf->direct, FILE_DIRECT_ON);
    assert_int_equal(conf->checksum, CHECKSUM_SHA256);
}

/* Options win over the environment. */
static void test_environment(void **state)
{
    struct fixture *f = *state;
    setenv("AWS_ENDPOINT_URL", "http://store:1234", 1);
    setenv("AWS_REGION", "eu-west-2", 1);
    setenv("AWS_CA_BUNDLE", "/etc/ours.pem", 1);
    assert_int_equal(apply(f), ERR_NONE);
    assert_string_equal(f->conf.conf.endpoints[0].host, "store");
    assert_string_equal(f->conf.conf.endpoints[0].region, "eu-west-2");
    assert_string_equal(f->conf.conf.ca_bundle, "/etc/ours.pem");
    settings_fini(&f->conf);
    f->settings.endpoint_url = "https://other";
    f->settings.region = "eu-west-3";
    f->settings.ca_bundle = "mine.pem";
    assert_int_equal(apply(f), ERR_NONE);
    assert_string_equal(f->conf.conf.endpoints[0].host, "other");
    assert_string_equal(f->conf.conf.endpoints[0].region, "eu-west-3");
    assert_string_equal(f->conf.conf.ca_bundle, "mine.pem");
}

/* A core needs its memory: fewer cores, unless they were asked for. */
static void test_little_memory(void **state)
{
    struct fixture *f = *state;
    f->settings.memory_bytes = CONF_MEMORY_BYTES_MIN;
    assert_int_equal(apply(f), ERR_NONE);
    assert_int_equal(f->conf.conf.cpu_count, 1);
    int all = 0;
    char cores[16];
    struct settings_conf many;
    settings_init(&f->settings);
    f->settings.quiet = true;
    assert_int_equal(settings_apply(&f->settings, &many, f->why), ERR_NONE);
    all = many.conf.cpu_count;
    settings_fini(&many);
    if (all < 2) return; /* one CPU: nothing to refuse */
    snprintf(cores, sizeof cores, "%d", all);
    f->settings.cores = cores;
    f->settings.memory_bytes = CONF_MEMORY_BYTES_MIN;
    assert_int_equal(apply(f), ERR_USAGE);
    assert_non_null(strstr(f->why, "--memory"));
}

static void test_refuses(void **state)
{
    struct fixture *f = *state;
    f->settings.cores = "0-99999";
    assert_int_equal(apply(f), ERR_USAGE);
    assert_non_null(strstr(f->why, "--cores: "));
    f->settings.cores = NULL;
    f->settings.endpoint_url = "ftp://x";
    assert_int_equal(apply(f), ERR_USAGE);
    assert_true(f->why[0] != 0);
}

static void test_no_credentials(void **state)
{
    struct fixture *f = *state;
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_int_equal(apply(f), ERR_NO_CREDENTIALS);
    assert_non_null(strstr(f->why, "--no-sign-request"));
    f->settings.sign = false;
    assert_int_equal(apply(f), ERR_NONE);
    assert_null(f->conf.conf.endpoints[0].creds);
}

static void test_log(void **state)
{
    struct settings settings;
    (void)state;
    settings_init(&settings);
    assert_int_equal(settings_log(&settings).level_max, LOG_NOTE);
    settings.verbose = 1;
    assert_int_equal(settings_log(&settings).level_max, LOG_DETAIL);
    settings.verbose = 7;
    assert_int_equal(settings_log(&settings).level_max, LOG_DEBUG);
    settings.verbose = 0;
    settings.quiet = true;
    assert_int_equal(settings_log(&settings).level_max, LOG_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flow_control, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_to_losses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stage_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receive_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_little_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log, setup, teardown),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
