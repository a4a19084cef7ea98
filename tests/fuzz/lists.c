/* lists: any bytes as a listing, and as a list of parts, whole and in two pieces: what the
 * callbacks are told is within its bounds, and the pieces tell the same as the whole. */
#include "core/check.h"
#include "s3/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

struct seen {
    struct xml_list list;
    uint64_t entries, bytes;
};

static enum err on_entry(struct xml_list *list, const struct xml_entry *entry)
{
    struct seen *seen = container_of(list, struct seen, list);
    CHECK(entry->key.count <= KEY_BYTES_MAX);
    seen->entries++;
    seen->bytes += entry->key.count;
    return ERR_NONE;
}

static enum err feed(struct xml *xml, struct bytes data, size_t split)
{
    enum err err = xml_begin(xml);
    if (err == ERR_NONE) err = xml_feed(xml, (struct bytes){data.data, split});
    struct bytes rest = {data.data + split, data.count - split};
    if (err == ERR_NONE) err = xml_feed(xml, rest);
    return err == ERR_NONE ? xml_end(xml) : err;
}

static enum err on_part(struct xml_parts *parts, const struct xml_part *part)
{
    (void)parts;
    CHECK(part->etag[ETAG_BYTES_MAX] == 0);
    return ERR_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static struct seen whole, pieces;
    static struct xml_parts parts;
    struct bytes text = {(const char *)data, count};
    whole.entries = whole.bytes = pieces.entries = pieces.bytes = 0;
    xml_list_init(&whole.list, on_entry, NULL);
    xml_list_init(&pieces.list, on_entry, NULL);
    xml_parts_init(&parts, on_part, NULL);
    enum err one = feed(&whole.list.xml, text, count);
    enum err other = feed(&pieces.list.xml, text, count / 2);
    CHECK(one == other);
    if (one == ERR_NONE) CHECK(whole.entries == pieces.entries && whole.bytes == pieces.bytes);
    enum err err = feed(&parts.xml, text, count / 3);
    (void)err;
    xml_fini(&whole.list.xml);
    xml_fini(&pieces.list.xml);
    xml_fini(&parts.xml);
    return 0;
}
