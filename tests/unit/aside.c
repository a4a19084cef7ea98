/* Asides: jobs run on another thread, in order, and finish on the core's, which may be asleep. */
#include "core/aside.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/core.h"

#define JOBS 500u

struct work {
    struct aside_job job;
    uint32_t number, *ran, *done;
    pthread_t thread;
};

static enum err run_work(struct aside_job *job)
{
    struct work *work = container_of(job, struct work, job);
    char name[16];
    pthread_getname_np(pthread_self(), name, sizeof(name));
    assert_string_equal(name, "test-aside");
    assert_int_equal(*work->ran, work->number);
    ++*work->ran;
    work->thread = pthread_self();
    job->op.count = work->number;
    job->op.raw = 7;
    if (work->number % 100 == 0) usleep(2000); /* lets the core fall asleep */
    return work->number % 2 ? ERR_FILE_MISSING : ERR_NONE;
}

static void on_work(struct op *op)
{
    struct work *work = container_of(op, struct work, job.op);
    assert_int_equal(op->count, work->number);
    assert_int_equal(op->raw, 7);
    assert_int_equal(op->err, work->number % 2 ? ERR_FILE_MISSING : ERR_NONE);
    assert_int_equal(*work->done, work->number);
    assert_false(pthread_equal(work->thread, pthread_self()));
    ++*work->done;
}

static void open_core(struct core *core)
{
    struct core_options options = {.cpu = -1, .memory_bytes = MIB};
    int raw;
    assert_int_equal(core_open(core, &options, &raw), ERR_NONE);
}

static void test_jobs_keep_order(void **state)
{
    (void)state;
    static struct core core;
    static struct work works[JOBS];
    struct aside *aside;
    uint32_t ran = 0, done = 0;
    open_core(&core);
    assert_int_equal(aside_open(&aside, &core, "test-aside"), ERR_NONE);
    for (uint32_t i = 0; i < JOBS; i++) {
        works[i] = (struct work){.number = i, .ran = &ran, .done = &done};
        aside_job_init(&works[i].job, run_work, on_work);
        aside_start(aside, &works[i].job);
    }
    assert_int_equal(done, 0); /* never inside the start */
    while (done < JOBS)
        core_turn(&core, true);
    aside_close(aside);
    core_close(&core);
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    static struct core core;
    struct work work = {0};
    struct aside *aside;
    open_core(&core);
    assert_int_equal(aside_open(&aside, &core, "test-aside"), ERR_NONE);
    for (uint32_t i = 0; i < JOBS; i++) { /* both threads sleep and wake each time */
        uint32_t ran = i, done = i;
        work = (struct work){.number = i, .ran = &ran, .done = &done};
        aside_job_init(&work.job, run_work, on_work);
        aside_start(aside, &work.job);
        while (work.job.op.out)
            core_turn(&core, true);
        assert_int_equal(done, i + 1);
    }
    aside_close(aside);
    core_close(&core);
}

static void test_two_asides(void **state)
{
    (void)state;
    static struct core core;
    static struct work works[2][JOBS];
    struct aside *asides[2];
    uint32_t ran[2] = {0}, done[2] = {0};
    open_core(&core);
    for (uint32_t a = 0; a < 2; a++)
        assert_int_equal(aside_open(&asides[a], &core, "test-aside"), ERR_NONE);
    for (uint32_t i = 0; i < JOBS; i++) {
        for (uint32_t a = 0; a < 2; a++) {
            works[a][i] = (struct work){.number = i, .ran = &ran[a], .done = &done[a]};
            aside_job_init(&works[a][i].job, run_work, on_work);
            aside_start(asides[a], &works[a][i].job);
        }
    }
    while (done[0] < JOBS || done[1] < JOBS)
        core_turn(&core, true);
    for (uint32_t a = 0; a < 2; a++)
        aside_close(asides[a]);
    core_close(&core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_keep_order),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_two_asides),
    };
    return cmocka_run_group_tests_name("aside", tests, NULL, NULL);
}
