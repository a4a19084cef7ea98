#include "tools/control.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"

#define CONTROL_ENDING ".sock"
/* A transfer looks five times a second; on a machine that is very busy, or while it opens its
 * journal, later. */
#define CONTROL_PATIENCE_S 5
/* More at a look would be somebody's loop, and keep us from drawing. */
#define CONTROL_REQUESTS_MAX 16u
#define CONTROL_NAMES_MAX    16u /* of processes with the same number */

typedef char control_path[sizeof(((struct sockaddr_un *)0)->sun_path)];

static bool complain(char why[CONTROL_WHY_BYTES], const char *path, int error)
{
    snprintf(why, CONTROL_WHY_BYTES, "%s: %s", path, strerror(error));
    return false;
}

/* --- folders --- */

static bool path_format(control_path path, const char *folder, const char *name)
{
    int count = snprintf(path, sizeof(control_path), "%s/%s", folder, name);
    return count > 0 && count < (int)sizeof(control_path);
}

enum { FOLDER_RUNTIME, FOLDER_SESSION, FOLDER_TMP, FOLDERS };

/* Where transfers of this user may be: one that cron started knows no XDG_RUNTIME_DIR, but is
 * looked for by a user who has one, and the other way round. False: there is no such folder. */
static bool folder_name(uint32_t which, control_path folder)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char base[64];
    if (which == FOLDER_RUNTIME)
        return runtime && runtime[0] == '/' && path_format(folder, runtime, "argosy");
    if (which == FOLDER_SESSION)
        snprintf(base, sizeof base, "/run/user/%u/argosy", getuid());
    else
        snprintf(base, sizeof base, "/tmp/argosy-%u", getuid());
    snprintf(folder, sizeof(control_path), "%s", base);
    return true;
}

/* Somebody else's folder, or one that others may write to, could hold anybody's socket. */
static bool folder_is_ours(const char *folder, char why[CONTROL_WHY_BYTES])
{
    struct stat status;
    if (lstat(folder, &status) != 0) return complain(why, folder, errno);
    if (S_ISDIR(status.st_mode) && status.st_uid == getuid() && (status.st_mode & 077) == 0)
        return true;
    snprintf(why, CONTROL_WHY_BYTES, "%s is not a folder of this user alone (mode 0700)", folder);
    return false;
}

static bool folder_open(control_path folder, char why[CONTROL_WHY_BYTES])
{
    bool found = folder_name(FOLDER_RUNTIME, folder) || folder_name(FOLDER_TMP, folder);
    CHECK(found && "the last one has a name always");
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) return complain(why, folder, errno);
    return folder_is_ours(folder, why);
}

/* --- the transfer's end --- */

/* Is it the name of a process that had our number, and was killed? */
static bool is_left_over(const struct sockaddr *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool left =
        fd >= 0 && connect(fd, address, sizeof(struct sockaddr_un)) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) close(fd);
    return left;
}

static bool bind_address(struct control *control)
{
    const struct sockaddr *address = (const struct sockaddr *)&control->address;
    if (bind(control->fd, address, sizeof control->address) == 0) return true;
    if (errno != EADDRINUSE) return false;
    bool left = is_left_over(address);
    errno = EADDRINUSE;
    return left && unlink(control->address.sun_path) == 0 &&
           bind(control->fd, address, sizeof control->address) == 0;
}

/* bind(2) gives the new name the mode that the socket has. In another container there may be a
 * process with our number. */
static bool bind_for_us_alone(struct control *control, const char *folder,
                              char why[CONTROL_WHY_BYTES])
{
    char *path = control->address.sun_path, name[48], more[16] = "";
    bool bound = false;
    control->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->fd < 0 || fchmod(control->fd, 0600) != 0) return complain(why, folder, errno);
    for (uint32_t i = 0; i < CONTROL_NAMES_MAX && !bound; i++) {
        if (i > 0) snprintf(more, sizeof more, "-%u", i);
        snprintf(name, sizeof name, "%d%s" CONTROL_ENDING, (int)getpid(), more);
        if (!path_format(path, folder, name)) return complain(why, folder, ENAMETOOLONG);
        bound = bind_address(control);
        if (!bound && errno != EADDRINUSE) break;
    }
    if (bound && chmod(path, 0600) == 0) return true;
    return complain(why, path, errno);
}

bool control_open(struct control *control, char why[CONTROL_WHY_BYTES])
{
    control_path folder;
    *control = (struct control){.fd = -1, .address.sun_family = AF_UNIX};
    if (!folder_open(folder, why)) return false;
    if (bind_for_us_alone(control, folder, why)) return true;
    if (control->fd >= 0) close(control->fd);
    control->fd = -1;
    return false;
}

void control_close(struct control *control)
{
    if (control->fd < 0) return;
    unlink(control->address.sun_path);
    close(control->fd);
    control->fd = -1;
}

void control_serve(struct control *control, control_answer_fn *answer, void *context)
{
    char request[CONTROL_TEXT_BYTES], text[CONTROL_TEXT_BYTES];
    for (uint32_t i = 0; control->fd >= 0 && i < CONTROL_REQUESTS_MAX; i++) {
        struct sockaddr_un from;
        socklen_t from_bytes = sizeof from;
        ssize_t count = recvfrom(control->fd, request, sizeof request - 1, 0,
                                 (struct sockaddr *)&from, &from_bytes);
        if (count < 0) return;
        request[count] = '\0';
        text[0] = '\0';
        answer(context, request, text);
        /* who asked and went away misses it */
        sendto(control->fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&from, from_bytes);
    }
}

/* --- the other end --- */

static void visit_folder(const char *folder, void (*visit)(void *context, const char *path),
                         void *context)
{
    char why[CONTROL_WHY_BYTES];
    control_path path;
    struct dirent *entry;
    DIR *directory = folder_is_ours(folder, why) ? opendir(folder) : NULL;
    if (!directory) return;
    while ((entry = readdir(directory))) {
        const char *ending = strrchr(entry->d_name, '.');
        if (!ending || strcmp(ending, CONTROL_ENDING) != 0) continue;
        if (path_format(path, folder, entry->d_name)) visit(context, path);
    }
    closedir(directory);
}

void control_each(void (*visit)(void *context, const char *path), void *context)
{
    control_path folders[FOLDERS];
    for (uint32_t i = 0; i < FOLDERS; i++) {
        bool seen = false;
        folders[i][0] = '\0';
        if (!folder_name(i, folders[i])) continue;
        for (uint32_t j = 0; j < i; j++)
            seen = seen || strcmp(folders[i], folders[j]) == 0;
        if (!seen) visit_folder(folders[i], visit, context);
    }
}

/* A name of its own, so that it can be answered, and a peer, so that nobody else can. */
static bool reach(int fd, const char *path)
{
    const struct sockaddr_un anywhere = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = CONTROL_PATIENCE_S};
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    snprintf(peer.sun_path, sizeof peer.sun_path, "%s", path);
    return bind(fd, (const struct sockaddr *)&anywhere, sizeof anywhere.sun_family) == 0 &&
           connect(fd, (const struct sockaddr *)&peer, sizeof peer) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0;
}

static bool nobody_is_there(const char *path, int error, char why[CONTROL_WHY_BYTES])
{
    why[0] = '\0';
    if (error == ECONNREFUSED) unlink(path);
    if (error == ECONNREFUSED || error == ECONNRESET || error == ENOENT) return false;
    if (error != EAGAIN) return complain(why, path, error);
    snprintf(why, CONTROL_WHY_BYTES, "%s: no answer within %d s: it hangs, or is about to end",
             path, CONTROL_PATIENCE_S);
    return false;
}

bool control_ask(const char *path, const char *request, char answer[CONTROL_TEXT_BYTES],
                 char why[CONTROL_WHY_BYTES])
{
    ssize_t count = -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = errno;
    if (fd < 0) return complain(why, path, error);
    if (reach(fd, path) && send(fd, request, strlen(request), MSG_NOSIGNAL) >= 0)
        count = recv(fd, answer, CONTROL_TEXT_BYTES - 1, 0);
    error = errno;
    close(fd);
    if (count < 0) return nobody_is_there(path, error, why);
    answer[count] = '\0';
    return true;
}
