/* stowage_body: a request's body between the wire and its operation: takes the framings off in
 * place and keeps apart what is raw, what is payload, and what belongs to the next request. Pure.
 *
 *     received → raw → (HTTP's chunks, aws-chunked) → payload → the operation
 *                  └→ extra: the next request
 *
 * The memory is the receiver's; what is here points into it. */
#ifndef TOOLS_STOWAGE_BODY_H
#define TOOLS_STOWAGE_BODY_H

#include "tools/stowage_call.h"

struct stowage_body {
    struct http_parser parser;
    struct stowage_chunk chunk;
    bool chunked; /* aws-chunked: `chunk` takes it off */
    char *raw;    /* received, to be decoded */
    uint32_t raw_count;
    char *payload; /* decoded, to be written */
    uint32_t payload_count;
    char *extra; /* behind this request: the next one */
    uint32_t extra_count;
    uint64_t dropped_bytes; /* payload that has gone by */
};

/* For the next request; what is extra must be elsewhere by now. */
void stowage_body_init(struct stowage_body *body);
/* All that is raw becomes payload, or extra. Errors: of HTTP; those of aws-chunked are the call's.
 */
MUST_USE enum err stowage_body_decode(struct stowage_body *body, struct stowage_call *call);
/* The body is over and something raw is there: it is extra. */
void stowage_body_set_extra_aside(struct stowage_body *body);
/* The body is over: is it whole, and is it what was claimed? */
MUST_USE enum stowage_error stowage_body_check(const struct stowage_body *body,
                                               struct stowage_call *call);
/* Is a refused body too long to be read before the reply? */
bool stowage_body_is_beyond(const struct stowage_body *body, uint64_t bytes);

#endif
