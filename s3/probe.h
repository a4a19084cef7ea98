/* probe: looks at one thing for a check (s3/match), and changes nothing: asks the server about an
 * object (HEAD), the file system about a file (STAT), or reads a range of a file and sums it
 * (SUM_FILE).
 *
 *     HEAD:      ASK ─► ASKING ─► TOLD ─► done
 *     STAT:      STAT ─► STATTING ─► SEEN ─► done
 *     SUM_FILE:  SUM ─► SUMMING ─► SUMMED ─► done
 *
 * A file is read in the state that work->identity says, and never in
 * two: ERR_FILE_CHANGED, ERR_SHORT_READ. A slot, as part and range are; a range of an object is
 * read back by range. */
#ifndef S3_PROBE_H
#define S3_PROBE_H

#include <linux/stat.h>

#include "core/machine.h"
#include "s3/request.h"
#include "s3/reread.h"
#include "s3/station.h"
#include "s3/work.h"

struct probe {
    struct machine machine;
    struct station *station;
    struct work *work;
    /* private */
    struct request request;
    struct request_call call;
    struct reread reread;
    struct op step;
    struct statx there;
};

void probe_init(struct probe *probe, struct station *station);
void probe_fini(struct probe *probe);
bool probe_takes(const struct work *work); /* is it of a kind that a probe does? */
/* The result goes to work->result; op->err is the same error. HEAD: work->bytes, and in the result
 * ETag, version and, if the server has one (`confirmed`), the checksum. STAT: work->identity and
 * work->bytes. */
void probe_start(struct probe *probe, struct work *work, struct op *op);
void probe_cancel(struct probe *probe); /* harmless when idle */
void probe_blame(const struct probe *probe, struct blame_tick *tick, double weight); /* under way */

#endif
