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
#include "sched/lend.h"

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

/* Of this thread: what others do on the machine is not in it. */
static uint64_t cpu_now_ns(void)
{
    static struct clock_thread thread;
    clock_look_thread(&thread);
    return thread.ran_ns;
}

static void print_cpu(const char *name, uint64_t start_ns, uint64_t count)
{
    printf("%-44s %10.1f ns of CPU\n", name, (double)(cpu_now_ns() - start_ns) / (double)count);
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
    uint64_t start_ns = cpu_now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct task *task = fair_pop(&fair, i);
        prefixes_on_back(&prefixes, task->prefix);
        fair_push(&fair, task);
    }
    print_cpu("a task through the fair queue, 4095 prefixes", start_ns, ROUNDS);
    fair_close(&fair);
    prefixes_close(&prefixes);
}

/* ── two cores, one thread ───────────────────────────────────────────────────────────────────── */

struct hand { /* a core that runs what it is handed at once */
    struct core core;
    struct lend lend;
    uint32_t ran;
};

static void on_handed(struct lend *lend, struct task *task)
{
    container_of(lend, struct hand, lend)->ran++;
    lend_return(lend, task);
    lend_want(lend, (enum task_rank)task->rank, 1);
}

static void on_back(struct lend *lend, struct task *task)
{
    lend_push(lend, task);
}

/* The whole way of a part: the home core's fair queue and the prefix's limits, the grant by mailbox
 * to the core that asked, its queue, its slot, and back home, where it is queued again. Each goes
 * to the other core, and all of both cores' work is in it, since they take turns on one CPU. */
static void bench_hand_out(uint32_t slots, uint32_t prefix_count, const char *name)
{
    static struct hand hands[2];
    static struct task tasks[4096];
    struct lend *lends[2] = {&hands[0].lend, &hands[1].lend};
    struct core *cores[2] = {&hands[0].core, &hands[1].core};
    struct prefixes prefixes;
    struct fair fairs[TASK_RANKS];
    int raw;
    fail_if(prefixes_open(&prefixes, PREFIXES_FAIR, 0), "prefixes_open");
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        fail_if(fair_open(&fairs[rank], &prefixes), "fair_open");
    for (uint16_t i = 0; i < 2; i++) {
        struct core_options options = {.index = i, .cpu = -1, .memory_bytes = MIB, .seed = i};
        hands[i].ran = 0;
        fail_if(core_open(cores[i], &options, &raw), "core_open");
        lend_init(lends[i], cores[i], on_handed, on_back);
    }
    for (uint16_t i = 0; i < 2; i++) {
        fail_if(core_join(cores[i], cores, 2), "core_join");
        lend_join(lends[i], lends, 2);
    }
    lend_use(lends[0], fairs);
    for (uint32_t i = 0; i < ARRAY_COUNT(tasks); i++) {
        char key[32];
        snprintf(key, sizeof key, "run/%u/", i % prefix_count);
        task_init(&tasks[i], 0, TASK_FIRST);
        tasks[i].prefix = prefixes_find(&prefixes, bytes_of(key), 0);
        tasks[i].bytes = 8 * MIB;
        lend_push(lends[0], &tasks[i]);
    }
    lend_want(lends[1], TASK_FIRST, slots);
    uint64_t start_ns = cpu_now_ns();
    while (hands[1].ran < ROUNDS)
        for (uint32_t i = 0; i < 2; i++)
            core_turn(cores[i], false);
    print_cpu(name, start_ns, hands[1].ran);
    for (uint16_t i = 0; i < 2; i++)
        core_close(cores[i]);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        fair_close(&fairs[rank]);
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
    bench_hand_out(32, 8, "hand-out to a core, 8 prefixes, 32 slots");
    bench_hand_out(32, PREFIXES_MAX - 1, "hand-out to a core, 4095 prefixes, 32 slots");
    bench_hand_out(4, PREFIXES_MAX - 1, "hand-out to a core, 4095 prefixes, 4 slots");
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
