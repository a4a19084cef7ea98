#include "tools/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/human.h"

#define DRAW_EVERY_NS   (NS_PER_S / 5)
#define SMOOTH_S        3.0 /* a part's arrival should not make the rate jump */
#define COLUMNS_DEFAULT 80u
#define COLUMNS_MAX     512u
#define ERASE           "\r\033[K" /* to the line's start, and all behind it */

void progress_init(struct progress *progress, bool wanted, uint64_t now_ns)
{
    *progress = (struct progress){.on = wanted && isatty(STDERR_FILENO), .drawn_ns = now_ns};
}

const char *progress_log_program(const struct progress *progress)
{
    return progress->on ? ERASE "argosy" : "argosy";
}

/* An exponential average whose weight follows from the time that passed. */
void progress_measure(struct progress *progress, uint64_t done_bytes, uint64_t now_ns)
{
    double seconds = (double)(now_ns - progress->drawn_ns) / (double)NS_PER_S;
    if (seconds <= 0) return;
    /* of a part that failed, or begins anew, nothing is counted any more */
    double bytes = (double)done_bytes - (double)progress->drawn_bytes;
    double rate = bytes > 0 ? bytes / seconds : 0;
    double weight = progress->has_rate ? 1 - exp(-seconds / SMOOTH_S) : 1;
    progress->rate_bytes_per_s += weight * (rate - progress->rate_bytes_per_s);
    progress->has_rate = progress->has_rate || rate > 0;
    progress->drawn_ns = now_ns;
    progress->drawn_bytes = done_bytes;
}

/* What is under way counts as it goes: at a low rate a part takes minutes. */
static uint64_t gone_bytes(const struct run_numbers *numbers)
{
    return numbers->done_bytes + numbers->moving_bytes + numbers->before_bytes;
}

static void write_time_left(const struct progress *progress, const struct run_numbers *numbers,
                            struct writer *w)
{
    char text[HUMAN_TEXT_BYTES];
    uint64_t done_bytes = gone_bytes(numbers);
    uint64_t left = numbers->found_bytes - min_u64(done_bytes, numbers->found_bytes);
    double seconds = (double)left / progress->rate_bytes_per_s;
    if (numbers->planning || progress->rate_bytes_per_s < 1 || seconds > 1e6) {
        writer_text(w, "  ETA -");
        return;
    }
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s < 60)
        writer_format(w, "  ETA 0:%02u", (unsigned)s);
    else
        writer_format(w, "  ETA %s", human_duration(s * NS_PER_S, text));
}

void progress_format(const struct progress *progress, const struct run_numbers *numbers,
                     uint32_t columns, struct writer *w)
{
    char a[HUMAN_TEXT_BYTES], b[HUMAN_TEXT_BYTES];
    size_t start = w->count;
    uint64_t done_bytes = gone_bytes(numbers);
    writer_format(w, "%s of %s%s", human_bytes(done_bytes, a), human_bytes(numbers->found_bytes, b),
                  numbers->planning ? "+" : "");
    if (!numbers->planning && numbers->found_bytes > 0)
        writer_format(w, " (%.0f%%)",
                      floor(100.0 * (double)done_bytes / (double)numbers->found_bytes));
    writer_format(w, "  %s", human_rate((uint64_t)progress->rate_bytes_per_s, NS_PER_S, a));
    write_time_left(progress, numbers, w);
    writer_format(w, "  %s of %s%s files", human_count(numbers->done + numbers->skipped, a),
                  human_count(numbers->found, b), numbers->planning ? "+" : "");
    if (numbers->failed > 0) writer_format(w, "  %s failed", human_count(numbers->failed, a));
    if (w->count - start > columns) w->count = start + columns;
}

static uint32_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return COLUMNS_DEFAULT;
    return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

static void write_all(struct bytes text)
{
    ssize_t ignored = write(STDERR_FILENO, text.data, text.count); /* the next one repairs it */
    (void)ignored;
}

void progress_draw(struct progress *progress, const struct run_numbers *numbers, uint64_t now_ns)
{
    char line[COLUMNS_MAX + 256];
    struct writer w;
    if (now_ns - progress->drawn_ns < DRAW_EVERY_NS) return;
    progress_measure(progress, numbers->done_bytes + numbers->moving_bytes, now_ns);
    if (!progress->on) return;
    writer_init(&w, line, sizeof line);
    writer_text(&w, ERASE);
    progress_format(progress, numbers, terminal_columns() - 1, &w); /* the cursor's own column */
    write_all(writer_bytes(&w));
}

void progress_erase(struct progress *progress)
{
    if (progress->on) write_all(BYTES(ERASE));
}
