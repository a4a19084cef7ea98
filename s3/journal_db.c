#include "s3/journal_db.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/check.h"
#include "core/clock.h"
#include "core/database.h"

#define JOURNAL_DB_APPLICATION 0x61726779 /* "argy", in the file's header: what it is */

/* Step n brings version n to n + 1. */
static const char *const journal_db_steps[JOURNAL_DB_VERSION] = {
    "CREATE TABLE job(id INTEGER PRIMARY KEY AUTOINCREMENT, tag INT NOT NULL,"
    " created INT NOT NULL, updated INT NOT NULL, lease INT NOT NULL, token INT NOT NULL,"
    " host TEXT NOT NULL, boot TEXT NOT NULL, pid INT NOT NULL, started INT NOT NULL,"
    " state INT NOT NULL, done INT NOT NULL, failed INT NOT NULL, remaining INT NOT NULL,"
    " direction INT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, endpoint TEXT NOT NULL,"
    " bucket TEXT NOT NULL, prefix TEXT NOT NULL, options TEXT NOT NULL, arguments BLOB NOT NULL);"
    "CREATE TABLE object(job INT NOT NULL, number INT NOT NULL, state INT NOT NULL,"
    " sum INT NOT NULL, created INT NOT NULL, bytes INT NOT NULL, part_bytes INT NOT NULL,"
    " mtime INT NOT NULL, ctime INT NOT NULL, inode INT NOT NULL, key TEXT NOT NULL,"
    " etag TEXT NOT NULL, upload_id TEXT NOT NULL, temp TEXT NOT NULL,"
    " PRIMARY KEY(job, number)) WITHOUT ROWID;"
    "CREATE TABLE part(job INT NOT NULL, object INT NOT NULL, number INT NOT NULL,"
    " start INT NOT NULL, bytes INT NOT NULL, confirmed INT NOT NULL, sum INT NOT NULL,"
    " checksum BLOB NOT NULL, etag TEXT NOT NULL,"
    " PRIMARY KEY(job, object, number)) WITHOUT ROWID;"
    "CREATE TABLE done(id INTEGER PRIMARY KEY, job INT NOT NULL, marks BLOB NOT NULL);"
    "CREATE INDEX done_of_job ON done(job);",
    /* What was read out of the text of a job's options has columns. A number ends where CAST finds
     * no digit. */
    "ALTER TABLE job ADD COLUMN recursive INT NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN fsync INT NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN spread INT NOT NULL DEFAULT 0;"
    "UPDATE job SET recursive=instr(options, 'recursive=1') > 0;"
    "UPDATE job SET fsync=CAST(substr(options, instr(options, ' fsync=') + 7) AS INT)"
    " WHERE instr(options, ' fsync=') > 0;"
    "UPDATE job SET spread=CAST(substr(options, instr(options, ' spread=') + 8) AS INT)"
    " WHERE instr(options, ' spread=') > 0;",
    /* Until when an upload without an id may have been begun; 0: its process may live. */
    "ALTER TABLE object ADD COLUMN until INT NOT NULL DEFAULT 0;"
    "UPDATE object SET until=COALESCE((SELECT updated FROM job WHERE job.id=object.job"
    " AND job.state != 1), 0) WHERE upload_id='' AND temp='';",
    /* Rows tell on which boot they were written: a job's owner may be of a later one than they are.
     * Who took a job anew after a boot has forgotten its marks, but kept its objects. */
    "ALTER TABLE object ADD COLUMN boot TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE done ADD COLUMN boot TEXT NOT NULL DEFAULT '';"
    "UPDATE done SET boot=COALESCE((SELECT job.boot FROM job WHERE job.id=done.job), '');",
};

#define JOURNAL_DB_JOB                                                                             \
    "SELECT id, tag, created, updated, lease, host, boot, pid, started, state, done, failed,"      \
    " remaining, direction, source, target, endpoint, bucket, prefix, options, arguments,"         \
    " recursive, fsync, spread FROM job "

#define JOURNAL_DB_STATEMENTS(S)                                                                   \
    S(INSERT_JOB, "INSERT INTO job(tag, created, updated, lease, token, host, boot, pid, started," \
                  " state, done, failed, remaining, direction, source, target, endpoint, bucket,"  \
                  " prefix, options, arguments, recursive, fsync, spread) VALUES(?1, ?2, ?2, ?3,"  \
                  " ?4, ?5, ?6, ?7, ?8, 1, 0, 0, 0, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"   \
                  " ?18, ?19)")                                                                    \
    S(CLAIM,                                                                                       \
      "UPDATE job SET updated=?2, lease=?3, token=?4, host=?5, boot=?6, pid=?7, started=?8,"       \
      " state=1 WHERE id=?1")                                                                      \
    S(BOUND, "UPDATE object SET until=?2 WHERE job=?1 AND until=0 AND upload_id='' AND temp=''")   \
    S(GIVE_BACK, "UPDATE job SET updated=?3, host=?4, boot=?5, pid=?6, started=?7, state=?8,"      \
                 " lease=0 WHERE id=?1 AND token=?2")                                              \
    S(RENEW, "UPDATE job SET updated=?3, lease=?4 WHERE id=?1 AND token=?2")                       \
    S(END, "UPDATE job SET state=?2, done=?3, failed=?4, remaining=?5, lease=0 WHERE id=?1")       \
    S(NEXT_JOB, JOURNAL_DB_JOB "WHERE id > ?1 ORDER BY id LIMIT 1")                                \
    S(JOB_BEFORE, JOURNAL_DB_JOB "WHERE id < ?1 AND state != 4 ORDER BY id DESC LIMIT 1")          \
    S(PUT_OBJECT, "INSERT OR REPLACE INTO object VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"  \
                  " ?11, ?12, ?13, ?14, ?15, ?16)")                                                \
    S(PUT_PART, "INSERT OR REPLACE INTO part VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")          \
    S(PUT_MARKS, "INSERT INTO done(job, marks, boot) VALUES(?1, ?2, ?3)")                          \
    S(DROP_OBJECT, "DELETE FROM object WHERE job=?1 AND number=?2")                                \
    S(DROP_PARTS, "DELETE FROM part WHERE job=?1 AND object=?2")                                   \
    S(NEXT_OBJECT,                                                                                 \
      "SELECT number, state, sum, created, bytes, part_bytes, mtime, ctime, inode,"                \
      " key, etag, upload_id, temp, until, boot FROM object WHERE job=?1 AND number > ?2"          \
      " ORDER BY number LIMIT 1")                                                                  \
    S(NEXT_PART, "SELECT number, start, bytes, confirmed, sum, checksum, etag FROM part"           \
                 " WHERE job=?1 AND object=?2 AND number > ?3 ORDER BY number LIMIT 1")            \
    S(NEXT_MARKS, "SELECT id, marks FROM done WHERE job=?1 AND id > ?2 ORDER BY id LIMIT 1")       \
    S(CLEAR_OBJECTS, "DELETE FROM object WHERE job=?1")                                            \
    S(CLEAR_PARTS, "DELETE FROM part WHERE job=?1")                                                \
    S(CLEAR_OLD_MARKS, "DELETE FROM done WHERE job=?1 AND (boot != ?2 OR boot='')")                \
    S(CLEAR_MARKS, "DELETE FROM done WHERE job=?1")                                                \
    S(DONE_TAG, "SELECT tag FROM job WHERE state=4 AND direction=?1 AND source=?2 AND target=?3"   \
                " AND endpoint=?4 AND bucket=?5 AND prefix=?6 AND options=?7 AND tag NOT IN"       \
                " (SELECT tag FROM job WHERE state != 4) ORDER BY id DESC LIMIT 1")                \
    S(FORGET_DONE, "DELETE FROM job WHERE state=4 AND updated < ?1 AND NOT EXISTS"                 \
                   " (SELECT 1 FROM object WHERE object.job=job.id)")                              \
    S(REMOVE_JOB, "DELETE FROM job WHERE id=?1")

enum journal_db_statement {
#define STATEMENT(name, text) JOURNAL_DB_##name,
    JOURNAL_DB_STATEMENTS(STATEMENT)
#undef STATEMENT
        JOURNAL_DB_STATEMENT_COUNT
};

static const char *const journal_db_texts[JOURNAL_DB_STATEMENT_COUNT] = {
#define STATEMENT(name, text) text,
    JOURNAL_DB_STATEMENTS(STATEMENT)
#undef STATEMENT
};

static const struct database_kind journal_db_kind = {
    .name = "a journal of argosy",
    .application = JOURNAL_DB_APPLICATION,
    .version = JOURNAL_DB_VERSION,
    .steps = journal_db_steps,
    .statements = journal_db_texts,
    .statement_count = JOURNAL_DB_STATEMENT_COUNT,
};

struct journal_db {
    struct database *file;
    int64_t job, token; /* the job that is ours, and what proves it; 0: none */
    struct owner owner; /* this process */
};

enum err journal_db_open(struct journal_db **out, const char *path, char why[JOURNAL_DB_WHY_BYTES])
{
    struct journal_db *db = calloc(1, sizeof *db);
    *out = NULL;
    why[0] = '\0';
    if (!db) return ERR_NO_MEMORY;
    enum err err = database_open(&db->file, &journal_db_kind, path, why);
    if (err) {
        free(db);
        return err;
    }
    owner_of_this_process(&db->owner);
    *out = db;
    return ERR_NONE;
}

void journal_db_close(struct journal_db *db)
{
    if (!db) return;
    database_close(db->file);
    free(db);
}

const char *journal_db_why(const struct journal_db *db)
{
    return database_why(db->file);
}

static int64_t journal_db_now_s(void)
{
    return (int64_t)(clock_wall_ns() / NS_PER_S);
}

static void journal_db_do(struct journal_db *db, enum journal_db_statement which, int64_t first)
{
    database_use(db->file, which);
    database_put(db->file, first);
    database_run(db->file);
}

/* --- jobs --- */

static void journal_db_read_command(struct database *file, struct journal_job *job)
{
    struct bytes arguments;
    job->direction = (enum journal_direction)database_get(file, JOURNAL_UPLOAD, JOURNAL_DOWNLOAD);
    database_get_text(file, job->source, sizeof job->source);
    database_get_text(file, job->target, sizeof job->target);
    database_get_text(file, job->endpoint, sizeof job->endpoint);
    database_get_text(file, job->bucket, sizeof job->bucket);
    database_get_text(file, job->prefix, sizeof job->prefix);
    database_get_text(file, job->options, sizeof job->options);
    arguments = database_get_bytes(file);
    job->arguments_bytes = 0;
    if (arguments.count == 0) return;
    if (arguments.count > sizeof job->arguments || arguments.data[arguments.count - 1] != '\0') {
        database_damaged(file);
        return;
    }
    memcpy(job->arguments, arguments.data, arguments.count);
    job->arguments_bytes = (uint32_t)arguments.count;
}

static void journal_db_read_job(struct database *file, struct journal_job *job)
{
    job->id = database_get(file, 1, INT64_MAX);
    job->tag = database_get_word(file);
    job->created_s = database_get(file, INT64_MIN, INT64_MAX);
    job->updated_s = database_get(file, INT64_MIN, INT64_MAX);
    job->lease_until_s = database_get(file, INT64_MIN, INT64_MAX);
    database_get_text(file, job->owner.host, sizeof job->owner.host);
    database_get_text(file, job->owner.boot, sizeof job->owner.boot);
    job->owner.pid = (uint32_t)database_get(file, 0, UINT32_MAX);
    job->owner.started = database_get_word(file);
    job->state = (enum journal_state)database_get(file, JOURNAL_RUNNING, JOURNAL_DONE);
    job->done = database_get_word(file);
    job->failed = database_get_word(file);
    job->left = database_get_word(file);
    journal_db_read_command(file, job);
    job->recursive = database_get(file, 0, 1) != 0;
    job->fsync = (uint32_t)database_get(file, 0, UINT32_MAX);
    job->spread = (uint32_t)database_get(file, 0, UINT32_MAX);
    database_leave(file);
}

static bool journal_db_is_same(const struct journal_job *a, const struct journal_job *b)
{
    return a->direction == b->direction && strcmp(a->source, b->source) == 0 &&
           strcmp(a->target, b->target) == 0 && strcmp(a->endpoint, b->endpoint) == 0 &&
           strcmp(a->bucket, b->bucket) == 0 && strcmp(a->prefix, b->prefix) == 0 &&
           strcmp(a->options, b->options) == 0;
}

bool journal_db_is_free(const struct journal_job *job)
{
    return job->state != JOURNAL_RUNNING ||
           !owner_is_alive(&job->owner, job->lease_until_s, journal_db_now_s());
}

/* The newest unfinished job with a smaller id. */
static bool journal_db_before(struct journal_db *db, int64_t id, struct journal_job *job)
{
    database_use(db->file, JOURNAL_DB_JOB_BEFORE);
    database_put(db->file, id);
    if (!database_step(db->file)) return false;
    journal_db_read_job(db->file, job);
    return database_err(db->file) == ERR_NONE;
}

/* `asked` NULL: any. */
static bool journal_db_find(struct journal_db *db, const struct journal_job *asked,
                            struct journal_job *job)
{
    int64_t id = INT64_MAX;
    while (journal_db_before(db, id, job)) {
        id = job->id;
        if (asked && !journal_db_is_same(asked, job)) continue;
        if (journal_db_is_free(job)) return true;
    }
    return false;
}

static int64_t journal_db_random(struct journal_db *db)
{
    int64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        database_fail(db->file, ERR_SYSTEM, "the kernel gives no random numbers");
    return value;
}

static void journal_db_put_owner(struct journal_db *db, const struct owner *owner)
{
    database_put_text(db->file, owner->host);
    database_put_text(db->file, owner->boot);
    database_put(db->file, owner->pid);
    database_put(db->file, (int64_t)owner->started);
}

static void journal_db_bound(struct journal_db *db, int64_t id, int64_t until_s)
{
    database_use(db->file, JOURNAL_DB_BOUND);
    database_put(db->file, id);
    database_put(db->file, until_s);
    database_run(db->file);
}

static void journal_db_own(struct journal_db *db, const struct journal_job *job)
{
    int64_t now_s = journal_db_now_s(), until_s = now_s;
    if (job->updated_s < now_s - JOURNAL_DB_LEASE_S) until_s = job->updated_s + JOURNAL_DB_LEASE_S;
    journal_db_bound(db, job->id, until_s);
    db->job = job->id;
    db->token = journal_db_random(db);
    database_use(db->file, JOURNAL_DB_CLAIM);
    database_put(db->file, job->id);
    database_put(db->file, now_s);
    database_put(db->file, now_s + JOURNAL_DB_LEASE_S);
    database_put(db->file, db->token);
    journal_db_put_owner(db, &db->owner);
    database_run(db->file);
}

/* The values of what makes a command the same. */
static void journal_db_put_command(struct journal_db *db, const struct journal_job *job)
{
    database_put(db->file, job->direction);
    database_put_text(db->file, job->source);
    database_put_text(db->file, job->target);
    database_put_text(db->file, job->endpoint);
    database_put_text(db->file, job->bucket);
    database_put_text(db->file, job->prefix);
    database_put_text(db->file, job->options);
}

/* The tag of the same command's last job that was done, unless somebody has it now: a power cut may
 * have taken back a rename that was not synced, and so the temporary file is found again. */
static uint64_t journal_db_choose_tag(struct journal_db *db, const struct journal_job *asked)
{
    database_use(db->file, JOURNAL_DB_DONE_TAG);
    journal_db_put_command(db, asked);
    if (!database_step(db->file)) return (uint64_t)journal_db_random(db);
    uint64_t tag = database_get_word(db->file);
    database_leave(db->file);
    return tag;
}

static void journal_db_insert(struct journal_db *db, const struct journal_job *asked,
                              struct journal_job *job)
{
    *job = *asked;
    job->created_s = job->updated_s = journal_db_now_s();
    job->lease_until_s = job->created_s + JOURNAL_DB_LEASE_S;
    job->state = JOURNAL_RUNNING;
    job->done = job->failed = job->left = 0;
    job->tag = journal_db_choose_tag(db, asked);
    db->token = journal_db_random(db);
    job->owner = db->owner;
    database_use(db->file, JOURNAL_DB_INSERT_JOB);
    database_put(db->file, (int64_t)job->tag);
    database_put(db->file, job->created_s);
    database_put(db->file, job->lease_until_s);
    database_put(db->file, db->token);
    journal_db_put_owner(db, &job->owner);
    journal_db_put_command(db, job);
    database_put_bytes(db->file, job->arguments, job->arguments_bytes);
    database_put(db->file, job->recursive);
    database_put(db->file, job->fsync);
    database_put(db->file, job->spread);
    database_run(db->file);
    job->id = db->job = database_inserted(db->file);
}

enum err journal_db_claim(struct journal_db *db, const struct journal_job *asked, bool resume,
                          struct journal_job *job, bool *is_new)
{
    database_begin(db->file);
    journal_db_do(db, JOURNAL_DB_FORGET_DONE, journal_db_now_s() - JOURNAL_DB_DONE_S);
    *is_new = !resume || !journal_db_find(db, asked, job);
    if (*is_new)
        journal_db_insert(db, asked, job);
    else
        journal_db_own(db, job);
    return database_finish(db->file);
}

static void journal_db_judge_taking(struct database *file, int64_t id, bool found,
                                    const struct journal_job *job)
{
    if (!found && id > 0)
        database_fail(file, ERR_JOB_MISSING, "there is no job %lld", (long long)id);
    else if (!found)
        database_fail(file, ERR_JOB_MISSING, "there is no job to be resumed");
    else if (job->state == JOURNAL_DONE)
        database_fail(file, ERR_JOB_DONE, "job %lld is done", (long long)job->id);
    else if (!journal_db_is_free(job))
        database_fail(file, ERR_JOB_RUNNING, "job %lld is running: process %u on %s",
                      (long long)job->id, job->owner.pid, job->owner.host);
}

static bool journal_db_look(struct journal_db *db, int64_t id, struct journal_job *job)
{
    database_use(db->file, JOURNAL_DB_NEXT_JOB);
    database_put(db->file, id);
    if (!database_step(db->file)) return false;
    journal_db_read_job(db->file, job);
    return true;
}

enum err journal_db_take(struct journal_db *db, int64_t id, struct journal_job *job)
{
    bool found;
    database_begin(db->file);
    if (id > 0)
        found = journal_db_look(db, id - 1, job) && job->id == id;
    else
        found = journal_db_find(db, NULL, job);
    journal_db_judge_taking(db->file, id, found, job);
    if (found) journal_db_own(db, job);
    return database_finish(db->file);
}

static void journal_db_expect_ours(struct journal_db *db)
{
    if (!database_err(db->file) && database_changed(db->file) == 0)
        database_fail(db->file, ERR_JOB_TAKEN, "%s", err_sentence(ERR_JOB_TAKEN));
}

enum err journal_db_give_back(struct journal_db *db, const struct journal_job *job)
{
    CHECK(db->job > 0 && db->job == job->id && "a job must be taken first");
    database_begin(db->file);
    database_use(db->file, JOURNAL_DB_GIVE_BACK);
    database_put(db->file, db->job);
    database_put(db->file, db->token);
    database_put(db->file, job->updated_s);
    journal_db_put_owner(db, &job->owner);
    database_put(db->file, job->state == JOURNAL_RUNNING ? JOURNAL_PARKED : job->state);
    database_run(db->file);
    journal_db_expect_ours(db);
    db->job = db->token = 0;
    return database_finish(db->file);
}

enum err journal_db_forget_old_marks(struct journal_db *db, int64_t id)
{
    database_begin(db->file);
    database_use(db->file, JOURNAL_DB_CLEAR_OLD_MARKS);
    database_put(db->file, id);
    database_put_text(db->file, db->owner.boot);
    database_run(db->file);
    return database_finish(db->file);
}

enum err journal_db_remove(struct journal_db *db, int64_t id)
{
    database_begin(db->file);
    journal_db_do(db, JOURNAL_DB_CLEAR_OBJECTS, id);
    journal_db_do(db, JOURNAL_DB_CLEAR_PARTS, id);
    journal_db_do(db, JOURNAL_DB_CLEAR_MARKS, id);
    journal_db_do(db, JOURNAL_DB_REMOVE_JOB, id);
    return database_finish(db->file);
}

void journal_db_shrink(struct journal_db *db)
{
    database_shrink(db->file);
}

/* --- writing --- */

static void journal_db_put_object(struct journal_db *db, const struct journal_object *object)
{
    database_use(db->file, JOURNAL_DB_PUT_OBJECT);
    database_put(db->file, db->job);
    database_put(db->file, object->number);
    database_put(db->file, object->state);
    database_put(db->file, object->sum);
    database_put(db->file, object->created_s);
    database_put(db->file, (int64_t)object->bytes);
    database_put(db->file, (int64_t)object->part_bytes);
    database_put(db->file, object->mtime_ns);
    database_put(db->file, object->ctime_ns);
    database_put(db->file, (int64_t)object->inode);
    database_put_text(db->file, object->key);
    database_put_text(db->file, object->etag);
    database_put_text(db->file, object->upload_id);
    database_put_text(db->file, object->temp);
    database_put(db->file, object->until_s);
    database_put_text(db->file, db->owner.boot);
    database_run(db->file);
}

static void journal_db_put_part(struct journal_db *db, const struct journal_part *part)
{
    database_use(db->file, JOURNAL_DB_PUT_PART);
    database_put(db->file, db->job);
    database_put(db->file, part->object);
    database_put(db->file, part->number);
    database_put(db->file, (int64_t)part->offset);
    database_put(db->file, (int64_t)part->bytes);
    database_put(db->file, part->confirmed);
    database_put(db->file, part->checksum.kind);
    database_put_bytes(db->file, part->checksum.data, part->checksum.count);
    database_put_text(db->file, part->etag);
    database_run(db->file);
}

static void journal_db_drop(struct journal_db *db, uint32_t number)
{
    database_use(db->file, JOURNAL_DB_DROP_OBJECT);
    database_put(db->file, db->job);
    database_put(db->file, number);
    database_run(db->file);
    database_use(db->file, JOURNAL_DB_DROP_PARTS);
    database_put(db->file, db->job);
    database_put(db->file, number);
    database_run(db->file);
}

static void journal_db_put_records(struct journal_db *db, const struct journal_batch *batch)
{
    for (size_t at = 0; at < batch->records_bytes;) {
        const struct journal_record *record = (const void *)(batch->records + at);
        at += sizeof *record;
        switch ((enum journal_record_kind)record->kind) {
        case JOURNAL_RECORD_OBJECT:
            journal_db_put_object(db, (const void *)(record + 1));
            at += sizeof(struct journal_object);
            break;
        case JOURNAL_RECORD_PART:
            journal_db_put_part(db, (const void *)(record + 1));
            at += sizeof(struct journal_part);
            break;
        case JOURNAL_RECORD_DROP: journal_db_drop(db, record->number); break;
        default: NEVER("a record of no kind");
        }
    }
}

static void journal_db_put_marks(struct journal_db *db, const struct journal_batch *batch)
{
    database_use(db->file, JOURNAL_DB_PUT_MARKS);
    database_put(db->file, db->job);
    database_put_bytes(db->file, batch->marks, batch->mark_count * sizeof *batch->marks);
    database_put_text(db->file, db->owner.boot);
    database_run(db->file);
}

static void journal_db_renew(struct journal_db *db)
{
    int64_t now_s = journal_db_now_s();
    database_use(db->file, JOURNAL_DB_RENEW);
    database_put(db->file, db->job);
    database_put(db->file, db->token);
    database_put(db->file, now_s);
    database_put(db->file, now_s + JOURNAL_DB_LEASE_S);
    database_run(db->file);
    journal_db_expect_ours(db);
}

static void journal_db_put_end(struct journal_db *db, const struct journal_end *end)
{
    database_use(db->file, JOURNAL_DB_END);
    database_put(db->file, db->job);
    database_put(db->file, end->state);
    database_put(db->file, (int64_t)end->done);
    database_put(db->file, (int64_t)end->failed);
    database_put(db->file, (int64_t)end->left);
    database_run(db->file);
    journal_db_bound(db, db->job, journal_db_now_s());
    if (end->state == JOURNAL_DONE) journal_db_do(db, JOURNAL_DB_CLEAR_MARKS, db->job);
}

enum err journal_db_write(struct journal_db *db, const struct journal_batch *batch)
{
    CHECK(db->job > 0 && "a job must be claimed first");
    database_begin(db->file);
    journal_db_renew(db);
    journal_db_put_records(db, batch);
    if (batch->mark_count > 0) journal_db_put_marks(db, batch);
    if (batch->end) journal_db_put_end(db, batch->end);
    return database_finish(db->file);
}

/* --- reading --- */

enum err journal_db_next_job(struct journal_db *db, struct journal_job *job, bool *found)
{
    database_start(db->file);
    *found = journal_db_look(db, job->id, job);
    return database_err(db->file);
}

/* Where the kernel tells no boot, none is this one. */
static bool journal_db_is_of_this_boot(struct journal_db *db)
{
    char boot[OWNER_BOOT_BYTES];
    database_get_text(db->file, boot, sizeof boot);
    return boot[0] && strcmp(boot, db->owner.boot) == 0;
}

enum err journal_db_next_object(struct journal_db *db, int64_t job, struct journal_object *object,
                                bool *found)
{
    struct database *file = db->file;
    database_start(file);
    database_use(file, JOURNAL_DB_NEXT_OBJECT);
    database_put(file, job);
    database_put(file, object->number);
    *found = database_step(file);
    if (!*found) return database_err(file);
    object->number = (uint32_t)database_get(file, 1, UINT32_MAX);
    object->state = (enum journal_object_state)database_get(file, JOURNAL_CREATING, JOURNAL_ORPHAN);
    object->sum = (enum checksum_kind)database_get(file, 0, CHECKSUM_KINDS - 1);
    object->created_s = database_get(file, INT64_MIN, INT64_MAX);
    object->bytes = (uint64_t)database_get(file, 0, INT64_MAX);
    object->part_bytes = (uint64_t)database_get(file, 0, INT64_MAX);
    object->mtime_ns = database_get(file, INT64_MIN, INT64_MAX);
    object->ctime_ns = database_get(file, INT64_MIN, INT64_MAX);
    object->inode = database_get_word(file);
    database_get_text(file, object->key, sizeof object->key);
    database_get_text(file, object->etag, sizeof object->etag);
    database_get_text(file, object->upload_id, sizeof object->upload_id);
    database_get_text(file, object->temp, sizeof object->temp);
    object->until_s = database_get(file, INT64_MIN, INT64_MAX);
    object->is_of_this_boot = journal_db_is_of_this_boot(db);
    database_leave(file);
    return database_err(file);
}

static void journal_db_read_checksum(struct database *file, struct checksum_value *value)
{
    value->kind = (enum checksum_kind)database_get(file, 0, CHECKSUM_KINDS - 1);
    struct bytes data = database_get_bytes(file);
    value->count = (uint32_t)data.count;
    if (data.count == checksum_kind_bytes(value->kind)) {
        memcpy(value->data, data.data, data.count);
        return;
    }
    value->count = 0;
    database_damaged(file);
}

enum err journal_db_next_part(struct journal_db *db, int64_t job, struct journal_part *part,
                              bool *found)
{
    struct database *file = db->file;
    database_start(file);
    database_use(file, JOURNAL_DB_NEXT_PART);
    database_put(file, job);
    database_put(file, part->object);
    database_put(file, part->number);
    *found = database_step(file);
    if (!*found) return database_err(file);
    part->number = (uint32_t)database_get(file, 1, PARTS_MAX);
    part->offset = (uint64_t)database_get(file, 0, INT64_MAX);
    part->bytes = (uint64_t)database_get(file, 0, INT64_MAX);
    part->confirmed = database_get(file, 0, 1) != 0;
    journal_db_read_checksum(file, &part->checksum);
    database_get_text(file, part->etag, sizeof part->etag);
    database_leave(file);
    return database_err(file);
}

enum err journal_db_next_marks(struct journal_db *db, int64_t job, int64_t *id, struct bytes *marks,
                               bool *found)
{
    struct database *file = db->file;
    database_start(file);
    database_use(file, JOURNAL_DB_NEXT_MARKS);
    database_put(file, job);
    database_put(file, *id);
    *found = database_step(file);
    if (!*found) return database_err(file);
    *id = database_get(file, 1, INT64_MAX);
    *marks = database_get_bytes(file); /* the row is left by the next use of the statement */
    if (marks->count % sizeof(struct journal_mark) != 0) database_damaged(file);
    return database_err(file);
}

enum err journal_db_is_empty(struct journal_db *db, int64_t id, bool *is_empty)
{
    static const uint32_t statements[] = {JOURNAL_DB_NEXT_MARKS, JOURNAL_DB_NEXT_OBJECT};
    *is_empty = true;
    database_start(db->file);
    for (uint32_t i = 0; i < ARRAY_COUNT(statements); i++) {
        database_use(db->file, statements[i]);
        database_put(db->file, id);
        database_put(db->file, 0);
        if (database_step(db->file)) *is_empty = false;
        database_leave(db->file);
    }
    return database_err(db->file);
}
