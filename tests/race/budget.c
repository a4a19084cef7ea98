/* budget: several cores claim from one schedule while another thread changes the rate. For
 * ThreadSanitizer (make race). Whatever the interleaving: in each phase the cores together never
 * get more than the rate allows, and no core starves. How much they get depends on how often they
 * run, so that is only bounded from above. */
#include "sched/budget.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/meter.h"
#include "sched/pace.h"

#define CORES    4u
#define PHASE_NS (100 * NS_PER_MS)

struct worker {
    struct budget_share share;
    struct meter bytes;
    pthread_t thread;
};

static struct budget budget;
static struct worker workers[CORES];
static _Atomic bool over;

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct gate *gate = &worker->share.gate;
    while (!atomic_load(&over)) {
        uint64_t again_ns = 0, now_ns = clock_now_ns();
        uint32_t granted = gate->ask(gate, now_ns, 64 * 1024, &again_ns);
        assert_true(granted > 0 || again_ns > now_ns);
        if (granted == 0) {
            struct timespec nap = {.tv_nsec = 50000};
            nanosleep(&nap, NULL);
            continue;
        }
        meter_add(&worker->bytes, granted);
    }
    return NULL;
}

static uint64_t moved(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < CORES; i++)
        bytes += meter_read(&workers[i].bytes);
    return bytes;
}

static void nap_until(uint64_t at_ns)
{
    while (clock_now_ns() < at_ns) {
        struct timespec nap = {.tv_nsec = 1000000};
        nanosleep(&nap, NULL);
    }
}

static void test_claims_and_changes(void **state)
{
    static const uint64_t rates[] = {50000000, 5000, 400000000, 10000000, 1000000000, 20000000};
    (void)state;
    budget_init(&budget);
    budget_set(&budget, rates[0], clock_now_ns());
    for (uint32_t i = 0; i < CORES; i++) {
        budget_share_init(&workers[i].share, &budget, NULL);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(rates); i++) {
        uint64_t last = rates[i > 0 ? i - 1 : 0], begin_ns = clock_now_ns(), before = moved();
        budget_set(&budget, rates[i], begin_ns);
        nap_until(begin_ns + PHASE_NS);
        uint64_t span_ns = clock_now_ns() - begin_ns + PACE_CATCH_UP_NS;
        uint64_t higher = max_u64(last, rates[i]); /* grants of before may be under way */
        uint64_t most = rates[i] / 1000 * (span_ns / NS_PER_MS) +
                        2 * CORES * (uint64_t)pace_quantum_bytes(higher) +
                        higher / 1000 * (PACE_CATCH_UP_NS / NS_PER_MS);
        uint64_t bytes = moved() - before;
        if (bytes > most)
            fail_msg("phase %u: %llu bytes, at most %llu", i, (unsigned long long)bytes,
                     (unsigned long long)most);
        if (rates[i] >= 10000000) assert_true(bytes > 0);
    }
    atomic_store(&over, true);
    for (uint32_t i = 0; i < CORES; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_true(meter_read(&workers[i].bytes) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_claims_and_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
