#include "tools/timetable.h"

#include <stdio.h>
#include <string.h>

#include "tools/rate.h"

#define DAY_MINUTES 1440u

static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static bool complain(char why[TIMETABLE_WHY_BYTES], struct bytes word, const char *what)
{
    int count = word.count < 60 ? (int)word.count : 60;
    snprintf(why, TIMETABLE_WHY_BYTES, "'%.*s' %s", count, word.data, what);
    return false;
}

static bool take_day(struct bytes *text, uint32_t *day)
{
    if (text->count < 4 || text->data[3] != '-') return false;
    struct bytes name = {text->data, 3};
    for (*day = 0; *day < ARRAY_COUNT(days); ++*day) {
        if (!bytes_equal_ignoring_case(name, bytes_of(days[*day]))) continue;
        text->data += 4;
        text->count -= 4;
        return true;
    }
    return false;
}

static bool parse_clock(struct bytes text, uint32_t *minute)
{
    struct bytes rest;
    uint64_t hours, minutes;
    struct bytes first = bytes_cut(text, ':', &rest);
    if (!bytes_parse_u64(first, &hours) || !bytes_parse_u64(rest, &minutes)) return false;
    if (hours > 23 || minutes > 59 || rest.count != 2) return false;
    *minute = (uint32_t)(hours * 60 + minutes);
    return true;
}

/* Behind those of the same time and before the later ones: an insertion sort of a few entries. */
static void insert(struct timetable *table, uint32_t minute, const uint64_t rates[TIMETABLE_WAYS])
{
    uint32_t at = table->count++;
    for (; at > 0 && table->entries[at - 1].minute > minute; at--)
        table->entries[at] = table->entries[at - 1];
    table->entries[at].minute = minute;
    memcpy(table->entries[at].rates_bytes_per_s, rates, TIMETABLE_WAYS * sizeof rates[0]);
}

/* "50M", or "10M:1M". */
static bool parse_rates(struct bytes text, uint64_t rates[TIMETABLE_WAYS],
                        char why[TIMETABLE_WHY_BYTES])
{
    char rate_why[RATE_WHY_BYTES];
    struct bytes down, up = bytes_cut(text, ':', &down);
    bool apart = memchr(text.data, ':', text.count) != NULL;
    bool good = rate_parse(up, &rates[TIMETABLE_UP], rate_why) &&
                rate_parse(apart ? down : up, &rates[TIMETABLE_DOWN], rate_why);
    if (!good) snprintf(why, TIMETABLE_WHY_BYTES, "%s", rate_why);
    return good;
}

static bool parse_entry(struct timetable *table, struct bytes word, char why[TIMETABLE_WHY_BYTES])
{
    struct bytes rate_text;
    uint32_t day, minute;
    uint64_t rates[TIMETABLE_WAYS];
    struct bytes clock = bytes_cut(word, ',', &rate_text);
    bool one_day = take_day(&clock, &day);
    uint32_t from = one_day ? day : 0, to = one_day ? day + 1 : (uint32_t)ARRAY_COUNT(days);
    if (!parse_clock(clock, &minute))
        return complain(why, word, "is not a timetable's entry: say 08:00,50M or Mon-08:00,50M");
    if (!parse_rates(rate_text, rates, why)) return false;
    if (table->count + to - from > TIMETABLE_ENTRIES_MAX)
        return complain(why, word, "is one entry too many");
    for (day = from; day < to; day++)
        insert(table, day * DAY_MINUTES + minute, rates);
    return true;
}

bool timetable_parse(struct timetable *table, const char *text, char why[TIMETABLE_WHY_BYTES])
{
    struct bytes rest = bytes_trim(bytes_of(text));
    table->count = 0;
    if (!memchr(rest.data, ',', rest.count)) {
        table->entries[0].minute = 0;
        table->count = 1;
        return parse_rates(rest, table->entries[0].rates_bytes_per_s, why);
    }
    while (rest.count > 0) {
        struct bytes word = bytes_cut(rest, ' ', &rest);
        if (word.count > 0 && !parse_entry(table, word, why)) return false;
    }
    return true;
}

uint64_t timetable_rate(const struct timetable *table, enum timetable_way way, uint32_t weekday,
                        uint32_t hour, uint32_t minute)
{
    uint32_t now = weekday * DAY_MINUTES + hour * 60 + minute;
    uint64_t rate = table->entries[table->count - 1].rates_bytes_per_s[way];
    for (uint32_t i = 0; i < table->count && table->entries[i].minute <= now; i++)
        rate = table->entries[i].rates_bytes_per_s[way];
    return rate;
}
