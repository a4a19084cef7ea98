#include "tools/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *format(const struct progress *progress, const struct run_numbers *numbers,
                          uint32_t columns, char text[256])
{
    struct writer w;
    writer_init(&w, text, 256);
    progress_format(progress, numbers, columns, &w);
    return writer_string(&w);
}

static void test_line(void **state)
{
    char text[256];
    struct progress progress = {.rate_bytes_per_s = 1.25 * (double)GIB, .has_rate = true};
    struct run_numbers numbers = {
        .found = 5678, .done = 1230, .skipped = 4, .found_bytes = 40 * GIB, .done_bytes = 10 * GIB};
    (void)state;
    assert_string_equal(format(&progress, &numbers, 200, text),
                        "10.0 GiB of 40.0 GiB (25%)  1.25 GiB/s  ETA 0:24  1,234 of 5,678 files");
    numbers.failed = 2;
    numbers.planning = true;
    assert_string_equal(
        format(&progress, &numbers, 200, text),
        "10.0 GiB of 40.0 GiB+  1.25 GiB/s  ETA -  1,234 of 5,678+ files  2 failed");
    assert_string_equal(format(&progress, &numbers, 12, text), "10.0 GiB of ");
}

/* What is under way counts as it goes, and is taken back where a part begins anew. */
static void test_under_way(void **state)
{
    char text[256];
    struct progress progress = {.rate_bytes_per_s = (double)MIB, .has_rate = true};
    struct run_numbers numbers = {.found = 1,
                                  .found_bytes = 40 * MIB,
                                  .done_bytes = 10 * MIB,
                                  .moving_bytes = 6 * MIB,
                                  .before_bytes = 4 * MIB};
    (void)state;
    assert_string_equal(format(&progress, &numbers, 200, text),
                        "20.0 MiB of 40.0 MiB (50%)  1.00 MiB/s  ETA 0:20  0 of 1 files");
    numbers.moving_bytes = 0;
    assert_non_null(strstr(format(&progress, &numbers, 200, text), "14.0 MiB of"));
    progress = (struct progress){.drawn_ns = 0};
    numbers.done_bytes = 0;
    for (uint64_t i = 1; i <= 50; i++) {
        numbers.moving_bytes = i * 100000;
        progress_draw(&progress, &numbers, i * NS_PER_S / 5);
    }
    assert_true(progress.rate_bytes_per_s > 499000 && progress.rate_bytes_per_s < 501000);
}

/* Nothing known yet, more done than found, a rate near zero: no line may say nonsense. */
static void test_corners(void **state)
{
    char text[256];
    struct progress progress = {0};
    struct run_numbers numbers = {0};
    (void)state;
    assert_string_equal(format(&progress, &numbers, 200, text),
                        "0 B of 0 B  0 B/s  ETA -  0 of 0 files");
    numbers.found_bytes = GIB;
    progress.rate_bytes_per_s = 1e-30;
    assert_non_null(strstr(format(&progress, &numbers, 200, text), "(0%)  0 B/s  ETA -"));
    progress.rate_bytes_per_s = 1e6;
    numbers.done_bytes = GIB + 1;
    assert_non_null(strstr(format(&progress, &numbers, 200, text), "(100%)"));
    assert_non_null(strstr(text, "ETA 0:00"));
}

static void test_rate(void **state)
{
    struct progress progress = {0};
    uint64_t now_ns = 0, bytes = 0;
    (void)state;
    for (int i = 0; i < 50; i++)
        progress_measure(&progress, bytes += 100000, now_ns += NS_PER_S / 5);
    assert_true(progress.rate_bytes_per_s > 499000 && progress.rate_bytes_per_s < 501000);
    progress_measure(&progress, bytes, now_ns); /* no time passed: no division by it */
    progress_measure(&progress, bytes, now_ns += NS_PER_S / 5); /* one silent interval */
    assert_true(progress.rate_bytes_per_s > 400000 && progress.rate_bytes_per_s < 500000);
    progress_measure(&progress, 0, now_ns += NS_PER_S / 5); /* parts were taken back */
    assert_true(progress.rate_bytes_per_s > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_under_way),
        cmocka_unit_test(test_corners),
        cmocka_unit_test(test_rate),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
