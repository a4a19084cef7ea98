#include "sched/grain.h"

#include <math.h>

void grain_init(struct grain *grain, uint64_t first_bytes)
{
    *grain = (struct grain){.bytes = first_bytes,
                            .before_bytes = first_bytes,
                            .first_bytes = first_bytes,
                            .state = "start",
                            .why = "start"};
}

static bool grain_set(struct grain *grain, uint64_t bytes, const char *state, const char *why)
{
    if (bytes == grain->bytes) return false;
    grain->before_bytes = grain->bytes;
    grain->bytes = bytes;
    grain->state = state;
    grain->why = why;
    return true;
}

static void grain_learn(struct grain *grain, const struct grain_totals *totals, uint64_t wait_ns)
{
    const struct grain_totals *seen = &grain->seen;

    grain->parts = grain->parts / 2 + (double)(totals->parts - seen->parts);
    grain->moved_bytes = grain->moved_bytes / 2 + (double)(totals->bytes - seen->bytes);
    grain->taken_ns = grain->taken_ns / 2 + (double)(totals->taken_ns - seen->taken_ns);
    grain->seen = *totals;
    grain->wait_ns = wait_ns;
    double moved_ns = grain->taken_ns - grain->parts * (double)wait_ns;
    moved_ns = fmax(moved_ns, grain->taken_ns / 20); /* none of them waits nearly all the time */
    grain->rate_bytes_per_s =
        grain->moved_bytes * (double)NS_PER_S / fmax(moved_ns, (double)NS_PER_US);
}

/* Where the share of the waits is what it may be. */
static uint64_t grain_target(const struct grain *grain, uint64_t bytes_max)
{
    double wait_s = (double)grain->wait_ns / (double)NS_PER_S;
    double bytes = grain->rate_bytes_per_s * wait_s * (1 - GRAIN_SHARE) / GRAIN_SHARE;

    if (grain->wait_ns < GRAIN_WAIT_NS) return grain->first_bytes;
    bytes = fmin(bytes, (double)GRAIN_BYTES_MAX);
    uint64_t whole = align_up_u64((uint64_t)bytes, GRAIN_ALIGN);
    return max_u64(min_u64(whole, bytes_max), grain->first_bytes);
}

static bool grain_look(struct grain *grain, uint64_t bytes_max)
{
    uint64_t now = grain->bytes, target = grain_target(grain, bytes_max);

    if (target >= now + now / 4)
        return grain_set(grain, min_u64(target, 2 * now), "growing",
                         "parts wait for answers more than a tenth of their time");
    if (target + target / 2 <= now)
        return grain_set(grain, max_u64(target, align_up_u64(now / 2, GRAIN_ALIGN)), "shrinking",
                         "smaller parts wait no more than a tenth of their time");
    return false;
}

bool grain_tick(struct grain *grain, const struct grain_totals *totals, uint64_t wait_ns,
                uint64_t bytes_max)
{
    bytes_max = align_down_u64(min_u64(bytes_max, GRAIN_BYTES_MAX), GRAIN_ALIGN);
    bytes_max = max_u64(bytes_max, grain->first_bytes);
    if (grain->first_bytes == 0) return false;
    if (grain->bytes > bytes_max)
        return grain_set(grain, bytes_max, "bounded",
                         "the memory holds no more of what is in flight");
    if (totals->parts - grain->seen.parts < GRAIN_PARTS) return false;
    grain_learn(grain, totals, wait_ns);
    return grain_look(grain, bytes_max);
}

uint64_t grain_next(struct grain *grain, uint64_t left_bytes, uint32_t slots, bool *changed)
{
    uint64_t share, bytes = grain->bytes;

    *changed = false;
    if (left_bytes == GRAIN_WHOLE_RUN || slots == 0 || bytes == 0) return bytes;
    share = align_up_u64(left_bytes / slots, GRAIN_ALIGN);
    bytes = min_u64(bytes, max_u64(share, grain->first_bytes));
    if (bytes == grain->bytes || grain->ending) return bytes;
    grain->ending = *changed = true;
    grain->before_bytes = grain->bytes;
    grain->state = "ending";
    grain->why = "what is left is shared out, so that the last parts end together";
    return bytes;
}
