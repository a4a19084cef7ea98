/* cut: how the table of a new upload's parts begins: cut whole, at once, or grown part by part as
 * it is sent (s3/multipart), and of what size.
 *
 *     the user said a size                       whole, of that size
 *     the store takes unequal parts              grown: each part of the size that is best then
 *     else                                       whole, of the size that is best now
 *
 * Grown ones only where the object's checksum does not depend on where it was cut (CRCs combine;
 * SHA-256 is summed over the parts', and whoever has the object alone could not make it again). */
#ifndef S3_CUT_H
#define S3_CUT_H

#include "s3/conf.h"
#include "s3/multipart.h"

/* `parts` is empty, `bytes` ≥ 1. `wish_bytes`: what is best now, 0: nobody knows. Errors, with a
 * sentence in `why`: as multipart_choose(), multipart_cut(). */
MUST_USE enum err cut_upload(struct multipart *parts, const struct conf *conf, uint64_t bytes,
                             uint64_t wish_bytes, char why[MULTIPART_WHY_BYTES]);

#endif
