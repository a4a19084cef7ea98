/* why: why a run was not faster, in words: what its cores' time went to (sched/blame), and what
 * would help. Pure. */
#ifndef TOOLS_WHY_H
#define TOOLS_WHY_H

#include "core/bytes.h"
#include "s3/conf.h"
#include "sched/blame.h"

#define WHY_TEXT_BYTES  512u
#define WHY_ELAPSED_MIN NS_PER_S /* what took less was hardly looked at */

struct why { /* what was asked for, of which the advice depends */
    const struct conf *conf;
    const char *tcp_cc; /* the kernel's congestion control, or NULL */
    bool is_upload;
    bool is_check;    /* both sides are read; nothing can be cut or spread in another way */
    bool cores_named; /* --cores: there may be more */
};

/* "limited by the server (71 %), CPU 20 %: …" False: there is nothing to be said. */
MUST_USE bool why_format(const struct why *why, const struct blame_totals *totals,
                         uint64_t elapsed_ns, struct writer *w);
/* "server 71 %, CPU 20 %, disk 9 %": all that is not 0, the greatest first. The same. */
MUST_USE bool why_format_shares(const struct blame_totals *totals, struct writer *w);

#endif
