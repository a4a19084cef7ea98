/* Requests and replies at a pace: in slices of a gate. */
#include "tests/unit/talk.h"

/* A gate that grants SLICE bytes now and then: the first time after a long while. */
#define SLICE    1000u
#define HASTE_NS NS_PER_S /* what a busy machine does at once all the same */

struct slow_gate {
    struct gate gate;
    uint64_t next_ns, first_wait_ns, granted;
};

static uint32_t on_ask(struct gate *gate, uint64_t now_ns, uint32_t wanted, uint64_t *again_ns)
{
    struct slow_gate *slow = container_of(gate, struct slow_gate, gate);
    if (slow->next_ns == 0) slow->next_ns = now_ns + slow->first_wait_ns;
    *again_ns = slow->next_ns;
    if (now_ns < slow->next_ns) return 0;
    uint32_t granted = wanted < SLICE ? wanted : SLICE;
    slow->next_ns = now_ns + 200 * NS_PER_US;
    slow->granted += granted;
    return granted;
}

static void open_paced(struct world *w, struct slow_gate *slow, const struct peer_step *steps)
{
    open_world(w, steps);
    w->x.timeouts = (struct exchange_timeouts){HASTE_NS, HASTE_NS};
    *slow = (struct slow_gate){.first_wait_ns = HASTE_NS + 200 * MS}; /* beyond both timeouts */
    gate_init(&slow->gate, &w->core, on_ask);
    w->x.gate = &slow->gate;
}

static void close_paced(struct world *w, struct slow_gate *slow)
{
    gate_fini(&slow->gate);
    close_world(w);
}

/* In slices that end within and between the iovecs; the wait is no stall. */
static void test_paced_sending(void **state)
{
    enum { BYTES = 60000 };
    static const char head[] = "PUT /x HTTP/1.1\r\nContent-Length: 60000\r\n\r\n";
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, BYTES},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_END, NULL, 0},
    };
    static uint8_t body[BYTES];
    struct iovec iovecs[] = {{body, 1}, {body + 1, 0}, {body + 1, 2999}, {body + 3000, 17000}};
    struct iovec rest = {body + 20000, 40000};
    struct exchange_send send = {
        .head = {head, sizeof(head) - 1}, .body = iovecs, .body_count = 4, .body_bytes = BYTES};
    struct exchange_view view;
    struct slow_gate slow;
    struct world w;
    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        body[i] = peer_pattern(i);
    open_paced(&w, &slow, steps);
    exchange_start(&w.x, &send, &w.start);
    exchange_head(&w.x, &w.head);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(w.x.sent_bytes, 20000);
    assert_true(exchange_view(&w.x, &view));
    assert_true(view.waited_ns < HASTE_NS);
    exchange_write(&w.x, &rest, 1, &w.write);
    assert_int_equal(wait_for(&w, &w.write), ERR_NONE);
    assert_int_equal(w.x.sent_bytes, BYTES);
    assert_int_equal(slow.granted, BYTES + sizeof(head) - 1);
    assert_int_equal(wait_for(&w, &w.head), ERR_NONE);
    assert_int_equal(exchange_wait(&w.x), EXCHANGE_WAIT_OWNER);
    end_it(&w);
    assert_int_equal(dial_counts(w.dial).idle_now, 1);
    close_paced(&w, &slow);
    assert_int_equal(w.peer.body_bytes, BYTES);
    assert_int_equal(w.peer.bad_bytes, 0);
}

/* What came with the head is charged, the rest asked for before it is read. */
static void test_paced_reading(void **state)
{
    enum { BYTES = 60000 };
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", 0},
        {PEER_PATTERN, NULL, BYTES},
        {PEER_END, NULL, 0},
    };
    static char body[BYTES + 100];
    struct slow_gate slow;
    struct world w;
    (void)state;
    open_paced(&w, &slow, steps);
    start_get(&w);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(head_of(&w), ERR_NONE);
    uint64_t charged = (uint64_t)-slow.gate.credit_bytes, with_head = w.x.extra_end - w.x.extra_at;
    assert_int_equal(charged, w.x.head_count);
    slow.next_ns = w.core.now_ns + HASTE_NS + 200 * MS;
    assert_int_equal(read_into(&w, body, sizeof(body)), ERR_NONE);
    assert_int_equal(w.read.count, BYTES);
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal((uint8_t)body[i], peer_pattern(i));
    assert_int_equal(slow.granted, sizeof(GET_HEAD) - 1 + BYTES - with_head);
    end_it(&w);
    assert_int_equal(dial_counts(w.dial).idle_now, 1);
    close_paced(&w, &slow);
}

/* What the peer may send ahead of us is charged at once, and costs nothing when it is read. */
static void test_a_window_is_paid_ahead(void **state)
{
    enum { BYTES = 400000, WINDOW = 100000 };
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n", 0},
        {PEER_PATTERN, NULL, BYTES},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0},
        {PEER_END, NULL, 0},
    };
    static char body[BYTES];
    struct slow_gate slow;
    struct world w;
    (void)state;
    open_paced(&w, &slow, steps);
    dial_set_window(w.dial, WINDOW);
    start_get(&w);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(head_of(&w), ERR_NONE);
    uint64_t with_head = w.x.extra_end - w.x.extra_at;
    assert_int_equal(-slow.gate.credit_bytes, w.x.head_count + WINDOW);
    assert_int_equal(read_into(&w, body, BYTES), ERR_NONE);
    assert_int_equal(w.read.count, BYTES);
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal((uint8_t)body[i], peer_pattern(i));
    assert_int_equal(slow.granted, sizeof(GET_HEAD) - 1 + BYTES - with_head - WINDOW);
    end_it(&w);
    get_text(&w, 200, "");
    assert_int_equal(dial_counts(w.dial).opened, 1);
    dial_set_window(w.dial, 0); /* it cannot be made wide again: a new one takes its place */
    get_text(&w, 200, "ok");
    assert_int_equal(dial_counts(w.dial).opened, 2);
    close_paced(&w, &slow);
}

/* Of a chunked reply, or once windows are not limited any more, it is not known how much that is.
 * */
static void test_what_is_not_known_is_not_paid_ahead(void **state)
{
    enum { WINDOW = 100000 };
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
        {PEER_SEND, "2\r\nok\r\n0\r\n\r\n", 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n", 0},
        {PEER_PATTERN, NULL, 400000},
        {PEER_END, NULL, 0},
    };
    static char body[400000];
    struct slow_gate slow;
    struct world w;
    (void)state;
    open_paced(&w, &slow, steps);
    slow.first_wait_ns = 0;
    dial_set_window(w.dial, WINDOW);
    start_get(&w);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(head_of(&w), ERR_NONE);
    assert_int_equal(-slow.gate.credit_bytes, w.x.head_count);
    assert_int_equal(read_into(&w, body, sizeof body), ERR_NONE);
    assert_memory_equal(body, "ok", w.read.count);
    end_it(&w);
    slow.gate.credit_bytes = 0;
    start_get(&w);
    while (!w.x.conn)
        core_turn(&w.core, true);
    dial_set_window(w.dial, 0); /* while it is in use */
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(head_of(&w), ERR_NONE);
    assert_int_equal(-slow.gate.credit_bytes, w.x.head_count);
    assert_int_equal(read_into(&w, body, sizeof body), ERR_NONE);
    assert_int_equal(w.read.count, sizeof body);
    end_it(&w);
    close_paced(&w, &slow);
}

/* Between two slices the refusal is seen as well, and the rest is not sent. */
static void test_early_reply_while_paced(void **state)
{
    enum { BYTES = 1 << 20 };
    static const char head[] = "PUT /x HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n";
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_END, NULL, 0},
    };
    static uint8_t body[BYTES];
    struct iovec iovec = {body, BYTES};
    struct exchange_send send = {
        .head = {head, sizeof(head) - 1}, .body = &iovec, .body_count = 1, .body_bytes = BYTES};
    struct slow_gate slow;
    struct world w;
    (void)state;
    open_paced(&w, &slow, steps);
    slow.first_wait_ns = 0;
    exchange_start(&w.x, &send, &w.start);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_true(w.x.reply_early);
    assert_true(w.x.sent_bytes < BYTES);
    assert_int_equal(head_of(&w), ERR_NONE);
    assert_int_equal(w.x.parser.head.status, 403);
    end_it(&w);
    assert_int_equal(dial_counts(w.dial).idle_now, 0);
    close_paced(&w, &slow);
}

static void test_ended_while_paced(void **state)
{
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0}, {PEER_QUIET, NULL, 0}, {PEER_END, NULL, 0}};
    struct slow_gate slow;
    struct world w;
    (void)state;
    open_paced(&w, &slow, steps);
    slow.first_wait_ns = 100 * NS_PER_S;
    start_get(&w);
    while (exchange_wait(&w.x) != EXCHANGE_WAIT_PACE)
        core_turn(&w.core, true);
    end_it(&w);
    assert_false(w.start.out);
    assert_int_equal(w.start.err, ERR_CANCELLED);
    assert_int_equal(slow.granted, 0);
    close_paced(&w, &slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paced_sending),
        cmocka_unit_test(test_paced_reading),
        cmocka_unit_test(test_a_window_is_paid_ahead),
        cmocka_unit_test(test_what_is_not_known_is_not_paid_ahead),
        cmocka_unit_test(test_early_reply_while_paced),
        cmocka_unit_test(test_ended_while_paced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
