#include "s3/naming.h"

#include <stdio.h>
#include <string.h>

#include "s3/spread.h"
#include "s3/target.h"

/* A key that becomes a path must stay below the target folder: no "..", not absolute, no byte that
 * ends a name early. */
static enum err naming_check_path(struct bytes name)
{
    struct bytes rest = name;
    if (memchr(name.data, '\0', name.count)) return ERR_FILE_NAME;
    if (name.count > 0 && name.data[0] == '/') return ERR_FILE_ESCAPES;
    while (rest.count > 0) {
        struct bytes component = bytes_cut(rest, '/', &rest);
        if (bytes_equal(component, BYTES(".."))) return ERR_FILE_ESCAPES;
    }
    return ERR_NONE;
}

enum err naming_apply(const struct naming *naming, struct bytes name, struct work *work)
{
    struct writer key, path;
    bool only = naming->only_path[0] != '\0', fits = true;
    uint32_t spread = only ? 0 : naming->spread;
    struct bytes local = name;
    char digits[SPREAD_TEXT_BYTES] = "";
    if (naming->is_upload)
        spread_format(spread, name, digits);
    else
        fits = spread_strip(spread, name, &local);
    writer_init(&key, work->key, sizeof work->key);
    writer_text(&key, naming->prefix);
    writer_text(&key, digits);
    if (!only) writer_put(&key, name);
    writer_init(&path, work->path, sizeof work->path);
    writer_put(&path, only ? bytes_of(naming->only_path) : local);
    snprintf(work->bucket, sizeof work->bucket, "%s", naming->bucket);
    bool has_key = writer_string(&key)[0] != '\0', has_path = writer_string(&path)[0] != '\0';
    if (!has_key || target_check_key(bytes_of(work->key))) return ERR_KEY;
    if (!fits) return ERR_SPREAD;
    if (!has_path) return ERR_FILE_NAME;
    if (naming->is_upload || only) return ERR_NONE;
    return naming_check_path(local);
}
