/* stowage_admit: what a request's head says before anything is done: which operation, whether a
 * fault rule hits it, by whom it is, and how long its body is. Nothing of it waits. */
#ifndef TOOLS_STOWAGE_ADMIT_H
#define TOOLS_STOWAGE_ADMIT_H

#include "tools/stowage_call.h"
#include "tools/stowage_fault.h"

/* Sets the call's head, route and verdict, and `hit`. `head` and `hit` stay in place as long as the
 * call. Errors: those of the route and of its authorisation, INJECTED. */
MUST_USE enum stowage_error stowage_admit_head(struct stowage_call *call,
                                               const struct http_head *head,
                                               struct stowage_fault_hit *hit);
/* Sets call->content_bytes, once decoded. *chunked: the body is aws-chunked, which `chunk` will
 * take off. Errors: NO_LENGTH. */
MUST_USE enum stowage_error stowage_admit_body(struct stowage_call *call,
                                               struct stowage_chunk *chunk, bool *chunked);

#endif
