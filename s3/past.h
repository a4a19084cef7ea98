/* past: what earlier runs of a job left: the marks of all that is done, and the large objects that
 * were under way, with their parts. Read from the journal before a run, looked up while it plans.
 *
 * A mark stands for an object and the state it had: for an upload its key and the file's size,
 * times and inode (not its device, whose number may change with every start of the machine); for a
 * download its key, size and ETag. What changed since has another mark, and is moved again. 128
 * bits of SHA-256: with 2^32 objects, one is skipped wrongly with a probability of 2^-64.
 *
 * Memory: 32 to 64 bytes a mark, and 240 a part. */
#ifndef S3_PAST_H
#define S3_PAST_H

#include "core/bytes.h"
#include "core/file.h"
#include "s3/journal_db.h"

struct past_object {
    struct link link; /* in the queue of a sweep (s3/sweep) */
    struct op *owner; /* of its sweeping */
    struct journal_object row;
    struct journal_part *parts; /* by rising number */
    uint32_t part_count;
    bool taken; /* a transfer goes on from it, or it was swept away */
    /* its upload has no id: a live job has one of the key under way as well; the ids of others of
     * the key, in any job, this one too: they are not the one that got lost */
    bool disputed;
    char **known;
    uint32_t known_count;
    /* a twin only (s3/sweep): the upload that stays, and how many there may be of the other */
    const char *spared;
    uint32_t twins_max;
};

struct past {
    struct past_object *objects;
    uint32_t object_count;
    uint32_t numbers_used; /* the highest object number */
    uint64_t mark_count;
    bool lasts; /* what the earlier runs have done is there after a power cut, too */
    /* private */
    struct journal_mark *marks; /* an open hash table: all zeros is a free place */
    uint64_t mark_places;       /* a power of two, or 0 */
    uint32_t object_places;
};

void past_init(struct past *past); /* nothing was before */
/* Of a job that was taken. */
/* Errors: those of journal_db, ERR_NO_MEMORY. */
MUST_USE enum err past_load(struct past *past, struct journal_db *db, int64_t job);
void past_fini(struct past *past);

bool past_has(const struct past *past, const struct journal_mark *mark);
/* An object under way that nobody has taken yet, or NULL. `key` NULL: any. */
struct past_object *past_find(struct past *past, const char *key);
/* What is known of its part `number`, or NULL. */
const struct journal_part *past_part(const struct past_object *object, uint32_t number);

void past_mark_file(struct journal_mark *mark, const char *key,
                    const struct file_identity *identity);
void past_mark_object(struct journal_mark *mark, const char *key, uint64_t bytes, const char *etag);

#endif
