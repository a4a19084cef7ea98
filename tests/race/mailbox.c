/* Stress of everything that two threads share in core/: mailbox, hand-off, cores that sleep and
 * wake each other, asides. For `make race` (ThreadSanitizer); also a test without it. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/aside.h"
#include "core/handoff.h"
#include "core/mailbox.h"
#include "sched/crew.h"

#define PUSHES  2000000u /* seconds under TSan */
#define LINKS   300000u
#define GIVERS  3u
#define PASSES  100000u
#define BALLS   64u /* in the air at once: both cores sleep at times, and post in bursts */
#define JOBS    50000u
#define JOBS_IN 8u

/* ── a mailbox by itself: every message once, in order, with what was written into it ────────── */

struct numbered {
    struct msg msg;
    uint64_t number;
    _Atomic bool free;
};

struct pipe {
    struct mailbox box;
    struct numbered pool[2 * MAILBOX_MESSAGES_MAX];
};

static void deliver_nothing(struct core *core, struct msg *msg)
{
    (void)core;
    (void)msg;
}

static void *push_all(void *argument)
{
    struct pipe *pipe = argument;
    for (uint64_t i = 0; i < PUSHES; i++) {
        struct numbered *n = &pipe->pool[i % ARRAY_COUNT(pipe->pool)];
        while (!atomic_load_explicit(&n->free, memory_order_acquire))
            sched_yield();
        atomic_store_explicit(&n->free, false, memory_order_relaxed);
        n->number = i;
        while (!mailbox_push(&pipe->box, &n->msg))
            sched_yield();
    }
    return NULL;
}

static void test_mailbox(void **state)
{
    (void)state;
    static struct pipe pipe;
    pthread_t thread;
    mailbox_init(&pipe.box);
    for (size_t i = 0; i < ARRAY_COUNT(pipe.pool); i++) {
        msg_init(&pipe.pool[i].msg, deliver_nothing);
        atomic_init(&pipe.pool[i].free, true);
    }
    assert_int_equal(pthread_create(&thread, NULL, push_all, &pipe), 0);
    for (uint64_t i = 0; i < PUSHES;) {
        struct msg *msg = mailbox_pop(&pipe.box);
        if (!msg) {
            sched_yield();
            continue;
        }
        struct numbered *n = container_of(msg, struct numbered, msg);
        assert_true(n->number == i);
        atomic_store_explicit(&n->free, true, memory_order_release);
        i++;
    }
    pthread_join(thread, NULL);
    assert_true(mailbox_is_empty(&pipe.box));
}

/* ── a hand-off with several givers: each giver's order holds ────────────────────────────────── */

struct gift {
    struct link link;
    uint32_t giver, number;
};

struct giver {
    struct handoff *handoff;
    struct gift *gifts;
    uint32_t index;
    pthread_t thread;
};

static void *give_all(void *argument)
{
    struct giver *giver = argument;
    for (uint32_t i = 0; i < LINKS; i++) {
        giver->gifts[i].giver = giver->index;
        giver->gifts[i].number = i;
        handoff_push(giver->handoff, &giver->gifts[i].link);
    }
    return NULL;
}

static void test_handoff(void **state)
{
    (void)state;
    static struct gift gifts[GIVERS][LINKS];
    struct giver givers[GIVERS];
    struct handoff handoff;
    uint32_t next[GIVERS] = {0}, taken = 0;
    handoff_init(&handoff);
    for (uint32_t i = 0; i < GIVERS; i++) {
        givers[i] = (struct giver){.handoff = &handoff, .gifts = gifts[i], .index = i};
        assert_int_equal(pthread_create(&givers[i].thread, NULL, give_all, &givers[i]), 0);
    }
    while (taken < GIVERS * LINKS) {
        struct list list;
        struct link *link;
        list_init(&list);
        handoff_take(&handoff, &list);
        if (list_is_empty(&list)) sched_yield();
        for (; (link = list_pop(&list)); taken++) {
            struct gift *gift = container_of(link, struct gift, link);
            assert_int_equal(gift->number, next[gift->giver]++);
        }
    }
    assert_true(handoff_is_empty(&handoff));
    for (uint32_t i = 0; i < GIVERS; i++)
        pthread_join(givers[i].thread, NULL);
}

/* ── cores: a wake that is lost hangs this test ──────────────────────────────────────────────── */

struct ball {
    struct msg msg;
    struct crew *crew;
    uint32_t passes;
    uint32_t *home; /* balls that came home to core 0, counted there only */
};

static void on_ball(struct core *core, struct msg *msg)
{
    struct ball *ball = container_of(msg, struct ball, msg);
    if (ball->passes > 0) {
        ball->passes--;
        core_post(core, (uint16_t)((core->index + 1) % ball->crew->count), msg);
    } else if (core->index != 0) {
        core_post(core, 0, msg);
    } else if (++*ball->home == BALLS) {
        crew_stop(ball->crew, core);
    }
}

static void play(uint32_t balls_first, uint32_t passes)
{
    static struct crew crew;
    static struct ball balls[BALLS];
    int cpus[] = {-1, -1}, raw;
    uint32_t home = BALLS - balls_first;
    assert_int_equal(crew_open(&crew, cpus, 2, MIB, 1, &raw), ERR_NONE);
    for (uint32_t i = 0; i < balls_first; i++) {
        balls[i] = (struct ball){.crew = &crew, .passes = passes, .home = &home};
        msg_init(&balls[i].msg, on_ball);
        core_post(crew.cores[0], 0, &balls[i].msg);
    }
    assert_int_equal(crew_start(&crew), ERR_NONE);
    crew_wait(&crew);
    assert_int_equal(home, BALLS);
    crew_close(&crew);
}

static void test_one_ball(void **state) /* each pass wakes a sleeper */
{
    (void)state;
    play(1, PASSES / 2);
}

static void test_many_balls(void **state)
{
    (void)state;
    play(BALLS, PASSES / 8);
}

/* ── asides ──────────────────────────────────────────────────────────────────────────────────── */

struct errand {
    struct aside_job job;
    struct aside *aside;
    uint64_t sum; /* not atomic: it changes hands with the job */
    uint32_t left;
};

static enum err run_errand(struct aside_job *job)
{
    container_of(job, struct errand, job)->sum++;
    return ERR_NONE;
}

static void on_errand(struct op *op)
{
    struct errand *errand = container_of(op, struct errand, job.op);
    errand->sum++;
    if (errand->left-- > 0) aside_start(errand->aside, &errand->job);
}

static void test_asides(void **state)
{
    (void)state;
    static struct core core;
    struct core_options options = {.cpu = -1, .memory_bytes = MIB};
    struct aside *asides[2];
    struct errand errands[JOBS_IN];
    int raw;
    assert_int_equal(core_open(&core, &options, &raw), ERR_NONE);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(aside_open(&asides[i], &core, "race"), ERR_NONE);
    for (uint32_t i = 0; i < JOBS_IN; i++) {
        errands[i] = (struct errand){.aside = asides[i % 2], .left = JOBS / JOBS_IN};
        aside_job_init(&errands[i].job, run_errand, on_errand);
        aside_start(asides[i % 2], &errands[i].job);
    }
    for (uint32_t i = 0; i < JOBS_IN; i++) {
        while (errands[i].job.op.out)
            core_turn(&core, true);
        assert_int_equal(errands[i].sum, 2 * (JOBS / JOBS_IN + 1));
    }
    for (uint32_t i = 0; i < 2; i++)
        aside_close(asides[i]);
    core_close(&core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox),  cmocka_unit_test(test_handoff),
        cmocka_unit_test(test_one_ball), cmocka_unit_test(test_many_balls),
        cmocka_unit_test(test_asides),
    };
    return cmocka_run_group_tests_name("race/mailbox", tests, NULL, NULL);
}
