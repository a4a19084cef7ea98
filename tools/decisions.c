#include "tools/decisions.h"

#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"

#define DECISIONS_LINE_BYTES 1024u

enum err decisions_open(struct decisions *decisions, const char *path, const struct log *log,
                        char why[512])
{
    *decisions = (struct decisions){.log = log, .began_ns = clock_now_ns()};
    if (!path) return ERR_NONE;
    decisions->file = fopen(path, "we");
    if (!decisions->file) return err_say(why, err_of_errno(errno), path, errno);
    (void)setvbuf(decisions->file, NULL, _IOLBF, 0); /* whoever follows it sees whole lines, soon */
    return ERR_NONE;
}

/* A limit that is not there is 0 in our structs, and null here. */
static void decisions_format_value(const char *name, double value, struct writer *w)
{
    if (value > 0)
        writer_format(w, "\"%s\":%.10g,", name, value);
    else
        writer_format(w, "\"%s\":null,", name);
}

static double decisions_seconds(uint64_t now_ns, uint64_t began_ns)
{
    return (double)(now_ns - min_u64(began_ns, now_ns)) / (double)NS_PER_S;
}

static void decisions_format_sample(const struct sample *sample, struct writer *w)
{
    writer_format(w, "\"bytes_per_s\":%.0f,\"in_flight\":%.2f,\"app_limited\":%s,",
                  sample->rate_bytes_per_s, sample->load, sample->app_limited ? "true" : "false");
    writer_format(w, "\"cpu_share\":%.2f,", sample->cpu_share);
    decisions_format_value("knee", sample->knee, w);
    decisions_format_value("knee_waiting", sample->knee_waiting, w);
    writer_format(w, "\"rtt_ms\":%.3f,\"rtt_now_ms\":%.3f,\"answer_ms\":%.3f,",
                  (double)sample->rtt_ns / 1e6, (double)sample->rtt_now_ns / 1e6,
                  (double)sample->answer_ns / 1e6);
    writer_format(w, "\"resent_share\":%.5f,", sample->resent_share);
    writer_format(w, "\"lost_share\":%.5f,\"hole_share\":%.3f,", sample->lost_share,
                  sample->hole_share);
    writer_format(w, "\"refusals\":%u,\"timeouts\":%u}", sample->refusals, sample->timeouts);
}

/* Knobs, states and reasons are literals of ours: only a prefix may need escaping. */
void decisions_format(const struct steer_decision *decision, const char *cc, uint64_t began_ns,
                      struct writer *w)
{
    writer_format(w, "{\"t\":%.3f,\"knob\":\"%s\",", decisions_seconds(decision->now_ns, began_ns),
                  decision->knob);
    if (decision->prefix[0]) {
        writer_text(w, "\"prefix\":");
        json_write(w, bytes_of(decision->prefix));
        writer_text(w, ",");
    }
    writer_format(w, "\"cc\":\"%s\",\"state\":\"%s\",", cc, decision->state);
    decisions_format_value("old", decision->before, w);
    decisions_format_value("new", decision->after, w);
    writer_format(w, "\"reason\":\"%s\",", decision->why);
    decisions_format_sample(&decision->sample, w);
}

static void decisions_write(struct decisions *decisions, struct writer *w)
{
    if (fprintf(decisions->file, "%s\n", writer_string(w)) < 0) decisions->failed = true;
}

/* Nobody measured anything for it: no round led to it. */
void decisions_note_limit(struct decisions *decisions, struct run *run, uint64_t rate_bytes_per_s,
                          const char *why)
{
    char line[DECISIONS_LINE_BYTES];
    double before = (double)decisions->limit_bytes_per_s;
    struct writer w;

    decisions->limit_bytes_per_s = rate_bytes_per_s;
    if (!decisions->file) return;
    decisions_take(decisions, run); /* in the order of time */
    writer_init(&w, line, sizeof line - 1);
    writer_format(&w, "{\"t\":%.3f,\"knob\":\"bytes a second that are asked for\",",
                  decisions_seconds(clock_now_ns(), decisions->began_ns));
    writer_format(&w, "\"cc\":\"%s\",\"state\":\"%s\",", run_cc(run),
                  rate_bytes_per_s ? "limited" : "free");
    decisions_format_value("old", before, &w);
    decisions_format_value("new", (double)rate_bytes_per_s, &w);
    writer_format(&w, "\"reason\":\"%s\"}", why);
    decisions_write(decisions, &w);
}

void decisions_take(struct decisions *decisions, struct run *run)
{
    char line[DECISIONS_LINE_BYTES];
    struct steer_decision decision;

    while (run_take_decision(run, &decision)) {
        struct writer w;
        log_line(decisions->log, LOG_DEBUG, "%s%s%s: %.6g -> %.6g (%s): %s", decision.knob,
                 decision.prefix[0] ? " " : "", decision.prefix, decision.before, decision.after,
                 decision.state, decision.why);
        if (!decisions->file) continue;
        writer_init(&w, line, sizeof line - 1);
        decisions_format(&decision, run_cc(run), decisions->began_ns, &w);
        decisions_write(decisions, &w);
    }
}

void decisions_close(struct decisions *decisions, struct run *run)
{
    if (run) decisions_take(decisions, run);
    if (!decisions->file) return;
    if (fclose(decisions->file) != 0) decisions->failed = true;
    decisions->file = NULL;
    if (decisions->failed)
        log_line(decisions->log, LOG_ERROR, "--log-decisions: not all of it could be written");
    uint64_t lost = run ? run_lost_decisions(run) : 0;
    if (lost > 0)
        log_line(decisions->log, LOG_WARNING, "--log-decisions: %llu decisions were missed",
                 (unsigned long long)lost);
}
