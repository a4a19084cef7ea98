/* fixed: a congestion controller that keeps the window it was told. */
#ifndef SCHED_FIXED_H
#define SCHED_FIXED_H

#include "sched/cc.h"

struct fixed {
    struct cc cc;
};

void fixed_init(struct fixed *fixed, const struct cc_limits *limits); /* at limits->start */

#endif
