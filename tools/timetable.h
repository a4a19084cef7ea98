/* timetable: a rate by the time of the week. Pure.
 *
 *     50M                                  always
 *     08:00,50M 19:00,off                  every day; each entry holds until the next one
 *     Mon-08:00,50M Fri-19:00,off 12:00,80M  an entry without a day is every day's
 *
 *     10M:1M   08:00,10M:off               up and down apart
 *
 * The form is that of rclone --bwlimit. Before the week's first entry the last one holds. */
#ifndef TOOLS_TIMETABLE_H
#define TOOLS_TIMETABLE_H

#include "core/bytes.h"

#define TIMETABLE_ENTRIES_MAX (7u * 32u) /* 32 that are every day's */
#define TIMETABLE_WHY_BYTES   256u

enum timetable_way { TIMETABLE_UP, TIMETABLE_DOWN, TIMETABLE_WAYS };

struct timetable_entry {
    uint32_t minute; /* of the week, which begins on Sunday, 00:00 */
    uint64_t rates_bytes_per_s[TIMETABLE_WAYS];
};

struct timetable {
    struct timetable_entry entries[TIMETABLE_ENTRIES_MAX]; /* by time; of two at a time the later
                                                              given wins */
    uint32_t count;                                        /* at least 1; 1 entry holds always */
};

/* False with a sentence in `why`. */
MUST_USE bool timetable_parse(struct timetable *table, const char *text,
                              char why[TIMETABLE_WHY_BYTES]);
/* weekday: 0 is Sunday, as tm_wday. 0: no limit. */
uint64_t timetable_rate(const struct timetable *table, enum timetable_way way, uint32_t weekday,
                        uint32_t hour, uint32_t minute);

#endif
