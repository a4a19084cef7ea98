/* Uploads of one core: how many are begun, and how many of them are sent, as more is staged ahead
 * or less. The parts are the test's own: they are read, and end, when it says so. */
#include "s3/mover.h"

#include "tests/unit/seat.h"

enum does { READING, QUEUING, SENDING };

struct hand { /* what a slot has under way */
    struct part *part;
    struct work *work;
    struct op *op;
    struct op turn;
    enum does does;
    bool cancelled;
};

static struct hand hands[WORKS]; /* in place while they are used: part NULL is free */

/* --- the hands --- */

static struct hand *hand_of(const struct part *part)
{
    for (uint32_t i = 0; i < WORKS; i++)
        if (hands[i].part == part) return &hands[i];
    return NULL;
}

static struct semaphore *senders(const struct hand *hand)
{
    return &mover.station.senders[hand->work->task.rank];
}

static void hand_end(struct hand *hand)
{
    if (hand->does == SENDING) semaphore_give(senders(hand));
    if (hand->cancelled) work_fail(hand->work, ERR_CANCELLED, 0, "");
    hand->part = NULL;
    core_finish(&core, hand->op, hand->work->result.err);
}

static void on_turn(struct op *op)
{
    struct hand *hand = container_of(op, struct hand, turn);
    if (!op->err) hand->does = SENDING;
    if (op->err) hand_end(hand);
}

void part_init(struct part *part, struct station *station)
{
    part->station = station;
}

void part_fini(struct part *part)
{
    assert_null(hand_of(part));
}

void part_start(struct part *part, struct work *work, struct op *op)
{
    struct hand *hand = hand_of(NULL);
    assert_non_null(hand);
    assert_null(hand_of(part)); /* one at a time */
    op_begin(op);
    *hand = (struct hand){.part = part, .work = work, .op = op, .does = READING};
    op_init(&hand->turn, on_turn);
}

void part_start_pipe(struct part *part, struct work *work, struct source *pipe, struct op *staged,
                     struct op *op)
{
    (void)part, (void)work, (void)pipe, (void)staged, (void)op;
    fail();
}

void part_go(struct part *part)
{
    (void)part;
}

bool part_is_reading(const struct part *part)
{
    return hand_of(part)->does == READING;
}

void part_cancel(struct part *part)
{
    struct hand *hand = hand_of(part);
    hand->cancelled = true;
    semaphore_cancel(senders(hand), &hand->turn);
}

void part_blame(const struct part *part, struct blame_tick *tick, double weight)
{
    (void)part;
    blame_add(tick, BLAME_PATH, weight);
}

uint64_t part_moved_bytes(const struct part *part)
{
    (void)part;
    return 0;
}

uint64_t part_staged_bytes_max(const struct station *station)
{
    (void)station;
    return MIB;
}

static void read_is_over(struct hand *hand)
{
    assert_int_equal(hand->does, READING);
    hand->does = semaphore_try_take(senders(hand)) ? SENDING : QUEUING;
    if (hand->does == QUEUING) semaphore_take(senders(hand), &hand->turn);
}

static int set_up(void **state)
{
    (void)state;
    memset(hands, 0, sizeof hands);
    seat_open(MOVER_UPLOADS);
    return 0;
}

static uint32_t count_of(enum task_rank rank, enum does does)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < WORKS; i++)
        count += hands[i].part && hands[i].work->task.rank == rank && hands[i].does == does;
    return count;
}

static uint32_t begun(enum task_rank rank)
{
    return count_of(rank, READING) + count_of(rank, QUEUING) + count_of(rank, SENDING);
}

static void read_all(void)
{
    for (uint32_t i = 0; i < WORKS; i++)
        if (hands[i].part && hands[i].does == READING) read_is_over(&hands[i]);
    settle();
}

static void end_one(enum task_rank rank)
{
    for (uint32_t i = 0; i < WORKS; i++) {
        if (!hands[i].part || hands[i].work->task.rank != rank || hands[i].does != SENDING)
            continue;
        hand_end(&hands[i]);
        return;
    }
    fail();
}

static int tear_down(void **state)
{
    (void)state;
    while (seat_has_work()) {
        for (uint32_t i = 0; i < WORKS; i++) {
            if (!hands[i].part) continue;
            if (hands[i].does == READING) read_is_over(&hands[i]);
            if (hands[i].does == SENDING) hand_end(&hands[i]);
        }
        turn();
    }
    seat_close();
    return 0;
}

static void push_all(enum task_rank rank, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        push(rank == TASK_FIRST ? WORK_PART : WORK_PUT, rank);
}

/* --- tests --- */

/* What is staged ahead is begun and read, and waits; a place that gets free is its own. */
static void test_ahead(void **state)
{
    (void)state;
    meter_set(&steer.staged_ahead, 2);
    push_all(TASK_FIRST, 12);
    push_all(TASK_THEN, 30);
    settle();
    assert_int_equal(begun(TASK_FIRST), WINDOW + 2);
    assert_int_equal(begun(TASK_THEN), CONNS + 2 * FLOW_OBJECTS); /* 9 may, and 8 have one */
    read_all();
    assert_int_equal(count_of(TASK_FIRST, SENDING), WINDOW);
    assert_int_equal(count_of(TASK_FIRST, QUEUING), 2);
    assert_int_equal(count_of(TASK_THEN, SENDING), CONNS);
    assert_int_equal(meter_read(&mover.station.clients[0].traffic.ready), 2 + 2);
    end_one(TASK_FIRST);
    settle();
    assert_int_equal(count_of(TASK_FIRST, SENDING), WINDOW);
    assert_int_equal(begun(TASK_FIRST), WINDOW + 2);
}

/* Without it all that is begun is sent, and nothing waits. */
static void test_none_ahead(void **state)
{
    (void)state;
    push_all(TASK_FIRST, 12);
    settle();
    assert_int_equal(begun(TASK_FIRST), WINDOW);
    read_all();
    assert_int_equal(count_of(TASK_FIRST, SENDING), WINDOW);
    assert_int_equal(meter_read(&mover.station.clients[0].traffic.ready), 0);
}

/* One after the other, until so many have come home; meanwhile never more are sent than the window
 * has, or were sent before. */
static void end_until(uint32_t count)
{
    while (returned_count < count) {
        uint32_t before = returned_count, most = count_of(TASK_FIRST, SENDING);
        end_one(TASK_FIRST);
        while (returned_count == before)
            turn();
        read_all();
        assert_true(count_of(TASK_FIRST, SENDING) <= max_u64(most, steer_share(&steer, 0)));
    }
}

/* Taken back while some wait: nothing is sent for that alone, nobody waits for ever, and soon no
 * more are begun than the window has. */
static void test_taken_back(void **state)
{
    (void)state;
    meter_set(&steer.staged_ahead, 4);
    push_all(TASK_FIRST, 30);
    settle();
    read_all();
    assert_int_equal(count_of(TASK_FIRST, QUEUING), 4);
    meter_set(&steer.staged_ahead, 0);
    settle();
    assert_int_equal(count_of(TASK_FIRST, SENDING), WINDOW);
    assert_int_equal(count_of(TASK_FIRST, QUEUING), 4);
    end_until(14);
    assert_int_equal(count_of(TASK_FIRST, QUEUING), 0);
    assert_true(begun(TASK_FIRST) <= WINDOW);
    end_until(30);
}

/* A cut of the window, and of what is staged with it. */
static void test_cut(void **state)
{
    (void)state;
    meter_set(&steer.window, 8);
    meter_set(&steer.staged_ahead, 8);
    push_all(TASK_FIRST, 40);
    for (uint32_t i = 0; i < 3; i++)
        settle();
    read_all();
    assert_int_equal(count_of(TASK_FIRST, SENDING), 8);
    assert_int_equal(count_of(TASK_FIRST, QUEUING), 8);
    meter_set(&steer.window, 4);
    settle();
    meter_set(&steer.staged_ahead, 4);
    settle();
    assert_int_equal(count_of(TASK_FIRST, SENDING), 8);
    end_until(24);
    assert_int_equal(count_of(TASK_FIRST, SENDING), 4);
    assert_int_equal(begun(TASK_FIRST), 8);
    end_until(40);
}

/* Where a rate is the limit nothing is staged ahead; and what was begun is sent, in whatever part
 * of the rate this core has. */
static void test_rate(void **state)
{
    (void)state;
    meter_set(&steer.staged_ahead, 2);
    push_all(TASK_FIRST, 20);
    settle();
    read_all();
    budget_set(&budget, MIB, core.now_ns); /* one part at a time */
    settle();
    end_until(12);
    assert_int_equal(count_of(TASK_FIRST, QUEUING), 0);
    assert_true(begun(TASK_FIRST) <= WINDOW);
}

/* In flight is what has a place in the window: what is staged beyond it is not. */
static void test_flight(void **state)
{
    struct traffic *traffic = &mover.station.clients[0].traffic;
    (void)state;
    meter_set(&steer.staged_ahead, 3);
    push_all(TASK_FIRST, 12);
    settle();
    read_all();
    uint64_t busy_ns = meter_read(&traffic->busy_ns), from_ns = core.now_ns;
    settle();
    busy_ns = meter_read(&traffic->busy_ns) - busy_ns;
    assert_true(busy_ns <= WINDOW * (core.now_ns - from_ns + 2 * MOVER_TICK_NS));
    assert_true(busy_ns > 0);
}

/* Free places count as far as parts are being read for them, and there is work for all. */
static void test_starved(void **state)
{
    struct traffic *traffic = &mover.station.clients[0].traffic;
    (void)state;
    settle();
    push_all(TASK_FIRST, WINDOW - 1);
    settle();
    assert_int_equal(meter_read(&traffic->starved_ns), 0); /* work is what lacks */
    push_all(TASK_FIRST, 1);
    uint64_t from_ns = core.now_ns;
    while (meter_read(&traffic->starved_ns) == 0)
        turn();
    uint64_t passed_ns = core.now_ns - from_ns + MOVER_TICK_NS;
    assert_true(meter_read(&traffic->starved_ns) <= WINDOW * passed_ns);
    read_all();
    uint64_t starved_ns = meter_read(&traffic->starved_ns);
    settle();
    assert_int_equal(meter_read(&traffic->starved_ns), starved_ns);
}

static void test_stop(void **state)
{
    (void)state;
    meter_set(&steer.staged_ahead, 2);
    push_all(TASK_FIRST, 12);
    settle();
    read_all();
    meter_set(&stop, 1);
    while (count_of(TASK_FIRST, QUEUING) > 0)
        turn();
    while (count_of(TASK_FIRST, SENDING) > 0)
        end_one(TASK_FIRST);
    while (returned_count < 12)
        turn();
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(returned[i]->result.err, ERR_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ahead), TEST(test_none_ahead), TEST(test_taken_back), TEST(test_cut),
        TEST(test_rate),  TEST(test_flight),     TEST(test_starved),    TEST(test_stop)};
    return cmocka_run_group_tests_name("staging", tests, NULL, NULL);
}
