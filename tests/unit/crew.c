/* Crews: CPU lists, and cores in threads of their own that post to each other, sleep and stop. */
#include "sched/crew.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 200u /* each wakes a sleeping core */

static int usable_cpus(int cpus[CORES_MAX])
{
    cpu_set_t allowed;
    int count = 0;
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE && count < (int)CORES_MAX; cpu++)
        if (CPU_ISSET(cpu, &allowed)) cpus[count++] = cpu;
    return count;
}

static void test_cpus_all_and_some(void **state)
{
    (void)state;
    int usable[CORES_MAX], cpus[CORES_MAX];
    int usable_count = usable_cpus(usable);
    uint16_t count;
    char why[128] = "", text[64];
    assert_int_equal(crew_parse_cpus(NULL, cpus, &count, why, sizeof(why)), ERR_NONE);
    assert_int_equal(count, usable_count);
    assert_memory_equal(cpus, usable, sizeof(int) * count);
    assert_int_equal(crew_parse_cpus("1", cpus, &count, why, sizeof(why)), ERR_NONE);
    assert_int_equal(count, 1);
    assert_int_equal(cpus[0], usable[0]);
    int last = usable[usable_count - 1];
    snprintf(text, sizeof(text), "%d-%d", last, last);
    assert_int_equal(crew_parse_cpus(text, cpus, &count, why, sizeof(why)), ERR_NONE);
    assert_int_equal(count, 1);
    assert_int_equal(cpus[0], last);
    if (usable_count < 2) return;
    snprintf(text, sizeof(text), "%d,%d", last, usable[0]);
    assert_int_equal(crew_parse_cpus(text, cpus, &count, why, sizeof(why)), ERR_NONE);
    assert_int_equal(count, 2);
    assert_int_equal(cpus[0], last);
    assert_int_equal(cpus[1], usable[0]);
}

static void test_cpus_wrong(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",   "0",       "x",  "1,",          ",1",    "5-3,9", "4000-4001",           "-1",
        "1-", "0-0,0-0", "65", "99999999999", "0x1,0", "1 2",   "18446744073709551616"};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int cpus[CORES_MAX];
        uint16_t count;
        char why[128] = "";
        enum err err = crew_parse_cpus(rows[i], cpus, &count, why, sizeof(why));
        if (err != ERR_USAGE || !*why) fail_msg("\"%s\": %s, \"%s\"", rows[i], err_name(err), why);
    }
}

/* A ball that goes round all cores ROUNDS times, then stops the crew. */
struct ball {
    struct msg msg;
    struct crew *crew;
    uint32_t passes, received[3];
};

static void on_ball(struct core *core, struct msg *msg)
{
    struct ball *ball = container_of(msg, struct ball, msg);
    ball->received[core->index]++;
    if (++ball->passes == ROUNDS * ball->crew->count) {
        crew_stop(ball->crew, core);
        crew_stop(ball->crew, core); /* the second call does nothing */
        return;
    }
    core_post(core, (uint16_t)((core->index + 1) % ball->crew->count), msg);
}

static void test_ball(void **state)
{
    (void)state;
    static struct crew crew;
    int cpus[] = {-1, -1, -1}, raw;
    for (uint16_t count = 1; count <= 3; count++) {
        struct ball ball = {.crew = &crew};
        assert_int_equal(crew_open(&crew, cpus, count, 3 * MIB, 1, &raw), ERR_NONE);
        msg_init(&ball.msg, on_ball);
        core_post(crew.cores[0], 0, &ball.msg); /* before the start */
        assert_int_equal(crew_start(&crew), ERR_NONE);
        crew_wait(&crew);
        assert_int_equal(ball.passes, ROUNDS * count);
        for (uint16_t i = 0; i < count; i++)
            assert_int_equal(ball.received[i], ROUNDS);
        crew_close(&crew);
    }
}

/* More messages than a mailbox holds, with the stop right behind them: none is lost. */
static void on_counted(struct core *core, struct msg *msg)
{
    struct ball *ball = container_of(msg, struct ball, msg);
    ball->received[core->index]++;
}

static void on_flood(struct core *core, struct msg *msg)
{
    struct ball *balls = container_of(msg, struct ball, msg);
    for (uint32_t i = 1; i < 4 * MAILBOX_MESSAGES_MAX; i++)
        core_post(core, 1, &balls[i].msg);
    crew_stop(balls->crew, core);
}

static void test_stop_comes_behind_messages(void **state)
{
    (void)state;
    static struct crew crew;
    static struct ball balls[4 * MAILBOX_MESSAGES_MAX];
    int cpus[] = {-1, -1}, raw;
    assert_int_equal(crew_open(&crew, cpus, 2, 3 * MIB, 1, &raw), ERR_NONE);
    balls[0].crew = &crew;
    msg_init(&balls[0].msg, on_flood);
    for (uint32_t i = 1; i < ARRAY_COUNT(balls); i++)
        msg_init(&balls[i].msg, on_counted);
    core_post(crew.cores[0], 0, &balls[0].msg);
    assert_int_equal(crew_start(&crew), ERR_NONE);
    crew_wait(&crew);
    for (uint32_t i = 1; i < ARRAY_COUNT(balls); i++)
        assert_int_equal(balls[i].received[1], 1);
    crew_close(&crew);
}

static void test_close_without_start(void **state)
{
    (void)state;
    static struct crew crew;
    int cpus[] = {-1, -1}, raw;
    assert_int_equal(crew_open(&crew, cpus, 2, MIB, 1, &raw), ERR_NONE);
    crew_close(&crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpus_all_and_some),
        cmocka_unit_test(test_cpus_wrong),
        cmocka_unit_test(test_ball),
        cmocka_unit_test(test_stop_comes_behind_messages),
        cmocka_unit_test(test_close_without_start),
    };
    return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
