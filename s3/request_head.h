/* request_head: the head of an S3 request, signed, and the facts of a reply's head. Pure, but for
 * the signing key that the client caches. A part of request, in a file of its own. */
#ifndef S3_REQUEST_HEAD_H
#define S3_REQUEST_HEAD_H

#include "s3/request.h"

struct request_verb { /* what a kind of call is */
    const char *method;
    enum reply_operation operation;
    bool has_etag; /* a success names the object's or the part's */
};

const struct request_verb *request_head_verb(enum request_kind kind);

/* Request line to empty line, into `w`, as it goes to `way` now. Errors: ERR_REQUEST (does not fit,
 * or a value with a line break), those of sigv4_sign(). */
MUST_USE enum err request_head_format(struct client *client, const struct client_way *way,
                                      const struct request_call *call, struct writer *w);

/* Fills all of `reply`. What does not fit its field is left "", since half of it would be wrong. */
void request_head_read(const struct http_head *head, struct request_reply *reply);

#endif
