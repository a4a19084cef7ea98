/* Requests and replies over loopback, against a scripted peer. */
#include "tests/unit/talk.h"

/* For what waits for one timeout: the other is patient, whatever else this machine has to do. */
static void open_hasty_world(struct world *w, const struct peer_step *steps, enum err timeout)
{
    open_world(w, steps);
    if (timeout == ERR_TIMEOUT) w->x.timeouts.reply_ns = 400 * MS;
    if (timeout == ERR_STALLED) w->x.timeouts.stall_ns = 200 * MS;
}

static void test_keep_alive(void **state)
{
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SPLIT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
        {PEER_SPLIT, "3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n", 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SPLIT, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\n", 0},
        {PEER_SPLIT, "Content-Length: 2\r\n\r\nno", 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\n\r\nuntil the end", 0},
        {PEER_CLOSE, NULL, 0},
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 204 No Content\r\n\r\n", 0},
        {PEER_END, NULL, 0},
    };
    struct world w;
    (void)state;
    open_world(&w, steps);
    get_text(&w, 200, "hello");
    get_text(&w, 200, "abcdefg");
    get_text(&w, 404, "no");
    assert_int_equal(dial_counts(w.dial).opened, 1);
    assert_int_equal(dial_counts(w.dial).reused, 2);
    get_text(&w, 200, "until the end");
    assert_int_equal(dial_counts(w.dial).idle_now, 0);
    get_text(&w, 204, "");
    assert_int_equal(dial_counts(w.dial).opened, 2);
    assert_int_equal(dial_counts(w.dial).idle_now, 1);
    close_world(&w);
    assert_int_equal(peer_heads_with(&w.peer, GET_HEAD), 5);
}

/* A large reply goes straight to where it belongs: only what came with the head is copied. */
static void test_large_reply(void **state)
{
    enum { BYTES = 5000000, STEP = 1048576 };
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", 0},
        {PEER_PATTERN, NULL, BYTES},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_END, NULL, 0},
    };
    static uint8_t area[STEP];
    struct world w;
    (void)state;
    open_world(&w, steps);
    start_get(&w);
    assert_int_equal(head_of(&w), ERR_NONE);
    assert_int_equal(w.x.parser.head.content_bytes, BYTES);
    for (uint64_t at = 0; at < BYTES; at += STEP) {
        uint64_t want = min_u64(STEP, BYTES - at);
        assert_int_equal(read_into(&w, area, STEP), ERR_NONE);
        assert_int_equal(w.read.count, want);
        for (uint64_t i = 0; i < want; i++)
            if (area[i] != peer_pattern(at + i)) fail_msg("byte %lu", (unsigned long)(at + i));
    }
    assert_int_equal(w.x.received_bytes, BYTES);
    assert_in_range(w.x.copied_bytes, 0, 4096);
    assert_true(w.x.ended_ns >= w.x.head_ns && w.x.head_ns >= w.x.sent_ns);
    end_it(&w);
    get_text(&w, 200, "");
    assert_int_equal(dial_counts(w.dial).opened, 1);
    close_world(&w);
}

static void test_large_request(void **state)
{
    enum { BYTES = 3000000, PIECE = 1000000 };
    static const char head[] = "PUT /x HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n";
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, BYTES},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_END, NULL, 0},
    };
    static uint8_t body[BYTES];
    struct iovec iovecs[2] = {{body, PIECE - 1}, {body + PIECE - 1, 1}};
    struct exchange_send send = {
        .head = {head, sizeof(head) - 1}, .body = iovecs, .body_count = 2, .body_bytes = BYTES};
    struct world w;
    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        body[i] = peer_pattern(i);
    open_world(&w, steps);
    exchange_start(&w.x, &send, &w.start);
    exchange_head(&w.x, &w.head);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(w.x.sent_bytes, PIECE);
    for (int i = 1; i < 3; i++) {
        assert_true(w.head.out);
        iovecs[0] = (struct iovec){body + i * PIECE, PIECE};
        exchange_write(&w.x, iovecs, 1, &w.write);
        assert_int_equal(wait_for(&w, &w.write), ERR_NONE);
    }
    assert_int_equal(wait_for(&w, &w.head), ERR_NONE);
    assert_false(w.x.reply_early);
    end_it(&w);
    assert_int_equal(dial_counts(w.dial).idle_now, 1);
    close_world(&w);
    assert_int_equal(w.peer.body_bytes, BYTES);
    assert_int_equal(w.peer.bad_bytes, 0);
}

/* A refusal during a body that is too large for the sockets' buffers ends the sending. */
static void early_reply(const struct peer_step *steps, bool write_first)
{
    enum { BYTES = 64 << 20 };
    static const char head[] = "PUT /x HTTP/1.1\r\nContent-Length: 67108864\r\n\r\n";
    static uint8_t body[BYTES];
    struct iovec iovec = {body, BYTES};
    struct exchange_send send = {.head = {head, sizeof(head) - 1}, .body_bytes = BYTES};
    char area[100];
    struct world w;
    open_world(&w, steps);
    if (!write_first) {
        send.body = &iovec;
        send.body_count = 1;
    }
    exchange_start(&w.x, &send, &w.start);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    if (write_first) {
        exchange_write(&w.x, &iovec, 1, &w.write);
        assert_int_equal(wait_for(&w, &w.write), ERR_NONE);
    }
    assert_true(w.x.reply_early);
    assert_int_equal(head_of(&w), ERR_NONE);
    assert_int_equal(w.x.parser.head.status, 403);
    assert_int_equal(read_into(&w, area, sizeof(area)), ERR_NONE);
    assert_int_equal(w.read.count, 6);
    assert_memory_equal(area, "denied", 6);
    end_it(&w);
    assert_int_equal(dial_counts(w.dial).idle_now, 0);
    close_world(&w);
}

static void test_early_reply(void **state)
{
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 100},
        {PEER_SEND, "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\n", 0},
        {PEER_SLEEP, NULL, 50},
        {PEER_SEND, "denied", 0},
        {PEER_SLEEP, NULL, 50},
        {PEER_END, NULL, 0},
    };
    (void)state;
    early_reply(steps, false);
    early_reply(steps, true);
}

/* The same from a server that hangs up with our bytes unread: the kernel sends RST behind it. */
static void test_early_reply_and_reset(void **state)
{
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 100},
        {PEER_SEND, "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied", 0},
        {PEER_CLOSE, NULL, 0},
        {PEER_END, NULL, 0},
    };
    (void)state;
    early_reply(steps, false);
}

struct failure {
    const char *name;
    struct peer_step steps[6];
    enum err err;
    bool in_body;
};

static const struct failure failures[] = {
    {"closed before the reply",
     {{PEER_ACCEPT, NULL, 0}, {PEER_HEAD, NULL, 0}, {PEER_CLOSE, NULL, 0}},
     ERR_CLOSED,
     false},
    {"reset before the reply",
     {{PEER_ACCEPT, NULL, 0}, {PEER_HEAD, NULL, 0}, {PEER_RESET, NULL, 0}},
     ERR_RESET,
     false},
    {"closed in the head",
     {{PEER_ACCEPT, NULL, 0},
      {PEER_HEAD, NULL, 0},
      {PEER_SEND, "HTTP/1.1 20", 0},
      {PEER_CLOSE, NULL, 0}},
     ERR_CLOSED,
     false},
    {"closed in the body",
     {{PEER_ACCEPT, NULL, 0},
      {PEER_HEAD, NULL, 0},
      {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 0},
      {PEER_CLOSE, NULL, 0}},
     ERR_CLOSED,
     true},
    {"garbage",
     {{PEER_ACCEPT, NULL, 0}, {PEER_HEAD, NULL, 0}, {PEER_SEND, "SSH-2.0-OpenSSH_9.2p1\r\n", 0}},
     ERR_HTTP_GARBAGE,
     false},
    {"garbage in chunks",
     {{PEER_ACCEPT, NULL, 0},
      {PEER_HEAD, NULL, 0},
      {PEER_SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
      {PEER_SLEEP, NULL, 20},
      {PEER_SEND, "2\r\nab\r\nzz\r\n", 0}},
     ERR_HTTP_GARBAGE,
     true},
    {"no reply",
     {{PEER_ACCEPT, NULL, 0}, {PEER_HEAD, NULL, 0}, {PEER_QUIET, NULL, 0}},
     ERR_TIMEOUT,
     false},
    {"a head in a trickle",
     {{PEER_ACCEPT, NULL, 0},
      {PEER_HEAD, NULL, 0},
      {PEER_SPLIT,
       "HTTP/1.1 200 OK\r\nX-1: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
       0},
      {PEER_QUIET, NULL, 0}},
     ERR_STALLED,
     false},
    {"a body that stalls",
     {{PEER_ACCEPT, NULL, 0},
      {PEER_HEAD, NULL, 0},
      {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 0},
      {PEER_QUIET, NULL, 0}},
     ERR_STALLED,
     true},
};

static void test_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(failures); i++) {
        const struct failure *row = &failures[i];
        char area[100];
        struct world w;
        if (row->err == ERR_TIMEOUT || row->err == ERR_STALLED)
            open_hasty_world(&w, row->steps, row->err);
        else
            open_world(&w, row->steps);
        start_get(&w);
        enum err err = head_of(&w);
        if (row->in_body) {
            assert_int_equal(err, ERR_NONE);
            err = read_into(&w, area, sizeof(area));
        }
        if (err != row->err)
            fail_msg("%s: %s, not %s", row->name, err_name(err), err_name(row->err));
        assert_int_equal(strncmp(w.x.why, "127.0.0.1:", 10), 0);
        assert_non_null(strstr(w.x.why, err_sentence(row->err)));
        end_it(&w);
        assert_int_equal(dial_counts(w.dial).idle_now, 0);
        close_world(&w);
    }
}

static void test_huge_head(void **state)
{
    static char head[2 * HTTP_HEAD_BYTES_MAX];
    struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0}, {PEER_HEAD, NULL, 0}, {PEER_SEND, head, 0}, {PEER_END, NULL, 0}};
    struct world w;
    (void)state;
    int at = sprintf(head, "HTTP/1.1 200 OK\r\nX: ");
    memset(head + at, 'a', sizeof(head) - (size_t)at - 1);
    open_world(&w, steps);
    start_get(&w);
    assert_int_equal(head_of(&w), ERR_HTTP_HEAD_SIZE);
    end_it(&w);
    close_world(&w);
}

/* A send that nobody takes: TCP's counters stand still. */
static void test_stalled_send(void **state)
{
    enum { BYTES = 64 << 20 };
    static const char head[] = "PUT /x HTTP/1.1\r\nContent-Length: 67108864\r\n\r\n";
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0}, {PEER_HEAD, NULL, 0}, {PEER_ACCEPT, NULL, 0}, {PEER_END, NULL, 0}};
    static uint8_t body[BYTES];
    struct iovec iovec = {body, BYTES};
    struct exchange_send send = {
        .head = {head, sizeof(head) - 1}, .body = &iovec, .body_count = 1, .body_bytes = BYTES};
    struct world w;
    (void)state;
    open_hasty_world(&w, steps, ERR_STALLED);
    exchange_start(&w.x, &send, &w.start);
    assert_int_equal(wait_for(&w, &w.start), ERR_STALLED);
    assert_in_range(w.core.now_ns - w.x.started_ns, 200 * MS, 9 * NS_PER_S);
    end_it(&w);
    start_get(&w); /* which the peer has waited for */
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    end_it(&w);
    close_world(&w);
}

/* A slow send is no stall as long as TCP moves. */
static void test_slow_send(void **state)
{
    enum { BYTES = 24 << 20 };
    static const char head[] = "PUT /x HTTP/1.1\r\nContent-Length: 25165824\r\n\r\n";
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},     {PEER_HEAD, NULL, BYTES / 8}, {PEER_SLEEP, NULL, 300},
        {PEER_BODY, NULL, 4 << 20}, {PEER_SLEEP, NULL, 300},      {PEER_BODY, NULL, 4 << 20},
        {PEER_SLEEP, NULL, 300},    {PEER_BODY, NULL, 4 << 20},   {PEER_SLEEP, NULL, 300},
        {PEER_BODY, NULL, BYTES},   {PEER_END, NULL, 0}};
    static uint8_t body[BYTES];
    struct iovec iovec = {body, BYTES};
    struct exchange_send send = {
        .head = {head, sizeof(head) - 1}, .body = &iovec, .body_count = 1, .body_bytes = BYTES};
    struct world w;
    (void)state;
    open_world(&w, steps);
    w.x.timeouts.stall_ns = 1100 * MS; /* of 1.2 s; three times what nothing moves for */
    exchange_start(&w.x, &send, &w.start);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(w.x.sent_bytes, BYTES);
    end_it(&w);
    close_world(&w);
    assert_int_equal(w.peer.body_bytes, BYTES);
}

static void test_stale(void **state)
{
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_HEAD, NULL, 0},
        {PEER_CLOSE, NULL, 0}, /* without a reply: an idle timeout that crossed our request */
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_CLOSE, NULL, 0}, /* while idle */
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {PEER_END, NULL, 0},
    };
    struct world w;
    (void)state;
    open_world(&w, steps);
    get_text(&w, 200, "");
    start_get(&w);
    assert_int_equal(head_of(&w), ERR_STALE);
    end_it(&w);
    get_text(&w, 200, "");
    while (w.peer.done < 9)
        usleep(1000);
    get_text(&w, 200, "");
    assert_int_equal(dial_counts(w.dial).replaced_stale, 1);
    close_world(&w);
}

/* The end comes at any time, also with ops out: each is done once, with ERR_CANCELLED. */
static void test_end_early(void **state)
{
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 0},
        {PEER_QUIET, NULL, 0},
        {PEER_END, NULL, 0},
    };
    char area[100];
    struct world w;
    (void)state;
    open_world(&w, steps);
    start_get(&w);
    exchange_head(&w.x, &w.head);
    end_it(&w); /* while dialing */
    assert_false(w.start.out || w.head.out);
    assert_int_equal(w.start.err, ERR_CANCELLED);
    assert_int_equal(w.head.err, ERR_CANCELLED);
    start_get(&w);
    assert_int_equal(head_of(&w), ERR_NONE);
    exchange_read(&w.x, area, sizeof(area), &w.read);
    for (int i = 0; i < 5; i++)
        core_turn(&w.core, false);
    assert_true(w.read.out);
    end_it(&w);
    assert_int_equal(w.read.err, ERR_CANCELLED);
    close_world(&w);
}

/* What is seen from outside: how much has moved, and how long the peer was waited for, not the
 * owner. Then it is cut: the peer sees a reset. */
static void test_view_and_cut(void **state)
{
    static const struct peer_step steps[] = {
        {PEER_ACCEPT, NULL, 0},
        {PEER_HEAD, NULL, 0},
        {PEER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\nabcdef", 0},
        {PEER_QUIET, NULL, 0},
        {PEER_END, NULL, 0},
    };
    static const struct exchange_timeouts patient = {20 * NS_PER_S, 20 * NS_PER_S};
    struct exchange_view view;
    struct world w;
    char area[1000];
    (void)state;
    open_world(&w, steps);
    exchange_init(&w.x, &w.core, w.dial, &patient);
    assert_false(exchange_view(&w.x, &view)); /* nothing is under way */
    start_get(&w);
    assert_int_equal(wait_for(&w, &w.start), ERR_NONE);
    assert_int_equal(head_of(&w), ERR_NONE);
    assert_true(exchange_view(&w.x, &view));
    assert_int_equal(view.wait, EXCHANGE_WAIT_OWNER);
    uint64_t waited_ns = view.waited_ns;
    usleep(20000);
    core_turn(&w.core, false);
    assert_true(exchange_view(&w.x, &view));
    assert_int_equal(view.waited_ns, waited_ns);
    assert_in_range(view.moved_bytes, sizeof(GET_HEAD) - 1 + 6, sizeof(GET_HEAD) + 100);
    exchange_read(&w.x, area, sizeof(area), &w.read);
    for (uint64_t end_ns = w.core.now_ns + 20 * MS; w.core.now_ns < end_ns;)
        core_turn(&w.core, false);
    assert_true(exchange_view(&w.x, &view));
    assert_int_equal(view.wait, EXCHANGE_WAIT_BODY);
    assert_in_range(view.waited_ns, waited_ns + 19 * MS, waited_ns + 10 * NS_PER_S);
    exchange_cut(&w.x, ERR_STRAGGLER, NULL);
    assert_false(exchange_view(&w.x, &view));
    assert_int_equal(wait_for(&w, &w.read), ERR_STRAGGLER);
    assert_non_null(strstr(w.x.why, "far slower"));
    end_it(&w);
    close_world(&w);
    assert_true(w.peer.was_reset);
}

static void test_refused(void **state)
{
    static const struct peer_step steps[] = {{PEER_STOP, NULL, 0}, {PEER_END, NULL, 0}};
    struct world w;
    char why[64];
    (void)state;
    open_world(&w, steps);
    while (w.peer.done < 1)
        usleep(1000);
    start_get(&w);
    exchange_head(&w.x, &w.head);
    assert_int_equal(wait_for(&w, &w.head), ERR_REFUSED);
    assert_int_equal(wait_for(&w, &w.start), ERR_REFUSED);
    snprintf(why, sizeof(why), "127.0.0.1:%u: connection refused", w.peer.port);
    assert_string_equal(w.x.why, why);
    end_it(&w);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_large_reply),
        cmocka_unit_test(test_large_request),
        cmocka_unit_test(test_early_reply),
        cmocka_unit_test(test_early_reply_and_reset),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_huge_head),
        cmocka_unit_test(test_stalled_send),
        cmocka_unit_test(test_slow_send),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_end_early),
        cmocka_unit_test(test_view_and_cut),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
