#include "tools/report.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tools/human.h"

bool report_reconciles(const struct run_numbers *numbers)
{
    return numbers->found ==
           numbers->done + numbers->skipped + numbers->failed + numbers->unfinished;
}

enum status report_status(const struct report *report)
{
    const struct run_result *result = &report->result;
    if (report->signal) return status_of_signal(report->signal);
    if (result->err != ERR_NONE) return status_of_err(result->err);
    if (result->numbers.failed > 0) {
        bool nothing_done = result->numbers.done == 0 && result->first_failure != ERR_NONE;
        return nothing_done ? status_of_err(result->first_failure) : STATUS_SOME_FAILED;
    }
    bool whole = report_reconciles(&result->numbers) && result->numbers.unfinished == 0;
    return whole ? STATUS_OK : STATUS_SOME_FAILED;
}

static void say_warnings(const struct report *report, const struct log *log)
{
    const struct run_numbers *numbers = &report->result.numbers;
    char count[HUMAN_TEXT_BYTES];
    if (numbers->unconfirmed > 0)
        log_line(log, LOG_NOTE, "%s of %s object%s: not confirmed by the server",
                 checksum_kind_name(report->checksum), human_count(numbers->unconfirmed, count),
                 human_plural(numbers->unconfirmed));
    if (numbers->unverified > 0)
        log_line(log, LOG_NOTE,
                 "%s object%s without a checksum on the server: only sizes were checked",
                 human_count(numbers->unverified, count), human_plural(numbers->unverified));
    if (report->result.err == ERR_NONE && !report->signal && !report_reconciles(numbers))
        log_line(log, LOG_ERROR,
                 "the counts do not add up: %llu found, %llu done, %llu skipped, %llu failed",
                 (unsigned long long)numbers->found, (unsigned long long)numbers->done,
                 (unsigned long long)numbers->skipped, (unsigned long long)numbers->failed);
}

void report_say_limits(const struct why *why, const struct run_numbers *numbers,
                       uint64_t elapsed_ns, const struct log *log)
{
    char line[WHY_TEXT_BYTES], a[HUMAN_TEXT_BYTES], b[HUMAN_TEXT_BYTES];
    struct writer w;
    writer_init(&w, line, sizeof line);
    if (why->conf && why_format(why, &numbers->blame, elapsed_ns, &w))
        log_line(log, LOG_NOTE, "%s", writer_string(&w));
    if (numbers->background_bytes_per_s > 0)
        log_line(log, LOG_DETAIL, "in the background: gave way for %s, %s allowed at the end",
                 human_duration(numbers->yielded_ns, a),
                 human_rate(numbers->background_bytes_per_s, NS_PER_S, b));
}

static void say_flow(const struct report *report, const struct log *log)
{
    const struct run_numbers *numbers = &report->result.numbers;
    char line[256], a[HUMAN_TEXT_BYTES];
    struct writer w;
    writer_init(&w, line, sizeof line);
    writer_format(&w, "flow control %s: up to %" PRIu64 " parts of %s in flight at the end",
                  report->cc, numbers->window, human_bytes(numbers->part_bytes, a));
    if (numbers->staged_ahead > 0)
        writer_format(&w, ", and %" PRIu64 " read ahead", numbers->staged_ahead);
    log_line(log, LOG_DETAIL, "%s", writer_string(&w));
}

void report_say(const struct report *report, const struct log *log)
{
    const struct run_result *result = &report->result;
    const struct run_numbers *numbers = &result->numbers;
    char line[512], a[HUMAN_TEXT_BYTES], b[HUMAN_TEXT_BYTES], c[HUMAN_TEXT_BYTES];
    struct writer w;
    writer_init(&w, line, sizeof line);
    if (report->signal) writer_text(&w, "interrupted: ");
    writer_format(&w, "%s of %s object%s done, ", human_count(numbers->done, a),
                  human_count(numbers->found, b), human_plural(numbers->found));
    writer_format(&w, "%s in %s (%s)", human_bytes(numbers->done_bytes, a),
                  human_duration(result->elapsed_ns, b),
                  human_rate(numbers->done_bytes, result->elapsed_ns, c));
    uint64_t skipped = numbers->skipped - numbers->before;
    if (numbers->before > 0) writer_format(&w, ", %s done before", human_count(numbers->before, a));
    if (skipped > 0) writer_format(&w, ", %s skipped", human_count(skipped, a));
    if (numbers->failed > 0) writer_format(&w, ", %s failed", human_count(numbers->failed, a));
    if (numbers->unfinished > 0)
        writer_format(&w, ", %s not finished", human_count(numbers->unfinished, a));
    log_line(log, LOG_NOTE, "%s", writer_string(&w));
    say_warnings(report, log);
    report_say_limits(&report->why, numbers, result->elapsed_ns, log);
    if (report->cc) say_flow(report, log);
    log_line(log, LOG_DETAIL, "%" PRIu64 " request%s, %" PRIu64 " %s, %" PRIu64 " connection%s",
             numbers->requests, human_plural(numbers->requests), numbers->retries,
             numbers->retries == 1 ? "retry" : "retries", numbers->connections,
             human_plural(numbers->connections));
    if (numbers->cuts > 0)
        log_line(log, LOG_DETAIL, "%llu slow connection%s replaced, at the cost of %s",
                 (unsigned long long)numbers->cuts, human_plural(numbers->cuts),
                 human_bytes(numbers->cut_bytes, a));
}

static void add_numbers(cJSON *json, const struct run_numbers *numbers)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"found", numbers->found},
        {"done", numbers->done},
        {"skipped", numbers->skipped},
        {"failed", numbers->failed},
        {"unfinished", numbers->unfinished},
        {"found_bytes", numbers->found_bytes},
        {"done_bytes", numbers->done_bytes},
        {"before", numbers->before},
        {"before_bytes", numbers->before_bytes},
        {"unconfirmed", numbers->unconfirmed},
        {"unverified", numbers->unverified},
        {"requests", numbers->requests},
        {"retries", numbers->retries},
        {"connections", numbers->connections},
        {"cuts", numbers->cuts},
        {"cut_bytes", numbers->cut_bytes},
        {"window", numbers->window},
        {"staged_ahead", numbers->staged_ahead},
        {"part_bytes", numbers->part_bytes},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        cJSON_AddNumberToObject(json, rows[i].name, (double)rows[i].value);
}

/* What is unknown, since the run was too short to be looked at, is null; else they add up to 1. */
static void add_shares(cJSON *json, const struct blame_totals *totals)
{
    double total_ns = (double)blame_total_ns(totals);
    cJSON *shares = cJSON_AddObjectToObject(json, "time_shares");
    if (total_ns > 0)
        cJSON_AddStringToObject(json, "limited_by", blame_kind_name(blame_greatest(totals)));
    else
        cJSON_AddNullToObject(json, "limited_by");
    for (uint32_t i = 0; i < BLAME_KINDS; i++) {
        enum blame_kind kind = (enum blame_kind)i;
        double share = (double)blame_kind_ns(totals, kind) / total_ns;
        if (total_ns > 0)
            cJSON_AddNumberToObject(shares, blame_kind_name(kind), share);
        else
            cJSON_AddNullToObject(shares, blame_kind_name(kind));
    }
}

static void add_background(cJSON *json, const struct run_numbers *numbers)
{
    if (numbers->background_bytes_per_s == 0) return;
    cJSON *background = cJSON_AddObjectToObject(json, "background");
    cJSON_AddNumberToObject(background, "bytes_per_s", (double)numbers->background_bytes_per_s);
    cJSON_AddNumberToObject(background, "yielded_seconds",
                            (double)numbers->yielded_ns / (double)NS_PER_S);
}

void report_add_limits(cJSON *json, const struct run_numbers *numbers)
{
    add_background(json, numbers);
    add_shares(json, &numbers->blame);
}

bool report_write_json(const struct report *report, FILE *out)
{
    const struct run_result *result = &report->result;
    double seconds = (double)result->elapsed_ns / (double)NS_PER_S;
    enum err err = result->err != ERR_NONE ? result->err : result->first_failure;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "argosy", ARGOSY_VERSION);
    cJSON_AddNumberToObject(json, "exit_code", report_status(report));
    cJSON_AddBoolToObject(json, "interrupted", report->signal != 0);
    cJSON_AddStringToObject(json, "error", err == ERR_NONE ? "" : err_name(err));
    cJSON_AddStringToObject(json, "why", result->why);
    cJSON_AddStringToObject(json, "checksum", checksum_kind_name(report->checksum));
    cJSON_AddStringToObject(json, "cc", report->cc ? report->cc : "");
    cJSON_AddStringToObject(json, "tcp_cc", report->tcp_cc ? report->tcp_cc : "");
    add_numbers(json, &result->numbers);
    cJSON_AddNumberToObject(json, "seconds", seconds);
    cJSON_AddNumberToObject(json, "bytes_per_s",
                            seconds > 0 ? (double)result->numbers.done_bytes / seconds : 0);
    report_add_limits(json, &result->numbers);
    char *text = cJSON_PrintUnformatted(json);
    bool good = text && fprintf(out, "%s\n", text) > 0 && fflush(out) == 0;
    cJSON_free(text);
    cJSON_Delete(json);
    return good;
}
