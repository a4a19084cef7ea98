/* sched/crew.h on one thread: crew_wait() turns the cores in a seeded order, and lets time jump to
 * the next event when nobody has work. */
#include "sched/crew.h"

#include <stdlib.h>

#include "tests/sim/cut.h"
#include "tests/sim/ring.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#define ROUND_NS_MAX    (20 * NS_PER_US) /* that a round of turns takes at most */
#define ROUNDS_BUSY_MAX 3000000u /* without a jump of time: half a minute of nothing but work */

/* For the commands that turn a core themselves: what runs several has its conf from the scenario.
 * */
enum err crew_parse_cpus(const char *text, int cpus[CORES_MAX], uint16_t *count, char *why,
                         size_t why_bytes)
{
    (void)why, (void)why_bytes;
    CHECK(!text);
    cpus[0] = 0;
    *count = 1;
    return ERR_NONE;
}

static void on_stop(struct core *core, struct msg *msg)
{
    (void)msg;
    core_stop(core);
}

static void crew_add(struct crew *crew, const struct core_options *options)
{
    int raw;
    struct core *core = calloc(1, sizeof *core);
    CHECK(core);
    if (core_open(core, options, &raw)) NEVER("a simulated core opens");
    struct crew_seat *seat = &crew->seats[crew->count];
    seat->crew = crew;
    seat->core = core;
    msg_init(&seat->stop, on_stop);
    crew->cores[crew->count++] = core;
}

enum err crew_open(struct crew *crew, const int *cpus, uint16_t count, uint64_t memory_bytes,
                   uint64_t seed, int *raw)
{
    *crew = (struct crew){0};
    *raw = 0;
    for (uint16_t i = 0; i < count; i++) {
        struct core_options options = {
            .index = i,
            .cpu = cpus[i],
            .memory_bytes = memory_bytes / count,
            .seed = seed + i,
            .has_aside = true,
        };
        crew_add(crew, &options);
        ring_set_index(crew->cores[i]->ring, i);
    }
    for (uint16_t i = 0; i < count; i++)
        if (core_join(crew->cores[i], crew->cores, count)) NEVER("a simulated core joins");
    return ERR_NONE;
}

enum err crew_start(struct crew *crew)
{
    crew->running = true;
    for (uint16_t i = 0; i < crew->count; i++)
        crew->cores[i]->now_ns = world->now_ns;
    return ERR_NONE;
}

void crew_close(struct crew *crew)
{
    CHECK(!crew->running && "the cores have stopped");
    for (uint16_t i = 0; i < crew->count; i++) {
        core_close(crew->cores[i]);
        free(crew->cores[i]);
    }
    crew->count = 0;
}

void crew_stop(struct crew *crew, struct core *from)
{
    if (atomic_exchange(&crew->stopping, true)) return;
    for (uint16_t i = 0; i < crew->count; i++)
        core_post(from, i, &crew->seats[i].stop);
}

/* ── turning ────────────────────────────────────────────────────────────────────────────────── */

static bool core_is_waiting_to_send(const struct core *core)
{
    for (uint16_t i = 0; i < core->peer_count; i++)
        if (!list_is_empty(&core->outboxes[i])) return true;
    return false;
}

static bool core_has_work(const struct core *core)
{
    if (!list_is_empty(&core->ready) || core_is_waiting_to_send(core)) return true;
    if (ring_has_work(core->ring) || !handoff_is_empty(&core->finished)) return true;
    for (uint16_t i = 0; i < core->peer_count; i++)
        if (!mailbox_is_empty(&core->inboxes[i])) return true;
    return timers_next_ns(&core->timers) <= world->now_ns;
}

/* A core that has stopped goes on until its memory is there and its messages are sent, as
 * core_run() does. */
static void turn(struct core *core)
{
    if (core_is_over(core) && !core_is_waiting_to_send(core)) {
        atomic_store(&core->gone, true);
        ring_leave(core->ring);
        return;
    }
    core_turn(core, false);
}

struct round {
    uint64_t paused_until_ns[CORES_MAX];
    uint64_t busy;
    uint16_t gone;
};

static bool turn_all(struct crew *crew, struct round *round)
{
    uint16_t first = (uint16_t)world_below(crew->count);
    bool backwards = world_chance(0.5), worked = false;
    round->gone = 0;
    for (uint16_t i = 0; i < crew->count; i++) {
        uint16_t at = (uint16_t)((first + (backwards ? crew->count - i : i)) % crew->count);
        struct core *core = crew->cores[at];
        round->gone += core->gone;
        if (core->gone || (!core_is_over(core) && !core_has_work(core))) continue;
        if (round->paused_until_ns[at] > world->now_ns) continue;
        if (world_fault(FAULT_CORE_PAUSES))
            round->paused_until_ns[at] = world->now_ns + world_below(2 * NS_PER_S);
        turn(core);
        worked = true;
    }
    return worked;
}

static void jump(struct crew *crew, const struct round *round)
{
    uint64_t next_ns = world_next_ns();
    for (uint16_t i = 0; i < crew->count; i++) {
        const struct core *core = crew->cores[i];
        if (core->gone) continue;
        uint64_t at_ns = timers_next_ns(&core->timers);
        if (core_is_over(core) || core_has_work(core)) at_ns = world->now_ns;
        next_ns = min_u64(next_ns, max_u64(at_ns, round->paused_until_ns[i]));
    }
    if (next_ns == UINT64_MAX) world_broken("all cores wait for ever");
    world_advance(next_ns);
}

void crew_wait(struct crew *crew)
{
    struct round round = {.busy = 0};
    while (crew->running) {
        bool events = world_run_due();
        if (cut_is_over()) break;
        bool worked = turn_all(crew, &round);
        if (round.gone == crew->count) break;
        round.busy = worked || events ? round.busy + 1 : 0;
        if (round.busy > ROUNDS_BUSY_MAX) world_broken("the cores turn without an end");
        if (worked || events)
            world_advance(world->now_ns + world_below(ROUND_NS_MAX));
        else
            jump(crew, &round);
        scenario_on_round();
    }
    crew->running = false;
}
