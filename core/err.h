/* err: why something failed. One enum for the program; core/err.def is the table.
 *
 * errno, HTTP status and S3 code are translated once, where they enter, and the raw value is kept
 * in the failing object for the message. Policy looks at the class only. */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include "core/base.h"

enum err {
#define ERR(name, class, sentence) ERR_##name,
#include "core/err.def"
#undef ERR
    ERR_COUNT
};

#define ERR_WHY_BYTES 512u /* of a sentence for a person */

enum err_class {
    ERR_CLASS_NONE,   /* success */
    ERR_CLASS_RETRY,  /* again, on a new connection, after a backoff */
    ERR_CLASS_SLOW,   /* again, and tell the pacer */
    ERR_CLASS_OBJECT, /* this object fails, the others go on */
    ERR_CLASS_RUN,    /* stop the run */
};

enum err_class err_class(enum err err);
const char *err_name(enum err err);     /* "FILE_MISSING" */
const char *err_sentence(enum err err); /* "no such file or directory" */
/* What a person can do about an environment that lacks something, " (raise it: …)", to be put
 * behind the sentence; "" where the sentence says it all. `raw` is the errno, or 0. */
const char *err_remedy(enum err err, int raw);
/* "about: sentence (remedy)" into `why`; of ERR_SYSTEM, the system's words for `raw`. It returns
 * err. */
enum err err_say(char why[ERR_WHY_BYTES], enum err err, const char *about, int raw);
/* How many bytes of `words` (the server's, or the system's) say more than the sentence does: what
 * they repeat of it at their end, after ": ", is left out. */
int err_words_count(enum err err, const char *words);

/* errno of a file or memory call; of a socket call. 0 gives ERR_NONE; what is not in the table,
 * ERR_SYSTEM. */
enum err err_of_errno(int number);
enum err err_of_socket_errno(int number);

#endif
