/* station: what the transfers of one core share: its ways to the endpoints, the run's options, the
 * folder that paths are relative to, and the counters that the command reads. */
#ifndef S3_STATION_H
#define S3_STATION_H

#include "core/aside.h"
#include "core/meter.h"
#include "core/semaphore.h"
#include "s3/client.h"
#include "s3/journal.h"
#include "s3/past.h"
#include "s3/sweep.h"
#include "sched/task.h"

struct station {
    struct core *core;
    const struct conf *conf;
    struct aside *aside; /* file times, folders, names */
    struct client clients[CONF_ENDPOINTS_MAX];
    /* What of each rank may be sent at a time: what is staged ahead waits here (sched/depth). */
    struct semaphore senders[TASK_RANKS];
    int folder_fd;             /* the run's local folder, or AT_FDCWD */
    uint64_t resolve;          /* for what is opened below it: RESOLVE_BENEATH, or 0 */
    uint64_t temp_tag;         /* of a job's temporary files; 0: they are nobody's */
    uint32_t file_mode;        /* of files that are made, the umask taken off */
    struct meter done_bytes;   /* acknowledged by the server, or written */
    struct meter moving_bytes; /* of parts that are out: acknowledged by the peer's TCP */
    struct meter before_bytes; /* the same, by an earlier run, of large objects under way */
    struct meter stray_files;  /* temporary ones that the disk did not let go */
    struct journal *journal;   /* on the home core only; NULL: none is kept */
    struct past *past;         /* what it had from earlier runs, then */
    struct sweep *sweep;       /* removes what is of no use; on the home core only */
};

#endif
