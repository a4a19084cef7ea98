/* prr: proportional rate reduction, in requests. Pure.
 *
 * When a window is cut to below what is in flight, admission would stop until enough have ended,
 * and then begin with a burst. Instead each that ends lets window / in-flight-at-the-cut others go:
 *
 *     allowed = ⌈ended × window / flight⌉ − launched
 *
 * so that the work goes on evenly while the excess drains. Over when no more than the window are in
 * flight. Reference: https://www.rfc-editor.org/rfc/rfc6937 */
#ifndef SCHED_PRR_H
#define SCHED_PRR_H

#include "core/base.h"

struct prr {
    /* private */
    uint32_t flight, window; /* at the cut; flight 0: nothing was cut */
    uint32_t ended, launched;
};

void prr_init(struct prr *prr);
/* The window is now this, with `flight` out. A window that holds them all is no cut. */
void prr_set(struct prr *prr, uint32_t window, uint32_t flight);
/* One has ended, and `flight` are out now: how many may go? */
uint32_t prr_on_end(struct prr *prr, uint32_t window, uint32_t flight);

#endif
