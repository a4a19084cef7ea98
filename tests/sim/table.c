#include "tests/sim/table.h"

#include <fcntl.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define ROWS_MAX 200000u /* a seed that opens more is a loop */

static struct table_row rows[ROWS_MAX];
static uint32_t row_count, open_count;

struct table_row *table_open(enum table_kind kind, void *object, int flags)
{
    CHECK(row_count < ROWS_MAX && "a loop of opens");
    struct table_row *row = &rows[row_count];
    *row = (struct table_row){
        .kind = kind, .fd = TABLE_FIRST + (int)row_count, .flags = flags, .object = object};
    row_count++;
    open_count++;
    return row;
}

bool table_has(int fd)
{
    return fd >= TABLE_FIRST;
}

struct table_row *table_row(int fd)
{
    if (!table_has(fd) || (uint32_t)(fd - TABLE_FIRST) >= row_count)
        world_broken("descriptor %d was never opened", fd);
    struct table_row *row = &rows[fd - TABLE_FIRST];
    if (row->kind == TABLE_FREE) world_broken("descriptor %d is used after its close", fd);
    return row;
}

struct table_row *table_row_of(int fd, enum table_kind kind)
{
    struct table_row *row = table_row(fd);
    if (row->kind != kind) world_broken("descriptor %d is of another kind", fd);
    return row;
}

void table_close(int fd)
{
    struct table_row *row = table_row(fd);
    if (row->busy)
        world_broken("descriptor %d is closed while %u ops are out on it", fd, row->busy);
    row->kind = TABLE_FREE;
    free(row->path);
    row->path = NULL;
    open_count--;
}

uint32_t table_open_count(void)
{
    return open_count;
}

int table_next_open(int fd)
{
    for (uint32_t i = fd ? (uint32_t)(fd - TABLE_FIRST) + 1 : 0; i < row_count; i++)
        if (rows[i].kind != TABLE_FREE) return rows[i].fd;
    return 0;
}

const char *table_path(int dir_fd)
{
    if (dir_fd == AT_FDCWD) return "/";
    return table_row_of(dir_fd, TABLE_FOLDER)->path;
}

void table_reset(void)
{
    row_count = open_count = 0;
}
