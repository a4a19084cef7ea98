/* argosy jobs: the copies that the journal knows, and their removal. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/clean.h"
#include "tools/command.h"
#include "tools/human.h"
#include "tools/job.h"

#define TIME_BYTES 32u

static const struct opts_row rows[] = {
    {.kind = OPTS_FLAG,
     .name = "all",
     .offset = SETTINGS_FIELD(all_jobs),
     .help = "list those that are done, too, as --json does; they are kept for 30 days"},
    {.kind = OPTS_DURATION,
     .name = "older-than",
     .argument = "TIME",
     .offset = SETTINGS_FIELD(older_than_ns),
     .help = "clean: unfinished jobs go when nobody worked on them for so long (default 30d)"},
    {.kind = OPTS_FLAG,
     .name = "dry-run",
     .offset = SETTINGS_FIELD(dry_run),
     .help = "clean: say what would go, and leave it"},
    {.kind = OPTS_TEXT,
     .name = "journal",
     .argument = "PATH",
     .offset = SETTINGS_FIELD(journal),
     .help = "of these jobs (default: $XDG_STATE_HOME/argosy/journal.db, "
             "~/.local/state/argosy/journal.db)"},
};
static const struct opts_table own_table = {"Jobs", rows, ARRAY_COUNT(rows)};
static const struct opts_table *const tables[] = {&own_table, &settings_output_table, NULL};

struct jobs {
    const struct settings *settings;
    struct log log;
    struct journal_db *db;
    struct journal_job job;            /* the one that is looked at */
    bool is_named;                     /* clean JOB */
    uint32_t count, resumable, failed; /* seen; that can be gone on with; that could not go */
    uint32_t done;                     /* not listed */
};

static const char *state_of(const struct journal_job *job)
{
    static const char *const names[] = {[JOURNAL_RUNNING] = "running",
                                        [JOURNAL_PARKED] = "stopped",
                                        [JOURNAL_FAILED] = "failed",
                                        [JOURNAL_DONE] = "done"};
    bool died = job->state == JOURNAL_RUNNING && journal_db_is_free(job);
    return died ? "killed" : names[job->state];
}

/* Local, as for people, or UTC as programs like it. */
static const char *time_of(int64_t seconds, bool iso, char text[TIME_BYTES])
{
    time_t time = (time_t)seconds;
    struct tm parts;
    text[0] = '\0';
    if (!(iso ? gmtime_r(&time, &parts) : localtime_r(&time, &parts))) return text;
    strftime(text, TIME_BYTES, iso ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M", &parts);
    return text;
}

/* --- listing --- */

/* A line for people. What a path or key has in it may not drive the terminal. */
static void print_line(const struct journal_job *job)
{
    char text[4 * 2 * PATH_BYTES_MAX + 8], time[TIME_BYTES];
    struct writer w;
    writer_init(&w, text, sizeof text);
    writer_visible(&w, bytes_of(job->source));
    writer_text(&w, " -> ");
    writer_visible(&w, bytes_of(job->target));
    printf("%5" PRId64 "  %-7s  %-16s  ", job->id, state_of(job),
           time_of(job->updated_s, false, time));
    if (job->state == JOURNAL_RUNNING)
        printf("%9s %7s %7s", "-", "-", "-");
    else
        printf("%9" PRIu64 " %7" PRIu64 " %7" PRIu64, job->done, job->failed, job->left);
    printf("  %s\n", writer_string(&w));
}

static void print_json(const struct journal_job *job)
{
    char time[TIME_BYTES];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "job", (double)job->id);
    cJSON_AddStringToObject(json, "state", state_of(job));
    cJSON_AddStringToObject(json, "created", time_of(job->created_s, true, time));
    cJSON_AddStringToObject(json, "updated", time_of(job->updated_s, true, time));
    cJSON_AddStringToObject(json, "direction",
                            job->direction == JOURNAL_UPLOAD ? "upload" : "download");
    cJSON_AddStringToObject(json, "source", job->source);
    cJSON_AddStringToObject(json, "target", job->target);
    cJSON_AddStringToObject(json, "endpoint", job->endpoint);
    if (job->state != JOURNAL_RUNNING) {
        cJSON_AddNumberToObject(json, "done", (double)job->done);
        cJSON_AddNumberToObject(json, "failed", (double)job->failed);
        cJSON_AddNumberToObject(json, "left", (double)job->left);
    }
    cJSON_AddStringToObject(json, "host", job->owner.host);
    cJSON_AddNumberToObject(json, "pid", job->owner.pid);
    char *text = cJSON_PrintUnformatted(json);
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
}

static bool is_listed(struct jobs *jobs)
{
    bool listed =
        jobs->job.state != JOURNAL_DONE || jobs->settings->all_jobs || jobs->settings->json;
    if (!listed) jobs->done++;
    return listed;
}

static void list_one(struct jobs *jobs)
{
    if (!is_listed(jobs)) return;
    if (jobs->count++ == 0 && !jobs->settings->json)
        printf("%5s  %-7s  %-16s  %9s %7s %7s  %s\n", "JOB", "STATE", "LAST ACTIVE", "DONE",
               "FAILED", "LEFT", "COPY");
    if (jobs->settings->json)
        print_json(&jobs->job);
    else
        print_line(&jobs->job);
    if (jobs->job.state != JOURNAL_DONE && journal_db_is_free(&jobs->job)) jobs->resumable++;
}

static void list_end(const struct jobs *jobs)
{
    char done[HUMAN_TEXT_BYTES];
    if (jobs->settings->json) return;
    if (jobs->count == 0 && jobs->done == 0) log_line(&jobs->log, LOG_NOTE, "no jobs");
    if (jobs->done > 0)
        log_line(&jobs->log, LOG_NOTE, "%s%s done (--all lists %s)", jobs->count > 0 ? "and " : "",
                 human_count(jobs->done, done), jobs->done == 1 ? "it" : "them");
    if (jobs->resumable > 0)
        log_line(&jobs->log, LOG_NOTE,
                 "argosy resume JOB goes on with what is not done; argosy jobs clean JOB gives it "
                 "up");
}

/* --- cleaning --- */

static bool goes(const struct jobs *jobs)
{
    const struct journal_job *job = &jobs->job;
    int64_t oldest_s = (int64_t)time(NULL) - (int64_t)(jobs->settings->older_than_ns / NS_PER_S);
    return journal_db_is_free(job) && (job->state == JOURNAL_DONE || job->updated_s <= oldest_s);
}

static void clean_say(const struct jobs *jobs, const struct clean_counts *counts)
{
    bool dry = jobs->settings->dry_run;
    if (jobs->settings->json) {
        printf("{\"job\":%" PRId64 ",\"removed\":%s,\"uploads_aborted\":%u,\"files_removed\":%u,"
               "\"folder_is_gone\":%s}\n",
               jobs->job.id, dry ? "false" : "true", counts->aborted, counts->removed,
               counts->folder_is_gone ? "true" : "false");
    } else if (dry) {
        printf("job %" PRId64 " (%s): would go\n", jobs->job.id, state_of(&jobs->job));
    } else {
        printf("job %" PRId64 " (%s): gone", jobs->job.id, state_of(&jobs->job));
        if (counts->aborted > 0)
            printf("; %u upload%s aborted", counts->aborted, human_plural(counts->aborted));
        if (counts->removed > 0)
            printf("; %u temporary file%s removed", counts->removed, human_plural(counts->removed));
        if (counts->folder_is_gone)
            printf("; %s is not there, so nothing was removed in it", jobs->job.target);
        putchar('\n');
    }
}

static void clean_one(struct jobs *jobs)
{
    struct clean_counts counts = {0};
    char why[SETTINGS_WHY_BYTES] = "";
    enum err err = ERR_NONE;
    jobs->count++;
    if (!jobs->settings->dry_run)
        err = clean_job(jobs->db, &jobs->job, jobs->settings, &counts, why);
    bool forgets = err && counts.folder_is_gone && jobs->is_named;
    if (forgets) err = clean_forget(jobs->db, &jobs->job, why);
    if (!err) {
        clean_say(jobs, &counts);
        return;
    }
    jobs->failed++;
    log_line(&jobs->log, LOG_ERROR, "job %" PRId64 " stays: %s", jobs->job.id,
             why[0] ? why : err_sentence(err));
    if (counts.folder_is_gone && !forgets)
        log_line(&jobs->log, LOG_NOTE,
                 "if that folder is gone for good, argosy jobs clean %" PRId64 " forgets the job",
                 jobs->job.id);
}

static enum status clean_end(struct jobs *jobs)
{
    char age[HUMAN_TEXT_BYTES];
    if (jobs->count == 0 && jobs->settings->older_than_ns < NS_PER_S)
        log_line(&jobs->log, LOG_NOTE, "nothing to clean: there is no job that nobody works on");
    else if (jobs->count == 0)
        log_line(&jobs->log, LOG_NOTE,
                 "nothing to clean: no job is done, and none was left alone for %s (--older-than)",
                 human_duration(jobs->settings->older_than_ns, age));
    if (!jobs->settings->dry_run) journal_db_shrink(jobs->db);
    return jobs->failed ? STATUS_SOME_FAILED : STATUS_OK;
}

/* --- both --- */

/* Calls `visit` for each job that `wanted` takes (NULL: all). */
static enum status each(struct jobs *jobs, bool (*wanted)(const struct jobs *),
                        void (*visit)(struct jobs *))
{
    bool found = true;
    jobs->job.id = 0;
    while (found) {
        enum err err = journal_db_next_job(jobs->db, &jobs->job, &found);
        if (err) {
            log_line(&jobs->log, LOG_ERROR, "%s", journal_db_why(jobs->db));
            return status_of_err(err);
        }
        if (found && (!wanted || wanted(jobs))) visit(jobs);
    }
    return STATUS_OK;
}

static enum status clean_number(struct jobs *jobs, int64_t id)
{
    bool found;
    jobs->job.id = id - 1;
    enum err err = journal_db_next_job(jobs->db, &jobs->job, &found);
    if (!err && (!found || jobs->job.id != id)) {
        log_line(&jobs->log, LOG_ERROR, "there is no job %" PRId64 "; argosy jobs lists them", id);
        return STATUS_NOT_FOUND;
    }
    if (err) {
        log_line(&jobs->log, LOG_ERROR, "%s", journal_db_why(jobs->db));
        return status_of_err(err);
    }
    jobs->is_named = true;
    clean_one(jobs);
    return clean_end(jobs);
}

static enum status clean(struct jobs *jobs, int64_t id)
{
    if (id > 0) return clean_number(jobs, id);
    enum status status = each(jobs, goes, clean_one);
    return status ? status : clean_end(jobs);
}

static enum status list(struct jobs *jobs)
{
    enum status status = each(jobs, NULL, list_one);
    if (!status) list_end(jobs);
    return status;
}

/* A look at the journal must not make one. */
static enum status open_journal(struct jobs *jobs, bool *is_there)
{
    char path[PATH_BYTES_MAX], why[JOURNAL_DB_WHY_BYTES];
    job_find_path(jobs->settings, path);
    *is_there = path[0] && access(path, F_OK) == 0;
    if (!*is_there && jobs->settings->journal) {
        log_line(&jobs->log, LOG_ERROR, "%s: there is no journal", jobs->settings->journal);
        return STATUS_NOT_FOUND;
    }
    if (!*is_there) return STATUS_OK;
    enum err err = journal_db_open(&jobs->db, path, why);
    if (err) log_line(&jobs->log, LOG_ERROR, "%s", why);
    return status_of_err(err);
}

static enum status run(const struct settings *settings, const char *const *words, uint32_t count)
{
    struct jobs *jobs;
    uint64_t id = 0;
    bool is_there, is_id = count < 2 || (bytes_parse_u64(bytes_of(words[1]), &id) && id > 0);
    struct log log = settings_log(settings);
    if ((count > 0 && strcmp(words[0], "clean") != 0) || !is_id || id > INT64_MAX) {
        log_line(&log, LOG_ERROR, "%s: %s", is_id ? words[0] : words[1],
                 is_id ? "not known here (argosy jobs --help)" : "not a job's number");
        return STATUS_USAGE;
    }
    jobs = calloc(1, sizeof *jobs);
    if (!jobs) return STATUS_ENVIRONMENT;
    jobs->settings = settings;
    jobs->log = log;
    enum status status = open_journal(jobs, &is_there);
    if (!status && !is_there)
        log_line(&log, LOG_NOTE, "no jobs");
    else if (!status)
        status = count > 0 ? clean(jobs, (int64_t)id) : list(jobs);
    journal_db_close(jobs->db);
    free(jobs);
    return status;
}

const struct command cmd_jobs = {
    .name = "jobs",
    .synopsis = "argosy jobs [clean [JOB]] [options]",
    .summary = "list the copies that the journal knows, or remove them",
    .notes =
        "clean removes jobs that are done, and those that were left alone for long, or the one "
        "that is\nnamed: with their uploads on the server and their temporary files. A job "
        "that runs stays.\n",
    .tables = tables,
    .words_most = 2,
    .run = run,
};
