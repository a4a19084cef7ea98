/* range: receives one range of an object, or one whole object, and writes it to its place.
 *
 *     LOOK ─► LOOKING ─► REQUEST (or END: an earlier run has done it, and its file is there)
 *     LOOK ─► CHECKING ─► REQUEST (or END: an earlier run has written it, and its bytes are there)
 *     REQUEST ─► REQUESTING ─► OPEN ─► OPENING ─► TAKE ─► TAKING ─► PUMP ─► PUMPING ─► JUDGE
 *                                                    a body that breaks: PAUSE ─► PAUSING ─►
 *                                                    REQUEST
 *     JUDGE or any error ─► LEAVE ─► LEAVING ─► LAND ─► LANDING ─► done
 *
 * PUMPING is one receive and several writes at a time: a full buf is summed while it is warm, and
 * written while the next one is received. A body that breaks is asked for again from where it
 * broke, pinned to the ETag of the first reply, so that nothing is ever a mixture of two objects;
 * so is an answer whose length cannot be that object's.
 *
 * GET makes the file itself (s3/sink) once the reply is known to be good, and verifies it against
 * the full-object checksum of the reply where there is one: what does not fit is fetched anew, as
 * often as s3/policy allows; RANGE writes into a file that its
 * download has made, and gives the checksum of its bytes back; SUM_OBJECT does that without a file.
 * A slot, as part is.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */
#ifndef S3_RANGE_H
#define S3_RANGE_H

#include "core/machine.h"
#include "s3/request.h"
#include "s3/reread.h"
#include "s3/sink.h"
#include "s3/station.h"
#include "s3/work.h"

#define RANGE_BUFS_MAX 3u /* one is received into, two are written: a disk's stalls are covered */

struct range_lane { /* a buf and the write that empties it */
    struct file_io io;
    struct range *range;
    struct buf *buf;
    uint64_t offset; /* in the file */
    bool full;       /* waits for its turn to be written */
};

struct range {
    struct machine machine;
    struct station *station;
    struct work *work;
    /* private */
    struct sink sink;  /* GET */
    struct file *file; /* the sink's, or ours */
    struct file own_file;
    struct request request;
    struct request_call call;
    struct pool_wish wish;
    struct op step, reading, checked;
    struct reread reread;
    struct timer backoff;
    struct again again;
    uint64_t failed_at_bytes; /* where the body broke last */
    struct statx there;       /* what has the target's name */
    struct checksum checksum;
    struct checksum_value expected;
    struct range_lane lanes[RANGE_BUFS_MAX];
    struct range_lane *into; /* the lane that is received into; NULL: none */
    uint32_t lane_count, next_lane, next_write, writes_out;
    uint64_t received_bytes, written_bytes, total_bytes; /* total: of this range */
    enum err broken;                                     /* of a body */
    char range_text[64];
    bool body_open, body_done, opened, has_expected;
};

void range_init(struct range *range, struct station *station);
void range_fini(struct range *range);
/* The result goes to work->result; op->err is the same error. */
void range_start(struct range *range, struct work *work, struct op *op);
void range_cancel(struct range *range);
uint64_t range_left_bytes(const struct range *range); /* to be received, once that is known */
void range_blame(const struct range *range, struct blame_tick *tick, double weight); /* under way */

#endif
