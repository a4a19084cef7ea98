#include "sched/prefixes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"

#define PREFIXES_PLACES (2 * PREFIXES_MAX) /* half empty, so that a search is short */

/* FNV-1a: names differ early and late, and nobody attacks with them. */
static uint64_t prefixes_hash(struct bytes name)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < name.count; i++)
        hash = (hash ^ (uint8_t)name.data[i]) * 0x100000001b3;
    return hash;
}

static uint16_t prefixes_add(struct prefixes *prefixes, struct bytes name, uint64_t hash,
                             uint64_t now_ns)
{
    struct prefixes_entry *entry = &prefixes->entries[prefixes->count];

    prefix_init(&entry->prefix, now_ns);
    entry->hash = hash;
    entry->told_weight = entry->prefix.weight;
    snprintf(entry->name, sizeof entry->name, "%.*s", (int)name.count, (const char *)name.data);
    return (uint16_t)prefixes->count++;
}

enum err prefixes_open(struct prefixes *prefixes, enum prefixes_kind kind, uint64_t now_ns)
{
    *prefixes = (struct prefixes){.kind = kind, .uneven = kind == PREFIXES_STATIC};
    prefixes->entries = calloc(PREFIXES_MAX, sizeof *prefixes->entries);
    prefixes->places = calloc(PREFIXES_PLACES, sizeof *prefixes->places);
    if (!prefixes->entries || !prefixes->places) return ERR_NO_MEMORY;
    (void)prefixes_add(prefixes, BYTES(""), 0, now_ns);
    return ERR_NONE;
}

void prefixes_close(struct prefixes *prefixes)
{
    free(prefixes->entries);
    free(prefixes->places);
    prefixes->entries = NULL;
    prefixes->places = NULL;
}

void prefixes_join(struct prefixes *prefixes, const struct prefixes_cell *cells)
{
    CHECK(prefixes->core_count < CORES_MAX);
    prefixes->cells[prefixes->core_count++] = cells;
}

/* A place of 0 is free, since the entry of index 0 is never looked for. */
uint16_t prefixes_find(struct prefixes *prefixes, struct bytes name, uint64_t now_ns)
{
    if (prefixes->kind == PREFIXES_NONE || name.count == 0) return 0;
    uint64_t hash = prefixes_hash(name);
    for (uint64_t at = hash;; at++) {
        uint16_t *place = &prefixes->places[at % PREFIXES_PLACES];
        if (*place && prefixes->entries[*place].hash == hash) return *place;
        if (*place) continue;
        if (prefixes->count == PREFIXES_MAX) return (uint16_t)(1 + hash % (PREFIXES_MAX - 1));
        *place = prefixes_add(prefixes, name, hash, now_ns);
        return *place;
    }
}

/* --- handing out --- */

bool prefixes_may_go(struct prefixes *prefixes, uint32_t index, uint32_t slots, uint64_t now_ns)
{
    struct prefix *prefix = &prefixes->entries[index].prefix;

    if (prefixes->kind == PREFIXES_NONE || prefixes->open) return true;
    if (prefixes->kind == PREFIXES_FAIR) return prefix_may_go(prefix, now_ns);
    uint32_t named = prefixes->count > 1 ? prefixes->count - 1 : 1;
    return prefix->in_flight < max_u64(slots / named, 1);
}

void prefixes_on_go(struct prefixes *prefixes, uint32_t index)
{
    prefix_on_go(&prefixes->entries[index].prefix);
}

void prefixes_on_back(struct prefixes *prefixes, uint32_t index)
{
    prefix_on_back(&prefixes->entries[index].prefix);
}

uint32_t prefixes_load(const struct prefixes *prefixes, uint32_t index)
{
    const struct prefixes_entry *entry = &prefixes->entries[index];

    return entry->queued + entry->prefix.in_flight;
}

bool prefixes_is_limited(const struct prefixes *prefixes, uint32_t index)
{
    const struct prefix *prefix = &prefixes->entries[index].prefix;

    return prefix->rate_per_s > 0 || prefix->window > 0;
}

bool prefixes_is_fed(const struct prefixes *prefixes, uint32_t index, uint32_t waiting)
{
    return prefixes_is_limited(prefixes, index) &&
           waiting > prefixes->entries[index].prefix.in_flight + 1;
}

/* --- rounds --- */

/* The mean of the first answers, then of about the last eight rounds. */
static void prefixes_learn_service(struct prefixes_entry *entry, uint32_t answered,
                                   uint64_t answer_ns)
{
    if (answered == 0) return;
    double mean_ns = (double)answer_ns / answered;
    if (entry->answers < PREFIXES_SERVICE_MIN) {
        double before = entry->answers;
        entry->service_ns = (entry->service_ns * before + (double)answer_ns) / (before + answered);
        entry->answers += answered;
    } else {
        entry->service_ns += (mean_ns - entry->service_ns) / 8;
        if (entry->service_least_ns <= 0 || entry->service_ns < entry->service_least_ns)
            entry->service_least_ns = entry->service_ns;
    }
}

static void prefixes_read(const struct prefixes *prefixes, uint32_t index)
{
    struct prefixes_entry *entry = &prefixes->entries[index];
    uint64_t answered = 0, refused = 0, answer_ns = 0;

    for (uint32_t i = 0; i < prefixes->core_count; i++) {
        const struct prefixes_cell *cell = &prefixes->cells[i][index];
        answered += meter_read(&cell->answered);
        refused += meter_read(&cell->refused);
        answer_ns += meter_read(&cell->answer_ns);
    }
    entry->round_answered = (uint32_t)(answered - entry->answered);
    entry->round_refused = (uint32_t)(refused - entry->refused);
    prefixes_learn_service(entry, entry->round_answered, answer_ns - entry->answer_ns);
    entry->round_answer_ns = answer_ns - entry->answer_ns;
    entry->answered = answered;
    entry->refused = refused;
    entry->answer_ns = answer_ns;
}

static bool prefixes_is_believed(const struct prefixes_entry *entry)
{
    return entry->answers >= PREFIXES_SERVICE_MIN && entry->service_ns > 0;
}

/* How much has changed since `before`. */
static uint32_t prefixes_lines(const struct prefixes *prefixes, const struct prefixes_news *before)
{
    const struct prefix *prefix = &prefixes->entries[before->index].prefix;

    return (prefix->rate_per_s != before->rate_before_per_s) +
           (prefix->window != before->window_before) + (prefix->weight != before->weight_before);
}

/* What has changed since `before`, once all of the round has moved. False: there is no room. */
static bool prefixes_tell(struct prefixes *prefixes, const struct prefixes_news *before)
{
    struct prefixes_entry *entry = &prefixes->entries[before->index];
    const struct prefix *prefix = &entry->prefix;
    uint32_t lines = prefixes_lines(prefixes, before);

    if (lines == 0) return true;
    if (lines > PREFIXES_NEWS_MAX - prefixes->news_lines) return false;
    if (prefix->rate_per_s != before->rate_before_per_s) entry->told_per_s = prefix->rate_per_s;
    if (prefix->window != before->window_before) entry->told_window = prefix->window;
    if (prefix->weight != before->weight_before) entry->told_weight = prefix->weight;
    prefixes->news[prefixes->news_count++] = *before;
    prefixes->news_lines += lines;
    return true;
}

static struct prefixes_news prefixes_as_is(const struct prefixes *prefixes, uint32_t index)
{
    const struct prefix *prefix = &prefixes->entries[index].prefix;

    return (struct prefixes_news){index, prefix->rate_per_s, prefix->window, prefix->weight};
}

static void prefixes_weigh(struct prefixes *prefixes)
{
    double sum_ns = 0, count = 0;

    for (uint32_t i = 0; i < prefixes->count; i++) {
        if (!prefixes_is_believed(&prefixes->entries[i])) continue;
        sum_ns += prefixes->entries[i].service_ns;
        count++;
    }
    for (uint32_t i = 0; i < prefixes->count && count > 1; i++) {
        struct prefixes_entry *entry = &prefixes->entries[i];
        if (!prefixes_is_believed(entry)) continue;
        double weight = sum_ns / count / entry->service_ns;
        weight = fmin(fmax(weight, PREFIXES_WEIGHT_MIN), PREFIXES_WEIGHT_MAX);
        if (fabs(weight / entry->prefix.weight - 1) <= PREFIXES_HYSTERESIS) continue;
        entry->prefix.weight = weight;
    }
}

/* Is it asked anything? What takes longer than a round is not answered in each. */
static bool prefixes_is_active(const struct prefixes_entry *entry)
{
    return entry->round_answered + entry->round_refused > 0 || entry->prefix.in_flight > 0;
}

/* Do most of those that are asked anything refuse? With one there is no telling: then as well, but
 * where its limit was found while others went on. */
static bool prefixes_are_refused(struct prefixes *prefixes)
{
    uint32_t active = 0, refused = 0, known = 0;

    for (uint32_t i = 0; i < prefixes->count; i++) {
        const struct prefixes_entry *entry = &prefixes->entries[i];
        active += prefixes_is_active(entry);
        refused += entry->round_refused > 0;
        known += entry->round_refused > 0 && entry->prefix.is_its_own;
    }
    if (active == 1 && known == 1) return false;
    prefixes->doubted |= active == 1 && refused == 1;
    return 2 * refused > active;
}

/* Were the answers of this round about as quick as they ever were? Of one prefix there is no
 * telling. */
static bool prefixes_are_brisk(const struct prefixes *prefixes)
{
    double taken_ns = 0, least_ns = 0, count = 0;
    uint32_t active = 0;

    for (uint32_t i = 0; i < prefixes->count; i++) {
        const struct prefixes_entry *entry = &prefixes->entries[i];
        active += entry->round_answered + entry->round_refused > 0;
        if (entry->service_least_ns <= 0) continue;
        taken_ns += (double)entry->round_answer_ns;
        count += entry->round_answered;
        least_ns += entry->round_answered * entry->service_least_ns;
    }
    if (active < 2 || taken_ns > count * (double)PREFIXES_BRISK_NS) return false;
    return least_ns > 0 && taken_ns < PREFIXES_BRISK * least_ns;
}

/* Is it so far from what was told of it, in either direction? */
static bool prefixes_is_off(double told, double is, double share)
{
    return is > (1 + share) * told || (1 + share) * is < told;
}

/* Growth, weights, and what found no room when it was cut. They can wait: who finds no room now is
 * the first one in the next round, so that no index goes before the others for ever. */
static void prefixes_tell_drift(struct prefixes *prefixes)
{
    for (uint32_t i = 0; i < prefixes->count; i++) {
        uint32_t index = (prefixes->tell_from + i) % prefixes->count;
        const struct prefixes_entry *entry = &prefixes->entries[index];
        struct prefixes_news before = prefixes_as_is(prefixes, index);
        if (prefixes_is_off(entry->told_per_s, before.rate_before_per_s, PREFIXES_TOLD))
            before.rate_before_per_s = entry->told_per_s;
        if (prefixes_is_off(entry->told_window, before.window_before, PREFIXES_TOLD))
            before.window_before = entry->told_window;
        if (prefixes_is_off(entry->told_weight, before.weight_before, PREFIXES_HYSTERESIS))
            before.weight_before = entry->told_weight;
        if (prefixes_tell(prefixes, &before)) continue;
        prefixes->tell_from = index;
        return;
    }
}

static void prefixes_end_round(struct prefixes *prefixes, uint32_t index,
                               struct prefix_round *round)
{
    struct prefixes_entry *entry = &prefixes->entries[index];
    struct prefixes_news before = prefixes_as_is(prefixes, index);

    round->answered = entry->round_answered;
    round->refused = entry->round_refused;
    if (round->common) prefixes->common_refusals += round->refused;
    if (round->common && !round->brisk) prefixes->path_refusals += round->refused;
    if (prefixes->kind != PREFIXES_FAIR) return;
    if (!prefix_on_round(&entry->prefix, round)) return;
    if (!prefixes_tell(prefixes, &before)) prefixes->news_lost += prefixes_lines(prefixes, &before);
}

/* Several are active, and at most half of them are limited: for a while, since a server that is
 * full refuses one prefix earlier than another. None is where the smaller window has sufficed; what
 * the others allow is to be found out all the same. */
static bool prefixes_acquit(struct prefixes *prefixes)
{
    uint32_t active = 0, limited = 0;

    if (!prefixes->doubted) return false;
    for (uint32_t i = 0; i < prefixes->count; i++) {
        const struct prefixes_entry *entry = &prefixes->entries[i];
        active += prefixes_is_active(entry);
        limited += prefixes_is_active(entry) && prefixes_is_limited(prefixes, i);
    }
    bool says_so = active > 1 && 2 * limited <= active;
    prefixes->acquitting = says_so ? prefixes->acquitting + 1 : 0;
    if (prefixes->acquitting < PREFIX_COMMON_ROUNDS) return false;
    prefixes->doubted = false;
    return true;
}

/* What one that pauses, or is held, leaves would come to the others at once, who are near their
 * limits as well where limits are alike. */
static void prefixes_keep(struct prefixes *prefixes)
{
    for (uint32_t i = 0; i < prefixes->count; i++)
        prefix_keep(&prefixes->entries[i].prefix);
}

/* In the midst of a round. Only who has something in flight can be refused. */
static void prefixes_look(struct prefixes *prefixes)
{
    bool pauses = false;

    for (uint32_t i = 0; i < prefixes->count; i++) {
        struct prefixes_entry *entry = &prefixes->entries[i];
        uint64_t refused = 0;
        if (entry->prefix.in_flight == 0) continue;
        for (uint32_t k = 0; k < prefixes->core_count; k++)
            refused += meter_read(&prefixes->cells[k][i].refused);
        if (refused > entry->refused) prefix_pause(&entry->prefix);
        pauses |= entry->prefix.paused;
    }
    if (pauses) prefixes_keep(prefixes);
}

/* Of those that have work. One that has all of it may be the slow one: with one there is no telling
 * either. */
static bool prefixes_are_uneven(const struct prefixes *prefixes)
{
    double least = PREFIXES_WEIGHT_MAX, most = 0;
    uint32_t loaded = 0;

    if (prefixes->kind != PREFIXES_FAIR) return prefixes->kind == PREFIXES_STATIC;
    if (prefixes->doubted) return true;
    for (uint32_t i = 0; i < prefixes->count; i++) {
        const struct prefixes_entry *entry = &prefixes->entries[i];
        if (prefixes_is_limited(prefixes, i)) return true;
        if (prefixes_load(prefixes, i) == 0) continue;
        least = fmin(least, entry->prefix.weight);
        most = fmax(most, entry->prefix.weight);
        loaded++;
    }
    return loaded == 1 || least < PREFIXES_SLOW * most;
}

bool prefixes_tick(struct prefixes *prefixes, uint64_t now_ns)
{
    struct prefix_round round = {.now_ns = now_ns, .interval_ns = now_ns - prefixes->round_ns};
    bool refused = false;

    if (prefixes->round_ns == 0) prefixes->round_ns = now_ns; /* the first one begins */
    if (now_ns - prefixes->round_ns < PREFIX_ROUND_NS) {
        if (prefixes->kind == PREFIXES_FAIR) prefixes_look(prefixes);
        return false;
    }
    prefixes->round_ns = now_ns;
    prefixes->news_count = prefixes->news_lines = 0;
    for (uint32_t i = 0; i < prefixes->count; i++)
        prefixes_read(prefixes, i);
    round.common = prefixes->kind != PREFIXES_FAIR || prefixes_are_refused(prefixes);
    round.brisk = round.common && prefixes_are_brisk(prefixes);
    prefixes_weigh(prefixes);
    for (uint32_t i = 0; i < prefixes->count; i++) {
        prefixes_end_round(prefixes, i, &round);
        refused |= round.refused > 0;
    }
    if (refused && prefixes->kind == PREFIXES_FAIR) prefixes_keep(prefixes);
    prefixes_tell_drift(prefixes);
    prefixes->acquits =
        prefixes->kind == PREFIXES_FAIR && !round.common && prefixes_acquit(prefixes);
    if (round.common) prefixes->acquitting = 0;
    prefixes->uneven = prefixes_are_uneven(prefixes);
    return true;
}
