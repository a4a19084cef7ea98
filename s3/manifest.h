/* manifest: the text of a run's receipt: JSON lines, one an object that was moved, with a head in
 * front and an end behind. Pure.
 *
 *   {"argosy_manifest":1,"direction":"upload","root":"/scratch/run42","endpoint":"https://…",
 *    "bucket":"b","prefix":"run42/","tree":true,"started":"2026-11-23T20:00:00.000Z", …}
 *   {"path":"a/b","bucket":"b","key":"run42/a/b","size":5,"mtime":"1700000000.123456789",
 *    "checksum_kind":"crc32c","checksum":"yZRlqg==","etag":"\"…\"","version":"…","confirmed":true}
 *   {"end":true,"complete":true,"done":1,"failed":0,"skipped":0,"bytes":5}
 *
 * `path` is relative to `root`. A checksum is that of the bytes as they were read (or received) by
 * us, in base64, made in the same pass; a composite one ends "-N", with "parts":N and, where all
 * parts but the last have the same size, "part_size". `confirmed`: the server has checked or told
 * this checksum. Without `checksum` none was made, or (`"kept":true`) an earlier run of the same
 * job moved the object.
 *
 * Names: JSON is Unicode and file names are bytes. A path that is not UTF-8 stands in base64 as
 * `path_base64` instead of `path`, `root` likewise. Keys are always UTF-8.
 *
 * Manifests may be put one behind the other: a head holds until the next one, and of several lines
 * about one object the last counts. What a reader does not know, it skips: members of objects, and
 * whole lines that have neither a key nor what marks a head or an end. A line is at most
 * MANIFEST_LINE_BYTES_MAX long. */
#ifndef S3_MANIFEST_H
#define S3_MANIFEST_H

#include "compress/checksum.h"
#include "core/err.h"
#include "core/json.h"
#include "core/limits.h"
#include "s3/stamp.h"

#define MANIFEST_FORMAT         1u
#define MANIFEST_VERSION_BYTES  128u /* of an object's version id; AWS's have 32 */
#define MANIFEST_ENDPOINT_BYTES (HOST_BYTES_MAX + 17u) /* https://[host]:65535 and a 0 */
#define MANIFEST_NO_MTIME       INT64_MIN
/* Escaping turns one byte into six at most; the members' names and numbers take what is left. */
#define MANIFEST_LINE_BYTES_MAX (6 * (PATH_BYTES_MAX + KEY_BYTES_MAX) + 4096u)

enum manifest_kind {
    MANIFEST_HEAD,
    MANIFEST_OBJECT,
    MANIFEST_END,
    MANIFEST_UNKNOWN, /* of a later format: to be skipped */
};

struct manifest_head {
    uint32_t format;
    bool is_upload, is_tree;   /* tree: all below root and prefix; else one object */
    char root[PATH_BYTES_MAX]; /* absolute; "" when there is no folder: a pipe */
    char endpoint[MANIFEST_ENDPOINT_BYTES];
    char bucket[BUCKET_NAME_BYTES_MAX + 1];
    char prefix[KEY_BYTES_MAX + 1];
    char started[STAMP_ISO_BYTES];
};

struct manifest_object {
    char path[PATH_BYTES_MAX]; /* "-": a pipe */
    char bucket[BUCKET_NAME_BYTES_MAX + 1];
    char key[KEY_BYTES_MAX + 1];
    uint64_t bytes;
    int64_t mtime_ns;               /* of the file, since 1970; MANIFEST_NO_MTIME */
    struct checksum_value checksum; /* CHECKSUM_NONE: none was made */
    uint32_t part_count;            /* of a composite checksum, else 0 */
    uint64_t part_bytes;            /* of all parts but the last; 0: not equal, or not composite */
    char etag[ETAG_BYTES_MAX + 1];  /* with its quotes, or "" */
    char version[MANIFEST_VERSION_BYTES];
    bool confirmed, kept;
};

struct manifest_end {
    bool complete; /* the run ended by itself: all that was found is done, failed or skipped */
    uint64_t done, failed, skipped, bytes;
};

struct manifest_line { /* one of them, by kind */
    enum manifest_kind kind;
    struct manifest_head head;
    struct manifest_object object;
    struct manifest_end end;
};

/* A line with its "\n". MANIFEST_LINE_BYTES_MAX are enough. */
void manifest_write_head(struct writer *w, const struct manifest_head *head);
void manifest_write_object(struct writer *w, const struct manifest_object *object);
void manifest_write_end(struct writer *w, const struct manifest_end *end);

/* Without its "\n". Errors, with a word in *why: ERR_MANIFEST (not JSON, a value of another type,
 * a member that is too long, an object without a size or with a checksum that is none, a format
 * that is not ours). */
MUST_USE enum err manifest_parse(struct bytes text, struct manifest_line *line, const char **why);

#endif
