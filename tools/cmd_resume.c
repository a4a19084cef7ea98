#include <stdlib.h>

#include "tools/command.h"
#include "tools/job.h"
#include "tools/repeat.h"

static enum status resume(const struct settings *settings, int64_t id, struct job *job)
{
    const char *words[] = {job->row.source, job->row.target};
    struct log log = settings_log(settings);
    char why[SETTINGS_WHY_BYTES] = "";
    struct settings repeated;
    enum err err = job_take(job, settings, id, why);
    if (!err)
        err = repeat_job(&job->row, settings->argument_count, settings->arguments, &repeated, why);
    if (!err) return cmd_cp_run(&repeated, words, job);
    log_line(&log, LOG_ERROR, "%s", why);
    job_give_back(job, &log);
    return status_of_err(err);
}

static enum status run(const struct settings *settings, const char *const *words, uint32_t count)
{
    struct log log = settings_log(settings);
    uint64_t id = 0;
    bool is_number = count == 0 || bytes_parse_u64(bytes_of(words[0]), &id);
    if (!is_number || id > INT64_MAX || (count > 0 && id == 0)) {
        log_line(&log, LOG_ERROR, "%s: not a job's number", words[0]);
        return STATUS_USAGE;
    }
    struct job *job = calloc(1, sizeof *job);
    enum status status = job ? resume(settings, (int64_t)id, job) : STATUS_ENVIRONMENT;
    free(job);
    return status;
}

const struct command cmd_resume = {
    .name = "resume",
    .synopsis = "argosy resume [JOB] [options]",
    .summary = "go on with a copy that was interrupted",
    .notes =
        "JOB is its number, as argosy jobs lists it; without it, the newest that is not done. The\n"
        "copy runs as it was asked for then; options that are given now go before those.\n",
    .tables = cmd_cp_tables,
    .words_most = 1,
    .run = run,
};
