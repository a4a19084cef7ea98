/* Limits of prefixes, service times, the knee, rates. */
#include "tools/stowage_service.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS (1000 * NS_PER_S)

static struct stowage_service *open_service(void)
{
    struct stowage_service *service = malloc(sizeof(*service));
    assert_non_null(service);
    stowage_service_init(service, 1);
    return service;
}

static void close_service(struct stowage_service *service)
{
    stowage_service_fini(service);
    free(service);
}

static void add(struct stowage_service *service, enum stowage_service_kind kind, const char *text)
{
    char why[STOWAGE_SERVICE_WHY_BYTES] = "";
    if (stowage_service_add(service, kind, bytes_of(text), why)) fail_msg("%s: %s", text, why);
}

static struct stowage_service_verdict ask(struct stowage_service *service, const char *key,
                                          uint64_t now_ns)
{
    struct stowage_service_verdict verdict;
    struct stowage_service_request request = {
        .operation = STOWAGE_GET_OBJECT, .bucket = BYTES("b"), .key = bytes_of(key)};
    stowage_service_begin(service, &request, now_ns, &verdict);
    stowage_service_end(service);
    return verdict;
}

/* Never more than BURST + N·t in any time; each prefix for itself; depth 0: all together. */
static void test_limit(void **state)
{
    static const struct {
        const char *rule, *keys[2];
        bool together;
    } rows[] = {
        {"100/s:20", {"a/1", "b/1"}, false},
        {"100/s:20", {"a/1", "a/x/2"}, true},
        {"100/s:20 depth=2", {"a/1/k", "a/2/k"}, false},
        {"100/s:20 depth=0", {"a/1", "b/1"}, true},
        {"100/s:20 depth=3", {"a/1", "b/1"}, false}, /* fewer slashes: up to the last */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct stowage_service *service = open_service();
        uint32_t served[2] = {0, 0};
        add(service, STOWAGE_SERVICE_LIMIT, rows[i].rule);
        for (uint64_t ms = 0; ms < 1000; ms++)
            for (int k = 0; k < 2; k++)
                served[k] += !ask(service, rows[i].keys[k], NOW_NS + ms * NS_PER_MS).slow_down;
        if (rows[i].together) {
            assert_in_range(served[0] + served[1], 118, 120);
        } else {
            assert_in_range(served[0], 118, 120);
            assert_in_range(served[1], 118, 120);
        }
        assert_int_equal(service->limited_count, 2000 - served[0] - served[1]);
        close_service(service);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Means and medians within what 20,000 draws give; the same again with the same seed. */
static void test_times(void **state)
{
    enum { DRAWS = 20000 };
    static const struct {
        const char *rule;
        double mean_ms, median_ms;
    } rows[] = {
        {"fixed:20ms", 20, 20},
        {"exponential:20ms", 20, 13.863},   /* 20 ln 2 */
        {"lognormal:20ms:0.5", 22.663, 20}, /* 20 exp(0.5² / 2) */
        {"lognormal:20ms:1 op=get*", 32.974, 20},
        {"fixed:1ms op=PutObject", 0, 0}, /* of others */
    };
    static uint64_t draws[DRAWS];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t first[2];
        for (int round = 0; round < 2; round++) {
            struct stowage_service *service = open_service();
            double sum = 0;
            add(service, STOWAGE_SERVICE_TIME, rows[i].rule);
            for (int k = 0; k < DRAWS; k++) {
                draws[k] = ask(service, "k", NOW_NS).serve_ns;
                sum += (double)draws[k] / 1e6;
            }
            first[round] = draws[0];
            qsort(draws, DRAWS, sizeof(draws[0]), compare);
            assert_true(fabs(sum / DRAWS - rows[i].mean_ms) <= 0.03 * rows[i].mean_ms);
            assert_true(fabs((double)draws[DRAWS / 2] / 1e6 - rows[i].median_ms) <=
                        0.03 * rows[i].median_ms);
            close_service(service);
        }
        assert_true(first[0] == first[1]);
    }
}

/* Up to N no difference; then as long as there are many; then refusal. Throughput stays. */
static void test_knee(void **state)
{
    struct stowage_service *service = open_service();
    struct stowage_service_request request = {.operation = STOWAGE_GET_OBJECT};
    char why[STOWAGE_SERVICE_WHY_BYTES];
    (void)state;
    add(service, STOWAGE_SERVICE_TIME, "fixed:10ms");
    assert_int_equal(stowage_service_set_knee(service, BYTES("10:2"), why), ERR_NONE);
    for (uint32_t n = 1; n <= 25; n++) {
        struct stowage_service_verdict verdict;
        stowage_service_begin(service, &request, NOW_NS, &verdict);
        assert_int_equal(verdict.slow_down, n > 20);
        if (n <= 10) assert_true(verdict.serve_ns == 10 * NS_PER_MS);
        if (n > 10 && n <= 20) {
            double rate = n / ((double)verdict.serve_ns / 1e9);
            assert_true(fabs(rate - 1000) < 1);
        }
    }
    assert_int_equal(service->knee_count, 5);
    assert_int_equal(service->in_flight, 25);
    close_service(service);
}

static void test_rates(void **state)
{
    struct stowage_service *service = open_service();
    (void)state;
    add(service, STOWAGE_SERVICE_RATE, "1M per=object key=hot/*");
    add(service, STOWAGE_SERVICE_RATE, "2M");
    struct stowage_service_verdict hot = ask(service, "hot/a", NOW_NS);
    assert_true(hot.rate_bytes_per_s == MIB && hot.rate_clock);
    assert_ptr_equal(ask(service, "hot/a", NOW_NS).rate_clock, hot.rate_clock);
    assert_ptr_not_equal(ask(service, "hot/b", NOW_NS).rate_clock, hot.rate_clock);
    assert_true(ask(service, "cold", NOW_NS).rate_bytes_per_s == 2 * MIB);
    assert_null(ask(service, "cold", NOW_NS).rate_clock);
    close_service(service);
}

static void test_refused(void **state)
{
    static const struct {
        enum stowage_service_kind kind;
        const char *text;
    } rows[] = {
        {STOWAGE_SERVICE_LIMIT, ""},
        {STOWAGE_SERVICE_LIMIT, "100"},
        {STOWAGE_SERVICE_LIMIT, "0/s"},
        {STOWAGE_SERVICE_LIMIT, "100/s:0.5"},
        {STOWAGE_SERVICE_LIMIT, "nan/s"},
        {STOWAGE_SERVICE_LIMIT, "100/s depth=-1"},
        {STOWAGE_SERVICE_LIMIT, "100/s per=object"},
        {STOWAGE_SERVICE_TIME, "20ms"},
        {STOWAGE_SERVICE_TIME, "fixed"},
        {STOWAGE_SERVICE_TIME, "fixed:20ms:1"},
        {STOWAGE_SERVICE_TIME, "fixed:2h"},
        {STOWAGE_SERVICE_TIME, "lognormal:20ms"},
        {STOWAGE_SERVICE_TIME, "lognormal:20ms:9"},
        {STOWAGE_SERVICE_TIME, "uniform:20ms"},
        {STOWAGE_SERVICE_TIME, "fixed:20ms op=None"},
        {STOWAGE_SERVICE_RATE, "0"},
        {STOWAGE_SERVICE_RATE, "1M per=bucket"},
        {STOWAGE_SERVICE_RATE, "1M depth=1"},
    };
    static const char *const knees[] = {"", "0", "x", "10:0.5", "10:x"};
    struct stowage_service *service = open_service();
    char why[STOWAGE_SERVICE_WHY_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        why[0] = 0;
        if (!stowage_service_add(service, rows[i].kind, bytes_of(rows[i].text), why))
            fail_msg("accepted: %s", rows[i].text);
        assert_true(why[0]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(knees); i++)
        if (!stowage_service_set_knee(service, bytes_of(knees[i]), why))
            fail_msg("accepted: %s", knees[i]);
    close_service(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit), cmocka_unit_test(test_times),   cmocka_unit_test(test_knee),
        cmocka_unit_test(test_rates), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
