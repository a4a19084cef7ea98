/* part: sends one part of an upload, or one whole small object: stages the bytes, sums them in the
 * same pass, signs, sends, and compares what the server says.
 *
 *     OPEN ─► OPENING ─► SIZE ─► STAGING ─► READ ─► READING ─► QUEUE ─► QUEUING ─► SEND ─► …
 *     … SENDING ─► JUDGE
 *     what is staged waits in QUEUING for its turn on the wire (station.senders, sched/depth)
 *     a part larger than its share of memory is read twice: READ, READING … to sum, then
 *     FILL ─► FILLING ─► PUSH ─► PUSHING … to send, then REPLY ─► REPLYING; a difference fails it
 *     a pipe's part waits in HOLD ─► HOLDING, between READING and SEND, until its upload says
 *     part_go() any error ─► LEAVE ─► LEAVING ─► CLOSE ─► CLOSING ─► done  (or WAITING, and FILL
 *                                                                          again)
 *
 * The guarantee: the server has either exactly the bytes whose checksum is in work->result, read
 * from one state of the file, or no such part. A slot: made once, used for one work after another;
 * nothing is allocated per work. It does not own the work.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html,
 * API_PutObject.html */
#ifndef S3_PART_H
#define S3_PART_H

#include "core/machine.h"
#include "s3/request.h"
#include "s3/source.h"
#include "s3/station.h"
#include "s3/work.h"

#define PART_IOVECS_MAX (STREAM_IOVECS_MAX - 1)
#define PART_TWICE_BUFS 4u /* staged at a time of a part that is read twice */

struct part_text { /* header values, kept while the call is out */
    char checksum[CHECKSUM_TEXT_BYTES];
    char md5[25];
    char sha256[65];
    char mtime[32];
    char number[8];
};

struct part {
    struct machine machine;
    struct station *station;
    struct work *work;
    struct source *source; /* our own file, or a pipe that its upload lends us */
    struct op *staged;     /* a pipe's: told when we are done with it; or NULL */
    /* private */
    struct source file_source;
    struct pool *pool;
    struct pool_wish wish;
    struct sums sums;
    struct sums_value value, sent_value; /* of the first and of the second reading */
    struct request request;
    struct request_call call;
    struct op step, turn;
    struct timer backoff;
    struct again again;
    struct iovec iovecs[PART_IOVECS_MAX];
    struct part_text text;
    uint64_t at_bytes;             /* read so far, in this reading */
    uint32_t chunk_bytes;          /* in the bufs now */
    uint64_t since_ns, staging_ns; /* of reading it: since when, and how long before that */
    bool twice, request_open, md5, holding;
    bool sends;    /* it has its turn */
    bool doubtful; /* an attempt that was given up may arrive yet */
};

void part_init(struct part *part, struct station *station);
void part_fini(struct part *part);
/* The result goes to work->result; op->err is the same error. */
void part_start(struct part *part, struct work *work, struct op *op);
/* From a pipe that is positioned at the part: at most work->bytes, which becomes what was there.
 * `staged` is done when the bytes are in and the pipe is free for the next part; then the part
 * waits for part_go(), before which the caller may still complete the work: its kind, number and
 * upload id. */
void part_start_pipe(struct part *part, struct work *work, struct source *pipe, struct op *staged,
                     struct op *op);
void part_go(struct part *part);
bool part_is_reading(const struct part *part); /* what it sends next */
void part_blame(const struct part *part, struct blame_tick *tick, double weight); /* under way */
/* Of the request that is out: acknowledged by the peer's TCP, not by the server yet; of large ones.
 */
uint64_t part_moved_bytes(const struct part *part);
void part_cancel(struct part *part); /* harmless when idle; op is done as always */
/* The most bytes that are staged whole, with these pools: what pipes may use for a part. */
uint64_t part_staged_bytes_max(const struct station *station);

#endif
