/* upload: one large file as a multipart upload: creates it, cuts parts for the cores to send,
 * gathers their results, and completes it; or aborts it, or parks it for a later run.
 *
 *     PREPARE ─► INTEND ─► CREATE ─► MOVE ─► MOVING (─► TIDY) ─► SEAL ─► COMPLETE ─► LEAVE ─►
 *     (CLEAN, ABORT) ─► done
 *        ▲ │                          ▲        │ ▲        ▲         │
 *        │ │ no such upload           │ others ▼ │        │         │ the parts are in doubt
 *        └─┼──────────────────────────┴────── LIST ───────┴─────────┘
 *          └ an earlier run's ────────────────▲
 *
 * (Each of the verbs that has something out is followed by its verb-ing.)
 *
 * With a journal (s3/keep): an upload that an earlier run of the job has begun, of the same state
 * of the file, is gone on with: ListParts says which of the journal's parts are there, and the
 * others are sent. One that is of no use, since the file changed, is aborted first (s3/sweep). An
 * upload that fails for a passing reason, or is cancelled, is left on the server for a later run;
 * without a journal it is aborted.
 *
 * Where an answer to the creation got lost, and it was asked for again, the other upload that the
 * server may have made is looked for and aborted (TIDY, CLEAN), once parts of ours are there: only
 * what still has none is taken for it (s3/sweep).
 *
 * Whether a completion made the object is for s3/completion to say; an object that is something
 * else is begun anew. Where two copies of a part may have arrived, and where the server does not
 * accept the parts, ListParts comes first: a part with other bytes is sent again. An upload that
 * the server does not know any more is begun anew, UPLOAD_RESTARTS_MAX times.
 *
 * It runs on one core, holds no bufs, and is pulled: whoever has room for work asks upload_next()
 * for a part, lends it to any core, and hands it back to upload_on_work(). Every part is pinned to
 * the identity that the file had at the start. MOVING ends when no part is out and all are done or
 * one has failed. An upload of a pipe (s3/intake) has no file: its parts are added as they come,
 * with upload_push(). Reference:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html */
#ifndef S3_UPLOAD_H
#define S3_UPLOAD_H

#include "core/machine.h"
#include "s3/completion.h"
#include "s3/keep.h"
#include "s3/multipart.h"
#include "s3/request.h"
#include "s3/source.h"
#include "s3/station.h"
#include "s3/twin.h"
#include "s3/work.h"

#define UPLOAD_RESTARTS_MAX 2u /* a bucket's rule that aborts uploads strikes once */
#define UPLOAD_LISTS_MAX    4u /* of parts: two copies do not race for ever */

struct upload {
    struct machine machine;
    struct station *station;
    struct work *object; /* a WORK_PUT that describes it; its result becomes the upload's */
    uint32_t index;      /* of this slot: the owner of its works */
    /* Set by the owner, before the start and before upload_next(): of parts that are cut from now
     * on; 0: no wish. */
    uint64_t wish_bytes;
    /* private */
    struct source source; /* only to look at the file once, at the start */
    struct multipart parts;
    struct request request;
    struct request_call call;
    struct xml_created created;
    struct xml_parts listed;
    struct completion completion;
    struct op step, completed;
    struct op *created_op, *created_owner; /* the owner NULL: told already */
    bool pipe;
    char upload_id[UPLOAD_ID_BYTES_MAX + 1];
    char mtime_text[32], part_marker[16];
    uint32_t out_count, attempts;
    int64_t created_s;                      /* by the server's clock */
    uint32_t restarts, lists, listed_count; /* the last: parts seen in this listing */
    bool moving, all_confirmed, server_sums, doubtful, lost, restarting;
    struct twin twin;  /* what a doubtful creation may have left */
    bool asked;        /* for an upload: the server may have made one */
    bool parked;       /* it stays on the server, for a later run */
    enum err step_err; /* of the last step */
    struct op kept;    /* of the journal, and of a sweep */
    struct keep keep;
};

void upload_init(struct upload *upload, struct station *station, uint32_t index);
void upload_fini(struct upload *upload);
/* `object` stays the caller's; the result goes to object->result, the same error to op. `created`
 * is done when there are parts to give (or to push), or with the error that ended it before. */
void upload_start(struct upload *upload, struct work *object, struct op *created, struct op *op);
void upload_start_pipe(struct upload *upload, struct work *object, struct op *created,
                       struct op *op);
/* A part more of a pipe, described in `work`. Errors: ERR_TOO_LARGE, ERR_NO_MEMORY, or the upload's
 * own. */
MUST_USE enum err upload_push(struct upload *upload, uint64_t bytes, struct work *work);
void upload_finish_parts(struct upload *upload); /* of a pipe: no more will come */
/* Describes the next part in `work` (taken from a pool): false when there is none now. */
MUST_USE bool upload_next(struct upload *upload, struct work *work);
/* Of its object, not cut into parts yet. */
static inline uint64_t upload_uncut_bytes(const struct upload *upload)
{
    return upload->object->bytes - min_u64(upload->object->bytes, upload->parts.bytes);
}
void upload_on_work(struct upload *upload, const struct work *work);
static inline bool upload_asks(const struct upload *upload) /* the server something, by itself */
{
    return request_is_busy(&upload->request);
}
/* Issues no more parts, and leaves when those out are back. */
void upload_cancel(struct upload *upload);

#endif
