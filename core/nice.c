#include "core/nice.h"

#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Half of what there is: at 19 a busy machine gives 1.5 % of a CPU, and peers time out. */
#define NICE_CPU 10

/* Best effort's last, not the idle class: that may get nothing at all, while a journal is held. */
void nice_lower(void)
{
    int disk = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_NR_LEVELS - 1);
    if (getpriority(PRIO_PROCESS, 0) < NICE_CPU) (void)setpriority(PRIO_PROCESS, 0, NICE_CPU);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, disk);
}
