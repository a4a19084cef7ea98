/* dump: what others can read of this process's memory, in which the credentials are: on the stack
 * (the environment), with the signer of each core, in TLS.
 *
 * A process that may not be dumped writes no core file and gives none to a collector, and its
 * memory, environment and descriptors in /proc are root's: no other process of the same user can
 * read or trace it. What the kernel says of it (numbers, memory used, the command line) is seen as
 * before. The cost: a crash leaves no core; what a failed check prints (core/check) is what there
 * is. A debugger that starts the program is not hindered.
 * Reference: PR_SET_DUMPABLE(2const), core(5). */
#ifndef CORE_DUMP_H
#define CORE_DUMP_H

/* Once, at the very start. It cannot fail. */
void dump_forbid(void);

#endif
