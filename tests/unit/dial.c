/* Connections over loopback; names come from a resolver of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>

#include "net/dial.h"

#define MS NS_PER_MS

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44 /* of Linux 6.15 */
#endif

struct world {
    struct core core;
    struct dial *dial;
    struct dial_wish wishes[4];
    struct op end;
    int listener, silent; /* the second has a port that nobody listens at */
    uint16_t port, closed_port;
};

/* The resolver. */
static struct world *resolver_world;
static const char *resolver_hosts; /* "127.0.0.1 127.0.0.2!": "!" is a port where nobody listens */
static uint32_t resolver_count;

void dns_query_init(struct dns_query *query, op_fn *done)
{
    op_init(&query->job.op, done);
}

void dns_resolve(struct aside *aside, struct dns_query *query)
{
    struct world *w = resolver_world;
    struct bytes rest = bytes_of(resolver_hosts);
    (void)aside;
    op_begin(&query->job.op);
    resolver_count++;
    query->count = 0;
    query->why[0] = 0;
    while (rest.count) {
        struct bytes host = bytes_cut(rest, ' ', &rest);
        bool closed = bytes_end_with(host, BYTES("!"));
        if (closed) host.count--;
        assert_true(
            addr_parse(host, closed ? w->closed_port : w->port, &query->addrs[query->count++]));
    }
    if (!query->count) snprintf(query->why, sizeof(query->why), "nobody knows that name");
    core_finish(&w->core, &query->job.op, query->count ? ERR_NONE : ERR_NAME_UNKNOWN);
}

static int listen_somewhere(int backlog, uint16_t *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t bytes = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_return_code(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    if (backlog >= 0) assert_return_code(listen(fd, backlog), 0);
    assert_return_code(getsockname(fd, (struct sockaddr *)&in, &bytes), 0);
    *port = ntohs(in.sin_port);
    return fd;
}

static void on_done(struct op *op)
{
    (void)op;
}

/* All timeouts are patient where `haste_ns` is 0: a busy machine may be as slow as the others. */
static void open_hasty_world(struct world *w, uint32_t connections_max, struct tls_context *tls,
                             uint64_t haste_ns, const char *host)
{
    uint64_t timeout_ns = haste_ns ? haste_ns : 30 * NS_PER_S;
    struct core_options options = {.cpu = -1, .memory_bytes = 1 * MIB, .seed = 1};
    int raw;
    alarm(120);
    memset(w, 0, sizeof(*w));
    w->listener = listen_somewhere(16, &w->port);
    w->silent = listen_somewhere(-1, &w->closed_port);
    resolver_world = w;
    resolver_count = 0;
    assert_int_equal(core_open(&w->core, &options, &raw), ERR_NONE);
    struct dial_options dial = {.host = host,
                                .port = w->port,
                                .tls = tls,
                                .connections_max = connections_max,
                                .connect_timeout_ns = timeout_ns,
                                .tls_timeout_ns = timeout_ns,
                                .idle_max_ns = timeout_ns,
                                .aside = (struct aside *)(uintptr_t)1};
    assert_int_equal(dial_open(&w->dial, &w->core, &dial), ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(w->wishes); i++)
        dial_wish_init(&w->wishes[i], on_done);
    op_init(&w->end, on_done);
}

static void open_world(struct world *w, const char *host, uint32_t connections_max)
{
    open_hasty_world(w, connections_max, NULL, 0, host);
}

static void close_world(struct world *w)
{
    dial_close(w->dial, &w->end);
    while (w->end.out)
        core_turn(&w->core, true);
    core_close(&w->core);
    close(w->listener);
    close(w->silent);
}

static void take(struct world *w, int index)
{
    dial_take(w->dial, &w->wishes[index]);
}

static enum err wait_for(struct world *w, int index)
{
    while (w->wishes[index].op.out)
        core_turn(&w->core, true);
    return w->wishes[index].op.err;
}

static void take_now(struct world *w, int index)
{
    take(w, index);
    assert_int_equal(wait_for(w, index), ERR_NONE);
    assert_non_null(w->wishes[index].conn);
}

static void give(struct world *w, int index, bool reusable)
{
    dial_give(&w->wishes[index].conn, reusable);
    assert_null(w->wishes[index].conn);
}

static void turn_for(struct world *w, uint64_t ns)
{
    for (uint64_t end_ns = w->core.now_ns + ns; w->core.now_ns < end_ns; usleep(1000))
        core_turn(&w->core, false);
}

static void count_one(struct conn *conn, void *context)
{
    assert_non_null(conn->stream);
    ++*(uint32_t *)context;
}

static void test_reuse(void **state)
{
    struct world w;
    uint32_t in_use = 0;
    (void)state;
    open_world(&w, "127.0.0.1", 4);
    take_now(&w, 0);
    take_now(&w, 1);
    struct conn *last = w.wishes[0].conn;
    assert_int_equal(last->used_count, 0);
    dial_each(w.dial, count_one, &in_use);
    assert_int_equal(in_use, 2);
    give(&w, 1, true);
    give(&w, 0, true);
    assert_int_equal(dial_counts(w.dial).idle_now, 2);
    take_now(&w, 2);
    assert_ptr_equal(w.wishes[2].conn, last); /* last in, first out */
    assert_int_equal(last->used_count, 1);
    give(&w, 2, false);
    while (dial_counts(w.dial).open_now > 1)
        core_turn(&w.core, true);
    assert_int_equal(dial_counts(w.dial).open_now, 1);
    assert_int_equal(dial_counts(w.dial).opened, 2);
    assert_int_equal(dial_counts(w.dial).reused, 1);
    close_world(&w);
}

static void test_limit(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "127.0.0.1", 1);
    take_now(&w, 0);
    take(&w, 1);
    take(&w, 2);
    take(&w, 3);
    turn_for(&w, 5 * MS);
    assert_true(w.wishes[1].op.out && w.wishes[2].op.out);
    dial_cancel(w.dial, &w.wishes[2]);
    assert_int_equal(wait_for(&w, 2), ERR_CANCELLED);
    give(&w, 0, true); /* to the oldest */
    assert_int_equal(wait_for(&w, 1), ERR_NONE);
    assert_true(w.wishes[3].op.out);
    give(&w, 1, false); /* a new one is opened for the last */
    assert_int_equal(wait_for(&w, 3), ERR_NONE);
    assert_int_equal(dial_counts(w.dial).opened, 2);
    give(&w, 3, true);
    close_world(&w);
}

static void test_fresh_only(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "127.0.0.1", 1);
    take_now(&w, 0);
    give(&w, 0, true);
    w.wishes[1].fresh_only = true;
    take_now(&w, 1); /* the idle one made room */
    assert_int_equal(w.wishes[1].conn->used_count, 0);
    w.wishes[2].fresh_only = true;
    take(&w, 2);
    take(&w, 3);
    give(&w, 1, true); /* passes by the wish for a fresh one */
    assert_int_equal(wait_for(&w, 3), ERR_NONE);
    assert_true(w.wishes[2].op.out);
    give(&w, 3, true);
    assert_int_equal(wait_for(&w, 2), ERR_NONE);
    assert_int_equal(w.wishes[2].conn->used_count, 0);
    give(&w, 2, true);
    assert_int_equal(dial_counts(w.dial).opened, 3);
    close_world(&w);
}

static void test_spread(void **state)
{
    struct world w;
    char text[ADDR_TEXT_BYTES];
    uint32_t seen = 0;
    (void)state;
    open_world(&w, "store", 4);
    resolver_hosts = "127.0.0.1 127.0.0.2 127.0.0.3";
    for (int i = 0; i < 3; i++) {
        take_now(&w, i);
        addr_format(&w.wishes[i].conn->addr, text);
        seen |= 1u << (text[8] - '0');
    }
    assert_int_equal(seen, 0xe);
    for (int i = 0; i < 3; i++)
        give(&w, i, true);
    assert_int_equal(resolver_count, 1);
    close_world(&w);
}

/* A connect that fails goes on to the next address; the one that failed is left aside. */
static void test_next_address(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "store", 4);
    resolver_hosts = "127.0.0.1! 127.0.0.2 127.0.0.3!";
    for (int i = 0; i < 4; i++)
        take_now(&w, i);
    assert_int_equal(dial_counts(w.dial).opened, 4);
    assert_int_equal(dial_counts(w.dial).failed, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(addr_port(&w.wishes[i].conn->addr), w.port);
        give(&w, i, true);
    }
    close_world(&w);
}

/* An address where nothing moves is not taken again while there are others; nor is one where
 * connection after connection breaks. */
static void test_blame(void **state)
{
    struct world w;
    struct addr bad;
    (void)state;
    open_world(&w, "store", 4);
    resolver_hosts = "127.0.0.1 127.0.0.2";
    take_now(&w, 0);
    bad = w.wishes[0].conn->addr;
    dial_blame(w.wishes[0].conn, true);
    give(&w, 0, false);
    for (int i = 0; i < 4; i++) {
        take_now(&w, i);
        assert_false(addr_equal(&w.wishes[i].conn->addr, &bad));
    }
    bad = w.wishes[0].conn->addr; /* the other one; the first is aside as well by now */
    for (int i = 0; i < 4; i++) {
        dial_blame(w.wishes[i].conn, false);
        give(&w, i, false);
    }
    take_now(&w, 0); /* four in a row are no reason yet */
    assert_true(addr_equal(&w.wishes[0].conn->addr, &bad));
    dial_blame(w.wishes[0].conn, false);
    give(&w, 0, false);
    take_now(&w, 0); /* both are aside: either, and when it opens, it is good again */
    bad = w.wishes[0].conn->addr;
    take_now(&w, 1);
    assert_true(addr_equal(&w.wishes[1].conn->addr, &bad));
    give(&w, 0, true);
    give(&w, 1, true);
    close_world(&w);
}

static void test_all_refuse(void **state)
{
    struct world w;
    char why[64];
    (void)state;
    open_world(&w, "store", 2);
    resolver_hosts = "127.0.0.1! 127.0.0.2!";
    take(&w, 0);
    take(&w, 1);
    take(&w, 2); /* waits for a slot, and gets its own refusal */
    for (int i = 0; i < 3; i++)
        assert_int_equal(wait_for(&w, i), ERR_REFUSED);
    snprintf(why, sizeof(why), ":%u: connection refused", w.closed_port);
    assert_non_null(strstr(w.wishes[2].why, why));
    assert_int_equal(dial_counts(w.dial).failed, 3);
    assert_int_equal(dial_counts(w.dial).open_now, 0);
    close_world(&w);
}

static void test_unknown_name(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "nowhere", 2);
    resolver_hosts = "";
    take(&w, 0);
    take(&w, 1);
    assert_int_equal(wait_for(&w, 0), ERR_NAME_UNKNOWN);
    assert_int_equal(wait_for(&w, 1), ERR_NAME_UNKNOWN);
    assert_string_equal(w.wishes[0].why, "nowhere: nobody knows that name");
    resolver_hosts = "127.0.0.1";
    take_now(&w, 0); /* asked again */
    give(&w, 0, true);
    close_world(&w);
}

/* A listener whose backlog is full drops what comes. */
static void test_connect_timeout(void **state)
{
    struct world w;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[8];
    (void)state;
    open_hasty_world(&w, 1, NULL, 100 * MS, "127.0.0.1");
    assert_return_code(listen(w.listener, 0), 0);
    in.sin_port = htons(w.port);
    for (int i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&in, sizeof(in));
    }
    uint64_t began_ns = w.core.now_ns;
    take(&w, 0);
    assert_int_equal(wait_for(&w, 0), ERR_CONNECT_TIMEOUT);
    assert_in_range(w.core.now_ns - began_ns, 90 * MS, 60 * NS_PER_S);
    assert_non_null(strstr(w.wishes[0].why, "timed out while connecting"));
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    close_world(&w);
}

static void test_retire(void **state)
{
    struct world w;
    (void)state;
    const uint64_t idle_max_ns = 400 * MS;
    open_hasty_world(&w, 2, NULL, idle_max_ns, "127.0.0.1");
    take_now(&w, 0);
    take_now(&w, 1);
    give(&w, 0, true);
    uint64_t first_ns = w.core.now_ns;
    turn_for(&w, idle_max_ns / 2);
    give(&w, 1, true);
    uint64_t second_ns = w.core.now_ns;
    while (dial_counts(w.dial).idle_now > 1)
        core_turn(&w.core, true);
    assert_true(w.core.now_ns >= first_ns + idle_max_ns);
    if (w.core.now_ns < second_ns + idle_max_ns) assert_int_equal(dial_counts(w.dial).idle_now, 1);
    while (dial_counts(w.dial).open_now > 0)
        core_turn(&w.core, true);
    assert_true(w.core.now_ns >= second_ns + idle_max_ns);
    assert_int_equal(dial_counts(w.dial).idle_now, 0);
    close_world(&w);
}

static void test_closed_while_idle(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "127.0.0.1", 1);
    take_now(&w, 0);
    give(&w, 0, true);
    close(accept(w.listener, NULL, NULL));
    usleep(10000);
    take_now(&w, 0);
    assert_int_equal(w.wishes[0].conn->used_count, 0);
    assert_int_equal(dial_counts(w.dial).replaced_stale, 1);
    give(&w, 0, true);
    close_world(&w);
}

static void test_cancel_while_opening(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "127.0.0.1", 2);
    take(&w, 0);
    dial_cancel(w.dial, &w.wishes[0]);
    assert_int_equal(wait_for(&w, 0), ERR_CANCELLED);
    while (dial_counts(w.dial).idle_now < 1) /* somebody will want it */
        core_turn(&w.core, true);
    take(&w, 1);
    w.wishes[2].fresh_only = true;
    take(&w, 2);
    dial_cancel(w.dial, &w.wishes[2]);
    assert_int_equal(wait_for(&w, 1), ERR_NONE);
    give(&w, 1, true);
    close_world(&w); /* while one is being opened */
}

/* TCP_RTO_MAX_MS of a connection; 0: this kernel has none. */
static int backoff_of(const struct world *w, int index)
{
    int ms = 0;
    socklen_t bytes = sizeof ms;
    int fd = w->wishes[index].conn->stream->fd;
    if (getsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &ms, &bytes))
        assert_int_equal(errno, ENOPROTOOPT);
    return ms;
}

/* TCP waits for 3 s at most, unless round trips are long: then two minutes; in a slot that had such
 * a one as well. */
static void test_backoff(void **state)
{
    static const struct {
        uint64_t rtt_ns;
        int ms;
    } rows[] = {{20 * MS, 3000},  {999 * MS, 3000}, {1000 * MS, 120000}, {500 * MS, 120000},
                {499 * MS, 3000}, {999 * MS, 3000}, {7000 * MS, 120000}};
    struct world w;
    (void)state;
    open_world(&w, "127.0.0.1", 1);
    take_now(&w, 0);
    bool known = backoff_of(&w, 0) > 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        dial_see_rtt(w.wishes[0].conn, rows[i].rtt_ns);
        if (known) assert_int_equal(backoff_of(&w, 0), rows[i].ms);
    }
    give(&w, 0, false);
    take_now(&w, 0);
    if (known) assert_int_equal(backoff_of(&w, 0), 3000);
    dial_see_rtt(w.wishes[0].conn, 1000 * MS);
    if (known) assert_int_equal(backoff_of(&w, 0), 120000);
    give(&w, 0, true);
    close_world(&w);
    if (!known) skip(); /* before Linux 6.15 there is no limit, and nothing fails */
}

/* The kernel's word for it; UINT64_MAX: no limit. */
static uint64_t pacing_of(const struct world *w, int index)
{
    uint64_t rate = 0;
    socklen_t bytes = sizeof rate;
    assert_return_code(getsockopt(w->wishes[index].conn->stream->fd, SOL_SOCKET, SO_MAX_PACING_RATE,
                                  &rate, &bytes),
                       0);
    return rate;
}

/* At once where a connection is in use, else from its next use; a new one has it, too. */
static void test_pacing(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "127.0.0.1", 3);
    take_now(&w, 0);
    take_now(&w, 1);
    assert_true(pacing_of(&w, 0) == UINT64_MAX);
    int idle_fd = w.wishes[1].conn->stream->fd;
    give(&w, 1, true);
    dial_set_pacing(w.dial, 3000000);
    assert_int_equal(pacing_of(&w, 0), 3000000);
    take_now(&w, 1);
    assert_int_equal(w.wishes[1].conn->stream->fd, idle_fd);
    assert_int_equal(pacing_of(&w, 1), 3000000);
    take_now(&w, 2);
    assert_int_equal(pacing_of(&w, 2), 3000000);
    dial_set_pacing(w.dial, 5000000000); /* beyond 32 bits */
    for (int i = 0; i < 3; i++)
        assert_true(pacing_of(&w, i) == 5000000000);
    give(&w, 1, true);
    give(&w, 2, false);
    while (dial_counts(w.dial).open_now > 2)
        core_turn(&w.core, true);
    take_now(&w, 1); /* while nothing changes, connections keep it */
    take_now(&w, 2); /* in a slot that had one */
    assert_true(pacing_of(&w, 1) == 5000000000 && pacing_of(&w, 2) == 5000000000);
    give(&w, 1, true);
    dial_set_pacing(w.dial, 0);
    take_now(&w, 1);
    for (int i = 0; i < 3; i++) {
        assert_true(pacing_of(&w, i) == UINT64_MAX);
        give(&w, i, true);
    }
    close_world(&w);
}

/* What the kernel has been told already it is not told again. */
static void test_pacing_cost(void **state)
{
    uint64_t other = 777777;
    struct world w;
    (void)state;
    open_world(&w, "127.0.0.1", 1);
    dial_set_pacing(w.dial, 3000000); /* of none */
    take_now(&w, 0);
    int fd = w.wishes[0].conn->stream->fd;
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &other, sizeof other), 0);
    dial_set_pacing(w.dial, 3000000);
    give(&w, 0, true);
    take_now(&w, 0);
    assert_int_equal(pacing_of(&w, 0), other);
    dial_set_pacing(w.dial, 3000001);
    assert_int_equal(pacing_of(&w, 0), 3000001);
    give(&w, 0, true);
    close_world(&w);
}

/* A server that takes the connection and says nothing. */
static void test_tls_timeout(void **state)
{
    static const struct tls_client_options options = {.verify = false};
    struct tls_context *tls;
    struct world w;
    char why[TLS_WHY_BYTES];
    (void)state;
    assert_int_equal(tls_context_open_client(&tls, &options, why), ERR_NONE);
    open_hasty_world(&w, 2, tls, 100 * MS, "127.0.0.1");
    uint64_t began_ns = w.core.now_ns;
    take(&w, 0);
    assert_int_equal(wait_for(&w, 0), ERR_CONNECT_TIMEOUT);
    assert_in_range(w.core.now_ns - began_ns, 90 * MS, 60 * NS_PER_S);
    assert_non_null(strstr(w.wishes[0].why, "timed out in the TLS handshake"));
    take(&w, 1);
    dial_cancel(w.dial, &w.wishes[1]);
    close_world(&w); /* in the midst of a handshake */
    tls_context_close(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_fresh_only),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_next_address),
        cmocka_unit_test(test_blame),
        cmocka_unit_test(test_all_refuse),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_retire),
        cmocka_unit_test(test_closed_while_idle),
        cmocka_unit_test(test_cancel_while_opening),
        cmocka_unit_test(test_tls_timeout),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_pacing),
        cmocka_unit_test(test_pacing_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
