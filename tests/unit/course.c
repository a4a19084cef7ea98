/* The whole of flow control (s3/steer) against servers that refuse, request by request, in virtual
 * time, seeded; no I/O. What the cores do is done here as s3/mover does it: slots that are handed
 * out by share, PRR and fair queues; a request sends its bytes over a shared link, on a connection
 * whose window opens as slow start does, is served, and is answered; what is refused comes again
 * after the product's back-off, in its slot. The servers are stowage's: limits by prefix (GCRA),
 * and a knee: the service time grows with what is in flight beyond it, 503 beyond 1.5 times that.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3/steer.h"
#include "sched/prr.h"
#include "sched/retry.h"

#define CORES      2u
#define CONNS      64u /* of a core */
#define JOBS       (CORES * 3 * CONNS)
#define STEP_NS    (5 * NS_PER_MS)
#define TICK_NS    (50 * NS_PER_MS)
#define PREFIXES   8u
#define JITTER_NS  (20 * NS_PER_MS) /* of a server whose requests begin together */
#define LAG_MAX    64u              /* steps of a round trip */
#define CWND_FIRST 14480.0

enum job_state { JOB_FREE, JOB_SENDING, JOB_SERVED, JOB_BACKING_OFF };

struct job {
    enum job_state state;
    struct task task;
    bool judged, refused;
    double left_bytes, cwnd;
    uint64_t begin_ns, head_ns, due_ns, sent_ns, serve_ns;
    uint32_t attempts;
};

struct hand { /* of a core: s3/mover's part */
    struct prr prr;
    uint32_t share, asked, running, conn_count;
    double cwnds[JOBS]; /* of idle connections, last in first out */
    struct job jobs[JOBS];
};

struct limit {
    double per_s, burst; /* 0: none */
    uint64_t at_ns;
};

struct tally {
    uint64_t done, refused;
};

struct world {
    struct conf conf;
    struct budget budget;
    struct steer steer;
    struct traffic traffics[CORES];
    struct hand hands[CORES];
    struct limit limits[PREFIXES + 1];
    struct tally tallies[PREFIXES + 1];
    struct rand rand;
    enum task_rank rank;
    uint32_t prefix_count; /* 0: one large object */
    double link_bytes_per_s, bytes, knee;
    uint64_t rtt_ns, service_ns, now_ns, tick_ns;
    uint32_t flight;      /* at the server */
    double flight_s;      /* its integral */
    double sent[LAG_MAX]; /* in the last steps: acknowledged a round trip later */
    uint32_t step;
};

static struct world world;

static struct world *open_world(enum flow_kind cc, uint32_t fixed, uint64_t seed)
{
    struct world *w = &world;
    memset(w, 0, sizeof *w);
    conf_init(&w->conf);
    w->conf.cc = cc;
    w->conf.cc_fixed = fixed;
    w->conf.cpu_count = CORES;
    w->conf.memory_bytes = 2 * GIB;
    w->now_ns = NS_PER_S;
    w->tick_ns = w->now_ns + TICK_NS;
    rand_init(&w->rand, seed);
    assert_int_equal(steer_open(&w->steer, &w->conf, &w->budget, false), ERR_NONE);
    for (uint32_t i = 0; i < CORES; i++)
        assert_int_equal(steer_join(&w->steer, &w->traffics[i]), ERR_NONE);
    return w;
}

static void close_world(struct world *w)
{
    struct task *task;
    steer_release(&w->steer);
    fair_unblock_all(&w->steer.fairs[w->rank]);
    while ((task = fair_pop(&w->steer.fairs[w->rank], w->now_ns)) != NULL)
        free(task);
    steer_close(&w->steer);
}

/* --- the server --- */

static bool is_limited(struct world *w, struct limit *limit)
{
    if (limit->per_s <= 0) return false;
    double interval_ns = (double)NS_PER_S / limit->per_s;
    double ahead_ns = limit->at_ns > w->now_ns ? (double)(limit->at_ns - w->now_ns) : 0;
    if (ahead_ns > (limit->burst - 1) * interval_ns) return true;
    limit->at_ns = w->now_ns + (uint64_t)(ahead_ns + interval_ns);
    return false;
}

static void judge(struct world *w, struct job *job)
{
    uint32_t prefix = job->task.prefix;
    w->flight++;
    job->judged = true;
    double load = w->knee > 0 ? w->flight / w->knee : 0;
    job->refused = load > 1.5 || is_limited(w, &w->limits[prefix]);
    job->serve_ns = (uint64_t)((double)w->service_ns * fmax(1, load));
    job->serve_ns += rand_below(&w->rand, JITTER_NS);
}

/* --- a core --- */

static void begin(struct world *w, struct hand *hand, struct job *job)
{
    bool fresh = hand->conn_count == 0;
    job->state = JOB_SENDING;
    job->judged = job->refused = false;
    job->left_bytes = w->bytes;
    job->cwnd = fresh ? CWND_FIRST : hand->cwnds[--hand->conn_count];
    job->begin_ns = w->now_ns + (fresh ? w->rtt_ns : 0);
    job->head_ns = job->begin_ns + w->rtt_ns / 2;
    job->attempts++;
}

static void leave_conn(struct hand *hand, const struct job *job)
{
    hand->cwnds[hand->conn_count++] = job->cwnd;
}

static void give_up_for_now(struct world *w, uint32_t core, struct job *job)
{
    w->flight--;
    w->tallies[job->task.prefix].refused++;
    traffic_on_failure(&w->traffics[core], job->task.prefix, ERR_SLOW_DOWN);
    leave_conn(&w->hands[core], job);
    job->state = JOB_BACKING_OFF;
    uint64_t delay_ns = retry_delay_ns(&w->rand, ERR_CLASS_SLOW, job->attempts);
    job->due_ns = w->now_ns + max_u64(delay_ns, w->service_ns);
}

static void refill(struct world *w, uint32_t prefix)
{
    struct fair *fair = &w->steer.fairs[w->rank];
    while (w->steer.prefixes.entries[prefix].queued < 2) {
        struct task *task = calloc(1, sizeof *task);
        task_init(task, 0, w->rank);
        task->prefix = (uint16_t)prefix;
        task->bytes = (uint64_t)w->bytes;
        fair_push(fair, task);
    }
}

/* The first prefix is found at once, the others where the search looks further. */
static void refill_all(struct world *w)
{
    uint32_t found = w->prefix_count > 0 ? 1 : 0;
    if (w->steer.prefixes.uneven) found = w->prefix_count;
    for (uint32_t i = w->prefix_count > 0; i <= found; i++)
        refill(w, i);
}

static void hand_out(struct world *w)
{
    struct fair *fair = &w->steer.fairs[w->rank];
    for (uint32_t i = 0; i < JOBS * CORES; i++) {
        struct hand *hand = &w->hands[i % CORES];
        struct job *job = &hand->jobs[i / CORES];
        if (hand->running >= hand->asked || job->state != JOB_FREE) continue;
        struct task *task = fair_pop(fair, w->now_ns);
        if (!task) return;
        job->task = *task;
        free(task);
        job->attempts = 0;
        hand->running++;
        refill_all(w);
        begin(w, hand, job);
    }
}

static uint32_t allowed(const struct world *w, const struct hand *hand)
{
    uint32_t many = w->rank == TASK_FIRST ? hand->share : FLOW_OBJECTS * hand->share;
    return (uint32_t)min_u64(many, CONNS);
}

static void end_job(struct world *w, uint32_t core, struct job *job)
{
    struct hand *hand = &w->hands[core];
    uint32_t prefix = job->task.prefix;
    w->flight--;
    w->tallies[prefix].done++;
    traffic_on_answer(&w->traffics[core], prefix, w->now_ns - job->sent_ns);
    leave_conn(hand, job);
    job->state = JOB_FREE;
    hand->running--;
    hand->asked--;
    hand->asked += prr_on_end(&hand->prr, allowed(w, hand), hand->asked);
    prefixes_on_back(&w->steer.prefixes, prefix);
    fair_unblock(&w->steer.fairs[w->rank], prefix);
}

static void follow(struct world *w, struct hand *hand, uint32_t core)
{
    uint32_t share = steer_share(&w->steer, core);
    if (share == hand->share) return;
    hand->share = share;
    prr_set(&hand->prr, allowed(w, hand), hand->asked);
    if (allowed(w, hand) > hand->asked) hand->asked = allowed(w, hand);
}

static void tick(struct world *w)
{
    for (uint32_t i = 0; i < CORES; i++)
        meter_set(&w->traffics[i].rtt_ns, w->rtt_ns);
    steer_tick(&w->steer, w->now_ns);
    fair_unblock_all(&w->steer.fairs[w->rank]);
    for (uint32_t i = 0; i < CORES; i++)
        follow(w, &w->hands[i], i);
    refill_all(w);
}

/* --- the link --- */

static double job_wants(const struct world *w, const struct job *job)
{
    double step_s = (double)STEP_NS / 1e9, rtt_s = (double)w->rtt_ns / 1e9;
    if (job->state != JOB_SENDING || w->now_ns < job->begin_ns) return 0;
    return fmin(job->left_bytes, job->cwnd * step_s / rtt_s);
}

static void send_all(struct world *w)
{
    double room = w->link_bytes_per_s * (double)STEP_NS / 1e9, wanted = 0;
    uint32_t lag = (uint32_t)(w->rtt_ns / STEP_NS);
    w->step++;
    w->sent[w->step % LAG_MAX] = 0;
    for (uint32_t i = 0; i < JOBS * CORES; i++)
        wanted += job_wants(w, &w->hands[i % CORES].jobs[i / CORES]);
    double part = wanted > room ? room / wanted : 1;
    for (uint32_t i = 0; i < JOBS * CORES; i++) {
        struct job *job = &w->hands[i % CORES].jobs[i / CORES];
        double bytes = part * job_wants(w, job);
        if (bytes <= 0) continue;
        job->left_bytes -= bytes;
        if (part == 1) job->cwnd += bytes;
        w->sent[w->step % LAG_MAX] += bytes;
        if (job->left_bytes < 1) job->left_bytes = 0;
    }
    uint64_t acked = (uint64_t)w->sent[(w->step + LAG_MAX - lag) % LAG_MAX];
    meter_add(&w->traffics[0].delivered_bytes, acked);
    meter_add(&w->traffics[0].sent_bytes, acked);
}

/* What of a part is under way keeps the refusal waiting: as measured in the laboratory. */
static uint64_t heard_ns(const struct world *w)
{
    return w->rank == TASK_FIRST ? w->rtt_ns + 700 * NS_PER_MS : w->rtt_ns;
}

static void step_job(struct world *w, uint32_t core, struct job *job)
{
    if (job->state == JOB_FREE) return;
    if (job->state == JOB_BACKING_OFF && w->now_ns >= job->due_ns) begin(w, &w->hands[core], job);
    if (job->state == JOB_SENDING && !job->judged && w->now_ns >= job->head_ns) judge(w, job);
    if (job->state == JOB_SENDING && job->refused && w->now_ns >= job->begin_ns + heard_ns(w))
        give_up_for_now(w, core, job);
    if (job->state == JOB_SENDING && job->judged && !job->refused && job->left_bytes == 0) {
        job->state = JOB_SERVED;
        job->sent_ns = w->now_ns;
        job->due_ns = w->now_ns + w->rtt_ns + job->serve_ns;
    }
    if (job->state == JOB_SERVED && w->now_ns >= job->due_ns) end_job(w, core, job);
}

static void step(struct world *w)
{
    w->now_ns += STEP_NS;
    send_all(w);
    for (uint32_t i = 0; i < JOBS * CORES; i++)
        step_job(w, i % CORES, &w->hands[i % CORES].jobs[i / CORES]);
    for (uint32_t i = 0; i < CORES; i++) {
        uint64_t one = w->rank == TASK_FIRST ? 1 : FLOW_OBJECTS;
        meter_add(&w->traffics[i].busy_ns, w->hands[i].running * STEP_NS / one);
    }
    w->flight_s += w->flight * (double)STEP_NS / 1e9;
    if (w->now_ns >= w->tick_ns) {
        tick(w);
        w->tick_ns += TICK_NS;
    }
    hand_out(w);
}

static void run_for(struct world *w, double seconds)
{
    uint64_t until_ns = w->now_ns + (uint64_t)(seconds * 1e9);
    for (uint32_t i = 0; i < CORES; i++)
        follow(w, &w->hands[i], i);
    refill_all(w);
    while (w->now_ns < until_ns)
        step(w);
}

static void forget(struct world *w)
{
    memset(w->tallies, 0, sizeof w->tallies);
    w->flight_s = 0;
}

static struct tally total(const struct world *w)
{
    struct tally sum = {0};
    for (uint32_t i = 0; i <= PREFIXES; i++) {
        sum.done += w->tallies[i].done;
        sum.refused += w->tallies[i].refused;
    }
    return sum;
}

/* --- a server with a knee --- */

struct knee_run {
    double refused, done, flight; /* in flight: the mean of the second half */
};

/* As in the laboratory: parts of 5 MiB on 500 Mbit/s and 20 ms, for 21 s; with `knee` in flight the
 * server takes 0.6 of the link. */
static struct knee_run run_knee(enum flow_kind cc, double knee, uint64_t seed)
{
    struct world *w = open_world(cc, 64, seed);
    w->rank = TASK_FIRST;
    w->knee = knee;
    w->bytes = 5 * MIB;
    w->link_bytes_per_s = 60e6;
    w->rtt_ns = 20 * NS_PER_MS;
    w->service_ns = (uint64_t)(knee * w->bytes / (0.6 * w->link_bytes_per_s) * 1e9);
    run_for(w, 10.5);
    w->flight_s = 0;
    run_for(w, 10.5);
    struct tally sum = total(w);
    struct knee_run result = {(double)sum.refused, (double)sum.done, w->flight_s / 10.5};
    close_world(w);
    return result;
}

/* Whatever Startup's doublings meet: few are refused. Where they pass the knee, and the refusals
 * are what ends them, the window is near the knee for the rest of the time. */
static void test_knee(void **state)
{
    static const struct {
        double knee;
        bool near;
    } rows[] = {{10, false}, {12, false}, {16, true}, {20, true}, {24, true}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            double knee = rows[i].knee;
            struct knee_run fixed = run_knee(FLOW_FIXED, knee, seed);
            struct knee_run tune = run_knee(FLOW_AUTO, knee, seed);
            print_message(
                "knee %.0f, seed %u: refused %.0f, %.0f; done %.0f, %.0f; %.1f in flight\n", knee,
                (unsigned)seed, fixed.refused, tune.refused, fixed.done, tune.done, tune.flight);
            assert_true(fixed.refused >= (knee == 16 ? 20 : 10) * tune.refused);
            assert_true(tune.done >= 0.65 * fixed.done);
            if (!rows[i].near) continue;
            assert_true(tune.flight > 0.8 * knee && tune.flight < 1.2 * knee);
        }
}

/* --- prefixes with limits --- */

/* As in the laboratory: small objects below eight prefixes, one of which may have a quarter of the
 * others' requests a second. */
static struct world *open_limited(uint64_t seed)
{
    struct world *w = open_world(FLOW_AUTO, 0, seed);
    char key[8];
    w->rank = TASK_THEN;
    w->bytes = 32 * KIB;
    w->link_bytes_per_s = 60e6;
    w->rtt_ns = 20 * NS_PER_MS;
    w->service_ns = 250 * NS_PER_MS;
    w->prefix_count = PREFIXES;
    for (uint32_t i = 1; i <= PREFIXES; i++) {
        snprintf(key, sizeof key, "p%u/x", i);
        assert_int_equal(steer_prefix(&w->steer, bytes_of(key), 0, 0), i);
        w->limits[i].per_s = w->limits[i].burst = i == 1 ? 12 : 48;
    }
    return w;
}

/* All run into their limits at about the same time, 6 s after the start: of what is asked from 5 s
 * on, at most 1 % is refused, and the one with the lowest limit has 95 % of it; later as well. */
static void test_limited(void **state)
{
    double refused = 0, asked = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world *w = open_limited(seed);
        run_for(w, 5);
        forget(w);
        run_for(w, 9);
        struct tally soon = total(w);
        refused += (double)soon.refused;
        asked += (double)(soon.refused + soon.done);
        run_for(w, 6);
        struct tally sum = total(w);
        assert_true((double)sum.refused <= 0.01 * (double)(sum.refused + sum.done));
        assert_true((double)w->tallies[1].done >= 0.8 * 12 * 15);
        run_for(w, 45);
        sum = total(w);
        assert_true((double)sum.refused <= 0.005 * (double)(sum.refused + sum.done));
        assert_true((double)w->tallies[1].done >= 0.95 * 12 * 60);
        assert_true((double)sum.done >= 0.95 * (12 + 7 * 48) * 60);
        close_world(w);
    }
    print_message("refused from 5 to 14 s: %.4f\n", refused / asked);
    assert_true(refused <= 0.01 * asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knee),
        cmocka_unit_test(test_limited),
    };
    return cmocka_run_group_tests_name("course", tests, NULL, NULL);
}
