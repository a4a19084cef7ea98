/* sweep: removes what large objects have left that nobody goes on from: uploads on the server, and
 * temporary files. One after the other, beside whatever else its core does.
 *
 *     TAKE ─► ABORT ─► ABORTING ─► ABORTED ─► TELL            an upload whose id is known
 *     TAKE ─► LIST ─► LISTING ─► LISTED ─► ABORT … ─► LIST    one whose id got lost, until the list
 *                                                             has none
 *     TAKE ─► FOLDER ─► FOLDING ─► FOLDED ─► UNLINK ─► UNLINKING ─► SHUT ─► SHUTTING ─► TELL
 *     TELL ─► TAKE, until nothing is asked for                a temporary file
 *
 * An upload whose CreateMultipartUpload was sent, but not answered before its process died, is
 * looked for among all uploads of its key: those that were initiated between the word of it in the
 * journal and the end of that process are taken for ours, with the times moved to the server's
 * clock. (A page of the listing begins with those of the key itself, by the order of names.) What
 * cannot be removed stays in the journal, for the next sweep, and is named.
 *
 * So is the twin of an upload: where CreateMultipartUpload was sent more than once, and the answer
 * to one attempt got lost, the server may have two, of which one has an id that nobody knows. It is
 * listed once, unless there may be more.
 *
 * Temporary files are reached from the folder that they are below, never through a symbolic link
 * that leads out of it, and only by names that are ours. Reference:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
#ifndef S3_SWEEP_H
#define S3_SWEEP_H

#include "core/machine.h"
#include "s3/past.h"
#include "s3/request.h"
#include "s3/xml.h"

#define SWEEP_IDS_MAX    8u  /* of one listing; the next one brings the rest */
#define SWEEP_ROUNDS_MAX 16u /* our runs leave one or two uploads of a key: more are not ours */
#define SWEEP_CLOCK_S    5   /* clocks in seconds, of several machines */
#define SWEEP_TEMP_MARK  ".argosy-"

struct sweep_place { /* where the objects are */
    struct client *client;
    const struct log *log;
    const char *bucket;
    int folder_fd; /* of temporary files */
    uint64_t resolve;
    int64_t until_s; /* the process that left uploads without an id was dead by then */
};

struct sweep {
    uint32_t aborted, removed, failed; /* uploads, files; objects of which something stays */
    /* private */
    struct machine machine;
    struct core *core;
    struct sweep_place place;
    struct op over, step;
    struct list queue;
    struct past_object *object; /* that is being swept */
    struct request request;
    struct request_call call;
    struct xml_names listed;
    char ids[SWEEP_IDS_MAX][UPLOAD_ID_BYTES_MAX + 1];
    int64_t started_s[SWEEP_IDS_MAX]; /* by the server's clock */
    uint32_t id_count, rounds;
    bool full; /* the listing may have had more */
    int folder_fd;
    char *name;   /* of a temporary file, in its folder */
    enum err err; /* of this object */
    bool cancelled;
};

void sweep_init(struct sweep *sweep, struct core *core, const struct sweep_place *place);
void sweep_fini(struct sweep *sweep); /* nothing may be out */
/* `object` is the sweep's until op is done, and counts as taken. Errors: as request_start() and
 * files, ERR_CANCELLED: then some of it may be left. */
void sweep_start(struct sweep *sweep, struct past_object *object, struct op *op);
/* An object for sweep_start(): what was created of `key` since `asked_s`, by our clock, and until
 * now, but for the upload `spared`, an id that stays in place. */
void sweep_twins(struct past_object *object, const char *key, int64_t asked_s, const char *spared);
void sweep_cancel(struct sweep *sweep); /* all that was asked for ends soon */

#endif
