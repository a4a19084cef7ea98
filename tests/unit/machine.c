/* The table-driven state machine: its order, its waits, its ways out. */
#include "core/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Two ops are out at once, then one after the other four times, then the end, through a way out
 * with an op of its own where something failed. */
enum toy_state {
    TOY_BOTH,
    TOY_BOTH_ING,
    TOY_MANY,
    TOY_GOOD_END,
    TOY_LEAVE,
    TOY_LEAVING,
    TOY_BAD_END,
    TOY_STATES
};

static const char *const toy_names[TOY_STATES] = {
    "BOTH", "BOTH_ING", "MANY", "GOOD_END", "LEAVE", "LEAVING", "BAD_END",
};

#define TOY_ROUNDS 4u

struct toy {
    struct machine machine;
    struct op first, second;
    struct op owner;
    enum err refuse;           /* BOTH fails with it, without starting anything */
    uint32_t rounds, owners;   /* runs of MANY; ends */
    uint32_t seen[TOY_STATES]; /* how often a state's row ran */
};

static struct core core;
static struct toy toy;

static struct toy *toy_of(struct machine *machine)
{
    return container_of(machine, struct toy, machine);
}

static void toy_start_op(struct toy *t, struct op *op)
{
    machine_begin(&t->machine);
    op_begin(op);
}

static uint32_t toy_both(struct machine *machine)
{
    struct toy *t = toy_of(machine);
    t->seen[TOY_BOTH]++;
    machine_fail(machine, t->refuse, 7);
    if (t->refuse) return TOY_MANY;
    toy_start_op(t, &t->first);
    toy_start_op(t, &t->second);
    return TOY_BOTH_ING;
}

/* Acts again whenever an op of it came home. */
static uint32_t toy_many(struct machine *machine)
{
    struct toy *t = toy_of(machine);
    t->seen[TOY_MANY]++;
    if (machine->busy > 0) return TOY_MANY;
    if (t->rounds == TOY_ROUNDS) return TOY_GOOD_END;
    t->rounds++;
    toy_start_op(t, &t->first);
    return TOY_MANY;
}

static uint32_t toy_leave(struct machine *machine)
{
    struct toy *t = toy_of(machine);
    t->seen[TOY_LEAVE]++;
    toy_start_op(t, &t->first);
    return TOY_LEAVING;
}

static uint32_t toy_end(struct machine *machine)
{
    toy_of(machine)->seen[machine->state]++;
    return MACHINE_END;
}

static const struct machine_row toy_rows[TOY_STATES] = {
    [TOY_BOTH] = {toy_both, 0},   [TOY_BOTH_ING] = {NULL, TOY_MANY},
    [TOY_MANY] = {toy_many, 0},   [TOY_GOOD_END] = {toy_end, 0},
    [TOY_LEAVE] = {toy_leave, 0}, [TOY_LEAVING] = {NULL, TOY_BAD_END},
    [TOY_BAD_END] = {toy_end, 0},
};

static const struct machine_kind toy_kind = {
    .trace = {"toy", toy_names, TOY_STATES},
    .rows = toy_rows,
    .on_error = TOY_LEAVE,
};

static void on_first(struct op *op)
{
    machine_settle(&container_of(op, struct toy, first)->machine, op);
}

static void on_second(struct op *op)
{
    struct toy *t = container_of(op, struct toy, second);
    /* This one's own failure is foreseen. */
    if (op->err == ERR_FILE_EXISTS)
        machine_settle_quietly(&t->machine);
    else
        machine_settle(&t->machine, op);
}

static void on_owner(struct op *op)
{
    container_of(op, struct toy, owner)->owners++;
}

static void finish(struct op *op, enum err err, int raw)
{
    op->raw = raw;
    core_finish(&core, op, err);
    core_turn(&core, false);
}

static void start(void)
{
    machine_start(&toy.machine, &toy_kind, &core, &toy.owner);
}

static int set_up(void **state)
{
    (void)state;
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB};
    int raw;
    memset(&toy, 0, sizeof toy);
    op_init(&toy.first, on_first);
    op_init(&toy.second, on_second);
    op_init(&toy.owner, on_owner);
    return core_open(&core, &options, &raw) == ERR_NONE ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    core_close(&core);
    return 0;
}

static void test_all_goes_well(void **state)
{
    (void)state;
    start();
    assert_true(machine_is_running(&toy.machine));
    assert_int_equal(toy.machine.state, TOY_BOTH_ING);
    assert_int_equal(toy.machine.busy, 2);
    finish(&toy.second, ERR_NONE, 0);
    assert_int_equal(toy.machine.state, TOY_BOTH_ING); /* the first is still out */
    finish(&toy.first, ERR_NONE, 0);
    for (uint32_t i = 1; i <= TOY_ROUNDS; i++) {
        assert_int_equal(toy.machine.state, TOY_MANY);
        assert_int_equal(toy.rounds, i);
        assert_int_equal(toy.owners, 0);
        finish(&toy.first, ERR_NONE, 0);
    }
    core_turn(&core, false);
    assert_int_equal(toy.owners, 1);
    assert_int_equal(toy.owner.err, ERR_NONE);
    assert_false(machine_is_running(&toy.machine));
    assert_int_equal(toy.seen[TOY_GOOD_END], 1);
    assert_int_equal(toy.seen[TOY_LEAVE], 0);
}

static void test_waits_for_all_before_the_way_out(void **state)
{
    (void)state;
    start();
    finish(&toy.first, ERR_DISK_FULL, 28);
    assert_int_equal(toy.machine.state, TOY_BOTH_ING);
    assert_int_equal(toy.seen[TOY_LEAVE], 0);
    finish(&toy.second, ERR_FILE_IO, 5); /* not the first: the first sticks */
    assert_int_equal(toy.machine.state, TOY_LEAVING);
    assert_int_equal(toy.seen[TOY_MANY], 0);
    finish(&toy.first, ERR_NONE, 0);
    core_turn(&core, false);
    assert_int_equal(toy.owners, 1);
    assert_int_equal(toy.owner.err, ERR_DISK_FULL);
    assert_int_equal(toy.owner.raw, 28);
}

static void test_failure_on_the_way_out(void **state)
{
    (void)state;
    start();
    finish(&toy.first, ERR_RESET, 104);
    finish(&toy.second, ERR_NONE, 0);
    finish(&toy.first, ERR_FILE_IO, 5);
    core_turn(&core, false);
    assert_int_equal(toy.seen[TOY_LEAVE], 1); /* not once more */
    assert_int_equal(toy.seen[TOY_BAD_END], 1);
    assert_int_equal(toy.owner.err, ERR_RESET);
    assert_int_equal(toy.owner.raw, 104);
}

static void test_quiet_failure(void **state)
{
    (void)state;
    start();
    finish(&toy.first, ERR_NONE, 0);
    finish(&toy.second, ERR_FILE_EXISTS, 17);
    assert_int_equal(toy.machine.state, TOY_MANY);
    assert_int_equal(toy.machine.err, ERR_NONE);
    finish(&toy.first, ERR_TIMEOUT, 0); /* midway in the state that acts again */
    assert_int_equal(toy.machine.state, TOY_LEAVING);
    finish(&toy.first, ERR_NONE, 0);
    core_turn(&core, false);
    assert_int_equal(toy.owner.err, ERR_TIMEOUT);
}

/* A row that fails by itself is the last one to act before the way out. */
static void test_failure_inside_a_row(void **state)
{
    (void)state;
    toy.refuse = ERR_FILE_NAME;
    start();
    assert_int_equal(toy.seen[TOY_MANY], 0);
    assert_int_equal(toy.machine.state, TOY_LEAVING);
    finish(&toy.first, ERR_NONE, 0);
    core_turn(&core, false);
    assert_int_equal(toy.owner.err, ERR_FILE_NAME);
    assert_int_equal(toy.owner.raw, 7);
}

/* The owner's op is finished from a turn, never inside the call that ended the machine. */
static void test_ends_in_a_turn_and_starts_again(void **state)
{
    (void)state;
    toy.refuse = ERR_CANCELLED;
    for (uint32_t i = 1; i <= 3; i++) {
        start();
        machine_settle(&toy.machine, &toy.second); /* as if the op had come home just now */
        assert_false(machine_is_running(&toy.machine));
        assert_int_equal(toy.owners, i - 1);
        toy.first.out = false;
        core_turn(&core, false);
        assert_int_equal(toy.owners, i);
        assert_int_equal(toy.machine.busy, 0);
    }
}

/* BOTH names MANY as the next, which is not run. */
static void test_is_traced(void **state)
{
    (void)state;
    const enum toy_state way[] = {TOY_BOTH, TOY_MANY, TOY_LEAVE, TOY_LEAVING, TOY_BAD_END};
    uint32_t found = 0;
    toy.refuse = ERR_FILE_NAME;
    start();
    finish(&toy.first, ERR_NONE, 0);
    core_turn(&core, false);
    for (uint64_t i = 0; i < core.trace.count; i++) {
        const struct trace_record *record = &core.trace.records[i % TRACE_RECORDS];
        if (record->kind != &toy_kind.trace) continue;
        assert_ptr_equal(record->object, &toy.machine);
        assert_true(found + 1 < ARRAY_COUNT(way));
        assert_int_equal(record->from, way[found]);
        assert_int_equal(record->to, way[found + 1]);
        found++;
    }
    assert_int_equal(found, ARRAY_COUNT(way) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_goes_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_for_all_before_the_way_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_on_the_way_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_quiet_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_inside_a_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ends_in_a_turn_and_starts_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_is_traced, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
