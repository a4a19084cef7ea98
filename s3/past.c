#include "s3/past.h"

#include <stdlib.h>
#include <string.h>

#define PAST_PLACES_FIRST  1024u
#define PAST_OBJECTS_FIRST 32u
#define PAST_PARTS_FIRST   64u

void past_init(struct past *past)
{
    *past = (struct past){.object_count = 0};
}

void past_fini(struct past *past)
{
    for (uint32_t i = 0; i < past->object_count; i++) {
        struct past_object *object = &past->objects[i];
        while (object->known_count > 0)
            free(object->known[--object->known_count]);
        free(object->known);
        free(object->parts);
    }
    free(past->objects);
    free(past->marks);
    past_init(past);
}

/* --- marks --- */

static bool past_is_free(const struct journal_mark *mark)
{
    static const struct journal_mark none;
    return memcmp(mark, &none, sizeof none) == 0;
}

/* Marks are as good as random: their first bytes are a hash already. The place of this one, or the
 * free place where it would be. */
static struct journal_mark *past_place(const struct past *past, const struct journal_mark *mark)
{
    uint64_t at;
    memcpy(&at, mark->data, sizeof at);
    for (;; at++) {
        struct journal_mark *place = &past->marks[at & (past->mark_places - 1)];
        if (past_is_free(place) || memcmp(place, mark, sizeof *mark) == 0) return place;
    }
}

/* Never more than half full, so that looking for what is not there ends soon. */
static enum err past_grow_marks(struct past *past)
{
    struct past bigger = {.mark_places =
                              past->mark_places ? 2 * past->mark_places : PAST_PLACES_FIRST};
    bigger.marks = calloc(bigger.mark_places, sizeof *bigger.marks);
    if (!bigger.marks) return ERR_NO_MEMORY;
    for (uint64_t i = 0; i < past->mark_places; i++)
        if (!past_is_free(&past->marks[i])) *past_place(&bigger, &past->marks[i]) = past->marks[i];
    free(past->marks);
    past->marks = bigger.marks;
    past->mark_places = bigger.mark_places;
    return ERR_NONE;
}

static enum err past_add_mark(struct past *past, const struct journal_mark *mark)
{
    enum err err =
        2 * (past->mark_count + 1) > past->mark_places ? past_grow_marks(past) : ERR_NONE;
    if (err || past_is_free(mark)) return err; /* no object's: a damaged row's */
    struct journal_mark *place = past_place(past, mark);
    if (past_is_free(place)) past->mark_count++;
    *place = *mark;
    return ERR_NONE;
}

static enum err past_load_marks(struct past *past, struct journal_db *db, int64_t job)
{
    struct journal_mark mark;
    struct bytes marks;
    int64_t id = 0;
    bool found = true;
    enum err err = ERR_NONE;
    while (!err && found) {
        err = journal_db_next_marks(db, job, &id, &marks, &found);
        for (size_t at = 0; !err && found && at < marks.count; at += sizeof mark) {
            memcpy(&mark, marks.data + at, sizeof mark);
            err = past_add_mark(past, &mark);
        }
    }
    return err;
}

bool past_has(const struct past *past, const struct journal_mark *mark)
{
    return past->mark_count > 0 && !past_is_free(past_place(past, mark));
}

/* --- objects --- */

static enum err past_load_parts(struct past_object *object, struct journal_db *db, int64_t job)
{
    struct journal_part part = {.object = object->row.number};
    uint32_t count_max = 0;
    bool found;
    for (;;) {
        enum err err = journal_db_next_part(db, job, &part, &found);
        if (err || !found) return err;
        if (object->part_count == count_max) {
            count_max = count_max ? 2 * count_max : PAST_PARTS_FIRST;
            struct journal_part *parts = realloc(object->parts, count_max * sizeof *parts);
            if (!parts) return ERR_NO_MEMORY;
            object->parts = parts;
        }
        object->parts[object->part_count++] = part;
    }
}

static enum err past_add_object(struct past *past, const struct journal_object *row)
{
    if (past->object_count == past->object_places) {
        uint32_t places = past->object_places ? 2 * past->object_places : PAST_OBJECTS_FIRST;
        struct past_object *objects = realloc(past->objects, places * sizeof *objects);
        if (!objects) return ERR_NO_MEMORY;
        past->objects = objects;
        past->object_places = places;
    }
    past->objects[past->object_count++] = (struct past_object){.row = *row};
    past->numbers_used = row->number;
    return ERR_NONE;
}

static enum err past_load_objects(struct past *past, struct journal_db *db, int64_t job)
{
    struct journal_object row = {.number = 0};
    bool found = true;
    enum err err = ERR_NONE;
    while (!err && found) {
        err = journal_db_next_object(db, job, &row, &found);
        if (!err && found) err = past_add_object(past, &row);
    }
    for (uint32_t i = 0; !err && i < past->object_count; i++)
        err = past_load_parts(&past->objects[i], db, job);
    return err;
}

/* --- of whom is it? --- */

static bool past_is_nameless(const struct past_object *object)
{
    return !object->row.upload_id[0] && !object->row.temp[0];
}

static bool past_has_nameless(const struct past *past)
{
    for (uint32_t i = 0; i < past->object_count; i++)
        if (past_is_nameless(&past->objects[i])) return true;
    return false;
}

/* Rarely more than one or two. */
static enum err past_know(struct past_object *object, const char *id)
{
    char **known = realloc(object->known, (object->known_count + 1) * sizeof *known);
    if (!known) return ERR_NO_MEMORY;
    object->known = known;
    known[object->known_count] = strdup(id);
    if (!known[object->known_count]) return ERR_NO_MEMORY;
    object->known_count++;
    return ERR_NONE;
}

static enum err past_compare(struct past *past, const struct journal_object *row, bool is_live)
{
    enum err err = ERR_NONE;
    for (uint32_t i = 0; !err && i < past->object_count; i++) {
        struct past_object *object = &past->objects[i];
        if (!past_is_nameless(object) || strcmp(object->row.key, row->key) != 0) continue;
        if (is_live) object->disputed = true;
        if (row->upload_id[0]) err = past_know(object, row->upload_id);
    }
    return err;
}

static enum err past_compare_rows(struct past *past, struct journal_db *db, int64_t job,
                                  bool is_live)
{
    struct journal_object row = {.number = 0};
    bool found;
    for (;;) {
        enum err err = journal_db_next_object(db, job, &row, &found);
        if (!err && found) err = past_compare(past, &row, is_live);
        if (err || !found) return err;
    }
}

/* With what all jobs of the bucket have under way, this one too. By its name alone: an endpoint may
 * have several. */
static enum err past_compare_jobs(struct past *past, struct journal_db *db, int64_t job)
{
    struct journal_job own = {.id = job - 1}, other = {.id = 0};
    bool found = true;
    if (!past_has_nameless(past)) return ERR_NONE;
    enum err err = journal_db_next_job(db, &own, &found);
    bool is_there = !err && found && own.id == job;
    while (is_there && !err) {
        err = journal_db_next_job(db, &other, &found);
        if (err || !found) break;
        if (strcmp(other.bucket, own.bucket) != 0) continue;
        bool is_live = other.id != job && !journal_db_is_free(&other);
        err = past_compare_rows(past, db, other.id, is_live);
    }
    return err;
}

enum err past_load(struct past *past, struct journal_db *db, int64_t job)
{
    past_init(past);
    enum err err = past_load_objects(past, db, job);
    if (!err) err = past_compare_jobs(past, db, job);
    if (!err) err = past_load_marks(past, db, job);
    if (err) past_fini(past);
    return err;
}

struct past_object *past_find(struct past *past, const char *key)
{
    for (uint32_t i = 0; i < past->object_count; i++) {
        struct past_object *object = &past->objects[i];
        if (object->taken) continue;
        if (!key || strcmp(object->row.key, key) == 0) return object;
    }
    return NULL;
}

static int past_compare_parts(const void *number, const void *part)
{
    uint32_t wanted = *(const uint32_t *)number;
    uint32_t there = ((const struct journal_part *)part)->number;
    return wanted < there ? -1 : wanted > there;
}

const struct journal_part *past_part(const struct past_object *object, uint32_t number)
{
    if (object->part_count == 0) return NULL;
    return bsearch(&number, object->parts, object->part_count, sizeof *object->parts,
                   past_compare_parts);
}

/* --- what a mark is made of --- */

static void past_mark(struct journal_mark *mark, const char *key, const void *facts,
                      size_t facts_bytes)
{
    struct digest_sha256 digest;
    uint8_t value[DIGEST_SHA256_BYTES];
    digest_sha256_init(&digest);
    digest_sha256_update(&digest, facts, facts_bytes);
    digest_sha256_update(&digest, key, strlen(key));
    digest_sha256_final(&digest, value);
    memcpy(mark, value, sizeof *mark);
}

void past_mark_file(struct journal_mark *mark, const char *key,
                    const struct file_identity *identity)
{
    uint64_t facts[] = {identity->size_bytes, (uint64_t)identity->mtime_ns,
                        (uint64_t)identity->ctime_ns, identity->inode};
    past_mark(mark, key, facts, sizeof facts);
}

void past_mark_object(struct journal_mark *mark, const char *key, uint64_t bytes, const char *etag)
{
    struct {
        uint64_t bytes;
        char etag[ETAG_BYTES_MAX + 1];
    } facts;
    memset(&facts, 0, sizeof facts);
    facts.bytes = bytes;
    strncpy(facts.etag, etag, sizeof facts.etag - 1);
    past_mark(mark, key, &facts, sizeof facts);
}
