/* reply: what a server's answer means: (HTTP status, S3 code, what was asked) → enum err. Pure. One
 * table.
 *
 * The S3 code decides where the table has it, else the status. Replies to HEAD have no code: there
 * the status and the operation decide.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
#ifndef S3_REPLY_H
#define S3_REPLY_H

#include "core/bytes.h"
#include "core/err.h"
#include "core/limits.h"

#define REPLY_CODE_BYTES    64u
#define REPLY_MESSAGE_BYTES 256u
#define REPLY_TEXT_BYTES    400u

enum reply_operation {               /* what a bare 404 or 409 is about */
                       REPLY_OBJECT, /* an existing object: GET, HEAD, DELETE, copy */
                       REPLY_UPLOAD, /* a multipart upload: part, complete, abort, list parts */
                       REPLY_BUCKET  /* a bucket or a new object: PUT, create upload, list */
};

struct reply_error { /* an <Error>, cut to these sizes, without control bytes */
    char code[REPLY_CODE_BYTES];
    char message[REPLY_MESSAGE_BYTES];
    char region[64];
    char endpoint[HOST_BYTES_MAX + 1];
    char bucket[BUCKET_NAME_BYTES_MAX + 1];
    char request_id[64];
};

/* `code`: of the <Error>, or empty. ERR_NONE for 2xx without a code (a 200 can carry an <Error>:
 * then by code). */
enum err reply_err(uint32_t status, struct bytes code, enum reply_operation operation);

/* "HTTP 403 SignatureDoesNotMatch: the server's message": one line, whatever the server sent.
 * status 200 is left out ("InternalError: …"). Returns `text`. */
const char *reply_format(uint32_t status, const struct reply_error *error,
                         char text[REPLY_TEXT_BYTES]);

/* Copies a server's text into `area`: control bytes become spaces, cut at the end of a UTF-8
 * character. */
void reply_copy_text(struct bytes from, char *area, size_t area_bytes);

#endif
