/* Who waits for buffers, and for how long that is --memory's affair. */
#include "s3/station.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_blame_staging(void **state)
{
    static struct core core;
    static struct station station = {.core = &core};
    struct pool *const pools[] = {&core.large, &core.small};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pools); i++) {
        struct blame_tick tick;
        blame_tick_init(&tick, NS_PER_S, NS_PER_MS);
        station_blame_staging(&station, &tick, 1);
        assert_true(tick.staging > 0 && tick.weights[BLAME_RUNNING] <= 0);
        blame_tick_init(&tick, NS_PER_S, NS_PER_MS);
        pools[i]->growth.job.op.out = true;
        station_blame_staging(&station, &tick, 1);
        assert_true(tick.staging <= 0 && tick.weights[BLAME_RUNNING] > 0);
        pools[i]->growth.job.op.out = false;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blame_staging)};
    return cmocka_run_group_tests_name("station", tests, NULL, NULL);
}
