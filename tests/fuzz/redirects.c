/* What a server may name as another place: "given\0allowed\0location". Whatever it is, what is
 * signed goes to no host that nobody trusts, and from TLS to nowhere without. */
#include <string.h>

#include "core/check.h"
#include "s3/redirect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(enum redirect_verdict verdict, const struct endpoint *from,
                        const struct endpoint *to)
{
    char text[320], small[40];
    redirect_explain(verdict, from, to, text, sizeof text);
    CHECK(text[0] && strlen(text) < sizeof text);
    redirect_explain(verdict, from, to, small, sizeof small);
    CHECK(strlen(small) < sizeof small);
}

static void try(const struct endpoint *given, const char *allowed, struct bytes location,
                uint32_t status)
{
    struct redirect_place place;
    struct endpoint to;
    struct redirect_answer answer = {.given = given,
                                     .here = given,
                                     .status = status,
                                     .region = "",
                                     .place = &place,
                                     .allowed = allowed};
    redirect_parse(&place, location, given, BYTES("bucket"), BYTES("key"));
    CHECK(place.named != REDIRECT_NAMES_NONE);
    enum redirect_verdict verdict = redirect_judge(&answer, &to);
    if (redirect_is_refused(verdict)) {
        check_words(verdict, given, &place.at);
        return;
    }
    CHECK(verdict == REDIRECT_MOVE || verdict == REDIRECT_FOLLOW);
    CHECK(to.tls || !given->tls);
    CHECK(to.host[0] && to.port > 0 && redirect_is_region(to.region));
    bool same = strcmp(to.host, given->host) == 0;
    bool aws = strstr(to.host, ".amazonaws.com") && strstr(given->host, ".amazonaws.com");
    CHECK(same || aws || redirect_is_allowed(allowed, &to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2048], why[TARGET_WHY_BYTES];
    struct endpoint given;
    if (size >= sizeof text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    const char *allowed = memchr(text, 0, size), *location = NULL;
    if (allowed) location = memchr(allowed + 1, 0, size - (size_t)(allowed + 1 - text));
    if (!location) return 0;
    struct endpoint_options options = {.url = text, .region = "us-east-1"};
    if (target_parse_endpoint(&given, &options, why)) return 0;
    if (redirect_check_allowed(allowed + 1, why)) allowed = NULL;
    struct bytes named = {location + 1, size - (size_t)(location + 1 - text)};
    try(&given, allowed ? allowed + 1 : NULL, named, 301);
    try(&given, allowed ? allowed + 1 : NULL, named, 307);
    return 0;
}
