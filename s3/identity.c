#include "s3/identity.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/core.h"

static void identity_begin_epoch(struct identity *identity)
{
    identity->epoch++;
    identity->accepted = false;
    identity->refusals = 0;
}

static enum err identity_read(struct aside_job *job)
{
    struct identity *identity = container_of(job, struct identity, job);
    identity->read_err = creds_load(&identity->fresh, identity->profile, identity->read_why);
    return ERR_NONE;
}

static void identity_wipe(struct identity *identity)
{
    struct op *owner = identity->close_owner;
    identity->close_owner = NULL;
    if (identity->signs) creds_fini(&identity->creds);
    identity->signs = false;
    core_finish(identity->core, owner, ERR_NONE);
}

static bool identity_is_same(const struct creds *a, const struct creds *b)
{
    return strcmp(a->access_key, b->access_key) == 0 && strcmp(a->secret_key, b->secret_key) == 0 &&
           strcmp(a->session_token, b->session_token) == 0;
}

static void identity_on_read(struct op *op)
{
    struct identity *identity = container_of(op, struct identity, job.op);
    bool found = !identity->read_err && identity->fresh.source != CREDS_NONE;
    if (found && !identity_is_same(&identity->fresh, &identity->creds)) {
        identity->creds = identity->fresh;
        identity_begin_epoch(identity);
    }
    creds_fini(&identity->fresh);
    if (identity->close_owner) identity_wipe(identity);
}

void identity_init(struct identity *identity, struct core *core, const struct endpoint *endpoint,
                   const char *profile, struct aside *aside)
{
    memset(identity, 0, sizeof *identity);
    identity->core = core;
    identity->profile = profile;
    identity->aside = aside;
    aside_job_init(&identity->job, identity_read, identity_on_read);
    identity->signs = endpoint->sign && endpoint->creds;
    if (!identity->signs) return;
    identity->creds = *endpoint->creds;
}

void identity_close(struct identity *identity, struct op *op)
{
    CHECK(!identity->close_owner);
    op_begin(op);
    identity->close_owner = op;
    if (!identity_is_reading(identity)) identity_wipe(identity);
}

bool identity_is_reading(const struct identity *identity)
{
    return identity->job.op.out;
}

bool identity_reread(struct identity *identity)
{
    uint64_t now_ns = identity->core->now_ns;
    if (!identity->signs || !identity->aside || identity_is_reading(identity)) return false;
    if (identity->creds.source == CREDS_ENVIRONMENT || identity->creds.source == CREDS_NONE)
        return false;
    if (identity->read_ns && now_ns - identity->read_ns < IDENTITY_REREAD_NS) return false;
    identity->read_ns = max_u64(now_ns, 1);
    aside_start(identity->aside, &identity->job);
    return true;
}

void identity_on_success(struct identity *identity, uint32_t epoch)
{
    if (epoch != identity->epoch) return;
    identity->accepted = true;
    identity->refusals = 0;
}

bool identity_keeps(struct identity *identity)
{
    return identity->accepted && ++identity->refusals < IDENTITY_REFUSALS_MAX;
}

uint64_t identity_wall_ns(const struct identity *identity)
{
    return (uint64_t)((int64_t)clock_wall_ns() + identity->clock_offset_ns);
}

int64_t identity_clock_error_ns(const struct identity *identity, int64_t server_s)
{
    if (server_s < 0 || server_s > INT64_MAX / (int64_t)NS_PER_S) return 0;
    int64_t off_ns = server_s * (int64_t)NS_PER_S - (int64_t)identity_wall_ns(identity);
    bool far = off_ns > (int64_t)IDENTITY_CLOCK_NS || off_ns < -(int64_t)IDENTITY_CLOCK_NS;
    return far ? off_ns : 0;
}

bool identity_set_clock(struct identity *identity, int64_t server_s)
{
    int64_t off_ns = identity_clock_error_ns(identity, server_s);
    if (!identity->signs || off_ns == 0) return false;
    identity->clock_offset_ns += off_ns;
    identity_begin_epoch(identity);
    return true;
}

/* --- keys --- */

struct sigv4_key *identity_key(struct identity *identity, struct identity_key *key,
                               const char *region)
{
    CHECK(identity->signs);
    if (key->ready && key->epoch == identity->epoch && strcmp(key->key.region, region) == 0)
        return &key->key;
    identity_forget_key(key);
    sigv4_key_init(&key->key, identity->creds.access_key, identity->creds.secret_key, region);
    key->epoch = identity->epoch;
    key->ready = true;
    return &key->key;
}

void identity_forget_key(struct identity_key *key)
{
    if (key->ready) sigv4_key_fini(&key->key);
    key->ready = false;
}
