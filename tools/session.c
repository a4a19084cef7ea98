#include "tools/session.h"

#include <string.h>

static void on_done(struct op *op)
{
    (void)op; /* session_wait() looks at op->out */
}

void session_op_init(struct op *op)
{
    op_init(op, on_done);
}

enum err session_wait(struct session *session, const struct op *op)
{
    while (op->out)
        core_turn(&session->core, true);
    return op->err;
}

static enum err open_core(struct session *session, char why[SETTINGS_WHY_BYTES])
{
    const struct conf *conf = &session->settings.conf;
    struct core_options options = {
        .index = 0,
        .cpu = -1,
        .memory_bytes = CONF_MEMORY_BYTES_MIN,
        .seed = conf->seed,
    };
    int raw = 0;
    enum err err = core_open(&session->core, &options, &raw);
    if (err == ERR_NONE) return err;
    snprintf(why, SETTINGS_WHY_BYTES, "%s%s", err_sentence(err), err_remedy(err, raw));
    return err;
}

enum err session_open(struct session *session, const struct settings *settings,
                      char why[SETTINGS_WHY_BYTES])
{
    char client_why[TLS_WHY_BYTES] = "";
    memset(session, 0, sizeof *session);
    enum err err = settings_apply(settings, &session->settings, why);
    if (err != ERR_NONE) goto no_settings;
    session->log = session->settings.conf.log;
    err = open_core(session, why);
    if (err != ERR_NONE) goto no_settings;
    err = aside_open(&session->aside, &session->core, "argosy-names");
    if (err != ERR_NONE) goto no_aside;
    err = client_open(&session->client, &session->core, &session->settings.conf,
                      &session->settings.conf.endpoints[0], session->aside, client_why);
    if (err == ERR_NONE) return ERR_NONE;
    snprintf(why, SETTINGS_WHY_BYTES, "%s", client_why[0] ? client_why : err_sentence(err));
    aside_close(session->aside);
no_aside:
    core_close(&session->core);
no_settings:
    settings_fini(&session->settings);
    return err;
}

void session_close(struct session *session)
{
    struct op op;
    session_op_init(&op);
    client_close(&session->client, &op);
    enum err ignored = session_wait(session, &op); /* the connections are gone either way */
    (void)ignored;
    aside_close(session->aside);
    core_close(&session->core);
    settings_fini(&session->settings);
}

enum status session_complain(const struct log *log, const char *object, enum err err,
                             const char *why)
{
    int words = err_words_count(err, why);
    log_line(log, LOG_ERROR, "%s: %s%s%.*s%s", object, err_sentence(err), words ? " (" : "", words,
             why, words ? ")" : "");
    return status_of_err(err);
}
