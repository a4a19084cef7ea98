#include "s3/stamp.h"

#include <string.h>

struct stamp_fields {
    uint32_t year, month, day, hour, minute, second; /* month and day from 1 */
};

static const char stamp_months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char stamp_weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

#define STAMP_DAYS_400_YEARS 146097u
#define STAMP_YEAR_MAX       9999u

/* Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap
 * day is the last of its year; eras are 400 years. */
static uint64_t stamp_days(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t shifted = month > 2 ? year : year - 1;
    uint32_t era = shifted / 400, of_era = shifted % 400;
    uint32_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    uint32_t day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;

    return (uint64_t)era * STAMP_DAYS_400_YEARS + day_of_era - 719468; /* 0000-03-01 … 1970 */
}

/* The inverse of stamp_days(). */
static void stamp_split_days(uint64_t days, struct stamp_fields *f)
{
    uint32_t shifted = (uint32_t)days + 719468;
    uint32_t era = shifted / STAMP_DAYS_400_YEARS, day_of_era = shifted % STAMP_DAYS_400_YEARS;
    uint32_t of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
    uint32_t month = (5 * of_year + 2) / 153;

    f->day = of_year - (153 * month + 2) / 5 + 1;
    f->month = month < 10 ? month + 3 : month - 9;
    f->year = era * 400 + of_era + (f->month <= 2);
}

static void stamp_split(uint64_t wall_ns, struct stamp_fields *f)
{
    uint64_t seconds = wall_ns / NS_PER_S; /* below 2^35: UINT64_MAX ns is the year 2554 */
    uint32_t of_day = (uint32_t)(seconds % 86400);

    stamp_split_days(seconds / 86400, f);
    f->hour = of_day / 3600;
    f->minute = of_day / 60 % 60;
    f->second = of_day % 60;
}

static char *stamp_put(char *at, uint32_t value, uint32_t digits)
{
    for (uint32_t i = digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

/* By hand, since one is made for every signature. */
void stamp_format_basic(uint64_t wall_ns, char text[STAMP_BASIC_BYTES])
{
    struct stamp_fields f;
    char *at = text;

    stamp_split(wall_ns, &f);
    at = stamp_put(at, f.year, 4);
    at = stamp_put(at, f.month, 2);
    at = stamp_put(at, f.day, 2);
    *at++ = 'T';
    at = stamp_put(at, f.hour, 2);
    at = stamp_put(at, f.minute, 2);
    at = stamp_put(at, f.second, 2);
    *at++ = 'Z';
    *at = '\0';
}

void stamp_format_iso(uint64_t wall_ns, char text[STAMP_ISO_BYTES])
{
    struct stamp_fields f;
    char *at = text;

    stamp_split(wall_ns, &f);
    at = stamp_put(at, f.year, 4);
    *at++ = '-';
    at = stamp_put(at, f.month, 2);
    *at++ = '-';
    at = stamp_put(at, f.day, 2);
    *at++ = 'T';
    at = stamp_put(at, f.hour, 2);
    *at++ = ':';
    at = stamp_put(at, f.minute, 2);
    *at++ = ':';
    at = stamp_put(at, f.second, 2);
    *at++ = '.';
    at = stamp_put(at, (uint32_t)(wall_ns / NS_PER_MS % 1000), 3);
    *at++ = 'Z';
    *at = '\0';
}

void stamp_format_http(uint64_t wall_ns, char text[STAMP_HTTP_BYTES])
{
    struct stamp_fields f;
    char *at = text;

    stamp_split(wall_ns, &f);
    memcpy(at, stamp_weekdays[wall_ns / NS_PER_S / 86400 % 7], 3);
    memcpy(at + 3, ", ", 2);
    at = stamp_put(at + 5, f.day, 2);
    *at++ = ' ';
    memcpy(at, stamp_months[f.month - 1], 3);
    at[3] = ' ';
    at = stamp_put(at + 4, f.year, 4);
    *at++ = ' ';
    at = stamp_put(at, f.hour, 2);
    *at++ = ':';
    at = stamp_put(at, f.minute, 2);
    *at++ = ':';
    at = stamp_put(at, f.second, 2);
    memcpy(at, " GMT", 5);
}

static bool stamp_digits(const char *at, size_t count, uint32_t *value)
{
    uint64_t number;

    if (!bytes_parse_u64((struct bytes){at, count}, &number)) return false;
    *value = (uint32_t)number;
    return true;
}

static bool stamp_month(const char *at, uint32_t *month)
{
    for (uint32_t i = 0; i < 12; i++) {
        if (memcmp(at, stamp_months[i], 3) == 0) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

/* Reads text along a pattern of the same length: each letter stands `length` times for its field
 * (YYYY mm dd HH MM SS, bbb a month's name, www a weekday's, which is not checked); anything else
 * stands for itself. */
static bool stamp_match(const char *text, const char *pattern, struct stamp_fields *f)
{
    while (*pattern) {
        size_t length = 1;
        bool fits;

        while (pattern[length] == *pattern)
            length++;
        switch (*pattern) {
        case 'Y': fits = stamp_digits(text, length, &f->year); break;
        case 'm': fits = stamp_digits(text, length, &f->month); break;
        case 'd': fits = stamp_digits(text, length, &f->day); break;
        case 'H': fits = stamp_digits(text, length, &f->hour); break;
        case 'M': fits = stamp_digits(text, length, &f->minute); break;
        case 'S': fits = stamp_digits(text, length, &f->second); break;
        case 'b': fits = stamp_month(text, &f->month); break;
        case 'w': fits = true; break;
        default: fits = memcmp(text, pattern, length) == 0;
        }
        if (!fits) return false;
        text += length;
        pattern += length;
    }
    return true;
}

/* Of ISO 8601: what may follow the seconds: "Z", or a fraction and "Z". */
static bool stamp_is_iso_end(struct bytes rest)
{
    if (rest.count == 0 || rest.data[rest.count - 1] != 'Z') return false;
    if (rest.count == 1) return true;
    if (rest.count == 2 || rest.data[0] != '.') return false;
    for (size_t i = 1; i + 1 < rest.count; i++) {
        if (rest.data[i] < '0' || rest.data[i] > '9') return false;
    }
    return true;
}

static bool stamp_is_date(const struct stamp_fields *f)
{
    static const uint8_t days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (f->year < 1970 || f->year > STAMP_YEAR_MAX) return false;
    if (f->month < 1 || f->month > 12) return false;
    if (f->day < 1 || f->day > days[f->month - 1]) return false;
    return f->hour < 24 && f->minute < 60 && f->second <= 60; /* 60: a leap second */
}

bool stamp_parse(struct bytes text, int64_t *seconds)
{
    static const char basic[] = "YYYYmmddTHHMMSSZ", iso[] = "YYYY-mm-ddTHH:MM:SS",
                      http[] = "www, dd bbb YYYY HH:MM:SS ";
    struct stamp_fields f = {0};
    bool fits = false;

    if (text.count == sizeof(basic) - 1) {
        fits = stamp_match(text.data, basic, &f);
    } else if (text.count == STAMP_HTTP_BYTES - 1 && bytes_end_with(text, BYTES("GMT"))) {
        fits = stamp_match(text.data, http, &f);
    } else if (text.count >= sizeof(iso)) {
        struct bytes rest = {text.data + sizeof(iso) - 1, text.count - sizeof(iso) + 1};

        fits = stamp_match(text.data, iso, &f) && stamp_is_iso_end(rest);
    }
    if (!fits || !stamp_is_date(&f)) return false;
    *seconds = (int64_t)(stamp_days(f.year, f.month, f.day) * 86400 + f.hour * 3600 +
                         f.minute * 60 + f.second);
    return true;
}
