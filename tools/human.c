#include "tools/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Three significant digits: more change faster than one reads. */
static void format_binary(double value, const char *behind, char text[HUMAN_TEXT_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < ARRAY_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(text, HUMAN_TEXT_BYTES, "%.*f %s%s", decimals, value, units[unit], behind);
}

const char *human_bytes(uint64_t bytes, char text[HUMAN_TEXT_BYTES])
{
    format_binary((double)bytes, "", text);
    return text;
}

const char *human_count(uint64_t count, char text[HUMAN_TEXT_BYTES])
{
    char plain[24];
    int length = snprintf(plain, sizeof plain, "%" PRIu64, count);
    char *to = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
        *to++ = plain[i];
    }
    *to = 0;
    return text;
}

const char *human_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* The days of what takes or lasts longer than two of them; whole ones say no hours. */
static void format_days(uint64_t s, char text[HUMAN_TEXT_BYTES])
{
    const uint64_t day = 24 * 3600;
    int count = snprintf(text, HUMAN_TEXT_BYTES, "%" PRIu64 " days", s / day);
    if (s % day > 0)
        snprintf(text + count, HUMAN_TEXT_BYTES - (size_t)count,
                 " %" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s % day / 3600, s / 60 % 60, s % 60);
}

const char *human_duration(uint64_t ns, char text[HUMAN_TEXT_BYTES])
{
    uint64_t s = (ns + NS_PER_S / 2) / NS_PER_S;
    double exact = (double)ns / (double)NS_PER_S;
    if (ns < 60 * NS_PER_S)
        snprintf(text, HUMAN_TEXT_BYTES, "%.*f s", exact < 9.995 ? 2 : 1, exact);
    else if (s < 3600)
        snprintf(text, HUMAN_TEXT_BYTES, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    else if (s < 48 * 3600)
        snprintf(text, HUMAN_TEXT_BYTES, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
                 s / 60 % 60, s % 60);
    else
        format_days(s, text);
    return text;
}

const char *human_rate(uint64_t bytes, uint64_t ns, char text[HUMAN_TEXT_BYTES])
{
    if (ns == 0)
        strcpy(text, "-");
    else
        format_binary((double)bytes / ((double)ns / (double)NS_PER_S), "/s", text);
    return text;
}
