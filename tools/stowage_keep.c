#include "tools/stowage_keep.h"

#include <stdlib.h>
#include <string.h>

static void finish_at_once(struct stowage_keep *keep, struct op *op)
{
    if (!op) return;
    op_begin(op);
    core_finish(keep->core, op, ERR_NONE);
}

void stowage_keep_sink_init(struct stowage_sink *sink, struct stowage_keep *keep,
                            uint64_t bytes_max, char *scratch)
{
    sink->keep = keep;
    sink->segment = (struct stowage_segment){.memory = NULL};
    sink->bucket = sink->key = BYTES("");
    sink->bytes_max = bytes_max;
    sink->scratch = scratch;
    sink->is_open = false;
    sink->path = NULL;
}

void stowage_keep_sink_open(struct stowage_sink *sink, struct op *op)
{
    CHECK(!sink->is_open);
    sink->is_open = true;
    sink->keep->kind->sink_open(sink, op);
}

char *stowage_keep_sink_area(struct stowage_sink *sink, uint32_t *bytes)
{
    uint64_t left = sink->bytes_max - sink->segment.bytes;
    *bytes = (uint32_t)min_u64(left, STOWAGE_SCRATCH_BYTES);
    return sink->segment.memory ? sink->segment.memory + sink->segment.bytes : sink->scratch;
}

void stowage_keep_sink_write(struct stowage_sink *sink, const char *data, uint32_t count,
                             struct op *op)
{
    CHECK(count > 0 && count <= sink->bytes_max - sink->segment.bytes);
    sink->keep->kind->sink_write(sink, data, count, op);
}

void stowage_keep_sink_close(struct stowage_sink *sink, struct op *op)
{
    CHECK(sink->is_open);
    sink->is_open = false;
    if (sink->keep->kind->sink_close)
        sink->keep->kind->sink_close(sink, op);
    else
        finish_at_once(sink->keep, op);
}

void stowage_keep_source_init(struct stowage_source *source, struct stowage_keep *keep,
                              const struct stowage_object *object, char *scratch)
{
    source->keep = keep;
    source->object = object;
    source->scratch = scratch;
    source->at = source->end = 0;
    source->iovec_count = 0;
    source->is_open = false;
    source->path = NULL;
}

void stowage_keep_source_range(struct stowage_source *source, uint64_t first, uint64_t count)
{
    CHECK(count <= source->object->bytes && first <= source->object->bytes - count);
    source->at = first;
    source->end = first + count;
}

void stowage_keep_source_fill(struct stowage_source *source, struct op *op)
{
    CHECK(source->at < source->end);
    source->is_open = true;
    source->keep->kind->source_fill(source, op);
}

void stowage_keep_source_close(struct stowage_source *source, struct op *op)
{
    source->is_open = false;
    if (source->keep->kind->source_close)
        source->keep->kind->source_close(source, op);
    else
        finish_at_once(source->keep, op);
}

void stowage_keep_note(struct stowage_keep *keep, const struct stowage_note *note, struct op *op)
{
    if (keep->kind->note)
        keep->kind->note(keep, note, op);
    else
        finish_at_once(keep, op);
}

void stowage_keep_drop(struct stowage_keep *keep, struct stowage_segment *segment)
{
    if (keep->kind->drop && (segment->memory || segment->name)) keep->kind->drop(keep, segment);
    stowage_keep_forget(segment);
}

void stowage_keep_forget(struct stowage_segment *segment)
{
    free(segment->memory);
    free(segment->name);
    *segment = (struct stowage_segment){.memory = NULL};
}

void stowage_keep_close(struct stowage_keep *keep, struct op *op)
{
    if (keep->kind->close)
        keep->kind->close(keep, op);
    else
        finish_at_once(keep, op);
}
