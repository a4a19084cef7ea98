#include "core/pool.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/mem.h"
#include "core/ring.h"

static enum err pool_run_growth(struct aside_job *job);
static void pool_on_grown(struct op *op);

enum err pool_init(struct pool *pool, struct ring *ring, struct list *ready, uint32_t buf_bytes,
                   uint32_t count_max, uint16_t arena_first)
{
    CHECK(count_max > 0 && buf_bytes > 0 && ARENA_BYTES % buf_bytes == 0);
    *pool = (struct pool){.ring = ring,
                          .ready = ready,
                          .buf_bytes = buf_bytes,
                          .bufs_per_arena = (uint32_t)(ARENA_BYTES / buf_bytes),
                          .count_max = count_max,
                          .arena_first = arena_first};
    uint32_t arenas = (count_max + pool->bufs_per_arena - 1) / pool->bufs_per_arena;
    CHECK(arenas + arena_first <= ARENAS_MAX && "the caller keeps to the table's size");
    pool->arena_count_max = (uint16_t)arenas;
    list_init(&pool->free);
    list_init(&pool->waiters);
    aside_job_init(&pool->growth.job, pool_run_growth, pool_on_grown);
    pool->bufs = calloc(count_max, sizeof(*pool->bufs));
    pool->arenas = calloc(arenas, sizeof(*pool->arenas));
    if (pool->bufs && pool->arenas) return ERR_NONE;
    pool_fini(pool);
    return ERR_NO_MEMORY;
}

static uint32_t pool_arena_bufs(const struct pool *pool, uint16_t arena)
{
    uint32_t before = arena * pool->bufs_per_arena;
    return (uint32_t)min_u64(pool->bufs_per_arena, pool->count_max - before);
}

static size_t pool_arena_bytes(const struct pool *pool, uint16_t arena)
{
    return (size_t)pool_arena_bufs(pool, arena) * pool->buf_bytes;
}

void pool_fini(struct pool *pool)
{
    if (pool->bufs) CHECK(list_is_empty(&pool->waiters) && "a wish is out");
    CHECK(pool->free_count == pool->count && "a buf is not home");
    CHECK(!pool_is_growing(pool) && "an arena is on its way");
    for (uint16_t i = 0; i < pool->arena_count; i++)
        mem_unmap(pool->arenas[i], pool_arena_bytes(pool, i));
    free(pool->arenas);
    free(pool->bufs);
    *pool = (struct pool){0};
}

/* A refusal to register it is remembered and not asked for again, since it means a limit; the
 * memory is used all the same. */
static void pool_add_arena(struct pool *pool, void *area)
{
    uint16_t arena = pool->arena_count;
    uint32_t bufs = pool_arena_bufs(pool, arena);
    size_t bytes = pool_arena_bytes(pool, arena);
    uint16_t index = (uint16_t)(pool->arena_first + arena);
    if (!pool->unregistered)
        pool->unregistered = ring_register_arena(pool->ring, index, area, bytes);
    if (pool->unregistered) index = RING_NO_ARENA;
    pool->arenas[pool->arena_count++] = area;
    for (uint32_t i = bufs; i-- > 0;) { /* so that the lowest address is taken first */
        struct buf *buf = &pool->bufs[arena * pool->bufs_per_arena + i];
        link_init(&buf->link);
        buf->data = (char *)area + (size_t)i * pool->buf_bytes;
        buf->pool = pool;
        buf->count_max = pool->buf_bytes;
        buf->arena = index;
        buf->given = true;
        list_push_front(&pool->free, &buf->link);
    }
    pool->count += bufs;
    pool->free_count += bufs;
}

/* On the side thread. */
static enum err pool_run_growth(struct aside_job *job)
{
    struct pool_growth *growth = container_of(job, struct pool_growth, job);
    enum err err = mem_map(&growth->area, growth->bytes);
    if (!err) mem_touch(growth->area, growth->bytes, growth->node);
    return err;
}

static void pool_ask_aside(struct pool *pool)
{
    struct pool_growth *growth = &pool->growth;
    if (pool_is_growing(pool)) return;
    growth->bytes = pool_arena_bytes(pool, pool->arena_count);
    growth->node = mem_node();
    aside_start(growth->aside, &growth->job);
}

/* One more arena: true where it is there at once. */
static bool pool_grow(struct pool *pool)
{
    if (pool->broken || pool->arena_count == pool->arena_count_max) return false;
    if (pool->growth.aside) {
        pool_ask_aside(pool);
        return false;
    }
    void *area = NULL;
    if (mem_map(&area, pool_arena_bytes(pool, pool->arena_count))) {
        pool->broken = true;
        return false;
    }
    pool_add_arena(pool, area);
    pool->grown = true;
    return true;
}

static struct buf *pool_pop_free(struct pool *pool)
{
    struct link *link = list_pop(&pool->free);
    CHECK(link && "the free list and its count agree");
    struct buf *buf = container_of(link, struct buf, link);
    CHECK(buf->given && buf->pins == 0);
    pool->free_count--;
    buf->given = false;
    buf->count = 0;
    return buf;
}

static bool pool_make_free(struct pool *pool, uint32_t count)
{
    if (pool->free_count < count && !pool->grown) pool_grow(pool);
    return pool->free_count >= count;
}

static void pool_finish(struct pool *pool, struct pool_wish *wish, enum err err)
{
    list_remove(&wish->op.link);
    wish->op.err = err;
    list_push(pool->ready, &wish->op.link);
}

/* Grants wishes from the oldest on, and stops at the first that cannot be had yet: so a large one
 * is not overtaken for ever by small ones. */
static void pool_grant(struct pool *pool)
{
    struct link *first;
    while ((first = list_first(&pool->waiters))) {
        struct pool_wish *wish = container_of(first, struct pool_wish, op.link);
        if (!pool_make_free(pool, wish->count)) {
            bool never = pool->broken && wish->count > pool->count;
            if (!never) return;
            pool_finish(pool, wish, ERR_NO_MEMORY);
            continue;
        }
        for (uint32_t i = 0; i < wish->count; i++)
            list_push(&wish->bufs, &pool_pop_free(pool)->link);
        wish->op.count = wish->count;
        pool_finish(pool, wish, ERR_NONE);
    }
}

static void pool_on_grown(struct op *op)
{
    struct pool *pool = container_of(op, struct pool, growth.job.op);
    if (op->err)
        pool->broken = true;
    else
        pool_add_arena(pool, pool->growth.area);
    pool_grant(pool);
}

void pool_use_aside(struct pool *pool, struct aside *aside)
{
    pool->growth.aside = aside;
}

bool pool_is_growing(const struct pool *pool)
{
    return pool->growth.job.op.out;
}

void pool_wish_init(struct pool_wish *wish, op_fn *done)
{
    op_init(&wish->op, done);
    list_init(&wish->bufs);
    wish->count = 0;
}

void pool_take(struct pool *pool, struct pool_wish *wish, uint32_t count)
{
    CHECK(count >= 1 && count <= pool->count_max && "a wish that could never be granted");
    CHECK(list_is_empty(&wish->bufs) && "bufs of an earlier wish were not taken out");
    op_begin(&wish->op);
    wish->count = count;
    list_push(&pool->waiters, &wish->op.link);
    pool_grant(pool);
}

void pool_cancel(struct pool *pool, struct pool_wish *wish)
{
    bool granted = !list_is_empty(&wish->bufs);
    if (!wish->op.out || granted || wish->op.err) return;
    pool_finish(pool, wish, ERR_CANCELLED);
    pool_grant(pool); /* it may have been in the way of smaller ones */
}

struct buf *pool_try_take(struct pool *pool)
{
    if (!list_is_empty(&pool->waiters)) return NULL;
    return pool->free_count > 0 || pool_grow(pool) ? pool_pop_free(pool) : NULL;
}

void pool_turn(struct pool *pool)
{
    if (!pool->grown) return;
    pool->grown = false;
    pool_grant(pool);
}

bool pool_wants_turn(const struct pool *pool)
{
    return pool->grown && !list_is_empty(&pool->waiters);
}

static void pool_put_home(struct buf *buf)
{
    struct pool *pool = buf->pool;
    list_push_front(&pool->free, &buf->link);
    pool->free_count++;
    CHECK(pool->free_count <= pool->count);
    pool_grant(pool);
}

void pool_give(struct buf **buf)
{
    struct buf *given = *buf;
    *buf = NULL;
    CHECK(!given->given && "a buf is given back once");
    CHECK(link_is_free(&given->link) && "a buf is still in a list");
    given->given = true;
    if (given->pins == 0) pool_put_home(given);
}

void pool_give_all(struct list *bufs)
{
    struct link *link;
    while ((link = list_pop(bufs))) {
        struct buf *buf = container_of(link, struct buf, link);
        pool_give(&buf);
    }
}

uint32_t pool_free_count(const struct pool *pool)
{
    uint32_t unmapped = pool->broken ? 0 : pool->count_max - pool->count;
    return pool->free_count + unmapped;
}

void pool_pin(struct buf *buf)
{
    CHECK(!buf->given && buf->pins < UINT16_MAX);
    buf->pins++;
}

void pool_unpin(struct buf *buf)
{
    CHECK(buf->pins > 0);
    if (--buf->pins == 0 && buf->given) pool_put_home(buf);
}
