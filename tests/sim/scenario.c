#include "tests/sim/scenario.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/run.h"
#include "tests/sim/disk.h"
#include "tests/sim/items.h"
#include "tests/sim/net.h"
#include "tests/sim/pipe.h"
#include "tests/sim/server.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#define SOURCE    "/src"
#define TARGET    "/dst"
#define PREFIX    "p/"
#define TEMP_MARK ".argosy-"

/* All that is bounded in a run with faults: attempts × (timeouts + backoff), for some requests one
 * after the other. A run without faults waits for nothing but the network. */
#define FAULTY_NS_MAX    (24 * 3600 * NS_PER_S)
#define FAULTLESS_NS_MAX (30 * 60 * NS_PER_S)
#define INTERRUPT_NS_MAX (30 * 60 * NS_PER_S)

enum scenario_kind { UP_TREE, UP_FILE, UP_PIPE, DOWN_TREE, DOWN_OBJECT, DOWN_PIPE, SCENARIO_KINDS };

_Static_assert(FAULT_COUNT <= 64 && SCENARIO_KINDS <= 8, "the totals have room");

static const char *const kind_names[] = {"up tree",   "up file",     "up pipe",
                                         "down tree", "down object", "down pipe"};

struct file_change { /* of a source file, while the run goes on */
    struct event event;
    uint32_t item;
};

#define CHANGES_MAX 8u

static struct {
    enum scenario_kind kind;
    struct conf conf;
    struct creds creds;
    struct run *run;
    struct run_result result;
    struct event interrupt;
    uint64_t interrupted_ns; /* 0: it was not */
    uint64_t started_ns, limit_ns;
    uint32_t done_lines;
    struct file_change changes[CHANGES_MAX];
    uint32_t uploads_before, temps_before;
} scenario;

static bool is_upload(void)
{
    return scenario.kind <= UP_PIPE;
}

static bool is_tree(void)
{
    return scenario.kind == UP_TREE || scenario.kind == DOWN_TREE;
}

static bool is_pipe(void)
{
    return scenario.kind == UP_PIPE || scenario.kind == DOWN_PIPE;
}

/* Log-uniform: orders of magnitude are equally likely. */
static double draw_scale(double least, double most)
{
    return least * pow(most / least, rand_unit(&world->rand));
}

/* ── faults ─────────────────────────────────────────────────────────────────────────────────── */

static bool is_of_segments(enum fault fault)
{
    return fault == FAULT_RESET || fault == FAULT_STALL || fault == FAULT_BLACK_HOLE ||
           fault == FAULT_CORE_PAUSES;
}

static void draw_faults(void)
{
    double share = world_chance(0.12) ? 0 : draw_scale(0.04, 0.6);
    for (int i = 0; i < FAULT_COUNT; i++) {
        bool has = world_chance(share);
        double rate = draw_scale(0.005, 0.5);
        if (has) world->fault_rates[i] = is_of_segments((enum fault)i) ? rate / 30 : rate;
    }
}

static bool has_fault(enum fault fault)
{
    return world->faulty && world->fault_rates[fault] > 0;
}

/* ── the machine and the server ─────────────────────────────────────────────────────────────── */

static void draw_conf(void)
{
    struct conf *conf = &scenario.conf;
    char why[TARGET_WHY_BYTES];
    conf_init(conf);
    conf->log.level_max = LOG_DEBUG;
    conf->recursive = is_tree();
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
    snprintf(scenario.creds.access_key, sizeof scenario.creds.access_key, "access");
    snprintf(scenario.creds.secret_key, sizeof scenario.creds.secret_key, "secret");
    struct endpoint_options options = {.url = "http://s3.sim:9000",
                                       .region = "us-east-1",
                                       .addressing = ADDRESSING_PATH,
                                       .sign = world_chance(0.7),
                                       .creds = &scenario.creds};
    if (!options.sign) options.creds = NULL;
    if (world_chance(0.3)) options.url = "http://10.0.0.1:9000";
    conf->endpoint_count = 1;
    if (target_parse_endpoint(&conf->endpoints[0], &options, why)) world_broken("%s", why);
}

static void draw_net(void)
{
    const struct conf *conf = &scenario.conf;
    struct net_options options = {
        .delay_ns = (uint64_t)draw_scale(10e3, 80e6),
        .jitter_ns = (uint64_t)draw_scale(1, 5e6),
        .rate_bytes_per_s = (uint64_t)draw_scale(4e6, 5e9),
        .segment_max = world_chance(0.2) ? 1460 : (uint32_t)world_between(16, 256) * 1024,
        .window_bytes = (uint64_t)draw_scale(32e3, 4e6),
        .address_count = (uint32_t)world_between(1, 3),
        .sockets_max = conf->connections_max,
        .user_timeout_ns = conf->stall_timeout_ns,
    };
    bool has_names = !conf->endpoints[0].is_literal;
    if (has_names && has_fault(FAULT_REFUSED) && options.address_count > 1)
        options.dead_addresses = (uint32_t)world_below((1u << options.address_count) - 1);
    if (has_fault(FAULT_OUTAGE)) {
        options.outage_from_ns = world->now_ns + (uint64_t)draw_scale(1e6, 5e9);
        options.outage_until_ns = options.outage_from_ns + (uint64_t)draw_scale(1e8, 60e9);
        world->fault_counts[FAULT_OUTAGE]++;
    }
    net_open_world(&options);
}

static void draw_server(void)
{
    struct server_options options = {.sums = world_chance(0.7),
                                     .attributes = world_chance(0.7),
                                     .completes_again = world_chance(0.5),
                                     .chunked = world_chance(0.3),
                                     .page_max = (uint32_t)world_between(1, 30),
                                     .delay_ns = (uint64_t)draw_scale(1e4, 3e8),
                                     .patience_ns = scenario.conf.reply_timeout_ns};
    server_open_world(&options);
}

/* ── files and objects ──────────────────────────────────────────────────────────────────────── */

static void draw_items(void)
{
    uint64_t count = 1, bytes_max = 40 * MIB;
    uint64_t large_chance = is_tree() ? 10 : 2; /* one in so many */
    if (is_tree()) count = world_chance(0.05) ? 200 : (uint64_t)draw_scale(1, 40);
    if (is_tree()) bytes_max = 24 * MIB;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t bytes = items_draw_size(world_below(large_chance) == 0);
        if (items_world()->bytes + bytes > bytes_max) bytes = world_below(1000);
        items_add(bytes);
    }
}

static const char *path_of(const char *folder, const struct item *item)
{
    static char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, item->name);
    return path;
}

static const char *key_of(const struct item *item)
{
    static char key[ITEM_NAME_MAX + 8];
    snprintf(key, sizeof key, PREFIX "%s", item->name);
    return key;
}

static void put_folder_above(const char *path)
{
    char folder[PATH_BYTES_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    disk_put_folder(folder);
}

static void put_source_file(const struct item *item)
{
    const struct blob *state = item->states[item->state_count - 1];
    const char *path = path_of(SOURCE, item);
    put_folder_above(path);
    disk_put(path, state->data, state->bytes, item->mtime_ns);
}

/* As a PUT would have left it, or an upload in parts. */
static void put_source_object(struct item *item, struct blob *state)
{
    struct store_object *object = store_put(key_of(item), blob_hold(state));
    enum checksum_kind kind = (enum checksum_kind)world_below(CHECKSUM_KINDS);
    if (world_chance(0.7))
        snprintf(object->mtime, sizeof object->mtime, "%lld.%09lld",
                 (long long)(item->mtime_ns / (int64_t)NS_PER_S),
                 (long long)(item->mtime_ns % (int64_t)NS_PER_S));
    if (!kind || !server_world()->sums) return;
    object->kind = kind;
    proof_text(kind, state->data, state->bytes, object->sum);
    if (state->bytes < 2 || !world_chance(0.3)) return;
    uint8_t raws[32 * 16];
    uint32_t parts = (uint32_t)world_between(1, min_u64(state->bytes, 16)), count = 0;
    object->part_count = parts;
    object->parts = calloc(parts, sizeof *object->parts);
    object->part_bytes = calloc(parts, sizeof *object->part_bytes);
    CHECK(object->parts && object->part_bytes);
    uint64_t each = state->bytes / parts, at = 0;
    for (uint32_t i = 0; i < parts; i++) {
        uint64_t bytes = i + 1 < parts ? each : state->bytes - at;
        object->part_bytes[i] = bytes;
        proof_text(kind, state->data + at, bytes, object->parts[i].sum);
        count += proof_raw(kind, state->data + at, bytes, raws + count);
        at += bytes;
    }
    proof_text(kind, raws, count, object->sum);
    snprintf(object->sum + strlen(object->sum), 16, "-%u", parts);
}

/* Something has the target's name already. */
static void put_before(struct item *item)
{
    if (is_pipe() && !is_upload()) return;
    if (!world_chance(0.2)) return;
    item->before = items_content(world_below(100 * KIB));
    if (is_upload()) {
        store_put(key_of(item), blob_hold(item->before));
        return;
    }
    const char *path = path_of(TARGET, item);
    put_folder_above(path);
    disk_put(path, item->before->data, item->before->bytes, item->mtime_ns);
}

static void put_items(void)
{
    struct items *items = items_world();
    disk_put_folder(SOURCE);
    for (uint32_t i = 0; i < items->count; i++) {
        struct item *item = &items->all[i];
        put_before(item);
        if (scenario.kind == UP_PIPE) continue;
        if (is_upload())
            put_source_file(item);
        else
            put_source_object(item, item->states[0]);
    }
}

/* ── what changes meanwhile ─────────────────────────────────────────────────────────────────── */

struct store_object *scenario_change_object(struct store_object *object)
{
    struct item *item = items_find(object->key + strlen(PREFIX));
    if (item->stuck) return object;
    struct blob *state =
        items_content(world_chance(0.5) ? object->blob->bytes : world_below(100 * KIB));
    items_add_state(item, state);
    world_say("object %s changes", item->name);
    put_source_object(item, state);
    return store_find(key_of(item));
}

static struct blob *draw_changed(const struct blob *now)
{
    struct blob *next = items_content(now->bytes + world_below(10 * KIB));
    uint64_t from = now->bytes ? world_below(now->bytes) : 0;
    switch (world_below(4)) {
    case 0: next->bytes = now->bytes; break;
    case 1: next->bytes = from; break;
    case 2: memcpy(next->data, now->data, now->bytes); break; /* something is appended */
    default: next->bytes = now->bytes; memcpy(next->data, now->data, from); /* its rest changes */
    }
    return next;
}

static void change_on_event(struct event *event)
{
    struct file_change *change = container_of(event, struct file_change, event);
    struct item *item = &items_world()->all[change->item];
    const char *path = path_of(SOURCE, item);
    int64_t now_ns = (int64_t)(world->now_ns + world->wall_offset_ns);
    if (!world->faulty || item->stuck || item->gone) return;
    world->fault_counts[FAULT_FILE_CHANGES]++;
    world_note("file changes", change->item, 0);
    if (world_chance(0.2)) {
        item->gone = true;
        disk_remove(path);
        return;
    }
    struct blob *state = draw_changed(item->states[item->state_count - 1]);
    items_add_state(item, state);
    if (world_chance(0.4)) disk_remove(path); /* another file takes the name */
    disk_put(path, state->data, state->bytes, now_ns);
}

static void draw_changes(void)
{
    if (scenario.kind > UP_FILE || !has_fault(FAULT_FILE_CHANGES)) return;
    uint64_t count = world_between(1, CHANGES_MAX);
    for (uint64_t i = 0; i < count; i++) {
        struct file_change *change = &scenario.changes[i];
        event_init(&change->event, change_on_event);
        change->item = (uint32_t)world_below(items_world()->count);
        event_start(&change->event, world->now_ns + (uint64_t)draw_scale(1e5, 20e9));
    }
}

static void interrupt_on_event(struct event *event)
{
    (void)event;
    if (!scenario.run) return;
    scenario.interrupted_ns = world->now_ns;
    world->fault_counts[FAULT_INTERRUPT]++;
    world_note("interrupt", 0, 0);
    run_interrupt(scenario.run);
}

/* ── what the fakes tell ────────────────────────────────────────────────────────────────────── */

void scenario_on_found(const char *path, enum err err)
{
    struct item *item = items_find(path + strlen(SOURCE "/"));
    CHECK(item);
    (void)err;
    item->found = true;
}

void scenario_on_listed(const char *key)
{
    struct item *item = items_find(key + strlen(PREFIX));
    CHECK(item);
    item->found = true;
}

/* "path -> s3://…" or "path <- s3://…": an object is done. */
void scenario_on_line(enum log_level level, const char *text)
{
    char name[PATH_BYTES_MAX];
    const char *arrow = strstr(text, is_upload() ? " -> s3://" : " <- s3://");
    if (level != LOG_DETAIL || !arrow) return;
    scenario.done_lines++;
    snprintf(name, sizeof name, "%.*s", (int)(arrow - text), text);
    const char *relative = name;
    if (strncmp(name, SOURCE "/", strlen(SOURCE "/")) == 0) relative += strlen(SOURCE "/");
    struct item *item = is_tree() ? items_find(relative) : &items_world()->all[0];
    if (!item) world_broken("an unknown object is done: %s", text);
    if (item->done) world_broken("done twice: %s", text);
    item->done = true;
}

void scenario_on_round(void)
{
    if (world->now_ns - scenario.started_ns > scenario.limit_ns)
        world_broken("the run does not end");
    if (scenario.interrupted_ns && world->now_ns - scenario.interrupted_ns > INTERRUPT_NS_MAX)
        world_broken("the run goes on after an interrupt");
}

/* ── what must be true ──────────────────────────────────────────────────────────────────────── */

static void check_upload(const struct item *item)
{
    const struct store_object *object = store_find(key_of(item));
    const struct blob *blob = object ? object->blob : NULL;
    if (!blob) {
        if (item->done) world_broken("%s is done and not there", item->name);
        if (item->before) world_broken("%s went away", item->name);
        return;
    }
    if (items_had_state(item, blob->data, blob->bytes)) return;
    if (!item->done && items_is_before(item, blob->data, blob->bytes)) return;
    world_broken("%s was altered on its way up (%llu bytes)", item->name,
                 (unsigned long long)blob->bytes);
}

static const struct disk_node *target_file(const struct item *item)
{
    const char *name = strrchr(item->name, '/');
    static char path[PATH_BYTES_MAX];
    if (scenario.kind == DOWN_TREE) return disk_find(path_of(TARGET, item));
    snprintf(path, sizeof path, TARGET "/%s", name ? name + 1 : item->name);
    return disk_find(path);
}

static void check_download(const struct item *item)
{
    const struct disk_node *node = target_file(item);
    if (!node) {
        if (item->done) world_broken("%s is done and not there", item->name);
        return;
    }
    bool same = items_had_state(item, node->data, node->bytes);
    if (!same && !(!item->done && items_is_before(item, node->data, node->bytes)))
        world_broken("%s was altered on its way down (%llu bytes)", item->name,
                     (unsigned long long)node->bytes);
    if (item->done && (node->mode & 0777) != 0644) world_broken("%s: mode", item->name);
    const struct store_object *object = store_find(key_of(item));
    bool dated = item->done && object->mtime[0] && object->version_count == 1;
    if (dated && scenario.conf.keep_mtime && node->mtime_ns != item->mtime_ns)
        world_broken("%s has another modification time", item->name);
}

static void check_pipe_download(const struct item *item)
{
    const struct pipe_end *out = &pipe_world()->out;
    if (item->done && !items_had_state(item, out->data, out->bytes))
        world_broken("%s was altered on its way through", item->name);
    for (uint32_t s = 0; s < item->state_count; s++) {
        const struct blob *state = item->states[s];
        if (out->bytes <= state->bytes && memcmp(out->data, state->data, out->bytes) == 0) return;
    }
    if (out->bytes) world_broken("%s: what came out is no beginning of it", item->name);
}

static uint32_t count_temps(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < disk_count(); i++)
        if (strstr(disk_name(i)->path, TEMP_MARK)) count++;
    return count;
}

static uint64_t network_faults(void)
{
    static const enum fault faults[] = {FAULT_NO_DESCRIPTOR, FAULT_NAME_FAILS,    FAULT_REFUSED,
                                        FAULT_UNREACHABLE,   FAULT_CONNECT_HANGS, FAULT_RESET,
                                        FAULT_STALL,         FAULT_BLACK_HOLE,    FAULT_OUTAGE,
                                        FAULT_REPLY_SLOW,    FAULT_REPLY_CUT,     FAULT_REPLY_LOST};
    uint64_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
        count += world->fault_counts[faults[i]];
    return count;
}

static bool drew_faults(void)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (world->fault_counts[i]) return true;
    return false;
}

/* An upload may stay where its end could not be had, or its beginning was not heard of. */
static void check_leftovers(void)
{
    const struct store *store = store_world();
    for (uint32_t i = 0; i < store->upload_count; i++) {
        const struct store_upload *upload = &store->uploads[i];
        bool excused = upload->reply_lost || upload->abort_fails || network_faults();
        if (!excused || !drew_faults())
            world_broken("upload %s of %s was left behind", upload->id, upload->key);
    }
    if (count_temps() > world->fault_counts[FAULT_UNLINK_FAILS])
        world_broken("%u temporary files were left behind", count_temps());
    if (table_open_count() > 0) world_broken("%u descriptors are open", table_open_count());
}

static void check_numbers(void)
{
    const struct run_result *result = &scenario.result;
    const struct run_numbers *n = &result->numbers;
    uint64_t found = 0;
    for (uint32_t i = 0; i < items_world()->count; i++)
        found += items_world()->all[i].found;
    if (!is_tree()) found = 1;
    world_say("found %llu done %llu skipped %llu failed %llu, err %d: %s",
              (unsigned long long)n->found, (unsigned long long)n->done,
              (unsigned long long)n->skipped, (unsigned long long)n->failed, (int)result->err,
              result->why);
    if (n->done != scenario.done_lines) world_broken("done counts differ");
    if (result->err) return;
    if (n->found != n->done + n->skipped + n->failed)
        world_broken("found %llu ≠ done %llu + skipped %llu + failed %llu",
                     (unsigned long long)n->found, (unsigned long long)n->done,
                     (unsigned long long)n->skipped, (unsigned long long)n->failed);
    if (n->found != found)
        world_broken("%llu of %llu were taken", (unsigned long long)n->found,
                     (unsigned long long)found);
}

static void check_items(void)
{
    for (uint32_t i = 0; i < items_world()->count; i++) {
        const struct item *item = &items_world()->all[i];
        if (is_upload())
            check_upload(item);
        else if (is_pipe())
            check_pipe_download(item);
        else
            check_download(item);
    }
}

/* Of a run without faults: all that is there was moved, as it is now. */
static void check_all_done(void)
{
    const struct run_result *result = &scenario.result;
    if (result->err)
        world_broken("without faults: %s (%s)", result->why, err_sentence(result->err));
    if (result->numbers.failed) world_broken("without faults an object failed");
    for (uint32_t i = 0; i < items_world()->count; i++) {
        struct item *item = &items_world()->all[i];
        if (item->gone) continue;
        if (!item->done) world_broken("without faults %s was not done", item->name);
    }
}

/* ── running ────────────────────────────────────────────────────────────────────────────────── */

static void format_place(struct run_place *place, bool local)
{
    struct item *first = &items_world()->all[0];
    static char path[2][PATH_BYTES_MAX];
    char *text = path[place->side == RUN_LOCAL];
    const char *folder = is_upload() ? SOURCE : TARGET;
    place->side = local ? RUN_LOCAL : RUN_S3;
    if (!local) {
        snprintf(place->uri.bucket, sizeof place->uri.bucket, STORE_BUCKET);
        snprintf(place->uri.key, sizeof place->uri.key, "%s", is_tree() ? PREFIX : key_of(first));
        place->uri.key_bytes = strlen(place->uri.key);
        return;
    }
    if (is_pipe())
        snprintf(text, PATH_BYTES_MAX, "-");
    else if (is_tree())
        snprintf(text, PATH_BYTES_MAX, "%s", folder);
    else if (is_upload())
        snprintf(text, PATH_BYTES_MAX, "%s", path_of(SOURCE, first));
    else
        snprintf(text, PATH_BYTES_MAX, "%s/", folder);
    place->path = text;
}

static void prepare(void)
{
    const struct blob *state = items_world()->all[0].states[0];
    struct pipe_world *pipes = pipe_world();
    scenario.done_lines = 0;
    for (uint32_t i = 0; i < items_world()->count; i++)
        items_world()->all[i].found = items_world()->all[i].done = false;
    if (!is_upload()) disk_put_folder(TARGET);
    pipe_close_world();
    if (scenario.kind != UP_PIPE) return;
    pipes->in.data = malloc(state->bytes + 1);
    CHECK(pipes->in.data);
    memcpy(pipes->in.data, state->data, state->bytes);
    pipes->in.bytes = state->bytes;
}

static void run_once(void)
{
    struct run_place source = {.endpoint = 0}, target = {.endpoint = 0};
    char why[512] = "";
    prepare();
    format_place(&source, is_upload());
    format_place(&target, !is_upload());
    scenario.conf.seed = rand_u64(&world->rand); /* names of temporary files differ */
    scenario.started_ns = world->now_ns;
    scenario.limit_ns = world->faulty ? FAULTY_NS_MAX : FAULTLESS_NS_MAX;
    enum err err = run_open(&scenario.run, &scenario.conf, &source, &target, NULL, why);
    if (err) world_broken("the run does not open: %s", why);
    if (run_start(scenario.run)) world_broken("the run does not start");
    run_wait(scenario.run, &scenario.result);
    run_close(scenario.run);
    scenario.run = NULL;
    world_note("run", scenario.result.numbers.done, scenario.result.err);
}

/* What is still on its way comes to its end before the next run. */
static void settle(void)
{
    while (world_next_ns() != UINT64_MAX) {
        world_advance(world_next_ns());
        (void)world_run_due();
    }
}

static bool is_single_and_gone(void)
{
    return scenario.kind == UP_FILE && items_world()->all[0].gone;
}

static void check_run(void)
{
    check_numbers();
    check_items();
    check_leftovers();
    if (!drew_faults()) check_all_done();
}

/* Of the run with faults. */
static void add_totals(struct scenario_totals *totals)
{
    const struct run_result *result = &scenario.result;
    for (int i = 0; i < FAULT_COUNT; i++)
        __atomic_add_fetch(&totals->faults[i], world->fault_counts[i], __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->done, result->numbers.done, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->failed, result->numbers.failed, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->stopped, result->err != ERR_NONE, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->kinds[scenario.kind], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->virtual_ns, world->now_ns - scenario.started_ns, __ATOMIC_RELAXED);
}

static void phases(struct scenario_totals *totals)
{
    world->faulty = true;
    draw_changes();
    event_init(&scenario.interrupt, interrupt_on_event);
    if (has_fault(FAULT_INTERRUPT))
        event_start(&scenario.interrupt, world->now_ns + (uint64_t)draw_scale(1e5, 20e9));
    run_once();
    add_totals(totals);
    settle();
    check_run();
    scenario.interrupted_ns = 0;
    scenario.uploads_before = store_world()->upload_count;
    scenario.temps_before = count_temps();
    world->faulty = false;
    if (is_single_and_gone()) return;
    run_once();
    settle();
    check_run();
    check_all_done();
    if (store_world()->upload_count > scenario.uploads_before) world_broken("an upload was left");
    if (count_temps() > scenario.temps_before) world_broken("a temporary file was left");
}

const char *scenario_kind_name(uint32_t kind)
{
    return kind < SCENARIO_KINDS ? kind_names[kind] : NULL;
}

void scenario_run(const struct scenario_options *options, struct scenario_totals *totals)
{
    memset(&scenario, 0, sizeof scenario);
    scenario.kind =
        (enum scenario_kind)(world_chance(0.7) ? (world_chance(0.5) ? UP_TREE : DOWN_TREE)
                                               : world_below(SCENARIO_KINDS));
    world->faulty = true;
    if (!options->quiet) draw_faults();
    world_say("%s", kind_names[scenario.kind]);
    disk_open_world();
    disk_world()->no_direct = world_chance(0.2);
    disk_world()->direct_align = world_chance(0.7) ? 512 : 4096;
    draw_conf();
    draw_net();
    draw_server();
    draw_items();
    put_items();
    phases(totals);
    __atomic_add_fetch(&totals->requests, server_requests(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->moved_bytes, items_world()->bytes, __ATOMIC_RELAXED);
    net_close_world();
    server_close_world();
    pipe_close_world();
    items_close_world();
    disk_close_world();
    table_reset();
}
