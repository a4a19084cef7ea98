#include "sched/prr.h"

void prr_init(struct prr *prr)
{
    *prr = (struct prr){.flight = 0};
}

void prr_set(struct prr *prr, uint32_t window, uint32_t flight)
{
    prr_init(prr);
    if (window >= flight) return;
    prr->flight = flight;
    prr->window = window;
}

uint32_t prr_on_end(struct prr *prr, uint32_t window, uint32_t flight)
{
    if (flight < window) { /* what is below the window may go at once */
        prr_init(prr);
        return window - flight;
    }
    if (prr->flight == 0) return 0;
    prr->ended++;
    uint64_t due = ((uint64_t)prr->ended * prr->window + prr->flight - 1) / prr->flight;
    uint32_t allowed = due > prr->launched ? (uint32_t)(due - prr->launched) : 0;
    prr->launched += allowed;
    return allowed;
}
