#include "core/dump.h"

#include <sys/prctl.h>

#include "core/check.h"

void dump_forbid(void)
{
    int result = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    CHECK(result == 0 && "every Linux has it");
}
