#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/limits.h"

#define PROGRAM_BYTES_MAX 64u

_Static_assert(LOG_TEXT_BYTES_MAX > PATH_BYTES_MAX + 2 * KEY_BYTES_MAX,
               "a line has room for a path and a key");

static void write_whole(struct bytes line)
{
    while (line.count > 0) {
        ssize_t count = write(STDERR_FILENO, line.data, line.count);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return; /* nobody can be told */
        line.data += count;
        line.count -= (size_t)count;
    }
}

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    char text[LOG_TEXT_BYTES_MAX + 1];
    char line[PROGRAM_BYTES_MAX + 4 * LOG_TEXT_BYTES_MAX + 8]; /* an escaped byte takes four */
    struct writer w;
    va_list arguments;
    int errno_before = errno;

    if (level > log->level_max) return;
    va_start(arguments, format);
    int count = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (count < 0) return;
    writer_init(&w, line, sizeof(line));
    writer_format(&w, "%.*s: ", (int)PROGRAM_BYTES_MAX, log->program);
    writer_visible(&w, (struct bytes){text, min_u64((uint64_t)count, LOG_TEXT_BYTES_MAX)});
    writer_char(&w, '\n');
    write_whole(writer_bytes(&w));
    errno = errno_before;
}
