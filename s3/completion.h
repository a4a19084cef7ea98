/* completion: turns the parts of an upload into the object, and says whether it is ours.
 *
 *     COMPLETE ─► WEIGH ─► JUDGE ─► done
 *        ▲          │        │ another checksum than the parts make
 *        │ not      │ the    ▼
 *        │ there    └──────► LOOK ─► LOOKED ─► JUDGE: it was done, or it is something else
 *        └── a pause ◄─── answer got lost ┘
 *
 * (Each of the verbs that has something out is followed by its verb-ing.)
 *
 * A completion that may have happened is not asked for again blindly: HEAD says whether the object
 * is ours (s3/reconcile). So it does where the answer tells another checksum than the parts make.
 * What the verdict leads to, other than an object, is the owner's to decide: it knows whether the
 * parts can be listed, or all of it be sent again.
 *
 * Embedded in an upload, whose request it uses while it runs. Reference:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
#ifndef S3_COMPLETION_H
#define S3_COMPLETION_H

#include "core/machine.h"
#include "s3/reconcile.h"
#include "s3/request.h"
#include "s3/station.h"
#include "s3/work.h"

enum completion_verdict {
    COMPLETION_DONE,    /* the object is ours; its names are in object->result */
    COMPLETION_PARTS,   /* the server does not accept the parts */
    COMPLETION_LOST,    /* there is neither our object nor the upload */
    COMPLETION_ALTERED, /* the upload is used up, and its object is something else */
};

struct completion_facts { /* of the upload, as it is now; valid until the end */
    const char *upload_id;
    const char *mtime; /* x-amz-meta-mtime, or "" */
    int64_t created_s; /* by the server's clock, or INT64_MAX */
    bool confirmed;    /* the server has confirmed the checksums of all parts */
};

struct completion {
    struct machine machine;
    enum completion_verdict verdict;   /* when it ended without an error */
    bool confirmed;                    /* DONE: the whole's checksum as well */
    char doubt_why[REQUEST_WHY_BYTES]; /* PARTS, LOST: the server's words, or "" */
    /* private */
    struct station *station;
    struct work *object;
    const struct multipart *parts;
    struct request *request;
    struct request_call call;
    struct completion_facts facts;
    struct xml_result result;
    char checksum_text[CHECKSUM_TEXT_BYTES];
    char *body; /* of CompleteMultipartUpload, while it is out */
    struct iovec body_iovec;
    struct op step;
    struct timer pause;
    struct again again;         /* through all that it asks */
    struct again_failure doubt; /* why it is in doubt */
    bool looks_first, lost, altered;
};

typedef void completion_fn(struct completion *completion, const struct completion_facts *facts,
                           struct op *op);

void completion_init(struct completion *completion, struct station *station,
                     struct request *request);
void completion_fini(struct completion *completion);
/* Of another object from now on. Its checksum, and how it was cut, go to object->result. */
void completion_begin(struct completion *completion, struct work *object,
                      const struct multipart *parts);
/* All parts are done. Errors: the request's, which are in the request as well. */
completion_fn completion_ask;
/* The same for an upload that is gone: perhaps since an earlier run has completed it. */
completion_fn completion_look;
void completion_cancel(struct completion *completion); /* the request is the owner's to cancel */

#endif
