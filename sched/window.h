/* window: the greatest, or the least, value of the last while. Pure.
 *
 * Positions only grow: time, or rounds. The span is kept in WINDOW_SLOTS slots of equal length,
 * each with its extreme, so a value is forgotten after at least span × (1 − 1/WINDOW_SLOTS) and at
 * most the span: no history, no allocation. */
#ifndef SCHED_WINDOW_H
#define SCHED_WINDOW_H

#include "core/base.h"

#define WINDOW_SLOTS 8u

enum window_kind { WINDOW_GREATEST, WINDOW_LEAST };

struct window {
    /* private */
    enum window_kind kind;
    uint64_t slot_span;
    uint64_t slot;     /* of the newest value */
    uint32_t occupied; /* a bit a slot */
    double extremes[WINDOW_SLOTS];
};

void window_init(struct window *window, enum window_kind kind, uint64_t span); /* span ≥ 8 */
void window_reset(struct window *window);
void window_add(struct window *window, uint64_t position, double value);
/* The extreme of what is not older than the span at the newest position; 0 when there is none. */
double window_value(const struct window *window);
bool window_is_empty(const struct window *window);
/* Moves on without a value: what is too old is forgotten. */
void window_move(struct window *window, uint64_t position);

#endif
