#include "net/tls.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_context.h"
#include "net/tls_record.h"
#include "net/tls_wire.h"

/* A batch of records is sealed, sent, and its area used again while it is still in the L2 cache:
 * a second area would overlap nothing, since the kernel copies within the same thread, and the
 * socket's own buffer keeps the wire busy meanwhile. */
#define TLS_RECORDS_MAX 8u
#define TLS_OUT_BYTES   (TLS_RECORDS_MAX * TLS_RECORD_SEALED_MAX + 2048u)
#define TLS_IN_BYTES    (256u * 1024u)
/* What SSL_write adds to a full record at most: header, nonce, padding, tag. */
#define TLS_OVERHEAD_MAX 512u

enum tls_state { TLS_IDLE, TLS_HANDSHAKING, TLS_READY, TLS_CLOSING };

enum tls_message { /* RFC 8446 4 */
                   TLS_MESSAGE_TICKET = 4,
                   TLS_MESSAGE_KEY_UPDATE = 24
};

struct tls {
    struct stream stream;
    enum tls_state state;
    SSL *ssl;
    struct tls_facts facts;
    struct tls_wire wire;
    struct tls_record sealer, opener;
    bool by_hand;    /* records are sealed and opened by us: OpenSSL did the handshake only */
    bool feeding;    /* OpenSSL can still follow what is received: it is given the tickets */
    bool update_due; /* the peer asked for a KeyUpdate of ours */
    bool handshaken; /* SSL_do_handshake() is through; its last bytes may be on their way */
    bool greeted;    /* the peer sent something */
    bool ended;      /* close_notify came */
    bool said_bye;   /* ours was sent, or cannot be */
    enum err send_err, receive_err; /* of each half; sticks */
    int raw;                        /* errno of the newest socket error */
    uint32_t skip_bytes;            /* of a ticket that goes on in the next record */
    struct op sending, receiving, closing;
    struct op *open_owner, *send_owner, *receive_owner, *close_owner;
    struct msghdr message;
    struct iovec out;
    struct tls_cursor cursor; /* what the send has left to seal */
    uint32_t send_bytes;
    char *memory; /* where the receive goes */
    uint32_t memory_bytes;
    const char *rest; /* payload of an opened record that the last receive had no room for */
    uint32_t rest_bytes;
};

static void tls_handshake_step(struct tls *tls);
static void tls_send_step(struct tls *tls);
static void tls_receive_step(struct tls *tls);
static void tls_close_step(struct tls *tls);

static struct tls *tls_of(struct stream *stream)
{
    return container_of(stream, struct tls, stream);
}

static void tls_finish(struct tls *tls, struct op **owner, enum err err, uint32_t count)
{
    struct op *op = *owner;
    *owner = NULL;
    op->count = count;
    op->raw = err != ERR_NONE ? tls->raw : 0;
    core_finish(tls->stream.core, op, err);
}

static void tls_say(struct tls *tls, const char *why)
{
    if (!tls->stream.why[0]) snprintf(tls->stream.why, sizeof(tls->stream.why), "%.150s", why);
}

/* What OpenSSL's error queue says last. */
static void tls_say_reason(struct tls *tls, const char *otherwise)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    tls_say(tls, reason ? reason : otherwise);
}

/* ---- the wire ---- */

static void tls_flush(struct tls *tls)
{
    struct tls_wire *wire = &tls->wire;
    if (tls->sending.out || wire->out_sent == wire->out_count) return;
    tls->out.iov_base = wire->out + wire->out_sent;
    tls->out.iov_len = wire->out_count - wire->out_sent;
    tls->message.msg_iov = &tls->out;
    tls->message.msg_iovlen = 1;
    ring_send(tls->stream.core->ring, tls->stream.fd, &tls->message, &tls->sending);
}

static void tls_fetch(struct tls *tls)
{
    uint32_t room = tls_wire_make_room(&tls->wire);
    CHECK(room > 0 && "a record is never longer than the area");
    if (tls->stream.ahead_bytes > 0)
        room = (uint32_t)min_u64(room, (uint64_t)tls->stream.ahead_bytes + TLS_RECORD_SEALED_MAX);
    ring_receive(tls->stream.core->ring, tls->stream.fd, tls->wire.in + tls->wire.in_end, room,
                 &tls->receiving);
}

static void tls_on_sent(struct op *op)
{
    struct tls *tls = container_of(op, struct tls, sending);
    struct tls_wire *wire = &tls->wire;
    enum err err = op->err;
    if (err == ERR_NONE && op->count == 0) err = ERR_RESET; /* never without an error, but sure */
    if (err == ERR_NONE) {
        wire->out_sent += op->count;
        CHECK(wire->out_sent <= wire->out_count);
        if (wire->out_sent < wire->out_count && tls->state != TLS_CLOSING) {
            tls_flush(tls);
            return;
        }
    } else if (tls->send_err == ERR_NONE) {
        tls->raw = op->raw;
        tls->send_err = err; /* a record may have gone out by half: nothing can follow it */
    }
    if (err != ERR_NONE || wire->out_sent == wire->out_count) wire->out_sent = wire->out_count = 0;
    switch (tls->state) {
    case TLS_HANDSHAKING: tls_handshake_step(tls); return;
    case TLS_READY:
        if (tls->send_owner) tls_send_step(tls);
        return;
    case TLS_CLOSING: tls_close_step(tls); return;
    case TLS_IDLE: NEVER("an idle connection sends nothing");
    }
}

static void tls_on_received(struct op *op)
{
    struct tls *tls = container_of(op, struct tls, receiving);
    if (op->err != ERR_NONE && tls->receive_err == ERR_NONE) {
        tls->raw = op->raw;
        tls->receive_err = op->err;
    } else if (op->count == 0 && tls->receive_err == ERR_NONE) {
        tls->receive_err = ERR_TLS_TRUNCATED;
    } else {
        tls->wire.in_end += op->count;
    }
    switch (tls->state) {
    case TLS_HANDSHAKING: tls_handshake_step(tls); return;
    case TLS_READY: tls_receive_step(tls); return;
    case TLS_CLOSING: tls_close_step(tls); return;
    case TLS_IDLE: NEVER("an idle connection receives nothing");
    }
}

/* ---- handshake ---- */

/* Records are ours when their keys are known to us and nothing unusual was agreed. */
static enum err tls_take_over(struct tls *tls)
{
    struct tls_facts *facts = &tls->facts;
    bool server = tls_context_is_server(facts->context);
    uint16_t suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl));
    bool small = suite == 0x1301, large = suite == 0x1302; /* RFC 8446 B.4: AES-128, AES-256 GCM */
    uint32_t secret_bytes = small ? 32 : 48;
    tls->by_hand = SSL_version(tls->ssl) == TLS1_3_VERSION && (small || large) &&
                   facts->finished_sent && facts->client_secret_bytes == secret_bytes &&
                   facts->server_secret_bytes == secret_bytes &&
                   SSL_SESSION_get_max_fragment_length(SSL_get_session(tls->ssl)) ==
                       TLSEXT_max_fragment_length_DISABLED;
    if (!tls->by_hand) return ERR_NONE;
    tls->wire.out_shut = true;
    tls->feeding = !server;
    enum tls_record_suite ours =
        small ? TLS_RECORD_AES_128_GCM_SHA256 : TLS_RECORD_AES_256_GCM_SHA384;
    const struct gcm_engine *engine = tls_context_gcm(facts->context);
    enum err err =
        tls_record_start(&tls->sealer, engine, ours,
                         server ? facts->server_secret : facts->client_secret, facts->own_records);
    if (err != ERR_NONE) return err;
    return tls_record_start(&tls->opener, engine, ours,
                            server ? facts->client_secret : facts->server_secret, 0);
}

static void tls_handshake_end(struct tls *tls, enum err err)
{
    if (err == ERR_NONE) err = tls_take_over(tls);
    tls_context_settle(tls->ssl, &tls->facts);
    if (err == ERR_NONE) tls->state = TLS_READY;
    tls->send_err = tls->receive_err = err;
    tls_finish(tls, &tls->open_owner, err, 0);
}

static enum err tls_handshake_refused(struct tls *tls)
{
    if (tls->facts.certificate_refused) {
        tls_say(tls, tls->facts.why);
        return ERR_TLS_CERTIFICATE;
    }
    tls_say_reason(tls, "no reason given");
    return ERR_TLS_HANDSHAKE;
}

/* The first byte tells: a handshake or an alert record, or another protocol altogether. */
static bool tls_is_spoken(struct tls *tls)
{
    if (tls->greeted || tls->wire.in_end == 0) return true;
    tls->greeted = true;
    uint8_t first = (uint8_t)tls->wire.in[0];
    if (first == TLS_RECORD_HANDSHAKE || first == TLS_RECORD_ALERT) return true;
    tls_say(tls, tls_context_is_server(tls->facts.context) ? "the client does not speak TLS"
                                                           : "the server does not speak TLS");
    return false;
}

/* Neither a send nor a receive is out. What OpenSSL wrote goes first, also an alert that says why
 * it gave up; then comes more input, or the end. */
static void tls_handshake_step(struct tls *tls)
{
    enum err lost = tls->receive_err != ERR_NONE ? tls->receive_err : tls->send_err;
    if (lost == ERR_TLS_TRUNCATED) {
        tls_say(tls, "the connection was closed during the handshake");
        lost = ERR_TLS_HANDSHAKE;
    }
    if (lost == ERR_NONE && !tls_is_spoken(tls))
        lost = tls_context_is_server(tls->facts.context) ? ERR_TLS_HANDSHAKE : ERR_NOT_TLS;
    if (lost != ERR_NONE || tls->handshaken) {
        tls_handshake_end(tls, lost);
        return;
    }
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1)
        tls->handshaken = true;
    else if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ)
        tls->receive_err = tls_handshake_refused(tls);
    if (tls->wire.out_count > 0)
        tls_flush(tls);
    else if (tls->handshaken || tls->receive_err != ERR_NONE)
        tls_handshake_end(tls, tls->receive_err);
    else
        tls_fetch(tls);
}

static void tls_stream_open(struct stream *stream, struct op *op)
{
    struct tls *tls = tls_of(stream);
    CHECK(tls->state == TLS_IDLE && tls->ssl && stream->fd >= 0);
    op_begin(op);
    tls->open_owner = op;
    tls->state = TLS_HANDSHAKING;
    tls_handshake_step(tls);
}

/* ---- send half ---- */

static enum err tls_seal_message(struct tls *tls, enum tls_record_type type, void *data,
                                 uint32_t bytes)
{
    struct tls_wire *wire = &tls->wire;
    struct iovec iovec = {data, bytes};
    struct tls_cursor cursor = {&iovec, 1, 0};
    char *end = wire->out + wire->out_count;
    wire->out_count += TLS_WIRE_HEADER_BYTES + bytes + 1 + GCM_TAG_BYTES;
    CHECK(wire->out_count <= wire->out_bytes);
    return tls_record_seal(&tls->sealer, type, &cursor, bytes, end);
}

/* RFC 8446 4.6.3: our KeyUpdate goes under the old keys, all behind it under the new. */
static enum err tls_seal_key_update(struct tls *tls)
{
    uint8_t message[] = {TLS_MESSAGE_KEY_UPDATE, 0, 0, 1, 0}; /* the peer need not answer */
    tls->update_due = false;
    enum err err = tls_seal_message(tls, TLS_RECORD_HANDSHAKE, message, sizeof(message));
    return err == ERR_NONE ? tls_record_update(&tls->sealer) : err;
}

static enum err tls_seal_batch(struct tls *tls)
{
    struct tls_wire *wire = &tls->wire;
    uint64_t left = tls_record_left(&tls->cursor);
    for (uint32_t i = 0; i < TLS_RECORDS_MAX && left > 0; i++) {
        enum err err = ERR_NONE;
        if (tls->update_due || tls_record_is_worn(&tls->sealer)) err = tls_seal_key_update(tls);
        if (err != ERR_NONE) return err;
        uint32_t bytes = (uint32_t)min_u64(left, TLS_WIRE_PAYLOAD_MAX);
        uint32_t sealed_bytes = TLS_WIRE_HEADER_BYTES + bytes + 1 + GCM_TAG_BYTES;
        CHECK(wire->out_count + sealed_bytes <= wire->out_bytes);
        err = tls_record_seal(&tls->sealer, TLS_RECORD_DATA, &tls->cursor, bytes,
                              wire->out + wire->out_count);
        if (err != ERR_NONE) return err;
        wire->out_count += sealed_bytes;
        left -= bytes;
    }
    return ERR_NONE;
}

/* The same through OpenSSL. There is room for a whole record before each write, so it never stops
 * half way. */
static enum err tls_write_batch(struct tls *tls)
{
    struct tls_cursor *cursor = &tls->cursor;
    struct tls_wire *wire = &tls->wire;
    while (cursor->count > 0) {
        size_t bytes = min_u64(cursor->iovecs->iov_len - cursor->offset, TLS_WIRE_PAYLOAD_MAX);
        size_t written = 0;
        if (wire->out_bytes - wire->out_count < bytes + TLS_OVERHEAD_MAX) return ERR_NONE;
        ERR_clear_error();
        if (bytes > 0 && SSL_write_ex(tls->ssl, (char *)cursor->iovecs->iov_base + cursor->offset,
                                      bytes, &written) != 1)
            return ERR_TLS_ALERT;
        cursor->offset += written;
        if (cursor->offset < cursor->iovecs->iov_len) continue;
        cursor->iovecs++;
        cursor->count--;
        cursor->offset = 0;
    }
    return ERR_NONE;
}

/* Nothing is out: seals and sends the next batch, or finishes. */
static void tls_send_step(struct tls *tls)
{
    if (tls->send_err == ERR_NONE && tls_record_left(&tls->cursor) > 0) {
        ERR_clear_error();
        tls->send_err = tls->by_hand ? tls_seal_batch(tls) : tls_write_batch(tls);
        if (tls->send_err == ERR_NONE) {
            tls_flush(tls);
            return;
        }
        tls_say_reason(tls, "a record could not be sealed");
        tls->wire.out_sent = tls->wire.out_count = 0;
    }
    tls_finish(tls, &tls->send_owner, tls->send_err,
               tls->send_err == ERR_NONE ? tls->send_bytes : 0);
}

static void tls_stream_send(struct stream *stream, const struct iovec *iovecs, uint32_t count,
                            struct op *op)
{
    struct tls *tls = tls_of(stream);
    CHECK(tls->state == TLS_READY && count <= STREAM_IOVECS_MAX);
    CHECK(!tls->send_owner && "one send at a time");
    op_begin(op);
    tls->send_owner = op;
    tls->cursor = (struct tls_cursor){iovecs, count, 0};
    tls->send_bytes = (uint32_t)tls_record_left(&tls->cursor);
    if (!tls->sending.out) tls_send_step(tls); /* else it goes on when that small send is done */
}

/* ---- receive half ---- */

/* A ticket has to be taken by OpenSSL, which alone knows what to do with it. It sees this record
 * and no other; its numbers are still the same as ours, since no payload has come yet. */
static void tls_feed_ticket(struct tls *tls, uint32_t record_at, uint32_t record_bytes)
{
    char none;
    size_t count;
    tls->wire.in_begin = record_at;
    tls->wire.in_limit = record_at + record_bytes;
    ERR_clear_error();
    (void)SSL_read_ex(tls->ssl, &none, sizeof(none), &count); /* failed: then no resumption */
    tls->wire.in_limit = UINT32_MAX;
    tls->wire.in_begin = record_at + record_bytes;
}

static enum err tls_on_alert(struct tls *tls, const struct tls_opened *opened)
{
    if (opened->bytes != 2) return ERR_TLS_ALERT;
    uint8_t alert = tls_record_byte(opened, 1);
    tls->ended = alert == SSL_AD_CLOSE_NOTIFY;
    if (tls->ended || alert == SSL_AD_USER_CANCELLED) return ERR_NONE;
    char why[96];
    snprintf(why, sizeof(why), "the peer says: %.60s", SSL_alert_desc_string_long(alert));
    tls_say(tls, why);
    return ERR_TLS_ALERT;
}

/* Walks over the messages of a handshake record. Tickets are of no use to us; KeyUpdate stands last
 * in its record (RFC 8446 5.1); nothing else may come. */
static enum err tls_on_messages(struct tls *tls, const struct tls_opened *opened)
{
    uint32_t at = (uint32_t)min_u64(tls->skip_bytes, opened->bytes);
    tls->skip_bytes -= at;
    while (at < opened->bytes) {
        if (opened->bytes - at < 4) return ERR_TLS_ALERT;
        uint8_t type = tls_record_byte(opened, at);
        uint32_t bytes = (uint32_t)tls_record_byte(opened, at + 1) << 16 |
                         (uint32_t)tls_record_byte(opened, at + 2) << 8 |
                         tls_record_byte(opened, at + 3);
        at += 4;
        if (type == TLS_MESSAGE_TICKET && !tls_context_is_server(tls->facts.context)) {
            uint32_t here = (uint32_t)min_u64(bytes, opened->bytes - at);
            tls->skip_bytes = bytes - here;
            at += here;
        } else if (type == TLS_MESSAGE_KEY_UPDATE && bytes == 1 && at + 1 == opened->bytes) {
            if (tls_record_byte(opened, at++)) tls->update_due = true;
            enum err err = tls_record_update(&tls->opener);
            if (err != ERR_NONE) return err;
        } else {
            tls_say(tls, "unexpected handshake message");
            return ERR_TLS_ALERT;
        }
    }
    return ERR_NONE;
}

/* Opens the record at in_begin into the caller's memory behind *count. */
static enum err tls_open_record(struct tls *tls, uint32_t record_bytes, uint32_t *count)
{
    struct tls_opened opened;
    uint32_t at = tls->wire.in_begin, room = tls->memory_bytes - *count;
    if (record_bytes > room) tls->feeding = false; /* opened in place: OpenSSL cannot any more */
    tls->wire.in_begin += record_bytes;
    enum err err = tls_record_open(&tls->opener, tls->wire.in + at, record_bytes,
                                   tls->memory + *count, room, &opened);
    if (err != ERR_NONE) return err;
    switch (opened.type) {
    case TLS_RECORD_DATA:
        if (tls->skip_bytes > 0) return ERR_TLS_ALERT; /* inside a message: RFC 8446 5.1 */
        tls->feeding = false;
        opened.head_bytes = (uint32_t)min_u64(opened.head_bytes, opened.bytes);
        *count += opened.head_bytes;
        tls->rest = (const char *)opened.rest;
        tls->rest_bytes = opened.bytes - opened.head_bytes;
        return ERR_NONE;
    case TLS_RECORD_ALERT: return tls_on_alert(tls, &opened);
    case TLS_RECORD_HANDSHAKE:
        if (tls->feeding) tls_feed_ticket(tls, at, record_bytes);
        return tls_on_messages(tls, &opened);
    default: return ERR_TLS_ALERT;
    }
}

static enum err tls_open_batch(struct tls *tls, uint32_t *count)
{
    enum err err = ERR_NONE;
    while (err == ERR_NONE && *count < tls->memory_bytes) {
        if (tls->rest_bytes > 0) {
            uint32_t piece = (uint32_t)min_u64(tls->rest_bytes, tls->memory_bytes - *count);
            memcpy(tls->memory + *count, tls->rest, piece);
            tls->rest += piece;
            tls->rest_bytes -= piece;
            *count += piece;
            continue;
        }
        uint32_t record_bytes = tls->ended ? 0 : tls_wire_record_bytes(&tls->wire);
        if (record_bytes == 0) {
            const struct tls_wire *wire = &tls->wire;
            bool long_one = wire->in_end - wire->in_begin > TLS_WIRE_RECORD_MAX;
            return long_one ? ERR_TLS_ALERT : ERR_NONE;
        }
        err = tls_open_record(tls, record_bytes, count);
    }
    return err;
}

/* The same through OpenSSL, which also answers what has to be answered. */
static enum err tls_read_batch(struct tls *tls, uint32_t *count)
{
    while (*count < tls->memory_bytes && !tls->ended) {
        size_t bytes = 0;
        ERR_clear_error();
        int result =
            SSL_read_ex(tls->ssl, tls->memory + *count, tls->memory_bytes - *count, &bytes);
        if (result == 1) {
            *count += (uint32_t)bytes;
            continue;
        }
        int error = SSL_get_error(tls->ssl, result);
        if (error == SSL_ERROR_WANT_READ) break;
        if (error != SSL_ERROR_ZERO_RETURN) return ERR_TLS_ALERT;
        tls->ended = true;
    }
    tls_flush(tls);
    return ERR_NONE;
}

/* No receive is out: opens what is there, and finishes with it, or waits for more. An error behind
 * good bytes is told at the next receive. */
static void tls_receive_step(struct tls *tls)
{
    uint32_t count = 0;
    enum err err = ERR_NONE;
    if (tls->receive_err == ERR_NONE)
        err = tls->by_hand ? tls_open_batch(tls, &count) : tls_read_batch(tls, &count);
    if (err != ERR_NONE) {
        static const char broken[] = "a record that is not authentic or breaks the protocol";
        if (tls->by_hand) ERR_clear_error(); /* nothing there is of ours */
        tls_say_reason(tls, broken);
        tls->receive_err = err;
    }
    if (count == 0 && tls->receive_err == ERR_NONE && !tls->ended) {
        tls_fetch(tls);
        return;
    }
    tls_finish(tls, &tls->receive_owner, count > 0 ? ERR_NONE : tls->receive_err, count);
}

static void tls_stream_receive(struct stream *stream, void *memory, uint32_t bytes, struct op *op)
{
    struct tls *tls = tls_of(stream);
    CHECK(tls->state == TLS_READY && bytes > 0);
    CHECK(!tls->receive_owner && "one receive at a time");
    op_begin(op);
    tls->receive_owner = op;
    tls->memory = memory;
    tls->memory_bytes = bytes;
    tls_receive_step(tls);
}

/* ---- close ---- */

/* A close_notify, as far as the socket takes it at once: the cancel behind it keeps a peer that
 * does not read from holding us. */
static void tls_say_bye(struct tls *tls)
{
    uint8_t alert[] = {1, SSL_AD_CLOSE_NOTIFY}; /* level: warning */
    tls->said_bye = true;
    if (!tls->handshaken || tls->send_err != ERR_NONE || tls->wire.out_count > 0) return;
    ERR_clear_error();
    if (!tls->by_hand)
        (void)SSL_shutdown(tls->ssl); /* whatever it says: we are leaving */
    else if (tls_seal_message(tls, TLS_RECORD_ALERT, alert, sizeof(alert)) != ERR_NONE)
        tls->wire.out_count = 0;
    if (tls->wire.out_count == 0) return;
    tls_flush(tls);
    ring_cancel(tls->stream.core->ring, &tls->sending);
}

static void tls_on_closed(struct op *op)
{
    struct tls *tls = container_of(op, struct tls, closing);
    tls->state = TLS_IDLE;
    tls_context_forget(&tls->ssl, &tls->facts);
    tls_record_wipe(&tls->sealer);
    tls_record_wipe(&tls->opener);
    tls_finish(tls, &tls->close_owner, ERR_NONE, 0);
}

/* Waits for what is out, whose owners are told first; then the goodbye, then the descriptor. */
static void tls_close_step(struct tls *tls)
{
    if (tls->open_owner && !tls->sending.out && !tls->receiving.out)
        tls_finish(tls, &tls->open_owner, ERR_CANCELLED, 0);
    if (tls->send_owner && !tls->sending.out) {
        if (tls->send_err == ERR_NONE) tls->send_err = ERR_CANCELLED;
        tls_finish(tls, &tls->send_owner, tls->send_err, 0);
    }
    if (tls->receive_owner && !tls->receiving.out) {
        if (tls->receive_err == ERR_NONE) tls->receive_err = ERR_CANCELLED;
        tls_finish(tls, &tls->receive_owner, tls->receive_err, 0);
    }
    if (tls->sending.out || tls->receiving.out) return;
    if (!tls->said_bye) tls_say_bye(tls);
    if (tls->sending.out) return;
    if (tls->stream.fd < 0) {
        tls_on_closed(&tls->closing);
        return;
    }
    int fd = tls->stream.fd;
    tls->stream.fd = -1;
    ring_close_file(tls->stream.core->ring, fd, &tls->closing);
}

static void tls_stream_close(struct stream *stream, struct op *op)
{
    struct tls *tls = tls_of(stream);
    CHECK(tls->state != TLS_CLOSING && "closed once");
    op_begin(op);
    tls->close_owner = op;
    tls->state = TLS_CLOSING;
    if (tls->sending.out) ring_cancel(stream->core->ring, &tls->sending);
    if (tls->receiving.out) ring_cancel(stream->core->ring, &tls->receiving);
    tls_close_step(tls);
}

static const struct stream_kind tls_kind = {
    .name = "tls",
    .open = tls_stream_open,
    .send = tls_stream_send,
    .receive = tls_stream_receive,
    .close = tls_stream_close,
};

/* ---- life ---- */

enum err tls_open(struct tls **made, struct core *core)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    *made = NULL;
    if (!tls) return ERR_NO_MEMORY;
    tls->stream.kind = &tls_kind;
    tls->stream.core = core;
    tls->stream.fd = -1;
    tls->wire.in_bytes = TLS_IN_BYTES;
    tls->wire.out_bytes = TLS_OUT_BYTES;
    tls->wire.in = malloc(TLS_IN_BYTES);
    tls->wire.out = malloc(TLS_OUT_BYTES);
    op_init(&tls->sending, tls_on_sent);
    op_init(&tls->receiving, tls_on_received);
    op_init(&tls->closing, tls_on_closed);
    tls_record_init(&tls->sealer, true);
    tls_record_init(&tls->opener, false);
    if (!tls->wire.in || !tls->wire.out) {
        tls_close(tls);
        return ERR_NO_MEMORY;
    }
    *made = tls;
    return ERR_NONE;
}

void tls_close(struct tls *tls)
{
    CHECK(tls->state == TLS_IDLE && "its stream must be closed");
    tls_context_forget(&tls->ssl, &tls->facts);
    tls_record_wipe(&tls->sealer);
    tls_record_wipe(&tls->opener);
    free(tls->wire.in);
    free(tls->wire.out);
    free(tls);
}

enum err tls_start(struct tls *tls, struct tls_context *context, int fd, const char *host)
{
    CHECK(tls->state == TLS_IDLE && tls->stream.fd < 0 && "one connection at a time");
    tls_context_forget(&tls->ssl, &tls->facts); /* started, but never opened */
    tls_wire_clear(&tls->wire);
    enum err err = tls_context_connect(context, &tls->facts, &tls->wire, host, &tls->ssl);
    if (err != ERR_NONE) return err;
    tls->stream.fd = fd;
    tls->stream.why[0] = '\0';
    tls->by_hand = tls->feeding = tls->update_due = tls->handshaken = tls->greeted = false;
    tls->ended = tls->said_bye = false;
    tls->send_err = tls->receive_err = ERR_NONE;
    tls->raw = 0;
    tls->skip_bytes = tls->rest_bytes = 0;
    return ERR_NONE;
}

struct stream *tls_stream(struct tls *tls)
{
    return &tls->stream;
}

bool tls_is_resumed(const struct tls *tls)
{
    return tls->handshaken && tls->ssl && SSL_session_reused(tls->ssl);
}

bool tls_is_quiet(const struct tls *tls)
{
    return tls->state == TLS_READY && !tls->ended && tls->rest_bytes == 0 &&
           tls->wire.in_begin == tls->wire.in_end && SSL_pending(tls->ssl) == 0;
}

void tls_describe(const struct tls *tls, char *text, size_t text_bytes)
{
    text[0] = '\0';
    if (!tls->handshaken || !tls->ssl) return;
    snprintf(text, text_bytes, "%s %s%s", SSL_get_version(tls->ssl),
             SSL_CIPHER_get_name(SSL_get_current_cipher(tls->ssl)),
             SSL_session_reused(tls->ssl) ? ", resumed" : "");
}

const char *tls_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
