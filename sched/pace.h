/* pace: when the next bytes may go, at a rate: a leaky schedule. Pure.
 *
 * Bytes are claimed in quanta. A claim gets the time from which it may go, and moves the schedule
 * on by what it costs. Over any span T at a steady rate r, with n claimers that each have at most
 * one quantum q claimed ahead of its time:
 *
 *     sent ≤ r · (T + PACE_CATCH_UP_NS) + n · q
 *     sent ≥ r · T − n · q,  while somebody always claims and nobody is later than
 *                            PACE_CATCH_UP_NS
 *
 * A quantum is at most PACE_QUANTUM_NS of the rate, so that any 5 s are within 2 % for a few cores;
 * below 400 kB/s it is PACE_QUANTUM_BYTES_MIN, which is more than that. Not here: who claims
 * (sched/budget), and how one waits (core/gate). */
#ifndef SCHED_PACE_H
#define SCHED_PACE_H

#include "core/base.h"

/* What a late claimer may make up for. Timers fire late by a scheduler's slice when the machine is
 * busy; without this the rate would stay below what was asked. It is also the burst that may follow
 * an idle time: 1 % of 5 s. */
#define PACE_CATCH_UP_NS (50 * NS_PER_MS)
/* Long enough for few system calls, short enough that a slow link sees an even flow. */
#define PACE_QUANTUM_NS        (10 * NS_PER_MS)
#define PACE_QUANTUM_BYTES_MIN 4096u /* less is mostly headers */
/* One staged buf: at 10 Gbit/s a send each 0.8 ms, and more would only fill the socket's buffer. */
#define PACE_QUANTUM_BYTES_MAX (1u << 20)
#define PACE_RATE_MIN          1000u /* bytes/s: 8 kbit/s; a quantum takes 4 s */

/* Bytes of one claim at `rate_bytes_per_s`, which is above 0. */
uint32_t pace_quantum_bytes(uint64_t rate_bytes_per_s);
/* Claims `bytes` in a schedule whose next free time is *next_ns: moves it on, and returns the time
 * from which they may go; `now_ns` or earlier: at once. */
uint64_t pace_claim(uint64_t *next_ns, uint64_t rate_bytes_per_s, uint32_t bytes, uint64_t now_ns);

#endif
