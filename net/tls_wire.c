#include "net/tls_wire.h"

#include <openssl/bio.h>
#include <string.h>

#include "core/check.h"

static int tls_wire_on_read(BIO *bio, char *memory, size_t bytes, size_t *count)
{
    struct tls_wire *wire = BIO_get_data(bio);
    uint32_t end = wire->in_end < wire->in_limit ? wire->in_end : wire->in_limit;
    BIO_clear_retry_flags(bio);
    if (wire->in_begin >= end) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *count = min_u64(bytes, end - wire->in_begin);
    memcpy(memory, wire->in + wire->in_begin, *count);
    wire->in_begin += (uint32_t)*count;
    return 1;
}

static int tls_wire_on_write(BIO *bio, const char *memory, size_t bytes, size_t *count)
{
    struct tls_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire->out_shut) return 0;
    *count = min_u64(bytes, wire->out_bytes - wire->out_count);
    if (*count == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    memcpy(wire->out + wire->out_count, memory, *count);
    wire->out_count += (uint32_t)*count;
    return 1;
}

static long tls_wire_on_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH; /* there is nothing to flush; all else is not supported */
}

enum err tls_wire_method(struct bio_method_st **method)
{
    *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire buffers");
    if (!*method) return ERR_NO_MEMORY;
    if (BIO_meth_set_read_ex(*method, tls_wire_on_read) &&
        BIO_meth_set_write_ex(*method, tls_wire_on_write) &&
        BIO_meth_set_ctrl(*method, tls_wire_on_control))
        return ERR_NONE;
    BIO_meth_free(*method);
    *method = NULL;
    return ERR_NO_MEMORY;
}

enum err tls_wire_bio(struct tls_wire *wire, const struct bio_method_st *method,
                      struct bio_st **bio)
{
    *bio = BIO_new(method);
    if (!*bio) return ERR_NO_MEMORY;
    BIO_set_data(*bio, wire);
    BIO_set_init(*bio, 1);
    return ERR_NONE;
}

void tls_wire_clear(struct tls_wire *wire)
{
    wire->in_begin = wire->in_end = 0;
    wire->out_sent = wire->out_count = 0;
    wire->in_limit = UINT32_MAX;
    wire->out_shut = false;
}

uint32_t tls_wire_make_room(struct tls_wire *wire)
{
    uint32_t left = wire->in_end - wire->in_begin;
    if (wire->in_begin > 0) {
        memmove(wire->in, wire->in + wire->in_begin, left);
        wire->in_begin = 0;
        wire->in_end = left;
    }
    return wire->in_bytes - wire->in_end;
}

uint32_t tls_wire_record_bytes(const struct tls_wire *wire)
{
    CHECK(wire->in_begin <= wire->in_end);
    uint32_t left = wire->in_end - wire->in_begin;
    if (left < TLS_WIRE_HEADER_BYTES) return 0;
    const uint8_t *header = (const uint8_t *)wire->in + wire->in_begin;
    uint32_t bytes = TLS_WIRE_HEADER_BYTES + ((uint32_t)header[3] << 8 | header[4]);
    return bytes <= left ? bytes : 0;
}
