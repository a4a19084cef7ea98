#include "core/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err place_failed(int *raw)
{
    *raw = errno;
    return err_of_errno(errno);
}

static void place_split(struct place *place, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(place->folder, sizeof place->folder, ".");
    else if (slash == path)
        snprintf(place->folder, sizeof place->folder, "/");
    else
        snprintf(place->folder, sizeof place->folder, "%.*s", (int)(slash - path), path);
    snprintf(place->name, sizeof place->name, "%s", slash ? slash + 1 : path);
}

enum err place_look(struct place *place, const char *path, int *raw)
{
    struct stat status;
    size_t count = strlen(path);
    *raw = 0;
    memset(place, 0, sizeof *place);
    if (count == 0) return ERR_FILE_MISSING;
    if (count >= PATH_BYTES_MAX) return ERR_FILE_NAME;
    place_split(place, path);
    if (stat(path, &status) != 0) {
        place->kind = PLACE_NOTHING;
        return errno == ENOENT ? ERR_NONE : place_failed(raw);
    }
    if (S_ISREG(status.st_mode)) {
        char real[PATH_BYTES_MAX]; /* what realpath(3) wants: PATH_MAX */
        if (!realpath(path, real)) return place_failed(raw);
        place->kind = PLACE_FILE;
        place->size_bytes = (uint64_t)status.st_size;
        place_split(place, real);
    } else {
        place->kind = S_ISDIR(status.st_mode) ? PLACE_FOLDER : PLACE_STREAM;
    }
    return ERR_NONE;
}

/* The folder that has the name `path`. EINVAL: this file system's folders cannot be synced. */
static enum err place_sync_above(const char *path, int *raw)
{
    struct place above;
    place_split(&above, path);
    int fd = open(above.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = ERR_NONE;
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) err = place_failed(raw);
    place_close(fd);
    return err;
}

static enum err place_make_folders(const char *path, bool sync, int *raw)
{
    char copy[PATH_BYTES_MAX];
    size_t count = strlen(path);
    while (count > 1 && path[count - 1] == '/')
        count--;
    snprintf(copy, sizeof copy, "%.*s", (int)count, path);
    for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash) *slash = '\0';
        bool made = mkdir(copy, 0777) == 0;
        if (!made && errno != EEXIST) return place_failed(raw);
        enum err err = made && sync ? place_sync_above(copy, raw) : ERR_NONE;
        if (err || !slash) return err;
        *slash = '/';
    }
}

enum err place_open_folder(const char *path, enum place_make make, int *fd, int *raw)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    *raw = 0;
    *fd = open(path, flags);
    if (*fd < 0 && errno == ENOENT && make != PLACE_FIND) {
        enum err err = place_make_folders(path, make == PLACE_MAKE_SYNCED, raw);
        if (err) return err;
        *fd = open(path, flags);
    }
    return *fd < 0 ? place_failed(raw) : ERR_NONE;
}

enum err place_open_stream(const char *path, int *fd, int *raw)
{
    *raw = 0;
    if (strcmp(path, "-") == 0)
        *fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? place_failed(raw) : ERR_NONE;
}

#define PLACE_STEP_BYTES 65536u /* looked through at a time, from the end */

/* The end of the last whole line. */
static enum err place_find_line_end(int fd, uint64_t *bytes, int *raw)
{
    char data[PLACE_STEP_BYTES];
    struct stat status;
    if (fstat(fd, &status) != 0) return place_failed(raw);
    *bytes = (uint64_t)status.st_size;
    while (*bytes > 0) {
        size_t step = *bytes < sizeof data ? (size_t)*bytes : sizeof data;
        ssize_t count = pread(fd, data, step, (off_t)(*bytes - step));
        if (count != (ssize_t)step) return place_failed(raw);
        const char *end = memrchr(data, '\n', step);
        *bytes -= end ? (uint64_t)(data + step - end) - 1 : step;
        if (end) break;
    }
    return ERR_NONE;
}

enum err place_open_lines(const char *path, bool append, int *fd, uint64_t *bytes, int *raw)
{
    enum err err = ERR_NONE;
    *raw = 0;
    *bytes = 0;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0) return place_failed(raw);
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
        err = errno == EWOULDBLOCK ? ERR_CONFLICT : place_failed(raw);
    if (!err && append) err = place_find_line_end(*fd, bytes, raw);
    if (!err && ftruncate(*fd, (off_t)*bytes) != 0) err = place_failed(raw);
    if (!err) return ERR_NONE;
    close(*fd);
    *fd = -1;
    return err;
}

enum err place_path(int fd, char path[PATH_BYTES_MAX], int *raw)
{
    char link[32];
    *raw = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, path, PATH_BYTES_MAX - 1);
    path[count < 0 ? 0 : count] = '\0';
    return count < 0 ? place_failed(raw) : ERR_NONE;
}

enum err place_folder_of(const char *path, char folder[PATH_BYTES_MAX], int *raw)
{
    struct place place;
    *raw = 0;
    folder[0] = '\0';
    if (strlen(path) >= PATH_BYTES_MAX) return ERR_FILE_NAME;
    place_split(&place, path);
    return realpath(place.folder, folder) ? ERR_NONE : place_failed(raw);
}

#define PLACE_DEPTH_MAX 256u /* a descriptor each */

static void place_remove_in(int fd, const char *prefix, uint32_t depth, uint32_t *count)
{
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    if (!folder && fd >= 0) close(fd);
    while (folder && (entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        if (strncmp(name, prefix, strlen(prefix)) == 0) {
            if (unlinkat(fd, name, 0) == 0) (*count)++;
        } else if (depth > 0 && entry->d_type != DT_REG && strcmp(name, ".") != 0 &&
                   strcmp(name, "..") != 0) {
            place_remove_in(openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                            prefix, depth - 1, count);
        }
    }
    if (folder) closedir(folder);
}

uint32_t place_remove_named(int folder_fd, const char *prefix, bool below)
{
    uint32_t count = 0;
    place_remove_in(openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), prefix,
                    below ? PLACE_DEPTH_MAX : 0, &count);
    return count;
}

void place_unlock(int fd)
{
    flock(fd, LOCK_UN); /* cannot fail for what is open, and does not wait */
}

void place_close(int fd)
{
    if (fd >= 0) close(fd);
}

uint32_t place_umask(void)
{
    mode_t mask = umask(077);
    umask(mask);
    return mask;
}

void place_raise_descriptors(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}
