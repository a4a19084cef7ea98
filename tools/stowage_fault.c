#include "tools/stowage_fault.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"

#define SEEN_MAX_LEAST 1024u /* a power of two; twice as many whenever it is half full */

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), and at the end a mixer whose every bit
 * depends on all of them (splitmix64), since the draw looks at the high ones. */
#define FNV_OFFSET 0xcbf29ce484222325u
#define FNV_PRIME  0x100000001b3u

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * FNV_PRIME;
    return hash;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Of what a request asks for; never 0. */
static uint64_t identify(const struct stowage_fault_request *request)
{
    uint32_t numbers[] = {request->operation, request->part_number, (uint32_t)request->key.count};
    uint64_t hash = hash_bytes(FNV_OFFSET, numbers, sizeof(numbers));
    hash = hash_bytes(hash, request->key.data, request->key.count);
    hash = mix(hash_bytes(hash, request->range.data, request->range.count));
    return hash ? hash : 1;
}

static struct stowage_fault_seen *find_place(struct stowage_fault_seen *seen, uint64_t seen_max,
                                             uint64_t hash)
{
    uint64_t at = hash & (seen_max - 1);
    while (seen[at].hash && seen[at].hash != hash)
        at = (at + 1) & (seen_max - 1);
    return &seen[at];
}

static void grow(struct stowage_fault *fault)
{
    uint64_t seen_max = fault->seen_max ? 2 * fault->seen_max : SEEN_MAX_LEAST;
    struct stowage_fault_seen *seen = calloc(seen_max, sizeof(*seen));
    CHECK(seen && "a test server without memory ends");
    for (uint64_t i = 0; i < fault->seen_max; i++)
        if (fault->seen[i].hash) *find_place(seen, seen_max, fault->seen[i].hash) = fault->seen[i];
    free(fault->seen);
    fault->seen = seen;
    fault->seen_max = seen_max;
}

/* The how-manieth time that this request comes, from 1. */
static uint64_t count_attempt(struct stowage_fault *fault, uint64_t hash)
{
    if (2 * fault->seen_count >= fault->seen_max) grow(fault);
    struct stowage_fault_seen *place = find_place(fault->seen, fault->seen_max, hash);
    if (!place->hash) fault->seen_count++;
    place->hash = hash;
    return ++place->attempts;
}

void stowage_fault_init(struct stowage_fault *fault)
{
    memset(fault, 0, sizeof(*fault));
}

void stowage_fault_fini(struct stowage_fault *fault)
{
    free(fault->seen);
    fault->seen = NULL;
}

void stowage_fault_clear(struct stowage_fault *fault)
{
    fault->rule_count = 0;
    fault->generation++;
    fault->seen_count = 0;
    memset(fault->counts, 0, sizeof(fault->counts));
    if (fault->seen) memset(fault->seen, 0, fault->seen_max * sizeof(*fault->seen));
}

enum err stowage_fault_add(struct stowage_fault *fault, struct bytes line,
                           char why[STOWAGE_FAULT_WHY_BYTES])
{
    char reason[STOWAGE_RULE_WHY_BYTES] = "there are more than 64 rules";
    line = bytes_trim(line);
    bool fits = fault->rule_count < STOWAGE_FAULT_RULES_MAX;
    if (fits && stowage_rule_parse(&fault->rules[fault->rule_count], line, reason) == ERR_NONE) {
        fault->rule_count++;
        return ERR_NONE;
    }
    int shown = (int)min_u64(line.count, STOWAGE_RULE_TEXT_BYTES / 2);
    snprintf(why, STOWAGE_FAULT_WHY_BYTES, "'%.*s': %s", shown, line.data ? line.data : "", reason);
    return ERR_USAGE;
}

enum err stowage_fault_add_all(struct stowage_fault *fault, struct bytes text,
                               char why[STOWAGE_FAULT_WHY_BYTES])
{
    uint32_t before = fault->rule_count;
    enum err err = ERR_NONE;
    while (text.count && !err) {
        struct bytes line = bytes_trim(bytes_cut(text, '\n', &text));
        if (!line.count || line.data[0] == '#') continue;
        err = stowage_fault_add(fault, line, why);
    }
    if (err) fault->rule_count = before;
    return err;
}

static bool fits(const struct stowage_rule *rule, const struct stowage_fault_request *request,
                 uint64_t attempt)
{
    bool asks_body = stowage_rule_is_on_way(rule->act) &&
                     stowage_rule_side(rule, request->operation) == STOWAGE_RULE_REQUEST;
    if (asks_body && !request->has_body) return false;
    if (!stowage_select_in(&rule->attempt, attempt)) return false;
    return stowage_select_fits(&rule->select, request->operation, request->bucket, request->key,
                               request->part_number);
}

/* In [0, 1), from the upper 53 bits. */
static double unit(uint64_t draw)
{
    return (double)(draw >> 11) * 0x1p-53;
}

void stowage_fault_choose(struct stowage_fault *fault, const struct stowage_fault_request *request,
                          struct stowage_fault_hit *hit)
{
    hit->is_hit = hit->fired = false;
    if (!fault->rule_count) return;
    uint64_t identity = identify(request), attempt = count_attempt(fault, identity);
    for (uint32_t i = 0; i < fault->rule_count && !hit->is_hit; i++) {
        const struct stowage_rule *rule = &fault->rules[i];
        if (!fits(rule, request, attempt)) continue;
        uint64_t number = ++fault->counts[i].fitting;
        uint64_t draw = mix(mix(identity + rule->seed) + mix(attempt + i * FNV_OFFSET));
        if (!stowage_select_in(&rule->nth, number)) continue;
        if (rule->every && number % rule->every) continue;
        if (unit(draw) >= rule->share) continue;
        fault->counts[i].hits++;
        *hit = (struct stowage_fault_hit){
            .is_hit = true, .index = i, .generation = fault->generation, .draw = draw};
        hit->rule = *rule;
    }
}

void stowage_fault_fired(struct stowage_fault *fault, struct stowage_fault_hit *hit)
{
    CHECK(hit->is_hit);
    if (hit->fired) return;
    hit->fired = true;
    if (hit->generation == fault->generation) fault->counts[hit->index].fired++;
}

void stowage_fault_report(const struct stowage_fault *fault, const struct log *log)
{
    for (uint32_t i = 0; i < fault->rule_count; i++) {
        const struct stowage_fault_count *count = &fault->counts[i];
        log_line(log, LOG_NOTE, "fault %u: %llu fit, %llu hit, %llu fired: %s", i + 1,
                 (unsigned long long)count->fitting, (unsigned long long)count->hits,
                 (unsigned long long)count->fired, fault->rules[i].line);
    }
}
