/* log: lines for people, on standard error, whole lines only (one write(2) a line), from any
 * thread. Log where an error is handled, once, with the object's name. Never secrets.
 *
 * Names are foreign data: control characters and bytes that are not UTF-8 are shown as \xNN, so
 * that a name can neither fake a second line nor drive the terminal. So a format ends without "\n".
 * A text of more than LOG_TEXT_BYTES_MAX bytes is cut off. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/base.h"

#define LOG_TEXT_BYTES_MAX 8192u /* a path and its key, and the sentence around them */

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTE, LOG_DETAIL, LOG_DEBUG };

/* "argosy: " and the text. What is above `level_max` is not printed; the level is set once, before
 * threads start. */
struct log {
    enum log_level level_max;
    const char *program;
};

void log_line(const struct log *log, enum log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
