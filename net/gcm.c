#include "net/gcm.h"

#include "core/check.h"

static const struct gcm_kind *const gcm_kinds[] = {
#ifdef ARGOSY_IPSEC_MB
    &gcm_mb_kind,
#endif
    &gcm_evp_kind,
};

const struct gcm_kind *gcm_kind_at(uint32_t index)
{
    return index < ARRAY_COUNT(gcm_kinds) ? gcm_kinds[index] : NULL;
}

enum err gcm_engine_open(struct gcm_engine **engine)
{
    enum err err = ERR_NO_MEMORY;
    *engine = NULL;
    for (uint32_t i = 0; i < ARRAY_COUNT(gcm_kinds) && err != ERR_NONE; i++)
        err = gcm_kinds[i]->engine_open(engine);
    return err;
}

enum err gcm_open(const struct gcm_engine *engine, bool sealing, struct gcm **gcm)
{
    *gcm = NULL;
    enum err err = engine->kind->open(engine, gcm);
    if (err != ERR_NONE) return err;
    (*gcm)->kind = engine->kind;
    (*gcm)->sealing = sealing;
    return ERR_NONE;
}

void gcm_close(struct gcm **gcm)
{
    if (*gcm) (*gcm)->kind->close(*gcm);
    *gcm = NULL;
}
