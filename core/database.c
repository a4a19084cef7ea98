#include "core/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "core/file.h"
#include "core/limits.h"

#define DATABASE_BUSY_MS     10000 /* others' transactions take milliseconds */
#define DATABASE_LOOK_MS     5     /* between two tries */
#define DATABASE_MODE        0600
#define DATABASE_FOLDER_MODE 0700
#define DATABASE_SUFFIX_MAX  8u /* "-journal" */

struct database {
    sqlite3 *handle;
    const struct database_kind *kind;
    sqlite3_stmt **statements; /* prepared at their first use */
    sqlite3_stmt *now;         /* the one in use; NULL after a failure */
    int next;                  /* value or column */
    enum err err;
    char why[DATABASE_WHY_BYTES];
    char path[PATH_BYTES_MAX];
};

/* --- errors --- */

static enum err database_translate(sqlite3 *handle, int result)
{
    int number = handle ? sqlite3_system_errno(handle) : 0;
    switch (result & 0xff) {
    case SQLITE_NOMEM: return ERR_NO_MEMORY;
    case SQLITE_FULL: return ERR_DISK_FULL;
    case SQLITE_READONLY: return ERR_READ_ONLY;
    case SQLITE_PERM:
    case SQLITE_AUTH: return ERR_FILE_DENIED;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: return number ? err_of_errno(number) : ERR_FILE_IO;
    default: return ERR_JOURNAL;
    }
}

void database_fail(struct database *database, enum err err, const char *format, ...)
{
    va_list arguments;
    if (database->err) return;
    database->err = err;
    va_start(arguments, format);
    vsnprintf(database->why, sizeof database->why, format, arguments);
    va_end(arguments);
}

void database_damaged(struct database *database)
{
    database_fail(database, ERR_JOURNAL, "%.400s: a row in it is damaged", database->path);
}

static void database_judge(struct database *database, int result)
{
    enum err err = database_translate(database->handle, result);
    const char *text = sqlite3_errmsg(database->handle);
    if (result == SQLITE_OK || result == SQLITE_DONE) return;
    if ((result & 0xff) == SQLITE_CORRUPT || (result & 0xff) == SQLITE_NOTADB)
        text = "it is damaged";
    if ((result & 0xff) == SQLITE_BUSY) text = "another process keeps it locked";
    if (err != ERR_JOURNAL) text = err_sentence(err);
    database_fail(database, err, "%.300s: %.150s", database->path, text);
}

enum err database_err(const struct database *database)
{
    return database->err;
}

const char *database_why(const struct database *database)
{
    return database->why;
}

/* --- statements --- */

void database_use(struct database *database, uint32_t statement)
{
    sqlite3_stmt **prepared = &database->statements[statement];
    CHECK(statement < database->kind->statement_count);
    database->now = NULL;
    if (database->err) return;
    if (!*prepared)
        database_judge(database,
                       sqlite3_prepare_v3(database->handle, database->kind->statements[statement],
                                          -1, SQLITE_PREPARE_PERSISTENT, prepared, NULL));
    if (database->err) return;
    database->now = *prepared;
    database->next = 1;
    sqlite3_reset(database->now); /* of a row that nobody left */
}

void database_put(struct database *database, int64_t value)
{
    if (database->now) sqlite3_bind_int64(database->now, database->next++, value);
}

void database_put_text(struct database *database, const char *text)
{
    if (database->now) sqlite3_bind_text(database->now, database->next++, text, -1, SQLITE_STATIC);
}

void database_put_bytes(struct database *database, const void *data, size_t count)
{
    if (!database->now) return;
    sqlite3_bind_blob64(database->now, database->next++, data, count, SQLITE_STATIC);
}

bool database_step(struct database *database)
{
    int result;
    if (!database->now || database->err) return false;
    result = sqlite3_step(database->now);
    database->next = 0;
    if (result == SQLITE_ROW) return true;
    database_judge(database, result);
    database_leave(database);
    return false;
}

void database_leave(struct database *database)
{
    if (!database->now) return;
    sqlite3_reset(database->now);
    sqlite3_clear_bindings(database->now);
    database->now = NULL;
}

void database_run(struct database *database)
{
    if (database_step(database)) database_leave(database);
}

static void database_execute(struct database *database, const char *text)
{
    if (database->err) return;
    database_judge(database, sqlite3_exec(database->handle, text, NULL, NULL, NULL));
}

void database_start(struct database *database)
{
    database->err = ERR_NONE;
    database->why[0] = '\0';
}

void database_begin(struct database *database)
{
    database_start(database);
    database_execute(database, "BEGIN IMMEDIATE");
}

enum err database_finish(struct database *database)
{
    database_execute(database, "COMMIT");
    if (database->err && !sqlite3_get_autocommit(database->handle))
        sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL); /* the first failure counts */
    return database->err;
}

/* --- columns --- */

int64_t database_get(struct database *database, int64_t least, int64_t most)
{
    int column = database->next++;
    int64_t value;
    if (!database->now) return least;
    value = sqlite3_column_int64(database->now, column);
    if (sqlite3_column_type(database->now, column) == SQLITE_INTEGER && value >= least &&
        value <= most)
        return value;
    database_damaged(database);
    return least;
}

uint64_t database_get_word(struct database *database)
{
    return (uint64_t)database_get(database, INT64_MIN, INT64_MAX);
}

void database_get_text(struct database *database, char *area, size_t area_bytes)
{
    struct bytes text = {"", 0};
    int column = database->next++;
    area[0] = '\0';
    if (!database->now) return;
    text.data = (const char *)sqlite3_column_text(database->now, column);
    text.count = (size_t)sqlite3_column_bytes(database->now, column);
    if (!text.data || memchr(text.data, '\0', text.count) ||
        !bytes_to_string(text, area, area_bytes))
        database_damaged(database);
}

struct bytes database_get_bytes(struct database *database)
{
    struct bytes value = {"", 0};
    int column = database->next++;
    if (!database->now) return value;
    value.data = sqlite3_column_blob(database->now, column);
    value.count = (size_t)sqlite3_column_bytes(database->now, column);
    if (!value.data) value = BYTES("");
    return value;
}

uint64_t database_changed(const struct database *database)
{
    return (uint64_t)sqlite3_changes64(database->handle);
}

int64_t database_inserted(const struct database *database)
{
    return sqlite3_last_insert_rowid(database->handle);
}

void database_shrink(struct database *database)
{
    sqlite3_exec(database->handle, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
}

/* --- opening --- */

/* SQLite syncs the folder that its files are in, not that one's own name. A file system that cannot
 * sync folders keeps its names by itself. */
static void database_sync_above(const char *path)
{
    char folder[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

/* The folders above `path` as far as they are missing. What cannot be made shows at the open. */
static enum err database_make_folders(const char *path)
{
    char folder[PATH_BYTES_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *at = strchr(folder + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        bool made = mkdir(folder, DATABASE_FOLDER_MODE) == 0;
        if (!made && errno != EEXIST && errno != EACCES && errno != EROFS)
            return err_of_errno(errno);
        if (made) database_sync_above(folder);
        *at = '/';
    }
    return ERR_NONE;
}

static int database_open_file(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, DATABASE_MODE);
}

/* SQLite gives its further files the mode of the first, which is ours to make. */
static enum err database_make_file(const char *path, bool *is_local)
{
    int fd = database_open_file(path);
    if (fd < 0 && errno == ENOENT) {
        enum err err = database_make_folders(path);
        if (err) return err;
        fd = database_open_file(path);
    }
    if (fd < 0) return errno == EISDIR ? ERR_FILE_IS_FOLDER : err_of_errno(errno);
    *is_local = file_system_is_local(fd);
    close(fd);
    return ERR_NONE;
}

static int64_t database_ask(struct database *database, const char *text)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    if (database->err) return 0;
    int result = sqlite3_prepare_v2(database->handle, text, -1, &statement, NULL);
    if (result == SQLITE_OK) result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    else
        database_judge(database, result);
    sqlite3_finalize(statement);
    return value;
}

/* Going over to WAL needs the file alone for a moment, and while others open it too SQLite may
 * refuse that at once instead of waiting, lest two wait for each other. */
static void database_log_ahead(struct database *database)
{
    for (uint32_t waited_ms = 0;; waited_ms += DATABASE_LOOK_MS) {
        database_execute(database, "PRAGMA journal_mode=WAL");
        bool busy = (sqlite3_errcode(database->handle) & 0xff) == SQLITE_BUSY;
        if (!busy || waited_ms >= DATABASE_BUSY_MS) return;
        sqlite3_sleep(DATABASE_LOOK_MS);
        database_start(database);
    }
}

static void database_configure(struct database *database, bool is_local)
{
    sqlite3 *handle = database->handle;
    sqlite3_busy_timeout(handle, DATABASE_BUSY_MS);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (is_local)
        database_log_ahead(database);
    else
        database_execute(database, "PRAGMA journal_mode=TRUNCATE");
    database_execute(database, "PRAGMA synchronous=FULL");
}

static bool database_is_present(struct database *database)
{
    const struct database_kind *kind = database->kind;
    return database_ask(database, "PRAGMA user_version") == kind->version &&
           database_ask(database, "PRAGMA application_id") == kind->application;
}

static void database_judge_file(struct database *database, int64_t version)
{
    const struct database_kind *kind = database->kind;
    int64_t application = database_ask(database, "PRAGMA application_id");
    bool empty = database_ask(database, "SELECT count(*) FROM sqlite_schema") == 0;
    bool ours = application == kind->application || (application == 0 && empty);
    if (!ours)
        database_fail(database, ERR_JOURNAL, "%.300s: is not %s", database->path, kind->name);
    else if (version > kind->version || version < 0)
        database_fail(database, ERR_JOURNAL,
                      "%.300s: was written by a newer argosy (version %lld, this one knows %d)",
                      database->path, (long long)version, kind->version);
}

/* In one transaction, and from what is there once we have it: another process may have been faster.
 */
static void database_upgrade(struct database *database)
{
    const struct database_kind *kind = database->kind;
    char text[128];
    database_execute(database, "BEGIN IMMEDIATE");
    int64_t version = database_ask(database, "PRAGMA user_version");
    database_judge_file(database, version);
    for (; !database->err && version < kind->version; version++)
        database_execute(database, kind->steps[version]);
    snprintf(text, sizeof text, "PRAGMA user_version=%d; PRAGMA application_id=%d", kind->version,
             kind->application);
    database_execute(database, text);
    enum err ignored = database_finish(database); /* it is in database->err */
    (void)ignored;
}

static enum err database_say(char why[DATABASE_WHY_BYTES], const char *path, enum err err)
{
    snprintf(why, DATABASE_WHY_BYTES, "%.300s: %s", path, err_sentence(err));
    return err;
}

static struct database *database_make(const struct database_kind *kind, const char *path)
{
    struct database *database = calloc(1, sizeof *database);
    if (!database) return NULL;
    database->statements = calloc(kind->statement_count, sizeof(sqlite3_stmt *));
    if (!database->statements) {
        free(database);
        return NULL;
    }
    database->kind = kind;
    snprintf(database->path, sizeof database->path, "%s", path);
    return database;
}

enum err database_open(struct database **out, const struct database_kind *kind, const char *path,
                       char why[DATABASE_WHY_BYTES])
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    bool is_local = true;
    *out = NULL;
    why[0] = '\0';
    if (strlen(path) + DATABASE_SUFFIX_MAX >= PATH_BYTES_MAX)
        return database_say(why, path, ERR_FILE_NAME);
    enum err err = database_make_file(path, &is_local);
    if (err) return database_say(why, path, err);
    struct database *database = database_make(kind, path);
    if (!database) return database_say(why, path, ERR_NO_MEMORY);
    database_judge(database, sqlite3_open_v2(path, &database->handle, flags, NULL));
    if (!database->err) database_configure(database, is_local);
    if (!database_is_present(database)) database_upgrade(database);
    err = database->err;
    if (err) {
        snprintf(why, DATABASE_WHY_BYTES, "%s", database->why);
        database_close(database);
        return err;
    }
    *out = database;
    return ERR_NONE;
}

void database_close(struct database *database)
{
    if (!database) return;
    for (uint32_t i = 0; i < database->kind->statement_count; i++)
        sqlite3_finalize(database->statements[i]);
    sqlite3_close(database->handle);
    free(database->statements);
    free(database);
}
