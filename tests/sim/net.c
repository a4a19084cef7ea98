#include "tests/sim/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/sim/server.h"
#include "tests/sim/table.h"

#define CONNS_MAX           100000u
#define CONNECT_TIMEOUT_NS  (130 * NS_PER_S) /* Linux: tcp_syn_retries 6 */
#define DROPS               30u
#define TINY_SEGMENT_CHANCE 0.02
#define SLOW_SEGMENT_BYTES  1460u /* so that what is slow moves all the time */

struct net_chunk {
    struct link link;
    uint64_t at_ns;
    uint32_t bytes;
    bool fin;
    char data[];
};

struct net_way { /* one direction of a connection */
    struct net_conn *conn;
    struct list chunks; /* in flight, in order */
    struct event event; /* the first one arrives */
    uint64_t last_ns, in_flight, free_ns;
    uint64_t slow_bytes_per_s; /* 0: as fast as all are */
    bool up;
};

enum net_state { NET_NEW, NET_CONNECTING, NET_OPEN, NET_GONE };

struct net_conn {
    struct link link;
    int fd;
    uint16_t core;
    enum net_state state;
    int error; /* what killed it; reported once */
    bool told, shut, client_closed, server_closed, black;
    struct event connect, death;
    int connect_result, death_error;
    struct ring_entry *connecting, *sending, *receiving;
    uint64_t sent_of_message;
    struct net_way up, down;
    uint64_t stalled_until_ns;
    char *in, *out; /* arrived and unread; the server's, not on its way yet */
    uint64_t in_at, in_count, in_max, out_at, out_count, out_max;
    bool fin_arrived, out_ended;
    uint32_t drops, address;
    uint64_t acked, received, closed_ns;
    struct server_conn *server;
};

static struct {
    struct net_options options;
    struct list conns;
    uint64_t count, up_free_ns, down_free_ns;
    uint32_t sockets[CORES_MAX];
} net;

static void pump_send(struct net_conn *conn);
static void pump_down(struct net_conn *conn);
static void pump_receive(struct net_conn *conn);
static void way_on_event(struct event *event);
static void on_connect(struct event *event);
static void on_death(struct event *event);

/* ── the world's ────────────────────────────────────────────────────────────────────────────── */

void net_open_world(const struct net_options *options)
{
    memset(&net, 0, sizeof net);
    net.options = *options;
    list_init(&net.conns);
}

static void way_clear(struct net_way *way)
{
    struct link *link;
    while ((link = list_pop(&way->chunks)))
        free(container_of(link, struct net_chunk, link));
    event_cancel(&way->event);
}

void net_close_world(void)
{
    struct link *link;
    while ((link = list_pop(&net.conns))) {
        struct net_conn *conn = container_of(link, struct net_conn, link);
        way_clear(&conn->up);
        way_clear(&conn->down);
        event_cancel(&conn->connect);
        event_cancel(&conn->death);
        if (conn->server) server_on_dead(conn);
        free(conn->in);
        free(conn->out);
        free(conn);
    }
}

uint32_t net_addresses(struct addr *addrs, uint16_t port)
{
    for (uint32_t i = 0; i < net.options.address_count; i++) {
        char text[16] = "10.0.0.1";
        text[7] = (char)('1' + i);
        if (!addr_parse(bytes_of(text), port, &addrs[i])) NEVER("a literal");
    }
    return net.options.address_count;
}

uint32_t net_address_count(void)
{
    return net.options.address_count;
}

uint64_t net_connections(void)
{
    return net.count;
}

static struct net_conn *conn_of(int fd)
{
    return table_row_of(fd, TABLE_SOCKET)->object;
}

static void way_init(struct net_conn *conn, struct net_way *way, bool up)
{
    way->conn = conn;
    way->up = up;
    list_init(&way->chunks);
    event_init(&way->event, way_on_event);
}

int net_socket(uint16_t core)
{
    if (world_fault(FAULT_NO_DESCRIPTOR)) return -EMFILE;
    struct net_conn *conn = calloc(1, sizeof *conn);
    CHECK(conn);
    conn->fd = table_open(TABLE_SOCKET, conn, O_RDWR)->fd;
    conn->core = core;
    way_init(conn, &conn->up, true);
    way_init(conn, &conn->down, false);
    event_init(&conn->connect, on_connect);
    event_init(&conn->death, on_death);
    list_push(&net.conns, &conn->link);
    if (++net.sockets[core] > net.options.sockets_max)
        world_broken("core %u has %u sockets", core, net.sockets[core]);
    if (++net.count > CONNS_MAX) world_broken("a loop of connections");
    return conn->fd;
}

/* ── the way of the bytes ───────────────────────────────────────────────────────────────────── */

static bool in_outage(void)
{
    return world->faulty && world->now_ns >= net.options.outage_from_ns &&
           world->now_ns < net.options.outage_until_ns;
}

static void kill_at(struct net_conn *conn, uint64_t at_ns, int error)
{
    if (conn->death.place || conn->state == NET_GONE) return;
    conn->death_error = error;
    event_start(&conn->death, at_ns);
}

/* From a few bytes a second to what a bad path gives; one way, or both. */
static void make_slow(struct net_conn *conn)
{
    uint64_t ways = world_between(1, 3);
    uint64_t rate =
        1ull << (net.options.slow_log2_least + world_below(net.options.slow_log2_count));
    if (ways & 1) conn->up.slow_bytes_per_s = rate;
    if (ways & 2) conn->down.slow_bytes_per_s = rate;
}

/* Each segment may meet with an accident. */
static void draw_accident(struct net_conn *conn)
{
    uint64_t now_ns = world->now_ns;
    if (world_fault(FAULT_RESET)) kill_at(conn, now_ns + world_below(20 * NS_PER_MS), ECONNRESET);
    if (world_fault(FAULT_STALL)) conn->stalled_until_ns = now_ns + world_below(20 * NS_PER_S);
    if (world_fault(FAULT_CONN_FADES)) make_slow(conn);
    if (in_outage() || world_fault(FAULT_BLACK_HOLE)) net_server_vanish(conn);
}

void net_server_vanish(struct net_conn *conn)
{
    if (conn->black) return;
    conn->black = true;
    if (world_chance(0.5)) kill_at(conn, world->now_ns + net.options.user_timeout_ns, ETIMEDOUT);
}

static uint64_t arrival_ns(struct net_way *way, uint32_t bytes)
{
    uint64_t *free_ns = way->up ? &net.up_free_ns : &net.down_free_ns;
    *free_ns = max_u64(*free_ns, world->now_ns) + bytes * NS_PER_S / net.options.rate_bytes_per_s;
    uint64_t at_ns = *free_ns + net.options.delay_ns + world_below(net.options.jitter_ns + 1);
    if (way->slow_bytes_per_s) {
        way->free_ns = max_u64(way->free_ns, world->now_ns);
        way->free_ns += bytes * NS_PER_S / way->slow_bytes_per_s;
        at_ns = max_u64(at_ns, way->free_ns);
    }
    if (!way->up && way->conn->drops) {
        way->conn->drops--;
        at_ns = max_u64(at_ns, way->last_ns) + world_below(NS_PER_S / 2);
    }
    way->last_ns = max_u64(at_ns, way->last_ns);
    return way->last_ns;
}

static void way_push(struct net_way *way, const void *data, uint32_t bytes, bool fin)
{
    struct net_chunk *chunk = malloc(sizeof *chunk + bytes);
    CHECK(chunk);
    link_init(&chunk->link);
    chunk->bytes = bytes;
    chunk->fin = fin;
    if (bytes) memcpy(chunk->data, data, bytes);
    chunk->at_ns = arrival_ns(way, bytes);
    way->in_flight += bytes;
    bool first = list_is_empty(&way->chunks);
    list_push(&way->chunks, &chunk->link);
    if (first) event_start(&way->event, chunk->at_ns);
    draw_accident(way->conn);
}

static void keep_arrived(struct net_conn *conn, const struct net_chunk *chunk)
{
    if (conn->in_at == conn->in_count) conn->in_at = conn->in_count = 0;
    if (conn->in_count + chunk->bytes > conn->in_max) {
        conn->in_max = 2 * (conn->in_count + chunk->bytes);
        conn->in = realloc(conn->in, conn->in_max);
        CHECK(conn->in);
    }
    if (chunk->bytes) memcpy(conn->in + conn->in_count, chunk->data, chunk->bytes);
    conn->in_count += chunk->bytes;
    conn->received += chunk->bytes;
}

static void chunk_arrives(struct net_way *way, struct net_chunk *chunk)
{
    struct net_conn *conn = way->conn;
    way->in_flight -= chunk->bytes;
    if (!way->up) {
        if (conn->client_closed) return;
        keep_arrived(conn, chunk);
        if (chunk->fin) conn->fin_arrived = true;
        pump_receive(conn);
        return;
    }
    conn->acked += chunk->bytes;
    if (conn->server && chunk->bytes) server_on_data(conn, chunk->data, chunk->bytes);
    if (conn->server && chunk->fin) server_on_left(conn);
    if (!conn->client_closed) pump_send(conn);
}

static void way_on_event(struct event *event)
{
    struct net_way *way = container_of(event, struct net_way, event);
    struct net_conn *conn = way->conn;
    struct net_chunk *chunk = container_of(list_first(&way->chunks), struct net_chunk, link);
    if (conn->black) return; /* it is never heard of again */
    if (conn->stalled_until_ns > world->now_ns) {
        event_start(event, conn->stalled_until_ns);
        return;
    }
    list_remove(&chunk->link);
    chunk_arrives(way, chunk);
    free(chunk);
    struct link *next = list_first(&way->chunks);
    if (next && !event->place)
        event_start(event, container_of(next, struct net_chunk, link)->at_ns);
}

static uint32_t draw_segment(const struct net_way *way)
{
    if (way->slow_bytes_per_s) return (uint32_t)world_between(1, SLOW_SEGMENT_BYTES);
    if (world_chance(TINY_SEGMENT_CHANCE)) return (uint32_t)world_between(1, 9);
    return (uint32_t)world_between(net.options.segment_max / 4 + 1, net.options.segment_max);
}

/* ── the end of a connection ────────────────────────────────────────────────────────────────── */

/* Once the error, then what a connection without one says. */
static int64_t take_error(struct net_conn *conn, int64_t afterwards)
{
    if (conn->told) return afterwards;
    conn->told = true;
    return -conn->error;
}

static void send_ends(struct net_conn *conn, int64_t result)
{
    struct ring_entry *entry = conn->sending;
    conn->sending = NULL;
    ring_entry_done(entry, conn->sent_of_message ? (int64_t)conn->sent_of_message : result);
}

static void on_death(struct event *event)
{
    struct net_conn *conn = container_of(event, struct net_conn, death);
    if (conn->state == NET_GONE) return;
    conn->state = NET_GONE;
    conn->error = conn->death_error;
    way_clear(&conn->up);
    way_clear(&conn->down);
    if (world_chance(0.5)) conn->in_at = conn->in_count;
    if (conn->server) server_on_dead(conn);
    if (conn->client_closed) return;
    if (world_chance(0.5)) pump_receive(conn);
    pump_send(conn);
    pump_receive(conn);
}

int net_close(int fd)
{
    struct net_conn *conn = conn_of(fd);
    bool clean = conn->state == NET_OPEN && conn->in_at == conn->in_count &&
                 list_is_empty(&conn->down.chunks) && !conn->black;
    table_close(fd);
    net.sockets[conn->core]--;
    conn->client_closed = true;
    conn->closed_ns = world->now_ns;
    free(conn->in);
    conn->in = NULL;
    conn->in_at = conn->in_count = conn->in_max = 0;
    if (clean) {
        if (!conn->shut) way_push(&conn->up, NULL, 0, true);
        return 0;
    }
    way_clear(&conn->up);
    way_clear(&conn->down);
    if (conn->server && !conn->black) server_on_left(conn);
    return 0;
}

void net_end_sending(int fd)
{
    struct net_conn *conn = conn_of(fd);
    if (conn->shut || conn->state != NET_OPEN) return;
    conn->shut = true;
    way_push(&conn->up, NULL, 0, true);
    pump_send(conn);
}

static void conn_kill(struct net_conn *conn, bool power)
{
    table_row(conn->fd)->busy = 0;
    conn->connecting = conn->sending = conn->receiving = NULL;
    event_cancel(&conn->connect);
    if (conn->state != NET_OPEN) conn->state = NET_GONE;
    if (conn->server) server_on_kill(conn);
    if (!power) {
        net_close(conn->fd);
        return;
    }
    table_close(conn->fd);
    net.sockets[conn->core]--;
    conn->client_closed = true;
    way_clear(&conn->down);
    if (world_chance(0.5)) return; /* what is on its way arrives */
    way_clear(&conn->up);
    conn->black = true;
}

void net_kill(bool power)
{
    struct link *end = &net.conns.head;
    for (struct link *link = end->next; link != end; link = link->next) {
        struct net_conn *conn = container_of(link, struct net_conn, link);
        if (!conn->client_closed) conn_kill(conn, power);
    }
}

/* ── for the ring ───────────────────────────────────────────────────────────────────────────── */

static int draw_connect(const struct ring_entry *entry, uint64_t *delay_ns)
{
    const struct sockaddr_in *in4 = (const void *)&entry->address;
    uint32_t index = (ntohl(in4->sin_addr.s_addr) & 0xff) - 1;
    *delay_ns = 2 * net.options.delay_ns + world_below(net.options.jitter_ns + 1);
    CHECK(index < net.options.address_count);
    conn_of(entry->fd)->address = index;
    bool dead = world->faulty && net.options.dead_addresses & (1u << index);
    bool hangs = world_fault(FAULT_CONNECT_HANGS) || in_outage() || (dead && index % 2);
    if (hangs) {
        *delay_ns = CONNECT_TIMEOUT_NS;
        return -ETIMEDOUT;
    }
    if (dead || world_fault(FAULT_REFUSED)) return -ECONNREFUSED;
    if (world_fault(FAULT_UNREACHABLE)) return world_chance(0.5) ? -EHOSTUNREACH : -ENETUNREACH;
    return 0;
}

void net_connect(struct ring_entry *entry)
{
    struct net_conn *conn = conn_of(entry->fd);
    uint64_t delay_ns;
    CHECK(conn->state == NET_NEW && !conn->connecting);
    conn->state = NET_CONNECTING;
    conn->connecting = entry;
    conn->connect_result = draw_connect(entry, &delay_ns);
    event_start(&conn->connect, world->now_ns + delay_ns);
}

static void on_connect(struct event *event)
{
    struct net_conn *conn = container_of(event, struct net_conn, connect);
    struct ring_entry *entry = conn->connecting;
    conn->connecting = NULL;
    conn->state = conn->connect_result ? NET_GONE : NET_OPEN;
    if (conn->state == NET_OPEN) server_on_open(conn);
    if (conn->state == NET_OPEN && world_fault(FAULT_CONN_SLOW)) make_slow(conn);
    ring_entry_done(entry, conn->connect_result);
}

void net_send(struct ring_entry *entry)
{
    struct net_conn *conn = conn_of(entry->fd);
    CHECK(!conn->sending && "one send at a time");
    conn->sending = entry;
    conn->sent_of_message = 0;
    pump_send(conn);
}

/* The next bytes of the message, at most one of its iovecs; 0: all are on their way. */
static uint32_t next_bytes(const struct net_conn *conn, const char **data)
{
    const struct msghdr *message = conn->sending->message;
    uint64_t at = conn->sent_of_message;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *iovec = &message->msg_iov[i];
        if (at < iovec->iov_len) {
            *data = (const char *)iovec->iov_base + at;
            return (uint32_t)(iovec->iov_len - at);
        }
        at -= iovec->iov_len;
    }
    return 0;
}

static void pump_send(struct net_conn *conn)
{
    const char *data;
    while (conn->sending) {
        if (conn->error) {
            send_ends(conn, take_error(conn, -EPIPE));
            return;
        }
        uint32_t left = next_bytes(conn, &data);
        if (conn->shut || left == 0) {
            send_ends(conn, -EPIPE);
            return;
        }
        if (conn->up.in_flight >= net.options.window_bytes) return;
        uint64_t room = net.options.window_bytes - conn->up.in_flight;
        uint32_t count = (uint32_t)min_u64(min_u64(left, room), draw_segment(&conn->up));
        conn->sent_of_message += count;
        way_push(&conn->up, data, count, false);
    }
}

void net_receive(struct ring_entry *entry)
{
    struct net_conn *conn = conn_of(entry->fd);
    CHECK(!conn->receiving && "one receive at a time");
    conn->receiving = entry;
    pump_receive(conn);
}

static void pump_receive(struct net_conn *conn)
{
    struct ring_entry *entry = conn->receiving;
    uint64_t count = conn->in_count - conn->in_at;
    if (!entry) return;
    if (count == 0 && !conn->error && !conn->fin_arrived) return;
    conn->receiving = NULL;
    if (count == 0) {
        ring_entry_done(entry, conn->error ? take_error(conn, 0) : 0);
        return;
    }
    count = min_u64(count, entry->bytes);
    if (count > 1 && world_chance(0.1)) count = world_between(1, count);
    memcpy(entry->memory, conn->in + conn->in_at, count);
    conn->in_at += count;
    ring_entry_done(entry, (int64_t)count);
    pump_down(conn);
}

void net_cancel(struct ring_entry *entry)
{
    struct net_conn *conn = conn_of(entry->fd);
    if (entry == conn->connecting) {
        conn->connecting = NULL;
        conn->state = NET_GONE;
        event_cancel(&conn->connect);
        ring_entry_done(entry, -ECANCELED);
    } else if (entry == conn->sending) {
        send_ends(conn, -ECANCELED);
    } else {
        CHECK(entry == conn->receiving);
        conn->receiving = NULL;
        ring_entry_done(entry, -ECANCELED);
    }
}

void net_info(int fd, struct ring_tcp_info *info)
{
    const struct net_conn *conn = conn_of(fd);
    const struct link *first = list_first(&conn->up.chunks);
    uint64_t on_way = conn->up.in_flight; /* of what is slow, one segment: the rest waits here */
    if (first && conn->up.slow_bytes_per_s)
        on_way = container_of(first, struct net_chunk, link)->bytes;
    *info = (struct ring_tcp_info){.bytes_acked = conn->acked,
                                   .bytes_sent = conn->acked + on_way,
                                   .not_sent_bytes = (uint32_t)(conn->up.in_flight - on_way),
                                   .bytes_received = conn->received,
                                   .rtt_ns = 2 * net.options.delay_ns};
}

bool net_is_quiet(int fd)
{
    const struct net_conn *conn = conn_of(fd);
    return conn->in_at == conn->in_count && !conn->fin_arrived && !conn->error;
}

/* ── for the server ─────────────────────────────────────────────────────────────────────────── */

uint32_t net_server_address(const struct net_conn *conn)
{
    return conn->address;
}

bool net_server_is_slow(const struct net_conn *conn)
{
    return conn->up.slow_bytes_per_s || conn->down.slow_bytes_per_s;
}

uint64_t net_server_closed_ns(const struct net_conn *conn)
{
    return conn->closed_ns;
}

struct server_conn **net_server_state(struct net_conn *conn)
{
    return &conn->server;
}

void net_server_send(struct net_conn *conn, const void *data, uint64_t bytes)
{
    if (conn->state != NET_OPEN || conn->client_closed) return;
    if (conn->out_at == conn->out_count) conn->out_at = conn->out_count = 0;
    if (conn->out_count + bytes > conn->out_max) {
        conn->out_max = conn->out_count + bytes;
        conn->out = realloc(conn->out, conn->out_max);
        CHECK(conn->out);
    }
    if (bytes) memcpy(conn->out + conn->out_count, data, bytes);
    conn->out_count += bytes;
    pump_down(conn);
}

static void pump_down(struct net_conn *conn)
{
    if (conn->state != NET_OPEN || conn->client_closed) return;
    while (conn->out_at < conn->out_count) {
        uint64_t busy = conn->down.in_flight + conn->in_count - conn->in_at;
        if (busy >= net.options.window_bytes) return;
        uint64_t room = min_u64(net.options.window_bytes - busy, conn->out_count - conn->out_at);
        uint32_t most = conn->drops ? (uint32_t)world_between(1, 200) : draw_segment(&conn->down);
        uint32_t count = (uint32_t)min_u64(room, most);
        conn->out_at += count;
        way_push(&conn->down, conn->out + conn->out_at - count, count, false);
    }
    if (!conn->out_ended || conn->server_closed) return;
    conn->server_closed = true;
    way_push(&conn->down, NULL, 0, true);
}

void net_server_end(struct net_conn *conn)
{
    conn->out_ended = true;
    pump_down(conn);
}

void net_server_reset(struct net_conn *conn)
{
    kill_at(conn, world->now_ns + net.options.delay_ns, ECONNRESET);
}

void net_server_pause(struct net_conn *conn, uint64_t until_ns)
{
    conn->stalled_until_ns = until_ns;
}

void net_server_trickle(struct net_conn *conn)
{
    conn->drops = DROPS;
}
