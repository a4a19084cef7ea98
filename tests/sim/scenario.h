/* scenario: what a seed does, and what must be true afterwards.
 *
 * Draws the files, objects, options, network, server and faults; runs a copy with the faults
 * (safety), then what is left without them (liveness), and looks after each run at both sides:
 *
 *   safety    an object is one state that its file had, or what was there before; a file is one
 *             version of its object, or what was there before; what was reported done is there; no
 *             temporary file, no upload, no descriptor, no op is left, unless its removal failed;
 *             found = done + skipped + failed
 *   liveness  the second run does all of it, soon */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "core/err.h"
#include "core/log.h"
#include "tests/sim/store.h"

struct scenario_options {
    bool quiet; /* draws no faults at all */
};

struct scenario_totals { /* of all seeds, to see that the simulation does what it should */
    uint64_t faults[64];
    uint64_t done, failed, stopped; /* in runs with faults: objects, objects, runs */
    uint64_t moved_bytes, requests, virtual_ns, kinds[8];
};

/* The whole life of a seed; a broken rule ends the process. */
void scenario_run(const struct scenario_options *options, struct scenario_totals *totals);
const char *scenario_kind_name(uint32_t kind); /* NULL: there is no such */

/* told by the fakes */
void scenario_on_found(const char *path, enum err err);
void scenario_on_listed(const char *key);
void scenario_on_line(enum log_level level, const char *text);
void scenario_on_round(void);
/* The object gets other content now. */
struct store_object *scenario_change_object(struct store_object *object);

#endif
