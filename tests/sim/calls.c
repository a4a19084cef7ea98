/* The system calls that core/file, core/folder, core/place, core/database, net/sock, s3/sink,
 * s3/journal_db, tools/job, tools/repeat and tools/cmd_jobs make themselves, wrapped by the linker
 * (--wrap in the Makefile): those on simulated descriptors go to the disk and the net, all others
 * to the kernel. And core/mem's touch, since nobody waits for simulated memory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/disk.h"
#include "tests/sim/net.h"
#include "tests/sim/pipe.h"
#include "tests/sim/scenario.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#define WORK_FOLDER "/work"

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *result);
int __wrap_fstatfs(int fd, struct statfs *result);
int __wrap_futimens(int fd, const struct timespec times[2]);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_mkdirat(int dir_fd, const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
int __wrap_stat(const char *path, struct stat *result);
int __wrap_access(const char *path, int mode);
int __wrap_chdir(const char *path);
time_t __wrap_time(time_t *result);
char *__wrap_getcwd(char *area, size_t bytes);
void __wrap_mem_touch(void *area, size_t bytes, unsigned node);
ssize_t __wrap_getrandom(void *area, size_t bytes, unsigned flags);
long __wrap_syscall(long number, ...);

static int answer(int64_t result)
{
    if (result >= 0) return (int)result;
    errno = (int)-result;
    return -1;
}

static int close_any(int fd)
{
    switch (table_row(fd)->kind) {
    case TABLE_SOCKET: return net_close(fd);
    case TABLE_PIPE: return pipe_close(fd);
    default: return disk_close(fd);
    }
}

int __wrap_close(int fd)
{
    return table_has(fd) ? answer(close_any(fd)) : __real_close(fd);
}

int __wrap_fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    int argument = va_arg(args, int);
    va_end(args);
    if (fd == STDOUT_FILENO && command == F_DUPFD_CLOEXEC) return answer(pipe_standard_output());
    struct table_row *row = table_row(fd);
    if (command == F_GETFL) return row->flags;
    CHECK(command == F_SETFL);
    return answer(disk_set_flags(fd, argument));
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    (void)request; /* BTRFS_IOC_FS_INFO: it is no btrfs */
    (void)table_row(fd);
    errno = ENOTTY;
    return -1;
}

int __wrap_statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *result)
{
    (void)mask;
    CHECK((flags & AT_EMPTY_PATH) && path[0] == '\0' && "names are looked at through the ring");
    return answer(disk_stat_fd(dir_fd, result));
}

int __wrap_fstatfs(int fd, struct statfs *result)
{
    (void)table_row(fd);
    memset(result, 0, sizeof *result);
    result->f_type = EXT4_SUPER_MAGIC;
    return 0;
}

int __wrap_futimens(int fd, const struct timespec times[2])
{
    CHECK(times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec != UTIME_OMIT);
    return answer(disk_set_mtime(fd, times[1].tv_sec * (int64_t)NS_PER_S + times[1].tv_nsec));
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return answer(disk_set_mode(fd, mode));
}

int __wrap_fsync(int fd)
{
    const struct table_row *row = table_row(fd);
    bool faulty = world->faulty,
         journal = row->path && strstr(row->path, SCENARIO_STATE) == row->path;
    if (journal) world->faulty = false;
    int result = disk_sync(fd, false);
    world->faulty = faulty;
    return answer(result);
}

int __wrap_mkdirat(int dir_fd, const char *path, mode_t mode)
{
    (void)mode;
    return answer(disk_make_folder(dir_fd, path));
}

/* The faults of the journal's files and folders are those of vfs.c. */
int __wrap_mkdir(const char *path, mode_t mode)
{
    (void)mode;
    bool faulty = world->faulty;
    world->faulty = false;
    int result = disk_make_folder(AT_FDCWD, path);
    world->faulty = faulty;
    return answer(result);
}

static int open_of_journal(const char *path, int flags, mode_t mode)
{
    bool faulty = world->faulty;
    world->faulty = false;
    int result = disk_open(AT_FDCWD, path, flags, mode, 0);
    world->faulty = faulty;
    return answer(result);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    bool simulated = strncmp(path, SCENARIO_STATE, strlen(SCENARIO_STATE)) == 0;
    return simulated ? open_of_journal(path, flags, mode) : __real_open(path, flags, mode);
}

int __wrap_stat(const char *path, struct stat *result)
{
    const struct disk_node *node = disk_find(path);
    memset(result, 0, sizeof *result);
    if (!node) return answer(-ENOENT);
    result->st_mode = node->mode;
    return 0;
}

int __wrap_access(const char *path, int mode)
{
    CHECK(mode == F_OK);
    return answer(disk_find(path) ? 0 : -ENOENT);
}

/* There is one folder to work in. */
int __wrap_chdir(const char *path)
{
    return answer(strcmp(path, WORK_FOLDER) == 0 ? 0 : -ENOENT);
}

time_t __wrap_time(time_t *result)
{
    CHECK(!result);
    return (time_t)((world->now_ns + world->wall_offset_ns) / NS_PER_S);
}

char *__wrap_getcwd(char *area, size_t bytes)
{
    snprintf(area, bytes, WORK_FOLDER);
    return area;
}

ssize_t __wrap_getrandom(void *area, size_t bytes, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)area)[i] = (uint8_t)world_below(256);
    return (ssize_t)bytes;
}

/* Whatever memory of a simulated machine holds, nobody waits for it. */
void __wrap_mem_touch(void *area, size_t bytes, unsigned node)
{
    (void)area, (void)bytes, (void)node;
}

/* Only openat2(2) has no function of its own in this libc. */
long __wrap_syscall(long number, ...)
{
    va_list args;
    va_start(args, number);
    int dir_fd = va_arg(args, int);
    const char *path = va_arg(args, const char *);
    const struct open_how *how = va_arg(args, const struct open_how *);
    va_end(args);
    CHECK(number == SYS_openat2);
    return answer(disk_open(dir_fd, path, (int)how->flags, 0, how->resolve));
}
