/* place: what a local path is, before a run: plain blocking calls for the time when no core runs
 * yet. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include "core/err.h"
#include "core/limits.h"

enum place_kind {
    PLACE_NOTHING, /* there is no such thing */
    PLACE_FILE,    /* regular */
    PLACE_FOLDER,
    PLACE_STREAM, /* a pipe, device or socket: read or written through, in order */
};

/* Of a folder that is missing, and of all above it; synced: each folder that gets a new one. */
enum place_make { PLACE_FIND, PLACE_MAKE, PLACE_MAKE_SYNCED };

struct place {
    enum place_kind kind;
    uint64_t size_bytes;         /* of a file */
    char folder[PATH_BYTES_MAX]; /* the folder that it is in, or "." */
    char name[PATH_BYTES_MAX];   /* its name there */
};

/* Follows symbolic links: folder and name are those of what is meant in the end. A trailing "/"
 * means a folder. Errors (raw: errno): as stat(2), except that nothing there is no error. */
MUST_USE enum err place_look(struct place *place, const char *path, int *raw);
/* A folder for openat(2). */
MUST_USE enum err place_open_folder(const char *path, enum place_make make, int *fd, int *raw);
MUST_USE enum err place_open_stream(const char *path, int *fd,
                                    int *raw); /* for reading; "-": a copy of stdin */
/* A file of lines, to be written at *bytes: made (0600) if it is missing, locked against whoever
 * opens it the same way, and emptied; or, with `append`, freed of a last line without its end.
 * Errors also ERR_CONFLICT: it is locked. */
MUST_USE enum err place_open_lines(const char *path, bool append, int *fd, uint64_t *bytes,
                                   int *raw);
/* The absolute path of an open folder. */
MUST_USE enum err place_path(int fd, char path[PATH_BYTES_MAX], int *raw);
/* The absolute path of the folder that `path` names something in. */
MUST_USE enum err place_folder_of(const char *path, char folder[PATH_BYTES_MAX], int *raw);
/* Removes the files whose names begin so from a folder, and with `below` from all folders in it; no
 * symbolic link is followed. How many there were; what cannot be read is passed over. */
uint32_t place_remove_named(int folder_fd, const char *prefix, bool below);
/* Others may open it: at once, since the kernel may end what was closed through a ring later. */
void place_unlock(int fd);
void place_close(int fd);
uint32_t place_umask(void); /* only while no other thread makes files */
/* May this process have that many descriptors? Raises the soft limit towards it, silently. */
void place_raise_descriptors(uint64_t wanted);

#endif
