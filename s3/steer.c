#include "s3/steer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/multipart.h"

/* For parts: small bufs have the rest. */
static uint64_t steer_memory(const struct conf *conf)
{
    return conf->memory_bytes - conf->memory_bytes / 8;
}

/* More parts than the buffers hold would only wait for them. */
static double steer_window_max(const struct conf *conf)
{
    uint64_t by_memory = conf->memory_bytes / PART_BYTES_MIN;
    uint64_t by_connections = (uint64_t)conf->connections_max * conf->cpu_count;
    return (double)min_u64(by_memory, by_connections);
}

static struct cc_limits steer_limits(const struct conf *conf)
{
    double start = (double)conf->cpu_count * conf_parts_start(conf);
    struct cc_limits limits = {.min = conf->cpu_count, .start = start, .max = start};

    if (conf->cc == FLOW_FIXED && conf->cc_fixed > 0) {
        limits.start = limits.max = conf->cc_fixed;
        limits.min = 1;
    } else if (steer_window_max(conf) > start) {
        limits.max = steer_window_max(conf);
    }
    return limits;
}

static void steer_give_out(struct steer *steer)
{
    uint32_t window = flow_window(&steer->flow);
    uint32_t begun = window + (uint32_t)meter_read(&steer->staged_ahead);

    meter_set(&steer->window, window);
    steer->fairs[TASK_FIRST].slots = begun;
    steer->fairs[TASK_THEN].slots = FLOW_OBJECTS * begun;
}

static void steer_give_way(struct steer *steer)
{
    uint64_t rate = (uint64_t)steer->ledbat.rate_bytes_per_s;

    budget_set_background(steer->budget, rate);
    meter_set(&steer->background_bytes_per_s, rate);
    meter_set(&steer->resting, steer->ledbat.state == LEDBAT_REST);
    meter_set(&steer->yielded_ns, steer->ledbat.yielded_ns);
}

enum err steer_open(struct steer *steer, const struct conf *conf, struct budget *budget,
                    bool stages)
{
    struct cc_limits limits = steer_limits(conf);
    enum err err = prefixes_open(&steer->prefixes, conf->prefixes, 0);

    steer->conf = conf;
    for (uint32_t rank = 0; rank < TASK_RANKS && !err; rank++)
        err = fair_open(&steer->fairs[rank], &steer->prefixes);
    flow_init(&steer->flow, conf->cc, &limits);
    depth_init(&steer->depth);
    clamp_init(&steer->clamp);
    if (stages && conf->stage_ahead != CONF_STAGE_AUTO)
        meter_set(&steer->staged_ahead, conf->stage_ahead);
    meter_set(&steer->idle, BLAME_FINDING);
    steer->sharing = (double)conf->cpu_count * conf_parts_start(conf);
    meter_set(&steer->sharers, (uint64_t)steer->sharing);
    steer->objects_max = conf->connections_max * conf->cpu_count;
    steer_give_out(steer);
    if (!conf->background) return err;
    steer->budget = budget;
    ledbat_init(&steer->ledbat);
    steer_give_way(steer);
    return err;
}

void steer_close(struct steer *steer)
{
    for (uint32_t i = 0; i < steer->count; i++) {
        free(steer->traffics[i]->cells);
        steer->traffics[i]->cells = NULL;
    }
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++)
        fair_close(&steer->fairs[rank]);
    prefixes_close(&steer->prefixes);
    steer->count = 0;
}

enum err steer_join(struct steer *steer, struct traffic *traffic)
{
    CHECK(steer->count < CORES_MAX);
    traffic->cells = calloc(PREFIXES_MAX, sizeof *traffic->cells);
    if (!traffic->cells) return ERR_NO_MEMORY;
    prefixes_join(&steer->prefixes, traffic->cells);
    steer->traffics[steer->count++] = traffic;
    return ERR_NONE;
}

uint16_t steer_prefix(struct steer *steer, struct bytes key, size_t base, uint64_t now_ns)
{
    const char *from = (const char *)key.data;
    const char *slash = base < key.count ? memchr(from + base, '/', key.count - base) : NULL;
    size_t count = slash ? (size_t)(slash - from) + 1 : base;

    return prefixes_find(&steer->prefixes, (struct bytes){from, min_u64(count, key.count)}, now_ns);
}

void steer_release(struct steer *steer)
{
    steer->prefixes.open = true;
}

/* --- deciding --- */

static void steer_note(struct steer *steer, const struct steer_decision *decision)
{
    uint64_t at = atomic_load_explicit(&steer->decided, memory_order_relaxed);

    if (at - atomic_load_explicit(&steer->taken, memory_order_acquire) == STEER_DECISIONS) {
        meter_add(&steer->lost, 1);
        return;
    }
    steer->decisions[at % STEER_DECISIONS] = *decision;
    atomic_store_explicit(&steer->decided, at + 1, memory_order_release);
}

static void steer_note_window(struct steer *steer)
{
    const struct flow_decision *flow = &steer->flow.decision;
    struct steer_decision decision = {.now_ns = flow->now_ns,
                                      .knob = "parts in flight",
                                      .before = flow->before,
                                      .after = flow->after,
                                      .state = flow->state,
                                      .why = flow->why,
                                      .sample = flow->sample};
    steer_note(steer, &decision);
}

static void steer_note_prefix(struct steer *steer, const struct prefixes_news *news,
                              uint64_t now_ns)
{
    static const char *const states[] = {
        [PREFIX_FREE] = "free", [PREFIX_HELD] = "held", [PREFIX_PROBING] = "probing"};
    const struct prefixes_entry *entry = &steer->prefixes.entries[news->index];
    const struct prefix *prefix = &entry->prefix;
    struct steer_decision decision = {.now_ns = now_ns,
                                      .knob = "requests a second of a prefix",
                                      .before = news->rate_before_per_s,
                                      .after = prefix->rate_per_s,
                                      .state = states[prefix->state],
                                      .why = prefix->why,
                                      .sample = steer->flow.sample};
    snprintf(decision.prefix, sizeof decision.prefix, "%s", entry->name);
    if (decision.before != decision.after) steer_note(steer, &decision);
    decision.knob = "requests in flight of a prefix";
    decision.before = news->window_before;
    decision.after = prefix->window;
    if (decision.before != decision.after) steer_note(steer, &decision);
    decision.knob = "weight of a prefix";
    decision.before = news->weight_before;
    decision.after = prefix->weight;
    decision.why = decision.after < decision.before
                       ? "beside the others' its answers take longer than before"
                       : "beside the others' its answers take less long than before";
    decision.sample.answer_ns = (uint64_t)entry->service_ns; /* what it was decided by */
    if (decision.before != decision.after) steer_note(steer, &decision);
}

static void steer_note_grain(struct steer *steer, uint64_t after_bytes, uint64_t now_ns)
{
    const struct grain *grain = &steer->grain;
    struct steer_decision decision = {.now_ns = now_ns,
                                      .knob = "part size",
                                      .before = (double)grain->before_bytes,
                                      .after = (double)after_bytes,
                                      .state = grain->state,
                                      .why = grain->why,
                                      .sample = steer->flow.sample};
    decision.sample.answer_ns = grain->wait_ns; /* what it was decided by */
    decision.sample.rate_bytes_per_s = grain->rate_bytes_per_s;
    steer_note(steer, &decision);
}

/* A quarter more in flight must find its memory, too: the window tries that. */
static void steer_tick_grain(struct steer *steer, uint64_t now_ns, uint64_t server_ns)
{
    struct grain_totals totals = {0};
    uint64_t window = meter_read(&steer->window), bytes_max = GRAIN_BYTES_MAX;
    uint64_t ahead = meter_read(&steer->staged_ahead);

    for (uint32_t i = 0; i < steer->count; i++)
        traffic_add_parts(steer->traffics[i], &totals);
    if (steer->staged_bytes_max > 0)
        bytes_max = min_u64(steer->staged_bytes_max,
                            steer->memory_bytes / (window + window / 4 + ahead + 1));
    uint64_t wait_ns = server_ns + flow_rtt_ns(&steer->flow);
    if (!grain_tick(&steer->grain, &totals, wait_ns, bytes_max)) return;
    meter_set(&steer->part_bytes, steer->grain.bytes);
    steer_note_grain(steer, steer->grain.bytes, now_ns);
}

/* No more than the window is added, and a quarter more of that must find its memory, too. */
static struct depth_bounds steer_depth_bounds(const struct steer *steer)
{
    uint64_t window = meter_read(&steer->window), bytes = steer->conf->part_bytes;
    if (bytes == 0) bytes = meter_read(&steer->part_bytes);
    if (bytes == 0) bytes = MULTIPART_PART_BYTES;
    uint64_t fit = steer_memory(steer->conf) / bytes;
    uint64_t most = (uint64_t)STEER_AHEAD_MAX * steer->count;
    uint64_t keep = min_u64(fit - min_u64(fit, window), most);
    uint64_t add = min_u64(fit - min_u64(fit, window + window / 4), min_u64(window, most));
    return (struct depth_bounds){.add = (uint32_t)add, .keep = (uint32_t)keep};
}

static void steer_tick_depth(struct steer *steer, uint64_t now_ns)
{
    struct depth_totals totals = {0};

    for (uint32_t i = 0; i < steer->count; i++)
        traffic_add_staged(steer->traffics[i], &totals);
    if (steer->conf->stage_ahead != CONF_STAGE_AUTO) return;
    const struct depth_bounds bounds = steer_depth_bounds(steer);
    if (!depth_tick(&steer->depth, now_ns, &totals, flow_window(&steer->flow), &bounds)) return;
    struct steer_decision decision = {.now_ns = now_ns,
                                      .knob = "parts staged ahead",
                                      .before = steer->depth.before,
                                      .after = steer->depth.parts,
                                      .state = steer->depth.state,
                                      .why = steer->depth.why,
                                      .sample = steer->flow.sample};
    meter_set(&steer->staged_ahead, steer->depth.parts);
    steer_give_out(steer);
    steer_note(steer, &decision);
}

/* What is told are changes of the limit; with what it is made of it moves on by itself. At a
 * rate windows are small anyhow. */
static void steer_tick_clamp(struct steer *steer, uint64_t now_ns,
                             const struct sample_totals *totals)
{
    const struct clamp *clamp = &steer->clamp;
    bool paced = steer->count > 0 && meter_read(&steer->traffics[0]->pacing_bytes_per_s) > 0;
    if (!steer->conf->clamp_windows || steer->budget) return;
    bool changed = paced ? clamp_release(&steer->clamp, "a rate is the limit")
                         : clamp_tick(&steer->clamp, now_ns, totals, flow_rtt_ns(&steer->flow));
    const struct clamp_terms terms = clamp_terms(clamp, meter_read(&steer->flows));
    struct steer_decision decision = {.now_ns = now_ns,
                                      .knob = "bytes in flight of downloads, at most",
                                      .before = clamp->before_bytes,
                                      .after = clamp->after_bytes,
                                      .state = clamp_state_name(clamp->state),
                                      .why = clamp->why,
                                      .sample = steer->flow.sample};

    decision.sample.rate_bytes_per_s = clamp->rate_bytes_per_s; /* what it was decided by */
    decision.sample.rtt_now_ns = clamp->rtt_now_ns;
    meter_set(&steer->clamp_share_bytes, terms.share_bytes);
    meter_set(&steer->clamp_flight_ns, terms.flight_ns);
    meter_set(&steer->clamp_rate_ns, terms.rate_ns);
    if (changed) steer_note(steer, &decision);
}

struct clamp_terms steer_clamp(const struct steer *steer)
{
    return (struct clamp_terms){.share_bytes = meter_read(&steer->clamp_share_bytes),
                                .flight_ns = meter_read(&steer->clamp_flight_ns),
                                .rate_ns = meter_read(&steer->clamp_rate_ns)};
}

void steer_find_grain(struct steer *steer, const struct conf *conf, uint64_t first_bytes,
                      uint64_t staged_bytes_max)
{
    grain_init(&steer->grain, first_bytes);
    meter_set(&steer->part_bytes, first_bytes);
    steer->memory_bytes = steer_memory(conf);
    steer->staged_bytes_max = staged_bytes_max;
}

uint64_t steer_part_bytes(struct steer *steer, uint64_t left_bytes, uint64_t now_ns)
{
    bool changed;
    uint32_t slots = (uint32_t)meter_read(&steer->window);
    uint64_t bytes = grain_next(&steer->grain, left_bytes, slots, &changed);

    if (changed) steer_note_grain(steer, bytes, now_ns);
    return bytes;
}

/* The window was cut for what was a prefix's affair: its search begins anew. */
static void steer_start_again(struct steer *steer, uint64_t now_ns)
{
    struct cc_limits limits = steer_limits(steer->conf);
    struct flow_decision *decision = &steer->flow.decision;
    const struct sample last = steer->flow.sample;
    uint32_t before = flow_window(&steer->flow);

    if (before > limits.start) limits.start = before;
    flow_init(&steer->flow, steer->conf->cc, &limits);
    *decision = (struct flow_decision){.now_ns = now_ns,
                                       .before = before,
                                       .after = flow_window(&steer->flow),
                                       .state = "start",
                                       .why = "the refusals were a prefix's, not the server's",
                                       .sample = last};
    steer_give_out(steer);
    if (decision->before != decision->after) steer_note_window(steer);
}

static void steer_tick_prefixes(struct steer *steer, uint64_t now_ns)
{
    if (!prefixes_tick(&steer->prefixes, now_ns)) return;
    for (uint32_t i = 0; i < steer->prefixes.news_count; i++)
        steer_note_prefix(steer, &steer->prefixes.news[i], now_ns);
    meter_add(&steer->lost, steer->prefixes.news_lost - steer->news_lost);
    steer->news_lost = steer->prefixes.news_lost;
    if (steer->prefixes.acquits) steer_start_again(steer, now_ns);
}

/* Its sample is the newest round's of the path, with the round trip as it is now. */
static void steer_note_background(struct steer *steer, uint64_t now_ns)
{
    const struct ledbat *ledbat = &steer->ledbat;
    struct steer_decision decision = {.now_ns = now_ns,
                                      .knob = "bytes a second of the background",
                                      .before = ledbat->told_before_bytes_per_s,
                                      .after = ledbat->told_bytes_per_s,
                                      .state = ledbat_state_name(ledbat->state),
                                      .why = ledbat->why,
                                      .sample = steer->flow.sample};
    decision.sample.rtt_ns = ledbat->base_ns + ledbat->queue_ns;
    steer_note(steer, &decision);
}

static void steer_yield(struct steer *steer, uint64_t now_ns, const struct sample_totals *totals,
                        uint64_t rtt_min_ns)
{
    struct ledbat_look look = {.now_ns = now_ns,
                               .delivered_bytes = totals->delivered_bytes,
                               .sent_bytes = totals->sent_bytes,
                               .resent_bytes = totals->resent_bytes,
                               .lost_bytes = totals->lost_bytes,
                               .rtt_ns = totals->rtt_now_ns,
                               .rtt_min_ns = rtt_min_ns};

    if (ledbat_tick(&steer->ledbat, &look)) steer_note_background(steer, now_ns);
    steer_give_way(steer);
}

/* --- what the cores do by themselves --- */

static void steer_tell_ration(struct steer *steer, uint64_t now_ns)
{
    struct steer_told *told = &steer->told;
    struct steer_decision decision = {
        .now_ns = now_ns, .knob = "parts that share a rate", .sample = steer->flow.sample};
    uint64_t ration = 0, more = 0;

    for (uint32_t i = 0; i < steer->count; i++) {
        ration += meter_read(&steer->traffics[i]->ration);
        more += meter_read(&steer->traffics[i]->ration_more);
    }
    if (ration == told->ration || now_ns < told->ration_ns) return;
    decision.before = (double)told->ration;
    decision.after = (double)ration;
    decision.state = ration > 0 ? "limited" : "free";
    decision.why = ration == 0                ? "there is no rate any more"
                   : more > told->ration_more ? "nothing waits for the rate: it is not the limit"
                   : more < told->ration_more ? "the rate is the limit again"
                                              : "no more than the rate moves in a few seconds";
    told->ration = ration;
    told->ration_more = more;
    told->ration_ns = now_ns + STEER_TOLD_NS;
    steer_note(steer, &decision);
}

/* All cores set the same. */
static void steer_tell_pacing(struct steer *steer, uint64_t now_ns)
{
    struct steer_told *told = &steer->told;
    uint64_t rate = steer->count > 0 ? meter_read(&steer->traffics[0]->pacing_bytes_per_s) : 0;
    struct steer_decision decision = {.now_ns = now_ns,
                                      .knob = "bytes a second of a connection, at most",
                                      .before = (double)told->pacing_bytes_per_s,
                                      .after = (double)rate,
                                      .state = rate > 0 ? "limited" : "free",
                                      .why = rate > 0 ? "those in use share the rate of the run"
                                                      : "there is no rate any more",
                                      .sample = steer->flow.sample};

    if (rate == told->pacing_bytes_per_s || now_ns < told->pacing_ns) return;
    told->pacing_bytes_per_s = rate;
    told->pacing_ns = now_ns + STEER_TOLD_NS;
    steer_note(steer, &decision);
}

/* Downloads at a rate. Cores may differ for a moment: the least of what is set is told. */
static void steer_tell_windows(struct steer *steer, uint64_t now_ns)
{
    struct steer_told *told = &steer->told;
    uint64_t least = 0, rate = 0;

    for (uint32_t i = 0; i < steer->count; i++) {
        uint64_t bytes = meter_read(&steer->traffics[i]->window_bytes);
        if (bytes > 0 && (least == 0 || bytes < least)) least = bytes;
        rate = max_u64(rate, meter_read(&steer->traffics[i]->pacing_bytes_per_s));
    }
    struct steer_decision decision = {
        .now_ns = now_ns,
        .knob = "receive window of a connection, at most",
        .before = (double)told->window_bytes,
        .after = (double)least,
        .state = least > 0 ? "limited" : "free",
        .why = least > 0  ? "what fits in it comes at once, whatever the rate"
               : rate > 0 ? "the path needs more than may be set: the kernel's tuning does better"
                          : "there is no rate any more",
        .sample = steer->flow.sample};
    if (least == told->window_bytes || now_ns < told->window_ns) return;
    told->window_bytes = least;
    told->window_ns = now_ns + STEER_TOLD_NS;
    steer_note(steer, &decision);
}

/* Each core judges by its own requests, so each counts. */
static void steer_tell_breakers(struct steer *steer, uint64_t now_ns)
{
    uint64_t shut = 0, before = steer->told.shut;

    for (uint32_t i = 0; i < steer->count; i++)
        shut += meter_read(&steer->traffics[i]->shut);
    struct steer_decision decision = {.now_ns = now_ns,
                                      .knob = "hosts that requests are kept from",
                                      .before = (double)before,
                                      .after = (double)shut,
                                      .state = shut > 0 ? "open" : "closed",
                                      .why = shut > before ? "too many of its answers were failures"
                                                           : "it answers again",
                                      .sample = steer->flow.sample};
    if (shut == before) return;
    steer->told.shut = shut;
    steer_note(steer, &decision);
}

void steer_tell_cuts(struct steer *steer, uint64_t now_ns)
{
    static const struct {
        const char *state, *why;
    } words[] = {
        [STRAGGLER_STALLED] = {"stalled", "next to nothing moved on it"},
        [STRAGGLER_BEHIND] = {"behind", "it was far slower than the others"},
        [STRAGGLER_LONE] = {"lone", "next to nothing moved for minutes, on it and beside it"},
    };

    for (uint32_t verdict = STRAGGLER_STALLED; verdict < ARRAY_COUNT(words); verdict++) {
        struct steer_decision decision = {.now_ns = now_ns,
                                          .knob = "connections cut",
                                          .before = (double)steer->told.cuts[verdict],
                                          .state = words[verdict].state,
                                          .why = words[verdict].why,
                                          .sample = steer->flow.sample};
        uint64_t cuts = 0;
        for (uint32_t i = 0; i < steer->count; i++)
            cuts += meter_read(&steer->traffics[i]->cuts[verdict]);
        decision.after = (double)cuts;
        if (cuts != steer->told.cuts[verdict]) steer_note(steer, &decision);
        steer->told.cuts[verdict] = cuts;
    }
}

/* More are counted at once, fewer step by step: replies come in crowds, and each brings at once
 * what its window holds. */
static void steer_count_sharers(struct steer *steer)
{
    uint64_t slots = 0;

    for (uint32_t i = 0; i < steer->count; i++)
        slots += meter_read(&steer->traffics[i]->slot_parts) +
                 meter_read(&steer->traffics[i]->slot_objects);
    if (slots == 0) return;
    steer->sharing = fmax((double)slots, STEER_SHARERS_KEPT * steer->sharing);
    meter_set(&steer->sharers, (uint64_t)lround(steer->sharing));
}

/* Refusals that only some prefixes meet are no matter of the path. */
void steer_tick(struct steer *steer, uint64_t now_ns)
{
    struct sample_totals totals = {0};
    uint64_t rtt_ns = 0;

    steer_tick_prefixes(steer, now_ns);
    for (uint32_t i = 0; i < steer->count; i++)
        traffic_add_up(steer->traffics[i], &totals, &rtt_ns);
    meter_set(&steer->flows, totals.flows);
    steer_count_sharers(steer);
    if (steer->budget) steer_yield(steer, now_ns, &totals, rtt_ns);
    totals.refusals = steer->prefixes.path_refusals;
    steer_tick_grain(steer, now_ns, totals.server_ns);
    steer_tick_depth(steer, now_ns);
    steer_tick_clamp(steer, now_ns, &totals);
    steer_tell_ration(steer, now_ns);
    steer_tell_pacing(steer, now_ns);
    steer_tell_windows(steer, now_ns);
    steer_tell_breakers(steer, now_ns);
    steer_tell_cuts(steer, now_ns);
    if (!flow_tick(&steer->flow, now_ns, &totals, rtt_ns)) return;
    steer_give_out(steer);
    steer_note_window(steer);
}

uint32_t steer_share(const struct steer *steer, uint32_t core_index)
{
    return flow_share((uint32_t)meter_read(&steer->window), core_index, steer->count);
}

uint32_t steer_ahead(const struct steer *steer, uint32_t core_index)
{
    uint32_t ahead = (uint32_t)meter_read(&steer->staged_ahead);

    return ahead / steer->count + (core_index < ahead % steer->count);
}

uint32_t steer_parts_out_max(const struct steer *steer)
{
    uint64_t ahead = meter_read(&steer->staged_ahead);

    return (uint32_t)min_u64(STEER_PARTS_MAX, 2 * meter_read(&steer->window) + ahead);
}

static bool steer_is_paced(const struct steer *steer, uint64_t now_ns)
{
    uint64_t paced_ns = 0;

    for (uint32_t i = 0; i < steer->count; i++)
        paced_ns = max_u64(paced_ns, meter_read(&steer->traffics[i]->paced_ns));
    return paced_ns > 0 && now_ns < paced_ns + STEER_PACED_NS;
}

bool steer_rate_has_room(const struct steer *steer, uint64_t now_ns)
{
    uint64_t parts = 0, allowed = 0;

    for (uint32_t i = 0; i < steer->count; i++) {
        parts += meter_read(&steer->traffics[i]->slot_parts);
        allowed += min_u64(meter_read(&steer->traffics[i]->ration), steer_share(steer, i));
    }
    return parts > 0 && parts >= allowed && !steer_is_paced(steer, now_ns);
}

/* Who is free while others wait for pace would do so as well, on whatever core. */
double steer_filled(const struct steer *steer, uint64_t now_ns, enum blame_cause *idle)
{
    uint64_t window = meter_read(&steer->window), parts = 0, objects = 0;

    for (uint32_t i = 0; i < steer->count; i++) {
        parts += meter_read(&steer->traffics[i]->slot_parts);
        objects += meter_read(&steer->traffics[i]->slot_objects);
    }
    *idle = (enum blame_cause)meter_read(&steer->idle);
    if (*idle == BLAME_FEW) window = min_u64(window, STEER_ENOUGH);
    if (steer_is_paced(steer, now_ns)) *idle = BLAME_PACE;
    uint64_t objects_max = min_u64(FLOW_OBJECTS * window, steer->objects_max);
    double by_parts = (double)parts / (double)window;
    double by_objects = (double)objects / (double)objects_max;
    double filled = by_parts > by_objects ? by_parts : by_objects;
    return filled < 1 ? filled : 1;
}

bool steer_take(struct steer *steer, struct steer_decision *decision)
{
    uint64_t at = atomic_load_explicit(&steer->taken, memory_order_relaxed);

    if (at == atomic_load_explicit(&steer->decided, memory_order_acquire)) return false;
    *decision = steer->decisions[at % STEER_DECISIONS];
    atomic_store_explicit(&steer->taken, at + 1, memory_order_release);
    return true;
}

uint64_t steer_lost(const struct steer *steer)
{
    return meter_read(&steer->lost);
}

const char *steer_name(const struct steer *steer)
{
    return flow_kind_name(steer->conf->cc);
}
