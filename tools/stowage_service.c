#include "tools/stowage_service.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "tools/opts.h"

#define KNEE_FACTOR 1.5
#define PER_S_MAX   1e9
#define SIGMA_MAX   5.0 /* beyond, a mean says nothing any more */
#define TIME_NS_MAX (3600 * NS_PER_S)

PRINTF_LIKE(2, 3)
static bool complain(char why[STOWAGE_SERVICE_WHY_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, STOWAGE_SERVICE_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* A plain decimal number in (0, most]. */
static bool parse_number(struct bytes text, double most, double *value)
{
    char area[32], *end;
    if (!text.count || !bytes_to_string(text, area, sizeof(area))) return false;
    for (const char *c = area; *c; c++)
        if (*c != '.' && (*c < '0' || *c > '9')) return false;
    *value = strtod(area, &end);
    return !*end && *value > 0 && *value <= most;
}

/* "100/s" or "100/s:200". */
static bool parse_limit(struct stowage_service_rule *rule, struct bytes text)
{
    struct bytes burst, rate = bytes_cut(text, ':', &burst);
    if (!bytes_end_with(rate, BYTES("/s"))) return false;
    rate.count -= 2;
    rule->depth = 1;
    if (!parse_number(rate, PER_S_MAX, &rule->per_s)) return false;
    rule->burst = rule->per_s > 1 ? rule->per_s : 1;
    return !burst.count || (parse_number(burst, PER_S_MAX, &rule->burst) && rule->burst >= 1);
}

static bool parse_time(struct stowage_service_rule *rule, struct bytes text)
{
    struct bytes rest, sigma, shape = bytes_cut(text, ':', &rest),
                              time = bytes_cut(rest, ':', &sigma);
    bool shaped = true;
    if (bytes_equal(shape, BYTES("fixed")))
        rule->shape = STOWAGE_SERVICE_FIXED;
    else if (bytes_equal(shape, BYTES("exponential")))
        rule->shape = STOWAGE_SERVICE_EXPONENTIAL;
    else if (bytes_equal(shape, BYTES("lognormal")))
        rule->shape = STOWAGE_SERVICE_LOGNORMAL;
    else
        return false;
    if (rule->shape == STOWAGE_SERVICE_LOGNORMAL)
        shaped = parse_number(sigma, SIGMA_MAX, &rule->sigma);
    else
        shaped = time.count == rest.count;
    return shaped && opts_parse_duration(time, &rule->time_ns) && rule->time_ns <= TIME_NS_MAX;
}

static bool parse_rate(struct stowage_service_rule *rule, struct bytes text)
{
    return opts_parse_size(text, &rule->bytes_per_s) && rule->bytes_per_s > 0;
}

static const struct {
    bool (*parse)(struct stowage_service_rule *rule, struct bytes text);
    const char *like;
} kind_rows[STOWAGE_SERVICE_KINDS] = {
    [STOWAGE_SERVICE_LIMIT] = {parse_limit, "N/s or N/s:BURST"},
    [STOWAGE_SERVICE_TIME] = {parse_time, "fixed:TIME, exponential:MEAN or lognormal:MEDIAN:SIGMA"},
    [STOWAGE_SERVICE_RATE] = {parse_rate, "a size: bytes a second"},
};

/* The words that only one kind has. */
static bool parse_word(struct stowage_service_rule *rule, enum stowage_service_kind kind,
                       struct bytes name, struct bytes value)
{
    uint64_t depth;
    if (kind == STOWAGE_SERVICE_LIMIT && bytes_equal(name, BYTES("depth"))) {
        if (!bytes_parse_u64(value, &depth) || depth > KEY_BYTES_MAX) return false;
        rule->depth = (uint32_t)depth;
        return true;
    }
    if (kind != STOWAGE_SERVICE_RATE || !bytes_equal(name, BYTES("per"))) return false;
    rule->per_object = bytes_equal(value, BYTES("object"));
    return rule->per_object || bytes_equal(value, BYTES("connection"));
}

static bool parse_words(struct stowage_service_rule *rule, enum stowage_service_kind kind,
                        struct bytes text, char *why)
{
    while (text.count) {
        struct bytes word = bytes_trim(bytes_cut(text, ' ', &text)), value;
        if (!word.count) continue;
        struct bytes name = bytes_cut(word, '=', &value);
        enum stowage_select_word taken = stowage_select_parse(&rule->select, name, value, why);
        if (taken == STOWAGE_SELECT_WRONG) return false;
        if (taken == STOWAGE_SELECT_OTHER && !parse_word(rule, kind, name, value))
            return complain(why, "'%.*s' is no word of it", (int)min_u64(word.count, 64),
                            word.data);
    }
    return true;
}

_Static_assert(STOWAGE_SELECT_WHY_BYTES <= STOWAGE_SERVICE_WHY_BYTES, "one area for both");

enum err stowage_service_add(struct stowage_service *service, enum stowage_service_kind kind,
                             struct bytes text, char why[STOWAGE_SERVICE_WHY_BYTES])
{
    struct bytes rest, value = bytes_cut(bytes_trim(text), ' ', &rest);
    if (service->rule_counts[kind] == STOWAGE_SERVICE_RULES_MAX) {
        (void)complain(why, "given more than %u times", STOWAGE_SERVICE_RULES_MAX);
        return ERR_USAGE;
    }
    struct stowage_service_rule *rule = &service->rules[kind][service->rule_counts[kind]];
    memset(rule, 0, sizeof(*rule));
    if (!kind_rows[kind].parse(rule, value)) {
        (void)complain(why, "it wants %s", kind_rows[kind].like);
        return ERR_USAGE;
    }
    if (!parse_words(rule, kind, rest, why)) return ERR_USAGE;
    service->rule_counts[kind]++;
    return ERR_NONE;
}

enum err stowage_service_set_knee(struct stowage_service *service, struct bytes text,
                                  char why[STOWAGE_SERVICE_WHY_BYTES])
{
    struct bytes factor, knee = bytes_cut(bytes_trim(text), ':', &factor);
    service->knee_factor = KNEE_FACTOR;
    bool good = parse_number(knee, PER_S_MAX, &service->knee) &&
                (!factor.count || parse_number(factor, PER_S_MAX, &service->knee_factor));
    if (good && service->knee_factor >= 1) return ERR_NONE;
    (void)complain(why, "it wants N or N:FACTOR, with a factor of 1 or more");
    return ERR_USAGE;
}

void stowage_service_init(struct stowage_service *service, uint64_t seed)
{
    memset(service, 0, sizeof(*service));
    rand_init(&service->rand, seed);
}

void stowage_service_fini(struct stowage_service *service)
{
    for (uint32_t i = 0; i < STOWAGE_SERVICE_TABLE_MAX; i++)
        while (service->clocks[i]) {
            struct stowage_service_clock *clock = service->clocks[i];
            service->clocks[i] = clock->next;
            free(clock);
        }
}

static const struct stowage_service_rule *find_rule(const struct stowage_service *service,
                                                    enum stowage_service_kind kind,
                                                    const struct stowage_service_request *request)
{
    for (uint32_t i = 0; i < service->rule_counts[kind]; i++) {
        const struct stowage_service_rule *rule = &service->rules[kind][i];
        if (stowage_select_fits(&rule->select, request->operation, request->bucket, request->key,
                                request->part_number))
            return rule;
    }
    return NULL;
}

/* FNV-1a: two that collide among 2^64 share a clock. */
static uint64_t hash_bytes(uint64_t hash, struct bytes text)
{
    for (size_t i = 0; i < text.count; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3u;
    return (hash ^ 0xffu) * 0x100000001b3u; /* an end, so that "a" "bc" is not "ab" "c" */
}

/* Of this rule and bucket and the beginning of a key; made when first asked for. */
static uint64_t *find_clock(struct stowage_service *service,
                            const struct stowage_service_rule *rule, struct bytes bucket,
                            struct bytes start)
{
    size_t place = (size_t)((const char *)rule - (const char *)service);
    struct bytes number = {(const char *)&place, sizeof(place)};
    uint64_t hash = hash_bytes(hash_bytes(hash_bytes(0xcbf29ce484222325u, number), bucket), start);
    struct stowage_service_clock **chain = &service->clocks[hash % STOWAGE_SERVICE_TABLE_MAX];
    for (struct stowage_service_clock *clock = *chain; clock; clock = clock->next)
        if (clock->hash == hash) return &clock->at_ns;
    struct stowage_service_clock *clock = malloc(sizeof(*clock));
    CHECK(clock && "a test server without memory ends");
    *clock = (struct stowage_service_clock){.next = *chain, .hash = hash};
    *chain = clock;
    return &clock->at_ns;
}

/* Up to and with its `depth`th slash; a key with fewer is its own prefix up to the last. */
static struct bytes prefix_of(struct bytes key, uint32_t depth)
{
    size_t count = 0;
    for (size_t i = 0; i < key.count && depth; i++)
        if (key.data[i] == '/') {
            count = i + 1;
            depth--;
        }
    return (struct bytes){key.data, count};
}

static bool is_limited(struct stowage_service *service,
                       const struct stowage_service_request *request, uint64_t now_ns)
{
    const struct stowage_service_rule *rule = find_rule(service, STOWAGE_SERVICE_LIMIT, request);
    if (!rule) return false;
    uint64_t *at_ns =
        find_clock(service, rule, request->bucket, prefix_of(request->key, rule->depth));
    double interval_ns = (double)NS_PER_S / rule->per_s;
    double ahead_ns = *at_ns > now_ns ? (double)(*at_ns - now_ns) : 0;
    if (ahead_ns > (rule->burst - 1) * interval_ns) return true;
    *at_ns = now_ns + (uint64_t)(ahead_ns + interval_ns);
    return false;
}

static uint64_t draw_time(struct stowage_service *service, const struct stowage_service_rule *rule)
{
    double u = 1 - rand_unit(&service->rand); /* in (0, 1] */
    double ns = (double)rule->time_ns;
    switch (rule->shape) {
    case STOWAGE_SERVICE_FIXED: break;
    case STOWAGE_SERVICE_EXPONENTIAL: ns *= -log(u); break;
    case STOWAGE_SERVICE_LOGNORMAL: /* Box and Muller */
        ns *= exp(rule->sigma * sqrt(-2 * log(u)) * cos(2 * M_PI * rand_unit(&service->rand)));
        break;
    }
    return ns < (double)TIME_NS_MAX ? (uint64_t)ns : TIME_NS_MAX;
}

void stowage_service_begin(struct stowage_service *service,
                           const struct stowage_service_request *request, uint64_t now_ns,
                           struct stowage_service_verdict *verdict)
{
    memset(verdict, 0, sizeof(*verdict));
    service->in_flight++;
    double load = service->knee > 0 ? service->in_flight / service->knee : 0;
    if (load > service->knee_factor) {
        service->knee_count++;
        verdict->slow_down = true;
        return;
    }
    if (is_limited(service, request, now_ns)) {
        service->limited_count++;
        verdict->slow_down = true;
        return;
    }
    const struct stowage_service_rule *time = find_rule(service, STOWAGE_SERVICE_TIME, request);
    const struct stowage_service_rule *rate = find_rule(service, STOWAGE_SERVICE_RATE, request);
    if (time) verdict->serve_ns = draw_time(service, time);
    if (load > 1) verdict->serve_ns = (uint64_t)((double)verdict->serve_ns * load);
    if (!rate) return;
    verdict->rate_bytes_per_s = rate->bytes_per_s;
    if (rate->per_object)
        verdict->rate_clock = find_clock(service, rate, request->bucket, request->key);
}

void stowage_service_end(struct stowage_service *service)
{
    CHECK(service->in_flight > 0);
    service->in_flight--;
}
