/* A bottleneck with a drop-tail queue, in fluid and virtual time: our flow sends at the rate that
 * ledbat gives, beside it others that are CUBIC (RFC 9438), which fill the queue until it drops. */
#include "sched/ledbat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define STEP_S     0.001
#define OURS_MAX   2
#define OTHERS_MAX 4
#define SPAN       4096 /* steps that a signal can be old */
#define CONNS      4    /* of a download: what is seen of its losses is by connection */

struct other { /* a CUBIC flow */
    bool on, starts;
    double window, most, cut_s, lost_s, moved;
    double k_s, least_s; /* CUBIC's K; the least round trip */
};

struct ours {
    struct ledbat ledbat;
    bool on, receives;
    bool by_packets;            /* what is lost of what it sends is whole packets */
    double lost, hole_s[CONNS]; /* receives: a segment for each loss event; until when it is open */
    double moved, sent, resent, smoothed_s, least_s, wants; /* wants: bytes/s it has; 0: no end */
    double lag_s, looked_s;                                 /* of its ticks */
    uint32_t news;
};

struct net {
    double capacity, base_s, buffer; /* bytes/s, s, bytes */
    double random_loss;
    double overtaken; /* of the packets of a download, by at most the jitter */
    double jitter_s;  /* that a busy machine adds to what is measured */
    double queue, now_s;
    bool hystart; /* the others have it */
    struct rand rand;
    struct other others[OTHERS_MAX];
    struct ours ours[OURS_MAX];
    double rtts[SPAN];
    uint32_t step;
};

static struct net net;

static void net_init(double megabits, double base_s, double buffer_bdp)
{
    memset(&net, 0, sizeof net);
    net.capacity = megabits * 1e6 / 8;
    net.base_s = base_s;
    net.buffer = buffer_bdp * net.capacity * base_s;
    net.now_s = 1;
    rand_init(&net.rand, 7);
    for (int i = 0; i < SPAN; i++)
        net.rtts[i] = base_s;
}

static void join(int i)
{
    net.ours[i] = (struct ours){.on = true, .looked_s = net.now_s, .lag_s = 0.05};
    ledbat_init(&net.ours[i].ledbat);
}

static void begin_other(int i)
{
    net.others[i] = (struct other){
        .on = true, .starts = true, .window = 14480, .lost_s = -1, .cut_s = net.now_s};
}

/* HyStart, as Linux has it: slow start ends where the round trip is longer by an eighth, or by 4 to
 * 16 ms, than it was. */
static void end_start(struct other *o, double rtt_s)
{
    if (o->least_s == 0 || rtt_s < o->least_s) o->least_s = rtt_s;
    double more_s = fmin(fmax(o->least_s / 8, 0.004), 0.016);
    if (o->window < 16 * LEDBAT_SEGMENT || rtt_s < o->least_s + more_s) return;
    o->starts = false;
    o->most = o->window;
    o->cut_s = net.now_s;
    o->k_s = 0;
}

/* C (t − K)³ + most, in segments and seconds; loss: × 0.7. */
static void grow_other(struct other *o, double rtt_s)
{
    if (o->starts && net.hystart) end_start(o, rtt_s);
    if (o->starts) {
        o->window *= 1 + STEP_S / rtt_s;
        return;
    }
    double most = o->most / LEDBAT_SEGMENT, least = o->k_s > 0 ? 0.7 * most : most;
    double t = net.now_s - o->cut_s;
    double cubic = 0.4 * pow(t - o->k_s, 3) + most;
    double reno = least + 3 * 0.3 / 1.7 * t / rtt_s;
    o->window = fmax(o->window, fmax(cubic, reno) * LEDBAT_SEGMENT);
}

static void cut_other(struct other *o, double rtt_s)
{
    if (net.now_s - o->lost_s < rtt_s) return;
    o->lost_s = o->cut_s = net.now_s;
    o->most = o->window;
    o->window *= 0.7;
    o->k_s = cbrt(o->most / LEDBAT_SEGMENT * 0.3 / 0.4);
    o->starts = false;
}

static void look(struct ours *o)
{
    if (net.now_s < o->looked_s + o->lag_s) return;
    struct ledbat_look at = {
        .now_ns = (uint64_t)(net.now_s * 1e9),
        .delivered_bytes = (uint64_t)o->moved,
        .sent_bytes = o->receives ? (uint64_t)(o->sent / 1000) : (uint64_t)o->sent,
        .resent_bytes = (uint64_t)o->resent,
        .lost_bytes = (uint64_t)o->lost,
        .rtt_ns = (uint64_t)(o->smoothed_s * 1e9),
        .rtt_min_ns = (uint64_t)(o->least_s * 1e9),
    };
    if (ledbat_tick(&o->ledbat, &at)) o->news++;
    o->looked_s = net.now_s;
}

/* The kernel's smoothed round trip: an eighth of each acknowledgement's, which is old by as much.
 * */
static void see_ours(struct ours *o, double rate)
{
    double acks = rate * STEP_S / (2 * LEDBAT_SEGMENT);
    uint32_t old = (uint32_t)fmin(SPAN - 1, net.base_s / 2 / STEP_S);
    double rtt_s = net.rtts[(net.step + SPAN - old) % SPAN] + net.jitter_s * rand_unit(&net.rand);
    if (o->smoothed_s == 0) o->smoothed_s = rtt_s;
    o->smoothed_s += (rtt_s - o->smoothed_s) * (1 - pow(0.875, acks));
    if (rand_unit(&net.rand) < acks && (o->least_s == 0 || rtt_s < o->least_s)) o->least_s = rtt_s;
}

static double want_of(const struct ours *o)
{
    double rate = o->ledbat.rate_bytes_per_s;
    return o->wants > 0 ? fmin(rate, o->wants) : rate;
}

/* Of a download a hole shows, for a round trip: what is lost meanwhile counts as one with it. */
static void lose(struct ours *o, double packets, double dropped, double rtt_s)
{
    if (!o->receives) {
        double lost = packets * dropped;
        if (o->by_packets) lost = floor(lost + rand_unit(&net.rand));
        o->resent += lost * LEDBAT_SEGMENT;
        if (rand_unit(&net.rand) < packets * net.random_loss) o->resent += LEDBAT_SEGMENT;
        return;
    }
    for (int i = 0; i < CONNS; i++) {
        bool lost = rand_unit(&net.rand) < packets / CONNS * (dropped + net.random_loss);
        if (lost && net.now_s >= o->hole_s[i]) o->hole_s[i] = net.now_s + rtt_s;
        if (rand_unit(&net.rand) < packets / CONNS * net.overtaken)
            o->lost += net.jitter_s * rand_unit(&net.rand) / rtt_s * LEDBAT_SEGMENT;
        if (net.now_s < o->hole_s[i]) o->lost += STEP_S / rtt_s * LEDBAT_SEGMENT;
    }
}

static void step(void)
{
    double rtt_s = net.base_s + net.queue / net.capacity, in = 0;
    net.now_s += STEP_S;
    net.rtts[++net.step % SPAN] = rtt_s;
    for (int i = 0; i < OURS_MAX; i++)
        in += net.ours[i].on ? want_of(&net.ours[i]) : 0;
    for (int i = 0; i < OTHERS_MAX; i++)
        in += net.others[i].on ? net.others[i].window / rtt_s : 0;
    double out = fmin(net.capacity, in + net.queue / STEP_S);
    net.queue = fmax(0, net.queue + (in - net.capacity) * STEP_S);
    bool full = net.queue > net.buffer;
    double dropped = full && in > 0 ? (net.queue - net.buffer) / (in * STEP_S) : 0;
    net.queue = fmin(net.queue, net.buffer);
    for (int i = 0; i < OURS_MAX; i++) {
        struct ours *o = &net.ours[i];
        if (!o->on) continue;
        double rate = want_of(o), packets = rate * STEP_S / LEDBAT_SEGMENT;
        o->moved += out * STEP_S * rate / in;
        o->sent += rate * STEP_S;
        lose(o, packets, dropped, rtt_s);
        see_ours(o, rate);
        look(o);
    }
    for (int i = 0; i < OTHERS_MAX; i++) {
        struct other *o = &net.others[i];
        if (!o->on) continue;
        o->moved += out * STEP_S * (o->window / rtt_s) / in;
        if (full)
            cut_other(o, rtt_s);
        else
            grow_other(o, rtt_s);
    }
}

static void run(double seconds)
{
    double until_s = net.now_s + seconds;
    while (net.now_s < until_s)
        step();
}

/* Of the link, what these got in the next seconds. */
static double share_of(const double *moved, double seconds)
{
    double before = *moved;
    run(seconds);
    return (*moved - before) / seconds / net.capacity;
}

static double alone(double seconds)
{
    begin_other(0);
    run(10);
    return share_of(&net.others[0].moved, seconds);
}

/* What the other moves in its first 7 s, when ours began `ours_s` after it, or before. */
static double first_seconds(double megabits, double base_s, double ours_s)
{
    net_init(megabits, base_s, 1);
    net.hystart = true;
    if (ours_s < 0) {
        join(0);
        run(-ours_s);
    }
    begin_other(0);
    run(fmax(ours_s, 0));
    if (ours_s >= 0) join(0);
    run(7 - fmax(ours_s, 0));
    return net.others[0].moved;
}

/* Both begin within half a second: the other's slow start is not ended by ours. */
static void test_begins_together(void **state)
{
    static const struct {
        double megabits, base_s;
    } rows[] = {{500, 0.02}, {1000, 0.02}, {100, 0.05}, {100, 0.02}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        double least = 1, alone = first_seconds(rows[i].megabits, rows[i].base_s, 7);
        for (int tenth = -5; tenth <= 5; tenth++) {
            double moved = first_seconds(rows[i].megabits, rows[i].base_s, tenth / 10.0);
            least = fmin(least, moved / alone);
        }
        print_message("%4.0f Mbit/s %3.0f ms, together: the other %.3f\n", rows[i].megabits,
                      rows[i].base_s * 1e3, least);
        assert_true(least >= 0.8);
    }
}

static const struct {
    double megabits, base_s, buffer_bdp;
} paths[] = {{20, 0.05, 1},  {100, 0.02, 1}, {1000, 0.02, 1}, {1000, 0.1, 1},
             {100, 0.05, 3}, {50, 0.01, 1},  {1000, 0.004, 2}};

static void test_takes_what_nobody_wants(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        net_init(paths[i].megabits, paths[i].base_s, paths[i].buffer_bdp);
        join(0);
        run(5);
        double share = share_of(&net.ours[0].moved, 60);
        print_message("%4.0f Mbit/s %3.0f ms: alone %.3f, queue %.1f ms\n", paths[i].megabits,
                      paths[i].base_s * 1e3, share, net.queue / net.capacity * 1e3);
        assert_true(share > 0.8);
    }
}

static void test_gives_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        for (int later = 0; later < 2; later++) {
            net_init(paths[i].megabits, paths[i].base_s, paths[i].buffer_bdp);
            double before = alone(60);
            net_init(paths[i].megabits, paths[i].base_s, paths[i].buffer_bdp);
            if (later)
                begin_other(0); /* the other was first: the true base is never seen */
            else
                join(0);
            run(10);
            if (later)
                join(0);
            else
                begin_other(0);
            run(10);
            double share = share_of(&net.others[0].moved, 60);
            print_message("%4.0f Mbit/s %3.0f ms%s: the other %.3f of %.3f\n", paths[i].megabits,
                          paths[i].base_s * 1e3, later ? ", late" : "", share, before);
            assert_true(share >= 0.8 * before);
        }
}

/* When the other is through, all of the path is taken again, within some seconds; and left again.
 * */
static void test_comes_back(void **state)
{
    (void)state;
    net_init(100, 0.02, 1);
    join(0);
    for (int round = 0; round < 3; round++) {
        begin_other(0);
        run(10);
        assert_true(share_of(&net.others[0].moved, 5) > 0.9);
        assert_true(net.ours[0].ledbat.rate_bytes_per_s < 0.1 * net.capacity);
        net.others[0].on = false;
        run(8);
        assert_true(share_of(&net.ours[0].moved, 10) > 0.85);
    }
    assert_true(net.ours[0].ledbat.yielded_ns > 20 * NS_PER_S);
    assert_in_range(net.ours[0].news, 20, 800); /* told, not chattered: of 1400 ticks */
}

/* A buffer that is too short for its queue to be seen: losses tell, and the other keeps most. */
static void test_a_short_buffer(void **state)
{
    (void)state;
    net_init(100, 0.05, 0.1);
    double before = alone(40);
    net_init(100, 0.05, 0.1);
    join(0);
    run(10);
    begin_other(0);
    run(20);
    double share = share_of(&net.others[0].moved, 40);
    print_message("a tenth of a BDP: the other %.3f of %.3f\n", share, before);
    assert_true(share > 0.5 * before);
}

/* The same with packets that are lost one by one; of a download it is known at the least. Who did
 * not hear of them would leave nothing to the other. */
static void test_a_short_buffer_by_packets(void **state)
{
    static const struct {
        double megabits, base_s, buffer_bdp;
    } rows[] = {{100, 0.05, 0.1}, {500, 0.05, 0.1}, {20, 0.05, 0.1}, {100, 0.1, 0.05}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows) * 4; i++) {
        bool later = i & 1, down = i & 2;
        net_init(rows[i / 4].megabits, rows[i / 4].base_s, rows[i / 4].buffer_bdp);
        if (later) begin_other(0);
        if (later) run(10);
        join(0);
        net.ours[0].by_packets = true;
        net.ours[0].receives = down;
        run(10);
        if (!later) begin_other(0);
        run(20);
        double share = share_of(&net.others[0].moved, 60);
        print_message("%3.0f Mbit/s %3.0f ms%s, %s, %.2f BDP: the other %.3f\n",
                      rows[i / 4].megabits, rows[i / 4].base_s * 1e3, later ? ", late" : "",
                      down ? "down" : "up", rows[i / 4].buffer_bdp, share);
        assert_true(share > 0.1);
    }
}

/* What is lost by chance is no sign of others. */
static void test_losses_by_chance(void **state)
{
    (void)state;
    for (int receives = 0; receives < 2; receives++) {
        net_init(500, 0.05, 1);
        net.random_loss = 0.0001;
        join(0);
        net.ours[0].receives = receives;
        run(10);
        assert_true(share_of(&net.ours[0].moved, 60) > 0.8);
    }
}

/* Nor is what was only overtaken on a path that jitters, where no queue is ever seen. */
static void test_overtaken_packets(void **state)
{
    static const double wants[] = {5e6, 20e6, 60e6};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wants); i++) {
        net_init(1000, 0.05, 1);
        net.overtaken = 0.0001;
        net.jitter_s = 0.004;
        join(0);
        net.ours[0].receives = true;
        net.ours[0].wants = wants[i];
        run(10);
        double share = share_of(&net.ours[0].moved, 60) * net.capacity / wants[i];
        print_message("overtaken, %.0f MB/s: %.3f of it\n", wants[i] / 1e6, share);
        assert_true(share > 0.9);
    }
}

/* A transfer goes the way that its sums say, though a look may hold little but heads. */
static void test_a_look_of_the_other_way(void **state)
{
    (void)state;
    for (int sends = 0; sends < 2; sends++) {
        struct ledbat ledbat;
        struct ledbat_look at = {.now_ns = NS_PER_S};
        at.rtt_min_ns = at.rtt_ns = 40 * NS_PER_MS;
        ledbat_init(&ledbat);
        for (int tick = 0; tick < 40; tick++) {
            bool heads = tick % 4 == 3;
            (void)ledbat_tick(&ledbat, &at);
            at.now_ns += 50 * NS_PER_MS;
            at.delivered_bytes += heads ? (sends ? 1500 : 500) : 100000;
            at.sent_bytes += heads ? (sends ? 500 : 1500) : sends ? 100000 : 500;
            if (heads) *(sends ? &at.lost_bytes : &at.resent_bytes) += 750;
        }
        assert_true(ledbat.rate_bytes_per_s > LEDBAT_RATE_START);
    }
}

/* What is lost counts as a share of what goes that way: of a download not a head that is sent
 * again, of an upload no hole in the answers. Nor what was lost before. */
static void test_losses_of_the_other_way(void **state)
{
    static const struct {
        uint64_t delivered, sent, resent, lost;
        bool less;
    } rows[] = {
        {100000, 500, 500, 0, false},    {100000, 500, 0, 1448, true},
        {100000, 101448, 1448, 0, true}, {100000, 100000, 0, 1448, false},
        {100000, 0, 0, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct ledbat ledbat;
        struct ledbat_look at = {.now_ns = NS_PER_S, .lost_bytes = 55555, .resent_bytes = 44444};
        at.rtt_min_ns = at.rtt_ns = 40 * NS_PER_MS;
        ledbat_init(&ledbat);
        for (int tick = 0; tick < 40; tick++) {
            (void)ledbat_tick(&ledbat, &at);
            at.now_ns += 50 * NS_PER_MS;
            at.delivered_bytes += rows[i].delivered;
            at.sent_bytes += rows[i].sent;
            at.resent_bytes += rows[i].resent;
            at.lost_bytes += rows[i].lost;
        }
        assert_int_equal(ledbat.rate_bytes_per_s < LEDBAT_RATE_START, rows[i].less);
    }
}

/* A path that got shorter is known at once; one that got longer, when the old base is forgotten. */
static void test_another_base(void **state)
{
    (void)state;
    net_init(100, 0.08, 1);
    join(0);
    run(20);
    net.base_s = 0.03;
    run(5);
    assert_in_range(net.ours[0].ledbat.base_ns, 29 * NS_PER_MS, 36 * NS_PER_MS);
    assert_true(share_of(&net.ours[0].moved, 30) > 0.8);
    net.base_s = 0.06;
    run(10);
    assert_true(share_of(&net.ours[0].moved, 30) < 0.2); /* as if it were full */
    net.ours[0].least_s = 0; /* the kernel's own least is forgotten after five minutes */
    run(LEDBAT_BASE_NS / 1e9 + 30);
    assert_in_range(net.ours[0].ledbat.base_ns, 60 * NS_PER_MS, 75 * NS_PER_MS);
    assert_true(share_of(&net.ours[0].moved, 30) > 0.8);
}

/* What waits for a disk does not let the rate run away: who comes then finds nobody ahead. */
static void test_a_rate_that_is_not_used(void **state)
{
    (void)state;
    net_init(100, 0.02, 1);
    join(0);
    net.ours[0].wants = 1e6;
    run(30);
    assert_true(net.ours[0].ledbat.rate_bytes_per_s < 2.5e6);
    assert_true(share_of(&net.ours[0].moved, 10) > 0.9 * 1e6 / net.capacity);
    net.ours[0].wants = 0;
    run(8);
    assert_true(share_of(&net.ours[0].moved, 20) > 0.8);
}

/* Two that give way, one of them later: together they leave little unused, and yield together. */
static void test_two_of_them(void **state)
{
    (void)state;
    net_init(100, 0.05, 1);
    join(0);
    run(15);
    join(1);
    run(15);
    double before = net.ours[0].moved + net.ours[1].moved;
    run(60);
    double both = (net.ours[0].moved + net.ours[1].moved - before) / 60 / net.capacity;
    print_message("two: %.3f of the link\n", both);
    assert_true(both > 0.8);
    begin_other(0);
    run(10);
    assert_true(share_of(&net.others[0].moved, 40) > 0.8);
}

/* A machine that looks late, and measures with a millisecond or two of its own. */
static void test_a_busy_machine(void **state)
{
    (void)state;
    net_init(100, 0.02, 1);
    net.jitter_s = 0.002;
    join(0);
    net.ours[0].lag_s = 0.08;
    run(10);
    double share = share_of(&net.ours[0].moved, 60);
    print_message("a busy machine: %.3f alone\n", share);
    assert_true(share > 0.8);
    begin_other(0);
    run(10);
    assert_true(share_of(&net.others[0].moved, 60) > 0.8);
}

/* Nothing is known before a round trip is, and while nothing moves nothing changes. */
static void test_nothing_moves(void **state)
{
    struct ledbat ledbat;
    struct ledbat_look at = {.now_ns = NS_PER_S};
    (void)state;
    ledbat_init(&ledbat);
    assert_true(ledbat.rate_bytes_per_s == LEDBAT_RATE_START);
    for (int i = 0; i < 100; i++, at.now_ns += 50 * NS_PER_MS)
        assert_false(ledbat_tick(&ledbat, &at));
    assert_true(ledbat.rate_bytes_per_s == LEDBAT_RATE_START);
    at.rtt_min_ns = at.rtt_ns = 40 * NS_PER_MS;
    (void)ledbat_tick(&ledbat, &at);
    assert_int_equal(ledbat_target_ns(&ledbat), 10 * NS_PER_MS);
    double rate = ledbat.rate_bytes_per_s;
    at.rtt_ns = 0;
    for (int i = 0; i < 100; i++) {
        at.now_ns += 50 * NS_PER_MS;
        (void)ledbat_tick(&ledbat, &at);
    }
    assert_true(ledbat.rate_bytes_per_s == rate);
    assert_int_equal(ledbat.yielded_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_nobody_wants),
        cmocka_unit_test(test_gives_way),
        cmocka_unit_test(test_begins_together),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_a_short_buffer),
        cmocka_unit_test(test_a_short_buffer_by_packets),
        cmocka_unit_test(test_losses_by_chance),
        cmocka_unit_test(test_overtaken_packets),
        cmocka_unit_test(test_a_look_of_the_other_way),
        cmocka_unit_test(test_losses_of_the_other_way),
        cmocka_unit_test(test_another_base),
        cmocka_unit_test(test_a_rate_that_is_not_used),
        cmocka_unit_test(test_two_of_them),
        cmocka_unit_test(test_a_busy_machine),
        cmocka_unit_test(test_nothing_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
