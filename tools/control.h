/* control: a transfer that runs can be asked how it goes, and be told another rate: a socket of its
 * process in the user's runtime folder, and the other end of it for those who ask.
 *
 *     FOLDER/PID.sock   FOLDER: $XDG_RUNTIME_DIR/argosy, or /tmp/argosy-UID where that is not set
 *
 * Only the user may use it: the folder has mode 0700, the socket 0600, and a folder that is not the
 * user's own, or that others may enter, is not used. A request is one datagram, as is its answer,
 * so nobody can hold anything open, and a transfer that is killed leaves no more than a name, which
 * the next one to look removes. What they say is the affair of others (tools/state).
 * Reference: unix(7). */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include <sys/un.h>

#include "core/base.h"

#define CONTROL_TEXT_BYTES 16384u /* of a request or an answer, its 0 included */
#define CONTROL_WHY_BYTES  256u

struct control {
    /* private */
    int fd; /* −1: there is none */
    struct sockaddr_un address;
};

/* Writes the answer to `request`. */
typedef void control_answer_fn(void *context, const char *request, char answer[CONTROL_TEXT_BYTES]);

/* False with a sentence in `why`: then nobody can ask us, and the rest is as always. */
MUST_USE bool control_open(struct control *control, char why[CONTROL_WHY_BYTES]);
void control_close(struct control *control);
/* Answers what has come, and does not wait. */
void control_serve(struct control *control, control_answer_fn *answer, void *context);

/* Calls `visit` for each socket of this user's transfers. A transfer may be there no more. */
void control_each(void (*visit)(void *context, const char *path), void *context);
/* Waits a few seconds for the answer. False with a sentence in `why`; that is empty when there is
 * no process behind the socket, which is removed then. */
MUST_USE bool control_ask(const char *path, const char *request, char answer[CONTROL_TEXT_BYTES],
                          char why[CONTROL_WHY_BYTES]);

#endif
