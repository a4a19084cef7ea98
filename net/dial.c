#include "net/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stores move their names about; the answers of S3 live 5 s. */
#define DIAL_RESOLVE_NS       (60 * NS_PER_S)
#define DIAL_RESOLVE_AGAIN_NS (5 * NS_PER_S) /* after a failed refresh */
/* An address that failed is left aside while there are others: long enough for the backoff of a
 * retry, and longer while it goes on failing. */
#define DIAL_ASIDE_NS     (5 * NS_PER_S)
#define DIAL_ASIDE_NS_MAX (60 * NS_PER_S)
/* Connections that broke in a row on one address, while others may be well. */
#define DIAL_BREAKS_MAX 5u
/* On a path that was gone, or where a segment is lost several times, TCP's wait would grow to half
 * a minute and more (RFC 6298 has a minute for the least limit). With 3 s, which was the first wait
 * of all once (RFC 1122, 4.2.3.1), 128 connections send 43 segments/s into what may be gone. */
#define DIAL_BACKOFF_MS 3000u
/* TCP waits for a round trip and four of its deviations: no limit where all round trips are long. A
 * path on which only some take seconds keeps it: it cannot be told from one that was gone. */
#define DIAL_SLOW_NS  NS_PER_S
#define DIAL_QUICK_NS (NS_PER_S / 2) /* and again */
/* What a receive window can be, RFC 7323 2.3. The kernel's own bound is below that. */
#define DIAL_WINDOW_MAX (1u << 30)

/* A slot is the room for one connection, and the machine that opens and closes it. */
#define DIAL_SLOT_STATES(STATE)                                                                    \
    STATE(FREE, free)             /* no descriptor */                                              \
    STATE(CONNECT, connect)       /* picks an address */                                           \
    STATE(CONNECTING, connecting) /* with a timer */                                               \
    STATE(SHAKE, shake)           /* TLS, or nothing for a plain stream */                         \
    STATE(SHAKING, shaking)       /* with a timer */                                               \
    STATE(OFFER, offer)           /* to the oldest wish, or to the idle ones */                    \
    STATE(READY, ready)           /* idle or in use, until it is back or shall leave */            \
    STATE(CLOSE, close)                                                                            \
    STATE(CLOSING, closing)                                                                        \
    STATE(CLOSED, closed) /* tries the next address, or fails a wish */

enum dial_slot_state {
#define STATE(name, run) DIAL_SLOT_##name,
    DIAL_SLOT_STATES(STATE)
#undef STATE
};

struct dial_slot {
    struct conn conn; /* its link: in dial's free, idle or used list */
    struct plain plain;
    struct tls *tls; /* made at the slot's first handshake */
    struct op step, closing;
    struct timer timeout;
    enum dial_slot_state state;
    uint32_t tried; /* bits of address indices */
    bool opening;   /* for a wish, until it is ready or failed */
    bool back;      /* was given back to be used again */
    bool leave;     /* shall be closed */
    bool expired, timer_stopped;
    enum err err;
    char why[DIAL_WHY_BYTES];
};

struct dial_address {
    struct addr addr;
    uint64_t aside_ns;       /* left aside until then, if there are others */
    uint32_t failed, broken; /* in a row: not connected; lost in use */
};

struct dial {
    struct core *core;
    struct dial_options options;
    char host[HOST_BYTES_MAX + 1];
    struct list wishes; /* waiting, oldest first */
    uint32_t waiting_count, opening_count, leaving_count;
    struct list free, idle, used; /* of slots; idle: the last used first */
    uint32_t free_count;
    struct dial_slot *slots;
    char *heads;
    struct dns_query query;
    bool literal;
    uint64_t resolve_at_ns; /* 0: never resolved */
    uint32_t address_count, address_next;
    struct dial_address addresses[ADDRESSES_MAX];
    struct timer sweep;
    uint32_t window_bytes;
    uint64_t pacing_bytes_per_s;
    struct dial_counts counts;
    struct op *close_owner;
};

_Static_assert(ADDRESSES_MAX <= 32, "a slot's `tried` has a bit for each");

static const char *const dial_slot_names[] = {
#define STATE(name, run) #name,
    DIAL_SLOT_STATES(STATE)
#undef STATE
};

static const struct trace_kind dial_slot_trace = {"dial slot", dial_slot_names,
                                                  ARRAY_COUNT(dial_slot_names)};

static struct dial_wish *dial_wish_of(struct link *link)
{
    return container_of(link, struct dial_wish, op.link);
}

static struct dial_slot *dial_slot_of(struct link *link)
{
    return container_of(link, struct dial_slot, conn.link);
}

/* wishes */

static void dial_settle_wish(struct dial *dial, struct dial_wish *wish, enum err err)
{
    CHECK(wish->waiting);
    list_remove(&wish->op.link);
    wish->waiting = false;
    dial->waiting_count--;
    core_finish(dial->core, &wish->op, err);
}

static bool dial_is_outgrown(const struct conn *conn)
{
    return conn->window_bytes > 0 && conn->dial->window_bytes == 0;
}

/* Not before the connection is made: then the window's scale would be that of the small window. */
static void dial_limit_window(struct conn *conn)
{
    uint32_t bytes = conn->dial->window_bytes;
    if (conn->window_bytes == bytes || (bytes == 0 && conn->window_bytes == DIAL_WINDOW_MAX))
        return;
    conn->window_bytes = bytes > 0 ? bytes : DIAL_WINDOW_MAX;
    sock_limit_window(conn->dial->core, conn->stream->fd, conn->window_bytes);
}

static void dial_limit_pacing(struct conn *conn)
{
    uint64_t rate = conn->dial->pacing_bytes_per_s;
    if (conn->pacing_bytes_per_s == rate) return;
    conn->pacing_bytes_per_s = rate;
    sock_limit_pacing(conn->dial->core, conn->stream->fd, rate);
}

void dial_see_rtt(struct conn *conn, uint64_t rtt_ns)
{
    bool slow = rtt_ns >= (conn->is_slow ? DIAL_QUICK_NS : DIAL_SLOW_NS);
    if (slow == conn->is_slow) return;
    conn->is_slow = slow;
    sock_limit_backoff(conn->dial->core, conn->stream->fd, slow ? 0 : DIAL_BACKOFF_MS);
}

static void dial_grant(struct dial *dial, struct dial_wish *wish, struct dial_slot *slot)
{
    wish->conn = &slot->conn;
    list_remove(&slot->conn.link);
    list_push(&dial->used, &slot->conn.link);
    dial_limit_window(&slot->conn);
    dial_limit_pacing(&slot->conn);
    dial_settle_wish(dial, wish, ERR_NONE);
}

/* The oldest wish that a connection can serve: one that was used does not do for `fresh_only`. */
static struct dial_wish *dial_oldest_wish(struct dial *dial, bool fresh)
{
    struct link *end = &dial->wishes.head;
    for (struct link *link = end->next; link != end; link = link->next)
        if (fresh || !dial_wish_of(link)->fresh_only) return dial_wish_of(link);
    return NULL;
}

static void dial_fail_oldest(struct dial *dial, enum err err, const char *why)
{
    struct dial_wish *wish = dial_oldest_wish(dial, true);
    if (!wish) return; /* another connection served it */
    snprintf(wish->why, sizeof(wish->why), "%s", why);
    dial_settle_wish(dial, wish, err);
}

/* addresses */

/* Failed once more: aside for longer each time. */
static void dial_set_aside(struct dial *dial, struct dial_address *address)
{
    uint64_t aside_ns = DIAL_ASIDE_NS_MAX;
    address->failed++;
    if (address->failed <= 4) aside_ns = min_u64(aside_ns, DIAL_ASIDE_NS << (address->failed - 1));
    address->aside_ns = dial->core->now_ns + aside_ns;
}

/* Of those not tried, the next in turn that is not aside; of those that are, the next. One that
 * comes back is tried by one connection: until that is open, it stays aside for the others. */
static bool dial_pick(struct dial *dial, struct dial_slot *slot)
{
    uint64_t now_ns = dial->core->now_ns;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < dial->address_count; i++) {
            uint32_t index = (dial->address_next + i) % dial->address_count;
            struct dial_address *address = &dial->addresses[index];
            if (slot->tried & (1u << index) || (now_ns < address->aside_ns && pass == 0)) continue;
            if (address->failed) address->aside_ns = now_ns + DIAL_ASIDE_NS;
            slot->tried |= 1u << index;
            slot->conn.addr = address->addr;
            dial->address_next = index + 1;
            return true;
        }
    return false;
}

/* By value, since a new answer of the name server may have put it elsewhere. */
static struct dial_address *dial_find(struct dial *dial, const struct addr *addr)
{
    for (uint32_t i = 0; i < dial->address_count; i++)
        if (addr_equal(&dial->addresses[i].addr, addr)) return &dial->addresses[i];
    return NULL;
}

static void dial_mark_failed(struct dial_slot *slot)
{
    struct dial_address *address = dial_find(slot->conn.dial, &slot->conn.addr);
    if (address) dial_set_aside(slot->conn.dial, address);
}

static void dial_mark_good(struct dial_slot *slot)
{
    struct dial_address *address = dial_find(slot->conn.dial, &slot->conn.addr);
    if (!address) return;
    address->failed = 0;
    address->aside_ns = 0;
}

void dial_blame(struct conn *conn, bool dead)
{
    struct dial_address *address = dial_find(conn->dial, &conn->addr);
    if (!address) return;
    address->broken++;
    if (!dead && address->broken < DIAL_BREAKS_MAX) return;
    address->broken = 0;
    dial_set_aside(conn->dial, address);
}

/* What is known of an address outlives a new answer that names it again. */
static void dial_replace_addresses(struct dial *dial, const struct addr *addrs, uint32_t count)
{
    struct dial_address fresh[ADDRESSES_MAX];
    for (uint32_t i = 0; i < count; i++) {
        const struct dial_address *known = dial_find(dial, &addrs[i]);
        fresh[i] = known ? *known : (struct dial_address){.addr = addrs[i]};
    }
    memcpy(dial->addresses, fresh, count * sizeof(fresh[0]));
    dial->address_count = count;
}

/* slots */

static void dial_slot_note(struct dial_slot *slot, enum err err, const char *words)
{
    char text[ADDR_TEXT_BYTES];
    slot->err = err;
    snprintf(slot->why, sizeof(slot->why), "%s: %s", addr_format(&slot->conn.addr, text),
             words && words[0] ? words : err_sentence(err));
}

static void dial_slot_time(struct dial_slot *slot, uint64_t timeout_ns)
{
    struct core *core = slot->conn.dial->core;
    slot->expired = slot->timer_stopped = false;
    timer_start(&core->timers, &slot->timeout, core->now_ns + timeout_ns);
}

/* Is the timer over? Asks it to be, so that the next state can use it. */
static bool dial_slot_timer_is_over(struct dial_slot *slot)
{
    if (slot->timeout.op.out && !slot->timer_stopped) {
        slot->timer_stopped = true;
        timer_cancel(&slot->conn.dial->core->timers, &slot->timeout);
    }
    return !slot->timeout.op.out;
}

static enum dial_slot_state dial_slot_free(struct dial_slot *slot)
{
    if (!slot->opening) return DIAL_SLOT_FREE;
    slot->tried = 0;
    return DIAL_SLOT_CONNECT;
}

static enum dial_slot_state dial_slot_connect(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    struct addr *addr = &slot->conn.addr;
    int fd, raw;
    slot->leave = false;
    slot->err = ERR_NONE;
    slot->conn.stream = NULL;
    slot->conn.used_count = 0;
    slot->conn.window_bytes = slot->conn.clamp_bytes = 0;
    slot->conn.rate_bytes_per_s = 0;
    slot->conn.pacing_bytes_per_s = 0;
    slot->conn.seen = slot->conn.before = (struct ring_tcp_info){0};
    slot->conn.seen_ns = slot->conn.hole_bytes = slot->conn.lost_ns = 0;
    slot->conn.is_slow = false;
    if (!dial_pick(dial, slot)) NEVER("an opening begins with an address to try");
    enum err err = sock_open(dial->core, addr, &dial->options.sock, &fd, &raw);
    if (err) {
        dial_slot_note(slot, err, err == ERR_SYSTEM ? strerrordesc_np(raw) : NULL);
        return DIAL_SLOT_CLOSED;
    }
    plain_init(&slot->plain, dial->core, fd);
    slot->conn.stream = &slot->plain.stream;
    ring_connect(dial->core->ring, fd, &addr->u.any, addr->bytes, &slot->step);
    dial_slot_time(slot, dial->options.connect_timeout_ns);
    return DIAL_SLOT_CONNECTING;
}

static enum dial_slot_state dial_slot_connecting(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    if (slot->step.out) {
        if (slot->expired || dial->close_owner) ring_cancel(dial->core->ring, &slot->step);
        return DIAL_SLOT_CONNECTING;
    }
    if (!dial_slot_timer_is_over(slot)) return DIAL_SLOT_CONNECTING;
    enum err err = slot->step.err;
    if (!err) return DIAL_SLOT_SHAKE;
    if (err == ERR_CANCELLED && slot->expired) err = ERR_CONNECT_TIMEOUT;
    dial_slot_note(slot, err, err == ERR_SYSTEM ? strerrordesc_np(slot->step.raw) : NULL);
    dial_mark_failed(slot);
    return DIAL_SLOT_CLOSE;
}

/* Until tls_start() the descriptor is the plain stream's, then the TLS stream's. */
static enum err dial_slot_start_tls(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    if (!slot->tls) {
        enum err err = tls_open(&slot->tls, dial->core);
        if (err) return err;
    }
    enum err err =
        tls_start(slot->tls, dial->options.tls, slot->plain.stream.fd, dial->options.host);
    if (!err) slot->conn.stream = tls_stream(slot->tls);
    return err;
}

static enum dial_slot_state dial_slot_shake(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    slot->tried = UINT32_MAX; /* what fails from here on is not the address */
    sock_limit_backoff(dial->core, slot->plain.stream.fd, DIAL_BACKOFF_MS);
    if (dial->options.tls) {
        enum err err = dial_slot_start_tls(slot);
        if (err) {
            dial_slot_note(slot, err, NULL);
            return DIAL_SLOT_CLOSE;
        }
    }
    stream_open(slot->conn.stream, &slot->step);
    dial_slot_time(slot, dial->options.tls_timeout_ns);
    return DIAL_SLOT_SHAKING;
}

static enum dial_slot_state dial_slot_shaking(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    struct stream *stream = slot->conn.stream;
    if (slot->step.out) {
        bool end = slot->expired || dial->close_owner;
        if (end && !slot->leave) {
            slot->leave = true;
            stream_close(stream, &slot->closing);
        }
        return DIAL_SLOT_SHAKING;
    }
    if (!dial_slot_timer_is_over(slot)) return DIAL_SLOT_SHAKING;
    if (slot->leave) {
        dial_slot_note(slot, ERR_CONNECT_TIMEOUT, "timed out in the TLS handshake");
        dial_mark_failed(slot);
        return DIAL_SLOT_CLOSING;
    }
    if (!slot->step.err) return DIAL_SLOT_OFFER;
    dial_slot_note(slot, slot->step.err, stream->why);
    dial_mark_failed(slot);
    return DIAL_SLOT_CLOSE;
}

static void dial_slot_rest(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    slot->conn.idle_since_ns = dial->core->now_ns;
    list_push_front(&dial->idle, &slot->conn.link);
    dial->counts.idle_now++;
    if (!dial->sweep.op.out)
        timer_start(&dial->core->timers, &dial->sweep,
                    dial->core->now_ns + dial->options.idle_max_ns);
}

static enum dial_slot_state dial_slot_offer(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    struct dial_wish *wish = dial_oldest_wish(dial, slot->opening);
    slot->back = false;
    if (slot->opening) {
        slot->opening = false;
        dial->opening_count--;
        dial->counts.opened++;
        if (slot->tls && tls_is_resumed(slot->tls)) dial->counts.resumed++;
        dial_mark_good(slot);
    } else if (wish) {
        dial->counts.reused++;
    }
    if (wish)
        dial_grant(dial, wish, slot);
    else
        dial_slot_rest(slot);
    return DIAL_SLOT_READY;
}

static enum dial_slot_state dial_slot_ready(struct dial_slot *slot)
{
    if (slot->leave) return DIAL_SLOT_CLOSE;
    return slot->back ? DIAL_SLOT_OFFER : DIAL_SLOT_READY;
}

static enum dial_slot_state dial_slot_close(struct dial_slot *slot)
{
    stream_close(slot->conn.stream, &slot->closing);
    return DIAL_SLOT_CLOSING;
}

static enum dial_slot_state dial_slot_closing(struct dial_slot *slot)
{
    return slot->closing.out ? DIAL_SLOT_CLOSING : DIAL_SLOT_CLOSED;
}

static enum dial_slot_state dial_slot_closed(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    slot->conn.stream = NULL;
    if (slot->opening) {
        uint32_t all = dial->address_count == 32 ? UINT32_MAX : (1u << dial->address_count) - 1;
        bool others = (slot->tried & all) != all;
        if (others && slot->err != ERR_NO_DESCRIPTOR && dial->waiting_count && !dial->close_owner)
            return DIAL_SLOT_CONNECT;
        slot->opening = false;
        dial->opening_count--;
        dial->counts.failed++;
        dial_fail_oldest(dial, slot->err, slot->why);
    } else {
        dial->leaving_count--;
    }
    list_push_front(&dial->free, &slot->conn.link);
    dial->free_count++;
    return DIAL_SLOT_FREE;
}

static const struct {
    enum dial_slot_state (*run)(struct dial_slot *slot);
} dial_slot_table[] = {
#define STATE(name, run) {dial_slot_##run},
    DIAL_SLOT_STATES(STATE)
#undef STATE
};

static void dial_slot_step(struct dial_slot *slot)
{
    struct core *core = slot->conn.dial->core;
    for (;;) {
        enum dial_slot_state next = dial_slot_table[slot->state].run(slot);
        if (next == slot->state) return;
        trace_state(&core->trace, core->now_ns, &dial_slot_trace, slot, slot->state, next);
        slot->state = next;
    }
}

static void dial_slot_leave(struct dial_slot *slot)
{
    struct dial *dial = slot->conn.dial;
    CHECK(slot->state == DIAL_SLOT_READY && !slot->leave);
    list_remove(&slot->conn.link);
    slot->leave = true;
    dial->leaving_count++;
    dial_slot_step(slot);
}

/* the whole */

static void dial_free(struct dial *dial)
{
    for (uint32_t i = 0; dial->slots && i < dial->options.connections_max; i++)
        if (dial->slots[i].tls) tls_close(dial->slots[i].tls);
    free(dial->slots);
    free(dial->heads);
    free(dial);
}

static void dial_resolve(struct dial *dial)
{
    if (dial->literal || dial->query.job.op.out || dial->core->now_ns < dial->resolve_at_ns) return;
    dial->query.port = dial->options.port;
    dial->query.is_whole = dial->options.host_is_whole;
    memcpy(dial->query.host, dial->host, sizeof(dial->host));
    dns_resolve(dial->options.aside, &dial->query);
}

/* What is to be done after anything happened: open what the waiting wishes need, or end. The last
 * call of every callback, since it may free the dial. */
static void dial_settle(struct dial *dial)
{
    if (dial->waiting_count) dial_resolve(dial);
    while (dial->address_count && dial->opening_count < dial->waiting_count) {
        struct link *link = list_pop(&dial->free);
        if (link) {
            dial->free_count--;
            dial->opening_count++;
            dial_slot_of(link)->opening = true;
            dial_slot_step(dial_slot_of(link));
            continue;
        }
        /* Wishes for fresh ones wait beside idle ones: the oldest of these makes room. */
        if (dial->opening_count + dial->leaving_count >= dial->waiting_count) break;
        if (list_is_empty(&dial->idle)) break;
        dial->counts.idle_now--;
        dial_slot_leave(dial_slot_of(dial->idle.head.previous));
    }
    if (!dial->close_owner || dial->free_count < dial->options.connections_max) return;
    if (dial->query.job.op.out || dial->sweep.op.out) return;
    core_finish(dial->core, dial->close_owner, ERR_NONE);
    dial_free(dial);
}

static void dial_on_step(struct op *op)
{
    struct dial_slot *slot = container_of(op, struct dial_slot, step);
    dial_slot_step(slot);
    dial_settle(slot->conn.dial);
}

static void dial_on_closed(struct op *op)
{
    struct dial_slot *slot = container_of(op, struct dial_slot, closing);
    dial_slot_step(slot);
    dial_settle(slot->conn.dial);
}

static void dial_on_timeout(struct op *op)
{
    struct dial_slot *slot = container_of(op, struct dial_slot, timeout.op);
    if (!op->err) slot->expired = true;
    dial_slot_step(slot);
    dial_settle(slot->conn.dial);
}

static void dial_on_resolved(struct op *op)
{
    struct dial *dial = container_of(op, struct dial, query.job.op);
    struct dns_query *query = &dial->query;
    enum err err = op->err;
    char why[DIAL_WHY_BYTES];
    dial->resolve_at_ns = dial->core->now_ns + (err ? DIAL_RESOLVE_AGAIN_NS : DIAL_RESOLVE_NS);
    if (!err) {
        dial_replace_addresses(dial, query->addrs, query->count);
    } else if (!dial->address_count) {
        dial->resolve_at_ns = 0;
        snprintf(why, sizeof(why), "%.60s: %s", dial->host,
                 query->why[0] ? query->why : err_sentence(err));
        while (dial->waiting_count)
            dial_fail_oldest(dial, err, why);
    }
    dial_settle(dial);
}

static void dial_on_sweep(struct op *op)
{
    struct dial *dial = container_of(op, struct dial, sweep.op);
    uint64_t now_ns = dial->core->now_ns;
    while (!op->err && !list_is_empty(&dial->idle)) {
        struct dial_slot *oldest = dial_slot_of(dial->idle.head.previous);
        uint64_t end_ns = oldest->conn.idle_since_ns + dial->options.idle_max_ns;
        if (end_ns > now_ns) {
            timer_start(&dial->core->timers, &dial->sweep, end_ns);
            break;
        }
        dial->counts.idle_now--;
        dial_slot_leave(oldest);
    }
    dial_settle(dial);
}

static void dial_slot_init(struct dial *dial, uint32_t index)
{
    struct dial_slot *slot = &dial->slots[index];
    slot->conn.dial = dial;
    slot->conn.head = dial->heads + index * HTTP_HEAD_BYTES_MAX;
    link_init(&slot->conn.link);
    op_init(&slot->step, dial_on_step);
    op_init(&slot->closing, dial_on_closed);
    timer_init(&slot->timeout, dial_on_timeout);
    list_push(&dial->free, &slot->conn.link);
    dial->free_count++;
}

enum err dial_open(struct dial **opened, struct core *core, const struct dial_options *options)
{
    CHECK(options->connections_max > 0);
    size_t host_bytes = strlen(options->host);
    struct dial *dial = calloc(1, sizeof(*dial));
    if (!dial) return ERR_NO_MEMORY;
    enum err err = ERR_NAME_UNKNOWN;
    if (host_bytes > HOST_BYTES_MAX) goto fail;
    dial->core = core;
    dial->options = *options;
    memcpy(dial->host, options->host, host_bytes + 1);
    dial->options.host = dial->host;
    dial->literal = addr_parse(bytes_of(dial->host), options->port, &dial->addresses[0].addr);
    if (dial->literal)
        dial->address_count = 1;
    else if (!options->aside)
        goto fail;
    err = ERR_NO_MEMORY;
    dial->slots = calloc(options->connections_max, sizeof(*dial->slots));
    dial->heads = malloc(options->connections_max * HTTP_HEAD_BYTES_MAX);
    if (!dial->slots || !dial->heads) goto fail;
    list_init(&dial->wishes);
    list_init(&dial->free);
    list_init(&dial->idle);
    list_init(&dial->used);
    for (uint32_t i = 0; i < options->connections_max; i++)
        dial_slot_init(dial, i);
    dns_query_init(&dial->query, dial_on_resolved);
    timer_init(&dial->sweep, dial_on_sweep);
    *opened = dial;
    return ERR_NONE;

fail:
    dial_free(dial);
    return err;
}

void dial_close(struct dial *dial, struct op *op)
{
    CHECK(dial->waiting_count == 0 && "no wish is out");
    CHECK(list_is_empty(&dial->used) && "every connection is back");
    CHECK(!dial->close_owner);
    op_begin(op);
    dial->close_owner = op;
    while (!list_is_empty(&dial->idle))
        dial_slot_leave(dial_slot_of(list_first(&dial->idle)));
    dial->counts.idle_now = 0;
    for (uint32_t i = 0; i < dial->options.connections_max; i++)
        if (dial->slots[i].opening) dial_slot_step(&dial->slots[i]);
    timer_cancel(&dial->core->timers, &dial->sweep);
    dial_settle(dial);
}

void dial_discard(struct dial *dial)
{
    CHECK(dial->free_count == dial->options.connections_max && !dial->close_owner);
    CHECK(!dial->query.job.op.out && "it never looked for its addresses");
    dial_free(dial);
}

void dial_wish_init(struct dial_wish *wish, op_fn *done)
{
    op_init(&wish->op, done);
    wish->conn = NULL;
    wish->fresh_only = wish->waiting = false;
    wish->why[0] = 0;
}

static bool dial_slot_lives(const struct dial_slot *slot)
{
    if (dial_is_outgrown(&slot->conn)) return false;
    if (slot->conn.dial->options.tls && !tls_is_quiet(slot->tls)) return false;
    return ring_socket_is_quiet(slot->conn.dial->core->ring, slot->conn.stream->fd);
}

/* The idle connection used last that still lives; those that do not are closed on the way. */
static struct dial_slot *dial_pop_idle(struct dial *dial)
{
    while (!list_is_empty(&dial->idle)) {
        struct dial_slot *slot = dial_slot_of(list_first(&dial->idle));
        dial->counts.idle_now--;
        if (dial_slot_lives(slot)) return slot;
        dial->counts.replaced_stale++;
        dial_slot_leave(slot);
    }
    return NULL;
}

void dial_take(struct dial *dial, struct dial_wish *wish)
{
    CHECK(!dial->close_owner);
    op_begin(&wish->op);
    wish->conn = NULL;
    wish->why[0] = 0;
    wish->waiting = true;
    list_push(&dial->wishes, &wish->op.link);
    dial->waiting_count++;
    struct dial_slot *slot = wish->fresh_only ? NULL : dial_pop_idle(dial);
    if (slot) {
        dial->counts.reused++;
        dial_grant(dial, wish, slot);
    }
    dial_settle(dial);
}

void dial_cancel(struct dial *dial, struct dial_wish *wish)
{
    if (wish->waiting) dial_settle_wish(dial, wish, ERR_CANCELLED);
}

void dial_give(struct conn **conn, bool reusable)
{
    struct dial_slot *slot = container_of(*conn, struct dial_slot, conn);
    struct dial *dial = slot->conn.dial;
    CHECK(slot->state == DIAL_SLOT_READY);
    *conn = NULL;
    slot->conn.used_count++;
    list_remove(&slot->conn.link);
    if (reusable && !dial_is_outgrown(&slot->conn)) {
        struct dial_address *address = dial_find(dial, &slot->conn.addr);
        if (address) address->broken = 0;
        slot->back = true;
        dial_slot_step(slot);
    } else {
        dial_slot_leave(slot);
    }
    dial_settle(dial);
}

struct dial_counts dial_counts(const struct dial *dial)
{
    struct dial_counts counts = dial->counts;
    counts.open_now = dial->options.connections_max - dial->free_count;
    return counts;
}

void dial_set_window(struct dial *dial, uint32_t bytes)
{
    struct link *end = &dial->used.head;
    dial->window_bytes = bytes;
    for (struct link *link = end->next; link != end; link = link->next)
        dial_limit_window(&dial_slot_of(link)->conn);
}

uint32_t dial_ahead_bytes(const struct conn *conn)
{
    return conn->window_bytes == DIAL_WINDOW_MAX ? 0 : conn->window_bytes;
}

void dial_set_pacing(struct dial *dial, uint64_t bytes_per_s)
{
    struct link *end = &dial->used.head;
    dial->pacing_bytes_per_s = bytes_per_s;
    for (struct link *link = end->next; link != end; link = link->next)
        dial_limit_pacing(&dial_slot_of(link)->conn);
}

void dial_each(struct dial *dial, void (*visit)(struct conn *conn, void *context), void *context)
{
    struct link *end = &dial->used.head;
    for (struct link *link = end->next, *next = link->next; link != end;
         link = next, next = link->next)
        visit(&dial_slot_of(link)->conn, context);
}
