/* stream: ordered bytes to and from a peer: plain TCP or TLS, client or server side.
 *
 * A kind embeds `struct stream` as its first member. At most one send and one receive are out at a
 * time, and they are independent. A send is whole or an error. After an error only close is
 * allowed; close cancels what is out (whose ops finish first), closes the descriptor and then
 * finishes its own op. End of stream is count 0 with ERR_NONE; on TLS only after a close_notify: a
 * bare cut is ERR_TLS_TRUNCATED. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <sys/uio.h>

#include "core/core.h"

#define STREAM_IOVECS_MAX 65u /* a head and 64 bufs: parts up to 64 MiB are staged whole */

struct stream;

struct stream_kind {
    const char *name; /* "plain", "tls" */
    void (*open)(struct stream *stream,
                 struct op *op); /* on a connected fd: the handshake, if any */
    void (*send)(struct stream *stream, const struct iovec *iovecs, uint32_t count, struct op *op);
    void (*receive)(struct stream *stream, void *memory, uint32_t bytes, struct op *op);
    void (*close)(struct stream *stream, struct op *op);
};

struct stream {
    const struct stream_kind *kind;
    struct core *core;
    int fd; /* owned; −1 when closed */
    /* A kind that receives ahead of what it is asked for stays near this; 0: as it likes. */
    uint32_t ahead_bytes;
    char why[160]; /* after an error: what the library or peer said; "" where there is nothing to
                      add */
};

static inline void stream_open(struct stream *stream, struct op *op)
{
    stream->kind->open(stream, op);
}

/* The iovecs (at most STREAM_IOVECS_MAX, below 4 GiB in all) and what they point at stay in place
 * until `op` is done, whose count is all of it, or 0 after an error. */
static inline void stream_send(struct stream *stream, const struct iovec *iovecs, uint32_t count,
                               struct op *op)
{
    stream->kind->send(stream, iovecs, count, op);
}

static inline void stream_receive(struct stream *stream, void *memory, uint32_t bytes,
                                  struct op *op)
{
    stream->kind->receive(stream, memory, bytes, op);
}

static inline void stream_close(struct stream *stream, struct op *op)
{
    stream->kind->close(stream, op);
}

#endif
