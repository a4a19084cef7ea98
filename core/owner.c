#include "core/owner.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define OWNER_STARTED_FIELD 22u

/* The first line of a small file of the kernel's, without its newline; "" where there is none. */
static void owner_read_line(const char *path, char *line, int line_bytes)
{
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (!file) return;
    if (!fgets(line, line_bytes, file)) line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
}

/* Fields are counted behind the last ")", since a program's name may hold anything. A zombie has
 * ended. */
static bool owner_read_started(uint32_t pid, uint64_t *started)
{
    char path[64], line[1024], state = 'Z';
    const char *at;
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", pid);
    owner_read_line(path, line, sizeof line);
    at = strrchr(line, ')');
    for (uint32_t field = 2; at && field < OWNER_STARTED_FIELD; field++) {
        at = strchr(at, ' ');
        if (!at) return false;
        at++;
        if (field == 2) state = *at;
    }
    return at && state != 'Z' && state != 'X' && sscanf(at, "%" SCNu64, started) == 1;
}

static void owner_read_place(struct owner *owner)
{
    struct utsname names;
    memset(owner, 0, sizeof *owner);
    if (uname(&names) == 0)
        snprintf(owner->host, sizeof owner->host, "%.*s", (int)sizeof owner->host - 1,
                 names.nodename);
    owner_read_line("/proc/sys/kernel/random/boot_id", owner->boot, sizeof owner->boot);
}

void owner_of_this_process(struct owner *owner)
{
    owner_read_place(owner);
    owner->pid = (uint32_t)getpid();
    if (!owner_read_started(owner->pid, &owner->started)) owner->started = 0;
}

bool owner_is_alive(const struct owner *owner, int64_t lease_until_s, int64_t now_s)
{
    struct owner here;
    uint64_t started;
    owner_read_place(&here);
    if (strcmp(here.host, owner->host) != 0) return lease_until_s > now_s;
    if (strcmp(here.boot, owner->boot) != 0) return false;
    return owner->pid > 0 && owner_read_started(owner->pid, &started) && started == owner->started;
}
