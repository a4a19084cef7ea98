#include "sched/breaker.h"

#include "core/check.h"

void breaker_init(struct breaker *breaker)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED, .epoch = 1};
}

bool breaker_admit(struct breaker *breaker, struct rand *rand, uint64_t now_ns, uint32_t *ticket,
                   uint64_t *wait_ns)
{
    *wait_ns = 0;
    if (breaker->state == BREAKER_OPEN && now_ns >= breaker->until_ns) {
        breaker->state = BREAKER_RAMP;
        breaker->out = breaker->row = breaker->answers = breaker->failures = 0;
        breaker->window_ns = now_ns;
        breaker->allowed = 1;
    }
    if (breaker->state == BREAKER_OPEN) *wait_ns = breaker->until_ns - now_ns;
    if (breaker->state == BREAKER_RAMP && breaker->out >= breaker->allowed)
        *wait_ns = BREAKER_ASK_NS + rand_below(rand, BREAKER_ASK_NS);
    if (*wait_ns > 0) return false;
    breaker->out++;
    *ticket = breaker->epoch;
    return true;
}

static void breaker_open(struct breaker *breaker, struct rand *rand, uint64_t now_ns)
{
    bool again = breaker->state == BREAKER_RAMP ||
                 (breaker->closed_ns && now_ns - breaker->closed_ns < BREAKER_WINDOW_NS);
    uint64_t open_ns;

    breaker->level = again ? breaker->level + 1 : 1;
    open_ns = BREAKER_OPEN_NS_MAX;
    if (breaker->level < 8) /* more only overflows */
        open_ns = min_u64(open_ns, BREAKER_OPEN_NS << (breaker->level - 1));
    breaker->state = BREAKER_OPEN;
    breaker->opened_ns = now_ns;
    breaker->until_ns = now_ns + open_ns / 2 + rand_below(rand, open_ns / 2 + 1);
    breaker->epoch++;
    breaker->out = breaker->row = 0;
    breaker->answers = breaker->failures = 0;
}

static void breaker_count(struct breaker *breaker, uint64_t now_ns, bool failed)
{
    if (now_ns - breaker->window_ns >= BREAKER_WINDOW_NS) {
        breaker->window_ns = now_ns;
        breaker->answers = breaker->failures = 0;
    }
    breaker->answers++;
    breaker->failures += failed;
}

/* In the ramp: the probe, or half of a few; a server that fails now and then gets through. */
static bool breaker_is_too_much(const struct breaker *breaker)
{
    bool ramp = breaker->state == BREAKER_RAMP;
    uint32_t answers_min = ramp ? BREAKER_RAMP_ANSWERS_MIN : BREAKER_ANSWERS_MIN;

    if (ramp && breaker->answers == breaker->failures) return true;
    if (breaker->row >= BREAKER_ROW) return true;
    return breaker->answers >= answers_min && 2 * breaker->failures >= breaker->answers;
}

/* Each success lets two go for the one that came back. */
static void breaker_ramp(struct breaker *breaker, uint64_t now_ns)
{
    breaker->allowed++;
    if (breaker->allowed < BREAKER_RAMP_MAX) return;
    breaker->state = BREAKER_CLOSED;
    breaker->closed_ns = now_ns;
}

bool breaker_on_result(struct breaker *breaker, struct rand *rand, uint64_t now_ns, uint32_t ticket,
                       enum breaker_result result)
{
    bool failed = result == BREAKER_TRANSPORT || result == BREAKER_REFUSAL;

    if (ticket != breaker->epoch) return false; /* of before the opening: known already */
    CHECK(breaker->out > 0);
    breaker->out--;
    if (result == BREAKER_NEUTRAL) return false;
    breaker_count(breaker, now_ns, failed);
    if (result != BREAKER_REFUSAL) breaker->row = failed ? breaker->row + 1 : 0;
    if (!failed && breaker->state == BREAKER_RAMP) breaker_ramp(breaker, now_ns);
    if (!failed || !breaker_is_too_much(breaker)) return false;
    breaker_open(breaker, rand, now_ns);
    return true;
}
