#include "tools/report.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

struct row {
    uint64_t found, done, skipped, failed, unfinished;
    enum err err, first_failure;
    int signal;
    enum status status;
};

static const struct row rows[] = {
    {.found = 3, .done = 2, .skipped = 1, .status = STATUS_OK},
    {.status = STATUS_OK},
    {.found = 3, .done = 2, .failed = 1, .first_failure = ERR_NO_KEY, .status = STATUS_SOME_FAILED},
    {.found = 1, .failed = 1, .first_failure = ERR_NO_KEY, .status = STATUS_NOT_FOUND},
    {.found = 1, .failed = 1, .first_failure = ERR_DENIED, .status = STATUS_ACCESS},
    {.found = 9, .failed = 9, .first_failure = ERR_REFUSED, .status = STATUS_ENVIRONMENT},
    {.found = 1, .failed = 1, .first_failure = ERR_CHECKSUM, .status = STATUS_SOME_FAILED},
    {.found = 1, .failed = 1, .status = STATUS_SOME_FAILED},
    {.found = 3, .done = 2, .status = STATUS_SOME_FAILED}, /* lost one */
    {.found = 2, .done = 3, .status = STATUS_SOME_FAILED},
    {.found = 3, .done = 1, .err = ERR_DISK_FULL, .status = STATUS_ENVIRONMENT},
    {.err = ERR_NO_BUCKET, .status = STATUS_NOT_FOUND},
    {.err = ERR_WRONG_REGION, .status = STATUS_ACCESS},
    {.err = ERR_URI, .status = STATUS_USAGE},
    {.found = 3, .done = 3, .signal = SIGINT, .status = STATUS_INTERRUPTED},
    {.found = 3, .done = 2, .unfinished = 1, .signal = SIGINT, .status = STATUS_INTERRUPTED},
    {.found = 3, .done = 2, .unfinished = 1, .status = STATUS_SOME_FAILED}, /* who stopped it? */
    {.err = ERR_CANCELLED, .signal = SIGINT, .status = STATUS_INTERRUPTED},
    {.err = ERR_CANCELLED, .signal = SIGTERM, .status = STATUS_TERMINATED},
    {.err = ERR_CANCELLED, .signal = SIGHUP, .status = STATUS_HUNG_UP},
};

static void fill(struct report *report, const struct row *row)
{
    *report = (struct report){.checksum = CHECKSUM_CRC32C, .signal = row->signal};
    report->result.err = row->err;
    report->result.first_failure = row->first_failure;
    report->result.numbers.found = row->found;
    report->result.numbers.done = row->done;
    report->result.numbers.skipped = row->skipped;
    report->result.numbers.failed = row->failed;
    report->result.numbers.unfinished = row->unfinished;
}

static void test_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct report report;
        fill(&report, &rows[i]);
        if (report_status(&report) != rows[i].status)
            fail_msg("row %zu: %d, expected %d", i, report_status(&report), rows[i].status);
    }
}

/* An error that stops a run is never a success. */
static void test_every_err(void **state)
{
    (void)state;
    assert_int_equal(status_of_err(ERR_NONE), STATUS_OK);
    for (int err = 1; err < ERR_COUNT; err++)
        assert_int_not_equal(status_of_err(err), STATUS_OK);
}

static void test_reconciles(void **state)
{
    struct run_numbers numbers = {.found = 15, .done = 1, .skipped = 2, .failed = 4};
    (void)state;
    assert_false(report_reconciles(&numbers));
    numbers.unfinished = 8;
    assert_true(report_reconciles(&numbers));
    numbers.found = 14;
    assert_false(report_reconciles(&numbers));
}

static double number(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void test_json(void **state)
{
    struct report report;
    char *text;
    size_t bytes;
    (void)state;
    fill(&report, &rows[2]);
    report.result.numbers.unfinished = 6;
    report.result.numbers.done_bytes = 5 * GIB;
    report.result.elapsed_ns = 2 * NS_PER_S;
    strcpy(report.result.why, "a \"quoted\"\nline");
    FILE *out = open_memstream(&text, &bytes);
    assert_true(report_write_json(&report, out));
    fclose(out);
    assert_int_equal(text[bytes - 1], '\n');
    assert_null(memchr(text, '\n', bytes - 1));
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    assert_true(number(json, "exit_code") == STATUS_SOME_FAILED);
    assert_true(number(json, "found") == 3 && number(json, "done") == 2);
    assert_true(number(json, "failed") == 1 && number(json, "skipped") == 0);
    assert_true(number(json, "unfinished") == 6);
    assert_true(number(json, "done_bytes") == 5.0 * (double)GIB);
    assert_true(number(json, "seconds") == 2 && number(json, "bytes_per_s") == 2.5 * (double)GIB);
    assert_string_equal(cJSON_GetObjectItem(json, "error")->valuestring, "NO_KEY");
    assert_string_equal(cJSON_GetObjectItem(json, "why")->valuestring, "a \"quoted\"\nline");
    cJSON_Delete(json);
    free(text);
}

static void test_json_full_disk(void **state)
{
    struct report report;
    FILE *out = fopen("/dev/full", "w");
    (void)state;
    assert_non_null(out);
    fill(&report, &rows[0]);
    assert_false(report_write_json(&report, out));
    fclose(out);
}

/* What the time went to adds up to 1; where nothing is known, nothing is said. */
static void test_time_shares(void **state)
{
    struct report report;
    (void)state;
    for (uint32_t known = 0; known < 2; known++) {
        char *text;
        size_t bytes;
        double sum = 0;
        fill(&report, &rows[0]);
        if (known) {
            report.result.numbers.blame.ns[BLAME_ANSWER] = 600;
            report.result.numbers.blame.ns[BLAME_REFUSED] = 100;
            report.result.numbers.blame.ns[BLAME_FILE] = 300;
        }
        FILE *out = open_memstream(&text, &bytes);
        assert_true(report_write_json(&report, out));
        fclose(out);
        cJSON *json = cJSON_Parse(text);
        const cJSON *shares = cJSON_GetObjectItem(json, "time_shares"), *item;
        const cJSON *limit = cJSON_GetObjectItem(json, "limited_by");
        assert_int_equal(cJSON_GetArraySize(shares), BLAME_KINDS);
        cJSON_ArrayForEach(item, shares)
        {
            assert_true(known ? cJSON_IsNumber(item) : cJSON_IsNull(item));
            sum += item->valuedouble;
        }
        if (known) {
            assert_true(sum > 0.999999 && sum < 1.000001);
            assert_string_equal(limit->valuestring, "server");
            assert_true(number(shares, "server") == 0.7 && number(shares, "disk") == 0.3);
        } else {
            assert_true(cJSON_IsNull(limit));
        }
        cJSON_Delete(json);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_shares),    cmocka_unit_test(test_status),
        cmocka_unit_test(test_every_err),      cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_full_disk), cmocka_unit_test(test_reconciles),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
