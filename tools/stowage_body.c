#include "tools/stowage_body.h"

void stowage_body_init(struct stowage_body *body)
{
    body->raw_count = body->payload_count = body->extra_count = 0;
    body->dropped_bytes = 0;
    http_parser_init(&body->parser, HTTP_REQUEST, false);
}

enum err stowage_body_decode(struct stowage_body *body, struct stowage_call *call)
{
    uint32_t payload = 0, unused = 0;
    char *data = body->raw;
    uint32_t count = body->raw_count;
    body->raw_count = 0;
    enum err err = http_parse_body(&body->parser, data, count, &payload, &unused);
    if (err) return err;
    if (unused) {
        body->extra = data + count - unused;
        body->extra_count = unused;
    }
    body->payload = data;
    body->payload_count = payload;
    if (body->chunked && !call->error && payload)
        call->error = stowage_chunk_decode(&body->chunk, data, payload, &body->payload_count);
    return ERR_NONE;
}

void stowage_body_set_extra_aside(struct stowage_body *body)
{
    body->extra = body->raw;
    body->extra_count = body->raw_count;
    body->raw_count = 0;
}

enum stowage_error stowage_body_check(const struct stowage_body *body, struct stowage_call *call)
{
    struct bytes trailer = {NULL, 0};
    char name[40];
    struct writer w;
    uint64_t got =
        call->intake == STOWAGE_INTAKE_TEXT ? call->input.count : call->sink.segment.bytes;
    if (call->intake == STOWAGE_INTAKE_NONE) return STOWAGE_ERROR_NONE;
    if (body->chunked && !body->chunk.done) return STOWAGE_ERROR_INCOMPLETE_BODY;
    if (got != call->content_bytes) return STOWAGE_ERROR_INCOMPLETE_BODY;
    writer_init(&w, name, sizeof(name));
    writer_format(&w, "x-amz-checksum-%s", checksum_kind_name(call->claimed_checksum.kind));
    if (body->chunked) trailer = stowage_chunk_trailer(&body->chunk, writer_string(&w));
    return stowage_call_settle_sums(call, trailer);
}

bool stowage_body_is_beyond(const struct stowage_body *body, uint64_t bytes)
{
    uint64_t left = http_body_left(&body->parser);
    return left == UINT64_MAX ? body->dropped_bytes > bytes : left > bytes;
}
