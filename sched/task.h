/* task: work that a core can be given.
 *
 * Plain data: no pointer in it but those that queue and route it, so that another core, and later
 * another node, can have it. It belongs to its home core, which gets it back, with its result, by
 * the same road. */
#ifndef SCHED_TASK_H
#define SCHED_TASK_H

#include "core/mailbox.h"

enum task_rank {
    TASK_FIRST, /* parts of objects under way: finish what was begun */
    TASK_THEN,  /* new objects */
    TASK_RANKS
};

struct lend;

struct task {
    struct link link;
    struct msg msg;
    struct lend *toward; /* private: the queue that its message goes to */
    uint16_t home;       /* core index */
    uint16_t rank;
    uint16_t prefix; /* whose share it counts in (sched/prefixes); 0: none's */
    uint64_t bytes;  /* that it moves, about: what it counts for */
};

static inline void task_init(struct task *task, uint16_t home, enum task_rank rank)
{
    link_init(&task->link);
    task->toward = NULL;
    task->home = home;
    task->rank = (uint16_t)rank;
    task->prefix = 0;
    task->bytes = 0;
}

#endif
