/* folder: makes the folders above a path, as mkdir -p does, on an aside: few and rare calls,
 * several system calls each. With RESOLVE_BENEATH no symbolic link on the way leads out of the
 * starting folder. */
#ifndef CORE_FOLDER_H
#define CORE_FOLDER_H

#include "core/aside.h"

struct folder_maker {     /* embedded by its caller */
    struct aside_job job; /* done: job.op; errors as mkdirat(2), openat2(2) and fsync(2) */
    bool sync;            /* each folder that gets a new one is synced; false by default */
    /* private */
    int folder_fd;
    const char *path;
    uint64_t resolve;
};

void folder_maker_init(struct folder_maker *maker, op_fn *done);
/* `path` is relative to `folder_fd` (or absolute with AT_FDCWD) and stays in place; its last name
 * is not made. `resolve` as in openat2(2): 0 or RESOLVE_BENEATH. Folders that are there are left
 * alone. */
void folder_make_above(struct folder_maker *maker, int folder_fd, const char *path,
                       uint64_t resolve, struct aside *aside);

#endif
