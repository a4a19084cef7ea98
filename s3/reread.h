/* reread: sums a range of a file, for who must know what is there: of a range that an earlier run
 * has written (a file that was not synced may have lost some with a power cut, and may have been
 * written by others since), and of a file that is compared with its object.
 *
 *     OPEN ─► OPENING ─► TAKE ─► TAKING ─► READ ⇄ READING ─► CLOSE ─► CLOSING ─► done
 *                        └─► (an empty range, whose sum is that of nothing) CLOSE
 *
 * Reference: none; what a file system keeps of unsynced writes is its own affair. */
#ifndef S3_REREAD_H
#define S3_REREAD_H

#include "core/machine.h"
#include "core/meter.h"
#include "s3/source.h"

#define REREAD_BUFS_MAX 4u /* of 1 MiB: what a direct file is read ahead by */

struct reread_range {
    struct file_open file;                /* its flags are set here */
    const struct file_identity *identity; /* what it must be all the time; NULL: anything */
    uint64_t offset, bytes;
    enum checksum_kind kind;
    bool with_md5;
    struct meter *read_bytes; /* goes up as bytes come; NULL: nobody asks */
};

struct reread {
    struct machine machine;
    struct checksum_value checksum; /* of the range, when the op ends without an error */
    uint8_t md5[DIGEST_MD5_BYTES];  /* as well, where it was asked for */
    uint64_t read_bytes;
    /* private */
    struct reread_range range;
    struct source source;
    struct pool *pool;
    struct pool_wish wish;
    struct sums sums;
    struct op step;
};

void reread_init(struct reread *reread, struct core *core);
/* What `range` points to stays in place until the end. Errors: as source_open() and source_read();
 * ERR_FILE_CHANGED: it is not, or no longer, what `identity` says. */
void reread_start(struct reread *reread, const struct reread_range *range, struct op *op);
void reread_cancel(struct reread *reread); /* harmless when idle */

#endif
