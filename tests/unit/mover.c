/* One core's slots: how many are wanted, what runs in which, and how a run ends. The hands of a
 * check, probe and range, are the test's own: they end when it says so. */
#include "s3/mover.h"

#include "tests/unit/seat.h"

struct hand {       /* what a slot has under way */
    const void *of; /* the probe or range */
    struct work *work;
    struct op *op;
    bool cancelled;
};

static struct hand hands[WORKS];
static uint32_t hand_count, idle_ranges_asked;

/* --- the hands --- */

static struct hand *hand_of(const void *of)
{
    for (uint32_t i = 0; i < hand_count; i++)
        if (hands[i].of == of) return &hands[i];
    return NULL;
}

static void hand_start(const void *of, struct work *work, struct op *op)
{
    assert_null(hand_of(of)); /* one at a time */
    op_begin(op);
    hands[hand_count++] = (struct hand){.of = of, .work = work, .op = op};
}

/* Its op is done in this turn or the next: until then the slot is busy. */
static void hand_end(struct hand *hand)
{
    struct hand ended = *hand;
    *hand = hands[--hand_count];
    if (ended.cancelled) work_fail(ended.work, ERR_CANCELLED, 0, "");
    core_finish(&core, ended.op, ended.work->result.err);
}

static void hand_cancel(const void *of)
{
    struct hand *hand = hand_of(of);
    if (hand) hand->cancelled = true;
}

bool probe_takes(const struct work *work)
{
    return work->kind == WORK_HEAD;
}

void probe_init(struct probe *probe, struct station *station)
{
    probe->station = station;
}

void probe_fini(struct probe *probe)
{
    assert_null(hand_of(probe));
}

void probe_start(struct probe *probe, struct work *work, struct op *op)
{
    hand_start(probe, work, op);
}

void probe_cancel(struct probe *probe)
{
    hand_cancel(probe);
}

void probe_blame(const struct probe *probe, struct blame_tick *tick, double weight)
{
    (void)probe;
    blame_add(tick, BLAME_FILE, weight);
}

void range_init(struct range *range, struct station *station)
{
    range->station = station;
}

void range_fini(struct range *range)
{
    assert_null(hand_of(range));
}

void range_start(struct range *range, struct work *work, struct op *op)
{
    range->work = work;
    hand_start(range, work, op);
}

void range_cancel(struct range *range)
{
    hand_cancel(range);
}

uint64_t range_left_bytes(const struct range *range)
{
    if (!range->work) idle_ranges_asked++;
    return UINT64_MAX;
}

void range_blame(const struct range *range, struct blame_tick *tick, double weight)
{
    if (!range->work) idle_ranges_asked++;
    blame_add(tick, BLAME_PATH, weight);
}

static int set_up(void **state)
{
    (void)state;
    hand_count = idle_ranges_asked = 0;
    seat_open(MOVER_CHECKS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    do {
        while (hand_count > 0)
            hand_end(&hands[0]);
        if (seat_has_work()) turn();
    } while (seat_has_work());
    seat_close();
    return 0;
}

static uint32_t running(enum task_rank rank)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < hand_count; i++)
        count += hands[i].work->task.rank == rank;
    return count;
}

/* --- tests --- */

/* Parts as the window says, whole objects in proportion, but no more than there are connections. */
static void test_window(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        push(WORK_HEAD, TASK_THEN);
        push(WORK_SUM_OBJECT, TASK_FIRST);
    }
    settle();
    assert_int_equal(running(TASK_FIRST), WINDOW);
    assert_int_equal(running(TASK_THEN), CONNS);
    assert_true(FLOW_OBJECTS * WINDOW > CONNS);
    for (uint32_t i = 0; i < hand_count; i++) { /* each in the hand of its kind */
        uintptr_t at = (uintptr_t)hands[i].of, probes = (uintptr_t)mover.probes;
        bool is_probe = at >= probes && at < probes + mover.slot_count * sizeof *mover.probes;
        assert_int_equal(is_probe, hands[i].work->kind == WORK_HEAD);
    }
    assert_int_equal(returned_count, 0);
}

/* For each that ends another one comes, and what ended goes home, with its result. */
static void test_return(void **state)
{
    uint64_t began_ns = core.now_ns;
    struct work *all[10];
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        all[i] = push(WORK_SUM_OBJECT, TASK_FIRST);
    settle();
    while (returned_count < 10) {
        assert_true(running(TASK_FIRST) <= WINDOW);
        if (hand_count > 0) hand_end(&hands[0]);
        turn();
    }
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(all[i]->result.err, ERR_NONE);
    assert_int_equal(hand_count, 0);
    uint64_t busy_ns = meter_read(&mover.station.clients[0].traffic.busy_ns);
    settle(); /* nothing is busy now */
    assert_int_equal(meter_read(&mover.station.clients[0].traffic.busy_ns), busy_ns);
    assert_in_range(busy_ns, 1, WINDOW * (core.now_ns - began_ns)); /* each moment once */
}

/* A rate that a part of 8 MiB needs longer for than 5 s: one at a time. */
static void test_rate_is_told(void **state)
{
    struct traffic *traffic = &mover.station.clients[0].traffic;
    (void)state;
    settle();
    assert_int_equal(meter_read(&traffic->ration), 0);
    assert_int_equal(meter_read(&traffic->pacing_bytes_per_s), 0);
    budget_set(&budget, MIB, core.now_ns);
    settle();
    assert_int_equal(meter_read(&traffic->ration), 1 + meter_read(&traffic->ration_more));
    assert_true(meter_read(&traffic->pacing_bytes_per_s) > MIB);
    budget_set(&budget, 0, core.now_ns);
    settle();
    assert_int_equal(meter_read(&traffic->ration) + meter_read(&traffic->ration_more), 0);
    assert_int_equal(meter_read(&traffic->pacing_bytes_per_s), 0);
}

/* Downloads: one reply is under way, on another core of sixteen, and soon what its window holds is
 * for the whole rate. */
static void test_windows_are_for_those_in_use(void **state)
{
    const uint64_t rate = 25 * 120000;
    static struct traffic elsewhere;
    (void)state;
    assert_int_equal(steer_join(&steer, &elsewhere), ERR_NONE);
    meter_set(&elsewhere.slot_parts, 1);
    conf.cpu_count = 16;
    budget_set(&budget, rate, core.now_ns);
    for (int i = 0; i < 15; i++)
        settle();
    assert_int_equal(meter_read(&mover.station.clients[0].traffic.window_bytes), rate / 25);
    meter_set(&elsewhere.slot_parts, 2);
    settle();
    assert_true(meter_read(&mover.station.clients[0].traffic.window_bytes) < rate / 25);
    budget_set(&budget, 0, core.now_ns);
    settle();
    conf.cpu_count = 1;
}

/* A core whose share of the parts is none gets some where nobody waits for the rate, though the
 * other one has all parts that it may have. */
static void test_a_core_without_a_share(void **state)
{
    struct traffic *traffic = &mover.station.clients[0].traffic;
    static struct traffic other;
    (void)state;
    assert_int_equal(steer_join(&steer, &other), ERR_NONE);
    meter_set(&other.ration, 100); /* the window leaves it less */
    settle();
    core.index = 1;
    conf.cpu_count = 2;
    budget_set(&budget, MIB, core.now_ns);
    for (int paced = 0; paced < 2; paced++) { /* the other has nothing to do; it waits */
        meter_set(&other.slot_parts, (uint64_t)paced);
        for (uint64_t until_ns = core.now_ns + 2 * RATION_FREE_NS; core.now_ns < until_ns;) {
            if (paced) meter_set(&other.paced_ns, core.now_ns);
            settle();
        }
        assert_int_equal(meter_read(&traffic->ration), 0);
    }
    for (uint64_t until_ns = core.now_ns + 2 * RATION_FREE_NS; core.now_ns < until_ns;)
        settle();
    assert_in_range(meter_read(&traffic->ration), 1, 8);
    budget_set(&budget, 0, core.now_ns);
    core.index = 0;
    conf.cpu_count = 1;
}

static void on_moment(struct op *op)
{
    (void)op;
    while (hand_count > 0)
        hand_end(&hands[0]);
}

/* A probe ends in the turn in which a tick comes, before it: its slot is busy yet, and is asked for
 * what is left of it, and what it waits for. */
static void test_probe_ends_at_a_tick(void **state)
{
    struct timer moment;
    (void)state;
    push(WORK_HEAD, TASK_FIRST);
    while (hand_count == 0)
        turn();
    while (!mover.tick.op.out)
        turn();
    timer_init(&moment, on_moment);
    timer_start(&core.timers, &moment, mover.tick.at_ns - 1);
    while (clock_now_ns() <= mover.tick.at_ns) /* so that both have come */
        usleep(1000);
    while (returned_count == 0)
        turn();
    assert_int_equal(idle_ranges_asked, 0);
}

/* What is in the slots is cancelled; what waits comes back unrun. */
static void test_stop(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        push(i % 2 ? WORK_HEAD : WORK_SUM_OBJECT, TASK_FIRST);
    settle();
    assert_int_equal(hand_count, WINDOW);
    meter_set(&stop, 1);
    while (!hands[0].cancelled)
        turn();
    for (uint32_t i = 0; i < hand_count; i++)
        assert_true(hands[i].cancelled);
    while (hand_count > 0)
        hand_end(&hands[0]);
    while (returned_count < 10) {
        assert_int_equal(hand_count, 0); /* nothing begins any more */
        turn();
    }
    push(WORK_HEAD, TASK_THEN); /* nor does what comes late */
    while (returned_count < 11)
        turn();
    for (uint32_t i = 0; i < 11; i++)
        assert_int_equal(returned[i]->result.err, ERR_CANCELLED);
}

static void test_nothing(void **state)
{
    (void)state;
    settle();
    assert_int_equal(hand_count + returned_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_window),
                                       TEST(test_return),
                                       TEST(test_rate_is_told),
                                       TEST(test_windows_are_for_those_in_use),
                                       TEST(test_a_core_without_a_share),
                                       TEST(test_probe_ends_at_a_tick),
                                       TEST(test_stop),
                                       TEST(test_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
