#include "sched/straggler.h"

#include <string.h>

#include "core/check.h"

#define STRAGGLER_SMALLEST_LOG2 16u /* 64 KiB */
#define STRAGGLER_UP_MAX        4u  /* powers of two that a smaller size's time is stretched over */
#define STRAGGLER_UNKNOWN_NS    UINT64_MAX
/* Each look keeps seven eighths of the window: half of it is from the last two and a half s. */
#define STRAGGLER_WINDOW_SHIFT 3u
/* A cut costs a request as well, however few bytes had moved. */
#define STRAGGLER_CHARGE_MIN_BYTES MIB
#define STRAGGLER_LONE_SHIFT_MAX   16u /* more is for ever */

void straggler_init(struct straggler *straggler)
{
    memset(straggler, 0, sizeof *straggler);
}

void straggler_begin(const struct straggler *straggler, struct straggler_trail *trail)
{
    *trail = (struct straggler_trail){.finished_before = straggler->finished};
}

/* --- the model --- */

static uint32_t straggler_class_of(uint64_t bytes)
{
    uint32_t log2 = bytes ? 63 - (uint32_t)__builtin_clzll(bytes) : 0;
    if (log2 <= STRAGGLER_SMALLEST_LOG2) return 0;
    return (uint32_t)min_u64(log2 - STRAGGLER_SMALLEST_LOG2, STRAGGLER_CLASSES - 1);
}

static uint64_t straggler_class_limit_ns(const struct rtt *class)
{
    uint64_t limit_ns = max_u64(rtt_timeout_ns(class), 2 * class->smoothed_ns);
    return max_u64(limit_ns, STRAGGLER_LIMIT_NS);
}

/* Of its own size; else of the next larger, which takes no less; else of the next smaller, at the
 * same time a byte. */
uint64_t straggler_limit_ns(const struct straggler *straggler, uint64_t bytes)
{
    uint32_t own = straggler_class_of(bytes);
    for (uint32_t i = own; i < STRAGGLER_CLASSES; i++)
        if (straggler->classes[i].count >= STRAGGLER_SAMPLES_MIN)
            return straggler_class_limit_ns(&straggler->classes[i]);
    for (uint32_t up = 1; up <= min_u64(own, STRAGGLER_UP_MAX); up++)
        if (straggler->classes[own - up].count >= STRAGGLER_SAMPLES_MIN)
            return straggler_class_limit_ns(&straggler->classes[own - up]) << (up + 1);
    return 0;
}

void straggler_on_finished(struct straggler *straggler, uint64_t bytes, uint64_t waited_ns)
{
    int64_t earned = (int64_t)(STRAGGLER_PERCENT * min_u64(bytes, 1ull << 50));
    straggler->finished++;
    straggler->finished_look = straggler->looks;
    straggler->tokens_bytes += earned;
    if (straggler->tokens_bytes > (int64_t)(100 * STRAGGLER_TOKENS_MAX))
        straggler->tokens_bytes = (int64_t)(100 * STRAGGLER_TOKENS_MAX);
    rtt_add(&straggler->classes[straggler_class_of(bytes)], waited_ns);
}

void straggler_on_cut(struct straggler *straggler, const struct straggler_view *view,
                      uint64_t vain_bytes)
{
    uint64_t least = min_u64(view->again_bytes, STRAGGLER_CHARGE_MIN_BYTES);
    straggler->tokens_bytes -= (int64_t)(100 * max_u64(vain_bytes, least));
}

/* --- looks --- */

static uint64_t straggler_rate_of(uint64_t bytes, uint64_t ns)
{
    if (ns == 0) return 0;
    return (uint64_t)((double)bytes * (double)NS_PER_S / (double)ns);
}

uint64_t straggler_rate(const struct straggler_trail *trail)
{
    return straggler_rate_of(trail->window_bytes, trail->window_ns);
}

/* What stood still with all others a moment ago, and moves again, is not slow. */
static uint64_t straggler_own_rate(const struct straggler_trail *trail)
{
    return max_u64(straggler_rate(trail), straggler_rate_of(trail->look_bytes, trail->look_ns));
}

void straggler_survey(struct straggler *straggler)
{
    straggler->rate_count = straggler->out_count = 0;
    straggler->rate_sum = 0;
    straggler->looks++;
}

static void straggler_note_rate(struct straggler *straggler, uint64_t rate)
{
    uint32_t at = straggler->rate_count;
    straggler->rate_sum += rate;
    if (at == STRAGGLER_RATES_MAX) return; /* so many tell enough */
    for (; at > 0 && straggler->rates[at - 1] > rate; at--)
        straggler->rates[at] = straggler->rates[at - 1];
    straggler->rates[at] = rate;
    straggler->rate_count++;
}

void straggler_see(struct straggler *straggler, struct straggler_trail *trail,
                   const struct straggler_view *view)
{
    uint64_t bytes = view->moved_bytes - min_u64(trail->moved_bytes, view->moved_bytes);
    uint64_t ns = view->waited_ns - min_u64(trail->waited_ns, view->waited_ns);
    trail->look_bytes = bytes;
    trail->look_ns = ns;
    trail->moved_bytes = view->moved_bytes;
    trail->waited_ns = view->waited_ns;
    trail->moving = !view->answering;
    if (view->answering) { /* what moves afterwards is measured anew */
        trail->window_bytes = trail->window_ns = 0;
        trail->floor_bytes = trail->share_bytes = trail->lone_bytes = view->moved_bytes;
        trail->floor_ns = trail->share_ns = trail->lone_ns = view->waited_ns;
    } else {
        trail->window_bytes += bytes - (trail->window_bytes >> STRAGGLER_WINDOW_SHIFT);
        trail->window_ns += ns - (trail->window_ns >> STRAGGLER_WINDOW_SHIFT);
    }
    if (view->floor_only) return;
    straggler->out_count++;
    straggler->out_max = (uint32_t)max_u64(straggler->out_max, straggler->out_count);
    if (trail->moving && trail->window_ns > 0)
        straggler_note_rate(straggler, straggler_rate(trail));
}

/* Of all that move, the upper one of two: with one other, the other's. */
static uint64_t straggler_median(const struct straggler *straggler)
{
    if (straggler->rate_count == 0) return 0;
    return straggler->rates[straggler->rate_count / 2];
}

/* --- verdicts --- */

static bool straggler_is_below_floor(struct straggler_trail *trail,
                                     const struct straggler_view *view)
{
    uint64_t span_ns = view->waited_ns - trail->floor_ns;
    if (span_ns < view->stall_ns) return false;
    double moved = (double)(view->moved_bytes - trail->floor_bytes);
    bool below = moved * (double)NS_PER_S < (double)STRAGGLER_FLOOR * (double)span_ns;
    trail->floor_bytes = view->moved_bytes;
    trail->floor_ns = view->waited_ns;
    return below;
}

/* Of two others at least, since one may be the exception itself. Now as well as in the whole span:
 * what has recovered goes on. A share of next to nothing is no measure. */
static bool straggler_is_below_share(const struct straggler *straggler,
                                     struct straggler_trail *trail,
                                     const struct straggler_view *view)
{
    uint64_t span_ns = view->waited_ns - trail->share_ns;
    if (span_ns < max_u64(view->stall_ns / 3, STRAGGLER_SHARE_NS)) return false;
    double floor = (double)straggler_median(straggler) / STRAGGLER_SHARE; /* bytes/s */
    double moved = (double)(view->moved_bytes - trail->share_bytes);
    bool below = moved < floor * (double)span_ns / (double)NS_PER_S;
    trail->share_bytes = view->moved_bytes;
    trail->share_ns = view->waited_ns;
    if (floor < (double)STRAGGLER_FLOOR) return false;
    return below && straggler->rate_count >= 3 && (double)straggler_own_rate(trail) < floor;
}

static uint64_t straggler_left_ns(const struct straggler_trail *trail,
                                  const struct straggler_view *view)
{
    uint64_t rate = straggler_own_rate(trail);
    uint64_t left = view->bytes - min_u64(view->bytes, view->moved_bytes);
    if (view->answering || rate == 0) return STRAGGLER_UNKNOWN_NS;
    return (uint64_t)((double)left * (double)NS_PER_S / (double)rate);
}

/* While the whole server is silent nothing finishes; what is judged then began before. */
static bool straggler_is_alone_in_it(const struct straggler *straggler,
                                     const struct straggler_trail *trail,
                                     const struct straggler_view *view, uint64_t limit_ns)
{
    uint64_t silent_ns = (straggler->looks - straggler->finished_look) * STRAGGLER_LOOK_NS;
    bool last = straggler->out_count <= 1 || 4 * straggler->out_count <= straggler->out_max;
    bool late = view->waited_ns > 2 * limit_ns;
    if (last) return late;
    if (straggler->finished - trail->finished_before < 2) return false;
    if (late && silent_ns <= limit_ns / 2) return true;
    return !view->answering && straggler->rate_count >= 2 &&
           2 * straggler_own_rate(trail) <= straggler_median(straggler);
}

static bool straggler_is_behind(const struct straggler *straggler,
                                const struct straggler_trail *trail,
                                const struct straggler_view *view)
{
    if (straggler->tokens_bytes < 0 || view->cuts >= STRAGGLER_CUTS_MAX) return false;
    if (view->bytes == 0) return false;
    uint64_t limit_ns = straggler_limit_ns(straggler, view->bytes);
    if (limit_ns == 0 || view->waited_ns <= limit_ns) return false;
    /* It pays only if another attempt, at its worst, would be the first to end. */
    uint64_t again_ns = straggler_limit_ns(straggler, view->again_bytes);
    if (again_ns == 0 || straggler_left_ns(trail, view) <= again_ns) return false;
    return straggler_is_alone_in_it(straggler, trail, view, limit_ns);
}

/* How long it may go on so. */
static uint64_t straggler_lone_ns(const struct straggler_view *view, uint64_t limit_ns)
{
    uint64_t patience_ns = STRAGGLER_LONE_STALLS * view->stall_ns;
    if (limit_ns) patience_ns = max_u64(view->stall_ns, 4 * limit_ns);
    return patience_ns << min_u64(view->lone_cuts, STRAGGLER_LONE_SHIFT_MAX);
}

/* Slow all the time, and all that is under way with it is now: whether that is the path or only
 * its connection, another one will tell. */
static bool straggler_is_lone(const struct straggler *straggler, struct straggler_trail *trail,
                              const struct straggler_view *view)
{
    uint64_t span_ns = view->waited_ns - trail->lone_ns;
    uint64_t limit_ns = straggler_limit_ns(straggler, view->bytes);
    uint64_t patience_ns = straggler_lone_ns(view, limit_ns);
    if (span_ns < patience_ns) return false;
    uint64_t usual = straggler_rate_of(view->bytes, limit_ns);
    double floor = (double)max_u64(STRAGGLER_LONE_FLOOR, usual / STRAGGLER_SHARE); /* bytes/s */
    double moved = (double)(view->moved_bytes - trail->lone_bytes);
    if (moved * (double)NS_PER_S >= floor * (double)span_ns) {
        trail->lone_bytes = view->moved_bytes;
        trail->lone_ns = view->waited_ns;
        return false;
    }
    if ((double)straggler->rate_sum >= floor) return false;
    return straggler_left_ns(trail, view) > patience_ns;
}

enum straggler_verdict straggler_judge(struct straggler *straggler, struct straggler_trail *trail,
                                       const struct straggler_view *view)
{
    if (!view->answering) {
        if (straggler_is_below_floor(trail, view)) return STRAGGLER_STALLED;
        if (!view->floor_only && straggler_is_below_share(straggler, trail, view))
            return STRAGGLER_STALLED;
    }
    if (view->floor_only) return STRAGGLER_FINE;
    if (straggler_is_behind(straggler, trail, view)) return STRAGGLER_BEHIND;
    if (view->answering || !straggler_is_lone(straggler, trail, view)) return STRAGGLER_FINE;
    return STRAGGLER_LONE;
}
