/* Which requests are cut, when, and what is counted: on a clock of the test's own; what moves on
 * their connections is said by lanes. */
#include "s3/lookout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "s3/request.h"

#define PART  (8 * MIB)
#define QUICK (2 * MIB) /* bytes/s */
#define SLOW  (100 * KIB)
#define LANES 6u
#define USUAL LANES /* the lane of all that finishes */

struct lane { /* a request, and what moves on its connection */
    struct request request;
    struct request_call call;
    uint64_t moved_bytes, rate;
    bool lost; /* there is no connection now */
    uint32_t cuts;
    enum err cut;
};

static struct core core;
static struct conf conf;
static struct client client;
static struct lane lanes[LANES + 1];

/* What lookout asks of an exchange. */

bool exchange_view(struct exchange *x, struct exchange_view *view)
{
    struct lane *lane = container_of(x, struct lane, request.exchange);
    *view = (struct exchange_view){.wait = EXCHANGE_WAIT_SEND,
                                   .moved_bytes = lane->moved_bytes,
                                   .waited_ns = core.now_ns - x->started_ns,
                                   .unsent = x->sent_ns == 0};
    return !lane->lost;
}

void exchange_cut(struct exchange *x, enum err err, const char *words)
{
    struct lane *lane = container_of(x, struct lane, request.exchange);
    (void)words;
    lane->cuts++;
    lane->cut = err;
}

static int set_up(void **state)
{
    (void)state;
    memset(&core, 0, sizeof core);
    memset(&client, 0, sizeof client);
    memset(lanes, 0, sizeof lanes);
    core.now_ns = 1000 * NS_PER_S;
    list_init(&core.ready);
    timers_init(&core.timers, &core.ready);
    conf_init(&conf);
    conf.log.level_max = LOG_ERROR;
    conf.stall_timeout_ns = 30 * NS_PER_S;
    client.conf = &conf;
    lookout_init(&client.lookout, &core);
    return 0;
}

static void run_ready(void)
{
    struct link *link;
    timers_expire(&core.timers, core.now_ns);
    while ((link = list_pop(&core.ready)) != NULL) {
        struct op *op = container_of(link, struct op, link);
        op->out = false;
        op->done(op);
    }
}

static bool is_watching(void)
{
    return timers_next_ns(&core.timers) != UINT64_MAX;
}

/* All that is watched has ended: then nothing ticks any more. */
static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LANES; i++)
        lookout_end(&client.lookout, &lanes[i].request);
    lookout_close(&client.lookout);
    run_ready();
    return is_watching() ? -1 : 0;
}

static struct lane *begin(uint32_t index, enum request_kind kind, uint64_t bytes, uint64_t rate)
{
    struct lane *lane = &lanes[index];
    memset(lane, 0, sizeof *lane);
    lane->rate = rate;
    lane->call = (struct request_call){.kind = kind, .bucket = BYTES("b"), .key = BYTES("k")};
    lane->call.body_bytes = kind == REQUEST_GET_OBJECT ? 0 : bytes;
    lane->call.expected_bytes = bytes;
    lane->request.client = &client;
    lane->request.call = &lane->call;
    lane->request.exchange.started_ns = core.now_ns;
    lookout_begin(&client.lookout, &lane->request);
    return lane;
}

static void finish(uint32_t count, uint64_t waited_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        struct request *request = &begin(USUAL, REQUEST_PUT_PART, PART, 0)->request;
        request->reply.status = 200;
        request->exchange.ended_ns = core.now_ns;
        request->exchange.waited_ns = waited_ns;
        lookout_end(&client.lookout, request);
    }
}

/* What is cut ends, as a request would see to. True when somebody was, in this look. */
static bool look(void)
{
    bool cut = false;
    core.now_ns += STRAGGLER_LOOK_NS;
    for (uint32_t i = 0; i < LANES; i++) {
        lanes[i].moved_bytes += lanes[i].rate * STRAGGLER_LOOK_NS / NS_PER_S;
        lanes[i].request.exchange.received_bytes = lanes[i].moved_bytes;
    }
    run_ready();
    for (uint32_t i = 0; i < LANES; i++) {
        if (!lanes[i].cut || !lanes[i].request.watched.watched) continue;
        cut = true;
        lookout_end(&client.lookout, &lanes[i].request);
    }
    return cut;
}

static void look_for(uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds * NS_PER_S / STRAGGLER_LOOK_NS; i++)
        (void)look();
}

/* Three that are quick, and more than one that has ended since. */
static void surround(void)
{
    for (uint32_t i = LANES - 3; i < LANES; i++)
        begin(i, REQUEST_PUT_PART, GIB, QUICK);
    finish(20, 4 * NS_PER_S);
}

/* --- which --- */

struct rule {
    bool trickling, behind; /* is cut then */
};

/* Those that are not named never are. */
static const struct rule rules[REQUEST_KINDS] = {
    [REQUEST_PUT_PART] = {true, true},      [REQUEST_GET_OBJECT] = {true, true},
    [REQUEST_PUT_OBJECT] = {true, true},    [REQUEST_HEAD_OBJECT] = {true, false},
    [REQUEST_LIST_PARTS] = {true, false},   [REQUEST_LIST_OBJECTS] = {true, false},
    [REQUEST_LIST_UPLOADS] = {true, false}, [REQUEST_OBJECT_ATTRIBUTES] = {true, false},
    [REQUEST_HEAD_BUCKET] = {true, false},  [REQUEST_LIST_BUCKETS] = {true, false},
};

static void test_trickling(void **state)
{
    (void)state;
    for (int kind = 0; kind < REQUEST_KINDS; kind++) {
        struct lane *lane = begin(0, (enum request_kind)kind, PART, 0);
        look_for(29);
        assert_int_equal(lane->cuts, 0);
        look_for(rules[kind].trickling ? 2 : 3600);
        if (lane->cuts != rules[kind].trickling) fail_msg("kind %d: %u cuts", kind, lane->cuts);
        if (lane->cuts) assert_int_equal(lane->cut, ERR_STALLED);
        lookout_end(&client.lookout, &lane->request);
    }
    assert_int_equal(meter_read(&client.cuts), 0); /* it costs nothing */
    assert_int_equal(meter_read(&client.traffic.cuts[STRAGGLER_STALLED]), 10);
}

static void test_behind(void **state)
{
    (void)state;
    surround();
    for (int kind = 0; kind < REQUEST_KINDS; kind++) {
        struct lane *lane = begin(0, (enum request_kind)kind, PART, SLOW);
        finish(2, 4 * NS_PER_S);
        look_for(7);
        assert_int_equal(lane->cuts, 0);
        look_for(3);
        if (lane->cuts != rules[kind].behind) fail_msg("kind %d: %u cuts", kind, lane->cuts);
        if (lane->cuts) assert_int_equal(lane->cut, ERR_STRAGGLER);
        lookout_end(&client.lookout, &lane->request);
    }
    for (uint32_t i = LANES - 3; i < LANES; i++)
        assert_int_equal(lanes[i].cuts, 0);
}

/* The server may have a whole object when all has left. */
static void test_sent(void **state)
{
    (void)state;
    surround();
    struct lane *object = begin(0, REQUEST_PUT_OBJECT, PART, SLOW);
    struct lane *silent = begin(1, REQUEST_PUT_OBJECT, PART, 0);
    object->request.exchange.sent_ns = silent->request.exchange.sent_ns = core.now_ns;
    finish(2, 4 * NS_PER_S);
    look_for(60);
    assert_int_equal(object->cuts + silent->cuts, 0);
    object->request.exchange.sent_ns = 0;
    look_for(1);
    assert_int_equal(object->cuts, 1);
}

/* --- when --- */

/* Of two that are behind one is cut at a look: that may help the other. */
static void test_one_at_a_look(void **state)
{
    (void)state;
    surround();
    begin(0, REQUEST_PUT_PART, PART, SLOW);
    begin(1, REQUEST_PUT_PART, PART, SLOW);
    finish(50, 4 * NS_PER_S); /* that pay for it */
    while (!look())
        continue;
    assert_int_equal(lanes[0].cuts + lanes[1].cuts, 1);
    assert_int_equal(meter_read(&client.traffic.cuts[STRAGGLER_BEHIND]), 1);
    assert_true(look());
    assert_int_equal(lanes[0].cuts + lanes[1].cuts, 2);
    assert_int_equal(meter_read(&client.traffic.cuts[STRAGGLER_BEHIND]), 2);
}

/* What trickles is cut beside it. */
static void test_trickling_beside(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        begin(i, i ? REQUEST_HEAD_OBJECT : REQUEST_GET_OBJECT, PART, 0);
    while (!look())
        continue;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(lanes[i].cut, ERR_STALLED);
}

static void test_lost(void **state)
{
    (void)state;
    struct lane *lane = begin(0, REQUEST_PUT_PART, PART, 0);
    lane->lost = true; /* it is being made */
    look_for(3600);
    assert_int_equal(lane->cuts, 0);
    lane->lost = false;
    look_for(1);
    assert_int_equal(lane->cut, ERR_STALLED);
}

/* A quarter of an hour, while nothing is known. */
static void test_lone(void **state)
{
    (void)state;
    struct lane *lane = begin(0, REQUEST_GET_OBJECT, GIB, 1000);
    look_for(959);
    assert_int_equal(lane->cuts, 0);
    look_for(2);
    assert_int_equal(lane->cut, ERR_STRAGGLER);
    assert_int_equal(lane->request.watched.lone_cuts, 1);
    assert_int_equal(lane->request.watched.cuts, 0);
    assert_int_equal(meter_read(&client.cuts), 0);
}

/* --- what is counted --- */

/* A download keeps what it wrote, in whole bufs; an upload nothing. */
static void test_counts(void **state)
{
    static const enum request_kind kinds[] = {REQUEST_GET_OBJECT, REQUEST_PUT_PART};
    uint64_t before = 0;
    (void)state;
    surround();
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct lane *lane = begin(0, kinds[i], 2 * PART, 3 * SLOW);
        finish(50, 4 * NS_PER_S);
        for (uint32_t n = 0; n < 20; n++) /* of its size as well */
            straggler_on_finished(&client.lookout.straggler, 2 * PART, 8 * NS_PER_S);
        while (!look())
            continue;
        bool down = kinds[i] == REQUEST_GET_OBJECT;
        assert_true(lane->moved_bytes > BUF_LARGE_BYTES);
        assert_int_equal(meter_read(&client.cuts), i + 1);
        assert_int_equal(meter_read(&client.cut_bytes) - before,
                         down ? lane->moved_bytes % BUF_LARGE_BYTES : lane->moved_bytes);
        assert_int_equal(lane->request.watched.cuts, 1);
        before = meter_read(&client.cut_bytes);
    }
}

/* Only what ends well is learned from, and only what moves bytes. */
static void test_samples(void **state)
{
    static const struct {
        enum request_kind kind;
        enum err err, broken;
        uint32_t status;
        bool over, counts;
    } ends[] = {
        {REQUEST_PUT_PART, ERR_NONE, ERR_NONE, 200, true, true},
        {REQUEST_GET_OBJECT, ERR_NONE, ERR_NONE, 206, true, true},
        {REQUEST_PUT_OBJECT, ERR_NONE, ERR_NONE, 200, true, true},
        {REQUEST_LIST_OBJECTS, ERR_NONE, ERR_NONE, 200, true, false},
        {REQUEST_COMPLETE_UPLOAD, ERR_NONE, ERR_NONE, 200, true, false},
        {REQUEST_PUT_PART, ERR_NONE, ERR_NONE, 503, true, false},
        {REQUEST_PUT_PART, ERR_SLOW_DOWN, ERR_NONE, 200, true, false},
        {REQUEST_PUT_PART, ERR_NONE, ERR_RESET, 200, true, false},
        {REQUEST_GET_OBJECT, ERR_NONE, ERR_NONE, 206, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        straggler_init(&client.lookout.straggler);
        for (uint32_t n = 0; n < STRAGGLER_SAMPLES_MIN; n++) {
            assert_int_equal(straggler_limit_ns(&client.lookout.straggler, PART), 0);
            struct request *request = &begin(0, ends[i].kind, PART, 0)->request;
            request->err = ends[i].err;
            request->exchange.err = ends[i].broken;
            request->reply.status = ends[i].status;
            request->reply.content_bytes = UINT64_MAX;
            request->exchange.waited_ns = 4 * NS_PER_S;
            request->exchange.ended_ns = ends[i].over ? core.now_ns : 0;
            lookout_end(&client.lookout, request);
            lookout_end(&client.lookout, request); /* it has ended */
        }
        bool known = straggler_limit_ns(&client.lookout.straggler, PART) > 0;
        if (known != ends[i].counts) fail_msg("row %zu", i);
    }
}

/* A reply's own word counts, where there is one. */
static void test_reply_bytes(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < STRAGGLER_SAMPLES_MIN; n++) {
        struct request *request = &begin(0, REQUEST_GET_OBJECT, 0, 0)->request;
        request->reply.status = 200;
        request->reply.content_bytes = GIB;
        request->exchange.waited_ns = request->exchange.ended_ns = 4 * NS_PER_S;
        lookout_end(&client.lookout, request);
    }
    assert_true(straggler_limit_ns(&client.lookout.straggler, GIB) > 0);
}

/* While nothing is under way nothing ticks. */
static void test_timer(void **state)
{
    (void)state;
    assert_false(is_watching());
    begin(0, REQUEST_COMPLETE_UPLOAD, 0, 0);
    assert_false(is_watching()); /* nobody looks at those */
    begin(1, REQUEST_PUT_PART, PART, QUICK);
    begin(2, REQUEST_PUT_PART, PART, QUICK);
    assert_int_equal(timers_next_ns(&core.timers), core.now_ns + STRAGGLER_LOOK_NS);
    lookout_end(&client.lookout, &lanes[1].request);
    look_for(5);
    assert_true(is_watching());
    lookout_end(&client.lookout, &lanes[2].request);
    look_for(1);
    assert_false(is_watching());
    begin(1, REQUEST_PUT_PART, PART, QUICK);
    assert_true(is_watching());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_trickling),
                                       TEST(test_behind),
                                       TEST(test_sent),
                                       TEST(test_one_at_a_look),
                                       TEST(test_trickling_beside),
                                       TEST(test_lost),
                                       TEST(test_lone),
                                       TEST(test_counts),
                                       TEST(test_samples),
                                       TEST(test_reply_bytes),
                                       TEST(test_timer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
