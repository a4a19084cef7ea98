#include "sched/blame.h"

/* Less than that on its way is nothing but an acknowledgement that the peer holds back, since it
 * must send one for every second segment (RFC 9293, 3.8.6.3). */
#define BLAME_SEGMENTS_HELD 2u
/* Of the window, what comes in a round trip: at all of it the window is the limit; a path that is
 * just as wide as the window may be found guilty or not. */
#define BLAME_WINDOW_USED 0.75

/* BBR paces what a window lets through, so that it finds it shut for a part of the time only (0.4
 * of it on 40 ms with 64 KiB, where CUBIC has 0.96): from this part on it is all of it. */
#define BLAME_SHUT 0.25

static const enum blame_kind blame_kinds[BLAME_CAUSES] = {
#define CAUSE(name, kind) [BLAME_##name] = BLAME_KIND_##kind,
    BLAME_CAUSE_TABLE(CAUSE)
#undef CAUSE
};

static const char *const blame_names[BLAME_KINDS] = {
#define KIND(name, word) [BLAME_KIND_##name] = #word,
    BLAME_KIND_TABLE(KIND)
#undef KIND
};

/* --- a tick --- */

void blame_tick_init(struct blame_tick *tick, uint64_t now_ns, uint64_t passed_ns)
{
    *tick = (struct blame_tick){
        .now_ns = now_ns, .passed_ns = passed_ns, .filled = 1, .idle = BLAME_FEW};
}

void blame_add(struct blame_tick *tick, enum blame_cause cause, double weight)
{
    tick->weights[cause] += weight;
}

void blame_add_staging(struct blame_tick *tick, bool growing, double weight)
{
    if (growing)
        tick->growing += weight;
    else
        tick->staging += weight;
}

void blame_add_sending(struct blame_tick *tick, const struct blame_wire *wire, double weight)
{
    double busy = (double)wire->busy_ns;
    double peer = (double)min_u64(wire->peer_window_ns, wire->busy_ns);
    double ours = (double)min_u64(wire->send_buffer_ns, wire->busy_ns - (uint64_t)peer);

    if (wire->busy_ns == 0) {
        blame_add(tick, BLAME_PATH, weight);
        return;
    }
    if (peer + ours >= BLAME_SHUT * busy) busy = peer + ours;
    blame_add(tick, BLAME_PEER_WINDOW, weight * peer / busy);
    blame_add(tick, BLAME_SEND_BUFFER, weight * ours / busy);
    blame_add(tick, BLAME_PATH, weight * (busy - peer - ours) / busy);
}

void blame_add_answer(struct blame_tick *tick, const struct blame_wire *wire, uint64_t sent_ns,
                      double weight)
{
    uint64_t held_bytes = BLAME_SEGMENTS_HELD * wire->segment_bytes;

    if (wire->unsent_bytes > 0 || wire->unanswered_bytes > held_bytes)
        blame_add_sending(tick, wire, weight);
    else if (tick->now_ns - min_u64(sent_ns, tick->now_ns) < wire->rtt_min_ns)
        blame_add(tick, BLAME_PATH, weight);
    else
        blame_add(tick, BLAME_ANSWER, weight);
}

/* What comes in the time of the least round trip is the whole window: then more would come, were
 * there room for it. */
void blame_add_receiving(struct blame_tick *tick, const struct blame_wire *wire, double weight)
{
    double passed_ns = (double)max_u64(tick->passed_ns, 1);
    double flight = (double)wire->received_bytes * (double)wire->rtt_min_ns / passed_ns;
    bool full = wire->window_bytes > 0 && flight >= BLAME_WINDOW_USED * (double)wire->window_bytes;

    if (!full)
        blame_add(tick, BLAME_PATH, weight);
    else
        blame_add(tick, wire->window_is_paced ? BLAME_PACE : BLAME_OUR_WINDOW, weight);
}

/* Each cause gets what the sum up to it is more than the sum before: nothing is lost in rounding.
 */
static void blame_share_out(struct blame *blame, const struct blame_tick *tick, double sum,
                            uint64_t ns)
{
    double so_far = 0;
    uint64_t given_ns = 0;

    for (uint32_t i = 0; i < BLAME_CAUSES; i++) {
        if (tick->weights[i] <= 0) continue;
        so_far += tick->weights[i];
        uint64_t upto_ns = min_u64((uint64_t)((double)ns * so_far / sum + 0.5), ns);
        meter_add(&blame->causes[i], upto_ns - given_ns);
        given_ns = upto_ns;
    }
}

void blame_settle(struct blame *blame, const struct blame_tick *tick)
{
    uint64_t ran_ns = min_u64(tick->ran_ns, tick->passed_ns);
    uint64_t taken_ns = min_u64(tick->waited_ns, tick->passed_ns - ran_ns);
    uint64_t rest_ns = tick->passed_ns - ran_ns - taken_ns;
    uint64_t busy_ns = min_u64((uint64_t)((double)rest_ns * tick->filled), rest_ns);
    double sum = 0;

    for (uint32_t i = 0; i < BLAME_CAUSES; i++)
        sum += tick->weights[i];
    meter_add(&blame->causes[BLAME_RUNNING], ran_ns);
    meter_add(&blame->causes[BLAME_CPU_TAKEN], taken_ns);
    meter_add(&blame->causes[tick->idle], rest_ns - busy_ns);
    if (sum > 0) blame_share_out(blame, tick, sum, busy_ns);
    double all = sum + tick->staging + tick->growing;
    if (all <= sum) return;
    meter_add(&blame->staging, (uint64_t)((double)busy_ns * tick->staging / all));
    if (sum > 0) return;
    uint64_t growing_ns = (uint64_t)((double)busy_ns * tick->growing / all);
    meter_add(&blame->causes[BLAME_GROWING], growing_ns);
    meter_add(&blame->causes[BLAME_MEMORY], busy_ns - growing_ns);
}

/* --- what came of them --- */

void blame_add_up(const struct blame *blame, struct blame_totals *totals)
{
    for (uint32_t i = 0; i < BLAME_CAUSES; i++)
        totals->ns[i] += meter_read(&blame->causes[i]);
    totals->staging_ns += meter_read(&blame->staging);
}

void blame_since(const struct blame_totals *now, const struct blame_totals *before,
                 struct blame_totals *since)
{
    for (uint32_t i = 0; i < BLAME_CAUSES; i++)
        since->ns[i] = now->ns[i] - before->ns[i];
    since->staging_ns = now->staging_ns - before->staging_ns;
}

uint64_t blame_total_ns(const struct blame_totals *totals)
{
    uint64_t ns = 0;

    for (uint32_t i = 0; i < BLAME_CAUSES; i++)
        ns += totals->ns[i];
    return ns;
}

uint64_t blame_kind_ns(const struct blame_totals *totals, enum blame_kind kind)
{
    uint64_t ns = 0;

    for (uint32_t i = 0; i < BLAME_CAUSES; i++)
        if (blame_kinds[i] == kind) ns += totals->ns[i];
    return ns;
}

enum blame_kind blame_greatest(const struct blame_totals *totals)
{
    uint32_t best = 0;

    for (uint32_t kind = 1; kind < BLAME_KINDS; kind++)
        if (blame_kind_ns(totals, (enum blame_kind)kind) >
            blame_kind_ns(totals, (enum blame_kind)best))
            best = kind;
    return (enum blame_kind)best;
}

enum blame_cause blame_greatest_of(const struct blame_totals *totals, enum blame_kind kind)
{
    uint32_t best = BLAME_CAUSES;

    for (uint32_t i = 0; i < BLAME_CAUSES; i++)
        if (blame_kinds[i] == kind && (best == BLAME_CAUSES || totals->ns[i] > totals->ns[best]))
            best = i;
    return (enum blame_cause)best;
}

/* What rounding down leaves goes to those that lost most by it. */
bool blame_shares(const struct blame_totals *totals, uint32_t percents[BLAME_KINDS])
{
    double total = (double)blame_total_ns(totals), lost[BLAME_KINDS];
    uint32_t left = 100;

    for (uint32_t kind = 0; kind < BLAME_KINDS; kind++)
        percents[kind] = 0;
    if (total <= 0) return false;
    for (uint32_t kind = 0; kind < BLAME_KINDS; kind++) {
        double exact = 100 * (double)blame_kind_ns(totals, (enum blame_kind)kind) / total;
        percents[kind] = (uint32_t)exact;
        lost[kind] = exact - (double)percents[kind];
        left -= percents[kind];
    }
    for (; left > 0; left--) {
        uint32_t most = 0;
        for (uint32_t kind = 1; kind < BLAME_KINDS; kind++)
            if (lost[kind] > lost[most]) most = kind;
        percents[most]++;
        lost[most] = 0;
    }
    return true;
}

const char *blame_kind_name(enum blame_kind kind)
{
    return blame_names[kind];
}
