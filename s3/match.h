/* match: is one object, or file, what it should be? Compares what is there with the source's other
 * side, or with a line of a manifest, by the cheapest way that is sure.
 *
 *     LOOK ─► LOOKING ─► CHOOSE (─► LEARN ─► LEARNING) ─► CUT ─► READ ─► READING ─► JUDGE ─► done
 *
 *     sizes differ                        changed
 *     a manifest's line and an object     the server's checksum, where it is of the same kind and
 *                                         form; else the object is read back and summed
 *     a manifest's line and a file        the file is read and summed
 *     a file and an object                the file is read and compared with the server's checksum;
 *                                         where it has none, with its ETag, if that is the MD5;
 *                                         where it is not, both are read
 *
 * A checksum of checksums is compared at the boundaries of its parts: those that the manifest
 * tells, or those that the server has stored (s3/stored). With conf->read_back objects are read
 * back always, with conf->cheap never; what then can be compared by size only is `by_size`.
 *
 * It runs on the home core, holds no bufs, and is pulled, as upload and download are: whoever has
 * room asks match_next() for a work, lends it to any core, and hands it back to match_on_work(). An
 * object is pinned to the ETag, a file to the identity, that it had when it was looked at. */
#ifndef S3_MATCH_H
#define S3_MATCH_H

#include "core/machine.h"
#include "s3/multipart.h"
#include "s3/station.h"
#include "s3/stored.h"
#include "s3/work.h"

#define MATCH_RANGE_BYTES (16ull * MIB) /* more than this is read in ranges, by several cores */
#define MATCH_WHY_BYTES   WORK_WHY_BYTES

enum match_verdict {
    MATCH_EQUAL,
    MATCH_CHANGED, /* both are there, and differ */
    MATCH_MISSING, /* what should be there is not */
    MATCH_EXTRA,   /* there, and not in what it is compared with */
    MATCH_FAILED,  /* could not be looked at: err, raw */
    MATCH_SKIPPED, /* nothing that can be compared */
};

struct match_expected { /* of a manifest's line */
    uint64_t bytes;
    struct checksum_value checksum; /* CHECKSUM_NONE: none */
    uint32_t part_count;            /* composite; else 0 */
    uint64_t part_bytes;            /* of all parts but the last, or 0 */
    char etag[ETAG_BYTES_MAX + 1];
};

struct match_task {    /* filled by the owner, before match_start() */
    bool file, object; /* who is looked at: one of them, with `has_expected`, or both */
    bool file_is_copy; /* what is judged, where both are: the file; else the object */
    bool has_expected;
    bool unlisted;     /* there may be no such object: then a file that is the copy is extra */
    bool has_identity; /* of the file, from a walk: it need not be looked at */
    uint32_t endpoint;
    struct file_identity identity;
    struct match_expected expected;
    char bucket[BUCKET_NAME_BYTES_MAX + 1];
    char key[KEY_BYTES_MAX + 1];
    char path[PATH_BYTES_MAX]; /* for opening: relative to the station's folder */
};

enum match_side { MATCH_FILE, MATCH_OBJECT, MATCH_SIDES };

struct match_half { /* one of the two, as it was found */
    bool wanted, asked, there;
    bool reads; /* its content */
    uint64_t bytes;
    struct multipart ranges; /* with their sums, as they come */
};

struct match {
    struct machine machine;
    struct station *station;
    struct link link;    /* the owner's */
    struct op op, ready; /* the owner's */
    bool large;          /* the owner's: it counts as one */
    struct match_task task;
    uint32_t index; /* of this slot: the owner of its works */
    enum match_verdict verdict;
    enum err err;
    int raw;
    bool by_size; /* EQUAL: no checksum was compared */
    char why[MATCH_WHY_BYTES];
    /* private */
    struct match_half halves[MATCH_SIDES];
    struct stored stored;
    struct op step;
    enum checksum_kind kind;         /* of the sums that are made */
    struct checksum_value server;    /* NONE: it has none */
    struct checksum_value reference; /* that the sums must make; NONE: the two halves' must agree */
    uint32_t server_parts, reference_parts;
    char etag[ETAG_BYTES_MAX + 1]; /* of the object, as it was looked at */
    uint32_t out_count;
    bool md5; /* the file is summed by that, to be compared with the ETag */
    uint8_t etag_md5[DIGEST_MD5_BYTES];
    bool looking, reading, learned, ready_told, judged;
};

void match_init(struct match *match, struct station *station, uint32_t index);
void match_fini(struct match *match);
/* match->task is filled; match->op and match->ready are initialised. There are works to give at
 * once; and again when `ready` is done, which it always is before `op`. match->verdict and err tell
 * how it ended: op->err is ERR_NONE also after a match that failed, but for one that was cancelled,
 * had no memory, or met an error of class RUN by itself. */
void match_start(struct match *match);
bool match_is_large(const struct match *match); /* its works now are ranges of a large object */
MUST_USE bool match_next(struct match *match, struct work *work);
void match_on_work(struct match *match, const struct work *work);
void match_cancel(struct match *match);

#endif
