#include "core/trace.h"

#include <inttypes.h>

static void trace_print_state(const struct trace_kind *kind, uint32_t state, FILE *out)
{
    if (kind->states && state < kind->state_count) {
        fprintf(out, " %s", kind->states[state]);
    } else {
        fprintf(out, " %" PRIu32, state);
    }
}

void trace_print(const struct trace *trace, FILE *out)
{
    uint64_t first = trace->count > TRACE_RECORDS ? trace->count - TRACE_RECORDS : 0;
    for (uint64_t i = first; i < trace->count; i++) {
        const struct trace_record *record = &trace->records[i % TRACE_RECORDS];
        fprintf(out, "%12" PRIu64 " us  %-10s %p", (uint64_t)(record->at_ns / NS_PER_US),
                record->kind->machine, record->object);
        trace_print_state(record->kind, record->from, out);
        fputs(" \xe2\x86\x92", out); /* an arrow */
        trace_print_state(record->kind, record->to, out);
        fputc('\n', out);
    }
}
