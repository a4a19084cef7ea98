#include "tests/sim/abandon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "s3/journal_db.h"
#include "s3/sweep.h"
#include "tests/sim/disk.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/fakes.h"
#include "tests/sim/forest.h"
#include "tests/sim/items.h"
#include "tests/sim/rules.h"
#include "tests/sim/scenario.h"
#include "tests/sim/store.h"
#include "tests/sim/table.h"
#include "tests/sim/vfs.h"
#include "tests/sim/world.h"
#include "tools/command.h"
#include "tools/job.h"

#define OTHERS_MAX  8u
#define PART_BYTES  1000u
#define LONG_AGO_S  7200
#define LEASE_NS    ((JOURNAL_DB_LEASE_S + SWEEP_CLOCK_S + 2) * NS_PER_S)
#define OTHER_KEY   "q/other"
#define OTHER_TAG   "0123456789abcdef"
#define EARLIER_TAG "-0-0" /* behind a tag, as s3/sink names its files */

static struct {
    char uploads[OTHERS_MAX][24]; /* their ids */
    char temps[OTHERS_MAX][PATH_BYTES_MAX];
    uint32_t upload_count, temp_count;
    int64_t job; /* that a live process works on */
    bool rival;  /* at an object that our job has as well */
} others;

void abandon_say_arguments(const struct conf *conf, struct settings *settings)
{
    static char *words[4];
    static char follow[256];
    int count = 0;
    words[count++] = (char *)(uintptr_t) "--addressing=path";
    if (conf->recursive) words[count++] = (char *)(uintptr_t) "--recursive";
    if (!conf->endpoints[0].sign) words[count++] = (char *)(uintptr_t) "--no-sign-request";
    snprintf(follow, sizeof follow, "--follow-redirects=%s",
             conf->follow_redirects ? conf->follow_redirects : "");
    if (conf->follow_redirects) words[count++] = follow;
    settings->arguments = words;
    settings->argument_count = count;
    setenv("AWS_ACCESS_KEY_ID", "access", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
}

/* ── what is not ours ───────────────────────────────────────────────────────────────────────── */

static struct store_upload *put_upload(const char *key, bool with_part)
{
    struct store_upload *upload = store_create(key);
    if (with_part) {
        struct blob *blob = blob_new(PART_BYTES);
        memset(blob->data, 'x', PART_BYTES);
        store_put_part(upload, 1, blob);
    }
    memcpy(others.uploads[others.upload_count++], upload->id, sizeof upload->id);
    return upload;
}

/* Of keys that the copy has as well: begun before it, without a part; and begun meanwhile, with a
 * part that came when its processes were gone. Such a part says so only when a lease is over: until
 * then it may be one of a process that lives (s3/sweep). And of another key. */
static void put_uploads(bool later)
{
    const struct items *items = items_world();
    uint64_t meanwhile_s = (WORLD_BEGIN_NS + world->wall_offset_ns) / NS_PER_S + 1;
    for (uint32_t i = 0; i < 2; i++) {
        const char *key = item_key(&items->all[world_below(items->count)]);
        put_upload(key, false)->created_s -= LONG_AGO_S;
        if (later) put_upload(key, true)->created_s = (int64_t)meanwhile_s;
    }
    put_upload(OTHER_KEY, world_chance(0.5));
}

static void put_temp(const char *path)
{
    disk_put(path, "x", 1, 0);
    snprintf(others.temps[others.temp_count++], PATH_BYTES_MAX, "%s", path);
}

static void put_object_row(struct journal_db *db, const struct store_upload *upload)
{
    struct {
        struct journal_record record;
        struct journal_object object;
    } row = {.record = {JOURNAL_RECORD_OBJECT, 1}};
    struct journal_batch batch = {.records = (const uint8_t *)&row, .records_bytes = sizeof row};
    row.object.number = 1;
    row.object.state = JOURNAL_MOVING;
    row.object.bytes = PART_BYTES;
    snprintf(row.object.key, sizeof row.object.key, "%s", upload->key);
    snprintf(row.object.upload_id, sizeof row.object.upload_id, "%s", upload->id);
    if (journal_db_write(db, &batch)) world_broken("%s", journal_db_why(db));
}

/* A copy into the same folder, or of the same keys, that a live process works on: by the journal's
 * words this one. */
static void put_job(struct journal_db *db)
{
    static struct journal_job asked, job;
    char path[PATH_BYTES_MAX];
    bool is_new;
    memset(&asked, 0, sizeof asked);
    asked.direction = scenario_is_upload() ? JOURNAL_UPLOAD : JOURNAL_DOWNLOAD;
    snprintf(asked.source, sizeof asked.source, "another");
    snprintf(asked.target, sizeof asked.target, SCENARIO_TARGET);
    snprintf(asked.endpoint, sizeof asked.endpoint, "http://s3.sim:9000");
    snprintf(asked.bucket, sizeof asked.bucket, STORE_BUCKET);
    if (journal_db_claim(db, &asked, true, &job, &is_new)) world_broken("%s", journal_db_why(db));
    others.job = job.id;
    others.rival = world_chance(0.5);
    put_object_row(db,
                   put_upload(others.rival ? item_key(&items_world()->all[0]) : OTHER_KEY, true));
    snprintf(path, sizeof path, SCENARIO_TARGET "/.argosy-%016" PRIx64 EARLIER_TAG, job.tag);
    put_temp(path);
}

static struct journal_db *open_journal(void)
{
    char path[PATH_BYTES_MAX], why[JOURNAL_DB_WHY_BYTES];
    struct journal_db *db;
    job_find_path(scenario_world()->settings, path);
    if (journal_db_open(&db, path, why)) world_broken("the journal does not open: %s", why);
    return db;
}

static void put_others(bool later)
{
    struct journal_db *db = open_journal();
    memset(&others, 0, sizeof others);
    disk_put_folder(SCENARIO_TARGET);
    put_uploads(later);
    put_temp(SCENARIO_TARGET "/.argosy-" OTHER_TAG EARLIER_TAG);
    put_job(db);
    journal_db_close(db);
}

static void check_others(void)
{
    for (uint32_t i = 0; i < others.upload_count; i++)
        if (!store_upload(others.uploads[i]))
            world_broken("clean aborted %s, which is another writer's", others.uploads[i]);
    for (uint32_t i = 0; i < others.temp_count; i++)
        if (!disk_find(others.temps[i])) world_broken("clean removed %s", others.temps[i]);
}

/* It ends, and so its upload and its temporary file, which were put last, are there no more. */
static void end_job(void)
{
    struct journal_db *db = open_journal();
    if (journal_db_remove(db, others.job)) world_broken("%s", journal_db_why(db));
    journal_db_close(db);
    store_drop_upload(store_upload(others.uploads[--others.upload_count]));
    disk_remove(others.temps[--others.temp_count]);
}

static void remove_others(void)
{
    while (others.upload_count)
        store_drop_upload(store_upload(others.uploads[--others.upload_count]));
    while (others.temp_count)
        disk_remove(others.temps[--others.temp_count]);
}

/* None but the one that runs. */
static void check_jobs(void)
{
    struct journal_db *db = open_journal();
    static struct journal_job job;
    bool found = true, is_there = false;
    for (job.id = 0; found; is_there |= found) {
        if (journal_db_next_job(db, &job, &found)) world_broken("%s", journal_db_why(db));
        if (found && job.id != others.job) world_broken("clean left job %" PRId64, job.id);
    }
    if (!is_there) world_broken("clean removed a job that runs");
    journal_db_close(db);
}

/* ── what it can know ───────────────────────────────────────────────────────────────────────── */

static bool cleaning;

static struct item *item_of(const char *key)
{
    size_t bytes = strlen(SCENARIO_PREFIX);
    return strncmp(key, SCENARIO_PREFIX, bytes) == 0 ? items_find(key + bytes) : NULL;
}

static void find_again(const char *key)
{
    struct store *store = store_world();
    for (uint32_t i = 0; i < store->upload_count; i++)
        if (strcmp(store->uploads[i].key, key) == 0) store->uploads[i].missed = false;
}

/* The answer has all that was made by now. */
void abandon_on_look(const char *key)
{
    struct item *item = cleaning ? item_of(key) : NULL;
    if (!item) return;
    item->looked = true;
    find_again(key);
}

bool abandon_has_looked(const char *key)
{
    const struct item *item = cleaning ? item_of(key) : NULL;
    return item && item->looked;
}

/* The next clean has all to look for. */
static void forget_looks(void)
{
    for (uint32_t i = 0; i < items_world()->count; i++) {
        items_world()->all[i].looked = false;
        find_again(item_key(&items_world()->all[i]));
    }
}

/* ── the command ────────────────────────────────────────────────────────────────────────────── */

static enum status clean(bool faulty)
{
    const char *words[] = {"clean"};
    struct settings settings;
    settings_init(&settings);
    settings.older_than_ns = 0;
    settings.verbose = 2;
    owner_start_anew(false);
    elsewhere_on_process();
    world->faulty = faulty;
    enum status status = cmd_jobs.run(&settings, words, 1);
    world->faulty = false;
    if (status) forget_looks();
    world_note("clean", status, 0);
    if (table_open_count() > 0) world_broken("%u descriptors are open", table_open_count());
    return status;
}

bool abandon_run(bool with_faults)
{
    bool later = world_chance(0.6);
    owner_start_anew(false);
    world->faulty = false;
    uint64_t later_ns = world->now_ns + LEASE_NS;
    if (later && forest_is_one()) world_pass(later_ns);
    if (later) world_advance(later_ns);
    put_others(later);
    forget_looks();
    cleaning = true;
    owner_stay(true);
    if (with_faults) (void)clean(true);
    check_others();
    enum status status = clean(false);
    check_others();
    if (!status) check_jobs();
    if (status && !others.rival) world_broken("without faults clean ends with %d", (int)status);
    end_job();
    if (status && clean(false)) world_broken("clean fails, although nobody else works on it");
    check_others();
    remove_others();
    owner_stay(false);
    cleaning = false;
    rules_check_clean();
    return status != STATUS_OK;
}
