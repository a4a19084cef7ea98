/* stowage_memory: the keep whose objects are in this process's memory: one malloc'ed area a part,
 * received into and sent from straight.
 *
 *     sum of the parts' announced lengths ≤ bytes_max
 *
 * What would go beyond is refused (ERR_DISK_FULL), so that a test that stores too much is told, and
 * not killed. The kernel gives pages as they fill. */
#ifndef TOOLS_STOWAGE_MEMORY_H
#define TOOLS_STOWAGE_MEMORY_H

#include "tools/stowage_keep.h"

struct stowage_memory {
    struct stowage_keep keep;
    uint64_t bytes, bytes_max;
};

void stowage_memory_init(struct stowage_memory *memory, struct core *core, uint64_t bytes_max);

#endif
