/* count: counts what a program allocates and copies, as a preloaded library (tests/system/
 * cases_budget.py). At exit it writes "allocations=N copied_bytes=N" to $COUNT_FILE.
 *
 * Allocations are calls of malloc, calloc, realloc, posix_memalign, aligned_alloc. Copied bytes are
 * those of memcpy, memmove and their checked forms of COPY_BYTES_MIN and more: payload travels in
 * larger pieces, heads and names in smaller ones. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES_MIN 512u

static atomic_ullong allocations, copied_bytes;
static char early[65536]; /* for what dlsym itself allocates before we know the allocator */
static atomic_size_t early_used;

void *__memcpy_chk(void *to, const void *from, size_t count, size_t room);
void *__memmove_chk(void *to, const void *from, size_t count, size_t room);

static void *early_take(size_t count)
{
    size_t at = atomic_fetch_add(&early_used, (count + 15) & ~(size_t)15);
    return at + count <= sizeof(early) ? early + at : NULL;
}

static int is_early(const void *memory)
{
    return (const char *)memory >= early && (const char *)memory < early + sizeof(early);
}

/* The next definition of `name` behind us. dlsym may allocate: `busy` sends it to early_take(). */
static __thread int busy;

static void *next(const char *name)
{
    busy++;
    void *found = dlsym(RTLD_NEXT, name);
    busy--;
    return found;
}

#define NEXT(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (!real && !busy) real = (__typeof__(name) *)next(#name);

static void allocated(void)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void *malloc(size_t count)
{
    NEXT(malloc)
    if (!real) return early_take(count);
    allocated();
    return real(count);
}

void *calloc(size_t members, size_t count)
{
    NEXT(calloc)
    if (!real) return early_take(members * count); /* static memory is zero */
    allocated();
    return real(members, count);
}

void *realloc(void *memory, size_t count)
{
    NEXT(realloc)
    if (is_early(memory) || !real) {
        void *moved = malloc(count);
        if (moved && memory) {
            size_t room = (size_t)(early + sizeof(early) - (char *)memory);
            for (size_t i = 0; i < count && i < room; i++)
                ((char *)moved)[i] = ((char *)memory)[i];
        }
        return moved;
    }
    allocated();
    return real(memory, count);
}

int posix_memalign(void **memory, size_t alignment, size_t count)
{
    NEXT(posix_memalign)
    allocated();
    return real(memory, alignment, count);
}

void *aligned_alloc(size_t alignment, size_t count)
{
    NEXT(aligned_alloc)
    allocated();
    return real(alignment, count);
}

void free(void *memory)
{
    NEXT(free)
    if (memory && !is_early(memory) && real) real(memory);
}

static void copied(size_t count)
{
    if (count >= COPY_BYTES_MIN)
        atomic_fetch_add_explicit(&copied_bytes, count, memory_order_relaxed);
}

/* Moved by the string instruction: it needs no library call, so it cannot come back to us. */
static void move_bytes(void *to, const void *from, size_t count)
{
    char *end = to;
    const char *source = from;
    if (end <= source || end >= source + count) {
        __asm__ volatile("rep movsb" : "+D"(end), "+S"(source), "+c"(count) : : "memory");
        return;
    }
    end += count - 1;
    source += count - 1;
    __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(end), "+S"(source), "+c"(count) : : "memory");
}

void *memcpy(void *to, const void *from, size_t count)
{
    copied(count);
    move_bytes(to, from, count);
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    copied(count);
    move_bytes(to, from, count);
    return to;
}

void *__memcpy_chk(void *to, const void *from, size_t count, size_t room)
{
    if (count > room) abort();
    return memcpy(to, from, count);
}

void *__memmove_chk(void *to, const void *from, size_t count, size_t room)
{
    if (count > room) abort();
    return memmove(to, from, count);
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("COUNT_FILE");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (fd < 0) return;
    dprintf(fd, "allocations=%llu copied_bytes=%llu\n", (unsigned long long)allocations,
            (unsigned long long)copied_bytes);
    close(fd);
}
