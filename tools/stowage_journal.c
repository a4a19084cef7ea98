#include "tools/stowage_journal.h"

#include <stdlib.h>
#include <string.h>

#include "s3/target.h"

/* The largest text of a line: all headers of an object. */
#define TEXT_BYTES_MAX (3 * HTTP_HEAD_BYTES_MAX)

static void put_text(struct stowage_xml *out, struct bytes text)
{
    char area[TEXT_BYTES_MAX];
    struct writer w;
    writer_init(&w, area, sizeof(area));
    target_escape(&w, text, true);
    out->overflow |= w.overflow;
    stowage_xml_raw(out, BYTES(" ="));
    stowage_xml_raw(out, writer_bytes(&w));
}

static void put_u64(struct stowage_xml *out, uint64_t value)
{
    stowage_xml_format(out, " %llu", (unsigned long long)value);
}

/* "crc32c:" and the base64 text; "" for none. */
static void put_checksum(struct stowage_xml *out, const struct checksum_value *value)
{
    char text[CHECKSUM_TEXT_BYTES], whole[CHECKSUM_TEXT_BYTES + 16];
    struct writer w;
    writer_init(&w, whole, sizeof(whole));
    if (value->kind != CHECKSUM_NONE)
        writer_format(&w, "%s:%s", checksum_kind_name(value->kind),
                      checksum_format(value, 0, text));
    put_text(out, writer_bytes(&w));
}

static void put_object(struct stowage_xml *out, struct bytes bucket,
                       const struct stowage_object *object)
{
    stowage_xml_raw(out, BYTES("object"));
    put_text(out, bucket);
    put_text(out, object->node.key);
    put_u64(out, object->modified_ns);
    put_text(out, bytes_of(object->etag));
    put_checksum(out, &object->checksum);
    put_u64(out, object->checksum_is_full);
    put_u64(out, object->multipart);
    put_text(out, bytes_of(object->upload_id));
    put_text(out, bytes_of(object->headers));
    put_u64(out, object->part_count);
    for (uint32_t i = 0; i < object->part_count; i++) {
        const struct stowage_part *part = &object->parts[i];
        put_u64(out, part->number);
        put_u64(out, part->modified_ns);
        put_u64(out, part->segment.bytes);
        put_text(out, bytes_of(part->etag));
        put_checksum(out, &part->checksum);
        put_text(out, bytes_of(part->segment.name));
    }
    stowage_xml_raw(out, BYTES("\n"));
}

void stowage_journal_note(struct stowage_xml *out, const struct stowage_note *note)
{
    switch (note->kind) {
    case STOWAGE_NOTE_BUCKET:
        stowage_xml_raw(out, BYTES("bucket"));
        put_text(out, note->bucket);
        put_u64(out, note->created_ns);
        break;
    case STOWAGE_NOTE_UNBUCKET:
        stowage_xml_raw(out, BYTES("unbucket"));
        put_text(out, note->bucket);
        break;
    case STOWAGE_NOTE_OBJECT: put_object(out, note->bucket, note->object); return;
    case STOWAGE_NOTE_REMOVE:
        stowage_xml_raw(out, BYTES("remove"));
        put_text(out, note->bucket);
        put_text(out, note->key);
        break;
    }
    stowage_xml_raw(out, BYTES("\n"));
}

void stowage_journal_file(struct stowage_xml *out, const char *name)
{
    stowage_xml_raw(out, BYTES("file"));
    put_text(out, bytes_of(name));
    stowage_xml_raw(out, BYTES("\n"));
}

struct fields { /* of a line that is being read */
    struct bytes rest;
    bool bad;
};

static struct bytes next_field(struct fields *fields)
{
    if (!fields->rest.count) fields->bad = true;
    return bytes_cut(fields->rest, ' ', &fields->rest);
}

static uint64_t take_u64(struct fields *fields)
{
    uint64_t value = 0;
    if (!bytes_parse_u64(next_field(fields), &value)) fields->bad = true;
    return value;
}

/* Into `area` of `area_bytes`, with a 0 behind. */
static struct bytes take_text(struct fields *fields, char *area, size_t area_bytes)
{
    struct bytes field = next_field(fields);
    struct writer w;
    writer_init(&w, area, area_bytes);
    if (bytes_start_with(field, BYTES("=")))
        target_unescape(&w, (struct bytes){field.data + 1, field.count - 1}, false);
    else
        fields->bad = true;
    writer_string(&w);
    fields->bad |= w.overflow;
    return w.overflow ? BYTES("") : writer_bytes(&w);
}

static void take_checksum(struct fields *fields, struct checksum_value *value)
{
    char area[CHECKSUM_TEXT_BYTES + 16];
    uint32_t parts;
    enum checksum_kind kind;
    struct bytes text, whole = take_text(fields, area, sizeof(area));
    value->kind = CHECKSUM_NONE;
    value->count = 0;
    if (!whole.count) return;
    if (!checksum_kind_parse(bytes_cut(whole, ':', &text), &kind) ||
        !checksum_parse(kind, text, value, &parts))
        fields->bad = true;
}

static void take_part(struct fields *fields, struct stowage_part *part)
{
    char name[PATH_BYTES_MAX];
    part->number = (uint32_t)take_u64(fields);
    part->modified_ns = take_u64(fields);
    part->segment.bytes = take_u64(fields);
    (void)take_text(fields, part->etag, sizeof(part->etag));
    take_checksum(fields, &part->checksum);
    struct bytes text = take_text(fields, name, sizeof(name));
    part->segment.name = text.count ? strdup(name) : NULL;
}

static enum err apply_object(struct stowage_store *store, struct fields *fields)
{
    char bucket_name[BUCKET_NAME_BYTES_MAX + 2], key_area[KEY_BYTES_MAX + 2];
    char headers[HTTP_HEAD_BYTES_MAX], etag[STOWAGE_ETAG_BYTES], upload_id[STOWAGE_ID_BYTES];
    struct checksum_value checksum;
    struct bytes name = take_text(fields, bucket_name, sizeof(bucket_name));
    struct bytes key = take_text(fields, key_area, sizeof(key_area));
    uint64_t modified_ns = take_u64(fields);
    (void)take_text(fields, etag, sizeof(etag));
    take_checksum(fields, &checksum);
    bool is_full = take_u64(fields), multipart = take_u64(fields);
    (void)take_text(fields, upload_id, sizeof(upload_id));
    struct bytes lines = take_text(fields, headers, sizeof(headers));
    uint64_t part_count = take_u64(fields);
    struct stowage_bucket *bucket = stowage_store_bucket(store, name);
    if (fields->bad || !bucket || !key.count || part_count < 1 || part_count > PARTS_MAX)
        return ERR_CONFIG;
    struct stowage_object *object = stowage_store_new_object(key, lines, (uint32_t)part_count);
    if (!object) return ERR_NO_MEMORY;
    object->modified_ns = modified_ns;
    object->checksum = checksum;
    object->checksum_is_full = is_full;
    object->multipart = multipart;
    memcpy(object->etag, etag, sizeof(etag));
    memcpy(object->upload_id, upload_id, sizeof(upload_id));
    for (uint32_t i = 0; i < part_count; i++) {
        take_part(fields, &object->parts[i]);
        object->bytes += object->parts[i].segment.bytes;
    }
    stowage_store_put(store, bucket, object);
    return fields->bad ? ERR_CONFIG : ERR_NONE;
}

static enum err apply_bucket(struct stowage_store *store, struct fields *fields, bool made)
{
    char area[BUCKET_NAME_BYTES_MAX + 2];
    struct bytes name = take_text(fields, area, sizeof(area));
    uint64_t created_ns = made ? take_u64(fields) : 0;
    struct stowage_bucket *bucket = stowage_store_bucket(store, name);
    if (fields->bad || !name.count || name.count > BUCKET_NAME_BYTES_MAX) return ERR_CONFIG;
    if (!made && bucket && bucket->objects.count == 0) stowage_store_remove_bucket(store, bucket);
    if (!made || bucket) return ERR_NONE;
    return stowage_store_add_bucket(store, name, created_ns) ? ERR_NONE : ERR_NO_MEMORY;
}

static enum err apply_remove(struct stowage_store *store, struct fields *fields)
{
    char bucket_name[BUCKET_NAME_BYTES_MAX + 2], area[KEY_BYTES_MAX + 2];
    struct bytes name = take_text(fields, bucket_name, sizeof(bucket_name));
    struct bytes key = take_text(fields, area, sizeof(area));
    struct stowage_bucket *bucket = stowage_store_bucket(store, name);
    struct stowage_object *object = bucket ? stowage_store_object(bucket, key) : NULL;
    if (object) stowage_store_remove(store, bucket, object);
    return fields->bad ? ERR_CONFIG : ERR_NONE;
}

enum err stowage_journal_apply(struct stowage_store *store, struct bytes line, char **file)
{
    char name[PATH_BYTES_MAX];
    struct fields fields = {line, false};
    struct bytes verb = next_field(&fields);
    *file = NULL;
    if (bytes_equal(verb, BYTES("bucket"))) return apply_bucket(store, &fields, true);
    if (bytes_equal(verb, BYTES("unbucket"))) return apply_bucket(store, &fields, false);
    if (bytes_equal(verb, BYTES("object"))) return apply_object(store, &fields);
    if (bytes_equal(verb, BYTES("remove"))) return apply_remove(store, &fields);
    if (!bytes_equal(verb, BYTES("file"))) return ERR_CONFIG;
    if (!take_text(&fields, name, sizeof(name)).count || fields.bad) return ERR_CONFIG;
    *file = strdup(name);
    return *file ? ERR_NONE : ERR_NO_MEMORY;
}
