#include "tools/stowage_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "compress/base64.h"

void stowage_call_init(struct stowage_call *call, struct stowage_world *world)
{
    memset(call, 0, sizeof(*call));
    call->world = world;
    stowage_xml_init(&call->input);
    stowage_xml_init(&call->text);
    stowage_call_clear(call);
}

void stowage_call_fini(struct stowage_call *call)
{
    stowage_call_clear(call);
    stowage_xml_fini(&call->input);
    stowage_xml_fini(&call->text);
}

void stowage_call_clear(struct stowage_call *call)
{
    struct stowage_world *world = call->world;
    CHECK(!call->sink.is_open && !call->source.is_open);
    if (call->sink.keep) stowage_keep_drop(world->keep, &call->sink.segment);
    call->sink.keep = NULL;
    stowage_store_release(&world->store, &call->held);
    stowage_store_release(&world->store, &call->made);
    call->error = STOWAGE_ERROR_NONE;
    call->detail[0] = 0;
    call->refusal = NULL;
    call->intake = STOWAGE_INTAKE_NONE;
    call->content_bytes = 0;
    sums_init(&call->sums, CHECKSUM_NONE, false, false);
    call->claimed_checksum.kind = CHECKSUM_NONE;
    call->claimed_checksum.count = 0;
    call->checksum_in_trailer = call->claims_md5 = false;
    stowage_xml_clear(&call->input);
    stowage_xml_clear(&call->text);
    call->next = NULL;
    call->status = 200;
    call->sends_object = call->no_body = false;
    call->verdict.payload = STOWAGE_PAYLOAD_UNSIGNED;
    call->route.operation = STOWAGE_UNKNOWN;
    call->route.bucket = call->route.key = BYTES("");
    writer_init(&call->headers, call->header_text, sizeof(call->header_text));
}

enum stowage_error stowage_call_fail(struct stowage_call *call, enum stowage_error error,
                                     const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->detail, sizeof(call->detail), format, arguments);
    va_end(arguments);
    return error;
}

enum stowage_error stowage_call_bucket(struct stowage_call *call, struct stowage_bucket **bucket)
{
    *bucket = stowage_store_bucket(&call->world->store, call->route.bucket);
    return *bucket ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_NO_BUCKET;
}

enum stowage_error stowage_call_upload(struct stowage_call *call, struct stowage_bucket **bucket,
                                       struct stowage_upload **upload)
{
    enum stowage_error error = stowage_call_bucket(call, bucket);
    if (error) return error;
    *upload = stowage_store_upload(*bucket, call->route.key,
                                   stowage_route_param(&call->route, "uploadId"));
    return *upload ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_NO_UPLOAD;
}

struct bytes stowage_call_header(const struct stowage_call *call, const char *name)
{
    return http_header(call->head, name);
}

void stowage_call_reply_header(struct stowage_call *call, const char *name, struct bytes value)
{
    writer_text(&call->headers, name);
    writer_text(&call->headers, ": ");
    writer_put(&call->headers, value);
    writer_text(&call->headers, "\r\n");
}

void stowage_call_etag(struct stowage_call *call, const char *etag)
{
    writer_format(&call->headers, "ETag: \"%s\"\r\n", etag);
}

const char *stowage_call_checksum_element(enum checksum_kind kind)
{
    static const char *const names[CHECKSUM_KINDS] = {
        [CHECKSUM_NONE] = "ChecksumNone",     [CHECKSUM_CRC32C] = "ChecksumCRC32C",
        [CHECKSUM_CRC32] = "ChecksumCRC32",   [CHECKSUM_CRC64NVME] = "ChecksumCRC64NVME",
        [CHECKSUM_SHA256] = "ChecksumSHA256",
    };
    return names[kind];
}

const char *stowage_call_checksum_label(enum checksum_kind kind)
{
    return stowage_call_checksum_element(kind) + strlen("Checksum");
}

void stowage_call_checksum(struct stowage_call *call, const struct checksum_value *value,
                           uint32_t parts)
{
    char text[CHECKSUM_TEXT_BYTES];
    if (value->kind == CHECKSUM_NONE) return;
    writer_format(&call->headers, "x-amz-checksum-%s: %s\r\n", checksum_kind_name(value->kind),
                  checksum_format(value, parts, text));
}

void stowage_call_checksum_xml(struct stowage_call *call, const struct checksum_value *value,
                               uint32_t parts)
{
    char text[CHECKSUM_TEXT_BYTES];
    if (value->kind == CHECKSUM_NONE) return;
    stowage_xml_text(&call->text, stowage_call_checksum_element(value->kind),
                     bytes_of(checksum_format(value, parts, text)));
}

static enum stowage_error claim_md5(struct stowage_call *call)
{
    struct bytes text = stowage_call_header(call, "content-md5");
    size_t count;
    if (!text.data) return STOWAGE_ERROR_NONE;
    if (!base64_decode(bytes_trim(text), call->claimed_md5, DIGEST_MD5_BYTES, &count) ||
        count != DIGEST_MD5_BYTES)
        return STOWAGE_ERROR_DIGEST;
    call->claims_md5 = true;
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_call_claim_checksum(struct stowage_call *call)
{
    struct bytes announced = bytes_trim(stowage_call_header(call, "x-amz-trailer"));
    for (int kind = CHECKSUM_NONE + 1; kind < CHECKSUM_KINDS; kind++) {
        char name[40];
        uint32_t parts;
        snprintf(name, sizeof(name), "x-amz-checksum-%s",
                 checksum_kind_name((enum checksum_kind)kind));
        struct bytes value = stowage_call_header(call, name);
        if (value.data) {
            if (!checksum_parse((enum checksum_kind)kind, bytes_trim(value),
                                &call->claimed_checksum, &parts) ||
                parts)
                return stowage_call_fail(call, STOWAGE_ERROR_REQUEST,
                                         "Value for %s header is invalid.", name);
            return STOWAGE_ERROR_NONE;
        }
        if (bytes_equal_ignoring_case(announced, bytes_of(name))) {
            call->claimed_checksum.kind = (enum checksum_kind)kind;
            call->checksum_in_trailer = true;
        }
    }
    return STOWAGE_ERROR_NONE;
}

enum stowage_error stowage_call_claims(struct stowage_call *call, enum checksum_kind otherwise,
                                       bool with_etag)
{
    enum stowage_error error = claim_md5(call);
    if (!error) error = stowage_call_claim_checksum(call);
    bool verify = call->world->verify;
    enum checksum_kind kind = call->claimed_checksum.kind ? call->claimed_checksum.kind : otherwise;
    if (!verify && call->claimed_checksum.kind && !call->checksum_in_trailer) kind = CHECKSUM_NONE;
    sums_init(&call->sums, kind, verify && call->verdict.payload == STOWAGE_PAYLOAD_HASHED,
              (verify && call->claims_md5) || (with_etag && call->world->keep->kind->has_content));
    return error;
}

enum stowage_error stowage_call_settle_sums(struct stowage_call *call, struct bytes trailer)
{
    enum checksum_kind claimed = call->claimed_checksum.kind;
    uint32_t parts;
    bool with_md5 = call->sums.with_md5, with_sha256 = call->sums.with_sha256;
    sums_final(&call->sums, &call->sum);
    if (call->checksum_in_trailer) {
        if (!trailer.data || !checksum_parse(claimed, trailer, &call->claimed_checksum, &parts))
            return stowage_call_fail(call, STOWAGE_ERROR_REQUEST,
                                     "The trailer lacks the checksum that was announced.");
    }
    if (!call->world->verify) {
        if (claimed) call->sum.checksum = call->claimed_checksum;
        return STOWAGE_ERROR_NONE;
    }
    if (with_sha256 && memcmp(call->sum.sha256, call->verdict.sha256, DIGEST_SHA256_BYTES))
        return STOWAGE_ERROR_CONTENT_SHA256;
    if (call->claims_md5 && with_md5 && memcmp(call->sum.md5, call->claimed_md5, DIGEST_MD5_BYTES))
        return STOWAGE_ERROR_BAD_DIGEST;
    if (claimed && !checksum_equal(&call->sum.checksum, &call->claimed_checksum))
        return stowage_call_fail(call, STOWAGE_ERROR_BAD_DIGEST,
                                 "The %s you specified did not match the calculated checksum.",
                                 stowage_call_checksum_label(claimed));
    return STOWAGE_ERROR_NONE;
}

void stowage_call_intake(struct stowage_call *call, enum stowage_intake intake, uint64_t bytes)
{
    call->intake = intake;
    call->content_bytes = bytes;
    stowage_keep_sink_init(&call->sink, call->world->keep, bytes, NULL);
    call->sink.bucket = call->route.bucket;
    call->sink.key = call->route.key;
}

void stowage_call_make_etag(struct stowage_call *call, char etag[STOWAGE_ETAG_BYTES])
{
    uint64_t words[2];
    struct writer w;
    _Static_assert(sizeof(words) == DIGEST_MD5_BYTES, "an ETag is as long as an MD5");
    if (call->world->keep->kind->has_content) {
        memcpy(words, call->sum.md5, sizeof(words));
    } else {
        words[0] = rand_u64(&call->world->core->rand);
        words[1] = rand_u64(&call->world->core->rand);
    }
    writer_init(&w, etag, STOWAGE_ETAG_BYTES);
    writer_hex(&w, (const uint8_t *)words, sizeof(words));
    writer_string(&w);
}

void stowage_call_take_part(struct stowage_call *call, struct stowage_part *part)
{
    memset(part, 0, sizeof(*part));
    part->number = call->route.part_number;
    part->modified_ns = call->wall_ns;
    part->checksum = call->sum.checksum;
    part->segment = call->sink.segment;
    call->sink.segment = (struct stowage_segment){.memory = NULL};
    stowage_call_make_etag(call, part->etag);
}

/* Content-Encoding without the aws-chunked that was only for the way here. */
static struct bytes strip_chunked(struct bytes value)
{
    struct bytes rest, first = bytes_trim(bytes_cut(value, ',', &rest));
    return bytes_equal_ignoring_case(first, BYTES("aws-chunked")) ? bytes_trim(rest) : value;
}

enum stowage_error stowage_call_object_headers(struct stowage_call *call, struct writer *lines)
{
    static const char *const kept[] = {"content-type",        "cache-control",
                                       "content-disposition", "content-encoding",
                                       "content-language",    "expires"};
    const struct http_head *head = call->head;
    if (!http_header(head, "content-type").count)
        writer_text(lines, "content-type: binary/octet-stream\r\n");
    for (uint32_t i = 0; i < head->header_count; i++) {
        struct bytes name = head->headers[i].name, value = head->headers[i].value;
        struct bytes start = {name.data, name.count < 11 ? name.count : 11};
        bool keep = bytes_equal_ignoring_case(start, BYTES("x-amz-meta-"));
        for (size_t k = 0; k < ARRAY_COUNT(kept) && !keep; k++)
            keep = bytes_equal_ignoring_case(name, bytes_of(kept[k]));
        if (bytes_equal_ignoring_case(name, BYTES("content-encoding")))
            value = strip_chunked(value);
        if (!keep || !value.count) continue;
        for (size_t k = 0; k < name.count; k++)
            writer_char(lines, name.data[k] >= 'A' && name.data[k] <= 'Z'
                                   ? (char)(name.data[k] | 0x20)
                                   : name.data[k]);
        writer_text(lines, ": ");
        writer_put(lines, value);
        writer_text(lines, "\r\n");
    }
    return lines->overflow ? STOWAGE_ERROR_METADATA_TOO_LARGE : STOWAGE_ERROR_NONE;
}
