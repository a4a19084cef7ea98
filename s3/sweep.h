/* sweep: removes what large objects have left that nobody goes on from: uploads on the server, and
 * temporary files. One after the other, beside whatever else its core does.
 *
 *     TAKE ─► ABORT ─► ABORTING ─► ABORTED ─► TELL            an upload whose id is known
 *     TAKE ─► LIST ─► LISTING ─► LISTED ─► PROBE ─► PROBING ─► PROBED ─► ABORT … ─► LIST
 *                                                             one whose id got lost, until the list
 *                                                             has none
 *     TAKE ─► FOLDER ─► FOLDING ─► FOLDED ─► UNLINK ─► UNLINKING ─► SHUT ─► SHUTTING ─► TELL
 *     TELL ─► TAKE, until nothing is asked for                a temporary file
 *
 * An upload whose CreateMultipartUpload was sent, but not answered before its process died, is
 * looked for among all uploads of its key: those that were initiated between the word of it in the
 * journal and the end of that process (row.until_s), with the times moved to the server's clock,
 * and that are in no row of the journal, of whatever job. (A page of the listing begins with those
 * of the key itself, by the order of names.) What cannot be removed stays in the journal, for the
 * next sweep, and is named.
 *
 * So is the twin of an upload: where CreateMultipartUpload was sent more than once, and the answer
 * to one attempt got lost, the server may have two, of which one has an id that nobody knows.
 *
 * S3 keeps nothing that would tell an upload without an id from one that another writer has begun
 * of the same key. So what is found is aborted only if its parts allow it:
 *
 *     of a process that is dead   it may have known the id, and the journal not yet: no part came
 *                                 after its end, none is larger than its own were to be
 *                                 (of a twin that it knew of: none at all)
 *     a twin                      no part at all, since nobody knows its id; it was initiated as
 *                                 near to ours as the first attempt was to the answer, by the same
 *                                 user; and there are not more such than answers that got lost
 *
 * The owner of a twin asks for that when parts of its own are there (s3/upload): another writer of
 * the same moment has a part by then, unless it is so much slower. Twins that are too many stay,
 * all of them, and are named.
 *
 * Where a live job of the same journal has the key under way too, an upload whose id got lost is
 * not looked for at all (ERR_CONFLICT): it stays in the journal.
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
    struct xml_parts probed;
    struct sweep_upload {
        char id[UPLOAD_ID_BYTES_MAX + 1];
        int64_t started_s; /* by the server's clock */
        uint64_t owner;    /* a hash of its initiator's name; 0: not told */
    } uploads[SWEEP_IDS_MAX];
    uint32_t id_count, probe_at, rounds;
    struct sweep_upload spared; /* of a twin; its time INT64_MIN: it was not listed */
    bool full;                  /* the listing may have had more of the key */
    int64_t until_s;            /* ours was initiated by then, by the server's clock */
    bool foreign;               /* the one that is looked at is another writer's */
    bool unsure;                /* something stays, since it may be another writer's */
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
struct sweep_doubt { /* a creation of which an answer got lost */
    const char *key;
    const char *spared;          /* the id that was told; stays in place */
    int64_t asked_s, answered_s; /* by our clock */
    uint32_t lost;               /* so many answers */
};
/* An object for sweep_start(): what the server may have made besides. */
void sweep_twins(struct past_object *object, const struct sweep_doubt *doubt);
void sweep_cancel(struct sweep *sweep); /* all that was asked for ends soon */

#endif
