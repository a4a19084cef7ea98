#include "core/mem.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/check.h"

#define MEM_HUGE_BYTES (2ull * MIB) /* a huge page of x86-64, and of arm64 with 4 KiB pages */
#define MEM_PAGE_BYTES 4096u        /* the least that a kernel has */
#define MEM_NODES_MAX  64u          /* of a mask that is one word; others are left to the kernel */
#define MEM_LINE_BYTES 4096u        /* a cgroup path is a file name below /sys/fs/cgroup */

enum err mem_map(void **area, size_t bytes)
{
    CHECK(bytes > 0);
    size_t wanted = align_up_u64(bytes, MEM_HUGE_BYTES);
    size_t mapped = wanted + MEM_HUGE_BYTES; /* so that an aligned piece is inside */
    char *start = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return ERR_NO_MEMORY;
    size_t before = align_up_u64((uintptr_t)start, MEM_HUGE_BYTES) - (uintptr_t)start;
    size_t behind = mapped - wanted - before;
    if (before) munmap(start, before);
    if (behind) munmap(start + before + wanted, behind);
    *area = start + before;
    madvise(*area, wanted, MADV_HUGEPAGE); /* an optimisation: refused where THP is off */
    return ERR_NONE;
}

unsigned mem_node(void)
{
    unsigned cpu, node;
    return getcpu(&cpu, &node) ? 0 : node;
}

static void mem_prefer(void *area, size_t bytes, unsigned node)
{
    unsigned long nodes = node < MEM_NODES_MAX ? 1ul << node : 0;
    int mode = MPOL_DEFAULT;
    bool known = syscall(SYS_get_mempolicy, &mode, NULL, 0ul, NULL, 0ul) == 0;
    if (!known || (mode != MPOL_DEFAULT && mode != MPOL_LOCAL) || nodes == 0) return;
    (void)syscall(SYS_mbind, area, align_up_u64(bytes, MEM_HUGE_BYTES), MPOL_PREFERRED, &nodes,
                  MEM_NODES_MAX + 1ul, 0u); /* an optimisation: containers refuse it */
}

/* A store a page, not MADV_POPULATE_WRITE, which would hold the lock of the whole address space for
 * as long as it takes: whoever maps something meanwhile would wait after all. */
void mem_touch(void *area, size_t bytes, unsigned node)
{
    mem_prefer(area, bytes, node);
    for (size_t at = 0; at < bytes; at += MEM_PAGE_BYTES)
        ((volatile char *)area)[at] = 0;
}

void mem_unmap(void *area, size_t bytes)
{
    munmap(area, align_up_u64(bytes, MEM_HUGE_BYTES));
}

/* The limit in a cgroup file; UINT64_MAX for "max", and where there is no such file. */
static uint64_t mem_read_limit(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) return UINT64_MAX;
    unsigned long long value = 0;
    uint64_t limit = fscanf(file, "%llu", &value) == 1 ? value : UINT64_MAX;
    fclose(file);
    return limit;
}

/* The least limit of the cgroup and all above it: each of them binds (cgroup-v2.rst, memory.max).
 */
static uint64_t mem_limit_above(const char *root, const char *file, char *group)
{
    uint64_t limit = UINT64_MAX;
    for (;;) {
        char path[MEM_LINE_BYTES + 64];
        snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
        limit = min_u64(limit, mem_read_limit(path));
        char *slash = strrchr(group, '/');
        if (!slash) return limit;
        *slash = 0;
    }
}

static uint64_t mem_cgroup_bytes(void)
{
    FILE *groups = fopen("/proc/self/cgroup", "re"); /* lines "id:controllers:/path" */
    if (!groups) return UINT64_MAX;
    uint64_t limit = UINT64_MAX;
    char line[MEM_LINE_BYTES];
    while (fgets(line, sizeof(line), groups)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        if (controllers[1] == 0) {
            limit = min_u64(limit, mem_limit_above("/sys/fs/cgroup", "memory.max", group));
        } else if (strstr(controllers + 1, "memory")) {
            const char *root = "/sys/fs/cgroup/memory";
            limit = min_u64(limit, mem_limit_above(root, "memory.limit_in_bytes", group));
        }
    }
    fclose(groups);
    return limit;
}

uint64_t mem_ram_bytes(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return min_u64(machine, mem_cgroup_bytes());
}

uint64_t mem_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re"); /* in pages: size, then resident */
    if (!file) return 0;
    unsigned long long size = 0, resident = 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
