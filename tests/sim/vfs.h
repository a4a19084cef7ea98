/* vfs: SQLite's files on the simulated disk, so that the journal of the product (core/database,
 * s3/journal_db, s3/journal) is part of the simulation as it is: only what SQLite asks of the
 * system is simulated. What it wrote and did not sync is lost with the power, as all else is.
 *
 * One process has the files open at a time: locks are always granted, and the shared memory of the
 * WAL's index lives as long as the process. */
#ifndef TESTS_SIM_VFS_H
#define TESTS_SIM_VFS_H

#include "core/base.h"

void vfs_open_world(void); /* from here on all of SQLite's files are here */
void vfs_close_world(void);
uint64_t vfs_changes(void); /* writes, syncs, truncations and removals so far */
/* At that one the process ends: it happens, in part or not at all. UINT64_MAX: at none. */
void vfs_die_at(uint64_t change);
bool vfs_failed(void); /* something was answered with an error, and not for the process's end */
void vfs_kill(void);   /* the process is gone, and all that it had open */

#endif
