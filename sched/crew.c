#include "sched/crew.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/bytes.h"

/* ── which CPUs ──────────────────────────────────────────────────────────────────────────────── */

struct crew_choice {
    cpu_set_t allowed;
    int *cpus;
    uint16_t count;
    char *why;
    size_t why_bytes;
};

static MUST_USE enum err crew_add_cpu(struct crew_choice *choice, uint64_t cpu)
{
    if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &choice->allowed)) {
        snprintf(choice->why, choice->why_bytes, "CPU %llu is not one that we may use",
                 (unsigned long long)cpu);
        return ERR_USAGE;
    }
    for (uint16_t i = 0; i < choice->count; i++) {
        if (choice->cpus[i] != (int)cpu) continue;
        snprintf(choice->why, choice->why_bytes, "CPU %d is named twice", (int)cpu);
        return ERR_USAGE;
    }
    if (choice->count == CORES_MAX) {
        snprintf(choice->why, choice->why_bytes, "at most %u CPUs can be used", CORES_MAX);
        return ERR_USAGE;
    }
    choice->cpus[choice->count++] = (int)cpu;
    return ERR_NONE;
}

static MUST_USE enum err crew_add_first(struct crew_choice *choice, uint64_t count)
{
    uint64_t usable = (uint64_t)CPU_COUNT(&choice->allowed);
    if (count == 0 || count > usable || count > CORES_MAX) {
        snprintf(choice->why, choice->why_bytes, "between 1 and %llu CPUs can be used",
                 (unsigned long long)min_u64(usable, CORES_MAX));
        return ERR_USAGE;
    }
    enum err err = ERR_NONE;
    for (uint64_t cpu = 0; cpu < CPU_SETSIZE && choice->count < count && !err; cpu++)
        if (CPU_ISSET(cpu, &choice->allowed)) err = crew_add_cpu(choice, cpu);
    return err;
}

/* "5" or "2-5" of a list. */
static MUST_USE enum err crew_add_item(struct crew_choice *choice, struct bytes item)
{
    struct bytes last_text;
    struct bytes first_text = bytes_cut(item, '-', &last_text);
    bool range = first_text.count < item.count;
    uint64_t first = 0, last = 0;
    bool good = bytes_parse_u64(first_text, &first) &&
                (!range || (bytes_parse_u64(last_text, &last) && first <= last));
    if (!good) {
        snprintf(choice->why, choice->why_bytes, "\"%.*s\" is not a CPU or a range of CPUs",
                 (int)min_u64(item.count, 64), item.data);
        return ERR_USAGE;
    }
    if (!range) last = first;
    enum err err = ERR_NONE;
    for (uint64_t cpu = first; cpu <= last && !err; cpu++) /* ends at the first not allowed */
        err = crew_add_cpu(choice, cpu);
    return err;
}

enum err crew_parse_cpus(const char *text, int cpus[CORES_MAX], uint16_t *count, char *why,
                         size_t why_bytes)
{
    struct crew_choice choice = {.cpus = cpus, .why = why, .why_bytes = why_bytes};
    if (sched_getaffinity(0, sizeof(choice.allowed), &choice.allowed)) {
        snprintf(why, why_bytes, "this machine has more than %d CPUs: name some", CPU_SETSIZE);
        return ERR_USAGE;
    }
    enum err err = ERR_NONE;
    uint64_t number;
    struct bytes rest = bytes_of(text);
    if (!text) {
        err = crew_add_first(&choice, min_u64((uint64_t)CPU_COUNT(&choice.allowed), CORES_MAX));
    } else if (bytes_parse_u64(rest, &number)) {
        err = crew_add_first(&choice, number);
    } else {
        bool more = true;
        while (more && !err) {
            struct bytes list = rest, item = bytes_cut(list, ',', &rest);
            more = item.count < list.count; /* a comma: something must follow */
            err = crew_add_item(&choice, item);
        }
    }
    *count = choice.count;
    return err;
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */

static void on_stop(struct core *core, struct msg *msg)
{
    (void)msg;
    core_stop(core);
}

static MUST_USE enum err crew_open_core(struct crew *crew, const struct core_options *options,
                                        int *raw)
{
    struct core *core = calloc(1, sizeof(*core));
    if (!core) return ERR_NO_MEMORY;
    enum err err = core_open(core, options, raw);
    if (err) {
        free(core);
        return err;
    }
    struct crew_seat *seat = &crew->seats[crew->count];
    seat->crew = crew;
    seat->core = core;
    msg_init(&seat->stop, on_stop);
    crew->cores[crew->count++] = core;
    return ERR_NONE;
}

enum err crew_open(struct crew *crew, const int *cpus, uint16_t count, uint64_t memory_bytes,
                   uint64_t seed, int *raw)
{
    CHECK(count >= 1 && count <= CORES_MAX);
    *crew = (struct crew){0};
    *raw = 0;
    pthread_mutex_init(&crew->gate, NULL);
    enum err err = ERR_NONE;
    for (uint16_t i = 0; i < count && !err; i++) {
        struct core_options options = {
            .index = i,
            .cpu = cpus[i],
            .memory_bytes = memory_bytes / count,
            .seed = seed + i,
            .has_aside = true,
        };
        err = crew_open_core(crew, &options, raw);
    }
    for (uint16_t i = 0; i < count && !err; i++)
        err = core_join(crew->cores[i], crew->cores, count);
    if (err) crew_close(crew);
    return err;
}

static void *crew_thread(void *argument)
{
    struct crew_seat *seat = argument;
    pthread_mutex_lock(&seat->crew->gate);
    bool failed = seat->crew->failed;
    pthread_mutex_unlock(&seat->crew->gate);
    if (!failed) core_run(seat->core);
    return NULL;
}

static void crew_join(struct crew *crew, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++)
        pthread_join(crew->seats[i].thread, NULL);
}

enum err crew_start(struct crew *crew)
{
    CHECK(!crew->running && crew->count > 0);
    sigset_t all, before;
    uint16_t made = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&crew->gate);
    while (made < crew->count && !crew->failed) {
        struct crew_seat *seat = &crew->seats[made];
        crew->failed = pthread_create(&seat->thread, NULL, crew_thread, seat) != 0;
        if (!crew->failed) made++;
    }
    pthread_mutex_unlock(&crew->gate);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    crew->running = !crew->failed;
    if (crew->running) return ERR_NONE;
    crew_join(crew, made);
    return ERR_SYSTEM;
}

void crew_wait(struct crew *crew)
{
    if (!crew->running) return;
    crew_join(crew, crew->count);
    crew->running = false;
}

void crew_close(struct crew *crew)
{
    CHECK(!crew->running && "the cores have stopped");
    for (uint16_t i = 0; i < crew->count; i++) {
        core_close(crew->cores[i]);
        free(crew->cores[i]);
    }
    crew->count = 0;
    pthread_mutex_destroy(&crew->gate);
}

void crew_stop(struct crew *crew, struct core *from)
{
    if (atomic_exchange(&crew->stopping, true)) return;
    for (uint16_t i = 0; i < crew->count; i++)
        core_post(from, i, &crew->seats[i].stop);
}
