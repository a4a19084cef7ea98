#include "s3/client.h"

#include <string.h>

/* Below what servers allow (Ceph RGW 65 s, others 60), so that it is mostly we who close. */
#define CLIENT_IDLE_MAX_NS (50 * NS_PER_S)

static enum err client_open_dial(struct client *client, struct bytes bucket, struct dial **dial)
{
    const struct conf *conf = client->conf;
    char name[TARGET_HOST_BYTES];
    struct writer w;
    writer_init(&w, name, sizeof(name));
    target_name(client_endpoint(client), bucket, &w);
    struct dial_options options = {
        .host = writer_string(&w),
        .port = client->endpoint->port,
        .tls = client->tls,
        .connections_max = conf->connections_max,
        .connect_timeout_ns = conf->connect_timeout_ns,
        .tls_timeout_ns = conf->tls_timeout_ns,
        .idle_max_ns = CLIENT_IDLE_MAX_NS,
        .sock = {.congestion_control = conf->tcp_congestion_control,
                 .user_timeout_ms = (uint32_t)(conf->stall_timeout_ns / NS_PER_MS)},
        .aside = client->aside,
        .host_is_whole = bucket.count > 0,
    };
    enum err err = dial_open(dial, client->core, &options);
    if (!err) dial_set_window(*dial, client->window_bytes);
    return err;
}

static void client_release(struct client *client)
{
    if (client->tls) tls_context_close(client->tls);
    client->tls = NULL;
}

/* One dial after the other; then what they used. */
static void client_on_closed(struct op *op)
{
    struct client *client = container_of(op, struct client, closing);
    struct dial *next = client->dial;
    client->dial = NULL;
    while (!next && client->bucket_count > 0)
        next = client->buckets[--client->bucket_count].dial;
    if (next) {
        dial_close(next, &client->closing);
        return;
    }
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
    breaker_init(&client->breaker);
    lookout_init(&client->lookout, core);
    client->bulletin = &client->own_bulletin;
    identity_init(&client->identity, core, endpoint, conf->profile, aside);
    if (endpoint->tls) {
        struct tls_client_options options = {.ca_bundle = conf->ca_bundle,
                                             .verify = conf->verify_tls};
        err = tls_context_open_client(&client->tls, &options, why);
    }
    if (!err) err = client_open_dial(client, (struct bytes){NULL, 0}, &client->dial);
    if (err) client_release(client);
    return err;
}

void client_close(struct client *client, struct op *op)
{
    CHECK(client->dial && !client->close_owner && "a client is closed once");
    op_begin(op);
    client->close_owner = op;
    lookout_close(&client->lookout);
    meter_add(&client->connections, client_counts(client).opened);
    op_begin(&client->closing);
    core_finish(client->core, &client->closing, ERR_NONE);
}

void client_discard(struct client *client)
{
    if (!client->dial) return;
    CHECK(client->bucket_count == 0 && "no request was ever made");
    dial_discard(client->dial);
    client->dial = NULL;
    client_release(client);
}

enum err client_dial(struct client *client, struct bytes bucket, struct dial **dial)
{
    *dial = client->dial;
    if (!target_is_virtual(client_endpoint(client), bucket)) return ERR_NONE;
    for (uint32_t i = 0; i < client->bucket_count; i++) {
        *dial = client->buckets[i].dial;
        if (bytes_equal(bytes_of(client->buckets[i].name), bucket)) return ERR_NONE;
    }
    if (client->bucket_count == CLIENT_BUCKETS_MAX) return ERR_NO_MEMORY;
    struct client_bucket *added = &client->buckets[client->bucket_count];
    if (!bytes_to_string(bucket, added->name, sizeof(added->name))) return ERR_NAME_UNKNOWN;
    enum err err = client_open_dial(client, bucket, &added->dial);
    if (err) return err;
    *dial = added->dial;
    client->bucket_count++;
    return ERR_NONE;
}

const struct endpoint *client_endpoint(const struct client *client)
{
    return bulletin_is_by_path(client->bulletin) ? &client->by_path : client->endpoint;
}

bool client_goes_by_path(struct client *client, enum err err, struct dial **dial)
{
    bool nowhere = err == ERR_NAME_UNKNOWN || err == ERR_NAME_SERVER || err == ERR_TLS_CERTIFICATE;
    if (!nowhere || *dial == client->dial || !client->endpoint->is_guess) return false;
    if (bulletin_has_worked(client->bulletin) && !bulletin_is_by_path(client->bulletin))
        return false;
    if (bulletin_set_by_path(client->bulletin))
        log_line(&client->conf->log, LOG_DETAIL,
                 "%s: buckets have no host names of their own there (%s): they go into the path",
                 client->endpoint->host, err_sentence(err));
    *dial = client->dial;
    return true;
}

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
    if (client->dial) client_add_counts(&sum, client->dial);
    for (uint32_t i = 0; i < client->bucket_count; i++)
        client_add_counts(&sum, client->buckets[i].dial);
    return sum;
}

void client_set_window(struct client *client, uint32_t bytes)
{
    client->window_bytes = bytes;
    if (client->dial) dial_set_window(client->dial, bytes);
    for (uint32_t i = 0; i < client->bucket_count; i++)
        dial_set_window(client->buckets[i].dial, bytes);
}

void client_each(struct client *client, void (*visit)(struct conn *conn, void *context),
                 void *context)
{
    if (client->dial) dial_each(client->dial, visit, context);
    for (uint32_t i = 0; i < client->bucket_count; i++)
        dial_each(client->buckets[i].dial, visit, context);
}
