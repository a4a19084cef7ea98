#include "core/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"

static uint64_t clock_read(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t); /* cannot fail for the two clocks that every Linux has */
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_now_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
    return clock_read(CLOCK_REALTIME);
}

/* "1234 567 8": ns on a CPU, as of the last switch or timer tick; ns waited for one; how often. */
static bool clock_read_waited(int fd, uint64_t *waited_ns)
{
    char text[96];
    struct bytes rest;
    ssize_t count = pread(fd, text, sizeof text, 0);
    if (count <= 0) return false;
    (void)bytes_cut((struct bytes){text, (size_t)count}, ' ', &rest);
    return bytes_parse_u64(bytes_cut(rest, ' ', &rest), waited_ns);
}

void clock_look_thread(struct clock_thread *thread)
{
    thread->ran_ns = clock_read(CLOCK_THREAD_CPUTIME_ID);
    if (thread->file == 0)
        thread->file = 1 + open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (thread->file == 0 ||
        (thread->file > 0 && !clock_read_waited(thread->file - 1, &thread->waited_ns))) {
        clock_close_thread(thread);
        thread->file = -1;
    }
}

void clock_close_thread(struct clock_thread *thread)
{
    if (thread->file > 0) close(thread->file - 1);
    thread->file = 0;
}
