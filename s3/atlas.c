#include "s3/atlas.h"

#include <string.h>

#include "core/check.h"

uint32_t atlas_count(const struct atlas *atlas)
{
    return atomic_load_explicit(&atlas->count, memory_order_acquire);
}

uint32_t atlas_home(const struct atlas *atlas, struct bytes bucket)
{
    for (uint32_t number = atlas_count(atlas); number > 0; number--)
        if (bytes_equal(bytes_of(atlas->sites[number - 1].bucket), bucket)) return number;
    return 0;
}

const struct endpoint *atlas_site(const struct atlas *atlas, uint32_t number)
{
    CHECK(number >= 1 && number <= atlas_count(atlas));
    return &atlas->sites[number - 1].endpoint;
}

bool atlas_is_same(const struct endpoint *a, const struct endpoint *b)
{
    return a->tls == b->tls && a->port == b->port && a->addressing == b->addressing &&
           strcmp(a->host, b->host) == 0 && strcmp(a->region, b->region) == 0;
}

static enum atlas_put atlas_add(struct atlas *atlas, struct bytes bucket,
                                const struct endpoint *endpoint)
{
    uint32_t count = atlas_count(atlas), home = atlas_home(atlas, bucket);
    struct atlas_site *site = &atlas->sites[count];
    if (home > 0 && atlas_is_same(atlas_site(atlas, home), endpoint)) return ATLAS_KNOWN;
    if (count == ATLAS_SITES_MAX) return ATLAS_FULL;
    if (!bytes_to_string(bucket, site->bucket, sizeof(site->bucket))) return ATLAS_FULL;
    site->endpoint = *endpoint;
    atomic_store_explicit(&atlas->count, count + 1, memory_order_release);
    return ATLAS_ADDED;
}

enum atlas_put atlas_put(struct atlas *atlas, struct bytes bucket, const struct endpoint *endpoint)
{
    if (atomic_exchange_explicit(&atlas->adding, true, memory_order_acquire)) return ATLAS_BUSY;
    enum atlas_put result = atlas_add(atlas, bucket, endpoint);
    atomic_store_explicit(&atlas->adding, false, memory_order_release);
    return result;
}
