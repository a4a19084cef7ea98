/* trace: a core's flight recorder: the last state changes and events, printed when a check fails or
 * on demand. A record is four words, no formatting, no allocation. Never secrets, never payload. */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <stdio.h>

#include "core/base.h"

#define TRACE_RECORDS 1024u /* a core's last few milliseconds under load */

struct trace_kind { /* one a state machine: names for its records */
    const char *machine;
    const char *const *states;
    uint32_t state_count;
};

struct trace_record {
    uint64_t at_ns;
    const struct trace_kind *kind;
    const void *object;
    uint32_t from, to;
};

struct trace {
    struct trace_record records[TRACE_RECORDS];
    uint64_t count;
};

static inline void trace_state(struct trace *trace, uint64_t now_ns, const struct trace_kind *kind,
                               const void *object, uint32_t from, uint32_t to)
{
    struct trace_record *record = &trace->records[trace->count++ % TRACE_RECORDS];
    record->at_ns = now_ns;
    record->kind = kind;
    record->object = object;
    record->from = from;
    record->to = to;
}

void trace_print(const struct trace *trace, FILE *out); /* oldest first */

#endif
