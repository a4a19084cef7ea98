#include "tools/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define JOB_FILE "/argosy/journal.db"

void job_find_path(const struct settings *settings, char path[PATH_BYTES_MAX])
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int count = 0;
    path[0] = '\0';
    if (settings->journal) {
        if (strcmp(settings->journal, "none") != 0)
            count = snprintf(path, PATH_BYTES_MAX, "%s", settings->journal);
    } else if (state && state[0] == '/') { /* a relative one is to be ignored */
        count = snprintf(path, PATH_BYTES_MAX, "%s" JOB_FILE, state);
    } else if (home && home[0] == '/') {
        count = snprintf(path, PATH_BYTES_MAX, "%s/.local/state" JOB_FILE, home);
    }
    if (count < 0 || count >= (int)PATH_BYTES_MAX) path[0] = '\0';
}

/* --- what was asked --- */

static bool job_is_standard(const struct run_place *place)
{
    return place->side == RUN_LOCAL && strcmp(place->path, "-") == 0;
}

/* Neither a file nor a folder: it is read or written once, in order. */
static bool job_is_stream(const struct run_place *place)
{
    struct stat status;
    if (place->side != RUN_LOCAL) return false;
    if (job_is_standard(place)) return true;
    return stat(place->path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

/* Absolute, so that the same words in another folder are another command. */
static void job_name_place(const struct run_place *place, char *name)
{
    char folder[PATH_BYTES_MAX];
    if (place->side == RUN_S3)
        snprintf(name, PATH_BYTES_MAX, "s3://%s/%s", place->uri.bucket, place->uri.key);
    else if (place->path[0] == '/' || job_is_standard(place) || !getcwd(folder, sizeof folder))
        snprintf(name, PATH_BYTES_MAX, "%s", place->path);
    else if (snprintf(name, PATH_BYTES_MAX, "%s/%s", folder, place->path) >= (int)PATH_BYTES_MAX)
        snprintf(name, PATH_BYTES_MAX, "%s", place->path);
}

/* The working folder, then the words behind the command's name. Where they do not fit, the job can
 * still be resumed by the same command. */
static void job_write_arguments(struct journal_job *row, const struct settings *settings,
                                const struct endpoint *endpoint)
{
    char folder[PATH_BYTES_MAX];
    struct writer w;
    writer_init(&w, row->arguments, sizeof row->arguments);
    if (!getcwd(folder, sizeof folder)) folder[0] = '\0';
    writer_text(&w, folder);
    writer_char(&w, '\0');
    for (int i = 0; i < settings->argument_count; i++) {
        writer_text(&w, settings->arguments[i]);
        writer_char(&w, '\0');
    }
    writer_format(&w, "--endpoint-url=%s", row->endpoint); /* wherever they came from */
    writer_char(&w, '\0');
    writer_format(&w, "--region=%s", endpoint->region);
    writer_char(&w, '\0');
    row->arguments_bytes = w.overflow ? 0 : (uint32_t)w.count;
}

static void job_name_endpoint(struct journal_job *row, const struct endpoint *endpoint)
{
    bool is_ipv6 = strchr(endpoint->host, ':') != NULL;
    snprintf(row->endpoint, sizeof row->endpoint, "http%s://%s%s%s:%u", endpoint->tls ? "s" : "",
             is_ipv6 ? "[" : "", endpoint->host, is_ipv6 ? "]" : "", endpoint->port);
}

/* Those that decide what is moved, and as what. What did not exist once is only named where it is
 * used, so that older jobs are known again. */
static void job_write_options(struct journal_job *row, const struct conf *conf)
{
    struct writer w;
    writer_init(&w, row->options, sizeof row->options);
    writer_format(&w, "recursive=%d symlinks=%u mtime=%d fsync=%u checksum=%s part=%llu",
                  conf->recursive, conf->symlinks, conf->keep_mtime, conf->fsync,
                  checksum_kind_name(conf->checksum), (unsigned long long)conf->part_bytes);
    writer_format(&w, " threshold=%llu", (unsigned long long)conf->multipart_threshold_bytes);
    if (conf->spread > 0) writer_format(&w, " spread=%u", conf->spread);
    (void)writer_string(&w);
}

static void job_describe(struct journal_job *row, const struct settings *settings,
                         const struct conf *conf, const struct run_place *source,
                         const struct run_place *target)
{
    const struct run_place *remote = source->side == RUN_S3 ? source : target;
    const struct endpoint *endpoint = &conf->endpoints[0];
    memset(row, 0, sizeof *row);
    row->direction = target->side == RUN_S3 ? JOURNAL_UPLOAD : JOURNAL_DOWNLOAD;
    job_name_place(source, row->source);
    job_name_place(target, row->target);
    job_name_endpoint(row, endpoint);
    snprintf(row->bucket, sizeof row->bucket, "%s", remote->uri.bucket);
    snprintf(row->prefix, sizeof row->prefix, "%s", remote->uri.key);
    job_write_options(row, conf);
    row->recursive = conf->recursive;
    row->fsync = conf->fsync;
    row->spread = conf->spread;
    job_write_arguments(row, settings, endpoint);
}

/* --- claiming --- */

/* Only uploads last by themselves: files that were written but not synced may be gone, or empty,
 * after the machine was started anew. Of them only what was written down since is believed. */
static void job_fill_keep(struct job *job, bool is_new)
{
    const struct journal_job *row = &job->row;
    job->keep.job = row->id;
    job->keep.tag = row->tag;
    job->keep.is_new = is_new;
    job->keep.lasts = row->direction == JOURNAL_UPLOAD || row->fsync == CONF_FSYNC_ALL;
}

static enum err job_open_db(struct job *job, const struct settings *settings,
                            char why[SETTINGS_WHY_BYTES])
{
    char path[PATH_BYTES_MAX];
    job_find_path(settings, path);
    if (path[0]) return journal_db_open(&job->keep.db, path, why);
    snprintf(why, SETTINGS_WHY_BYTES, "%s",
             settings->journal ? "there is no journal: --journal none"
                               : "there is no place for a journal: HOME is not set");
    return ERR_JOURNAL;
}

static enum err job_drop_db(struct job *job, enum err err, char why[SETTINGS_WHY_BYTES])
{
    if (job->keep.db) snprintf(why, SETTINGS_WHY_BYTES, "%s", journal_db_why(job->keep.db));
    journal_db_close(job->keep.db);
    job->keep.db = NULL;
    return err;
}

static void job_say_continued(const struct job *job, const struct conf *conf, const char *behind)
{
    char when[32] = "";
    time_t created = (time_t)job->row.created_s;
    struct tm local;
    if (localtime_r(&created, &local)) strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local);
    log_line(&conf->log, LOG_NOTE, "going on with job %lld of %s%s", (long long)job->row.id, when,
             behind);
}

/* Who resumes may not know which copy that is. */
static void job_say_taken(const struct job *job, const struct conf *conf)
{
    char copy[4 * 2 * PATH_BYTES_MAX + 8];
    struct writer w;
    writer_init(&w, copy, sizeof copy);
    writer_text(&w, ": ");
    writer_visible(&w, bytes_of(job->row.source));
    writer_text(&w, " -> ");
    writer_visible(&w, bytes_of(job->row.target));
    job_say_continued(job, conf, writer_string(&w));
}

static enum err job_claim(struct job *job, const struct settings *settings, const struct conf *conf,
                          const struct run_place *source, const struct run_place *target,
                          char why[SETTINGS_WHY_BYTES])
{
    struct journal_job *asked = malloc(sizeof *asked);
    bool is_new;
    enum err err = asked ? job_open_db(job, settings, why) : ERR_NO_MEMORY;
    if (!err) {
        job_describe(asked, settings, conf, source, target);
        job->finishes = !job_is_stream(source);
        err = journal_db_claim(job->keep.db, asked, settings->resume && job->finishes, &job->row,
                               &is_new);
        if (err) err = job_drop_db(job, err, why);
    }
    free(asked);
    if (err) return err;
    job_fill_keep(job, is_new);
    if (!is_new) job_say_continued(job, conf, " (--no-resume begins anew)");
    return ERR_NONE;
}

static enum err job_check_taken(struct job *job, const struct conf *conf,
                                char why[SETTINGS_WHY_BYTES])
{
    struct journal_job now;
    job_name_endpoint(&now, &conf->endpoints[0]);
    if (strcmp(now.endpoint, job->row.endpoint) != 0)
        snprintf(why, SETTINGS_WHY_BYTES, "job %lld is at %.200s, not %.200s",
                 (long long)job->row.id, job->row.endpoint, now.endpoint);
    else if (job->row.spread != conf->spread)
        snprintf(why, SETTINGS_WHY_BYTES,
                 "job %lld spreads its keys over %u prefixes, not over %u: that cannot be changed",
                 (long long)job->row.id, job->row.spread, conf->spread);
    else
        return ERR_NONE;
    return ERR_USAGE;
}

enum err job_open(struct job *job, const struct settings *settings, const struct conf *conf,
                  const struct run_place *source, const struct run_place *target,
                  char why[SETTINGS_WHY_BYTES])
{
    char path[PATH_BYTES_MAX];
    enum err err;
    if (job->keep.db) {
        err = job_check_taken(job, conf, why);
        if (!err) job_say_taken(job, conf);
        return err;
    }
    job_find_path(settings, path);
    if (!path[0] || job_is_stream(target)) return ERR_NONE;
    err = job_claim(job, settings, conf, source, target, why);
    if (!err || settings->journal) return err;
    log_line(&conf->log, LOG_WARNING, "warning: this job cannot be resumed: %s", why);
    why[0] = '\0';
    return ERR_NONE;
}

enum err job_take(struct job *job, const struct settings *settings, int64_t id,
                  char why[SETTINGS_WHY_BYTES])
{
    enum err err = job_open_db(job, settings, why);
    if (err) return err;
    err = journal_db_take(job->keep.db, id, &job->row);
    if (err) return job_drop_db(job, err, why);
    job->finishes = true;
    job_fill_keep(job, false);
    return ERR_NONE;
}

/* --- afterwards --- */

void job_give_back(struct job *job, const struct log *log)
{
    struct journal_db *db = job->keep.db;
    if (!db) return;
    if (journal_db_give_back(db, &job->row))
        log_line(log, LOG_WARNING, "warning: %s", journal_db_why(db));
    journal_db_close(db);
    job->keep.db = NULL;
}

/* No row speaks of a download's small files under way, so that what an earlier process of the job
 * left of them, or the disk did not let go, is found by the job's tag alone, which must last as
 * long. */
static bool job_may_be_forgotten(const struct job *job, const struct run_numbers *numbers)
{
    if (job->row.direction == JOURNAL_UPLOAD) return true;
    return job->keep.is_new && numbers->stray_files == 0;
}

void job_close(struct job *job, const struct conf *conf, const struct run_result *result)
{
    const struct run_numbers *numbers = &result->numbers;
    bool left = result->err != ERR_NONE || numbers->failed > 0, is_empty = false;
    struct journal_db *db = job->keep.db;
    if (!db) return;
    enum err err = left ? journal_db_is_empty(db, job->row.id, &is_empty) : ERR_NONE;
    is_empty &= job_may_be_forgotten(job, numbers);
    if (!err && left && is_empty) err = journal_db_remove(db, job->row.id);
    if (!err && left && !is_empty && job->finishes)
        log_line(&conf->log, LOG_NOTE, "to go on with it: argosy resume %lld",
                 (long long)job->row.id);
    if (err) log_line(&conf->log, LOG_WARNING, "warning: %s", journal_db_why(db));
    journal_db_close(db);
    job->keep.db = NULL;
}
