/* tls_wire: the bytes between TLS and the socket: what was received and not yet taken, and what is
 * to be sent. OpenSSL reaches them through a BIO.
 *
 *     in:   [ taken | in_begin … in_end | room ]        out:  [ out_sent … out_count | room ]
 *
 * Only one side writes an area at a time: the ring receives behind in_end while nobody reads, and
 * what the ring sends is in front of out_count, where only more may be appended. */
#ifndef NET_TLS_WIRE_H
#define NET_TLS_WIRE_H

#include "core/err.h"

#define TLS_WIRE_HEADER_BYTES 5u               /* RFC 8446 5.1 */
#define TLS_WIRE_PAYLOAD_MAX  16384u           /* of one record: 2^14 */
#define TLS_WIRE_FRAGMENT_MAX (16384u + 2048u) /* ciphertext, TLS 1.2: RFC 5246 6.2.3 */
#define TLS_WIRE_RECORD_MAX   (TLS_WIRE_HEADER_BYTES + TLS_WIRE_FRAGMENT_MAX)

struct bio_st;
struct bio_method_st;

struct tls_wire {
    char *in, *out;
    uint32_t in_bytes, out_bytes; /* sizes of the areas */
    uint32_t in_begin, in_end;
    uint32_t out_sent, out_count;
    uint32_t in_limit; /* OpenSSL sees nothing behind it; UINT32_MAX: no bound */
    bool out_shut;     /* OpenSSL may not write: its records would collide with ours */
};

/* A BIO's methods; freed with BIO_meth_free(). Errors: ERR_NO_MEMORY. */
MUST_USE enum err tls_wire_method(struct bio_method_st **method);
/* A BIO over `wire`, which outlives it. Errors: ERR_NO_MEMORY. */
MUST_USE enum err tls_wire_bio(struct tls_wire *wire, const struct bio_method_st *method,
                               struct bio_st **bio);

void tls_wire_clear(struct tls_wire *wire);
/* Moves what is left to the front; returns how many bytes can be received behind it. */
uint32_t tls_wire_make_room(struct tls_wire *wire);
/* The whole record at in_begin, header included, when it is all there: its length, or 0. */
uint32_t tls_wire_record_bytes(const struct tls_wire *wire);

#endif
