#include "core/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/limits.h"

#define FOLDER_MODE 0777 /* less the umask, as mkdir(1) */

/* The folder `prefix` below folder_fd, for making something in it. −1 and errno. */
static int folder_open(const struct folder_maker *maker, const char *prefix)
{
    int access = maker->sync ? O_RDONLY : O_PATH; /* O_PATH cannot be synced */
    struct open_how how = {.flags = (uint64_t)(access | O_DIRECTORY | O_CLOEXEC),
                           .resolve = maker->resolve};
    return (int)syscall(SYS_openat2, maker->folder_fd, prefix, &how, sizeof how);
}

/* `name` in the folder `fd`. 0 or an errno. A file system whose folders cannot be synced answers
 * EINVAL. */
static int folder_make_in(const struct folder_maker *maker, int fd, const char *name)
{
    if (mkdirat(fd, name, FOLDER_MODE) != 0) return errno == EEXIST ? 0 : errno;
    if (!maker->sync || fd == AT_FDCWD || fsync(fd) == 0) return 0;
    return errno == EINVAL ? 0 : errno;
}

/* The folder that ends at `slash`. */
static int folder_make_one(const struct folder_maker *maker, char *path, char *slash)
{
    char *name = memrchr(path, '/', (size_t)(slash - path));
    bool direct = !name || name == path || (maker->resolve == 0 && !maker->sync);
    int fd, number;
    *slash = '\0';
    if (direct) {
        number = folder_make_in(maker, maker->folder_fd, path);
    } else {
        *name = '\0';
        fd = folder_open(maker, path);
        number = fd < 0 ? errno : folder_make_in(maker, fd, name + 1);
        *name = '/';
        if (fd >= 0) close(fd);
    }
    *slash = '/';
    return number;
}

static enum err folder_run(struct aside_job *job)
{
    struct folder_maker *maker = container_of(job, struct folder_maker, job);
    char path[PATH_BYTES_MAX];
    size_t count = strlen(maker->path);
    if (count >= sizeof path) return ERR_FILE_NAME;
    memcpy(path, maker->path, count + 1);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        if (slash[-1] == '/') continue; /* "a//b": there is nothing between the two */
        int number = folder_make_one(maker, path, slash);
        if (number == 0) continue;
        job->op.raw = number;
        return err_of_errno(number);
    }
    return ERR_NONE;
}

void folder_maker_init(struct folder_maker *maker, op_fn *done)
{
    aside_job_init(&maker->job, folder_run, done);
    maker->sync = false;
}

void folder_make_above(struct folder_maker *maker, int folder_fd, const char *path,
                       uint64_t resolve, struct aside *aside)
{
    maker->folder_fd = folder_fd;
    maker->path = path;
    maker->resolve = resolve;
    aside_start(aside, &maker->job);
}
