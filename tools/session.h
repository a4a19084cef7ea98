/* session: one core in the calling thread, and one client: for commands that make a few requests
 * and wait for each. Linear code turns the core itself. */
#ifndef TOOLS_SESSION_H
#define TOOLS_SESSION_H

#include "core/aside.h"
#include "s3/client.h"
#include "tools/settings.h"
#include "tools/status.h"

struct session {
    struct settings_conf settings;
    struct core core;
    struct aside *aside;
    struct client client;
    struct log log;
};

/* Errors, with a sentence in `why`: those of settings_apply(), core_open(), client_open(). Nothing
 * is left open then. */
MUST_USE enum err session_open(struct session *session, const struct settings *settings,
                               char why[SETTINGS_WHY_BYTES]);
void session_close(struct session *session);

void session_op_init(struct op *op);
/* Turns the core until `op`, made by session_op_init() and started, is done; its err. */
MUST_USE enum err session_wait(struct session *session, const struct op *op);

/* "argosy: s3://b/key: access denied (why)"; returns the exit code. */
enum status session_complain(const struct log *log, const char *object, enum err err,
                             const char *why);

#endif
