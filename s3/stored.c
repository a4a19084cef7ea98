#include "s3/stored.h"

#include <stdio.h>
#include <string.h>

static void stored_on_page(struct op *op);
static enum err stored_on_part(struct xml_parts *xml, const struct xml_part *part);

/* --- of the whole --- */

static bool stored_parse(const struct request_reply *reply, enum checksum_kind kind,
                         struct checksum_value *value, uint32_t *part_count)
{
    const char *text = reply->checksum[kind];
    bool composite = strcmp(reply->checksum_type, "COMPOSITE") == 0;
    if (!text[0] || !checksum_parse(kind, bytes_of(text), value, part_count)) return false;
    return *part_count > 0 || !composite; /* of how many parts? Nobody can tell */
}

bool stored_checksum(const struct request_reply *reply, enum checksum_kind wanted,
                     struct checksum_value *value, uint32_t *part_count)
{
    static const enum checksum_kind cheapest_first[] = {CHECKSUM_CRC32C, CHECKSUM_CRC64NVME,
                                                        CHECKSUM_CRC32, CHECKSUM_SHA256};
    if (wanted != CHECKSUM_NONE && stored_parse(reply, wanted, value, part_count)) return true;
    for (uint32_t i = 0; i < ARRAY_COUNT(cheapest_first); i++)
        if (stored_parse(reply, cheapest_first[i], value, part_count)) return true;
    return false;
}

/* --- of the parts --- */

void stored_init(struct stored *stored, struct core *core, struct client *client)
{
    memset(stored, 0, sizeof *stored);
    stored->core = core;
    op_init(&stored->step, stored_on_page);
    request_init(&stored->request, client);
    xml_parts_init(&stored->attributes, stored_on_part, NULL);
}

void stored_fini(struct stored *stored)
{
    CHECK(!stored->owner);
    xml_fini(&stored->attributes.xml);
    request_fini(&stored->request);
}

static void stored_ask(struct stored *stored)
{
    struct request_call *call = &stored->call;
    *call = (struct request_call){.kind = REQUEST_OBJECT_ATTRIBUTES,
                                  .bucket = stored->object.bucket,
                                  .key = stored->object.key,
                                  .xml = &stored->attributes.xml,
                                  .header_count = 1,
                                  .query_count = 1};
    call->query[0] = (struct request_pair){BYTES("attributes"), BYTES("")};
    call->headers[0] = (struct request_pair){BYTES("x-amz-object-attributes"),
                                             BYTES("ETag,Checksum,ObjectParts,ObjectSize")};
    if (stored->marker[0])
        call->headers[call->header_count++] =
            (struct request_pair){BYTES("x-amz-part-number-marker"), bytes_of(stored->marker)};
    request_start(&stored->request, call, &stored->step);
}

void stored_learn(struct stored *stored, const struct stored_object *object,
                  struct multipart *parts, struct op *op)
{
    op_begin(op);
    CHECK(!stored->owner && parts->count == 0);
    stored->owner = op;
    stored->object = *object;
    stored->parts = parts;
    stored->with_checksum = 0;
    stored->marker[0] = '\0';
    request_init(&stored->request, object->client);
    stored_ask(stored);
}

/* A page that is asked for again must not add its parts twice. */
static enum err stored_on_part(struct xml_parts *xml, const struct xml_part *part)
{
    struct stored *stored = container_of(xml, struct stored, attributes);
    struct checksum_value value;
    struct bytes raw;
    uint32_t index, part_count;
    if (part->number <= stored->parts->count || part->bytes == 0) return ERR_NONE;
    if (part->number != stored->parts->count + 1) return ERR_XML_GARBAGE;
    if (part->bytes > UINT64_MAX - stored->parts->bytes) return ERR_XML_GARBAGE;
    enum err err = multipart_add(stored->parts, part->bytes, &index);
    if (err) return err;
    if (!checksum_parse(stored->object.kind, bytes_of(part->checksums.text[stored->object.kind]),
                        &value, &part_count))
        return ERR_NONE;
    raw = (struct bytes){(const char *)value.data, value.count};
    stored->with_checksum++;
    multipart_expect(stored->parts, index, raw);
    return ERR_NONE;
}

static void stored_on_page(struct op *op)
{
    struct stored *stored = container_of(op, struct stored, step);
    struct op *owner = stored->owner;
    if (!op->err && stored->attributes.is_truncated && stored->attributes.next_number > 0) {
        snprintf(stored->marker, sizeof stored->marker, "%u", stored->attributes.next_number);
        stored_ask(stored);
        return;
    }
    stored->owner = NULL;
    owner->raw = op->raw;
    core_finish(stored->core, owner, op->err);
}

void stored_cancel(struct stored *stored)
{
    if (stored->owner) request_cancel(&stored->request);
}

bool stored_is_usable(const struct stored *stored, uint64_t bytes, uint32_t part_count)
{
    const struct multipart *parts = stored->parts;
    return part_count > 0 && parts->bytes == bytes && parts->count == part_count &&
           stored->with_checksum == part_count;
}
