#include "tests/sim/elsewhere.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#define HOME_HOST    "s3.sim:9000"
#define OTHER_HOST   "two.sim:9000"
#define OTHER_REGION "eu-sim-1"

#define REFUSED_MAX 4096u

static struct {
    enum elsewhere kind;
    uint64_t count;
    bool literal; /* the endpoint is an address */
    /* of this process: since when it knows, as x-amz-date says it; and what was sent on so far */
    char learned[32];
    uint64_t refused[REFUSED_MAX];
    uint32_t refused_count;
} elsewhere;

void elsewhere_draw(struct conf *conf)
{
    static const char *const trusts[] = {"any", OTHER_HOST, "one.sim,*.sim:9000,x.test"};
    const struct endpoint *endpoint = &conf->endpoints[0];
    uint64_t kind = 1 + rand_below(&world->later, 3), trust = rand_below(&world->later, 3);
    memset(&elsewhere, 0, sizeof elsewhere);
    elsewhere.literal = endpoint->is_literal;
    if (endpoint->is_literal || rand_below(&world->later, 4) > 0) return;
    elsewhere.kind = (enum elsewhere)kind;
    if (kind == ELSEWHERE_REGION && !endpoint->sign) elsewhere.kind = ELSEWHERE_MOVED;
    if (elsewhere.kind != ELSEWHERE_REGION) conf->follow_redirects = trusts[trust];
}

enum elsewhere elsewhere_world(void)
{
    return elsewhere.kind;
}

uint64_t elsewhere_count(void)
{
    return elsewhere.count;
}

void elsewhere_on_process(void)
{
    elsewhere.learned[0] = '\0';
    elsewhere.refused_count = 0;
}

void elsewhere_on_line(const char *text)
{
    bool learns = strstr(text, "; signing for that") || strstr(text, "; going there");
    time_t now_s = (time_t)((world->now_ns + world->wall_offset_ns) / NS_PER_S);
    struct tm tm;
    if (!learns || elsewhere.learned[0]) return;
    strftime(elsewhere.learned, sizeof elsewhere.learned, "%Y%m%dT%H%M%SZ", gmtime_r(&now_s, &tm));
}

static uint64_t add_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

/* What asks for the same is the same request (FNV-1a; Fowler, Noll, Vo). */
static uint64_t name_of(const struct server_request *request)
{
    const char *range = server_header(request, "range");
    uint64_t hash = add_text(add_text(0xcbf29ce484222325u, request->method), request->key);
    for (uint32_t i = 0; i < request->query_count; i++)
        hash = add_text(add_text(hash, request->query[i].name), request->query[i].value);
    return add_text(hash, range ? range : "");
}

/* Where a bucket is is learned once: what is asked again is asked there, and so is all that is
 * signed when it is known. What was signed before may wait for a connection still. */
static void check_once(const struct server_request *request)
{
    const char *date = server_header(request, "x-amz-date");
    uint64_t name = name_of(request);
    if (request->late || !scenario_world()->pure) return;
    for (uint32_t i = 0; i < elsewhere.refused_count; i++)
        if (elsewhere.refused[i] == name)
            world_broken("%s %s was sent elsewhere twice", request->method, request->key);
    if (elsewhere.refused_count < REFUSED_MAX) elsewhere.refused[elsewhere.refused_count++] = name;
    if (elsewhere.learned[0] && date && strcmp(date, elsewhere.learned) > 0)
        world_broken("%s %s was signed at %s, where it is was known at %s", request->method,
                     request->key, date, elsewhere.learned);
}

/* With what tells where to: to a HEAD, and to what is temporary, a header alone. */
static void say_place(const struct server_request *request, struct server_reply *reply)
{
    char place[3 * 1100 + 80];
    int at = snprintf(place, sizeof place, "http://" OTHER_HOST "/" STORE_BUCKET "%s",
                      request->key[0] ? "/" : "");
    for (const char *c = request->key; *c; c++) {
        bool plain = isalnum((unsigned char)*c) || strchr("-._~/", *c);
        at += snprintf(place + at, sizeof place - (size_t)at, plain ? "%c" : "%%%02X",
                       (unsigned char)*c);
    }
    server_say(reply, "Location", place);
}

/* Of an answer that is an error already. */
static void say_element(struct server_reply *reply, const char *code, const char *element,
                        const char *value)
{
    reply->bytes = 0;
    server_text(reply, "<Error><Code>%s</Code><%s>%s</%s></Error>", code, element, value, element);
}

static void answer_moved(const struct server_request *request, struct server_reply *reply)
{
    server_error(reply, 301, "PermanentRedirect");
    if (reply->no_body)
        say_place(request, reply);
    else
        say_element(reply, "PermanentRedirect", "Endpoint", OTHER_HOST);
}

static void answer_times(const struct server_request *request, struct server_reply *reply)
{
    server_error(reply, 307, "TemporaryRedirect");
    say_place(request, reply);
}

static void answer_region(struct server_reply *reply)
{
    server_error(reply, 400, "AuthorizationHeaderMalformed");
    server_say(reply, "x-amz-bucket-region", OTHER_REGION);
    say_element(reply, "AuthorizationHeaderMalformed", "Region", OTHER_REGION);
}

bool elsewhere_answers(const struct server_request *request, struct server_reply *reply)
{
    const char *host = server_header(request, "host");
    const char *signature = server_header(request, "authorization");
    bool home = strcmp(host, elsewhere.literal ? "10.0.0.1:9000" : HOME_HOST) == 0;
    if (!home && strcmp(host, OTHER_HOST) != 0) world_broken("a request for the host %s", host);
    switch (elsewhere.kind) {
    case ELSEWHERE_NOT:
        if (!home) world_broken("a request for %s, which nobody named", host);
        return false;
    case ELSEWHERE_MOVED:
        if (!home) return false;
        answer_moved(request, reply);
        break;
    case ELSEWHERE_TIMES:
        if (!home || rand_below(&world->later, 4) > 0) return false;
        answer_times(request, reply);
        break;
    case ELSEWHERE_REGION:
        if (!home) world_broken("a request for %s, which nobody named", host);
        if (!signature) world_broken("a request that is not signed");
        if (strstr(signature, "/" OTHER_REGION "/s3/aws4_request")) return false;
        answer_region(reply);
        break;
    }
    elsewhere.count++;
    if (elsewhere.kind != ELSEWHERE_TIMES) check_once(request);
    return true;
}
