#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "core/check.h"
#include "net/gcm.h"

struct gcm_evp_engine {
    struct gcm_engine engine;
    EVP_CIPHER *small, *large; /* fetched once: a fetch by name costs a microsecond and locks */
};

struct gcm_evp {
    struct gcm gcm;
    const struct gcm_evp_engine *engine;
    EVP_CIPHER_CTX *context;
};

static struct gcm_evp *gcm_evp_of(struct gcm *gcm)
{
    return container_of(gcm, struct gcm_evp, gcm);
}

static const char *gcm_evp_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

static void gcm_evp_engine_close(struct gcm_engine *engine)
{
    struct gcm_evp_engine *mine = container_of(engine, struct gcm_evp_engine, engine);
    EVP_CIPHER_free(mine->small);
    EVP_CIPHER_free(mine->large);
    free(mine);
}

static enum err gcm_evp_engine_open(struct gcm_engine **engine)
{
    struct gcm_evp_engine *mine = calloc(1, sizeof(*mine));
    if (!mine) return ERR_NO_MEMORY;
    mine->engine.kind = &gcm_evp_kind;
    mine->small = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    mine->large = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (!mine->small || !mine->large) {
        gcm_evp_engine_close(&mine->engine);
        return ERR_NO_MEMORY; /* TLS 1.3 itself needs the first: it cannot be missing */
    }
    *engine = &mine->engine;
    return ERR_NONE;
}

static enum err gcm_evp_open(const struct gcm_engine *engine, struct gcm **gcm)
{
    struct gcm_evp *mine = calloc(1, sizeof(*mine));
    if (!mine) return ERR_NO_MEMORY;
    mine->engine = container_of(engine, struct gcm_evp_engine, engine);
    mine->context = EVP_CIPHER_CTX_new();
    if (!mine->context) {
        free(mine);
        return ERR_NO_MEMORY;
    }
    *gcm = &mine->gcm;
    return ERR_NONE;
}

static void gcm_evp_close(struct gcm *gcm)
{
    struct gcm_evp *mine = gcm_evp_of(gcm);
    EVP_CIPHER_CTX_free(mine->context); /* wipes the key schedule */
    free(mine);
}

static enum err gcm_evp_set_key(struct gcm *gcm, const uint8_t *key, uint32_t key_bytes)
{
    struct gcm_evp *mine = gcm_evp_of(gcm);
    CHECK(key_bytes == 16 || key_bytes == 32);
    const EVP_CIPHER *cipher = key_bytes == 16 ? mine->engine->small : mine->engine->large;
    return EVP_CipherInit_ex2(mine->context, cipher, key, NULL, gcm->sealing, NULL) == 1
               ? ERR_NONE
               : ERR_NO_MEMORY; /* the inputs are ours: nothing else can go wrong */
}

static enum err gcm_evp_begin(struct gcm *gcm, const uint8_t *nonce, const void *header,
                              uint32_t bytes)
{
    struct gcm_evp *mine = gcm_evp_of(gcm);
    int count;
    bool done = EVP_CipherInit_ex2(mine->context, NULL, NULL, nonce, gcm->sealing, NULL) == 1 &&
                EVP_CipherUpdate(mine->context, NULL, &count, header, (int)bytes) == 1;
    return done ? ERR_NONE : ERR_TLS_ALERT;
}

static enum err gcm_evp_run(struct gcm *gcm, void *out, const void *in, uint32_t bytes)
{
    int count;
    bool done = EVP_CipherUpdate(gcm_evp_of(gcm)->context, out, &count, in, (int)bytes) == 1;
    return done ? ERR_NONE : ERR_TLS_ALERT;
}

static enum err gcm_evp_finish(struct gcm *gcm, uint8_t *tag)
{
    EVP_CIPHER_CTX *context = gcm_evp_of(gcm)->context;
    uint8_t none[1]; /* GCM has no last block */
    int count;
    bool done = true;
    if (!gcm->sealing)
        done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_BYTES, tag) == 1;
    done = done && EVP_CipherFinal_ex(context, none, &count) == 1;
    if (gcm->sealing)
        done = done && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_BYTES, tag) == 1;
    return done ? ERR_NONE : ERR_TLS_ALERT;
}

const struct gcm_kind gcm_evp_kind = {
    .library = "OpenSSL",
    .version = gcm_evp_version,
    .engine_open = gcm_evp_engine_open,
    .engine_close = gcm_evp_engine_close,
    .open = gcm_evp_open,
    .close = gcm_evp_close,
    .set_key = gcm_evp_set_key,
    .begin = gcm_evp_begin,
    .run = gcm_evp_run,
    .finish = gcm_evp_finish,
};
