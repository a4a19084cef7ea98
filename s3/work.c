#include "s3/work.h"

#include <stdio.h>
#include <stdlib.h>

/* Thousands of works may wait, nearly all with short names: each begins a page, so that the rest of
 * it, the room for long names, costs nothing. */
#define WORK_PAGE_BYTES 4096u
#define WORK_STRIDE     align_up_u64(sizeof(struct work), WORK_PAGE_BYTES)

enum err work_pool_init(struct work_pool *pool, uint32_t count_max)
{
    list_init(&pool->free);
    pool->count_max = pool->free_count = count_max;
    pool->pages = aligned_alloc(WORK_PAGE_BYTES, count_max * WORK_STRIDE);
    pool->used_count = 0;
    return pool->pages ? ERR_NONE : ERR_NO_MEMORY;
}

void work_pool_fini(struct work_pool *pool)
{
    CHECK(pool->free_count == pool->count_max && "a work is still under way");
    free(pool->pages);
    pool->pages = NULL;
}

static struct work *work_at(const struct work_pool *pool, uint32_t index)
{
    return (struct work *)(void *)(pool->pages + index * WORK_STRIDE);
}

struct work *work_take(struct work_pool *pool, uint16_t home)
{
    struct link *link = list_pop(&pool->free);
    if (!link && pool->used_count == pool->count_max) return NULL;
    struct work *work =
        link ? container_of(link, struct work, task.link) : work_at(pool, pool->used_count++);
    pool->free_count--;
    task_init(&work->task, home, TASK_THEN);
    work->owner = WORK_NO_OWNER;
    work->part_number = 0;
    work->offset = work->bytes = 0;
    work->size_known = true;
    work->through = work->was_done = work->server_sums = work->buffered = false;
    work->sum = CHECKSUM_NONE;
    work->md5 = false;
    work->written.count = 0;
    work->bucket[0] = work->key[0] = work->path[0] = '\0';
    work->upload_id[0] = work->etag[0] = '\0';
    work->result = (struct work_result){.err = ERR_NONE, .mtime_ns = WORK_NO_MTIME};
    return work;
}

void work_give(struct work_pool *pool, struct work **work)
{
    CHECK(link_is_free(&(*work)->task.link));
    list_push_front(&pool->free, &(*work)->task.link);
    pool->free_count++;
    *work = NULL;
}

uint32_t work_pool_free_count(const struct work_pool *pool)
{
    return pool->free_count;
}

void work_fail(struct work *work, enum err err, int raw, const char *why)
{
    if (work->result.err != ERR_NONE) return;
    work->result.err = err;
    work->result.raw = raw;
    snprintf(work->result.why, sizeof work->result.why, "%s", why);
}
