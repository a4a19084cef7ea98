/* stowage_null: the keep that keeps nothing: bodies are counted and checked, reading gives a
 * pattern. For benchmarks, so it must cost next to nothing.
 *
 * The byte at offset i of every object is pattern[i mod STOWAGE_NULL_PATTERN_BYTES]. Any size can
 * be read without having been put: the key "size-4GiB", "size-16KiB/0001" or "size-1000.bin" is an
 * object of that many bytes (K, M, G, T; with or without "iB": powers of 1024). */
#ifndef TOOLS_STOWAGE_NULL_H
#define TOOLS_STOWAGE_NULL_H

#include "tools/stowage_keep.h"

/* Several copies of it make one send; small, so that it stays in the second-level cache. */
#define STOWAGE_NULL_PATTERN_BYTES (256u * 1024u)

struct stowage_null {
    struct stowage_keep keep;
    char *pattern;
};

MUST_USE enum err stowage_null_init(struct stowage_null *null, struct core *core);
void stowage_null_fini(struct stowage_null *null);
/* The size that a key's name asks for. False: it is an ordinary key. */
bool stowage_null_parse_key(struct bytes key, uint64_t *bytes);
/* The checksum of the first `bytes` of the pattern; kinds that combine only. */
void stowage_null_checksum(const struct stowage_null *null, enum checksum_kind kind, uint64_t bytes,
                           struct checksum_value *value);

#endif
