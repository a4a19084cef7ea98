#include "tests/sim/world.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

struct world *world;

static const char *const fault_names[FAULT_COUNT] = {
#define FAULT(name) #name,
    FAULTS(FAULT)
#undef FAULT
};

static void world_print(struct check_hook *hook)
{
    (void)hook;
    fprintf(stderr,
            "sim: seed %llu failed at %.6f s; faults injected:", (unsigned long long)world->seed,
            (double)world->now_ns / 1e9);
    for (int i = 0; i < FAULT_COUNT; i++)
        if (world->fault_counts[i])
            fprintf(stderr, " %s\xc3\x97%llu", fault_names[i],
                    (unsigned long long)world->fault_counts[i]);
    fprintf(stderr, "\nsim: replay it: make sim SEED=%llu\n", (unsigned long long)world->seed);
}

void world_open(uint64_t seed, bool verbose)
{
    world = calloc(1, sizeof *world);
    CHECK(world);
    world->seed = seed;
    world->verbose = verbose;
    world->now_ns = WORLD_BEGIN_NS;
    world->wall_offset_ns = 1790000000ull * NS_PER_S;
    world->hash = 14695981039346656037ull;
    rand_init(&world->rand, seed);
    rand_init(&world->later, ~seed);
    world->calm_ns = UINT64_MAX;
    world->hook.print = world_print;
    check_hook_add(&world->hook);
}

void world_close(void)
{
    check_hook_remove(&world->hook);
    free(world->heap);
    free(world);
    world = NULL;
}

/* ── chance ─────────────────────────────────────────────────────────────────────────────────── */

uint64_t world_below(uint64_t bound)
{
    return rand_below(&world->rand, bound);
}

uint64_t world_between(uint64_t first, uint64_t last)
{
    return first + rand_below(&world->rand, last - first + 1);
}

bool world_chance(double probability)
{
    return probability > 0 && rand_unit(&world->rand) < probability;
}

double world_scale(double least, double most)
{
    return least * pow(most / least, rand_unit(&world->rand));
}

bool world_has_fault(enum fault fault)
{
    return world->faulty && world->fault_rates[fault] > 0;
}

bool world_fault(enum fault fault)
{
    if (!world->faulty || world->now_ns >= world->calm_ns) return false;
    if (!world_chance(world->fault_rates[fault])) return false;
    world->fault_counts[fault]++;
    world_note(fault_names[fault], 0, 0);
    return true;
}

const char *world_fault_name(enum fault fault)
{
    return fault_names[fault];
}

/* ── time: a binary heap, the earliest first, equal times in the order of their starts ───────── */

static bool event_before(const struct event *a, const struct event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void heap_put(uint32_t place, struct event *event)
{
    world->heap[place] = event;
    event->place = place;
}

static void heap_rise(uint32_t place, struct event *event)
{
    for (; place > 1 && event_before(event, world->heap[place / 2]); place /= 2)
        heap_put(place, world->heap[place / 2]);
    heap_put(place, event);
}

static void heap_sink(uint32_t place, struct event *event)
{
    for (;;) {
        uint32_t child = 2 * place;
        if (child > world->heap_count) break;
        if (child < world->heap_count && event_before(world->heap[child + 1], world->heap[child]))
            child++;
        if (!event_before(world->heap[child], event)) break;
        heap_put(place, world->heap[child]);
        place = child;
    }
    heap_put(place, event);
}

void event_init(struct event *event, event_fn *run)
{
    *event = (struct event){.run = run};
}

void event_start(struct event *event, uint64_t at_ns)
{
    CHECK(event->place == 0 && event->run);
    if (world->heap_count + 2 > world->heap_max) {
        world->heap_max = 2 * world->heap_max + 256;
        world->heap = realloc(world->heap, world->heap_max * sizeof(*world->heap));
        CHECK(world->heap);
    }
    event->at_ns = max_u64(at_ns, world->now_ns);
    event->order = ++world->order;
    heap_rise(++world->heap_count, event);
}

void event_cancel(struct event *event)
{
    uint32_t place = event->place;
    if (place == 0) return;
    event->place = 0;
    struct event *last = world->heap[world->heap_count--];
    if (last == event) return;
    heap_put(place, last);
    heap_rise(place, last);
    heap_sink(last->place, last);
}

uint64_t world_next_ns(void)
{
    return world->heap_count ? world->heap[1]->at_ns : UINT64_MAX;
}

bool world_run_due(void)
{
    bool ran = false;
    while (world_next_ns() <= world->now_ns) {
        struct event *event = world->heap[1];
        event_cancel(event);
        event->run(event);
        ran = true;
    }
    return ran;
}

void world_advance(uint64_t to_ns)
{
    if (to_ns > world->now_ns) world->now_ns = to_ns;
}

void world_pass(uint64_t until_ns)
{
    while (world_next_ns() < until_ns) {
        world_advance(world_next_ns());
        (void)world_run_due();
    }
}

/* ── core/clock.h ───────────────────────────────────────────────────────────────────────────── */

uint64_t clock_now_ns(void)
{
    return world->now_ns;
}

uint64_t clock_wall_ns(void)
{
    return world->now_ns + world->wall_offset_ns;
}

/* Code takes no time there. */
void clock_look_thread(struct clock_thread *thread)
{
    *thread = (struct clock_thread){.file = -1};
}

void clock_close_thread(struct clock_thread *thread)
{
    (void)thread;
}

/* ── what happened ──────────────────────────────────────────────────────────────────────────── */

static void hash_u64(uint64_t value)
{
    world->hash = (world->hash ^ value) * 1099511628211ull;
    world->hash ^= world->hash >> 29;
}

void world_note(const char *what, uint64_t a, uint64_t b)
{
    world->notes++;
    hash_u64(world->now_ns);
    for (const char *c = what; *c; c++)
        hash_u64((unsigned char)*c);
    hash_u64(a);
    hash_u64(b);
    if (world->verbose)
        world_say("%s %llu %llu", what, (unsigned long long)a, (unsigned long long)b);
}

void world_say(const char *format, ...)
{
    va_list args;
    if (!world->verbose) return;
    printf("%14.6f  ", (double)world->now_ns / 1e9);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void world_broken(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout);
    check_failed("tests/sim", 0, "seed", text);
}
