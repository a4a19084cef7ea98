/* What the loop's primitives cost, in ns: run it by `make bench-primitives` on a quiet machine. One
 * line a primitive, wall time a unit of work; the crew's lines need two CPUs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/aside.h"
#include "core/clock.h"
#include "core/core.h"
#include "sched/crew.h"
#include "sched/fair.h"

#define ROUNDS 200000u
#define BATCH  32u

static void fail_if(enum err err, const char *what)
{
    if (!err) return;
    fprintf(stderr, "primitives: %s: %s\n", what, err_sentence(err));
    exit(1);
}

static void print_cost(const char *name, uint64_t start_ns, uint64_t count)
{
    double cost_ns = (double)(clock_now_ns() - start_ns) / (double)count;
    printf("%-44s %10.1f ns\n", name, cost_ns);
}

static void open_core(struct core *core)
{
    struct core_options options = {.cpu = -1, .memory_bytes = 128 * MIB};
    int raw;
    fail_if(core_open(core, &options, &raw), "core_open");
}

/* ── one core ────────────────────────────────────────────────────────────────────────────────── */

static void on_nothing(struct op *op)
{
    (void)op;
}

static void bench_turns(struct core *core)
{
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++)
        core_turn(core, false);
    print_cost("empty turn", start_ns, ROUNDS);
}

static void bench_ops(struct core *core, uint32_t batch, const char *name)
{
    struct op ops[BATCH];
    char byte;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (uint32_t i = 0; i < batch; i++)
        op_init(&ops[i], on_nothing);
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS / batch; i++) {
        for (uint32_t j = 0; j < batch; j++)
            ring_read(core->ring, fd, &byte, 1, 0, RING_NO_ARENA, &ops[j]);
        while (ops[batch - 1].out)
            core_turn(core, true);
    }
    print_cost(name, start_ns, ROUNDS / batch * batch);
    close(fd);
}

static void bench_timers(struct core *core)
{
    struct timer timers[BATCH];
    for (uint32_t i = 0; i < BATCH; i++)
        timer_init(&timers[i], on_nothing);
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS / BATCH; i++) {
        for (uint32_t j = 0; j < BATCH; j++) /* in no order, all in the past */
            timer_start(&core->timers, &timers[j], (j * 11) % BATCH);
        core_turn(core, false);
    }
    print_cost("timer: start, expire, callback (32 a turn)", start_ns, ROUNDS);
}

static void bench_pool(struct core *core)
{
    struct buf *buf = pool_try_take(&core->large);
    pool_give(&buf); /* an arena is mapped now */
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS * 10; i++) {
        buf = pool_try_take(&core->large);
        pool_give(&buf);
    }
    print_cost("pool: try_take and give", start_ns, ROUNDS * 10);
    struct pool_wish wish;
    pool_wish_init(&wish, on_nothing);
    start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        pool_take(&core->large, &wish, 1);
        core_turn(core, false);
        pool_give_all(&wish.bufs);
    }
    print_cost("pool: wish, turn, give", start_ns, ROUNDS);
    struct buf *large[64];
    start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ARRAY_COUNT(large); i++)
        large[i] = pool_try_take(&core->large);
    print_cost("pool: map and register, a MiB", start_ns, ARRAY_COUNT(large) - 16);
    for (uint32_t i = 0; i < ARRAY_COUNT(large); i++)
        pool_give(&large[i]);
}

static enum err run_nothing(struct aside_job *job)
{
    (void)job;
    return ERR_NONE;
}

static void bench_aside(struct core *core)
{
    struct aside *aside;
    struct aside_job job, many[BATCH];
    fail_if(aside_open(&aside, core, "bench"), "aside_open");
    aside_job_init(&job, run_nothing, on_nothing);
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS / 20; i++) {
        aside_start(aside, &job);
        while (job.op.out)
            core_turn(core, true);
    }
    print_cost("aside: there and back, one at a time", start_ns, ROUNDS / 20);
    for (uint32_t i = 0; i < BATCH; i++)
        aside_job_init(&many[i], run_nothing, on_nothing);
    start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS / BATCH; i++) {
        for (uint32_t j = 0; j < BATCH; j++)
            aside_start(aside, &many[j]);
        while (many[BATCH - 1].op.out)
            core_turn(core, true);
    }
    print_cost("aside: there and back, 32 at once", start_ns, ROUNDS / BATCH * BATCH);
    aside_close(aside);
}

/* What handing out a part costs, with as many prefixes as there may be: taken in fair order, its
 * prefix's limits asked, brought back, and the next one queued. */
static void bench_fair(void)
{
    static struct task tasks[2 * PREFIXES_MAX];
    struct prefixes prefixes;
    struct fair fair;
    fail_if(prefixes_open(&prefixes, PREFIXES_FAIR, 0), "prefixes_open");
    fail_if(fair_open(&fair, &prefixes), "fair_open");
    for (uint32_t i = 0; i < 2 * PREFIXES_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "run/%u/", i % (PREFIXES_MAX - 1));
        task_init(&tasks[i], 0, TASK_THEN);
        tasks[i].prefix = prefixes_find(&prefixes, bytes_of(name), 0);
        tasks[i].bytes = i % 100 * KIB;
        fair_push(&fair, &tasks[i]);
    }
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct task *task = fair_pop(&fair, i);
        prefixes_on_back(&prefixes, task->prefix);
        fair_push(&fair, task);
    }
    print_cost("a task through the fair queue, 4095 prefixes", start_ns, ROUNDS);
    fair_close(&fair);
    prefixes_close(&prefixes);
}

/* ── two cores ───────────────────────────────────────────────────────────────────────────────── */

struct ball {
    struct msg msg;
    struct crew *crew;
    uint32_t passes, *left;
};

static void on_ball(struct core *core, struct msg *msg)
{
    struct ball *ball = container_of(msg, struct ball, msg);
    if (ball->passes > 0) {
        ball->passes--;
        core_post(core, core->index ^ 1, msg);
    } else if (core->index != 0) {
        core_post(core, 0, msg);
    } else if (--*ball->left == 0) {
        crew_stop(ball->crew, core);
    }
}

static void bench_balls(const int *cpus, uint32_t count, uint32_t passes, const char *name)
{
    static struct crew crew;
    static struct ball balls[BATCH];
    uint32_t left = count;
    int raw;
    fail_if(crew_open(&crew, cpus, 2, MIB, 1, &raw), "crew_open");
    for (uint32_t i = 0; i < count; i++) {
        balls[i] = (struct ball){.crew = &crew, .passes = passes, .left = &left};
        msg_init(&balls[i].msg, on_ball);
        core_post(crew.cores[0], 0, &balls[i].msg);
    }
    uint64_t start_ns = clock_now_ns();
    fail_if(crew_start(&crew), "crew_start");
    crew_wait(&crew);
    print_cost(name, start_ns, (uint64_t)count * passes);
    crew_close(&crew);
}

int main(void)
{
    static struct core core;
    int cpus[CORES_MAX];
    uint16_t count;
    char why[128];
    open_core(&core);
    bench_turns(&core);
    bench_ops(&core, 1, "op: read of /dev/null, one a turn");
    bench_ops(&core, BATCH, "op: read of /dev/null, 32 a turn");
    bench_timers(&core);
    bench_pool(&core);
    bench_fair();
    bench_aside(&core);
    core_close(&core);
    fail_if(crew_parse_cpus(NULL, cpus, &count, why, sizeof(why)), "crew_parse_cpus");
    if (count < 2) {
        printf("two cores: skipped, one CPU only\n");
        return 0;
    }
    bench_balls(cpus, 1, ROUNDS / 10, "message to a sleeping core, one way");
    bench_balls(cpus, BATCH, ROUNDS / 10, "message between two cores, 32 in flight");
    return 0;
}
