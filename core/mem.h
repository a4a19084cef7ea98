/* mem: large areas straight from the kernel, in huge pages where it gives them. Not zeroed by us,
 * nor touched unless asked for. */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include "core/err.h"

/* `bytes` is rounded up to 2 MiB, and the area is aligned to that. Errors: ERR_NO_MEMORY. */
MUST_USE enum err mem_map(void **area, size_t bytes);
unsigned mem_node(void); /* of NUMA, where the caller runs */
/* Touches every page, so that nobody has to wait for it later. The kernel takes it from that node
 * while there is some, unless whoever began this process has said from where (numactl). */
void mem_touch(void *area, size_t bytes, unsigned node);
void mem_unmap(void *area, size_t bytes);
uint64_t mem_ram_bytes(void);      /* of the machine, or of our cgroup where that is less */
uint64_t mem_resident_bytes(void); /* of this process */

#endif
