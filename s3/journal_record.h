/* journal_record: what the journal keeps, as plain data.
 *
 *   job     one command: what it was asked, who works on it, how it stands
 *   object  one large object that is under way: a multipart upload or a ranged download
 *   part    a part of it that is done: acknowledged by the server, or written
 *   mark    16 bytes that stand for an object that is done, in the state that it had then
 *
 * Never secrets. Texts are 0-terminated. Small objects under way leave nothing here; a large one
 * leaves its mark, and its rows go, when it is done. */
#ifndef S3_JOURNAL_RECORD_H
#define S3_JOURNAL_RECORD_H

#include "compress/checksum.h"
#include "core/limits.h"
#include "core/owner.h"

#define JOURNAL_OPTIONS_BYTES   512u
#define JOURNAL_ARGUMENTS_BYTES 8192u
#define JOURNAL_URL_BYTES       (HOST_BYTES_MAX + 17u) /* https://host:port */

enum journal_direction { JOURNAL_UPLOAD = 1, JOURNAL_DOWNLOAD };

enum journal_state {
    JOURNAL_RUNNING = 1, /* or its process died: see its owner */
    JOURNAL_PARKED,      /* stopped, with something left to do */
    JOURNAL_FAILED,      /* ended by itself, but some objects failed */
    JOURNAL_DONE,
};

struct journal_job {
    int64_t id;                                  /* from 1 */
    uint64_t tag;                                /* random; of the job's temporary files */
    int64_t created_s, updated_s, lease_until_s; /* since 1970 */
    struct owner owner;
    enum journal_state state;
    uint64_t done, failed, left; /* objects of its last run, when that ended */
    /* what was asked: the command's identity */
    enum journal_direction direction;
    char source[PATH_BYTES_MAX], target[PATH_BYTES_MAX]; /* absolute path, or s3:// */
    char endpoint[JOURNAL_URL_BYTES];
    char bucket[BUCKET_NAME_BYTES_MAX + 1], prefix[KEY_BYTES_MAX + 1];
    char
        options[JOURNAL_OPTIONS_BYTES]; /* those that decide what is moved, and as what: compared */
    /* Not part of the identity: what a later command must know of these options. */
    bool recursive;
    uint32_t fsync, spread; /* enum conf_fsync; 0: keys are not spread */
    /* not part of the identity: the command line's options, to be used again; each ends with a 0 */
    char arguments[JOURNAL_ARGUMENTS_BYTES];
    uint32_t arguments_bytes;
};

enum journal_object_state {
    JOURNAL_CREATING =
        1, /* an upload may be there whose id nobody knows yet; or a temporary file */
    JOURNAL_MOVING,
    JOURNAL_ORPHAN, /* of no use any more: to be aborted, or removed */
};

struct journal_object {
    uint32_t number; /* from 1, within its job */
    enum journal_object_state state;
    enum checksum_kind sum;
    int64_t created_s;
    uint64_t bytes,
        part_bytes; /* part_bytes 0: cut elsewhere than at equal distances, as it was sent */
    int64_t mtime_ns, ctime_ns; /* uploads: the source's */
    uint64_t inode;             /* of the source, or of the temporary file */
    char key[KEY_BYTES_MAX + 1];
    char etag[ETAG_BYTES_MAX + 1];           /* downloads: the object's */
    char upload_id[UPLOAD_ID_BYTES_MAX + 1]; /* uploads */
    char temp[PATH_BYTES_MAX];               /* downloads: relative to the target folder */
    int64_t until_s; /* an upload without an id was begun by then; 0: its process may live */
    /* Of a row that was read: written since this machine was started. All that are written are. */
    bool is_of_this_boot;
};

struct journal_part {
    uint32_t object, number; /* from 1 */
    uint64_t offset, bytes;
    bool confirmed; /* the server echoed its checksum */
    struct checksum_value checksum;
    char etag[ETAG_BYTES_MAX + 1]; /* uploads */
};

struct journal_mark {
    uint8_t data[16];
};

#endif
