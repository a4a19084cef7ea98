/* When a second upload is looked for, and when it is only said that there may be one. */
#include "s3/twin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"

static uint64_t wall_s;
static struct conf conf;
static struct sweep sweep;
static struct station station;
static struct work object;
static struct twin twin;
static struct op op;
static struct sweep_doubt doubt; /* of the newest sweep */
static uint32_t sweeps, said;
static char words[256];

/* The clock, the sweep, and who is told. */

uint64_t clock_wall_ns(void)
{
    return wall_s * NS_PER_S;
}

void sweep_twins(struct past_object *past, const struct sweep_doubt *of)
{
    assert_ptr_equal(past, &twin.past);
    doubt = *of;
}

void sweep_start(struct sweep *with, struct past_object *past, struct op *done)
{
    assert_ptr_equal(with, &sweep);
    assert_ptr_equal(past, &twin.past);
    op_begin(done);
    sweeps++;
}

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;
    assert_ptr_equal(log, &conf.log);
    assert_int_equal(level, LOG_WARNING);
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    said++;
}

static void on_done(struct op *done)
{
    (void)done;
}

static int set_up(void **state)
{
    (void)state;
    station.conf = &conf;
    station.sweep = &sweep;
    snprintf(object.bucket, sizeof object.bucket, "bkt");
    snprintf(object.key, sizeof object.key, "a/key");
    sweeps = said = 0;
    wall_s = 100;
    op_init(&op, on_done);
    memset(&twin, 0xa5, sizeof twin); /* what an object before it left */
    twin_init(&twin, &station);
    return 0;
}

/* An upload is created; so many answers get lost. */
static void create(uint64_t at_s, uint64_t until_s, const char *id, uint32_t lost)
{
    wall_s = at_s;
    twin_ask(&twin);
    wall_s = until_s;
    twin_note(&twin, &object, id, lost);
}

static void expect_nothing(void)
{
    assert_false(twin_sweep(&twin, &op));
    assert_false(op.out); /* it was not begun */
    twin_leave(&twin);
    assert_int_equal(sweeps + said, 0);
}

static void test_none(void **state)
{
    (void)state;
    expect_nothing(); /* nothing was asked for */
    twin_ask(&twin);
    expect_nothing(); /* no answer yet */
    create(100, 105, "id", 0);
    expect_nothing(); /* none got lost */
}

static void test_sweep(void **state)
{
    static const char id[] = "id";
    (void)state;
    create(100, 105, id, 2);
    wall_s = 900; /* parts have been sent meanwhile */
    assert_true(twin_sweep(&twin, &op));
    assert_true(op.out);
    assert_int_equal(doubt.asked_s, 100);
    assert_int_equal(doubt.answered_s, 105);
    assert_int_equal(doubt.lost, 2);
    assert_string_equal(doubt.key, "a/key");
    assert_ptr_equal(doubt.spared, id);
    op.out = false;
    assert_false(twin_sweep(&twin, &op)); /* once */
    twin_leave(&twin);
    assert_true(sweeps == 1 && said == 0);
}

static void test_leave(void **state)
{
    (void)state;
    create(100, 105, "id", 1);
    twin_leave(&twin);
    assert_non_null(strstr(words, "s3://bkt/a/key: it was begun twice"));
    twin_leave(&twin);
    assert_false(twin_sweep(&twin, &op));
    assert_true(sweeps == 0 && said == 1);
}

/* An upload that is begun anew has no part in the doubts of the one before. */
static void test_again(void **state)
{
    (void)state;
    create(100, 105, "id", 1);
    twin_ask(&twin);
    expect_nothing();
    create(200, 201, "other", 3);
    assert_true(twin_sweep(&twin, &op));
    assert_int_equal(doubt.asked_s, 200);
    assert_int_equal(doubt.lost, 3);
    assert_string_equal(doubt.spared, "other");
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_none), TEST(test_sweep), TEST(test_leave),
                                       TEST(test_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
