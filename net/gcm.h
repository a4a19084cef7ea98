/* gcm: AES-GCM with nonces of 96 bits and tags of 128: one key, which either seals or opens
 * messages, piece by piece. NIST SP 800-38D.
 *
 *     begin(nonce, header)  →  run(piece)*  →  finish(tag)          then the next message
 *
 * What a piece becomes is written at once, as long as the piece. When opening, nothing of it may be
 * used before finish() found the tag right.
 *
 * There are two kinds. libipsec-mb takes a third of OpenSSL 3.0's time where the CPU has AES
 * instructions for 512 bits (VAES), and no more where it has those for 128; it is compiled in where
 * the Makefile finds it. OpenSSL's EVP works everywhere. A `struct gcm_engine` is a kind made ready
 * for this CPU, which takes half a millisecond: one a TLS context. It outlives its keys.
 *
 * A key's memory is wiped when it is closed. A nonce must never be used twice under one key: that
 * is the caller's to see to. */
#ifndef NET_GCM_H
#define NET_GCM_H

#include "core/err.h"

#define GCM_NONCE_BYTES   12u
#define GCM_TAG_BYTES     16u
#define GCM_KEY_BYTES_MAX 32u

struct gcm_kind;

struct gcm_engine { /* implementations embed it */
    const struct gcm_kind *kind;
};

struct gcm { /* implementations embed it */
    const struct gcm_kind *kind;
    bool sealing;
};

struct gcm_kind {
    const char *library;
    const char *(*version)(void); /* of the library */
    enum err (*engine_open)(struct gcm_engine **engine);
    void (*engine_close)(struct gcm_engine *engine);
    enum err (*open)(const struct gcm_engine *engine, struct gcm **gcm);
    void (*close)(struct gcm *gcm);
    enum err (*set_key)(struct gcm *gcm, const uint8_t *key, uint32_t key_bytes);
    enum err (*begin)(struct gcm *gcm, const uint8_t *nonce, const void *header, uint32_t bytes);
    enum err (*run)(struct gcm *gcm, void *out, const void *in, uint32_t bytes);
    enum err (*finish)(struct gcm *gcm, uint8_t *tag);
};

extern const struct gcm_kind gcm_evp_kind, gcm_mb_kind; /* the second where it is compiled in */

/* The kinds of this build, best first; NULL behind the last. */
const struct gcm_kind *gcm_kind_at(uint32_t index);

/* The best kind that works on this CPU. Errors: ERR_NO_MEMORY. */
MUST_USE enum err gcm_engine_open(struct gcm_engine **engine);

static inline void gcm_engine_close(struct gcm_engine *engine) /* NULL is fine */
{
    if (engine) engine->kind->engine_close(engine);
}

/* Memory for a key, which sets *gcm to NULL after an error. Errors: ERR_NO_MEMORY. */
MUST_USE enum err gcm_open(const struct gcm_engine *engine, bool sealing, struct gcm **gcm);
/* Wipes it, and *gcm becomes NULL, as it may be already. */
void gcm_close(struct gcm **gcm);

/* A new key, of 16 or 32 bytes. Errors: ERR_NO_MEMORY. */
static inline MUST_USE enum err gcm_set_key(struct gcm *gcm, const uint8_t *key, uint32_t key_bytes)
{
    return gcm->kind->set_key(gcm, key, key_bytes);
}

/* Starts a message. `header`: at least one byte that is authenticated, but neither encrypted nor
 * written. Errors, here and below: ERR_TLS_ALERT when libcrypto fails. */
static inline MUST_USE enum err gcm_begin(struct gcm *gcm, const uint8_t nonce[GCM_NONCE_BYTES],
                                          const void *header, uint32_t header_bytes)
{
    return gcm->kind->begin(gcm, nonce, header, header_bytes);
}

/* `out` may be `in`, else they are apart. `bytes` may be 0 and is below 2 GiB. */
static inline MUST_USE enum err gcm_run(struct gcm *gcm, void *out, const void *in, uint32_t bytes)
{
    return bytes > 0 ? gcm->kind->run(gcm, out, in, bytes) : ERR_NONE;
}

/* Writes the tag when sealing; compares it when opening, where ERR_TLS_ALERT means: not authentic.
 * */
static inline MUST_USE enum err gcm_finish(struct gcm *gcm, uint8_t tag[GCM_TAG_BYTES])
{
    return gcm->kind->finish(gcm, tag);
}

#endif
