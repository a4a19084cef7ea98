/* ring: core/ring.h on virtual time. What its users of tests/sim need beside that header. */
#ifndef TESTS_SIM_RING_H
#define TESTS_SIM_RING_H

#include "core/ring.h"
#include "tests/sim/world.h"

enum ring_call {
    RING_OPEN,
    RING_CLOSE,
    RING_READ,
    RING_WRITE,
    RING_SYNC,
    RING_ALLOCATE,
    RING_TRUNCATE,
    RING_STAT,
    RING_RENAME,
    RING_UNLINK,
    RING_MAKE_FOLDER,
    RING_CONNECT,
    RING_SEND,
    RING_RECEIVE,
    RING_CANCEL
};

struct ring_entry {     /* a start, until it is done */
    struct event event; /* of files: when the kernel does it */
    struct link link;   /* queued, then out */
    struct ring *ring;
    struct op *op; /* of a cancel: its target */
    enum ring_call call;
    int fd, fd2, flags, mode;
    void *memory;
    const char *path, *path2;
    uint32_t bytes;
    uint64_t offset, resolve;
    const struct msghdr *message;
    struct sockaddr_storage address;
};

void ring_set_index(struct ring *ring, uint16_t index);
bool ring_has_work(const struct ring *ring); /* something to submit or to reap */
/* The op is done with ≥ 0 or −errno: at the ring's next turn its core sees it. Frees the entry. */
void ring_entry_done(struct ring_entry *entry, int64_t result);
/* Their process is gone: what the kernel was asked of files happens, or not. */
void ring_kill_all(void);

#endif
