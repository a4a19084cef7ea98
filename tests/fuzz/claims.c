/* claims: any text, a line each, as a query, an Authorization header and an x-amz-date header of a
 * received request: a claim that is taken has a signature of 64 characters, none that was made up
 * verifies, and one that we signed does. */
#include "core/check.h"
#include "s3/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void make_up(struct bytes query, struct bytes authorization, struct bytes date)
{
    struct http_head head = {.method = BYTES("GET"),
                             .headers = {{BYTES("host"), BYTES("h")},
                                         {BYTES("authorization"), authorization},
                                         {BYTES("x-amz-date"), date}},
                             .header_count = 3};
    char area[1024];
    struct sigv4_claim claim;
    struct sigv4_key key;
    struct writer scratch;
    writer_init(&scratch, area, sizeof(area));
    if (sigv4_parse_claim(&head, query, &scratch, &claim) != ERR_NONE) return;
    CHECK(claim.signature.count == SIGV4_HEX_BYTES - 1);
    sigv4_key_init(&key, "A", "another secret in every run would do as well", "us-east-1");
    CHECK(sigv4_verify(&key, &claim, &head, BYTES("/"), query) != ERR_NONE);
}

/* Does it hold only what an escaped query may hold, and one "=" an item? */
static bool is_escaped(struct bytes query)
{
    bool in_value = false;
    for (size_t i = 0; i < query.count; i++) {
        char c = query.data[i];
        if (c == '=' && in_value) return false;
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '=' && c != '&') return false;
        in_value = c == '=' || (in_value && c != '&');
    }
    return true;
}

/* Signs a request with this query, as a client that escapes it, and verifies it. */
static void round_trip(struct bytes query)
{
    struct http_header headers[] = {{BYTES("host"), BYTES("h")},
                                    {BYTES("x-amz-date"), BYTES("20130524T000000Z")},
                                    {BYTES("x-amz-content-sha256"), BYTES(SIGV4_UNSIGNED)}};
    struct sigv4_request request = {.method = BYTES("GET"),
                                    .path = BYTES("/"),
                                    .query = query,
                                    .headers = headers,
                                    .header_count = ARRAY_COUNT(headers),
                                    .payload_hash = BYTES(SIGV4_UNSIGNED),
                                    .wall_ns = 1369353600 * NS_PER_S};
    struct http_head head = {.method = request.method};
    char area[SIGV4_AUTHORIZATION_BYTES];
    struct sigv4_claim claim;
    struct sigv4_key key;
    struct writer w;
    if (!is_escaped(query)) return;
    sigv4_key_init(&key, "A", "secret", "us-east-1");
    writer_init(&w, area, sizeof(area));
    if (sigv4_sign(&key, &request, &w) != ERR_NONE) return;
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++)
        head.headers[head.header_count++] = headers[i];
    head.headers[head.header_count++] =
        (struct http_header){BYTES("authorization"), writer_bytes(&w)};
    enum err err = sigv4_parse_claim(&head, query, &w, &claim);
    CHECK(err == ERR_NONE);
    err = sigv4_verify(&key, &claim, &head, request.path, query);
    CHECK(err == ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct bytes rest = {(const char *)data, count};
    struct bytes query = bytes_cut(rest, '\n', &rest);
    struct bytes authorization = bytes_cut(rest, '\n', &rest);
    make_up(query, authorization, rest);
    round_trip(query);
    return 0;
}
