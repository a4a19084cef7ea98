/* work: what a core is given to do: move one small object, or one part or range of a large one; or
 * look at one.
 *
 * Plain data (sched/task.h): names and numbers, the facts that pin source and object, and, once it
 * ran, the result. Paths are relative to the run's folder (s3/mover.h). A pool of works belongs to
 * one core and bounds what that core has under way. */
#ifndef S3_WORK_H
#define S3_WORK_H

#include "compress/checksum.h"
#include "core/file.h"
#include "core/limits.h"
#include "sched/task.h"

#define WORK_WHY_BYTES 320u
#define WORK_NO_OWNER  UINT32_MAX
#define WORK_NO_MTIME  FILE_KEEP_MTIME

#define WORK_VERSION_BYTES 128u /* AWS's version ids have 32 */

enum work_kind {
    WORK_PUT,   /* a whole file as an object, in one request */
    WORK_PART,  /* a part of a multipart upload */
    WORK_GET,   /* a whole object to a file, in one request */
    WORK_RANGE, /* a range of an object, to its place in a file that is there */
    /* of those that only look (s3/match): */
    WORK_HEAD,       /* what the server says of an object: size, ETag, checksum */
    WORK_STAT,       /* what the file system says of a file */
    WORK_SUM_FILE,   /* a range of a file, summed */
    WORK_SUM_OBJECT, /* a range of an object, received, summed and dropped */
};

struct work_result {
    enum err err;
    int raw;
    uint32_t status; /* HTTP, 0: none */
    uint32_t attempts;
    bool confirmed; /* the server echoed, or gave us, the checksum; or none was asked for */
    bool doubtful;  /* PART: an earlier attempt, whose answer got lost, may arrive yet */
    bool kept;      /* GET, RANGE: it was there already, from an earlier run */
    uint64_t moved_bytes;
    struct checksum_value checksum; /* of the bytes moved */
    uint32_t part_count;            /* of a composite checksum, else 0 */
    uint64_t part_bytes;            /* multipart_equal_bytes() of those parts */
    int64_t mtime_ns;               /* of the file, since 1970, or WORK_NO_MTIME */
    char etag[ETAG_BYTES_MAX + 1];
    char version[WORK_VERSION_BYTES]; /* of the object, or "" */
    char why[WORK_WHY_BYTES];
};

struct work {
    struct task task;
    enum work_kind kind;
    uint32_t endpoint; /* index into conf->endpoints */
    uint32_t owner;    /* index of the transfer at home that waits for it, or WORK_NO_OWNER */
    uint32_t part_number;
    uint64_t offset, bytes; /* of the part or range; of the whole object for PUT and GET */
    bool size_known;  /* GET: `bytes` is the object's size, not to be learned from the reply */
    bool through;     /* GET: to a device or pipe, in order, not to a file */
    bool buffered;    /* RANGE: O_DIRECT would touch the neighbours' blocks */
    bool server_sums; /* PART: the server said at the creation that it checks our checksums */
    bool was_done; /* GET: by an earlier run: if its file is there still, nothing is to be done */
    /* RANGE, SUM_…: what to compute; HEAD: what is wanted. The others find out for themselves. */
    enum checksum_kind sum;
    bool md5; /* SUM_FILE: the MD5 instead, 16 bytes in result.checksum.data */
    struct file_identity
        identity; /* PART, SUM_FILE: the file as it must still be; STAT: as it is */
    struct checksum_value
        written; /* RANGE: by an earlier run, to be looked at first; count 0: not */
    struct work_result result;
    char bucket[BUCKET_NAME_BYTES_MAX + 1];
    char etag[ETAG_BYTES_MAX + 1]; /* GET, RANGE, …: the object as it must still be; "" any */
    char upload_id[UPLOAD_ID_BYTES_MAX + 1];
    char key[KEY_BYTES_MAX + 1];
    char path[PATH_BYTES_MAX]; /* the last: of names that are not long one page is touched */
};

struct work_pool {
    /* private */
    char *pages; /* a work begins at every second one */
    struct list free;
    uint32_t count_max, free_count;
    uint32_t used_count; /* those behind were never taken: their memory was not even touched */
};

MUST_USE enum err work_pool_init(struct work_pool *pool, uint32_t count_max);
void work_pool_fini(struct work_pool *pool);                   /* all must be home */
struct work *work_take(struct work_pool *pool, uint16_t home); /* NULL: all are under way */
void work_give(struct work_pool *pool, struct work **work);
uint32_t work_pool_free_count(const struct work_pool *pool);

/* Records the first failure only. `why` may be "". */
void work_fail(struct work *work, enum err err, int raw, const char *why);

#endif
