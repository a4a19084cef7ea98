#include "tools/throttle.h"

#include <time.h>

bool throttle_set(struct throttle *throttle, const char *text, char why[TIMETABLE_WHY_BYTES])
{
    struct timetable table;
    if (!timetable_parse(&table, text ? text : "off", why)) return false;
    throttle->table = table;
    return true;
}

static uint64_t rate_of_now(const struct throttle *throttle)
{
    const struct timetable *table = &throttle->table;
    time_t now = time(NULL);
    struct tm local;
    if (table->count == 1) return table->entries[0].rates_bytes_per_s[throttle->way];
    localtime_r(&now, &local);
    return timetable_rate(table, throttle->way, (uint32_t)local.tm_wday, (uint32_t)local.tm_hour,
                          (uint32_t)local.tm_min);
}

bool throttle_changes(struct throttle *throttle, uint64_t *rate)
{
    *rate = rate_of_now(throttle);
    if (*rate == throttle->rate_bytes_per_s) return false;
    throttle->rate_bytes_per_s = *rate;
    return true;
}

const char *throttle_why(const struct throttle *throttle)
{
    bool by_clock = throttle->table.count > 1;
    if (throttle->by_ctl) return by_clock ? "argosy ctl, by the clock" : "argosy ctl";
    return by_clock ? "--max-rate, by the clock" : "--max-rate";
}
