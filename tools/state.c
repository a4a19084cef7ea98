#include "tools/state.h"

#include <inttypes.h>
#include <string.h>

#include "core/json.h"
#include "tools/human.h"
#include "tools/rate.h"

/* The numbers by their names, in both directions. */
struct state_row {
    const char *name;
    size_t offset;
};

#define STATE_ROW(name, field)                                                                     \
    {                                                                                              \
        name, offsetof(struct state, field)                                                        \
    }

static const struct state_row rows[] = {
    STATE_ROW("found", numbers.found),
    STATE_ROW("done", numbers.done),
    STATE_ROW("skipped", numbers.skipped),
    STATE_ROW("failed", numbers.failed),
    STATE_ROW("found_bytes", numbers.found_bytes),
    STATE_ROW("done_bytes", numbers.done_bytes),
    STATE_ROW("moving_bytes", numbers.moving_bytes),
    STATE_ROW("before_bytes", numbers.before_bytes),
    STATE_ROW("retries", numbers.retries),
    STATE_ROW("window", numbers.window),
    STATE_ROW("staged_ahead", numbers.staged_ahead),
    STATE_ROW("part_bytes", numbers.part_bytes),
    STATE_ROW("elapsed_ns", elapsed_ns),
    STATE_ROW("bytes_per_s", rate_bytes_per_s),
    STATE_ROW("max_rate_bytes_per_s", limit_bytes_per_s),
};

static uint64_t *row_value(struct state *state, const struct state_row *row)
{
    return (uint64_t *)(void *)((char *)state + row->offset);
}

static void write_text(struct writer *w, const char *name, const char *value)
{
    writer_format(w, ",\"%s\":", name);
    json_write(w, bytes_of(value));
}

bool state_write(const struct state *state, char *text, size_t text_bytes)
{
    struct state copy = *state;
    struct writer w;
    writer_init(&w, text, text_bytes);
    writer_format(&w, "{\"pid\":%" PRIu32 ",\"job\":%" PRId64, state->pid, state->job);
    write_text(&w, "command", state->command);
    write_text(&w, "source", state->source);
    write_text(&w, "target", state->target);
    write_text(&w, "limited_by", state->limited_by);
    write_text(&w, "time", state->time);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        writer_format(&w, ",\"%s\":%" PRIu64, rows[i].name, *row_value(&copy, &rows[i]));
    writer_format(&w, ",\"planning\":%s,\"by_clock\":%s}",
                  state->numbers.planning ? "true" : "false",
                  state->limit_by_clock ? "true" : "false");
    return writer_string(&w)[0] != '\0';
}

void state_write_error(const char *why, char *text, size_t text_bytes)
{
    struct writer w;
    writer_init(&w, text, text_bytes);
    writer_text(&w, "{\"error\":");
    json_write(&w, bytes_of(why));
    writer_char(&w, '}');
    (void)writer_string(&w);
}

/* --- reading --- */

static const char *read_text(struct json *json, struct writer *area)
{
    const char *text = area->data + area->count;
    json_string(json, area);
    writer_char(area, '\0');
    return area->overflow ? "" : text;
}

static bool read_number(struct state *state, struct json *json, struct bytes name)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!bytes_equal(name, bytes_of(rows[i].name))) continue;
        *row_value(state, &rows[i]) = json_u64(json);
        return true;
    }
    return false;
}

static void read_member(struct state *state, struct json *json, struct bytes name,
                        struct writer *area)
{
    if (bytes_equal(name, BYTES("pid")))
        state->pid = (uint32_t)json_u64(json);
    else if (bytes_equal(name, BYTES("job")))
        state->job = (int64_t)json_u64(json);
    else if (bytes_equal(name, BYTES("command")))
        state->command = read_text(json, area);
    else if (bytes_equal(name, BYTES("source")))
        state->source = read_text(json, area);
    else if (bytes_equal(name, BYTES("target")))
        state->target = read_text(json, area);
    else if (bytes_equal(name, BYTES("limited_by")))
        state->limited_by = read_text(json, area);
    else if (bytes_equal(name, BYTES("time")))
        state->time = read_text(json, area);
    else if (bytes_equal(name, BYTES("planning")))
        state->numbers.planning = json_bool(json);
    else if (bytes_equal(name, BYTES("by_clock")))
        state->limit_by_clock = json_bool(json);
    else if (!read_number(state, json, name))
        json_skip(json);
}

bool state_read(struct state *state, const char *text, struct writer *area, const char **why)
{
    struct json json;
    struct bytes name;
    *state =
        (struct state){.command = "", .source = "", .target = "", .limited_by = "", .time = ""};
    *why = "";
    json_init(&json, bytes_of(text));
    json_enter(&json);
    while (json_member(&json, &name)) {
        if (bytes_equal(name, BYTES("error")))
            *why = read_text(&json, area);
        else
            read_member(state, &json, name, area);
    }
    return json_is_over(&json) && !area->overflow && state->pid > 0 && !**why;
}

/* --- in words --- */

static void say_limit(const struct state *state, struct writer *w)
{
    char text[2 * HUMAN_TEXT_BYTES];
    if (state->limit_bytes_per_s > 0)
        writer_format(w, ", at most %s", rate_format(state->limit_bytes_per_s, text));
    else
        writer_text(w, ", no limit");
    if (state->limit_by_clock) writer_text(w, " now, by the clock");
}

void state_say(const struct state *state, struct writer *w)
{
    char a[HUMAN_TEXT_BYTES], b[HUMAN_TEXT_BYTES];
    const struct run_numbers *numbers = &state->numbers;
    if (state->job > 0)
        writer_format(w, "job %" PRId64 " (pid %" PRIu32 ")", state->job, state->pid);
    else
        writer_format(w, "pid %" PRIu32, state->pid);
    writer_char(w, ' ');
    writer_visible(w, bytes_of(state->command)); /* another process says all of it */
    writer_char(w, ' ');
    writer_visible(w, bytes_of(state->source));
    if (state->target[0]) writer_char(w, ' ');
    writer_visible(w, bytes_of(state->target));
    uint64_t gone_bytes = numbers->done_bytes + numbers->moving_bytes + numbers->before_bytes;
    writer_format(w, ": %s of %s%s", human_bytes(gone_bytes, a),
                  human_bytes(numbers->found_bytes, b), numbers->planning ? "+" : "");
    writer_format(w, " in %s", human_duration(state->elapsed_ns, a));
    writer_format(w, ", now %s", human_rate(state->rate_bytes_per_s, NS_PER_S, a));
    say_limit(state, w);
    if (numbers->failed > 0) writer_format(w, ", %s failed", human_count(numbers->failed, a));
    if (state->time[0]) writer_text(w, "; time: ");
    writer_visible(w, bytes_of(state->time));
}
