/* nice: this process's CPU and disk come after those of others: for work that gives way. Threads
 * that are made later inherit it, and so does what io_uring does for them. Below it: sched(7),
 * ioprio_set(2). Who else runs nothing is not slower for it. */
#ifndef CORE_NICE_H
#define CORE_NICE_H

/* Nobody needs a privilege for this; a kernel without it leaves things as they are. The disk's part
 * holds where its scheduler knows priorities (bfq, mq-deadline). */
void nice_lower(void);

#endif
