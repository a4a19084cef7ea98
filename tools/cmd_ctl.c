/* argosy ctl: what the transfers do that run now, and other rates for them. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "tools/command.h"
#include "tools/control.h"
#include "tools/state.h"

#define TRANSFERS_MAX 256u /* of a user at a time; more are not listed */

static const struct opts_row rows[] = {
    {.kind = OPTS_FLAG,
     .name = "json",
     .offset = SETTINGS_FIELD(json),
     .help = "an object a line, for programs"},
    {.kind = OPTS_FLAG,
     .letter = 'h',
     .name = "help",
     .offset = SETTINGS_FIELD(help),
     .help = "this text"},
};
static const struct opts_table table = {"Output", rows, ARRAY_COUNT(rows)};
static const struct opts_table *const tables[] = {&table, NULL};

struct transfer {
    char path[128]; /* of its socket */
    char text[CONTROL_TEXT_BYTES], area[CONTROL_TEXT_BYTES];
    struct state state; /* its texts are in `area`: a transfer stays where it is */
};

struct ctl {
    struct log log;
    struct transfer *transfers[TRANSFERS_MAX];
    uint32_t count;
};

static bool ask(struct ctl *ctl, struct transfer *transfer, const char *request)
{
    char why[CONTROL_WHY_BYTES];
    const char *refusal = why;
    struct writer area;
    writer_init(&area, transfer->area, sizeof transfer->area);
    bool answered = control_ask(transfer->path, request, transfer->text, why);
    if (answered && state_read(&transfer->state, transfer->text, &area, &refusal)) return true;
    if (answered && !refusal[0]) refusal = "it gave an answer that this argosy does not understand";
    if (refusal[0]) log_line(&ctl->log, LOG_ERROR, "%s: %s", transfer->path, refusal);
    return false;
}

static void meet(void *context, const char *path)
{
    struct ctl *ctl = context;
    if (ctl->count == TRANSFERS_MAX) return;
    struct transfer *transfer = malloc(sizeof *transfer);
    if (!transfer) return;
    snprintf(transfer->path, sizeof transfer->path, "%s", path);
    if (ask(ctl, transfer, "state"))
        ctl->transfers[ctl->count++] = transfer;
    else
        free(transfer);
}

static void show(const struct transfer *transfer, bool json)
{
    char line[CONTROL_TEXT_BYTES * 4]; /* each byte may become four that are visible */
    struct writer w;
    writer_init(&w, line, sizeof line);
    state_say(&transfer->state, &w);
    puts(json ? transfer->text : writer_string(&w));
}

static bool is_meant(const struct transfer *transfer, uint64_t id)
{
    return id == 0 || (uint64_t)transfer->state.job == id || transfer->state.pid == id;
}

/* Jobs have numbers of their own in each journal, and processes in each container: so several may
 * be meant, and none is guessed at. */
static struct transfer *choose(struct ctl *ctl, uint64_t id, enum status *status)
{
    struct transfer *chosen = NULL;
    uint32_t meant = 0;
    for (uint32_t i = 0; i < ctl->count; i++) {
        if (!is_meant(ctl->transfers[i], id)) continue;
        chosen = ctl->transfers[i];
        meant++;
    }
    if (meant == 1) return chosen;
    *status = meant > 1 ? STATUS_USAGE : STATUS_NOT_FOUND;
    if (meant > 1)
        log_line(&ctl->log, LOG_ERROR, "%u transfers%s: say which, by its job or pid:", meant,
                 id > 0 ? " have that number" : " run");
    else if (id > 0)
        log_line(&ctl->log, LOG_ERROR,
                 "%llu is neither the job nor the process of a transfer of yours that runs; "
                 "argosy ctl lists them",
                 (unsigned long long)id);
    else
        log_line(&ctl->log, LOG_ERROR, "no transfer of yours runs");
    for (uint32_t i = 0; i < ctl->count && meant > 1; i++)
        if (is_meant(ctl->transfers[i], id)) show(ctl->transfers[i], false);
    return NULL;
}

static enum status control(struct ctl *ctl, uint64_t id, const char *rate, bool json)
{
    char request[CONTROL_TEXT_BYTES];
    enum status status;
    struct transfer *transfer = choose(ctl, id, &status);
    if (!transfer) return status;
    if (rate) {
        snprintf(request, sizeof request, "rate %s", rate);
        if (!ask(ctl, transfer, request)) { /* it may have ended since it was listed */
            log_line(&ctl->log, LOG_ERROR, "process %u took no other rate", transfer->state.pid);
            return STATUS_NOT_FOUND;
        }
    }
    show(transfer, json);
    return STATUS_OK;
}

static bool is_id(const char *word, uint64_t *id)
{
    return bytes_parse_u64(bytes_of(word), id) && *id > 0;
}

static enum status complain(const struct ctl *ctl, const char *what, const char *why)
{
    log_line(&ctl->log, LOG_ERROR, "%s: %s", what, why);
    return STATUS_USAGE;
}

static enum status run(const struct settings *settings, const char *const *words, uint32_t count)
{
    struct ctl ctl = {.log = settings_log(settings)};
    char why[TIMETABLE_WHY_BYTES];
    struct timetable checked;
    uint64_t id = 0;
    bool has_id = count > 0 && is_id(words[0], &id);
    const char *rate = count == (has_id ? 2u : 1u) ? words[count - 1] : NULL;
    enum status status = STATUS_OK;
    if (count == 2 && !has_id) return complain(&ctl, words[0], "neither a job nor a process");
    if (rate && !timetable_parse(&checked, rate, why)) return complain(&ctl, "the rate", why);
    control_each(meet, &ctl);
    if (count > 0)
        status = control(&ctl, id, rate, settings->json);
    else
        for (uint32_t i = 0; i < ctl.count; i++)
            show(ctl.transfers[i], settings->json);
    if (count == 0 && ctl.count == 0) log_line(&ctl.log, LOG_NOTE, "no transfer of yours runs");
    for (uint32_t i = 0; i < ctl.count; i++)
        free(ctl.transfers[i]);
    return status;
}

const struct command cmd_ctl = {
    .name = "ctl",
    .synopsis = "argosy ctl [JOB|PID] [RATE]",
    .summary = "list the transfers that run, or give one another rate",
    .notes = "RATE is as for --max-rate: 50M, 400Mbit/s, off, 10M:1M, '08:00,50M 19:00,off'. It "
             "holds from now on.\nJOB may be left out when one transfer runs.\n",
    .tables = tables,
    .words_most = 2,
    .run = run,
};
