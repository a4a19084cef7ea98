#include "sched/depth.h"

#include <math.h>

#include "sched/flow.h"

void depth_init(struct depth *depth)
{
    *depth = (struct depth){.state = "start",
                            .why = "start",
                            .rest_rounds = DEPTH_REST_ROUNDS,
                            .spare_rounds = DEPTH_SPARE_ROUNDS};
}

static bool depth_set(struct depth *depth, uint32_t parts, const char *state, const char *why)
{
    if (parts == depth->parts) return false;
    depth->before = depth->parts;
    depth->parts = parts;
    depth->state = state;
    depth->why = why;
    return true;
}

static uint64_t depth_sum(const struct depth_totals *totals)
{
    uint64_t count = 0;
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        count += totals->staged[rank];
    return count;
}

static void depth_begin_round(struct depth *depth, uint64_t now_ns,
                              const struct depth_totals *totals)
{
    depth->began_ns = now_ns;
    depth->seen = *totals;
    depth->ready_least = totals->ready;
}

static uint64_t depth_staged(const struct depth *depth, const struct depth_totals *totals)
{
    return depth_sum(totals) - depth_sum(&depth->seen);
}

static bool depth_round_is_over(const struct depth *depth, uint64_t now_ns,
                                const struct depth_totals *totals)
{
    uint64_t passed_ns = now_ns - depth->began_ns;
    if (passed_ns < DEPTH_ROUND_NS) return false;
    return depth_staged(depth, totals) >= DEPTH_STAGED_MIN || passed_ns >= DEPTH_ROUND_NS_MAX;
}

/* X · L, of the rank of which it is more; but no more than twice what was free beyond what there
 * is, since L has what queued at the disk in it. */
static uint32_t depth_wanted(const struct depth *depth, uint64_t now_ns,
                             const struct depth_totals *totals, uint32_t window)
{
    double wanted = 0, passed_ns = (double)(now_ns - depth->began_ns);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        double staged = (double)(totals->staged[rank] - depth->seen.staged[rank]);
        double parts = rank == TASK_FIRST ? staged : staged / FLOW_OBJECTS;
        wanted = fmax(wanted, parts / passed_ns * (double)totals->tail_ns[rank]);
    }
    wanted = fmin(wanted, depth->parts + 2 * depth->starved * window);
    return (uint32_t)ceil(wanted);
}

static void depth_begin_trial(struct depth *depth, bool less)
{
    depth->phase = DEPTH_FILLING;
    depth->less = less;
    depth->starved_before = depth->starved;
    depth->bytes_per_s_before = depth->bytes_per_s;
}

static void depth_rest(struct depth *depth)
{
    depth->resting = depth->rest_rounds;
    depth->rest_rounds = (uint32_t)min_u64(2 * depth->rest_rounds, DEPTH_PATIENCE_MAX);
}

/* True: what was tried is undone. */
static bool depth_judge(struct depth *depth)
{
    double chance = 2 / sqrt(depth->staged + 1);
    double starved = depth->starved / fmax(depth->starved_before, 1e-9);
    double rate = depth->bytes_per_s / fmax(depth->bytes_per_s_before, 1e-9);
    depth->phase = DEPTH_STEADY;
    depth->in_vain = false;
    if (depth->less) {
        depth_rest(depth);
        if (starved <= DEPTH_HARMED && rate >= DEPTH_HARMED_RATE - chance) return false;
        return depth_set(depth, depth->before, "more", "less of it left more of the window free");
    }
    if (starved <= DEPTH_HELPED || rate >= fmax(DEPTH_HELPED_RATE, 1 + chance)) return false;
    depth_rest(depth);
    depth->in_vain = true;
    return depth_set(depth, depth->before, "taken back",
                     "reading is the limit: more staged ahead left as much of the window free");
}

static bool depth_take_spare(struct depth *depth)
{
    bool spare = depth->ready_least > 0 && depth->parts > 0;
    depth->spare_least = min_u64(depth->spare > 0 ? depth->spare_least : UINT64_MAX,
                                 min_u64(depth->ready_least, depth->parts));
    depth->spare = spare ? depth->spare + 1 : 0;
    if (depth->spare < depth->spare_rounds) return false;
    depth->spare = 0;
    depth->spare_rounds = (uint32_t)min_u64(2 * depth->spare_rounds, DEPTH_PATIENCE_MAX);
    return depth_set(depth, depth->parts - (uint32_t)depth->spare_least, "less",
                     "some stood ready at all times");
}

static bool depth_add(struct depth *depth, uint32_t wanted, uint32_t most)
{
    wanted = (uint32_t)min_u64(max_u64(wanted, depth->parts + 1), most);
    if (wanted <= depth->parts) return false;
    depth_begin_trial(depth, false);
    return depth_set(depth, wanted, "more",
                     "the window was not all on the wire, since parts were being read");
}

/* More may not be added, or was in vain, and what there is does not do it. */
static bool depth_halve(struct depth *depth)
{
    if (depth->parts == 0) return false;
    depth_begin_trial(depth, true);
    return depth_set(depth, depth->parts / 2, "less",
                     "reading is the limit, whatever is staged ahead: less may do as well");
}

static bool depth_round(struct depth *depth, uint32_t wanted, uint32_t most)
{
    if (depth->phase == DEPTH_FILLING) {
        depth->phase = DEPTH_TRYING;
        return false;
    }
    if (depth->phase == DEPTH_TRYING && depth_judge(depth)) return true;
    if (depth_take_spare(depth)) return true;
    if (depth->resting > 0) {
        depth->resting--;
        return false;
    }
    if (depth->starved < DEPTH_STARVED) return false;
    if (depth->in_vain && depth_halve(depth)) return true;
    return depth_add(depth, wanted, most) || depth_halve(depth);
}

bool depth_tick(struct depth *depth, uint64_t now_ns, const struct depth_totals *totals,
                uint32_t window, const struct depth_bounds *bounds)
{
    if (!depth->running) { /* a first window is read at once, while there is nothing to send */
        depth_begin_round(depth, now_ns, totals);
        depth->running = depth_sum(totals) >= window;
    }
    depth->ready_least = min_u64(depth->ready_least, totals->ready);
    if (depth->parts > bounds->keep) {
        depth->phase = DEPTH_STEADY;
        return depth_set(depth, bounds->keep, "bounded", "the memory holds no more");
    }
    if (!depth_round_is_over(depth, now_ns, totals)) return false;
    double passed_ns = (double)(now_ns - depth->began_ns), sent_ns = passed_ns * window;
    depth->starved = (double)(totals->starved_ns - depth->seen.starved_ns) / sent_ns;
    depth->staged = (double)depth_staged(depth, totals);
    depth->bytes_per_s =
        (double)(totals->staged_bytes - depth->seen.staged_bytes) * (double)NS_PER_S / sent_ns;
    uint32_t wanted = depth_wanted(depth, now_ns, totals, window);
    bool changed = depth_round(depth, wanted, bounds->add);
    depth_begin_round(depth, now_ns, totals);
    return changed;
}
