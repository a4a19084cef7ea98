/* scenario: what a seed does.
 *
 * Draws the files, objects, options, network, server and faults; and lives: processes that run the
 * same command one after the other, each on what the one before has left. Those with faults end by
 * themselves, by kill -9, or with a power cut (cut.h); then the job may be given up (abandon.h);
 * the last one runs without faults to its end.
 * rules.h has what must be true after each. */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "core/log.h"
#include "s3/run.h"
#include "tests/sim/cut.h"
#include "tests/sim/forest.h"
#include "tests/sim/store.h"
#include "tools/settings.h"

#define SCENARIO_SOURCE "/src"
#define SCENARIO_TARGET "/dst"
#define SCENARIO_PREFIX "p/"
#define SCENARIO_STATE  "/state" /* where the journal is: XDG_STATE_HOME */

enum scenario_kind { UP_TREE, UP_FILE, UP_PIPE, DOWN_TREE, DOWN_OBJECT, DOWN_PIPE, SCENARIO_KINDS };

struct scenario_options {
    bool quiet; /* draws no faults at all */
};

struct scenario_totals { /* of all seeds, to see that the simulation does what it should */
    uint64_t faults[64];
    uint64_t done, failed, stopped; /* in runs with faults: objects, objects, runs */
    uint64_t moved_bytes, requests, virtual_ns, kinds[8];
    uint64_t kills, power_cuts; /* processes that ended so */
    uint64_t adopted_bytes;     /* what later processes did not move again */
    uint64_t slow_conns, cut_runs, cuts, cut_bytes, vain_bytes; /* runs with cuts; of all */
    uint64_t calm_runs, lone_cuts,
        last_ns; /* runs that outlived their faults; by how much at most */
    uint64_t given_up, waited, left_uploads,
        left_temps; /* jobs, those that had to wait for another; what was there of them then */
    uint64_t sent_on, sent_on_runs, slips; /* to another host or region; lines of manifests */
    uint64_t same_address, other_address, race_runs, races;
    struct forest_totals forest;
};

struct scenario {
    enum scenario_kind kind;
    struct conf conf;
    struct run_result result;  /* of the last process that ended by itself */
    struct settings *settings; /* NULL: without a journal */
    bool pure;                 /* nothing goes wrong but the ends of processes */
    bool slow;                 /* … but that connections are slow: is only that cut? */
    bool few;                  /* … and little is under way: nothing to compare it with */
    bool racy;                 /* … but that copies of parts come late */
    bool heavy;        /* large objects on a slow path: processes end in the midst of their parts */
    bool faulty_lives; /* ends of processes were drawn */
    bool given_up;     /* and then the job was: the last process begins anew */
    enum cut_kind ended; /* how the last process ended; CUT_NONE: by itself */
    uint32_t kills, power_cuts, done_lines;
    uint32_t stalls;       /* cut by the process for moving next to nothing */
    uint32_t lone;         /* … for that in minutes, with nothing else that moved */
    uint64_t moved_before; /* bytes, by the processes before */
    uint32_t uploads_before, temps_before; /* of the last process */
};

const struct scenario *scenario_world(void);
/* The whole life of a seed; a broken rule ends the process. */
void scenario_run(const struct scenario_options *options, struct scenario_totals *totals);
const char *scenario_kind_name(uint32_t kind); /* NULL: there is no such */
bool scenario_is_upload(void);
bool scenario_is_tree(void);
bool scenario_is_pipe(void);
bool scenario_is_behind(int64_t now_s); /* long after the last process ended by itself */

/* told by the fakes */
void scenario_on_found(const char *path, enum err err);
void scenario_on_listed(const char *key);
void scenario_on_line(enum log_level level, const char *text);
void scenario_on_round(void);

#endif
