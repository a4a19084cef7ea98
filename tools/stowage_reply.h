/* stowage_reply: what a call's reply looks like on the wire: its head, and an error's XML. Pure. */
#ifndef TOOLS_STOWAGE_REPLY_H
#define TOOLS_STOWAGE_REPLY_H

#include "tools/stowage_call.h"

struct stowage_reply_form { /* how a reply is framed */
    bool keep_alive;
    bool chunked;          /* no Content-Length */
    int64_t length_offset; /* a lie about it */
};

/* Sets status and text from call->error; no body for 304. `number`: the request's id. */
void stowage_reply_error(struct stowage_call *call, uint64_t number);
/* Of the body that the head announces: the object's range, or the text. */
uint64_t stowage_reply_bytes(const struct stowage_call *call);
/* The whole head, incl. the empty line. */
void stowage_reply_head(const struct stowage_call *call, uint64_t number,
                        const struct stowage_reply_form *form, struct writer *w);

#endif
