/* plain: a stream that is the socket itself. */
#ifndef NET_PLAIN_H
#define NET_PLAIN_H

#include "net/stream.h"

struct plain {
    struct stream stream;
    /* private */
    struct op sending, receiving, closing;
    struct op *send_owner, *receive_owner, *close_owner;
    uint32_t send_bytes;
    struct msghdr message;
    struct iovec iovecs[STREAM_IOVECS_MAX]; /* of ours, since a short send moves them on */
};

void plain_init(struct plain *plain, struct core *core, int fd);

#endif
