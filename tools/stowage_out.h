/* stowage_out: what of a reply still has to go: its head, then its body piece by piece, cut into
 * sends of any size. Pure.
 *
 * The memory of pieces is borrowed until the send that has their last byte is done. */
#ifndef TOOLS_STOWAGE_OUT_H
#define TOOLS_STOWAGE_OUT_H

#include <sys/uio.h>

#include "core/bytes.h"
#include "core/limits.h"

#define STOWAGE_OUT_IOVECS_MAX 32u /* a head and a source's STOWAGE_SOURCE_IOVECS, framed */

struct stowage_out {
    struct writer head; /* is filled by the owner before the first piece */
    bool chunked;       /* pieces are framed (RFC 9112 7.1); the owner sets it after init */
    bool corrupts;      /* the next byte of the body goes with a bit flipped; set by the owner */
    /* private */
    struct iovec iovecs[STOWAGE_OUT_IOVECS_MAX]; /* of the body, [first, count) still to go */
    uint32_t first, count;
    bool head_gone;
    char flipped;
    char frame[24]; /* the size line of the piece at hand */
    char head_text[HTTP_HEAD_BYTES_MAX];
};

void stowage_out_init(struct stowage_out *out); /* for the next reply */
void stowage_out_add(struct stowage_out *out, const struct iovec *iovecs, uint32_t count);
void stowage_out_end(struct stowage_out *out);                  /* no piece comes any more */
uint64_t stowage_out_body_bytes(const struct stowage_out *out); /* added and not taken yet */
/* Has the head not been taken yet? */
bool stowage_out_has_head(const struct stowage_out *out);
/* Is there nothing to take? */
bool stowage_out_is_empty(const struct stowage_out *out);
/* The head where it has not gone, and then at most `body_bytes` of the body, into `iovecs` of at
 * least STOWAGE_OUT_IOVECS_MAX. Their count. */
uint32_t stowage_out_take(struct stowage_out *out, uint64_t body_bytes, struct iovec *iovecs);

#endif
