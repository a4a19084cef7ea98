#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/nice.h"
#include "s3/run.h"
#include "tools/command.h"
#include "tools/decisions.h"
#include "tools/job.h"
#include "tools/places.h"
#include "tools/report.h"
#include "tools/watch.h"

static const struct opts_row what_rows[] = {
    {.kind = OPTS_FLAG,
     .letter = 'r',
     .name = "recursive",
     .offset = SETTINGS_FIELD(recursive),
     .help = "a directory tree, or all keys below a prefix"},
    {.kind = OPTS_CHOICE,
     .name = "symlinks",
     .argument = "follow|skip",
     .offset = SETTINGS_FIELD(symlinks),
     .help = "symbolic links below a directory (default follow; those that lead nowhere or back up "
             "are named and skipped)"},
    SETTINGS_SPREAD_ROW(
        "the keys of a tree over N prefixes, a power of two from 2 to 4096: digits of a hash of "
        "each name go in front of it, as in s3://bucket/place/7/name with 16; downloads take "
        "them off again"),
    {.kind = OPTS_FLAG,
     .name = "mtime",
     .offset = SETTINGS_FIELD(mtime),
     .on = true,
     .help = "do not keep files' times in the objects' metadata, nor set them again"},
};

static const struct opts_row integrity_rows[] = {
    {.kind = OPTS_CHOICE,
     .name = "checksum",
     .argument = "none|crc32c|crc32|crc64nvme|sha256",
     .offset = SETTINGS_FIELD(checksum),
     .help = "sent with every object and part (default crc32c)"},
    {.kind = OPTS_CHOICE,
     .name = "content-md5",
     .argument = "auto|on|off",
     .offset = SETTINGS_FIELD(content_md5),
     .help = "send Content-MD5; auto: when the server does not confirm checksums and the payload "
             "is not signed"},
    {.kind = OPTS_TEXT,
     .name = "manifest",
     .argument = "FILE",
     .offset = SETTINGS_FIELD(manifest),
     .help = "write what was moved, with its checksums, as JSON lines; FILE is "
             "there when the run has ended, until then FILE.partial"},
    {.kind = OPTS_CHOICE,
     .name = "fsync",
     .argument = "none|file|all",
     .offset = SETTINGS_FIELD(fsync),
     .help = "of files that are downloaded: content before the file gets its name; all: times and "
             "folders too (default none: the kernel writes them when it likes, as after cp)"},
    {.kind = OPTS_FLAG,
     .name = "sign-payload",
     .offset = SETTINGS_FIELD(sign_payload),
     .on = true,
     .help = "do not sign payload over plain HTTP (over TLS it never is)"},
};

static const struct opts_row parts_rows[] = {
    {.kind = OPTS_SIZE,
     .name = "part-size",
     .argument = "SIZE",
     .offset = SETTINGS_FIELD(part_bytes),
     .least = PART_BYTES_MIN,
     .most = PART_BYTES_MAX,
     .help = "of multipart uploads and ranged downloads, 5MiB to 5GiB (default: found by "
             "measuring, from 8MiB up and 16MiB down)"},
    {.kind = OPTS_CHOICE,
     .name = "unequal-parts",
     .argument = "auto|yes|no",
     .offset = SETTINGS_FIELD(unequal_parts),
     .help = "the store takes parts of different sizes, so that their size may change within an "
             "object; auto: AWS does; else it changes from object to object"},
    {.kind = OPTS_SIZE,
     .name = "multipart-threshold",
     .argument = "SIZE",
     .offset = SETTINGS_FIELD(multipart_threshold_bytes),
     .least = 1,
     .most = PART_BYTES_MAX,
     .help = "objects of at least this size go in parts, up to 5GiB (default 16MiB)"},
};

static const struct opts_row resume_rows[] = {
    {.kind = OPTS_TEXT,
     .name = "journal",
     .argument = "PATH|none",
     .offset = SETTINGS_FIELD(journal),
     .help = "what is done, to go on from after an interruption (default: "
             "$XDG_STATE_HOME/argosy/journal.db, ~/.local/state/argosy/journal.db)"},
    {.kind = OPTS_FLAG,
     .name = "resume",
     .offset = SETTINGS_FIELD(resume),
     .on = true,
     .help = "begin anew where an earlier run of the same command left something"},
};

static const struct opts_table what_table = {"What", what_rows, ARRAY_COUNT(what_rows)};
static const struct opts_table integrity_table = {"Integrity", integrity_rows,
                                                  ARRAY_COUNT(integrity_rows)};
static const struct opts_table parts_table = {"Parts", parts_rows, ARRAY_COUNT(parts_rows)};
static const struct opts_table resume_table = {"Resume", resume_rows, ARRAY_COUNT(resume_rows)};
const struct opts_table *const cmd_cp_tables[] = {&what_table,
                                                  &resume_table,
                                                  &integrity_table,
                                                  &settings_endpoint_table,
                                                  &parts_table,
                                                  &settings_rate_table,
                                                  &settings_machine_table,
                                                  &settings_network_table,
                                                  &settings_flow_table,
                                                  &settings_output_table,
                                                  NULL};

/* What is wrong with the two words together. */
static enum err check_places(const struct settings *settings, const struct run_place *source,
                             const struct run_place *target, char *why)
{
    const char *wrong = NULL;
    if (source->side == RUN_LOCAL && target->side == RUN_LOCAL)
        wrong = "neither side is s3://bucket/key: use cp(1) between files";
    else if (source->side == RUN_S3 && target->side == RUN_S3)
        wrong = "both sides are on S3: argosy moves between files and S3";
    else if (settings->json && target->side == RUN_LOCAL && strcmp(target->path, "-") == 0)
        wrong = "--json and the object would both go to standard output";
    if (!wrong) return ERR_NONE;
    snprintf(why, SETTINGS_WHY_BYTES, "%s", wrong);
    return ERR_USAGE;
}

struct copying {
    struct watched watched;
    struct run *run;
    struct decisions decisions;
};

static bool copying_is_over(const struct watched *watched)
{
    return run_is_over(container_of(watched, struct copying, watched)->run);
}

static void copying_read(const struct watched *watched, struct run_numbers *numbers)
{
    struct copying *copying = container_of(watched, struct copying, watched);
    run_read(copying->run, numbers);
    decisions_take(&copying->decisions, copying->run);
}

/* What is under way is parked; without a journal it is aborted and removed. */
static void copying_interrupt(struct watched *watched)
{
    run_interrupt(container_of(watched, struct copying, watched)->run);
}

static void copying_limit(struct watched *watched, uint64_t rate_bytes_per_s)
{
    struct copying *copying = container_of(watched, struct copying, watched);
    run_limit(copying->run, rate_bytes_per_s);
    decisions_note_limit(&copying->decisions, copying->run, rate_bytes_per_s,
                         throttle_why(watched->throttle));
}

static const struct watched_kind copying_kind = {copying_is_over, copying_read, copying_interrupt,
                                                 copying_limit};

static enum status finish(const struct settings *settings, const struct report *report,
                          const struct log *log)
{
    const struct run_result *result = &report->result;
    if (result->err != ERR_NONE && !report->signal)
        log_line(log, LOG_ERROR, "%s", result->why[0] ? result->why : err_sentence(result->err));
    bool nothing = result->err != ERR_NONE && result->numbers.found == 0;
    if (result->elapsed_ns > 0 && !nothing) report_say(report, log); /* it ran */
    if (settings->json && !report_write_json(report, stdout)) {
        log_line(log, LOG_ERROR, "standard output: %s", strerror(errno));
        return STATUS_ENVIRONMENT;
    }
    return report_status(report);
}

/* A prefix that nothing begins with is more likely a slip of the pen than a wish. An empty bucket
 * is an empty tree. */
static void judge_nothing(struct run_result *result, const struct run_place *source)
{
    if (result->err != ERR_NONE || result->numbers.found > 0) return;
    if (source->side != RUN_S3 || source->uri.key_bytes == 0) return;
    result->err = ERR_NO_KEY;
    snprintf(result->why, sizeof result->why, "s3://%s/%.400s: nothing begins with that",
             source->uri.bucket, source->uri.key);
}

static enum status copy(const struct settings *settings, struct settings_conf *conf,
                        const struct run_place *source, const struct run_place *target,
                        const char *const *words, struct job *job)
{
    struct log log = conf->conf.log;
    struct progress progress;
    struct report report = {.checksum = conf->conf.checksum,
                            .tcp_cc = conf->tcp_cc,
                            .why = {.conf = &conf->conf,
                                    .tcp_cc = conf->tcp_cc,
                                    .is_upload = target->side == RUN_S3,
                                    .cores_named = settings->cores != NULL}};
    struct run_result *result = &report.result;
    struct copying copying = {.watched = {.kind = &copying_kind,
                                          .throttle = &conf->throttle,
                                          .command = "cp",
                                          .source = words[0],
                                          .target = words[1]}};
    if (conf->conf.background) nice_lower();
    conf->throttle.way = target->side == RUN_S3 ? TIMETABLE_UP : TIMETABLE_DOWN;
    watch_block_signals();
    progress_init(&progress, !settings->quiet, clock_now_ns());
    conf->conf.log.program = progress_log_program(&progress);
    result->err = job_open(job, settings, &conf->conf, source, target, result->why);
    copying.watched.job = job->keep.job;
    copying.watched.resumes = job->finishes;
    if (result->err == ERR_NONE)
        result->err = decisions_open(&copying.decisions, settings->log_decisions, &conf->conf.log,
                                     result->why);
    if (result->err == ERR_NONE)
        result->err = run_open(&copying.run, &conf->conf, source, target,
                               job->keep.db ? &job->keep : NULL, result->why);
    if (result->err == ERR_NONE) {
        watch_limit(&copying.watched, &conf->conf.log);
        result->err = run_start(copying.run);
    }
    bool begun = result->err == ERR_NONE;
    if (begun) {
        report.signal = watch(&copying.watched, &progress, &conf->conf.log);
        run_wait(copying.run, result);
        if (!report.signal) judge_nothing(result, source);
    }
    decisions_close(&copying.decisions, copying.run);
    if (copying.run) {
        report.cc = run_cc(copying.run);
        run_close(copying.run);
    }
    enum status status = finish(settings, &report, &log);
    if (begun || job->keep.is_new)
        job_close(job, &conf->conf, result);
    else
        job_give_back(job, &log);
    return status;
}

enum status cmd_cp_run(const struct settings *settings, const char *const *words, struct job *job)
{
    char why[SETTINGS_WHY_BYTES] = "";
    struct log log = settings_log(settings);
    struct run_place source, target;
    struct settings_conf conf;
    enum err err = places_parse(&source, words[0], why);
    if (err == ERR_NONE) err = places_parse(&target, words[1], why);
    if (err == ERR_NONE) err = check_places(settings, &source, &target, why);
    if (err == ERR_NONE) err = settings_apply(settings, &conf, why);
    if (err != ERR_NONE) {
        log_line(&log, LOG_ERROR, "%s", why);
        job_give_back(job, &log);
        return status_of_err(err);
    }
    settings_say_run(settings, &conf);
    enum status status = copy(settings, &conf, &source, &target, words, job);
    settings_fini(&conf);
    return status;
}

static enum status run(const struct settings *settings, const char *const *words, uint32_t count)
{
    struct job *job = calloc(1, sizeof *job);
    (void)count;
    enum status status = job ? cmd_cp_run(settings, words, job) : STATUS_ENVIRONMENT;
    free(job);
    return status;
}

const struct command cmd_cp = {
    .name = "cp",
    .synopsis = "argosy cp [-r] [options] SRC DST",
    .summary = "copy files to S3, or objects to files",
    .notes = "One of SRC and DST is s3://bucket/key-or-prefix, the other a path; - is standard\n"
             "input or output. Sizes: 8M = 8MiB = 8388608, 8MB = 8000000. Times: 30s, 500ms, 2m.\n",
    .tables = cmd_cp_tables,
    .words_least = 2,
    .words_most = 2,
    .run = run,
};
