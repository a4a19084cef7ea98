#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/nice.h"
#include "s3/verify.h"
#include "tools/command.h"
#include "tools/human.h"
#include "tools/places.h"
#include "tools/report.h"
#include "tools/watch.h"

_Static_assert(ROLL_COPY == 0 && ROLL_OBJECTS == 1 && ROLL_FILES == 2,
               "the order of the words of --check");

/* Escaped names and a sentence. */
#define LINE_BYTES_MAX (6 * (PATH_BYTES_MAX + KEY_BYTES_MAX) + 4096u)

static const struct opts_row what_rows[] = {
    {.kind = OPTS_FLAG,
     .letter = 'r',
     .name = "recursive",
     .offset = SETTINGS_FIELD(recursive),
     .help = "a directory tree and all keys below a prefix"},
    {.kind = OPTS_CHOICE,
     .name = "symlinks",
     .argument = "follow|skip",
     .offset = SETTINGS_FIELD(symlinks),
     .help = "symbolic links below a directory (default follow; loops are found)"},
    SETTINGS_SPREAD_ROW(
        "the objects were copied with cp --spread N; they are asked for one by one"),
    {.kind = OPTS_CHOICE,
     .name = "check",
     .argument = "copy|objects|files",
     .offset = SETTINGS_FIELD(check),
     .help = "of a manifest: what its run wrote (default), the objects, or the files"},
    {.kind = OPTS_FLAG,
     .name = "read-back",
     .offset = SETTINGS_FIELD(read_back),
     .help = "receive and sum all objects, also where the server has a checksum"},
    {.kind = OPTS_FLAG,
     .name = "cheap",
     .offset = SETTINGS_FIELD(cheap),
     .help = "receive no object: where the server has no checksum that can be compared, sizes are, "
             "and it is said of how many"},
};

static const struct opts_table what_table = {"What", what_rows, ARRAY_COUNT(what_rows)};
static const struct opts_table *const tables[] = {&what_table,
                                                  &settings_endpoint_table,
                                                  &settings_rate_table,
                                                  &settings_machine_table,
                                                  &settings_network_table,
                                                  &settings_output_table,
                                                  NULL};

static const char *const verdict_words[] = {
    [MATCH_EQUAL] = "equal", [MATCH_CHANGED] = "changed", [MATCH_MISSING] = "missing",
    [MATCH_EXTRA] = "extra", [MATCH_FAILED] = "failed",   [MATCH_SKIPPED] = "skipped",
};

struct verifying {
    struct watched watched;
    struct audit_listener listener;
    const struct settings *settings;
    struct why why;
    struct verify *verify;
    struct verify_result result;
    int signal;                /* that interrupted it, or 0 */
    char line[LINE_BYTES_MAX]; /* while it is told */
};

/* --- what is told --- */

static void write_member(struct writer *w, const char *name, const char *text)
{
    if (!text[0]) return;
    writer_format(w, ",\"%s\":", name);
    json_write(w, bytes_of(text));
}

static void write_json(struct writer *w, const struct audit_finding *finding)
{
    char path[PATH_BYTES_MAX + KEY_BYTES_MAX];
    const char *why = finding->why;
    snprintf(path, sizeof path, "%.*s%s", PATH_BYTES_MAX - 1, finding->folder, finding->path);
    if (finding->verdict == MATCH_FAILED && !why[0]) why = err_sentence(finding->err);
    writer_format(w, "{\"verdict\":\"%s\"", verdict_words[finding->verdict]);
    write_member(w, "path", path);
    write_member(w, "bucket", finding->bucket);
    write_member(w, "key", finding->key);
    write_member(w, "why", why);
    if (finding->verdict == MATCH_FAILED) write_member(w, "error", err_name(finding->err));
    writer_text(w, "}\n");
}

static void write_text(struct writer *w, const struct audit_finding *finding)
{
    writer_format(w, "%-7s ", verdict_words[finding->verdict]);
    if (!finding->is_file) {
        writer_text(w, "s3://");
        writer_text(w, finding->bucket);
        writer_char(w, '/');
    }
    writer_visible(w, bytes_of(finding->is_file ? finding->folder : finding->key));
    if (finding->is_file) writer_visible(w, bytes_of(finding->path));
    if (finding->why[0]) writer_text(w, ": ");
    writer_visible(w, bytes_of(finding->why));
    writer_char(w, '\n');
}

/* One line each, as they are found. What failed is on standard error already. */
static bool tell(struct audit_listener *listener, const struct audit_finding *finding)
{
    struct verifying *verifying = container_of(listener, struct verifying, listener);
    bool json = verifying->settings->json;
    struct writer w;
    if (finding->verdict == MATCH_FAILED && !json) return true;
    writer_init(&w, verifying->line, sizeof verifying->line);
    if (json)
        write_json(&w, finding);
    else
        write_text(&w, finding);
    return fwrite(w.data, 1, w.count, stdout) == w.count;
}

/* --- the end --- */

/* As a run's, of which there is one for all that reports and watches. */
static struct run_numbers as_of_run(const struct verify_numbers *mine)
{
    return (struct run_numbers){.found = mine->found,
                                .done = mine->equal + mine->changed + mine->missing + mine->extra,
                                .skipped = mine->skipped,
                                .failed = mine->failed,
                                .found_bytes = mine->found_bytes,
                                .done_bytes = mine->read_bytes,
                                .blame = mine->blame,
                                .background_bytes_per_s = mine->background_bytes_per_s,
                                .yielded_ns = mine->yielded_ns,
                                .planning = mine->searching};
}

static bool reconciles(const struct verify_numbers *numbers)
{
    return numbers->found == numbers->equal + numbers->changed + numbers->missing + numbers->extra +
                                 numbers->failed + numbers->skipped;
}

static enum status status_of(const struct verifying *verifying)
{
    const struct verify_result *result = &verifying->result;
    const struct verify_numbers *numbers = &result->numbers;
    uint64_t differences = numbers->changed + numbers->missing + numbers->extra;
    if (verifying->signal) return status_of_signal(verifying->signal);
    if (result->err) return status_of_err(result->err);
    if (numbers->failed > 0 && numbers->equal + differences == 0)
        return status_of_err(result->first_failure);
    return differences + numbers->failed > 0 || !reconciles(numbers) ? STATUS_SOME_FAILED
                                                                     : STATUS_OK;
}

static void say_count(struct writer *w, uint64_t count, const char *word)
{
    char text[HUMAN_TEXT_BYTES];
    if (count > 0) writer_format(w, ", %s %s", human_count(count, text), word);
}

static void say(const struct verifying *verifying, const struct log *log)
{
    const struct verify_result *result = &verifying->result;
    const struct verify_numbers *numbers = &result->numbers;
    char line[512], a[HUMAN_TEXT_BYTES], b[HUMAN_TEXT_BYTES];
    struct writer w;
    writer_init(&w, line, sizeof line);
    if (verifying->signal) writer_text(&w, "interrupted: ");
    writer_format(&w, "%s of %s equal", human_count(numbers->equal, a),
                  human_count(numbers->found, b));
    say_count(&w, numbers->changed, "changed");
    say_count(&w, numbers->missing, "missing");
    say_count(&w, numbers->extra, "extra");
    say_count(&w, numbers->failed, "could not be checked");
    say_count(&w, numbers->skipped, "skipped");
    writer_format(&w, "; %s read in %s", human_bytes(numbers->read_bytes, a),
                  human_duration(result->elapsed_ns, b));
    log_line(log, LOG_NOTE, "%s", writer_string(&w));
    if (numbers->by_size > 0)
        log_line(log, LOG_NOTE, "%s of the equal ones: only their sizes were checked",
                 human_count(numbers->by_size, a));
    if (!result->err && !verifying->signal && !reconciles(numbers))
        log_line(log, LOG_ERROR, "the counts do not add up");
    const struct run_numbers run = as_of_run(numbers);
    report_say_limits(&verifying->why, &run, result->elapsed_ns, log);
    log_line(log, LOG_DETAIL, "%" PRIu64 " request%s, %" PRIu64 " %s, %" PRIu64 " connection%s",
             numbers->requests, human_plural(numbers->requests), numbers->retries,
             numbers->retries == 1 ? "retry" : "retries", numbers->connections,
             human_plural(numbers->connections));
}

/* One object and a newline, behind those of the findings. */
static void write_summary(const struct verifying *verifying)
{
    const struct verify_result *result = &verifying->result;
    const struct verify_numbers *numbers = &result->numbers;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"found", numbers->found},
        {"equal", numbers->equal},
        {"changed", numbers->changed},
        {"missing", numbers->missing},
        {"extra", numbers->extra},
        {"failed", numbers->failed},
        {"skipped", numbers->skipped},
        {"by_size", numbers->by_size},
        {"found_bytes", numbers->found_bytes},
        {"read_bytes", numbers->read_bytes},
        {"requests", numbers->requests},
        {"retries", numbers->retries},
        {"connections", numbers->connections},
    };
    enum err err = result->err ? result->err : result->first_failure;
    const struct run_numbers run = as_of_run(numbers);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "argosy", ARGOSY_VERSION);
    cJSON_AddNumberToObject(json, "exit_code", status_of(verifying));
    cJSON_AddBoolToObject(json, "interrupted", verifying->signal != 0);
    if (err) cJSON_AddStringToObject(json, "error", err_name(err));
    if (result->why[0]) cJSON_AddStringToObject(json, "why", result->why);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        cJSON_AddNumberToObject(json, rows[i].name, (double)rows[i].value);
    cJSON_AddNumberToObject(json, "seconds", (double)result->elapsed_ns / (double)NS_PER_S);
    report_add_limits(json, &run);
    char *text = cJSON_PrintUnformatted(json);
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
}

static enum status finish(struct verifying *verifying, const struct log *log)
{
    const struct verify_result *result = &verifying->result;
    if (result->err != ERR_NONE && !verifying->signal)
        log_line(log, LOG_ERROR, "%s", result->why[0] ? result->why : err_sentence(result->err));
    bool nothing = result->err != ERR_NONE && result->numbers.found == 0;
    if (verifying->settings->json) write_summary(verifying);
    bool told = fflush(stdout) == 0 && !ferror(stdout); /* the findings stand before their sum */
    int raw = errno;
    if (result->elapsed_ns > 0 && !nothing) say(verifying, log); /* it ran */
    if (told) return status_of(verifying);
    log_line(log, LOG_ERROR, "standard output: %s", strerror(raw));
    return STATUS_ENVIRONMENT;
}

/* --- the run --- */

static bool verifying_is_over(const struct watched *watched)
{
    return verify_is_over(container_of(watched, struct verifying, watched)->verify);
}

static void verifying_read(const struct watched *watched, struct run_numbers *numbers)
{
    struct verify_numbers mine;
    verify_read(container_of(watched, struct verifying, watched)->verify, &mine);
    *numbers = as_of_run(&mine);
}

static void verifying_interrupt(struct watched *watched)
{
    verify_interrupt(container_of(watched, struct verifying, watched)->verify);
}

static void verifying_limit(struct watched *watched, uint64_t rate_bytes_per_s)
{
    verify_limit(container_of(watched, struct verifying, watched)->verify, rate_bytes_per_s);
}

static const struct watched_kind verifying_kind = {verifying_is_over, verifying_read,
                                                   verifying_interrupt, verifying_limit};

static enum status check(const struct settings *settings, struct settings_conf *conf,
                         struct verify_options *options, const char *const *words, uint32_t count)
{
    struct log log = conf->conf.log;
    struct progress progress;
    struct verifying verifying = {.watched = {.kind = &verifying_kind,
                                              .throttle = &conf->throttle,
                                              .command = "verify",
                                              .source = words[0],
                                              .target = count > 1 ? words[1] : ""},
                                  .listener.tell = tell,
                                  .settings = settings,
                                  .why = {.conf = &conf->conf,
                                          .tcp_cc = conf->tcp_cc,
                                          .is_check = true,
                                          .cores_named = settings->cores != NULL}};
    struct verify_result *result = &verifying.result;
    if (conf->conf.background) nice_lower();
    conf->throttle.way = TIMETABLE_DOWN;
    watch_block_signals();
    progress_init(&progress, !settings->quiet, clock_now_ns());
    conf->conf.log.program = progress_log_program(&progress);
    options->listener = &verifying.listener;
    result->err = verify_open(&verifying.verify, &conf->conf, options, result->why);
    if (result->err == ERR_NONE) {
        watch_limit(&verifying.watched, &conf->conf.log);
        result->err = verify_start(verifying.verify);
    }
    if (result->err == ERR_NONE) {
        verifying.signal = watch(&verifying.watched, &progress, &conf->conf.log);
        verify_wait(verifying.verify, result);
    }
    if (verifying.verify) verify_close(verifying.verify);
    return finish(&verifying, &log);
}

static enum err parse_words(const struct settings *settings, const char *const *words,
                            uint32_t count, struct verify_options *options,
                            char why[SETTINGS_WHY_BYTES])
{
    *options = (struct verify_options){.side = (enum roll_side)settings->check};
    if (settings->cheap && settings->read_back) {
        snprintf(why, SETTINGS_WHY_BYTES, "--cheap and --read-back contradict each other");
        return ERR_USAGE;
    }
    if (count > 1 && settings->check) {
        snprintf(why, SETTINGS_WHY_BYTES,
                 "--check is for manifests: SRC and DST are both compared");
        return ERR_USAGE;
    }
    if (count == 1 && settings->spread > 0) {
        snprintf(why, SETTINGS_WHY_BYTES, "--spread is for SRC and DST: a manifest has the keys");
        return ERR_USAGE;
    }
    if (count == 1 && target_is_uri(words[0])) {
        snprintf(why, SETTINGS_WHY_BYTES, "%.200s: compared with what? A manifest is a local file",
                 words[0]);
        return ERR_USAGE;
    }
    options->manifest = count == 1 ? words[0] : NULL;
    if (count == 1) return ERR_NONE;
    enum err err = places_parse(&options->source, words[0], why);
    return err ? err : places_parse(&options->target, words[1], why);
}

static enum status run(const struct settings *settings, const char *const *words, uint32_t count)
{
    char why[SETTINGS_WHY_BYTES] = "";
    struct log log = settings_log(settings);
    struct verify_options options;
    struct settings_conf conf;
    enum err err = parse_words(settings, words, count, &options, why);
    if (err == ERR_NONE) err = settings_apply(settings, &conf, why);
    if (err != ERR_NONE) {
        log_line(&log, LOG_ERROR, "%s", why);
        return status_of_err(err);
    }
    settings_say_run(settings, &conf);
    enum status status = check(settings, &conf, &options, words, count);
    settings_fini(&conf);
    return status;
}

const struct command cmd_verify = {
    .name = "verify",
    .synopsis = "argosy verify [-r] [options] MANIFEST | SRC DST",
    .summary = "compare a copy with its source, or with the manifest of its run",
    .notes =
        "What is missing, changed or extra in the copy is told on standard output, a line each.\n"
        "SRC and DST are named as for cp. Contents are compared by the server's checksums where\n"
        "it has them, else by receiving the objects; nothing is written. Times are not compared.\n",
    .tables = tables,
    .words_least = 1,
    .words_most = 2,
    .run = run,
};
