#include "tests/sim/elsewhere.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

#define HOME_HOST    "s3.sim:9000"
#define OTHER_HOST   "two.sim:9000"
#define OTHER_REGION "eu-sim-1"

static struct {
    enum elsewhere kind;
    uint64_t count;
    bool literal; /* the endpoint is an address */
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
    return true;
}
