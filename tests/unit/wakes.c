/* How many wakes messages cost: the rings are the test's own. What happens while a core waits is
 * run inside its ring_turn(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/core.h"

#define CORES  4u
#define PARCEL 40u                        /* messages a turn; six turns' fit a mailbox */
#define FLOOD  (3 * MAILBOX_MESSAGES_MAX) /* more than a mailbox holds */

struct ring {
    uint32_t wakes, waits; /* that came here; turns that would have waited */
};

struct parcel {
    struct msg msg;
    uint32_t *got;
};

static struct core cores[CORES];
static struct core *peers[CORES];
static struct ring *rings[CORES];
static struct parcel parcels[FLOOD];
static uint32_t got[CORES];
static uint32_t opened;
static void (*meanwhile)(void); /* once, while a core waits */

enum err ring_open(struct ring **ring, uint32_t entries, uint32_t completions, int *raw)
{
    (void)entries, (void)completions;
    *ring = calloc(1, sizeof **ring);
    assert_non_null(*ring);
    rings[opened++] = *ring;
    *raw = 0;
    return ERR_NONE;
}

void ring_leave(struct ring *ring)
{
    (void)ring;
}

void ring_close(struct ring *ring)
{
    free(ring);
}

enum err ring_register_arena(struct ring *ring, uint16_t index, void *memory, size_t bytes)
{
    (void)ring, (void)index, (void)memory, (void)bytes;
    return ERR_NONE;
}

void ring_turn(struct ring *ring, uint64_t until_ns, struct list *ready)
{
    void (*run)(void) = meanwhile;
    (void)ready;
    if (until_ns == 0) return;
    ring->waits++;
    if (!run) return;
    meanwhile = NULL;
    run();
}

void ring_wake(struct ring *from, struct ring *to)
{
    (void)from;
    to->wakes++;
}

static int set_up(void **state)
{
    int raw;
    (void)state;
    opened = 0;
    meanwhile = NULL;
    for (uint16_t i = 0; i < CORES; i++) {
        struct core_options options = {.index = i, .cpu = -1, .memory_bytes = MIB, .seed = i};
        assert_int_equal(core_open(&cores[i], &options, &raw), ERR_NONE);
        peers[i] = &cores[i];
        got[i] = 0;
    }
    for (uint16_t i = 0; i < CORES; i++)
        assert_int_equal(core_join(&cores[i], peers, CORES), ERR_NONE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < CORES; i++)
        core_close(&cores[i]);
    return 0;
}

static void on_parcel(struct core *core, struct msg *msg)
{
    (void)core;
    ++*container_of(msg, struct parcel, msg)->got;
}

/* Messages first … first + count − 1. */
static void post(uint16_t from, uint16_t to, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        parcels[i].got = &got[to];
        msg_init(&parcels[i].msg, on_parcel);
        core_post(&cores[from], to, &parcels[i].msg);
    }
}

/* --- what core 0 does while core 1 waits --- */

static void post_a_turn(void)
{
    post(0, 1, 0, PARCEL);
    assert_int_equal(rings[1]->wakes, 0); /* not one by one */
    core_turn(&cores[0], false);
}

static void test_one_wake_a_turn(void **state)
{
    (void)state;
    meanwhile = post_a_turn;
    core_turn(&cores[1], true);
    assert_int_equal(rings[1]->waits, 1);
    assert_int_equal(got[1], PARCEL);
    assert_int_equal(rings[1]->wakes, 1);
}

static void post_for_turns(void)
{
    for (uint32_t turn = 0; turn < 5; turn++) {
        post(0, 1, turn * PARCEL, PARCEL);
        core_turn(&cores[0], false);
    }
    post(2, 1, 5 * PARCEL, PARCEL);
    core_turn(&cores[2], false);
}

/* Who was woken and has not come to it yet is not woken again, whoever sends. */
static void test_one_wake_a_sleep(void **state)
{
    (void)state;
    meanwhile = post_for_turns;
    core_turn(&cores[1], true);
    assert_int_equal(got[1], 6 * PARCEL);
    assert_int_equal(rings[1]->wakes, 1);
    meanwhile = post_a_turn; /* it sleeps again */
    rings[1]->wakes = 0;
    core_turn(&cores[1], true);
    assert_int_equal(got[1], 7 * PARCEL);
    assert_int_equal(rings[1]->wakes, 1);
}

/* Nobody sleeps: none at all, and who finds messages does not wait. */
static void test_none_for_who_is_awake(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 5; turn++) {
        post(0, 1, turn * PARCEL, PARCEL);
        core_turn(&cores[0], false);
    }
    core_turn(&cores[1], true);
    assert_int_equal(got[1], 5 * PARCEL);
    assert_int_equal(rings[1]->wakes + rings[1]->waits, 0);
}

static void flood(void)
{
    post(0, 1, 0, FLOOD);
    core_turn(&cores[0], false);
}

/* What does not fit waits for the next turns: they wake nobody who is at work. */
static void test_more_than_fit(void **state)
{
    (void)state;
    meanwhile = flood;
    core_turn(&cores[1], true);
    assert_int_equal(got[1], MAILBOX_MESSAGES_MAX);
    for (uint32_t turn = 0; got[1] < FLOOD; turn++) {
        assert_true(turn < 10);
        core_turn(&cores[0], false);
        core_turn(&cores[1], false);
    }
    assert_int_equal(rings[1]->wakes, 1);
}

static void sleep_and_post_to_all(void)
{
    if (rings[3]->waits == 0) {
        meanwhile = sleep_and_post_to_all;
        core_turn(rings[2]->waits == 0 ? &cores[2] : &cores[3], true);
        return;
    }
    for (uint32_t i = 0; i < PARCEL; i++)
        for (uint16_t to = 1; to < CORES; to++)
            post(0, to, 3 * i + to - 1, 1);
    core_turn(&cores[0], false);
}

/* Three sleep: one each, as they are served in turns. */
static void test_one_a_receiver(void **state)
{
    (void)state;
    meanwhile = sleep_and_post_to_all;
    core_turn(&cores[1], true);
    for (uint16_t to = 1; to < CORES; to++) {
        assert_int_equal(got[to], PARCEL);
        assert_int_equal(rings[to]->wakes, 1);
    }
    assert_int_equal(rings[0]->wakes, 0);
}

static struct op ops[PARCEL];
static uint32_t done;

static void on_op(struct op *op)
{
    (void)op;
    done++;
}

static void finish_all(void)
{
    for (uint32_t i = 0; i < PARCEL; i++)
        core_finish_remote(&cores[1], &ops[i]);
    post(0, 1, 0, PARCEL);
    core_turn(&cores[0], false);
}

/* Ops that other threads finish: the first one wakes; and messages with them. */
static void test_one_for_finished_ops(void **state)
{
    (void)state;
    done = 0;
    for (uint32_t i = 0; i < PARCEL; i++) {
        op_init(&ops[i], on_op);
        op_begin(&ops[i]);
    }
    meanwhile = finish_all;
    core_turn(&cores[1], true);
    assert_int_equal(got[1], PARCEL);
    while (done < PARCEL)
        core_turn(&cores[1], false);
    assert_int_equal(rings[1]->wakes, 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_wake_a_turn), TEST(test_one_wake_a_sleep), TEST(test_none_for_who_is_awake),
        TEST(test_more_than_fit),   TEST(test_one_a_receiver),   TEST(test_one_for_finished_ops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
