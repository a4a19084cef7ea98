#include "sched/window.h"

#include "core/check.h"

void window_init(struct window *window, enum window_kind kind, uint64_t span)
{
    CHECK(span >= WINDOW_SLOTS);
    *window = (struct window){.kind = kind, .slot_span = span / WINDOW_SLOTS};
}

void window_reset(struct window *window)
{
    window->occupied = 0;
}

void window_move(struct window *window, uint64_t position)
{
    uint64_t slot = position / window->slot_span;

    if (slot <= window->slot) return;
    if (slot - window->slot >= WINDOW_SLOTS) window->occupied = 0;
    while (window->occupied && window->slot < slot) {
        window->slot++;
        window->occupied &= ~(1u << (window->slot % WINDOW_SLOTS));
    }
    window->slot = slot;
}

static bool window_prefers(const struct window *window, double value, double other)
{
    return window->kind == WINDOW_GREATEST ? value > other : value < other;
}

void window_add(struct window *window, uint64_t position, double value)
{
    window_move(window, position);
    uint32_t i = (uint32_t)(window->slot % WINDOW_SLOTS);
    if (!(window->occupied & 1u << i) || window_prefers(window, value, window->extremes[i]))
        window->extremes[i] = value;
    window->occupied |= 1u << i;
}

bool window_is_empty(const struct window *window)
{
    return window->occupied == 0;
}

double window_value(const struct window *window)
{
    bool found = false;
    double best = 0;

    for (uint32_t i = 0; i < WINDOW_SLOTS; i++) {
        if (!(window->occupied & 1u << i)) continue;
        if (!found || window_prefers(window, window->extremes[i], best)) best = window->extremes[i];
        found = true;
    }
    return best;
}
