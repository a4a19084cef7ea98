/* How much of a download may be in flight: a fluid path with a queue in virtual time, whose senders
 * take all that windows and the queue let them have. */
#include "sched/clamp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define TICK_NS (50 * NS_PER_MS)
#define STEP_MS 5u
#define FLOWS   16u
#define MBIT    125e3
#define SECONDS 120u

struct net {
    struct clamp clamp;
    struct sample_totals totals;
    struct rand rand;
    double capacity, rtt_s, queue; /* bytes/s; without a queue; its bytes at most */
    uint64_t told_rtt_ns;          /* the least that TCP knows of */
    double noise;
    struct {
        double cwnd, rate, most; /* of the sender; as we see it; of a server that is slow, or 0 */
        double received;
        uint32_t window;
    } flows[FLOWS];
    uint32_t count;
    uint64_t now_ns;
    double in_flight, rtt_now_s, delivered;
    double seconds[SECONDS]; /* of the capacity, in each second */
    uint32_t changes, frees;
    uint64_t late_ns; /* until when the core that half of them are of counts nothing */
    double uncounted;
    bool kernel; /* nothing is clamped */
    bool deaf;   /* what windows say is not kept to */
};

static void open_net(struct net *net, double mbit, uint32_t rtt_ms, double queue_bdps)
{
    memset(net, 0, sizeof *net);
    clamp_init(&net->clamp);
    rand_init(&net->rand, 5);
    net->capacity = mbit * MBIT;
    net->rtt_s = rtt_ms / 1e3;
    net->told_rtt_ns = rtt_ms * NS_PER_MS;
    net->queue = queue_bdps * net->capacity * net->rtt_s;
    net->count = 8;
    net->now_ns = NS_PER_S;
    for (uint32_t i = 0; i < FLOWS; i++)
        net->flows[i].cwnd = 14480;
}

/* What a flow has under way: a slow server does not fill what it may. */
static double flight(const struct net *net, uint32_t i)
{
    double bytes = net->flows[i].cwnd;
    if (net->flows[i].window > 0) bytes = fmin(bytes, net->flows[i].window);
    if (net->flows[i].most > 0) bytes = fmin(bytes, net->flows[i].most * net->rtt_s);
    return bytes;
}

/* Slow start up to the first overflow, and then a tenth a round trip; an overflow costs each 0.7.
 * What may not be sent does not open a window (RFC 7661). */
static void step(struct net *net)
{
    double s = STEP_MS / 1e3, sum = 0;
    double noise = 1 + net->noise * (2 * rand_unit(&net->rand) - 1);
    for (uint32_t i = 0; i < net->count; i++)
        sum += flight(net, i);
    double capacity = net->capacity * noise;
    net->in_flight = sum;
    net->rtt_now_s = fmax(net->rtt_s, sum / capacity);
    bool overflows = sum > net->capacity * net->rtt_s + net->queue;
    for (uint32_t i = 0; i < net->count; i++) {
        bool used = flight(net, i) >= net->flows[i].cwnd;
        double bytes = flight(net, i) / net->rtt_now_s * s;
        net->flows[i].received += bytes;
        net->totals.delivered_bytes += (uint64_t)bytes;
        net->delivered += bytes;
        if (overflows)
            net->flows[i].cwnd *= 0.85;
        else if (used)
            net->flows[i].cwnd *= 1 + 0.7 * s / net->rtt_now_s;
    }
}

/* Of what came in a tick. */
static void count(struct net *net, uint64_t bytes)
{
    bool late = net->now_ns < net->late_ns;

    net->uncounted += late ? (double)bytes / 2 : 0;
    net->totals.delivered_bytes -= late ? bytes / 2 : 0;
    if (late) return;
    net->totals.delivered_bytes += (uint64_t)net->uncounted;
    net->uncounted = 0;
    net->totals.looked_ns = net->now_ns;
}

static void tick(struct net *net)
{
    uint64_t before = net->totals.delivered_bytes;
    for (uint32_t ms = 0; ms < TICK_NS / NS_PER_MS; ms += STEP_MS)
        step(net);
    net->now_ns += TICK_NS;
    count(net, net->totals.delivered_bytes - before);
    net->totals.rtt_now_ns = (uint64_t)(net->rtt_now_s * (double)NS_PER_S);
    if (!net->kernel && clamp_tick(&net->clamp, net->now_ns, &net->totals, net->told_rtt_ns)) {
        net->changes++;
        net->frees += net->clamp.state == CLAMP_FREE;
        assert_true(net->clamp.before_bytes != net->clamp.after_bytes);
        assert_int_equal(net->clamp.after_bytes == 0, net->clamp.state == CLAMP_FREE);
    }
    const struct clamp_terms terms = clamp_terms(&net->clamp, net->count);
    for (uint32_t i = 0; i < net->count; i++) {
        double rate = net->flows[i].rate;
        net->flows[i].rate =
            clamp_mean_rate(&terms, rate, (uint64_t)net->flows[i].received, TICK_NS);
        net->flows[i].received = 0;
        net->flows[i].window = net->deaf ? 0 : clamp_window(&terms, net->flows[i].rate);
    }
}

static void run(struct net *net, uint32_t from_s, uint32_t to_s)
{
    for (uint32_t second = from_s; second < to_s; second++) {
        net->delivered = 0;
        for (uint32_t i = 0; i < NS_PER_S / TICK_NS; i++)
            tick(net);
        net->seconds[second] = net->delivered / net->capacity;
    }
}

static double mean(const struct net *net, uint32_t from_s, uint32_t to_s)
{
    double sum = 0;
    for (uint32_t second = from_s; second < to_s; second++)
        sum += net->seconds[second];
    return sum / (to_s - from_s);
}

static double bdps(const struct net *net)
{
    return net->in_flight / (net->capacity * net->rtt_s);
}

/* --- what it is for --- */

static void test_deep_queue(void **state)
{
    (void)state;
    for (uint32_t rtt_ms = 10; rtt_ms <= 200; rtt_ms *= 2) {
        struct net net;
        open_net(&net, 200, rtt_ms, 4);
        net.noise = 0.05;
        run(&net, 0, 30);
        assert_int_equal(net.clamp.state, CLAMP_HELD);
        assert_in_range(10 * bdps(&net), 15, 24);
        assert_true(mean(&net, 5, 30) > 0.99);
        net.kernel = true;
        clamp_init(&net.clamp);
        run(&net, 30, 60);
        assert_true(bdps(&net) > 3);
    }
}

/* Some come slowly, however much of them may be in flight: the others have all the rest. */
static void test_uneven(void **state)
{
    (void)state;
    for (uint32_t slow = 1; slow <= 14; slow++) {
        struct net net;
        open_net(&net, 200, 50, 4);
        net.count = 16;
        for (uint32_t i = 0; i < slow; i++)
            net.flows[i].most = 60e3;
        run(&net, 0, 40);
        assert_int_equal(net.clamp.state, CLAMP_HELD);
        assert_true(mean(&net, 5, 40) > 0.99);
        assert_true(bdps(&net) < 3.1); /* even shares that are not used are there beside it */
    }
}

static void test_left_alone(void **state)
{
    (void)state;
    static const struct {
        uint32_t rtt_ms;
        double queue_bdps;
    } rows[] = {{50, 1}, {100, 0.5}, {50, 0}, {4, 30}};

    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct net net;
        open_net(&net, 200, rows[i].rtt_ms, rows[i].queue_bdps);
        net.noise = 0.05;
        run(&net, 0, 60);
        assert_int_equal(net.changes, 0);
        assert_int_equal(net.flows[0].window, 0);
    }
}

/* What is sent fills queues as well: that is the window's affair, not the peer's. */
static void test_upload(void **state)
{
    (void)state;
    struct net net;
    open_net(&net, 200, 50, 4);
    for (uint32_t i = 0; i < 400; i++) {
        tick(&net);
        net.totals.sent_bytes = net.totals.delivered_bytes;
    }
    assert_int_equal(net.changes, 0);
}

/* --- a path that changes --- */

static void test_more(void **state)
{
    (void)state;
    for (uint32_t phase = 0; phase < 10; phase++) {
        struct net net;
        open_net(&net, 50, 50, 4);
        net.noise = 0.02;
        run(&net, 0, 20 + phase);
        assert_int_equal(net.clamp.state, CLAMP_HELD);
        net.capacity *= 4;
        run(&net, 20 + phase, 50);
        assert_true(net.seconds[22 + phase] > 0.9); /* within 3 s */
        assert_true(mean(&net, 24 + phase, 50) > 0.98);
        assert_true(net.clamp.state == CLAMP_FREE ||
                    clamp_terms(&net.clamp, 1).share_bytes > 1.8 * net.capacity * net.rtt_s);
    }
}

static void test_less(void **state)
{
    (void)state;
    struct net net;
    open_net(&net, 200, 50, 4);
    run(&net, 0, 20);
    net.capacity /= 4;
    run(&net, 20, 60);
    assert_true(mean(&net, 20, 60) > 0.99);
    assert_in_range(net.frees, 1, 1);
    assert_true(bdps(&net) < 2.5);
}

/* A core that counts late is no path that has become slower. */
static void test_late(void **state)
{
    (void)state;
    struct net net;
    open_net(&net, 200, 50, 4);
    run(&net, 0, 20);
    assert_int_equal(net.clamp.state, CLAMP_HELD);
    for (uint32_t second = 20; second < 60; second += 2) {
        net.late_ns = net.now_ns + NS_PER_S;
        run(&net, second, second + 2);
    }
    assert_int_equal(net.frees, 0);
    assert_true(bdps(&net) < 2.5);
}

/* The least round trip is the old one for minutes: a queue that is none. Each trial costs a quarter
 * for a round, and they become few. */
static void test_longer(void **state)
{
    (void)state;
    for (uint32_t held = 0; held < 2; held++) {
        struct net net, kernel;
        open_net(&net, 200, 20, held ? 4 : 0.5);
        run(&net, 0, 20);
        assert_int_equal(net.clamp.state == CLAMP_HELD, held);
        net.rtt_s = 0.120;
        net.queue = 0.5 * net.capacity * net.rtt_s;
        kernel = net;
        kernel.kernel = true;
        clamp_init(&kernel.clamp);
        run(&net, 20, SECONDS);
        run(&kernel, 20, SECONDS);
        assert_true(mean(&net, 20, SECONDS) > 0.98 * mean(&kernel, 20, SECONDS));
    }
}

/* The path is longer than TCP knows, whatever by: a limit that is a little too small must not
 * shrink with what it lets through. */
static void test_never_known(void **state)
{
    (void)state;
    for (uint32_t rtt_ms = 100; rtt_ms <= 320; rtt_ms += rtt_ms < 120 ? 1 : 10) {
        for (uint32_t queue_ms = 20; queue_ms <= 200; queue_ms += 60) {
            struct net net, kernel;
            open_net(&net, 200, rtt_ms, (double)queue_ms / rtt_ms);
            net.told_rtt_ns = 50 * NS_PER_MS;
            kernel = net;
            kernel.kernel = true;
            run(&net, 0, SECONDS);
            run(&kernel, 0, SECONDS);
            assert_true(mean(&net, 10, SECONDS) > 0.94 * mean(&kernel, 10, SECONDS));
            assert_true(mean(&net, 60, SECONDS) > 0.94 * mean(&kernel, 60, SECONDS));
        }
    }
}

/* While nothing comes nothing is decided, and then it is as at the start. */
static void test_outage(void **state)
{
    (void)state;
    struct net net;
    open_net(&net, 200, 50, 4);
    run(&net, 0, 20);
    assert_int_equal(net.clamp.state, CLAMP_HELD);
    net.now_ns += 2 * NS_PER_S;
    for (uint32_t i = 0; i < 400; i++) {
        net.now_ns += TICK_NS;
        bool changed = clamp_tick(&net.clamp, net.now_ns, &net.totals, net.told_rtt_ns);
        assert_int_equal(changed, net.clamp.state == CLAMP_FREE && net.frees == 0);
        net.frees += changed;
    }
    assert_int_equal(net.frees, 1);
    assert_int_equal(clamp_terms(&net.clamp, 8).share_bytes, 0);
    run(&net, 20, 40);
    assert_int_equal(net.clamp.state, CLAMP_HELD);
    open_net(&net, 200, 50, 4);
    net.totals.rtt_now_ns = 250 * NS_PER_MS; /* as it was seen last */
    for (uint32_t i = 0; i < 400; i++) {
        net.now_ns += TICK_NS;
        assert_false(clamp_tick(&net.clamp, net.now_ns, &net.totals, net.told_rtt_ns));
        assert_int_equal(net.clamp.state, CLAMP_FREE);
    }
}

/* A stall of half a minute is in TCP's round trip for long: rounds are no longer for it. */
static void test_rounds_are_bounded(void **state)
{
    (void)state;
    struct net net;
    uint64_t longest_ns = 0;
    open_net(&net, 200, 50, 1);
    for (uint32_t i = 0; i < 1000; i++) {
        net.totals.rtt_now_ns = 10 * NS_PER_S;
        net.totals.delivered_bytes += 1000000;
        net.now_ns += TICK_NS;
        uint64_t began_ns = net.clamp.began_ns;
        bool changed = clamp_tick(&net.clamp, net.now_ns, &net.totals, net.told_rtt_ns);
        (void)changed;
        if (began_ns > 0 && net.clamp.began_ns != began_ns)
            longest_ns = max_u64(longest_ns, net.clamp.began_ns - began_ns);
    }
    assert_in_range(longest_ns, 4 * NS_PER_S, 4 * NS_PER_S + 2 * TICK_NS);
}

/* As much is in flight as before: each step waits for the round trip, four rounds of 4 of it, and
 * then they end. */
static void test_not_kept(void **state)
{
    (void)state;
    struct net net;
    uint64_t lowered_ns = 0;
    open_net(&net, 200, 50, 4);
    net.deaf = true;
    for (uint32_t i = 0; i < SECONDS * NS_PER_S / TICK_NS; i++) {
        uint32_t changes = net.changes;
        tick(&net);
        if (net.changes == changes) continue;
        if (lowered_ns > 0) assert_in_range(net.now_ns - lowered_ns, 3 * NS_PER_S, 5 * NS_PER_S);
        lowered_ns = net.now_ns;
    }
    assert_int_equal(net.clamp.state, CLAMP_HELD);
    assert_true(net.clamp.gain == CLAMP_GAIN);
    assert_in_range(net.changes, 3, 4);
    assert_int_equal(net.frees, 0);
}

/* One round with less is chance, two are not, and half as much is not either. */
static void test_chance(void **state)
{
    static const struct {
        double share;
        uint32_t rounds;
        enum clamp_state state;
    } rows[] = {{0.85, 1, CLAMP_HELD}, {0.85, 2, CLAMP_FREE}, {0.5, 1, CLAMP_FREE}};
    (void)state;
    for (uint32_t row = 0; row < ARRAY_COUNT(rows); row++) {
        struct net net;
        open_net(&net, 200, 50, 4);
        run(&net, 0, 20);
        assert_int_equal(net.clamp.state, CLAMP_HELD);
        double capacity = net.capacity;
        uint64_t began_ns = net.clamp.began_ns;
        while (net.clamp.began_ns == began_ns) /* from the begin of a round on */
            tick(&net);
        net.capacity = rows[row].share * capacity;
        for (uint32_t i = 0; i < rows[row].rounds && net.clamp.state == CLAMP_HELD; i++) {
            began_ns = net.clamp.began_ns;
            while (net.clamp.began_ns == began_ns)
                tick(&net);
        }
        net.capacity = capacity;
        assert_int_equal(net.clamp.state, rows[row].state);
    }
}

/* --- a connection --- */

static void test_window(void **state)
{
    (void)state;
    const struct clamp_terms none = {0};
    const struct clamp_terms terms = {
        .share_bytes = 100000, .flight_ns = 100 * NS_PER_MS, .rate_ns = 400 * NS_PER_MS};

    assert_int_equal(clamp_window(&none, 1e9), 0);
    assert_int_equal(clamp_window(&terms, 0), 100000);
    assert_int_equal(clamp_window(&terms, 1e6), 100000);
    assert_int_equal(clamp_window(&terms, 2e6), 200000);
    assert_int_equal(clamp_window(&terms, 1e12), INT32_MAX);
    assert_true(clamp_mean_rate(&terms, 1e6, 100000, 0) == 1e6);
    assert_true(fabs(clamp_mean_rate(&terms, 1e6, 100000, 50 * NS_PER_MS) - 1.125e6) < 1);
    assert_true(fabs(clamp_mean_rate(&none, 1e6, 100000, 50 * NS_PER_MS) - 1.25e6) < 1);
    assert_true(fabs(clamp_mean_rate(&terms, 1e6, 4000000, NS_PER_S) - 4e6) < 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deep_queue), cmocka_unit_test(test_uneven),
        cmocka_unit_test(test_left_alone), cmocka_unit_test(test_upload),
        cmocka_unit_test(test_more),       cmocka_unit_test(test_less),
        cmocka_unit_test(test_late),       cmocka_unit_test(test_longer),
        cmocka_unit_test(test_not_kept),   cmocka_unit_test(test_never_known),
        cmocka_unit_test(test_outage),     cmocka_unit_test(test_rounds_are_bounded),
        cmocka_unit_test(test_chance),     cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
