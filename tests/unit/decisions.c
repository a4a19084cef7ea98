#include "tools/decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

static double number(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static const char *text(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static void test_line(void **state)
{
    char line[1024];
    struct writer w;
    struct steer_decision decision = {.now_ns = 7250 * NS_PER_MS,
                                      .knob = "parts in flight",
                                      .before = 8,
                                      .after = 16,
                                      .state = "startup",
                                      .why = "startup: the rate still grows",
                                      .sample = {.rate_bytes_per_s = 125e6,
                                                 .load = 7.75,
                                                 .knee = 12.5,
                                                 .knee_waiting = 4.25,
                                                 .rtt_ns = 50 * NS_PER_MS,
                                                 .answer_ns = 62500 * NS_PER_US,
                                                 .resent_share = 0.0125,
                                                 .lost_share = 0.0025,
                                                 .hole_share = 0.375,
                                                 .refusals = 2,
                                                 .timeouts = 1}};
    (void)state;
    writer_init(&w, line, sizeof line);
    decisions_format(&decision, "bbr", 5 * NS_PER_S, &w);
    cJSON *json = cJSON_Parse(writer_string(&w));
    assert_non_null(json);
    assert_true(number(json, "t") == 2.25);
    assert_string_equal(text(json, "knob"), "parts in flight");
    assert_string_equal(text(json, "cc"), "bbr");
    assert_string_equal(text(json, "state"), "startup");
    assert_string_equal(text(json, "reason"), decision.why);
    assert_true(number(json, "old") == 8 && number(json, "new") == 16);
    assert_true(number(json, "bytes_per_s") == 125e6 && number(json, "in_flight") == 7.75);
    assert_true(number(json, "rtt_ms") == 50 && number(json, "answer_ms") == 62.5);
    assert_true(number(json, "refusals") == 2 && number(json, "timeouts") == 1);
    assert_true(number(json, "resent_share") == 0.0125);
    assert_true(number(json, "lost_share") == 0.0025 && number(json, "hole_share") == 0.375);
    assert_true(number(json, "knee") == 12.5 && number(json, "knee_waiting") == 4.25);
    cJSON_Delete(json);
    decision.sample.knee = decision.sample.knee_waiting = 0; /* no model, or none yet */
    writer_init(&w, line, sizeof line);
    decisions_format(&decision, "cubic", 5 * NS_PER_S, &w);
    json = cJSON_Parse(writer_string(&w));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "knee")));
    cJSON_Delete(json);
}

static void test_a_file_that_cannot_be(void **state)
{
    struct log log = {.level_max = LOG_ERROR, .program = "test"};
    struct decisions decisions;
    char why[512] = "";
    (void)state;
    assert_int_equal(decisions_open(&decisions, "/nonexistent/x", &log, why), ERR_FILE_MISSING);
    assert_non_null(strstr(why, "/nonexistent/x: no such file"));
    decisions_close(&decisions, NULL);
    assert_int_equal(decisions_open(&decisions, NULL, &log, why), ERR_NONE);
    decisions_close(&decisions, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_a_file_that_cannot_be),
    };
    return cmocka_run_group_tests_name("decisions", tests, NULL, NULL);
}
