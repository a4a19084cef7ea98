#include "net/plain.h"

#include <string.h>

static struct plain *plain_of(struct stream *stream)
{
    return container_of(stream, struct plain, stream);
}

static void plain_finish(struct plain *plain, struct op **owner, enum err err, int raw,
                         uint32_t count)
{
    struct op *op = *owner;
    *owner = NULL;
    op->count = count;
    op->raw = raw;
    core_finish(plain->stream.core, op, err);
}

/* Nothing of ours may be out when the descriptor goes: its number can be another's at once. */
static void plain_close_when_idle(struct plain *plain)
{
    struct stream *s = &plain->stream;
    if (!plain->close_owner || plain->send_owner || plain->receive_owner) return;
    if (s->fd < 0) {
        plain_finish(plain, &plain->close_owner, ERR_NONE, 0, 0);
        return;
    }
    int fd = s->fd;
    s->fd = -1;
    ring_close_file(s->core->ring, fd, &plain->closing);
}

static void plain_on_closed(struct op *op)
{
    struct plain *plain = container_of(op, struct plain, closing);
    plain_finish(plain, &plain->close_owner, ERR_NONE, 0, 0); /* the descriptor is gone anyway */
}

/* Moves the message past `sent` bytes; false when nothing is left. */
static bool plain_advance(struct msghdr *message, size_t sent)
{
    while (message->msg_iovlen > 0 && sent >= message->msg_iov->iov_len) {
        sent -= message->msg_iov->iov_len;
        message->msg_iov++;
        message->msg_iovlen--;
    }
    if (message->msg_iovlen == 0) return false;
    message->msg_iov->iov_base = (char *)message->msg_iov->iov_base + sent;
    message->msg_iov->iov_len -= sent;
    return true;
}

static void plain_on_sent(struct op *op)
{
    struct plain *plain = container_of(op, struct plain, sending);
    struct stream *s = &plain->stream;
    enum err err = op->err;
    if (err == ERR_NONE && op->count == 0) err = ERR_RESET; /* no progress, or no bytes asked */
    if (err == ERR_NONE && plain_advance(&plain->message, op->count)) {
        if (!plain->close_owner) {
            ring_send(s->core->ring, s->fd, &plain->message, &plain->sending);
            return;
        }
        err = ERR_CANCELLED;
    }
    plain_finish(plain, &plain->send_owner, err, op->raw, err == ERR_NONE ? plain->send_bytes : 0);
    plain_close_when_idle(plain);
}

static void plain_on_received(struct op *op)
{
    struct plain *plain = container_of(op, struct plain, receiving);
    plain_finish(plain, &plain->receive_owner, op->err, op->raw, op->count);
    plain_close_when_idle(plain);
}

static void plain_open(struct stream *stream, struct op *op)
{
    op_begin(op);
    core_finish(stream->core, op, ERR_NONE);
}

static void plain_send(struct stream *stream, const struct iovec *iovecs, uint32_t count,
                       struct op *op)
{
    struct plain *plain = plain_of(stream);
    CHECK(count <= STREAM_IOVECS_MAX);
    CHECK(!plain->send_owner && "one send at a time");
    CHECK(stream->fd >= 0 && !plain->close_owner);
    op_begin(op);
    memcpy(plain->iovecs, iovecs, count * sizeof(*iovecs));
    plain->send_bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        plain->send_bytes += (uint32_t)iovecs[i].iov_len;
    plain->message.msg_iov = plain->iovecs;
    plain->message.msg_iovlen = count;
    plain->send_owner = op;
    if (!plain_advance(&plain->message, 0)) {
        plain_finish(plain, &plain->send_owner, ERR_NONE, 0, 0);
        return;
    }
    ring_send(stream->core->ring, stream->fd, &plain->message, &plain->sending);
}

static void plain_receive(struct stream *stream, void *memory, uint32_t bytes, struct op *op)
{
    struct plain *plain = plain_of(stream);
    CHECK(bytes > 0);
    CHECK(!plain->receive_owner && "one receive at a time");
    CHECK(stream->fd >= 0 && !plain->close_owner);
    op_begin(op);
    plain->receive_owner = op;
    ring_receive(stream->core->ring, stream->fd, memory, bytes, &plain->receiving);
}

static void plain_close(struct stream *stream, struct op *op)
{
    struct plain *plain = plain_of(stream);
    CHECK(!plain->close_owner && "closed once");
    op_begin(op);
    plain->close_owner = op;
    if (plain->send_owner) ring_cancel(stream->core->ring, &plain->sending);
    if (plain->receive_owner) ring_cancel(stream->core->ring, &plain->receiving);
    plain_close_when_idle(plain);
}

static const struct stream_kind plain_kind = {
    .name = "plain",
    .open = plain_open,
    .send = plain_send,
    .receive = plain_receive,
    .close = plain_close,
};

void plain_init(struct plain *plain, struct core *core, int fd)
{
    memset(plain, 0, sizeof(*plain));
    plain->stream.kind = &plain_kind;
    plain->stream.core = core;
    plain->stream.fd = fd;
    op_init(&plain->sending, plain_on_sent);
    op_init(&plain->receiving, plain_on_received);
    op_init(&plain->closing, plain_on_closed);
}
