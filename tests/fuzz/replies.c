/* replies: any bytes as each kind of XML reply but the listings (lists.c), in pieces as the first
 * byte says. Texts end within their fields, and a document may be begun anew after any failure. */
#include <string.h>

#include "core/check.h"
#include "s3/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static enum err on_name(struct xml_names *names, const struct xml_name *name)
{
    (void)names;
    CHECK(memchr(name->name, 0, sizeof name->name));
    CHECK(memchr(name->upload_id, 0, sizeof name->upload_id));
    CHECK(memchr(name->error.code, 0, sizeof name->error.code));
    CHECK(memchr(name->error.message, 0, sizeof name->error.message));
    return ERR_NONE;
}

static enum err feed(struct xml *xml, struct bytes text, size_t step)
{
    enum err err = xml_begin(xml);
    for (size_t at = 0; err == ERR_NONE && at < text.count; at += step)
        err = xml_feed(xml, (struct bytes){text.data + at, (size_t)min_u64(step, text.count - at)});
    if (err == ERR_NONE) err = xml_end(xml);
    CHECK(memchr(xml->error.code, 0, sizeof xml->error.code));
    CHECK(memchr(xml->error.message, 0, sizeof xml->error.message));
    return err;
}

/* Twice, in other pieces: it says the same. */
static enum err try(struct xml *xml, struct bytes text, size_t step)
{
    enum err one = feed(xml, text, step);
    enum err other = feed(xml, text, text.count + 1);
    CHECK(one == other);
    return one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static struct xml error;
    static struct xml_created created;
    static struct xml_result result;
    static struct xml_names names;
    static struct xml_region region;
    if (count < 1) return 0;
    struct bytes text = {(const char *)data + 1, count - 1};
    size_t step = 1 + data[0];
    xml_error_init(&error);
    xml_created_init(&created);
    xml_result_init(&result);
    xml_names_init(&names, on_name, NULL);
    xml_region_init(&region);
    if (try(&error, text, step) == ERR_NONE) CHECK(error.is_error);
    if (try(&created.xml, text, step) == ERR_NONE && !created.xml.is_error)
        CHECK(memchr(created.upload_id, 0, sizeof created.upload_id));
    if (try(&result.xml, text, step) == ERR_NONE && !result.xml.is_error)
        CHECK(memchr(result.etag, 0, sizeof result.etag));
    if (try(&names.xml, text, step) == ERR_NONE)
        CHECK(memchr(names.next_name, 0, sizeof names.next_name));
    if (try(&region.xml, text, step) == ERR_NONE)
        CHECK(memchr(region.region, 0, sizeof region.region));
    xml_fini(&error);
    xml_fini(&created.xml);
    xml_fini(&result.xml);
    xml_fini(&names.xml);
    xml_fini(&region.xml);
    return 0;
}
