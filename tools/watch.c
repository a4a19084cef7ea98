#include "tools/watch.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "tools/control.h"
#include "tools/rate.h"
#include "tools/state.h"
#include "tools/status.h"
#include "tools/why.h"

/* How long the main thread sleeps between two looks at the work: short at first, so that a short
 * run is not made longer; then as often as the progress is drawn. */
#define WATCH_NS_MIN   NS_PER_MS
#define WATCH_NS_MAX   (NS_PER_S / 5)
#define WATCH_FRACTION 32u      /* of the time that it took so far */
#define WATCH_WHY_NS   NS_PER_S /* how often -v tells what the time went to */

/* But for those that are ignored, as nohup(1) and a script's & ask for: one that is blocked would
 * come all the same. */
static void watch_signals(sigset_t *signals)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(signals);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(signals, numbers[i]);
    }
}

void watch_block_signals(void)
{
    sigset_t signals;
    watch_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

void watch_limit(struct watched *watched, const struct log *log)
{
    char text[2 * HUMAN_TEXT_BYTES];
    uint64_t rate;
    if (!throttle_changes(watched->throttle, &rate)) return;
    watched->kind->limit(watched, rate);
    log_line(log, LOG_DETAIL, "rate limit: %s", rate_format(rate, text));
}

struct watch {
    struct watched *watched;
    struct progress *progress;
    const struct log *log;
    struct run_numbers numbers;   /* of the last look */
    uint64_t started_ns, stop_ns; /* stop_ns: of the first signal */
    struct blame_totals told;     /* what the time went to, up to told_ns */
    uint64_t told_ns;
    char time[WHY_TEXT_BYTES]; /* what it went to in the second before that, or "" */
    const char *limited_by;    /* most of it, or "" */
    int signal;                /* the first one, or 0 */
};

static void watch_tell(const struct watch *watch, char answer[CONTROL_TEXT_BYTES])
{
    const struct watched *watched = watch->watched;
    struct state state = {
        .pid = (uint32_t)getpid(),
        .job = watched->job,
        .command = watched->command,
        .source = watched->source,
        .target = watched->target,
        .numbers = watch->numbers,
        .elapsed_ns = clock_now_ns() - watch->started_ns,
        .rate_bytes_per_s = (uint64_t)watch->progress->rate_bytes_per_s,
        .limit_bytes_per_s = watched->throttle->rate_bytes_per_s,
        .limit_by_clock = watched->throttle->table.count > 1,
        .limited_by = watch->limited_by,
        .time = watch->time,
    };
    if (!state_write(&state, answer, CONTROL_TEXT_BYTES))
        state_write_error("its names are too long for an answer", answer, CONTROL_TEXT_BYTES);
}

static void watch_answer(void *context, const char *request, char answer[CONTROL_TEXT_BYTES])
{
    static const char rate[] = "rate ";
    struct watch *watch = context;
    char why[TIMETABLE_WHY_BYTES] = "it runs an argosy that does not know this request";
    bool known = strcmp(request, "state") == 0;
    if (strncmp(request, rate, sizeof rate - 1) == 0) {
        known = throttle_set(watch->watched->throttle, request + sizeof rate - 1, why);
        if (known) watch->watched->throttle->by_ctl = true;
    }
    if (!known) {
        state_write_error(why, answer, CONTROL_TEXT_BYTES);
        return;
    }
    watch_limit(watch->watched, watch->log);
    watch_tell(watch, answer);
}

/* A signal that came, or 0. */
static int watch_sleep(const struct watch *watch, const sigset_t *signals)
{
    uint64_t look_ns = (clock_now_ns() - watch->started_ns) / WATCH_FRACTION;
    struct timespec wait = {.tv_nsec = (long)min_u64(max_u64(look_ns, WATCH_NS_MIN), WATCH_NS_MAX)};
    int number = sigtimedwait(signals, NULL, &wait);
    return number > 0 ? number : 0;
}

static void watch_open_control(struct control *control, const struct log *log)
{
    char why[CONTROL_WHY_BYTES];
    if (!control_open(control, why)) log_line(log, LOG_DETAIL, "not for argosy ctl: %s", why);
}

/* Nothing is waited for: threads of the work may hang in the kernel. */
static void watch_leave(struct watch *watch, int number)
{
    const struct watched *watched = watch->watched;
    progress_erase(watch->progress);
    if (watched->job > 0 && watched->resumes)
        log_line(watch->log, LOG_NOTE, "left at once; to go on with it: argosy resume %lld",
                 (long long)watched->job);
    else
        log_line(watch->log, LOG_NOTE, "left at once; what was under way may have left something");
    _exit((int)status_of_signal(number));
}

/* `number`: a signal that came, or 0. */
static void watch_stop(struct watch *watch, int number)
{
    uint64_t now_ns = clock_now_ns();
    if (watch->signal && number) watch_leave(watch, number);
    if (watch->signal && now_ns - watch->stop_ns > WATCH_GRACE_NS) {
        log_line(watch->log, LOG_WARNING, "warning: it does not stop");
        watch_leave(watch, watch->signal);
    }
    if (!number || watch->signal) return;
    watch->signal = number;
    watch->stop_ns = now_ns;
    log_line(watch->log, LOG_NOTE, "stopping; once more to leave at once");
    watch->watched->kind->interrupt(watch->watched);
}

/* The last second's shares of the cores' time. */
static void watch_why(struct watch *watch)
{
    uint64_t now_ns = clock_now_ns();
    struct blame_totals since;
    struct writer w;
    if (now_ns - watch->told_ns < WATCH_WHY_NS) return;
    blame_since(&watch->numbers.blame, &watch->told, &since);
    watch->told = watch->numbers.blame;
    watch->told_ns = now_ns;
    writer_init(&w, watch->time, sizeof watch->time);
    bool known = why_format_shares(&since, &w);
    (void)writer_string(&w);
    watch->limited_by = known ? blame_kind_name(blame_greatest(&since)) : "";
    if (known) log_line(watch->log, LOG_DETAIL, "time: %s", watch->time);
}

int watch(struct watched *watched, struct progress *progress, const struct log *log)
{
    struct watch watch = {watched, progress, log, .started_ns = clock_now_ns(), .limited_by = ""};
    watch.told_ns = watch.started_ns;
    struct control control;
    sigset_t signals;
    watch_signals(&signals);
    watch_open_control(&control, log);
    while (!watched->kind->is_over(watched)) {
        watch_stop(&watch, watch_sleep(&watch, &signals));
        watch_limit(watched, log);
        watched->kind->read(watched, &watch.numbers);
        progress_draw(progress, &watch.numbers, clock_now_ns());
        watch_why(&watch);
        control_serve(&control, watch_answer, &watch);
    }
    control_close(&control);
    progress_erase(progress);
    return watch.signal;
}
