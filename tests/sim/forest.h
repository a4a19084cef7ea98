/* forest: trees of several folders whose names sort around "/", and a search that looks so little
 * ahead that it is forked in them (s3/search), with what may happen to it then. Every fourth seed
 * is one; none of those that found something before there were any (tests/run).
 *
 *   a prefix   is slow, or refuses more than others do: prefixes are uneven
 *   a folder   is empty, cannot be read, or not to its end; vanishes or appears
 *   a listing  begins where it is asked to, or at the beginning, or refuses that; comes in another
 *              order; is late; fails for good in the midst
 *
 * What is found or not is told by the fakes: what is there from a process's beginning to its end,
 * and can be read, is to be found once. */
#ifndef TESTS_SIM_FOREST_H
#define TESTS_SIM_FOREST_H

#include "s3/conf.h"
#include "tests/sim/items.h"
#include "tests/sim/server.h"

enum forest_listing { /* of the model server, in all lives */
                      FOREST_PLAIN,
                      FOREST_IGNORES,     /* knows no start-after */
                      FOREST_REFUSES,     /* says so */
                      FOREST_SLASH_FIRST, /* in another order: folder by folder … */
                      FOREST_NO_CASE,     /* … or as a dictionary has it */
};

/* Seeds with a forked search, of these those in which it happened. */
#define FOREST_COUNTS(F)                                                                           \
    F(UP, "up")                                                                                    \
    F(DOWN, "down")                                                                                \
    F(FULL, "with all branches")                                                                   \
    F(ENDED, "ended while forked")                                                                 \
    F(IGNORES, "start-after ignored")                                                              \
    F(REFUSES, "refused")                                                                          \
    F(TURNS, "another order")                                                                      \
    F(FAILS, "listing failed")                                                                     \
    F(CLOSED, "unreadable folder")                                                                 \
    F(VANISHES, "folder vanished")                                                                 \
    F(APPEARS, "appeared")                                                                         \
    F(SLOW, "slow prefix")                                                                         \
    F(LIMITED, "limited prefix")

enum forest_count {
#define FOREST_COUNT(name, text) FOREST_##name##_COUNT,
    FOREST_COUNTS(FOREST_COUNT)
#undef FOREST_COUNT
        FOREST_COUNT_COUNT
};

struct forest_totals {
    uint64_t seeds, forked, branches_most; /* branches: that a process had at a time */
    uint64_t counts[FOREST_COUNT_COUNT];
};

/* Draws; false: this seed is none. `pure`: nothing goes wrong but the ends of processes. */
bool forest_open_world(bool is_upload, bool pure);
bool forest_is_one(void);
bool forest_is_alone(void); /* no faults but its own are to be drawn */
bool forest_is_slow(void);  /* a prefix is */
void forest_draw_conf(struct conf *conf);
void forest_draw_items(void);
void forest_put(void); /* what is no item */
void forest_draw_changes(double within_ns);
double forest_guess_ns(void); /* about how long what is slow takes */

void forest_on_process(void);       /* another one begins */
void forest_on_end(bool was_ended); /* by a kill or a power cut */
void forest_add(struct forest_totals *totals);
/* Prints what happened; false: of so many seeds more is to be expected. */
bool forest_report(const struct forest_totals *totals, uint64_t seeds);

/* for the fakes: a walk or a listing begins behind a folder; walks that are open */
void forest_on_branch(const char *behind);
void forest_on_walk(bool opens);
/* What a walk finds under the name of a folder at the top, and how many of its files it may have.
 * WALK_FILE: nothing but those. */
enum walk_kind forest_on_folder(const char *name, uint32_t files, uint32_t *most);
const char *forest_empty(uint32_t index); /* folders that no file's path tells of; NULL: no more */

/* for the server */
enum forest_listing forest_listing(void);
void forest_on_listed(const char *key); /* of a folder: "…/" */
bool forest_answers(const struct server_request *request, struct server_reply *reply);
uint64_t forest_delay_ns(const struct server_request *request);

/* for the rules: folders that count as found, surely or perhaps; an item that no walk could see;
 * one that was to be seen and was not breaks a rule. */
uint32_t forest_found(bool perhaps);
bool forest_hides(const struct item *item);
void forest_check_found(void);

#endif
