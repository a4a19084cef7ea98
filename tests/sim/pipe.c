#include "tests/sim/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/table.h"

static struct pipe_world pipes;

struct pipe_world *pipe_world(void)
{
    return &pipes;
}

void pipe_close_world(void)
{
    free(pipes.in.data);
    free(pipes.out.data);
    pipes = (struct pipe_world){.in = {.data = NULL}};
}

int pipe_standard_input(void)
{
    return table_open(TABLE_PIPE, &pipes.in, O_RDONLY)->fd;
}

int pipe_standard_output(void)
{
    return table_open(TABLE_PIPE, &pipes.out, O_WRONLY)->fd;
}

int pipe_close(int fd)
{
    table_close(fd);
    return 0;
}

static int64_t pipe_read(struct pipe_end *end, struct ring_entry *entry)
{
    uint64_t count = min_u64(entry->bytes, end->bytes - end->at);
    if (count > 1 && world_chance(0.7)) count = world_between(1, min_u64(count, 256 * KIB));
    if (world_fault(FAULT_AGAIN)) return -EINTR;
    if (world_fault(FAULT_READ_EIO)) return -EIO;
    if (count) memcpy(entry->memory, end->data + end->at, count);
    end->at += count;
    return (int64_t)count;
}

static int64_t pipe_write(struct pipe_end *end, struct ring_entry *entry)
{
    uint64_t count = entry->bytes;
    if (count > 1 && world_chance(0.5)) count = world_between(1, min_u64(count, 256 * KIB));
    if (world_fault(FAULT_AGAIN)) return -EINTR;
    if (world_fault(FAULT_WRITE_EIO)) return -EPIPE;
    if (end->bytes + count > end->bytes_max) {
        end->bytes_max = 2 * (end->bytes + count);
        end->data = realloc(end->data, end->bytes_max);
        CHECK(end->data);
    }
    memcpy(end->data + end->bytes, entry->memory, count);
    end->bytes += count;
    return (int64_t)count;
}

static void pipe_on_event(struct event *event)
{
    struct ring_entry *entry = container_of(event, struct ring_entry, event);
    struct pipe_end *end = table_row_of(entry->fd, TABLE_PIPE)->object;
    end->entry = NULL;
    ring_entry_done(entry,
                    entry->call == RING_READ ? pipe_read(end, entry) : pipe_write(end, entry));
}

void pipe_start(struct ring_entry *entry)
{
    struct pipe_end *end = table_row_of(entry->fd, TABLE_PIPE)->object;
    if (end->entry) world_broken("two ops at once on a pipe");
    if (entry->offset != UINT64_MAX) world_broken("a pipe has no offsets");
    end->entry = entry;
    event_init(&entry->event, pipe_on_event);
    event_start(&entry->event, world->now_ns + world_below(2 * NS_PER_MS));
}

void pipe_cancel(struct ring_entry *entry)
{
    struct pipe_end *end = table_row_of(entry->fd, TABLE_PIPE)->object;
    end->entry = NULL;
    ring_entry_done(entry, -ECANCELED);
}
