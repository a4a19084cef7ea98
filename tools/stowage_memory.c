#include "tools/stowage_memory.h"

#include <stdlib.h>
#include <string.h>

#define FILL_BYTES (4 * MIB) /* of one send: the socket takes no more at a time anyway */

static struct stowage_memory *memory_of(struct stowage_keep *keep)
{
    return container_of(keep, struct stowage_memory, keep);
}

static enum err make_room(struct stowage_memory *memory, struct stowage_segment *segment,
                          uint64_t bytes)
{
    if (bytes > memory->bytes_max - memory->bytes) return ERR_DISK_FULL;
    segment->memory = malloc(bytes ? bytes : 1);
    if (!segment->memory) return ERR_NO_MEMORY;
    segment->room_bytes = bytes;
    memory->bytes += bytes;
    return ERR_NONE;
}

static void memory_sink_open(struct stowage_sink *sink, struct op *op)
{
    op_begin(op);
    enum err err = make_room(memory_of(sink->keep), &sink->segment, sink->bytes_max);
    core_finish(sink->keep->core, op, err);
}

static void memory_drop(struct stowage_keep *keep, struct stowage_segment *segment)
{
    struct stowage_memory *memory = memory_of(keep);
    CHECK(segment->room_bytes <= memory->bytes);
    memory->bytes -= segment->room_bytes;
}

static void memory_sink_write(struct stowage_sink *sink, const char *data, uint32_t count,
                              struct op *op)
{
    op_begin(op);
    char *place = sink->segment.memory + sink->segment.bytes;
    if (data != place) memcpy(place, data, count);
    sink->segment.bytes += count;
    core_finish(sink->keep->core, op, ERR_NONE);
}

static void memory_source_fill(struct stowage_source *source, struct op *op)
{
    op_begin(op);
    const struct stowage_object *object = source->object;
    uint64_t first = 0, room = FILL_BYTES;
    source->iovec_count = 0;
    for (uint32_t i = 0; i < object->part_count && room; i++) {
        const struct stowage_segment *segment = &object->parts[i].segment;
        uint64_t skip = source->at - first; /* `at` is never before the part we look at */
        if (skip < segment->bytes && source->at < source->end) {
            uint64_t count = min_u64(segment->bytes - skip, source->end - source->at);
            count = min_u64(count, room);
            source->iovecs[source->iovec_count++] = (struct iovec){segment->memory + skip, count};
            source->at += count;
            room -= count;
            if (source->iovec_count == STOWAGE_SOURCE_IOVECS) break;
        }
        first += segment->bytes;
    }
    CHECK(source->iovec_count > 0);
    core_finish(source->keep->core, op, ERR_NONE);
}

static const struct stowage_keep_kind kind = {
    .name = "memory",
    .has_content = true,
    .sink_open = memory_sink_open,
    .sink_write = memory_sink_write,
    .source_fill = memory_source_fill,
    .drop = memory_drop,
};

void stowage_memory_init(struct stowage_memory *memory, struct core *core, uint64_t bytes_max)
{
    memory->keep.kind = &kind;
    memory->keep.core = core;
    memory->bytes = 0;
    memory->bytes_max = bytes_max;
}
