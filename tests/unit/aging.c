/* Losses by chance: connections begin fast and are slow soon, parts take half a minute, so that
 * fewer in flight show long after they were asked for; in virtual time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rand.h"
#include "sched/fixed.h"
#include "sched/response.h"
#include "sched/rounds.h"
#include "sched/tune.h"

#define TICK_NS       (50 * NS_PER_MS)
#define CONNS_MAX     128
#define PART_BYTES    (8.0 * MIB)
#define OPEN_RTTS     5.0
#define SEGMENT_BYTES 1448

struct kind { /* of path */
    double loss;
    uint64_t rtt_ms;
    double last, seconds; /* bytes/s of a connection in the end, and how soon */
    double capacity;
    bool queues;  /* in front of it; or a server that takes no more, or a policer */
    double noise; /* of its capacity, a standard deviation of its logarithm */
    double burst; /* segments that are lost together */
};

/* The kernel's cubic, as it was seen in the laboratory. */
static const struct kind kinds[] = {
    {0.01, 50, 0.31e6, 0.6, 62.5e6, true, 0, 1},    {0.01, 100, 0.16e6, 1.2, 62.5e6, true, 0, 1},
    {0.001, 50, 1.2e6, 1.5, 62.5e6, true, 0, 1},    {0.001, 100, 0.7e6, 3, 62.5e6, true, 0, 1},
    {0.0001, 100, 3.5e6, 5, 62.5e6, true, 0, 1},    {0.01, 50, 0.31e6, 0.6, 12.5e6, true, 0, 1},
    {0.01, 50, 0.31e6, 0.6, 12.5e6, false, 0, 1},   {0.001, 50, 1.2e6, 1.5, 20e6, false, 0, 1},
    {0.01, 50, 5e6, 0.6, 62.5e6, false, 0.05, 200}, {0.01, 20, 5e6, 0.6, 62.5e6, false, 0.1, 1200},
};

struct conn {
    double age_s, left; /* bytes of its part; 0: it is idle */
};

struct world {
    const struct kind *kind;
    bool down;   /* it is received: losses are what is seen of holes, the least */
    bool cubic;  /* what is lost while nothing queues is told */
    bool silent; /* until a part is done the server's time is not known: rounds are of 2 s */
    struct conn conns[CONNS_MAX];
    uint32_t used;
    struct rand rand;
    double noise; /* of now, in standard deviations: it takes half a second to become another */
    uint64_t now_ns;
    struct sample_totals totals;
    struct response response;
    struct rounds rounds;
    struct tune tune;
    struct fixed fixed;
};

static void open_world(struct world *w, const struct kind *kind, uint32_t fixed)
{
    *w = (struct world){.kind = kind, .now_ns = NS_PER_S};
    rounds_init(&w->rounds);
    tune_init(&w->tune, &(struct cc_limits){2, 8, CONNS_MAX});
    fixed_init(&w->fixed, &(struct cc_limits){1, fixed, fixed});
    w->totals.cores = 1;
    rand_init(&w->rand, 7);
}

static double speed(const struct world *w, const struct conn *conn)
{
    double opens = fmin(1, conn->age_s / (OPEN_RTTS * 1e-3 * (double)w->kind->rtt_ms));
    return opens * (w->kind->last + 2.5e6 * exp(-conn->age_s / w->kind->seconds));
}

/* Returns what the connections in use would move. */
static double hand_out(struct world *w, uint32_t window)
{
    double wanted = 0;
    for (uint32_t i = 0; i < CONNS_MAX && w->used < window; i++)
        if (w->conns[i].left <= 0) {
            w->conns[i].left = PART_BYTES;
            w->used++;
        }
    for (uint32_t i = 0; i < CONNS_MAX; i++)
        if (w->conns[i].left > 0) wanted += speed(w, &w->conns[i]);
    return wanted;
}

static void move(struct world *w, double share)
{
    double s = (double)TICK_NS / (double)NS_PER_S;
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        struct conn *conn = &w->conns[i];
        if (conn->left <= 0) continue;
        double bytes = share * speed(w, conn) * s;
        w->totals.delivered_bytes += (uint64_t)bytes;
        conn->age_s += s;
        conn->left -= bytes;
        if (conn->left > 0) continue;
        w->used--;
        w->totals.requests++;
        w->totals.answer_ns += NS_PER_MS;
    }
}

/* Losses come by chance: as many as there are on the mean, or one more. */
static void see_quiet(struct world *w, uint64_t bytes)
{
    double segments = (double)bytes / SEGMENT_BYTES;
    double losses = w->kind->loss * segments / w->kind->burst;
    w->totals.segment_bytes = SEGMENT_BYTES;
    w->totals.quiet_bytes += bytes;
    w->totals.quiet_losses += (uint64_t)(losses + rand_unit(&w->rand));
}

static void tick(struct world *w, uint32_t window)
{
    double wanted = hand_out(w, window);
    bool queues = wanted > w->kind->capacity && w->kind->queues;
    uint64_t before = w->totals.delivered_bytes;
    w->totals.busy_ns += w->used * TICK_NS;
    double more = -6;
    for (int i = 0; i < 12; i++)
        more += rand_unit(&w->rand);
    w->noise = 0.9 * w->noise + sqrt(1 - 0.81) * more;
    move(w, fmin(1, w->kind->capacity * exp(w->kind->noise * w->noise) / wanted));
    uint64_t lost_bytes = (uint64_t)(w->kind->loss * (double)w->totals.delivered_bytes);
    w->totals.sent_bytes = w->totals.delivered_bytes / (w->down ? 1000 : 1);
    w->totals.resent_bytes = w->down ? 0 : lost_bytes;
    w->totals.lost_bytes = w->down ? lost_bytes / 2 : 0;
    if (w->cubic && !queues) see_quiet(w, w->totals.delivered_bytes - before);
    w->totals.rtt_now_ns = w->kind->rtt_ms * NS_PER_MS * (queues ? 2 : 1);
    w->now_ns += TICK_NS;
}

/* The mean rate. */
static double drive(struct world *w, struct cc *cc, double seconds)
{
    uint64_t until_ns = w->now_ns + (uint64_t)(seconds * (double)NS_PER_S);
    uint64_t before = w->totals.delivered_bytes;
    while (w->now_ns < until_ns) {
        tick(w, (uint32_t)lround(w->rounds.window > 0 ? w->rounds.window : cc->window));
        struct sample sample = {
            .now_ns = w->now_ns, .rtt_ns = w->kind->rtt_ms * NS_PER_MS, .answer_ns = NS_PER_MS};
        if (w->silent && w->totals.requests == 0) sample.answer_ns = 0;
        response_tick(&w->response, w->now_ns, &w->totals, sample.rtt_ns);
        sample.lasting = response_slowness(&w->response);
        if (rounds_tick(&w->rounds, cc, &w->totals, &sample)) continue;
    }
    return (double)(w->totals.delivered_bytes - before) / seconds;
}

static double best_of_fixed(const struct kind *kind)
{
    double best = 0;
    for (uint32_t count = 4; count <= 64; count *= 2) {
        struct world w;
        open_world(&w, kind, count);
        drive(&w, &w.fixed.cc, 4);
        best = fmax(best, drive(&w, &w.fixed.cc, 16));
    }
    return best;
}

/* From 4 to 20 s, against the best count that is kept; and not far more than the path needs. */
static void test_as_much_as_the_best(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(kinds) * 6; i++) {
        struct world w;
        const struct kind *kind = &kinds[i / 6];
        double best = best_of_fixed(kind);
        open_world(&w, kind, 1);
        w.silent = i % 2;
        w.down = i % 6 / 2 == 1;
        w.cubic = i % 6 / 2 == 2;
        drive(&w, &w.tune.cc, 4);
        double share = drive(&w, &w.tune.cc, 16) / best;
        double right = fmin(kind->capacity / kind->last, CONNS_MAX);
        bool good =
            share > (w.silent ? 0.9 : 0.95) && w.tune.level < (kind->noise > 0 ? 4 : 2.5) * right;
        if (!good)
            print_error("row %zu: %.3f of the best, %.0f in flight of %.0f\n", i, share,
                        w.tune.level, right);
        assert_true(good);
    }
}

/* Where losses are told, and there are enough before the path is full, no second is lost to
 * connections that become slower: from the sixth on. */
static void test_none_is_lost_to_age(void **state)
{
    static const struct kind rows[] = {
        {0.001, 50, 1.2e6, 1.5, 125e6, true, 0, 1},
        {0.001, 100, 0.7e6, 3, 62.5e6, true, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (int told = 0; told < 2; told++) {
            struct world w;
            double least = INFINITY;
            open_world(&w, &rows[i], 1);
            w.cubic = told;
            drive(&w, &w.tune.cc, 5);
            for (uint32_t second = 5; second < 20; second++)
                least = fmin(least, drive(&w, &w.tune.cc, 1) / rows[i].capacity);
            if ((least > 0.95) != told) print_error("row %zu, told %d: %.3f\n", i, told, least);
            assert_int_equal(least > 0.95, told);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_much_as_the_best),
        cmocka_unit_test(test_none_is_lost_to_age),
    };
    return cmocka_run_group_tests_name("aging", tests, NULL, NULL);
}
