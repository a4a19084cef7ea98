/* manifests: any line: what is read stays within its bounds, and what was read as an object says
 * the same when it is written and read again. */
#include "core/check.h"

#include <string.h>

#include "s3/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static struct manifest_line first, second;
    static char area[MANIFEST_LINE_BYTES_MAX];
    const char *why;
    struct writer w;
    enum err err = manifest_parse((struct bytes){(const char *)data, count}, &first, &why);
    if (err) {
        CHECK(why[0]);
        return 0;
    }
    if (first.kind != MANIFEST_OBJECT) return 0;
    CHECK(strlen(first.object.path) < PATH_BYTES_MAX && strlen(first.object.key) <= KEY_BYTES_MAX);
    if (first.object.part_count == 0) first.object.part_bytes = 0;
    writer_init(&w, area, sizeof area);
    manifest_write_object(&w, &first.object);
    CHECK(!w.overflow);
    err = manifest_parse((struct bytes){w.data, w.count - 1}, &second, &why);
    CHECK(err == ERR_NONE && second.kind == MANIFEST_OBJECT);
    CHECK(strcmp(first.object.key, second.object.key) == 0);
    CHECK(strcmp(first.object.path, second.object.path) == 0);
    CHECK(first.object.bytes == second.object.bytes);
    CHECK(first.object.mtime_ns == second.object.mtime_ns);
    CHECK(checksum_equal(&first.object.checksum, &second.object.checksum));
    return 0;
}
