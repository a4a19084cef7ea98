#include "s3/keep.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"

static bool keep_is_on(const struct station *station)
{
    return station->journal && !journal_err(station->journal);
}

/* --- whole objects --- */

bool keep_was_done(const struct station *station, const struct work *work,
                   const struct file_identity *identity)
{
    struct journal_mark mark;
    if (!station->past || station->past->mark_count == 0) return false;
    if (work->kind == WORK_PUT) {
        if (!identity) return false;
        past_mark_file(&mark, work->key, identity);
    } else {
        if (!work->etag[0]) return false;
        past_mark_object(&mark, work->key, work->bytes, work->etag);
    }
    return past_has(station->past, &mark);
}

void keep_done(const struct station *station, const struct work *work, uint32_t number)
{
    struct journal_mark mark;
    if (!station->journal) return;
    if (work->kind == WORK_PUT)
        past_mark_file(&mark, work->key, &work->identity);
    else
        past_mark_object(&mark, work->key, work->bytes, work->etag);
    journal_put_done(station->journal, &mark, number);
}

/* --- a large one: what was --- */

void keep_init(struct keep *keep, struct station *station)
{
    keep->station = station;
    keep->past = NULL;
    keep->row.number = 0;
    keep->doubt = 0;
}

struct past_object *keep_find(const struct keep *keep, const struct work *object)
{
    struct past *past = keep->station->past;
    return past && keep_is_on(keep->station) ? past_find(past, object->key) : NULL;
}

static bool keep_is_same_file(const struct journal_object *row, const struct file_identity *now)
{
    return row->bytes == now->size_bytes && row->mtime_ns == now->mtime_ns &&
           row->ctime_ns == now->ctime_ns && row->inode == now->inode;
}

/* A table that grew: its parts must stand where such parts can. */
bool keep_has_grown(const struct past_object *past)
{
    const struct journal_object *row = &past->row;
    uint64_t end = 0;
    uint32_t number = 0;
    if (row->part_bytes > 0 || row->bytes == 0) return false;
    for (uint32_t i = 0; i < past->part_count; i++) {
        const struct journal_part *part = &past->parts[i];
        bool fits = part->bytes > 0 && part->offset <= row->bytes &&
                    part->bytes <= row->bytes - part->offset &&
                    multipart_follows(number, end, part->number, part->offset);
        bool last = fits && part->offset + part->bytes == row->bytes;
        if (!fits || (!last && (part->bytes % MIB != 0 || part->bytes < PART_BYTES_MIN)))
            return false;
        number = part->number;
        end = part->offset + part->bytes;
    }
    return true;
}

enum err keep_cut(const struct past_object *past, struct multipart *parts)
{
    enum err err = ERR_NONE;
    if (past->row.part_bytes > 0)
        return multipart_cut(parts, past->row.bytes, past->row.part_bytes);
    multipart_begin(parts, past->row.bytes);
    for (uint32_t i = 0; i < past->part_count && !err; i++) {
        const struct journal_part *part = &past->parts[i];
        err = multipart_rejoin(parts, part->number - 1, part->offset, part->bytes);
    }
    return err;
}

static bool keep_can_be_cut(const struct past_object *past)
{
    const struct journal_object *row = &past->row;
    if (row->part_bytes == 0) return keep_has_grown(past);
    return row->bytes / row->part_bytes < PARTS_MAX;
}

bool keep_fits_upload(const struct keep *keep, const struct past_object *past,
                      const struct work *object)
{
    const struct journal_object *row = &past->row;
    if (row->state != JOURNAL_MOVING || !row->upload_id[0]) return false;
    if (row->sum != keep->station->conf->checksum) return false;
    if (!keep_can_be_cut(past)) return false;
    return keep_is_same_file(row, &object->identity);
}

void keep_swept(const struct station *station, struct past_object *past, enum err err)
{
    if (!keep_is_on(station)) return;
    if (!err) {
        journal_drop_object(station->journal, past->row.number);
    } else if (past->row.state == JOURNAL_MOVING) {
        past->row.state = JOURNAL_ORPHAN; /* nobody shall go on from it */
        journal_put_object(station->journal, &past->row);
    }
}

/* Is this what the table has there? */
static bool keep_fits_part(const struct journal_object *row, const struct journal_part *part,
                           const struct multipart *parts)
{
    if (part->number > parts->count || part->checksum.kind != row->sum) return false;
    const struct multipart_part *there = multipart_part(parts, part->number - 1);
    return there->offset == part->offset && there->bytes == part->bytes;
}

static void keep_take(struct keep *keep, struct past_object *past)
{
    past->taken = true;
    keep->past = past;
    keep->row = past->row;
}

void keep_adopt_upload(struct keep *keep, struct past_object *past, struct multipart *parts,
                       bool *confirmed)
{
    keep_take(keep, past);
    *confirmed = true;
    for (uint32_t i = 0; i < past->part_count; i++) {
        const struct journal_part *part = &past->parts[i];
        struct bytes sum = {(const char *)part->checksum.data, part->checksum.count};
        if (!keep_fits_part(&past->row, part, parts)) continue;
        if (multipart_done(parts, part->number - 1, bytes_of(part->etag), sum)) continue;
        if (!part->confirmed) *confirmed = false;
    }
}

void keep_forsake(struct keep *keep)
{
    keep->past->row.state = JOURNAL_ORPHAN;
    keep->past->taken = false;
    keep->past = NULL;
    keep->row.number = 0;
}

bool keep_fits_download(const struct past_object *past, const struct work *object)
{
    const struct journal_object *row = &past->row;
    return row->state == JOURNAL_MOVING && row->temp[0] && row->bytes == object->bytes &&
           strcmp(row->etag, object->etag) == 0;
}

bool keep_lasts(const struct station *station, const struct past_object *past)
{
    return station->past->lasts || past->row.is_of_this_boot;
}

void keep_adopt_download(struct keep *keep, struct past_object *past)
{
    keep_take(keep, past);
}

const struct checksum_value *keep_written(const struct keep *keep, uint32_t number,
                                          const struct multipart_part *range,
                                          enum checksum_kind sum)
{
    if (!keep->past || sum == CHECKSUM_NONE) return NULL;
    const struct journal_part *part = past_part(keep->past, number);
    if (!part || part->checksum.kind != sum) return NULL;
    if (part->offset != range->offset || part->bytes != range->bytes) return NULL;
    return &part->checksum;
}

/* --- a large one: what is --- */

/* A CRC costs a hundredth of what receiving does. */
enum checksum_kind keep_sum(const struct station *station)
{
    enum checksum_kind kind = conf_kept_sum(station->conf);
    return kind == CHECKSUM_NONE && keep_is_on(station) ? CHECKSUM_CRC32C : kind;
}

static void keep_begin(struct keep *keep, const struct work *object)
{
    struct journal_object *row = &keep->row;
    memset(row, 0, sizeof *row);
    row->number = journal_new_number(keep->station->journal);
    row->created_s = (int64_t)(clock_wall_ns() / NS_PER_S);
    row->bytes = object->bytes;
    snprintf(row->key, sizeof row->key, "%s", object->key);
}

static void keep_put(struct keep *keep)
{
    if (keep->row.number > 0) journal_put_object(keep->station->journal, &keep->row);
}

void keep_intend_upload(struct keep *keep, const struct work *object, uint64_t part_bytes,
                        bool goes_on, struct op *op)
{
    struct journal_object *row = &keep->row;
    row->number = 0;
    keep->goes_on = goes_on;
    if (keep_is_on(keep->station)) {
        keep_begin(keep, object);
        row->state = JOURNAL_CREATING;
        row->sum = keep->station->conf->checksum;
        if (goes_on) {
            row->part_bytes = part_bytes;
            row->mtime_ns = object->identity.mtime_ns;
            row->ctime_ns = object->identity.ctime_ns;
            row->inode = object->identity.inode;
        }
        keep_put(keep);
    }
    keep_flush(keep, op);
}

void keep_begun_upload(struct keep *keep, const char *upload_id, int64_t created_s)
{
    struct journal_object *row = &keep->row;
    row->state = keep->goes_on ? JOURNAL_MOVING : JOURNAL_ORPHAN;
    row->created_s = created_s;
    snprintf(row->upload_id, sizeof row->upload_id, "%s", upload_id);
    keep_put(keep);
}

/* One byte a part: whoever knew its id would have sent larger ones (s3/sweep). `until_s`: as
 * journal_object's. */
static void keep_put_doubt(struct keep *keep, int64_t until_s)
{
    struct journal_object row = {.number = keep->doubt,
                                 .state = JOURNAL_CREATING,
                                 .created_s = keep->doubt_s,
                                 .until_s = until_s,
                                 .part_bytes = 1};
    memcpy(row.key, keep->row.key, sizeof row.key);
    journal_put_object(keep->station->journal, &row);
}

void keep_doubt(struct keep *keep, int64_t asked_s)
{
    if (keep->row.number == 0 || !keep_is_on(keep->station)) return;
    keep->doubt = journal_new_number(keep->station->journal);
    keep->doubt_s = asked_s;
    keep_put_doubt(keep, 0);
}

/* What stays was begun by now: nobody else will say when its process ended. */
void keep_settle_doubt(struct keep *keep, bool over)
{
    if (keep->doubt == 0) return;
    if (over)
        journal_drop_object(keep->station->journal, keep->doubt);
    else
        keep_put_doubt(keep, (int64_t)(clock_wall_ns() / NS_PER_S));
    keep->doubt = 0;
}

void keep_begun_download(struct keep *keep, const struct work *object, const char *temp,
                         uint64_t inode, enum checksum_kind sum, uint64_t part_bytes)
{
    struct journal_object *row = &keep->row;
    row->number = 0;
    if (!keep_is_on(keep->station)) return;
    keep_begin(keep, object);
    row->state = JOURNAL_MOVING;
    row->sum = sum;
    row->part_bytes = part_bytes;
    row->inode = inode;
    snprintf(row->etag, sizeof row->etag, "%s", object->etag);
    snprintf(row->temp, sizeof row->temp, "%s", temp);
    keep_put(keep);
}

/* The row gets this boot, so that a later run believes what this one renames. */
void keep_found_download(struct keep *keep)
{
    if (!keep->row.is_of_this_boot) keep_put(keep);
    keep->row.is_of_this_boot = true;
}

void keep_part(struct keep *keep, const struct work *part)
{
    const struct work_result *result = &part->result;
    struct journal_part row = {.object = keep->row.number,
                               .number = part->part_number,
                               .offset = part->offset,
                               .bytes = part->bytes,
                               .confirmed = result->confirmed,
                               .checksum = result->checksum};
    if (keep->row.number == 0) return;
    memcpy(row.etag, result->etag, sizeof row.etag);
    journal_put_part(keep->station->journal, &row);
}

void keep_flush(struct keep *keep, struct op *op)
{
    if (keep->row.number > 0) {
        journal_flush(keep->station->journal, op);
        return;
    }
    op_begin(op);
    core_finish(keep->station->core, op, ERR_NONE);
}

/* --- a large one: the end --- */

void keep_end(struct keep *keep, const struct work *object)
{
    keep_done(keep->station, object, keep->row.number);
    keep->row.number = 0;
}

/* A failure of the object itself will not pass: its source changed, it may not be written, its
 * bytes are wrong. All others pass, or the user can mend them. */
bool keep_parks(const struct keep *keep, enum err err)
{
    bool goes_on = keep->row.number > 0 && keep->row.state == JOURNAL_MOVING;
    if (!goes_on || !keep_is_on(keep->station)) return false;
    return err == ERR_CANCELLED || err_class(err) != ERR_CLASS_OBJECT;
}

void keep_drop(struct keep *keep)
{
    if (keep->row.number > 0) journal_drop_object(keep->station->journal, keep->row.number);
    keep->row.number = 0;
}

void keep_orphan(struct keep *keep)
{
    keep->row.state = JOURNAL_ORPHAN;
    keep_put(keep);
    keep->row.number = 0;
}
