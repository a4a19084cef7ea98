/* recheck: are the bytes of a range that an earlier run has written still in its file? Reads them
 * and compares their checksum with what the journal says: a file that was not synced may have lost
 * some with a power cut, and may have been written by others since.
 *
 *     OPEN ─► OPENING ─► TAKE ─► TAKING ─► READ ⇄ READING ─► CLOSE ─► CLOSING ─► done
 *
 * Reference: none; what a file system keeps of unsynced writes is its own affair. */
#ifndef S3_RECHECK_H
#define S3_RECHECK_H

#include "core/machine.h"
#include "s3/source.h"
#include "s3/station.h"
#include "s3/work.h"

#define RECHECK_BUFS_MAX 4u /* of 1 MiB: what a direct file is read ahead by */

struct recheck {
    struct machine machine;
    struct station *station;
    const struct work *work;
    /* private */
    struct source source;
    struct pool_wish wish;
    struct sums sums;
    struct op step;
    uint64_t read_bytes;
};

void recheck_init(struct recheck *recheck, struct station *station);
/* Of work->path, the range that `work` names, against work->written. op->err: ERR_NONE, they are
 * there; ERR_CHECKSUM, they are others; else they cannot be read. */
void recheck_start(struct recheck *recheck, const struct work *work, struct op *op);
void recheck_cancel(struct recheck *recheck); /* harmless when idle */

#endif
