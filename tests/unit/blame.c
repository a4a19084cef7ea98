#include "sched/blame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/check.h"
#include "core/rand.h"

#define TICK_NS (50 * NS_PER_MS)

static struct blame_totals read_all(const struct blame *blame)
{
    struct blame_totals totals = {.staging_ns = 0};
    blame_add_up(blame, &totals);
    return totals;
}

static void begin(struct blame_tick *tick, double filled, enum blame_cause idle)
{
    blame_tick_init(tick, 10 * NS_PER_S, TICK_NS);
    tick->filled = filled;
    tick->idle = idle;
}

static void near(uint64_t ns, double expected)
{
    if (ns + 2 < (uint64_t)expected || ns > (uint64_t)expected + 2)
        fail_msg("%llu ns, expected %.0f", (unsigned long long)ns, expected);
}

/* The CPU takes its part first; the rest is shared by weight, and by how full the slots are. */
static void test_settle(void **state)
{
    struct blame blame = {0};
    struct blame_tick tick;
    (void)state;
    begin(&tick, 0.75, BLAME_FEW);
    tick.ran_ns = TICK_NS / 5;
    tick.waited_ns = TICK_NS / 10;
    blame_add(&tick, BLAME_ANSWER, 1);
    blame_add(&tick, BLAME_ANSWER, 1);
    blame_add(&tick, BLAME_FILE, 1);
    blame_settle(&blame, &tick);
    struct blame_totals totals = read_all(&blame);
    assert_int_equal(blame_total_ns(&totals), TICK_NS);
    assert_int_equal(totals.ns[BLAME_RUNNING], TICK_NS / 5);
    assert_int_equal(totals.ns[BLAME_CPU_TAKEN], TICK_NS / 10);
    near(totals.ns[BLAME_FEW], 0.7 * 0.25 * (double)TICK_NS);
    near(totals.ns[BLAME_ANSWER], 0.7 * 0.75 * 2 / 3 * (double)TICK_NS);
    near(totals.ns[BLAME_FILE], 0.7 * 0.75 / 3 * (double)TICK_NS);
    assert_int_equal(blame_greatest(&totals), BLAME_KIND_SERVER);
    assert_int_equal(blame_greatest_of(&totals, BLAME_KIND_CPU), BLAME_RUNNING);
}

/* Clocks that were read at different moments may claim more than has passed. */
static void test_more_than_passed(void **state)
{
    struct blame blame = {0};
    struct blame_tick tick;
    (void)state;
    begin(&tick, 1, BLAME_FEW);
    tick.ran_ns = TICK_NS + 1;
    tick.waited_ns = TICK_NS;
    blame_add(&tick, BLAME_ANSWER, 1);
    blame_settle(&blame, &tick);
    struct blame_totals totals = read_all(&blame);
    assert_int_equal(totals.ns[BLAME_RUNNING], TICK_NS);
    assert_int_equal(blame_total_ns(&totals), TICK_NS);
}

/* Who waits for buffers waits for those that hold them; where nobody does, --memory is too small.
 * */
static void test_staging(void **state)
{
    struct blame blame = {0};
    struct blame_tick tick;
    (void)state;
    begin(&tick, 1, BLAME_FEW);
    blame_add_staging(&tick, false, 3);
    blame_add(&tick, BLAME_PATH, 1);
    blame_settle(&blame, &tick);
    struct blame_totals totals = read_all(&blame);
    assert_int_equal(totals.ns[BLAME_PATH], TICK_NS);
    assert_int_equal(totals.staging_ns, TICK_NS / 4 * 3);
    begin(&tick, 1, BLAME_FEW);
    blame_add_staging(&tick, false, 1);
    blame_settle(&blame, &tick);
    totals = read_all(&blame);
    assert_int_equal(totals.ns[BLAME_MEMORY], TICK_NS);
    assert_int_equal(blame_total_ns(&totals), 2 * TICK_NS);
}

/* No --memory helps who waits until the machine has found some. */
static void test_growing(void **state)
{
    struct blame blame = {0};
    struct blame_tick tick;
    (void)state;
    begin(&tick, 1, BLAME_FEW);
    blame_add_staging(&tick, true, 2);
    blame_add_staging(&tick, false, 1);
    blame_add(&tick, BLAME_PATH, 1);
    blame_settle(&blame, &tick);
    struct blame_totals totals = read_all(&blame);
    assert_int_equal(totals.ns[BLAME_PATH], TICK_NS);
    assert_int_equal(totals.staging_ns, TICK_NS / 4);
    begin(&tick, 1, BLAME_FEW);
    blame_add_staging(&tick, true, 1);
    blame_settle(&blame, &tick);
    totals = read_all(&blame);
    assert_int_equal(totals.staging_ns, TICK_NS / 4);
    assert_int_equal(totals.ns[BLAME_GROWING], TICK_NS);
    assert_int_equal(totals.ns[BLAME_MEMORY], 0);
    begin(&tick, 1, BLAME_FEW);
    blame_add_staging(&tick, true, 1);
    blame_add_staging(&tick, false, 3);
    blame_settle(&blame, &tick);
    totals = read_all(&blame);
    assert_int_equal(totals.ns[BLAME_GROWING], TICK_NS / 4 * 5);
    assert_int_equal(totals.ns[BLAME_MEMORY], TICK_NS / 4 * 3);
    assert_int_equal(blame_total_ns(&totals), 3 * TICK_NS);
}

/* A core that only plans has its CPU, and what all lack. */
static void test_no_slot(void **state)
{
    struct blame blame = {0};
    struct blame_tick tick;
    (void)state;
    begin(&tick, 0.5, BLAME_FINDING);
    tick.ran_ns = TICK_NS / 2;
    blame_settle(&blame, &tick);
    struct blame_totals totals = read_all(&blame);
    assert_int_equal(totals.ns[BLAME_RUNNING], TICK_NS / 2);
    assert_int_equal(totals.ns[BLAME_FINDING], TICK_NS / 4);
    assert_int_equal(blame_total_ns(&totals), TICK_NS / 4 * 3);
}

/* Whatever is added, nothing is lost or found in rounding, and the shares are 100. */
static void test_sums(void **state)
{
    struct blame blame = {0};
    struct rand rand;
    uint64_t passed_ns = 0;
    (void)state;
    rand_init(&rand, 4);
    for (uint32_t round = 0; round < 2000; round++) {
        struct blame_tick tick;
        uint32_t percents[BLAME_KINDS], sum = 0;
        blame_tick_init(&tick, round * TICK_NS, 1 + rand_below(&rand, 2 * TICK_NS));
        tick.filled = (double)rand_below(&rand, 1001) / 1000;
        tick.idle = (enum blame_cause)rand_below(&rand, BLAME_CAUSES);
        tick.ran_ns = rand_below(&rand, TICK_NS);
        tick.waited_ns = rand_below(&rand, TICK_NS);
        for (uint32_t i = 0; i < 1 + rand_below(&rand, 300); i++)
            blame_add(&tick, (enum blame_cause)rand_below(&rand, BLAME_CAUSES),
                      1.0 / (double)(1 + rand_below(&rand, 9)));
        blame_settle(&blame, &tick);
        passed_ns += tick.passed_ns;
        struct blame_totals totals = read_all(&blame);
        assert_int_equal(blame_total_ns(&totals), passed_ns);
        assert_true(blame_shares(&totals, percents));
        for (uint32_t kind = 0; kind < BLAME_KINDS; kind++)
            sum += percents[kind];
        assert_int_equal(sum, 100);
    }
}

static void test_shares(void **state)
{
    struct blame_totals totals = {.staging_ns = 7}, before = {.staging_ns = 5}, since;
    uint32_t percents[BLAME_KINDS];
    (void)state;
    assert_false(blame_shares(&totals, percents));
    assert_int_equal(percents[BLAME_KIND_NO_WORK], 0);
    totals.ns[BLAME_FILE] = totals.ns[BLAME_ANSWER] = totals.ns[BLAME_FEW] = 1; /* thirds */
    assert_true(blame_shares(&totals, percents));
    assert_int_equal(percents[BLAME_KIND_DISK] + percents[BLAME_KIND_SERVER] +
                         percents[BLAME_KIND_NO_WORK],
                     100);
    assert_int_equal(percents[BLAME_KIND_SERVER], 33);
    totals.ns[BLAME_CONTROL] = 500;
    totals.ns[BLAME_ANSWER] = 499;
    before.ns[BLAME_CONTROL] = 490;
    assert_int_equal(blame_kind_ns(&totals, BLAME_KIND_SERVER), 999);
    assert_int_equal(blame_greatest_of(&totals, BLAME_KIND_SERVER), BLAME_CONTROL);
    blame_since(&totals, &before, &since);
    assert_int_equal(since.ns[BLAME_CONTROL], 10);
    assert_int_equal(since.staging_ns, 2);
    assert_string_equal(blame_kind_name(BLAME_KIND_NETWORK_WINDOW), "network_window");
}

/* --- what a connection waits for --- */

static void test_sending(void **state)
{
    static const struct {
        uint64_t busy_ms, peer_ms, ours_ms; /* as TCP counts them, in its coarse ticks */
        double path, peer, ours;
    } rows[] = {
        {50, 0, 0, 1, 0, 0},        {50, 40, 0, 0, 1, 0},      {50, 5, 20, 0, 0.2, 0.8},
        {50, 12, 0, 0.76, 0.24, 0}, {50, 5, 5, 0.8, 0.1, 0.1}, {50, 13, 0, 0, 1, 0},
        {0, 0, 0, 1, 0, 0},         {40, 60, 0, 0, 1, 0},      {40, 10, 60, 0, 0.25, 0.75},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct blame_wire wire = {.busy_ns = rows[i].busy_ms * NS_PER_MS,
                                  .peer_window_ns = rows[i].peer_ms * NS_PER_MS,
                                  .send_buffer_ns = rows[i].ours_ms * NS_PER_MS};
        struct blame blame = {0};
        struct blame_tick tick;
        begin(&tick, 1, BLAME_FEW);
        blame_add_sending(&tick, &wire, 0.3);
        blame_settle(&blame, &tick);
        struct blame_totals totals = read_all(&blame);
        near(totals.ns[BLAME_PATH], rows[i].path * (double)TICK_NS);
        near(totals.ns[BLAME_PEER_WINDOW], rows[i].peer * (double)TICK_NS);
        near(totals.ns[BLAME_SEND_BUFFER], rows[i].ours * (double)TICK_NS);
    }
}

static enum blame_cause only_cause(const struct blame_tick *tick)
{
    struct blame blame = {0};
    blame_settle(&blame, tick);
    struct blame_totals totals = read_all(&blame);
    for (uint32_t i = 0; i < BLAME_CAUSES; i++)
        if (totals.ns[i] == TICK_NS) return (enum blame_cause)i;
    fail_msg("more than one cause");
    return BLAME_CAUSES;
}

/* What we gave to the kernel is not there yet; then comes the round trip; then it is the server. */
static void test_answer(void **state)
{
    static const struct {
        uint64_t unsent_bytes, unanswered_bytes, sent_ms_ago;
        enum blame_cause cause;
    } rows[] = {
        {1, 0, 500, BLAME_PATH},     {0, 5000, 500, BLAME_PATH}, {0, 2000, 500, BLAME_ANSWER},
        {0, 2000, 29, BLAME_PATH},   {0, 0, 29, BLAME_PATH},     {0, 0, 31, BLAME_ANSWER},
        {0, 0, 11000, BLAME_ANSWER},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct blame_wire wire = {.unsent_bytes = rows[i].unsent_bytes,
                                  .unanswered_bytes = rows[i].unanswered_bytes,
                                  .segment_bytes = 1400,
                                  .rtt_min_ns = 30 * NS_PER_MS};
        struct blame_tick tick;
        begin(&tick, 1, BLAME_FEW);
        uint64_t ago_ns = min_u64(rows[i].sent_ms_ago * NS_PER_MS, tick.now_ns);
        blame_add_answer(&tick, &wire, tick.now_ns - ago_ns, 1);
        if (only_cause(&tick) != rows[i].cause) fail_msg("row %zu", i);
    }
}

/* 50 ms: so much in a round trip of 20 ms is 2/5 of what came. */
static void test_receiving(void **state)
{
    static const struct {
        uint64_t received_bytes, window_bytes;
        bool paced;
        enum blame_cause cause;
    } rows[] = {
        {1000000, 4000000, false, BLAME_PATH}, {1000000, 400000, false, BLAME_OUR_WINDOW},
        {1000000, 400000, true, BLAME_PACE},   {1000000, 600000, true, BLAME_PATH},
        {1000000, 0, false, BLAME_PATH},       {0, 65536, false, BLAME_PATH},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct blame_wire wire = {.received_bytes = rows[i].received_bytes,
                                  .window_bytes = rows[i].window_bytes,
                                  .window_is_paced = rows[i].paced,
                                  .rtt_min_ns = 20 * NS_PER_MS};
        struct blame_tick tick;
        begin(&tick, 1, BLAME_FEW);
        blame_add_receiving(&tick, &wire, 1);
        if (only_cause(&tick) != rows[i].cause) fail_msg("row %zu", i);
    }
}

/* --- a run, in virtual time --- */

struct station {
    enum blame_cause cause;
    double service_ns; /* of one request */
    uint32_t servers;  /* at a time; 0: any number */
    enum blame_kind kind;
};

/* Parts go round a disk, a path and a server, as many as there are slots. The slowest of the three
 * is where most of them are, and has the greatest share, wherever it is. */
static enum blame_kind simulate(const struct station *stations, uint32_t count, uint32_t slots)
{
    uint32_t at[64] = {0}, order[64];
    double left_ns[64], step_ns = (double)NS_PER_MS;
    struct blame blame = {0};
    CHECK(slots <= 64);
    for (uint32_t i = 0; i < slots; i++) {
        left_ns[i] = stations[0].service_ns;
        order[i] = i; /* first come, first served */
    }
    for (uint32_t ms = 1; ms <= 20000; ms++) {
        uint32_t served[8] = {0}, went[64], stayed[64], gone = 0, rest = 0;
        for (uint32_t k = 0; k < slots; k++) {
            uint32_t i = order[k], s = at[i];
            bool moves = stations[s].servers == 0 || served[s]++ < stations[s].servers;
            if (moves) left_ns[i] -= step_ns;
            if (left_ns[i] > 0) {
                stayed[rest++] = i;
                continue;
            }
            at[i] = (s + 1) % count;
            left_ns[i] = stations[at[i]].service_ns;
            went[gone++] = i;
        }
        memcpy(order, stayed, rest * sizeof *order);
        memcpy(order + rest, went, gone * sizeof *order);
        if (ms % 50 != 0) continue;
        struct blame_tick tick;
        blame_tick_init(&tick, ms * NS_PER_MS, TICK_NS);
        tick.ran_ns = TICK_NS / 10;
        for (uint32_t i = 0; i < slots; i++)
            blame_add(&tick, stations[at[i]].cause, 1);
        blame_settle(&blame, &tick);
    }
    struct blame_totals totals = read_all(&blame);
    assert_int_equal(blame_total_ns(&totals), 400 * TICK_NS);
    return blame_greatest(&totals);
}

static void test_slowest_is_named(void **state)
{
    struct station stations[] = {{BLAME_FILE, 7e6, 1, BLAME_KIND_DISK},
                                 {BLAME_PATH, 7e6, 1, BLAME_KIND_NETWORK_WINDOW},
                                 {BLAME_ANSWER, 7e6, 1, BLAME_KIND_SERVER}};
    (void)state;
    for (uint32_t slowest = 0; slowest < 3; slowest++)
        for (uint32_t slots = 4; slots <= 64; slots *= 2) {
            stations[slowest].service_ns = 13e6;
            assert_int_equal(simulate(stations, 3, slots), stations[slowest].kind);
            stations[slowest].service_ns = 7e6;
        }
    stations[2].servers = 0; /* it answers all at once, but late */
    stations[2].service_ns = 400e6;
    assert_int_equal(simulate(stations, 3, 8), BLAME_KIND_SERVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settle),           cmocka_unit_test(test_more_than_passed),
        cmocka_unit_test(test_staging),          cmocka_unit_test(test_growing),
        cmocka_unit_test(test_no_slot),          cmocka_unit_test(test_sums),
        cmocka_unit_test(test_shares),           cmocka_unit_test(test_sending),
        cmocka_unit_test(test_answer),           cmocka_unit_test(test_receiving),
        cmocka_unit_test(test_slowest_is_named),
    };
    return cmocka_run_group_tests_name("blame", tests, NULL, NULL);
}
