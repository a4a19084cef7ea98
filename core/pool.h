/* pool: staged buffers of one size, registered with one core's ring. The back-pressure of the data
 * path.
 *
 *     taken + free ≤ count_max,  bytes touched ≤ count_max · buf_bytes + one arena
 *
 * A buf has one owner. It is reusable when given back and unpinned. Arenas of ARENA_BYTES are
 * mapped and registered when the free list is empty and the bound allows, since registration
 * touches every page. That takes long (40 ms in a virtual machine whose host has to find the
 * memory), and a window that doubles asks for hundreds of MiB, while all that is under way would
 * stand still: so an aside maps and touches them, one after the other, and the core only registers
 * what is there. Without an aside the core does it all, for wishes one a turn. The free list is
 * last-in first-out, so that little memory stays warm. Bufs never leave their core. pool_take()
 * grants a number of bufs at once or waits: first come, first served, also between large and small
 * wishes, so that nobody starves; whoever needs several takes them together, before it starts, so
 * that nobody deadlocks. Where the ring refuses to register an arena (RLIMIT_MEMLOCK), the pool
 * works on with unregistered memory, and says so in `unregistered`. */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "core/aside.h"

struct ring;
struct pool;

struct buf {
    struct link link; /* free list, or a list of its owner's */
    char *data;
    struct pool *pool;
    uint32_t count;     /* bytes in it that mean something */
    uint32_t count_max; /* its size */
    uint16_t arena;     /* for ring_read() and ring_write() */
    uint16_t pins;      /* the kernel still reads it (zero-copy sends) */
    bool given;
};

struct pool_growth { /* an arena that an aside prepares */
    struct aside_job job;
    struct aside *aside; /* NULL: the core does it */
    void *area;
    size_t bytes;
    unsigned node; /* of NUMA: the core's */
};

struct pool {
    enum err unregistered; /* why not all arenas are registered; ERR_NONE: they are */
    uint32_t buf_bytes, count_max;
    /* private */
    struct ring *ring;
    struct list *ready;
    struct list free, waiters;
    struct buf *bufs; /* count_max of them, made at init */
    void **arenas;
    uint32_t bufs_per_arena, count, free_count;
    uint16_t arena_first, arena_count, arena_count_max;
    bool broken; /* the kernel refused memory: no more arenas */
    bool grown;  /* in this turn */
    struct pool_growth growth;
};

/* A wish for bufs: when its op is done without an error, `bufs` holds `count` of them, and the
 * owner takes them out before the next wish. Errors: ERR_CANCELLED, and ERR_NO_MEMORY where the
 * kernel did not give what count_max promised. */
struct pool_wish {
    struct op op;
    struct list bufs;
    uint32_t count;
};

/* `arena_first`: the ring's first arena index that this pool may use. Errors: ERR_NO_MEMORY. */
MUST_USE enum err pool_init(struct pool *pool, struct ring *ring, struct list *ready,
                            uint32_t buf_bytes, uint32_t count_max, uint16_t arena_first);
void pool_fini(struct pool *pool); /* every buf must be home, and nothing grow */
/* From now on `aside` prepares its arenas; it outlives pool_is_growing(). */
void pool_use_aside(struct pool *pool, struct aside *aside);
bool pool_is_growing(const struct pool *pool);

void pool_wish_init(struct pool_wish *wish, op_fn *done);
void pool_take(struct pool *pool, struct pool_wish *wish,
               uint32_t count); /* 1 ≤ count ≤ count_max */
/* Finishes the wish with ERR_CANCELLED, or as if nothing had been asked when it was granted
 * already: look at `bufs`. Harmless when it is not out. */
void pool_cancel(struct pool *pool, struct pool_wish *wish);
/* NULL when others wait, or none is free now. */
struct buf *pool_try_take(struct pool *pool);
/* The core's next turn: one more arena may be mapped for those who wait. */
void pool_turn(struct pool *pool);
bool pool_wants_turn(const struct pool *pool); /* some do: the core must not sleep */
void pool_give(struct buf **buf);              /* and sets the caller's pointer to NULL */
void pool_give_all(struct list *bufs);
uint32_t pool_free_count(const struct pool *pool); /* incl. what has not been mapped yet */
void pool_pin(struct buf *buf);
void pool_unpin(struct buf *buf);

#endif
