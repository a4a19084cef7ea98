/* twin: the second upload that the server may have made, since the answer to a creation got lost
 * and it was asked for again. Noted when the answer is there, looked for when the upload has parts
 * (s3/sweep, which says why only then). */
#ifndef S3_TWIN_H
#define S3_TWIN_H

#include "s3/station.h"
#include "s3/sweep.h"
#include "s3/work.h"

struct twin {
    struct station *station;
    const struct work *object;
    struct sweep_doubt doubt; /* lost 0: there is none */
    struct past_object past;
};

void twin_init(struct twin *twin, struct station *station); /* there is none */
void twin_ask(struct twin *twin);                           /* an upload is asked for now */
/* It has this id, which stays in place until twin_sweep() is done; so many answers got lost. */
void twin_note(struct twin *twin, const struct work *object, const char *id, uint32_t lost);
/* False: there is nothing to look for, and op is not begun. Its error is no failure of the upload.
 * */
bool twin_sweep(struct twin *twin, struct op *op);
void twin_leave(struct twin *twin); /* it will not be looked for: said, if there may be one */

#endif
