/* owner: which process works on a job, told so that another one, here or on another machine, can
 * judge whether it still does.
 *
 * On the same machine and boot the process itself is looked at: its number and the time that it was
 * started, since numbers are used again. A process that we cannot see from here (another machine,
 * or one that has been started anew since) is judged by its lease: a moment until which it counts
 * as alive, that it keeps moving on. Reference: proc(5), /proc/PID/stat field 22; random(4),
 * boot_id. */
#ifndef CORE_OWNER_H
#define CORE_OWNER_H

#include "core/base.h"

#define OWNER_HOST_BYTES 65u /* HOST_NAME_MAX and a 0 */
#define OWNER_BOOT_BYTES 37u /* a UUID and a 0 */

struct owner {
    char host[OWNER_HOST_BYTES], boot[OWNER_BOOT_BYTES];
    uint32_t pid;
    uint64_t started; /* in the kernel's ticks since boot */
};

void owner_of_this_process(struct owner *owner);
/* `lease_until_s` and `now_s` since 1970. */
bool owner_is_alive(const struct owner *owner, int64_t lease_until_s, int64_t now_s);

#endif
