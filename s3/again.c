#include "s3/again.h"

#include <stdio.h>
#include <string.h>

/* The files are small and local; the request is signed again when they are read. The same until
 * another server of several is asked. */
#define AGAIN_REREAD_NS (100 * NS_PER_MS)
/* Between two looks for credentials that must yet be renewed by somebody. */
#define AGAIN_RENEWAL_NS (5 * NS_PER_S)
/* Another core adds to the atlas: it copies a few hundred bytes. */
#define AGAIN_ATLAS_NS NS_PER_MS

void again_init(struct again *again, struct client *client)
{
    *again = (struct again){.client = client, .act = POLICY_BACK_OFF};
    retry_init(&again->retry, client->conf->attempts_max);
}

/* --- what the user is told --- */

static void again_say(const struct again *again, const struct again_failure *failure,
                      uint64_t delay_ns)
{
    const struct client *client = again->client;
    int words = err_words_count(failure->what.err, failure->why);
    if (delay_ns < AGAIN_SAY_NS) return;
    if (!bulletin_claim(client->bulletin, failure->what.err, client->core->now_ns)) return;
    bulletin_set_troubled(client->bulletin);
    log_line(&client->conf->log, LOG_NOTE,
             "s3://%.*s%s%.*s: %s%s%.*s%s; trying again in %llu s, attempt %u of %u",
             (int)failure->bucket.count, failure->bucket.data, failure->key.count ? "/" : "",
             (int)failure->key.count, failure->key.data, err_sentence(failure->what.err),
             words ? " (" : "", words, failure->why, words ? ")" : "",
             (unsigned long long)((delay_ns + NS_PER_S / 2) / NS_PER_S), again->retry.attempts,
             again->retry.attempts_max);
}

static void again_say_clock(const struct client *client, int64_t error_ns)
{
    uint64_t off_s = (uint64_t)(error_ns < 0 ? -error_ns : error_ns) / NS_PER_S;
    log_line(&client->conf->log, LOG_NOTE,
             "%s: this machine's clock is %llu s %s the server's; signing by the server's",
             client->endpoint->host, (unsigned long long)off_s,
             error_ns > 0 ? "behind" : "ahead of");
}

/* --- the breaker --- */

static struct client_door *again_door(const struct again *again)
{
    return again->door ? again->door : again->client->recent;
}

static uint64_t again_limit_ns(const struct client *client, enum policy_phase phase)
{
    bool reached = phase > POLICY_TLS || bulletin_was_reached(client->bulletin);
    uint64_t first_ns = reached ? AGAIN_FIRST_SUCCESS_NS : AGAIN_FIRST_CONTACT_NS;
    uint64_t deadline_ns = client->conf->deadline_ns;
    return bulletin_has_worked(client->bulletin) ? deadline_ns : min_u64(deadline_ns, first_ns);
}

/* Not when another core was answered since: this one has only to look again. */
static void again_say_open(const struct again *again, struct bytes bucket, uint64_t wait_ns)
{
    const struct client *client = again->client;
    if (wait_ns < AGAIN_SAY_NS) return;
    if (bulletin_is_relieved(client->bulletin, again->door->breaker.opened_ns)) return;
    if (!bulletin_claim(client->bulletin, client->trouble, client->core->now_ns)) return;
    bulletin_set_troubled(client->bulletin);
    log_line(&client->conf->log, LOG_NOTE,
             "s3://%.*s: %s (%.*s); all requests wait, next try in %llu s", (int)bucket.count,
             bucket.data, err_sentence(client->trouble),
             err_words_count(client->trouble, client->trouble_why), client->trouble_why,
             (unsigned long long)((wait_ns + NS_PER_S / 2) / NS_PER_S));
}

bool again_admit(struct again *again, const struct client_way *way, struct bytes bucket,
                 uint64_t *wait_ns, bool *over)
{
    struct client *client = again->client;
    struct retry *retry = &again->retry;
    uint64_t now_ns = client->core->now_ns;
    CHECK(!again->admitted);
    *over = false;
    again->door = way->door;
    again->admitted =
        breaker_admit(&way->door->breaker, &client->core->rand, now_ns, &again->ticket, wait_ns);
    if (again->admitted) return true;
    if (retry->failing_since_ns == 0) retry->failing_since_ns = max_u64(now_ns, 1);
    *over = now_ns - retry->failing_since_ns >= again_limit_ns(client, client->trouble_phase);
    again_say_open(again, bucket, *wait_ns);
    return false;
}

static enum breaker_result again_result(const struct policy_case *failure)
{
    if (!failure) return BREAKER_GOOD;
    switch (failure->err) {
    case ERR_STALE:
    case ERR_STRAGGLER:
    case ERR_CANCELLED:
    case ERR_SLOW_DOWN: /* the windows answer to it: a prefix that is limited is no outage */
    case ERR_NO_DESCRIPTOR: return BREAKER_NEUTRAL;
    case ERR_SERVER: return BREAKER_REFUSAL;
    default: break;
    }
    if (failure->phase == POLICY_ANSWER || failure->phase == POLICY_XML) return BREAKER_GOOD;
    return err_class(failure->err) == ERR_CLASS_RETRY ? BREAKER_TRANSPORT : BREAKER_NEUTRAL;
}

static void again_tell(struct again *again, enum breaker_result result)
{
    struct client *client = again->client;
    if (!again->admitted) return;
    again->admitted = false;
    breaker_on_result(&again->door->breaker, &client->core->rand, client->core->now_ns,
                      again->ticket, result);
}

void again_report(struct again *again, const struct policy_case *failure)
{
    again_tell(again, again_result(failure));
}

void again_leave(struct again *again)
{
    again_tell(again, BREAKER_NEUTRAL);
}

/* --- corrections --- */

static bool again_fix_clock(struct again *again, const struct again_failure *failure)
{
    struct client *client = again->client;
    int64_t error_ns = identity_clock_error_ns(&client->identity, failure->date_s);
    if (!identity_set_clock(&client->identity, failure->date_s)) return false;
    if (bulletin_claim(client->bulletin, ERR_CLOCK_SKEW, client->core->now_ns))
        again_say_clock(client, error_ns);
    return true;
}

/* Expired ones are renewed by somebody else, a moment before or a moment after. */
static bool again_fix_credentials(struct again *again, const struct again_failure *failure,
                                  uint64_t *delay_ns)
{
    struct client *client = again->client;
    struct identity *identity = &client->identity;
    *delay_ns = AGAIN_REREAD_NS;
    if (identity_is_reading(identity) || identity_reread(identity)) return true;
    bool from_file = identity->creds.source == CREDS_CREDENTIALS_FILE ||
                     identity->creds.source == CREDS_CONFIG_FILE;
    *delay_ns = AGAIN_RENEWAL_NS;
    if (failure->what.err != ERR_CREDENTIALS_EXPIRED || !from_file) return false;
    if (!bulletin_has_worked(client->bulletin)) return false;
    if (bulletin_claim(client->bulletin, ERR_CREDENTIALS_EXPIRED, client->core->now_ns))
        log_line(&client->conf->log, LOG_NOTE,
                 "the credentials have expired; waiting for new ones in the %s",
                 creds_source_name(identity->creds.source));
    return true;
}

static bool again_correct(struct again *again, const struct again_failure *failure,
                          uint64_t *delay_ns)
{
    struct identity *identity = &again->client->identity;
    *delay_ns = 0;
    if (!identity->signs || again->corrections >= AGAIN_CORRECTIONS_MAX) return false;
    again->corrections++;
    if (failure->epoch != identity->epoch) return true;
    if (again->act == POLICY_CLOCK && identity_keeps(identity)) {
        *delay_ns = AGAIN_REREAD_NS;
        return true;
    }
    switch (again->act) {
    case POLICY_CLOCK: return again_fix_clock(again, failure);
    case POLICY_CREDENTIALS: return again_fix_credentials(again, failure, delay_ns);
    case POLICY_SUSPECT:
        return again_fix_clock(again, failure) || again_fix_credentials(again, failure, delay_ns);
    default: return false;
    }
}

/* --- elsewhere --- */

static void again_answer(const struct again *again, const struct again_failure *failure,
                         struct redirect_answer *answer)
{
    static const struct redirect_place nowhere = {.named = REDIRECT_NAMES_NONE};
    const struct client *client = again->client;
    *answer = (struct redirect_answer){.given = client->endpoint,
                                       .here = client_site(client, failure->site),
                                       .status = failure->status,
                                       .region = failure->region,
                                       .place = failure->place ? failure->place : &nowhere,
                                       .allowed = client->conf->follow_redirects};
}

static void again_say_move(const struct client *client, const struct redirect_answer *answer,
                           const struct endpoint *to, struct bytes bucket)
{
    char place[TARGET_HOST_BYTES + 16];
    struct writer w;
    writer_init(&w, place, sizeof place);
    redirect_write(&w, to);
    if (strcmp(to->host, answer->here->host) == 0 && to->port == answer->here->port)
        log_line(&client->conf->log, LOG_NOTE, "s3://%.*s: is in region %s; signing for that",
                 (int)bucket.count, bucket.data, to->region);
    else
        log_line(&client->conf->log, LOG_NOTE, "s3://%.*s: is at %s, region %s; going there",
                 (int)bucket.count, bucket.data, writer_string(&w), to->region);
}

/* For all cores and all later requests of the bucket. */
static enum redirect_verdict again_move(struct again *again, const struct again_failure *failure,
                                        const struct redirect_answer *answer,
                                        const struct endpoint *to, uint64_t *delay_ns)
{
    struct client *client = again->client;
    switch (atlas_put(&client->bulletin->atlas, failure->bucket, to)) {
    case ATLAS_ADDED: again_say_move(client, answer, to, failure->bucket); break;
    case ATLAS_KNOWN: break;
    case ATLAS_BUSY: *delay_ns = AGAIN_ATLAS_NS; break;
    case ATLAS_FULL: return REDIRECT_FULL;
    }
    again->trail.site = 0;
    return REDIRECT_MOVE;
}

static enum redirect_verdict again_pass(struct again *again, const struct again_failure *failure,
                                        const struct endpoint *to)
{
    struct client *client = again->client;
    char place[TARGET_HOST_BYTES + 16];
    struct writer w;
    again->trail.site = (uint8_t)client_pass(client, to);
    if (again->trail.site == 0) return REDIRECT_FULL;
    writer_init(&w, place, sizeof place);
    redirect_write(&w, to);
    log_line(&client->conf->log, LOG_DEBUG, "s3://%.*s/%.*s: redirected to %s",
             (int)failure->bucket.count, failure->bucket.data, (int)failure->key.count,
             failure->key.data, writer_string(&w));
    return REDIRECT_FOLLOW;
}

/* One hop more, unless it was there before. Hosts count, not what is signed for. */
static enum redirect_verdict again_hop(struct again *again, uint32_t from,
                                       const struct endpoint *to)
{
    struct again_trail *trail = &again->trail;
    if (trail->hop_count == REDIRECT_HOPS_MAX) return REDIRECT_HOPS;
    trail->hops[trail->hop_count++] = (uint8_t)from;
    for (uint32_t i = 0; i < trail->hop_count; i++) {
        const struct endpoint *was = client_site(again->client, trail->hops[i]);
        if (was->tls == to->tls && was->port == to->port && was->addressing == to->addressing &&
            strcmp(was->host, to->host) == 0)
            return REDIRECT_LOOP;
    }
    return REDIRECT_NOTHING;
}

static enum redirect_verdict again_go(struct again *again, const struct again_failure *failure,
                                      uint64_t *delay_ns)
{
    struct client *client = again->client;
    struct redirect_answer answer;
    struct endpoint to;
    again_answer(again, failure, &answer);
    enum redirect_verdict verdict = redirect_judge(&answer, &to);
    bool passing = client_is_passing(failure->site);
    if (verdict == REDIRECT_SIGN && !client->identity.signs) return REDIRECT_NOTHING;
    /* The last host of a temporary redirect does not speak for the bucket. */
    if (verdict == REDIRECT_SIGN && passing) return again_pass(again, failure, &to);
    if (verdict == REDIRECT_SIGN) return again_move(again, failure, &answer, &to, delay_ns);
    if (verdict != REDIRECT_MOVE && verdict != REDIRECT_FOLLOW) return verdict;
    enum redirect_verdict refused = again_hop(again, failure->site, &to);
    if (refused) return refused;
    if (passing || verdict == REDIRECT_FOLLOW) return again_pass(again, failure, &to);
    return again_move(again, failure, &answer, &to, delay_ns);
}

/* One server of several may have an old map: while others accept what we send, the bucket stays. A
 * temporary redirect is not about the bucket. */
static bool again_follow(struct again *again, const struct again_failure *failure,
                         uint64_t *delay_ns)
{
    struct client *client = again->client;
    *delay_ns = 0;
    again->verdict = REDIRECT_NOTHING;
    if (again->corrections++ >= AGAIN_CORRECTIONS_MAX) return false;
    if (failure->epoch != client->identity.epoch) return true;
    if (!client_is_passing(failure->site) && failure->site != client_home(client, failure->bucket))
        return true; /* it has moved meanwhile */
    if (again->act == POLICY_REGION && client_keeps(client, failure->site)) {
        *delay_ns = AGAIN_REREAD_NS;
        return true;
    }
    again->verdict = again_go(again, failure, delay_ns);
    if (again->verdict == REDIRECT_FOLLOW) again->corrections--; /* hops and attempts bound these */
    return again->verdict != REDIRECT_NOTHING && !redirect_is_refused(again->verdict);
}

void again_explain(const struct again *again, const struct again_failure *failure, char *text,
                   size_t bytes)
{
    struct redirect_answer answer;
    struct endpoint to;
    bool acted = again->act == POLICY_REGION || again->act == POLICY_REDIRECT;
    if (!acted || !redirect_is_refused(again->verdict)) return;
    again_answer(again, failure, &answer);
    enum redirect_verdict own = redirect_judge(&answer, &to);
    bool named = redirect_is_refused(own) || own == REDIRECT_NOTHING;
    redirect_explain(again->verdict, answer.here, named ? &answer.place->at : &to, text, bytes);
}

/* --- waiting --- */

static bool again_waits(struct again *again, const struct again_failure *failure,
                        uint32_t attempts_max, uint64_t *delay_ns)
{
    struct client *client = again->client;
    bool worked = bulletin_has_worked(client->bulletin);
    struct retry_failure attempt = {
        .err = failure->what.err,
        .now_ns = client->core->now_ns,
        .limit_ns = again_limit_ns(client, failure->what.phase),
        .attempts_min = worked ? RETRY_ATTEMPTS_MIN : 0,
        .attempts_max = attempts_max,
        .asked_ns = failure->asked_ns,
        .at_once = again->act == POLICY_AGAIN_NOW,
    };
    if (!retry_again(&again->retry, &client->budget, &client->core->rand, &attempt, delay_ns))
        return false;
    again->trail = (struct again_trail){.site = 0};
    /* Where the breaker bounds the load, long waits would only miss the server's return. */
    if (again_door(again)->breaker.state != BREAKER_CLOSED && again->act != POLICY_THROTTLE)
        *delay_ns = min_u64(*delay_ns, rand_below(&client->core->rand, NS_PER_S));
    again_say(again, failure, *delay_ns);
    return true;
}

/* What a user is told when work waits. */
static void again_note_trouble(struct client *client, const struct again_failure *failure)
{
    if (failure->what.err == ERR_STRAGGLER) return; /* we did that ourselves */
    client->trouble = failure->what.err;
    client->trouble_phase = failure->what.phase;
    snprintf(client->trouble_why, sizeof client->trouble_why, "%s", failure->why);
}

bool again_may(struct again *again, const struct again_failure *failure, uint64_t *delay_ns)
{
    struct client *client = again->client;
    struct policy policy = policy_find(&failure->what);
    again->act = policy.act;
    *delay_ns = 0;
    again_note_trouble(client, failure);
    if (failure->what.phase > POLICY_TLS) bulletin_set_reached(client->bulletin);
    if (err_class(failure->what.err) == ERR_CLASS_OBJECT && failure->what.phase == POLICY_ANSWER)
        bulletin_set_worked(client->bulletin);
    switch (policy.act) {
    case POLICY_AGAIN_NOW:
    case POLICY_BACK_OFF:
    case POLICY_THROTTLE: return again_waits(again, failure, policy.attempts_max, delay_ns);
    case POLICY_REREAD:
        if (failure->owner_rereads) return false;
        return again_waits(again, failure, policy.attempts_max, delay_ns);
    case POLICY_CREDENTIALS:
    case POLICY_CLOCK:
    case POLICY_SUSPECT: return again_correct(again, failure, delay_ns);
    case POLICY_REGION:
    case POLICY_REDIRECT: return again_follow(again, failure, delay_ns);
    case POLICY_RECONCILE:
    case POLICY_RELIST:
    case POLICY_RESTART:
    case POLICY_FAIL_OBJECT:
    case POLICY_STOP_RUN: break;
    }
    return false;
}

void again_progressed(struct again *again)
{
    retry_progressed(&again->retry);
}

void again_succeeded(struct again *again)
{
    struct client *client = again->client;
    retry_succeeded(&again->retry, &client->budget);
    bulletin_set_worked(client->bulletin);
    if (bulletin_claim_relief(client->bulletin, client->core->now_ns))
        log_line(&client->conf->log, LOG_NOTE, "%s:%u answers again", again_door(again)->name,
                 again_door(again)->port);
}
