#include "tools/wan_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "tools/opts.h"

#define FRACTION_DIGITS_MAX 9u
#define RATE_BITS_MAX       (1000ull * 1000 * 1000 * 1000) /* 1 Tbit/s: far from overflows */
#define DELAY_NS_MAX        (60 * NS_PER_S)

static bool complain(struct wan_plan *plan, const char *format, ...) PRINTF_LIKE(2, 3);

static bool complain(struct wan_plan *plan, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(plan->why, sizeof plan->why, format, arguments);
    va_end(arguments);
    return false;
}

/* A decimal number at the front of *text, with a fraction or not. */
static bool take_decimal(struct bytes *text, double *value)
{
    double number = 0, weight = 1;
    size_t at = 0, digits = 0, fraction = 0;
    bool point = false;
    for (; at < text->count && fraction <= FRACTION_DIGITS_MAX; at++) {
        char c = text->data[at];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        digits++;
        fraction += point;
        if (point) weight /= 10;
        number = point ? number + (c - '0') * weight : number * 10 + (c - '0');
    }
    *text = (struct bytes){text->data + at, text->count - at};
    *value = number;
    return digits > 0 && fraction <= FRACTION_DIGITS_MAX;
}

bool wan_plan_parse_rate(struct bytes text, uint64_t *bits_per_s)
{
    static const struct {
        const char *name;
        double value;
    } units[] = {{"", 1}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}};
    double number;
    if (!take_decimal(&text, &number)) return false;
    if (bytes_end_with(text, BYTES("bit"))) text.count -= 3;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (!bytes_equal_ignoring_case(text, bytes_of(units[i].name))) continue;
        number *= units[i].value;
        if (number > (double)RATE_BITS_MAX) return false;
        *bits_per_s = (uint64_t)(number + 0.5);
        return true;
    }
    return false;
}

static bool parse_delay(struct bytes text, uint64_t *ns)
{
    return opts_parse_duration(text, ns) && *ns <= DELAY_NS_MAX;
}

/* "0.1%", "0.001"; behind a stroke the mean burst. */
static bool parse_loss(struct bytes text, struct wan_plan_lane_setting *lane)
{
    struct bytes burst, share = bytes_cut(text, '/', &burst);
    double value, packets = 0;
    bool has_burst = share.count < text.count;
    if (!take_decimal(&share, &value)) return false;
    if (bytes_equal(share, BYTES("%")))
        value /= 100;
    else if (share.count > 0)
        return false;
    if (has_burst && (!take_decimal(&burst, &packets) || burst.count > 0 || packets < 1))
        return false;
    if (value >= 1) return false;
    lane->loss = value;
    lane->burst_packets = packets;
    return true;
}

static bool parse_police(struct bytes text, struct wan_plan_lane_setting *lane)
{
    struct bytes burst, rate = bytes_cut(text, '/', &burst);
    lane->police_burst_bytes = WAN_PLAN_POLICE_BYTES;
    if (!wan_plan_parse_rate(rate, &lane->police_bits_per_s)) return false;
    return rate.count == text.count || opts_parse_size(burst, &lane->police_burst_bytes);
}

/* A step while it is read: a queue of so many BDP waits for the step's rate and delay. */
struct draft {
    struct wan_plan_step *step;
    double queue_bdp[WAN_PLAN_LANES]; /* 0: the queue has its bytes */
};

static bool parse_queue(struct bytes text, struct draft *draft, uint32_t index)
{
    struct bytes rest = text;
    double bdp;
    if (take_decimal(&rest, &bdp) && bytes_equal_ignoring_case(rest, BYTES("bdp"))) {
        draft->queue_bdp[index] = bdp;
        return bdp > 0;
    }
    draft->queue_bdp[index] = 0;
    return opts_parse_size(text, &draft->step->lanes[index].queue_bytes);
}

static bool set_lane(struct draft *draft, uint32_t index, struct bytes name, struct bytes value)
{
    struct wan_plan_lane_setting *lane = &draft->step->lanes[index];
    if (bytes_equal(name, BYTES("rate"))) return wan_plan_parse_rate(value, &lane->rate_bits_per_s);
    if (bytes_equal(name, BYTES("delay"))) return parse_delay(value, &lane->delay_ns);
    if (bytes_equal(name, BYTES("jitter"))) return parse_delay(value, &lane->jitter_ns);
    if (bytes_equal(name, BYTES("queue"))) return parse_queue(value, draft, index);
    if (bytes_equal(name, BYTES("loss"))) return parse_loss(value, lane);
    if (bytes_equal(name, BYTES("police"))) return parse_police(value, lane);
    return false;
}

static bool set_rtt(struct wan_plan_step *step, struct bytes value)
{
    uint64_t ns;
    if (!parse_delay(value, &ns)) return false;
    step->lanes[WAN_PLAN_UP].delay_ns = ns / 2;
    step->lanes[WAN_PLAN_DOWN].delay_ns = ns - ns / 2;
    return true;
}

static bool set_word(struct wan_plan *plan, struct draft *draft, struct bytes word)
{
    struct bytes value, name = bytes_cut(word, '=', &value);
    bool up = bytes_start_with(name, BYTES("up.")), down = bytes_start_with(name, BYTES("down."));
    size_t skip = up ? 3 : down ? 5 : 0;
    struct bytes bare = {name.data + skip, name.count - skip};
    bool good;
    if (name.count == word.count)
        return complain(plan, "'%.*s' is not NAME=VALUE", (int)word.count, word.data);
    if (bytes_equal(bare, BYTES("rtt")))
        good = !up && !down && set_rtt(draft->step, value);
    else
        good = (down || set_lane(draft, WAN_PLAN_UP, bare, value)) &&
               (up || set_lane(draft, WAN_PLAN_DOWN, bare, value));
    if (good) return true;
    return complain(plan,
                    "'%.*s' is none of rate=1G, delay=25ms, rtt=50ms, jitter=2ms, queue=1BDP, "
                    "queue=256K, loss=0.1%%, loss=0.1%%/8, police=500M/1M",
                    (int)word.count, word.data);
}

static void settle_queues(struct draft *draft)
{
    const struct wan_plan_lane_setting *lanes = draft->step->lanes;
    uint64_t rtt_ns = lanes[WAN_PLAN_UP].delay_ns + lanes[WAN_PLAN_DOWN].delay_ns;
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        struct wan_plan_lane_setting *lane = &draft->step->lanes[i];
        double bdp = (double)lane->rate_bits_per_s / 8 * (double)rtt_ns / (double)NS_PER_S;
        if (draft->queue_bdp[i] > 0)
            lane->queue_bytes =
                max_u64((uint64_t)(bdp * draft->queue_bdp[i] + 0.5), WAN_PLAN_QUEUE_BYTES_MIN);
    }
}

static bool parse_words(struct wan_plan *plan, struct draft *draft, struct bytes text)
{
    for (struct bytes rest = bytes_trim(text), word; rest.count > 0; rest = bytes_trim(rest)) {
        word = bytes_cut(rest, ' ', &rest);
        if (!set_word(plan, draft, word)) return false;
    }
    settle_queues(draft);
    return true;
}

/* "30s rate=300M …" */
static bool parse_step(struct wan_plan *plan, struct bytes text)
{
    struct bytes rest, time = bytes_cut(text, ' ', &rest);
    const struct wan_plan_step *before = &plan->steps[plan->step_count - 1];
    struct draft draft = {.step = &plan->steps[plan->step_count]};
    if (plan->step_count == WAN_PLAN_STEPS_MAX)
        return complain(plan, "a schedule has at most %u steps", WAN_PLAN_STEPS_MAX - 1);
    *draft.step = *before;
    if (!opts_parse_duration(time, &draft.step->at_ns))
        return complain(plan, "a step begins with its time, such as 30s, not with '%.*s'",
                        (int)time.count, time.data);
    if (draft.step->at_ns <= before->at_ns)
        return complain(plan, "the step at '%.*s' is not behind the one before it", (int)time.count,
                        time.data);
    plan->step_count++;
    return parse_words(plan, &draft, rest);
}

bool wan_plan_parse(struct wan_plan *plan, struct bytes path, struct bytes schedule,
                    uint64_t repeat_ns)
{
    struct draft first = {.step = &plan->steps[0], .queue_bdp = {1, 1}};
    memset(plan, 0, sizeof *plan);
    plan->step_count = 1;
    plan->repeat_ns = repeat_ns;
    if (!parse_words(plan, &first, path)) return false;
    for (struct bytes rest = schedule, step; rest.count > 0;) {
        step = bytes_trim(bytes_cut(rest, ';', &rest));
        if (step.count > 0 && !parse_step(plan, step)) return false;
    }
    if (repeat_ns > 0 && repeat_ns <= plan->steps[plan->step_count - 1].at_ns)
        return complain(plan, "the schedule is longer than the time after which it is repeated");
    return true;
}

const struct wan_plan_step *wan_plan_at(const struct wan_plan *plan, uint64_t elapsed_ns,
                                        uint64_t *until_ns)
{
    uint64_t base_ns = plan->repeat_ns ? elapsed_ns / plan->repeat_ns * plan->repeat_ns : 0;
    uint32_t index = 0;
    CHECK(plan->step_count >= 1);
    while (index + 1 < plan->step_count && base_ns + plan->steps[index + 1].at_ns <= elapsed_ns)
        index++;
    if (index + 1 < plan->step_count)
        *until_ns = base_ns + plan->steps[index + 1].at_ns;
    else
        *until_ns = plan->repeat_ns ? base_ns + plan->repeat_ns : UINT64_MAX;
    return &plan->steps[index];
}

uint64_t wan_plan_bytes_max(const struct wan_plan *plan, enum wan_plan_lane lane,
                            uint64_t unlimited_bits_per_s)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct wan_plan_lane_setting *setting = &plan->steps[i].lanes[lane];
        uint64_t rate = setting->rate_bits_per_s ? setting->rate_bits_per_s : unlimited_bits_per_s;
        double flight =
            (double)rate / 8 * (double)(setting->delay_ns + setting->jitter_ns) / (double)NS_PER_S;
        most = max_u64(most, (uint64_t)flight + setting->queue_bytes);
    }
    return most;
}
