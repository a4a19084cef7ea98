/* tls_record: seals and opens TLS 1.3 records with AES-GCM, one direction of one connection.
 * RFC 8446 5.2 (records), 5.3 (nonces), 7.1 and 7.3 (keys), 4.6.3 and 7.2 (key update).
 *
 *     nonce = iv ⊕ sequence,   sealed = header ‖ AES-GCM(payload ‖ type, header) ‖ tag
 *
 * One struct is either a sealer or an opener for its whole life. Keys never leave it; it wipes
 * them. Not here: which messages mean what, and where the secret comes from. */
#ifndef NET_TLS_RECORD_H
#define NET_TLS_RECORD_H

#include <sys/uio.h>

#include "core/err.h"
#include "net/gcm.h"
#include "net/tls_wire.h"

#define TLS_RECORD_SECRET_MAX 48u /* SHA-384 */
#define TLS_RECORD_SEALED_MAX (TLS_WIRE_HEADER_BYTES + TLS_WIRE_PAYLOAD_MAX + 1 + GCM_TAG_BYTES)
/* AES-GCM is safe for 2^24.5 full records under one key (RFC 8446 5.5). */
#define TLS_RECORD_WORN (1ull << 24)

enum tls_record_type { /* RFC 8446 B.1 */
                       TLS_RECORD_ALERT = 21,
                       TLS_RECORD_HANDSHAKE = 22,
                       TLS_RECORD_DATA = 23
};

enum tls_record_suite { TLS_RECORD_AES_128_GCM_SHA256, TLS_RECORD_AES_256_GCM_SHA384 };

struct tls_record {
    /* private */
    struct gcm *gcm; /* NULL without keys */
    enum tls_record_suite suite;
    bool sealing;
    uint64_t sequence;
    uint8_t secret[TLS_RECORD_SECRET_MAX];
    uint8_t iv[GCM_NONCE_BYTES];
};

struct tls_cursor { /* what is left of some iovecs, which stay the caller's */
    const struct iovec *iovecs;
    uint32_t count;
    size_t offset; /* in the first */
};

struct tls_opened { /* one opened record: `bytes` of payload, the first of them in the caller's
                       memory, the rest where the record was */
    uint8_t type;
    uint32_t bytes, head_bytes;
    const uint8_t *head, *rest;
};

void tls_record_init(struct tls_record *record, bool sealing);

/* The keys of a traffic secret (32 or 48 bytes, as the suite says); `sequence`: how many records it
 * has protected already. `engine` outlives the keys, which tls_record_wipe() ends. Errors:
 * ERR_NO_MEMORY. */
MUST_USE enum err tls_record_start(struct tls_record *record, const struct gcm_engine *engine,
                                   enum tls_record_suite suite, const uint8_t *secret,
                                   uint64_t sequence);
/* The next generation of keys, after a KeyUpdate message under the old ones. */
MUST_USE enum err tls_record_update(struct tls_record *record);
void tls_record_wipe(struct tls_record *record); /* there may be no keys */
bool tls_record_is_worn(const struct tls_record *record);

/* Seals the next `bytes` (≤ TLS_WIRE_PAYLOAD_MAX, and no more than are left) of `from` to `wire`
 * (bytes + 22 in all) and moves `from` on. Errors: ERR_TLS_ALERT when libcrypto fails. */
MUST_USE enum err tls_record_seal(struct tls_record *record, enum tls_record_type type,
                                  struct tls_cursor *from, uint32_t bytes, char *wire);

/* Opens one whole record of `wire_bytes`, header included: the first `memory_bytes` of its inner
 * plaintext (which is longer than the payload by the type and any padding) go to `memory`, the rest
 * stays in `wire`. Errors: ERR_TLS_ALERT (not such a record, too long, or not authentic: then
 * nothing of it may be used). */
MUST_USE enum err tls_record_open(struct tls_record *record, char *wire, uint32_t wire_bytes,
                                  char *memory, uint32_t memory_bytes, struct tls_opened *opened);
uint8_t tls_record_byte(const struct tls_opened *opened, uint32_t index); /* of the payload */

uint64_t tls_record_left(const struct tls_cursor *cursor);

#endif
