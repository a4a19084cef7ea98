/* What is counted of connections between two looks, and of requests: TCP's counters are the test's
 * own. */
#include "s3/traffic.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "s3/client.h"

#define CONNS 3u
#define MS    NS_PER_MS
#define GONE  99 /* a descriptor that TCP tells nothing of */

static struct core core;
static struct conf conf;
static struct client client;
static struct stream streams[CONNS];
static struct conn conns[CONNS];
static struct ring_tcp_info infos[CONNS]; /* by descriptor */
static uint32_t used;                     /* connections in use */
static struct traffic traffic;

void client_each(struct client *of, void (*visit)(struct conn *conn, void *context), void *context)
{
    assert_ptr_equal(of, &client);
    for (uint32_t i = 0; i < used; i++)
        visit(&conns[i], context);
}

enum err ring_socket_info(struct ring *ring, int fd, struct ring_tcp_info *info)
{
    (void)ring;
    if (fd == GONE) return ERR_SYSTEM;
    *info = infos[fd];
    return ERR_NONE;
}

static const struct clamp_terms free_terms;
static uint32_t clamps[CONNS], clamps_set; /* by descriptor */

void sock_clamp_window(struct core *of, int fd, uint32_t bytes)
{
    assert_ptr_equal(of, &core);
    clamps[fd] = bytes;
    clamps_set++;
}

static uint64_t told_rtt_ns[CONNS]; /* by descriptor */

void dial_see_rtt(struct conn *conn, uint64_t rtt_ns)
{
    told_rtt_ns[conn->stream->fd] = rtt_ns;
}

static int set_up(void **state)
{
    (void)state;
    memset(conns, 0, sizeof conns);
    memset(infos, 0, sizeof infos);
    memset(&traffic, 0, sizeof traffic);
    memset(clamps, 0, sizeof clamps);
    memset(told_rtt_ns, 0, sizeof told_rtt_ns);
    clamps_set = 0;
    used = CONNS;
    client.core = &core;
    client.conf = &conf;
    conf.tcp_answers_to_losses = false;
    core.now_ns = 0;
    for (uint32_t i = 0; i < CONNS; i++) {
        streams[i] = (struct stream){.core = &core, .fd = (int)i};
        conns[i].stream = &streams[i];
    }
    return 0;
}

/* --- looks --- */

/* Of all cores, the one that looked first says until when all is counted. */
static void test_oldest_look(void **state)
{
    static struct traffic other;
    struct sample_totals totals = {0};
    uint64_t rtt_ns = 0;
    (void)state;
    core.now_ns = 5 * NS_PER_S;
    traffic_look(&traffic, &client, &free_terms);
    core.now_ns = 6 * NS_PER_S;
    traffic_look(&other, &client, &free_terms);
    traffic_add_up(&other, &totals, &rtt_ns);
    assert_int_equal(totals.looked_ns, 6 * NS_PER_S);
    traffic_add_up(&traffic, &totals, &rtt_ns);
    assert_int_equal(totals.looked_ns, 5 * NS_PER_S);
}

static void test_sums(void **state)
{
    (void)state;
    infos[0] = (struct ring_tcp_info){.bytes_acked = 1000, .bytes_sent = 5000, .rtt_min_ns = 9};
    infos[1] = (struct ring_tcp_info){.bytes_received = 300, .bytes_retransmitted = 20};
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.delivered_bytes), 1300);
    assert_int_equal(meter_read(&traffic.sent_bytes), 5000);
    assert_int_equal(meter_read(&traffic.resent_bytes), 20);
    assert_int_equal(meter_read(&traffic.flows), CONNS);
    assert_int_equal(meter_read(&traffic.rtt_ns), 9); /* 0 is none */
    traffic_look(&traffic, &client, &free_terms);     /* nothing moved */
    assert_int_equal(meter_read(&traffic.delivered_bytes), 1300);
    infos[0].bytes_acked = 4000;
    infos[2].rtt_min_ns = 4;
    streams[1].fd = GONE;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.delivered_bytes), 4300);
    assert_int_equal(meter_read(&traffic.flows), CONNS - 1);
    assert_int_equal(meter_read(&traffic.rtt_ns), 4);
    used = 0;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.delivered_bytes), 4300); /* sums only grow */
    assert_int_equal(meter_read(&traffic.flows), 0);
    assert_int_equal(meter_read(&traffic.rtt_ns), 0);
}

/* The smoothed one without its deviation, of each connection: after a path was gone for ten seconds
 * an answer from before makes it 1.3 s, and that 2.4 s. */
static void test_rtt_is_told(void **state)
{
    (void)state;
    infos[0] = (struct ring_tcp_info){
        .rtt_ns = 1100 * MS, .rtt_variance_ns = 50 * MS, .rtt_min_ns = 20 * MS};
    infos[1] = (struct ring_tcp_info){
        .rtt_ns = 1267 * MS, .rtt_variance_ns = 2454 * MS, .rtt_min_ns = 20 * MS};
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(told_rtt_ns[0], 1050 * MS);
    assert_true(told_rtt_ns[1] < 100 * MS);
}

/* --- windows --- */

static void receive(uint32_t i, uint64_t bytes)
{
    infos[i].bytes_received += bytes;
    infos[i].segments_received += (uint32_t)(bytes / 1000);
    infos[i].receive_window_bytes = 500000;
}

/* What receives has a window by its own rate or by an even share, set anew at each look; what sends
 * or rests is let be, and so is one that is small for a rate. */
static void test_windows(void **state)
{
    static const struct clamp_terms terms = {
        .share_bytes = 100000, .flight_ns = 100 * MS, .rate_ns = 200 * MS};
    (void)state;
    core.now_ns = NS_PER_S;
    traffic_look(&traffic, &client, &terms);
    for (uint32_t i = 0; i < 80; i++) {
        core.now_ns += 50 * MS;
        receive(0, 200000);
        receive(1, 5000);
        infos[2].bytes_acked += 200000;
        traffic_look(&traffic, &client, i < 40 ? &free_terms : &terms);
        if (i == 39) assert_int_equal(clamps_set, 0);
    }
    assert_in_range(clamps[0], 390000, 400000); /* of 4 MB/s, also while windows were free */
    assert_int_equal(clamps[1], 100000);
    assert_int_equal(clamps_set, 80);
    core.now_ns += 10 * NS_PER_S; /* between two requests nothing is measured */
    receive(0, 200000);
    traffic_look(&traffic, &client, &terms);
    assert_in_range(clamps[0], 390000, 400000);
    assert_int_equal(clamps_set, 81);
    receive(0, 200000);
    infos[0].receive_window_bytes = 0; /* it is shut, or not known */
    traffic_look(&traffic, &client, &terms);
    assert_int_equal(clamps_set, 81);
    conns[0].window_bytes = 65536; /* there is a rate now: SO_RCVBUF has it */
    receive(0, 1000);
    traffic_look(&traffic, &client, &terms);
    assert_int_equal(clamps[0], 0);
    receive(0, 1000);
    receive(1, 1000);
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(clamps[1], 0);
    assert_int_equal(clamps_set, 83);
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(clamps_set, 83);
    core.now_ns = 0;
}

/* A hole keeps acknowledged bytes where they are, and then they jump: what came through does not.
 * */
static void test_behind_a_hole(void **state)
{
    static const struct step {
        uint64_t acked, sacked, delivered;
    } steps[] = {
        {1000, 0, 1000},      {1000, 5000, 6000},   {1000, 9000, 10000},
        {10500, 0, 10500},    {10500, 3000, 13500}, /* the hole is filled; another */
        {10500, 1000, 13500}, {10500, 2500, 13500}, /* taken back, and there again */
        {14000, 0, 14000},
    };
    (void)state;
    used = 1;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        infos[0].bytes_acked = steps[i].acked;
        infos[0].bytes_sacked = steps[i].sacked;
        traffic_look(&traffic, &client, &free_terms);
        assert_int_equal(meter_read(&traffic.delivered_bytes), steps[i].delivered);
    }
}

/* The same of what is received: in the kernel it waits for the hole to be filled, and then all of
 * it counts at once. A thousand bytes a segment, but for the last ones. */
static void test_received_behind_a_hole(void **state)
{
    static const struct step {
        uint64_t received;
        uint32_t segments, behind;
        uint64_t delivered;
    } steps[] = {
        {100000, 100, 0, 100000},   {100000, 150, 50, 133300},
        {100000, 180, 80, 149950},  {190000, 190, 80, 190000},  /* the hole is filled */
        {200000, 230, 110, 224760},                             /* another, after some in order */
        {225000, 250, 125, 242760},                             /* one of several is filled */
        {260000, 260, 125, 260000}, {260500, 265, 125, 260500}, /* small ones: no hole */
        {260500, 275, 135, 269970}, {260500, 275, 135, 269970}, /* none came: it waits */
        {265000, 276, 135, 269970},                             /* it was less, and never shrinks */
        {300000, 300, 135, 300000},
    };
    (void)state;
    used = 1;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        infos[0].bytes_received = steps[i].received;
        infos[0].segments_received = steps[i].segments;
        infos[0].segments_behind_hole = steps[i].behind;
        traffic_look(&traffic, &client, &free_terms);
        uint64_t delivered = meter_read(&traffic.delivered_bytes);
        if (delivered != steps[i].delivered)
            fail_msg("step %zu: %llu", i, (unsigned long long)delivered);
    }
}

/* --- losses by chance --- */

/* A look later: so many segments more were sent, so many of them again, with such a round trip. */
static void move(uint32_t i, uint32_t segments, uint32_t again, uint64_t rtt_ms)
{
    infos[i].segment_bytes = 1000 + 500 * i;
    infos[i].rtt_min_ns = 20 * MS;
    infos[i].rtt_ns = rtt_ms * MS;
    infos[i].bytes_sent += segments * infos[i].segment_bytes;
    infos[i].bytes_acked += segments * infos[i].segment_bytes;
    infos[i].bytes_retransmitted += again * infos[i].segment_bytes;
}

/* What was sent while nothing queued, and of the losses those of a round trip as one. */
static void test_quiet_losses(void **state)
{
    static const struct {
        const char *name;
        uint64_t passed_ms;
        uint32_t segments, again;
        uint64_t rtt_ms, all, losses; /* segments of both, so far */
    } rows[] = {
        {"none", 50, 100, 0, 20, 200, 0},
        {"one each", 50, 100, 1, 20, 400, 2},
        {"a few are one", 50, 100, 4, 21, 600, 4},
        {"a burst is no chance", 50, 100, 5, 20, 800, 4},
        {"nor what comes with it", 10, 100, 1, 20, 1000, 4},
        {"one", 20, 100, 1, 20, 1200, 6},
        {"within a round trip of it", 10, 100, 1, 20, 1400, 6},
        {"and behind that", 10, 100, 1, 20, 1600, 8},
        {"the path is full", 50, 100, 1, 30, 1600, 8},
        {"nothing was sent", 50, 0, 0, 20, 1600, 8},
    };
    (void)state;
    conf.tcp_answers_to_losses = true;
    used = 2;
    core.now_ns = NS_PER_S;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        core.now_ns += rows[i].passed_ms * MS;
        move(0, rows[i].segments, rows[i].again, rows[i].rtt_ms);
        move(1, rows[i].segments, rows[i].again, rows[i].rtt_ms);
        traffic_look(&traffic, &client, &free_terms);
        if (meter_read(&traffic.quiet_bytes) != rows[i].all / 2 * 2500 ||
            meter_read(&traffic.quiet_losses) != rows[i].losses)
            fail_msg("%s: %llu of %llu", rows[i].name,
                     (unsigned long long)meter_read(&traffic.quiet_losses),
                     (unsigned long long)meter_read(&traffic.quiet_bytes));
    }
    struct sample_totals totals = {0};
    uint64_t rtt_ns = 0;
    traffic_add_up(&traffic, &totals, &rtt_ns);
    traffic_add_up(&traffic, &totals, &rtt_ns);
    assert_int_equal(totals.quiet_bytes, 2 * 800 * 2500);
    assert_int_equal(totals.quiet_losses, 2 * 8);
    assert_int_equal(totals.segment_bytes, 1500);
    /* A connection that began while the path was full knows no less than that. */
    move(0, 100, 0, 20);
    traffic_look(&traffic, &client, &free_terms);
    core.now_ns += NS_PER_S;
    move(1, 100, 1, 40);
    infos[1].rtt_min_ns = 40 * MS;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.quiet_bytes), 800 * 2500 + 100 * 1000);
    assert_int_equal(meter_read(&traffic.quiet_losses), 8);
    /* bbr's connections are not slowed down by losses. */
    conf.tcp_answers_to_losses = false;
    core.now_ns += NS_PER_S;
    move(0, 100, 1, 20);
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.quiet_losses), 8);
}

struct holes { /* between two looks */
    const char *name;
    uint32_t segments, behind;
    uint64_t span_ms, receive_ms, min_ms, rtt_ms;
    double losses;
};

static const struct holes holes[] = {
    {"no hole", 1000, 0, 50, 50, 50, 50, 0},
    {"for half of a round trip", 1000, 500, 50, 50, 50, 50, 0.5},
    {"for all of it", 1000, 1000, 50, 50, 50, 50, 1},
    {"half of a long one", 1000, 1000, 50, 100, 50, 50, 0.5},
    {"many short ones", 1000, 100, 50, 2, 1, 50, 2.5},
    {"a queue shows", 1000, 500, 50, 100, 50, 50, 0.25},
    {"no echo yet", 1000, 500, 50, 0, 25, 50, 1},
    {"only a smoothed one", 1000, 500, 50, 0, 0, 25, 1},
    {"no round trip is known", 1000, 500, 50, 0, 0, 0, 0},
    {"it was idle for long", 1000, 500, 60000, 50, 50, 50, 1},
    {"no more than segments that tell", 4, 2, 50, 1, 1, 1, 2},
    {"nothing came", 0, 0, 50, 50, 50, 50, 0},
};

/* Their counters wrap; the first look knows no span, and says nothing. */
static void test_losses(void **state)
{
    (void)state;
    used = 1;
    for (size_t i = 0; i < ARRAY_COUNT(holes); i++) {
        const struct holes *row = &holes[i];
        set_up(NULL);
        used = 1;
        core.now_ns = NS_PER_S;
        infos[0] = (struct ring_tcp_info){.segments_received = UINT32_MAX - 5,
                                          .segments_behind_hole = UINT32_MAX - 1,
                                          .bytes_received = 1000ull * UINT32_MAX,
                                          .receive_rtt_ns = row->receive_ms * MS,
                                          .rtt_min_ns = row->min_ms * MS,
                                          .rtt_ns = row->rtt_ms * MS,
                                          .receive_segment_bytes = 1000};
        traffic_look(&traffic, &client, &free_terms);
        assert_int_equal(meter_read(&traffic.lost_bytes), 0);
        core.now_ns += row->span_ms * MS;
        infos[0].segments_received += row->segments;
        infos[0].segments_behind_hole += row->behind;
        traffic_look(&traffic, &client, &free_terms);
        uint64_t lost_bytes = meter_read(&traffic.lost_bytes);
        if (fabs((double)lost_bytes - 1000 * row->losses) > 1)
            fail_msg("%s: %llu", row->name, (unsigned long long)lost_bytes);
    }
}

/* Connections whose request has arrived, and which hear nothing. */
static void test_waiting(void **state)
{
    (void)state;
    used = 1;
    infos[0] = (struct ring_tcp_info){.bytes_sent = 9000, .not_sent_bytes = 1000};
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.waiting), 0); /* it is being sent */
    infos[0].not_sent_bytes = 0;
    infos[0].bytes_sent = 10500;
    infos[0].bytes_retransmitted = 500;
    infos[0].bytes_acked = 9999;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.waiting), 0); /* it is on its way */
    infos[0].bytes_acked = 10000;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.waiting), 1);
    infos[0].bytes_received = 100;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.waiting), 0); /* the answer comes */
    used = 0;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.waiting), 0);
}

struct now {
    const char *name;
    uint64_t acked, received, rtt_ms, variance_ms, receive_ms, min_ms;
    uint64_t now_ms;
};

static const struct now nows[] = {
    {"nothing moved", 0, 0, 100, 5, 100, 10, 0},
    {"up", 10, 1, 100, 30, 0, 10, 70},
    {"up, a variance beyond all", 10, 1, 100, 300, 0, 10, 10},
    {"up, below the least", 10, 1, 20, 19, 0, 15, 15},
    {"down", 1, 10, 100, 30, 51, 10, 50},
    {"down, less than its steps", 1, 10, 100, 30, 1, 10, 10},
    {"down, nothing echoed", 1, 10, 100, 30, 0, 10, 70},
};

static void test_rtt_now(void **state)
{
    (void)state;
    used = 1;
    for (size_t i = 0; i < ARRAY_COUNT(nows); i++) {
        const struct now *now = &nows[i];
        infos[0].bytes_acked += now->acked;
        infos[0].bytes_received += now->received;
        infos[0].rtt_ns = now->rtt_ms * MS;
        infos[0].rtt_variance_ns = now->variance_ms * MS;
        infos[0].receive_rtt_ns = now->receive_ms * MS;
        infos[0].rtt_min_ns = now->min_ms * MS;
        traffic_look(&traffic, &client, &free_terms);
        if (meter_read(&traffic.rtt_now_ns) != now->now_ms * MS) fail_msg("%s", now->name);
    }
}

static void test_describe(void **state)
{
    struct blame_wire wire;
    (void)state;
    infos[0] = (struct ring_tcp_info){.busy_ns = 100, .bytes_received = 7, .bytes_sent = 10};
    traffic_look(&traffic, &client, &free_terms);
    infos[0] = (struct ring_tcp_info){.busy_ns = 130,
                                      .receive_window_limited_ns = 20,
                                      .send_buffer_limited_ns = 3,
                                      .bytes_received = 9,
                                      .bytes_sent = 5000,
                                      .bytes_acked = 1000,
                                      .bytes_retransmitted = 500,
                                      .not_sent_bytes = 77,
                                      .segment_bytes = 1460,
                                      .rtt_min_ns = 8,
                                      .receive_window_bytes = 65536};
    traffic_look(&traffic, &client, &free_terms);
    traffic_describe(&conns[0], &wire);
    assert_int_equal(wire.busy_ns, 30);
    assert_int_equal(wire.peer_window_ns, 20);
    assert_int_equal(wire.send_buffer_ns, 3);
    assert_int_equal(wire.received_bytes, 2);
    assert_int_equal(wire.unsent_bytes, 77);
    assert_int_equal(wire.unanswered_bytes, 3500);
    assert_int_equal(wire.segment_bytes, 1460);
    assert_int_equal(wire.rtt_min_ns, 8);
    assert_int_equal(wire.window_bytes, 65536);
    assert_false(wire.window_is_paced);
    conns[0].clamp_bytes = 65536; /* then it is the path that is full */
    traffic_describe(&conns[0], &wire);
    assert_int_equal(wire.window_bytes, 0);
    conns[0].window_bytes = 1;
    infos[0].bytes_acked = 5001; /* the end of the stream counts as one */
    traffic_look(&traffic, &client, &free_terms);
    traffic_describe(&conns[0], &wire);
    assert_int_equal(wire.unanswered_bytes, 0);
    assert_int_equal(wire.busy_ns, 0);
    assert_true(wire.window_is_paced);
}

/* Hosts that the core keeps from: those whose breaker is open, or is only trying. */
static void test_shut(void **state)
{
    (void)state;
    client.door_count = 3;
    client.doors[1].breaker.state = BREAKER_OPEN;
    client.doors[2].breaker.state = BREAKER_RAMP;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.shut), 2);
    client.doors[1].breaker.state = client.doors[2].breaker.state = BREAKER_CLOSED;
    traffic_look(&traffic, &client, &free_terms);
    assert_int_equal(meter_read(&traffic.shut), 0);
    client.door_count = 0;
}

static void test_busy(void **state)
{
    (void)state;
    infos[2].busy_ns = 55;
    assert_int_equal(traffic_busy_ns(&conns[2]), 55);
    assert_int_equal(traffic_busy_ns(NULL), 0);
    streams[2].fd = GONE;
    assert_int_equal(traffic_busy_ns(&conns[2]), 0);
}

/* --- requests --- */

static void test_answers(void **state)
{
    static struct prefixes_cell cells[3];
    (void)state;
    traffic_on_answer(&traffic, 2, 40); /* nobody asks by prefix */
    traffic_on_failure(&traffic, 2, ERR_SLOW_DOWN);
    traffic.cells = cells;
    traffic_on_answer(&traffic, 2, 50);
    traffic_on_answer(&traffic, 0, 60);
    traffic_on_failure(&traffic, 2, ERR_SLOW_DOWN);
    assert_int_equal(meter_read(&traffic.requests), 3);
    assert_int_equal(meter_read(&traffic.answer_ns), 150);
    assert_int_equal(meter_read(&traffic.refusals), 2);
    assert_int_equal(meter_read(&cells[2].answered), 1);
    assert_int_equal(meter_read(&cells[2].answer_ns), 50);
    assert_int_equal(meter_read(&cells[2].refused), 1);
    assert_int_equal(meter_read(&cells[0].answer_ns), 60);
    assert_int_equal(meter_read(&cells[1].answered), 0);
}

static void test_failures(void **state)
{
    static const enum err others[] = {ERR_RESET, ERR_DENIED, ERR_NO_KEY, ERR_STRAGGLER};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        traffic_on_failure(&traffic, 0, others[i]);
    assert_int_equal(meter_read(&traffic.refusals) + meter_read(&traffic.timeouts), 0);
    traffic_on_failure(&traffic, 0, ERR_TIMEOUT);
    traffic_on_failure(&traffic, 0, ERR_STALLED);
    assert_int_equal(meter_read(&traffic.timeouts), 2);
    assert_int_equal(meter_read(&traffic.refusals), 0);
}

/* The least, where an answer of no time at all is one too. */
static void test_waits(void **state)
{
    static const uint64_t waits[][2] = {{50, 50}, {70, 50}, {20, 20}, {0, 1}, {1, 1}};
    (void)state;
    assert_int_equal(meter_read(&traffic.server_ns), 0);
    for (size_t i = 0; i < ARRAY_COUNT(waits); i++) {
        traffic_on_wait(&traffic, waits[i][0]);
        assert_int_equal(meter_read(&traffic.server_ns), waits[i][1]);
    }
}

/* --- of several cores --- */

static void test_add_parts(void **state)
{
    struct traffic other = {0}, silent = {0};
    struct grain_totals totals = {0};
    (void)state;
    traffic_on_part(&traffic, 8 * MIB, 100);
    traffic_on_part(&traffic, 2 * MIB, 30);
    traffic_on_part(&other, MIB, 7);
    traffic_add_parts(&silent, &totals);
    traffic_add_parts(&other, &totals);
    traffic_add_parts(&traffic, &totals);
    assert_int_equal(totals.parts, 3);
    assert_int_equal(totals.bytes, 11 * MIB);
    assert_int_equal(totals.taken_ns, 137);
}

/* The least of what is known. */
static void test_add_up_times(void **state)
{
    struct traffic other = {0}, silent = {0};
    struct sample_totals totals = {0};
    uint64_t rtt_ns = 0;
    (void)state;
    traffic_on_wait(&traffic, 5);
    traffic_on_wait(&other, 9);
    meter_set(&traffic.rtt_now_ns, 30);
    meter_set(&other.rtt_now_ns, 20);
    meter_set(&traffic.waiting, 2);
    meter_set(&other.waiting, 1);
    traffic_add_up(&silent, &totals, &rtt_ns);
    assert_int_equal(totals.server_ns, 0);
    assert_int_equal(totals.rtt_now_ns, 0);
    traffic_add_up(&other, &totals, &rtt_ns);
    assert_int_equal(totals.server_ns, 9);
    traffic_add_up(&traffic, &totals, &rtt_ns);
    traffic_add_up(&silent, &totals, &rtt_ns);
    assert_int_equal(totals.server_ns, 5);
    assert_int_equal(totals.rtt_now_ns, 20);
    assert_int_equal(totals.waiting, 3);
}

static void test_add_up(void **state)
{
    struct traffic other = {0};
    struct sample_totals totals = {0};
    uint64_t rtt_ns = 0;
    (void)state;
    infos[0] = (struct ring_tcp_info){.bytes_acked = 10, .bytes_sent = 20, .rtt_min_ns = 30};
    infos[0].bytes_retransmitted = 5;
    traffic_look(&traffic, &client, &free_terms);
    meter_add(&traffic.lost_bytes, 6);
    meter_add(&traffic.behind_hole_bytes, 7);
    traffic_on_answer(&traffic, 0, 11);
    traffic_on_failure(&traffic, 0, ERR_SLOW_DOWN);
    traffic_on_failure(&traffic, 0, ERR_TIMEOUT);
    meter_add(&traffic.busy_ns, 13);
    meter_set(&traffic.cpu_ns, 17);
    traffic_add_up(&traffic, &totals, &rtt_ns);
    traffic_add_up(&traffic, &totals, &rtt_ns);
    traffic_add_up(&other, &totals, &rtt_ns); /* which knows no round trip */
    assert_int_equal(rtt_ns, 30);
    assert_int_equal(totals.cores, 3);
    assert_int_equal(totals.flows, 2 * CONNS);
    assert_int_equal(totals.delivered_bytes, 2 * 10);
    assert_int_equal(totals.sent_bytes, 2 * 20);
    assert_int_equal(totals.resent_bytes, 2 * 5);
    assert_int_equal(totals.lost_bytes, 2 * 6);
    assert_int_equal(totals.behind_hole_bytes, 2 * 7);
    assert_int_equal(totals.requests, 2);
    assert_int_equal(totals.answer_ns, 2 * 11);
    assert_int_equal(totals.refusals, 2);
    assert_int_equal(totals.timeouts, 2);
    assert_int_equal(totals.busy_ns, 2 * 13);
    assert_int_equal(totals.cpu_ns, 2 * 17);
}

/* Of each kind by itself, and of the cores the slowest. */
static void test_staged(void **state)
{
    struct depth_totals totals = {0};
    (void)state;
    traffic_add_staged(&traffic, &totals);
    assert_int_equal(totals.tail_ns[TASK_FIRST] + totals.staged[TASK_FIRST], 0);
    traffic_on_staged(&traffic, TASK_FIRST, 70,
                      80 * MS); /* the first: half of it is its deviation */
    traffic_on_staged(&traffic, TASK_THEN, 4, 8 * MS);
    traffic_on_staged(&traffic, TASK_THEN, 4, 8 * MS);
    traffic_on_staged(&traffic, TASK_THEN, 0, 1); /* there was nothing to be read */
    meter_set(&traffic.starved_ns, 7);
    meter_set(&traffic.ready, 2);
    totals.tail_ns[TASK_THEN] = NS_PER_S; /* another core's */
    traffic_add_staged(&traffic, &totals);
    assert_int_equal(totals.staged[TASK_FIRST], 1);
    assert_int_equal(totals.staged[TASK_THEN], 2);
    assert_int_equal(totals.staged_bytes, 78);
    assert_int_equal(totals.tail_ns[TASK_FIRST], 240 * MS);
    assert_int_equal(totals.tail_ns[TASK_THEN], NS_PER_S);
    assert_int_equal(totals.starved_ns, 7);
    assert_int_equal(totals.ready, 2);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sums),         TEST(test_rtt_is_told), TEST(test_behind_a_hole),
        TEST(test_rtt_now),      TEST(test_describe),    TEST(test_shut),
        TEST(test_busy),         TEST(test_answers),     TEST(test_failures),
        TEST(test_waits),        TEST(test_add_parts),   TEST(test_add_up),
        TEST(test_add_up_times), TEST(test_waiting),     TEST(test_received_behind_a_hole),
        TEST(test_losses),       TEST(test_staged),      TEST(test_windows),
        TEST(test_quiet_losses), TEST(test_oldest_look)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
