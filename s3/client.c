#include "s3/client.h"

#include <string.h>

/* Below what servers allow (Ceph RGW 65 s, others 60), so that it is mostly we who close. */
#define CLIENT_IDLE_MAX_NS (50 * NS_PER_S)

/* --- doors --- */

static enum err client_open_dial(struct client *client, struct client_door *door, bool is_whole)
{
    const struct conf *conf = client->conf;
    struct dial_options options = {
        .host = door->name,
        .port = door->port,
        .tls = door->tls ? client->tls : NULL,
        .connections_max = conf->connections_max,
        .connect_timeout_ns = conf->connect_timeout_ns,
        .tls_timeout_ns = conf->tls_timeout_ns,
        .idle_max_ns = CLIENT_IDLE_MAX_NS,
        .sock = {.congestion_control = conf->tcp_congestion_control,
                 .user_timeout_ms = (uint32_t)(conf->stall_timeout_ns / NS_PER_MS)},
        .aside = client->aside,
        .host_is_whole = is_whole,
    };
    if (door->tls && !client->tls) return ERR_CONFIG;
    enum err err = dial_open(&door->dial, client->core, &options);
    if (!err) dial_set_window(door->dial, client->window_bytes);
    if (!err) dial_set_pacing(door->dial, client->pacing_bytes_per_s);
    return err;
}

/* Made at the first need. */
static enum err client_find_door(struct client *client, const struct endpoint *endpoint,
                                 struct bytes bucket, struct client_door **found)
{
    char name[TARGET_HOST_BYTES];
    struct writer w;
    writer_init(&w, name, sizeof(name));
    target_name(endpoint, bucket, &w);
    writer_string(&w);
    for (uint32_t i = 0; i < client->door_count; i++) {
        struct client_door *door = *found = &client->doors[i];
        if (door->port == endpoint->port && door->tls == endpoint->tls &&
            strcmp(door->name, name) == 0)
            return ERR_NONE;
    }
    if (w.overflow) return ERR_NAME_UNKNOWN;
    if (client->door_count == CLIENT_DOORS_MAX) return ERR_NO_MEMORY;
    struct client_door *door = *found = &client->doors[client->door_count];
    *door = (struct client_door){.port = endpoint->port, .tls = endpoint->tls};
    memcpy(door->name, name, sizeof(name));
    breaker_init(&door->breaker);
    enum err err = client_open_dial(client, door, bucket.count > 0);
    if (!err) client->door_count++;
    return err;
}

/* --- the whole --- */

static void client_release(struct client *client)
{
    if (client->tls) tls_context_close(client->tls);
    client->tls = NULL;
}

/* One dial after the other; then what they used. */
static void client_on_closed(struct op *op)
{
    struct client *client = container_of(op, struct client, closing);
    if (client->door_count > 0) {
        dial_close(client->doors[--client->door_count].dial, &client->closing);
        return;
    }
    for (uint32_t i = 0; i < CLIENT_SITES_MAX; i++)
        identity_forget_key(&client->sites[i].key);
    if (client->identity.signs) { /* the last, since names share its aside */
        identity_close(&client->identity, &client->closing);
        return;
    }
    client_release(client);
    struct op *owner = client->close_owner;
    client->close_owner = NULL;
    core_finish(client->core, owner, ERR_NONE);
}

enum err client_open(struct client *client, struct core *core, const struct conf *conf,
                     const struct endpoint *endpoint, struct aside *aside, char why[TLS_WHY_BYTES])
{
    enum err err = ERR_NONE;
    *client = (struct client){
        .core = core, .conf = conf, .endpoint = endpoint, .aside = aside, .by_path = *endpoint};
    client->by_path.addressing = ADDRESSING_PATH;
    why[0] = 0;
    op_init(&client->closing, client_on_closed);
    retry_budget_init(&client->budget, RETRY_TOKENS);
    lookout_init(&client->lookout, core);
    client->bulletin = &client->own_bulletin;
    identity_init(&client->identity, core, endpoint, conf->profile, aside);
    if (endpoint->tls || conf->follow_redirects) {
        struct tls_client_options options = {.ca_bundle = conf->ca_bundle,
                                             .verify = conf->verify_tls};
        err = tls_context_open_client(&client->tls, &options, why);
    }
    if (!err) err = client_find_door(client, endpoint, BYTES(""), &client->recent);
    if (err) client_release(client);
    return err;
}

void client_close(struct client *client, struct op *op)
{
    CHECK(client->door_count > 0 && !client->close_owner && "a client is closed once");
    op_begin(op);
    client->close_owner = op;
    lookout_close(&client->lookout);
    meter_add(&client->connections, client_counts(client).opened);
    op_begin(&client->closing);
    core_finish(client->core, &client->closing, ERR_NONE);
}

void client_discard(struct client *client)
{
    if (client->door_count == 0) return;
    CHECK(client->door_count == 1 && "no request was ever made");
    dial_discard(client->doors[0].dial);
    client->door_count = 0;
    client_release(client);
}

/* --- ways --- */

bool client_is_passing(uint32_t site)
{
    return site > ATLAS_SITES_MAX;
}

uint32_t client_home(const struct client *client, struct bytes bucket)
{
    return atlas_home(&client->bulletin->atlas, bucket);
}

const struct endpoint *client_site(const struct client *client, uint32_t site)
{
    CHECK(site < CLIENT_SITES_MAX);
    if (client_is_passing(site)) return &client->passing[site - ATLAS_SITES_MAX - 1];
    if (site > 0) return atlas_site(&client->bulletin->atlas, site);
    return bulletin_is_by_path(client->bulletin) ? &client->by_path : client->endpoint;
}

uint32_t client_pass(struct client *client, const struct endpoint *endpoint)
{
    uint32_t index = 0;
    while (index < client->passing_count && !atlas_is_same(&client->passing[index], endpoint))
        index++;
    if (index == CLIENT_PASSING_MAX) return 0;
    if (index == client->passing_count) client->passing[client->passing_count++] = *endpoint;
    return 1 + ATLAS_SITES_MAX + index;
}

enum err client_find(struct client *client, struct bytes bucket, uint32_t site,
                     struct client_way *way)
{
    way->site = site > 0 ? site : client_home(client, bucket);
    way->endpoint = client_site(client, way->site);
    bool is_virtual = target_is_virtual(way->endpoint, bucket);
    enum err err =
        client_find_door(client, way->endpoint, is_virtual ? bucket : BYTES(""), &way->door);
    if (!err) client->recent = way->door;
    return err;
}

struct sigv4_key *client_key(struct client *client, const struct client_way *way)
{
    return identity_key(&client->identity, &client->sites[way->site].key, way->endpoint->region);
}

void client_on_success(struct client *client, uint32_t site)
{
    client->sites[site].accepted = true;
    client->sites[site].refusals = 0;
}

bool client_keeps(struct client *client, uint32_t site)
{
    return client->sites[site].accepted && ++client->sites[site].refusals < CLIENT_REFUSALS_MAX;
}

bool client_goes_by_path(struct client *client, enum err err, const struct client_way *way)
{
    bool nowhere = err == ERR_NAME_UNKNOWN || err == ERR_NAME_SERVER || err == ERR_TLS_CERTIFICATE;
    bool has_name = way->endpoint == client->endpoint && way->door != &client->doors[0];
    if (!nowhere || !has_name || !client->endpoint->is_guess) return false;
    if (bulletin_has_worked(client->bulletin) && !bulletin_is_by_path(client->bulletin))
        return false;
    if (bulletin_set_by_path(client->bulletin))
        log_line(&client->conf->log, LOG_DETAIL,
                 "%s: buckets have no host names of their own there (%s): they go into the path",
                 client->endpoint->host, err_sentence(err));
    return true;
}

/* --- what all doors share --- */

static void client_add_counts(struct dial_counts *sum, const struct dial *dial)
{
    struct dial_counts counts = dial_counts(dial);
    sum->opened += counts.opened;
    sum->reused += counts.reused;
    sum->replaced_stale += counts.replaced_stale;
    sum->failed += counts.failed;
    sum->open_now += counts.open_now;
    sum->idle_now += counts.idle_now;
    sum->resumed += counts.resumed;
}

struct dial_counts client_counts(const struct client *client)
{
    struct dial_counts sum = {0};
    for (uint32_t i = 0; i < client->door_count; i++)
        client_add_counts(&sum, client->doors[i].dial);
    return sum;
}

void client_set_window(struct client *client, uint32_t bytes)
{
    client->window_bytes = bytes;
    for (uint32_t i = 0; i < client->door_count; i++)
        dial_set_window(client->doors[i].dial, bytes);
}

void client_set_pacing(struct client *client, uint64_t bytes_per_s)
{
    client->pacing_bytes_per_s = bytes_per_s;
    for (uint32_t i = 0; i < client->door_count; i++)
        dial_set_pacing(client->doors[i].dial, bytes_per_s);
}

void client_each(struct client *client, void (*visit)(struct conn *conn, void *context),
                 void *context)
{
    for (uint32_t i = 0; i < client->door_count; i++)
        dial_each(client->doors[i].dial, visit, context);
}
