#include "sched/ration.h"

#include "core/check.h"

void ration_init(struct ration *ration, uint64_t now_ns)
{
    *ration = (struct ration){.since_ns = now_ns, .share = 1};
}

/* What is allowed beyond the share: while the rate is not used up by those that may be there. */
static void ration_find_more(struct ration *ration, const struct ration_view *view)
{
    uint64_t span_ns = view->paced ? RATION_PACED_NS : RATION_FREE_NS;
    bool began = ration->rate_bytes_per_s == 0, turned = view->paced != ration->paced;
    if (began) ration->more = 0;
    if (began || turned || (!view->paced && !view->full)) ration->since_ns = view->now_ns;
    ration->paced = view->paced;
    if (view->now_ns - ration->since_ns < span_ns) return;
    ration->since_ns = view->now_ns;
    if (view->paced)
        ration->more /= 2;
    else
        ration->more = (uint32_t)min_u64(2 * ration->more + 1, RATION_MORE_MAX);
}

void ration_look(struct ration *ration, const struct ration_view *view)
{
    double rate = (double)view->rate_bytes_per_s, seconds = (double)RATION_NS / (double)NS_PER_S;
    CHECK(view->part_bytes > 0 && view->index < view->count);
    if (rate > 0) ration_find_more(ration, view);
    ration->rate_bytes_per_s = view->rate_bytes_per_s;
    double parts = rate * seconds / (double)view->part_bytes;
    uint32_t whole = parts < 1 ? 1 : parts > RATION_MORE_MAX ? RATION_MORE_MAX : (uint32_t)parts;
    ration->share = whole / view->count + (view->index < whole % view->count);
}

uint32_t ration_parts(const struct ration *ration)
{
    return ration->rate_bytes_per_s == 0 ? UINT32_MAX : ration->share + ration->more;
}

bool ration_is_ending(const struct ration *ration, uint64_t left_bytes)
{
    return left_bytes < ration->rate_bytes_per_s / (NS_PER_S / RATION_ENDING_NS);
}
