#include "net/tls_record.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "core/check.h"

static const EVP_MD *tls_record_hash(const struct tls_record *record)
{
    return record->suite == TLS_RECORD_AES_128_GCM_SHA256 ? EVP_sha256() : EVP_sha384();
}

static uint32_t tls_record_secret_bytes(const struct tls_record *record)
{
    return record->suite == TLS_RECORD_AES_128_GCM_SHA256 ? 32 : 48;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 7.1). All that we derive is at most one hash
 * long, so HKDF-Expand is a single HMAC over the label and the block number 1 (RFC 5869 2.3). */
static bool tls_record_expand(const struct tls_record *record, const char *label, uint8_t *out,
                              uint32_t out_bytes)
{
    uint8_t info[64], block[EVP_MAX_MD_SIZE];
    uint32_t label_bytes = (uint32_t)strlen(label), count = 0;
    CHECK(out_bytes <= tls_record_secret_bytes(record) && label_bytes < 32);
    info[count++] = 0;
    info[count++] = (uint8_t)out_bytes;
    info[count++] = (uint8_t)(6 + label_bytes);
    memcpy(info + count, "tls13 ", 6);
    memcpy(info + count + 6, label, label_bytes);
    count += 6 + label_bytes;
    info[count++] = 0; /* the context's length */
    info[count++] = 1;
    bool done = HMAC(tls_record_hash(record), record->secret, (int)tls_record_secret_bytes(record),
                     info, count, block, NULL) != NULL;
    if (done) memcpy(out, block, out_bytes);
    OPENSSL_cleanse(block, sizeof(block));
    return done;
}

static enum err tls_record_take_keys(struct tls_record *record)
{
    uint8_t key[GCM_KEY_BYTES_MAX];
    uint32_t key_bytes = record->suite == TLS_RECORD_AES_128_GCM_SHA256 ? 16 : 32;
    bool done = tls_record_expand(record, "key", key, key_bytes) &&
                tls_record_expand(record, "iv", record->iv, sizeof(record->iv));
    /* the inputs are ours: nothing else can go wrong */
    enum err err = done ? gcm_set_key(record->gcm, key, key_bytes) : ERR_NO_MEMORY;
    OPENSSL_cleanse(key, sizeof(key));
    return err;
}

void tls_record_init(struct tls_record *record, bool sealing)
{
    memset(record, 0, sizeof(*record));
    record->sealing = sealing;
}

enum err tls_record_start(struct tls_record *record, const struct gcm_engine *engine,
                          enum tls_record_suite suite, const uint8_t *secret, uint64_t sequence)
{
    tls_record_wipe(record);
    enum err err = gcm_open(engine, record->sealing, &record->gcm);
    if (err != ERR_NONE) return err;
    record->suite = suite;
    record->sequence = sequence;
    memcpy(record->secret, secret, tls_record_secret_bytes(record));
    return tls_record_take_keys(record);
}

enum err tls_record_update(struct tls_record *record)
{
    uint8_t next[TLS_RECORD_SECRET_MAX];
    if (!tls_record_expand(record, "traffic upd", next, tls_record_secret_bytes(record)))
        return ERR_NO_MEMORY;
    memcpy(record->secret, next, tls_record_secret_bytes(record));
    OPENSSL_cleanse(next, sizeof(next));
    record->sequence = 0;
    return tls_record_take_keys(record);
}

void tls_record_wipe(struct tls_record *record)
{
    gcm_close(&record->gcm);
    OPENSSL_cleanse(record->secret, sizeof(record->secret));
    OPENSSL_cleanse(record->iv, sizeof(record->iv));
}

bool tls_record_is_worn(const struct tls_record *record)
{
    return record->sequence >= TLS_RECORD_WORN;
}

/* Starts a record: its nonce, and its header as the data that is authenticated only. */
static enum err tls_record_begin(struct tls_record *record, const void *header)
{
    uint8_t nonce[GCM_NONCE_BYTES];
    memcpy(nonce, record->iv, sizeof(nonce));
    for (int i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(record->sequence >> (56 - 8 * i));
    record->sequence++;
    return gcm_begin(record->gcm, nonce, header, TLS_WIRE_HEADER_BYTES);
}

enum err tls_record_seal(struct tls_record *record, enum tls_record_type type,
                         struct tls_cursor *from, uint32_t bytes, char *wire)
{
    CHECK(bytes <= TLS_WIRE_PAYLOAD_MAX && record->sealing);
    uint32_t sealed_bytes = bytes + 1 + GCM_TAG_BYTES;
    uint8_t header[TLS_WIRE_HEADER_BYTES] = {TLS_RECORD_DATA, 3, 3, (uint8_t)(sealed_bytes >> 8),
                                             (uint8_t)sealed_bytes};
    uint8_t last = (uint8_t)type;
    char *out = wire + sizeof(header);
    memcpy(wire, header, sizeof(header));
    enum err err = tls_record_begin(record, header);
    while (bytes > 0 && err == ERR_NONE) {
        CHECK(from->count > 0 && "no more than is left");
        uint32_t piece = (uint32_t)min_u64(bytes, from->iovecs->iov_len - from->offset);
        const char *in = (const char *)from->iovecs->iov_base + from->offset;
        err = gcm_run(record->gcm, out, in, piece);
        out += piece;
        bytes -= piece;
        from->offset += piece;
        if (from->offset == from->iovecs->iov_len) {
            from->iovecs++;
            from->count--;
            from->offset = 0;
        }
    }
    if (err == ERR_NONE) err = gcm_run(record->gcm, out, &last, 1);
    if (err == ERR_NONE) err = gcm_finish(record->gcm, (uint8_t *)out + 1);
    return err;
}

/* The type is the last byte that is not padding (RFC 8446 5.4). */
static enum err tls_record_find_type(struct tls_opened *opened, uint32_t inner_bytes)
{
    opened->bytes = inner_bytes;
    while (opened->bytes > 0) {
        opened->type = tls_record_byte(opened, --opened->bytes);
        if (opened->type != 0)
            return opened->bytes <= TLS_WIRE_PAYLOAD_MAX ? ERR_NONE : ERR_TLS_ALERT;
    }
    return ERR_TLS_ALERT;
}

enum err tls_record_open(struct tls_record *record, char *wire, uint32_t wire_bytes, char *memory,
                         uint32_t memory_bytes, struct tls_opened *opened)
{
    CHECK(!record->sealing && wire_bytes >= TLS_WIRE_HEADER_BYTES);
    if ((uint8_t)wire[0] != TLS_RECORD_DATA) return ERR_TLS_ALERT;
    if (wire_bytes < TLS_WIRE_HEADER_BYTES + 1 + GCM_TAG_BYTES) return ERR_TLS_ALERT;
    if (wire_bytes > TLS_WIRE_HEADER_BYTES + TLS_WIRE_PAYLOAD_MAX + 256) return ERR_TLS_ALERT;
    uint32_t inner_bytes = wire_bytes - TLS_WIRE_HEADER_BYTES - GCM_TAG_BYTES;
    uint32_t head_bytes = (uint32_t)min_u64(inner_bytes, memory_bytes);
    char *inner = wire + TLS_WIRE_HEADER_BYTES, *rest = inner + head_bytes;
    enum err err = tls_record_begin(record, wire);
    if (err == ERR_NONE) err = gcm_run(record->gcm, memory, inner, head_bytes);
    if (err == ERR_NONE) err = gcm_run(record->gcm, rest, rest, inner_bytes - head_bytes);
    if (err == ERR_NONE) err = gcm_finish(record->gcm, (uint8_t *)inner + inner_bytes);
    if (err != ERR_NONE) return err;
    opened->head = (const uint8_t *)memory;
    opened->head_bytes = head_bytes;
    opened->rest = (const uint8_t *)rest;
    return tls_record_find_type(opened, inner_bytes);
}

uint8_t tls_record_byte(const struct tls_opened *opened, uint32_t index)
{
    return index < opened->head_bytes ? opened->head[index]
                                      : opened->rest[index - opened->head_bytes];
}

uint64_t tls_record_left(const struct tls_cursor *cursor)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < cursor->count; i++)
        bytes += cursor->iovecs[i].iov_len;
    return bytes - cursor->offset;
}
