#include <stdio.h>

#include "s3/request.h"
#include "s3/xml_write.h"
#include "tools/command.h"
#include "tools/session.h"

#define BODY_BYTES_MAX 512u

static const struct opts_table *const tables[] = {&settings_endpoint_table, &settings_network_table,
                                                  &settings_output_table, NULL};

static enum err make_bucket(struct session *session, const struct uri *uri, char *why,
                            size_t why_bytes)
{
    char area[BODY_BYTES_MAX];
    struct request request = {0};
    struct writer w;
    struct op op;
    writer_init(&w, area, sizeof area);
    xml_write_bucket(&w, bytes_of(session->settings.conf.endpoints[0].region));
    struct iovec body = {.iov_base = area, .iov_len = w.count};
    struct request_call call = {
        .kind = REQUEST_CREATE_BUCKET,
        .bucket = bytes_of(uri->bucket),
        .body = &body,
        .body_count = w.count > 0,
        .body_bytes = w.count,
    };
    request_init(&request, &session->client);
    session_op_init(&op);
    request_start(&request, &call, &op);
    enum err err = session_wait(session, &op);
    if (err != ERR_NONE) snprintf(why, why_bytes, "%s", request.why);
    request_fini(&request);
    return err;
}

static enum status run(const struct settings *settings, const char *const *words, uint32_t count)
{

    char why[SETTINGS_WHY_BYTES] = "";
    struct log log = settings_log(settings);
    struct session session;
    struct uri uri;
    (void)count;
    enum err err = target_parse_uri(&uri, words[0], why);
    if (err == ERR_NONE && uri.key_bytes > 0) {
        err = ERR_URI;
        snprintf(why, sizeof why, "a bucket has no key");
    }
    if (err == ERR_NONE) err = session_open(&session, settings, why);
    if (err != ERR_NONE) {
        log_line(&log, LOG_ERROR, "%s: %s", words[0], why);
        return status_of_err(err);
    }
    err = make_bucket(&session, &uri, why, sizeof why);
    session_close(&session);
    if (err != ERR_NONE) return session_complain(&log, words[0], err, why);
    if (settings->json) printf("{\"bucket\":\"%s\",\"made\":true}\n", uri.bucket);
    log_line(&log, LOG_DETAIL, "made s3://%s", uri.bucket);
    return STATUS_OK;
}

const struct command cmd_mb = {
    .name = "mb",
    .synopsis = "argosy mb [options] s3://bucket",
    .summary = "make a bucket",
    .tables = tables,
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
