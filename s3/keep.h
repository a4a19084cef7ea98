/* keep: what a run tells its journal, and what it asks its past. All of it does nothing, and has
 * nothing to say, in a run without a journal, or after that has failed.
 *
 * Whole objects: keep_was_done(), keep_done().
 * A large one under way has rows of its own, which `struct keep`, embedded in its transfer, stands
 * for (with _upload or _download at the end of the first three):
 *
 *     keep_intend ─► keep_begun ─► keep_part … ─► keep_flush ─► keep_end: the mark, the rows go
 *                        ▲                                  or  nothing, if keep_parks(): they stay
 *     keep_adopt ────────┘                                  or  keep_drop, keep_orphan
 *
 * An upload is intended on the disk before the server is asked for it, so that one whose answer
 * never came can be looked for (s3/sweep); and all its parts are on the disk before it is
 * completed, so that an object whose completion was not written down is known again by their
 * checksums. A temporary file needs no such word: its name can be made anew from the job and the
 * target (station->temp_tag). What lies between is handed over without waiting: a kill loses what
 * was done in the journal's last moments, and that is moved again. */
#ifndef S3_KEEP_H
#define S3_KEEP_H

#include "s3/multipart.h"
#include "s3/station.h"
#include "s3/work.h"

struct keep { /* of a large object under way */
    struct station *station;
    struct past_object *past;  /* what it goes on from; NULL: nothing */
    struct journal_object row; /* number 0: it has no rows */
    bool goes_on;              /* an upload that a later run can go on with */
    uint32_t doubt;            /* the number of its twin's row; 0: it has none */
    int64_t doubt_s;           /* from when on that may have been begun */
};

/* Has an earlier run of the job done this object, in this very state? `identity`: the file's as it
 * is now, of a PUT; NULL: not known. */
bool keep_was_done(const struct station *station, const struct work *work,
                   const struct file_identity *identity);
/* It is done: in the state that `work` says it had. `number`: of its rows, when it was large, or 0.
 * */
void keep_done(const struct station *station, const struct work *work, uint32_t number);

/* s3/sweep was done with `past`, with this error. */
void keep_swept(const struct station *station, struct past_object *past, enum err err);

void keep_init(struct keep *keep, struct station *station); /* it has no rows */
/* What earlier runs have left of this object; the next one when that was taken; or NULL. */
struct past_object *keep_find(const struct keep *keep, const struct work *object);
/* Can an upload go on from it? It is of the same state of the file (object->identity). */
bool keep_fits_upload(const struct keep *keep, const struct past_object *past,
                      const struct work *object);

/* op: the journal knows that an upload is about to be created; at once, and keep->row.number is 0,
 * when there is no journal. `goes_on`: a later run can go on with it. */
void keep_intend_upload(struct keep *keep, const struct work *object, uint64_t part_bytes,
                        bool goes_on, struct op *op);
/* It has this id; created_s by the server's clock, or INT64_MAX. */
void keep_begun_upload(struct keep *keep, const char *upload_id, int64_t created_s);
/* Before keep_begun_upload(): it was asked for more than once, from then on, and a second upload
 * may be there, whose id nobody knows. It has a row of its own until s3/twin looked for it. */
void keep_doubt(struct keep *keep, int64_t asked_s);
/* It was looked for, or else (not `over`) will be by a later run, or a clean. Nothing, when there
 * is no such row. */
void keep_settle_doubt(struct keep *keep, bool over);
/* Cuts `parts`, an empty table, as `past` had it. Errors: as multipart_cut(). */
MUST_USE enum err keep_cut(const struct past_object *past, struct multipart *parts);
/* Goes on from `past`, whose parts are done in `parts`, a table of waiting ones, as far as they
 * fit. *confirmed: the server has confirmed the checksums of them all. */
void keep_adopt_upload(struct keep *keep, struct past_object *past, struct multipart *parts,
                       bool *confirmed);

/* What it goes on from cannot be used after all: it is there for a sweep again. */
void keep_forsake(struct keep *keep);

/* The same for a download: the object is the one that was begun (object->etag and bytes). */
bool keep_fits_download(const struct past_object *past, const struct work *object);
/* Were its ranges cut as they came (multipart_begin)? */
bool keep_has_grown(const struct past_object *past);
/* Is what was done of it before its row was written there now, whatever happened since? */
bool keep_lasts(const struct station *station, const struct past_object *past);
void keep_adopt_download(struct keep *keep, struct past_object *past);
/* Its temporary file is there still: it gets its name, if at all, after it was read again. */
void keep_found_download(struct keep *keep);
/* Its temporary file is there, and its ranges are summed so. */
void keep_begun_download(struct keep *keep, const struct work *object, const char *temp,
                         uint64_t inode, enum checksum_kind sum, uint64_t part_bytes);
/* The checksum of a range that an earlier run has written, or NULL. `number` from 1. */
const struct checksum_value *keep_written(const struct keep *keep, uint32_t number,
                                          const struct multipart_part *range,
                                          enum checksum_kind sum);
/* What ranges are summed with that cannot be compared with anything the server has. */
enum checksum_kind keep_sum(const struct station *station);

void keep_part(struct keep *keep, const struct work *part); /* it is done, with this result */
void keep_flush(struct keep *keep, struct op *op); /* all of it is on the disk, or never will be */

void keep_end(struct keep *keep, const struct work *object); /* it is done */
/* Is what is there worth keeping for a later run, after this failure? */
bool keep_parks(const struct keep *keep, enum err err);
void keep_drop(struct keep *keep);   /* nothing of it is left */
void keep_orphan(struct keep *keep); /* what is left is of no use, and could not be removed */

#endif
