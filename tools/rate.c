#include "tools/rate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/pace.h"

#define NUMBER_BYTES_MAX 24u
#define RATE_MAX         1e15 /* bytes/s: beyond any machine, and exact as a double */

static const char hint[] = "say 50M or 50MiB/s, 50MB/s, 400Mbit/s, or off";

static bool complain(char why[RATE_WHY_BYTES], struct bytes text, const char *wrong,
                     const char *remedy)
{
    int count = text.count < 40 ? (int)text.count : 40;
    snprintf(why, RATE_WHY_BYTES, "'%.*s' %.40s%.60s", count, text.data, wrong, remedy);
    return false;
}

static bool take_end(struct bytes *text, const char *end)
{
    size_t count = strlen(end);
    if (text->count < count) return false;
    struct bytes tail = {text->data + text->count - count, count};
    if (!bytes_equal_ignoring_case(tail, bytes_of(end))) return false;
    text->count -= count;
    return true;
}

static double power_of(char letter, bool binary)
{
    static const char letters[] = "kmgt";
    const char *at = letter ? strchr(letters, letter | 0x20) : NULL;
    return at ? pow(binary ? 1024 : 1000, (double)(at - letters + 1)) : 0;
}

/* Bytes of one unit, or 0 with what is wrong with it. */
static double unit_bytes(struct bytes unit, const char **wrong)
{
    bool per_second = take_end(&unit, "/s"), spoken = !per_second && take_end(&unit, "ps");
    bool bits = take_end(&unit, "bits") || take_end(&unit, "bit"), bytes = false, binary;
    double scale = 1;
    *wrong = "is not a rate: ";
    if (!bits && unit.count > 0 && (unit.data[unit.count - 1] | 0x20) == 'b') {
        bool small = unit.data[--unit.count] == 'b';
        bool binary_word = unit.count > 0 && (unit.data[unit.count - 1] | 0x20) == 'i';
        bits = small && spoken;
        bytes = !small || (binary_word && !spoken);
        if (!bits && !bytes) {
            *wrong = "can mean bits or bytes: ";
            return 0;
        }
    }
    if (!bits && !bytes && (spoken || unit.count == 0)) {
        if (unit.count == 0) *wrong = "needs a unit: ";
        return 0;
    }
    binary = take_end(&unit, "i") || (!bits && !bytes);
    if (unit.count > 1 || (binary && unit.count == 0)) return 0;
    if (unit.count == 1) scale = power_of(unit.data[0], binary);
    return bits ? scale / 8 : scale;
}

bool rate_parse(struct bytes text, uint64_t *bytes_per_s, char why[RATE_WHY_BYTES])
{
    char number[NUMBER_BYTES_MAX + 1], *end;
    const char *wrong;
    size_t digits = 0;
    text = bytes_trim(text);
    *bytes_per_s = 0;
    if (bytes_equal_ignoring_case(text, BYTES("off")) || bytes_equal(text, BYTES("0"))) return true;
    while (digits < text.count && digits < NUMBER_BYTES_MAX &&
           memchr("0123456789.", text.data[digits], 11))
        digits++;
    memcpy(number, text.data, digits);
    number[digits] = 0;
    double value = strtod(number, &end);
    struct bytes unit = {text.data + digits, text.count - digits};
    double each = unit_bytes(bytes_trim(unit), &wrong);
    if (digits == 0 || *end) wrong = "is not a rate: ";
    if (digits == 0 || *end || each == 0) return complain(why, text, wrong, hint);
    double rate = round(value * each);
    if (rate < PACE_RATE_MIN || rate > RATE_MAX)
        return complain(why, text, "is out of range: ", "8kbit/s to 1000TB/s, or off");
    *bytes_per_s = (uint64_t)rate;
    return true;
}

const char *rate_format(uint64_t bytes_per_s, char text[2 * HUMAN_TEXT_BYTES])
{
    static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
    char rate[HUMAN_TEXT_BYTES];
    double bits = (double)bytes_per_s * 8;
    size_t unit = 0;
    for (; bits >= 999.5 && unit + 1 < ARRAY_COUNT(units); unit++)
        bits /= 1000;
    if (bytes_per_s == 0)
        strcpy(text, "off");
    else
        snprintf(text, 2 * HUMAN_TEXT_BYTES, "%s (%.3g %s)",
                 human_rate(bytes_per_s, NS_PER_S, rate), bits, units[unit]);
    return text;
}
