/* journals: a journal that another hand wrote in. An even first byte: the rest is the file itself.
 * An odd one: the rest changes columns of a good journal, each change a column, a type, a length
 * and the value. Reading ends, what is read fits its struct, and what does not fit is an error. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/check.h"
#include "s3/past.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static const char *const columns[] = {
    "job.id",           "job.tag",        "job.lease",     "job.host",          "job.boot",
    "job.pid",          "job.state",      "job.done",      "job.direction",     "job.source",
    "job.target",       "job.endpoint",   "job.bucket",    "job.prefix",        "job.options",
    "job.arguments",    "object.job",     "object.number", "object.state",      "object.sum",
    "object.bytes",     "object.mtime",   "object.inode",  "object.key",        "object.etag",
    "object.upload_id", "object.temp",    "part.object",   "part.number",       "part.start",
    "part.bytes",       "part.confirmed", "part.sum",      "part.checksum",     "part.etag",
    "done.id",          "done.job",       "done.marks",    "object.part_bytes", "part.job",
    "job.recursive",    "job.fsync",      "job.spread",    "object.until",      "object.boot",
    "done.boot",
};

static char folder[64], path[128], good_path[128];
static uint8_t *good;
static size_t good_bytes;

static void remove_folder(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[160];
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
        snprintf(name, sizeof name, "%s%s", good_path, ends[i]);
        unlink(name);
    }
    rmdir(folder);
}

static void write_rows(struct journal_db *db)
{
    static struct {
        struct journal_record first;
        struct journal_object object;
        struct journal_record second;
        struct journal_part part;
    } __attribute__((packed)) rows;
    struct journal_mark marks[3] = {{{1}}, {{2}}, {{3}}};
    rows.first.kind = JOURNAL_RECORD_OBJECT;
    rows.object.number = 1;
    rows.object.state = JOURNAL_MOVING;
    rows.object.bytes = 16 * MIB;
    rows.object.part_bytes = 8 * MIB;
    snprintf(rows.object.key, sizeof rows.object.key, "key");
    snprintf(rows.object.upload_id, sizeof rows.object.upload_id, "upload");
    rows.second.kind = JOURNAL_RECORD_PART;
    rows.part.object = rows.part.number = 1;
    rows.part.bytes = 8 * MIB;
    struct checksum_value checksum;
    checksum_of(CHECKSUM_CRC32C, "x", 1, &checksum);
    rows.part.checksum = checksum;
    struct journal_batch batch = {.records = (const uint8_t *)&rows,
                                  .records_bytes = sizeof rows,
                                  .marks = marks,
                                  .mark_count = 3};
    CHECK(journal_db_write(db, &batch) == ERR_NONE);
}

/* A good journal, as bytes. */
static void set_up(void)
{
    static struct journal_job asked = {.direction = JOURNAL_UPLOAD,
                                       .source = "/data",
                                       .target = "s3://bucket/",
                                       .bucket = "bucket",
                                       .arguments = "-r",
                                       .arguments_bytes = 3};
    static struct journal_job job;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* nothing is synced */
    char why[JOURNAL_DB_WHY_BYTES];
    struct journal_db *db;
    bool is_new;
    snprintf(folder, sizeof folder, "%s/argosy-fuzz-XXXXXX", base);
    CHECK(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/journal.db", folder);
    snprintf(good_path, sizeof good_path, "%s/good.db", folder);
    atexit(remove_folder);
    CHECK(journal_db_open(&db, good_path, why) == ERR_NONE);
    CHECK(journal_db_claim(db, &asked, true, &job, &is_new) == ERR_NONE && is_new);
    write_rows(db);
    journal_db_close(db);
    FILE *file = fopen(good_path, "rb");
    good = malloc(1 * MIB);
    CHECK(file && good);
    good_bytes = fread(good, 1, 1 * MIB, file);
    CHECK(good_bytes > 0 && good_bytes < 1 * MIB);
    fclose(file);
}

static void write_file(const uint8_t *data, size_t count)
{
    char name[160];
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, count, file) == count);
    fclose(file);
    snprintf(name, sizeof name, "%s-wal", path);
    unlink(name);
    snprintf(name, sizeof name, "%s-shm", path);
    unlink(name);
}

static void bind(sqlite3_stmt *statement, uint8_t type, struct bytes value)
{
    int64_t number = 0;
    memcpy(&number, value.data, min_u64(value.count, sizeof number));
    if (type % 3 == 0)
        sqlite3_bind_int64(statement, 1, number);
    else if (type % 3 == 1)
        sqlite3_bind_text(statement, 1, value.data, (int)value.count, SQLITE_STATIC);
    else
        sqlite3_bind_blob(statement, 1, value.data, (int)value.count, SQLITE_STATIC);
}

/* What the tables do not take, such as two rows of one number, is left out. */
static void change_columns(const uint8_t *data, size_t count)
{
    sqlite3 *handle;
    CHECK(sqlite3_open(path, &handle) == SQLITE_OK);
    sqlite3_exec(handle, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
    while (count >= 3) {
        const char *column = columns[data[0] % ARRAY_COUNT(columns)];
        size_t bytes = (size_t)min_u64((uint64_t)data[2] << (data[1] >> 5), count - 3);
        int table_bytes = (int)strcspn(column, ".");
        sqlite3_stmt *statement;
        char text[128];
        snprintf(text, sizeof text, "UPDATE %.*s SET %s=?1", table_bytes, column,
                 column + table_bytes + 1);
        CHECK(sqlite3_prepare_v2(handle, text, -1, &statement, NULL) == SQLITE_OK);
        bind(statement, data[1] & 31, (struct bytes){(const char *)data + 3, bytes});
        sqlite3_step(statement);
        sqlite3_finalize(statement);
        data += 3 + bytes;
        count -= 3 + bytes;
    }
    sqlite3_close(handle);
}

static void check_job(const struct journal_job *job)
{
    CHECK(job->state >= JOURNAL_RUNNING && job->state <= JOURNAL_DONE);
    CHECK(memchr(job->source, 0, sizeof job->source) && memchr(job->target, 0, sizeof job->target));
    CHECK(memchr(job->options, 0, sizeof job->options));
    CHECK(memchr(job->endpoint, 0, sizeof job->endpoint));
    CHECK(memchr(job->bucket, 0, sizeof job->bucket) && memchr(job->prefix, 0, sizeof job->prefix));
    CHECK(job->arguments_bytes <= JOURNAL_ARGUMENTS_BYTES);
    CHECK(job->arguments_bytes == 0 || job->arguments[job->arguments_bytes - 1] == 0);
}

static void check_past(struct past *past)
{
    for (uint32_t i = 0; i < past->object_count; i++) {
        const struct past_object *object = &past->objects[i];
        CHECK(object->row.number >= 1 && object->row.number <= past->numbers_used);
        CHECK(memchr(object->row.key, 0, sizeof object->row.key));
        CHECK(memchr(object->row.temp, 0, sizeof object->row.temp));
        for (uint32_t n = 0; n < object->part_count; n++) {
            const struct journal_part *part = &object->parts[n];
            CHECK(part->number >= 1 && part->number <= PARTS_MAX);
            CHECK(n == 0 || object->parts[n - 1].number < part->number);
            CHECK(past_part(object, part->number) == part);
        }
    }
}

static void read_all(struct journal_db *db)
{
    static struct journal_job job;
    struct past past;
    bool found = true;
    job.id = 0;
    for (int64_t before = 0; journal_db_next_job(db, &job, &found) == ERR_NONE && found;) {
        CHECK(job.id > before && "reading goes on");
        before = job.id;
        check_job(&job);
        past_init(&past);
        if (past_load(&past, db, job.id) == ERR_NONE) check_past(&past);
        past_fini(&past);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    char why[JOURNAL_DB_WHY_BYTES] = "";
    struct journal_db *db;
    if (!good) set_up();
    if (count < 1) return 0;
    if (data[0] & 1) {
        write_file(good, good_bytes);
        change_columns(data + 1, count - 1);
    } else {
        write_file(data + 1, count - 1);
    }
    if (journal_db_open(&db, path, why) != ERR_NONE) {
        CHECK(why[0] && "a refusal says why");
        return 0;
    }
    read_all(db);
    journal_db_close(db);
    return 0;
}
