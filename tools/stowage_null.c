#include "tools/stowage_null.h"

#include <stdlib.h>

#define PATTERN_SEED 0x61726773u /* any; fixed, so that every run answers the same */

static void null_sink_open(struct stowage_sink *sink, struct op *op)
{
    op_begin(op);
    core_finish(sink->keep->core, op, ERR_NONE);
}

static void null_sink_write(struct stowage_sink *sink, const char *data, uint32_t count,
                            struct op *op)
{
    (void)data;
    op_begin(op);
    sink->segment.bytes += count;
    core_finish(sink->keep->core, op, ERR_NONE);
}

static void null_source_fill(struct stowage_source *source, struct op *op)
{
    struct stowage_null *null = container_of(source->keep, struct stowage_null, keep);
    op_begin(op);
    source->iovec_count = 0;
    while (source->at < source->end && source->iovec_count < STOWAGE_SOURCE_IOVECS) {
        uint64_t offset = source->at % STOWAGE_NULL_PATTERN_BYTES;
        uint64_t count = min_u64(source->end - source->at, STOWAGE_NULL_PATTERN_BYTES - offset);
        source->iovecs[source->iovec_count++] = (struct iovec){null->pattern + offset, count};
        source->at += count;
    }
    core_finish(source->keep->core, op, ERR_NONE);
}

static const struct stowage_keep_kind kind = {
    .name = "null",
    .has_content = false,
    .sink_open = null_sink_open,
    .sink_write = null_sink_write,
    .source_fill = null_source_fill,
};

enum err stowage_null_init(struct stowage_null *null, struct core *core)
{
    struct rand rand;
    null->keep.kind = &kind;
    null->keep.core = core;
    uint64_t *words = malloc(STOWAGE_NULL_PATTERN_BYTES);
    if (!words) return ERR_NO_MEMORY;
    rand_init(&rand, PATTERN_SEED);
    for (size_t i = 0; i < STOWAGE_NULL_PATTERN_BYTES / sizeof(*words); i++)
        words[i] = rand_u64(&rand);
    null->pattern = (char *)words;
    return ERR_NONE;
}

void stowage_null_fini(struct stowage_null *null)
{
    free(null->pattern);
    null->pattern = NULL;
}

bool stowage_null_parse_key(struct bytes key, uint64_t *bytes)
{
    struct bytes start = BYTES("size-");
    if (!bytes_start_with(key, start)) return false;
    size_t i = start.count, digits = i;
    while (i < key.count && key.data[i] >= '0' && key.data[i] <= '9')
        i++;
    if (!bytes_parse_u64((struct bytes){key.data + digits, i - digits}, bytes)) return false;
    struct bytes rest = {key.data + i, key.count - i};
    uint64_t unit = 1;
    static const char letters[] = "KMGT";
    for (size_t n = 0; rest.count && n < sizeof(letters) - 1; n++)
        if (rest.data[0] == letters[n]) unit = 1ull << (10 * (n + 1));
    if (unit > 1) {
        rest = (struct bytes){rest.data + 1, rest.count - 1};
        if (bytes_start_with(rest, BYTES("iB")))
            rest = (struct bytes){rest.data + 2, rest.count - 2};
    }
    if (rest.count && rest.data[0] != '/' && rest.data[0] != '.' && rest.data[0] != '-')
        return false;
    if (*bytes > OBJECT_BYTES_MAX / unit) return false;
    *bytes *= unit;
    return true;
}

void stowage_null_checksum(const struct stowage_null *null, enum checksum_kind checksum_kind,
                           uint64_t bytes, struct checksum_value *value)
{
    struct checksum_value block;
    uint64_t block_bytes = STOWAGE_NULL_PATTERN_BYTES;
    checksum_of(checksum_kind, null->pattern, bytes % block_bytes, value);
    checksum_of(checksum_kind, null->pattern, block_bytes, &block);
    uint64_t tail = bytes % block_bytes, blocks = bytes / block_bytes;
    /* Whole blocks go in front of the rest, in powers of two: each bit doubles the block. */
    for (; blocks; blocks >>= 1, block_bytes *= 2) {
        if (blocks & 1) {
            checksum_combine(&block, value, tail, value);
            tail += block_bytes;
        }
        checksum_combine(&block, &block, block_bytes, &block);
    }
}
