#include "tests/sim/scenario.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/sweep.h"
#include "tests/sim/abandon.h"
#include "tests/sim/disk.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/forest.h"
#include "tests/sim/items.h"
#include "tests/sim/net.h"
#include "tests/sim/pipe.h"
#include "tests/sim/rules.h"
#include "tests/sim/server.h"
#include "tests/sim/slip.h"
#include "tests/sim/stock.h"
#include "tests/sim/table.h"
#include "tests/sim/vfs.h"
#include "tests/sim/world.h"
#include "tools/job.h"

/* All that is bounded in a run with faults: attempts × (timeouts + backoff), for some requests one
 * after the other. A run without faults waits for nothing but the network. */
#define FAULTY_NS_MAX    (24 * 3600 * NS_PER_S)
#define FAULTLESS_NS_MAX (30 * 60 * NS_PER_S)
/* What they have left behind when they end: a slow connection that nothing else moves beside is
 * given up after 32 stalls of 20 s, perhaps a second time after twice that, or brings the rest of a
 * part, at 4 KiB/s or more (sched/straggler.h). */
#define CALM_NS_MAX      (3600 * NS_PER_S)
#define INTERRUPT_NS_MAX (30 * 60 * NS_PER_S)

_Static_assert(FAULT_COUNT <= 64 && SCENARIO_KINDS <= 8, "the totals have room");

static const char *const kind_names[] = {"up tree",   "up file",     "up pipe",
                                         "down tree", "down object", "down pipe"};

static struct scenario scenario;
static struct creds creds;

static struct { /* of the process that runs */
    struct run *run;
    struct event interrupt;
    uint64_t interrupted_ns; /* 0: it was not */
    uint64_t started_ns, ended_ns, limit_ns;
    uint64_t over_ns; /* it ended by itself; 0: it did not */
    struct net_options net;
} life;

const struct scenario *scenario_world(void)
{
    return &scenario;
}

bool scenario_is_upload(void)
{
    return scenario.kind <= UP_PIPE;
}

bool scenario_is_tree(void)
{
    return scenario.kind == UP_TREE || scenario.kind == DOWN_TREE;
}

bool scenario_is_pipe(void)
{
    return scenario.kind == UP_PIPE || scenario.kind == DOWN_PIPE;
}

/* ── faults ─────────────────────────────────────────────────────────────────────────────────── */

static bool is_of_segments(enum fault fault)
{
    return fault == FAULT_RESET || fault == FAULT_STALL || fault == FAULT_BLACK_HOLE ||
           fault == FAULT_CORE_PAUSES || fault == FAULT_CONN_FADES;
}

static void draw_slow_faults(void)
{
    world->fault_rates[FAULT_CONN_SLOW] = world_scale(0.02, 0.3);
    world->fault_rates[FAULT_CONN_FADES] = world_scale(0.0002, 0.01);
    world->fault_rates[FAULT_COMPLETE_SLOW] = 0.4;
}

static void draw_racy_faults(void)
{
    world->fault_rates[FAULT_COPY_LATE] = world_scale(0.2, 0.7);
    world->fault_rates[FAULT_COPY_ALTERED] = 0.7;
}

static void draw_faults(void)
{
    double share = world_chance(0.12) ? 0 : world_scale(0.04, 0.6);
    for (int i = 0; i < WORLD_FAULTS_DRAWN; i++) {
        bool has = world_chance(share);
        double rate = world_scale(0.005, 0.5);
        if (has) world->fault_rates[i] = is_of_segments((enum fault)i) ? rate / 30 : rate;
    }
}

/* Some time the faults end, and what they have left behind must come to an end as well. */
static void draw_calm(void)
{
    double after_ns = 1e9 * pow(2000, rand_unit(&world->later));
    bool ends = rand_below(&world->later, 2) == 0 || scenario.slow;
    if (ends && !scenario.faulty_lives) world->calm_ns = world->now_ns + (uint64_t)after_ns;
}

static void draw_few(void)
{
    scenario.few = rand_below(&world->later, 2) == 0;
    if (!scenario.few) return;
    world->fault_rates[FAULT_CONN_SLOW] = 0.8;
    world->fault_rates[FAULT_CONN_FADES] = 0.01;
}

/* ── the machine and the server ─────────────────────────────────────────────────────────────── */

/* Many alike, and parts, so that there is something to be compared with. */
static void conf_for_likes(struct conf *conf)
{
    conf->multipart_threshold_bytes = conf->part_bytes = PART_BYTES_MIN;
    conf->attempts_max = (uint32_t)world_between(3, 6);
    conf->connections_max = (uint32_t)world_between(6, 16);
}

/* One part after the other, so that some are done long before others. */
static void conf_for_parts(struct conf *conf)
{
    conf->multipart_threshold_bytes = conf->part_bytes = PART_BYTES_MIN;
    conf->cpu_count = 1;
    conf->memory_bytes = 32 * MIB;
    conf->parts_start = 1;
    conf->cc = FLOW_FIXED;
    conf->cc_fixed = (uint32_t)world_between(1, 2);
}

static void draw_conf(void)
{
    struct conf *conf = &scenario.conf;
    char why[TARGET_WHY_BYTES];
    conf_init(conf);
    conf->log.level_max = LOG_DEBUG;
    conf->recursive = scenario_is_tree();
    conf->keep_mtime = world_chance(0.8);
    conf->checksum = (enum checksum_kind)world_below(CHECKSUM_KINDS);
    conf->content_md5 = (enum conf_md5)world_below(3);
    conf->sign_payload = world_chance(0.5);
    conf->direct = (enum file_direct)world_below(3);
    conf->fsync = (enum conf_fsync)world_below(3);
    conf->part_bytes = world_chance(0.5) ? 0 : PART_BYTES_MIN + world_below(5 * MIB);
    if (world_chance(0.7)) conf->part_bytes = align_down_u64(conf->part_bytes, MIB);
    conf->multipart_threshold_bytes = (5 + world_below(12)) * MIB;
    conf->unequal_parts = conf->keep_mtime; /* not drawn: seeds of before say the same */
    conf->cpu_count = (uint16_t)world_between(1, 4);
    conf->memory_bytes = conf->cpu_count * (world_between(16, 48) * MIB);
    conf->connections_max = (uint32_t)world_between(2, 16);
    conf->parts_start = (uint32_t)world_below(5);
    conf->attempts_max = (uint32_t)world_between(1, 6);
    conf->connect_timeout_ns = world_between(1, 10) * NS_PER_S;
    conf->reply_timeout_ns = world_between(2, 30) * NS_PER_S;
    conf->stall_timeout_ns = world_between(2, 20) * NS_PER_S;
    if (scenario.slow || scenario.racy) conf_for_likes(conf);
    if (scenario.heavy) conf_for_parts(conf);
    if (forest_is_one()) forest_draw_conf(conf);
    /* Not drawn, and none of the seeds that were found: what they draw and do stays. */
    if (!scenario.heavy && world->seed % 7 == 1)
        conf->stage_ahead = (uint32_t)(1 + world->seed / 7 % 5);
    snprintf(creds.access_key, sizeof creds.access_key, "access");
    snprintf(creds.secret_key, sizeof creds.secret_key, "secret");
    struct endpoint_options options = {.url = "http://s3.sim:9000",
                                       .region = "us-east-1",
                                       .addressing = ADDRESSING_PATH,
                                       .sign = world_chance(0.7),
                                       .creds = &creds};
    if (!options.sign) options.creds = NULL;
    if (world_chance(0.3)) options.url = "http://10.0.0.1:9000";
    conf->endpoint_count = 1;
    if (target_parse_endpoint(&conf->endpoints[0], &options, why)) world_broken("%s", why);
    elsewhere_draw(conf);
    slip_draw(conf);
}

static void draw_net(void)
{
    const struct conf *conf = &scenario.conf;
    struct net_options options = {
        .delay_ns = (uint64_t)world_scale(10e3, 80e6),
        .jitter_ns = (uint64_t)world_scale(1, 5e6),
        .rate_bytes_per_s = (uint64_t)world_scale(4e6, 5e9),
        .segment_max = world_chance(0.2) ? 1460 : (uint32_t)world_between(16, 256) * 1024,
        .slow_log2_least = scenario.few ? 7 : 1,
        .slow_log2_count = scenario.few ? 8 : 17,
        .window_bytes = (uint64_t)world_scale(32e3, 4e6),
        .address_count = (uint32_t)world_between(1, 3),
        .sockets_max = elsewhere_world() ? 2 * conf->connections_max : conf->connections_max,
        .user_timeout_ns = conf->stall_timeout_ns,
    };
    if (scenario.heavy) options.rate_bytes_per_s = (uint64_t)world_scale(4e6, 3e7);
    bool has_names = !conf->endpoints[0].is_literal;
    if (has_names && world_has_fault(FAULT_REFUSED) && options.address_count > 1)
        options.dead_addresses = (uint32_t)world_below((1u << options.address_count) - 1);
    if (world_has_fault(FAULT_OUTAGE)) {
        options.outage_from_ns = world->now_ns + (uint64_t)world_scale(1e6, 5e9);
        options.outage_until_ns = options.outage_from_ns + (uint64_t)world_scale(1e8, 60e9);
        world->fault_counts[FAULT_OUTAGE]++;
    }
    life.net = options;
    net_open_world(&options);
}

static void draw_server(void)
{
    struct server_options options = {.sums = world_chance(0.7),
                                     .attributes = world_chance(0.7),
                                     .completes_again = world_chance(0.5),
                                     .chunked = world_chance(0.3),
                                     .page_max = (uint32_t)world_between(1, 30),
                                     .delay_ns = (uint64_t)world_scale(1e4, 3e8),
                                     .patience_ns = scenario.conf.reply_timeout_ns};
    server_open_world(&options);
}

static void interrupt_on_event(struct event *event)
{
    (void)event;
    if (!life.run) return;
    life.interrupted_ns = world->now_ns;
    world->fault_counts[FAULT_INTERRUPT]++;
    world_note("interrupt", 0, 0);
    run_interrupt(life.run);
}

/* ── what the fakes tell ────────────────────────────────────────────────────────────────────── */

void scenario_on_found(const char *path, enum err err)
{
    struct item *item = items_find(path + strlen(SCENARIO_SOURCE "/"));
    CHECK(item);
    (void)err;
    item->found = true;
}

void scenario_on_listed(const char *key)
{
    struct item *item = items_find(key + strlen(SCENARIO_PREFIX));
    CHECK(item);
    item->found = true;
}

/* "s3://bucket/key: why", or "/src/path: why": an object is not done. */
static void on_failure(const char *text)
{
    static const char *const starts[] = {"s3://" STORE_BUCKET "/" SCENARIO_PREFIX,
                                         SCENARIO_SOURCE "/"};
    char name[PATH_BYTES_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(starts) && scenario_is_tree(); i++) {
        size_t bytes = strlen(starts[i]);
        const char *end = strstr(text, ": ");
        if (strncmp(text, starts[i], bytes) != 0 || !end) continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - text) - (int)bytes, text + bytes);
        struct item *item = items_find(name);
        if (item && (item->failed || item->done)) world_broken("failed as well: %s", text);
        if (item) item->failed = true;
    }
}

/* "path -> s3://…" or "path <- s3://…": an object is done. */
void scenario_on_line(enum log_level level, const char *text)
{
    char name[PATH_BYTES_MAX];
    elsewhere_on_line(text);
    if (strstr(text, "next to nothing moved for minutes"))
        scenario.lone++;
    else if (strstr(text, "next to nothing moved"))
        scenario.stalls++;
    if (level == LOG_ERROR) on_failure(text);
    const char *arrow = strstr(text, scenario_is_upload() ? " -> s3://" : " <- s3://");
    if (level != LOG_DETAIL || !arrow) return;
    scenario.done_lines++;
    snprintf(name, sizeof name, "%.*s", (int)(arrow - text), text);
    const char *relative = name;
    if (strncmp(name, SCENARIO_SOURCE "/", strlen(SCENARIO_SOURCE "/")) == 0)
        relative += strlen(SCENARIO_SOURCE "/");
    struct item *item = scenario_is_tree() ? items_find(relative) : &items_world()->all[0];
    if (!item) world_broken("an unknown object is done: %s", text);
    if (item->done || item->failed) world_broken("done as well: %s", text);
    item->done = item->ever_done = true;
}

/* By then the journal's word of the end of a process has passed, and five seconds for clocks. */
bool scenario_is_behind(int64_t now_s)
{
    uint64_t ended_s = (life.over_ns + world->wall_offset_ns) / NS_PER_S;
    return life.over_ns > 0 && now_s > (int64_t)(ended_s + SWEEP_CLOCK_S);
}

static bool is_calm(void)
{
    return world->faulty && world->now_ns > world->calm_ns;
}

void scenario_on_round(void)
{
    if (world->now_ns - life.started_ns > life.limit_ns) world_broken("the run does not end");
    if (is_calm() && world->now_ns - world->calm_ns > CALM_NS_MAX)
        world_broken("the run does not end, although nothing goes wrong any more");
    if (life.interrupted_ns && world->now_ns - life.interrupted_ns > INTERRUPT_NS_MAX)
        world_broken("the run goes on after an interrupt");
}

/* ── running ────────────────────────────────────────────────────────────────────────────────── */

static void format_place(struct run_place *place, bool local)
{
    struct item *first = &items_world()->all[0];
    static char path[2][PATH_BYTES_MAX];
    char *text = path[place->side == RUN_LOCAL];
    const char *folder = scenario_is_upload() ? SCENARIO_SOURCE : SCENARIO_TARGET;
    place->side = local ? RUN_LOCAL : RUN_S3;
    if (!local) {
        snprintf(place->uri.bucket, sizeof place->uri.bucket, STORE_BUCKET);
        snprintf(place->uri.key, sizeof place->uri.key, "%s",
                 scenario_is_tree() ? SCENARIO_PREFIX : item_key(first));
        place->uri.key_bytes = strlen(place->uri.key);
        return;
    }
    if (scenario_is_pipe())
        snprintf(text, PATH_BYTES_MAX, "-");
    else if (scenario_is_tree())
        snprintf(text, PATH_BYTES_MAX, "%s", folder);
    else if (scenario_is_upload())
        snprintf(text, PATH_BYTES_MAX, "%s", item_path(SCENARIO_SOURCE, first));
    else
        snprintf(text, PATH_BYTES_MAX, "%s/", folder);
    place->path = text;
}

static void prepare(void)
{
    const struct blob *state = items_world()->all[0].states[0];
    struct pipe_world *pipes = pipe_world();
    elsewhere_on_process();
    forest_on_process();
    scenario.done_lines = 0;
    for (uint32_t i = 0; i < items_world()->count; i++) {
        struct item *item = &items_world()->all[i];
        item->found = item->done = item->failed = false;
    }
    if (!scenario_is_upload()) disk_put_folder(SCENARIO_TARGET);
    pipe_close_world();
    if (scenario.kind != UP_PIPE) return;
    pipes->in.data = malloc(state->bytes + 1);
    CHECK(pipes->in.data);
    memcpy(pipes->in.data, state->data, state->bytes);
    pipes->in.bytes = state->bytes;
}

/* The job in the journal, and the run. False: the process was ended in the midst of it. */
static bool open_run(struct job *job, const struct run_place *source,
                     const struct run_place *target)
{
    struct conf *conf = &scenario.conf;
    struct run_result *result = &scenario.result;
    memset(job, 0, sizeof *job);
    memset(result, 0, sizeof *result);
    if (scenario.settings)
        result->err = job_open(job, scenario.settings, conf, source, target, result->why);
    if (cut_is_over()) return false;
    if (result->err) world_broken("the journal does not open: %s", result->why);
    result->err =
        run_open(&life.run, conf, source, target, job->keep.db ? &job->keep : NULL, result->why);
    if (cut_is_over()) return false;
    if (result->err && !vfs_failed()) world_broken("the run does not open: %s", result->why);
    return true;
}

/* False: the process was ended, and all of it is left as it is. */
static bool run_process(void)
{
    static struct job job;
    struct run_place source = {.endpoint = 0}, target = {.endpoint = 0};
    format_place(&source, scenario_is_upload());
    format_place(&target, !scenario_is_upload());
    life.run = NULL;
    if (!open_run(&job, &source, &target)) return false;
    if (life.run) {
        if (run_start(life.run)) world_broken("the run does not start");
        run_wait(life.run, &scenario.result);
        if (cut_is_over()) return false;
        run_close(life.run);
    }
    if (scenario.settings) job_close(&job, &scenario.conf, &scenario.result);
    return !cut_is_over();
}

static bool is_all_done(void)
{
    for (uint32_t i = 0; i < items_world()->count; i++)
        if (!items_world()->all[i].ever_done) return false;
    return true;
}

static void run_life(void)
{
    prepare();
    scenario.conf.seed = rand_u64(&world->rand);
    world->life++;
    life.started_ns = world->now_ns;
    life.limit_ns = world->faulty ? FAULTY_NS_MAX : FAULTLESS_NS_MAX;
    scenario.stalls = scenario.lone = 0;
    scenario.moved_before = server_moved_bytes();
    life.interrupted_ns = life.over_ns = 0;
    bool by_itself = run_process();
    life.ended_ns = world->now_ns;
    life.over_ns = by_itself ? world->now_ns : 0;
    life.run = NULL;
    scenario.ended = cut_settle();
    CHECK(by_itself == (scenario.ended == CUT_NONE));
    forest_on_end(!by_itself);
    world_note("run", scenario.result.numbers.done, scenario.result.err);
    if (by_itself || world_chance(0.5)) world_pass(UINT64_MAX);
    if (by_itself) {
        rules_check_run();
        return;
    }
    if (is_all_done()) server_excuse(items_world()->bytes); /* and so its job may be: no resuming */
    scenario.kills += scenario.ended == CUT_KILL;
    scenario.power_cuts += scenario.ended == CUT_POWER;
    rules_check_cut();
    uint64_t next_ns = world->now_ns + (uint64_t)world_scale(1e6, 100e9); /* somebody comes */
    if (forest_is_one()) world_pass(next_ns);
    world_advance(next_ns);
}

static bool is_single_and_gone(void)
{
    return scenario.kind == UP_FILE && items_world()->all[0].gone;
}

/* About as long as it takes without faults. */
static double guess_ns(void)
{
    const struct items *items = items_world();
    double bytes_ns = 1e9 * (double)items->bytes / (double)life.net.rate_bytes_per_s;
    double turns = 4 + 2 * (double)items->count / scenario.conf.connections_max;
    return bytes_ns + turns * (double)(4 * life.net.delay_ns + server_world()->delay_ns) +
           forest_guess_ns();
}

/* How this process will end, if it does not come to its end before. */
static void draw_end(void)
{
    enum cut_kind kind = world_chance(0.5) ? CUT_KILL : CUT_POWER;
    bool by_journal = scenario.settings && world_chance(0.35);
    double after_ns =
        world_chance(0.6) ? 1.2 * guess_ns() * rand_unit(&world->rand) : world_scale(1e5, 2e9);
    if (by_journal)
        cut_plan(kind, UINT64_MAX, (uint64_t)world_scale(1, 400));
    else
        cut_plan(kind, world->now_ns + (uint64_t)after_ns, UINT64_MAX);
}

/* Of one that went on when its faults had ended. */
static void add_calm(struct scenario_totals *totals)
{
    if (!world->faulty || life.ended_ns <= world->calm_ns) return;
    uint64_t after_ns = life.ended_ns - world->calm_ns;
    uint64_t most_ns = __atomic_load_n(&totals->last_ns, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->calm_runs, 1, __ATOMIC_RELAXED);
    while (after_ns > most_ns)
        if (__atomic_compare_exchange_n(&totals->last_ns, &most_ns, after_ns, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            break;
}

/* Of a process that ended by itself, with faults. */
static void add_result(struct scenario_totals *totals)
{
    const struct run_numbers *n = &scenario.result.numbers;
    if (scenario.ended) return;
    add_calm(totals);
    __atomic_add_fetch(&totals->lone_cuts, scenario.lone, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->done, n->done, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->failed, n->failed, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->stopped, scenario.result.err != ERR_NONE, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->adopted_bytes, n->before_bytes, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->cut_runs, n->cuts > 0, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->cuts, n->cuts, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->cut_bytes, n->cut_bytes, __ATOMIC_RELAXED);
}

static void add_totals(struct scenario_totals *totals)
{
    const struct server_counts *counts = server_counts();
    const uint64_t *faults = world->fault_counts;
    __atomic_add_fetch(&totals->slow_conns, faults[FAULT_CONN_SLOW] + faults[FAULT_CONN_FADES],
                       __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->vain_bytes, counts->vain_bytes, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->same_address, counts->same_address, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->other_address, counts->other_address, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->sent_on, elsewhere_count(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->sent_on_runs, elsewhere_count() > 0, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->slips, slip_count(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->race_runs, counts->races > 0, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->races, counts->races, __ATOMIC_RELAXED);
    for (int i = 0; i < FAULT_COUNT; i++)
        __atomic_add_fetch(&totals->faults[i], world->fault_counts[i], __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->kinds[scenario.kind], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->kills, scenario.kills, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->power_cuts, scenario.power_cuts, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->virtual_ns, world->now_ns - WORLD_BEGIN_NS, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->requests, server_requests(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->moved_bytes, items_world()->bytes, __ATOMIC_RELAXED);
}

/* True: nothing went wrong, and so there is nothing left to do. */
static bool live_with_faults(struct scenario_totals *totals)
{
    uint64_t lives = scenario.faulty_lives ? world_between(1, 3) : 1;
    stock_draw_changes();
    forest_draw_changes(guess_ns());
    event_init(&life.interrupt, interrupt_on_event);
    if (world_has_fault(FAULT_INTERRUPT))
        event_start(&life.interrupt, world->now_ns + (uint64_t)world_scale(1e5, 20e9));
    for (uint64_t i = 0; i < lives && !is_single_and_gone(); i++) {
        if (scenario.faulty_lives) draw_end();
        run_life();
        add_result(totals);
        if (!scenario.ended && !rules_drew_faults()) return true;
    }
    return false;
}

/* Some do not go on: what is left goes, and all is to be done again. */
static void give_up(struct scenario_totals *totals)
{
    bool wanted = rand_below(&world->later, scenario.heavy ? 2 : 3) == 0;
    if (!wanted || !scenario.settings || scenario.kind == DOWN_PIPE) return;
    scenario.given_up = true;
    life.started_ns = world->now_ns;
    life.limit_ns = FAULTY_NS_MAX;
    life.interrupted_ns = 0;
    elsewhere_on_process();
    __atomic_add_fetch(&totals->left_uploads, rules_uploads(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->left_temps, rules_temps(), __ATOMIC_RELAXED);
    bool waited = abandon_run(rand_below(&world->later, 2) == 0);
    __atomic_add_fetch(&totals->waited, waited, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < items_world()->count; i++)
        items_world()->all[i].ever_done = false;
    __atomic_add_fetch(&totals->given_up, 1, __ATOMIC_RELAXED);
}

static void live(struct scenario_totals *totals)
{
    world->faulty = true;
    bool over = live_with_faults(totals);
    event_cancel(&life.interrupt);
    world->faulty = false;
    if (over) return;
    give_up(totals);
    if (is_single_and_gone()) return;
    if (forest_listing() >= FOREST_SLASH_FIRST) scenario.conf.prefixes = PREFIXES_NONE;
    scenario.uploads_before = rules_uploads();
    scenario.temps_before = rules_temps();
    run_life();
    add_result(totals);
    rules_check_last();
    if (rules_uploads() > scenario.uploads_before) world_broken("an upload was left");
    if (rules_temps() > scenario.temps_before) world_broken("a temporary file was left");
}

const char *scenario_kind_name(uint32_t kind)
{
    return kind < SCENARIO_KINDS ? kind_names[kind] : NULL;
}

static void draw_scenario(const struct scenario_options *options)
{
    static struct settings settings = {.resume = true};
    memset(&scenario, 0, sizeof scenario);
    memset(&life, 0, sizeof life);
    scenario.kind =
        (enum scenario_kind)(world_chance(0.7) ? (world_chance(0.5) ? UP_TREE : DOWN_TREE)
                                               : world_below(SCENARIO_KINDS));
    scenario.settings = world_chance(0.8) ? &settings : NULL;
    scenario.faulty_lives = !options->quiet && world_chance(0.5);
    scenario.heavy = scenario.faulty_lives && world_chance(0.3);
    scenario.pure = options->quiet || (scenario.faulty_lives && world_chance(0.5));
    world->faulty = true;
    if (forest_open_world(scenario.kind <= UP_PIPE, scenario.pure))
        scenario.kind = scenario.kind <= UP_PIPE ? UP_TREE : DOWN_TREE;
    bool alone = !options->quiet && !scenario.faulty_lives && !forest_is_one();
    scenario.slow = alone && world_chance(0.15);
    scenario.racy = alone && !scenario.slow && world_chance(0.25);
    if (scenario.slow) scenario.kind = world_chance(0.6) ? UP_TREE : DOWN_TREE;
    if (scenario.racy) scenario.kind = world_chance(0.5) ? UP_TREE : UP_FILE;
    draw_calm();
    if (scenario.slow) {
        draw_slow_faults();
        draw_few();
    } else if (scenario.racy) {
        draw_racy_faults();
    } else if (!scenario.pure && !forest_is_alone()) {
        draw_faults();
    }
    world_say("%s", kind_names[scenario.kind]);
}

void scenario_run(const struct scenario_options *options, struct scenario_totals *totals)
{
    setenv("XDG_STATE_HOME", SCENARIO_STATE, 1);
    draw_scenario(options);
    disk_open_world();
    vfs_open_world();
    cut_open_world();
    disk_put_folder(SCENARIO_STATE);
    disk_world()->no_direct = world_chance(0.2);
    disk_world()->direct_align = world_chance(0.7) ? 512 : 4096;
    draw_conf();
    if (scenario.settings) abandon_say_arguments(&scenario.conf, scenario.settings);
    draw_net();
    draw_server();
    stock_draw();
    stock_put();
    live(totals);
    add_totals(totals);
    forest_add(&totals->forest);
    net_close_world();
    server_close_world();
    pipe_close_world();
    items_close_world();
    vfs_close_world();
    disk_close_world();
    table_reset();
}
