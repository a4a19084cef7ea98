#include "core/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/check.h"

struct err_row {
    const char *name;
    enum err_class class;
    const char *sentence;
};

static const struct err_row err_rows[ERR_COUNT] = {
#define ERR(name, class, sentence) [ERR_##name] = {#name, ERR_CLASS_##class, sentence},
#include "core/err.def"
#undef ERR
};

enum err_class err_class(enum err err)
{
    CHECK(err < ERR_COUNT);
    return err_rows[err].class;
}

const char *err_name(enum err err)
{
    CHECK(err < ERR_COUNT);
    return err_rows[err].name;
}

const char *err_sentence(enum err err)
{
    CHECK(err < ERR_COUNT);
    return err_rows[err].sentence;
}

int err_words_count(enum err err, const char *words)
{
    size_t count = strlen(words), tail = strlen(err_sentence(err));
    if (count < tail || strcasecmp(words + count - tail, err_sentence(err)) != 0) return (int)count;
    count -= tail;
    if (count >= 2 && memcmp(words + count - 2, ": ", 2) == 0) count -= 2;
    return (int)count;
}

const char *err_remedy(enum err err, int raw)
{
    if (err == ERR_MEMLOCK) return " (raise it: ulimit -l, LimitMEMLOCK=; or use less --memory)";
    if (err == ERR_FILE_MISSING && raw == ENOTDIR)
        return " (what its path leads through is not a directory)";
    if (err != ERR_NO_RING) return "";
    switch (raw) {
    case ENOSYS: return " (this kernel has none: Linux 5.19 or later is needed)";
    case EPERM:
    case EACCES:
        return " (forbidden by the sysctl kernel.io_uring_disabled or a container's seccomp "
               "profile: ask for it to be allowed)";
    default: return "";
    }
}

enum err err_say(char why[ERR_WHY_BYTES], enum err err, const char *about, int raw)
{
    const char *sentence = err == ERR_SYSTEM && raw ? strerror(raw) : err_sentence(err);
    snprintf(why, ERR_WHY_BYTES, "%.300s: %s%s", about, sentence, err_remedy(err, raw));
    return err;
}

enum err err_of_errno(int number)
{
    switch (number) {
    case 0: return ERR_NONE;
    case ECANCELED: return ERR_CANCELLED;
    case ENOMEM: return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTOR;
    case ENOENT:
    case ENOTDIR: return ERR_FILE_MISSING;
    case EACCES:
    case EPERM: return ERR_FILE_DENIED;
    case EISDIR: return ERR_FILE_IS_FOLDER;
    case EEXIST:
    case ENOTEMPTY: return ERR_FILE_EXISTS;
    case ENAMETOOLONG:
    case EILSEQ: return ERR_FILE_NAME;
    case ELOOP: return ERR_FILE_LOOP;
    case EXDEV: return ERR_FILE_ESCAPES;
    case EIO: return ERR_FILE_IO;
    case ESTALE: return ERR_FILE_STALE;
    case EFBIG: return ERR_FILE_SIZE;
    case ENOSPC: return ERR_DISK_FULL;
    case EDQUOT: return ERR_DISK_QUOTA;
    case EROFS: return ERR_READ_ONLY;
    case EPIPE: return ERR_PIPE_CLOSED;
    default: return ERR_SYSTEM;
    }
}

enum err err_of_socket_errno(int number)
{
    switch (number) {
    case 0: return ERR_NONE;
    case ECANCELED: return ERR_CANCELLED;
    case ENOMEM:
    case ENOBUFS: return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTOR;
    case ECONNREFUSED: return ERR_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL: return ERR_UNREACHABLE;
    case ETIMEDOUT: return ERR_CONNECT_TIMEOUT;
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case EPIPE: return ERR_RESET;
    default: return ERR_SYSTEM;
    }
}
