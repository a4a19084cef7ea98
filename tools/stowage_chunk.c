#include "tools/stowage_chunk.h"

#include <string.h>

#include "core/check.h"

enum state { SIZE, DATA, DATA_END, TRAILER };

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void stowage_chunk_init(struct stowage_chunk *chunk, const struct stowage_chunk_signer *signer)
{
    chunk->done = chunk->last = false;
    chunk->trailer_count = chunk->line_count = 0;
    chunk->state = SIZE;
    chunk->left = 0;
    chunk->signature[0] = 0;
    chunk->is_signed = signer != NULL;
    if (signer) chunk->signer = *signer;
}

/* HMAC over "<algorithm>\n time \n scope \n previous \n hash…", compared with what was claimed. */
static enum stowage_error check_signature(struct stowage_chunk *chunk, const char *algorithm,
                                          const char *hashes, const char *claimed)
{
    struct stowage_chunk_signer *signer = &chunk->signer;
    char text[640], hex[65];
    uint8_t value[DIGEST_SHA256_BYTES];
    struct writer w;
    writer_init(&w, text, sizeof(text));
    writer_format(&w, "%s\n%s\n%s\n%s\n%s", algorithm, signer->time, signer->scope,
                  signer->previous, hashes);
    if (w.overflow) return STOWAGE_ERROR_REQUEST;
    digest_hmac_with(&signer->key, text, w.count, value);
    writer_init(&w, hex, sizeof(hex));
    writer_hex(&w, value, sizeof(value));
    writer_string(&w);
    if (strcmp(hex, claimed)) return STOWAGE_ERROR_SIGNATURE;
    memcpy(signer->previous, hex, sizeof(hex));
    return STOWAGE_ERROR_NONE;
}

static enum stowage_error end_chunk(struct stowage_chunk *chunk)
{
    if (!chunk->is_signed) return STOWAGE_ERROR_NONE;
    uint8_t value[DIGEST_SHA256_BYTES];
    char hashes[160];
    struct writer w;
    digest_sha256_final(&chunk->digest, value);
    writer_init(&w, hashes, sizeof(hashes));
    writer_text(&w, EMPTY_SHA256 "\n"); /* of the headers, of which there are none */
    writer_hex(&w, value, sizeof(value));
    return check_signature(chunk, "AWS4-HMAC-SHA256-PAYLOAD", writer_string(&w), chunk->signature);
}

static bool parse_hex(struct bytes text, uint64_t *value)
{
    *value = 0;
    if (!text.count || text.count > 15) return false;
    for (size_t i = 0; i < text.count; i++) {
        char c = text.data[i];
        uint64_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint64_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (uint64_t)((c | 0x20) - 'a' + 10);
        else
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

static enum stowage_error on_size(struct stowage_chunk *chunk, struct bytes line)
{
    struct bytes extension, value;
    struct bytes size = bytes_trim(bytes_cut(line, ';', &extension));
    if (!parse_hex(size, &chunk->left)) return STOWAGE_ERROR_REQUEST;
    chunk->signature[0] = 0;
    if (bytes_equal(bytes_trim(bytes_cut(extension, '=', &value)), BYTES("chunk-signature")) &&
        !bytes_to_string(bytes_trim(value), chunk->signature, sizeof(chunk->signature)))
        return STOWAGE_ERROR_REQUEST;
    if (chunk->is_signed) digest_sha256_init(&chunk->digest);
    if (chunk->left) {
        chunk->state = DATA;
        return STOWAGE_ERROR_NONE;
    }
    chunk->state = TRAILER;
    return end_chunk(chunk);
}

static enum stowage_error end_trailer(struct stowage_chunk *chunk)
{
    chunk->done = true;
    struct bytes claimed = stowage_chunk_trailer(chunk, "x-amz-trailer-signature");
    if (!chunk->is_signed || !chunk->trailer_count) return STOWAGE_ERROR_NONE;
    if (!claimed.data) return STOWAGE_ERROR_SIGNATURE;
    const char *line = claimed.data - strlen("x-amz-trailer-signature:");
    char hex[65], text[65];
    uint8_t value[DIGEST_SHA256_BYTES];
    struct writer w;
    digest_sha256(chunk->trailer, (size_t)(line - chunk->trailer), value);
    writer_init(&w, hex, sizeof(hex));
    writer_hex(&w, value, sizeof(value));
    if (!bytes_to_string(claimed, text, sizeof(text))) return STOWAGE_ERROR_SIGNATURE;
    return check_signature(chunk, "AWS4-HMAC-SHA256-TRAILER", writer_string(&w), text);
}

static enum stowage_error on_trailer(struct stowage_chunk *chunk, struct bytes line)
{
    struct bytes value, name = bytes_trim(bytes_cut(line, ':', &value));
    if (!line.count) return end_trailer(chunk);
    value = bytes_trim(value);
    if (chunk->trailer_count + name.count + value.count + 2 > sizeof(chunk->trailer))
        return STOWAGE_ERROR_REQUEST;
    char *out = chunk->trailer + chunk->trailer_count;
    for (size_t i = 0; i < name.count; i++)
        *out++ =
            name.data[i] >= 'A' && name.data[i] <= 'Z' ? (char)(name.data[i] | 0x20) : name.data[i];
    *out++ = ':';
    memcpy(out, value.data, value.count);
    out += value.count;
    *out++ = '\n';
    chunk->trailer_count = (uint32_t)(out - chunk->trailer);
    return STOWAGE_ERROR_NONE;
}

static enum stowage_error on_line(struct stowage_chunk *chunk)
{
    struct bytes line = bytes_trim((struct bytes){chunk->line, chunk->line_count});
    chunk->line_count = 0;
    switch ((enum state)chunk->state) {
    case SIZE: return on_size(chunk, line);
    case DATA_END:
        if (line.count) return STOWAGE_ERROR_REQUEST;
        chunk->state = SIZE;
        return end_chunk(chunk);
    case TRAILER: return on_trailer(chunk, line);
    case DATA: break;
    }
    NEVER("data has no lines");
}

enum stowage_error stowage_chunk_decode(struct stowage_chunk *chunk, char *data, uint32_t count,
                                        uint32_t *payload)
{
    enum stowage_error error = STOWAGE_ERROR_NONE;
    char *out = data;
    for (uint32_t i = 0; i < count && !error;) {
        if (chunk->done) {
            error = STOWAGE_ERROR_REQUEST;
        } else if (chunk->state == DATA) {
            uint32_t take = (uint32_t)min_u64(chunk->left, count - i);
            if (chunk->is_signed) digest_sha256_update(&chunk->digest, data + i, take);
            if (out != data + i) memmove(out, data + i, take);
            out += take;
            i += take;
            chunk->left -= take;
            if (!chunk->left) chunk->state = DATA_END;
        } else if (data[i] == '\n') {
            i++;
            error = on_line(chunk);
        } else if (chunk->line_count == sizeof(chunk->line)) {
            error = STOWAGE_ERROR_REQUEST;
        } else {
            chunk->line[chunk->line_count++] = data[i++];
        }
    }
    *payload = (uint32_t)(out - data);
    return error;
}

struct bytes stowage_chunk_trailer(const struct stowage_chunk *chunk, const char *name)
{
    struct bytes rest = {chunk->trailer, chunk->trailer_count};
    while (rest.count) {
        struct bytes line = bytes_cut(rest, '\n', &rest), value;
        if (bytes_equal(bytes_cut(line, ':', &value), bytes_of(name))) return value;
    }
    return (struct bytes){NULL, 0};
}
