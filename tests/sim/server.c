#include "tests/sim/server.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/forest.h"
#include "tests/sim/world.h"

enum server_state { SERVER_HEAD, SERVER_BODY, SERVER_BUSY, SERVER_DRAIN };

struct server_conn {
    struct net_conn *net; /* NULL: the client is gone; what was begun is finished all the same */
    enum server_state state;
    struct server_request request;
    uint32_t head_count;
    uint64_t body_at, cut_at; /* cut_at: the connection breaks within the body there */
    uint64_t whole_ns;        /* when all of the request was there */
    struct event event;
    struct server_reply reply;
    char created[24];     /* the upload that its last answer told of; perhaps nobody read it */
    uint64_t moved_bytes; /* by the last request: the next one shows that the client knows */
    uint32_t life;        /* of the client */
    bool acted, killed;
};

/* The journal's linger, and a write and a turn of the cores. */
#define LAG_NS    (300 * NS_PER_MS)
#define KNOWN_MAX 4096u

struct known { /* bytes that the client knows to be moved, since then */
    uint64_t at_ns, bytes;
};

static struct {
    struct server_options options;
    uint64_t requests, moved_bytes, excused_bytes;
    struct server_counts counts;
    struct known known[KNOWN_MAX]; /* a ring, the newest ones */
    uint64_t known_count;
} server;

static void on_event(struct event *event);

void server_open_world(const struct server_options *options)
{
    memset(&server, 0, sizeof server);
    server.options = *options;
    proof_open();
}

void server_close_world(void)
{
    store_close_world();
}

const struct server_options *server_world(void)
{
    return &server.options;
}

uint64_t server_requests(void)
{
    return server.requests;
}

/* ── what is moved twice ────────────────────────────────────────────────────────────────────── */

uint64_t server_moved_bytes(void)
{
    return server.moved_bytes;
}

uint64_t server_excused_bytes(void)
{
    return server.excused_bytes;
}

void server_excuse(uint64_t bytes)
{
    server.excused_bytes += bytes;
}

void server_note_cut(void)
{
    uint64_t count = min_u64(server.known_count, KNOWN_MAX);
    for (uint64_t i = 0; i < count; i++)
        if (server.known[i].at_ns + LAG_NS >= world->now_ns)
            server.excused_bytes += server.known[i].bytes;
    server.known_count = 0;
}

static void note_known(struct server_conn *sc)
{
    if (sc->moved_bytes == 0 || sc->killed) return;
    server.known[server.known_count++ % KNOWN_MAX] = (struct known){world->now_ns, sc->moved_bytes};
    sc->moved_bytes = 0;
}

/* A part or an object that was taken, or one that is given. */
static void note_moved(struct server_conn *sc)
{
    const char *method = sc->request.method;
    bool put = strcmp(method, "PUT") == 0, get = strcmp(method, "GET") == 0 && sc->reply.body;
    if (sc->reply.status / 100 != 2 || (!put && !get)) return;
    sc->moved_bytes = put ? sc->request.body_bytes : sc->reply.bytes;
    server.moved_bytes += sc->moved_bytes;
    if (sc->killed) server.excused_bytes += sc->moved_bytes;
}

void server_on_kill(struct net_conn *conn)
{
    struct server_conn *sc = *net_server_state(conn);
    server.excused_bytes += sc->moved_bytes;
    sc->killed = true;
}

/* ── texts ──────────────────────────────────────────────────────────────────────────────────── */

static const char *pair_value(const struct server_pair *pairs, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcasecmp(pairs[i].name, name) == 0) return pairs[i].value;
    return NULL;
}

const char *server_query(const struct server_request *request, const char *name)
{
    return pair_value(request->query, request->query_count, name);
}

const char *server_header(const struct server_request *request, const char *name)
{
    return pair_value(request->headers, request->header_count, name);
}

void server_say(struct server_reply *reply, const char *name, const char *value)
{
    size_t at = strlen(reply->headers);
    snprintf(reply->headers + at, sizeof reply->headers - at, "%s: %s\r\n", name, value);
}

void server_text(struct server_reply *reply, const char *format, ...)
{
    char *line;
    va_list args;
    va_start(args, format);
    int count = vasprintf(&line, format, args);
    va_end(args);
    CHECK(count >= 0);
    reply->text = realloc(reply->text, reply->bytes + (size_t)count + 1);
    CHECK(reply->text);
    memcpy(reply->text + reply->bytes, line, (size_t)count + 1);
    reply->bytes += (uint64_t)count;
    free(line);
}

static void reply_clear(struct server_reply *reply)
{
    blob_drop(&reply->body);
    free(reply->text);
    *reply = (struct server_reply){.status = 200};
}

void server_error(struct server_reply *reply, int status, const char *code)
{
    bool no_body = reply->no_body;
    reply_clear(reply);
    reply->status = status;
    reply->no_body = no_body;
    server_text(reply,
                "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>simulated</Message></Error>",
                code);
}

/* ── a request's head ───────────────────────────────────────────────────────────────────────── */

static int hex_value(char digit)
{
    return isdigit((unsigned char)digit) ? digit - '0' : tolower((unsigned char)digit) - 'a' + 10;
}

char *server_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '%' && isxdigit((unsigned char)from[1]) && isxdigit((unsigned char)from[2])) {
            *to++ = (char)(hex_value(from[1]) * 16 + hex_value(from[2]));
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

static void parse_query(struct server_request *request, char *text)
{
    char *rest = text, *item;
    while ((item = strsep(&rest, "&"))) {
        char *value = strchr(item, '=');
        CHECK(request->query_count < SERVER_QUERY_MAX);
        if (value) *value++ = '\0';
        request->query[request->query_count++] =
            (struct server_pair){server_decode(item), value ? server_decode(value) : ""};
    }
}

static void parse_target(struct server_request *request, char *target)
{
    char *query = strchr(target, '?');
    size_t bucket_bytes = strlen("/" STORE_BUCKET);
    if (query) {
        *query++ = '\0';
        parse_query(request, query);
    }
    server_decode(target);
    if (strncmp(target, "/" STORE_BUCKET, bucket_bytes) != 0)
        world_broken("a request for %s, outside the bucket", target);
    request->key = target + bucket_bytes;
    if (request->key[0] == '/') request->key++;
}

static void parse_head(struct server_request *request)
{
    char *rest = request->text;
    char *line = strsep(&rest, "\n");
    request->method = strsep(&line, " ");
    char *target = strsep(&line, " ");
    if (!target || !line || strncmp(line, "HTTP/1.1", 8) != 0)
        world_broken("a request line that is none");
    parse_target(request, target);
    while ((line = strsep(&rest, "\n")) && line[0] != '\r' && line[0] != '\0') {
        char *value = strstr(line, ": ");
        if (!value) world_broken("a header that is none: %s", line);
        *value = '\0';
        value += 2;
        value[strcspn(value, "\r")] = '\0';
        CHECK(request->header_count < SERVER_HEADERS_MAX);
        request->headers[request->header_count++] = (struct server_pair){line, value};
    }
    const char *length = server_header(request, "content-length");
    request->body_bytes = length ? strtoull(length, NULL, 10) : 0;
    if (!server_header(request, "host")) world_broken("a request without a host");
    if (!length && request->method[0] == 'P') world_broken("a body without a length");
}

/* ── connections ────────────────────────────────────────────────────────────────────────────── */

void server_on_open(struct net_conn *conn)
{
    struct server_conn *sc = calloc(1, sizeof *sc);
    CHECK(sc);
    sc->net = conn;
    sc->life = world->life;
    sc->reply.status = 200;
    event_init(&sc->event, on_event);
    *net_server_state(conn) = sc;
}

static void request_clear(struct server_conn *sc)
{
    blob_drop(&sc->request.body);
    memset(&sc->request.query_count, 0,
           sizeof sc->request - offsetof(struct server_request, query_count));
    sc->head_count = 0;
    sc->body_at = 0;
    sc->acted = false;
    reply_clear(&sc->reply);
    sc->state = SERVER_HEAD;
}

static void conn_free(struct server_conn *sc)
{
    event_cancel(&sc->event);
    request_clear(sc);
    free(sc);
}

/* Nobody will know the id of an upload that was created. */
static void note_lost(const char *created)
{
    struct store_upload *upload = store_upload(created);
    if (upload) upload->reply_lost = true;
}

void server_on_dead(struct net_conn *conn)
{
    struct server_conn *sc = *net_server_state(conn);
    note_known(sc);
    if (!sc->killed) note_lost(sc->created);
    *net_server_state(conn) = NULL;
    sc->net = NULL;
    if (sc->state != SERVER_BUSY) conn_free(sc);
}

static bool is_completion(const struct server_request *request)
{
    return strcmp(request->method, "POST") == 0 && server_query(request, "uploadId");
}

const struct server_counts *server_counts(void)
{
    return &server.counts;
}

/* Patience begins when the client has sent, which may be a good while before it is here. */
static void note_left(struct server_conn *sc)
{
    struct server_request *request = &sc->request;
    uint64_t waited_ns = world->now_ns - sc->whole_ns;
    if (sc->state != SERVER_BODY && sc->state != SERVER_BUSY) return;
    bool early = sc->state == SERVER_BUSY && waited_ns < server.options.patience_ns / 2;
    server.counts.vain_bytes += sc->state == SERVER_BODY ? sc->body_at : request->body_bytes;
    if (is_completion(request) && early && !net_server_is_slow(sc->net))
        server.counts.completions_cut++;
    struct store_part *part = actions_part(request);
    if (!part) return;
    if (net_address_count() > 1) part->left_address = net_server_address(sc->net) + 1;
    if (sc->state != SERVER_BUSY) return;
    if (world_fault(FAULT_COPY_LATE)) { /* about when the next copy comes */
        event_cancel(&sc->event);
        event_start(&sc->event, world->now_ns + (1ull << world_between(20, 33)));
    }
    if (part->listed_ns < net_server_closed_ns(sc->net)) part->doubtful = true;
}

void server_on_left(struct net_conn *conn)
{
    struct server_conn *sc = *net_server_state(conn);
    if (!sc->killed) note_left(sc);
    server_on_dead(conn);
}

/* The server ends it: what the client still sends meets nobody. */
static void hang_up(struct server_conn *sc, bool rudely)
{
    struct net_conn *conn = sc->net;
    if (!conn) return;
    *net_server_state(conn) = NULL;
    sc->net = NULL;
    if (rudely)
        net_server_reset(conn);
    else
        net_server_end(conn);
}

/* ── answers ────────────────────────────────────────────────────────────────────────────────── */

static void format_head(const struct server_reply *reply, bool close, char *head, size_t bytes)
{
    bool chunked = server.options.chunked && reply->text && !reply->no_body;
    int at = snprintf(head, bytes,
                      "HTTP/1.1 %d Simulated\r\nServer: sim\r\nx-amz-request-id: %llu\r\n%s%s",
                      reply->status, (unsigned long long)server.requests,
                      close ? "Connection: close\r\n" : "", reply->headers);
    if (reply->status == 204)
        snprintf(head + at, bytes - (size_t)at, "\r\n");
    else if (chunked)
        snprintf(head + at, bytes - (size_t)at, "Transfer-Encoding: chunked\r\n\r\n");
    else
        snprintf(head + at, bytes - (size_t)at, "Content-Length: %llu\r\n\r\n",
                 (unsigned long long)reply->bytes);
}

static void append(struct blob *all, const void *data, uint64_t bytes)
{
    if (bytes) memcpy(all->data + all->bytes, data, bytes);
    all->bytes += bytes;
}

/* In chunks of any size. */
static void append_chunks(struct blob *all, const char *text, uint64_t bytes)
{
    while (bytes) {
        char line[32];
        uint64_t count = world_between(1, bytes);
        append(all, line,
               (uint64_t)snprintf(line, sizeof line, "%llx\r\n", (unsigned long long)count));
        append(all, text, count);
        append(all, "\r\n", 2);
        text += count;
        bytes -= count;
    }
    append(all, "0\r\n\r\n", 5);
}

/* The whole answer as it goes over the wire. */
static struct blob *format_reply(const struct server_reply *reply, bool close)
{
    char head[4096];
    format_head(reply, close, head, sizeof head);
    uint64_t room = strlen(head) + 64 + (reply->text ? 24 * reply->bytes : reply->bytes);
    struct blob *all = blob_new(room);
    all->bytes = 0;
    append(all, head, strlen(head));
    if (reply->no_body || reply->status == 204) return all;
    if (reply->text && server.options.chunked)
        append_chunks(all, reply->text, reply->bytes);
    else if (reply->text)
        append(all, reply->text, reply->bytes);
    else if (reply->body)
        append(all, reply->body->data + reply->from, reply->bytes);
    return all;
}

static void send_garbage(struct server_conn *sc)
{
    static const char doubled[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                  "Content-Length: 6\r\n\r\nhello";
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 12x\r\n\r\n",
                                        "HTTP/1.1 999999 OK\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                        doubled, "\r\n\r\n\r\n"};
    char noise[2000];
    if (world_chance(0.5)) {
        const char *head = heads[world_below(ARRAY_COUNT(heads))];
        net_server_send(sc->net, head, strlen(head));
    } else if (world_chance(0.8)) {
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)world_below(256);
        net_server_send(sc->net, noise, world_between(1, sizeof noise));
    } else {
        net_server_send(sc->net, "HTTP/1.1 200 OK\r\n", 17);
        memset(noise, 'x', sizeof noise);
        memcpy(noise, "x-long: ", 8);
        memcpy(noise + sizeof noise - 2, "\r\n", 2);
        for (int i = 0; i < 20; i++)
            net_server_send(sc->net, noise, sizeof noise);
    }
    hang_up(sc, world_chance(0.5));
}

/* The answer breaks off. */
static void send_cut(struct server_conn *sc, const struct blob *all)
{
    net_server_send(sc->net, all->data, world_below(all->bytes));
    if (world_chance(0.2))
        net_server_vanish(sc->net);
    else
        hang_up(sc, world_chance(0.5));
}

static void lose_reply(struct server_conn *sc)
{
    note_lost(sc->reply.created);
    if (world_chance(0.3))
        net_server_vanish(sc->net);
    else
        hang_up(sc, world_chance(0.5));
}

static bool is_faulty_reply(struct server_conn *sc)
{
    struct blob *all;
    if (world_fault(FAULT_REPLY_LOST)) {
        lose_reply(sc);
        return true;
    }
    if (world_fault(FAULT_REPLY_GARBAGE)) {
        note_lost(sc->reply.created);
        send_garbage(sc);
        return true;
    }
    if (!world_fault(FAULT_REPLY_CUT)) return false;
    note_lost(sc->reply.created);
    all = format_reply(&sc->reply, false);
    send_cut(sc, all);
    blob_drop(&all);
    return true;
}

static void answer(struct server_conn *sc)
{
    world_note("reply", (uint64_t)sc->reply.status, sc->reply.bytes);
    if (!sc->net) { /* nobody waits for it any more */
        if (!sc->killed) note_lost(sc->reply.created);
        conn_free(sc);
        return;
    }
    if (!is_faulty_reply(sc)) {
        bool close = world_fault(FAULT_CLOSE_AFTER), say = close && world_chance(0.5);
        struct blob *all = format_reply(&sc->reply, say);
        if (world_fault(FAULT_REPLY_TRICKLES)) net_server_trickle(sc->net);
        net_server_send(sc->net, all->data, all->bytes);
        blob_drop(&all);
        memcpy(sc->created, sc->reply.created, sizeof sc->created);
        if (close) hang_up(sc, false);
    }
    if (sc->net)
        request_clear(sc);
    else
        conn_free(sc);
}

/* ── acting ─────────────────────────────────────────────────────────────────────────────────── */

/* What the server may say instead of doing what was asked; also after it was done. */
static bool draw_refusal(struct server_reply *reply)
{
    if (world_fault(FAULT_ERROR_500)) {
        server_error(reply, world_chance(0.8) ? 500 : 502, "InternalError");
    } else if (world_fault(FAULT_SLOW_DOWN)) {
        server_error(reply, 503, "SlowDown");
        if (world_chance(0.3)) server_say(reply, "Retry-After", "1");
    } else if (world_fault(FAULT_DENIED)) {
        server_error(reply, 403, "AccessDenied");
    } else {
        return false;
    }
    return true;
}

static void act(struct server_conn *sc)
{
    struct server_reply *reply = &sc->reply;
    const char *upload_id = server_query(&sc->request, "uploadId");
    sc->acted = true;
    sc->request.gone = sc->net == NULL;
    sc->request.late = sc->life != world->life;
    reply->no_body = strcmp(sc->request.method, "HEAD") == 0;
    if (!forest_answers(&sc->request, reply) && !draw_refusal(reply)) {
        actions_run(&sc->request, reply);
        if (world_fault(FAULT_ERROR_AFTER)) {
            note_lost(reply->created);
            server_error(reply, 500, "InternalError");
        }
    }
    note_moved(sc);
    server.counts.races += sc->request.raced;
    struct store_upload *upload = upload_id ? store_upload(upload_id) : NULL;
    if (upload && sc->request.method[0] == 'D') upload->abort_fails++;
    world_say("server: %s /%s %s -> %d", sc->request.method, sc->request.key,
              upload_id ? upload_id : "", reply->status);
}

static void on_event(struct event *event)
{
    struct server_conn *sc = container_of(event, struct server_conn, event);
    uint64_t slow_ns = 0;
    if (sc->state == SERVER_DRAIN) {
        hang_up(sc, world_chance(0.5));
        conn_free(sc);
        return;
    }
    if (!sc->acted) {
        act(sc);
        if (world_fault(FAULT_REPLY_SLOW)) slow_ns = world_below(2 * server.options.patience_ns);
    }
    if (slow_ns)
        event_start(event, world->now_ns + slow_ns);
    else
        answer(sc);
}

static void begin_acting(struct server_conn *sc)
{
    uint64_t delay_ns = world_below(server.options.delay_ns + 1);
    delay_ns += forest_delay_ns(&sc->request);
    if (world_fault(FAULT_REPLY_SLOW)) delay_ns = world_below(2 * server.options.patience_ns);
    if (is_completion(&sc->request) && world_fault(FAULT_COMPLETE_SLOW))
        delay_ns = world_below(server.options.patience_ns * 4 / 5);
    if (actions_part(&sc->request) && world_fault(FAULT_COPY_LATE))
        delay_ns = 4 * server.options.patience_ns; /* less: note_left() */
    sc->state = SERVER_BUSY;
    sc->whole_ns = world->now_ns;
    server.requests++;
    event_start(&sc->event, world->now_ns + delay_ns);
}

/* ── what arrives ───────────────────────────────────────────────────────────────────────────── */

/* Before the body is there the server says what it thinks of the head. */
static void answer_early(struct server_conn *sc)
{
    static const struct {
        int status;
        const char *code;
    } rows[] = {
        {503, "SlowDown"}, {403, "AccessDenied"}, {400, "RequestTimeout"}, {500, "InternalError"}};
    uint32_t row = (uint32_t)world_below(ARRAY_COUNT(rows));
    bool close = world_chance(0.7);
    server_error(&sc->reply, rows[row].status, rows[row].code);
    struct blob *all = format_reply(&sc->reply, close);
    net_server_send(sc->net, all->data, all->bytes);
    blob_drop(&all);
    sc->state = SERVER_DRAIN;
    event_start(&sc->event, world->now_ns + world_below(NS_PER_S));
}

/* Another copy of a part whose connection the client gave up. */
static void note_again(struct server_conn *sc)
{
    struct store_part *part = actions_part(&sc->request);
    if (!part || !part->left_address) return;
    if (part->left_address == net_server_address(sc->net) + 1)
        server.counts.same_address++;
    else
        server.counts.other_address++;
    part->left_address = 0;
}

static void on_head(struct server_conn *sc)
{
    struct server_request *request = &sc->request;
    note_known(sc);
    parse_head(request);
    world_note(request->method, request->body_bytes, 0);
    sc->body_at = 0;
    sc->cut_at = UINT64_MAX;
    note_again(sc);
    if (request->body_bytes == 0) {
        begin_acting(sc);
        return;
    }
    if (world_fault(FAULT_EARLY_REPLY)) {
        answer_early(sc);
        return;
    }
    if (world_fault(FAULT_REQUEST_CUT)) sc->cut_at = world_below(request->body_bytes);
    request->body = blob_new(request->body_bytes);
    sc->state = SERVER_BODY;
}

static uint32_t take_head(struct server_conn *sc, const char *data, uint32_t bytes)
{
    char *text = sc->request.text;
    for (uint32_t i = 0; i < bytes; i++) {
        if (sc->head_count + 1 >= SERVER_HEAD_BYTES_MAX) world_broken("a request without an end");
        text[sc->head_count++] = data[i];
        if (sc->head_count < 4 || memcmp(text + sc->head_count - 4, "\r\n\r\n", 4) != 0) continue;
        text[sc->head_count] = '\0';
        on_head(sc);
        return i + 1;
    }
    return bytes;
}

static uint32_t take_body(struct server_conn *sc, const char *data, uint32_t bytes)
{
    struct server_request *request = &sc->request;
    uint32_t count = (uint32_t)min_u64(bytes, request->body_bytes - sc->body_at);
    memcpy(request->body->data + sc->body_at, data, count);
    sc->body_at += count;
    if (sc->body_at > sc->cut_at) {
        hang_up(sc, true);
        conn_free(sc);
        return bytes;
    }
    if (sc->body_at == request->body_bytes) begin_acting(sc);
    return count;
}

void server_on_data(struct net_conn *conn, const char *data, uint32_t bytes)
{
    while (bytes > 0) {
        struct server_conn *sc = *net_server_state(conn);
        uint32_t count = bytes;
        if (!sc) return; /* it hung up */
        if (sc->state == SERVER_HEAD)
            count = take_head(sc, data, bytes);
        else if (sc->state == SERVER_BODY)
            count = take_body(sc, data, bytes);
        else if (sc->state == SERVER_BUSY)
            world_broken("a request before the answer to the one before");
        data += count;
        bytes -= count;
    }
}
