#include "tools/clean.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>

#include "core/place.h"
#include "s3/past.h"
#include "s3/sweep.h"
#include "tools/repeat.h"
#include "tools/session.h"

/* Where a download's temporary files are: the folder that it went into (s3/run). An upload has
 * none. */
static enum err clean_open_folder(const struct journal_job *job, int *fd, bool *is_gone,
                                  char why[SETTINGS_WHY_BYTES])
{
    struct place place;
    int raw = 0;
    *fd = AT_FDCWD;
    *is_gone = false;
    if (job->direction == JOURNAL_UPLOAD) return ERR_NONE;
    enum err err = place_look(&place, job->target, &raw);
    const char *folder = place.kind == PLACE_FOLDER ? job->target : place.folder;
    if (!err) err = place_open_folder(folder, PLACE_FIND, fd, &raw);
    *is_gone = err == ERR_FILE_MISSING;
    if (err)
        snprintf(why, SETTINGS_WHY_BYTES, "%.300s: %s%s", job->target, err_sentence(err),
                 err_remedy(err, raw));
    return err;
}

static enum err clean_sweep(struct session *session, struct past *past,
                            const struct journal_job *job, int folder_fd,
                            struct clean_counts *counts)
{
    struct sweep_place place = {.client = &session->client,
                                .log = &session->log,
                                .bucket = job->bucket,
                                .folder_fd = folder_fd,
                                .resolve = folder_fd == AT_FDCWD ? 0 : RESOLVE_BENEATH};
    struct past_object *object;
    struct sweep sweep;
    enum err first = ERR_NONE;
    sweep_init(&sweep, &session->core, &place);
    while ((object = past_find(past, NULL)) != NULL) {
        struct op op;
        session_op_init(&op);
        sweep_start(&sweep, object, &op);
        enum err err = session_wait(session, &op);
        if (!first) first = err;
    }
    counts->aborted = sweep.aborted;
    counts->removed = sweep.removed;
    sweep_fini(&sweep);
    return first;
}

static enum err clean_remains(struct past *past, const struct journal_job *job,
                              const struct settings *settings, struct clean_counts *counts,
                              char why[SETTINGS_WHY_BYTES])
{
    struct settings repeated;
    int folder_fd = AT_FDCWD;
    enum err err = repeat_job(job, 0, NULL, &repeated, why);
    repeated.quiet = settings->quiet;
    repeated.verbose = settings->verbose;
    if (!err) err = clean_open_folder(job, &folder_fd, &counts->folder_is_gone, why);
    if (err) return err;
    struct session *session = malloc(sizeof *session);
    err = session ? session_open(session, &repeated, why) : ERR_NO_MEMORY;
    if (!err) {
        err = clean_sweep(session, past, job, folder_fd, counts);
        if (err) snprintf(why, SETTINGS_WHY_BYTES, "some of what it left is still there");
        session_close(session);
    }
    free(session);
    if (folder_fd != AT_FDCWD) place_close(folder_fd);
    return err;
}

/* Works somebody on another job of that tag? The same command may be there again (--no-resume). Of
 * a job that was done every other one counts: the last of them looks. */
static bool clean_is_shared(struct journal_db *db, const struct journal_job *job)
{
    struct journal_job other = {.id = 0};
    bool found = true, any = job->state == JOURNAL_DONE;
    while (!journal_db_next_job(db, &other, &found) && found)
        if (other.id != job->id && other.tag == job->tag && (any || !journal_db_is_free(&other)))
            return true;
    return found; /* what cannot be read may be shared */
}

/* Small files under way are in no row, and a large one is not for its first moments; but the names
 * of all temporary files begin with the job's tag (s3/sink). */
static enum err clean_named(struct journal_db *db, const struct journal_job *job,
                            struct clean_counts *counts, char why[SETTINGS_WHY_BYTES])
{
    char prefix[64];
    int folder_fd;
    if (job->direction == JOURNAL_UPLOAD || clean_is_shared(db, job)) return ERR_NONE;
    enum err err = clean_open_folder(job, &folder_fd, &counts->folder_is_gone, why);
    if (err) return err;
    snprintf(prefix, sizeof prefix, SWEEP_TEMP_MARK "%016" PRIx64 "-", job->tag);
    counts->removed += place_remove_named(folder_fd, prefix, job->recursive);
    place_close(folder_fd);
    return ERR_NONE;
}

/* A power cut may have taken back how a file got its name, and nobody may have looked for what a
 * killed process left of an object that the store has no more. Comes behind the job: until then the
 * same command, begun anew, would get its tag (journal_db_claim). A folder that cannot be opened
 * keeps nobody. */
static void clean_behind(struct journal_db *db, const struct journal_job *job,
                         struct clean_counts *counts)
{
    char why[SETTINGS_WHY_BYTES];
    if (job->state == JOURNAL_DONE && clean_named(db, job, counts, why))
        counts->folder_is_gone = false;
}

/* Taken, so that nobody goes on with it meanwhile; what is done already nobody takes. `taken`: as
 * it stood then. */
static enum err clean_take(struct journal_db *db, const struct journal_job *job,
                           struct journal_job *taken)
{
    if (job->state != JOURNAL_DONE) return journal_db_take(db, job->id, taken);
    *taken = *job;
    return ERR_NONE;
}

static enum err clean_give_back(struct journal_db *db, const struct journal_job *taken)
{
    return taken->state == JOURNAL_DONE ? ERR_NONE : journal_db_give_back(db, taken);
}

enum err clean_job(struct journal_db *db, const struct journal_job *job,
                   const struct settings *settings, struct clean_counts *counts,
                   char why[SETTINGS_WHY_BYTES])
{
    struct journal_job taken;
    struct past past;
    memset(counts, 0, sizeof *counts);
    why[0] = '\0';
    enum err err = clean_take(db, job, &taken);
    if (err) {
        snprintf(why, SETTINGS_WHY_BYTES, "%s", journal_db_why(db));
        return err;
    }
    past_init(&past);
    err = past_load(&past, db, job->id);
    if (!err && past.object_count > 0) err = clean_remains(&past, job, settings, counts, why);
    if (!err && job->state != JOURNAL_DONE) err = clean_named(db, job, counts, why);
    if (!err) err = journal_db_remove(db, job->id);
    if (!err) clean_behind(db, job, counts);
    if (err && !why[0]) snprintf(why, SETTINGS_WHY_BYTES, "%s", journal_db_why(db));
    enum err given = err ? clean_give_back(db, &taken) : ERR_NONE;
    (void)given; /* an error: its lease runs out */
    past_fini(&past);
    return err;
}

enum err clean_forget(struct journal_db *db, const struct journal_job *job,
                      char why[SETTINGS_WHY_BYTES])
{
    struct journal_job taken;
    enum err err = clean_take(db, job, &taken);
    if (!err) err = journal_db_remove(db, job->id);
    if (err) snprintf(why, SETTINGS_WHY_BYTES, "%s", journal_db_why(db));
    return err;
}
