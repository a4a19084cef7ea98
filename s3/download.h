/* download: one large object to one file, in ranges that the cores receive in parallel: learns the
 * object's size, ETag and checksum, makes the file, hands ranges out, verifies, and gives the file
 * its name.
 *
 *     HEAD ─► HEADING ─► LOOK ─► PREPARE ─► (PARTS ─► LEARNING) ─► OPEN ─► OPENING ─► OPENED
 *     OPENED ─► MOVE ─► MOVING ─► VERIFY;  VERIFY or any error ─► LAND ─► LANDING ─► done
 *     PREPARE ⇄ CLEARING: what an earlier run left is of no use
 *     PREPARE ─► STATTING ─► LAND: it is done already;  or goes on with its file
 *     OPENED ─► OPENING: that file is not there, or another one
 *
 * With a journal (s3/keep): the file that an earlier run of the job has begun, of the same object,
 * is gone on with; the ranges that it has written are read back (s3/reread), and fetched only if
 * they are not what they were. A download that fails for a passing reason, or is cancelled, leaves
 * its file for a later run.
 *
 * Pulled, as upload is. Every range is asked for with If-Match of the ETag. Verification: a
 * full-object CRC from those of the ranges; a checksum of checksums by cutting the ranges at the
 * stored parts' boundaries and comparing each; a SHA-256 of the whole object by one single range.
 * What does not fit is fetched again: the range, or where nobody can tell which one, all of them.
 * An object without a checksum is counted as not verified. */
#ifndef S3_DOWNLOAD_H
#define S3_DOWNLOAD_H

#include "core/machine.h"
#include "s3/keep.h"
#include "s3/multipart.h"
#include "s3/request.h"
#include "s3/sink.h"
#include "s3/station.h"
#include "s3/stored.h"
#include "s3/work.h"

#define DOWNLOAD_VAIN_MAX    5u /* with the part's first, six attempts, as s3/policy has it */
#define DOWNLOAD_RANGE_BYTES (16ull * MIB) /* few requests; still many ranges for 64 connections */

struct download {
    struct machine machine;
    struct station *station;
    struct work *object; /* a WORK_GET that describes it; its result becomes the download's */
    uint32_t index;      /* of this slot: the owner of its works */
    uint64_t wish_bytes; /* as struct upload's, of ranges */
    /* private */
    struct sink sink;
    struct multipart ranges;
    struct request request;
    struct request_call call;
    struct stored stored; /* the parts of a composite checksum */
    struct op step, kept;
    struct keep keep;
    struct past_object *past; /* what an earlier run has left, until it is taken up or swept */
    struct statx there;       /* what has the target's name */
    struct op *opened_owner;  /* NULL: told already */
    enum checksum_kind sum;
    struct checksum_value expected; /* of the whole, or of the parts' checksums */
    uint32_t expected_parts;        /* 0: full object */
    int64_t mtime_ns;
    uint32_t out_count;
    uint32_t vain_count; /* ranges that came, but were not what the checksum says */
    uint64_t kept_bytes; /* of ranges that an earlier run wrote */
    bool moving, opened, parts_known;
    bool was_done;   /* by an earlier run */
    bool lost;       /* what it left is not there, or not what it was */
    bool parked;     /* the temporary file stays, for a later run */
    bool unverified; /* the ranges are summed, but there is nothing to compare with */
};

void download_init(struct download *download, struct station *station, uint32_t index);
void download_fini(struct download *download);
/* `opened` is done when there are ranges to give, or with the error that ended it before. */
void download_start(struct download *download, struct work *object, struct op *opened,
                    struct op *op);
MUST_USE bool download_next(struct download *download, struct work *work);
uint64_t download_uncut_bytes(const struct download *download);
void download_on_work(struct download *download, const struct work *work);
static inline bool
download_asks(const struct download *download) /* the server something, by itself */
{
    return request_is_busy(&download->request);
}
void download_cancel(struct download *download);

#endif
