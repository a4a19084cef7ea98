#include "sched/response.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define MS NS_PER_MS

/* By hand from the equations: the larger of cubic's and Reno's. */
static void test_window(void **state)
{
    static const struct {
        double loss;
        uint64_t rtt_ms;
        double segments;
    } rows[] = {
        {0.01, 50, 12.25},     {0.001, 50, 38.73},   {0.001, 100, 38.73}, {0.0001, 50, 122.47},
        {0.0001, 100, 187.43}, {0.00001, 100, 1054}, {0.0001, 5, 122.47},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        double segments = response_window(rows[i].loss, rows[i].rtt_ms * MS);
        assert_true(fabs(segments / rows[i].segments - 1) < 0.001);
    }
}

struct world {
    struct response response;
    struct sample_totals totals;
    uint64_t now_ns;
};

static void open_world(struct world *w)
{
    *w = (struct world){.now_ns = NS_PER_S, .totals = {.segment_bytes = 1000}};
    response_tick(&w->response, w->now_ns, &w->totals, 50 * MS);
}

/* A span of 200 ms in four ticks; all of it is quiet. */
static void span(struct world *w, double rate, uint64_t losses)
{
    for (int tick = 0; tick < 4; tick++) {
        uint64_t bytes = (uint64_t)(rate * 0.05);
        w->totals.delivered_bytes += bytes;
        w->totals.sent_bytes += bytes;
        w->totals.quiet_bytes += bytes;
        if (tick == 0) w->totals.quiet_losses += losses;
        w->now_ns += 50 * MS;
        response_tick(&w->response, w->now_ns, &w->totals, 50 * MS);
    }
}

static double by_hand(double losses, double segments)
{
    double window = sqrt(1.5 * segments / (losses + sqrt(losses)));
    return 50 * MS / (window * 1000);
}

/* What was lost counts where less came than the path has shown to have, twice; by a fifth. */
static void test_what_counts(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_true(response_slowness(&w.response) == 0);
    span(&w, 50e6, 10);
    span(&w, 45e6, 10);
    span(&w, 70e6, 100);
    assert_true(response_slowness(&w.response) == 0); /* it was there once */
    span(&w, 70e6, 100);
    assert_true(fabs(response_slowness(&w.response) / by_hand(20, 19000) - 1) < 1e-9);
    span(&w, 57e6, 100); /* it may be all that it has */
    assert_true(fabs(response_slowness(&w.response) / by_hand(20, 19000) - 1) < 1e-9);
    for (int i = 0; i < 40; i++)
        span(&w, 40e6, 0); /* by then connections are old */
    assert_true(fabs(response_slowness(&w.response) / by_hand(20, 19000 + 27 * 8000) - 1) < 1e-9);
}

static void test_few_say_little(void **state)
{
    (void)state;
    for (uint64_t losses = 0; losses < 20; losses++) {
        struct world w;
        open_world(&w);
        span(&w, 10e6, losses);
        span(&w, 70e6, 0);
        span(&w, 70e6, 0);
        assert_int_equal(response_slowness(&w.response) > 0, losses >= 8);
    }
}

/* Small objects: of three connections that share what counts as one request. And heads, or what a
 * search begins with, use up no span. */
static void test_small_objects(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    w.totals.flows = 9;
    for (int i = 0; i < 40; i++)
        span(&w, 100e3, 0);
    for (int i = 0; i < 4; i++) {
        w.totals.busy_ns += 3 * 200 * MS;
        span(&w, i < 2 ? 25e6 : 70e6, i < 2 ? 10 : 0);
    }
    assert_true(fabs(3 * response_slowness(&w.response) / by_hand(20, 10000) - 1) < 1e-9);
}

/* Nothing is known of downloads, and without round trips or segments; and late cores make no poor
 * spans. */
static void test_what_is_not_known(void **state)
{
    for (int row = 0; row < 5; row++) {
        struct world w;
        (void)state;
        open_world(&w);
        if (row == 1) w.response.rtt_ns = w.response.at_ns = 0;
        for (int i = 0; i < 4; i++) {
            uint64_t bytes = i < 1 ? 2000000 : 10000000;
            w.totals.delivered_bytes += bytes;
            w.totals.sent_bytes += row == 2 ? bytes / 100 : bytes;
            w.totals.quiet_bytes += row == 2 ? bytes / 100 : bytes;
            w.totals.quiet_losses += 10;
            if (row == 3) w.totals.segment_bytes = w.response.segment_bytes = 0;
            w.now_ns += 200 * MS;
            w.totals.looked_ns = row == 4 ? NS_PER_S : w.now_ns;
            response_tick(&w.response, w.now_ns, &w.totals, row == 1 ? 0 : 50 * MS);
        }
        assert_int_equal(response_slowness(&w.response) > 0, row == 0);
        assert_true(isfinite(response_slowness(&w.response)));
    }
    struct world w;
    open_world(&w);
    span(&w, 10e3, 100); /* each segment */
    span(&w, 70e6, 0);
    span(&w, 70e6, 0);
    assert_true(response_slowness(&w.response) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_few_say_little),
        cmocka_unit_test(test_small_objects),
        cmocka_unit_test(test_what_is_not_known),
    };
    return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
