/* naming: the key and the path of what was found. Pure.
 *
 *     upload     key = prefix digits name       path = name, below the source folder
 *     download   key = prefix name              path = name without its digits
 *
 * Digits are those of --spread (s3/spread). A single object's path, or key, is what it was named.
 * No key becomes a path outside of the target folder. */
#ifndef S3_NAMING_H
#define S3_NAMING_H

#include "s3/work.h"

struct naming {
    bool is_upload;
    uint32_t spread; /* prefixes; 0: no digits */
    const char *bucket, *prefix;
    const char *only_path; /* of a single object; "": they are a tree's */
};

/* Sets bucket, key and path of the work. Errors: ERR_KEY, ERR_SPREAD, ERR_FILE_NAME,
 * ERR_FILE_ESCAPES; then they are as far as they go, for messages. */
MUST_USE enum err naming_apply(const struct naming *naming, struct bytes name, struct work *work);

#endif
