/* items: the files and objects of a scenario, each with all the states it was ever in. */
#ifndef TESTS_SIM_ITEMS_H
#define TESTS_SIM_ITEMS_H

#include "tests/sim/store.h"

#define ITEMS_MAX       300u
#define ITEM_NAME_MAX   200u
#define ITEM_STATES_MAX 64u

struct item {
    char name[ITEM_NAME_MAX];             /* relative */
    struct blob *states[ITEM_STATES_MAX]; /* of the source; the last one is the present one */
    uint32_t state_count;
    struct blob *before; /* what the target was before the run; NULL: nothing */
    int64_t mtime_ns;
    bool gone;                /* the source was deleted */
    bool stuck;               /* its changes were too many to remember: none any more */
    bool found, done, failed; /* in this process; failed: a line said so */
    bool fresh;               /* it appeared in this process */
    bool ever_done;           /* by this or an earlier one, and what was done lasts */
    bool looked;              /* a clean has asked which uploads there are of it (abandon.h) */
};

struct items {
    struct item *all;
    uint32_t count;
    uint64_t bytes;
};

const char *item_path(const char *folder, const struct item *item); /* until the next call */
const char *item_key(const struct item *item);                      /* as well */

struct items *items_world(void);
void items_close_world(void);
/* Random content. */
struct blob *items_content(uint64_t bytes);
uint64_t items_draw_size(bool large); /* `large`: may need several parts */
struct item *items_add(uint64_t bytes);
struct item *items_add_named(const char *name, uint64_t bytes);
struct item *items_find(const char *name);                   /* NULL: none such */
void items_add_state(struct item *item, struct blob *state); /* takes the hold over */
bool items_had_state(const struct item *item, const char *data, uint64_t bytes);
bool items_is_present(const struct item *item, const char *data, uint64_t bytes); /* the last */
bool items_is_before(const struct item *item, const char *data, uint64_t bytes);

#endif
